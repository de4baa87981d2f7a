/* AVX-512 F: all 16 lanes in a register. */

#if defined(__x86_64__)
#define SUMS_NAME  row_sums_avx512
#define SUMS_ISA   "avx512"
#define SUMS_WIDE  16
#define SUMS_STEPS 8
#include "data/row_sums.inc"
#else
typedef int nothing_here;
#endif
