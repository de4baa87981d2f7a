/* AVX2 and FMA: 12 of 16 registers hold a tile of 6 x 16. */

#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_NAME         kernels_avx2
#define KERNEL_LANES        8
#define KERNEL_PANEL        16
#define KERNEL_ROWS         6
#define KERNEL_MAX(a, b)    _mm256_max_ps(a, b)
#define KERNEL_MIN(a, b)    _mm256_min_ps(a, b)
#define KERNEL_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#include "device/cpu/kernels.inc"
#else
typedef int nothing_here;
#endif
