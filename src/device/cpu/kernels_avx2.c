/* AVX2 and FMA: 12 of 16 registers hold a tile of 6 x 16. */

#if defined(__x86_64__)
#include "device/cpu/lanes_avx2.h"

#define KERNEL_NAME kernels_avx2
#define KERNEL_ROWS 6
#include "device/cpu/kernels.inc"
#else
typedef int nothing_here;
#endif
