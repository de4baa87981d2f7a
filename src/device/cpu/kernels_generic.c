/* What every machine of this architecture has: SSE2 or NEON. */

#include "device/cpu/lanes_generic.h"

#define KERNEL_NAME kernels_generic
#define KERNEL_ROWS 6
#include "device/cpu/kernels.inc"
