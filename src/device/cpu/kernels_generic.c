/* What every machine of this architecture has: SSE2 or NEON. */

#define KERNEL_NAME  kernels_generic
#define KERNEL_LANES 4
#define KERNEL_PANEL 16
#define KERNEL_ROWS  6
#include "device/cpu/kernels.inc"
