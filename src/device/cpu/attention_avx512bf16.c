/* Attention of bf16 on AVX-512 with BF16, in tiles as bf16_avx512bf16.c has. */

#if defined(__x86_64__)
#include "device/cpu/lanes_avx512.h"

#define KERNEL_NAME attention_avx512bf16
#define KERNEL_ROWS 12
#define KERNEL_BF16(s, x, w)                                                   \
    ((vec)_mm512_dpbf16_ps((__m512)(s), (__m512bh)(x), (__m512bh)(w)))
#define KERNEL_HALVES(low, high)                                               \
    ((ivec)_mm512_cvtne2ps_pbh((__m512)(high), (__m512)(low)))
#include "device/cpu/attention_bf16.inc"
#else
typedef int nothing_here;
#endif
