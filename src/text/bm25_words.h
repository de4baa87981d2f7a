/* bm25_words.h - a text as BM25's words: Python's re.sub(r"[^\w]", " ", text),
 * lower() and split(), which is what fastembed does. */

#ifndef TEXT_BM25_WORDS_H
#define TEXT_BM25_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* The next word, in lower case, into WORD (overwritten); *CHARACTERS is its
 * length. False when there is none. A failure is WORD's own (strbuf_ok). {.text
 * = text} is where it begins. */
struct bm25_cursor {
    struct str text; /* valid UTF-8, borrowed */
    size_t after;    /* bytes of it that are read */
    struct str run;  /* of words' letters, one word unless lower case puts
                        something else in */
    size_t at;       /* bytes of that which are read */
};
bool bm25_next_word(struct bm25_cursor *cursor, struct strbuf *word,
                    size_t *characters);

#endif
