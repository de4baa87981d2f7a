/* Rows that become e4m3 as they are written, for the one matrix that reads
 * them: feed-forward blocks and experts against their definition, and where
 * rows stay what they are. */

#include "device/cuda_fp8_fixture.h"

/* ---- the definition ------------------------------------------------------ */

/* A number, and how far off it may be. */
struct about {
    double value, error;
};

/* As a row becomes e4m3: within the error another code may be the nearest. */
static void code_row(struct about *row, size_t count) {
    double most = 0x1p-100, most_error = 0;
    for (size_t i = 0; i < count; i++) {
        most = fabs(row[i].value) > most ? fabs(row[i].value) : most;
        most_error = row[i].error > most_error ? row[i].error : most_error;
    }
    double scale = most / 448, loose = most_error / most + 4 * ROUNDING;
    for (size_t i = 0; i < count; i++) {
        double x = row[i].value / scale;
        double off = row[i].error / scale + fabs(x) * loose;
        double low = e4m3_value(e4m3_nearest(x - off)) * scale;
        double high = e4m3_value(e4m3_nearest(x + off)) * scale;
        row[i].value = (low + high) / 2;
        row[i].error = (high - low) / 2 + fabs(high + low) * loose;
    }
}

struct matrix {
    float *bias;
    double *values;       /* [out, in], as its codes say */
    struct linear linear; /* on the card */
};

static struct matrix matrix_make(struct rig *r, size_t in, size_t out) {
    float *weights = floats(in * out);
    struct matrix m = {.bias = floats(out),
                       .values = malloc(in * out * sizeof *m.values)};
    void *packed = card_room(r, device_linear_bytes(r->card, in, out));
    device_linear_pack(r->card, weights, in, out, 0, out, packed);
    for (size_t o = 0; o < out; o++) {
        double scale = quantized(weights + o * in, in, m.values + o * in);
        for (size_t i = 0; i < in; i++)
            m.values[o * in + i] *= scale;
    }
    m.linear = (struct linear){.in = in,
                               .out = out,
                               .weights = packed,
                               .bias = card_floats(r, m.bias, out)};
    free(weights);
    return m;
}

static void matrix_free(struct matrix *m) {
    free(m->bias), free(m->values);
}

/* One row; NARROW: products are rounded to bf16. */
static void multiply(const struct matrix *m, const struct about *x, bool narrow,
                     struct about *y) {
    size_t in = m->linear.in;
    for (size_t o = 0; o < m->linear.out; o++) {
        double sum = 0, sizes = 0, error = 0, bias = (double)m->bias[o];
        for (size_t i = 0; i < in; i++) {
            double w = m->values[o * in + i];
            sum += x[i].value * w;
            sizes += fabs(x[i].value * w);
            error += x[i].error * fabs(w);
        }
        error += ROUNDING * (((double)in + 8) * sizes + 4 * fabs(bias));
        if (narrow)
            error += 0x1p-9 * (fabs(sum) + error);
        y[o] = (struct about){sum + bias, error};
    }
}

/* The derivative is at most 1.13. */
static struct about activated(enum activation activation, struct about x) {
    double y = activation_exact(activation, x.value);
    return (struct about){y, 1.13 * x.error +
                                 8 * ROUNDING * (fabs(x.value) + fabs(y))};
}

static struct about times(struct about a, struct about b) {
    double y = a.value * b.value;
    return (struct about){y, a.error * fabs(b.value) + b.error * fabs(a.value) +
                                 a.error * b.error + ROUNDING * fabs(y)};
}

/* As bf16. */
static struct about rounded(struct about x) {
    return (struct about){x.value,
                          x.error + 0x1p-8 * (fabs(x.value) + x.error)};
}

/* A LayerNorm without a shift. */
static void norm_row(const float *x, const float *scale, size_t width,
                     struct about *y) {
    double sum = 0, squares = 0, count = (double)width;
    for (size_t i = 0; i < width; i++)
        sum += (double)x[i];
    for (size_t i = 0; i < width; i++)
        squares += pow((double)x[i] - sum / count, 2);
    double factor = 1 / sqrt(squares / count + 1e-5);
    for (size_t i = 0; i < width; i++) {
        double v = ((double)x[i] - sum / count) * factor * (double)scale[i];
        y[i] = (struct about){v, ROUNDING * (count + 16) * (fabs(v) + 1)};
    }
}

/* ---- a feed-forward block ------------------------------------------------ */

struct block_case {
    size_t width, inter, rows;
    enum activation activation;
    bool gated, told; /* who reads what */
    unsigned launches;
};

/* Row X of the block: what its last matrix makes. */
static void block_row(const struct block_case *c, const struct matrix *up,
                      const struct matrix *down, const float *x,
                      const float *scale, struct about *y) {
    struct about *row = malloc(c->width * sizeof *row);
    struct about *both = malloc(up->linear.out * sizeof *both);
    norm_row(x, scale, c->width, row);
    for (size_t i = 0; !c->told && i < c->width; i++)
        row[i] = rounded(row[i]);
    code_row(row, c->width);
    multiply(up, row, true, both);
    for (size_t i = 0; i < c->inter; i++) {
        if (c->gated && !c->told) { /* both were written in bf16 before */
            both[i] = rounded(both[i]);
            both[c->inter + i] = rounded(both[c->inter + i]);
        }
        both[i] = activated(c->activation, both[i]);
        if (c->gated)
            both[i] = times(both[i], both[c->inter + i]);
        if (!c->told)
            both[i] = rounded(both[i]);
    }
    code_row(both, c->inter);
    multiply(down, both, false, y);
    free(row), free(both);
}

/* As transformer.c has it, where norms stand before blocks. */
static void run_block(struct rig *r, const struct block_case *c,
                      const struct norm *norm, const struct matrix *up,
                      const struct matrix *down, float *x) {
    struct narrow *z = card_room(r, c->rows * c->width * 2);
    struct narrow *both = card_room(r, c->rows * up->linear.out * 2);
    struct narrow *inner = both;
    device_norm(r->on_card, norm, x, c->rows, NULL, NULL, z);
    device_linear_narrow(r->on_card, &up->linear, z, c->rows,
                         c->gated ? ACTIVATION_NONE : c->activation, both);
    if (c->gated) {
        inner = card_room(r, c->rows * c->inter * 2);
        device_gate(r->on_card, c->activation, both, c->rows, c->inter, inner);
    }
    device_linear(r->on_card, &down->linear, inner, c->rows, ACTIVATION_NONE, x,
                  x);
}

static void try_block(struct rig *r, const struct block_case *c) {
    size_t count = c->rows * c->width;
    float *x = floats(count), *scale = floats(c->width);
    struct matrix up = matrix_make(r, c->width, c->inter * (c->gated ? 2 : 1));
    struct matrix down = matrix_make(r, c->inter, c->width);
    struct norm norm = {.width = c->width,
                        .scale = card_floats(r, scale, c->width),
                        .epsilon = 1e-5f};
    struct about *want = malloc(c->width * sizeof *want);
    down.linear.behind_gate = c->gated;
    up.linear.before_gate = c->gated && c->told;
    if (c->told) {
        norm.feeds = up.linear.out;
        up.linear.feeds = c->width;
    }
    float *on_card = card_floats(r, x, count);
    uint64_t before = is_real() ? 0 : counted(0).launches;
    run_block(r, c, &norm, &up, &down, on_card);
    float *got = read_floats(r, on_card, count);
    if (!is_real())
        assert_int_equal(counted(0).launches - before, c->launches);
    for (size_t row = 0; row < c->rows; row++) {
        block_row(c, &up, &down, x + row * c->width, scale, want);
        for (size_t i = 0; i < c->width; i++) {
            size_t at = row * c->width + i;
            double add = (double)x[at];
            assert_near((double)got[at], want[i].value + add,
                        want[i].error +
                            4 * ROUNDING * (fabs(want[i].value) + fabs(add)),
                        "a block", at);
        }
    }
    free(got), free(want), free(x), free(scale);
    matrix_free(&up), matrix_free(&down);
    r->used = 0;
}

/* The norm, two products, what stands between them and what behind: 5. What is
 * not told of, or too wide, is made e4m3 by kernels of their own. */
static void rows_become_e4m3_as_they_are_written(void **state) {
    (void)state;
    static const struct block_case CASES[] = {
        {48, 96, 19, ACTIVATION_GELU, false, true, 5},
        {64, 48, 21, ACTIVATION_SILU, true, true, 5},
        {1040, 32, 5, ACTIVATION_RELU, false, true, 5},
        {32, 4128, 3, ACTIVATION_SILU, true, true, 5},
        {48, 96, 19, ACTIVATION_GELU, false, false, 7},
        {64, 48, 21, ACTIVATION_SILU, true, false, 8},
        {4112, 16, 3, ACTIVATION_GELU, false, true, 6},
        {4112, 16, 3, ACTIVATION_GELU, true, true, 8},
        {16, 16400, 2, ACTIVATION_NONE, false, true, 6},
    };
    struct rig r;
    if (!has_fp8())
        return;
    fp8_open(&r, L4);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        try_block(&r, &CASES[i]);
    rig_close(&r);
}

/* ---- rows that stay what they are ---------------------------------------- */

/* FEEDS says what reads z, which a card in bf16 may read as well. */
static void z_is_narrow(struct rig *r, size_t width, size_t feeds) {
    enum { ROWS = 5 };
    float *x = floats(ROWS * width);
    float *on_card = card_floats(r, x, ROWS * width);
    float *y = card_room(r, ROWS * width * sizeof *y);
    struct narrow *z = card_room(r, ROWS * width * 2);
    struct norm norm = {.width = width, .epsilon = 1e-5f, .feeds = feeds};
    device_norm(r->on_card, &norm, on_card, ROWS, NULL, y, z);
    float *wide = read_floats(r, y, ROWS * width);
    assert_narrow(r, z, wide, ROWS * width, 0, 0, "z");
    free(x), free(wide);
    r->used = 0;
}

static void other_rows_stay_bf16(void **state) {
    (void)state;
    struct rig r;
    if (!has_fp8())
        return;
    fp8_open(&r, L4);
    z_is_narrow(&r, 48, 0);
    z_is_narrow(&r, 48, 40);
    z_is_narrow(&r, 40, 48);
    rig_close(&r);
    rig_open(&r, L4, NUMBER_BF16);
    z_is_narrow(&r, 48, 64);
    rig_close(&r);
}

/* What lies where rows in e4m3 lay is read as what was written last. */
static void what_is_written_over_is_forgotten(void **state) {
    (void)state;
    enum { WIDTH = 32, ROWS = 6, COUNT = ROWS * WIDTH };
    struct rig r;
    if (!has_fp8())
        return;
    fp8_open(&r, L4);
    struct matrix m = matrix_make(&r, WIDTH, WIDTH);
    struct norm told = {.width = WIDTH, .epsilon = 1e-5f, .feeds = WIDTH};
    struct norm untold = {.width = WIDTH, .epsilon = 1e-5f};
    float *x = floats(COUNT);
    float *on_card = card_floats(&r, x, COUNT);
    float *y = card_room(&r, COUNT * sizeof *y);
    struct narrow *z = card_room(&r, COUNT * 2);
    struct narrow *apart = card_room(&r, COUNT * 2);
    for (int how = 0; how < 3; how++) {
        float *got[2];
        for (int i = 0; i < 2; i++) {
            struct narrow *to = i ? z : apart;
            device_norm(r.on_card, &told, on_card, ROWS, NULL, NULL, z);
            if (how == 0)
                device_narrow(r.on_card, on_card, COUNT, to);
            else if (how == 1)
                device_norm(r.on_card, &untold, on_card, ROWS, NULL, NULL, to);
            else
                device_linear_narrow(r.on_card, &m.linear,
                                     device_narrow(r.on_card, on_card, COUNT,
                                                   card_room(&r, COUNT * 2)),
                                     ROWS, ACTIVATION_GELU, to);
            device_linear(r.on_card, &m.linear, to, ROWS, ACTIVATION_NONE, NULL,
                          y);
            got[i] = read_floats(&r, y, COUNT);
        }
        assert_same_bits(got[0], got[1], COUNT, "rows over rows in e4m3");
        free(got[0]), free(got[1]);
    }
    free(x);
    matrix_free(&m);
    rig_close(&r);
}

/* ---- experts ------------------------------------------------------------- */

enum { EXPERTS = 4, CHOSEN = 2, IN = 48, INTER = 80, ROWS = 23 };

struct router {
    double values[EXPERTS * IN]; /* in bf16 */
    struct linear linear;
};

static struct router router_make(struct rig *r) {
    struct router router;
    float *weights = floats(EXPERTS * IN);
    void *packed = card_room(r, device_linear_bytes(r->card, IN, EXPERTS));
    device_linear_pack(r->card, weights, IN, EXPERTS, 0, EXPERTS, packed);
    router.linear =
        (struct linear){.in = IN, .out = EXPERTS, .weights = packed};
    card_narrow(r, weights, EXPERTS * IN); /* rounds them */
    for (size_t i = 0; i < EXPERTS * IN; i++)
        router.values[i] = (double)weights[i];
    free(weights);
    return router;
}

/* What each expert weighs for row X; 0: it was not chosen. */
static void route(const struct router *router, const float *x,
                  double weights[EXPERTS]) {
    double scores[EXPERTS] = {0}, mass = 0;
    for (size_t e = 0; e < EXPERTS; e++) {
        for (size_t i = 0; i < IN; i++)
            scores[e] += router->values[e * IN + i] * (double)x[i];
        mass += exp(scores[e]);
    }
    for (size_t e = 0; e < EXPERTS; e++) {
        size_t before = 0;
        for (size_t other = 0; other < EXPERTS; other++)
            before += scores[other] > scores[e];
        weights[e] = before < CHOSEN ? exp(scores[e]) / mass : 0;
    }
}

/* Row X, bf16, of the block. */
static void experts_row(const struct router *router, const struct matrix *up,
                        const struct matrix *down, const float *x,
                        struct about *y) {
    struct about row[IN], inner[INTER], outer[IN];
    double weights[EXPERTS];
    route(router, x, weights);
    for (size_t i = 0; i < IN; i++) {
        row[i] = (struct about){(double)x[i], 0};
        y[i] = (struct about){0, 0};
    }
    code_row(row, IN);
    for (size_t e = 0; e < EXPERTS; e++) {
        if (weights[e] <= 0)
            continue;
        multiply(&up[e], row, true, inner);
        for (size_t i = 0; i < INTER; i++)
            inner[i] = activated(ACTIVATION_GELU, inner[i]);
        code_row(inner, INTER);
        multiply(&down[e], inner, false, outer);
        for (size_t i = 0; i < IN; i++) {
            y[i].value += weights[e] * outer[i].value;
            y[i].error += weights[e] * (outer[i].error +
                                        100 * ROUNDING * fabs(outer[i].value));
        }
    }
}

static void experts_are_their_definition(void **state) {
    (void)state;
    struct rig r;
    if (!has_fp8())
        return;
    fp8_open(&r, L4);
    struct router router = router_make(&r);
    struct matrix up[EXPERTS], down[EXPERTS];
    struct linear ups[EXPERTS], downs[EXPERTS];
    for (size_t e = 0; e < EXPERTS; e++) {
        up[e] = matrix_make(&r, IN, INTER);
        down[e] = matrix_make(&r, INTER, IN);
        ups[e] = up[e].linear, downs[e] = down[e].linear;
    }
    float *x = floats(ROWS * IN), *shift = floats(IN);
    struct experts experts = {.count = EXPERTS,
                              .chosen = CHOSEN,
                              .router = router.linear,
                              .up = ups,
                              .down = downs,
                              .shift = card_floats(&r, shift, IN),
                              .activation = ACTIVATION_GELU};
    struct narrow *card_x = card_narrow(&r, x, ROWS * IN);
    float *y = card_room(&r, ROWS * IN * sizeof *y);
    void *scratch = card_room(&r, device_experts_bytes(r.card, &experts, ROWS));
    device_experts(r.on_card, &experts, card_x, ROWS, NULL, scratch, y);
    float *got = read_floats(&r, y, ROWS * IN);
    for (size_t row = 0; row < ROWS; row++) {
        struct about want[IN];
        experts_row(&router, up, down, x + row * IN, want);
        for (size_t i = 0; i < IN; i++)
            assert_near((double)got[row * IN + i],
                        want[i].value + (double)shift[i],
                        want[i].error + 8 * ROUNDING * fabs((double)shift[i]),
                        "experts in e4m3", row * IN + i);
    }
    free(got), free(x), free(shift);
    for (size_t e = 0; e < EXPERTS; e++)
        matrix_free(&up[e]), matrix_free(&down[e]);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_e4m3_as_they_are_written),
        cmocka_unit_test(other_rows_stay_bf16),
        cmocka_unit_test(what_is_written_over_is_forgotten),
        cmocka_unit_test(experts_are_their_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
