/* test_head_rows.c - what the sparse and multi heads give, made rows of:
 * against the definitions written out without any cleverness, on random input
 * with repeated ids, equal values, zeros, and nothing at all. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/multi_rows.h"
#include "model/sparse_rows.h"

enum { TOKENS = 60, VOCAB = 90, WIDTH = 3 };

static unsigned state = 7;

static unsigned random_below(unsigned n) {
    state = state * 1103515245u + 12345u;
    return (state >> 16) % n;
}

/* Of few different values, some of them 0 and some below. */
static float random_value(void) {
    return (float)((int)random_below(9) - 2) / 4;
}

/* The largest weight of ID's tokens; 0: it has no pair. */
static float lexical(uint32_t id, const uint32_t *ids, const float *weights,
                     size_t tokens) {
    float most = 0;
    for (size_t i = 0; i < tokens; i++)
        if (ids[i] == id && weights[i] > most)
            most = weights[i];
    return most;
}

static void lexical_weights_are_maxima(void **unused) {
    (void)unused;
    const uint32_t dropped[] = {0, 3, 17};
    for (int run = 0; run < 2000; run++) {
        uint32_t ids[TOKENS], indices[TOKENS];
        float weights[TOKENS], values[TOKENS];
        size_t tokens = random_below(TOKENS + 1), at = 0;
        for (size_t i = 0; i < tokens; i++) {
            ids[i] = random_below(VOCAB);
            weights[i] = random_value();
        }
        size_t count =
            sparse_lexical(ids, weights, tokens, dropped, 3, indices, values);
        for (uint32_t id = 0; id < VOCAB; id++) {
            float want = lexical(id, ids, weights, tokens);
            if (want == 0 || id == 0 || id == 3 || id == 17)
                continue;
            assert_true(at < count);
            assert_int_equal(indices[at], id);
            assert_true(values[at++] == want);
        }
        assert_int_equal(at, count);
        /* In place it is the same. */
        assert_int_equal(
            sparse_lexical(ids, weights, tokens, dropped, 3, ids, weights),
            count);
        assert_memory_equal(ids, indices, count * sizeof *ids);
        assert_memory_equal(weights, values, count * sizeof *values);
    }
}

/* Is word ID among the MOST largest, of equal ones the lower ids first? */
static bool is_active(const float *row, size_t id, size_t most) {
    size_t before = 0;
    for (size_t k = 0; k < VOCAB; k++)
        before += row[k] > row[id] || (row[k] == row[id] && k < id);
    return row[id] > 0 && (!most || before < most);
}

static void words_above_zero_stay(void **unused) {
    (void)unused;
    for (int run = 0; run < 2000; run++) {
        uint32_t indices[VOCAB];
        float row[VOCAB], values[VOCAB];
        size_t most = run % 3 ? random_below(VOCAB) : 0, at = 0;
        for (size_t i = 0; i < VOCAB; i++)
            row[i] = random_value();
        size_t count = sparse_splade(row, VOCAB, most, indices, values);
        for (size_t id = 0; id < VOCAB; id++) {
            if (!is_active(row, id, most))
                continue;
            assert_true(at < count);
            assert_int_equal(indices[at], id);
            assert_true(values[at++] == row[id]);
        }
        assert_int_equal(at, count);
        assert_int_equal(sparse_splade(row, VOCAB, most, indices, row), count);
        assert_memory_equal(row, values, count * sizeof *values);
    }
}

/* Weights of a question may lie below zero. */
static void the_farthest_from_zero_stay(void **unused) {
    (void)unused;
    for (int run = 0; run < 2000; run++) {
        uint32_t indices[VOCAB];
        float row[VOCAB], far[VOCAB], values[VOCAB];
        size_t most = 1 + random_below(VOCAB), at = 0;
        for (size_t i = 0; i < VOCAB; i++) {
            indices[i] = (uint32_t)i;
            row[i] = values[i] = random_value() - 0.5F;
            far[i] = row[i] < 0 ? -row[i] : row[i];
        }
        size_t count = sparse_largest(most, indices, values, VOCAB);
        assert_int_equal(count, most < VOCAB ? most : VOCAB);
        for (size_t id = 0; id < VOCAB; id++) {
            size_t before = 0;
            for (size_t k = 0; k < VOCAB; k++)
                before += far[k] > far[id] || (far[k] == far[id] && k < id);
            if (before >= most)
                continue;
            assert_int_equal(indices[at], id);
            assert_true(values[at++] == row[id]);
        }
        assert_int_equal(at, count);
    }
}

static void rows_that_stay_keep_their_order(void **unused) {
    (void)unused;
    const uint32_t skip[] = {5, 9};
    for (int run = 0; run < 500; run++) {
        uint32_t ids[TOKENS];
        float rows[TOKENS * WIDTH], want[TOKENS * WIDTH];
        struct multi_rule rule = {run % 2, skip, (size_t)(run % 3)};
        size_t tokens = random_below(TOKENS + 1), kept = 0;
        for (size_t i = 0; i < tokens * WIDTH; i++)
            rows[i] = random_value();
        for (size_t i = 0; i < tokens; i++) {
            ids[i] = random_below(12);
            bool skipped = (rule.skip_count > 0 && ids[i] == 5) ||
                           (rule.skip_count > 1 && ids[i] == 9);
            if (skipped || (rule.drop_first && i == 0))
                continue;
            memcpy(want + kept++ * WIDTH, rows + i * WIDTH,
                   WIDTH * sizeof *rows);
        }
        assert_int_equal(multi_keep(&rule, ids, tokens, rows, WIDTH), kept);
        assert_memory_equal(rows, want, kept * WIDTH * sizeof *rows);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lexical_weights_are_maxima),
        cmocka_unit_test(words_above_zero_stay),
        cmocka_unit_test(the_farthest_from_zero_stay),
        cmocka_unit_test(rows_that_stay_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
