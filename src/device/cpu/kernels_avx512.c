/* AVX-512 F, BW, DQ and VL: 24 of 32 registers hold a tile of 12 x 32. */

#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_NAME         kernels_avx512
#define KERNEL_LANES        16
#define KERNEL_PANEL        32
#define KERNEL_ROWS         12
#define KERNEL_MAX(a, b)    _mm512_max_ps(a, b)
#define KERNEL_MIN(a, b)    _mm512_min_ps(a, b)
#define KERNEL_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#include "device/cpu/kernels.inc"
#else
typedef int nothing_here;
#endif
