/* rows.cu - what goes row by row, column by column or number by number. All of
 * it costs what it reads and writes, so threads move 16 bytes at once where
 * they can, and a row is read once where its numbers fit registers. How numbers
 * are moved is said in numbers.h, what a norm is in norm.h. Nothing hides a
 * NaN: fmaxf would, so it is not used. */

extern "C" __global__ void embed_rows(const struct embed_rows_params p) {
    size_t row = warp_row(), width = p.width;
    if (row >= p.rows)
        return;
    bool at_once = width % FOUR == 0 && fours(p.words) && fours(p.position) &&
                   fours(p.type) && fours(p.y);
    const narrow *word = p.words + p.ids[row] * width;
    const narrow *position = p.position;
    const narrow *type = p.type;
    if (position)
        position += (p.places[row] >> 1) * width;
    if (type)
        type += (p.places[row] & 1) * width;
    for (unsigned c = lane_column(); c < width; c += FOUR * LANES) {
        unsigned count = p.width - c;
        float v[4];
        load<4>(v, word + c, count, at_once);
        UNROLL
        for (unsigned i = 0; i < 4; i++)
            v[i] *= p.scale;
        add_from<4>(v, type ? type + c : type, count, at_once);
        add_from<4>(v, position ? position + c : position, count, at_once);
        store<4>(p.y + row * width + c, v, count, at_once);
    }
}

/* ---- norms -------------------------------------------------------------- */

extern "C" __global__ void norm_rows(const struct norm_rows_params p) {
    size_t row = p.width <= WARP_WIDTH ? warp_row() : blockIdx.x;
    size_t first = row * p.width;
    if (row >= p.rows)
        return;
    struct norm_row<float> r = {};
    r.x = p.x + first;
    r.residual = p.residual ? p.residual + first : p.residual;
    r.scale = p.scale;
    r.shift = p.shift;
    r.y = p.y ? p.y + first : p.y;
    r.z = p.z ? p.z + first : p.z;
    r.width = p.width;
    r.epsilon = p.epsilon;
    r.rms = p.rms != 0;
    r.at_once = p.width % FOUR == 0 && fours(p.x) && fours(p.residual) &&
                fours(p.scale) && fours(p.shift) && fours(p.y) && fours(p.z);
    if (p.width <= 3 * FOUR * LANES)
        norm_once<LANES, 3>(&r);
    else if (p.width <= WARP_WIDTH)
        norm_once<LANES, WARP_PARTS>(&r);
    else if (p.width <= NORM_HELD_MOST)
        norm_once<ROW_THREADS, BLOCK_PARTS>(&r);
    else
        norm_long<ROW_THREADS>(&r);
}

extern "C" __global__ void norm_heads(const struct norm_heads_params p) {
    size_t piece = warp_row();
    if (piece >= (size_t)p.rows * p.times)
        return;
    struct norm_row<narrow> r = {};
    r.z = p.x + piece / p.times * p.stride + piece % p.times * p.width;
    r.x = r.z;
    r.scale = p.scale;
    r.shift = p.shift;
    r.width = p.width;
    r.epsilon = p.epsilon;
    r.rms = p.rms != 0;
    r.at_once = p.width % FOUR == 0 && p.stride % FOUR == 0 && fours(p.x) &&
                fours(p.scale) && fours(p.shift);
    if (p.width <= 2 * FOUR * LANES)
        norm_once<LANES, 2>(&r);
    else
        norm_long<LANES>(&r);
}

extern "C" __global__ void normalize_rows(
    const struct normalize_rows_params p) {
    size_t row = warp_row();
    if (row >= p.rows)
        return;
    float *x = p.x + row * p.width;
    bool at_once = p.width % FOUR == 0 && fours(p.x);
    double sum = 0;
    float v[4];
    for (unsigned c = lane_column(); c < p.width; c += FOUR * LANES) {
        load<4>(v, x + c, p.width - c, at_once);
        UNROLL
        for (unsigned i = 0; i < 4; i++)
            sum += (double)v[i] * (double)v[i];
    }
    double length = sqrt(warp_sum(sum));
    double factor = 1.0 / (length < 1e-12 ? 1e-12 : length);
    for (unsigned c = lane_column(); c < p.width; c += FOUR * LANES) {
        load<4>(v, x + c, p.width - c, at_once);
        UNROLL
        for (unsigned i = 0; i < 4; i++)
            v[i] = (float)((double)v[i] * factor);
        store<4>(x + c, v, p.width - c, at_once);
    }
}

/* ---- rotary positions --------------------------------------------------- */

/* COUNT pairs (p, p + half), x being at p. */
INLINE void turn_halves(narrow *x, unsigned half, const float cosine[4],
                        const float sine[4], unsigned count, bool at_once) {
    float a[4], b[4];
    load<4>(a, x, count, at_once);
    load<4>(b, x + half, count, at_once);
    UNROLL
    for (unsigned i = 0; i < 4; i++)
        turn(&a[i], &b[i], cosine[i], sine[i]);
    store<4>(x, a, count, at_once);
    store<4>(x + half, b, count, at_once);
}

/* COUNT pairs (2p, 2p + 1), x being at 2p. */
INLINE void turn_neighbours(narrow *x, const float cosine[4],
                            const float sine[4], unsigned count, bool at_once) {
    float v[8];
    load<8>(v, x, 2 * count, at_once);
    UNROLL
    for (unsigned i = 0; i < 4; i++)
        turn(&v[2 * i], &v[2 * i + 1], cosine[i], sine[i]);
    store<8>(x, v, 2 * count, at_once);
}

/* Four pairs a thread. */
extern "C" __global__ void rotate_heads(const struct rotate_heads_params p) {
    size_t row = blockIdx.x, half = p.dims / 2;
    unsigned parts = (unsigned)(half + 3) / 4;
    bool at_once = p.dims % EIGHT == 0 && p.head_dim % EIGHT == 0 &&
                   p.stride % EIGHT == 0 && eights(p.x) && fours(p.cosine) &&
                   fours(p.sine);
    const float *cosine = p.cosine + p.text_rows[row] * half;
    const float *sine = p.sine + p.text_rows[row] * half;
    narrow *x = p.x + row * p.stride;
    for (unsigned i = threadIdx.x; i < p.heads * parts; i += ROW_THREADS) {
        unsigned pair = i % parts * 4, count = (unsigned)half - pair;
        narrow *head = x + i / parts * p.head_dim;
        float c[4], s[4];
        load<4>(c, cosine + pair, count, at_once);
        load<4>(s, sine + pair, count, at_once);
        if (p.interleaved)
            turn_neighbours(head + 2 * pair, c, s, count, at_once);
        else
            turn_halves(head + pair, (unsigned)half, c, s, count, at_once);
    }
}

/* ---- activations -------------------------------------------------------- */

extern "C" __global__ void gate_rows(const struct gate_rows_params p) {
    size_t row = blockIdx.x, width = p.width;
    const narrow *x = p.x + row * 2 * width;
    narrow *y = p.y + row * width;
    bool at_once = width % EIGHT == 0 && eights(p.x) && eights(p.y);
    for (unsigned c = threadIdx.x * EIGHT; c < width;
         c += ROW_THREADS * EIGHT) {
        unsigned count = p.width - c;
        float v[8], by[8];
        load<8>(v, x + c, count, at_once);
        load<8>(by, x + width + c, count, at_once);
        activate(v, p.activation);
        UNROLL
        for (unsigned i = 0; i < 8; i++)
            v[i] = v[i] * by[i] * p.scale;
        store<8>(y + c, v, count, at_once);
    }
}

/* ---- by elements -------------------------------------------------------- */

/* The first of this thread's eight. */
INLINE unsigned long long element() {
    return ((unsigned long long)blockIdx.x * ROW_THREADS + threadIdx.x) * EIGHT;
}

/* How many of the eight there are. */
INLINE unsigned elements(unsigned long long first, unsigned long long count) {
    if (first >= count)
        return 0;
    return count - first < EIGHT ? (unsigned)(count - first) : (unsigned)EIGHT;
}

extern "C" __global__ void activate_narrow(
    const struct activate_narrow_params p) {
    unsigned long long first = element();
    unsigned count = elements(first, p.count);
    bool at_once = count == EIGHT && eights(p.x);
    float v[8];
    load<8>(v, p.x + first, count, at_once);
    activate(v, p.activation);
    store<8>(p.x + first, v, count, at_once);
}

extern "C" __global__ void activate_wide(const struct activate_wide_params p) {
    unsigned long long first = element();
    unsigned count = elements(first, p.count);
    bool at_once =
        count == EIGHT && eights(p.x) && eights(p.residual) && eights(p.y);
    float v[8];
    load<8>(v, p.x + first, count, at_once);
    activate(v, p.activation);
    add_from<8>(v, p.residual ? p.residual + first : p.residual, count,
                at_once);
    store<8>(p.y + first, v, count, at_once);
}

extern "C" __global__ void narrow_numbers(
    const struct narrow_numbers_params p) {
    unsigned long long first = element();
    unsigned count = elements(first, p.count);
    bool at_once = count == EIGHT && eights(p.x) && eights(p.y);
    float v[8];
    load<8>(v, p.x + first, count, at_once);
    store<8>(p.y + first, v, count, at_once);
}

/* ---- many rows into one ------------------------------------------------- */

/* Rows [first, rows) of one column. */
struct column {
    const float *x;
    size_t width;
    unsigned first, rows;
};

INLINE float column_mean(const struct column *c, bool weighted,
                         double divisor) {
    double sum = 0;
    for (unsigned r = c->first; r < c->rows; r++) {
        double x = (double)c->x[r * c->width];
        sum += weighted ? (double)(r + 1) * x : x;
    }
    return (float)(sum / divisor);
}

/* A NaN wins, and then nothing is greater. */
INLINE float greater(float a, float b) {
    return b > a || b != b ? b : a;
}

INLINE float column_max(const struct column *c) {
    float most = c->x[c->first * c->width];
    for (unsigned r = c->first + 1; r < c->rows; r++)
        most = greater(most, c->x[r * c->width]);
    return most;
}

/* There is at least one row. */
INLINE float column_pool(const struct column *c, unsigned pooling) {
    double all = (double)c->rows, skipped = (double)c->first;
    double count = all - skipped;
    switch (pooling) {
    case PARAM_POOLING_CLS:
        return c->x[c->first * c->width];
    case PARAM_POOLING_LAST:
        return c->x[(c->rows - 1) * c->width];
    case PARAM_POOLING_MEAN:
        return column_mean(c, false, count);
    case PARAM_POOLING_MEAN_SQRT:
        return column_mean(c, false, sqrt(count));
    case PARAM_POOLING_WEIGHTED_MEAN:
        return column_mean(c, true,
                           (all * (all + 1) - skipped * (skipped + 1)) / 2);
    default:
        return column_max(c);
    }
}

extern "C" __global__ void pool_rows(const struct pool_rows_params p) {
    unsigned column = blockIdx.y * ROW_THREADS + threadIdx.x;
    size_t text = blockIdx.x, start = p.starts[text];
    if (column >= p.width)
        return;
    struct column c = {p.x + start * p.width + column, p.width, p.skip,
                       p.starts[text + 1] - p.starts[text]};
    if (c.first >= c.rows && p.pooling == PARAM_POOLING_CLS)
        c.first = 0;
    p.y[text * p.stride + column] =
        c.first < c.rows ? column_pool(&c, p.pooling) : 0.0f;
}

/* A sum, and what its additions have rounded away. */
struct sum {
    float y, lost;
};

/* Infinity loses nothing: infinity less itself would be a NaN. */
INLINE struct sum added(struct sum s, float x) {
    float more = x - s.lost, y = s.y + more;
    return {y, y < as_float(0x7f800000u) ? (y - s.y) - more : 0.0f};
}

INLINE struct sum accumulated(struct sum s, float x, unsigned how) {
    switch (how) {
    case PARAM_ACCUMULATE_SUM:
        return added(s, at_least_zero(x));
    case PARAM_ACCUMULATE_SUM_LOG1P:
        return added(s, log1pf(at_least_zero(x)));
    default:
        return {greater(s.y, x), 0.0f};
    }
}

/* So many rows are on their way at once. */
enum { AHEAD = 8 };

extern "C" __global__ void accumulate_rows(
    const struct accumulate_rows_params p) {
    unsigned column = blockIdx.x * ROW_THREADS + threadIdx.x, r = 0;
    if (column >= p.width)
        return;
    const float *x = p.x + column;
    struct sum s = {p.first ? 0.0f : p.y[column],
                    p.first || !p.lost ? 0.0f : p.lost[column]};
    for (; r + AHEAD <= p.rows; r += AHEAD) {
        float next[AHEAD];
        UNROLL
        for (unsigned i = 0; i < AHEAD; i++)
            next[i] = x[(size_t)(r + i) * p.width];
        UNROLL
        for (unsigned i = 0; i < AHEAD; i++)
            s = accumulated(s, next[i], p.how);
    }
    for (; r < p.rows; r++)
        s = accumulated(s, x[(size_t)r * p.width], p.how);
    p.y[column] = s.y;
    if (p.lost)
        p.lost[column] = s.lost;
}

/* ---- experts ------------------------------------------------------------ */

/* The greatest of those that are not yet TAKEN, the first of equal ones. With a
 * NaN among them all weights are NaN, and any choice is as good. */
INLINE unsigned greatest(const float *scores, unsigned count,
                         unsigned long long taken) {
    unsigned best = count;
    for (unsigned e = 0; e < count; e++)
        if (!(taken >> e & 1) && (best == count || scores[e] > scores[best]))
            best = e;
    return best;
}

extern "C" __global__ void route_rows(const struct route_rows_params p) {
    size_t row = (size_t)blockIdx.x * ROW_THREADS + threadIdx.x;
    if (row >= p.rows)
        return;
    const float *scores = p.scores + row * p.count;
    float *weights = p.weights + row * p.count;
    float most = scores[greatest(scores, p.count, 0)], mass = 0;
    for (unsigned e = 0; e < p.count; e++)
        mass += expf(scores[e] - most);
    unsigned long long taken = 0;
    for (unsigned i = 0; i < p.chosen; i++)
        taken |= 1ull << greatest(scores, p.count, taken);
    for (unsigned e = 0; e < p.count; e++)
        weights[e] = taken >> e & 1 ? expf(scores[e] - most) / mass : 0.0f;
}

/* Rows of 8 neighbours that are the expert's, as bits. */
INLINE unsigned rows_of(const struct list_rows_params *p, size_t first) {
    unsigned bits = 0;
    UNROLL
    for (unsigned i = 0; i < EIGHT; i++)
        if (first + i < p->rows &&
            p->weights[(first + i) * p->count + blockIdx.x] != 0.0f)
            bits |= 1u << i;
    return bits;
}

/* The block's COUNTs of threads, summed up: of all in *TOTAL, returned are
 * those of the threads before this one. TURN as for row_sum. */
INLINE unsigned counts_before(unsigned count, unsigned turn, unsigned *total) {
    SHARED(unsigned, warps, 2 * ROW_WARPS);
    unsigned *mine = warps + turn * ROW_WARPS, sum = count;
    UNROLL
    for (unsigned distance = 1; distance < LANES; distance *= 2) {
        unsigned other = __shfl_up_sync(0xffffffffu, sum, distance);
        sum += threadIdx.x % LANES >= distance ? other : 0;
    }
    if (threadIdx.x % LANES == LANES - 1)
        mine[threadIdx.x / LANES] = sum;
    __syncthreads();
    *total = 0;
    UNROLL
    for (unsigned warp = 0; warp < ROW_WARPS; warp++) {
        if (warp == threadIdx.x / LANES)
            sum += *total;
        *total += mine[warp];
    }
    return sum - count;
}

extern "C" __global__ void list_rows(const struct list_rows_params p) {
    const size_t step = (size_t)ROW_THREADS * EIGHT;
    unsigned *list = p.list + (size_t)blockIdx.x * p.rows;
    unsigned known = 0, turn = 0;
    for (size_t base = 0; base < p.rows; base += step, turn ^= 1) {
        size_t first = base + threadIdx.x * EIGHT;
        unsigned bits = rows_of(&p, first), total;
        unsigned at =
            known + counts_before((unsigned)__popc(bits), turn, &total);
        UNROLL
        for (unsigned i = 0; i < EIGHT; i++)
            if (bits >> i & 1)
                list[at++] = (unsigned)(first + i);
        known += total;
    }
    if (threadIdx.x == 0)
        p.counts[blockIdx.x] = known;
}

extern "C" __global__ void gather_rows(const struct gather_rows_params p) {
    size_t row = warp_row(), width = p.width;
    if (row >= p.rows)
        return;
    const narrow *x = p.x + p.list[row] * width;
    narrow *y = p.y + row * width;
    bool at_once = width % EIGHT == 0 && eights(p.x) && eights(p.y);
    for (unsigned c = threadIdx.x % LANES * EIGHT; c < width;
         c += EIGHT * LANES) {
        float v[8];
        load<8>(v, x + c, p.width - c, at_once);
        store<8>(y + c, v, p.width - c, at_once);
    }
}

extern "C" __global__ void begin_experts(const struct begin_experts_params p) {
    size_t row = warp_row(), first = row * p.width;
    if (row >= p.rows)
        return;
    bool at_once = p.width % FOUR == 0 && fours(p.residual) && fours(p.shift) &&
                   fours(p.y);
    for (unsigned c = lane_column(); c < p.width; c += FOUR * LANES) {
        unsigned count = p.width - c;
        float y[4] = {0};
        add_from<4>(y, p.shift ? p.shift + c : p.shift, count, at_once);
        add_from<4>(y, p.residual ? p.residual + first + c : p.residual, count,
                    at_once);
        store<4>(p.y + first + c, y, count, at_once);
    }
}

extern "C" __global__ void add_expert(const struct add_expert_params p) {
    size_t row = warp_row();
    if (row >= p.rows)
        return;
    const float *x = p.x + row * p.width;
    size_t to = p.list[row];
    float weight = p.weights[to * p.count + p.expert];
    float *y = p.y + to * p.width;
    bool at_once = p.width % FOUR == 0 && fours(p.x) && fours(p.y);
    for (unsigned c = lane_column(); c < p.width; c += FOUR * LANES) {
        float v[4], sum[4];
        load<4>(v, x + c, p.width - c, at_once);
        load<4>(sum, y + c, p.width - c, at_once);
        UNROLL
        for (unsigned i = 0; i < 4; i++)
            sum[i] = fmaf(weight, v[i], sum[i]);
        store<4>(y + c, sum, p.width - c, at_once);
    }
}
