/* Products of whole numbers: what they are made of, that their sums are exact,
 * and how near to the product of floats they come. AVX-VNNI is emulated where
 * AVX2 is and it is not. */

#define _GNU_SOURCE /* ucontext.h's names of registers */

#include "base/processor.h"
#include "device/activations.h"
#include "device/avxvnni.h"
#include "device/product.h"

unsigned __real_processor_has(void);
unsigned __wrap_processor_has(void);

/* Whether AVX-VNNI is said to be there where it is not, which takes a handler:
 * cmocka sets its own before each test. */
static bool emulating;

unsigned __wrap_processor_has(void) {
    unsigned has = __real_processor_has();
    return emulating ? has | PROCESSOR_AVX_VNNI : has;
}

/* ---- the definition ----------------------------------------------------- */

/* The greatest whole numbers of x and of the matrix: 8 bits but where two
 * products are added in 16. */
struct limits {
    int left, right;
};

static struct limits limits_of(struct fixture *f) {
    struct device_facts facts;
    assert_true(device_facts(f->device, &facts, NULL));
    bool eight = strstr(facts.isa, "vnni") || strstr(facts.isa, "generic");
    return eight ? (struct limits){255, 127} : (struct limits){130, 63};
}

struct whole {
    double scale;
    int *numbers; /* less their zero */
};

static void whole_numbers(const float *x, size_t count, int low, int high,
                          float scale, struct whole *w) {
    float inverse = 1.0f / scale;
    w->scale = scale < FLT_MIN ? 0 : (double)scale;
    for (size_t i = 0; i < count; i++) {
        int n = w->scale > 0 ? (int)rintf(x[i] * inverse) : 0;
        w->numbers[i] = n < low ? low : n > high ? high : n;
    }
}

static void range(const float *x, size_t count, float *least, float *most) {
    *least = *most = 0;
    for (size_t i = 0; i < count; i++) {
        *least = x[i] < *least ? x[i] : *least;
        *most = x[i] > *most ? x[i] : *most;
    }
}

static void whole_of_x(const float *x, size_t count, int last,
                       struct whole *w) {
    float least, most;
    range(x, count, &least, &most);
    float scale = most / (float)last - least / (float)last;
    int zero = scale < FLT_MIN ? 0 : (int)rintf(-least * (1.0f / scale));
    if (zero > last)
        zero = last;
    whole_numbers(x, count, -zero, last - zero, scale, w);
}

static void whole_of_matrix(const float *row, size_t count, int last,
                            struct whole *w) {
    float least, most;
    range(row, count, &least, &most);
    most = -least > most ? -least : most;
    whole_numbers(row, count, -last, last, most / (float)last, w);
}

struct definition {
    struct whole *x, *w; /* [rows], [out] */
};

static struct definition definition_of(struct fixture *f,
                                       const struct problem *p) {
    struct shape s = p->shape;
    struct limits limits = limits_of(f);
    struct definition d = {calloc(s.rows, sizeof *d.x),
                           calloc(s.out, sizeof *d.w)};
    assert_true(d.x && d.w);
    for (size_t r = 0; r < s.rows; r++) {
        d.x[r].numbers = calloc(s.in, sizeof(int));
        assert_non_null(d.x[r].numbers);
        whole_of_x(p->x + r * s.in, s.in, limits.left, &d.x[r]);
    }
    for (size_t c = 0; c < s.out; c++) {
        d.w[c].numbers = calloc(s.in, sizeof(int));
        assert_non_null(d.w[c].numbers);
        whole_of_matrix(p->weights + c * s.in, s.in, limits.right, &d.w[c]);
    }
    return d;
}

static void definition_free(struct definition *d, struct shape s) {
    for (size_t r = 0; r < s.rows; r++)
        free(d->x[r].numbers);
    for (size_t c = 0; c < s.out; c++)
        free(d->w[c].numbers);
    free(d->x);
    free(d->w);
}

/* The sum is exact; FUSED: it is scaled and has its bias added in one rounding.
 */
static float product(const struct definition *d, bool fused, size_t row,
                     size_t column, size_t in, float bias) {
    int64_t sum = 0;
    for (size_t k = 0; k < in; k++)
        sum += (int64_t)d->x[row].numbers[k] * d->w[column].numbers[k];
    float scale = (float)d->x[row].scale * (float)d->w[column].scale;
    if (fused)
        return fmaf((float)sum, scale, bias);
    float scaled = (float)sum * scale;
    return scaled + bias;
}

/* ---- against it --------------------------------------------------------- */

/* Of all that is compiled only x86-64 without AVX2 has no such instruction. */
static bool fuses(struct fixture *f) {
#if defined(__x86_64__)
    struct device_facts facts;
    assert_true(device_facts(f->device, &facts, NULL));
    return strcmp(facts.isa, "generic") != 0;
#else
    (void)f;
    return true;
#endif
}

/* Bit for bit. */
static void check_values(struct fixture *f, const struct problem *p,
                         const struct definition *d, const float *bias,
                         const float *residual, const float *y,
                         const char *what) {
    struct shape s = p->shape;
    bool fused = fuses(f);
    for (size_t i = 0; i < s.rows * s.out; i++) {
        float expected = product(d, fused, i / s.out, i % s.out, s.in,
                                 bias ? bias[i % s.out] : 0);
        if (residual)
            expected += residual[i];
        assert_same_bits(y + i, &expected, 1, what);
    }
}

static void check_problem(struct fixture *f, struct problem *p) {
    struct shape s = p->shape;
    struct definition d = definition_of(f, p);
    size_t count = s.rows * s.out;
    float *y = floats(count);
    run_product(f, p, ACTIVATION_NONE, NULL, y);
    check_values(f, p, &d, p->bias, NULL, y, "with bias");
    run_product(f, p, ACTIVATION_NONE, p->residual, y);
    check_values(f, p, &d, p->bias, p->residual, y, "with bias and residual");
    memcpy(y, p->residual, count * sizeof *y);
    run_product(f, p, ACTIVATION_NONE, y, y);
    check_values(f, p, &d, p->bias, p->residual, y, "residual in place");
    p->linear.bias = NULL;
    run_product(f, p, ACTIVATION_NONE, NULL, y);
    check_values(f, p, &d, NULL, NULL, y, "plain");
    p->linear.bias = p->bias;
    free(y);
    definition_free(&d, s);
}

/* Emulated ones cost microseconds an instruction. */
static bool takes_long(struct shape s) {
    return emulating && s.rows * s.in * s.out > 150000;
}

static void shapes(struct fixture *f) {
    for (size_t i = 0; i < PRODUCT_SHAPE_COUNT; i++) {
        if (takes_long(PRODUCT_SHAPES[i]))
            continue;
        struct problem p = problem_of(f, PRODUCT_SHAPES[i]);
        check_problem(f, &p);
        problem_free(&p);
    }
}

static void each_element_is_the_product_of_whole_numbers(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_INT8, shapes);
}

/* Every product at its greatest and of one sign: what saturates or overflows
 * shows. */
static void check_extreme(struct fixture *f, float x, float w) {
    struct shape s = {13, 1030, 35};
    struct problem p = problem_of(f, s);
    for (size_t i = 0; i < s.rows * s.in; i++)
        p.x[i] = i / s.in % 2 ? x : -x;
    for (size_t i = 0; i < s.out * s.in; i++)
        p.weights[i] = i / s.in % 3 ? w : i % 2 ? -w : w;
    problem_pack(f, &p);
    check_problem(f, &p);
    problem_free(&p);
}

static void check_longest(struct fixture *f) {
    struct problem p = problem_of(f, (struct shape){2, 65536, 16});
    for (size_t i = 0; i < 2 * 65536; i++)
        p.x[i] = 1;
    for (size_t i = 0; i < 16 * 65536; i++)
        p.weights[i] = i / 65536 % 2 ? -1 : 1;
    problem_pack(f, &p);
    check_problem(f, &p);
    problem_free(&p);
}

static void extremes(struct fixture *f) {
    check_extreme(f, 1, 1);
    check_extreme(f, 3e38f, 1e-3f);
    check_extreme(f, 1e-30f, 1e10f);
    check_longest(f);
}

static void sums_neither_saturate_nor_overflow(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_INT8, extremes);
}

/* Rows of nothing, of one sign, of numbers too small to be scaled, and of one
 * that dwarfs the rest. */
static void odd_rows(struct fixture *f) {
    struct shape s = {7, 130, 37};
    struct problem p = problem_of(f, s);
    for (size_t k = 0; k < s.in; k++) {
        p.x[k] = 0;
        p.x[s.in + k] = 1e-40f;
        p.x[2 * s.in + k] = fabsf(p.x[2 * s.in + k]);
        p.x[3 * s.in + k] = -fabsf(p.x[3 * s.in + k]);
        p.x[5 * s.in + k] = k % 2 ? FLT_MAX : -FLT_MAX;
        p.weights[2 * s.in + k] = 0;
        p.weights[3 * s.in + k] = -1e-41f;
        p.weights[5 * s.in + k] *= 1e-20f;
    }
    p.x[4 * s.in + 77] = 1e30f;
    p.weights[4 * s.in + 99] = -1e7f;
    for (size_t i = 0; i < s.out * s.in; i++)
        p.weights[i] *= 1e-9f;
    problem_pack(f, &p);
    check_problem(f, &p);
    problem_free(&p);
}

/* What is too small to be scaled is nothing, however large what it meets. */
static void too_small(struct fixture *f) {
    struct problem p = problem_of(f, (struct shape){2, 33, 16});
    for (size_t i = 0; i < 2 * 33; i++)
        p.x[i] = i < 33 ? 1e-37f : 1e30f;
    for (size_t i = 0; i < 16 * 33; i++)
        p.weights[i] = i < 33 ? -1e-37f : 1e30f;
    problem_pack(f, &p);
    float y[2 * 16];
    run_product(f, &p, ACTIVATION_NONE, NULL, y);
    assert_same_bits(y, p.bias, 16, "a row of nearly nothing");
    assert_same_bits(y + 16, p.bias, 1, "a column of nearly nothing");
    problem_free(&p);
}

static void odd_rows_are_scaled_for_themselves(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_INT8, odd_rows);
    on_each_isa_of(NUMBER_INT8, too_small);
}

/* Each number is off by at most half a scale. */
static void check_nearness(struct fixture *f) {
    struct shape s = {30, 1536, 50};
    struct problem p = problem_of(f, s);
    struct definition d = definition_of(f, &p);
    float *y = floats(s.rows * s.out);
    run_product(f, &p, ACTIVATION_GELU, p.residual, y);
    for (size_t i = 0; i < s.rows * s.out; i++) {
        const float *x = p.x + i / s.out * s.in;
        const float *w = p.weights + i % s.out * s.in;
        double half_x = d.x[i / s.out].scale / 2 * 1.0001;
        double half_w = d.w[i % s.out].scale / 2 * 1.0001;
        double sum = (double)p.bias[i % s.out], bound = 0;
        for (size_t k = 0; k < s.in; k++) {
            sum += (double)x[k] * (double)w[k];
            bound += fabs((double)x[k]) * half_w + fabs((double)w[k]) * half_x +
                     half_x * half_w;
        }
        double expected =
            activation_exact(ACTIVATION_GELU, sum) + (double)p.residual[i];
        /* gelu's slope is at most 1.13. */
        assert_near((double)y[i], expected, 1.13 * bound + 1e-4,
                    "gelu of a product", i);
    }
    free(y);
    definition_free(&d, s);
    problem_free(&p);
}

static void products_are_near_those_of_floats(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_INT8, check_nearness);
}

/* ---- what changes no bit ------------------------------------------------ */

static void rows_and_threads_change_no_bit(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_INT8, check_all_splits);
}

static void pieces(struct fixture *f) {
    check_pieces(f, (struct shape){5, 1602, 3 * 37});
}

static void matrices_can_be_packed_in_pieces(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_INT8, pieces);
}

static void what_is_not_finite_shows(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_INT8, check_all_poison);
}

static void small_and_endless_matrices_stay_floats(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_INT8, check_small_and_endless);
}

static void memory(struct fixture *f) {
    size_t bytes = device_linear_bytes(f->device, 1024, 4096);
    assert_true(bytes >= (size_t)1024 * 4096);
    assert_true(bytes <= (size_t)1024 * 4096 + 8 * 4096);
}

static void a_number_takes_a_byte(void **state) {
    (void)state;
    on_each_isa_of(NUMBER_INT8, memory);
}

/* ---- where there is no AVX-VNNI ----------------------------------------- */

static void splits(struct fixture *f) {
    for (size_t i = 0; i < PRODUCT_SHAPE_COUNT; i++)
        if (!takes_long(PRODUCT_SHAPES[i]))
            check_splits(f, PRODUCT_SHAPES[i], (enum activation)(i % 7));
}

static void avxvnni_is_as_the_others(void **state) {
    (void)state;
    unsigned has = __real_processor_has();
    if (!(has & PROCESSOR_AVX2) || has & PROCESSOR_AVX_VNNI)
        return; /* it cannot run, or has run in the tests above */
    struct fixture f;
    emulating = true;
    avxvnni_emulate();
    fixture_open_type(&f, NUMBER_INT8, "avx2+vnni", THREADS);
    shapes(&f);
    check_extreme(&f, 1, 1);
    check_extreme(&f, 3e38f, 1e-3f);
    odd_rows(&f);
    too_small(&f);
    splits(&f);
    pieces(&f);
    check_poison(&f, NAN, true, ACTIVATION_NONE);
    check_poison(&f, INFINITY, false, ACTIVATION_GELU);
    fixture_close(&f);
    emulating = false;
    assert_true(avxvnni_emulated > 100000); /* its own machine code ran */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_element_is_the_product_of_whole_numbers),
        cmocka_unit_test(sums_neither_saturate_nor_overflow),
        cmocka_unit_test(odd_rows_are_scaled_for_themselves),
        cmocka_unit_test(products_are_near_those_of_floats),
        cmocka_unit_test(rows_and_threads_change_no_bit),
        cmocka_unit_test(matrices_can_be_packed_in_pieces),
        cmocka_unit_test(what_is_not_finite_shows),
        cmocka_unit_test(small_and_endless_matrices_stay_floats),
        cmocka_unit_test(a_number_takes_a_byte),
        cmocka_unit_test(avxvnni_is_as_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
