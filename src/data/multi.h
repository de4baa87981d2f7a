/* multi.h - multivectors as two NumPy arrays: KEY.multi.npy f32 [vectors, dim]
 * and KEY.multi.offsets.npy u64 [points + 1]; point i has the vectors
 * [offsets[i], offsets[i + 1]).
 *
 *     struct multi_writer out;
 *     bool fine = multi_writer_open(&out, vectors_path, offsets_path, dim,
 *                                   memory, err) &&
 *                 multi_writer_add(&out, vectors, count, err) && ... &&
 *                 multi_writer_commit(&out, err);
 *     multi_writer_close(&out);
 *
 * Constant memory, atomic, byte for byte the same for the same rows.
 */

#ifndef DATA_MULTI_H
#define DATA_MULTI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/npy.h"

struct multi_writer {
    struct file_writer vectors, offsets;
    size_t dim;
    uint64_t points, count; /* so far; count: vectors */
};
/* DIM >= 1. On failure nothing is open. */
bool multi_writer_open(struct multi_writer *writer, const char *vectors_path,
                       const char *offsets_path, size_t dim,
                       struct memory *memory, struct error *err);
/* The next point: VECTORS [count, dim]; 0 is fine. */
bool multi_writer_add(struct multi_writer *writer, const float *vectors,
                      size_t count, struct error *err);
bool multi_writer_commit(struct multi_writer *writer, struct error *err);
/* Without a commit before it, nothing is left. {0} is fine. */
void multi_writer_close(struct multi_writer *writer);

/* Both files, mapped. They are not trusted: shapes are checked at the opening,
 * a point's place when it is asked for. */
struct multi_map {
    struct npy_map vectors;
    struct file_map offsets_map;
    const char *offsets_path; /* borrowed, for messages */
    const uint64_t *offsets;  /* [points + 1] */
    uint64_t points;
};
bool multi_map_open(struct multi_map *multi, const char *vectors_path,
                    const char *offsets_path, struct error *err);
void multi_map_close(struct multi_map *multi); /* {0} is fine */

/* Point POINT < points: *VECTORS [*count, dim], borrowed. ERROR_INPUT where its
 * offsets lie outside the vectors. Safe from several threads. */
bool multi_map_row(const struct multi_map *multi, uint64_t point,
                   const float **vectors, size_t *count, struct error *err);

/* MaxSim: for each vector of QUERY [query_count, dim] the largest dot product
 * with any vector of ROWS [count, dim]; the sum of those, in double. 0 where
 * either has none, NaN where a product is not finite. */
double multi_max_sim(const float *query, size_t query_count, const float *rows,
                     size_t count, size_t dim);

#endif
