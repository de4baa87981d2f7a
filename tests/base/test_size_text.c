/* test_size_text.c - numbers of bytes as people write them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/size_text.h"

static void bytes_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"1", 1},
                {"1KB", 1000},
                {"1kib", 1024},
                {"12GiB", 12884901888u},
                {"1.5MB", 1500000},
                {"0.125KiB", 128},
                {"512 MiB", 536870912},
                {"2TiB", 2199023255552u},
                {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {
        "",           "0",    "-1",   "1Gi", "1.GB",  "1.2345GB",
        "GiB",        "1 0B", "0KiB", "1e9", "1GiBs", "18446744073709551616",
        "16777216TiB"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(size_text_parse(good[i].text, "x", &bytes, NULL));
        assert_true(bytes == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (size_text_parse(bad[i], "x", &bytes, NULL))
            fail_msg("'%s' was taken for bytes", bad[i]);
    struct error err = {0};
    assert_false(size_text_parse("2Gi", "--ceiling", &bytes, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.message, "--ceiling: '2Gi' is not a number"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_are_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
