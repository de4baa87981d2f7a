/* AVX2: 8 floats of a row at a time. */

#if defined(__x86_64__)
#define SUMS_NAME  row_sums_avx2
#define SUMS_ISA   "avx2"
#define SUMS_WIDE  8
#define SUMS_STEPS 4
#include "data/row_sums.inc"
#else
typedef int nothing_here;
#endif
