/* bf16 with what every machine of this architecture has. */

#define KERNEL_NAME  bf16_generic
#define KERNEL_LANES 4
#define KERNEL_PANEL 16
#define KERNEL_ROWS  6
#include "device/cpu/bf16.inc"
