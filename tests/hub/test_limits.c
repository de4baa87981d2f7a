/* test_limits.c - how many tokens a folder's files allow, and what else they
 * say of how texts become tokens. */

#include "hub/model_folder.h"

/* The limit that comes out of FOLDER's files. */
static size_t limit_with(const char *sentence, const char *tokenizer) {
    put("sentence_bert_config.json", sentence);
    put("tokenizer_config.json", tokenizer);
    struct model_files *m = open_it();
    size_t limit = m->max_length;
    model_files_free(m);
    return limit;
}

static void length_limits(void **state) {
    (void)state;
    static const char HUGE_LIMIT[] =
        "{\"model_max_length\":1000000000000000019884624838656}";
    put_model();
    assert_int_equal(limit_with("{\"max_seq_length\":40}", HUGE_LIMIT), 40);
    assert_int_equal(limit_with("{\"max_seq_length\":null}", HUGE_LIMIT), 64);
    assert_int_equal(limit_with(NULL, "{\"model_max_length\":48}"), 48);
    assert_int_equal(limit_with(NULL, "{\"model_max_length\":512}"), 64);
    assert_int_equal(limit_with(NULL, "{\"max_len\":32}"), 32);
    /* a table of 64 rows has no row 65 */
    assert_int_equal(limit_with("{\"max_seq_length\":100}", NULL), 64);
    assert_int_equal(
        limit_with("{\"tokenizer_args\":{\"model_max_length\":24}}", NULL), 24);
    put("config.json", "{\"model_type\":\"bert\"}");
    assert_int_equal(limit_with(NULL, NULL), 0);
    put("config.json", "{\"model_type\":\"other\"}");
    assert_int_equal(limit_with(NULL, HUGE_LIMIT), 0);
    assert_int_equal(limit_with("{\"max_seq_length\":100}", NULL), 100);
    put("config.json", "{\"model_type\":\"nomic_bert\","
                       "\"n_positions\":77}");
    assert_int_equal(limit_with(NULL, HUGE_LIMIT), 77);
    put("config.json", "{\"model_type\":\"t5\",\"n_positions\":77}");
    assert_int_equal(limit_with(NULL, HUGE_LIMIT), 0);
    assert_int_equal(limit_with(NULL, "{\"model_max_length\":88}"), 88);
    put("sentence_bert_config.json", "{\"max_seq_length\":\"many\"}");
    refused(ERROR_INPUT, "max_seq_length");
    put("sentence_bert_config.json",
        "{\"max_seq_length\":30,"
        "\"tokenizer_args\":{\"model_max_length\":null}}");
    refused(ERROR_UNSUPPORTED, "model_max_length");
    put("sentence_bert_config.json", "{}");
    put("sentence_roberta_config.json", "{\"max_seq_length\":30}");
    struct model_files *m = open_it();
    assert_int_equal(m->max_length, 30);
    model_files_free(m);
}

/* Then the family's own number counts, but not beside a limit for texts. */
static void positions_that_are_not_said(void **state) {
    (void)state;
    static const struct {
        const char *config, *sentence;
        bool unsaid;
    } cases[] = {
        {"{\"model_type\":\"llama\"}", NULL, true},
        {"{\"max_position_embeddings\":null}", NULL, true},
        {"{\"max_position_embeddings\":9}", NULL, false},
        {"{\"max_position_embeddings\":-1}", NULL, false},
        {"{\"n_positions\":9}", NULL, false},
        {"{\"model_type\":\"llama\"}", "{\"max_seq_length\":40}", false},
        {"{\"model_type\":\"llama\"}",
         "{\"tokenizer_args\":{\"model_max_length\":24}}", false},
    };
    put_model();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("config.json", cases[i].config);
        put("sentence_bert_config.json", cases[i].sentence);
        struct model_files *m = open_it();
        assert_int_equal(m->positions_unsaid, cases[i].unsaid);
        model_files_free(m);
    }
}

static void settings_of_version_6(void **state) {
    (void)state;
    put_model();
    put("sentence_bert_config.json",
        "{\"do_lower_case\":true,\"transformer_task\":\"feature-extraction\","
        "\"modality_config\":{\"text\":{\"method\":\"forward\","
        "\"method_output_name\":\"last_hidden_state\"}},"
        "\"module_output_name\":\"token_embeddings\",\"query_length\":null,"
        "\"processing_kwargs\":{},\"model_args\":{\"dtype\":\"auto\"}}");
    struct model_files *m = open_it();
    assert_true(m->do_lower_case);
    model_files_free(m);
    static const char *const REFUSED[][2] = {
        {"{\"query_length\":32}", "query_length"},
        {"{\"processing_kwargs\":{\"text\":{}}}", "processing_kwargs"},
        {"{\"config_args\":{\"rope_theta\":5}}", "rope_theta"},
        {"{\"transformer_task\":\"fill-mask\"}", "transformer_task"},
        {"{\"module_output_name\":\"sentence_embedding\"}", "modality_config"},
        {"{\"modality_config\":{\"image\":{}}}", "modality_config"},
        {"{\"modality_config\":{\"text\":{},\"message\":{}}}",
         "modality_config"},
        {"{\"modality_config\":{\"text\":{\"method\":\"embed\"}}}",
         "modality_config"},
        {"{\"tokenizer_args\":{\"do_lower_case\":true}}", "do_lower_case"},
    };
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        put("sentence_bert_config.json", REFUSED[i][0]);
        refused(ERROR_UNSUPPORTED, REFUSED[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(length_limits),
        TEST(positions_that_are_not_said),
        TEST(settings_of_version_6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
