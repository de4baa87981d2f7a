/* crew_rows.h - what the texts of a batch give, head by head: buffers that are
 * planned before the pass, and the way from the encoder's outputs to rows that
 * a store takes.
 *
 *     rows_size_add(&size, member, ...);      for each model of the run
 *     rows_place(&layout, &size, &batch.rows);
 *     batch_encode(encoder, &batch, budget, err);
 *     ... batch.rows.dense, .pairs_of[i], .vectors_of[i], .why[i] ...
 *
 * Nothing is allocated. A SPLADE head writes a number for each word of the
 * vocabulary before they are made pairs of in place, so such batches have few
 * texts (rows_texts_most); vectors of tokens are many numbers too, and their
 * batches have fewer tokens (rows_tokens_most).
 */

#ifndef RUN_CREW_ROWS_H
#define RUN_CREW_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/layout.h"
#include "data/rows.h"
#include "model/encoder.h"
#include "run/long_text.h"
#include "run/roster.h"

/* Room of a batch, as counts of numbers. */
struct rows_size {
    size_t texts;
    size_t dense;   /* [texts, width] */
    size_t pairs;   /* tokens, or [texts, vocab] */
    size_t vectors; /* [tokens, multi_width] */
    size_t sum;     /* width, where windows of long texts are pooled */
};

struct batch_rows {
    float *dense;
    uint32_t *indices; /* [pairs] */
    float *values;     /* [pairs] */
    float *vectors;
    double *sum;
    struct row_span *pairs_of;   /* [texts], of indices and values */
    struct row_span *vectors_of; /* [texts] */
    const char **why; /* [texts]: why its rows are not sound (a literal), or
                         NULL */
};

/* What a batch of MEMBER gave by one of its heads; `count` is the caller's. */
struct row_batch rows_by_head(const struct batch_rows *rows,
                              const struct member *member, enum row_kind head);

/* Most texts and tokens of a batch that gives MEMBER's heads; MOST and TOKENS
 * where nothing else limits them. */
size_t rows_texts_most(const struct member *member, size_t most);
size_t rows_tokens_most(const struct member *member, size_t tokens);

/* Make SIZE enough for MEMBER's batches of TEXTS and TOKENS. FRAME is its
 * model's, LONGEST the ids of the longest text, at most. */
void rows_size_add(struct rows_size *size, const struct member *member,
                   size_t texts, size_t tokens, const struct long_frame *frame,
                   size_t longest);

/* Runs twice: first with an empty layout, to measure. */
void rows_place(struct layout *layout, const struct rows_size *size,
                struct batch_rows *rows);

struct batch;

/* A long text is a batch by itself. */
bool batch_is_windows(const struct batch *batch);

/* Encode the batch's ids, or the windows of its only, long text (batch->ids is
 * room for at least BUDGET of them, BUDGET at least the limit), and make rows
 * of what comes out. Counts and names what is not sound. */
bool batch_encode(struct encoder *encoder, struct batch *batch, size_t budget,
                  struct error *err);

#endif
