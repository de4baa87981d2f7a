/* What every machine of this architecture has: SSE2 or NEON. */

#define SUMS_NAME  row_sums_generic
#define SUMS_ISA   "generic"
#define SUMS_WIDE  4
#define SUMS_STEPS 2
#include "data/row_sums.inc"
