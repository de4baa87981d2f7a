/* A block of experts against its definition in double, and what cannot change
 * it; the gate. */

#include "device/activations.h"
#include "device/fixture.h"

/* ---- the gate ----------------------------------------------------------- */

static void check_gate(struct fixture *f, enum activation which, size_t width) {
    enum { ROWS = 201 };
    struct lane *lane = device_lane(f->device, 0);
    float *x = floats(ROWS * 2 * width), *y = floats(ROWS * width);
    float *other = floats(ROWS * width);
    for (size_t i = 0; i < ROWS * 2 * width; i++)
        x[i] *= 6;
    device_gate(lane, which, narrow_of(x), ROWS, width, narrow_of(y));
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < width; c++) {
            double value = (double)x[r * 2 * width + c];
            double other_half = (double)x[r * 2 * width + width + c];
            double expected = activation_exact(which, value) * other_half;
            assert_near((double)y[r * width + c], expected,
                        activation_tolerance(which, value) * fabs(other_half) +
                            1.001 * ROUNDING * fabs(expected) + 1e-44,
                        "gate", r * width + c);
        }
    for (size_t r = 0; r < ROWS; r++)
        device_gate(lane, which, narrow_of(x + r * 2 * width), 1, width,
                    narrow_of(other + r * width));
    assert_same_bits(y, other, ROWS * width, "gate row by row");
    memset(other, 0, ROWS * width * sizeof *other);
    lane_widen(lane, true);
    device_gate(lane, which, narrow_of(x), ROWS, width, narrow_of(other));
    lane_widen(lane, false);
    assert_same_bits(y, other, ROWS * width, "gate by all threads");
    free(x);
    free(y);
    free(other);
}

static void check_gate_poison(struct fixture *f, enum activation which) {
    enum { WIDTH = 37 };
    float x[2 * WIDTH], y[WIDTH];
    for (size_t at = 0; at < 2 * WIDTH; at++) {
        for (size_t c = 0; c < 2 * WIDTH; c++)
            x[c] = c == at ? NAN : 0.5f;
        device_gate(device_lane(f->device, 0), which, narrow_of(x), 1, WIDTH,
                    narrow_of(y));
        for (size_t c = 0; c < WIDTH; c++)
            assert_true(!isnan(y[c]) == (c != at % WIDTH));
    }
}

static void gates(struct fixture *f) {
    static const size_t WIDTHS[] = {1, 15, 16, 31, 64, 65, 200};
    for (int a = ACTIVATION_NONE; a <= ACTIVATION_SIGMOID; a++) {
        for (size_t i = 0; i < sizeof WIDTHS / sizeof *WIDTHS; i++)
            check_gate(f, (enum activation)a, WIDTHS[i]);
        check_gate_poison(f, (enum activation)a);
    }
}

static void gate_is_its_definition(void **state) {
    (void)state;
    on_each_isa(gates);
}

/* ---- experts ------------------------------------------------------------ */

enum { IN = 20, INTER = 37, OUT = 20, PAST = 4096 };

struct block {
    struct experts experts;
    struct linear *up, *down;
    float *router, *router_bias, *up_weights, *down_weights, *shift;
    float *x, *residual, *y;
    char *scratch;
    size_t rows, scratch_bytes;
};

static struct linear linear_of(struct fixture *f, const float *weights,
                               const float *bias, size_t in, size_t out) {
    return (struct linear){.in = in,
                           .out = out,
                           .weights = packed_of(f, weights, in, out),
                           .bias = bias};
}

static struct block block_of(struct fixture *f, size_t count, size_t chosen,
                             size_t rows) {
    struct block b = {.rows = rows,
                      .up = calloc(count, sizeof *b.up),
                      .down = calloc(count, sizeof *b.down),
                      .router = floats(count * IN),
                      .router_bias = floats(count),
                      .up_weights = floats(count * INTER * IN),
                      .down_weights = floats(count * OUT * INTER),
                      .shift = floats(OUT),
                      .x = floats(rows * IN),
                      .residual = floats(rows * OUT),
                      .y = floats(rows * OUT)};
    for (size_t e = 0; e < count; e++) {
        b.up[e] = linear_of(f, b.up_weights + e * INTER * IN, NULL, IN, INTER);
        b.down[e] =
            linear_of(f, b.down_weights + e * OUT * INTER, NULL, INTER, OUT);
    }
    b.experts = (struct experts){
        .count = count,
        .chosen = chosen,
        .router = linear_of(f, b.router, b.router_bias, IN, count),
        .up = b.up,
        .down = b.down,
        .shift = b.shift,
        .activation = ACTIVATION_GELU};
    b.scratch_bytes = device_experts_bytes(f->device, &b.experts, rows);
    b.scratch = aligned_alloc(64, (b.scratch_bytes + PAST + 63) / 64 * 64);
    assert_non_null(b.scratch);
    memset(b.scratch, 0xff, b.scratch_bytes + PAST);
    return b;
}

static void block_free(struct block *b) {
    for (size_t i = 0; i < PAST; i++)
        assert_int_equal((uint8_t)b->scratch[b->scratch_bytes + i], 0xff);
    for (size_t e = 0; e < b->experts.count; e++) {
        free((void *)b->up[e].weights);
        free((void *)b->down[e].weights);
    }
    free((void *)b->experts.router.weights);
    float *all[] = {b->router, b->router_bias, b->up_weights, b->down_weights,
                    b->shift,  b->x,           b->residual,   b->y};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(b->up);
    free(b->down);
    free(b->scratch);
}

static void run(struct fixture *f, struct block *b, const float *x, size_t rows,
                const float *residual, float *y) {
    device_experts(device_lane(f->device, 0), &b->experts, narrow_of(x), rows,
                   residual, b->scratch, y);
}

static double product(const float *weights, const double *x, size_t in) {
    double sum = 0;
    for (size_t i = 0; i < in; i++)
        sum += (double)weights[i] * x[i];
    return sum;
}

/* Probabilities of all, and which are chosen: those that fewer than CHOSEN
 * exceed or equal at a lower number. *GAP: how near the choice was. */
static void route(const struct block *b, const double *x, double *p,
                  bool *taken, double *gap) {
    size_t count = b->experts.count;
    double mass = 0, last_in = INFINITY, first_out = 0;
    for (size_t e = 0; e < count; e++)
        mass += p[e] =
            exp(product(b->router + e * IN, x, IN) + (double)b->router_bias[e]);
    for (size_t e = 0; e < count; e++)
        p[e] /= mass;
    for (size_t e = 0; e < count; e++) {
        size_t before = 0;
        for (size_t o = 0; o < count; o++)
            before += p[o] > p[e] || (p[o] == p[e] && o < e);
        taken[e] = before < b->experts.chosen;
        if (taken[e])
            last_in = fmin(last_in, p[e]);
        else
            first_out = fmax(first_out, p[e]);
    }
    *gap = last_in - first_out;
}

static void reference_row(const struct block *b, size_t row,
                          const float *residual, double *y, double *gap) {
    double x[IN], inner[INTER], p[EXPERTS_MAX];
    bool taken[EXPERTS_MAX];
    for (size_t i = 0; i < IN; i++)
        x[i] = (double)b->x[row * IN + i];
    route(b, x, p, taken, gap);
    for (size_t o = 0; o < OUT; o++)
        y[o] = (residual ? (double)residual[row * OUT + o] : 0) +
               (b->experts.shift ? (double)b->shift[o] : 0);
    for (size_t e = 0; e < b->experts.count; e++) {
        for (size_t i = 0; i < INTER && taken[e]; i++)
            inner[i] = activation_exact(
                b->experts.activation,
                product(b->up_weights + (e * INTER + i) * IN, x, IN));
        for (size_t o = 0; o < OUT && taken[e]; o++)
            y[o] += p[e] * product(b->down_weights + (e * OUT + o) * INTER,
                                   inner, INTER);
    }
}

/* |x|, |w| < 1: an inner number errs by (IN + 10) roundings of at most IN, the
 * activation by 3e-6, each product of INTER of them. */
static void check_experts(struct fixture *f, size_t count, size_t chosen,
                          size_t rows, bool residual, float bias) {
    struct block b = block_of(f, count, chosen, rows);
    for (size_t e = 0; e < count; e++)
        b.router_bias[e] += bias;
    const float *added = residual ? b.residual : NULL;
    double expected[OUT], gap;
    if (!residual)
        b.experts.shift = NULL;
    run(f, &b, b.x, rows, added, b.y);
    for (size_t r = 0; r < rows; r++) {
        reference_row(&b, r, added, expected, &gap);
        if (gap < 1e-5) /* rounding may choose the other one */
            continue;
        for (size_t o = 0; o < OUT; o++)
            assert_near((double)b.y[r * OUT + o], expected[o], 2e-4, "experts",
                        r * OUT + o);
    }
    block_free(&b);
}

static void experts(struct fixture *f) {
    static const size_t ROWS[] = {1, 2, 15, 17, 64, 200};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        check_experts(f, 8, 2, ROWS[i], true, 0);
        check_experts(f, 3, 1, ROWS[i], false, 0);
        check_experts(f, 5, 5, ROWS[i], true, 0);
        check_experts(f, 1, 1, ROWS[i], false, 0);
    }
    check_experts(f, EXPERTS_MAX, 7, 100, true, 0);
    check_experts(f, 7, 2, 9, true, 100); /* e^x is too large */
}

static void experts_are_their_definition(void **state) {
    (void)state;
    on_each_isa(experts);
}

static void company(struct fixture *f) {
    enum { ROWS = 300 };
    struct block b = block_of(f, 8, 2, ROWS);
    float *other = floats(ROWS * OUT);
    run(f, &b, b.x, ROWS, b.residual, b.y);
    for (size_t r = 0; r < ROWS; r++)
        run(f, &b, b.x + r * IN, 1, b.residual + r * OUT, other + r * OUT);
    assert_same_bits(b.y, other, ROWS * OUT, "experts row by row");
    memcpy(other, b.residual, ROWS * OUT * sizeof *other);
    lane_widen(device_lane(f->device, 0), true);
    run(f, &b, b.x, ROWS, other, other);
    lane_widen(device_lane(f->device, 0), false);
    assert_same_bits(b.y, other, ROWS * OUT, "experts by all threads in place");
    free(other);
    block_free(&b);
}

static void company_and_threads_change_no_bit(void **state) {
    (void)state;
    on_each_isa(company);
}

/* All experts are equally likely: the first ones are taken. */
static void ties(struct fixture *f) {
    struct block b = block_of(f, 6, 2, 3);
    for (size_t i = 0; i < 6; i++)
        b.router_bias[i] = 0;
    memset(b.x, 0, 3 * IN * sizeof *b.x);
    b.experts.activation = ACTIVATION_SIGMOID; /* 1 / 2 everywhere */
    run(f, &b, b.x, 3, NULL, b.y);
    for (size_t o = 0; o < OUT; o++) {
        double expected = (double)b.shift[o];
        for (size_t i = 0; i < 2 * INTER; i++)
            expected +=
                (double)
                    b.down_weights[(i / INTER * OUT + o) * INTER + i % INTER] /
                12;
        assert_near((double)b.y[o], expected, 1e-5, "the first two", o);
    }
    block_free(&b);
}

static void of_equal_ones_the_first_is_taken(void **state) {
    (void)state;
    on_each_isa(ties);
}

static void poison(struct fixture *f) {
    struct block b = block_of(f, 8, 2, 9);
    b.x[4 * IN + 3] = NAN;
    run(f, &b, b.x, 9, NULL, b.y);
    for (size_t i = 0; i < 9 * OUT; i++)
        assert_true(isnan(b.y[i]) == (i / OUT == 4));
    block_free(&b);
}

static void a_nan_is_never_hidden(void **state) {
    (void)state;
    on_each_isa(poison);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate_is_its_definition),
        cmocka_unit_test(experts_are_their_definition),
        cmocka_unit_test(company_and_threads_change_no_bit),
        cmocka_unit_test(of_equal_ones_the_first_is_taken),
        cmocka_unit_test(a_nan_is_never_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
