/* test_json_scan.c - the scanner against JSON's definition: what it takes, what
 * it refuses and where, the same whatever the size of its window. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "data/json_scan.h"

/* A document, and where it is broken: the first byte that no JSON document
 * could have there, counted by hand. Line 0: it is fine. */
struct document {
    const char *text;
    size_t size; /* 0: strlen */
    unsigned line, column;
    enum json_fault fault;
};

static const struct document documents[] = {
    {"[]", 0, 0, 0, SCAN_FINE},
    {"{}", 0, 0, 0, SCAN_FINE},
    {" [ 1 , 2 ] \n", 0, 0, 0, SCAN_FINE},
    {"\xEF\xBB\xBF{\"a\":1}", 0, 0, 0, SCAN_FINE},
    {"-0", 0, 0, 0, SCAN_FINE},
    {"0.1e+400", 0, 0, 0, SCAN_FINE},
    {"1e400", 0, 0, 0, SCAN_FINE},
    {"123456789012345678901234567890", 0, 0, 0, SCAN_FINE},
    {"\"\"", 0, 0, 0, SCAN_FINE},
    {"\"\\u00e9\\ud83d\\ude00\\n\\/\"", 0, 0, 0, SCAN_FINE},
    {"\"\\ud83d\"", 0, 0, 0, SCAN_FINE},
    {"\"\x7F\"", 0, 0, 0, SCAN_FINE},
    {"\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", 0, 0, 0, SCAN_FINE},
    {"{\"a\":{\"a\":[[],{},[{}]]},\"a\":null}", 0, 0, 0, SCAN_FINE},
    {"[true,false,null]", 0, 0, 0, SCAN_FINE},
    {"\t\r\n[\r\n]\r\n", 0, 0, 0, SCAN_FINE},
    /* too short */
    {"", 0, 1, 1, SCAN_CUT_OFF},
    {"  \n ", 0, 2, 2, SCAN_CUT_OFF},
    {"[", 0, 1, 2, SCAN_CUT_OFF},
    {"[1", 0, 1, 3, SCAN_CUT_OFF},
    {"[1,", 0, 1, 4, SCAN_CUT_OFF},
    {"{\"a", 0, 1, 4, SCAN_CUT_OFF},
    {"{\"a\"", 0, 1, 5, SCAN_CUT_OFF},
    {"{\"a\":", 0, 1, 6, SCAN_CUT_OFF},
    {"{\"a\":1\n,\n", 0, 3, 1, SCAN_CUT_OFF},
    {"\"\\", 0, 1, 3, SCAN_CUT_OFF},
    {"\"\\u00", 0, 1, 6, SCAN_CUT_OFF},
    {"tru", 0, 1, 4, SCAN_CUT_OFF},
    {"-", 0, 1, 2, SCAN_CUT_OFF},
    {"1.", 0, 1, 3, SCAN_CUT_OFF},
    {"1e", 0, 1, 3, SCAN_CUT_OFF},
    {"1e+", 0, 1, 4, SCAN_CUT_OFF},
    {"\"ab\xE2\x82", 0, 1, 5, SCAN_CUT_OFF},
    {"\"ab\xE2\"", 0, 1, 4, SCAN_NOT_UTF8},
    /* wrong */
    {"[1,]", 0, 1, 4, SCAN_BROKEN},
    {"[,1]", 0, 1, 2, SCAN_BROKEN},
    {"[1 2]", 0, 1, 4, SCAN_BROKEN},
    {"[1}", 0, 1, 3, SCAN_BROKEN},
    {"{\"a\":1]", 0, 1, 7, SCAN_BROKEN},
    {"{\"a\":1,}", 0, 1, 8, SCAN_BROKEN},
    {"{\"a\" 1}", 0, 1, 6, SCAN_BROKEN},
    {"{a:1}", 0, 1, 2, SCAN_BROKEN},
    {"{'a':1}", 0, 1, 2, SCAN_BROKEN},
    {"{1:1}", 0, 1, 2, SCAN_BROKEN},
    {"[\n  1,\n  x\n]", 0, 3, 3, SCAN_BROKEN},
    {"[] []", 0, 1, 4, SCAN_BROKEN},
    {"{}\n{}", 0, 2, 1, SCAN_BROKEN},
    {"]", 0, 1, 1, SCAN_BROKEN},
    {"NaN", 0, 1, 1, SCAN_BROKEN},
    {"[-Infinity]", 0, 1, 3, SCAN_BROKEN},
    {"01", 0, 1, 2, SCAN_BROKEN},
    {"-01", 0, 1, 3, SCAN_BROKEN},
    {"+1", 0, 1, 1, SCAN_BROKEN},
    {".5", 0, 1, 1, SCAN_BROKEN},
    {"1.e5", 0, 1, 3, SCAN_BROKEN},
    {"1ee", 0, 1, 3, SCAN_BROKEN},
    {"0x10", 0, 1, 2, SCAN_BROKEN},
    {"nul1", 0, 1, 4, SCAN_BROKEN},
    {"nullx", 0, 1, 5, SCAN_BROKEN},
    {"[1, /* c */ 2]", 0, 1, 5, SCAN_BROKEN},
    {"\"a\nb\"", 0, 1, 3, SCAN_BROKEN},
    {"\"a\tb\"", 0, 1, 3, SCAN_BROKEN},
    {"\"a\0b\"", 5, 1, 3, SCAN_BROKEN},
    {"[\0]", 3, 1, 2, SCAN_BROKEN},
    {"\"\\x41\"", 0, 1, 3, SCAN_BROKEN},
    {"\"\\\0\"", 4, 1, 3, SCAN_BROKEN},
    {"\"\\u12g4\"", 0, 1, 6, SCAN_BROKEN},
    {"\"\\u-123\"", 0, 1, 4, SCAN_BROKEN},
    {"[\"\xC3\xA9\xC3\xA9\", x]", 0, 1, 8, SCAN_BROKEN},
    {"\xEF\xBB\xBF[x]", 0, 1, 2, SCAN_BROKEN},
    {"[1,\xC2\xA0"
     "2]",
     0, 1, 4, SCAN_BROKEN},
    /* not UTF-8 */
    {"\"caf\xE9\"", 0, 1, 5, SCAN_NOT_UTF8},
    {"[\n\"\xC3\xA9\xFF\"]", 0, 2, 3, SCAN_NOT_UTF8},
    {"\"\xC0\x80\"", 0, 1, 2, SCAN_NOT_UTF8},
    {"\"\xED\xA0\x80\"", 0, 1, 2, SCAN_NOT_UTF8},
    {"\"\xF4\x90\x80\x80\"", 0, 1, 2, SCAN_NOT_UTF8},
    {"\"\x80\"", 0, 1, 2, SCAN_NOT_UTF8},
    {"\"\xE2\x82\"", 0, 1, 2, SCAN_NOT_UTF8},
    {"\xFF\xFE[\0", 4, 1, 1, SCAN_NOT_UTF8},
};

static bool walk(struct json_scan *scan) {
    return json_scan_skip(scan, json_scan_next(scan)) &&
           json_scan_next(scan) == SCAN_END;
}

static void check(const struct document *doc, struct json_scan *scan) {
    struct memory memory = {0};
    struct strbuf words = strbuf_make(&memory);
    bool fine = walk(scan);
    if (fine != (doc->line == 0) || scan->fault != doc->fault)
        fail_msg("%s: fault %d, expected %d", doc->text, (int)scan->fault,
                 (int)doc->fault);
    if (!fine) {
        uint64_t line, column;
        json_scan_explain(scan, &words, &line, &column);
        if (line != doc->line || column != doc->column || !words.size)
            fail_msg("%s: line %u, column %u: %s; expected line %u, column %u",
                     doc->text, (unsigned)line, (unsigned)column, words.data,
                     doc->line, doc->column);
    }
    strbuf_free(&words);
}

static int temporary_file(const void *data, size_t size) {
    char path[] = "/tmp/ens-scan-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    return fd;
}

static size_t size_of(const struct document *doc) {
    return doc->size ? doc->size : strlen(doc->text);
}

static void documents_in_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct json_scan scan;
        json_scan_memory(
            &scan, (struct str){documents[i].text, size_of(&documents[i])});
        check(&documents[i], &scan);
    }
}

/* Put behind spaces, so that every token meets every border of the window. */
static void documents_through_windows(void **state) {
    (void)state;
    char window[64], text[128];
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct document doc = documents[i];
        bool bom = doc.text[0] == '\xEF' && doc.text[1] == '\xBB';
        for (size_t pad = 0; pad < 17; pad++) {
            if (bom && pad)
                break;
            size_t size = size_of(&documents[i]);
            memset(text, ' ', pad);
            memcpy(text + pad, documents[i].text, size);
            if (documents[i].line == 1)
                doc.column = documents[i].column + (unsigned)pad;
            int fd = temporary_file(text, size + pad);
            for (size_t w = JSON_BUFFER_MIN; w < 40; w += 7) {
                struct json_scan scan;
                json_scan_file(&scan, fd, "text", 0, size + pad, window, w);
                check(&doc, &scan);
            }
            close(fd);
        }
    }
}

/* Each byte at each place of a string long enough for any way of skipping. */
static void bytes_in_strings(void **state) {
    (void)state;
    for (size_t place = 1; place < 30; place++)
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[32];
            struct json_scan scan;
            memset(text, 'a', sizeof text);
            text[0] = text[31] = '"';
            text[place] = (char)byte;
            json_scan_memory(&scan, (struct str){text, sizeof text});
            walk(&scan);
            bool special = byte == '"' || byte == '\\';
            enum json_fault fault = byte >= 0x80             ? SCAN_NOT_UTF8
                                    : special || byte < 0x20 ? SCAN_BROKEN
                                                             : SCAN_FINE;
            assert_int_equal(scan.fault, fault);
            if (fault != SCAN_FINE)
                assert_int_equal(scan.fault_at, place + special);
        }
}

static void nesting_has_a_limit(void **state) {
    (void)state;
    char text[2 * JSON_DEPTH_MAX + 8];
    struct json_scan scan;
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        json_scan_memory(&scan, (struct str){text, 2 * depth});
        bool fine = walk(&scan);
        assert_int_equal(fine, depth == JSON_DEPTH_MAX);
    }
    assert_int_equal(scan.fault, SCAN_BROKEN);
    assert_int_equal(scan.fault_at, JSON_DEPTH_MAX);
    /* Objects and arrays in turn: the stack knows which is which. */
    size_t size = 0;
    for (int i = 0; i < 300; i++)
        size += (size_t)sprintf(text + size, "%s", i % 3 ? "[" : "{\"\":");
    for (int i = 299; i >= 0; i--)
        size += (size_t)sprintf(text + size, "%s",
                                i % 3      ? "]"
                                : i == 299 ? "}"
                                           : "}");
    text[size] = '\0';
    json_scan_memory(&scan, (struct str){text, size});
    /* The innermost is an array: [[{"":[[...]]}]]. */
    assert_true(walk(&scan));
}

static void ranges_are_the_bytes_of_values(void **state) {
    (void)state;
    const char *text = " [ {\"a\":[1]} ,\n \"x\\\"y\",-1.5e3 , true]";
    const char *values[] = {"{\"a\":[1]}", "\"x\\\"y\"", "-1.5e3", "true"};
    const uint64_t lines[] = {1, 2, 2, 2};
    struct json_scan scan;
    json_scan_memory(&scan, str_from(text));
    assert_int_equal(json_scan_next(&scan), SCAN_ARRAY);
    for (size_t i = 0; i < 4; i++) {
        enum json_event event = json_scan_next(&scan);
        uint64_t begin = scan.begin;
        assert_int_equal(scan.line, lines[i]);
        assert_true(json_scan_skip(&scan, event));
        assert_int_equal(scan.end - begin, strlen(values[i]));
        assert_memory_equal(text + begin, values[i], strlen(values[i]));
    }
    assert_int_equal(json_scan_next(&scan), SCAN_ARRAY_END);
    assert_int_equal(json_scan_next(&scan), SCAN_END);
}

static void a_bad_line_costs_that_line(void **state) {
    (void)state;
    static const char text[] = "\xEF\xBB\xBF{\"a\":1}\r\n"
                               "\n"
                               " \t\r\n"
                               "{\"b\":\n"
                               "\"no end\n"
                               "[1] 2\n"
                               "\"caf\xE9\" \"x\n"
                               "7\n"
                               "{\"last\":2}";
    static const struct {
        uint64_t line;
        enum json_fault fault;
        uint64_t column;
    } expected[] = {{1, SCAN_FINE, 0},     {4, SCAN_CUT_OFF, 6},
                    {5, SCAN_CUT_OFF, 8},  {6, SCAN_BROKEN, 5},
                    {7, SCAN_NOT_UTF8, 5}, {8, SCAN_FINE, 0},
                    {9, SCAN_FINE, 0}};
    int fd = temporary_file(text, sizeof text - 1);
    for (size_t w = JSON_BUFFER_MIN; w < 100; w++) {
        char window[100];
        struct json_scan scan;
        json_scan_file(&scan, fd, "text", 0, sizeof text - 1, window, w);
        scan.lines = true;
        for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
            assert_true(json_scan_line(&scan));
            assert_int_equal(scan.line, expected[i].line);
            walk(&scan);
            assert_int_equal(scan.fault, expected[i].fault);
            if (scan.fault != SCAN_FINE)
                assert_int_equal(
                    json_scan_column(&scan, scan.line_begin, scan.fault_at),
                    expected[i].column);
        }
        assert_false(json_scan_line(&scan));
        assert_int_equal(scan.fault, SCAN_FINE);
    }
    close(fd);
}

static void members_and_elements(void **state) {
    (void)state;
    struct json_iter iter;
    struct json_item item;
    struct str object = STR("{\"a\":1,\"\\u0061\":[2, 3],\"b\":\"x\"}");
    assert_true(json_find(object, "a", &item));
    assert_int_equal(item.kind, SCAN_ARRAY); /* the last one counts */
    assert_true(str_equal(item.value, STR("[2, 3]")));
    json_iter_begin(&iter, item.value);
    assert_true(json_iter_next(&iter, &item));
    assert_true(str_equal(item.value, STR("2")));
    assert_true(json_iter_next(&iter, &item));
    assert_true(str_equal(item.value, STR("3")));
    assert_false(json_iter_next(&iter, &item));
    assert_false(json_iter_next(&iter, &item));
    assert_false(json_find(object, "c", &item));
    assert_false(json_find(STR("[1]"), "a", &item));
    assert_false(json_find(STR("\"a\""), "a", &item));
}

static void strings_are_decoded(void **state) {
    (void)state;
    static const struct {
        const char *raw, *plain;
        uint64_t lone;
    } cases[] = {
        {"", "", 0},
        {"plain", "plain", 0},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 0},
        {"\\u0041\\u00e9\\u20AC", "A\xC3\xA9\xE2\x82\xAC", 0},
        {"\\ud83d\\ude00", "\xF0\x9F\x98\x80", 0},
        {"\\uDBFF\\uDFFF", "\xF4\x8F\xBF\xBF", 0},
        {"a\\ud83db",
         "a\xEF\xBF\xBD"
         "b",
         1},
        {"\\ude00\\ud83d", "\xEF\xBF\xBD\xEF\xBF\xBD", 2},
        {"\\ud83d\\ud83d\\ude00", "\xEF\xBF\xBD\xF0\x9F\x98\x80", 1},
        {"\\ud83d\\n", "\xEF\xBF\xBD\n", 1},
        {"\\\\ud83d", "\\ud83d", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char room[64] = {0}, mended[64] = {0};
        size_t size = strlen(cases[i].raw);
        uint64_t lone = 0;
        memcpy(room, cases[i].raw, size);
        memcpy(mended, cases[i].raw, size);
        size_t got = json_decode((struct str){room, size}, room, &lone);
        assert_int_equal(got, strlen(cases[i].plain));
        assert_memory_equal(room, cases[i].plain, got);
        assert_int_equal(lone, cases[i].lone);
        assert_int_equal(json_mend_surrogates(mended, size), lone);
        lone = 0;
        got = json_decode((struct str){mended, size}, room, &lone);
        assert_memory_equal(room, cases[i].plain, got);
        assert_int_equal(lone, 0);
    }
}

static void compact_keeps_strings(void **state) {
    (void)state;
    struct memory memory = {0};
    struct strbuf out = strbuf_make(&memory);
    json_compact(&out, STR("{ \"a b\" :\r\n\t[ 1e400 , \"c \\\" \\\\\" , 0.10 "
                           "] }\n"));
    assert_string_equal(out.data, "{\"a b\":[1e400,\"c \\\" \\\\\",0.10]}");
    strbuf_free(&out);
}

static bool stop_at_once(void *context, uint64_t offset) {
    (void)offset;
    ++*(int *)context;
    return false;
}

static void a_walk_can_be_stopped(void **state) {
    (void)state;
    char window[16];
    int calls = 0;
    int fd = temporary_file("[1,2,3,4,5,6,7,8,9,10]", 22);
    struct json_scan scan;
    json_scan_file(&scan, fd, "text", 0, 22, window, sizeof window);
    scan.poll = stop_at_once;
    scan.poll_context = &calls;
    assert_false(walk(&scan));
    assert_int_equal(scan.fault, SCAN_STOPPED);
    assert_int_equal(calls, 1);
    close(fd);
}

static void a_file_that_cannot_be_read(void **state) {
    (void)state;
    char window[16];
    struct json_scan scan;
    json_scan_file(&scan, 999, "nowhere.json", 0, 100, window, sizeof window);
    assert_false(walk(&scan));
    assert_int_equal(scan.fault, SCAN_UNREADABLE);
    assert_non_null(strstr(scan.io.message, "nowhere.json"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_in_memory),
        cmocka_unit_test(documents_through_windows),
        cmocka_unit_test(bytes_in_strings),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(ranges_are_the_bytes_of_values),
        cmocka_unit_test(a_bad_line_costs_that_line),
        cmocka_unit_test(members_and_elements),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(compact_keeps_strings),
        cmocka_unit_test(a_walk_can_be_stopped),
        cmocka_unit_test(a_file_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
