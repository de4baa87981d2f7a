/* attention*.cu for sm_75 cards, with numbers in f16. */

#include "device/cuda/emulate_kernels.h"

namespace attention_f16_75_32 {
#define NARROW      1
#define KERNEL_ARCH 75
#define HEAD_DIM    32
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 75, 32, EMULATE_KERNEL(attend))
} // namespace attention_f16_75_32

namespace attention_f16_75_64 {
#define NARROW      1
#define KERNEL_ARCH 75
#define HEAD_DIM    64
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 75, 64, EMULATE_KERNEL(attend))
} // namespace attention_f16_75_64

namespace attention_f16_75_96 {
#define NARROW      1
#define KERNEL_ARCH 75
#define HEAD_DIM    96
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 75, 96, EMULATE_KERNEL(attend))
} // namespace attention_f16_75_96

namespace attention_f16_75_128 {
#define NARROW      1
#define KERNEL_ARCH 75
#define HEAD_DIM    128
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 75, 128, EMULATE_KERNEL(attend))
} // namespace attention_f16_75_128

namespace attention_f16_75_192 {
#define NARROW      1
#define KERNEL_ARCH 75
#define HEAD_DIM    192
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 75, 192, EMULATE_KERNEL(attend))
} // namespace attention_f16_75_192

namespace attention_f16_75_256 {
#define NARROW      1
#define KERNEL_ARCH 75
#define HEAD_DIM    256
#define KERNEL_FILE "device/cuda/kernels/attention.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention", 1, 75, 256, EMULATE_KERNEL(attend))
} // namespace attention_f16_75_256

namespace attention_plain_f16_75 {
#define NARROW      1
#define KERNEL_ARCH 75
#define KERNEL_FILE "device/cuda/kernels/attention_plain.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention_plain", 1, 75, 0, EMULATE_KERNEL(attend_plain))
} // namespace attention_plain_f16_75

namespace attention_plain_f32_75 {
#define NARROW      0
#define KERNEL_ARCH 75
#define KERNEL_FILE "device/cuda/kernels/attention_plain.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("attention_plain", 0, 0, 0, EMULATE_KERNEL(attend_plain))
} // namespace attention_plain_f32_75
