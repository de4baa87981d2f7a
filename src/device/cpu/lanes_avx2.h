/* lanes_avx2.h - vectors of 8 floats for kernels that need AVX2 and FMA: what a
 * kernels_, int8_ or bf16_avx2*.c defines before it includes its .inc. How many
 * rows of a tile fit the 16 registers is its own to say. */

#ifndef DEVICE_CPU_LANES_AVX2_H
#define DEVICE_CPU_LANES_AVX2_H

#include <immintrin.h>

#define KERNEL_LANES        8
#define KERNEL_PANEL        16
#define KERNEL_MAX(a, b)    _mm256_max_ps(a, b)
#define KERNEL_MIN(a, b)    _mm256_min_ps(a, b)
#define KERNEL_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define KERNEL_ROUND(v)     ((ivec)_mm256_cvtps_epi32(v))

#endif
