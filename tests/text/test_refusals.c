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

#define BPE(options, merges)                                                   \
    "{\"type\":\"BPE\"," options                                               \
    "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":" merges "}"
#define SPLIT(regex)                                                           \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex                      \
    "\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define AROUND                                                                 \
    "{\"type\":\"RobertaProcessing\",\"cls\":[\"a\",0],\"sep\":[\"a\",1]}"
#define PIECE(kind, id, type)                                                  \
    "{\"" kind "\":{\"id\":\"" id "\",\"type_id\":" type "}}"
#define TEMPLATE(single)                                                       \
    "{\"type\":\"TemplateProcessing\",\"single\":[" single "]}"
#define NEST(list, inner)  "{\"type\":\"Sequence\",\"" list "\":[" inner "]}"
#define NEST3(list, inner) NEST(list, NEST(list, NEST(list, inner)))
#define DEEP(list)         NEST3(list, NEST3(list, NEST3(list, "")))

/* A part in place of a good one, and what must be said of it. */
struct refusal {
    const char *part;
    const char *json;
    enum error_code code;
    const char *says;
};

static const struct refusal refusals[] = {
    {"normalizer", "{\"type\":\"Odd\"}", ERROR_UNSUPPORTED,
     "normalizer \"Odd\""},
    {"normalizer",
     "{\"type\":\"Sequence\",\"normalizers\":[" BERT ",{\"type\":\"Other\"}]}",
     ERROR_UNSUPPORTED, "normalizer \"Other\""},
    {"normalizer", DEEP("normalizers"), ERROR_UNSUPPORTED, "too deep"},
    {"normalizer", "{\"type\":\"Replace\",\"content\":\"\"}", ERROR_INPUT,
     "has no \"pattern\""},
    {"normalizer", "{\"type\":\"Prepend\"}", ERROR_INPUT, "\"prepend\""},
    {"normalizer", "{\"type\":\"Strip\",\"strip_left\":true}", ERROR_INPUT,
     "strip_right"},
    {"normalizer",
     "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!AAA\"}",
     ERROR_INPUT, "precompiled_charsmap"},
    {"normalizer",
     "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////w==\"}",
     ERROR_INPUT, "precompiled_charsmap"},
    {"normalizer", "{\"type\":\"Sequence\"}", ERROR_INPUT, "no list"},
    {"normalizer", "{\"type\":\"BertNormalizer\"}", ERROR_INPUT, "clean_text"},
    {"normalizer", "[1]", ERROR_INPUT, "normalizer is not an object"},
    {"normalizer", "{\"type\":3}", ERROR_INPUT, "\"type\""},
    {"pre_tokenizer", "{\"type\":\"Odd\"}", ERROR_UNSUPPORTED,
     "pre_tokenizer \"Odd\""},
    {"pre_tokenizer", DEEP("pretokenizers"), ERROR_UNSUPPORTED, "too deep"},
    {"pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"ab\"}",
     ERROR_INPUT, "not one character"},
    {"pre_tokenizer",
     "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"add_prefix_space\":"
     "false}",
     ERROR_INPUT, "prepend_scheme"},
    {"pre_tokenizer",
     "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":"
     "\"last\"}",
     ERROR_INPUT, "prepend_scheme"},
    {"pre_tokenizer", "{\"type\":\"Punctuation\",\"behavior\":\"Odd\"}",
     ERROR_UNSUPPORTED, "behavior \"Odd\""},
    {"pre_tokenizer", "{\"type\":\"Digits\"}", ERROR_INPUT,
     "individual_digits"},
    {"pre_tokenizer", SPLIT("\\\\p{Greek}"), ERROR_UNSUPPORTED,
     "this property at \"{Greek}\""},
    {"pre_tokenizer", SPLIT("a\\\\h"), ERROR_UNSUPPORTED, "this escape"},
    {"pre_tokenizer", SPLIT("(a)\\\\1"), ERROR_UNSUPPORTED, "this escape"},
    {"pre_tokenizer", SPLIT("(?i:ss)"), ERROR_UNSUPPORTED,
     "one in another case"},
    {"pre_tokenizer", SPLIT("(?i:\\u00e4)"), ERROR_UNSUPPORTED, "ASCII"},
    {"pre_tokenizer", SPLIT("(?<n>a)"), ERROR_UNSUPPORTED, "kind of group"},
    {"pre_tokenizer", SPLIT("(?m)a"), ERROR_UNSUPPORTED, "kind of group"},
    {"pre_tokenizer", SPLIT("[[:alpha:]]"), ERROR_UNSUPPORTED, "set of sets"},
    {"pre_tokenizer", SPLIT("[a-z&&[b]]"), ERROR_UNSUPPORTED, "set of sets"},
    {"pre_tokenizer", SPLIT("[a"), ERROR_UNSUPPORTED, "open ["},
    {"pre_tokenizer", SPLIT("(a"), ERROR_UNSUPPORTED, "open ("},
    {"pre_tokenizer", "{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"ab\"}",
     ERROR_INPUT, "not one character"},
    {"pre_tokenizer", "{\"type\":\"FixedLength\",\"length\":0}", ERROR_INPUT,
     "\"length\" is 0"},
    {"pre_tokenizer", SPLIT("a)"), ERROR_UNSUPPORTED, ") too many"},
    {"pre_tokenizer", SPLIT("*a"), ERROR_UNSUPPORTED, "of nothing"},
    {"pre_tokenizer", SPLIT("a**"), ERROR_UNSUPPORTED, "of a repetition"},
    {"pre_tokenizer", SPLIT("a{2}+"), ERROR_UNSUPPORTED, "of a repetition"},
    {"pre_tokenizer", SPLIT("(?<=a+)b"), ERROR_UNSUPPORTED, "cannot be used"},
    {"post_processor", "{\"type\":\"Odd\"}", ERROR_UNSUPPORTED,
     "post_processor \"Odd\""},
    {"post_processor", NEST("processors", AROUND "," AROUND), ERROR_UNSUPPORTED,
     "two parts of the post_processor"},
    {"post_processor", DEEP("processors"), ERROR_UNSUPPORTED, "too deep"},
    {"post_processor", "{\"type\":\"RobertaProcessing\"}", ERROR_INPUT,
     "id of cls"},
    {"post_processor",
     "{\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\",7],\"sep\":[\"a\",1]}",
     ERROR_INPUT, "id of cls"},
    {"post_processor", "{\"type\":\"BertProcessing\"}", ERROR_INPUT,
     "id of cls"},
    {"post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[]}",
     ERROR_INPUT, "no place for the text"},
    {"post_processor",
     TEMPLATE(PIECE("Sequence", "A", "0") "," PIECE("Sequence", "A", "0")),
     ERROR_INPUT, "around one sequence A"},
    {"post_processor", TEMPLATE(PIECE("Sequence", "B", "0")), ERROR_INPUT,
     "around one sequence A"},
    {"post_processor", TEMPLATE(PIECE("Sequence", "A", "null")), ERROR_INPUT,
     "has no \"type_id\""},
    {"post_processor", TEMPLATE(PIECE("Sequence", "A", "1")), ERROR_UNSUPPORTED,
     "other token types than 0"},
    {"post_processor", TEMPLATE(PIECE("SpecialToken", "[X]", "0")), ERROR_INPUT,
     "special token \"[X]\""},
    {"model", "null", ERROR_UNSUPPORTED, "there is no model"},
    {"model", "{\"type\":\"Odd\"}", ERROR_UNSUPPORTED, "model \"Odd\""},
    {"model", "{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}}", ERROR_INPUT,
     "no \"unk_token\""},
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

/* Models that come with other parts. */
static const struct refusal models[] = {
    {"model", "{\"type\":\"BPE\"}", ERROR_INPUT, "\"vocab\""},
    {"model", BPE("", "3"), ERROR_INPUT, "\"merges\""},
    {"model", BPE("", "[\"a\"]"), ERROR_INPUT, "merge 0"},
    {"model", BPE("", "[\"a b\",\"a b c\"]"), ERROR_INPUT, "merge 1"},
    {"model", BPE("", "[[\"a\",\"b\",\"c\"]]"), ERROR_INPUT, "merge 0"},
    {"model", BPE("", "[[\"b\",\"a\"]]"), ERROR_INPUT,
     "\"b\" and \"a\") is not in the vocabulary"},
    {"model", BPE("\"continuing_subword_prefix\":\"##\",", "[\"a b\"]"),
     ERROR_INPUT, "merge 0"},
    {"model", BPE("\"dropout\":0.1,", "[]"), ERROR_UNSUPPORTED, "dropout"},
    {"model", BPE("\"unk_token\":\"x\",", "[]"), ERROR_INPUT,
     "unknown token \"x\""},
    {"model", BPE("\"unk_token\":3,", "[]"), ERROR_INPUT, "unk_token"},
    {"model", "{\"type\":\"Unigram\",\"vocab\":{}}", ERROR_INPUT, "not a list"},
    {"model", "{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}", ERROR_INPUT,
     "piece 0"},
    {"model", "{\"type\":\"Unigram\",\"vocab\":[3]}", ERROR_INPUT, "piece 0"},
    {"model", "{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",0]]}",
     ERROR_INPUT, "unk_id"},
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

/* BERT: the other parts are BERT's; else there is no pre_tokenizer. */
static struct tokenizer *create(const struct refusal *refusal, bool bert,
                                struct error *err) {
    static const char *const parts[] = {"added_tokens", "normalizer",
                                        "pre_tokenizer", "post_processor",
                                        "model"};
    struct strbuf json = strbuf_make(&heap);
    for (size_t i = 0; i < 5; i++)
        strbuf_printf(&json, "%s\"%s\":%s", i ? "," : "{", parts[i],
                      bert || strcmp(parts[i], "pre_tokenizer") != 0
                          ? part_json(refusal, parts[i])
                          : "null");
    strbuf_add_char(&json, '}');
    struct tokenizer *tokenizer =
        tokenizer_create(&heap, strbuf_str(&json), "the-file", err);
    strbuf_free(&json);
    return tokenizer;
}

static void expect_refusals(const struct refusal *list, size_t count,
                            bool bert) {
    for (size_t i = 0; i < count; i++) {
        struct error err = {0};
        struct tokenizer *tokenizer = create(&list[i], bert, &err);
        if (tokenizer || err.code != list[i].code ||
            !strstr(err.message, list[i].says) ||
            !strstr(err.message, "the-file"))
            fail_msg("%s: %s: \"%s\"", list[i].json, list[i].says, err.message);
        assert_int_equal(memory_live(&heap), 0);
    }
}

static void each_is_named(void **state) {
    (void)state;
    expect_refusals(refusals, sizeof refusals / sizeof *refusals, true);
    expect_refusals(models, sizeof models / sizeof *models, false);
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
        struct tokenizer *tokenizer = create(&odd[i], true, &err);
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
