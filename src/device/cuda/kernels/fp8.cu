/* fp8.cu - rows into e4m3, and what cuBLASLt makes of them back into numbers.
 * Of bf16's modules (NARROW 2), on cards from sm_89 on. Nothing hides a NaN. */

#if KERNEL_ARCH < 89 && !defined EMULATED
#error "e4m3 needs a card of compute capability 8.9 or newer"
#endif

enum { EIGHT = NUMBERS_AT_ONCE, LANES = 32 };

/* ---- eight neighbours --------------------------------------------------- */

INLINE void load8(float v[8], const float *from) {
    unsigned words[8];
    load_words4(words, from);
    load_words4(words + 4, from + 4);
    UNROLL
    for (unsigned i = 0; i < 8; i++)
        v[i] = as_float(words[i]);
}

INLINE void load8(float v[8], const narrow *from) {
    unsigned words[4];
    load_words4(words, from);
    UNROLL
    for (unsigned i = 0; i < 4; i++)
        unpack2(words[i], &v[2 * i], &v[2 * i + 1]);
}

INLINE void store8(float *to, const float v[8]) {
    unsigned words[8];
    UNROLL
    for (unsigned i = 0; i < 8; i++)
        words[i] = as_word(v[i]);
    store_words4(to, words);
    store_words4(to + 4, words + 4);
}

INLINE void store8(narrow *to, const float v[8]) {
    unsigned words[4];
    UNROLL
    for (unsigned i = 0; i < 4; i++)
        words[i] = pack2(v[2 * i], v[2 * i + 1]);
    store_words4(to, words);
}

/* ---- into e4m3 ---------------------------------------------------------- */

/* A NaN wins, and then nothing is larger. */
INLINE float larger(float a, float b) {
    return b > a || b != b ? b : a;
}

/* The greatest size of a row's numbers, in all lanes. */
INLINE float row_most(const narrow *x, unsigned first, unsigned width) {
    float most = E4M3_LEAST;
    for (unsigned c = first; c < width; c += EIGHT * LANES) {
        float v[8];
        load8(v, x + c);
        UNROLL
        for (unsigned i = 0; i < 8; i++)
            most = larger(most, fabsf(v[i]));
    }
    UNROLL
    for (int distance = LANES / 2; distance > 0; distance /= 2)
        most = larger(most, __shfl_xor_sync(0xffffffffu, most, distance));
    return most;
}

extern "C" __global__ void quantize_rows(const struct quantize_rows_params p) {
    size_t row = (size_t)blockIdx.x * ROW_WARPS + threadIdx.x / LANES;
    unsigned lane = threadIdx.x % LANES;
    if (row >= p.rows)
        return;
    const narrow *x = p.x + row * p.width;
    float most = row_most(x, lane * EIGHT, p.width);
    float factor = E4M3_MOST / most;
    if (lane == 0)
        p.scales[row] = most / E4M3_MOST;
    for (unsigned c = lane * EIGHT; c < p.width; c += EIGHT * LANES) {
        float v[8];
        load8(v, x + c);
        UNROLL
        for (unsigned i = 0; i < 8; i++)
            v[i] *= factor;
        unsigned words[2] = {pack4_e4m3(v), pack4_e4m3(v + 4)};
        store_words2(p.codes + row * p.width + c, words);
    }
}

/* ---- and back ----------------------------------------------------------- */

/* The columns that a thread has, and its first row. */
struct scale_part {
    size_t row;
    unsigned column;
    float scales[8], bias[8];
};

/* False: there is nothing left for it. */
INLINE bool scale_part_of(struct scale_part *part, const float *scales,
                          const float *bias, unsigned rows, unsigned width) {
    size_t index = (size_t)blockIdx.x * ROW_THREADS + threadIdx.x;
    unsigned parts = width / EIGHT;
    part->row = index / parts * SCALE_ROWS;
    part->column = (unsigned)(index % parts) * EIGHT;
    if (part->row >= rows)
        return false;
    load8(part->scales, scales + part->column);
    UNROLL
    for (unsigned i = 0; i < 8; i++)
        part->bias[i] = 0.0f;
    if (bias)
        load8(part->bias, bias + part->column);
    return true;
}

INLINE void scale8(float v[8], const struct scale_part *part, float row_scale,
                   unsigned activation) {
    UNROLL
    for (unsigned i = 0; i < 8; i++)
        v[i] = v[i] * (row_scale * part->scales[i]) + part->bias[i];
    activate(v, activation);
}

extern "C" __global__ void scale_narrow(const struct scale_narrow_params p) {
    struct scale_part part;
    if (!scale_part_of(&part, p.scales, p.bias, p.rows, p.width))
        return;
    UNROLL
    for (unsigned i = 0; i < SCALE_ROWS; i++) {
        size_t row = part.row + i;
        narrow *y = p.y + row * p.width + part.column;
        float v[8];
        if (row >= p.rows)
            return;
        load8(v, y);
        scale8(v, &part, p.row_scales[row], p.activation);
        store8(y, v);
    }
}

extern "C" __global__ void scale_wide(const struct scale_wide_params p) {
    struct scale_part part;
    if (!scale_part_of(&part, p.scales, p.bias, p.rows, p.width))
        return;
    UNROLL
    for (unsigned i = 0; i < SCALE_ROWS; i++) {
        size_t row = part.row + i, at = row * p.width + part.column;
        float v[8], add[8];
        if (row >= p.rows)
            return;
        load8(v, p.x + at);
        scale8(v, &part, p.row_scales[row], p.activation);
        if (p.residual) {
            load8(add, p.residual + at);
            UNROLL
            for (unsigned k = 0; k < 8; k++)
                v[k] += add[k];
        }
        store8(p.y + at, v);
    }
}
