/* Products of bf16: the chain that each element is, and how near to the product
 * of floats it comes. */

#include "device/activations.h"
#include "device/product.h"

/* To nearest, ties to even, by what it means: a float is a bf16 plus a
 * remainder of 16 bits. */
static float rounded(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if (fabsf(x) < FLT_MIN)
        return copysignf(0, x);
    uint32_t low = u & 0xffff, up = u >> 16;
    if (low > 0x8000 || (low == 0x8000 && up % 2))
        up++;
    u = up << 16;
    memcpy(&x, &u, sizeof x);
    return x;
}

static float *all_rounded(const float *x, size_t count) {
    float *y = floats(count);
    for (size_t i = 0; i < count; i++)
        y[i] = rounded(x[i]);
    return y;
}

/* Products of two bf16 are exact floats, so that a fused multiply-add is the
 * sum of two floats. Of each pair the second comes first; a row that is odd
 * ends with a 0. */
static float chain(const float *x, const float *w, size_t in) {
    float sum = 0;
    for (size_t k = 0; k < in; k += 2) {
        if (k + 1 < in)
            sum = fmaf(x[k + 1], w[k + 1], sum);
        sum = fmaf(x[k], w[k], sum);
    }
    return sum;
}

static void check_chain(struct fixture *f, struct shape s, float size) {
    struct problem p = problem_of(f, s);
    for (size_t i = 0; i < s.rows * s.in; i++)
        p.x[i] *= size;
    float *x = all_rounded(p.x, s.rows * s.in);
    float *w = all_rounded(p.weights, s.out * s.in);
    float *sums = floats(s.rows * s.out);
    for (size_t i = 0; i < s.rows * s.out; i++)
        sums[i] = chain(x + i / s.out * s.in, w + i % s.out * s.in, s.in);
    check_sums(f, &p, sums);
    free(x);
    free(w);
    free(sums);
    problem_free(&p);
}

static void chains(struct fixture *f) {
    for (size_t i = 0; i < PRODUCT_SHAPE_COUNT; i++)
        check_chain(f, PRODUCT_SHAPES[i], 1);
    check_chain(f, (struct shape){5, 100, 40}, 1e30f);
    check_chain(f, (struct shape){5, 100, 40}, 1e-20f);
}

static void each_element_is_one_chain_over_pairs(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_BF16, chains);
}

/* Through a matrix that is the identity each number comes back rounded. */
static void check_rounding(struct fixture *f) {
    static const uint32_t BITS[] = {
        0x00000000, 0x80000000, 0x3f800000, 0x3f807fff, 0x3f808000,
        0x3f808001, 0x3f818000, 0x3f817fff, 0xbf808000, 0xbf818000,
        0x7f7f0000, 0x7f7f7fff, 0x7f7f8000, 0x7f7fffff, 0xff7fffff,
        0x00800000, 0x80800000, 0x007fffff, 0x00000001, 0x80400000,
    };
    enum { COUNT = sizeof BITS / sizeof *BITS };
    float *weights = floats(COUNT * COUNT), x[COUNT], y[COUNT];
    for (size_t i = 0; i < COUNT * COUNT; i++)
        weights[i] = i / COUNT == i % COUNT ? 1.0f : 0.0f;
    for (size_t i = 0; i < COUNT; i++) {
        memset(x, 0, sizeof x);
        memcpy(&x[i], &BITS[i], sizeof *x);
        struct problem p = {.shape = {1, COUNT, COUNT}, .weights = weights};
        problem_pack(f, &p);
        p.x = x;
        run_product(f, &p, ACTIVATION_NONE, NULL, y);
        float expected = rounded(x[i]) + 0.0f;
        if (isfinite(expected))
            assert_same_bits(&y[i], &expected, 1, "a rounded number");
        else
            assert_true(isinf(y[i]));
        free(p.packed);
    }
    free(weights);
}

static void numbers_are_rounded_to_even(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_BF16, check_rounding);
}

/* Rounding a factor errs by 2^-8 of the greatest unit in its last place. */
static void check_nearness(struct fixture *f) {
    struct shape s = {30, 1536, 50};
    struct problem p = problem_of(f, s);
    float *y = floats(s.rows * s.out);
    run_product(f, &p, ACTIVATION_GELU, p.residual, y);
    for (size_t i = 0; i < s.rows * s.out; i++) {
        const float *x = p.x + i / s.out * s.in;
        const float *w = p.weights + i % s.out * s.in;
        double sum = (double)p.bias[i % s.out], size = 0;
        for (size_t k = 0; k < s.in; k++) {
            sum += (double)x[k] * (double)w[k];
            size += fabs((double)x[k] * (double)w[k]);
        }
        double expected =
            activation_exact(ACTIVATION_GELU, sum) + (double)p.residual[i];
        /* gelu's slope is at most 1.13. */
        double bound = 2.01 / 512 * size + (double)s.in * ROUNDING * size;
        assert_near((double)y[i], expected, 1.13 * bound + 1e-5,
                    "gelu of a product", i);
    }
    free(y);
    problem_free(&p);
}

static void products_are_near_those_of_floats(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_BF16, check_nearness);
}

static void rows_and_threads_change_no_bit(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_BF16, check_all_splits);
}

static void pieces(struct fixture *f) {
    check_pieces(f, (struct shape){5, 1602, 3 * 37});
}

static void matrices_can_be_packed_in_pieces(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_BF16, pieces);
}

static void what_is_not_finite_shows(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_BF16, check_all_poison);
}

static void small_and_endless_matrices_stay_floats(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_BF16, check_small_and_endless);
}

static void memory(struct fixture *f) {
    assert_int_equal(device_linear_bytes(f->device, 1024, 4096),
                     2 * 1024 * 4096);
}

static void a_number_takes_two_bytes(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_BF16, memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_element_is_one_chain_over_pairs),
        cmocka_unit_test(numbers_are_rounded_to_even),
        cmocka_unit_test(products_are_near_those_of_floats),
        cmocka_unit_test(rows_and_threads_change_no_bit),
        cmocka_unit_test(matrices_can_be_packed_in_pieces),
        cmocka_unit_test(what_is_not_finite_shows),
        cmocka_unit_test(small_and_endless_matrices_stay_floats),
        cmocka_unit_test(a_number_takes_two_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
