/* prelude.cu - what kernels are written with: a narrow number, the card's
 * matrix product, its copies. The first text of every kernel file.
 *
 * NVRTC finds no header on a user's machine, so what C++ has no word for is
 * inline PTX here. The tests compile kernels as C++17 with EMULATED defined and
 * have the same names from tests/device/cuda/emulate.h; these names and plain
 * C++ are all that a kernel uses.
 *
 * NARROW says what a narrow number is: 0 float, 1 f16, 2 bf16 (from sm_80 on).
 *
 *     KERNEL_ARCH                    75, 80, 90 ...
 *     float widen(narrow)            exact
 *     narrow round_narrow(float)     to the nearest, halves to even; what is
 *                                    too large becomes infinite
 *     unsigned pack2(low, high)      two 16-bit numbers of two floats
 *     void unpack2(word, &low, &high)
 *     unsigned pack4_e4m3(v[4])      four floats as e4m3 (sm_89 and newer), at
 *                                    most 448, halves to even; NaN stays
 *     load_words2, load_words4       8 or 16 bytes from an address that they
 *     store_words2, store_words4     divide
 *     as_float(word), as_word(x)     the same bits
 *     exp2_quick(x)                  2^x but for 2 units in the last place; what
 *                                    is below 2^-126 is 0
 *     mma_16x8x16(c, a, b)           c += a b, c float; fragments are those of
 *                                    PTX's mma.m16n8k16.row.col
 *     ldmatrix_4(r, row)             four 8 x 8 matrices of 16-bit numbers from
 *     ldmatrix_4_transposed(r, row)  shared memory; lane i has the address of
 *                                    row i % 8 of matrix i / 8
 *     copy16_async(shared, global)   16 bytes; copies up to copy_commit() are a
 *     copy_commit(), copy_wait(N)    group; wait until at most N groups (a
 *                                    constant) of this thread are left
 *     SHARED(type, name, count)      an array in the block's shared memory
 *     SHARED_DYNAMIC(type, name)     a pointer to what the launch gave it
 *     copy16_async_if(shared, global, there)
 *                                    the same, or zeros; global is not read
 *     UNROLL                         before a loop of constant length
 *     INLINE                         before a function that is no kernel
 *
 * and of CUDA's own: threadIdx, blockIdx, blockDim, gridDim, __syncthreads,
 * __syncwarp, __shfl_sync, __shfl_xor_sync, __shfl_up_sync, __shfl_down_sync,
 * __ballot_sync, __popc, atomicAdd, atomicOr, __fdividef, and C's functions of
 * float and double. */

#ifndef EMULATED

#define KERNEL_ARCH (__CUDA_ARCH__ / 10)

#if NARROW == 2 && KERNEL_ARCH < 80
#error "bf16 needs a card of compute capability 8.0 or newer"
#endif

#define INLINE                    static __device__ __forceinline__
#define UNROLL                    _Pragma("unroll")
#define SHARED(type, name, count) __shared__ __align__(16) type name[count]
#define SHARED_DYNAMIC(type, name)                                             \
    extern __shared__ uint4 dynamic_shared[];                                  \
    type *const name = (type *)dynamic_shared

/* ---- words -------------------------------------------------------------- */

INLINE float as_float(unsigned word) {
    return __uint_as_float(word);
}

INLINE unsigned as_word(float x) {
    return __float_as_uint(x);
}

INLINE float exp2_quick(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

INLINE void load_words2(unsigned r[2], const void *from) {
    uint2 words = *(const uint2 *)from;
    r[0] = words.x;
    r[1] = words.y;
}

INLINE void load_words4(unsigned r[4], const void *from) {
    uint4 words = *(const uint4 *)from;
    r[0] = words.x;
    r[1] = words.y;
    r[2] = words.z;
    r[3] = words.w;
}

INLINE void store_words2(void *to, const unsigned r[2]) {
    *(uint2 *)to = make_uint2(r[0], r[1]);
}

INLINE void store_words4(void *to, const unsigned r[4]) {
    *(uint4 *)to = make_uint4(r[0], r[1], r[2], r[3]);
}

/* ---- narrow numbers ----------------------------------------------------- */

#if NARROW == 0

typedef float narrow;

INLINE float widen(narrow x) {
    return x;
}

INLINE narrow round_narrow(float x) {
    return x;
}

#else

/* Nothing can be computed with it by mistake. */
struct narrow {
    unsigned short bits;
};

#endif

#if NARROW == 1

INLINE float widen(narrow x) {
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
    return wide;
}

INLINE narrow round_narrow(float x) {
    narrow y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

INLINE unsigned pack2(float low, float high) {
    unsigned word;
#if KERNEL_ARCH >= 80
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
#else
    asm("mov.b32 %0, {%1, %2};"
        : "=r"(word)
        : "h"(round_narrow(low).bits), "h"(round_narrow(high).bits));
#endif
    return word;
}

INLINE void unpack2(unsigned word, float *low, float *high) {
    narrow first, second;
    asm("mov.b32 {%0, %1}, %2;"
        : "=h"(first.bits), "=h"(second.bits)
        : "r"(word));
    *low = widen(first);
    *high = widen(second);
}

#elif NARROW == 2

INLINE float widen(narrow x) {
    return as_float((unsigned)x.bits << 16);
}

INLINE narrow round_narrow(float x) {
    narrow y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

INLINE unsigned pack2(float low, float high) {
    unsigned word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}

INLINE void unpack2(unsigned word, float *low, float *high) {
    *low = as_float(word << 16);
    *high = as_float(word & 0xffff0000u);
}

#endif

#if KERNEL_ARCH >= 89

INLINE unsigned pack4_e4m3(const float v[4]) {
    unsigned short low, high;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;"
        : "=h"(low)
        : "f"(v[1]), "f"(v[0]));
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;"
        : "=h"(high)
        : "f"(v[3]), "f"(v[2]));
    return low | (unsigned)high << 16;
}

#endif

/* ---- the matrix product ------------------------------------------------- */

#if NARROW != 0

INLINE unsigned shared_address(const void *shared) {
    return (unsigned)__cvta_generic_to_shared(shared);
}

INLINE void ldmatrix_4(unsigned r[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 "
                 "{%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}

INLINE void ldmatrix_4_transposed(unsigned r[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 "
                 "{%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}

#if KERNEL_ARCH >= 80

#if NARROW == 1
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
#else
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
#endif

INLINE void mma_16x8x16(float c[4], const unsigned a[4], const unsigned b[2]) {
    asm(MMA "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#else

/* The first half of the sum, or the second. */
INLINE void mma_16x8x8(float c[4], unsigned a0, unsigned a1, unsigned b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(b));
}

INLINE void mma_16x8x16(float c[4], const unsigned a[4], const unsigned b[2]) {
    mma_16x8x8(c, a[0], a[1], b[0]);
    mma_16x8x8(c, a[2], a[3], b[1]);
}

#endif
#endif

/* ---- copies to shared memory -------------------------------------------- */

#if KERNEL_ARCH >= 80

INLINE void copy16_async(void *shared, const void *global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     (unsigned)__cvta_generic_to_shared(shared)),
                 "l"(__cvta_generic_to_global(global))
                 : "memory");
}

INLINE void copy16_async_if(void *shared, const void *global, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     (unsigned)__cvta_generic_to_shared(shared)),
                 "l"(__cvta_generic_to_global(global)), "r"(there ? 16 : 0)
                 : "memory");
}

INLINE void copy_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

#define copy_wait(groups)                                                      \
    asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory")

#else

INLINE void copy16_async(void *shared, const void *global) {
    *(uint4 *)shared = *(const uint4 *)global;
}

INLINE void copy16_async_if(void *shared, const void *global, bool there) {
    *(uint4 *)shared = there ? *(const uint4 *)global : make_uint4(0, 0, 0, 0);
}

INLINE void copy_commit() {
}

#define copy_wait(groups) ((void)(groups))

#endif

#endif
