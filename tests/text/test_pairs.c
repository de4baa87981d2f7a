/* test_pairs.c - two texts in one row, against what Hugging Face's package
 * gives (tools/tokenizer_pairs.py).
 *
 * With arguments it is a program for that script:
 *
 *     test_text_pairs --pairs TOKENIZER.JSON
 *
 * reads [a, b, limit] lines and writes [ids, second, cut] lines.
 */

#include "fixture.h"

#include "base/file.h"

static struct memory heap;

enum { THREADS = 3 };

struct crew {
    struct tokenizer *tokenizer;
    struct pool *pool;
    struct tokenizer_scratch *scratch[THREADS];
    struct tokens tokens;
};

static struct crew crew_open(struct tokenizer *tokenizer) {
    struct error err = {0};
    struct crew crew = {.tokenizer = tokenizer,
                        .pool = pool_create(&heap, THREADS, &err),
                        .tokens = tokens_make(&heap)};
    must(crew.pool, &err);
    for (unsigned i = 0; i < THREADS; i++)
        crew.scratch[i] = fixture_scratch(tokenizer, &heap);
    return crew;
}

static void crew_close(struct crew *crew) {
    for (unsigned i = 0; i < THREADS; i++)
        tokenizer_scratch_free(crew->scratch[i]);
    tokens_free(&crew->tokens);
    pool_free(crew->pool);
    tokenizer_free(crew->tokenizer);
}

static struct str text_of(const json_t *json) {
    return (struct str){json_string_value(json), json_string_length(json)};
}

static struct tokenizer_pair pair_of(const json_t *row) {
    return (struct tokenizer_pair){text_of(json_array_get(row, 0)),
                                   text_of(json_array_get(row, 1))};
}

static size_t limit_of(const json_t *row) {
    return (size_t)json_integer_value(json_array_get(row, 2));
}

static struct tokenized encode(struct crew *crew, const json_t *row,
                               enum tokenizer_count counting) {
    struct error err = {0};
    struct tokenized what = {0};
    struct tokenizer_pair pair = pair_of(row);
    crew->tokens.count = 0;
    must(tokenizer_encode_pair(crew->tokenizer, crew->scratch[0], pair.a,
                               pair.b, limit_of(row), counting, &crew->tokens,
                               &what, &err),
         &err);
    assert_int_equal(what.count, crew->tokens.count);
    return what;
}

static int print_pairs(const char *path) {
    struct error err = {0};
    json_t *document = fixture_json(path);
    struct tokenizer *tokenizer = fixture_create(&heap, document, &err);
    must(tokenizer, &err);
    struct crew crew = crew_open(tokenizer);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    while ((size = getline(&line, &capacity, stdin)) > 0) {
        json_t *row =
            json_parse((struct str){line, (size_t)size}, "line", &err);
        must(row, &err);
        struct tokenized what = encode(&crew, row, TOKENIZER_COUNT);
        fputs("[[", stdout);
        for (size_t i = 0; i < what.count; i++)
            printf("%s%u", i ? "," : "", crew.tokens.ids[i]);
        printf("],%zu,%zu]\n", what.second, what.cut);
        json_decref(row);
    }
    free(line);
    crew_close(&crew);
    json_decref(document);
    return 0;
}

static bool same_ids(const json_t *ids, const uint32_t *list, size_t count) {
    bool same = json_array_size(ids) == count;
    for (size_t i = 0; same && i < count; i++)
        same = json_integer_value(json_array_get(ids, i)) == list[i];
    return same;
}

static void expect_pair(struct crew *crew, const json_t *row,
                        const char *name) {
    json_int_t second = json_integer_value(json_array_get(row, 4));
    json_int_t cut = json_integer_value(json_array_get(row, 5));
    for (int way = 0; way < 2; way++) {
        struct tokenized what =
            encode(crew, row, way ? TOKENIZER_COUNT : TOKENIZER_CUT);
        if (!same_ids(json_array_get(row, 3), crew->tokens.ids, what.count))
            fail_msg("%s: other ids than the package's for: %s, %s", name,
                     text_of(json_array_get(row, 0)).data,
                     text_of(json_array_get(row, 1)).data);
        assert_int_equal(what.second, second);
        if (way)
            assert_int_equal(what.cut, cut);
        assert_int_equal(what.cut > 0, cut > 0);
    }
}

/* All pairs that have the first one's limit, in one batch behind other ids. */
static void expect_batch(struct crew *crew, const json_t *rows) {
    enum { MOST = 64 };
    struct tokenizer_pair pairs[MOST];
    const json_t *of[MOST];
    size_t starts[MOST + 1], seconds[MOST], cut[MOST], count = 0;
    size_t limit = limit_of(json_array_get(rows, 0));
    for (size_t i = 0; i < json_array_size(rows) && count < MOST; i++) {
        of[count] = json_array_get(rows, i);
        pairs[count] = pair_of(of[count]);
        count += limit_of(of[count]) == limit;
    }
    struct error err = {0};
    encode(crew, of[0], TOKENIZER_CUT);
    size_t before = crew->tokens.count;
    must(tokenizer_encode_pairs(crew->tokenizer, crew->scratch, crew->pool,
                                pairs, count, limit, TOKENIZER_COUNT,
                                &crew->tokens, starts, seconds, cut, &err),
         &err);
    assert_int_equal(starts[0], before);
    for (size_t i = 0; i < count; i++) {
        assert_true(same_ids(json_array_get(of[i], 3),
                             crew->tokens.ids + starts[i],
                             starts[i + 1] - starts[i]));
        assert_int_equal(seconds[i],
                         json_integer_value(json_array_get(of[i], 4)));
        assert_int_equal(cut[i], json_integer_value(json_array_get(of[i], 5)));
    }
}

static void rows_are_those_of_the_package(void **state) {
    (void)state;
    json_t *parts = fixture_json(FIXTURES "parts.json");
    json_t *list = fixture_json(FIXTURES "pairs.json");
    assert_true(json_array_size(list) > 20);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const json_t *rows = json_object_get(one, "pairs");
        const char *of = json_string_value(json_object_get(one, "of"));
        json_t *document = fixture_part(parts, of);
        json_object_set(document, "post_processor",
                        json_object_get(one, "post_processor"));
        struct error err = {0};
        struct tokenizer *tokenizer = fixture_create(&heap, document, &err);
        must(tokenizer, &err);
        struct crew crew = crew_open(tokenizer);
        assert_true(json_array_size(rows) > 5);
        for (size_t k = 0; k < json_array_size(rows); k++)
            expect_pair(&crew, json_array_get(rows, k), of);
        expect_batch(&crew, rows);
        crew_close(&crew);
        json_decref(document);
    }
    json_decref(parts);
    json_decref(list);
    assert_int_equal(memory_live(&heap), 0);
}

#define A(type) "{\"Sequence\":{\"id\":\"A\",\"type_id\":" type "}}"
#define B(type) "{\"Sequence\":{\"id\":\"B\",\"type_id\":" type "}}"
#define X(type) "{\"SpecialToken\":{\"id\":\"x\",\"type_id\":" type "}}"
#define Y       "{\"SpecialToken\":{\"id\":\"y\",\"type_id\":0}}"

static const struct refusal {
    const char *pair; /* NULL: none */
    enum error_code code;
    size_t limit;
    const char *says;
} refusals[] = {
    {NULL, ERROR_UNSUPPORTED, 0, "the text (sequence A)"},
    {A("0"), ERROR_UNSUPPORTED, 0, "a sequence B behind it"},
    {B("0") "," A("1"), ERROR_UNSUPPORTED, 0, "a sequence B behind it"},
    {A("0") "," B("0") "," A("0"), ERROR_UNSUPPORTED, 0, "and one B"},
    {A("1") "," B("1"), ERROR_UNSUPPORTED, 0, "token types"},
    {A("0") "," X("1") "," B("0"), ERROR_UNSUPPORTED, 0, "token types"},
    {A("0") "," B("0") "," X("1"), ERROR_UNSUPPORTED, 0, "token types"},
    {A("0") "," B("2"), ERROR_UNSUPPORTED, 0, "token types"},
    {A("0") "," Y "," B("0"), ERROR_UNSUPPORTED, 0, "special token \"y\""},
    {X("0") "," A("0") "," X("0") "," B("1"), ERROR_USAGE, 1,
     "leaves no room for the 2"},
};

/* What is wrong with the pair is no matter for single texts. */
static void what_is_no_pair_is_refused(void **state) {
    (void)state;
    json_t *parts = fixture_json(FIXTURES "parts.json");
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *refusal = &refusals[i];
        json_t *document = fixture_part(parts, "xlm-r");
        struct strbuf processor = strbuf_make(&heap);
        strbuf_printf(&processor,
                      "{\"type\":\"TemplateProcessing\",\"single\":[" A(
                          "0") "],\"special_tokens\":{\"x\":{\"ids\":[1]}}");
        if (refusal->pair)
            strbuf_printf(&processor, ",\"pair\":[%s]", refusal->pair);
        strbuf_add_char(&processor, '}');
        struct error err = {0};
        json_t *json = json_parse(strbuf_str(&processor), "test", &err);
        must(json, &err);
        json_object_set_new(document, "post_processor", json);
        struct tokenizer *tokenizer = fixture_create(&heap, document, &err);
        must(tokenizer, &err);
        struct crew crew = crew_open(tokenizer);
        struct tokenized what;
        fixture_encode(tokenizer, crew.scratch[0], STR("a"), 0, TOKENIZER_CUT,
                       &crew.tokens);
        size_t before = crew.tokens.count;
        assert_true(before > 0);
        assert_false(tokenizer_encode_pair(
            tokenizer, crew.scratch[0], STR("a"), STR("b"), refusal->limit,
            TOKENIZER_CUT, &crew.tokens, &what, &err));
        if (err.code != refusal->code || !strstr(err.message, refusal->says))
            fail_msg("%s: %s", refusal->says, err.message);
        assert_int_equal(crew.tokens.count, before);
        crew_close(&crew);
        strbuf_free(&processor);
        json_decref(document);
    }
    json_decref(parts);
    assert_int_equal(memory_live(&heap), 0);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--pairs") == 0)
        return print_pairs(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_the_package),
        cmocka_unit_test(what_is_no_pair_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
