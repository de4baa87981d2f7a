/* lanes_avx512.h - vectors of 16 floats for kernels that need AVX-512 F, BW, DQ
 * and VL, of 32 registers: as lanes_avx2.h. */

#ifndef DEVICE_CPU_LANES_AVX512_H
#define DEVICE_CPU_LANES_AVX512_H

#include <immintrin.h>

#define KERNEL_LANES        16
#define KERNEL_PANEL        32
#define KERNEL_MAX(a, b)    _mm512_max_ps(a, b)
#define KERNEL_MIN(a, b)    _mm512_min_ps(a, b)
#define KERNEL_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define KERNEL_ROUND(v)     ((ivec)_mm512_cvtps_epi32(v))

#endif
