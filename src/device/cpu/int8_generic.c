/* int8 with what every machine of this architecture has. */

#include "device/cpu/lanes_generic.h"

#define KERNEL_NAME  int8_generic
#define KERNEL_ROWS  6
#define KERNEL_LEFT  255
#define KERNEL_RIGHT 127
#define KERNEL_STEP  1
#include "device/cpu/int8.inc"
