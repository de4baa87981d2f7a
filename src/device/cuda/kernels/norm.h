/* norm.h - norms of rows by a warp or a block; before every kernel file, behind
 * numbers.h.
 *
 * Which numbers of a row a lane has, and so the order of a sum, follows from
 * the width alone: a lane has four neighbours in every 128, whether they can be
 * moved at once or not. Nothing hides a NaN: fmaxf would, so it is not used. */

/* One row of T; what is not there is 0. */
template <class T> struct norm_row {
    const T *x;
    const float *residual, *scale, *shift;
    float *y;
    narrow *z;
    unsigned width;
    float epsilon;
    bool rms, at_once;
};

/* THREADS, a warp or the block, have a row: its first number of a thread. */
template <unsigned THREADS> INLINE unsigned row_column() {
    return threadIdx.x % THREADS * FOUR;
}

/* The same bits in all threads. TURN: 0 and 1 by turns, so that one barrier a
 * sum is enough. */
template <unsigned THREADS> INLINE float row_sum(float x, unsigned turn) {
    x = warp_sum(x);
    if (THREADS == LANES)
        return x;
    SHARED(float, warps, 2 * ROW_WARPS);
    float *mine = warps + turn * ROW_WARPS;
    mine[threadIdx.x / LANES] = x;
    __syncthreads();
    return (mine[0] + mine[1]) + (mine[2] + mine[3]);
}

/* Four chains of sums of x - from, or of its square. */
INLINE void norm_add(float sums[4], const float v[4], unsigned count,
                     float from, bool square) {
    UNROLL
    for (unsigned i = 0; i < 4; i++) {
        float d = i < count ? v[i] - from : 0.0f;
        sums[i] += square ? d * d : d;
    }
}

template <unsigned THREADS>
INLINE float norm_mean(const float sums[4], unsigned width, unsigned turn) {
    float sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    return row_sum<THREADS>(sum, turn) / (float)width;
}

/* An infinite variance of finite numbers would make zeros of them. */
INLINE float norm_factor(float variance, float epsilon) {
    return 1.0f / sqrtf(variance + epsilon) + (variance - variance);
}

template <class T>
INLINE void norm_scale(const struct norm_row<T> *r, unsigned c, float v[4],
                       float mean, float factor) {
    float with[4];
    UNROLL
    for (unsigned i = 0; i < 4; i++)
        v[i] = (v[i] - mean) * factor;
    if (r->scale) {
        load<4>(with, r->scale + c, r->width - c, r->at_once);
        UNROLL
        for (unsigned i = 0; i < 4; i++)
            v[i] *= with[i];
    }
    add_from<4>(v, r->shift ? r->shift + c : r->shift, r->width - c,
                r->at_once);
}

template <class T>
INLINE void norm_store(const struct norm_row<T> *r, unsigned c, float v[4],
                       const float add[4]) {
    UNROLL
    for (unsigned i = 0; i < 4; i++)
        v[i] += add[i];
    if (r->y)
        store<4>(r->y + c, v, r->width - c, r->at_once);
    if (r->z)
        store<4>(r->z + c, v, r->width - c, r->at_once);
}

/* How many of a row's numbers there are from C on. */
template <class T>
INLINE unsigned norm_left(const struct norm_row<T> *r, unsigned c) {
    return c < r->width ? r->width - c : 0;
}

/* The end of PARTS parts, the first of them at C. All of the residual that they
 * need is on its way before anything is written, which it might overlap. */
template <unsigned THREADS, unsigned PARTS, class T>
INLINE void norm_end(const struct norm_row<T> *r, unsigned c, float v[][4],
                     float mean, float factor) {
    const unsigned step = FOUR * THREADS;
    float add[PARTS][4] = {};
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        if (r->residual && norm_left(r, c + k * step))
            load<4>(add[k], r->residual + c + k * step,
                    norm_left(r, c + k * step), r->at_once);
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        if (norm_left(r, c + k * step))
            norm_scale(r, c + k * step, v[k], mean, factor);
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        if (norm_left(r, c + k * step))
            norm_store(r, c + k * step, v[k], add[k]);
}

enum {
    WARP_PARTS = WARP_WIDTH / (FOUR * LANES),
    BLOCK_PARTS = NORM_HELD_MOST / (FOUR * ROW_THREADS)
};

/* A row of at most FOUR * THREADS * PARTS numbers, which is read once. V, zeros
 * before, is what of it is this thread's. */
template <unsigned THREADS, unsigned PARTS, class T>
INLINE void norm_held(const struct norm_row<T> *r, float v[PARTS][4]) {
    const unsigned c = row_column<THREADS>(), step = FOUR * THREADS;
    const unsigned some = PARTS % 4 ? PARTS : 4;
    float sums[4] = {}, squares[4] = {};
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        if (norm_left(r, c + k * step))
            load<4>(v[k], r->x + c + k * step, norm_left(r, c + k * step),
                    r->at_once);
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        norm_add(sums, v[k], norm_left(r, c + k * step), 0, false);
    float mean = r->rms ? 0.0f : norm_mean<THREADS>(sums, r->width, 0);
    UNROLL
    for (unsigned k = 0; k < PARTS; k++)
        norm_add(squares, v[k], norm_left(r, c + k * step), mean, true);
    float factor =
        norm_factor(norm_mean<THREADS>(squares, r->width, 1), r->epsilon);
    UNROLL
    for (unsigned k = 0; k < PARTS; k += some)
        norm_end<THREADS, some>(r, c + k * step, v + k, mean, factor);
}

template <unsigned THREADS, unsigned PARTS, class T>
INLINE void norm_once(const struct norm_row<T> *r) {
    float v[PARTS][4] = {};
    norm_held<THREADS, PARTS>(r, v);
}

template <unsigned THREADS, class T>
INLINE float norm_read(const struct norm_row<T> *r, float from, bool square) {
    float sums[4] = {};
    for (unsigned c = row_column<THREADS>(); c < r->width;
         c += FOUR * THREADS) {
        float v[4];
        load<4>(v, r->x + c, r->width - c, r->at_once);
        norm_add(sums, v, r->width - c, from, square);
    }
    return norm_mean<THREADS>(sums, r->width, square);
}

/* Any row, read two or three times. */
template <unsigned THREADS, class T>
INLINE void norm_long(const struct norm_row<T> *r) {
    float mean = r->rms ? 0.0f : norm_read<THREADS>(r, 0, false);
    float factor = norm_factor(norm_read<THREADS>(r, mean, true), r->epsilon);
    for (unsigned c = row_column<THREADS>(); c < r->width;
         c += FOUR * THREADS) {
        float v[4], add[4] = {};
        load<4>(v, r->x + c, r->width - c, r->at_once);
        if (r->residual)
            load<4>(add, r->residual + c, r->width - c, r->at_once);
        norm_scale(r, c, v, mean, factor);
        norm_store(r, c, v, add);
    }
}
