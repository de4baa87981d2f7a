#include "run/long_text.h"

#include <inttypes.h>
#include <string.h>

/* Content ids that fit in a window. */
static size_t room(const struct long_frame *frame) {
    return frame->limit - frame->head - frame->tail;
}

bool long_frame_check(const struct long_frame *frame, const char *name,
                      struct error *err) {
    size_t fixed = frame->head + frame->tail;
    if (!frame->limit ||
        (fixed < frame->limit && frame->overlap < frame->limit - fixed))
        return true;
    return error_set(err, ERROR_USAGE,
                     "%s: windows of %zu tokens, %zu of them special ones and "
                     "the prompt's, have no room for an overlap of %zu; say "
                     "less with --long window:OVERLAP",
                     name, frame->limit, fixed, frame->overlap);
}

size_t long_windows(const struct long_frame *frame, size_t tokens) {
    if (!long_is(frame, tokens))
        return 1;
    size_t step = room(frame) - frame->overlap;
    return 1 + (tokens - frame->limit + step - 1) / step;
}

/* Where the content of window W begins. */
static size_t begin_of(const struct long_frame *frame, size_t w) {
    return w * (room(frame) - frame->overlap);
}

size_t long_content(const struct long_frame *frame, size_t tokens, size_t w) {
    size_t fixed = frame->head + frame->tail;
    if (!long_is(frame, tokens))
        return tokens > fixed ? tokens - fixed : 0;
    size_t left = tokens - fixed - begin_of(frame, w);
    return left < room(frame) ? left : room(frame);
}

size_t long_window(const struct long_frame *frame, const uint32_t *ids,
                   size_t tokens, size_t w, uint32_t *out) {
    if (!long_is(frame, tokens)) {
        memcpy(out, ids, tokens * sizeof *ids);
        return tokens;
    }
    size_t count = long_content(frame, tokens, w);
    memcpy(out, ids, frame->head * sizeof *ids);
    memcpy(out + frame->head, ids + frame->head + begin_of(frame, w),
           count * sizeof *ids);
    memcpy(out + frame->head + count, ids + tokens - frame->tail,
           frame->tail * sizeof *ids);
    return frame->head + count + frame->tail;
}

size_t long_tokens(const struct long_frame *frame, size_t tokens) {
    return long_is(frame, tokens) ? long_windows(frame, tokens) * frame->limit
                                  : tokens;
}
