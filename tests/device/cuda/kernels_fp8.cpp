/* kernels_fp8.cpp - fp8.cu under emulation: bf16, as on sm_89. */

#include "device/cuda/emulate_kernels.h"

namespace fp8_bf16 {
#define NARROW      2
#define KERNEL_ARCH 89
#define KERNEL_FILE "device/cuda/kernels/fp8.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("fp8", 2, 0, 0, EMULATE_KERNEL(quantize_rows),
                EMULATE_KERNEL(norm_e4m3), EMULATE_KERNEL(scale_narrow),
                EMULATE_KERNEL(scale_wide), EMULATE_KERNEL(scale_e4m3),
                EMULATE_KERNEL(gate_e4m3))
} // namespace fp8_bf16
