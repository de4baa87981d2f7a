/* attention*.cu for sm_80 cards, with numbers in f16. */

#include "device/cuda/emulate_kernels.h"

namespace attention_f16_80_32 {
#define NARROW      1
#define KERNEL_ARCH 80
#define HEAD_DIM    32
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 80, 32, EMULATE_KERNEL(attend))
} // namespace attention_f16_80_32

namespace attention_f16_80_64 {
#define NARROW      1
#define KERNEL_ARCH 80
#define HEAD_DIM    64
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 80, 64, EMULATE_KERNEL(attend))
} // namespace attention_f16_80_64

namespace attention_f16_80_96 {
#define NARROW      1
#define KERNEL_ARCH 80
#define HEAD_DIM    96
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 80, 96, EMULATE_KERNEL(attend))
} // namespace attention_f16_80_96

namespace attention_f16_80_128 {
#define NARROW      1
#define KERNEL_ARCH 80
#define HEAD_DIM    128
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 80, 128, EMULATE_KERNEL(attend))
} // namespace attention_f16_80_128

namespace attention_f16_80_192 {
#define NARROW      1
#define KERNEL_ARCH 80
#define HEAD_DIM    192
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 80, 192, EMULATE_KERNEL(attend))
} // namespace attention_f16_80_192

namespace attention_f16_80_256 {
#define NARROW      1
#define KERNEL_ARCH 80
#define HEAD_DIM    256
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 80, 256, EMULATE_KERNEL(attend))
} // namespace attention_f16_80_256

namespace attention_plain_f16_80 {
#define NARROW      1
#define KERNEL_ARCH 80
#define KERNEL_FILE "device/cuda/kernels/attention_plain.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention_plain", 1, 80, 0, EMULATE_KERNEL(attend_plain))
} // namespace attention_plain_f16_80
