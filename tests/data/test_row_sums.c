/* test_row_sums.c - every instruction set's sums are those of the definition,
 * bit for bit. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "data/row_sums.h"

enum { ROWS = 13, WIDTH_MOST = 1041 };

static uint64_t random_state = 88172645463325252u;

/* Of all sizes, so that another order of the sum shows. */
static float any_float(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    float x = (float)(random_state >> 40) / 16777216.0f - 0.5f;
    return random_state & 32 ? x : x * 1e-3f;
}

/* The definition, written plainly. VOLATILE: nothing is fused or reordered. */
static float defined_sum(const float *a, const float *b, size_t width) {
    volatile float lanes[ROW_SUMS_LANES] = {0};
    for (size_t i = 0; i < width; i++) {
        volatile float product = a[i] * b[i];
        lanes[i % ROW_SUMS_LANES] = lanes[i % ROW_SUMS_LANES] + product;
    }
    for (size_t half = ROW_SUMS_LANES / 2; half; half /= 2)
        for (size_t i = 0; i < half; i++)
            lanes[i] = lanes[i] + lanes[i + half];
    return lanes[0];
}

static void check(const struct row_sums *sums, const float *rows, size_t count,
                  size_t width, const float *query) {
    float want[2][ROWS], dots[ROWS], both[ROWS], squares[ROWS];
    for (size_t r = 0; r < count; r++) {
        const float *row = rows + r * width;
        want[0][r] = defined_sum(row, query, width);
        want[1][r] = defined_sum(row, row, width);
    }
    sums->dots(rows, count, width, query, dots);
    sums->dots_and_squares(rows, count, width, query, both, squares);
    assert_memory_equal(dots, want[0], count * sizeof *dots);
    assert_memory_equal(both, want[0], count * sizeof *both);
    assert_memory_equal(squares, want[1], count * sizeof *squares);
}

/* Widths below, at and past the steps of each set; rows that begin anywhere. */
static void sums_are_those_of_the_definition(void **state) {
    (void)state;
    static const size_t widths[] = {1,   2,   15,  16,  17,   31,        63,
                                    64,  65,  127, 128, 129,  144,       384,
                                    391, 512, 768, 777, 1024, WIDTH_MOST};
    static float rows[ROWS * WIDTH_MOST + 3], query[WIDTH_MOST + 1];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        rows[i] = any_float();
    for (size_t i = 0; i < sizeof query / sizeof *query; i++)
        query[i] = any_float();
    const struct row_sums *sums;
    for (size_t s = 0; (sums = row_sums_usable(s)); s++) {
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
            for (size_t count = 1; count <= ROWS; count += 3)
                check(sums, rows + s % 4, count, widths[w], query + w % 2);
        print_message("%s: bits as defined\n", sums->name);
    }
}

/* What a sum may meet: the largest, the smallest, infinities, zeros of either
 * sign. */
static void odd_numbers_too(void **state) {
    (void)state;
    static const float odd[] = {3e38f, -3e38f, 1e-41f, -1e-45f, INFINITY,
                                0,     -0.0f,  1,      2e-38f};
    static float rows[ROWS * 64], query[64];
    for (size_t i = 0; i < 64; i++)
        query[i] = i % 7 == 3 ? 1e-20f : -0.5f;
    for (size_t i = 0; i < ROWS * (size_t)64; i++)
        rows[i] = i / 64 % 2 ? odd[i % 9] : odd[5 + i % 4];
    const struct row_sums *sums;
    for (size_t s = 0; (sums = row_sums_usable(s)); s++)
        check(sums, rows, ROWS, 64, query);
}

static void the_last_set_runs_everywhere(void **state) {
    (void)state;
    size_t count = 0;
    while (row_sums_usable(count))
        count++;
    assert_true(count >= 1);
    assert_string_equal(row_sums_usable(count - 1)->name, "generic");
    assert_null(row_sums_usable(count + 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_the_definition),
        cmocka_unit_test(odd_numbers_too),
        cmocka_unit_test(the_last_set_runs_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
