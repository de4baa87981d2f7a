/* int8 on AVX-512 with VNNI: four products are added to 32 bits at once. 24 of
 * 32 registers hold a tile of 12 x 32. */

#if defined(__x86_64__)
#include "device/cpu/lanes_avx512.h"

#define KERNEL_NAME  int8_avx512vnni
#define KERNEL_ROWS  12
#define KERNEL_LEFT  255
#define KERNEL_RIGHT 127
#define KERNEL_STEP  1
#define KERNEL_DOT(s, x, w)                                                    \
    ((ivec)_mm512_dpbusd_epi32((__m512i)(s), (__m512i)(x)[0], (__m512i)(w)[0]))
#include "device/cpu/int8.inc"
#else
typedef int nothing_here;
#endif
