/* bf16 on AVX-512 without its BF16: as bf16_avx2.c. */

#if defined(__x86_64__)
#include "device/cpu/lanes_avx512.h"

#define KERNEL_NAME bf16_avx512
#define KERNEL_ROWS 6
#include "device/cpu/bf16.inc"
#else
typedef int nothing_here;
#endif
