/* emulate_module.h - a kernel file under emulation, inside the namespace of one
 * choice of NARROW, KERNEL_ARCH (and HEAD_DIM): see emulate.h. It has no guard.
 */

#if !defined NARROW || !defined KERNEL_ARCH || !defined KERNEL_FILE
#error "define KERNEL_FILE, NARROW and KERNEL_ARCH before emulate_module.h"
#endif

#if NARROW == 0
typedef float narrow;
INLINE float widen(narrow x) {
    return x;
}
INLINE narrow round_narrow(float x) {
    return x;
}
#else

#if NARROW == 1
typedef emulate_half narrow;
#define EMULATE_WIDEN emulate_widen_half
#define EMULATE_ROUND emulate_round_half
#else
typedef emulate_bfloat narrow;
#define EMULATE_WIDEN emulate_widen_bfloat
#define EMULATE_ROUND emulate_round_bfloat
#endif

INLINE float widen(narrow x) {
    return EMULATE_WIDEN(x.bits);
}
INLINE narrow round_narrow(float x) {
    return {EMULATE_ROUND(x)};
}
INLINE unsigned pack2(float low, float high) {
    return EMULATE_ROUND(low) | (unsigned)EMULATE_ROUND(high) << 16;
}
INLINE void unpack2(unsigned pair, float *low, float *high) {
    *low = EMULATE_WIDEN((unsigned short)pair);
    *high = EMULATE_WIDEN((unsigned short)(pair >> 16));
}
INLINE void mma_16x8x16(float c[4], const unsigned a[4], const unsigned b[2],
                        EMULATE_CALLER) {
    static_assert(NARROW == 1 || KERNEL_ARCH >= 80,
                  "tensor cores take bf16 from sm_80 on");
    emulate_mma(c, a, b, NARROW == 2, {file, line});
}
#undef EMULATE_WIDEN
#undef EMULATE_ROUND
#endif

INLINE unsigned pack4_e4m3(const float v[4]) {
    unsigned word = 0;
    for (unsigned i = 0; i < 4; i++)
        word |= (unsigned)emulate_round_e4m3(v[i]) << 8 * i;
    return word;
}

INLINE void copy16_async(void *shared, const void *global, EMULATE_CALLER) {
    emulate_copy16(shared, global, KERNEL_ARCH >= 80, {file, line});
}
INLINE void copy16_async_if(void *shared, const void *global, bool there,
                            EMULATE_CALLER) {
    emulate_copy16(shared, there ? global : nullptr, KERNEL_ARCH >= 80,
                   {file, line});
}
INLINE void copy_commit(void) {
    emulate_copy_commit();
}
INLINE void copy_wait(unsigned newest) {
    emulate_copy_wait(newest);
}

#undef DEVICE_CUDA_KERNELS_PARAMS_H
#include "device/cuda/kernels/params.h"

#include "device/cuda/kernels/activate.h"
#include "device/cuda/kernels/turn.h"

#include "device/cuda/kernels/numbers.h"

#include "device/cuda/kernels/norm.h"

#include KERNEL_FILE

#undef DEVICE_CUDA_KERNELS_PARAMS_H
#undef KERNEL_FILE
#undef NARROW
#undef KERNEL_ARCH
#undef HEAD_DIM
