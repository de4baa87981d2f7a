/* A card whose matrices are e4m3 (NUMBER_FP8): products against their
 * definition, that of cuda_fp8.c, on the very codes; what stays bf16; numbers
 * that are not sound; memory; and cards that do not have it. */

#include "device/cuda_fp8_fixture.h"

/* ---- products ------------------------------------------------------------ */

struct product_case {
    size_t in, out, rows;
    enum activation activation;
    bool bias;
    int residual; /* 0 none, 1 another, 2 the result itself */
};

struct sum {
    float *weights, *bias, *x, *residual;
    struct linear linear; /* on the card */
    struct narrow *on_card;
};

static struct sum product_make(struct rig *r, const struct product_case *c) {
    struct sum p = {.weights = floats(c->in * c->out),
                    .bias = floats(c->out),
                    .x = floats(c->rows * c->in),
                    .residual = floats(c->rows * c->out)};
    void *packed = card_room(r, device_linear_bytes(r->card, c->in, c->out));
    size_t half = c->out / 2;
    for (size_t i = 0; i < c->in * c->out; i++)
        p.weights[i] *= (float)(1 + i / c->in % 5); /* each row another */
    for (size_t i = 0; i < c->rows * c->in; i++)
        p.x[i] *= i % 11 ? 1 : 30;
    device_linear_pack(r->card, p.weights, c->in, c->out, 0, half, packed);
    device_linear_pack(r->card, p.weights + half * c->in, c->in, c->out, half,
                       c->out - half, packed);
    p.linear = (struct linear){.in = c->in,
                               .out = c->out,
                               .weights = packed,
                               .bias = c->bias ? card_floats(r, p.bias, c->out)
                                               : NULL};
    p.on_card = card_narrow(r, p.x, c->rows * c->in);
    return p;
}

static void product_free(const struct sum *p) {
    free(p->weights), free(p->bias), free(p->x), free(p->residual);
}

/* NARROW: products are rounded to bf16 before they are scaled. A sum of floats
 * is off by a rounding of its terms' sizes an addition. */
static void check_product(const struct product_case *c, const struct sum *p,
                          bool narrow, const float *got) {
    double *w = malloc(c->in * c->out * sizeof *w);
    double *w_scale = malloc(c->out * sizeof *w_scale);
    double *x = malloc(c->in * sizeof *x);
    for (size_t o = 0; o < c->out; o++)
        w_scale[o] = quantized(p->weights + o * c->in, c->in, w + o * c->in);
    for (size_t row = 0; row < c->rows; row++) {
        double scale = quantized(p->x + row * c->in, c->in, x);
        for (size_t o = 0; o < c->out; o++) {
            double sum = 0, sizes = 0, add = 0;
            size_t at = row * c->out + o;
            for (size_t i = 0; i < c->in; i++) {
                sum += x[i] * w[o * c->in + i];
                sizes += fabs(x[i] * w[o * c->in + i]);
            }
            double bias = c->bias ? (double)p->bias[o] : 0;
            double before = sum * scale * w_scale[o] + bias;
            double want = activation_exact(c->activation, before);
            if (c->residual && !narrow)
                add = (double)p->residual[at];
            double roundings = (double)c->in * sizes + 4 * fabs(sum);
            double error = 1.13 * ROUNDING *
                               (roundings * scale * w_scale[o] + fabs(bias)) +
                           8 * ROUNDING * (fabs(before) + fabs(add));
            if (narrow)
                error += 0x1p-8 * (1.13 * fabs(sum) * scale * w_scale[o] +
                                   fabs(want) + error);
            assert_near((double)got[at], want + add, error, "product", at);
        }
    }
    free(w), free(w_scale), free(x);
}

static void try_product(struct rig *r, const struct product_case *c) {
    size_t count = c->rows * c->out;
    struct sum p = product_make(r, c);
    float *add = c->residual ? card_floats(r, p.residual, count) : NULL;
    float *y = c->residual == 2 ? add : card_room(r, count * sizeof *y);
    device_linear(r->on_card, &p.linear, p.on_card, c->rows, c->activation, add,
                  y);
    float *got = read_floats(r, y, count);
    check_product(c, &p, false, got);
    free(got);
    struct narrow *z = card_room(r, count * sizeof(uint16_t));
    device_linear_narrow(r->on_card, &p.linear, p.on_card, c->rows,
                         c->activation, z);
    got = read_narrow(r, z, count);
    check_product(c, &p, true, got);
    free(got);
    product_free(&p);
    r->used = 0;
}

static void products_are_of_e4m3(void **state) {
    (void)state;
    static const struct product_case CASES[] = {
        {16, 16, 1, ACTIVATION_NONE, false, 0},
        {64, 48, 17, ACTIVATION_NONE, true, 1},
        {48, 64, 19, ACTIVATION_NONE, true, 2},
        {384, 32, 5, ACTIVATION_GELU, true, 0},
        {32, 272, 300, ACTIVATION_RELU, true, 2},
        {1040, 16, 6, ACTIVATION_SILU, false, 1},
    };
    const char *const CARDS[] = {L4, H200};
    for (size_t card = 0; has_fp8() && card < 2; card++) {
        struct rig r;
        fp8_open(&r, CARDS[card]);
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
            try_product(&r, &CASES[i]);
        rig_close(&r);
    }
}

/* More rows than the room holds, in e4m3 or as products: 16 at a time here. */
static void rows_go_through_the_room(void **state) {
    (void)state;
    static const struct product_case WIDE_RESULTS = {
        16, 1 << 18, 17, ACTIVATION_NONE, false, 2};
    struct rig r;
    if (!has_fp8())
        return;
    fp8_open(&r, L4);
    const struct product_case *c = &WIDE_RESULTS;
    struct sum p = product_make(&r, c);
    float *y = card_floats(&r, p.residual, c->rows * c->out);
    uint64_t before = counted(0).products;
    device_linear(r.on_card, &p.linear, p.on_card, c->rows, c->activation, y,
                  y);
    float *got = read_floats(&r, y, c->rows * c->out);
    if (!is_real())
        assert_int_equal(counted(0).products - before, 2);
    check_product(c, &p, false, got);
    free(got);
    product_free(&p);
    rig_close(&r);
}

/* A row's bits do not depend on how many there are. */
static void a_row_is_the_same_alone(void **state) {
    (void)state;
    static const struct product_case MANY = {64,   80, 40, ACTIVATION_GELU,
                                             true, 0};
    struct rig r;
    if (is_real()) /* cuBLASLt may take another algorithm */
        return;
    fp8_open(&r, L4);
    struct sum p = product_make(&r, &MANY);
    float *y = card_room(&r, MANY.rows * MANY.out * sizeof *y);
    device_linear(r.on_card, &p.linear, p.on_card, MANY.rows, MANY.activation,
                  NULL, y);
    float *all = read_floats(&r, y, MANY.rows * MANY.out);
    for (size_t row = 0; row < MANY.rows; row += 13) {
        const struct narrow *x =
            (const struct narrow *)((char *)p.on_card + row * MANY.in * 2);
        device_linear(r.on_card, &p.linear, x, 1, MANY.activation, NULL, y);
        float *one = read_floats(&r, y, MANY.out);
        assert_same_bits(one, all + row * MANY.out, MANY.out, "a row alone");
        free(one);
    }
    free(all);
    product_free(&p);
    rig_close(&r);
}

/* ---- what is not e4m3 ---------------------------------------------------- */

/* Widths that cuBLASLt has no such products for: numbers are as near as bf16's,
 * which e4m3's would not be. */
static void other_widths_stay_bf16(void **state) {
    (void)state;
    static const struct product_case CASES[] = {
        {24, 32, 9, ACTIVATION_NONE, true, 1},
        {32, 40, 9, ACTIVATION_GELU, true, 2},
        {64, 1, 5, ACTIVATION_NONE, true, 0},
    };
    struct rig r;
    if (!has_fp8())
        return;
    fp8_open(&r, L4);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct product_case *c = &CASES[i];
        size_t numbers = c->in * c->out, count = c->rows * c->out;
        assert_int_equal(device_linear_bytes(r.card, c->in, c->out),
                         (2 * numbers + 63) / 64 * 64 + 2 * c->out);
        struct sum p = product_make(&r, c);
        float *add = c->residual ? card_floats(&r, p.residual, count) : NULL;
        float *y = c->residual == 2 ? add : card_room(&r, count * sizeof *y);
        card_narrow(&r, p.weights, numbers); /* rounds them */
        device_linear(r.on_card, &p.linear, p.on_card, c->rows, c->activation,
                      add, y);
        float *got = read_floats(&r, y, count);
        for (size_t at = 0; at < count; at++) {
            size_t row = at / c->out, o = at % c->out;
            double sum = c->bias ? (double)p.bias[o] : 0, sizes = fabs(sum);
            for (size_t k = 0; k < c->in; k++) {
                sum += (double)p.x[row * c->in + k] *
                       (double)p.weights[o * c->in + k];
                sizes += fabs((double)p.x[row * c->in + k] *
                              (double)p.weights[o * c->in + k]);
            }
            double want = activation_exact(c->activation, sum) +
                          (c->residual ? (double)p.residual[at] : 0);
            assert_near((double)got[at], want,
                        ROUNDING * ((double)c->in + 8) * (sizes + 1), "bf16",
                        at);
        }
        free(got);
        product_free(&p);
        r.used = 0;
    }
    rig_close(&r);
}

/* ---- numbers that are not sound, and extremes ---------------------------- */

enum { SIDE = 32, ROWS = 8 };

/* Which results are finite: FINE [ROWS, SIDE]. */
static void assert_sound(struct rig *r, const float *weights, float *x,
                         bool (*fine)(size_t row, size_t column)) {
    void *packed = card_room(r, device_linear_bytes(r->card, SIDE, SIDE));
    device_linear_pack(r->card, weights, SIDE, SIDE, 0, SIDE, packed);
    struct linear linear = {.in = SIDE, .out = SIDE, .weights = packed};
    struct narrow *on_card = card_narrow(r, x, ROWS * SIDE);
    float *y = card_room(r, ROWS * SIDE * sizeof *y);
    struct narrow *z = card_room(r, ROWS * SIDE * 2);
    device_linear(r->on_card, &linear, on_card, ROWS, ACTIVATION_NONE, NULL, y);
    device_linear_narrow(r->on_card, &linear, on_card, ROWS, ACTIVATION_GELU,
                         z);
    float *wide = read_floats(r, y, ROWS * SIDE);
    float *narrow = read_narrow(r, z, ROWS * SIDE);
    for (size_t i = 0; i < ROWS * SIDE; i++) {
        bool want = fine(i / SIDE, i % SIDE);
        if (isfinite(wide[i]) != want || isfinite(narrow[i]) != want)
            fail_msg("result [%zu, %zu] is %g and %g", i / SIDE, i % SIDE,
                     (double)wide[i], (double)narrow[i]);
    }
    free(wide), free(narrow);
    r->used = 0;
}

static bool rows_from_two(size_t row, size_t column) {
    (void)column;
    return row >= 2;
}

static bool columns_from_two(size_t row, size_t column) {
    (void)row;
    return column >= 2;
}

static bool all_of_them(size_t row, size_t column) {
    (void)row, (void)column;
    return true;
}

static void what_is_not_finite_stays_that(void **state) {
    (void)state;
    struct rig r;
    if (!has_fp8())
        return;
    fp8_open(&r, L4);
    float *w = floats(SIDE * SIDE), *x = floats(ROWS * SIDE);
    x[5] = NAN;
    x[SIDE + 31] = -INFINITY;
    assert_sound(&r, w, x, rows_from_two);
    x[5] = x[SIDE + 31] = 0;
    w[0] = INFINITY;
    w[SIDE + 3] = NAN;
    assert_sound(&r, w, x, columns_from_two);
    w[0] = w[SIDE + 3] = 0;
    memset(x, 0, SIDE * sizeof *x); /* a row of zeros, of next to nothing, */
    for (size_t i = 0; i < SIDE; i++) {
        x[SIDE + i] *= 0x1p-130f;
        x[2 * SIDE + i] *= 0x1p100f; /* and of a great size */
        w[i] *= 0x1p-120f;
        w[SIDE + i] = 0;
        w[2 * SIDE + i] *= 0x1p20f;
    }
    assert_sound(&r, w, x, all_of_them);
    free(w), free(x);
    rig_close(&r);
}

/* A row of zeros gives the bias. */
static void zeros_are_zeros(void **state) {
    (void)state;
    struct rig r;
    if (!has_fp8())
        return;
    fp8_open(&r, L4);
    static const struct product_case C = {32, 32, 3, ACTIVATION_NONE, true, 0};
    struct sum p = product_make(&r, &C);
    memset(p.x, 0, 32 * sizeof *p.x);
    struct narrow *x = card_narrow(&r, p.x, 3 * 32);
    float *y = card_room(&r, 3 * 32 * sizeof *y);
    device_linear(r.on_card, &p.linear, x, 3, ACTIVATION_NONE, NULL, y);
    float *got = read_floats(&r, y, 3 * 32);
    assert_same_bits(got, p.bias, 32, "a row of zeros");
    free(got);
    product_free(&p);
    rig_close(&r);
}

/* ---- memory, and cards --------------------------------------------------- */

static void matrices_take_half_of_bf16_s_bytes(void **state) {
    (void)state;
    struct rig r;
    uint64_t overhead[2];
    const enum number_type TYPES[] = {NUMBER_BF16, NUMBER_FP8};
    if (!has_fp8())
        return;
    for (int i = 0; i < 2; i++) {
        struct device_facts facts;
        rig_open(&r, L4, TYPES[i]);
        assert_true(device_facts(r.card, &facts, NULL));
        overhead[i] = facts.bytes_overhead;
        size_t bytes = device_linear_bytes(r.card, 1024, 4096);
        assert_int_equal(bytes, i ? (1024 * 4096) + 4096 * sizeof(float)
                                  : 2 * 1024 * 4096 + 2 * 4096);
        rig_close(&r);
    }
    /* the room for rows in e4m3, and a module */
    assert_true(overhead[1] >= overhead[0] + (32 << 20));
    assert_true(is_real() || overhead[1] <= overhead[0] + (36 << 20));
}

/* A layer that streams is packed in host memory: the same bytes. */
static void what_streams_is_packed_by_the_host(void **state) {
    (void)state;
    enum { IN = 64, OUT = 48 };
    struct rig r;
    if (!has_fp8())
        return;
    fp8_open(&r, L4);
    float *x = floats(IN * OUT);
    size_t bytes = device_linear_bytes(r.card, IN, OUT);
    assert_int_equal(bytes, IN * OUT + OUT * sizeof(float));
    void *block = card_room(&r, bytes);
    char *here = aligned_alloc(64, (bytes + 63) / 64 * 64);
    device_linear_pack(r.card, x, IN, OUT, 0, OUT, block);
    device_linear_pack(r.card, x, IN, OUT, 0, 20, here);
    device_linear_pack(r.card, x + 20 * IN, IN, OUT, 20, OUT - 20, here);
    submit(&r);
    float *there = read_floats(&r, block, bytes / 4);
    assert_memory_equal(here, there, bytes);
    free(x), free(here), free(there);
    rig_close(&r);
}

static void cards_without_it_are_refused(void **state) {
    (void)state;
    if (is_real())
        return;
    card_refused("card name=A10 capability=8.6\n", "cuda:0", NUMBER_FP8,
                 ERROR_USAGE,
                 "cuda:0 (A10): it is sm_86 and has no fp8, which cards from "
                 "sm_89 on have (L4, RTX 40, H100); choose bf16, fp16 or f32");
    card_refused("card capability=7.5\n", "cuda:0", NUMBER_FP8, ERROR_USAGE,
                 "choose fp16 or f32");
    card_refused("card capability=8.9 memory=330M\n", "cuda:0", NUMBER_FP8,
                 ERROR_MEMORY, "bytes that products in fp8 need");
    card_refused(
        "card capability=8.9 fp8=0\n", "cuda:0", NUMBER_FP8, ERROR_UNSUPPORTED,
        "has no products in fp8 for it; install a newer one, or choose "
        "bf16");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_of_e4m3),
        cmocka_unit_test(rows_go_through_the_room),
        cmocka_unit_test(a_row_is_the_same_alone),
        cmocka_unit_test(other_widths_stay_bf16),
        cmocka_unit_test(what_is_not_finite_stays_that),
        cmocka_unit_test(zeros_are_zeros),
        cmocka_unit_test(matrices_take_half_of_bf16_s_bytes),
        cmocka_unit_test(what_streams_is_packed_by_the_host),
        cmocka_unit_test(cards_without_it_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
