/* What rows.cu does for experts, against its definitions: which rows are whose,
 * there and back, and what is added up. */

#include "device/cuda/kernel_card.h"

#define LAUNCH(type, name, x, y, p, all, ...)                                  \
    LAUNCH_OF("rows", type, name, x, y, ROW_THREADS, p, all, __VA_ARGS__)

static const unsigned WIDTHS[] = {1, 7, 8, 33, 128, 768, 1028};
enum { WIDTHS_COUNT = sizeof WIDTHS / sizeof *WIDTHS };

static size_t divided_up(size_t count, size_t by) {
    return (count + by - 1) / by;
}

static bool is_small(size_t numbers) {
    return numbers <= 3000;
}

/* ---- the router ---------------------------------------------------------- */

/* Is it one of the CHOSEN greatest, the first of equal ones? */
static bool is_chosen(const float *scores, unsigned count, unsigned chosen,
                      unsigned e) {
    unsigned before = 0;
    for (unsigned i = 0; i < count; i++)
        before += scores[i] > scores[e] || (scores[i] == scores[e] && i < e);
    return before < chosen;
}

static void check_route(unsigned rows, unsigned count, unsigned chosen,
                        float around) {
    struct array scores = array_random(WIDE, (size_t)rows * count, 0);
    struct array weights = array_make(WIDE, (size_t)rows * count, 0);
    /* some of them are equal */
    for (size_t i = 0; i < scores.count; i++)
        scores.values[i] = around + rintf(scores.values[i] * 12);
    array_put(&scores);
    struct route_rows_params p = {scores.at, weights.at, rows,
                                  count,     chosen,     0};
    LAUNCH(0, route_rows, divided_up(rows, ROW_THREADS), 1, p, true, &weights);
    const float *values = array_read(&weights);
    for (size_t r = 0; r < rows; r++) {
        const float *row = scores.values + r * count;
        double mass = 0;
        for (unsigned e = 0; e < count; e++)
            mass += exp((double)(row[e] - around));
        for (unsigned e = 0; e < count; e++) {
            double exact = exp((double)(row[e] - around)) / mass;
            if (!is_chosen(row, count, chosen, e))
                exact = 0;
            assert_near((double)values[r * count + e], exact,
                        (count + 16 + 24) * ROUNDING * exact, "route_rows", e);
        }
    }
    array_free(&scores), array_free(&weights);
}

static void test_route(void **state) {
    (void)state;
    static const unsigned counts[][2] = {
        {1, 1}, {8, 2}, {8, 8}, {60, 4}, {64, 1}};
    for (unsigned i = 0; i < 5; i++) {
        check_route(1, counts[i][0], counts[i][1], i % 2 ? 300.0f : -300.0f);
        check_route(130, counts[i][0], counts[i][1], 0);
    }
}

/* With a NaN, or what only differences of infinities could tell, no weight that
 * is not 0 is a number; there are as many as ever. */
static void test_route_unsound(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY};
    for (unsigned i = 0; i < 2 * 8; i++) {
        struct array scores = array_random(WIDE, 8, 0);
        struct array weights = array_make(WIDE, 8, 0);
        scores.values[i / 2] = bad[i % 2];
        array_put(&scores);
        struct route_rows_params p = {scores.at, weights.at, 1, 8, 2, 0};
        LAUNCH(0, route_rows, 1, 1, p, true, &weights);
        const float *values = array_read(&weights);
        unsigned unsound = 0, zeros = 0;
        for (unsigned e = 0; e < 8; e++) {
            unsound += isnan(values[e]) != 0;
            zeros += values[e] == 0;
        }
        assert_int_equal(unsound, 2);
        assert_int_equal(zeros, 6);
        array_free(&scores), array_free(&weights);
    }
}

/* ---- lists -------------------------------------------------------------- */

/* Unsigned numbers that were read as floats. */
static unsigned number_at(const float *values, size_t i) {
    unsigned number;
    memcpy(&number, values + i, sizeof number);
    return number;
}

static bool is_listed(unsigned row, unsigned e, unsigned every) {
    return every == 1 || (every > 1 && (row * 7 + e) % every == 0);
}

/* EVERY: of so many rows one is an expert's; 0: none is. */
static void check_list(unsigned rows, unsigned count, unsigned every) {
    struct array weights = array_make(WIDE, (size_t)rows * count, 0);
    struct array list = array_make(WIDE, (size_t)rows * count, 0);
    struct array counts = array_make(WIDE, count, 0);
    for (unsigned r = 0; r < rows; r++)
        for (unsigned e = 0; e < count; e++)
            weights.values[r * count + e] = !is_listed(r, e, every) ? 0.0f
                                            : r % 5 == 3            ? NAN
                                                                    : 0x1p-140f;
    array_put(&weights);
    struct list_rows_params p = {weights.at, list.at, counts.at, rows, count};
    LAUNCH(0, list_rows, count, 1, p, is_small((size_t)rows * count), &list,
           &counts);
    const float *rows_of = array_read(&list), *counted = array_read(&counts);
    for (unsigned e = 0; e < count; e++) {
        unsigned wanted = 0;
        for (unsigned r = 0; r < rows; r++)
            if (is_listed(r, e, every))
                assert_int_equal(
                    number_at(rows_of, (size_t)e * rows + wanted++), r);
        assert_int_equal(number_at(counted, e), wanted);
    }
    array_free(&weights), array_free(&list), array_free(&counts);
}

/* Past a thread's eight, a warp's 256, a block's 1024. */
static void test_list(void **state) {
    (void)state;
    static const unsigned ROWS[] = {1, 7, 9, 255, 257, 1024, 1025, 2500};
    for (unsigned i = 0; i < 8; i++)
        for (unsigned every = 0; every < 5; every++)
            check_list(ROWS[i], i % 2 ? 8 : 3, every);
    check_list(40, 64, 9);
}

/* ---- there and back ----------------------------------------------------- */

/* SOME of ROWS rows, not all of them, each once. */
static struct array list_of(unsigned rows, unsigned some, unsigned *numbers) {
    for (unsigned i = 0; i < some; i++)
        numbers[i] = i * rows / some;
    return array_of(numbers, some);
}

static void check_gather(unsigned type, unsigned width, size_t offset) {
    enum { ROWS = 23, SOME = 9 };
    unsigned numbers[SOME];
    struct array list = list_of(ROWS, SOME, numbers);
    struct array x = array_random(type, (size_t)ROWS * width, offset);
    struct array y = array_make(type, (size_t)SOME * width, 0);
    struct gather_rows_params p = {x.at, y.at, list.at, SOME, width};
    LAUNCH(type, gather_rows, divided_up(SOME, ROW_WARPS), 1, p,
           is_small(y.count), &y);
    const float *values = array_read(&y);
    for (unsigned i = 0; i < SOME; i++)
        assert_same_bits(values + (size_t)i * width,
                         x.values + (size_t)numbers[i] * width, width,
                         "a gathered row");
    array_free(&list), array_free(&x), array_free(&y);
}

static void test_gather(void **state) {
    (void)state;
    for (unsigned type = 0; type < the_narrows; type++)
        for (unsigned i = 0; i < WIDTHS_COUNT; i++) {
            check_gather(type, WIDTHS[i], 0);
            check_gather(type, WIDTHS[i], 1);
        }
}

/* ---- sums --------------------------------------------------------------- */

static void check_begin(unsigned rows, unsigned width, bool residual,
                        bool shift, bool in_place, size_t offset) {
    size_t count = (size_t)rows * width;
    struct array add = array_random(WIDE, count, offset);
    struct array shifts = array_random(WIDE, width, 0);
    struct array y = array_random(WIDE, count, 0);
    struct array *out = in_place && residual ? &add : &y;
    float *before = floats(count);
    memcpy(before, add.values, count * sizeof *before);
    struct begin_experts_params p = {residual ? add.at : NULL,
                                     shift ? shifts.at : NULL, out->at, rows,
                                     width};
    LAUNCH(0, begin_experts, divided_up(rows, ROW_WARPS), 1, p, is_small(count),
           out);
    const float *values = array_read(out);
    for (size_t i = 0; i < count; i++) {
        double a = residual ? (double)before[i] : 0;
        double b = shift ? (double)shifts.values[i % width] : 0;
        assert_near((double)values[i], a + b, ROUNDING * fabs(a + b),
                    "begin_experts", i);
    }
    free(before);
    array_free(&add), array_free(&shifts), array_free(&y);
}

static void test_begin(void **state) {
    (void)state;
    for (unsigned i = 0; i < 4 * WIDTHS_COUNT; i++)
        check_begin(1 + i % 5, WIDTHS[i / 4], i % 2, i % 3 != 0, i % 7 < 3,
                    i % 5 == 1);
}

/* Rows that are not on the list stay as they are. */
static void check_add(unsigned width, size_t offset) {
    enum { COUNT = 3, EXPERT = 1, ROWS = 23, SOME = 9 };
    unsigned numbers[SOME];
    size_t count = (size_t)ROWS * width;
    struct array list = list_of(ROWS, SOME, numbers);
    struct array x = array_random(WIDE, (size_t)SOME * width, offset);
    struct array weights = array_random(WIDE, ROWS * COUNT, 0);
    struct array y = array_random(WIDE, count, 0);
    float *before = floats(count);
    double *parts = calloc(count, sizeof *parts);
    assert_non_null(parts);
    memcpy(before, y.values, count * sizeof *before);
    for (size_t i = 0; i < x.count; i++) {
        unsigned row = numbers[i / width];
        parts[row * width + i % width] =
            (double)weights.values[row * COUNT + EXPERT] * (double)x.values[i];
    }
    struct add_expert_params p = {x.at, weights.at, list.at, y.at,
                                  SOME, width,      COUNT,   EXPERT};
    LAUNCH(0, add_expert, divided_up(SOME, ROW_WARPS), 1, p, is_small(count),
           &y);
    const float *values = array_read(&y);
    for (size_t i = 0; i < count; i++)
        assert_near((double)values[i], (double)before[i] + parts[i],
                    2 * ROUNDING * (fabs((double)before[i]) + fabs(parts[i])),
                    "add_expert", i);
    free(before), free(parts);
    array_free(&list), array_free(&x), array_free(&weights), array_free(&y);
}

static void test_add(void **state) {
    (void)state;
    for (unsigned i = 0; i < WIDTHS_COUNT; i++) {
        check_add(WIDTHS[i], 0);
        check_add(WIDTHS[i], 1);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route), cmocka_unit_test(test_route_unsound),
        cmocka_unit_test(test_list),  cmocka_unit_test(test_gather),
        cmocka_unit_test(test_begin), cmocka_unit_test(test_add),
    };
    if (!kernel_place_open(argc, argv))
        return 0;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kernel_place_close();
    return failed;
}
