/* The matrix product: what each sum is, to the bit, and what cannot change it.
 */

#include "device/activations.h"
#include "device/product.h"

/* One more than, one less than and exactly the sizes of tiles, panels, slices
 * and blocks, and 1. */
static const struct shape SHAPES[] = {
    {1, 1, 1},       {1, 1, 33},      {2, 3, 5},      {1, 384, 384},
    {3, 384, 64},    {4, 385, 65},    {5, 100, 130},  {6, 384, 48},
    {7, 64, 31},     {11, 32, 32},    {12, 384, 32},  {13, 384, 96},
    {16, 769, 33},   {24, 50, 16},    {25, 383, 17},  {48, 1536, 70},
    {1, 1536, 97},   {2, 1536, 130},  {3, 1000, 200}, {6, 800, 161},
    {191, 40, 20},   {192, 384, 16},  {193, 20, 33},  {100, 800, 40},
    {200, 1536, 33}, {97, 1200, 600}, {400, 3, 2},
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

/* The definition: one chain over k. Only the portable kernels of x86-64 have no
 * fused multiply-add. */
static float chain(const struct problem *p, size_t row, size_t column,
                   bool fused) {
    size_t in = p->shape.in;
    const float *x = p->x + row * in, *w = p->weights + column * in;
    float sum = 0;
    for (size_t k = 0; k < in; k++) {
        if (fused) {
            sum = fmaf(x[k], w[k], sum);
        } else {
            volatile float product = x[k] * w[k];
            sum += product;
        }
    }
    return sum;
}

static bool is_fused(struct fixture *f) {
    struct device_facts facts;
    assert_true(device_facts(f->device, &facts, NULL));
#if defined(__x86_64__)
    return strcmp(facts.isa, "generic") != 0;
#else
    return true;
#endif
}

static void check_chain(struct fixture *f, struct shape s) {
    struct problem p = problem_of(f, s);
    bool fused = is_fused(f);
    float *sums = floats(s.rows * s.out);
    for (size_t i = 0; i < s.rows * s.out; i++)
        sums[i] = chain(&p, i / s.out, i % s.out, fused);
    check_sums(f, &p, sums);
    free(sums);
    problem_free(&p);
}

static void chains(struct fixture *f) {
    for (size_t i = 0; i < SHAPE_COUNT; i++)
        check_chain(f, SHAPES[i]);
}

static void each_element_is_one_chain_over_k(void **state) {
    (void)state;
    on_each_isa(chains);
}

static void splits(struct fixture *f) {
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        check_splits(f, SHAPES[i], ACTIVATION_NONE);
        check_splits(f, SHAPES[i], (enum activation)(1 + i % 6));
    }
    check_splits(f, (struct shape){17, 384, 1000}, ACTIVATION_GELU);
    check_splits(f, (struct shape){150, 384, 300}, ACTIVATION_GELU);
}

static void rows_and_threads_change_no_bit(void **state) {
    (void)state;
    on_each_isa(splits);
}

static void pieces(struct fixture *f) {
    check_pieces(f, (struct shape){5, 70, 3 * 37});
}

static void matrices_can_be_packed_in_pieces(void **state) {
    (void)state;
    on_each_isa(pieces);
}

/* A NaN or an infinity in a row or in a weight reaches exactly what the
 * definition says, and the rows beside it are as before. */
static void check_poisoned_row(struct fixture *f, float poison,
                               enum activation activation) {
    struct shape s = {14, 500, 40};
    struct problem p = problem_of(f, s);
    float *clean = floats(s.rows * s.out), *y = floats(s.rows * s.out);
    run_product(f, &p, activation, NULL, clean);
    p.x[9 * s.in + 450] = poison;
    run_product(f, &p, activation, NULL, y);
    for (size_t i = 0; i < s.rows * s.out; i++) {
        if (i / s.out == 9 && poison != poison)
            assert_true(isnan(y[i]));
        if (i / s.out == 9 && activation == ACTIVATION_NONE)
            assert_true(!isfinite(y[i]));
    }
    assert_same_bits(y, clean, 9 * s.out, "rows before");
    assert_same_bits(y + 10 * s.out, clean + 10 * s.out, 4 * s.out,
                     "rows after");
    free(clean);
    free(y);
    problem_free(&p);
}

static void poison(struct fixture *f) {
    for (int a = ACTIVATION_NONE; a <= ACTIVATION_SIGMOID; a++) {
        check_poisoned_row(f, NAN, (enum activation)a);
        check_poisoned_row(f, INFINITY, (enum activation)a);
    }
}

static void a_nan_is_never_hidden(void **state) {
    (void)state;
    on_each_isa(poison);
}

enum { POINTS = 1 << 16 };

static void check_activation(struct fixture *f, enum activation activation) {
    static const float SPECIAL[] = {0.0f,   -0.0f,  1e-30f, -1e-30f, 1e-40f,
                                    0.6f,   -0.6f,  0.599f, 87.0f,   -87.0f,
                                    100.0f, -100.f, 1e4f,   -1e4f};
    float one = 1;
    void *packed = packed_of(f, &one, 1, 1);
    struct linear identity = {.in = 1, .out = 1, .weights = packed};
    float *x = floats(POINTS), *y = floats(POINTS);
    for (size_t i = 0; i < POINTS; i++)
        x[i] *= i % 2 ? 30.0f : 2.0f;
    memcpy(x, SPECIAL, sizeof SPECIAL);
    device_linear(device_lane(f->device, 0), &identity, narrow_of(x), POINTS,
                  activation, NULL, y);
    char what[40];
    snprintf(what, sizeof what, "activation %d", (int)activation);
    for (size_t i = 0; i < POINTS; i++)
        assert_near((double)y[i], activation_exact(activation, (double)x[i]),
                    activation_tolerance(activation, (double)x[i]), what, i);
    free(x);
    free(y);
    free(packed);
}

static void activations(struct fixture *f) {
    for (int a = ACTIVATION_NONE; a <= ACTIVATION_SIGMOID; a++)
        check_activation(f, (enum activation)a);
}

static void activations_are_as_exact_as_floats_allow(void **state) {
    (void)state;
    on_each_isa(activations);
}

/* The chain itself is near the true product: |error| <= (k + 2) roundings of
 * the sum of magnitudes. */
static void check_exactness(struct fixture *f) {
    struct shape s = {30, 1536, 50};
    struct problem p = problem_of(f, s);
    float *y = floats(s.rows * s.out);
    run_product(f, &p, ACTIVATION_GELU, p.residual, y);
    for (size_t i = 0; i < s.rows * s.out; i++) {
        const float *x = p.x + i / s.out * s.in;
        const float *w = p.weights + i % s.out * s.in;
        double sum = (double)p.bias[i % s.out], size = fabs(sum);
        for (size_t k = 0; k < s.in; k++) {
            sum += (double)x[k] * (double)w[k];
            size += fabs((double)x[k] * (double)w[k]);
        }
        double expected =
            activation_exact(ACTIVATION_GELU, sum) + (double)p.residual[i];
        /* gelu's slope is at most 1.13. */
        assert_near((double)y[i], expected,
                    1.13 * ((double)s.in + 2) * ROUNDING * size +
                        activation_tolerance(ACTIVATION_GELU, sum) +
                        2 * ROUNDING * fabs(expected),
                    "gelu of a product", i);
    }
    free(y);
    problem_free(&p);
}

static void products_are_near_the_truth(void **state) {
    (void)state;
    on_each_isa(check_exactness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_element_is_one_chain_over_k),
        cmocka_unit_test(rows_and_threads_change_no_bit),
        cmocka_unit_test(matrices_can_be_packed_in_pieces),
        cmocka_unit_test(a_nan_is_never_hidden),
        cmocka_unit_test(activations_are_as_exact_as_floats_allow),
        cmocka_unit_test(products_are_near_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
