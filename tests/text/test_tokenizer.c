/* test_tokenizer.c - the tokenizer against what Hugging Face's gives.
 *
 * With arguments it is a small tokenize program for tools/tokenizer_oracle.py:
 *
 *     test_text_tokenizer --tokenize TOKENIZER.JSON [LIMIT [THREADS]]
 *
 * reads JSON strings, one a line, and writes {"ids", "truncated"} lines.
 */

#include "fixture.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"

static struct memory heap;

static struct tokenizer *open_tokenizer(const char *path) {
    struct error err = {0};
    struct file_map map;
    must(file_map_open(&map, path, &err), &err);
    struct tokenizer *tokenizer =
        tokenizer_create(&heap, (struct str){map.data, map.size}, path, &err);
    must(tokenizer, &err);
    file_map_close(&map);
    return tokenizer;
}

/* Everything a batch needs, for as many texts as come. */
struct crew {
    struct tokenizer *tokenizer;
    struct pool *pool;
    struct tokenizer_scratch *scratch[64];
    struct tokens tokens;
    size_t *starts;
    size_t *cut;
};

static struct crew crew_open(const char *path, unsigned threads) {
    struct error err = {0};
    struct crew crew = {.tokenizer = open_tokenizer(path),
                        .pool = pool_create(&heap, threads, &err),
                        .tokens = tokens_make(&heap)};
    must(crew.pool, &err);
    for (unsigned i = 0; i < threads; i++) {
        crew.scratch[i] = tokenizer_scratch_create(crew.tokenizer, &heap, &err);
        must(crew.scratch[i], &err);
    }
    return crew;
}

static void crew_close(struct crew *crew) {
    for (unsigned i = 0; i < pool_threads(crew->pool); i++)
        tokenizer_scratch_free(crew->scratch[i]);
    memory_free(&heap, crew->starts);
    memory_free(&heap, crew->cut);
    tokens_free(&crew->tokens);
    pool_free(crew->pool);
    tokenizer_free(crew->tokenizer);
}

static void crew_run(struct crew *crew, const struct str *texts, size_t count,
                     size_t limit) {
    struct error err = {0};
    memory_free(&heap, crew->starts);
    memory_free(&heap, crew->cut);
    crew->tokens.count = 0;
    crew->starts = memory_alloc(&heap, count + 1, sizeof *crew->starts, &err);
    crew->cut = memory_alloc(&heap, count, sizeof *crew->cut, &err);
    must(crew->starts && crew->cut &&
             tokenizer_encode_batch(crew->tokenizer, crew->scratch, crew->pool,
                                    texts, count, limit, TOKENIZER_COUNT,
                                    &crew->tokens, crew->starts, crew->cut,
                                    &err),
         &err);
}

/* The JSON values of LINES, one a line; the caller owns them. */
static json_t **read_lines(struct str lines, size_t *count) {
    json_t **values = NULL;
    *count = 0;
    for (size_t at = 0; at < lines.size;) {
        const char *line = lines.data + at;
        const char *newline = memchr(line, '\n', lines.size - at);
        size_t size = newline ? (size_t)(newline - line) : lines.size - at;
        values = realloc(values, (*count + 1) * sizeof *values);
        struct error err = {0};
        values[*count] = json_parse((struct str){line, size}, "a line", &err);
        must(values[(*count)++], &err);
        at += size + 1;
    }
    return values;
}

static void free_lines(json_t **values, size_t count) {
    for (size_t i = 0; i < count; i++)
        json_decref(values[i]);
    free(values);
}

static int tokenize(const char *path, size_t limit, unsigned threads) {
    struct strbuf input = strbuf_make(&heap);
    char buffer[1 << 16];
    size_t size;
    while ((size = fread(buffer, 1, sizeof buffer, stdin)) > 0)
        strbuf_add(&input, (struct str){buffer, size});
    size_t count;
    json_t **values = read_lines(strbuf_str(&input), &count);
    struct str *texts = calloc(count + 1, sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = (struct str){json_string_value(values[i]),
                                json_string_length(values[i])};
    struct crew crew = crew_open(path, threads);
    int64_t begin_ns = clock_now_ns();
    crew_run(&crew, texts, count, limit);
    double seconds = (double)(clock_now_ns() - begin_ns) / 1e9;
    for (size_t i = 0; i < count; i++) {
        fputs("{\"ids\":[", stdout);
        for (size_t k = crew.starts[i]; k < crew.starts[i + 1]; k++)
            printf("%s%u", k > crew.starts[i] ? "," : "", crew.tokens.ids[k]);
        printf("],\"truncated\":%zu}\n", crew.cut[i]);
    }
    fprintf(stderr, "%zu texts, %zu tokens, %.3f s, %.0f tokens/s\n", count,
            crew.tokens.count, seconds, (double)crew.tokens.count / seconds);
    crew_close(&crew);
    free_lines(values, count);
    free(texts);
    strbuf_free(&input);
    return 0;
}

/* Reference lines of one variant, and the tokenizer for it. */
struct group {
    struct tokenizer *tokenizer;
    struct tokenizer_scratch *scratch;
    struct tokens tokens;
    struct strbuf joined; /* all texts so far, a space after each */
    size_t lines;
};

static void expect_ids(const json_t *ids, const struct tokens *tokens,
                       const char *text) {
    bool same = json_array_size(ids) == tokens->count;
    for (size_t i = 0; same && i < tokens->count; i++)
        same = json_integer_value(json_array_get(ids, i)) == tokens->ids[i];
    if (!same)
        fail_msg("other ids than the package's for: %s", text);
}

/* The same with every limit: the package keeps what fits before the last. */
static void expect_limits(struct group *group, struct str text,
                          const json_t *ids) {
    size_t special = tokenizer_special_count(group->tokenizer);
    size_t content = json_array_size(ids) - special;
    for (size_t most = 0; most < 4; most++) {
        size_t kept = content < most ? content : most;
        for (int way = 0; way < 2 && special + most > 0; way++) {
            struct tokenized what = fixture_encode(
                group->tokenizer, group->scratch, text, special + most,
                way ? TOKENIZER_COUNT : TOKENIZER_CUT, &group->tokens);
            assert_int_equal(group->tokens.count, special + kept);
            for (size_t i = 0; i + 1 < special + kept; i++)
                assert_int_equal(group->tokens.ids[i],
                                 json_integer_value(json_array_get(ids, i)));
            if (way)
                assert_int_equal(what.cut, content - kept);
            assert_int_equal(what.cut > 0, content > kept);
        }
    }
}

static void expect_text(struct group *group, const json_t *line) {
    const json_t *json = json_object_get(line, "text");
    struct str text = {json_string_value(json), json_string_length(json)};
    const json_t *ids = json_object_get(line, "ids");
    fixture_encode(group->tokenizer, group->scratch, text, 0, TOKENIZER_CUT,
                   &group->tokens);
    expect_ids(ids, &group->tokens, text.data);
    expect_limits(group, text, ids);
    strbuf_add(&group->joined, text);
    strbuf_add_char(&group->joined, ' ');
}

/* All texts of the variant, many times over: a text of many windows. */
static void expect_joined(struct group *group, const json_t *line) {
    struct strbuf text = strbuf_make(&heap);
    json_int_t times = json_integer_value(json_object_get(line, "times"));
    for (json_int_t i = 0; i < times; i++)
        strbuf_add(&text, strbuf_str(&group->joined));
    text.size--;
    fixture_encode(group->tokenizer, group->scratch, strbuf_str(&text), 0,
                   TOKENIZER_CUT, &group->tokens);
    assert_int_equal(group->tokens.count,
                     json_integer_value(json_object_get(line, "count")));
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    hash_sha256((struct str){(const char *)group->tokens.ids,
                             group->tokens.count * sizeof(uint32_t)},
                digest);
    hash_hex(digest, sizeof digest, hex);
    assert_string_equal(hex,
                        json_string_value(json_object_get(line, "sha256")));
    strbuf_free(&text);
}

static void expect_variant(const json_t *base, json_t *variant, json_t **lines,
                           size_t count) {
    struct group group = {.tokens = tokens_make(&heap),
                          .joined = strbuf_make(&heap)};
    group.tokenizer = fixture_variant(&heap, base, variant);
    group.scratch = fixture_scratch(group.tokenizer, &heap);
    const char *name = json_string_value(json_object_get(variant, "name"));
    for (size_t i = 0; i < count; i++) {
        const json_t *of = json_object_get(lines[i], "variant");
        if (strcmp(json_string_value(of), name) != 0)
            continue;
        group.lines++;
        if (json_object_get(lines[i], "times"))
            expect_joined(&group, lines[i]);
        else
            expect_text(&group, lines[i]);
    }
    assert_true(group.lines > 5);
    tokens_free(&group.tokens);
    strbuf_free(&group.joined);
    tokenizer_scratch_free(group.scratch);
    tokenizer_free(group.tokenizer);
}

static void ids_are_those_of_the_package(void **state) {
    (void)state;
    struct error err = {0};
    struct file_map map;
    must(file_map_open(&map, FIXTURES "reference.jsonl", &err), &err);
    size_t count;
    json_t **lines = read_lines((struct str){map.data, map.size}, &count);
    json_t *base = fixture_json(FIXTURES "tokenizer.json");
    json_t *variants = fixture_json(FIXTURES "variants.json");
    assert_true(json_array_size(variants) >= 15);
    for (size_t i = 0; i < json_array_size(variants); i++)
        expect_variant(base, json_array_get(variants, i), lines, count);
    free_lines(lines, count);
    json_decref(base);
    json_decref(variants);
    file_map_close(&map);
    assert_int_equal(memory_live(&heap), 0);
}

static void vocabulary_can_be_asked(void **state) {
    (void)state;
    json_t *base = fixture_json(FIXTURES "tokenizer.json");
    json_t *vocab = json_object_get(json_object_get(base, "model"), "vocab");
    struct tokenizer *tokenizer = open_tokenizer(FIXTURES "tokenizer.json");
    assert_int_equal(tokenizer_vocab_size(tokenizer), json_object_size(vocab));
    assert_int_equal(tokenizer_special_count(tokenizer), 2);
    const char *key;
    json_t *value;
    json_object_foreach(vocab, key, value) {
        uint32_t id;
        assert_true(tokenizer_id(tokenizer, str_from(key), &id));
        assert_int_equal(id, json_integer_value(value));
        assert_true(str_equal(tokenizer_token(tokenizer, id), str_from(key)));
    }
    uint32_t id;
    assert_false(tokenizer_id(tokenizer, STR("no such token"), &id));
    assert_int_equal(tokenizer_token(tokenizer, 1u << 30).size, 0);
    tokenizer_free(tokenizer);
    json_decref(base);
}

/* Ids after ids: a batch appends, in order, whatever the threads do. */
static void batches_do_not_depend_on_threads(void **state) {
    (void)state;
    enum { TEXTS = 1000 };
    struct str texts[TEXTS];
    char(*bytes)[64] = calloc(TEXTS, sizeof *bytes);
    for (size_t i = 0; i < TEXTS; i++) {
        int size =
            snprintf(bytes[i], sizeof *bytes, "text %zu of the %.*s", i,
                     (int)(i % 37), "embedding tokenizer don't [MASK] x+y");
        texts[i] = (struct str){bytes[i], (size_t)size};
    }
    struct tokens expected = tokens_make(&heap);
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct crew crew = crew_open(FIXTURES "tokenizer.json", threads);
        crew_run(&crew, texts, TEXTS, 9);
        assert_int_equal(crew.starts[0], 0);
        for (size_t i = 0; i < TEXTS; i++) {
            struct tokenized what =
                fixture_encode(crew.tokenizer, crew.scratch[0], texts[i], 9,
                               TOKENIZER_COUNT, &expected);
            assert_int_equal(crew.starts[i + 1] - crew.starts[i], what.count);
            assert_int_equal(crew.cut[i], what.cut);
            assert_memory_equal(crew.tokens.ids + crew.starts[i], expected.ids,
                                what.count * sizeof *expected.ids);
        }
        crew_close(&crew);
    }
    tokens_free(&expected);
    free(bytes);
    assert_int_equal(memory_live(&heap), 0);
}

static void a_failed_batch_leaves_nothing(void **state) {
    (void)state;
    struct crew crew = crew_open(FIXTURES "tokenizer.json", 2);
    struct str texts[20];
    for (size_t i = 0; i < 20; i++)
        texts[i] = STR("a few words");
    size_t starts[21];
    struct error err = {0};
    assert_false(tokenizer_encode_batch(crew.tokenizer, crew.scratch, crew.pool,
                                        texts, 20, 1, TOKENIZER_CUT,
                                        &crew.tokens, starts, NULL, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_int_equal(crew.tokens.count, 0);
    assert_true(tokenizer_encode_batch(crew.tokenizer, crew.scratch, crew.pool,
                                       texts, 0, 1, TOKENIZER_CUT, &crew.tokens,
                                       starts, NULL, &err));
    assert_int_equal(starts[0], 0);
    crew_close(&crew);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--tokenize") == 0)
        return tokenize(argv[2], argc > 3 ? strtoul(argv[3], NULL, 10) : 0,
                        argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_the_package),
        cmocka_unit_test(vocabulary_can_be_asked),
        cmocka_unit_test(batches_do_not_depend_on_threads),
        cmocka_unit_test(a_failed_batch_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
