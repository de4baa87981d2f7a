/* AVX-512 F, BW, DQ and VL: 24 of 32 registers hold a tile of 12 x 32. */

#if defined(__x86_64__)
#include "device/cpu/lanes_avx512.h"

#define KERNEL_NAME kernels_avx512
#define KERNEL_ROWS 12
#include "device/cpu/kernels.inc"
#else
typedef int nothing_here;
#endif
