/* lanes_generic.h - vectors of 4 floats, which every machine of this
 * architecture has (SSE2 or NEON): as lanes_avx2.h. NEON has a fused
 * multiply-add, which is asked for by name, because the optimizer may contract
 * one sum and not the same sum elsewhere. */

#ifndef DEVICE_CPU_LANES_GENERIC_H
#define DEVICE_CPU_LANES_GENERIC_H

#define KERNEL_LANES 4
#define KERNEL_PANEL 16

#if defined(__aarch64__)
#include <arm_neon.h>
#define KERNEL_FMA(a, b, c)                                                    \
    ((vec)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#endif

#endif
