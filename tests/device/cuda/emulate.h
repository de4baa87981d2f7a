/* emulate.h - runs a card's kernels on the CPU, as C++17, for the tests.
 *
 * The kernel text (src/device/cuda/kernels/) is compiled inside a namespace,
 * once a choice of NARROW (0 float, 1 f16, 2 bf16), KERNEL_ARCH (75, 80, ...)
 * and, where the file wants it, HEAD_DIM:
 *
 *     #include "device/cuda/emulate.h"
 *     namespace rows_f16 {
 *     #define NARROW 1
 *     #define KERNEL_ARCH 75
 *     #define KERNEL_FILE "device/cuda/kernels/rows.cu"
 *     #include "device/cuda/emulate_module.h" // undefines them at its end
 *     }
 *     ...
 *     rows_f16::norm_rows_params p = {};
 *     EMULATE_LAUNCH(rows_f16::norm_rows, grid_x, grid_y, threads, 0, p);
 *
 * FEATURES is the variable emulate_features; set it before the launch.
 *
 * A thread of a block is a fiber: it runs until it waits (at __syncthreads, at
 * a warp's collective, at an mma), then another does. In which order is
 * emulate_order, 0 to EMULATE_ORDERS - 1: a kernel whose threads race in shared
 * memory gives other results in other orders; emulate_in_all_orders looks for
 * that. Errors that it finds, each with its place: a __syncthreads or a
 * collective that not all threads reach, a shared array that is overrun
 * (ASan says where; without it the end of the block does), an address that
 * ldmatrix or copy16_async cannot take. Shared memory begins as bytes 0xFF,
 * which is NaN in every type. What copy16_async copies is there after
 * copy_wait, and NaN from its call until then (but on sm_75, where it is a
 * plain copy). ldmatrix orders no stores.
 *
 * Blocks run one after another on the calling OS thread; several OS threads
 * may launch at once.
 */

#ifndef TESTS_DEVICE_CUDA_EMULATE_H
#define TESTS_DEVICE_CUDA_EMULATE_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define EMULATED 1

/* ---- launching ---------------------------------------------------------- */

enum { EMULATE_ORDERS = 8, EMULATE_THREADS_MAX = 1024 };

/* The calling thread's choice for its launches. Orders: 0 all threads of the
 * block in step, 1 the same backwards, 2 (the default, and the fastest) each
 * warp as far as it goes, 3 the same backwards, the others pseudo-random. */
#define EMULATE_TLS __thread __attribute__((tls_model("initial-exec")))
extern EMULATE_TLS unsigned emulate_order;
extern EMULATE_TLS unsigned emulate_features;

typedef void (*emulate_function)(void);
struct emulate_launch {
    const char *name;
    void (*call)(emulate_function kernel, const void *params);
    emulate_function kernel;
    const void *params;
    unsigned grid_x, grid_y, threads;
    size_t shared_bytes; /* dynamic */
};

/* NULL, or what is wrong with the kernel, until the thread's next launch. */
const char *emulate_run(const struct emulate_launch *launch);

/* Of the last launch on this thread: static and dynamic together. */
size_t emulate_shared_used(void);

template <class P>
void emulate_call(emulate_function kernel, const void *params) {
    P copy;
    memcpy(&copy, params, sizeof copy);
    ((void (*)(P))kernel)(copy);
}

template <class P>
const char *emulate_try(void (*kernel)(P), const char *name, unsigned grid_x,
                        unsigned grid_y, unsigned threads, size_t shared_bytes,
                        const P &params) {
    struct emulate_launch launch = {
        name,    emulate_call<P>, (emulate_function)kernel,
        &params, grid_x,          grid_y,
        threads, shared_bytes};
    return emulate_run(&launch);
}

/* The message or NULL. */
#define EMULATE_TRY(kernel, grid_x, grid_y, threads, shared_bytes, params)     \
    emulate_try(kernel, #kernel, grid_x, grid_y, threads, shared_bytes, params)

/* Ends the program with the message. */
#define EMULATE_LAUNCH(kernel, grid_x, grid_y, threads, shared_bytes, params)  \
    do {                                                                       \
        const char *wrong_ = EMULATE_TRY(kernel, grid_x, grid_y, threads,      \
                                         shared_bytes, params);                \
        if (wrong_) {                                                          \
            fprintf(stderr, "%s\n", wrong_);                                   \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* Run the callable (one or several launches) in each order, BYTES at OUT
 * (which kernels may also read) being each time what they are now. NULL, or
 * which order gave other bits and where. OUT is as the first order left it. */
template <class Run>
const char *emulate_in_all_orders(void *out, size_t bytes, Run run) {
    static thread_local char text[160];
    unsigned char *place = (unsigned char *)out;
    std::vector<unsigned char> before(place, place + bytes), first;
    unsigned chosen = emulate_order;
    const char *wrong = nullptr;
    for (unsigned order = 0; order < EMULATE_ORDERS && !wrong; order++) {
        memcpy(out, before.data(), bytes);
        emulate_order = order;
        run();
        if (order == 0)
            first.assign(place, place + bytes);
        for (size_t i = 0; i < bytes && !wrong; i++)
            if (place[i] != first[i]) {
                snprintf(text, sizeof text,
                         "a race: byte %zu is %02x in order 0 and %02x in "
                         "order %u",
                         i, first[i], place[i], order);
                wrong = text;
            }
    }
    memcpy(out, first.data(), bytes);
    emulate_order = chosen;
    return wrong;
}

/* ---- what kernels see --------------------------------------------------- */

struct emulate_dim {
    unsigned x, y, z;
};
struct emulate_block;
struct emulate_place {
    const char *file;
    int line;
};

/* What a lane brings to a collective and takes from it. */
struct emulate_offer {
    int kind;
    unsigned mask;
    struct emulate_place place;
    uint64_t value;        /* in, then out */
    unsigned from;         /* shuffles: the lane whose value is wanted */
    unsigned short row[8]; /* ldmatrix: what lay at the lane's address */
    unsigned *registers;
    const unsigned *a, *b; /* mma */
    float *c;
    bool bfloat;
};

struct emulate_thread {
    struct emulate_dim index;
    unsigned lane;
    struct emulate_block *block;
    struct emulate_offer offer;
};
struct emulate_grid {
    struct emulate_dim block, blocks, threads;
};
extern EMULATE_TLS struct emulate_thread *emulate_now;
extern EMULATE_TLS struct emulate_grid emulate_grid_now;

#define threadIdx (emulate_now->index)
#define blockIdx  (emulate_grid_now.block)
#define blockDim  (emulate_grid_now.threads)
#define gridDim   (emulate_grid_now.blocks)

/* Kernels are `extern "C" __global__`, which would be one function in all
 * namespaces: the linkage ends here in an empty block. */
#define __global__                                                             \
    {}                                                                         \
    __attribute__((unused)) static
#define __device__      __attribute__((unused))
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __constant__

#define SHARED(type, name, count)                                              \
    type *const name = (type *)emulate_shared(                                 \
        [] {                                                                   \
            static const char key = 0;                                         \
            return &key;                                                       \
        }(),                                                                   \
        #name, sizeof(type) * (size_t)(count))
#define SHARED_DYNAMIC(type, name)                                             \
    type *const name = (type *)emulate_shared_dynamic()
#define FEATURES emulate_features
#define INLINE   __attribute__((unused)) static inline
#define UNROLL

void *emulate_shared(const char *key, const char *name, size_t bytes);
void *emulate_shared_dynamic(void);

#define EMULATE_CALLER                                                         \
    const char *file = __builtin_FILE(), int line = __builtin_LINE()

enum emulate_kind {
    EMULATE_SYNCWARP,
    EMULATE_SHUFFLE,
    EMULATE_BALLOT,
    EMULATE_LDMATRIX,
    EMULATE_LDMATRIX_TRANSPOSED,
    EMULATE_MMA
};

void emulate_barrier(struct emulate_place place);
void emulate_collective(int kind, unsigned mask, struct emulate_place place);
[[noreturn]] void emulate_fail(struct emulate_place place, const char *what);

static inline void __syncthreads(EMULATE_CALLER) {
    emulate_barrier({file, line});
}

static inline void __syncwarp(unsigned mask = 0xffffffffu, EMULATE_CALLER) {
    emulate_collective(EMULATE_SYNCWARP, mask, {file, line});
}

template <class T>
T emulate_shuffle(unsigned mask, T value, unsigned from,
                  struct emulate_place place) {
    static_assert(sizeof(T) <= 8, "a shuffle takes up to 8 bytes");
    struct emulate_offer *offer = &emulate_now->offer;
    memcpy(&offer->value, &value, sizeof value);
    offer->from = from;
    emulate_collective(EMULATE_SHUFFLE, mask, place);
    memcpy(&value, &offer->value, sizeof value);
    return value;
}

/* CUDA has int or unsigned for the last two, and converts. */
template <class T, class Lane>
T __shfl_sync(unsigned mask, T value, Lane from, int width = 32,
              EMULATE_CALLER) {
    unsigned w = (unsigned)width, lane = emulate_now->lane;
    return emulate_shuffle(mask, value,
                           (lane & ~(w - 1)) | ((unsigned)from & (w - 1)),
                           {file, line});
}

template <class T, class Lane>
T __shfl_xor_sync(unsigned mask, T value, Lane bits, int width = 32,
                  EMULATE_CALLER) {
    unsigned lane = emulate_now->lane, from = lane ^ (unsigned)bits;
    bool out = (from | ((unsigned)width - 1)) > (lane | ((unsigned)width - 1));
    return emulate_shuffle(mask, value, out ? lane : from, {file, line});
}

template <class T, class Lane>
T __shfl_down_sync(unsigned mask, T value, Lane distance, int width = 32,
                   EMULATE_CALLER) {
    unsigned lane = emulate_now->lane, last = lane | ((unsigned)width - 1);
    unsigned by = (unsigned)distance;
    return emulate_shuffle(mask, value, lane + by > last ? lane : lane + by,
                           {file, line});
}

template <class T, class Lane>
T __shfl_up_sync(unsigned mask, T value, Lane distance, int width = 32,
                 EMULATE_CALLER) {
    unsigned lane = emulate_now->lane, first = lane & ~((unsigned)width - 1);
    unsigned by = (unsigned)distance;
    return emulate_shuffle(mask, value, lane < first + by ? lane : lane - by,
                           {file, line});
}

static inline unsigned __ballot_sync(unsigned mask, int truth, EMULATE_CALLER) {
    emulate_now->offer.value = truth != 0;
    emulate_collective(EMULATE_BALLOT, mask, {file, line});
    return (unsigned)emulate_now->offer.value;
}

static inline int __any_sync(unsigned mask, int truth, EMULATE_CALLER) {
    return __ballot_sync(mask, truth, file, line) != 0;
}

static inline int __all_sync(unsigned mask, int truth, EMULATE_CALLER) {
    return __ballot_sync(mask, truth, file, line) == mask;
}

/* ---- tensor cores, copies ------------------------------------------------ */

/* Lanes wait for each other's registers, and not for each other's stores, which
 * a card orders by __syncwarp alone: a row is what its lane sees when it comes
 * there itself, and in the last order what the warp's first lane saw. */
void emulate_ldmatrix(int kind, unsigned *r, const void *shared,
                      struct emulate_place place);

static inline void ldmatrix_4(unsigned r[4], const void *shared,
                              EMULATE_CALLER) {
    emulate_ldmatrix(EMULATE_LDMATRIX, r, shared, {file, line});
}

static inline void ldmatrix_4_transposed(unsigned r[4], const void *shared,
                                         EMULATE_CALLER) {
    emulate_ldmatrix(EMULATE_LDMATRIX_TRANSPOSED, r, shared, {file, line});
}

static inline void emulate_mma(float c[4], const unsigned a[4],
                               const unsigned b[2], bool bfloat,
                               struct emulate_place place) {
    struct emulate_offer *offer = &emulate_now->offer;
    offer->a = a;
    offer->b = b;
    offer->c = c;
    offer->bfloat = bfloat;
    emulate_collective(EMULATE_MMA, 0xffffffffu, place);
}

/* GLOBAL NULL: zeros. LATE: there after the wait. */
void emulate_copy16(void *shared, const void *global, bool late,
                    struct emulate_place place);
void emulate_copy_commit(void);
void emulate_copy_wait(unsigned newest);

/* ---- numbers ------------------------------------------------------------ */

struct emulate_half {
    unsigned short bits;
};
struct emulate_bfloat {
    unsigned short bits;
};

static inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline int __float_as_int(float x) {
    return (int)__float_as_uint(x);
}

static inline float __int_as_float(int bits) {
    return __uint_as_float((unsigned)bits);
}

/* Every f16 is a float: the exponent moves by a product that is exact. */
static inline float emulate_widen_half(unsigned short half) {
    unsigned magnitude = half & 0x7fffu;
    float x = __uint_as_float(magnitude << 13) * 0x1p112f;
    unsigned bits = __float_as_uint(x);
    if (magnitude >= 0x7c00u)
        bits = 0x7f800000u | magnitude << 13;
    return __uint_as_float(bits | (half & 0x8000u) << 16);
}

/* To the nearest, ties to even; NaN is 0x7fff, as cvt.rn makes it. */
static inline unsigned short emulate_round_half(float x) {
    unsigned bits = __float_as_uint(x), sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u)
        return 0x7fff;
    if (bits >= 0x47800000u) /* 65,536 */
        return (unsigned short)(sign | 0x7c00u);
    if (bits < 0x38800000u) { /* 2^-14: the sum rounds to steps of 2^-24 */
        float sum = __uint_as_float(bits) + 0.5f;
        return (unsigned short)(sign | (__float_as_uint(sum) - 0x3f000000u));
    }
    bits += 0xfffu + (bits >> 13 & 1u);
    return (unsigned short)(sign | (bits - 0x38000000u) >> 13);
}

static inline float emulate_widen_bfloat(unsigned short bfloat) {
    return __uint_as_float((unsigned)bfloat << 16);
}

static inline unsigned short emulate_round_bfloat(float x) {
    unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return 0x7fff;
    return (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* e4m3 as OCP's "8-bit floating point specification" has it (E4M3): bias 7,
 * no infinity, 0x7f and 0xff are NaN. */
static inline float emulate_widen_e4m3(unsigned char code) {
    int exponent = code >> 3 & 15, fraction = code & 7;
    float size = exponent ? ldexpf((float)(8 + fraction), exponent - 10)
                          : ldexpf((float)fraction, -9);
    if ((code & 0x7f) == 0x7f)
        size = NAN;
    return code & 0x80 ? -size : size;
}

/* cvt.rn.satfinite: to the nearest, ties to even; beyond 448 it is 448, NaN is
 * 0x7f. */
static inline unsigned char emulate_round_e4m3(float x) {
    if (x != x)
        return 0x7f;
    unsigned char sign = __float_as_uint(x) >> 31 ? 0x80 : 0;
    float size = fabsf(x);
    int exponent = 0;
    if (size >= 448.0f)
        return (unsigned char)(sign | 0x7e);
    frexpf(size, &exponent); /* size is in [2^(exponent - 1), 2^exponent) */
    if (size == 0 || exponent < -5)
        exponent = -5;
    /* in steps of 2^(exponent - 4), rounded as floats are */
    float steps = rintf(ldexpf(size, 4 - exponent));
    return (unsigned char)(sign | ((exponent + 5) * 8 + (int)steps));
}

/* ---- what NVRTC knows by itself ------------------------------------------ */

static inline float as_float(unsigned word) {
    return __uint_as_float(word);
}
static inline unsigned as_word(float x) {
    return __float_as_uint(x);
}

/* ex2.approx.ftz: results below the normal numbers are 0. */
static inline float exp2_quick(float x) {
    float y = exp2f(x);
    return y < 0x1p-126f ? 0 : y;
}

/* A card stops at an address that the number of bytes does not divide. */
static inline void emulate_aligned(const void *address, unsigned bytes,
                                   struct emulate_place place) {
    if ((uintptr_t)address % bytes)
        emulate_fail(place, "an address that its 8 or 16 bytes do not divide");
}
static inline void load_words2(unsigned r[2], const void *from,
                               EMULATE_CALLER) {
    emulate_aligned(from, 8, {file, line});
    memcpy(r, from, 8);
}
static inline void load_words4(unsigned r[4], const void *from,
                               EMULATE_CALLER) {
    emulate_aligned(from, 16, {file, line});
    memcpy(r, from, 16);
}
static inline void store_words2(void *to, const unsigned r[2], EMULATE_CALLER) {
    emulate_aligned(to, 8, {file, line});
    memcpy(to, r, 8);
}
static inline void store_words4(void *to, const unsigned r[4], EMULATE_CALLER) {
    emulate_aligned(to, 16, {file, line});
    memcpy(to, r, 16);
}

struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
static inline uint2 make_uint2(unsigned x, unsigned y) {
    return {x, y};
}
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w};
}
static inline float2 make_float2(float x, float y) {
    return {x, y};
}
static inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}

static inline float rsqrtf(float x) {
    return 1.0f / sqrtf(x);
}
static inline float __fdividef(float x, float y) {
    return x / y;
}
static inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
static inline int __ffs(int x) {
    return __builtin_ffs(x);
}
static inline int __clz(int x) {
    return x ? __builtin_clz((unsigned)x) : 32;
}
template <class T> T min(T a, T b) {
    return b < a ? b : a;
}
template <class T> T max(T a, T b) {
    return a < b ? b : a;
}
template <class T> T __ldg(const T *x) {
    return *x;
}
static inline void __threadfence(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline unsigned atomicAdd(unsigned *to, unsigned x) {
    return __atomic_fetch_add(to, x, __ATOMIC_RELAXED);
}
static inline int atomicAdd(int *to, int x) {
    return __atomic_fetch_add(to, x, __ATOMIC_RELAXED);
}
static inline unsigned atomicOr(unsigned *to, unsigned x) {
    return __atomic_fetch_or(to, x, __ATOMIC_RELAXED);
}
static inline float atomicAdd(float *to, float x) {
    unsigned *place = (unsigned *)(void *)to;
    unsigned old = __atomic_load_n(place, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(
        place, &old, __float_as_uint(__uint_as_float(old) + x), true,
        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return __uint_as_float(old);
}
static inline unsigned atomicMax(unsigned *to, unsigned x) {
    unsigned old = __atomic_load_n(to, __ATOMIC_RELAXED);
    while (old < x &&
           !__atomic_compare_exchange_n(to, &old, x, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
    return old;
}

#endif
