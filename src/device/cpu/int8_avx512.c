/* int8 on AVX-512 without VNNI, as int8_avx2.c does it. 12 of 32 registers hold
 * a tile of 6 x 32. */

#if defined(__x86_64__)
#include "device/cpu/lanes_avx512.h"

#define KERNEL_NAME  int8_avx512
#define KERNEL_ROWS  6
#define KERNEL_LEFT  130
#define KERNEL_RIGHT 63
#define KERNEL_STEP  2
#define KERNEL_DOT(s, x, w)                                                    \
    ((s) + (ivec)_mm512_madd_epi16(                                            \
               _mm512_add_epi16(                                               \
                   _mm512_maddubs_epi16((__m512i)(x)[0], (__m512i)(w)[0]),     \
                   _mm512_maddubs_epi16((__m512i)(x)[1], (__m512i)(w)[1])),    \
               _mm512_set1_epi16(1)))
#include "device/cpu/int8.inc"
#else
typedef int nothing_here;
#endif
