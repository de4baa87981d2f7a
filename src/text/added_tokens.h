/* added_tokens.h - tokens that are found in the text as they stand, before
 * words are made of it.
 *
 * Those with "normalized": false are looked for in the raw text, and what lies
 * between them is normalised; the others (their own text normalised as well)
 * are looked for in that. One set of each. At a place the longest one wins.
 */

#ifndef TEXT_ADDED_TOKENS_H
#define TEXT_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "text/trie.h"

struct added_token {
    struct str content;
    uint32_t id;
    bool single_word; /* found only with no \w on either side */
    bool lstrip;      /* takes the white space on its left along */
    bool rstrip;
    bool normalized;
    bool special;
    bool named;     /* tokenizer_is_named() */
    bool mask, end; /* tokenizer_fill_id() */
};

enum { ADDED_BYTES_MAX = 1024 }; /* of one token's text */

struct added_set {
    struct trie patterns;             /* value: index into tokens */
    const struct added_token *tokens; /* borrowed */
    size_t longest;                   /* bytes of the longest pattern */
    bool begins[256];                 /* bytes that a pattern begins with */
    int only;                         /* the only such byte, or -1 */
    bool lstrip;                      /* some token has it */
};

struct added_match {
    const struct added_token *token;
    size_t begin, end; /* of its pattern, without the white space */
};

struct added_set added_set_make(struct memory *memory,
                                const struct added_token *tokens);
void added_set_free(struct added_set *set);
bool added_set_put(struct added_set *set, struct str pattern, uint32_t index,
                   struct error *err);

/* The first token that begins in [*AT, UNTIL) of TEXT, and *AT moved behind
 * it; false if there is none, with *AT at UNTIL or further. */
bool added_find(const struct added_set *set, struct str text, size_t *at,
                size_t until, struct added_match *match);

/* Where the white space that ends at AT begins, FLOOR at the least, and where
 * that which begins at AT ends: what lstrip and rstrip take along. */
size_t added_space_before(struct str text, size_t at, size_t floor);
size_t added_space_after(struct str text, size_t at);

/* The last place <= AT that is not inside a code point. */
size_t added_boundary(struct str text, size_t at);

#endif
