/* bm25.h - BM25 weights of a text as a sparse vector: what users of Qdrant get
 * from fastembed 0.9.1's "Qdrant/bm25" (fastembed/sparse/bm25.py), to the index
 * and to 1e-6 in the value.
 *
 * The text is put into lower case and cut into words at all that is neither
 * letter, digit nor underscore (Python's \w, and its lower(), of Unicode 14);
 * words of the language's stopword list and those longer than 40 characters go;
 * the rest are stemmed (Snowball). The index of a stem is
 * |MurmurHash3_x86_32(stem)|, 0 to 2^31. With f how often it occurs and n the
 * number of stems of the text, its value is
 *
 *     document:  f (k + 1) / (f + k (1 - b + b n / avg_len))
 *     query:     1
 *
 * The inverse document frequency is the server's business: the collection
 * wants `"modifier": "idf"` for this vector.
 *
 *     struct bm25 *bm25 = bm25_open(memory, &BM25_DEFAULTS, err);
 *     struct bm25_pairs pairs = {.memory = memory};
 *     bm25_document(bm25, text, &pairs, err);
 *     ... pairs.indices[i], pairs.values[i], i < pairs.count ...
 *     bm25_pairs_free(&pairs);
 *     bm25_close(bm25);
 *
 * A struct bm25 is used by one thread at a time (the stemmer has state); make
 * one for each.
 */

#ifndef TEXT_BM25_H
#define TEXT_BM25_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"

struct bm25;

struct bm25_options {
    const char *language; /* "english", ...: bm25_language */
    struct str stopwords; /* one a line, in lower case; NULL data: our list,
                             which there is for English (and Tamil, of none) */
    double k, b, avg_len;
    size_t longest; /* characters of a word; longer ones are passed over */
};
/* english, 1.2, 0.75, 256, 40: as fastembed. */
extern const struct bm25_options BM25_DEFAULTS;

/* Indices are below it. */
#define BM25_COLUMNS ((uint64_t)1 << 31 | 1)

/* Languages by number, NULL after the last. Of fastembed's, two are missing:
 * finnish and french, for which libstemmer 2.2 and the older Snowball of
 * fastembed's py_rust_stemmers 0.1.8 differ; they are refused by name. */
const char *bm25_language(size_t i);

/* ERROR_UNSUPPORTED for a language that is not ours, ERROR_USAGE where its
 * stopwords are missing (the hub's Qdrant/bm25 has a LANGUAGE.txt for each) or
 * a number cannot be. OPTIONS is copied. */
struct bm25 *bm25_open(struct memory *memory,
                       const struct bm25_options *options, struct error *err);
void bm25_close(struct bm25 *bm25); /* NULL is fine */

/* Grows with the longest text; {.memory = m} is an empty one. */
struct bm25_pairs {
    struct memory *memory; /* borrowed */
    size_t count;
    uint32_t *indices; /* ascending, each once */
    float *values;
    size_t capacity;
};
void bm25_pairs_free(struct bm25_pairs *pairs);

/* TEXT is valid UTF-8. PAIRS is overwritten; a text without a word has none. */
bool bm25_document(struct bm25 *bm25, struct str text, struct bm25_pairs *pairs,
                   struct error *err);
bool bm25_query(struct bm25 *bm25, struct str text, struct bm25_pairs *pairs,
                struct error *err);

#endif
