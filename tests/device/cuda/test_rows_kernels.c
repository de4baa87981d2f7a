/* rows.cu against the definitions in double: embedding, norms, rotation,
 * normalisation. */

#include "device/cuda/kernel_card.h"

#define LAUNCH(type, name, x, y, p, all, ...)                                  \
    LAUNCH_OF("rows", type, name, x, y, ROW_THREADS, p, all, __VA_ARGS__)

static const unsigned WIDTHS[] = {1,   7,    32,   33,   128,  384,  385,
                                  768, 1000, 1024, 1028, 2050, 4096, 4100};
enum { WIDTHS_COUNT = sizeof WIDTHS / sizeof *WIDTHS };

static size_t warp_grid(size_t rows) {
    return (rows + ROW_WARPS - 1) / ROW_WARPS;
}

/* Small shapes are run in all orders of threads. */
static bool is_small(size_t numbers) {
    return numbers <= 5000;
}

/* ---- embedding ---------------------------------------------------------- */

enum { VOCAB = 11, POSITIONS = 7, TYPES = 2 };

static void check_embed(unsigned narrow, unsigned rows, unsigned width,
                        bool position, bool type, size_t offset) {
    struct array words = array_random(narrow, VOCAB * width, offset);
    struct array positions = array_random(narrow, POSITIONS * width, 0);
    struct array types = array_random(narrow, TYPES * width, 0);
    struct array y = array_make(WIDE, rows * width, offset);
    unsigned ids[64], places[64];
    for (unsigned r = 0; r < rows; r++) {
        ids[r] = (r * 5 + 10) % VOCAB;
        places[r] = 2 * ((r * 3 + 6) % POSITIONS) + (r / 2 + 1) % 2;
    }
    struct array id = array_of(ids, rows), place = array_of(places, rows);
    struct embed_rows_params p = {.ids = id.at,
                                  .places = place.at,
                                  .words = words.at,
                                  .position = position ? positions.at : NULL,
                                  .type = type ? types.at : NULL,
                                  .y = y.at,
                                  .scale = 1.5f,
                                  .rows = rows,
                                  .width = width};
    LAUNCH(narrow, embed_rows, warp_grid(rows), 1, p, is_small(rows * width),
           &y);
    const float *values = array_read(&y);
    for (size_t i = 0; i < (size_t)rows * width; i++) {
        size_t r = i / width, c = i % width;
        double word = 1.5 * (double)words.values[ids[r] * width + c];
        double at = 0, of = 0;
        if (position)
            at = (double)positions.values[(places[r] >> 1) * width + c];
        if (type)
            of = (double)types.values[(places[r] & 1) * width + c];
        assert_near((double)values[i], word + at + of,
                    3 * ROUNDING * (fabs(word) + fabs(at) + fabs(of)), "embed",
                    i);
    }
    array_free(&words), array_free(&positions), array_free(&types);
    array_free(&y), array_free(&id), array_free(&place);
}

static void test_embed(void **state) {
    (void)state;
    for (unsigned narrow = 0; narrow < the_narrows; narrow++)
        for (unsigned w = 0; w < WIDTHS_COUNT; w++) {
            check_embed(narrow, 1, WIDTHS[w], true, true, 0);
            check_embed(narrow, 5, WIDTHS[w], w % 2, !(w % 2), 0);
            check_embed(narrow, 64, WIDTHS[w] % 999, w % 3, w % 2, w % 3);
        }
}

/* ---- norms -------------------------------------------------------------- */

/* A row as the definition has it, and how far off floats may be. */
struct norm_exact {
    const float *x, *residual, *scale, *shift;
    size_t width;
    double mean, factor, epsilon, mean_error, factor_error;
};

/* Of a sum of WIDTH numbers in the kernels' order: the chain of a thread, its
 * four, the warp and the block; and what is rounded besides. */
static double sum_roundings(size_t width) {
    size_t threads = width <= WARP_WIDTH ? 32 : ROW_THREADS;
    return (double)((width + 4 * threads - 1) / (4 * threads)) + 2 + 5 + 2 + 2;
}

static void norm_measure(struct norm_exact *n, bool rms) {
    double sum = 0, sizes = 0, squares = 0;
    double width = (double)n->width, u = sum_roundings(n->width) * ROUNDING;
    for (size_t c = 0; c < n->width; c++) {
        sum += (double)n->x[c];
        sizes += fabs((double)n->x[c]);
    }
    n->mean = rms ? 0 : sum / width;
    n->mean_error = rms ? 0 : u * sizes / width;
    for (size_t c = 0; c < n->width; c++)
        squares += pow((double)n->x[c] - n->mean, 2);
    double variance = squares / width, error = n->mean_error;
    n->factor = 1 / sqrt(variance + n->epsilon);
    n->factor_error =
        3 * ROUNDING + 0.5 * ((u + 4 * ROUNDING) * variance + error * error) /
                           (variance + n->epsilon);
}

static void norm_check(const struct norm_exact *n, unsigned type,
                       const float *values, const char *what) {
    for (size_t c = 0; c < n->width; c++) {
        double scale = n->scale ? (double)n->scale[c] : 1;
        double shift = n->shift ? (double)n->shift[c] : 0;
        double add = n->residual ? (double)n->residual[c] : 0;
        double v = ((double)n->x[c] - n->mean) * n->factor * scale;
        double error = fabs(v) * (n->factor_error + 4 * ROUNDING) +
                       n->mean_error * n->factor * fabs(scale) +
                       3 * ROUNDING * (fabs(v) + fabs(shift) + fabs(add));
        assert_rounded(type, (double)values[c], v + shift + add, error, what,
                       c);
    }
}

struct norm_case {
    unsigned rows, width;
    bool rms, residual, scale, shift, y, z;
    size_t offset;
    float around; /* which numbers lie */
};

struct norm_arrays {
    struct array x, residual, scale, shift, y, z;
};

static struct norm_arrays norm_arrays_make(unsigned narrow,
                                           const struct norm_case *n) {
    size_t count = (size_t)n->rows * n->width;
    struct norm_arrays a = {
        .x = array_random(WIDE, count, n->offset),
        .residual = array_random(WIDE, count, 0),
        .scale = array_random(WIDE, n->width, 0),
        .shift = array_random(WIDE, n->width, n->offset),
        .y = array_make(WIDE, count, 0),
        .z = array_make(narrow, count, n->offset),
    };
    for (size_t i = 0; i < count; i++)
        a.x.values[i] += n->around;
    array_put(&a.x);
    return a;
}

static void norm_arrays_free(struct norm_arrays *a) {
    array_free(&a->x), array_free(&a->residual), array_free(&a->scale);
    array_free(&a->shift), array_free(&a->y), array_free(&a->z);
}

static struct norm_rows_params norm_params(const struct norm_case *n,
                                           const struct norm_arrays *a) {
    return (struct norm_rows_params){.x = a->x.at,
                                     .residual =
                                         n->residual ? a->residual.at : NULL,
                                     .scale = n->scale ? a->scale.at : NULL,
                                     .shift = n->shift ? a->shift.at : NULL,
                                     .y = n->y ? a->y.at : NULL,
                                     .z = n->z ? a->z.at : NULL,
                                     .rows = n->rows,
                                     .width = n->width,
                                     .epsilon = 1e-5f,
                                     .rms = n->rms};
}

static size_t norm_grid(size_t rows, size_t width) {
    return width <= WARP_WIDTH ? warp_grid(rows) : rows;
}

static void check_norm(unsigned narrow, const struct norm_case *n) {
    struct norm_arrays a = norm_arrays_make(narrow, n);
    struct norm_rows_params p = norm_params(n, &a);
    LAUNCH(narrow, norm_rows, norm_grid(n->rows, n->width), 1, p,
           is_small((size_t)n->rows * n->width), n->y ? &a.y : &a.z,
           n->y && n->z ? &a.z : NULL);
    const float *y = array_read(&a.y), *z = array_read(&a.z);
    for (unsigned r = 0; r < n->rows; r++) {
        size_t first = (size_t)r * n->width;
        struct norm_exact exact = {
            .x = a.x.values + first,
            .residual = n->residual ? a.residual.values + first : NULL,
            .scale = n->scale ? a.scale.values : NULL,
            .shift = n->shift ? a.shift.values : NULL,
            .width = n->width,
            .epsilon = (double)1e-5f};
        norm_measure(&exact, n->rms);
        if (n->y)
            norm_check(&exact, WIDE, y + first, "norm_rows' y");
        if (n->z)
            norm_check(&exact, narrow, z + first, "norm_rows' z");
    }
    norm_arrays_free(&a);
}

static void test_norm(void **state) {
    (void)state;
    static const unsigned rows[] = {1, 2, 5, 64};
    for (unsigned narrow = 0; narrow < the_narrows; narrow++)
        for (unsigned i = 0; i < 4 * WIDTHS_COUNT; i++) {
            unsigned width = WIDTHS[i / 4];
            struct norm_case n = {
                .rows = width > 1100 && i % 4 == 3 ? 3 : rows[i % 4],
                .width = width,
                .rms = i % 3 == 0,
                .residual = i % 2,
                .scale = i % 5 != 0,
                .shift = i % 7 < 3,
                .y = i % 4 != 1,
                .z = i % 4 != 2,
                .offset = i % 3 == 1,
                .around = i % 5 == 1 ? 100.0f : 0.0f};
            check_norm(narrow, &n);
        }
}

/* Y may be X or the residual: the same bits as apart from them. */
static void test_norm_in_place(void **state) {
    (void)state;
    for (unsigned i = 0; i < 2 * WIDTHS_COUNT; i++) {
        struct norm_case n = {.rows = 5,
                              .width = WIDTHS[i / 2],
                              .residual = true,
                              .scale = true,
                              .y = true};
        struct norm_arrays a = norm_arrays_make(0, &n);
        struct norm_rows_params p = norm_params(&n, &a);
        size_t count = (size_t)n.rows * n.width;
        size_t grid = norm_grid(n.rows, n.width);
        LAUNCH(0, norm_rows, grid, 1, p, false, &a.y);
        struct array *over = i % 2 ? &a.x : &a.residual;
        p.y = over->at;
        LAUNCH(0, norm_rows, grid, 1, p, is_small(count), over);
        assert_same_bits(array_read(over), array_read(&a.y), count,
                         "norm_rows over what it reads");
        norm_arrays_free(&a);
    }
}

/* A row alone, elsewhere in memory, gives the bits that it has among others. */
static void test_norm_alone(void **state) {
    (void)state;
    for (unsigned w = 0; w < WIDTHS_COUNT; w++) {
        struct norm_case many = {.rows = 7,
                                 .width = WIDTHS[w],
                                 .residual = true,
                                 .scale = true,
                                 .y = true,
                                 .z = true};
        struct norm_case one = many;
        one.rows = 1;
        one.offset = 1;
        struct norm_arrays a = norm_arrays_make(1, &many);
        struct norm_arrays b = norm_arrays_make(1, &one);
        struct norm_rows_params p = norm_params(&many, &a);
        struct norm_rows_params q = norm_params(&one, &b);
        size_t from = 5 * (size_t)WIDTHS[w], bytes = WIDTHS[w] * sizeof(float);
        memcpy(b.x.values, a.x.values + from, bytes);
        array_put(&b.x);
        q.scale = p.scale;
        q.residual = p.residual + from;
        LAUNCH(1, norm_rows, norm_grid(7, WIDTHS[w]), 1, p, false, &a.y);
        LAUNCH(1, norm_rows, 1, 1, q, false, &b.y);
        assert_same_bits(array_read(&b.y), array_read(&a.y) + from, WIDTHS[w],
                         "norm_rows of a row alone");
        assert_same_bits(array_read(&b.z), array_read(&a.z) + from, WIDTHS[w],
                         "norm_rows of a row alone, rounded");
        norm_arrays_free(&a), norm_arrays_free(&b);
    }
}

/* So does a head, or a row that is made as long as 1. */
static void test_pieces_alone(void **state) {
    (void)state;
    for (unsigned w = 0; w < WIDTHS_COUNT; w++) {
        unsigned width = WIDTHS[w];
        size_t from = 5 * (size_t)width;
        struct array many = array_random(1, 7 * (size_t)width, 0);
        struct array one = array_make(1, width, 1);
        struct array rows = array_random(WIDE, 7 * (size_t)width, 0);
        struct array row = array_make(WIDE, width, 1);
        memcpy(one.values, many.values + from, width * sizeof(float));
        memcpy(row.values, rows.values + from, width * sizeof(float));
        array_put(&one), array_put(&row);
        struct norm_heads_params p = {
            .x = many.at, .rows = 1, .times = 7, .width = width};
        struct norm_heads_params q = {
            .x = one.at, .rows = 1, .times = 1, .width = width};
        struct normalize_rows_params n = {rows.at, 7, width};
        struct normalize_rows_params m = {row.at, 1, width};
        p.epsilon = q.epsilon = 1e-5f;
        LAUNCH(1, norm_heads, warp_grid(7), 1, p, false, &many);
        LAUNCH(1, norm_heads, 1, 1, q, false, &one);
        LAUNCH(0, normalize_rows, warp_grid(7), 1, n, false, &rows);
        LAUNCH(0, normalize_rows, 1, 1, m, false, &row);
        assert_same_bits(array_read(&one), array_read(&many) + from, width,
                         "norm_heads of a piece alone");
        assert_same_bits(array_read(&row), array_read(&rows) + from, width,
                         "normalize_rows of a row alone");
        array_free(&many), array_free(&one);
        array_free(&rows), array_free(&row);
    }
}

/* What is not finite, or has squares that are not, is not made to look fine;
 * the rows beside it are. */
static void test_norm_unsound(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (unsigned i = 0; i < 4 * WIDTHS_COUNT * 2; i++) {
        unsigned width = WIDTHS[i / 8];
        struct norm_case n = {
            .rows = 3, .width = width, .rms = i % 2, .y = true};
        struct norm_arrays a = norm_arrays_make(0, &n);
        struct norm_rows_params p = norm_params(&n, &a);
        a.x.values[width + (width - 1) * (i % 3) / 2] = bad[i / 2 % 4];
        array_put(&a.x);
        LAUNCH(0, norm_rows, norm_grid(3, width), 1, p, false, &a.y);
        const float *y = array_read(&a.y);
        bool overflows = bad[i / 2 % 4] < INFINITY && !n.rms && width == 1;
        bool found = overflows; /* one number is its own mean */
        for (unsigned c = 0; c < width; c++) {
            assert_true(isfinite(y[c]) && isfinite(y[2 * width + c]));
            found |= !isfinite(y[width + c]);
        }
        assert_true(found);
        norm_arrays_free(&a);
    }
}

/* ---- norms of heads ----------------------------------------------------- */

static void check_norm_heads(unsigned narrow, unsigned rows, unsigned times,
                             unsigned width, bool rms, size_t offset) {
    unsigned stride = times * width + 3 * (width % 5) + 8;
    struct array x = array_random(narrow, (size_t)rows * stride, offset);
    struct array scale = array_random(WIDE, width, 0);
    struct array shift = array_random(WIDE, width, 0);
    float *before = floats(x.count);
    memcpy(before, x.values, x.count * sizeof *before);
    struct norm_heads_params p = {.x = x.at,
                                  .scale = scale.at,
                                  .shift = rms ? NULL : shift.at,
                                  .rows = rows,
                                  .stride = stride,
                                  .times = times,
                                  .width = width,
                                  .epsilon = 1e-6f,
                                  .rms = rms};
    LAUNCH(narrow, norm_heads, warp_grid((size_t)rows * times), 1, p,
           is_small(x.count), &x);
    const float *values = array_read(&x);
    for (size_t r = 0; r < rows; r++) {
        for (size_t t = 0; t < times; t++) {
            size_t first = r * stride + t * width;
            struct norm_exact exact = {.x = before + first,
                                       .scale = scale.values,
                                       .shift = rms ? NULL : shift.values,
                                       .width = width,
                                       .epsilon = (double)1e-6f};
            norm_measure(&exact, rms);
            norm_check(&exact, narrow, values + first, "norm_heads");
        }
        size_t rest = r * stride + (size_t)times * width;
        assert_same_bits(values + rest, before + rest,
                         stride - (size_t)times * width,
                         "what is not norm_heads' to change");
    }
    free(before);
    array_free(&x), array_free(&scale), array_free(&shift);
}

static void test_norm_heads(void **state) {
    (void)state;
    static const unsigned widths[] = {1, 7, 32, 33, 64, 80, 128, 256, 260, 768};
    for (unsigned narrow = 0; narrow < the_narrows; narrow++)
        for (unsigned i = 0; i < 10; i++) {
            check_norm_heads(narrow, 1, 1, widths[i], i % 2, 0);
            check_norm_heads(narrow, 5, 3, widths[i], !(i % 2), i % 3 == 0);
        }
}

/* ---- rotary positions --------------------------------------------------- */

static void rotate_exact(const float *cosine, const float *sine,
                         const float *head, unsigned dims, bool interleaved,
                         double *out, double *sizes) {
    unsigned half = dims / 2;
    for (unsigned p = 0; p < half; p++) {
        unsigned first = interleaved ? 2 * p : p;
        unsigned second = interleaved ? 2 * p + 1 : p + half;
        double a = (double)head[first], b = (double)head[second];
        double c = (double)cosine[p], s = (double)sine[p];
        out[first] = a * c - b * s;
        out[second] = b * c + a * s;
        sizes[first] = fabs(a * c) + fabs(b * s);
        sizes[second] = fabs(b * c) + fabs(a * s);
    }
}

static void check_rotate(unsigned narrow, unsigned rows, unsigned head_dim,
                         unsigned dims, bool interleaved, size_t offset) {
    enum { HEADS = 3, TURNED = 2, PLACES = 9 };
    unsigned stride = HEADS * head_dim, places[64];
    struct array x = array_random(narrow, (size_t)rows * stride, offset);
    struct array cosine = array_random(WIDE, PLACES * dims / 2, 0);
    struct array sine = array_random(WIDE, PLACES * dims / 2, 0);
    for (unsigned r = 0; r < rows; r++)
        places[r] = (r * 4 + 8) % PLACES;
    struct array place = array_of(places, rows);
    float *before = floats(x.count);
    memcpy(before, x.values, x.count * sizeof *before);
    struct rotate_heads_params p = {.x = x.at,
                                    .text_rows = place.at,
                                    .cosine = cosine.at,
                                    .sine = sine.at,
                                    .rows = rows,
                                    .stride = stride,
                                    .heads = TURNED,
                                    .head_dim = head_dim,
                                    .dims = dims,
                                    .interleaved = interleaved};
    LAUNCH(narrow, rotate_heads, rows, 1, p, is_small(x.count), &x);
    const float *values = array_read(&x);
    double out[256], sizes[256];
    for (size_t r = 0; r < rows; r++)
        for (size_t h = 0; h < HEADS; h++) {
            const float *head = before + r * stride + h * head_dim;
            for (unsigned d = 0; d < head_dim; d++) {
                out[d] = (double)head[d];
                sizes[d] = 0;
            }
            if (h < TURNED)
                rotate_exact(cosine.values + places[r] * dims / 2,
                             sine.values + places[r] * dims / 2, head, dims,
                             interleaved, out, sizes);
            for (unsigned d = 0; d < head_dim; d++)
                assert_rounded(sizes[d] > 0 ? narrow : WIDE,
                               (double)values[r * stride + h * head_dim + d],
                               out[d], 2 * ROUNDING * sizes[d], "rotate_heads",
                               d);
        }
    free(before);
    array_free(&x), array_free(&cosine), array_free(&sine), array_free(&place);
}

static void test_rotate(void **state) {
    (void)state;
    static const unsigned shapes[][2] = {{2, 2},   {7, 6},    {32, 32},
                                         {64, 64}, {64, 16},  {80, 20},
                                         {96, 96}, {128, 64}, {256, 256}};
    for (unsigned narrow = 0; narrow < the_narrows; narrow++)
        for (unsigned i = 0; i < 18; i++) {
            const unsigned *shape = shapes[i / 2];
            check_rotate(narrow, 1, shape[0], shape[1], i % 2, 0);
            check_rotate(narrow, 5, shape[0], shape[1], i % 2, i % 3 == 1);
            check_rotate(narrow, 64, shape[0], shape[1], i % 2, 0);
        }
}

/* ---- rows of length 1 --------------------------------------------------- */

static void check_normalize(unsigned rows, unsigned width, float size,
                            size_t offset) {
    struct array x = array_random(WIDE, (size_t)rows * width, offset);
    for (size_t i = 0; i < x.count; i++)
        x.values[i] *= size;
    array_put(&x);
    float *before = floats(x.count);
    memcpy(before, x.values, x.count * sizeof *before);
    struct normalize_rows_params p = {x.at, rows, width};
    LAUNCH(0, normalize_rows, warp_grid(rows), 1, p, is_small(x.count), &x);
    const float *values = array_read(&x);
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t c = r * width; c < (r + 1) * width; c++)
            sum += (double)before[c] * (double)before[c];
        double length = sqrt(sum) < 1e-12 ? 1e-12 : sqrt(sum);
        for (size_t c = r * width; c < (r + 1) * width; c++)
            assert_rounded(WIDE, (double)values[c], (double)before[c] / length,
                           1e-12, "normalize_rows", c);
    }
    free(before);
    array_free(&x);
}

static void test_normalize(void **state) {
    (void)state;
    static const float sizes[] = {1, 0, 1e-30f, 1e-12f, 1e30f, 3e38f};
    for (unsigned i = 0; i < 6 * WIDTHS_COUNT; i++)
        check_normalize(i % 4 + 1, WIDTHS[i / 6], sizes[i % 6], i % 5 == 1);
    check_normalize(64, 128, 1, 0);
}

static void test_normalize_unsound(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (unsigned i = 0; i < 3; i++) {
        struct array x = array_random(WIDE, 3 * 40, 0);
        x.values[40 + 17] = bad[i];
        array_put(&x);
        struct normalize_rows_params p = {x.at, 3, 40};
        LAUNCH(0, normalize_rows, 1, 1, p, true, &x);
        const float *y = array_read(&x);
        assert_true(isnan(y[40 + 17]));
        for (unsigned c = 0; c < 40; c++)
            assert_true(isfinite(y[c]) && isfinite(y[80 + c]));
        array_free(&x);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_norm_in_place),
        cmocka_unit_test(test_norm_alone),
        cmocka_unit_test(test_pieces_alone),
        cmocka_unit_test(test_norm_unsound),
        cmocka_unit_test(test_norm_heads),
        cmocka_unit_test(test_rotate),
        cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_normalize_unsound),
    };
    if (!kernel_place_open(argc, argv))
        return 0;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kernel_place_close();
    return failed;
}
