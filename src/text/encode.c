/* encode.c - one text through all parts, in pieces.
 *
 * A text of any size goes through a window of a few KiB: raw text is searched
 * for added tokens, what lies between them is a segment, and a segment is
 * normalised, searched again and cut into words a window at a time. What a
 * window cannot decide (the last word, the beginnings of a token, marks) stays
 * in the scratch until more text or the end of the segment decides it, so the
 * pieces give what the whole would give, and a limit that is reached early
 * costs little.
 */

#include <string.h>

#include "text/tokenizer_parts.h"

/* One text on its way. */
struct run {
    const struct tokenizer *tokenizer;
    struct tokenizer_scratch *scratch;
    struct tokens *out;
    struct error *err;

    size_t begin; /* of the content in OUT */
    size_t most;  /* content tokens that fit */
    size_t cut;   /* those that did not */
    bool count;   /* go on to count them */

    /* In the scratch's text, of the segment that is being read: */
    size_t word;     /* begin of what is not yet cut into words */
    size_t searched; /* no added token begins before this */
    bool skipping;   /* inside a word that is too long, and already unknown */
};

static bool is_full(const struct run *run) {
    return run->cut && !run->count;
}

static void trim(struct run *run) {
    size_t content = run->out->count - run->begin;
    if (content > run->most) {
        run->cut += content - run->most;
        run->out->count = run->begin + run->most;
    }
}

static bool put_id(struct run *run, uint32_t id) {
    if (!tokens_reserve(run->out, 1, run->err))
        return false;
    run->out->ids[run->out->count++] = id;
    trim(run);
    return true;
}

static bool put_word(struct run *run, struct str word) {
    const struct wordpiece *wordpiece = &run->tokenizer->wordpiece;
    size_t most = wordpiece_too_long(wordpiece, word) ? 1 : word.size;
    if (!tokens_reserve(run->out, most, run->err))
        return false;
    run->out->count +=
        wordpiece_cut(wordpiece, word, run->out->ids + run->out->count);
    trim(run);
    return true;
}

/* The last word of a piece of text that may go on after it. One that is too
 * long already needs no memory for the rest of it. */
static bool hold_word(struct run *run, struct str word, size_t begin,
                      size_t end) {
    if (!pretokenize_end(&run->tokenizer->pretokenizer, word, 0)) {
        run->word = end; /* punctuation does not go on */
        return put_word(run, word);
    }
    run->word = begin;
    if (!wordpiece_too_long(&run->tokenizer->wordpiece, word))
        return true;
    run->word = end;
    run->skipping = true;
    return put_id(run, run->tokenizer->wordpiece.unknown);
}

/* Cut the scratch's text up to END into words. CLOSED: none goes on there. */
static bool put_words(struct run *run, size_t end, bool closed) {
    const struct pretokenizer *pretokenizer = &run->tokenizer->pretokenizer;
    struct str text = {strbuf_str(&run->scratch->text).data, end}, word;
    size_t at = run->word;
    if (run->skipping) {
        at = pretokenize_end(pretokenizer, text, at);
        run->skipping = at == end && !closed;
    }
    while (!is_full(run) && pretokenize_next(pretokenizer, text, &at, &word)) {
        if (at == end && !closed)
            return hold_word(run, word, end - word.size, end);
        if (!put_word(run, word))
            return false;
    }
    run->word = end;
    return true;
}

/* Drop what is done with, but for the character before it, which an added
 * token that must be a single word looks at. */
static void compact(struct run *run) {
    struct strbuf *text = &run->scratch->text;
    size_t keep = run->word;
    if (keep > 0)
        keep = added_boundary(strbuf_str(text), keep - 1);
    if (!keep)
        return;
    memmove(text->data, text->data + keep, text->size - keep);
    text->size -= keep;
    run->word -= keep;
    run->searched -= keep;
}

/* Tokens of the normalised text that has come so far. CLOSED: the segment
 * ends here. lstrip and rstrip have nothing to do: the white space that they
 * take along is dropped by the pre-tokenizer in any case. */
static bool put_text(struct run *run, bool closed) {
    const struct added_set *set = &run->tokenizer->normalized;
    struct str text = strbuf_str(&run->scratch->text);
    /* A token that begins later may need more text to be seen whole, with the
     * character behind it. */
    size_t margin = closed || !set->longest ? 0 : set->longest + 4;
    size_t until = text.size > margin ? text.size - margin : 0;
    until = added_boundary(text, until);
    struct added_match match;
    while (!is_full(run) &&
           added_find(set, text, &run->searched, until, &match)) {
        if (!put_words(run, match.begin, true) ||
            (!is_full(run) && !put_id(run, match.token->id)))
            return false;
        run->word = match.end;
    }
    if (run->searched < until)
        run->searched = until;
    if (run->searched > run->word && !is_full(run) &&
        !put_words(run, until > run->word ? until : run->word, closed))
        return false;
    return true;
}

static size_t window(const struct run *run) {
    size_t held = run->scratch->text.size;
    return held > WINDOW_BYTES ? held : WINDOW_BYTES;
}

/* More raw text of the segment. */
static bool add_text(struct run *run, struct str text) {
    struct tokenizer_scratch *scratch = run->scratch;
    size_t at = 0;
    while (at < text.size && !is_full(run)) {
        size_t left = text.size - at, size = window(run);
        size_t end = size < left ? added_boundary(text, at + size) : text.size;
        normalize_add(&run->tokenizer->normalizer, &scratch->marks,
                      (struct str){text.data + at, end - at}, &scratch->text);
        if (!strbuf_ok(&scratch->text, run->err) || !put_text(run, false))
            return false;
        compact(run);
        at = end;
    }
    return true;
}

static void begin_segment(struct run *run) {
    strbuf_clear(&run->scratch->text);
    run->scratch->marks.count = 0;
    run->word = run->searched = 0;
    run->skipping = false;
}

static bool end_segment(struct run *run) {
    struct tokenizer_scratch *scratch = run->scratch;
    if (!is_full(run)) {
        normalize_end(&scratch->marks, &scratch->text);
        if (!strbuf_ok(&scratch->text, run->err) || !put_text(run, true))
            return false;
    }
    begin_segment(run);
    return true;
}

/* FED moves to END, which is where the next segment begins. */
static bool put_match(struct run *run, struct str text,
                      const struct added_match *match, size_t *fed) {
    size_t begin = match->begin, end = match->end;
    if (match->token->lstrip)
        begin = added_space_before(text, begin, *fed < begin ? *fed : begin);
    if (match->token->rstrip)
        end = added_space_after(text, end);
    if (*fed < begin &&
        !add_text(run, (struct str){text.data + *fed, begin - *fed}))
        return false;
    if (!end_segment(run))
        return false;
    *fed = end;
    return is_full(run) || put_id(run, match->token->id);
}

static bool put_content(struct run *run, struct str text) {
    const struct added_set *set = &run->tokenizer->raw;
    size_t at = 0, fed = 0;
    begin_segment(run);
    while (!is_full(run) && (at < text.size || fed < text.size)) {
        size_t until = text.size;
        if (until - at > WINDOW_BYTES && at < until)
            until = added_boundary(text, at + WINDOW_BYTES);
        struct added_match match;
        if (added_find(set, text, &at, until, &match)) {
            if (!put_match(run, text, &match, &fed))
                return false;
            continue;
        }
        at = at < until ? until : at;
        /* White space that a token behind it may take along has to wait. */
        size_t ready = at;
        if (set->lstrip && at < text.size && fed < at)
            ready = added_space_before(text, at, fed);
        if (fed < ready &&
            !add_text(run, (struct str){text.data + fed, ready - fed}))
            return false;
        fed = fed < ready ? ready : fed;
    }
    return end_segment(run);
}

/* A text that cannot go through windows. */
static bool put_whole(struct run *run, struct str text) {
    struct stages_room room = {.out = run->out,
                               .begin = run->begin,
                               .most = run->most,
                               .count = run->count};
    bool fine = stages_encode(run->tokenizer, run->scratch->stages, text, &room,
                              run->err);
    run->cut = room.cut;
    return fine;
}

bool tokenizer_content(const struct tokenizer *tokenizer,
                       struct tokenizer_scratch *scratch, struct str text,
                       size_t most, bool count, struct tokens *out, size_t *cut,
                       struct error *err) {
    struct run run = {.tokenizer = tokenizer,
                      .scratch = scratch,
                      .out = out,
                      .err = err,
                      .begin = out->count,
                      .most = most,
                      .count = count};
    bool fine =
        tokenizer->stages ? put_whole(&run, text) : put_content(&run, text);
    *cut = run.cut;
    if (fine)
        return true;
    strbuf_free(&scratch->text);
    out->count = run.begin;
    return false;
}

bool tokenizer_room(size_t limit, size_t specials, size_t *most,
                    struct error *err) {
    *most = limit ? limit - specials : SIZE_MAX;
    return !limit || limit >= specials ||
           error_set(err, ERROR_USAGE,
                     "a limit of %zu tokens leaves no room for the %zu "
                     "special ones: raise it",
                     limit, specials);
}

bool tokenizer_encode(const struct tokenizer *tokenizer,
                      struct tokenizer_scratch *scratch, struct str text,
                      size_t limit, enum tokenizer_count count,
                      struct tokens *out, struct tokenized *what,
                      struct error *err) {
    const struct template *template = &tokenizer->template;
    size_t before = out->count, most, cut;
    if (!tokenizer_room(limit, tokenizer_special_count(tokenizer), &most,
                        err) ||
        !tokens_add(out, template->before, err) ||
        !tokenizer_content(tokenizer, scratch, text, most,
                           count == TOKENIZER_COUNT, out, &cut, err) ||
        !tokens_add(out, template->after, err)) {
        out->count = before;
        return false;
    }
    size_t size = out->count - before;
    *what = (struct tokenized){.count = size, .cut = cut, .second = size};
    return true;
}
