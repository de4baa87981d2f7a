/* test_parts.c - every part of a tokenizer.json but BERT's own, against what
 * Hugging Face's `tokenizers` gives (tools/tokenizer_parts.py), and what a
 * hostile text may cost. */

#include "fixture.h"

static struct memory heap;

/* One row of parts.json as a tokenizer. */
static struct tokenizer *row_tokenizer(const json_t *root, const json_t *row) {
    json_t *document =
        fixture_part(root, json_string_value(json_object_get(row, "name")));
    struct error err = {0};
    struct tokenizer *tokenizer = fixture_create(&heap, document, &err);
    must(tokenizer, &err);
    json_decref(document);
    return tokenizer;
}

static bool same_ids(const json_t *ids, const struct tokens *tokens) {
    bool same = json_array_size(ids) == tokens->count;
    for (size_t i = 0; same && i < tokens->count; i++)
        same = json_integer_value(json_array_get(ids, i)) == tokens->ids[i];
    return same;
}

/* What a limit keeps is what the whole begins and ends with. */
static void expect_limit(const struct tokenizer *tokenizer,
                         struct tokenizer_scratch *scratch, struct str text,
                         size_t most, const json_t *ids,
                         struct tokens *tokens) {
    size_t special = tokenizer_special_count(tokenizer);
    size_t content = json_array_size(ids) - special;
    size_t kept = content < most ? content : most;
    if (special + most == 0)
        return;
    for (int way = 0; way < 2; way++) {
        struct tokenized what =
            fixture_encode(tokenizer, scratch, text, special + most,
                           way ? TOKENIZER_COUNT : TOKENIZER_CUT, tokens);
        assert_int_equal(tokens->count, special + kept);
        assert_int_equal(what.cut > 0, content > kept);
        if (way)
            assert_int_equal(what.cut, content - kept);
        for (size_t i = 0; i < kept && !special; i++)
            assert_int_equal(tokens->ids[i],
                             json_integer_value(json_array_get(ids, i)));
    }
}

static void expect_row(const json_t *root, const json_t *row) {
    struct tokenizer *tokenizer = row_tokenizer(root, row);
    struct tokenizer_scratch *scratch = fixture_scratch(tokenizer, &heap);
    struct tokens tokens = tokens_make(&heap);
    const json_t *texts = json_object_get(row, "texts");
    assert_true(json_array_size(texts) > 5);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const json_t *json = json_array_get(texts, i);
        const json_t *ids = json_array_get(json_object_get(row, "ids"), i);
        struct str text = {json_string_value(json), json_string_length(json)};
        fixture_encode(tokenizer, scratch, text, 0, TOKENIZER_CUT, &tokens);
        if (!same_ids(ids, &tokens))
            fail_msg("%s: other ids than the package's for: %s",
                     json_string_value(json_object_get(row, "name")),
                     text.data);
        for (size_t most = 0; most < 4; most++)
            expect_limit(tokenizer, scratch, text, most, ids, &tokens);
    }
    tokens_free(&tokens);
    tokenizer_scratch_free(scratch);
    tokenizer_free(tokenizer);
}

static void ids_are_those_of_the_package(void **state) {
    (void)state;
    json_t *root = fixture_json(FIXTURES "parts.json");
    json_t *rows = json_object_get(root, "tokenizers");
    assert_true(json_array_size(rows) > 60);
    for (size_t i = 0; i < json_array_size(rows); i++)
        expect_row(root, json_array_get(rows, i));
    json_decref(root);
    assert_int_equal(memory_live(&heap), 0);
}

/* A megabyte of one thing. What is quadratic takes minutes here, and the
 * test's own limit of time ends it; the ids are those of the parts. */
static void hostile_texts_end(void **state) {
    (void)state;
    static const char *const units[] = {"a",         " ", "\xCC\x81",    "\n",
                                        "a\xCC\x81", "<", "\xE2\x80\x8D"};
    static const char *const names[] = {"gpt2",    "qwen",        "llama",
                                        "gemma",   "xlm-r",       "albert",
                                        "affixes", "unigram bare"};
    enum { BYTES = 1 << 19 };
    json_t *root = fixture_json(FIXTURES "parts.json");
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        const json_t *row = fixture_row(root, names[n]);
        struct tokenizer *tokenizer = row_tokenizer(root, row);
        struct tokenizer_scratch *scratch = fixture_scratch(tokenizer, &heap);
        struct tokens tokens = tokens_make(&heap);
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            struct strbuf text = strbuf_make(&heap);
            while (text.size < BYTES)
                strbuf_add(&text, str_from(units[u]));
            fixture_encode(tokenizer, scratch, strbuf_str(&text), 0,
                           TOKENIZER_CUT, &tokens);
            strbuf_free(&text);
        }
        tokens_free(&tokens);
        tokenizer_scratch_free(scratch);
        tokenizer_free(tokenizer);
    }
    json_decref(root);
    assert_int_equal(memory_live(&heap), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_the_package),
        cmocka_unit_test(hostile_texts_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
