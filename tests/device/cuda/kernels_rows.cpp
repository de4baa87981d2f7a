/* kernels_rows.cpp - rows.cu under emulation, in each type of numbers. */

#include "device/cuda/emulate_kernels.h"

#define ROWS_KERNELS                                                           \
    EMULATE_KERNEL(embed_rows), EMULATE_KERNEL(norm_rows),                     \
        EMULATE_KERNEL(norm_heads), EMULATE_KERNEL(rotate_heads),              \
        EMULATE_KERNEL(gate_rows), EMULATE_KERNEL(activate_narrow),            \
        EMULATE_KERNEL(activate_wide), EMULATE_KERNEL(narrow_numbers),         \
        EMULATE_KERNEL(pool_rows), EMULATE_KERNEL(normalize_rows),             \
        EMULATE_KERNEL(accumulate_rows), EMULATE_KERNEL(route_rows),           \
        EMULATE_KERNEL(list_rows), EMULATE_KERNEL(gather_rows),                \
        EMULATE_KERNEL(begin_experts), EMULATE_KERNEL(add_expert)

namespace rows_f32 {
#define NARROW      0
#define KERNEL_ARCH 75
#define KERNEL_FILE "device/cuda/kernels/rows.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("rows", 0, 0, 0, ROWS_KERNELS)
} // namespace rows_f32

namespace rows_f16 {
#define NARROW      1
#define KERNEL_ARCH 75
#define KERNEL_FILE "device/cuda/kernels/rows.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("rows", 1, 0, 0, ROWS_KERNELS)
} // namespace rows_f16

namespace rows_bf16 {
#define NARROW      2
#define KERNEL_ARCH 80
#define KERNEL_FILE "device/cuda/kernels/rows.cu"
#include "device/cuda/emulate_module.h"
EMULATE_KERNELS("rows", 2, 0, 0, ROWS_KERNELS)
} // namespace rows_bf16
