/* test_chunk_line.c - the text of a line of input of `embed` and `tokenize`. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "data/chunks.h"

static struct memory memory;

static void texts_of_lines(void **state) {
    (void)state;
    struct error err = {0};
    struct strbuf out = strbuf_make(&memory);
    static const struct {
        const char *line, *text;
    } good[] = {{"\"a\\u00e9\"", "a\xC3\xA9"},
                {" {\"text\" : \"x\", \"n\":1e400}\r\n", "x"},
                {"{\"content\":\"y\"}", "y"},
                {"{\"text\":null,\"content\":\"y\"}", "y"},
                {"\xEF\xBB\xBF\"\\ud800\"", "\xEF\xBF\xBD"},
                {"\"\"", ""}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(
            chunk_line_text(str_from(good[i].line), "in", 3, &out, &err));
        assert_true(str_equal(strbuf_str(&out), str_from(good[i].text)));
    }
    static const struct {
        const char *line, *message;
    } bad[] = {{"{\"text\":1}", "in: line 7: "},
               {"[]", "in: line 7: "},
               {"7", "in: line 7: "},
               {"{}", "in: line 7: "},
               {"", "in: line 7, column 1: "},
               {"{\"text\":\"a\"", "in: line 7, column 12: "},
               {"{\"text\":\"\xC3\xA9\xFF\"}", "in: line 7, column 11: "},
               {"\"a\" b", "in: line 7, column 5: "}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(
            chunk_line_text(str_from(bad[i].line), "in", 7, &out, &err));
        assert_int_equal(err.code, ERROR_INPUT);
        if (strncmp(err.message, bad[i].message, strlen(bad[i].message)) != 0)
            fail_msg("%s: %s", bad[i].line, err.message);
    }
    strbuf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
