/* pretokenizers.c - a text on its way through the steps: see pretokenizers.h.
 */

#include "text/pretokenizers.h"

#include <string.h>

#include "base/utf8.h"
#include "text/byte_characters.h"
#include "text/unicode_scripts.h"
#include "text/unicode_sets.h"

struct pretokenizers_scratch pretokenizers_scratch_make(struct memory *memory) {
    return (struct pretokenizers_scratch){
        .memory = memory,
        .buffers = {strbuf_make(memory), strbuf_make(memory)},
        .splits = {{.memory = memory}, {.memory = memory}},
        .pattern.memory = memory};
}

void pretokenizers_scratch_free(struct pretokenizers_scratch *scratch) {
    for (int i = 0; i < 2; i++) {
        strbuf_free(&scratch->buffers[i]);
        splits_free(&scratch->splits[i]);
    }
    pattern_scratch_free(&scratch->pattern);
}

/* A text and its pieces on their way through the steps. */
struct state {
    struct pretokenizers_scratch *scratch;
    struct str text;
    struct splits *now, *next;
    unsigned buffer; /* that the next change of the text goes to */
    size_t at_zero;  /* so many bytes of the text stand where it began */
    struct error *err;
};

static struct str piece(const struct state *state, struct split split) {
    return (struct str){state->text.data + split.begin,
                        split.end - split.begin};
}

/* The new pieces are those that count. */
static bool turn(struct state *state) {
    struct splits *done = state->now;
    if (!splits_ok(state->next, state->err))
        return false;
    state->now = state->next;
    state->next = done;
    done->count = 0;
    return true;
}

/* Runs of equal kinds; those of kind 0 are dropped. */
static void put_runs(struct state *state, struct split split,
                     int (*kind_of)(uint32_t set)) {
    size_t begin = split.begin, at = begin;
    int kind = 0;
    struct str text = {state->text.data, split.end};
    while (at < split.end) {
        size_t next = at;
        int now = kind_of(unicode_set(utf8_next(text, &next)));
        if (now != kind) {
            if (kind)
                splits_add(state->next, begin, at);
            begin = at;
        }
        kind = now;
        at = next;
    }
    if (kind)
        splits_add(state->next, begin, at);
}

static int whitespace_kind(uint32_t set) {
    return set & SET_SPACE ? 0 : set & SET_WORD ? 1 : 2;
}

static int white_kind(uint32_t set) {
    return !(set & SET_WHITE);
}

/* Each character with FLAG is a delimiter. */
static void put_delimited(struct state *state, struct split split,
                          uint32_t flag, enum behavior behavior) {
    struct splitter splitter = {.behavior = behavior, .out = state->next};
    struct str text = {state->text.data, split.end};
    size_t begin = split.begin;
    for (size_t at = begin, next = at; at < split.end; at = next) {
        if (!(unicode_set(utf8_next(text, &next)) & flag))
            continue;
        if (begin < at)
            splitter_add(&splitter, begin, at, false);
        splitter_add(&splitter, at, next, true);
        begin = next;
    }
    if (begin < split.end)
        splitter_add(&splitter, begin, split.end, false);
    splitter_end(&splitter);
}

static void put_lengths(struct state *state, struct split split,
                        size_t length) {
    struct str text = {state->text.data, split.end};
    for (size_t at = split.begin, begin = at; at < split.end; begin = at) {
        for (size_t i = 0; i < length && at < split.end; i++)
            utf8_next(text, &at);
        splits_add(state->next, begin, at);
    }
}

/* A piece begins at each script that is another than the last one. What has
 * none goes on with it, and is dropped where there was none yet. */
static void put_scripts(struct state *state, struct split split) {
    struct str text = {state->text.data, split.end};
    size_t begin = split.begin;
    uint8_t last = 0;
    for (size_t at = begin, next = at; at < split.end; at = next) {
        uint8_t script = unicode_script(utf8_next(text, &next));
        if (!script || script == last)
            continue;
        if (last)
            splits_add(state->next, begin, at);
        begin = at;
        last = script;
    }
    if (last)
        splits_add(state->next, begin, split.end);
}

static void put_bert(struct state *state, struct split split,
                     const struct pretokenizer *bert) {
    struct str text = piece(state, split), word;
    size_t at = 0;
    while (pretokenize_next(bert, text, &at, &word)) {
        size_t begin = (size_t)(word.data - state->text.data);
        splits_add(state->next, begin, begin + word.size);
    }
}

struct shifted {
    struct splitter splitter;
    size_t by;
};

static void put_shifted(void *context, size_t begin, size_t end, bool match) {
    struct shifted *s = context;
    splitter_add(&s->splitter, begin + s->by, end + s->by, match);
}

static bool put_pattern(struct state *state, struct split split,
                        const struct pretokenizer_step *step) {
    struct shifted shifted = {{.behavior = step->behavior,
                               .invert = step->invert,
                               .out = state->next},
                              split.begin};
    if (!pattern_find(step->pattern, &state->scratch->pattern,
                      piece(state, split), put_shifted, &shifted, state->err))
        return false;
    splitter_end(&shifted.splitter);
    return true;
}

/* Steps that cut and change nothing. */
static bool cut(struct state *state, const struct pretokenizer_step *step) {
    bool fine = true;
    for (size_t i = 0; fine && i < state->now->count; i++) {
        struct split split = state->now->list[i];
        switch (step->kind) {
        case PRETOKENIZER_BERT:
            put_bert(state, split, &step->bert);
            break;
        case PRETOKENIZER_WHITESPACE:
            put_runs(state, split, whitespace_kind);
            break;
        case PRETOKENIZER_WHITESPACE_SPLIT:
            put_runs(state, split, white_kind);
            break;
        case PRETOKENIZER_PUNCTUATION:
            put_delimited(state, split, SET_PUNCT, step->behavior);
            break;
        case PRETOKENIZER_DIGITS:
            put_delimited(state, split, SET_DIGIT, step->behavior);
            break;
        case PRETOKENIZER_FIXED_LENGTH:
            put_lengths(state, split, step->length);
            break;
        case PRETOKENIZER_UNICODE_SCRIPTS:
            put_scripts(state, split);
            break;
        default:
            fine = put_pattern(state, split, step);
        }
    }
    return fine && turn(state);
}

/* So many bytes of SPLIT stand where the text began. */
static size_t early(const struct state *state, struct split split) {
    if (split.begin >= state->at_zero)
        return 0;
    return (state->at_zero < split.end ? state->at_zero : split.end) -
           split.begin;
}

static struct strbuf *begin_text(struct state *state) {
    struct strbuf *out = &state->scratch->buffers[state->buffer];
    strbuf_clear(out);
    return out;
}

/* OUT is the text now, of whose bytes AT_ZERO stand where it began. */
static bool end_text(struct state *state, struct strbuf *out, size_t at_zero) {
    state->text = strbuf_str(out);
    state->at_zero = at_zero;
    state->buffer ^= 1;
    return strbuf_ok(out, state->err) && turn(state);
}

static void put_spaced(struct strbuf *out, struct str text,
                       struct str replacement) {
    while (text.size) {
        const char *space = memchr(text.data, ' ', text.size);
        size_t size = space ? (size_t)(space - text.data) : text.size;
        strbuf_add(out, (struct str){text.data, size});
        if (!space)
            break;
        strbuf_add(out, replacement);
        text = (struct str){space + 1, text.size - size - 1};
    }
}

/* Where WANTED is next in OUT from AT on; its end if nowhere. */
static size_t next_place(const struct strbuf *out, size_t at,
                         struct str wanted) {
    while (at + wanted.size <= out->size) {
        const char *found = memchr(out->data + at, wanted.data[0],
                                   out->size - at - wanted.size + 1);
        if (!found)
            break;
        if (memcmp(found, wanted.data, wanted.size) == 0)
            return (size_t)(found - out->data);
        at = (size_t)(found - out->data) + 1;
    }
    return out->size;
}

/* OUT from BEGIN on, cut before each replacement. */
static void put_before_each(struct state *state, const struct strbuf *out,
                            size_t begin, struct str replacement) {
    size_t at = next_place(out, begin, replacement);
    splits_add(state->next, begin, at);
    while (at < out->size) {
        size_t next = next_place(out, at + replacement.size, replacement);
        splits_add(state->next, at, next);
        at = next;
    }
}

static bool metaspace(struct state *state,
                      const struct pretokenizer_step *step) {
    struct strbuf *out = begin_text(state);
    size_t at_zero = 0;
    for (size_t i = 0; i < state->now->count; i++) {
        struct split split = state->now->list[i];
        struct str text = piece(state, split);
        size_t begin = out->size, first = early(state, split);
        bool there = text.data[0] == ' ' || str_starts(text, step->replacement);
        if (!there && (step->prepend == PREPEND_ALWAYS ||
                       (step->prepend == PREPEND_FIRST && first)))
            strbuf_add(out, step->replacement);
        put_spaced(out, (struct str){text.data, first}, step->replacement);
        if (first)
            at_zero = out->size;
        put_spaced(out, (struct str){text.data + first, text.size - first},
                   step->replacement);
        if (step->split)
            put_before_each(state, out, begin, step->replacement);
        else
            splits_add(state->next, begin, out->size);
    }
    return end_text(state, out, at_zero);
}

/* A space before each piece that has none. */
static bool prefix_spaces(struct state *state) {
    struct strbuf *out = begin_text(state);
    size_t at_zero = 0;
    for (size_t i = 0; i < state->now->count; i++) {
        struct split split = state->now->list[i];
        struct str text = piece(state, split);
        size_t begin = out->size, first = early(state, split);
        if (text.data[0] != ' ')
            strbuf_add_char(out, ' ');
        if (first)
            at_zero = out->size + first;
        strbuf_add(out, text);
        splits_add(state->next, begin, out->size);
    }
    return end_text(state, out, at_zero);
}

static bool byte_characters(struct state *state) {
    struct strbuf *out = begin_text(state);
    if (!strbuf_reserve(out, state->text.size * 2 + 1))
        return strbuf_ok(out, state->err);
    size_t at_zero = 0;
    for (size_t i = 0; i < state->now->count; i++) {
        struct split split = state->now->list[i];
        struct str text = piece(state, split);
        size_t begin = out->size, first = early(state, split);
        byte_characters_put((struct str){text.data, first}, out);
        if (first)
            at_zero = out->size;
        byte_characters_put((struct str){text.data + first, text.size - first},
                            out);
        splits_add(state->next, begin, out->size);
    }
    return end_text(state, out, at_zero);
}

static bool byte_level(struct state *state,
                       const struct pretokenizer_step *step) {
    return (!step->prefix_space || prefix_spaces(state)) &&
           (!step->pattern || cut(state, step)) && byte_characters(state);
}

static bool run_step(struct state *state,
                     const struct pretokenizer_step *step) {
    if (step->kind == PRETOKENIZER_METASPACE)
        return metaspace(state, step);
    if (step->kind == PRETOKENIZER_BYTE_LEVEL)
        return byte_level(state, step);
    return cut(state, step);
}

bool pretokenizers_run(const struct pretokenizers *pretokenizers,
                       struct pretokenizers_scratch *scratch, struct str text,
                       size_t at_zero, struct words *out, struct error *err) {
    struct state state = {.scratch = scratch,
                          .text = text,
                          .now = &scratch->splits[0],
                          .next = &scratch->splits[1],
                          .at_zero = at_zero,
                          .err = err};
    for (int i = 0; i < 2; i++) {
        scratch->splits[i].count = 0;
        scratch->splits[i].failed = false;
    }
    splits_add(state.now, 0, text.size);
    bool fine = splits_ok(state.now, err);
    for (size_t i = 0; fine && i < pretokenizers->count; i++)
        fine = run_step(&state, &pretokenizers->steps[i]);
    *out = (struct words){state.text, state.now};
    return fine;
}
