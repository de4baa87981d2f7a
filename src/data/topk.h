/* topk.h - the nearest rows of an array, exactly. */

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
    float score; /* dot product with the query */
};

/* The K rows of ROWS [count, width] with the highest dot product with QUERY
 * [width], best first, equal scores by lower row, scores that are not
 * numbers last. Scans with all threads of POOL; the result does not depend on
 * their number. *FOUND is min(k, count); HITS has room for that many. */
bool topk_scan(struct memory *memory, struct pool *pool, const float *rows,
               uint64_t count, size_t width, const float *query, size_t k,
               struct hit *hits, size_t *found, struct error *err);

#endif
