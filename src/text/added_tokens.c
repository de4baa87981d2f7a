/* added_tokens.c - see added_tokens.h. */

#include "text/added_tokens.h"

#include "base/utf8.h"
#include "text/unicode_tables.h"

struct added_set added_set_make(struct memory *memory,
                                const struct added_token *tokens) {
    return (struct added_set){
        .patterns = trie_make(memory), .tokens = tokens, .only = -1};
}

void added_set_free(struct added_set *set) {
    trie_free(&set->patterns);
}

bool added_set_put(struct added_set *set, struct str pattern, uint32_t index,
                   struct error *err) {
    uint8_t first = (uint8_t)pattern.data[0];
    bool one = !set->longest || set->only == first;
    if (!trie_put(&set->patterns, pattern, index, err))
        return false;
    set->only = one ? first : -1;
    set->begins[first] = true;
    set->longest = pattern.size > set->longest ? pattern.size : set->longest;
    set->lstrip |= set->tokens[index].lstrip;
    return true;
}

size_t added_boundary(struct str text, size_t at) {
    for (size_t back = 1; at < text.size && back < UTF8_MAX_BYTES && back <= at;
         back++) {
        uint8_t byte = (uint8_t)text.data[at - back];
        if (byte < 0x80)
            break;
        if (byte < 0xC0)
            continue;
        size_t end = at - back;
        utf8_next(text, &end);
        return end > at ? at - back : at;
    }
    return at;
}

/* The code point that ends at AT > 0, and where it begins. */
static uint32_t code_before(struct str text, size_t at, size_t *begin) {
    *begin = added_boundary(text, at - 1);
    size_t end = *begin;
    return utf8_next(text, &end);
}

static bool word_before(struct str text, size_t at) {
    size_t begin;
    return at > 0 &&
           (unicode_flags(code_before(text, at, &begin)) & UNICODE_WORD);
}

static bool word_after(struct str text, size_t at) {
    return at < text.size &&
           (unicode_flags(utf8_next(text, &at)) & UNICODE_WORD);
}

size_t added_space_before(struct str text, size_t at, size_t floor) {
    size_t begin;
    while (at > floor &&
           (unicode_flags(code_before(text, at, &begin)) & UNICODE_STRIPPED))
        at = begin;
    return at;
}

size_t added_space_after(struct str text, size_t at) {
    size_t end = at;
    while (at < text.size &&
           (unicode_flags(utf8_next(text, &end)) & UNICODE_STRIPPED))
        at = end;
    return at;
}

/* The longest pattern that begins at AT. */
static bool match_at(const struct added_set *set, struct str text, size_t at,
                     struct added_match *match) {
    const struct trie_edge *edge;
    uint32_t node = TRIE_ROOT;
    match->token = NULL;
    match->begin = at;
    while (at < text.size &&
           (edge = trie_step(&set->patterns, node, (uint8_t)text.data[at]))) {
        at++;
        node = edge->node;
        if (edge->value != TRIE_NONE) {
            match->token = &set->tokens[edge->value];
            match->end = at;
        }
    }
    return match->token;
}

/* The next place from AT on, before UNTIL, where a pattern may begin; UNTIL or
 * AT if there is none. */
static size_t candidate(const struct added_set *set, struct str text, size_t at,
                        size_t until) {
    if (at < until && set->only >= 0) {
        const char *found = memchr(text.data + at, set->only, until - at);
        return found ? (size_t)(found - text.data) : until;
    }
    while (at < until && !set->begins[(uint8_t)text.data[at]])
        at++;
    return at;
}

bool added_find(const struct added_set *set, struct str text, size_t *at,
                size_t until, struct added_match *match) {
    if (!set->longest) {
        *at = until;
        return false;
    }
    while ((*at = candidate(set, text, *at, until)) < until) {
        if (!match_at(set, text, *at, match)) {
            ++*at;
            continue;
        }
        /* What is refused as part of a word is not searched again. */
        *at = match->end;
        if (!match->token->single_word ||
            (!word_before(text, match->begin) && !word_after(text, match->end)))
            return true;
    }
    return false;
}
