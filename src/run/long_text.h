/* long_text.h - windows of a text that is longer than its model's limit
 * (--long window[:overlap]).
 *
 * The text with its prompt is tokenized as a whole: HEAD ids in front (special
 * tokens and the prompt's), content, TAIL special tokens. Each window is the
 * head, a stretch of the content, and the tail: as many ids as the limit, the
 * last window maybe fewer. Neighbours share OVERLAP content ids. A text within
 * the limit is one window: itself.
 *
 *     for (size_t w = 0; w < long_windows(&frame, tokens); w++) {
 *         size_t n = long_window(&frame, ids, tokens, w, out);
 *         ... encode out[0 .. n) ...
 *     }
 *
 * What becomes of the windows (docs/long-texts.md): dense vectors are averaged,
 * each weighted by its content ids, and made unit vectors again where the model
 * normalises; of sparse ones the largest value of each index counts; vectors of
 * tokens stand one window's behind the other's. A text's vector depends on
 * nothing but its ids.
 */

#ifndef RUN_LONG_TEXT_H
#define RUN_LONG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct long_frame {
    size_t limit;      /* ids of a window; 0: long texts are cut */
    size_t head, tail; /* ids */
    size_t overlap;    /* < limit - head - tail */
};

/* ERROR_USAGE where head, tail and overlap leave no room; NAME is the
 * model's. */
bool long_frame_check(const struct long_frame *frame, const char *name,
                      struct error *err);

static inline bool long_is(const struct long_frame *frame, size_t tokens) {
    return frame->limit && tokens > frame->limit;
}

size_t long_windows(const struct long_frame *frame, size_t tokens);

/* Content ids of window W. */
size_t long_content(const struct long_frame *frame, size_t tokens, size_t w);

/* The ids of window W of IDS [tokens] to OUT [limit]; how many. */
size_t long_window(const struct long_frame *frame, const uint32_t *ids,
                   size_t tokens, size_t w, uint32_t *out);

/* Of all windows together, at most. */
size_t long_tokens(const struct long_frame *frame, size_t tokens);

#endif
