/* lanes_generic.h - vectors of 4 floats, which every machine of this
 * architecture has (SSE2 or NEON): as lanes_avx2.h. */

#ifndef DEVICE_CPU_LANES_GENERIC_H
#define DEVICE_CPU_LANES_GENERIC_H

#define KERNEL_LANES 4
#define KERNEL_PANEL 16

#endif
