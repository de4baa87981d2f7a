/* test_threads.c - a run whose threads cannot be started, at any of them, says
 * which one, why and what helps; with more threads the same command ends well.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/few_threads.h"
#include "run/trial.h"

/* The pool's second thread, the sampler, a worker for each device: in which
 * order is not said here. */
static const char *const TOLD[] = {
    "cannot start thread 2 of 2: ",
    "cannot start the thread that samples memory: ",
    "cannot start the thread of sim:a: ",
    "cannot start the thread of sim:b: ",
};
enum { TOLD_COUNT = sizeof TOLD / sizeof *TOLD };

static void each_thread_that_cannot_start_is_told(void **state) {
    (void)state;
    bool told[TOLD_COUNT] = {false};
    struct trial first, last;
    struct trial_terms terms = {.models = "mean",
                                .devices = "sim:a=64MB,sim:b=64MB",
                                .mode = MODE_EXCLUSIVE};
    allowed = 0;
    trial_run(&first, &terms);
    terms.out = first.folder;
    for (int i = 0; i < TOLD_COUNT; i++) {
        struct trial next;
        allowed = i;
        trial_run(&next, &terms);
        assert_int_equal(next.worst.code, ERROR_IO);
        assert_non_null(
            strstr(next.worst.message, "Resource temporarily unavailable; "));
        assert_non_null(strstr(next.worst.message, "(ulimit -u, -v)"));
        for (size_t k = 0; k < TOLD_COUNT; k++)
            told[k] |= strstr(next.worst.message, TOLD[k]) != NULL;
        trial_end(&next);
    }
    for (size_t k = 0; k < TOLD_COUNT; k++)
        if (!told[k])
            fail_msg("nothing begins with \"%s\"", TOLD[k]);
    allowed = 1000;
    trial_run_well(&last, &terms);
    trial_end(&last);
    trial_end(&first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_that_cannot_start_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
