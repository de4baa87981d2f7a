/* bm25_languages.h - which languages BM25 has, and their stopwords. */

#ifndef TEXT_BM25_LANGUAGES_H
#define TEXT_BM25_LANGUAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct bm25_language {
    const char *name;      /* libstemmer's, and the stopword file's */
    const char *stopwords; /* one a line; NULL: not ours to have */
    /* Letters that libstemmer 2.2 treats and the older Snowball of fastembed
     * does not: the two change places before the stemming and after it. NULL:
     * none. Both have two bytes. */
    const char *hidden, *stranger;
    /* Bytes that the older Snowball leaves of STEM, which libstemmer made of
     * WORD. NULL: all. */
    size_t (*trim)(struct str word, struct str stem);
};

/* NULL after the last. */
const struct bm25_language *bm25_language_at(size_t i);

/* Why a language that fastembed has is not there; NULL: fastembed does not have
 * it either. */
const char *bm25_language_refused(const char *name);

#endif
