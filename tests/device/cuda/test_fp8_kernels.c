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

static void check_row(const float *x, unsigned width, float scale,
                      const float *values) {
    float most = 0x1p-100f;
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
        if (isnan(want) ? !isnan(values[c]) : (double)values[c] != want)
            fail_msg("%g of a row whose greatest is %g became %g, not %g",
                     (double)x[c], (double)most, (double)values[c], want);
    }
}

static void check_quantize(unsigned rows, unsigned width) {
    struct array x = array_random(BF16, (size_t)rows * width, 0);
    struct array codes = array_make(E4M3, (size_t)rows * width, 0);
    struct array scales = array_make(WIDE, rows, 0);
    for (unsigned r = 0; r < rows; r++)
        fill_row(x.values + (size_t)r * width, r, width);
    array_put(&x);
    struct quantize_rows_params p = {.x = x.at,
                                     .codes = codes.at,
                                     .scales = scales.at,
                                     .rows = rows,
                                     .width = width};
    LAUNCH(quantize_rows, (rows + ROW_WARPS - 1) / ROW_WARPS, p, width < 300,
           &codes, &scales);
    const float *values = array_read(&codes), *scale = array_read(&scales);
    for (unsigned r = 0; r < rows; r++)
        check_row(x.values + (size_t)r * width, width, scale[r],
                  values + (size_t)r * width);
    array_free(&x), array_free(&codes), array_free(&scales);
}

static void rows_become_e4m3(void **state) {
    (void)state;
    static const unsigned WIDTHS[] = {16, 48, 256, 272, 384, 1024, 4112};
    for (size_t w = 0; w < sizeof WIDTHS / sizeof *WIDTHS; w++) {
        check_quantize(1, WIDTHS[w]);
        check_quantize(16, WIDTHS[w]);
        check_quantize(19, WIDTHS[w]);
    }
}

/* All codes there are: rows with 448 in them are not scaled. */
static void every_code_stays_what_it_is(void **state) {
    (void)state;
    struct array x = array_make(BF16, 256, 0), codes = array_make(E4M3, 256, 0);
    struct array scale = array_make(WIDE, 1, 0);
    for (unsigned code = 0; code < 256; code++)
        x.values[code] =
            (code & 0x7f) == E4M3_NAN ? 0 : (float)e4m3_value(code);
    array_put(&x);
    struct quantize_rows_params p = {x.at, codes.at, scale.at, 1, 256};
    LAUNCH(quantize_rows, 1, p, true, &codes, &scale);
    const float *values = array_read(&codes);
    for (unsigned code = 0; code < 256; code++)
        assert_true(values[code] == x.values[code]);
    assert_true(array_read(&scale)[0] == 1);
    array_free(&x), array_free(&codes), array_free(&scale);
}

/* ---- and back ------------------------------------------------------------ */

struct scale_case {
    unsigned rows, width;
    enum activation activation;
    bool bias;
    int residual; /* 0 none, 1 another, 2 the result itself */
    bool over_x;  /* the result is what is read */
};

struct scale_arrays {
    struct array x, row_scales, scales, bias, residual, y;
};

static struct scale_arrays scale_arrays_make(unsigned type,
                                             const struct scale_case *s) {
    size_t count = (size_t)s->rows * s->width;
    struct scale_arrays a = {.x = array_random(type, count, 0),
                             .row_scales = array_random(WIDE, s->rows, 0),
                             .scales = array_random(WIDE, s->width, 0),
                             .bias = array_random(WIDE, s->width, 0),
                             .residual = array_random(WIDE, count, 0),
                             .y = array_make(WIDE, count, 0)};
    for (size_t i = 0; i < count; i++)
        a.x.values[i] *= 3000;
    array_put(&a.x);
    for (size_t i = 0; i < s->rows; i++)
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
        double product = (double)x[i] * (double)a->row_scales.values[r] *
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
                                    .activation = s->activation};
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
                                  .activation = s->activation};
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

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_e4m3),
        cmocka_unit_test(every_code_stays_what_it_is),
        cmocka_unit_test(products_become_numbers),
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
