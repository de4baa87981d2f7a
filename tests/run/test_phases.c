/* test_phases.c - whose time is whose, and that none is lost. No time is
 * asserted: the clock is read around what is counted. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/phases.h"

enum { SPIN_NS = 2 * 1000 * 1000 };

static void spin(void) {
    int64_t begin_ns = clock_now_ns();
    while (clock_now_ns() - begin_ns < SPIN_NS)
        ;
}

static int64_t sum_of(const struct phases *phases) {
    int64_t sum = 0;
    for (int i = 0; i < PHASES; i++)
        sum += phases->wall_ns[i];
    return sum;
}

static void the_phases_add_up_to_the_time_between(void **state) {
    (void)state;
    struct phases phases;
    int64_t before_ns = clock_now_ns();
    phases_begin(&phases);
    int64_t begin_ns = clock_now_ns();
    for (int i = 0; i < 100; i++)
        phases_enter(&phases, (enum phase)(i % PHASES));
    spin();
    int64_t end_ns = clock_now_ns();
    phases_enter(&phases, PHASE_REPORT);
    int64_t after_ns = clock_now_ns();
    assert_true(sum_of(&phases) >= end_ns - begin_ns);
    assert_true(sum_of(&phases) <= after_ns - before_ns);
}

static void a_phase_within_another_has_its_own_time(void **state) {
    (void)state;
    struct phases phases;
    phases_begin(&phases);
    assert_int_equal(phases_enter(&phases, PHASE_ENCODE), PHASE_OPEN);
    spin();
    int64_t encode_ns = clock_now_ns();
    enum phase before = phases_enter(&phases, PHASE_STORE);
    assert_int_equal(before, PHASE_ENCODE);
    spin();
    spin();
    phases_enter(&phases, before);
    encode_ns = clock_now_ns() - encode_ns;
    spin();
    assert_int_equal(phases_enter(&phases, PHASE_REPORT), PHASE_ENCODE);
    assert_true(phases.wall_ns[PHASE_STORE] >= 2 * SPIN_NS);
    assert_true(phases.wall_ns[PHASE_STORE] <= encode_ns);
    assert_true(phases.wall_ns[PHASE_ENCODE] >= 2 * SPIN_NS);
    assert_true(phases.cpu_ns[PHASE_STORE] > 0);
    assert_int_equal(phases.wall_ns[PHASE_SYNC], 0);
}

static void all_phases_are_described_up_to_now(void **state) {
    (void)state;
    struct phases phases;
    phases_begin(&phases);
    phases_enter(&phases, PHASE_EXPORT);
    spin();
    json_t *object = phases_describe(&phases);
    json_t *export = json_object_get(object, "export");
    assert_int_equal(json_object_size(object), PHASES);
    assert_true(json_real_value(json_object_get(export, "ms")) >=
                (double)SPIN_NS / 1e6);
    assert_non_null(json_object_get(export, "cpu_ms"));
    json_decref(object);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_phases_add_up_to_the_time_between),
        cmocka_unit_test(a_phase_within_another_has_its_own_time),
        cmocka_unit_test(all_phases_are_described_up_to_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
