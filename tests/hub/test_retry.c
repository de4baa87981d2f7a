/* test_retry.c - how often and how long, by the definition. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub/retry.h"

/* min(cap, first x 2^(failed - 1)), written plainly. */
static int64_t most(int64_t first, int64_t cap, unsigned failed) {
    double wait = (double)first;
    for (unsigned i = 1; i < failed; i++)
        wait *= 2;
    return wait < (double)cap ? (int64_t)wait : cap;
}

static void waits_double_between_half_and_all(void **state) {
    (void)state;
    const struct retry_rules rules = {
        .attempts = 200, .first_ms = 400, .cap_ms = 9000};
    for (uint64_t random = 0; random < 5000; random += 7) {
        struct retry retry = retry_begin(&rules);
        for (unsigned failed = 1; failed < 200; failed++) {
            int64_t wait = -1, all = most(400, 9000, failed);
            assert_true(retry_next(&retry, -1, random, &wait));
            assert_in_range(wait, all - all / 2, all);
        }
        int64_t wait;
        assert_false(retry_next(&retry, -1, random, &wait));
    }
}

static void chance_reaches_both_ends(void **state) {
    (void)state;
    const struct retry_rules rules = {.first_ms = 100};
    int64_t least = INT64_MAX, greatest = 0;
    for (uint64_t random = 0; random < 1000; random++) {
        struct retry retry = retry_begin(&rules);
        int64_t wait;
        assert_true(retry_next(&retry, -1, random, &wait));
        least = wait < least ? wait : least;
        greatest = wait > greatest ? wait : greatest;
    }
    assert_int_equal(least, 50);
    assert_int_equal(greatest, 100);
}

static void attempts_are_counted_with_the_first(void **state) {
    (void)state;
    const struct retry_rules rules = {.attempts = 3};
    struct retry retry = retry_begin(&rules);
    int64_t wait;
    assert_true(retry_next(&retry, -1, 0, &wait));
    assert_true(retry_next(&retry, -1, 0, &wait));
    assert_false(retry_next(&retry, -1, 0, &wait));
    const struct retry_rules once = {.attempts = 1};
    retry = retry_begin(&once);
    assert_false(retry_next(&retry, -1, 0, &wait));
}

static void progress_counts_anew(void **state) {
    (void)state;
    const struct retry_rules rules = {.attempts = 2, .first_ms = 8};
    struct retry retry = retry_begin(&rules);
    int64_t wait;
    for (int i = 0; i < 50; i++) {
        assert_true(retry_next(&retry, -1, 0, &wait));
        assert_int_equal(wait, 8);
        retry_progressed(&retry);
    }
}

static void a_server_may_ask_for_more(void **state) {
    (void)state;
    const struct retry_rules rules = {.first_ms = 100, .asked_ms = 5000};
    struct retry retry = retry_begin(&rules);
    int64_t wait;
    assert_true(retry_next(&retry, 4000, 1, &wait));
    assert_int_equal(wait, 4000);
    retry = retry_begin(&rules);
    assert_true(retry_next(&retry, 0, 0, &wait));
    assert_in_range(wait, 50, 100); /* 0 does not mean: at once */
    retry = retry_begin(&rules);
    assert_true(retry_next(&retry, 10, 0, &wait));
    assert_in_range(wait, 50, 100);
    retry = retry_begin(&rules);
    assert_false(retry_next(&retry, 5001, 1, &wait));
    assert_false(retry_next(&retry, INT64_MAX, 1, &wait));
}

static void nothing_overflows(void **state) {
    (void)state;
    const struct retry_rules rules = {
        .attempts = UINT32_MAX, .first_ms = INT64_MAX / 2, .cap_ms = INT64_MAX};
    struct retry retry = retry_begin(&rules);
    for (int i = 0; i < 100; i++) {
        int64_t wait = -1;
        assert_true(retry_next(&retry, -1, UINT64_MAX, &wait));
        assert_true(wait >= INT64_MAX / 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_between_half_and_all),
        cmocka_unit_test(chance_reaches_both_ends),
        cmocka_unit_test(attempts_are_counted_with_the_first),
        cmocka_unit_test(progress_counts_anew),
        cmocka_unit_test(a_server_may_ask_for_more),
        cmocka_unit_test(nothing_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
