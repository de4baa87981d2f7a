/* test_pace.c - how many tokens a batch has for a person who waits. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/pace.h"

static void the_first_batch_has_the_least(void **state) {
    (void)state;
    struct pace pace = {0};
    assert_int_equal(pace_tokens(&pace, 512), 512);
}

static void a_batch_takes_ten_seconds(void **state) {
    (void)state;
    struct pace pace = {0};
    pace_add(&pace, 512, 1000);
    assert_int_equal(pace_tokens(&pace, 100), 5120);
}

/* 100 tokens a second, then 400: (100 / 2 + 400) / (1 / 2 + 1) = 300. */
static void the_last_batch_weighs_most(void **state) {
    (void)state;
    struct pace pace = {0};
    pace_add(&pace, 100, 1000);
    pace_add(&pace, 400, 1000);
    assert_int_equal(pace_tokens(&pace, 100), 3000);
}

static void a_slow_model_keeps_to_the_least(void **state) {
    (void)state;
    struct pace pace = {0};
    pace_add(&pace, 512, 51200); /* 10 tokens a second */
    assert_int_equal(pace_tokens(&pace, 512), 512);
}

static void what_takes_no_time_has_no_limit(void **state) {
    (void)state;
    struct pace pace = {0};
    pace_add(&pace, 512, 0);
    assert_true(pace_tokens(&pace, 512) == SIZE_MAX);
    pace = (struct pace){.tokens = 1e18, .ms = 1e-9};
    assert_true(pace_tokens(&pace, 512) == SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_batch_has_the_least),
        cmocka_unit_test(a_batch_takes_ten_seconds),
        cmocka_unit_test(the_last_batch_weighs_most),
        cmocka_unit_test(a_slow_model_keeps_to_the_least),
        cmocka_unit_test(what_takes_no_time_has_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
