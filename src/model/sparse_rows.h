/* sparse_rows.h - from what the sparse heads give (model/encoder.h) to pairs of
 * a token id and a weight, ids ascending, each once.
 *
 *     size_t n = sparse_lexical(ids, weights, tokens, dropped, dropped_count,
 *                               indices, values);
 *     size_t n = sparse_splade(row, vocab, 0, indices, values);
 *
 * No memory is taken: the caller's arrays have room for TOKENS (VOCAB) pairs.
 *
 * FACTS: lexical weights as FlagEmbedding's _process_token_weights (inference/
 * embedder/encoder_only/m3.py), SPLADE as sentence-transformers' SparseEncoder
 * with max_active_dims.
 */

#ifndef MODEL_SPARSE_ROWS_H
#define MODEL_SPARSE_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* For each id of a text the largest of its tokens' WEIGHTS, where that is above
 * 0; ids in DROPPED (special tokens) have none. A text in several windows is
 * given as all their tokens one after the other. INDICES and VALUES may be IDS
 * and WEIGHTS. How many pairs. */
size_t sparse_lexical(const uint32_t *ids, const float *weights, size_t tokens,
                      const uint32_t *dropped, size_t dropped_count,
                      uint32_t *indices, float *values);

/* Of COUNT pairs, their indices ascending, the ACTIVE_MAX (0: all) that are
 * farthest from 0, of equal ones those of the lower ids. How many pairs. */
size_t sparse_largest(size_t active_max, uint32_t *indices, float *values,
                      size_t count);

/* The numbers of ROW [vocab] that are above 0; with ACTIVE_MAX (0: all) only so
 * many of them, the largest, of equal ones those of the lower ids. VALUES may
 * be ROW. How many pairs. */
size_t sparse_splade(const float *row, size_t vocab, size_t active_max,
                     uint32_t *indices, float *values);

#endif
