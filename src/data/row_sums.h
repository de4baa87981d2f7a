/* row_sums.h - the sums that a scan over rows is made of: each row's product
 * with the query, and its product with itself.
 *
 * A scan reads each number once and does little with it, so it should end at
 * the memory's speed. Sums of 16 bytes do not everywhere: so row_sums.inc is
 * compiled once for each instruction set, with registers as wide as it has.
 *
 *     const struct row_sums *sums = row_sums_usable(0);
 *     sums->dots(rows, count, width, query, dots);
 *
 * The bits are the same whichever set computes them, on whatever machine, and
 * wherever a row stands: column i is multiplied, rounded, and added to lane
 * i mod 16 in order of i; then the 16 lanes are halved four times, lane i
 * taking lane i + 8, i + 4, i + 2 and i + 1. Nothing is fused.
 */

#ifndef DATA_ROW_SUMS_H
#define DATA_ROW_SUMS_H

#include <stddef.h>

enum { ROW_SUMS_LANES = 16 };

struct row_sums {
    const char *name; /* "avx512" */
    /* DOTS [count]: of each of ROWS [count, width] with QUERY [width]. */
    void (*dots)(const float *rows, size_t count, size_t width,
                 const float *query, float *dots);
    /* The same, and SQUARES [count]: of each row with itself. */
    void (*dots_and_squares)(const float *rows, size_t count, size_t width,
                             const float *query, float *dots, float *squares);
};

extern const struct row_sums row_sums_generic;
#if defined(__x86_64__)
extern const struct row_sums row_sums_avx2, row_sums_avx512;
#endif

/* The INDEX-th that this machine can run, best first; NULL past the end. */
const struct row_sums *row_sums_usable(size_t index);

#endif
