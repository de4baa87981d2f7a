/* multi_rows.h - which of a text's token rows are its multivector (late
 * interaction).
 *
 *     struct multi_rule rule = {.skip = punctuation, .skip_count = n};
 *     size_t count = multi_keep(&rule, ids, tokens, rows, width);
 *
 * FACTS: bge-m3 drops the row of CLS (FlagEmbedding, m3.py: colbert_vecs are of
 * last_hidden_state[:, 1:]); ColBERT models drop the rows of punctuation on the
 * document's side (sentence-transformers' MultiVectorMask, skiplist_words).
 * Markers of the prompt and special tokens stay.
 */

#ifndef MODEL_MULTI_ROWS_H
#define MODEL_MULTI_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct multi_rule {
    bool drop_first;
    const uint32_t *skip; /* [skip_count], borrowed: ids without a row,
                             ascending */
    size_t skip_count;
};

/* Close up the rows of ROWS [tokens, width] that stay, in their order; how
 * many. IDS [tokens] are one text's (or one window's of a long text). */
size_t multi_keep(const struct multi_rule *rule, const uint32_t *ids,
                  size_t tokens, float *rows, size_t width);

#endif
