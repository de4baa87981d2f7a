/* bf16 on AVX-512 with BF16: two products are added to a float at once. 24 of
 * 32 registers hold a tile of 12 x 32. */

#if defined(__x86_64__)
#include "device/cpu/lanes_avx512.h"

#define KERNEL_NAME bf16_avx512bf16
#define KERNEL_ROWS 12
#define KERNEL_BF16(s, x, w)                                                   \
    ((vec)_mm512_dpbf16_ps((__m512)(s), (__m512bh)(x), (__m512bh)(w)))
#include "device/cpu/bf16.inc"
#else
typedef int nothing_here;
#endif
