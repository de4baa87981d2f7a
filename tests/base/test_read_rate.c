/* test_read_rate.c - all that is there is read, once a round, by any number of
 * threads. The rates themselves are no matter for a test. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/read_rate.h"

static struct memory memory;

static void equals_a_plain_sum(void **state) {
    (void)state;
    static const size_t lines[] = {1, 7, 16384, 16385, 70001};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        size_t words = lines[i] * 8;
        uint64_t *data = memory_alloc(&memory, words + 7, 8, NULL), sum = 0;
        assert_non_null(data);
        for (size_t w = 0; w < words + 7; w++) {
            data[w] = (w + 1) * 0x9e3779b97f4a7c15u;
            sum += w < words ? data[w] : 0;
        }
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct pool *pool = pool_create(&memory, threads, NULL);
            assert_non_null(pool);
            struct read_rate rate;
            read_rate_measure(pool, data, words * 8 + 56, 3, &rate);
            assert_true(rate.sum == sum);
            assert_true(rate.best >= rate.median && rate.median > 0);
            pool_free(pool);
        }
        memory_free(&memory, data);
    }
    assert_int_equal(memory_live(&memory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_a_plain_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
