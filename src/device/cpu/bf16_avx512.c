/* bf16 on AVX-512 without its BF16: as bf16_avx2.c. */

#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_NAME         bf16_avx512
#define KERNEL_LANES        16
#define KERNEL_PANEL        32
#define KERNEL_ROWS         6
#define KERNEL_MAX(a, b)    _mm512_max_ps(a, b)
#define KERNEL_MIN(a, b)    _mm512_min_ps(a, b)
#define KERNEL_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#include "device/cpu/bf16.inc"
#else
typedef int nothing_here;
#endif
