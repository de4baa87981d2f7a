/* test_kernels.cu - right and wrong kernels, for the tests of the emulator and
 * of the fake libraries; compiled as kernel files are. */

struct test_reverse_params {
    const float *x;
    float *y;
    unsigned fault; /* 1: no barrier; 2: not all threads reach it; 3: a write
                       behind the end; 4: threads wait at two places */
};

/* Each block turns its piece round, through shared memory. */
extern "C" __global__ void __launch_bounds__(256)
    test_reverse(const struct test_reverse_params p) {
    SHARED(float, piece, 256);
    unsigned i = threadIdx.x, count = blockDim.x;
    unsigned first = blockIdx.x * count;
    piece[i] = p.x[first + i];
    if (p.fault == 3 && i == 0)
        piece[256] = 1.0f;
    if (p.fault == 2 && i == 5)
        return;
    if (p.fault == 4 && i == 5)
        __syncthreads();
    else if (p.fault != 1)
        __syncthreads();
    p.y[first + i] = piece[count - 1 - i];
}

struct test_warp_params {
    unsigned *y;    /* [5, 32] */
    unsigned fault; /* 1: a lane is missing; 2: the mask leaves out a source;
                       3: half of the warp and all of it; 4: two masks */
};

extern "C" __global__ void test_warp(const struct test_warp_params p) {
    unsigned lane = threadIdx.x, all = 0xffffffffu, x = lane * lane + 1;
    if (p.fault == 1 && lane == 7)
        return;
    p.y[lane] = __shfl_xor_sync(all, x, 5);
    p.y[32 + lane] = __shfl_sync(all, x, 3, 8);
    p.y[64 + lane] = __shfl_down_sync(all, x, 4);
    p.y[96 + lane] = __ballot_sync(
        p.fault == 4 && lane > 15 ? 0xffff0000u : all, lane % 3 == 0);
    float sum = (float)lane;
    if (lane < 16) /* only these */
        for (int by = 8; by; by /= 2)
            sum += __shfl_xor_sync(p.fault == 3 ? all : 0xffffu, sum,
                                   p.fault == 2 ? 16 : by);
    __syncwarp();
    p.y[128 + lane] = (unsigned)sum;
}

struct test_race_params {
    float *y; /* [threads] */
    unsigned synced;
};

/* A warp reads what another one writes. */
extern "C" __global__ void test_race(const struct test_race_params p) {
    SHARED_DYNAMIC(float, memory);
    memory[threadIdx.x] = 0.0f;
    __syncthreads();
    memory[(threadIdx.x + 33) % blockDim.x] = (float)threadIdx.x;
    if (p.synced)
        __syncthreads();
    p.y[threadIdx.x] = memory[threadIdx.x];
}

struct test_copy_params {
    const float *x;       /* [4 * threads] */
    float *y;             /* [8 * threads + 1] */
    unsigned wait, fault; /* fault 1: an address that is not a multiple of 16;
                             2: one that is not in shared memory */
};

extern "C" __global__ void test_copy(const struct test_copy_params p) {
    SHARED(float, piece, 2 * 4 * 32);
    SHARED(float, fresh, 1);
    unsigned at = threadIdx.x * 4, skip = p.fault == 1;
    float *second = p.fault == 2 ? p.y : piece + 128;
    if (p.wait == 0) /* what was there before is gone */
        for (unsigned i = 0; i < 4; i++)
            piece[at + i] = 1.0f;
    copy16_async(piece + at + skip, p.x + at);
    copy_commit();
    copy16_async_if(second + at, p.x + at, threadIdx.x % 2 == 0);
    copy_commit();
    if (p.wait >= 1)
        copy_wait(1);
    if (p.wait >= 2)
        copy_wait(0);
    __syncthreads();
    for (unsigned i = 0; i < 4; i++) {
        p.y[at + i] = piece[at + i];
        p.y[128 + at + i] = piece[128 + at + i];
    }
    p.y[256] = *fresh;
}

#if NARROW != 0
struct test_numbers_params { /* four numbers a thread */
    const float *x;
    unsigned *packed; /* [2 * threads], and again as floats: */
    float *unpacked;
    narrow *rounded; /* one by one, and again as floats: */
    float *widened;
    float *powers;   /* of 2 */
    unsigned *codes; /* [threads]: in e4m3, from sm_89 on */
};

extern "C" __global__ void test_numbers(const struct test_numbers_params p) {
    unsigned thread = threadIdx.x, at = thread * 4, words[4], two[2];
    float v[4], y[4];
    load_words4(words, p.x + at);
    for (unsigned i = 0; i < 4; i++)
        v[i] = as_float(words[i]);
    two[0] = pack2(v[0], v[1]);
    two[1] = pack2(v[2], v[3]);
    store_words2(p.packed + thread * 2, two);
    load_words2(two, p.packed + thread * 2);
    unpack2(two[0], y, y + 1);
    unpack2(two[1], y + 2, y + 3);
    for (unsigned i = 0; i < 4; i++) {
        p.rounded[at + i] = round_narrow(v[i]);
        p.widened[at + i] = widen(p.rounded[at + i]);
        p.powers[at + i] = exp2_quick(v[i]);
        words[i] = as_word(y[i]);
    }
    store_words4(p.unpacked + at, words);
#if KERNEL_ARCH >= 89
    p.codes[thread] = pack4_e4m3(v);
#endif
}

struct test_mma_params {
    const narrow *a, *b; /* [16, 16], [8, 16]: B by columns */
    const float *c;      /* [16, 8] */
    float *d;
    unsigned transposed, fault; /* fault 1: an address that is not a multiple of
                                   16; 2: no barrier before ldmatrix */
};

/* D = A B + C of one warp, fragments taken through shared memory. With
 * TRANSPOSED b is [16, 8]. */
extern "C" __global__ void test_mma(const struct test_mma_params p) {
    SHARED(narrow, left, 16 * 16 + 8);
    SHARED(narrow, right, 16 * 16);
    unsigned lane = threadIdx.x, group = lane / 4, pair = lane % 4 * 2;
    for (unsigned i = lane; i < 256; i += 32)
        left[i] = p.a[i];
    for (unsigned i = lane; i < 128; i += 32) {
        right[i] = p.b[i];
        right[i + 128] = p.b[i];
    }
    if (p.fault != 2)
        __syncthreads();
    unsigned a[4], b[4], skip = p.fault == 1 ? 4 : 0;
    ldmatrix_4(a, left + (lane % 16) * 16 + lane / 16 * 8 + skip);
    if (p.transposed)
        ldmatrix_4_transposed(b, right + lane % 16 * 8);
    else
        ldmatrix_4(b, right + lane % 8 * 16 + lane / 8 % 2 * 8);
    float c[4];
    for (unsigned i = 0; i < 4; i++)
        c[i] = p.c[(group + i / 2 * 8) * 8 + pair + i % 2];
    mma_16x8x16(c, a, b);
    for (unsigned i = 0; i < 4; i++)
        p.d[(group + i / 2 * 8) * 8 + pair + i % 2] = c[i];
}
#endif
