/* The verbs of a card against the CPU's on the same numbers, for each type. The
 * bounds are those of the types: one rounding of a narrow result, and f32 sums
 * in another order. */

#include "device/cuda_fixture.h"

/* Sums of COUNT products of numbers below 1. */
static double sum_bound(size_t count) {
    return 4 * (double)count * 0x1p-24;
}

static void numbers_are_narrowed(struct rig *r) {
    enum { COUNT = 1000 };
    float *x = floats(COUNT);
    for (size_t i = 0; i < COUNT; i++)
        x[i] *= i % 7 ? 1 : 300;
    float *on_card = card_floats(r, x, COUNT);
    struct narrow *room = card_room(r, COUNT * sizeof *x);
    const struct narrow *got = device_narrow(r->on_card, on_card, COUNT, room);
    card_narrow(r, x, COUNT); /* rounds x */
    assert_narrow(r, got, x, COUNT, 0, -r->unit, "narrowed");
    free(x);
}

/* ---- norms -------------------------------------------------------------- */

struct norm_case {
    size_t width, rows;
    bool rms, scale, shift, residual, y, z;
};

static void try_norm(struct rig *r, const struct norm_case *c) {
    size_t count = c->width * c->rows;
    float *x = floats(count), *residual = floats(count), *want = floats(count);
    float *scale = floats(c->width), *shift = floats(c->width);
    struct norm norm = {.width = c->width,
                        .scale = c->scale ? scale : NULL,
                        .shift = c->shift ? shift : NULL,
                        .epsilon = 1e-5f,
                        .rms = c->rms};
    device_norm(r->on_cpu, &norm, x, c->rows, c->residual ? residual : NULL,
                want, NULL);
    struct norm there = norm;
    there.scale = c->scale ? card_floats(r, scale, c->width) : NULL;
    there.shift = c->shift ? card_floats(r, shift, c->width) : NULL;
    float *card_x = card_floats(r, x, count);
    float *add = c->residual ? card_floats(r, residual, count) : NULL;
    float *y = c->y ? card_room(r, count * sizeof *y) : NULL;
    struct narrow *z = c->z ? card_room(r, count * sizeof *y) : NULL;
    device_norm(r->on_card, &there, card_x, c->rows, add, y, z);
    if (y)
        assert_floats(r, y, want, count, 4e-6, 4e-6, "norm's y");
    if (z)
        assert_narrow(r, z, want, count, 4e-6, 4e-6, "norm's z");
    free(x), free(residual), free(want), free(scale), free(shift);
}

static void norms_are_the_cpus(struct rig *r) {
    static const struct norm_case CASES[] = {
        {40, 3, false, true, true, false, true, false},
        {40, 5, true, true, false, true, true, true},
        {37, 9, false, true, true, true, false, true},
        {384, 4, false, false, false, false, true, true},
        {1100, 3, true, true, true, true, true, true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        try_norm(r, &CASES[i]);
}

static void a_norm_may_be_in_place(struct rig *r) {
    enum { WIDTH = 48, ROWS = 6, COUNT = WIDTH * ROWS };
    float *x = floats(COUNT), *want = floats(COUNT);
    struct norm norm = {.width = WIDTH, .epsilon = 1e-6f};
    device_norm(r->on_cpu, &norm, x, ROWS, x, want, NULL);
    float *card = card_floats(r, x, COUNT);
    device_norm(r->on_card, &norm, card, ROWS, card, card, NULL);
    assert_floats(r, card, want, COUNT, 4e-6, 4e-6, "norm in place");
    free(x), free(want);
}

static void heads_are_normed(struct rig *r) {
    enum { ROWS = 5, WIDTH = 16, TIMES = 3, STRIDE = 5 * WIDTH };
    float *x = floats(ROWS * STRIDE), *scale = floats(WIDTH);
    struct norm norm = {
        .width = WIDTH, .scale = scale, .epsilon = 1e-6f, .rms = true};
    struct norm there = norm;
    there.scale = card_floats(r, scale, WIDTH);
    struct narrow *card = card_narrow(r, x, ROWS * STRIDE);
    device_norm_heads(r->on_card, &there, card, ROWS, STRIDE, TIMES);
    device_norm_heads(r->on_cpu, &norm, (struct narrow *)x, ROWS, STRIDE,
                      TIMES);
    assert_narrow(r, card, x, ROWS * STRIDE, 4e-6, 4e-6, "heads' norm");
    free(x), free(scale);
}

/* ---- positions ---------------------------------------------------------- */

static const size_t LENGTHS[] = {3, 70, 1, 9, 0};

/* Pairs that no kernel of attention turns, so that all are turned in place. */
static void try_rotary(struct rig *r, bool interleaved) {
    enum { POSITIONS = 80, HEAD = 24, DIMS = 12, HALF = DIMS / 2 };
    struct attention a = {.heads = 4, .kv_heads = 2, .head_dim = HEAD}, there;
    struct texts texts;
    begin_group(r, &texts, LENGTHS, 10);
    size_t count = sequences_rows(&texts.sequences) * 8 * HEAD;
    float *x = floats(count), *cosine = floats(POSITIONS * HALF),
          *sine = floats(POSITIONS * HALF);
    a.rotary = (struct rotary){.dims = DIMS,
                               .positions = POSITIONS,
                               .cosine = cosine,
                               .sine = sine,
                               .interleaved = interleaved};
    there = a;
    there.rotary.cosine = card_floats(r, cosine, POSITIONS * HALF);
    there.rotary.sine = card_floats(r, sine, POSITIONS * HALF);
    struct narrow *card = card_narrow(r, x, count);
    device_rotate(r->on_card, &there, &texts.sequences, card);
    device_rotate(r->on_cpu, &a, &texts.sequences, (struct narrow *)x);
    assert_narrow(r, card, x, count, 0x1p-21, 0, "rotated");
    free(x), free(cosine), free(sine), free(texts.ids);
}

static void heads_are_turned(struct rig *r) {
    try_rotary(r, false);
    try_rotary(r, true);
}

static void *card_table(struct rig *r, float *rows, size_t columns,
                        size_t count) {
    void *table = card_room(r, columns * count * sizeof *rows);
    size_t half = count / 2;
    device_table_put(r->card, rows, columns, 0, half, table);
    device_table_put(r->card, rows + half * columns, columns, half,
                     count - half, table);
    submit(r);
    card_narrow(r, rows, columns * count); /* rounds them */
    return table;
}

static void texts_are_embedded(struct rig *r) {
    enum { WIDTH = 20, VOCAB = 30, POSITIONS = 90, PAD = 7 };
    struct texts texts;
    begin_group(r, &texts, LENGTHS, VOCAB);
    uint32_t second[] = {1, 60, 5, 0};
    texts.sequences.second = second;
    texts.ids[2] = texts.ids[5] = texts.ids[6] = PAD;
    device_group(r->on_card, &texts.sequences, texts.ids);
    size_t count = sequences_rows(&texts.sequences) * WIDTH;
    float *words = floats(VOCAB * WIDTH), *position = floats(POSITIONS * WIDTH),
          *type = floats(2 * WIDTH), *want = floats(count);
    struct embedding e = {.width = WIDTH,
                          .vocab = VOCAB,
                          .positions = POSITIONS,
                          .scale = 3,
                          .types = 2,
                          .position_first = 2,
                          .pad_has_no_position = true,
                          .pad = PAD};
    for (int which = 0; which < 4; which++) {
        struct embedding there = e;
        there.words = card_table(r, words, WIDTH, VOCAB);
        e.words = words;
        e.position = which & 1 ? position : NULL;
        there.position =
            which & 1 ? card_table(r, position, WIDTH, POSITIONS) : NULL;
        e.type = which & 2 ? type : NULL;
        there.type = which & 2 ? card_table(r, type, WIDTH, 2) : NULL;
        float *y = card_room(r, count * sizeof *y);
        device_embed(r->on_card, &there, texts.ids, &texts.sequences, y);
        device_embed(r->on_cpu, &e, texts.ids, &texts.sequences, want);
        assert_floats(r, y, want, count, 0x1p-22, 0x1p-22, "embedded");
    }
    free(words), free(position), free(type), free(want), free(texts.ids);
}

/* The next group begins while the copies of the one before are under way. */
static void groups_follow_each_other(struct rig *r) {
    enum { WIDTH = 8, VOCAB = 30, GROUPS = 4 };
    struct texts texts;
    begin_group(r, &texts, LENGTHS, VOCAB);
    size_t rows = sequences_rows(&texts.sequences), count = rows * WIDTH;
    float *words = floats(VOCAB * WIDTH), *want = floats(count), *y[GROUPS];
    struct embedding e = {.width = WIDTH, .vocab = VOCAB, .scale = 1};
    struct embedding there = e;
    uint32_t *ids = malloc(rows * sizeof *ids);
    there.words = card_table(r, words, WIDTH, VOCAB);
    e.words = words;
    for (uint32_t g = 0; g < GROUPS; g++) {
        y[g] = card_room(r, count * sizeof(float));
        for (size_t i = 0; i < rows; i++)
            ids[i] = (texts.ids[i] + g) % VOCAB;
        device_group(r->on_card, &texts.sequences, ids);
        device_embed(r->on_card, &there, ids, &texts.sequences, y[g]);
    }
    for (uint32_t g = 0; g < GROUPS; g++) {
        for (size_t i = 0; i < rows; i++)
            ids[i] = (texts.ids[i] + g) % VOCAB;
        device_embed(r->on_cpu, &e, ids, &texts.sequences, want);
        assert_floats(r, y[g], want, count, 0, 0, "a group of several");
    }
    free(words), free(want), free(ids), free(texts.ids);
}

/* ---- products ----------------------------------------------------------- */

struct product_case {
    size_t in, out, rows;
    enum activation activation;
    bool bias;
    int residual; /* 0 none, 1 another, 2 the result itself */
};

struct matrix {
    struct linear on_cpu, on_card;
    float *weights, *bias;
    void *packed;
};

static struct matrix matrix_make(struct rig *r, size_t in, size_t out,
                                 bool bias) {
    struct matrix m = {.weights = floats(in * out), .bias = floats(out)};
    size_t half = out / 2;
    void *card = card_room(r, device_linear_bytes(r->card, in, out));
    device_linear_pack(r->card, m.weights, in, out, 0, half, card);
    device_linear_pack(r->card, m.weights + half * in, in, out, half,
                       out - half, card);
    submit(r);
    card_narrow(r, m.weights, in * out); /* rounds them */
    struct fixture cpu = {.device = r->cpu};
    m.packed = packed_of(&cpu, m.weights, in, out);
    m.on_cpu = (struct linear){.in = in,
                               .out = out,
                               .weights = m.packed,
                               .bias = bias ? m.bias : NULL};
    m.on_card =
        (struct linear){.in = in,
                        .out = out,
                        .weights = card,
                        .bias = bias ? card_floats(r, m.bias, out) : NULL};
    return m;
}

static void matrix_free(const struct matrix *m) {
    free(m->weights), free(m->bias), free(m->packed);
}

static void try_linear(struct rig *r, const struct product_case *c) {
    size_t count = c->rows * c->out;
    struct matrix m = matrix_make(r, c->in, c->out, c->bias);
    float *x = floats(c->rows * c->in), *residual = floats(count);
    float *want = floats(count);
    struct narrow *card_x = card_narrow(r, x, c->rows * c->in);
    float *add = c->residual ? card_floats(r, residual, count) : NULL;
    float *y = c->residual == 2 ? add : card_room(r, count * sizeof *y);
    device_linear(r->on_cpu, &m.on_cpu, (struct narrow *)x, c->rows,
                  c->activation, c->residual ? residual : NULL, want);
    device_linear(r->on_card, &m.on_card, card_x, c->rows, c->activation, add,
                  y);
    assert_floats(r, y, want, count, 2 * sum_bound(c->in), 4e-6, "linear");
    matrix_free(&m);
    free(x), free(residual), free(want);
}

/* Here the card's bias is rounded as well. */
static void try_narrow(struct rig *r, const struct product_case *c) {
    size_t count = c->rows * c->out;
    struct matrix m = matrix_make(r, c->in, c->out, c->bias);
    float *x = floats(c->rows * c->in), *want = floats(count);
    struct narrow *card_x = card_narrow(r, x, c->rows * c->in);
    struct narrow *y = card_room(r, count * sizeof(float));
    double before = c->activation == ACTIVATION_NONE ? 0
                    : c->activation == ACTIVATION_RELU
                        ? 0
                        : 16 * r->unit; /* rounded, then activated */
    device_linear_narrow(r->on_cpu, &m.on_cpu, (struct narrow *)x, c->rows,
                         c->activation, (struct narrow *)want);
    for (int again = 0; again < 2; again++) {
        device_linear_narrow(r->on_card, &m.on_card, card_x, c->rows,
                             c->activation, y);
        assert_narrow(r, y, want, count,
                      2 * sum_bound(c->in) + r->unit + before, 4e-6,
                      "linear_narrow");
    }
    matrix_free(&m);
    free(x), free(want);
}

static void products_are_the_cpus(struct rig *r) {
    static const struct product_case CASES[] = {
        {32, 64, 17, ACTIVATION_NONE, true, 0},
        {32, 64, 17, ACTIVATION_NONE, true, 1},
        {32, 64, 17, ACTIVATION_NONE, false, 2},
        {31, 13, 7, ACTIVATION_NONE, true, 2},
        {64, 1, 5, ACTIVATION_SIGMOID, true, 0},
        {24, 40, 9, ACTIVATION_GELU, true, 0},
        {24, 40, 9, ACTIVATION_TANH, false, 1},
        {24, 40, 9, ACTIVATION_GELU_TANH, true, 2},
        {16, 3000, 400, ACTIVATION_RELU, true, 2},
        {16, 24, 300, ACTIVATION_NONE, true, 1},
        {16, 40, 300, ACTIVATION_NONE, true, 2},
        {8, 8, 1, ACTIVATION_NONE, false, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        try_linear(r, &CASES[i]);
        r->used = 0;
        try_narrow(r, &CASES[i]);
        r->used = 0;
    }
}

static void no_rows_are_nothing(struct rig *r) {
    struct matrix m = matrix_make(r, 8, 8, true);
    float *y = card_room(r, 64);
    struct narrow *z = card_room(r, 64);
    struct norm norm = {.width = 8};
    uint64_t before = counted(0).launches;
    device_linear(r->on_card, &m.on_card, z, 0, ACTIVATION_GELU, NULL, y);
    device_linear_narrow(r->on_card, &m.on_card, z, 0, ACTIVATION_GELU, z);
    device_norm(r->on_card, &norm, y, 0, NULL, y, NULL);
    device_narrow(r->on_card, y, 0, z);
    device_gate(r->on_card, ACTIVATION_SILU, z, 0, 8, z);
    device_normalize(r->on_card, y, 0, 8);
    finish(r);
    assert_int_equal(counted(0).launches, before);
    matrix_free(&m);
}

/* Products of a gate may pass 65,504 and come back behind the next matrix. */
static void gates_pass_the_range_of_f16(struct rig *r) {
    enum { ROWS = 6, WIDTH = 40, OUT = 16 };
    struct matrix m = matrix_make(r, WIDTH, OUT, true);
    m.on_cpu.behind_gate = m.on_card.behind_gate = true;
    float *x = floats(ROWS * 2 * WIDTH), *gated = floats(ROWS * WIDTH),
          *want = floats(ROWS * OUT), most = 0;
    for (size_t i = 0; i < ROWS * 2 * WIDTH; i++)
        x[i] *= 700;
    struct narrow *both = card_narrow(r, x, ROWS * 2 * WIDTH);
    struct narrow *inner = card_room(r, ROWS * WIDTH * sizeof *x);
    float *y = card_room(r, ROWS * OUT * sizeof *y);
    device_gate(r->on_cpu, ACTIVATION_SILU, (struct narrow *)x, ROWS, WIDTH,
                (struct narrow *)gated);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        most = fmaxf(most, fabsf(gated[i]));
    assert_true(most > 100000);
    device_linear(r->on_cpu, &m.on_cpu, (struct narrow *)gated, ROWS,
                  ACTIVATION_NONE, NULL, want);
    device_gate(r->on_card, ACTIVATION_SILU, both, ROWS, WIDTH, inner);
    device_linear(r->on_card, &m.on_card, inner, ROWS, ACTIVATION_NONE, NULL,
                  y);
    double bound = (double)most * WIDTH * (r->unit + 0x1p-20);
    assert_floats(r, y, want, ROWS * OUT, bound, 0, "behind a gate");
    matrix_free(&m);
    free(x), free(gated), free(want);
}

/* ---- attention ---------------------------------------------------------- */

enum { DISTANCE_REACH = 5, RELATIVE_ROWS = 11, RELATIVE_REACH = 8 };

struct attention_case {
    size_t heads, kv_heads, head_dim, behind, ahead;
    bool distances, slopes, relative, keys;
    size_t rotary_dims;
    bool interleaved;
    bool brief; /* no text has a second tile of queries */
    int turns;  /* kernels of f16 and bf16 that turn heads before attention */
};

static struct attention attention_of(const struct attention_case *c) {
    return (struct attention){.heads = c->heads,
                              .kv_heads = c->kv_heads,
                              .head_dim = c->head_dim,
                              .scale = 1 / sqrtf((float)c->head_dim),
                              .behind = c->behind,
                              .ahead = c->ahead,
                              .reach = c->distances ? DISTANCE_REACH : 0};
}

/* Turn QKV and what stands on the card, which is rounded, as QKV is then. */
static void try_turning(struct rig *r, const struct attention_case *c,
                        const struct attention *here,
                        const struct attention *there,
                        const struct texts *texts, float *qkv,
                        struct narrow *card) {
    size_t wide = (c->heads + 2 * c->kv_heads) * c->head_dim;
    uint64_t before = counted(0).launches;
    if (!c->rotary_dims)
        return;
    device_rotate(r->on_card, there, &texts->sequences, card);
    finish(r);
    if (!is_real())
        assert_int_equal(counted(0).launches - before,
                         r->type == NUMBER_F32 ? 1 : c->turns);
    device_rotate(r->on_cpu, here, &texts->sequences, (struct narrow *)qkv);
    card_narrow(r, qkv, sequences_rows(&texts->sequences) * wide);
}

static void try_attention(struct rig *r, const struct attention_case *c) {
    static const size_t BRIEF[] = {3, 64, 1, 9, 0};
    enum { POSITIONS = 70 };
    size_t pairs = POSITIONS * c->rotary_dims / 2;
    struct texts texts;
    begin_group(r, &texts, c->brief ? BRIEF : LENGTHS, 10);
    size_t rows = sequences_rows(&texts.sequences);
    size_t wide = (c->heads + 2 * c->kv_heads) * c->head_dim;
    size_t out = c->heads * c->head_dim, bias = c->heads * (2 * 5 + 1);
    uint32_t keys[] = {2, 65, 1, 9}, row[2 * RELATIVE_REACH + 1];
    float *qkv = floats(rows * wide), *want = floats(rows * out),
          *distances = floats(bias), *slopes = floats(c->heads),
          *table = floats(RELATIVE_ROWS * wide), *cosine = floats(pairs),
          *sine = floats(pairs);
    struct attention here = attention_of(c), there = here;
    if (c->distances) {
        here.distances = distances;
        there.distances = card_floats(r, distances, bias);
    }
    if (c->slopes) {
        here.slopes = slopes;
        there.slopes = card_floats(r, slopes, c->heads);
    }
    if (c->relative) {
        for (size_t d = 0; d < 2 * RELATIVE_REACH + 1; d++)
            row[d] = (uint32_t)(d * RELATIVE_ROWS / (2 * RELATIVE_REACH + 1));
        here.relative =
            (struct relative){.rows = RELATIVE_ROWS, .reach = RELATIVE_REACH};
        there.relative = here.relative;
        there.relative.table = card_narrow(r, table, RELATIVE_ROWS * wide);
        here.relative.table = (struct narrow *)table;
        here.relative.row = row;
        there.relative.row =
            (uint32_t *)card_floats(r, (float *)row, sizeof row / 4);
    }
    here.rotary = (struct rotary){c->rotary_dims, POSITIONS, cosine, sine,
                                  c->interleaved};
    there.rotary = here.rotary;
    there.rotary.cosine = card_floats(r, cosine, pairs);
    there.rotary.sine = card_floats(r, sine, pairs);
    if (c->keys) {
        texts.sequences.keys = keys;
        device_group(r->on_card, &texts.sequences, NULL);
    }
    struct error err = {0};
    if (!device_prepare(r->card, &there, &err))
        fail_msg("%s", err.message);
    size_t scratch = device_attention_bytes(r->cpu, &here, rows);
    void *work = aligned_alloc(64, (scratch + 63) / 64 * 64);
    struct narrow *card = card_narrow(r, qkv, rows * wide);
    struct narrow *context = card_room(r, rows * out * sizeof *qkv);
    assert_int_equal(device_attention_bytes(r->card, &there, rows), 0);
    try_turning(r, c, &here, &there, &texts, qkv, card);
    device_attention(r->on_cpu, &here, &texts.sequences, (struct narrow *)qkv,
                     work, (struct narrow *)want);
    device_attention(r->on_card, &there, &texts.sequences, card, NULL, context);
    assert_narrow(r, context, want, rows * out, 4 * r->unit + 2e-5, 0,
                  "attention");
    free(work), free(qkv), free(want), free(distances), free(slopes);
    free(table), free(cosine), free(sine), free(texts.ids);
}

#define WHOLE .behind = SIZE_MAX, .ahead = SIZE_MAX

static void attention_is_the_cpus(struct rig *r) {
    static const struct attention_case CASES[] = {
        {.heads = 2, .kv_heads = 2, .head_dim = 32, WHOLE},
        {.heads = 4,
         .kv_heads = 2,
         .head_dim = 64,
         .behind = SIZE_MAX,
         .ahead = 0},
        {.heads = 4, .kv_heads = 1, .head_dim = 16, .behind = 6, .ahead = 6},
        {.heads = 2, .kv_heads = 2, .head_dim = 24, WHOLE, .distances = true},
        {.heads = 2,
         .kv_heads = 2,
         .head_dim = 32,
         WHOLE,
         .slopes = true,
         .keys = true},
        {.heads = 2, .kv_heads = 2, .head_dim = 20, WHOLE, .relative = true},
        {.heads = 2, .kv_heads = 1, .head_dim = 128, WHOLE, .keys = true},
        {.heads = 1, .kv_heads = 1, .head_dim = 256, .behind = 20, .ahead = 0},
        {.heads = 1, .kv_heads = 1, .head_dim = 256, WHOLE, .distances = true},
        {.heads = 2,
         .kv_heads = 2,
         .head_dim = 64,
         WHOLE,
         .rotary_dims = 64,
         .turns = 1},
        {.heads = 4,
         .kv_heads = 2,
         .head_dim = 64,
         .behind = 5,
         .ahead = 5,
         .rotary_dims = 64,
         .brief = true},
        {.heads = 2,
         .kv_heads = 1,
         .head_dim = 80,
         WHOLE,
         .keys = true,
         .rotary_dims = 24,
         .interleaved = true,
         .turns = 1},
        {.heads = 2,
         .kv_heads = 2,
         .head_dim = 80,
         .behind = SIZE_MAX,
         .ahead = 0,
         .rotary_dims = 24,
         .interleaved = true,
         .brief = true},
        {.heads = 2,
         .kv_heads = 1,
         .head_dim = 256,
         .behind = SIZE_MAX,
         .ahead = 0,
         .rotary_dims = 256,
         .brief = true,
         .turns = 1},
        {.heads = 2,
         .kv_heads = 2,
         .head_dim = 64,
         WHOLE,
         .rotary_dims = 24,
         .brief = true,
         .turns = 1},
        {.heads = 2,
         .kv_heads = 2,
         .head_dim = 20,
         WHOLE,
         .rotary_dims = 16,
         .brief = true,
         .turns = 1},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        try_attention(r, &CASES[i]);
        r->used = 0;
    }
}

static void heads_that_are_too_wide_are_refused(struct rig *r) {
    struct attention a = {.heads = 1,
                          .kv_heads = 1,
                          .head_dim = 257,
                          .scale = 1,
                          .behind = SIZE_MAX,
                          .ahead = SIZE_MAX};
    struct error err = {0};
    assert_false(device_prepare(r->card, &a, &err));
    assert_int_equal(err.code, ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "257"));
}

/* ---- the end of a model ------------------------------------------------- */

static void texts_are_pooled(struct rig *r) {
    enum { WIDTH = 140, STRIDE = 150, TEXTS = 4 };
    struct texts texts;
    begin_group(r, &texts, LENGTHS, 10);
    size_t rows = sequences_rows(&texts.sequences);
    float *x = floats(rows * WIDTH), *want = floats(TEXTS * STRIDE);
    float *card = card_floats(r, x, rows * WIDTH);
    float *y = card_floats(r, want, TEXTS * STRIDE);
    for (enum pooling how = POOLING_CLS; how <= POOLING_MAX; how++)
        for (texts.sequences.skip = 0; texts.sequences.skip <= 2;
             texts.sequences.skip += 2) {
            device_pool(r->on_card, how, &texts.sequences, card, WIDTH, y,
                        STRIDE);
            device_pool(r->on_cpu, how, &texts.sequences, x, WIDTH, want,
                        STRIDE);
            assert_floats(r, y, want, TEXTS * STRIDE, 1e-6, 1e-6, "pooled");
        }
    free(x), free(want), free(texts.ids);
}

static void a_row_of_each_text_is_picked(struct rig *r) {
    enum { WIDTH = 72, TEXTS = 4 };
    struct texts texts;
    begin_group(r, &texts, LENGTHS, 10);
    size_t rows = sequences_rows(&texts.sequences);
    float *x = floats(rows * WIDTH), *want = floats(TEXTS * WIDTH);
    struct narrow *card = card_narrow(r, x, rows * WIDTH);
    struct narrow *y = card_narrow(r, want, TEXTS * WIDTH);
    for (int last = 0; last < 2; last++) {
        texts.sequences.meant = last ? ROWS_LAST : ROWS_FIRST;
        device_pick(r->on_card, &texts.sequences, card, WIDTH, y);
        for (size_t t = 0; t < TEXTS; t++) {
            size_t row = last ? sequences_row(&texts.sequences, t + 1) - 1
                              : sequences_row(&texts.sequences, t);
            memcpy(want + t * WIDTH, x + row * WIDTH, WIDTH * sizeof *x);
        }
        assert_narrow(r, y, want, TEXTS * WIDTH, 0, -r->unit, "picked");
    }
    free(x), free(want), free(texts.ids);
}

static void rows_are_normalized(struct rig *r) {
    enum { WIDTH = 65, ROWS = 7, COUNT = WIDTH * ROWS };
    float *x = floats(COUNT);
    memset(x, 0, WIDTH * sizeof *x);
    float *card = card_floats(r, x, COUNT);
    device_normalize(r->on_card, card, ROWS, WIDTH);
    device_normalize(r->on_cpu, x, ROWS, WIDTH);
    assert_floats(r, card, x, COUNT, 1e-7, 2e-7, "normalized");
    free(x);
}

static void rows_are_accumulated(struct rig *r) {
    enum { WIDTH = 300, ROWS = 5 };
    float *x = floats(ROWS * WIDTH), *want = floats(WIDTH);
    float *card = card_floats(r, x, ROWS * WIDTH);
    float *y = card_room(r, WIDTH * sizeof *y);
    float *lost = card_room(r, WIDTH * sizeof *lost);
    for (enum accumulate how = ACCUMULATE_MAX; how <= ACCUMULATE_SUM_LOG1P;
         how++) {
        device_accumulate(r->on_cpu, how, x, ROWS, WIDTH, true, want, NULL);
        device_accumulate(r->on_card, how, card, 2, WIDTH, true, y, lost);
        device_accumulate(r->on_card, how, card + 2 * WIDTH, ROWS - 2, WIDTH,
                          false, y, lost);
        assert_floats(r, y, want, WIDTH, 1e-6, 1e-6, "accumulated");
    }
    free(x), free(want);
}

/* ---- experts ------------------------------------------------------------ */

/* Each of ROWS rows has the same bits among the others and alone. (A real
 * cuBLASLt may refuse an algorithm for so few rows.) */
static void rows_are_alone(struct rig *r, const struct experts *experts,
                           const struct narrow *x, size_t rows, void *scratch) {
    size_t in = experts->router.in, out = experts->down[0].out;
    if (is_real())
        return;
    float *all = floats(rows * out), *alone = floats(rows * out);
    float *y = card_room(r, rows * out * sizeof *y);
    device_experts(r->on_card, experts, x, rows, NULL, scratch, y);
    device_download(r->on_card, y, rows * out, all);
    finish(r);
    for (size_t row = 0; row < rows; row++) {
        const char *at = (const char *)x + row * in * r->card->narrow_bytes;
        device_experts(r->on_card, experts, (const struct narrow *)at, 1, NULL,
                       scratch, y);
        device_download(r->on_card, y, out, alone + row * out);
        finish(r);
    }
    assert_same_bits(all, alone, rows * out, "rows among others and alone");
    free(all), free(alone);
}

static void experts_are_the_cpus(struct rig *r) {
    enum { COUNT = 4, IN = 24, INTER = 32, ROWS = 11 };
    struct matrix router = matrix_make(r, IN, COUNT, false), up[COUNT],
                  down[COUNT];
    struct linear ups[2][COUNT], downs[2][COUNT];
    for (int i = 0; i < COUNT; i++) {
        up[i] = matrix_make(r, IN, INTER, false);
        down[i] = matrix_make(r, INTER, IN, false);
        ups[0][i] = up[i].on_cpu, ups[1][i] = up[i].on_card;
        downs[0][i] = down[i].on_cpu, downs[1][i] = down[i].on_card;
    }
    float *shift = floats(IN), *x = floats(ROWS * IN),
          *residual = floats(ROWS * IN), *want = floats(ROWS * IN);
    struct experts here = {.count = COUNT,
                           .chosen = 2,
                           .router = router.on_cpu,
                           .up = ups[0],
                           .down = downs[0],
                           .shift = shift,
                           .activation = ACTIVATION_GELU};
    struct experts there = here;
    there.router = router.on_card;
    there.up = ups[1];
    there.down = downs[1];
    there.shift = card_floats(r, shift, IN);
    struct narrow *card_x = card_narrow(r, x, ROWS * IN);
    float *y = card_floats(r, residual, ROWS * IN);
    void *scratch = card_room(r, device_experts_bytes(r->card, &there, ROWS));
    size_t bytes = device_experts_bytes(r->cpu, &here, ROWS);
    void *work = aligned_alloc(64, (bytes + 63) / 64 * 64);
    device_experts(r->on_cpu, &here, (struct narrow *)x, ROWS, residual, work,
                   want);
    device_experts(r->on_card, &there, card_x, ROWS, y, scratch, y);
    assert_floats(r, y, want, ROWS * IN, INTER * 12 * r->unit + 1e-4, 0,
                  "experts");
    rows_are_alone(r, &there, card_x, ROWS, scratch);
    matrix_free(&router);
    for (int i = 0; i < COUNT; i++)
        matrix_free(&up[i]), matrix_free(&down[i]);
    free(work), free(shift), free(x), free(residual), free(want);
}

#define ON_EACH_TYPE(test)                                                     \
    static void each_##test(void **state) {                                    \
        (void)state;                                                           \
        on_each_type(test);                                                    \
    }
ON_EACH_TYPE(numbers_are_narrowed)
ON_EACH_TYPE(norms_are_the_cpus)
ON_EACH_TYPE(a_norm_may_be_in_place)
ON_EACH_TYPE(heads_are_normed)
ON_EACH_TYPE(heads_are_turned)
ON_EACH_TYPE(texts_are_embedded)
ON_EACH_TYPE(groups_follow_each_other)
ON_EACH_TYPE(products_are_the_cpus)
ON_EACH_TYPE(no_rows_are_nothing)
ON_EACH_TYPE(gates_pass_the_range_of_f16)
ON_EACH_TYPE(attention_is_the_cpus)
ON_EACH_TYPE(heads_that_are_too_wide_are_refused)
ON_EACH_TYPE(texts_are_pooled)
ON_EACH_TYPE(a_row_of_each_text_is_picked)
ON_EACH_TYPE(rows_are_normalized)
ON_EACH_TYPE(rows_are_accumulated)
ON_EACH_TYPE(experts_are_the_cpus)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_numbers_are_narrowed),
        cmocka_unit_test(each_norms_are_the_cpus),
        cmocka_unit_test(each_a_norm_may_be_in_place),
        cmocka_unit_test(each_heads_are_normed),
        cmocka_unit_test(each_heads_are_turned),
        cmocka_unit_test(each_texts_are_embedded),
        cmocka_unit_test(each_groups_follow_each_other),
        cmocka_unit_test(each_products_are_the_cpus),
        cmocka_unit_test(each_no_rows_are_nothing),
        cmocka_unit_test(each_gates_pass_the_range_of_f16),
        cmocka_unit_test(each_attention_is_the_cpus),
        cmocka_unit_test(each_heads_that_are_too_wide_are_refused),
        cmocka_unit_test(each_texts_are_pooled),
        cmocka_unit_test(each_a_row_of_each_text_is_picked),
        cmocka_unit_test(each_rows_are_normalized),
        cmocka_unit_test(each_rows_are_accumulated),
        cmocka_unit_test(each_experts_are_the_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
