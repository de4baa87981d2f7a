/* test_refusals.c - what a tokenizer.json may not be. */

#include "fixture.h"

static struct memory heap;

#define TOKEN(content, flags)                                                  \
    "{\"id\":9,\"content\":" content ",\"single_word\":false,\"lstrip\":"      \
    "false,\"rstrip\":false," flags "\"special\":false}"
#define WORDPIECE(vocab)                                                       \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","                         \
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"   \
    "\"vocab\":" vocab "}"
#define BERT                                                                   \
    "{\"type\":\"BertNormalizer\",\"clean_text\":true,"                        \
    "\"handle_chinese_chars\":true,\"strip_accents\":null,"                    \
    "\"lowercase\":true}"
#define NUL_KEY "{\"[UNK]\":0,\"a\\u0000b\":1}"

/* A part in place of a good one, and what must be said of it. */
struct refusal {
    const char *part;
    const char *json;
    enum error_code code;
    const char *says;
};

static const struct refusal refusals[] = {
    {"normalizer", "{\"type\":\"NFKC\"}", ERROR_UNSUPPORTED,
     "normalizer \"NFKC\""},
    {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[]}",
     ERROR_UNSUPPORTED, "0 parts"},
    {"normalizer",
     "{\"type\":\"Sequence\",\"normalizers\":[" BERT "," BERT "]}",
     ERROR_UNSUPPORTED, "2 parts"},
    {"normalizer",
     "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Replace\"}]}",
     ERROR_UNSUPPORTED, "normalizer \"Replace\""},
    {"normalizer", "{\"type\":\"Sequence\"}", ERROR_INPUT, "no list"},
    {"normalizer", "{\"type\":\"BertNormalizer\"}", ERROR_INPUT, "clean_text"},
    {"normalizer", "[1]", ERROR_INPUT, "\"normalizer\" is not an object"},
    {"normalizer", "{\"type\":3}", ERROR_INPUT, "\"type\""},
    {"pre_tokenizer", "null", ERROR_UNSUPPORTED, "there is no pre_tokenizer"},
    {"pre_tokenizer", "{\"type\":\"Metaspace\"}", ERROR_UNSUPPORTED,
     "pre_tokenizer \"Metaspace\""},
    {"post_processor", "{\"type\":\"RobertaProcessing\"}", ERROR_UNSUPPORTED,
     "post_processor \"RobertaProcessing\""},
    {"post_processor",
     "{\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\",7],\"sep\":[\"a\",1]}",
     ERROR_INPUT, "id of cls"},
    {"post_processor", "{\"type\":\"BertProcessing\"}", ERROR_INPUT,
     "id of cls"},
    {"post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[]}",
     ERROR_INPUT, "no place for the text"},
    {"post_processor",
     "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}"
     "},{\"Sequence\":{\"id\":\"A\"}}]}",
     ERROR_INPUT, "around one sequence A"},
    {"post_processor",
     "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\"}"
     "}]}",
     ERROR_INPUT, "around one sequence A"},
    {"post_processor",
     "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
     "\"[X]\"}}]}",
     ERROR_INPUT, "special token \"[X]\""},
    {"model", "null", ERROR_UNSUPPORTED, "there is no model"},
    {"model", "{\"type\":\"BPE\"}", ERROR_UNSUPPORTED, "model \"BPE\""},
    {"model", "{\"type\":\"WordPiece\"}", ERROR_INPUT, "\"vocab\""},
    {"model", WORDPIECE("{}"), ERROR_INPUT, "unknown token \"[UNK]\""},
    {"model", WORDPIECE("{\"a\":0}"), ERROR_INPUT, "unknown token \"[UNK]\""},
    {"model", WORDPIECE("[]"), ERROR_INPUT, "\"vocab\""},
    {"model", WORDPIECE("{\"[UNK]\":0,\"a\":-1}"), ERROR_INPUT, "id of a"},
    {"model", WORDPIECE("{\"[UNK]\":0,\"a\":\"1\"}"), ERROR_INPUT, "id of a"},
    {"model", WORDPIECE("{\"[UNK]\":0,\"a\":1.0}"), ERROR_INPUT, "id of a"},
    {"model", WORDPIECE("{\"[UNK]\":0,\"a\":4294967295}"), ERROR_INPUT,
     "id of a"},
    {"model", WORDPIECE("{\"[UNK]\":0,\"a\":4194304}"), ERROR_INPUT, "id of a"},
    {"model", WORDPIECE("{\"[UNK]\":0,\"a\":99999999999999999999}"),
     ERROR_INPUT, "JSON"},
    {"model", WORDPIECE("{\"[UNK]\":0,\"a\":1,\"b\":1}"), ERROR_INPUT,
     "\"a\" and \"b\" have the same id 1"},
    {"model", WORDPIECE(NUL_KEY), ERROR_INPUT, "NUL"},
    {"model", "{\"type\":\"WordPiece\",\"vocab\":{\"[UNK]\":0}}", ERROR_INPUT,
     "unk_token"},
    {"model",
     "{\"vocab\":{\"[UNK]\":0},\"unk_token\":\"[UNK]\","
     "\"continuing_subword_prefix\":\"##\"}",
     ERROR_INPUT, "max_input_chars_per_word"},
    {"model",
     "{\"vocab\":{\"[UNK]\":0},\"unk_token\":\"[UNK]\","
     "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":-1}",
     ERROR_INPUT, "max_input_chars_per_word"},
    {"added_tokens", "{}", ERROR_INPUT, "not a list"},
    {"added_tokens", "[1]", ERROR_INPUT, "\"content\""},
    {"added_tokens", "[" TOKEN("\"x\"", "") "]", ERROR_INPUT, "\"normalized\""},
    {"added_tokens", "[" TOKEN("\"x\"", "\"normalized\":1,") "]", ERROR_INPUT,
     "\"normalized\""},
    {"added_tokens", "[" TOKEN("\"\\u0301\"", "\"normalized\":true,") "]",
     ERROR_UNSUPPORTED, "nothing is left"},
    {"added_tokens",
     "[" TOKEN("\"Xy\"", "\"normalized\":true,") "," TOKEN(
         "\"xY\"", "\"normalized\":true,") "]",
     ERROR_UNSUPPORTED, "\"Xy\" and \"xY\" are the same text"},
};

static const char *part_json(const struct refusal *refusal, const char *part) {
    static const char *const good[][2] = {
        {"added_tokens", "[]"},
        {"normalizer", BERT},
        {"pre_tokenizer", "{\"type\":\"BertPreTokenizer\"}"},
        {"post_processor", "null"},
        {"model", WORDPIECE("{\"[UNK]\":0,\"a\":1}")}};
    if (refusal && strcmp(refusal->part, part) == 0)
        return refusal->json;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (strcmp(good[i][0], part) == 0)
            return good[i][1];
    return "null";
}

static struct tokenizer *create(const struct refusal *refusal,
                                struct error *err) {
    static const char *const parts[] = {"added_tokens", "normalizer",
                                        "pre_tokenizer", "post_processor",
                                        "model"};
    struct strbuf json = strbuf_make(&heap);
    for (size_t i = 0; i < 5; i++)
        strbuf_printf(&json, "%s\"%s\":%s", i ? "," : "{", parts[i],
                      part_json(refusal, parts[i]));
    strbuf_add_char(&json, '}');
    struct tokenizer *tokenizer =
        tokenizer_create(&heap, strbuf_str(&json), "the-file", err);
    strbuf_free(&json);
    return tokenizer;
}

static void each_is_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct error err = {0};
        struct tokenizer *tokenizer = create(&refusals[i], &err);
        if (tokenizer || err.code != refusals[i].code ||
            !strstr(err.message, refusals[i].says) ||
            !strstr(err.message, "the-file"))
            fail_msg("%s: %s: \"%s\"", refusals[i].json, refusals[i].says,
                     err.message);
        assert_int_equal(memory_live(&heap), 0);
    }
}

static void no_json_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"",  "[]", "3",
                                        "{", "{}", "{\"model\":"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error err = {0};
        assert_null(tokenizer_create(&heap, str_from(texts[i]), "x", &err));
        assert_true(err.code == ERROR_INPUT || err.code == ERROR_UNSUPPORTED);
    }
    assert_int_equal(memory_live(&heap), 0);
}

static void what_is_good_is_not_refused(void **state) {
    (void)state;
    static const struct refusal odd[] = {
        {"", "", ERROR_NONE, ""},
        {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[" BERT "]}",
         ERROR_NONE, ""},
        {"pre_tokenizer",
         "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
         "\"BertPreTokenizer\"}]}",
         ERROR_NONE, ""},
        {"model", WORDPIECE("{\"[UNK]\":70000,\"\":3,\"a\":1}"), ERROR_NONE,
         ""},
        {"added_tokens", "[" TOKEN("\"\"", "\"normalized\":true,") "]",
         ERROR_NONE, ""},
        {"added_tokens", "null", ERROR_NONE, ""},
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct error err = {0};
        struct tokenizer *tokenizer = create(&odd[i], &err);
        must(tokenizer, &err);
        struct tokenizer_scratch *scratch = fixture_scratch(tokenizer, &heap);
        struct tokens tokens = tokens_make(&heap);
        fixture_encode(tokenizer, scratch, STR("A b"), 0, TOKENIZER_CUT,
                       &tokens);
        uint32_t unknown;
        assert_true(tokenizer_id(tokenizer, STR("[UNK]"), &unknown));
        assert_int_equal(tokens.count, 2);
        assert_int_equal(tokens.ids[0], 1);
        assert_int_equal(tokens.ids[1], unknown);
        tokens_free(&tokens);
        tokenizer_scratch_free(scratch);
        tokenizer_free(tokenizer);
    }
    assert_int_equal(memory_live(&heap), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_named),
        cmocka_unit_test(no_json_is_refused),
        cmocka_unit_test(what_is_good_is_not_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
