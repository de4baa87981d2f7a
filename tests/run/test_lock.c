/* test_lock.c - one run at a time in a folder, and who only looks whether there
 * is one keeps none away. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include <cmocka.h>

#include "base/file.h"
#include "run/lock.h"

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

static int lookers; /* that have the lock for a moment when it is asked for */

int __wrap_flock(int fd, int operation) {
    if (lookers-- > 0) {
        errno = EWOULDBLOCK;
        return -1;
    }
    return __real_flock(fd, operation);
}

static void one_has_it_and_others_see_that(void **state) {
    char folder[] = "/tmp/ens-lock-XXXXXX";
    struct error err = {0};
    int fd, other;
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_false(lock_is_held(folder)); /* nobody ever had it */
    assert_true(lock_take(folder, "out", &fd, &err));
    assert_true(lock_is_held(folder));
    assert_false(lock_take(folder, "out", &other, &err));
    assert_int_equal(err.code, ERROR_BUSY);
    assert_int_equal(other, -1);
    lock_drop(fd);
    assert_false(lock_is_held(folder)); /* the file stays */
    lookers = 1;
    assert_true(lock_take(folder, "out", &fd, &err));
    lock_drop(fd);
    assert_true(folder_remove(folder, NULL));
    assert_false(lock_is_held(folder));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_has_it_and_others_see_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
