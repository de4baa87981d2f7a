/* bf16 on AVX2, where a number is widened before each product: slower than
 * floats, and half their memory. */

#if defined(__x86_64__)
#include "device/cpu/lanes_avx2.h"

#define KERNEL_NAME bf16_avx2
#define KERNEL_ROWS 4
#include "device/cpu/bf16.inc"
#else
typedef int nothing_here;
#endif
