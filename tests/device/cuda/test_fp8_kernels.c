/* fp8.cu against the definitions: rows into e4m3, and products of them back. */

#include "device/activations.h"
#include "device/cuda/e4m3.h"
#include "device/cuda/kernel_card.h"

enum { BF16 = 2, E4M3 = 3, ARCH = 89 };

#define LAUNCH(name, x, p, all, ...)                                           \
    LAUNCH_OF("fp8", BF16, name, x, 1, ROW_THREADS, p, all, __VA_ARGS__)

/* ---- into e4m3 ----------------------------------------------------------- */

/* What rows may be: of any size, with few large numbers, nothing, next to
 * nothing, and not sound. */
static void fill_row(float *x, unsigned row, unsigned width) {
    for (unsigned c = 0; c < width; c++) {
        if (row % 8 < 4)
            x[c] *= powf(10, (float)(row % 8) * 9 - 13);
        if (row % 8 == 4 && c % 7 == 3)
            x[c] *= 300;
        if (row % 8 == 5)
            x[c] *= row % 16 == 5 ? 0 : 0x1p-120f;
    }
    if (row % 8 == 6)
        x[width - 1] = row % 16 == 6 ? INFINITY : -INFINITY;
    if (row % 8 == 7)
        x[width / 2] = NAN;
}

/* Rows in e4m3 (params.h), as bytes. */
static struct array coded_rows(unsigned rows, unsigned width) {
    return array_make(WIDE, (size_t)rows * width / 2, 0);
}

static const unsigned char *coded_row(const float *values, size_t row,
                                      unsigned width) {
    return (const unsigned char *)values + row * E4M3_ROW_BYTES(width);
}

static float coded_scale(const unsigned char *row, unsigned width) {
    float scale;
    memcpy(&scale, row + width, sizeof scale);
    return scale;
}

static void check_row(const float *x, unsigned width,
                      const unsigned char *codes) {
    float most = 0x1p-100f, scale = coded_scale(codes, width);
    for (unsigned c = 0; c < width; c++)
        if (isnan(x[c]) || fabsf(x[c]) > most)
            most = fabsf(x[c]);
    if (isnan(most)) {
        assert_true(isnan(scale));
        return;
    }
    assert_true(scale == most / 448);
    for (unsigned c = 0; c < width; c++) {
        float scaled = x[c] * (448 / most);
        double want = e4m3_value(e4m3_nearest((double)scaled));
        double value = e4m3_value(codes[c]);
        if (isnan(want) ? !isnan(value) : value != want)
            fail_msg("%g of a row whose greatest is %g became %g, not %g",
                     (double)x[c], (double)most, value, want);
    }
}

/* LISTED: rows of x from the last to the first, and the first once more. */
static void check_quantize(unsigned rows, unsigned width, bool listed) {
    unsigned list[32], count = listed ? rows + 1 : rows;
    struct array x = array_random(BF16, (size_t)rows * width, 0);
    struct array codes = coded_rows(count, width);
    for (unsigned r = 0; r < count; r++)
        list[r] = !listed ? r : r < rows ? rows - 1 - r : 0;
    struct array numbers = array_of(list, count);
    for (unsigned r = 0; r < rows; r++)
        fill_row(x.values + (size_t)r * width, r, width);
    array_put(&x);
    struct quantize_rows_params p = {.x = x.at,
                                     .list = listed ? numbers.at : NULL,
                                     .codes = codes.at,
                                     .rows = count,
                                     .width = width};
    LAUNCH(quantize_rows, (count + ROW_WARPS - 1) / ROW_WARPS, p, width < 300,
           &codes);
    const float *values = array_read(&codes);
    for (unsigned r = 0; r < count; r++)
        check_row(x.values + (size_t)list[r] * width, width,
                  coded_row(values, r, width));
    array_free(&x), array_free(&codes), array_free(&numbers);
}

static void rows_become_e4m3(void **state) {
    (void)state;
    static const unsigned WIDTHS[] = {16, 48, 256, 272, 384, 1024, 4112};
    for (size_t w = 0; w < sizeof WIDTHS / sizeof *WIDTHS; w++) {
        check_quantize(1, WIDTHS[w], true);
        check_quantize(16, WIDTHS[w], false);
        check_quantize(19, WIDTHS[w], w % 2);
    }
}

/* All codes there are: rows with 448 in them are not scaled. */
static void every_code_stays_what_it_is(void **state) {
    (void)state;
    struct array x = array_make(BF16, 256, 0), codes = coded_rows(1, 256);
    for (unsigned code = 0; code < 256; code++)
        x.values[code] =
            (code & 0x7f) == E4M3_NAN ? 0 : (float)e4m3_value(code);
    array_put(&x);
    struct quantize_rows_params p = {x.at, NULL, codes.at, 1, 256};
    LAUNCH(quantize_rows, 1, p, true, &codes);
    const unsigned char *row = coded_row(array_read(&codes), 0, 256);
    for (unsigned code = 0; code < 256; code++)
        assert_true(e4m3_value(row[code]) == (double)x.values[code]);
    assert_true(coded_scale(row, 256) == 1);
    array_free(&x), array_free(&codes);
}

/* ---- what is computed on the way ----------------------------------------- */

/* A row in e4m3 of numbers that are WANT but for ERROR [width]: half of a step
 * of 3 bits, or of e4m3's least. Somewhere it is e4m3's greatest. */
static void check_coded(const unsigned char *row, unsigned width,
                        const double *want, const double *error) {
    double most = 0x1p-100, most_error = 0, scale = coded_scale(row, width);
    bool greatest = false, sound = true;
    for (unsigned c = 0; c < width; c++) {
        most = fabs(want[c]) > most ? fabs(want[c]) : most;
        most_error = error[c] > most_error ? error[c] : most_error;
        sound = sound && isfinite(want[c]);
    }
    if (!sound) {
        assert_true(!isfinite(scale));
        return;
    }
    assert_near(scale * 448, most, 2 * ROUNDING * most + most_error, "scale",
                0);
    for (unsigned c = 0; c < width; c++) {
        greatest = greatest || (row[c] & 0x7f) == E4M3_GREATEST;
        assert_near(e4m3_value(row[c]) * scale, want[c],
                    fabs(want[c]) * (0x1p-4 + 0x1p-20) + scale * 0x1p-10 +
                        2 * error[c],
                    "a number in e4m3", c);
    }
    assert_true(greatest || most <= 0x1p-100);
}

struct norm_case {
    unsigned rows, width;
    bool rms, shift, residual, y;
};

/* As test_rows_kernels.c has it, without its extremes. */
static void want_norm(const float *x, const float *scale, const float *shift,
                      const float *residual, const struct norm_case *n,
                      double *want, double *error) {
    double sum = 0, squares = 0, width = n->width;
    for (unsigned c = 0; c < n->width; c++)
        sum += (double)x[c];
    double mean = n->rms ? 0 : sum / width;
    for (unsigned c = 0; c < n->width; c++)
        squares += ((double)x[c] - mean) * ((double)x[c] - mean);
    double factor = 1 / sqrt(squares / width + 1e-5);
    for (unsigned c = 0; c < n->width; c++) {
        want[c] = ((double)x[c] - mean) * factor * (double)scale[c];
        error[c] = ROUNDING * (width + 16) * (fabs(want[c]) + 1);
        want[c] += (n->shift ? (double)shift[c] : 0) +
                   (n->residual ? (double)residual[c] : 0);
    }
}

static void check_norm(const struct norm_case *n) {
    size_t count = (size_t)n->rows * n->width;
    struct array x = array_random(WIDE, count, 0);
    struct array residual = array_random(WIDE, count, 0);
    struct array scale = array_random(WIDE, n->width, 0);
    struct array shift = array_random(WIDE, n->width, 0);
    struct array y = array_make(WIDE, count, 0);
    struct array codes = coded_rows(n->rows, n->width);
    double *want = malloc(count * sizeof *want);
    double *error = malloc(count * sizeof *error);
    if (n->rows > 4)
        x.values[3 * n->width + 5] = NAN;
    array_put(&x);
    struct norm_e4m3_params p = {.x = x.at,
                                 .residual = n->residual ? residual.at : NULL,
                                 .scale = scale.at,
                                 .shift = n->shift ? shift.at : NULL,
                                 .y = n->y ? y.at : NULL,
                                 .codes = codes.at,
                                 .rows = n->rows,
                                 .width = n->width,
                                 .epsilon = 1e-5f,
                                 .rms = n->rms};
    LAUNCH(norm_e4m3,
           n->width <= WARP_WIDTH ? (n->rows + ROW_WARPS - 1) / ROW_WARPS
                                  : n->rows,
           p, count < 6000, &codes, &y);
    const float *values = array_read(&codes), *wide = array_read(&y);
    for (unsigned r = 0; r < n->rows; r++) {
        size_t at = (size_t)r * n->width;
        want_norm(x.values + at, scale.values, shift.values,
                  residual.values + at, n, want + at, error + at);
        check_coded(coded_row(values, r, n->width), n->width, want + at,
                    error + at);
        for (unsigned c = 0; n->y && !isnan(want[at]) && c < n->width; c++)
            assert_near((double)wide[at + c], want[at + c], error[at + c], "y",
                        c);
    }
    free(want), free(error);
    array_free(&x), array_free(&residual), array_free(&scale);
    array_free(&shift), array_free(&y), array_free(&codes);
}

/* A warp a row, with few numbers and many; a block a row. */
static void norms_become_e4m3(void **state) {
    (void)state;
    static const struct norm_case CASES[] = {
        {1, 16, false, true, false, true},
        {5, 384, false, true, false, true},
        {9, 400, true, false, false, false},
        {6, 768, false, true, true, true},
        {5, 1024, true, false, true, false},
        {5, 1040, false, false, false, true},
        {2, 4096, true, true, true, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        check_norm(&CASES[i]);
}

/* ---- and back ------------------------------------------------------------ */

struct scale_case {
    unsigned rows, width;
    enum activation activation;
    bool bias;
    int residual; /* 0 none, 1 another, 2 the result itself */
    bool over_x;  /* the result is what is read */
};

/* The scales of rows lie STRIDE floats apart. */
enum { STRIDE = 8 };
struct scale_arrays {
    struct array x, row_scales, scales, bias, residual, y;
};

static struct scale_arrays scale_arrays_make(unsigned type,
                                             const struct scale_case *s) {
    size_t count = (size_t)s->rows * s->width;
    struct scale_arrays a = {.x = array_random(type, count, 0),
                             .row_scales =
                                 array_random(WIDE, s->rows * STRIDE, 0),
                             .scales = array_random(WIDE, s->width, 0),
                             .bias = array_random(WIDE, s->width, 0),
                             .residual = array_random(WIDE, count, 0),
                             .y = array_make(WIDE, count, 0)};
    for (size_t i = 0; i < count; i++)
        a.x.values[i] *= 3000;
    array_put(&a.x);
    for (size_t i = 0; i < s->rows * STRIDE; i++)
        a.row_scales.values[i] /= 500;
    array_put(&a.row_scales);
    return a;
}

static void scale_arrays_free(struct scale_arrays *a) {
    array_free(&a->x), array_free(&a->row_scales), array_free(&a->scales);
    array_free(&a->bias), array_free(&a->residual), array_free(&a->y);
}

/* Derivatives of activations are at most 1.13, and floats' functions a few
 * roundings off. */
static void check_scaled(const struct scale_case *s,
                         const struct scale_arrays *a, const float *x,
                         const float *residual, unsigned type,
                         const float *values) {
    for (size_t i = 0; i < (size_t)s->rows * s->width; i++) {
        size_t r = i / s->width, c = i % s->width;
        double product = (double)x[i] *
                         (double)a->row_scales.values[r * STRIDE] *
                         (double)a->scales.values[c];
        double bias = s->bias ? (double)a->bias.values[c] : 0;
        double add = residual ? (double)residual[i] : 0;
        double want = activation_exact(s->activation, product + bias);
        double error =
            ROUNDING * (1.13 * 4 * (fabs(product) + fabs(bias)) +
                        8 * (fabs(want) + fabs(product + bias)) + fabs(add));
        assert_rounded(type, (double)values[i], want + add, error, "scaled", i);
    }
}

static unsigned scale_grid(const struct scale_case *s) {
    unsigned groups = (s->rows + SCALE_ROWS - 1) / SCALE_ROWS;
    return (groups * (s->width / NUMBERS_AT_ONCE) + ROW_THREADS - 1) /
           ROW_THREADS;
}

static float *copy_of(const float *x, size_t count) {
    float *copy = malloc(count * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, x, count * sizeof *copy);
    return copy;
}

static void check_narrow(const struct scale_case *s) {
    struct scale_arrays a = scale_arrays_make(BF16, s);
    struct scale_narrow_params p = {.y = a.x.at,
                                    .row_scales = a.row_scales.at,
                                    .scales = a.scales.at,
                                    .bias = s->bias ? a.bias.at : NULL,
                                    .rows = s->rows,
                                    .width = s->width,
                                    .activation = s->activation,
                                    .stride = STRIDE};
    float *x = copy_of(a.x.values, a.x.count);
    LAUNCH(scale_narrow, scale_grid(s), p, a.x.count < 3000, &a.x);
    check_scaled(s, &a, x, NULL, BF16, array_read(&a.x));
    free(x);
    scale_arrays_free(&a);
}

static void check_wide(const struct scale_case *s) {
    struct scale_arrays a = scale_arrays_make(WIDE, s);
    struct array *y = s->over_x ? &a.x : s->residual == 2 ? &a.residual : &a.y;
    struct scale_wide_params p = {.x = a.x.at,
                                  .row_scales = a.row_scales.at,
                                  .scales = a.scales.at,
                                  .bias = s->bias ? a.bias.at : NULL,
                                  .residual =
                                      s->residual ? a.residual.at : NULL,
                                  .y = y->at,
                                  .rows = s->rows,
                                  .width = s->width,
                                  .activation = s->activation,
                                  .stride = STRIDE};
    float *x = copy_of(a.x.values, a.x.count);
    float *residual = copy_of(a.residual.values, a.residual.count);
    LAUNCH(scale_wide, scale_grid(s), p, a.x.count < 3000, y);
    check_scaled(s, &a, x, s->residual ? residual : NULL, WIDE, array_read(y));
    free(x), free(residual);
    scale_arrays_free(&a);
}

static void products_become_numbers(void **state) {
    (void)state;
    static const struct scale_case CASES[] = {
        {1, 16, ACTIVATION_NONE, false, 0, true},
        {5, 48, ACTIVATION_NONE, true, 1, false},
        {4, 272, ACTIVATION_GELU, true, 2, false},
        {19, 384, ACTIVATION_RELU, true, 0, true},
        {67, 1024, ACTIVATION_SILU, false, 2, false},
        {2, 4112, ACTIVATION_TANH, true, 1, true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        check_narrow(&CASES[i]);
        check_wide(&CASES[i]);
    }
}

/* ---- and into e4m3 again ------------------------------------------------- */

/* A product's number, and how far off it may be. */
static double scaled(const struct scale_arrays *a, const float *x, size_t row,
                     size_t column, size_t columns, bool bias, double *error) {
    double product = (double)x[row * columns + column] *
                     (double)a->row_scales.values[row * STRIDE] *
                     (double)a->scales.values[column];
    double add = bias ? (double)a->bias.values[column] : 0;
    *error = 4 * ROUNDING * (fabs(product) + fabs(add));
    return product + add;
}

/* PAIRS: a gate's, whose rows are twice as wide. */
static void check_again(const struct scale_case *s, bool pairs) {
    unsigned width = pairs ? s->width / 2 : s->width;
    struct scale_arrays a = scale_arrays_make(BF16, s);
    struct array codes = coded_rows(s->rows, width);
    struct gate_e4m3_params gate = {.x = a.x.at,
                                    .codes = codes.at,
                                    .row_scales = a.row_scales.at,
                                    .scales = a.scales.at,
                                    .bias = s->bias ? a.bias.at : NULL,
                                    .width = width,
                                    .activation = s->activation,
                                    .stride = STRIDE};
    struct scale_e4m3_params scale = {.y = a.x.at,
                                      .row_scales = a.row_scales.at,
                                      .scales = a.scales.at,
                                      .bias = s->bias ? a.bias.at : NULL,
                                      .width = width,
                                      .activation = s->activation,
                                      .stride = STRIDE};
    float *x = copy_of(a.x.values, a.x.count);
    double *want = malloc(width * sizeof *want);
    double *error = malloc(width * sizeof *error);
    if (pairs)
        LAUNCH_OF("fp8", BF16, gate_e4m3, s->rows, 1, CODE_THREADS, gate,
                  width < 300, &codes);
    else
        LAUNCH_OF("fp8", BF16, scale_e4m3, s->rows, 1, CODE_THREADS, scale,
                  false, &a.x);
    a.x.type = WIDE; /* bytes, not numbers of two */
    a.x.count /= 2;
    const float *values = array_read(pairs ? &codes : &a.x);
    for (unsigned r = 0; r < s->rows; r++) {
        for (unsigned c = 0; c < width; c++) {
            double by = 1, by_error = 0;
            double v = scaled(&a, x, r, c, s->width, s->bias, &error[c]);
            if (pairs)
                by = scaled(&a, x, r, width + c, s->width, s->bias, &by_error);
            double made = activation_exact(s->activation, v);
            want[c] = made * by;
            error[c] =
                (1.13 * error[c] + 8 * ROUNDING * (fabs(made) + fabs(v))) *
                    fabs(by) +
                fabs(made) * by_error + ROUNDING * fabs(want[c]);
        }
        check_coded(coded_row(values, r, width), width, want, error);
    }
    free(x), free(want), free(error);
    scale_arrays_free(&a);
    array_free(&codes);
}

static void products_become_e4m3(void **state) {
    (void)state;
    static const struct scale_case CASES[] = {
        {3, 32, ACTIVATION_SILU, true, 0, true},
        {4, 544, ACTIVATION_GELU, true, 0, true},
        {2, 4096, ACTIVATION_RELU, false, 0, true},
        {3, 8224, ACTIVATION_GELU_TANH, true, 0, true},
        {1, 16384, ACTIVATION_NONE, false, 0, true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        check_again(&CASES[i], false);
        check_again(&CASES[i], true);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_e4m3),
        cmocka_unit_test(every_code_stays_what_it_is),
        cmocka_unit_test(norms_become_e4m3),
        cmocka_unit_test(products_become_numbers),
        cmocka_unit_test(products_become_e4m3),
    };
    if (!kernel_place_open(argc, argv))
        return 0;
    if (the_card.library && the_card.arch < ARCH) {
        printf("skip: all, the card is sm_%u and has no e4m3\n", the_card.arch);
        kernel_place_close();
        return 0;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kernel_place_close();
    return failed;
}
