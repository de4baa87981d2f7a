/* rows.cu against the definitions in double: gates and activations, rounding,
 * pooling, what SPLADE adds up. */

#include "device/activations.h"
#include "device/cuda/kernel_card.h"

#define LAUNCH(type, name, x, y, p, all, ...)                                  \
    LAUNCH_OF("rows", type, name, x, y, ROW_THREADS, p, all, __VA_ARGS__)

static const unsigned WIDTHS[] = {1,   7,    8,    32,   33,   128, 384,
                                  768, 1000, 1024, 1028, 3072, 4096};
enum { WIDTHS_COUNT = sizeof WIDTHS / sizeof *WIDTHS };

static size_t divided_up(size_t count, size_t by) {
    return (count + by - 1) / by;
}

static size_t element_grid(size_t count) {
    return divided_up(count, ROW_THREADS * NUMBERS_AT_ONCE);
}

static bool is_small(size_t numbers) {
    return numbers <= 3000;
}

/* ---- activations -------------------------------------------------------- */

/* erff is good to about 2 units of its result, which is near 1: far out in the
 * left tail that is an error of x, not of the tail. */
static double activation_error(enum activation which, double x) {
    if (!isfinite(x))
        return 0;
    return which == ACTIVATION_GELU ? 6 * ROUNDING * fabs(x)
                                    : activation_tolerance(which, x);
}

/* activations.h's relu takes a NaN for 0. */
static double activation_of(enum activation which, double x) {
    return isnan(x) ? x : activation_exact(which, x);
}

/* Numbers in [-SIZE, SIZE), some of them special. */
static struct array activation_numbers(unsigned type, size_t count, float size,
                                       size_t offset) {
    static const float special[] = {INFINITY, -INFINITY, NAN,   0,
                                    -0.0f,    60000,     -1e4f, 1e-6f};
    struct array x = array_random(type, count, offset);
    for (size_t i = 0; i < count; i++)
        x.values[i] = i % 50 == 49 ? special[i / 50 % 8] : x.values[i] * size;
    array_put(&x);
    return x;
}

static void check_activate_narrow(unsigned narrow, enum activation which,
                                  size_t count, size_t offset) {
    struct array x = activation_numbers(narrow, count, 8, offset);
    float *before = floats(count);
    memcpy(before, x.values, count * sizeof *before);
    struct activate_narrow_params p = {x.at, count, which, 0};
    LAUNCH(narrow, activate_narrow, element_grid(count), 1, p, is_small(count),
           &x);
    const float *values = array_read(&x);
    for (size_t i = 0; i < count; i++)
        assert_rounded(
            narrow, (double)values[i], activation_of(which, (double)before[i]),
            activation_error(which, (double)before[i]), "activate_narrow", i);
    free(before);
    array_free(&x);
}

static void check_activate_wide(enum activation which, size_t count,
                                bool residual, bool in_place, size_t offset) {
    struct array x = activation_numbers(WIDE, count, 8, offset);
    struct array add = array_random(WIDE, count, 0);
    struct array y = array_make(WIDE, count, 0);
    struct array *out = in_place ? residual ? &add : &x : &y;
    float *before = floats(count), *added = floats(count);
    memcpy(before, x.values, count * sizeof *before);
    memcpy(added, add.values, count * sizeof *added);
    struct activate_wide_params p = {
        x.at, residual ? add.at : NULL, out->at, count, which, 0};
    LAUNCH(0, activate_wide, element_grid(count), 1, p, is_small(count), out);
    const float *values = array_read(out);
    for (size_t i = 0; i < count; i++) {
        double exact = activation_of(which, (double)before[i]);
        double plus = residual ? (double)added[i] : 0;
        assert_rounded(WIDE, (double)values[i], exact + plus,
                       activation_error(which, (double)before[i]) +
                           ROUNDING * fabs(exact),
                       "activate_wide", i);
    }
    free(before), free(added);
    array_free(&x), array_free(&add), array_free(&y);
}

static void test_activate(void **state) {
    (void)state;
    static const size_t counts[] = {1, 7, 8, 1000, 1024, 2051, 9000};
    for (unsigned i = 0; i < 7 * 7; i++) {
        enum activation which = i / 7;
        size_t count = counts[i % 7];
        for (unsigned narrow = 0; narrow < the_narrows; narrow++)
            check_activate_narrow(narrow, which, count, (i + narrow) % 3);
        check_activate_wide(which, count, i % 2, i % 3 == 0, i % 5 == 1);
    }
}

static void check_gate(unsigned narrow, enum activation which, unsigned rows,
                       unsigned width, float scale, size_t offset) {
    struct array x =
        activation_numbers(narrow, 2 * (size_t)rows * width, 6, offset);
    struct array y = array_make(narrow, (size_t)rows * width, 0);
    struct gate_rows_params p = {x.at, y.at, rows, width, which, scale};
    LAUNCH(narrow, gate_rows, rows, 1, p, is_small(x.count), &y);
    const float *values = array_read(&y);
    for (size_t i = 0; i < y.count; i++) {
        const float *row = x.values + i / width * 2 * width;
        double in = (double)row[i % width], with = (double)scale;
        double by = (double)row[width + i % width];
        double exact = activation_of(which, in) * by * with;
        if (narrow == 1 && fabs(exact) > 65504) /* leaves f16 */
            continue;
        if (!isfinite(exact)) { /* infinite times a tail that floats lose */
            assert_true(!isfinite(values[i]));
            continue;
        }
        assert_rounded(narrow, (double)values[i], exact,
                       activation_error(which, in) * fabs(by) * with +
                           3 * ROUNDING * fabs(exact),
                       "gate_rows", i);
    }
    array_free(&x), array_free(&y);
}

static void test_gate(void **state) {
    (void)state;
    for (unsigned narrow = 0; narrow < the_narrows; narrow++)
        for (unsigned i = 0; i < 7 * WIDTHS_COUNT; i++) {
            check_gate(narrow, i % 7, 1 + i % 3, WIDTHS[i / 7],
                       i % 2 ? 1.0f : 0.0625f, i % 5 == 3);
            if (i % 7 == 1)
                check_gate(narrow, ACTIVATION_GELU, 64, WIDTHS[i / 7] % 800, 1,
                           0);
        }
}

/* What leaves f16 becomes infinite, unless the scale keeps it in. */
static void test_gate_range(void **state) {
    (void)state;
    struct array x = array_make(1, 4, 0), y = array_make(1, 2, 0);
    memcpy(x.values, (float[]){300, -300, 300, 300}, 4 * sizeof(float));
    array_put(&x);
    struct gate_rows_params p = {x.at, y.at, 1, 2, ACTIVATION_NONE, 1};
    LAUNCH(1, gate_rows, 1, 1, p, true, &y);
    const float *values = array_read(&y);
    assert_true(isinf(values[0]) && values[0] > 0);
    assert_true(isinf(values[1]) && values[1] < 0);
    p.scale = 1.0f / 16;
    LAUNCH(1, gate_rows, 1, 1, p, true, &y);
    values = array_read(&y);
    assert_true(values[0] == 5624 && values[1] == -5624); /* of 5625 */
    array_free(&x), array_free(&y);
}

/* ---- rounding ----------------------------------------------------------- */

static void check_narrow(unsigned narrow, size_t count, size_t offset) {
    struct array x = array_random(WIDE, count, offset);
    for (size_t i = 0; i < count; i++)
        x.values[i] *= ldexpf(1, (int)(i % 60) - 40);
    if (count > 3) {
        x.values[0] = 65519.9f; /* below what rounds to infinity in f16 */
        x.values[1] = -65520;
        x.values[2] = NAN;
        x.values[3] = 3.4e38f;
    }
    array_put(&x);
    struct array y = array_make(narrow, count, count % 2 ? offset : 0);
    struct narrow_numbers_params p = {x.at, y.at, count};
    LAUNCH(narrow, narrow_numbers, element_grid(count), 1, p, is_small(count),
           &y);
    const float *values = array_read(&y);
    for (size_t i = 0; i < count; i++) {
        double exact = (double)x.values[i];
        double limit = narrow == 1   ? 65520
                       : narrow == 2 ? 0x1.ffp127
                                     : HUGE_VAL;
        if (fabs(exact) >= limit)
            exact = copysign(HUGE_VAL, exact);
        assert_rounded(narrow, (double)values[i], exact, 0, "narrow_numbers",
                       i);
        assert_true(isnan(exact) || isinf(exact) || isfinite(values[i]));
    }
    array_free(&x), array_free(&y);
}

static void test_narrow(void **state) {
    (void)state;
    static const size_t counts[] = {1, 4, 7, 8, 1023, 1024, 1025, 20000};
    for (unsigned narrow = 0; narrow < the_narrows; narrow++)
        for (unsigned i = 0; i < 16; i++)
            check_narrow(narrow, counts[i / 2], i % 2);
}

/* ---- pooling ------------------------------------------------------------ */

/* Rows [first, end) of column C, as device_pool says. */
static double pool_exact(enum pooling pooling, const float *x, size_t width,
                         size_t first, size_t end, double *size) {
    double sum = 0, most = -HUGE_VAL, weights = 0;
    *size = 0;
    for (size_t r = first; r < end; r++) {
        double v = (double)x[r * width];
        double weight = pooling == POOLING_WEIGHTED_MEAN ? (double)r + 1 : 1;
        sum += weight * v;
        weights += weight;
        most = v > most || isnan(v) ? v : most;
        if (isnan(most))
            break;
    }
    *size = fabs(sum);
    switch (pooling) {
    case POOLING_CLS:
        return (double)x[first * width];
    case POOLING_LAST:
        return (double)x[(end - 1) * width];
    case POOLING_MEAN_SQRT:
        return sum / sqrt(weights);
    case POOLING_MAX:
        return most;
    default:
        return sum / weights;
    }
}

enum { TEXTS = 5 };

static void check_pool(enum pooling pooling, unsigned width, unsigned skip,
                       bool unsound) {
    static const unsigned starts[TEXTS + 1] = {0, 1, 4, 6, 39, 240};
    struct array start = array_of(starts, TEXTS + 1);
    struct array x = array_random(WIDE, (size_t)starts[TEXTS] * width, 0);
    if (unsound) {
        x.values[2 * width] = NAN;
        x.values[50 * width + width - 1] = INFINITY;
        x.values[20 * width] = -INFINITY;
        array_put(&x);
    }
    size_t stride = width + 3;
    struct array y = array_make(WIDE, TEXTS * stride - 3, 0);
    array_put(&y);
    struct pool_rows_params p = {x.at, y.at,    start.at, TEXTS,
                                 skip, pooling, width,    stride};
    LAUNCH(0, pool_rows, TEXTS, divided_up(width, ROW_THREADS), p,
           is_small(x.count), &y);
    const float *values = array_read(&y);
    for (size_t t = 0; t < TEXTS; t++)
        for (size_t c = 0; c < stride && t * stride + c < y.count; c++) {
            unsigned rows = starts[t + 1] - starts[t];
            unsigned first = skip < rows ? skip : 0;
            double exact = 0, size = 0;
            bool none = skip >= rows && pooling != POOLING_CLS;
            if (!none && c < width)
                exact = pool_exact(pooling, x.values + starts[t] * width + c,
                                   width, first, rows, &size);
            assert_rounded(WIDE, (double)values[t * stride + c], exact, 1e-13,
                           "pool_rows", t * stride + c);
        }
    array_free(&start), array_free(&x), array_free(&y);
}

static void test_pool(void **state) {
    (void)state;
    static const unsigned widths[] = {1, 7, 33, 128, 384, 1000};
    for (enum pooling pooling = POOLING_CLS; pooling <= POOLING_MAX; pooling++)
        for (unsigned i = 0; i < 12; i++)
            check_pool(pooling, widths[i / 2], i % 4 == 3 ? 2 : i % 2,
                       i % 3 == 1);
}

/* ---- many rows into one ------------------------------------------------- */

static double accumulate_exact(enum accumulate how, double y, double x) {
    double over = isnan(x) || x > 0 ? x : 0;
    switch (how) {
    case ACCUMULATE_MAX:
        return isnan(y) || isnan(x) ? NAN : x > y ? x : y;
    case ACCUMULATE_SUM:
        return y + over;
    default:
        return y + log1p(over);
    }
}

static void check_accumulate(enum accumulate how, unsigned rows, unsigned width,
                             bool first, bool unsound) {
    struct array x = array_random(WIDE, (size_t)rows * width, 0);
    struct array y = array_random(WIDE, width, 0);
    for (size_t i = 0; i < x.count; i++)
        x.values[i] *= 20;
    if (unsound) {
        x.values[0] = NAN;
        x.values[width - 1] = INFINITY; /* more may come */
    }
    array_put(&x);
    float *before = floats(width);
    memcpy(before, y.values, width * sizeof *before);
    struct accumulate_rows_params p = {x.at,  y.at, NULL, rows,
                                       width, how,  first};
    LAUNCH(0, accumulate_rows, divided_up(width, ROW_THREADS), 1, p,
           is_small(x.count), &y);
    const float *values = array_read(&y);
    for (size_t c = 0; c < width; c++) {
        double exact = first ? 0 : (double)before[c];
        double sizes = fabs(exact);
        for (size_t r = 0; r < rows; r++) {
            exact =
                accumulate_exact(how, exact, (double)x.values[r * width + c]);
            sizes = fabs(exact) > sizes ? fabs(exact) : sizes;
        }
        double error = how == ACCUMULATE_MAX ? 0 : 5 * ROUNDING * sizes;
        assert_rounded(WIDE, (double)values[c], exact, error, "accumulate_rows",
                       c);
        assert_false(how == ACCUMULATE_MAX && (double)values[c] != exact &&
                     !isnan(exact));
    }
    free(before);
    array_free(&x), array_free(&y);
}

static void test_accumulate(void **state) {
    (void)state;
    static const unsigned rows[] = {0, 1, 2, 7, 8, 9, 64, 700};
    static const unsigned widths[] = {1, 33, 128, 1000};
    for (unsigned i = 0; i < 3 * 8 * 4; i++)
        check_accumulate(i % 3, rows[i / 3 % 8], widths[i / 24], i % 2,
                         i % 4 == 1 && rows[i / 3 % 8]);
}

/* Some rows at a time, or all at once: the same bits. */
static void test_accumulate_pieces(void **state) {
    (void)state;
    enum { ROWS = 21, WIDTH = 300, CUT = 10 };
    for (unsigned how = 0; how < 3; how++) {
        struct array x = array_random(WIDE, ROWS * WIDTH, 0);
        struct array y = array_make(WIDE, WIDTH, 0);
        struct array z = array_make(WIDE, WIDTH, 0);
        struct array lost = array_make(WIDE, WIDTH, 0);
        struct accumulate_rows_params all = {x.at,  y.at, NULL, ROWS,
                                             WIDTH, how,  true};
        struct accumulate_rows_params one = {x.at,  z.at, lost.at, CUT,
                                             WIDTH, how,  true};
        struct accumulate_rows_params two = {
            all.x + CUT * WIDTH, z.at, lost.at, ROWS - CUT, WIDTH, how, false};
        LAUNCH(0, accumulate_rows, 3, 1, all, false, &y);
        LAUNCH(0, accumulate_rows, 3, 1, one, false, &z, &lost);
        LAUNCH(0, accumulate_rows, 3, 1, two, false, &z, &lost);
        assert_same_bits(array_read(&y), array_read(&z), WIDTH,
                         "accumulate_rows in two pieces");
        array_free(&x), array_free(&y), array_free(&z), array_free(&lost);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activate),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_gate_range),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_accumulate),
        cmocka_unit_test(test_accumulate_pieces),
    };
    if (!kernel_place_open(argc, argv))
        return 0;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kernel_place_close();
    return failed;
}
