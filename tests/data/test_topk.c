/* test_topk.c - the nearest rows against a sort of all of them. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/topk.h"

static struct memory memory;

static uint64_t random_state = 88172645463325252u;

static double uniform(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

static float *random_rows(size_t count, size_t width) {
    float *rows = memory_alloc(&memory, count * width, sizeof *rows, NULL);
    assert_non_null(rows);
    for (size_t i = 0; i < count * width; i++)
        rows[i] = (float)(uniform() - 0.5);
    return rows;
}

static double dot(const float *a, const float *b, size_t width) {
    double sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

struct scored {
    uint64_t row;
    double score;
};

static int by_score(const void *a, const void *b) {
    const struct scored *x = a, *y = b;
    if (x->score < y->score || x->score > y->score)
        return x->score > y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void scan(unsigned threads, const float *rows, size_t count,
                 size_t width, const float *query, size_t k, struct hit *hits,
                 size_t *found) {
    struct pool *pool = pool_create(&memory, threads, NULL);
    assert_non_null(pool);
    assert_true(topk_scan(&memory, pool, TOPK_DOT, "a.npy", rows, count, width,
                          query, k, hits, found, NULL));
    pool_free(pool);
}

/* Whole numbers: f32 and double give the same score, and many are equal. */
static void equals_a_sort(void **state) {
    (void)state;
    static const size_t widths[] = {1, 3, 15, 16, 17, 40, 384};
    enum { COUNT = 5000, K = 37 };
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        size_t width = widths[w];
        float *rows = random_rows(COUNT + 1, width);
        for (size_t i = 0; i < (COUNT + 1) * width; i++)
            rows[i] = rintf(rows[i] * 8);
        const float *query = rows + COUNT * width;
        struct scored *all = memory_alloc(&memory, COUNT, sizeof *all, NULL);
        for (size_t r = 0; r < COUNT; r++)
            all[r] = (struct scored){r, dot(rows + r * width, query, width)};
        qsort(all, COUNT, sizeof *all, by_score);
        for (unsigned threads = 1; threads <= 4; threads++) {
            struct hit hits[K];
            size_t found;
            scan(threads, rows, COUNT, width, query, K, hits, &found);
            assert_int_equal(found, K);
            for (size_t i = 0; i < K; i++) {
                assert_int_equal(hits[i].row, all[i].row);
                assert_true((double)hits[i].score == all[i].score);
            }
        }
        memory_free(&memory, all);
        memory_free(&memory, rows);
    }
    assert_int_equal(memory_live(&memory), 0);
}

/* Any numbers: near the double's score, and the same bits wherever the row
 * stands and however many threads scan. */
static void scores_do_not_depend_on_place_or_threads(void **state) {
    (void)state;
    enum { COUNT = 9000, WIDTH = 387 };
    float *rows = random_rows(COUNT + 1, WIDTH);
    const float *query = rows + (size_t)COUNT * WIDTH;
    float *first = rows, *last = rows + (size_t)(COUNT - 1) * WIDTH;
    memcpy(last, first, WIDTH * sizeof *last); /* other alignment, same row */
    static struct hit one[COUNT], many[COUNT];
    size_t found;
    scan(1, rows, COUNT, WIDTH, query, COUNT, one, &found);
    assert_int_equal(found, COUNT);
    uint32_t bits[2] = {0, 1};
    for (size_t i = 0; i < COUNT; i++) {
        double exact = dot(rows + one[i].row * WIDTH, query, WIDTH);
        assert_true(fabs(exact - (double)one[i].score) < 1e-5);
        if (one[i].row == 0 || one[i].row == COUNT - 1)
            memcpy(&bits[one[i].row != 0], &one[i].score, sizeof *bits);
    }
    assert_int_equal(bits[0], bits[1]);
    for (unsigned threads = 2; threads <= 3; threads++) {
        scan(threads, rows, COUNT, WIDTH, query, COUNT, many, &found);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(one[i].row, many[i].row);
            assert_memory_equal(&one[i].score, &many[i].score, sizeof(float));
        }
    }
    memory_free(&memory, rows);
}

/* Whatever its score would be, and though others are nearer. */
static void the_first_row_that_is_not_finite_is_named(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    float *rows = random_rows(COUNT, 1);
    const float query[] = {1};
    for (unsigned threads = 1; threads <= 3; threads++)
        for (size_t b = 0; b < 9; b++) {
            struct pool *pool = pool_create(&memory, threads, NULL);
            struct hit hits[3];
            size_t found = 77;
            struct error err = {0};
            float one = rows[40], other = rows[4090];
            rows[40] = bad[b % 3];
            rows[4090] = bad[b / 3];
            assert_false(topk_scan(
                &memory, pool, b % 2 ? TOPK_DOT : TOPK_COSINE, "a.npy", rows,
                COUNT, 1, query, 3, hits, &found, &err));
            assert_int_equal(err.code, ERROR_INPUT);
            assert_string_equal(
                err.message,
                "a.npy: row 40 (from 0) has numbers that are not finite; "
                "delete the file and run again");
            assert_int_equal(found, 0);
            rows[40] = one;
            rows[4090] = other;
            pool_free(pool);
        }
    memory_free(&memory, rows);
}

static void few_rows_are_all_found(void **state) {
    (void)state;
    const float rows[] = {1, 2, 3};
    const float query[] = {1};
    struct hit hits[10];
    size_t found = 77;
    scan(2, rows, 0, 1, query, 10, hits, &found);
    assert_int_equal(found, 0);
    scan(2, rows, 3, 1, query, 0, hits, &found);
    assert_int_equal(found, 0);
    scan(2, rows, 3, 1, query, SIZE_MAX, hits, &found);
    assert_int_equal(found, 3);
    assert_int_equal(hits[0].row, 2);
    assert_int_equal(hits[2].row, 0);
    struct memory small = {.ceiling = 100};
    struct pool *pool = pool_create(&memory, 1, NULL);
    struct error err = {0};
    assert_false(topk_scan(&small, pool, TOPK_DOT, "a.npy", rows, 3, 1, query,
                           3, hits, &found, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_int_equal(memory_live(&small), 0);
    pool_free(pool);
}

/* Rows of any length, among them those whose squares no float can hold; what
 * has no direction has no cosine. */
static void cosines_are_those_of_the_definition(void **state) {
    (void)state;
    enum { COUNT = 6000, WIDTH = 391 };
    static const float lengths[] = {1,     3e-4f,  1e25f, 1e-25f, 7e18f,
                                    1e36f, 2e-38f, 40,    0,      1e-41f};
    enum { LENGTHS = sizeof lengths / sizeof *lengths };
    float *rows = random_rows(COUNT + 1, WIDTH);
    float *query = rows + (size_t)COUNT * WIDTH;
    double square = dot(query, query, WIDTH);
    for (size_t i = 0; i < WIDTH; i++)
        query[i] = (float)(query[i] / sqrt(square));
    for (size_t i = 0; i < COUNT * (size_t)WIDTH; i++)
        rows[i] *= lengths[i / WIDTH % LENGTHS];
    static struct hit one[COUNT], many[COUNT];
    for (unsigned threads = 1; threads <= 3; threads++) {
        struct pool *pool = pool_create(&memory, threads, NULL);
        size_t found;
        assert_true(topk_scan(&memory, pool, TOPK_COSINE, "a.npy", rows, COUNT,
                              WIDTH, query, COUNT, threads == 1 ? one : many,
                              &found, NULL));
        assert_int_equal(found, COUNT);
        for (size_t i = 0; threads > 1 && i < COUNT; i++) {
            assert_int_equal(one[i].row, many[i].row);
            assert_memory_equal(&one[i].score, &many[i].score, sizeof(float));
        }
        pool_free(pool);
    }
    for (size_t i = 0; i < COUNT; i++) {
        const float *row = rows + one[i].row * WIDTH;
        double own = sqrt(dot(row, row, WIDTH));
        double exact = own > 0 ? dot(row, query, WIDTH) / own : 0;
        assert_true(fabs(exact - (double)one[i].score) < 1e-6);
        assert_true(i == 0 || one[i - 1].score >= one[i].score);
    }
    memory_free(&memory, rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_a_sort),
        cmocka_unit_test(scores_do_not_depend_on_place_or_threads),
        cmocka_unit_test(the_first_row_that_is_not_finite_is_named),
        cmocka_unit_test(few_rows_are_all_found),
        cmocka_unit_test(cosines_are_those_of_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
