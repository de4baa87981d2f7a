/* fp8.cu - rows into e4m3, and what cuBLASLt makes of them back into numbers;
 * and where e4m3 is what comes next, both at once. Of bf16's modules (NARROW
 * 2), on cards from sm_89 on. Nothing hides a NaN.
 *
 * Widths are multiples of 16 and pointers of 16 bytes, so all is moved at once.
 */

#if KERNEL_ARCH < 89 && !defined EMULATED
#error "e4m3 needs a card of compute capability 8.9 or newer"
#endif

/* ---- into e4m3 ---------------------------------------------------------- */

/* A NaN wins, and then nothing is larger. */
INLINE float larger(float a, float b) {
    return b > a || b != b ? b : a;
}

/* Of N numbers and MOST the greatest size. */
template <unsigned N> INLINE float most_of(float most, const float *v) {
    UNROLL
    for (unsigned i = 0; i < N; i++)
        most = larger(most, fabsf(v[i]));
    return most;
}

/* The greatest of all of THREADS' numbers, in each of them; once a block. */
template <unsigned THREADS> INLINE float row_most(float most) {
    UNROLL
    for (int distance = LANES / 2; distance > 0; distance /= 2)
        most = larger(most, __shfl_xor_sync(0xffffffffu, most, distance));
    if (THREADS == LANES)
        return most;
    SHARED(float, warps, THREADS / LANES);
    warps[threadIdx.x / LANES] = most;
    __syncthreads();
    UNROLL
    for (unsigned i = 0; i < THREADS / LANES; i++)
        most = larger(most, warps[i]);
    return most;
}

/* Where the codes of row ROW begin. */
INLINE unsigned char *code_row(void *rows, size_t row, unsigned width) {
    return (unsigned char *)rows + row * E4M3_ROW_BYTES(width);
}

/* What a row's numbers are multiplied by; FIRST of its threads says how that is
 * undone. */
INLINE float code_factor(unsigned char *row, unsigned width, float most,
                         bool first) {
    if (first)
        *(float *)(row + width) = most / E4M3_MOST;
    return E4M3_MOST / most;
}

INLINE unsigned code4(const float v[4], float factor) {
    float scaled[4];
    UNROLL
    for (unsigned i = 0; i < 4; i++)
        scaled[i] = v[i] * factor;
    return pack4_e4m3(scaled);
}

INLINE void code8(unsigned char *to, const float v[8], float factor) {
    unsigned words[2] = {code4(v, factor), code4(v + 4, factor)};
    store_words2(to, words);
}

extern "C" __global__ void quantize_rows(const struct quantize_rows_params p) {
    size_t row = warp_row();
    unsigned lane = threadIdx.x % LANES;
    if (row >= p.rows)
        return;
    const narrow *x = p.x + (p.list ? p.list[row] : row) * p.width;
    unsigned char *codes = code_row(p.codes, row, p.width);
    float most = E4M3_LEAST, v[8];
    for (unsigned c = lane * EIGHT; c < p.width; c += EIGHT * LANES) {
        load<8>(v, x + c, EIGHT, true);
        most = most_of<8>(most, v);
    }
    most = row_most<LANES>(most);
    float factor = code_factor(codes, p.width, most, lane == 0);
    for (unsigned c = lane * EIGHT; c < p.width; c += EIGHT * LANES) {
        load<8>(v, x + c, EIGHT, true);
        code8(codes + c, v, factor);
    }
}

/* ---- norms of rows into e4m3 -------------------------------------------- */

template <unsigned THREADS, unsigned PARTS>
INLINE void norm_code(const struct norm_row<float> *r, unsigned char *codes) {
    const unsigned first = row_column<THREADS>(), step = FOUR * THREADS;
    float v[PARTS][4] = {}, most = E4M3_LEAST;
    norm_held<THREADS, PARTS>(r, v);
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        if (norm_left(r, first + k * step))
            most = most_of<4>(most, v[k]);
    most = row_most<THREADS>(most);
    float factor = code_factor(codes, r->width, most, first == 0);
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        if (norm_left(r, first + k * step))
            *(unsigned *)(codes + first + k * step) = code4(v[k], factor);
}

extern "C" __global__ void norm_e4m3(const struct norm_e4m3_params p) {
    size_t row = p.width <= WARP_WIDTH ? warp_row() : blockIdx.x;
    size_t first = row * p.width;
    if (row >= p.rows)
        return;
    unsigned char *codes = code_row(p.codes, row, p.width);
    struct norm_row<float> r = {};
    r.x = p.x + first;
    r.residual = p.residual ? p.residual + first : p.residual;
    r.scale = p.scale;
    r.shift = p.shift;
    r.y = p.y ? p.y + first : p.y;
    r.width = p.width;
    r.epsilon = p.epsilon;
    r.rms = p.rms != 0;
    r.at_once = true;
    if (p.width <= 3 * FOUR * LANES)
        norm_code<LANES, 3>(&r, codes);
    else if (p.width <= WARP_WIDTH)
        norm_code<LANES, WARP_PARTS>(&r, codes);
    else
        norm_code<ROW_THREADS, BLOCK_PARTS>(&r, codes);
}

/* ---- and back ----------------------------------------------------------- */

/* Eight numbers of what may be 0 throughout. */
INLINE void load_bias(float v[8], const float *bias, unsigned column) {
    UNROLL
    for (unsigned i = 0; i < 8; i++)
        v[i] = 0.0f;
    if (bias)
        load<8>(v, bias + column, EIGHT, true);
}

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
    load<8>(part->scales, scales + part->column, EIGHT, true);
    load_bias(part->bias, bias, part->column);
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
        load<8>(v, y, EIGHT, true);
        scale8(v, &part, p.row_scales[row * p.stride], p.activation);
        store<8>(y, v, EIGHT, true);
    }
}

extern "C" __global__ void scale_wide(const struct scale_wide_params p) {
    struct scale_part part;
    if (!scale_part_of(&part, p.scales, p.bias, p.rows, p.width))
        return;
    UNROLL
    for (unsigned i = 0; i < SCALE_ROWS; i++) {
        size_t row = part.row + i, at = row * p.width + part.column;
        float v[8];
        if (row >= p.rows)
            return;
        load<8>(v, p.x + at, EIGHT, true);
        scale8(v, &part, p.row_scales[row * p.stride], p.activation);
        add_from<8>(v, p.residual ? p.residual + at : p.residual, EIGHT, true);
        store<8>(p.y + at, v, EIGHT, true);
    }
}

/* ---- and into e4m3 again ------------------------------------------------ */

/* Eight products as numbers: those of row ROW of all in column C on. */
INLINE void scaled8(float v[8], const narrow *products, const float *scales,
                    const float *bias, float row_scale, unsigned c) {
    float scale[8], add[8];
    load<8>(v, products + c, EIGHT, true);
    load<8>(scale, scales + c, EIGHT, true);
    load_bias(add, bias, c);
    UNROLL
    for (unsigned i = 0; i < 8; i++)
        v[i] = v[i] * (row_scale * scale[i]) + add[i];
}

/* V is what of a row is this thread's: all of the block have been read before
 * any is written. */
template <unsigned PARTS>
INLINE void code_held(const float v[PARTS][8], unsigned width,
                      unsigned char *codes) {
    const unsigned first = threadIdx.x * EIGHT, step = CODE_THREADS * EIGHT;
    float most = E4M3_LEAST;
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        if (first + k * step < width)
            most = most_of<8>(most, v[k]);
    most = row_most<CODE_THREADS>(most);
    float factor = code_factor(codes, width, most, threadIdx.x == 0);
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        if (first + k * step < width)
            code8(codes + first + k * step, v[k], factor);
}

template <unsigned PARTS>
INLINE void scale_held(const struct scale_e4m3_params *p) {
    const unsigned first = threadIdx.x * EIGHT, step = CODE_THREADS * EIGHT;
    size_t row = blockIdx.x;
    float row_scale = p->row_scales[row * p->stride], v[PARTS][8];
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        if (first + k * step < p->width) {
            scaled8(v[k], p->y + row * p->width, p->scales, p->bias, row_scale,
                    first + k * step);
            activate(v[k], p->activation);
        }
    code_held<PARTS>(v, p->width, code_row(p->y, row, p->width));
}

extern "C" __global__ void __launch_bounds__(CODE_THREADS)
    scale_e4m3(const struct scale_e4m3_params p) {
    if (p.width <= CODE_HELD_FEW)
        scale_held<CODE_HELD_FEW / (CODE_THREADS * EIGHT)>(&p);
    else
        scale_held<CODE_HELD_MOST / (CODE_THREADS * EIGHT)>(&p);
}

template <unsigned PARTS>
INLINE void gate_held(const struct gate_e4m3_params *p) {
    const unsigned first = threadIdx.x * EIGHT, step = CODE_THREADS * EIGHT;
    const unsigned width = p->width;
    size_t row = blockIdx.x;
    const narrow *x = p->x + row * 2 * width;
    float row_scale = p->row_scales[row * p->stride], v[PARTS][8], by[8];
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        if (first + k * step < width) {
            scaled8(v[k], x, p->scales, p->bias, row_scale, first + k * step);
            scaled8(by, x, p->scales, p->bias, row_scale,
                    width + first + k * step);
            activate(v[k], p->activation);
            UNROLL
            for (unsigned i = 0; i < 8; i++)
                v[k][i] *= by[i];
        }
    code_held<PARTS>(v, width, code_row(p->codes, row, width));
}

extern "C" __global__ void __launch_bounds__(CODE_THREADS)
    gate_e4m3(const struct gate_e4m3_params p) {
    if (p.width <= CODE_HELD_FEW)
        gate_held<CODE_HELD_FEW / (CODE_THREADS * EIGHT)>(&p);
    else
        gate_held<CODE_HELD_MOST / (CODE_THREADS * EIGHT)>(&p);
}
