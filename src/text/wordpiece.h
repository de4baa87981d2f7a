/* wordpiece.h - WordPiece: a word is cut into the longest pieces of the
 * vocabulary from left to right, pieces after the first with a prefix ("##").
 * A word that cannot be cut so, or is too long, is the unknown token.
 */

#ifndef TEXT_WORDPIECE_H
#define TEXT_WORDPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "text/trie.h"

struct wordpiece {
    struct trie vocab;
    uint32_t continuing; /* node that the prefix leads to */
    bool continues;      /* false: no piece begins with the prefix */
    uint32_t unknown;
    size_t chars_max; /* longer words are unknown */
};

/* Whether WORD has more characters than a word may have. */
bool wordpiece_too_long(const struct wordpiece *wordpiece, struct str word);

/* The ids of WORD (UTF-8, not empty) into IDS, which has room for one a byte;
 * the count returned, never 0. */
size_t wordpiece_cut(const struct wordpiece *wordpiece, struct str word,
                     uint32_t *ids);

#endif
