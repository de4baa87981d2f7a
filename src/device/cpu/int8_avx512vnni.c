/* int8 on AVX-512 with VNNI: four products are added to 32 bits at once. 24 of
 * 32 registers hold a tile of 12 x 32. */

#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_NAME         int8_avx512vnni
#define KERNEL_LANES        16
#define KERNEL_PANEL        32
#define KERNEL_ROWS         12
#define KERNEL_MAX(a, b)    _mm512_max_ps(a, b)
#define KERNEL_MIN(a, b)    _mm512_min_ps(a, b)
#define KERNEL_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define KERNEL_ROUND(v)     ((ivec)_mm512_cvtps_epi32(v))
#define KERNEL_LEFT         255
#define KERNEL_RIGHT        127
#define KERNEL_STEP         1
#define KERNEL_DOT(s, x, w)                                                    \
    ((ivec)_mm512_dpbusd_epi32((__m512i)(s), (__m512i)(x)[0], (__m512i)(w)[0]))
#include "device/cpu/int8.inc"
#else
typedef int nothing_here;
#endif
