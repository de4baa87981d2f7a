/* test_bm25.c - BM25 pairs as fastembed makes them. The fixture is made by
 * tools/bm25_oracle.py, which also runs this program ("pairs") to compare any
 * number of texts. */

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "text/bm25.h"

static struct memory memory;

static struct bm25 *open_fine(const struct bm25_options *options) {
    struct error err = {0};
    struct bm25 *bm25 = bm25_open(&memory, options, &err);
    if (!bm25) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return bm25;
}

/* ---- for tools/bm25_oracle.py ---------------------------------------------
 */

static void print_pairs(const struct bm25_pairs *pairs) {
    for (size_t i = 0; i < pairs->count; i++)
        printf("%s%" PRIu32 ":%.9g", i ? " " : "", pairs->indices[i],
               (double)pairs->values[i]);
    printf("\n");
}

/* pairs LANGUAGE STOPWORDS TEXTS: for each text of the file TEXTS (a NUL
 * behind each) a line of its document's pairs, and one of its query's. */
static int print_texts(char **arguments) {
    struct strbuf stopwords = strbuf_make(&memory);
    struct strbuf texts = strbuf_make(&memory);
    struct bm25_options options = BM25_DEFAULTS;
    if (!file_read(arguments[1], 1 << 20, &stopwords, NULL) ||
        !file_read(arguments[2], SIZE_MAX / 2, &texts, NULL))
        return 1;
    options.language = arguments[0];
    options.stopwords = strbuf_str(&stopwords);
    if (!options.stopwords.size)
        options.stopwords = STR("");
    struct bm25 *bm25 = open_fine(&options);
    struct bm25_pairs pairs = {.memory = &memory};
    for (size_t at = 0; at < texts.size;) {
        struct str text = str_from(texts.data + at);
        if (!bm25_document(bm25, text, &pairs, NULL))
            return 1;
        print_pairs(&pairs);
        if (!bm25_query(bm25, text, &pairs, NULL))
            return 1;
        print_pairs(&pairs);
        at += text.size + 1;
    }
    bm25_pairs_free(&pairs);
    bm25_close(bm25);
    strbuf_free(&texts);
    strbuf_free(&stopwords);
    return 0;
}

/* -------------------------------------------------------------------------- */

static void same_pairs(const struct bm25_pairs *pairs, const json_t *expected,
                       const char *text) {
    const json_t *indices = json_object_get(expected, "indices");
    const json_t *values = json_object_get(expected, "values");
    if (pairs->count != json_array_size(indices))
        fail_msg("%zu pairs, not %zu: %s", pairs->count,
                 json_array_size(indices), text);
    for (size_t i = 0; i < pairs->count; i++) {
        json_int_t index = json_integer_value(json_array_get(indices, i));
        double value = json_number_value(json_array_get(values, i));
        if (pairs->indices[i] != index)
            fail_msg("pair %zu is %" PRIu32 ", not %lld: %s", i,
                     pairs->indices[i], (long long)index, text);
        if (!(fabs((double)pairs->values[i] - value) <= 1e-6))
            fail_msg("value %zu is %.9g, not %.9g: %s", i,
                     (double)pairs->values[i], value, text);
    }
}

static void as_fastembed(void **state) {
    (void)state;
    json_t *groups = json_load_file("tests/fixtures/text/bm25.json", 0, NULL),
           *group;
    assert_true(json_array_size(groups) >= 10);
    size_t g, c, cases = 0;
    json_array_foreach(groups, g, group) {
        struct bm25_options options = BM25_DEFAULTS;
        options.language =
            json_string_value(json_object_get(group, "language"));
        const char *stopwords =
            json_string_value(json_object_get(group, "stopwords"));
        if (stopwords)
            options.stopwords = str_from(stopwords);
        options.k = json_number_value(json_object_get(group, "k"));
        options.b = json_number_value(json_object_get(group, "b"));
        options.avg_len = json_number_value(json_object_get(group, "avg_len"));
        options.longest = (size_t)json_integer_value(
            json_object_get(group, "token_max_length"));
        struct bm25 *bm25 = open_fine(&options);
        struct bm25_pairs pairs = {.memory = &memory};
        json_t *one;
        json_array_foreach(json_object_get(group, "cases"), c, one) {
            const char *text = json_string_value(json_object_get(one, "text"));
            assert_non_null(text);
            assert_true(bm25_document(bm25, str_from(text), &pairs, NULL));
            same_pairs(&pairs, json_object_get(one, "document"), text);
            assert_true(bm25_query(bm25, str_from(text), &pairs, NULL));
            same_pairs(&pairs, json_object_get(one, "query"), text);
            cases++;
        }
        bm25_pairs_free(&pairs);
        bm25_close(bm25);
    }
    assert_true(cases >= 100);
    json_decref(groups);
    assert_int_equal(memory_live(&memory), 0);
}

static void refused(struct bm25_options options, enum error_code code,
                    const char *words) {
    struct error err = {0};
    assert_null(bm25_open(&memory, &options, &err));
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.message, words));
    assert_int_equal(memory_live(&memory), 0);
}

static void what_cannot_be_is_refused_by_name(void **state) {
    (void)state;
    struct bm25_options options = BM25_DEFAULTS;
    options.language = "klingon";
    refused(options, ERROR_UNSUPPORTED, "klingon");
    options.language = "finnish";
    refused(options, ERROR_UNSUPPORTED, "finnish");
    refused(options, ERROR_UNSUPPORTED, "libstemmer");
    options.language = "german";
    refused(options, ERROR_USAGE, "german.txt");
    static const double bad[][3] = {
        {-1, 0.75, 256},  {NAN, 0.75, 256},      {1.2, -0.1, 256},
        {1.2, 1.1, 256},  {1.2, NAN, 256},       {1.2, 0.75, 0},
        {1.2, 0.75, NAN}, {INFINITY, 0.75, 256}, {1.2, 0.75, INFINITY}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options = BM25_DEFAULTS;
        options.k = bad[i][0];
        options.b = bad[i][1];
        options.avg_len = bad[i][2];
        refused(options, ERROR_USAGE, "BM25 cannot have");
    }
}

static void languages_open(void **state) {
    (void)state;
    size_t count = 0;
    for (const char *name; (name = bm25_language(count)); count++) {
        struct bm25_options options = BM25_DEFAULTS;
        options.language = name;
        options.stopwords = STR("");
        bm25_close(open_fine(&options));
    }
    assert_int_equal(count, 16);
    assert_string_equal(bm25_language(0), "english");
}

int main(int count, char **arguments) {
    if (count == 5 && !strcmp(arguments[1], "pairs"))
        return print_texts(arguments + 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_fastembed),
        cmocka_unit_test(what_cannot_be_is_refused_by_name),
        cmocka_unit_test(languages_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
