/* test_prompts.c - which prompt goes before a text, or why none can. */

#include "hub/model_folder.h"

static struct error err;

/* Each verdict was asked of sentence-transformers 6.2. */
static void prompts_as_the_library_picks_them(void **state) {
    (void)state;
    put_model();
    struct model_files *m = open_with(NULL);
    assert_string_equal(prompt(m, "", NULL), "");
    assert_string_equal(prompt(m, "query", NULL), "");
    assert_string_equal(prompt(m, "document", NULL), "");
    assert_string_equal(prompt(m, "", "document"), "");
    model_files_free(m);

    m = open_with("{\"prompts\":{\"query\":\"q: \",\"passage\":\"p: \","
                  "\"x\":null},\"default_prompt_name\":\"query\"}");
    assert_string_equal(prompt(m, "", NULL), "q: ");
    assert_string_equal(prompt(m, "query", NULL), "q: ");
    assert_string_equal(prompt(m, "document", NULL), "");
    assert_string_equal(prompt(m, "document", "passage"), "p: ");
    assert_string_equal(prompt(m, "query", "x"), "");
    assert_string_equal(m->default_prompt, "query");
    const char *text;
    assert_false(model_files_prompt(m, "", "nope", &text, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.message, "query, document, passage, x"));
    model_files_free(m);

    m = open_with("{\"prompts\":{\"document\":\"d: \"},"
                  "\"default_prompt_name\":\"document\"}");
    assert_string_equal(prompt(m, "", NULL), "d: ");
    assert_string_equal(prompt(m, "query", NULL), "");
    assert_string_equal(prompt(m, "document", NULL), "d: ");
    model_files_free(m);

    put("config_sentence_transformers.json",
        "{\"default_prompt_name\":\"nope\"}");
    refused(ERROR_INPUT, "nope");
    put("config_sentence_transformers.json", "{\"prompts\":{\"query\":5}}");
    refused(ERROR_INPUT, "query");
    put("config_sentence_transformers.json", "{\"prompts\":[]}");
    refused(ERROR_INPUT, "prompts");
    put("config_sentence_transformers.json",
        "{\"model_type\":\"CrossEncoder\"}");
    refused(ERROR_UNSUPPORTED, "CrossEncoder");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(prompts_as_the_library_picks_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
