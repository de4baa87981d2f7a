/* attention.cu - attention by tensor cores: f16 or bf16, sums in f32.
 *
 * As FlashAttention-2 does it (Dao 2023): a block has TILE_QUERIES queries of
 * one text and head, a warp 16 of them. It takes the keys that they see by
 * tiles of KEYS, with the online softmax (Milakov and Gimelshein 2018): scores,
 * weights and results stay in registers, where what mma gives out of Q K^T is
 * already laid out as what it takes for the product with V. There is no matrix
 * of scores in memory.
 *
 * While Q K^T is computed V comes in, and while the softmax and the product
 * with V are, the next K does: two tiles are enough, and one synchronization
 * for each of the two. Q comes by V's place and stays in registers; for heads
 * wider than 128, which leave no room there, it has a place of its own and is
 * read again for each tile.
 *
 * With FEATURE_ROTARY a warp turns its 16 queries where they lie, before it
 * takes them, and where it is told to the only tile of keys; cuda_attention.c
 * says why not every one.
 *
 * Rows in shared memory are HEAD_DIM numbers in pieces of 16 bytes, which lie
 * in another order in each row, so that the same piece of 8 rows (what ldmatrix
 * reads) lies in 32 different banks. Columns from head_dim on are zeros.
 *
 * Scores are in units of log 2, since the card has 2^x. All sums depend on the
 * text alone.
 *
 * Not measured yet on a card; to be asked there first: blocks a multiprocessor
 * for HEAD_DIM 64 (registers allow 3 or 4) against a tile of 128 queries;
 * on sm_75, whether loading the next tile into registers early pays, since it
 * has no asynchronous copies; whether skipping the rescaling of sums where no
 * maximum grew pays for its branch; on sm_90, wgmma. */

enum {
    /* Fewer where the compiler would run out of registers. */
    KEYS = KERNEL_ARCH < 80 && HEAD_DIM > 192 ? 16 : (int)ATTEND_KEYS(HEAD_DIM),
    PIECES = HEAD_DIM / 8,     /* of a row */
    SIDE = PIECES % 8 ? 4 : 8, /* threads that copy a row, side by side */
    STEPS = HEAD_DIM / 16,     /* of mma over the columns of Q and K */
    Q_STAYS = HEAD_DIM <= 128  /* in registers */
};

/* Blocks that a multiprocessor is to have room for, which bounds a thread's
 * registers: as many as cost no spills. */
#define CRAMPED                                                                \
    (FEATURES % FEATURE_ROTARY > FEATURE_KEYS ? 2 : FEATURES ? 3 : 4)
/* From sm_100 on NVRTC 12 asks for more than 13 does, and 13 does for ALiBi. */
#if defined EMULATED || __CUDACC_VER_MAJOR__ > 12
#define NEW_CRAMPED ((FEATURES & FEATURE_SLOPES) != 0)
#else
#define NEW_CRAMPED true
#endif
#define WIDE_CRAMPED                                                           \
    (KERNEL_ARCH < 80 || KERNEL_ARCH == 90 ||                                  \
     (KERNEL_ARCH >= 100 && NEW_CRAMPED))
#define BLOCKS                                                                 \
    (HEAD_DIM <= 32     ? 4                                                    \
     : HEAD_DIM > 96    ? 2                                                    \
     : HEAD_DIM > 64    ? (WIDE_CRAMPED ? 2 : 3)                               \
     : KERNEL_ARCH < 80 ? CRAMPED                                              \
                        : (KERNEL_ARCH >= 90 ? 3 : 4))

#if (KERNEL_ARCH >= 80 && HEAD_DIM < 256) || defined EMULATED
#define UNROLL_COPIES UNROLL
#else
#define UNROLL_COPIES _Pragma("unroll 2") /* or they take registers */
#endif

#if HEAD_DIM < 256 || defined EMULATED
#define UNROLL_STEPS UNROLL
#else
#define UNROLL_STEPS _Pragma("unroll 4") /* all of it asks for too much */
#endif

#define NOTHING as_float(0xff800000u) /* minus infinity */
#define LOG2_E  1.4426950408889634f

/* The block's shared memory. */
struct tiles {
    narrow *q, *k, *v; /* [.., HEAD_DIM], in pieces; q may be v */
    float *distances;  /* [TILE_QUERIES + TILE_KEYS]: of key j from query i of
                          the tiles, at j - i + TILE_QUERIES - 1 */
};

/* A thread's part: of two rows of its warp's 16, 8 apart, every fourth pair of
 * numbers. */
struct work {
    struct attention_place place;
    unsigned warp_row; /* of the tile: the warp's first */
    unsigned pair;     /* 0, 2, 4, 6: the thread's first of 8 numbers */
    unsigned row;      /* of the text: its first row */
    unsigned q[Q_STAYS ? STEPS : 1][4];
    float sums[PIECES][4];
    float most[2], mass[2]; /* of scores so far */
};

/* ---- shared memory ------------------------------------------------------ */

/* PIECES is 4, 8, 12, 16, 24 or 32: of 8 rows that follow each other, 8 or only
 * 2 begin in the same bank. */
INLINE narrow *piece_of(narrow *tile, unsigned row, unsigned piece) {
    unsigned other = PIECES % 8 == 0 ? row % 8 : row / 2 % 4;
    return tile + (row * PIECES + (piece ^ other)) * 8;
}

/* Where rows cannot be read by pieces. */
INLINE void load_numbers(const struct attend_params *p, const struct work *w,
                         const narrow *from, unsigned first, unsigned count,
                         narrow *tile) {
    for (unsigned i = threadIdx.x; i < count * HEAD_DIM; i += ATTEND_THREADS) {
        unsigned row = i / HEAD_DIM, column = i % HEAD_DIM;
        bool there = first + row < w->place.length && column < p->head_dim;
        piece_of(tile, row, column / 8)[column % 8] =
            there ? from[(unsigned long long)row * w->place.stride + column]
                  : round_narrow(0);
    }
}

/* Begin to copy COUNT rows of a head of qkv from row FIRST of the text on;
 * zeros where the text or the head ends. */
INLINE void load_rows(const struct attend_params *p, const struct work *w,
                      unsigned part, unsigned first, unsigned count,
                      narrow *tile) {
    const struct attention_place *place = &w->place;
    const narrow *from = p->qkv + attention_at(p, place, first, part);
    if (FEATURES & FEATURE_UNEVEN) {
        load_numbers(p, w, from, first, count, tile);
        return;
    }
    from += (unsigned long long)(threadIdx.x / SIDE) * place->stride;
    UNROLL_COPIES
    for (unsigned i = 0; i < count; i += ATTEND_THREADS / SIDE) {
        unsigned row = i + threadIdx.x / SIDE;
        bool there = first + row < place->length;
        UNROLL
        for (unsigned n = 0; n < PIECES; n += SIDE) {
            unsigned piece = n + threadIdx.x % SIDE;
            copy16_async_if(piece_of(tile, row, piece), from + piece * 8,
                            there && piece * 8 < p->head_dim);
        }
        from += (unsigned long long)(ATTEND_THREADS / SIDE) * place->stride;
    }
}

/* What is added to scores by distance; a thread has one or none. */
INLINE void load_distances(const struct attend_params *p, const struct work *w,
                           unsigned key, float *to) {
    int reach = (int)p->reach, at = (int)threadIdx.x;
    int d = (int)(key - w->place.row) + at - (TILE_QUERIES - 1);
    const float *head =
        p->distances + (unsigned long long)w->place.head * (2 * p->reach + 1);
    d = d > reach ? reach : d < -reach ? -reach : d;
    /* Finite, as what comes in is. */
    to[at] = fmaxf(head[reach + d] * LOG2_E, -1e38f);
}

/* ---- rotary positions --------------------------------------------------- */

/* The 8 pairs of two pieces of a row, one number in each. */
INLINE void turn_halves(narrow *a, narrow *b, const float *cosine,
                        const float *sine) {
    UNROLL
    for (unsigned i = 0; i < 8; i += 4) {
        unsigned first[2], second[2], c[4], s[4];
        load_words2(first, a + i);
        load_words2(second, b + i);
        load_words4(c, cosine + i);
        load_words4(s, sine + i);
        UNROLL
        for (unsigned j = 0; j < 2; j++) {
            float x[2], y[2];
            unpack2(first[j], x, x + 1);
            unpack2(second[j], y, y + 1);
            turn(x, y, as_float(c[2 * j]), as_float(s[2 * j]));
            turn(x + 1, y + 1, as_float(c[2 * j + 1]), as_float(s[2 * j + 1]));
            first[j] = pack2(x[0], x[1]);
            second[j] = pack2(y[0], y[1]);
        }
        store_words2(a + i, first);
        store_words2(b + i, second);
    }
}

/* The 4 pairs of neighbours of a piece. */
INLINE void turn_neighbours(narrow *piece, const float *cosine,
                            const float *sine) {
    unsigned words[4], c[4], s[4];
    load_words4(words, piece);
    load_words4(c, cosine);
    load_words4(s, sine);
    UNROLL
    for (unsigned i = 0; i < 4; i++) {
        float x, y;
        unpack2(words[i], &x, &y);
        turn(&x, &y, as_float(c[i]), as_float(s[i]));
        words[i] = pack2(x, y);
    }
    store_words4(piece, words);
}

/* The warp's 16 rows of a tile, the first of which is row FIRST of the text.
 * Two lanes have a row, so that 8 that follow each other have 8 rows and meet
 * in no bank. */
INLINE void turn_rows(const struct attend_params *p, const struct work *w,
                      unsigned first, narrow *tile) {
    unsigned row = w->warp_row + threadIdx.x % 16, half = p->rotary_dims / 2;
    unsigned pieces = p->interleaved ? half / 4 : half / 8;
    unsigned long long at = (unsigned long long)(first + row) * half;
    if (first + row >= w->place.length)
        return;
    for (unsigned piece = threadIdx.x / 16 % 2; piece < pieces; piece += 2) {
        if (p->interleaved)
            turn_neighbours(piece_of(tile, row, piece),
                            p->cosine + at + piece * 4,
                            p->sine + at + piece * 4);
        else
            turn_halves(piece_of(tile, row, piece),
                        piece_of(tile, row, piece + pieces),
                        p->cosine + at + piece * 8, p->sine + at + piece * 8);
    }
}

/* ---- scores ------------------------------------------------------------- */

/* The 16 x 16 numbers of Q that step STEP takes. */
INLINE void read_q(const struct work *w, narrow *q, unsigned step,
                   unsigned r[4]) {
    unsigned lane = threadIdx.x % 32;
    ldmatrix_4(r, piece_of(q, w->warp_row + lane % 16, step * 2 + lane / 16));
}

/* s = Q K^T: s[n] has keys 8 n to 8 n + 7. */
INLINE void multiply(const struct work *w, const struct tiles *t,
                     float s[KEYS / 8][4]) {
    unsigned lane = threadIdx.x % 32;
    unsigned row = lane / 16 * 8 + lane % 8, half = lane / 8 % 2;
    UNROLL
    for (int n = 0; n < KEYS / 8; n++) {
        UNROLL
        for (int i = 0; i < 4; i++)
            s[n][i] = 0;
    }
    UNROLL_STEPS
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned q[4];
        if (!Q_STAYS)
            read_q(w, t->q, step, q);
        UNROLL
        for (unsigned n = 0; n < KEYS / 8; n += 2) {
            unsigned k[4];
            ldmatrix_4(k, piece_of(t->k, n * 8 + row, step * 2 + half));
            mma_16x8x16(s[n], Q_STAYS ? w->q[step] : q, k);
            mma_16x8x16(s[n + 1], Q_STAYS ? w->q[step] : q, k + 2);
        }
    }
}

/* Products become scores. (Scaled by themselves, not within the exponent: the
 * difference to the largest must not be positive, however large it is.) */
INLINE void make_scores(const struct attend_params *p, const struct work *w,
                        const struct tiles *t, unsigned key,
                        float s[KEYS / 8][4]) {
    float scale = p->scale * LOG2_E, slope = 0;
    if (FEATURES & FEATURE_SLOPES)
        slope = p->slopes[w->place.head] * LOG2_E;
    UNROLL
    for (unsigned i = 0; i < 4; i++) {
        unsigned row = w->row + i / 2 * 8;
        unsigned first = w->pair + i % 2; /* key of the tile */
        float d = (float)(int)(key + first - row);
        unsigned at = first + TILE_QUERIES - 1 - (row - w->place.row);
        UNROLL
        for (unsigned n = 0; n < KEYS / 8; n++) {
            float extra = 0;
            if (FEATURES & FEATURE_DISTANCES)
                extra = t->distances[at + n * 8];
            if (FEATURES & FEATURE_SLOPES)
                extra = fmaf(-slope, fabsf(d + (float)(n * 8)), extra);
            s[n][i] = fmaf(s[n][i], scale, extra);
        }
    }
}

INLINE unsigned within_text(const struct attention_place *place, unsigned row) {
    return row < place->length ? row : place->length - 1;
}

/* What the first and the last row of the block see. */
INLINE struct attention_seen first_sees(const struct attend_params *p,
                                        const struct work *w) {
    return attention_sees(p, FEATURES, &w->place, w->place.row);
}

INLINE struct attention_seen last_sees(const struct attend_params *p,
                                       const struct work *w) {
    return attention_sees(
        p, FEATURES, &w->place,
        within_text(&w->place, w->place.row + TILE_QUERIES - 1));
}

/* Is a tile of keys seen by all rows of the block? */
INLINE bool all_see(const struct attend_params *p, const struct work *w,
                    unsigned key) {
    return key >= last_sees(p, w).first && key + KEYS <= first_sees(p, w).end;
}

/* What a query does not see. */
INLINE void hide(const struct attend_params *p, const struct work *w,
                 unsigned key, float s[KEYS / 8][4]) {
    UNROLL
    for (unsigned row = 0; row < 2; row++) {
        struct attention_seen seen = attention_sees(
            p, FEATURES, &w->place, within_text(&w->place, w->row + row * 8));
        UNROLL
        for (unsigned n = 0; n < KEYS / 8; n++) {
            UNROLL
            for (unsigned i = 2 * row; i < 2 * row + 2; i++) {
                unsigned at = key + n * 8 + w->pair + i % 2;
                if (at < seen.first || at >= seen.end)
                    s[n][i] = NOTHING;
            }
        }
    }
}

/* ---- softmax ------------------------------------------------------------ */

/* Of the four threads that have the same rows. */
INLINE float most_of_4(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

/* Of the thread's row ROW: scores become weights of at most 1, and what was
 * summed up before is of their size. Sums of a row that has seen no key yet
 * are 0, and stay so. */
INLINE void weigh_row(struct work *w, int row, float s[KEYS / 8][4]) {
    float most = w->most[row];
    UNROLL
    for (int n = 0; n < KEYS / 8; n++)
        most = fmaxf(most, fmaxf(s[n][2 * row], s[n][2 * row + 1]));
    most = most_of_4(most);
    float from = most == NOTHING ? 0 : most;
    float shrink = exp2_quick(w->most[row] - from);
    w->most[row] = most;
    UNROLL
    for (int n = 0; n < KEYS / 8; n++) {
        UNROLL
        for (int i = 2 * row; i < 2 * row + 2; i++) {
            s[n][i] = exp2_quick(s[n][i] - from);
        }
    }
    w->mass[row] *= shrink;
    UNROLL
    for (int n = 0; n < PIECES; n++) {
        w->sums[n][2 * row] *= shrink;
        w->sums[n][2 * row + 1] *= shrink;
    }
}

/* sums += P V, and the mass: of the same rounded weights, so that what comes
 * out is a mean of values and never larger than they are. */
INLINE void add_values(struct work *w, narrow *v, float s[KEYS / 8][4]) {
    unsigned lane = threadIdx.x % 32;
    const unsigned ones[2] = {pack2(1, 1), pack2(1, 1)};
    float mass[4] = {0, 0, 0, 0}; /* times a column of ones, 8 times the same */
    UNROLL
    for (unsigned step = 0; step < KEYS / 16; step++) {
        const float *low = s[2 * step], *high = s[2 * step + 1];
        unsigned weights[4] = {pack2(low[0], low[1]), pack2(low[2], low[3]),
                               pack2(high[0], high[1]),
                               pack2(high[2], high[3])};
        mma_16x8x16(mass, weights, ones);
        UNROLL
        for (unsigned n = 0; n < PIECES; n += 2) {
            unsigned values[4];
            ldmatrix_4_transposed(
                values, piece_of(v, step * 16 + lane % 16, n + lane / 16));
            mma_16x8x16(w->sums[n], weights, values);
            mma_16x8x16(w->sums[n + 1], weights, values + 2);
        }
    }
    w->mass[0] += mass[0];
    w->mass[1] += mass[2];
}

/* ---- the whole ---------------------------------------------------------- */

INLINE void begin_work(const struct attend_params *p, struct work *w) {
    w->place = attention_place_of(p);
    w->warp_row = threadIdx.x / 32 * 16;
    w->pair = threadIdx.x % 4 * 2;
    w->row = w->place.row + w->warp_row + threadIdx.x % 32 / 4;
    UNROLL
    for (unsigned i = 0; i < 2; i++) {
        w->most[i] = NOTHING;
        w->mass[i] = 0;
    }
    UNROLL
    for (int n = 0; n < PIECES; n++) {
        UNROLL
        for (int i = 0; i < 4; i++)
            w->sums[n][i] = 0;
    }
}

/* Q, and the first K. Where a warp turns its Q no other one reads it. */
INLINE void load_first(const struct attend_params *p, struct work *w,
                       const struct tiles *t, unsigned key) {
    load_rows(p, w, w->place.head, w->place.row, TILE_QUERIES, t->q);
    load_rows(p, w, p->heads + w->place.kv_head, key, KEYS, t->k);
    copy_commit();
    if (!Q_STAYS && !(FEATURES & FEATURE_ROTARY))
        return;
    copy_wait(0);
    __syncthreads();
    if (FEATURES & FEATURE_ROTARY) {
        turn_rows(p, w, w->place.row, t->q);
        if ((int)KEYS == TILE_KEYS && p->turns_keys)
            turn_rows(p, w, key, t->k);
        __syncwarp(); /* take_keys has a barrier for K */
    }
    if (!Q_STAYS)
        return;
    UNROLL
    for (unsigned step = 0; step < STEPS; step++)
        read_q(w, t->q, step, w->q[step]);
}

/* One tile of keys, whose K is on its way; NEXT: there is another. */
INLINE void take_keys(const struct attend_params *p, struct work *w,
                      const struct tiles *t, unsigned key, bool next) {
    float s[KEYS / 8][4];
    unsigned kv = p->heads + w->place.kv_head;
    copy_wait(0);
    __syncthreads(); /* K is there, and what was in V's place has been read */
    load_rows(p, w, kv + p->kv_heads, key, KEYS, t->v);
    copy_commit();
    if (FEATURES & FEATURE_DISTANCES)
        load_distances(p, w, key, t->distances);
    multiply(w, t, s);
    copy_wait(0);
    __syncthreads(); /* the other way round */
    if (next)
        load_rows(p, w, kv, key + KEYS, KEYS, t->k);
    copy_commit();
    make_scores(p, w, t, key, s);
    if (!all_see(p, w, key))
        hide(p, w, key, s);
    weigh_row(w, 0, s);
    weigh_row(w, 1, s);
    add_values(w, t->v, s);
}

/* The warp's rows, rounded, by way of its part of a tile that nobody else reads
 * any more: whole pieces go out. */
INLINE void store_rows(const struct attend_params *p, const struct work *w,
                       narrow *tile) {
    unsigned lane = threadIdx.x % 32;
    UNROLL
    for (unsigned i = 0; i < 2; i++) {
        float part = 1.0f / w->mass[i];
        UNROLL
        for (unsigned n = 0; n < PIECES; n++) {
            narrow *to =
                piece_of(tile, w->warp_row + lane / 4 + i * 8, n) + w->pair;
            to[0] = round_narrow(w->sums[n][2 * i] * part);
            to[1] = round_narrow(w->sums[n][2 * i + 1] * part);
        }
    }
    __syncwarp();
    for (unsigned i = lane; i < 16 * PIECES; i += 32) {
        unsigned row = w->warp_row + i / PIECES, column = i % PIECES * 8;
        const narrow *from = piece_of(tile, row, i % PIECES);
        unsigned long long at =
            (unsigned long long)(w->place.begin + w->place.row + row) *
                p->heads +
            w->place.head;
        narrow *to = p->context + at * p->head_dim + column;
        if (w->place.row + row >= w->place.length || column >= p->head_dim)
            continue;
        if (FEATURES & FEATURE_UNEVEN) {
            for (unsigned c = 0; c < 8 && column + c < p->head_dim; c++)
                to[c] = from[c];
        } else {
            unsigned words[4];
            load_words4(words, from);
            store_words4(to, words);
        }
    }
}

extern "C" __global__ void __launch_bounds__(ATTEND_THREADS, BLOCKS)
    attend(const struct attend_params p) {
    SHARED_DYNAMIC(narrow, shared);
    struct tiles t;
    t.k = shared;
    t.v = t.k + KEYS * HEAD_DIM;
    t.q = Q_STAYS ? t.v : t.v + KEYS * HEAD_DIM;
    t.distances = (float *)(Q_STAYS ? t.v + KEYS * HEAD_DIM
                                    : t.q + TILE_QUERIES * HEAD_DIM);
    struct work w;
    begin_work(&p, &w);
    unsigned key = first_sees(&p, &w).first / KEYS * KEYS;
    unsigned end = last_sees(&p, &w).end;
    load_first(&p, &w, &t, key);
    for (; key < end; key += KEYS)
        take_keys(&p, &w, &t, key, key + KEYS < end);
    store_rows(&p, &w, Q_STAYS ? t.k : t.q);
}
