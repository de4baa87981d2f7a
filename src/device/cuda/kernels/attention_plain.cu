/* attention_plain.cu - attention by plain multiply-adds, in f32 throughout.
 *
 * What attention.cu leaves: f32 numbers, and DeBERTa's relative positions. Any
 * type, any head_dim up to HEAD_DIM (256 unless it is given), every feature.
 *
 * A block has TILE_QUERIES queries of one text and head, and takes the keys
 * that they see by tiles. A thread has 4 queries and 8 keys of a tile's scores,
 * later the same 4 queries and 8 of every 64 columns of the result, all in
 * registers: 32 multiply-adds for every three 16-byte reads of shared memory.
 * The softmax is the online one (Milakov and Gimelshein 2018): what was summed
 * up is scaled down when a larger score comes. Only a tile's weights, never a
 * row of scores, are in memory.
 *
 * Sums are taken over the columns, and over the keys of the text, in their
 * order: nothing outside of the text changes a bit. */

#ifndef HEAD_DIM
#define HEAD_DIM 256
#endif

enum {
    QUERIES = 4,    /* of a thread */
    DEPTH = 16,     /* columns of Q and K in shared memory at a time */
    VALUES = 32,    /* keys whose V is there at a time, */
    PANEL = 64,     /* and its columns */
    LINE = 68,      /* floats from one line of 64 to the next: other banks */
    FAR_LINE = 132, /* the same of 128 */
    PANELS = (HEAD_DIM + PANEL - 1) / PANEL
};

#define NOTHING as_float(0xff800000u) /* minus infinity */

#ifdef EMULATED
#define RELATIVE_LINES (2 * DEPTH)
#else
#define RELATIVE_LINES ((FEATURES & FEATURE_RELATIVE) ? 2 * DEPTH : 0)
#endif

/* The block's shared memory. A line is a column of rows, or a key's of V. */
struct tables {
    float *q, *k;   /* [DEPTH, LINE] */
    float *kr, *qr; /* [DEPTH, FAR_LINE]: by distance, DeBERTa's */
    float *v;       /* [VALUES, LINE], where q and k were */
    float *weights; /* [TILE_KEYS, LINE]: of a key for all queries */
};

/* A thread's part of the block's work. */
struct work {
    struct attention_place place;
    unsigned query, key; /* its first ones, in the tile */
    struct attention_seen seen[QUERIES];
    float most[QUERIES], mass[QUERIES]; /* of the scores so far; the mass is of
                                           this thread's keys alone */
    float sums[PANELS][QUERIES][8];
};

INLINE void read4(const float *from, float x[4]) {
    unsigned words[4];
    load_words4(words, from);
    UNROLL
    for (int i = 0; i < 4; i++)
        x[i] = as_float(words[i]);
}

/* A thread's 8 of 64: 4 neighbours, and the 4 that lie 32 behind. */
INLINE void read8(const float *from, float x[8]) {
    read4(from, x);
    read4(from + 32, x + 4);
}

INLINE unsigned eighth(unsigned i) {
    return i < 4 ? i : i + 28;
}

/* Columns [depth, depth + DEPTH) of 64 rows of qkv from FIRST of the text on,
 * each column a line of TO; what is past the text or the head is 0. */
INLINE void load_columns(const struct attend_params *p,
                         const struct attention_place *place, unsigned part,
                         unsigned first, unsigned depth, float *to) {
    const narrow *from = p->qkv + attention_at(p, place, first, part) + depth;
    for (unsigned i = threadIdx.x; i < 64 * DEPTH; i += ATTEND_THREADS) {
        unsigned row = i / 8 % 64, column = i % 8 + i / 512 * 8;
        float x = 0;
        if (first + row < place->length && depth + column < p->head_dim)
            x = widen(from[(unsigned long long)row * place->stride + column]);
        to[column * LINE + row] = x;
    }
}

/* V of VALUES keys from FIRST on, a panel's columns. */
INLINE void load_values(const struct attend_params *p,
                        const struct attention_place *place, unsigned first,
                        unsigned panel, float *to) {
    unsigned part = p->heads + p->kv_heads + place->kv_head;
    const narrow *from = p->qkv + attention_at(p, place, first, part);
    for (unsigned i = threadIdx.x; i < VALUES * PANEL; i += ATTEND_THREADS) {
        unsigned row = i / PANEL, column = panel * PANEL + i % PANEL;
        float x = 0;
        if (first + row < place->length && column < p->head_dim)
            x = widen(from[(unsigned long long)row * place->stride + column]);
        to[row * LINE + i % PANEL] = x;
    }
}

/* Line i of kr and qr: the table's rows for the distance of the tile's first
 * query and first key, + i - 63. A thread a distance. */
INLINE void load_relative(const struct attend_params *p,
                          const struct attention_place *place, unsigned key,
                          unsigned depth, const struct tables *t) {
    int reach = (int)p->relative_reach;
    int distance = (int)place->row - (int)key + (int)threadIdx.x - 63;
    distance = distance > reach ? reach : distance < -reach ? -reach : distance;
    const narrow *row =
        p->relative +
        (unsigned long long)p->relative_row[reach + distance] * place->stride;
    const narrow *kr = row + (p->heads + place->kv_head) * p->head_dim;
    const narrow *qr = row + place->head * p->head_dim;
    for (unsigned c = 0; c < DEPTH; c++) {
        bool there = depth + c < p->head_dim;
        t->kr[c * FAR_LINE + threadIdx.x] = there ? widen(kr[depth + c]) : 0;
        t->qr[c * FAR_LINE + threadIdx.x] = there ? widen(qr[depth + c]) : 0;
    }
}

/* Four keys of the thread, from AT of its eight on: their distances to its
 * queries are 7 neighbours of the lines from FAR on. */
INLINE void add_relative(const float *kr, const float *qr, const float *q,
                         const float *k, unsigned at, float s[QUERIES][8]) {
    float a[8], b[8];
    read4(kr, a);
    read4(kr + 4, a + 4);
    read4(qr, b);
    read4(qr + 4, b + 4);
    UNROLL
    for (unsigned i = 0; i < QUERIES; i++) {
        UNROLL
        for (unsigned j = 0; j < 4; j++) {
            s[i][at + j] = fmaf(q[i], a[i + 3 - j], s[i][at + j]);
            s[i][at + j] = fmaf(k[at + j], b[i + 3 - j], s[i][at + j]);
        }
    }
}

/* The tables' columns, added to the scores. */
INLINE void add_products(const struct tables *t, const struct work *w,
                         float s[QUERIES][8]) {
    for (unsigned c = 0; c < DEPTH; c++) {
        float q[QUERIES], k[8];
        read4(t->q + c * LINE + w->query, q);
        read8(t->k + c * LINE + w->key, k);
        UNROLL
        for (int i = 0; i < QUERIES; i++) {
            UNROLL
            for (int j = 0; j < 8; j++)
                s[i][j] = fmaf(q[i], k[j], s[i][j]);
        }
        if (FEATURES & FEATURE_RELATIVE) {
            unsigned far = c * FAR_LINE + 60 + w->query - w->key;
            add_relative(t->kr + far, t->qr + far, q, k, 0, s);
            add_relative(t->kr + far - 32, t->qr + far - 32, q, k, 4, s);
        }
    }
}

/* Q K^T of the tile of keys from KEY on. */
INLINE void multiply(const struct attend_params *p, const struct tables *t,
                     const struct work *w, unsigned key, float s[QUERIES][8]) {
    const struct attention_place *place = &w->place;
    UNROLL
    for (int i = 0; i < QUERIES; i++) {
        UNROLL
        for (int j = 0; j < 8; j++)
            s[i][j] = 0;
    }
    for (unsigned depth = 0; depth < p->head_dim; depth += DEPTH) {
        __syncthreads(); /* what was there has been read */
        load_columns(p, place, place->head, place->row, depth, t->q);
        load_columns(p, place, p->heads + place->kv_head, key, depth, t->k);
        if (FEATURES & FEATURE_RELATIVE)
            load_relative(p, place, key, depth, t);
        __syncthreads();
        add_products(t, w, s);
    }
}

/* What is added to the score of a query and a key. */
INLINE float added(const struct attend_params *p, unsigned head, unsigned query,
                   unsigned key) {
    float sum = 0;
    int d = (int)key - (int)query, reach = (int)p->reach;
    if (FEATURES & FEATURE_DISTANCES) {
        int at = d > reach ? reach : d < -reach ? -reach : d;
        sum = p->distances[(unsigned long long)head * (2 * p->reach + 1) +
                           (unsigned)(reach + at)];
    }
    if (FEATURES & FEATURE_SLOPES)
        sum = fmaf(-p->slopes[head], (float)(d < 0 ? -d : d), sum);
    return sum;
}

/* Products become scores; what a query does not see gets minus infinity. */
INLINE void finish_scores(const struct attend_params *p, const struct work *w,
                          unsigned key, float s[QUERIES][8]) {
    UNROLL
    for (unsigned i = 0; i < QUERIES; i++) {
        UNROLL
        for (unsigned j = 0; j < 8; j++) {
            unsigned query = w->place.row + w->query + i;
            unsigned at = key + w->key + eighth(j);
            bool sees = at >= w->seen[i].first && at < w->seen[i].end;
            float extra = 0;
            if (sees && (FEATURES & (FEATURE_DISTANCES | FEATURE_SLOPES)))
                extra = added(p, w->place.head, query, at);
            s[i][j] = sees ? fmaf(s[i][j], p->scale, extra) : NOTHING;
        }
    }
}

/* Of the 8 threads that have the same queries. */
INLINE float most_of_8(float x) {
    UNROLL
    for (int lane = 1; lane < 8; lane *= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, lane));
    return x;
}

INLINE float sum_of_8(float x) {
    UNROLL
    for (int lane = 1; lane < 8; lane *= 2)
        x += __shfl_xor_sync(0xffffffff, x, lane);
    return x;
}

/* Scores become weights, and what was summed up before is of their size. A row
 * that has seen no key yet has sums of 0, and stays so. */
INLINE void weigh(struct work *w, float s[QUERIES][8]) {
    UNROLL
    for (int i = 0; i < QUERIES; i++) {
        float most = s[i][0];
        UNROLL
        for (int j = 1; j < 8; j++)
            most = fmaxf(most, s[i][j]);
        most = fmaxf(most_of_8(most), w->most[i]);
        float from = most == NOTHING ? 0 : most;
        float shrink = expf(w->most[i] - from);
        w->most[i] = most;
        w->mass[i] *= shrink;
        UNROLL
        for (int j = 0; j < 8; j++) {
            s[i][j] = expf(s[i][j] - from);
            w->mass[i] += s[i][j];
        }
        UNROLL
        for (int panel = 0; panel < PANELS; panel++) {
            UNROLL
            for (int j = 0; j < 8; j++)
                w->sums[panel][i][j] *= shrink;
        }
    }
}

/* To where all threads find them. */
INLINE void share_weights(const struct work *w, float s[QUERIES][8],
                          float *weights) {
    UNROLL
    for (unsigned j = 0; j < 8; j++) {
        unsigned words[4];
        UNROLL
        for (int i = 0; i < QUERIES; i++)
            words[i] = as_word(s[i][j]);
        store_words4(weights + (w->key + eighth(j)) * LINE + w->query, words);
    }
}

/* Sums of the weights times V, of the tile of keys from KEY on. */
INLINE void add_values(const struct attend_params *p, const struct tables *t,
                       struct work *w, unsigned key) {
    UNROLL
    for (int panel = 0; panel < PANELS; panel++) {
        if ((unsigned)panel * PANEL >= p->head_dim)
            break;
        for (unsigned half = 0; half < TILE_KEYS; half += VALUES) {
            __syncthreads();
            load_values(p, &w->place, key + half, (unsigned)panel, t->v);
            __syncthreads();
            for (unsigned k = 0; k < VALUES; k++) {
                float x[QUERIES], v[8];
                read4(t->weights + (half + k) * LINE + w->query, x);
                read8(t->v + k * LINE + w->key, v);
                UNROLL
                for (int i = 0; i < QUERIES; i++) {
                    UNROLL
                    for (int j = 0; j < 8; j++)
                        w->sums[panel][i][j] =
                            fmaf(x[i], v[j], w->sums[panel][i][j]);
                }
            }
        }
    }
}

INLINE void begin_work(const struct attend_params *p, struct work *w) {
    w->place = attention_place_of(p);
    w->query = threadIdx.x / 8 * QUERIES;
    w->key = threadIdx.x % 8 * 4;
    UNROLL
    for (unsigned i = 0; i < QUERIES; i++) {
        unsigned row = w->place.row + w->query + i, last = w->place.length - 1;
        w->seen[i] =
            attention_sees(p, FEATURES, &w->place, row < last ? row : last);
        w->most[i] = NOTHING;
        w->mass[i] = 0;
        UNROLL
        for (int panel = 0; panel < PANELS; panel++) {
            UNROLL
            for (int j = 0; j < 8; j++)
                w->sums[panel][i][j] = 0;
        }
    }
}

INLINE void store_rows(const struct attend_params *p, const struct work *w) {
    UNROLL
    for (unsigned i = 0; i < QUERIES; i++) {
        unsigned row = w->place.row + w->query + i;
        float mass = sum_of_8(w->mass[i]);
        unsigned long long at =
            ((unsigned long long)(w->place.begin + row) * p->heads +
             w->place.head) *
            p->head_dim;
        UNROLL
        for (unsigned panel = 0; panel < PANELS; panel++) {
            UNROLL
            for (unsigned j = 0; j < 8; j++) {
                unsigned column = panel * PANEL + w->key + eighth(j);
                if (row < w->place.length && column < p->head_dim)
                    p->context[at + column] =
                        round_narrow(w->sums[panel][i][j] / mass);
            }
        }
    }
}

extern "C" __global__ void attend_plain(const struct attend_plain_params all) {
    SHARED(float, stage, (2 * LINE) * DEPTH + RELATIVE_LINES * FAR_LINE);
    SHARED(float, weights, TILE_KEYS *LINE);
    const struct attend_params *p = &all.attend;
    const struct tables t = {stage,
                             stage + DEPTH * LINE,
                             stage + 2 * DEPTH * LINE,
                             stage + 2 * DEPTH * LINE + DEPTH * FAR_LINE,
                             stage,
                             weights};
    struct work w;
    begin_work(p, &w);
    unsigned last = w.place.row + TILE_QUERIES - 1;
    if (last > w.place.length - 1)
        last = w.place.length - 1;
    unsigned first = attention_sees(p, FEATURES, &w.place, w.place.row).first;
    unsigned end = attention_sees(p, FEATURES, &w.place, last).end;
    for (unsigned key = first / TILE_KEYS * TILE_KEYS; key < end;
         key += TILE_KEYS) {
        float s[QUERIES][8];
        multiply(p, &t, &w, key, s);
        finish_scores(p, &w, key, s);
        weigh(&w, s);
        share_weights(&w, s, weights);
        add_values(p, &t, &w, key);
    }
    store_rows(p, &w);
}
