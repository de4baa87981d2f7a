/* int8 on AVX2 without VNNI. Its one fast product of bytes adds two neighbours
 * in 16 bits and saturates; with 7 bits on both sides (130 * 63 * 4 = 32,760)
 * even two such sums fit, and are taken to 32 bits together. 8 of 16 registers
 * hold a tile of 4 x 16. */

#if defined(__x86_64__)
#include "device/cpu/lanes_avx2.h"

#define KERNEL_NAME  int8_avx2
#define KERNEL_ROWS  4
#define KERNEL_LEFT  130
#define KERNEL_RIGHT 63
#define KERNEL_STEP  2
#define KERNEL_DOT(s, x, w)                                                    \
    ((s) + (ivec)_mm256_madd_epi16(                                            \
               _mm256_add_epi16(                                               \
                   _mm256_maddubs_epi16((__m256i)(x)[0], (__m256i)(w)[0]),     \
                   _mm256_maddubs_epi16((__m256i)(x)[1], (__m256i)(w)[1])),    \
               _mm256_set1_epi16(1)))
#include "device/cpu/int8.inc"
#else
typedef int nothing_here;
#endif
