/* pair.c - two texts in one row. */

#include <string.h>

#include "text/tokenizer_parts.h"

/* How many tokens of each text stay: the longer one loses until both are
 * equally long, then both lose. A and B are how many there are. */
static void share(size_t most, size_t *a, size_t *b) {
    size_t *shorter = *a > *b ? b : a, *longer = *a > *b ? a : b;
    if (*a <= most && *b <= most - *a)
        return;
    size_t half = most / 2;
    *shorter = *shorter < half ? *shorter : half;
    *longer = most - *shorter;
}

struct content {
    size_t count; /* in OUT */
    size_t cut;
};

static bool put_text(const struct tokenizer *tokenizer,
                     struct tokenizer_scratch *scratch, struct str text,
                     size_t most, bool count, struct tokens *out,
                     struct content *content, struct error *err) {
    size_t before = out->count;
    bool fine = tokenizer_content(tokenizer, scratch, text, most, count, out,
                                  &content->cut, err);
    content->count = out->count - before;
    return fine;
}

/* Both texts, one behind the other. When both are too long and one of them is
 * to keep a token more, their whole lengths decide which: they are counted. */
static bool put_both(const struct tokenizer *tokenizer,
                     struct tokenizer_scratch *scratch, struct str a,
                     struct str b, size_t most, bool count, struct tokens *out,
                     struct content content[2], struct error *err) {
    size_t before = out->count;
    for (;;) {
        if (!put_text(tokenizer, scratch, a, most, count, out, &content[0],
                      err) ||
            !put_text(tokenizer, scratch, b, most, count, out, &content[1],
                      err))
            return false;
        if (count || !content[0].cut || !content[1].cut || most % 2 == 0)
            return true;
        count = true;
        out->count = before;
    }
}

/* The content as it lies in OUT from BEGIN on, cut and with the special tokens
 * between and behind. */
static bool close_row(const struct template_pair *pair, size_t begin,
                      const struct content content[2], const size_t kept[2],
                      struct tokens *out, struct error *err) {
    size_t between = begin + kept[0], second = between + pair->between.count;
    if (!tokens_reserve(out, pair->between.count + pair->after.count, err))
        return false;
    if (kept[1])
        memmove(out->ids + second, out->ids + begin + content[0].count,
                kept[1] * sizeof *out->ids);
    out->count = between;
    tokens_add(out, pair->between, NULL);
    out->count = second + kept[1];
    return tokens_add(out, pair->after, err);
}

bool tokenizer_encode_pair(const struct tokenizer *tokenizer,
                           struct tokenizer_scratch *scratch, struct str a,
                           struct str b, size_t limit,
                           enum tokenizer_count count, struct tokens *out,
                           struct tokenized *what, struct error *err) {
    const struct template_pair *pair = &tokenizer->template.pair;
    size_t before = out->count, most;
    struct content content[2];
    if (pair->refused)
        return error_set(err, ERROR_UNSUPPORTED, "%s", pair->refused);
    if (!tokenizer_room(limit, tokenizer_pair_special_count(tokenizer), &most,
                        err) ||
        !tokens_add(out, pair->before, err) ||
        !put_both(tokenizer, scratch, a, b, most, count == TOKENIZER_COUNT, out,
                  content, err)) {
        out->count = before;
        return false;
    }
    size_t begin = before + pair->before.count;
    size_t whole[2] = {content[0].count + content[0].cut,
                       content[1].count + content[1].cut};
    size_t kept[2] = {whole[0], whole[1]};
    share(most, &kept[0], &kept[1]);
    if (!close_row(pair, begin, content, kept, out, err)) {
        out->count = before;
        return false;
    }
    size_t size = out->count - before;
    *what = (struct tokenized){
        .count = size,
        .cut = whole[0] - kept[0] + whole[1] - kept[1],
        .second = pair->types ? begin - before + kept[0] + pair->between_first
                              : size};
    return true;
}
