/* rows.h - what a model says of one text, in the three shapes that there are.
 *
 *     dense   [width] floats
 *     sparse  pairs of an index below WIDTH and a float, if there are any;
 *             indices ascend, each is there once
 *     multi   any number of vectors of WIDTH floats, one behind the other
 *
 * A batch of ragged rows (sparse, multi) lies in flat arrays, and a span says
 * for each text where its pairs or vectors are. They may lie anywhere, with
 * gaps, in any order: a text is dropped from a batch by dropping its span.
 *
 *     struct row_span spans[] = {{0, 2}, {2, 0}, {2, 3}};   three texts
 *     struct row_batch batch = {.kind = ROW_SPARSE, .width = 30522,
 *                               .count = 3, .spans = spans,
 *                               .indices = indices, .values = values};
 *     store_append_rows(store, digests, &batch, err);
 */

#ifndef DATA_ROWS_H
#define DATA_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

enum row_kind { ROW_DENSE, ROW_SPARSE, ROW_MULTI, ROW_KINDS };

/* "dense", "sparse", "multi": the HEAD in a store's folder. */
const char *row_kind_name(enum row_kind kind);

/* Pairs (sparse) or vectors (multi) of one text in the arrays of its batch. */
struct row_span {
    size_t first, count;
};

struct row_batch {
    enum row_kind kind;
    size_t width;
    size_t count;                 /* texts */
    const struct row_span *spans; /* [count]; dense: not used */
    const uint32_t *indices;      /* sparse */
    const float *values; /* dense: [count, width]; sparse: one an index; multi:
                            vectors */
};

/* One row. It borrows. */
struct row {
    size_t count; /* pairs, vectors; dense: 1 */
    const uint32_t *indices;
    const float *values;
};
struct row row_of_batch(const struct row_batch *batch, size_t i);

/* Whether a ragged row may be stored: all values finite; indices ascending,
 * each once, below WIDTH. *REASON, for the list of what failed, is a constant
 * text. (A dense row's checks are the model's business as well: its norm.) */
bool row_is_sound(enum row_kind kind, size_t width, const struct row *row,
                  const char **reason);

/* Memory for one row that is read, which grows with the largest. One thread at
 * a time. {.memory = m} is an empty one. */
struct row_buffer {
    struct memory *memory; /* borrowed */
    void *bytes;           /* owned */
    size_t capacity;
};
/* bytes is not NULL then, even for 0 BYTES. */
bool row_buffer_reserve(struct row_buffer *buffer, size_t bytes,
                        struct error *err);
void row_buffer_free(struct row_buffer *buffer);

#endif
