/* Embedding, norm, pooling and normalisation against their definitions in
 * double, and what cannot change them. */

#include "device/fixture.h"

static const size_t WIDTHS[] = {1, 3, 16, 31, 64, 65, 100, 384, 1000, 1024};
enum { WIDTH_COUNT = sizeof WIDTHS / sizeof *WIDTHS };

static struct lane *lane_0(struct fixture *f) {
    return device_lane(f->device, 0);
}

/* What a norm has: bits of FORMS. */
enum { SHIFTED = 1, UNSCALED = 2, RMS = 4, RESIDUAL = 8, FORMS = 16 };

static void check_norm_row(const struct norm *norm, const float *row,
                           const float *residual, const float *y) {
    double mean = 0, variance = 0, size = 0, n = (double)norm->width;
    for (size_t c = 0; c < norm->width; c++) {
        mean += norm->rms ? 0 : (double)row[c] / n;
        size += norm->rms ? 0 : fabs((double)row[c]) / n;
    }
    for (size_t c = 0; c < norm->width; c++)
        variance += pow((double)row[c] - mean, 2) / n;
    double by = 1 / sqrt(variance + (double)norm->epsilon);
    for (size_t c = 0; c < norm->width; c++) {
        double s = norm->scale ? (double)norm->scale[c] : 1;
        double part = ((double)row[c] - mean) * by * s;
        double shifted = part + (norm->shift ? (double)norm->shift[c] : 0);
        double expected = shifted + (residual ? (double)residual[c] : 0);
        /* The mean's error moves the row; the variance's scales it. Sums in
         * the order of the code are at most width / 16 + 16 deep; WIDTH
         * roundings bound any order. */
        double bound =
            ROUNDING *
            ((n + 4) * size * by * fabs(s) * 2 + (n + 8) * fabs(part) * 2 +
             2 * fabs(shifted) + (residual ? 2 * fabs(expected) : 0));
        assert_near((double)y[c], expected, bound, "norm", c);
    }
}

static void check_norm(struct fixture *f, size_t width, size_t rows,
                       float offset, unsigned form) {
    float *x = floats(rows * width), *y = floats(rows * width);
    float *scale = floats(width), *shift = floats(width);
    float *residual = floats(rows * width);
    const float *added = form & RESIDUAL ? residual : NULL;
    struct norm norm = {.width = width,
                        .scale = form & UNSCALED ? NULL : scale,
                        .shift = form & SHIFTED ? shift : NULL,
                        .epsilon = 1e-5f,
                        .rms = form & RMS};
    for (size_t i = 0; i < rows * width; i++)
        x[i] += offset;
    device_norm(lane_0(f), &norm, x, rows, added, y, NULL);
    for (size_t r = 0; r < rows; r++)
        check_norm_row(&norm, x + r * width, added ? added + r * width : NULL,
                       y + r * width);
    if (added) {
        device_norm(lane_0(f), &norm, x, rows, added, residual, NULL);
        assert_same_bits(residual, y, rows * width, "norm into the residual");
    } else {
        device_norm(lane_0(f), &norm, x, rows, NULL, x, NULL);
        assert_same_bits(x, y, rows * width, "norm in place");
    }
    free(x);
    free(y);
    free(scale);
    free(shift);
    free(residual);
}

static void norms(struct fixture *f) {
    for (size_t i = 0; i < WIDTH_COUNT; i++)
        for (unsigned form = 0; form < FORMS; form++)
            check_norm(f, WIDTHS[i], form % 2 ? 1 : 7, form % 2 ? 0 : 5, form);
}

static void norm_is_its_definition(void **state) {
    (void)state;
    on_each_isa(norms);
}

/* TIMES heads of WIDTH at the start of rows that are longer by GAP: each is
 * normed as a row of its own, and nothing else is touched. */
static void check_heads(struct fixture *f, size_t width, size_t times,
                        size_t gap, bool rms) {
    enum { ROWS = 65 };
    size_t stride = times * width + gap, count = ROWS * stride;
    float *x = floats(count), *y = floats(count), *wide = floats(count);
    float *scale = floats(width), *shift = floats(width);
    struct norm norm = {width, scale, shift, 1e-6f, rms, 0};
    memcpy(y, x, count * sizeof *y);
    memcpy(wide, x, count * sizeof *y);
    device_norm_heads(lane_0(f), &norm, narrow_of(y), ROWS, stride, times);
    for (size_t r = 0; r < ROWS; r++)
        device_norm(lane_0(f), &norm, x + r * stride, times, NULL,
                    x + r * stride, NULL);
    assert_same_bits(x, y, count, "norm of heads");
    lane_widen(lane_0(f), true);
    device_norm_heads(lane_0(f), &norm, narrow_of(wide), ROWS, stride, times);
    lane_widen(lane_0(f), false);
    assert_same_bits(x, wide, count, "norm of heads by all threads");
    free(x);
    free(y);
    free(wide);
    free(scale);
    free(shift);
}

static void heads(struct fixture *f) {
    static const size_t DIMS[] = {8, 20, 64, 80, 128, 256};
    for (size_t i = 0; i < sizeof DIMS / sizeof *DIMS; i++) {
        check_heads(f, DIMS[i], 1, 0, true);
        check_heads(f, DIMS[i], 4, 3 * DIMS[i], true);
        check_heads(f, DIMS[i], 16, 7, false);
    }
}

static void norm_of_heads_is_a_norm(void **state) {
    (void)state;
    on_each_isa(heads);
}

/* The same rows at once, one by one, and by all threads. */
static void check_norm_splits(struct fixture *f) {
    enum { ROWS = 301, WIDTH = 100 };
    float *x = floats(ROWS * WIDTH), *y = floats(ROWS * WIDTH);
    float *other = floats(ROWS * WIDTH), *scale = floats(WIDTH);
    float *added = floats(ROWS * WIDTH);
    struct norm norm = {WIDTH, scale, scale, 1e-12f, false, 0};
    for (int i = 0; i < 2; i++) {
        const float *residual = i ? NULL : added;
        device_norm(lane_0(f), &norm, x, ROWS, residual, y, NULL);
        for (size_t r = 0; r < ROWS; r++)
            device_norm(lane_0(f), &norm, x + r * WIDTH, 1,
                        residual ? residual + r * WIDTH : NULL,
                        other + r * WIDTH, NULL);
        assert_same_bits(y, other, ROWS * WIDTH, "norm row by row");
        memset(other, 0, ROWS * WIDTH * sizeof *other);
        lane_widen(lane_0(f), true);
        device_norm(lane_0(f), &norm, x, ROWS, residual, other, NULL);
        lane_widen(lane_0(f), false);
        assert_same_bits(y, other, ROWS * WIDTH, "norm by all threads");
    }
    lane_widen(lane_0(f), true);
    device_normalize(lane_0(f), other, ROWS, WIDTH);
    lane_widen(lane_0(f), false);
    for (size_t r = 0; r < ROWS; r++)
        device_normalize(lane_0(f), y + r * WIDTH, 1, WIDTH);
    assert_same_bits(y, other, ROWS * WIDTH, "normalize by all threads");
    free(x);
    free(y);
    free(other);
    free(scale);
    free(added);
}

static void rows_and_threads_change_no_bit(void **state) {
    (void)state;
    on_each_isa(check_norm_splits);
}

static void check_normalize(struct fixture *f, size_t width, float factor) {
    enum { ROWS = 3 };
    float *x = floats(ROWS * width), *y = floats(ROWS * width);
    for (size_t i = 0; i < ROWS * width; i++)
        x[i] *= factor;
    memcpy(y, x, ROWS * width * sizeof *y);
    device_normalize(lane_0(f), y, ROWS, width);
    for (size_t r = 0; r < ROWS; r++) {
        double sum = 0;
        for (size_t c = 0; c < width; c++)
            sum += pow((double)x[r * width + c], 2);
        double length = fmax(sqrt(sum), 1e-12);
        for (size_t c = 0; c < width; c++) {
            double expected = (double)x[r * width + c] / length;
            assert_near((double)y[r * width + c], expected,
                        1.001 * ROUNDING * fabs(expected) + 1e-44, "normalize",
                        c);
        }
    }
    free(x);
    free(y);
}

static void normalizes(struct fixture *f) {
    for (size_t i = 0; i < WIDTH_COUNT; i++) {
        check_normalize(f, WIDTHS[i], 1);
        check_normalize(f, WIDTHS[i], 1e-14f); /* shorter than 1e-12 */
        check_normalize(f, WIDTHS[i], 1e-30f); /* its squares vanish */
        check_normalize(f, WIDTHS[i], 1e30f);  /* its squares overflow */
        check_normalize(f, WIDTHS[i], 0);
    }
}

static void normalize_is_its_definition(void **state) {
    (void)state;
    on_each_isa(normalizes);
}

static const uint32_t STARTS[] = {0, 1, 3, 20, 21, 321};
static const struct sequences TEXTS = {.texts = 5, .starts = STARTS};
enum { ROWS = 321 };

/* Rows [first, rows); row i weighs i + 1 whether or not rows before it count.
 */
static double pooled(enum pooling pooling, const float *x, size_t first,
                     size_t rows, size_t width) {
    double sum = 0, weighted = 0, weights = 0, most = -INFINITY;
    double n = (double)(rows - first);
    for (size_t r = first; r < rows; r++) {
        double here = (double)x[r * width];
        sum += here;
        weighted += here * (double)(r + 1);
        weights += (double)(r + 1);
        most = fmax(most, here);
    }
    switch (pooling) {
    case POOLING_CLS:
        return (double)x[first * width];
    case POOLING_LAST:
        return (double)x[(rows - 1) * width];
    case POOLING_MEAN:
        return sum / n;
    case POOLING_MEAN_SQRT:
        return sum / sqrt(n);
    case POOLING_WEIGHTED_MEAN:
        return weighted / weights;
    case POOLING_MAX:
        return most;
    }
    return 0;
}

/* What device.h says of a text whose rows are all skipped. */
static double expected_of(enum pooling pooling, const float *x, size_t text,
                          size_t skip, size_t width) {
    size_t rows = STARTS[text + 1] - STARTS[text];
    const float *from = x + STARTS[text] * width;
    if (skip < rows)
        return pooled(pooling, from, skip, rows, width);
    return pooling == POOLING_CLS ? (double)from[0] : 0;
}

static void check_pool(struct fixture *f, enum pooling pooling, size_t width,
                       size_t skip) {
    size_t stride = width + 3, count = 4 * stride + width;
    float *x = floats(ROWS * width), *y = floats(count), *wide = floats(count);
    struct sequences texts = TEXTS;
    texts.skip = skip;
    memcpy(wide, y, count * sizeof *y);
    float gap = y[width];
    device_pool(lane_0(f), pooling, &texts, x, width, y, stride);
    for (size_t t = 0; t < texts.texts; t++)
        for (size_t c = 0; c < width; c++) {
            double expected = expected_of(pooling, x + c, t, skip, width);
            assert_near((double)y[t * stride + c], expected,
                        1.001 * ROUNDING * fabs(expected) + 1e-13, "pool", c);
        }
    assert_same_bits(&gap, y + width, 1, "what lies between the rows");

    lane_widen(lane_0(f), true);
    device_pool(lane_0(f), pooling, &texts, x, width, wide, stride);
    lane_widen(lane_0(f), false);
    assert_same_bits(y, wide, count, "pool by all threads");

    struct sequences alone = {
        .texts = 1, .starts = (const uint32_t[]){0, 300}, .skip = skip};
    device_pool(lane_0(f), pooling, &alone, x + 21 * width, width, wide,
                stride);
    assert_same_bits(y + 4 * stride, wide, width, "a text alone");
    free(x);
    free(y);
    free(wide);
}

/* A NaN in row R of column 70 shows wherever the row counts, and only there. */
static void check_pool_poison(struct fixture *f, enum pooling pooling,
                              size_t row, float poison) {
    enum { WIDTH = 100, COUNT = 9 };
    struct sequences text = {.texts = 1,
                             .starts = (const uint32_t[]){0, COUNT}};
    float *x = floats(COUNT * WIDTH), *y = floats(WIDTH);
    x[row * WIDTH + 70] = poison;
    device_pool(lane_0(f), pooling, &text, x, WIDTH, y, WIDTH);
    bool counts = pooling == POOLING_CLS    ? row == 0
                  : pooling == POOLING_LAST ? row == COUNT - 1
                                            : true;
    for (size_t c = 0; c < WIDTH; c++)
        assert_true(!isfinite(y[c]) == (c == 70 && counts));
    free(x);
    free(y);
}

static void pools(struct fixture *f) {
    for (int p = POOLING_CLS; p <= POOLING_MAX; p++) {
        for (size_t i = 0; i < WIDTH_COUNT; i++)
            for (size_t skip = 0; skip < 4; skip++)
                check_pool(f, (enum pooling)p, WIDTHS[i], skip);
        for (size_t row = 0; row < 9; row++) {
            check_pool_poison(f, (enum pooling)p, row, NAN);
            check_pool_poison(f, (enum pooling)p, row, INFINITY);
        }
    }
}

static void picks(struct fixture *f) {
    enum { WIDTH = 37 };
    float *x = floats(ROWS * WIDTH), *y = floats(TEXTS.texts * WIDTH);
    struct sequences texts = TEXTS;
    for (int last = 0; last < 2; last++) {
        texts.meant = last ? ROWS_LAST : ROWS_FIRST;
        device_pick(lane_0(f), &texts, (const struct narrow *)x, WIDTH,
                    (struct narrow *)y);
        for (size_t t = 0; t < texts.texts; t++) {
            size_t row = last ? STARTS[t + 1] - 1 : STARTS[t];
            assert_same_bits(y + t * WIDTH, x + row * WIDTH, WIDTH, "picked");
        }
    }
    free(x);
    free(y);
}

static void a_row_of_each_text_is_picked(void **state) {
    (void)state;
    on_each_isa(picks);
}

static void pooling_is_its_definition(void **state) {
    (void)state;
    on_each_isa(pools);
}

/* PAD is among the ids of check_embed. */
enum { VOCAB = 50, FIRST = 2, PAD = 21 };

/* The definition: a pad stands on the row before the first, and the next token
 * takes the number that it would have had without it. */
static size_t position_of(const uint32_t *ids, size_t begin, size_t row,
                          bool pads) {
    size_t id = FIRST;
    for (size_t r = begin; r < row; r++)
        id += !pads || ids[r] != PAD;
    return pads && ids[row] == PAD ? FIRST - 1 : id;
}

/* What an embedding has: bits of EMBEDDINGS. */
enum {
    POSITION = 1,
    TYPE = 2,
    PADS = 4,
    TYPES = 8, /* a row for each of two types */
    SECOND = 16,
    SCALED = 32,
    EMBEDDINGS = 64
};

/* Where the second part of each of TEXTS begins: nowhere, at once, and within.
 */
static const uint32_t PARTS[] = {1, 0, 9, 0, 299};

static float embedded(const struct embedding *e, const uint32_t *ids,
                      const struct sequences *texts, size_t t, size_t row,
                      size_t c) {
    size_t width = e->width, begin = texts->starts[t];
    const float *words = e->words, *types = e->type, *positions = e->position;
    bool second = texts->second && row - begin >= texts->second[t];
    float value = words[ids[row] * width + c] * e->scale;
    if (types)
        value += types[(second && e->types == 2 ? width : 0) + c];
    if (positions)
        value +=
            positions[position_of(ids, begin, row, e->pad_has_no_position) *
                          width +
                      c];
    return value;
}

static void check_embed(struct fixture *f, size_t width, unsigned form) {
    float *words = floats(VOCAB * width), *kind = floats(2 * width);
    float *positions = floats((300 + FIRST) * width);
    float *y = floats(ROWS * width), *wide = floats(ROWS * width);
    struct sequences texts = TEXTS;
    uint32_t ids[ROWS];
    for (size_t r = 0; r < ROWS; r++)
        ids[r] = (uint32_t)(r * 7 % VOCAB);
    texts.second = form & SECOND ? PARTS : NULL;
    struct embedding e = {.width = width,
                          .vocab = VOCAB,
                          .positions = 300 + FIRST,
                          .words = words,
                          .scale = form & SCALED ? 5.5f : 1,
                          .position = form & POSITION ? positions : NULL,
                          .type = form & TYPE ? kind : NULL,
                          .types = form & TYPES ? 2 : 1,
                          .position_first = FIRST,
                          .pad_has_no_position = form & PADS,
                          .pad = PAD};
    device_embed(lane_0(f), &e, ids, &texts, y);
    for (size_t t = 0; t < texts.texts; t++)
        for (size_t r = STARTS[t]; r < STARTS[t + 1]; r++)
            for (size_t c = 0; c < width; c++) {
                float expected = embedded(&e, ids, &texts, t, r, c);
                assert_same_bits(y + r * width + c, &expected, 1, "embed");
            }
    lane_widen(lane_0(f), true);
    device_embed(lane_0(f), &e, ids, &texts, wide);
    lane_widen(lane_0(f), false);
    assert_same_bits(y, wide, ROWS * width, "embed by all threads");
    free(words);
    free(kind);
    free(positions);
    free(y);
    free(wide);
}

static void embeds(struct fixture *f) {
    for (unsigned form = 0; form < EMBEDDINGS; form++) {
        size_t some = form % WIDTH_COUNT;
        check_embed(f, WIDTHS[some], form);
        check_embed(f, WIDTHS[(some + 4) % 8], form);
    }
}

static void embedding_is_a_sum_of_rows(void **state) {
    (void)state;
    on_each_isa(embeds);
}

static double accumulated(enum accumulate how, double y, double x) {
    switch (how) {
    case ACCUMULATE_MAX:
        return fmax(y, x);
    case ACCUMULATE_SUM:
        return y + fmax(x, 0);
    case ACCUMULATE_SUM_LOG1P:
        return y + log1p(fmax(x, 0));
    }
    return y;
}

/* Numbers of all sizes, to see log1p near 0 and far out. Each is within 3
 * roundings of what is added, and a compensated sum within 2 of their sum,
 * however many they are. */
static void check_accumulate(struct fixture *f, enum accumulate how,
                             size_t rows, size_t width) {
    float *x = floats(rows * width), *y = floats(width), *z = floats(width);
    float *lost = floats(width);
    for (size_t i = 0; i < rows * width; i++)
        x[i] *= powf(10, 10 * random_float());
    for (size_t c = 0; c < width; c += 5)
        for (size_t r = 0; r < rows; r++)
            x[r * width + c] = -fabsf(x[r * width + c]);
    device_accumulate(lane_0(f), how, x, rows, width, true, y, NULL);
    for (size_t c = 0; c < width; c++) {
        double sum = 0;
        for (size_t r = 0; r < rows; r++)
            sum = accumulated(how, sum, (double)x[r * width + c]);
        double tolerance = 5 * ROUNDING * sum;
        assert_near((double)y[c], sum, how == ACCUMULATE_MAX ? 0 : tolerance,
                    "accumulate", c);
    }
    for (size_t r = 0; r < rows; r++)
        device_accumulate(lane_0(f), how, x + r * width, 1, width, r == 0, z,
                          lost);
    assert_same_bits(y, z, width, "accumulated row by row");
    lane_widen(lane_0(f), true);
    device_accumulate(lane_0(f), how, x, rows, width, true, z, lost);
    lane_widen(lane_0(f), false);
    assert_same_bits(y, z, width, "accumulated by all threads");
    free(lost);
    free(x);
    free(y);
    free(z);
}

/* As large as floats are: log(1 + x) is right up to 1e38 and no smaller after.
 */
static void check_accumulate_ends(struct fixture *f) {
    float x[] = {0,           -0.0f, 1e-45f, 1e-38f, 0.41421354f,
                 0.41421360f, 1,     1e38f,  3e38f,  -3e38f};
    enum { COUNT = sizeof x / sizeof *x };
    float y[COUNT];
    device_accumulate(lane_0(f), ACCUMULATE_SUM_LOG1P, x, 1, COUNT, true, y,
                      NULL);
    for (size_t i = 0; i < COUNT; i++) {
        double expected = log1p(fmin(fmax((double)x[i], 0), 1e38));
        assert_near((double)y[i], expected, 3 * ROUNDING * expected, "log1p",
                    i);
    }
}

static void check_accumulate_poison(struct fixture *f, enum accumulate how) {
    enum { R = 9, C = 37 };
    float *x = floats(R * C), y[C];
    for (size_t at = 0; at < R * C; at++) {
        float was = x[at];
        x[at] = NAN;
        device_accumulate(lane_0(f), how, x, R, C, true, y, NULL);
        for (size_t c = 0; c < C; c++)
            assert_true(!isnan(y[c]) == (c != at % C));
        x[at] = INFINITY;
        device_accumulate(lane_0(f), how, x, R, C, true, y, NULL);
        for (size_t c = 0; c < C; c++)
            assert_true(c == at % C ? isinf(y[c]) : isfinite(y[c]));
        x[at] = was;
    }
    free(x);
}

static void accumulates(struct fixture *f) {
    for (int how = ACCUMULATE_MAX; how <= ACCUMULATE_SUM_LOG1P; how++) {
        for (size_t i = 0; i < WIDTH_COUNT; i++)
            check_accumulate(f, (enum accumulate)how, 1 + 8 * i, WIDTHS[i]);
        check_accumulate(f, (enum accumulate)how, 201, 3001);
        check_accumulate(f, (enum accumulate)how, 1, 1 << 14);
        check_accumulate_poison(f, (enum accumulate)how);
    }
    check_accumulate_ends(f);
}

static void rows_are_accumulated(void **state) {
    (void)state;
    on_each_isa(accumulates);
}

static void check_poison(struct fixture *f, float poison, bool rms) {
    enum { WIDTH = 100 };
    float *x = floats(3 * WIDTH), *y = floats(3 * WIDTH), *s = floats(WIDTH);
    struct norm norm = {WIDTH, s, NULL, 1e-12f, rms, 0};
    for (size_t at = 0; at < WIDTH; at++) {
        x[WIDTH + at] = poison;
        device_norm(lane_0(f), &norm, x, 3, NULL, y, NULL);
        for (size_t i = 0; i < 3 * WIDTH; i++)
            if (rms && isinf(poison)) /* x / infinity is 0, but for itself */
                assert_true(isfinite(y[i]) == (i != WIDTH + at));
            else
                assert_true(isfinite(y[i]) == (i / WIDTH != 1));
        memcpy(y, x, 3 * WIDTH * sizeof *y);
        device_normalize(lane_0(f), y, 3, WIDTH);
        assert_true(isnan(y[WIDTH + at]));
        assert_true(isfinite(y[0]) && isfinite(y[2 * WIDTH]));
        x[WIDTH + at] = 0.5f;
    }
    free(x);
    free(y);
    free(s);
}

static void poison(struct fixture *f) {
    for (int rms = 0; rms < 2; rms++) {
        check_poison(f, NAN, rms != 0);
        check_poison(f, INFINITY, rms != 0);
    }
}

static void a_nan_is_never_hidden(void **state) {
    (void)state;
    on_each_isa(poison);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norm_is_its_definition),
        cmocka_unit_test(rows_and_threads_change_no_bit),
        cmocka_unit_test(normalize_is_its_definition),
        cmocka_unit_test(a_row_of_each_text_is_picked),
        cmocka_unit_test(pooling_is_its_definition),
        cmocka_unit_test(embedding_is_a_sum_of_rows),
        cmocka_unit_test(norm_of_heads_is_a_norm),
        cmocka_unit_test(rows_are_accumulated),
        cmocka_unit_test(a_nan_is_never_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
