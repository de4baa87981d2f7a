/* bf16 with what every machine of this architecture has. */

#include "device/cpu/lanes_generic.h"

#define KERNEL_NAME bf16_generic
#define KERNEL_ROWS 6
#include "device/cpu/bf16.inc"
