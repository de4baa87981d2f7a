/* bf16 on AVX2, where a number is widened before each product: slower than
 * floats, and half their memory. */

#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_NAME         bf16_avx2
#define KERNEL_LANES        8
#define KERNEL_PANEL        16
#define KERNEL_ROWS         4
#define KERNEL_MAX(a, b)    _mm256_max_ps(a, b)
#define KERNEL_MIN(a, b)    _mm256_min_ps(a, b)
#define KERNEL_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#include "device/cpu/bf16.inc"
#else
typedef int nothing_here;
#endif
