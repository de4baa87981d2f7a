/* What the processor has, against what Linux says of it: a flag stands in
 * /proc/cpuinfo only if the system saves its registers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/processor.h"

static char flags[8192]; /* " a b c " */

static bool flags_read(void) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    bool found = false;
    while (file && !found && fgets(flags, sizeof flags, file))
        found = strncmp(flags, "flags", 5) == 0;
    if (file)
        fclose(file);
    flags[strcspn(flags, "\n")] = ' ';
    return found;
}

static void assert_told(unsigned set, const char *const *names) {
    bool expected = true;
    for (; *names; names++) {
        char word[32];
        snprintf(word, sizeof word, " %s ", *names);
        expected &= strstr(flags, word) != NULL;
    }
    if (!!(processor_has() & set) != expected)
        fail_msg("set %u: %d, Linux says %d", set, !expected, expected);
}

static void it_has_what_the_system_says(void **state) {
    (void)state;
    if (!flags_read()) {
        assert_int_equal(processor_has(), 0); /* no x86-64 */
        return;
    }
    assert_told(PROCESSOR_AVX2, (const char *[]){"avx2", "fma", NULL});
    assert_told(PROCESSOR_AVX512,
                (const char *[]){"avx2", "fma", "avx512f", "avx512bw",
                                 "avx512dq", "avx512vl", NULL});
    assert_told(PROCESSOR_AVX_VNNI, (const char *[]){"avx_vnni", NULL});
    assert_told(PROCESSOR_AVX512_VNNI, (const char *[]){"avx512_vnni", NULL});
    assert_told(PROCESSOR_AVX512_BF16, (const char *[]){"avx512_bf16", NULL});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_what_the_system_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
