/* int8 on AVX2 with AVX-VNNI: four products are added to 32 bits at once. 12 of
 * 16 registers hold a tile of 6 x 16. */

#if defined(__x86_64__)
#include "device/cpu/lanes_avx2.h"

#define KERNEL_NAME  int8_avx2vnni
#define KERNEL_ROWS  6
#define KERNEL_LEFT  255
#define KERNEL_RIGHT 127
#define KERNEL_STEP  1
#define KERNEL_DOT(s, x, w)                                                    \
    ((ivec)_mm256_dpbusd_avx_epi32((__m256i)(s), (__m256i)(x)[0],              \
                                   (__m256i)(w)[0]))
#include "device/cpu/int8.inc"
#else
typedef int nothing_here;
#endif
