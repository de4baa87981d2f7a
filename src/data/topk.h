/* topk.h - the nearest rows of an array, exactly. Each row is read once. */

#ifndef DATA_TOPK_H
#define DATA_TOPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"

struct hit {
    uint64_t row;
    float score;
};

/* What a row's score is: its dot product with the query, or that divided by the
 * row's length (the cosine, where the query has length 1); 0 for a row of
 * zeros. */
enum topk_score { TOPK_DOT, TOPK_COSINE };

/* The K rows of ROWS [count, width] with the highest score against QUERY
 * [width], best first, equal scores by lower row. Scans with all threads of
 * POOL; the result does not depend on their number. *FOUND is min(k, count);
 * HITS has room for that many. No run writes a row whose score is not finite:
 * if one is met, the scan fails with ERROR_INPUT for the first of them. NAME is
 * the array's in that message. */
bool topk_scan(struct memory *memory, struct pool *pool, enum topk_score score,
               const char *name, const float *rows, uint64_t count,
               size_t width, const float *query, size_t k, struct hit *hits,
               size_t *found, struct error *err);

/* What is said of such a row, by whoever compares rows; false. */
bool topk_not_finite(const char *name, uint64_t row, struct error *err);

#endif
