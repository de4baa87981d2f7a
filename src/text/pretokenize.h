/* pretokenize.h - BertPreTokenizer: words end at white space, which is
 * dropped, and each punctuation character is a word of its own.
 *
 *     size_t at = 0;
 *     while (pretokenize_next(pretokenizer, text, &at, &word)) ...
 *
 * TEXT is valid UTF-8. A word that reaches the end of TEXT may go on in what
 * follows, if something follows.
 */

#ifndef TEXT_PRETOKENIZE_H
#define TEXT_PRETOKENIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct pretokenizer {
    uint8_t bytes[256]; /* enum pretokenize_kind of each first byte */
};

enum pretokenize_kind {
    PRETOKENIZE_LETTER,
    PRETOKENIZE_WHITE,
    PRETOKENIZE_PUNCT,
    PRETOKENIZE_LOOK /* not ASCII: the code point decides */
};

void pretokenize_prepare(struct pretokenizer *pretokenizer);

/* The next word at or after *AT, and *AT moved behind it; false when only
 * white space is left, with *AT at the end. */
bool pretokenize_next(const struct pretokenizer *pretokenizer, struct str text,
                      size_t *at, struct str *word);

/* Where the word that AT stands in ends: AT itself if it stands in none. */
size_t pretokenize_end(const struct pretokenizer *pretokenizer, struct str text,
                       size_t at);

#endif
