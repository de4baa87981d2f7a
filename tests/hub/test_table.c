/* test_table.c - what the files of a StaticEmbedding say. That it is what
 * sentence-transformers makes of them is in run/parity. */

#include "hub/model_folder.h"

#define TABLE(path) "[" MODULE(path, OLD "StaticEmbedding") "]"

/* NAME as safetensors with HEADER and BYTES zeros behind. */
static void put_tensors(const char *name, const char *header, size_t bytes) {
    char path[256];
    struct error err = {0};
    uint64_t size = strlen(header);
    char *file = calloc(1, sizeof size + size + bytes);
    assert_non_null(file);
    memcpy(file, &size, sizeof size);
    memcpy(file + sizeof size, header, size);
    put(name, ""); /* its folder too */
    snprintf(path, sizeof path, "%s/%s", folder, name);
    struct str all = {file, sizeof size + size + bytes};
    assert_true(file_write(path, all, &memory, &err));
    free(file);
}

#define WORDS                                                                  \
    "\"embedding.weight\":{\"dtype\":\"F32\",\"shape\":[6,4],"                 \
    "\"data_offsets\":[0,96]}"
#define FEW                                                                    \
    "\"embeddings\":{\"dtype\":\"F32\",\"shape\":[2,4],"                       \
    "\"data_offsets\":[0,32]}"
#define MAPPING                                                                \
    "\"mapping\":{\"dtype\":\"I64\",\"shape\":[7],\"data_offsets\":[32,88]}"

static void put_table(void) {
    put("modules.json", TABLE(""));
    put("tokenizer.json", "{}");
    put_tensors("model.safetensors", "{" WORDS "}", 96);
}

static size_t config_size_of(const struct model_files *m, const char *key) {
    return (size_t)json_integer_value(json_object_get(m->config, key));
}

static void sizes_are_the_tensors(void **state) {
    (void)state;
    put_table();
    put("tokenizer_config.json", "{\"model_max_length\":5}"); /* nobody's */
    put("sentence_bert_config.json", "{\"max_seq_length\":7}");
    struct model_files *m = open_it();
    assert_int_equal(config_size_of(m, "hidden_size"), 4);
    assert_int_equal(config_size_of(m, "vocab_size"), 6);
    assert_null(json_object_get(m->config, "rows"));
    assert_int_equal(m->max_length, 0);
    assert_int_equal(m->tokenizer_files_count, 1);
    assert_true(m->tokenizer_bare && m->pooling_include_prompt);
    assert_int_equal(m->pooling_count, 1);
    assert_int_equal(m->pooling[0], POOL_MEAN);
    assert_int_equal(m->sentence_count, 0);
    model_files_free(m);
}

static void model2vec_has_rows_of_its_own(void **state) {
    (void)state;
    put_table();
    put("modules.json", "[" MODULE(".", OLD "StaticEmbedding") "," MODULE(
                            "1_Normalize", OLD
                            "Normalize") "," MODULE("./2", OLD "Dropout") "]");
    put("config.json", "{\"model_type\":\"model2vec\"}");
    put_tensors("model.safetensors", "{" FEW "," MAPPING "}", 88);
    struct model_files *m = open_it();
    assert_int_equal(config_size_of(m, "hidden_size"), 4);
    assert_int_equal(config_size_of(m, "vocab_size"), 7);
    assert_int_equal(config_size_of(m, "rows"), 2);
    char path[256]; /* as the cache's listing has it */
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_string_equal(m->weights[0], path);
    assert_int_equal(m->sentence_count, 1);
    assert_int_equal(m->sentence[0].kind, SENTENCE_NORMALIZE);
    model_files_free(m);
}

static void its_limit_is_that_of_tokenizer_json(void **state) {
    (void)state;
    put_table();
    put("tokenizer.json", "{\"truncation\":{\"max_length\":9},"
                          "\"padding\":{\"strategy\":{\"Fixed\":9}}}");
    struct model_files *m = open_it();
    assert_int_equal(m->max_length, 9);
    model_files_free(m);
    put("tokenizer.json", "{\"truncation\":null}");
    m = open_it();
    assert_int_equal(m->max_length, 0);
    model_files_free(m);
    put("tokenizer.json", "{\"truncation\":{\"max_length\":0}}");
    refused(ERROR_INPUT, "max_length");
}

static void in_a_folder_of_its_own(void **state) {
    (void)state;
    put("modules.json", TABLE("0_StaticEmbedding"));
    put("tokenizer.json", "{}"); /* nobody's */
    refused(ERROR_MISSING, "0_StaticEmbedding/model.safetensors, "
                           "0_StaticEmbedding/tokenizer.json");
    put("0_StaticEmbedding/tokenizer.json", "{}");
    put_tensors("0_StaticEmbedding/model.safetensors", "{" WORDS "}", 96);
    model_files_free(open_it());
    put("0_StaticEmbedding/tokenizer.json", NULL);
    put("0_StaticEmbedding/vocab.txt", "a\n"); /* not read either */
    refused(ERROR_MISSING, "0_StaticEmbedding/tokenizer.json");
}

static void what_is_no_table(void **state) {
    (void)state;
    put_table();
    put_tensors("model.safetensors", "{" MAPPING "}", 88);
    refused(ERROR_INPUT, "belong to no tensor");
    put_tensors("model.safetensors",
                "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":[6],"
                "\"data_offsets\":[0,24]}}",
                24);
    refused(ERROR_INPUT, "embeddings is not a table");
    put_tensors("model.safetensors",
                "{\"x\":{\"dtype\":\"F32\",\"shape\":[6],"
                "\"data_offsets\":[0,24]}}",
                24);
    refused(ERROR_INPUT, "neither embedding.weight nor");
    put("model.safetensors", "weights");
    refused(ERROR_INPUT, "model.safetensors");
    put("tokenizer.json", "{");
    put_tensors("model.safetensors", "{" WORDS "}", 96);
    refused(ERROR_INPUT, "tokenizer.json");
    put("tokenizer.json", "{}");
    put("modules.json", "[" MODULE("", OLD "StaticEmbedding") "," MODULE(
                            "1", OLD "Pooling") "]");
    put("1/config.json", "{}");
    refused(ERROR_UNSUPPORTED, "module 1 is out of order");
    put("modules.json", "[" MODULE("", "custom.StaticEmbedding") "]");
    refused(ERROR_UNSUPPORTED, "custom.StaticEmbedding");
}

static void of_other_uses_it_is_none(void **state) {
    (void)state;
    struct error err = {0};
    put_table();
    for (enum model_use use = MODEL_SPARSE; use <= MODEL_RERANK; use++)
        assert_null(model_files_open(&memory, folder, NULL, use, NULL, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(sizes_are_the_tensors),
        TEST(model2vec_has_rows_of_its_own),
        TEST(its_limit_is_that_of_tokenizer_json),
        TEST(in_a_folder_of_its_own),
        TEST(what_is_no_table),
        TEST(of_other_uses_it_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
