/* test_model_files.c - what the files of a model say, folder by folder. What
 * sentence-transformers makes of the fixtures stands in their reference.json.
 */

#include "base/blind.h"
#include "base/hash.h"
#include "base/json.h"
#include "hub/model_folder.h"
#include "hub/tensors.h"

static struct error err;

static void defaults(void **state) {
    (void)state;
    put_model();
    struct model_files *m = open_it();
    assert_null(m->id);
    assert_null(m->commit);
    assert_string_equal(m->folder, folder);
    assert_string_equal(m->key, strrchr(folder, '/') + 1);
    assert_int_equal(m->weights_count, 1);
    assert_int_equal(m->pooling_count, 1);
    assert_int_equal(m->pooling[0], POOL_MEAN);
    assert_true(m->pooling_include_prompt);
    assert_int_equal(m->sentence_count, 0);
    assert_int_equal(m->max_length, 64);
    assert_string_equal(m->similarity, "cosine");
    assert_null(m->default_prompt);
    assert_int_equal(m->truncate_dim, 0);
    assert_int_equal(m->matryoshka_count, 0);
    model_files_free(m);
    model_files_free(NULL);
}

/* COUNT modes, in this order. */
static void pools(const char *config, size_t count, ...) {
    put("1_Pooling/config.json", config);
    struct model_files *m = open_it();
    va_list modes;
    va_start(modes, count);
    assert_int_equal(m->pooling_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(m->pooling[i], va_arg(modes, int));
    va_end(modes);
    model_files_free(m);
}

static void pooling_in_both_spellings(void **state) {
    (void)state;
    put_model();
    pools("{\"pooling_mode_cls_token\":true}", 1, POOL_CLS);
    pools("{\"pooling_mode_mean_tokens\":true,\"pooling_mode_max_tokens\":true,"
          "\"pooling_mode_cls_token\":true}",
          3, POOL_CLS, POOL_MAX, POOL_MEAN);
    pools("{\"pooling_mode_lasttoken\":true,"
          "\"pooling_mode_weightedmean_tokens\":true,"
          "\"pooling_mode_mean_sqrt_len_tokens\":true}",
          3, POOL_MEAN_SQRT, POOL_WEIGHTED_MEAN, POOL_LAST);
    pools("{\"pooling_mode_cls_token\":false}", 1, POOL_MEAN);
    pools("{\"pooling_mode\":\"lasttoken\",\"pooling_mode_cls_token\":true}", 1,
          POOL_LAST);
    pools("{\"pooling_mode\":[\"mean\",\"cls\"]}", 2, POOL_MEAN, POOL_CLS);
    pools("{\"pooling_mode\":[\"max\",\"max\"]}", 2, POOL_MAX, POOL_MAX);
    pools("{\"pooling_mode\":\"mean_sqrt_len_tokens\"}", 1, POOL_MEAN_SQRT);
    put("1_Pooling/config.json", "{\"include_prompt\":false}");
    struct model_files *m = open_it();
    assert_false(m->pooling_include_prompt);
    model_files_free(m);
    put("1_Pooling/config.json", "{\"pooling_mode\":\"attention\"}");
    refused(ERROR_UNSUPPORTED, "attention");
    put("1_Pooling/config.json", "{\"pooling_mode\":[]}");
    refused(ERROR_INPUT, "empty");
    put("1_Pooling/config.json", "{\"pooling_mode_cls_token\":1}");
    refused(ERROR_INPUT, "pooling_mode_cls_token");
    put("1_Pooling/config.json", "[]");
    refused(ERROR_INPUT, "1_Pooling/config.json");
}

/* A Router with these members of "structure" and "parameters". */
static void put_routes(const char *structure, const char *parameters) {
    char text[512];
    snprintf(text, sizeof text,
             "{\"types\":{\"a\":\"" OLD "Transformer\",\"max\":\"" OLD
             "Pooling\",\"cls\":\"" OLD "Pooling\"},\"structure\":{%s},"
             "\"parameters\":{%s}}",
             structure, parameters);
    put("router_config.json", text);
}

static struct model_files *open_for(const char *task) {
    err = (struct error){0};
    return model_files_open_for(&memory, folder, NULL, MODEL_DENSE, task, NULL,
                                &err);
}

/* The pooling says which route TASK has. */
static void goes(const char *task, enum pooling_mode pooling) {
    struct model_files *m = open_for(task);
    if (!m)
        fail_msg("%s", err.message);
    assert_true(m->routed);
    assert_int_equal(m->pooling[0], pooling);
    assert_int_equal(m->sentence_count, 1); /* the Dense behind the Router */
    model_files_free(m);
}

static void goes_nowhere(const char *task, const char *word) {
    assert_null(open_for(task));
    assert_int_equal(err.code, ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "router_config.json"));
    assert_non_null(strstr(err.message, word));
}

/* As Router._resolve_route of sentence-transformers 6: a task's own route, then
 * that of texts, and the default only where there is no task. */
static void routes_by_tasks(void **state) {
    (void)state;
    static const char BOTH[] =
        "\"query\":[\"a\",\"max\"],\"document\":[\"a\",\"cls\"]";
    put("modules.json",
        "[" MODULE("", OLD "Router") "," MODULE("1_Dense", OLD "Dense") "]");
    put("1_Dense/config.json", "{\"in_features\":8,\"out_features\":4}");
    put("1_Dense/model.safetensors", "w");
    put("a/config.json", "{\"model_type\":\"bert\"}");
    put("a/tokenizer.json", "{}");
    put("a/model.safetensors", "w");
    put("max/config.json", "{\"pooling_mode\":\"max\"}");
    put("cls/config.json", "{\"pooling_mode\":\"cls\"}");
    put_routes(BOTH, "\"default_route\":null");
    goes("query", POOL_MAX);
    goes("document", POOL_CLS);
    goes("", POOL_MAX);
    put_routes(BOTH, "\"default_route\":\"document\"");
    goes("", POOL_CLS);
    goes("query", POOL_MAX);
    put_routes(BOTH, "\"allow_empty_key\":false");
    goes("query", POOL_MAX);
    goes_nowhere("", "task \"\"");
    put_routes("\"query\":[\"a\",\"max\"],\"text\":[\"a\",\"cls\"]", "");
    goes("query", POOL_MAX);
    goes("document", POOL_CLS);
    goes("", POOL_CLS);
    put_routes("\"query\":[\"a\",\"max\"]", "");
    goes("", POOL_MAX);
    goes_nowhere("document", "task \"document\"");
    put_routes(BOTH, "\"route_mappings\":{\"('query', None)\":\"query\"}");
    goes_nowhere("query", "route_mappings");
}

static void modules_that_are_not_run(void **state) {
    (void)state;
    put_model();
    static const char *const REFUSED[] = {
        "WordEmbeddings", "CNN", "StaticEmbedding", "Router", "LSTM",
    };
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        char text[512];
        snprintf(text, sizeof text, "[" TWO "," MODULE("2", OLD "%s") "]",
                 REFUSED[i]);
        put("modules.json", text);
        refused(ERROR_UNSUPPORTED, REFUSED[i]);
    }
    put("modules.json", "[" MODULE("", "custom_st.Transformer") "]");
    refused(ERROR_UNSUPPORTED, "custom_st.Transformer");
    put("modules.json", "[" MODULE("", OLD "Transformer") "]");
    refused(ERROR_UNSUPPORTED, "Pooling");
    put("modules.json", "[" TWO "," MODULE("2", OLD "Normalize") "," MODULE(
                            "3", OLD "Dense") "]");
    put("3/config.json", "{\"in_features\":8,\"out_features\":4}");
    put("3/model.safetensors", "w");
    struct model_files *m = open_it(); /* any order behind the pooling */
    assert_int_equal(m->sentence_count, 2);
    assert_int_equal(m->sentence[0].kind, SENTENCE_NORMALIZE);
    assert_int_equal(m->sentence[1].kind, SENTENCE_DENSE);
    model_files_free(m);
    put("modules.json",
        "[" TWO ",{\"name\":\"2\",\"path\":\"3\",\"type\":\"" OLD
        "Dense\"},{\"name\":\"2\",\"path\":\"4\",\"type\":\"" OLD
        "Normalize\"}]");
    refused(ERROR_UNSUPPORTED, "modules 2 and 3 have the same name");
    put("modules.json", "[" MODULE("../x", OLD "Transformer") "]");
    refused(ERROR_INPUT, "../x");
    put("modules.json", "[" MODULE("/x", OLD "Transformer") "]");
    refused(ERROR_INPUT, "/x");
    put("modules.json", "[{\"path\":\"\"}]");
    refused(ERROR_INPUT, "type");
    put("modules.json", "[]");
    refused(ERROR_INPUT, "list of modules");
    put("modules.json", "{");
    refused(ERROR_INPUT, "line");
}

static void dense_layers(void **state) {
    (void)state;
    put_model();
    put("modules.json",
        "[" TWO "," MODULE(
            "2_Dense",
            "sentence_transformers.base.modules."
            "dense.Dense") "," MODULE("3_Dense", OLD
                                      "Dense") "," MODULE("4", OLD
                                                          "Dropout") "," MODULE("5",
                                                                                OLD
                                                                                "Normalize") "]");
    put("2_Dense/config.json",
        "{\"in_features\":8,\"out_features\":4,\"bias\":false,"
        "\"activation_function\":\"torch.nn.modules.linear.Identity\"}");
    put("3_Dense/config.json", "{\"in_features\":4,\"out_features\":2,"
                               "\"activation_function\":\"my.own.Gelu\"}");
    put("2_Dense/model.safetensors", "w");
    put("3_Dense/model.safetensors", "w");
    struct model_files *m = open_it();
    assert_int_equal(m->sentence_count, 3);
    assert_int_equal(m->sentence[2].kind, SENTENCE_NORMALIZE);
    const struct tensor_source *first = &m->sentence[0].source;
    const struct tensor_source *second = &m->sentence[1].source;
    assert_int_equal(first->in, 8);
    assert_int_equal(first->out, 4);
    assert_null(first->bias);
    assert_string_equal(first->activation, "Identity");
    assert_string_equal(second->bias, "linear.bias");
    /* as the library does with code that is not torch's */
    assert_string_equal(second->activation, "Tanh");
    assert_non_null(strstr(second->paths[0], "/3_Dense/model.safe"));
    model_files_free(m);

    put("3_Dense/config.json",
        "{\"in_features\":4,\"out_features\":2,\"use_residual\":true}");
    m = open_it();
    assert_true(m->sentence[1].source.residual);
    assert_string_equal(m->sentence[1].source.shortcut, "residual.weight");
    assert_false(m->sentence[0].source.residual);
    model_files_free(m);
    put("3_Dense/config.json", "{\"in_features\":4,\"out_features\":2,"
                               "\"activation_function\":null}");
    refused(ERROR_UNSUPPORTED, "activation_function is null");
    put("3_Dense/config.json", "{\"in_features\":4,\"out_features\":2,"
                               "\"module_input_name\":\"token_embeddings\"}");
    refused(ERROR_UNSUPPORTED, "token_embeddings");
    put("3_Dense/config.json", "{\"in_features\":4}");
    refused(ERROR_INPUT, "out_features");
    put("3_Dense/model.safetensors", NULL);
    refused(ERROR_MISSING, "3_Dense/model.safetensors");
    put("3_Dense/pytorch_model.bin", "w");
    put("3_Dense/config.json", "{\"in_features\":4,\"out_features\":2}");
    m = open_it();
    assert_non_null(
        strstr(m->sentence[1].source.paths[0], "/3_Dense/pytorch_model.bin"));
    model_files_free(m);
}

static void all_that_is_missing_is_named(void **state) {
    (void)state;
    put_model();
    put("tokenizer.json", NULL);
    put("1_Pooling/config.json", NULL);
    put("model.safetensors", NULL);
    refused(ERROR_MISSING, "1_Pooling/config.json, model.safetensors, "
                           "tokenizer.json");
    put("onnx/model.onnx", "w");
    refused(ERROR_UNSUPPORTED, "onnx/model.onnx");
    put("pytorch_model.bin", "w");
    refused(ERROR_MISSING, "1_Pooling/config.json, tokenizer.json");
    put_model();
    put("tokenizer.json", NULL);
    put("vocab.txt", "a");
    struct model_files *m = open_it();
    assert_int_equal(m->tokenizer_files_count, 1);
    assert_string_equal(m->tokenizer_files[0].name, "vocab.txt");
    model_files_free(m);
    put("vocab.txt", NULL);
    put_model();
    put("model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
    refused(ERROR_MISSING, "Git LFS pointer");
    put("config.json", NULL);
    refused(ERROR_MISSING, "config.json");
    put("modules.json", NULL);
    refused(ERROR_MISSING, "neither config.json nor modules.json");
    assert_null(model_files_open(&memory, "tests/fixtures", NULL, MODEL_DENSE,
                                 NULL, &err));
    assert_non_null(strstr(err.message, "tests/fixtures: the folder has"));
}

/* The base name of the one weights file, and how many there are. */
static void expect_weights(const char *name, size_t count) {
    struct model_files *m = open_it();
    assert_string_equal(strrchr(m->weights[count - 1], '/') + 1, name);
    assert_int_equal(m->weights_count, count);
    model_files_free(m);
}

/* In the order in which transformers takes them. */
static void older_weights(void **state) {
    (void)state;
    put_model();
    put("model.safetensors", NULL);
    put("b.bin", "w");
    put("c.bin", "w");
    put("pytorch_model.bin.index.json",
        "{\"weight_map\":{\"x\":\"b.bin\",\"y\":\"c.bin\"}}");
    expect_weights("c.bin", 2);
    put("pytorch_model.bin", "w");
    expect_weights("pytorch_model.bin", 1);
    put("a.st", "w");
    put("model.safetensors.index.json", "{\"weight_map\":{\"x\":\"a.st\"}}");
    expect_weights("a.st", 1);
    put("model.safetensors", "w");
    expect_weights("model.safetensors", 1);
}

static void similarity_and_widths(void **state) {
    (void)state;
    put_model();
    struct model_files *m = open_with("{\"similarity_fn_name\":\"dot\","
                                      "\"truncate_dim\":16}");
    assert_string_equal(m->similarity, "dot");
    assert_int_equal(m->truncate_dim, 16);
    assert_int_equal(m->matryoshka_count, 1);
    assert_int_equal(m->matryoshka[0], 16);
    model_files_free(m);
    put("config.json", "{\"matryoshka_dims\":[4,8,16]}");
    m = open_with("{\"similarity_fn_name\":\"maxsim\"}");
    assert_string_equal(m->similarity, "cosine");
    assert_int_equal(m->matryoshka_count, 3);
    assert_int_equal(m->matryoshka[2], 16);
    model_files_free(m);
    put("config.json", "{\"matryoshka_dims\":[4,\"8\"]}");
    refused(ERROR_INPUT, "matryoshka_dims");
}

static void without_modules(void **state) {
    (void)state;
    put_model();
    put("modules.json", NULL);
    put("config_sentence_transformers.json", "{\"prompts\":{\"query\":\"q\"}}");
    put("sentence_bert_config.json", "{\"max_seq_length\":20}");
    struct model_files *m = open_it();
    assert_int_equal(m->pooling[0], POOL_MEAN);
    assert_int_equal(m->sentence_count, 0);
    assert_int_equal(m->max_length, 64); /* the library reads neither file */
    assert_string_equal(prompt(m, "query", NULL), "");
    model_files_free(m);
    put("config.json", "{\"architectures\":[\"Qwen2ForCausalLM\"]}");
    m = open_it();
    assert_int_equal(m->pooling[0], POOL_LAST);
    model_files_free(m);
    put("config.json", "{\"architectures\":[\"Qwen2ForCausalLM\"],"
                       "\"is_causal\":false}");
    m = open_it();
    assert_int_equal(m->pooling[0], POOL_MEAN);
    model_files_free(m);
}

static void a_transformer_in_a_folder_of_its_own(void **state) {
    (void)state;
    put_model();
    put("modules.json",
        "[" MODULE("0_Transformer", OLD
                   "Transformer") "," MODULE("1_Pooling", OLD "Pooling") "]");
    put("config.json", NULL);
    refused(ERROR_MISSING, "0_Transformer/config.json, "
                           "0_Transformer/model.safetensors, "
                           "0_Transformer/tokenizer.json");
    put("0_Transformer/config.json", "{}");
    put("0_Transformer/model.safetensors", "w");
    put("0_Transformer/tokenizer.json", "{}");
    put("0_Transformer/sentence_bert_config.json", "{\"max_seq_length\":30}");
    struct model_files *m = open_it();
    assert_non_null(strstr(m->config_path, "/0_Transformer/config.json"));
    assert_string_equal(m->tokenizer_files[0].name, "tokenizer.json");
    assert_non_null(
        strstr(m->tokenizer_files[0].path, "/0_Transformer/tokenizer.json"));
    assert_non_null(strstr(m->tokenizer_folder, "/0_Transformer"));
    assert_non_null(strstr(m->weights[0], "/0_Transformer/model.safe"));
    assert_int_equal(m->max_length, 30);
    model_files_free(m);
}

static void shards(void **state) {
    (void)state;
    put_model();
    put("model.safetensors", NULL);
    put("model.safetensors.index.json",
        "{\"weight_map\":{\"z\":\"m-2\",\"a\":\"m-2\",\"b\":\"m-1\"}}");
    put("m-1", "one");
    refused(ERROR_MISSING, "missing m-2:");
    put("m-2", "two");
    struct model_files *m = open_it();
    assert_int_equal(m->weights_count, 2);
    assert_string_equal(strrchr(m->weights[0], '/'), "/m-1");
    assert_string_equal(strrchr(m->weights[1], '/'), "/m-2");
    model_files_free(m);
    static const char *const NAMES[] = {"../m-2", "x/../../m-2", ".m", ""};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"weight_map\":{\"z\":\"%s\"}}",
                 NAMES[i]);
        put("model.safetensors.index.json", text);
        refused(ERROR_INPUT, "tensor z");
    }
    put("model.safetensors.index.json", "{\"weight_map\":{}}");
    refused(ERROR_INPUT, "weight_map");
    put("model.safetensors.index.json", "{}");
    refused(ERROR_INPUT, "weight_map");
}

static void sha256_text(const char *text, char hex[65]) {
    uint8_t digest[SHA256_BYTES];
    hash_sha256(str_from(text), digest);
    hash_hex(digest, sizeof digest, hex);
}

static void digests(void **state) {
    (void)state;
    char weights[65], tokenizer[65], expected[65], pair[129];
    put_model();
    struct model_files *m = open_it();
    assert_true(model_files_digest(m, weights, tokenizer, &err));
    sha256_text("weights", expected);
    assert_string_equal(weights, expected);
    sha256_text("{}", expected);
    assert_string_equal(tokenizer, expected);
    model_files_free(m);

    /* All files of the tokenizer count, and not those that nobody reads. */
    put("special_tokens_map.json", "{}");
    put("vocab.txt", "a");
    m = open_it();
    assert_true(model_files_digest(m, weights, tokenizer, &err));
    char files[256];
    snprintf(files, sizeof files, "tokenizer.json%sspecial_tokens_map.json%s",
             expected, expected);
    sha256_text(files, expected);
    assert_string_equal(tokenizer, expected);
    model_files_free(m);
    put("special_tokens_map.json", NULL);
    put("vocab.txt", NULL);

    put("modules.json", "[" TWO "," MODULE("2_Dense", OLD "Dense") "]");
    put("2_Dense/config.json", "{\"in_features\":8,\"out_features\":4}");
    put("2_Dense/model.safetensors", "dense");
    m = open_it();
    assert_true(model_files_digest(m, weights, tokenizer, &err));
    sha256_text("weights", pair);
    sha256_text("dense", pair + 64);
    sha256_text(pair, expected);
    assert_string_equal(weights, expected);
    model_files_free(m);
}

static void keys_of_folders(void **state) {
    (void)state;
    put_model();
    char path[256], moved[128];
    snprintf(moved, sizeof moved, "%s/my model+\xC3\xA4", folder);
    static const char *const NAMES[] = {
        "config.json",  "tokenizer.json", "model.safetensors",
        "modules.json", "1_Pooling",
    };
    assert_true(folder_make(moved, &err));
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        char from[256];
        snprintf(from, sizeof from, "%s/%s", folder, NAMES[i]);
        snprintf(path, sizeof path, "%s/%s", moved, NAMES[i]);
        assert_int_equal(rename(from, path), 0);
    }
    snprintf(path, sizeof path, "%s//", moved);
    struct model_files *m =
        model_files_open(&memory, path, NULL, MODEL_DENSE, NULL, &err);
    assert_non_null(m);
    assert_string_equal(m->key, "my-model---");
    model_files_free(m);
}

/* What sentence-transformers took as limit and prompt for NAME's reference. */
static void agrees(const char *name, const char *reference) {
    char path[256];
    snprintf(path, sizeof path, "tests/fixtures/models/%s", name);
    err = (struct error){0};
    struct model_files *m =
        model_files_open(&memory, path, NULL, MODEL_DENSE, NULL, &err);
    if (!m)
        fail_msg("%s", err.message);
    snprintf(path, sizeof path, "tests/fixtures/models/%s/%s", name, reference);
    json_t *head = json_read_file(path, 1 << 20, &err);
    assert_non_null(head);
    size_t limit = 0;
    const char *what = NULL, *text = NULL;
    assert_true(json_member_size(head, "max_length", path, &limit, &err));
    assert_true(json_member_string(head, "encoded_as", path, &what, &err));
    assert_true(json_member_string(head, "prompt", path, &text, &err));
    assert_int_equal(m->max_length, limit);
    assert_string_equal(prompt(m, what, NULL), text);
    assert_string_equal(m->key, name);
    json_decref(head);
    model_files_free(m);
}

static void fixtures_agree_with_the_library(void **state) {
    (void)state;
    static const char *const NAMES[] = {
        "mean",
        "dense",
        "cls",
        "max_pooling",
        "weightedmean",
        "lasttoken",
        "mean_sqrt_len",
        "concat",
        "concat_old",
        "gelu_new",
        "relu",
        "lower_case",
        "cased",
        "sharded",
        "prefixed",
        "pooler",
        "gamma",
        "f16",
        "bf16",
        "matryoshka",
        "plain",
        "subfolder",
        "layer_norm",
        "prompts",
        "prompts_excluded",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        agrees(NAMES[i], "reference.json");
    for (size_t i = 23; i < 25; i++) {
        agrees(NAMES[i], "reference-query.json");
        agrees(NAMES[i], "reference-plain.json");
    }
}

static void pooling_of_fixture(const char *name, size_t count,
                               const enum pooling_mode *modes) {
    char path[256];
    snprintf(path, sizeof path, "tests/fixtures/models/%s", name);
    struct model_files *m =
        model_files_open(&memory, path, NULL, MODEL_DENSE, NULL, &err);
    assert_non_null(m);
    assert_int_equal(m->pooling_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(m->pooling[i], modes[i]);
    model_files_free(m);
}

static void fixtures_pool_as_they_are_named(void **state) {
    (void)state;
    pooling_of_fixture("concat", 2, (enum pooling_mode[]){POOL_LAST, POOL_CLS});
    pooling_of_fixture("concat_old", 3,
                       (enum pooling_mode[]){POOL_CLS, POOL_MAX, POOL_MEAN});
    pooling_of_fixture("mean_sqrt_len", 1,
                       (enum pooling_mode[]){POOL_MEAN_SQRT});
    pooling_of_fixture("plain", 1, (enum pooling_mode[]){POOL_MEAN});
}

static void a_fixture_without_weights(void **state) {
    (void)state;
    assert_null(model_files_open(&memory,
                                 "tests/fixtures/models/broken_no_weights",
                                 NULL, MODEL_DENSE, NULL, &err));
    assert_int_equal(err.code, ERROR_MISSING);
    assert_non_null(strstr(err.message, "missing model.safetensors:"));
}

/* How each damaged file is refused, if the format itself forbids it. */
static void broken_safetensors(const char *name, const char *word) {
    char path[256];
    snprintf(path, sizeof path, "tests/fixtures/models/%s/model.safetensors",
             name);
    const char *paths[] = {path};
    err = (struct error){0};
    assert_null(tensors_open(&memory, paths, 1, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.message, word));
    assert_non_null(strstr(err.message, path));
}

static void fixtures_with_broken_weights(void **state) {
    (void)state;
    broken_safetensors("broken_truncated", "cut off");
    broken_safetensors("broken_offset", "lies at bytes");
}

/* What a failing disk hides is not what nobody has written: a model without its
 * limits, its prompts or its last module would give other vectors. */
static void a_file_that_is_hidden_for_a_moment(void **state) {
    (void)state;
    put_model();
    put("modules.json", "[" TWO "," MODULE("2", OLD "Normalize") "]");
    put("sentence_bert_config.json", "{\"max_seq_length\":40}");
    put("config_sentence_transformers.json",
        "{\"prompts\":{\"q\":\"Q: \"},\"default_prompt_name\":\"q\"}");
    put("tokenizer_config.json", "{\"model_max_length\":30}");
    put("1_Pooling/config.json", "{\"pooling_mode_cls_token\":true}");
    int questions = 0, opened = 0;
    for (struct model_files *m;; questions++) {
        blind_from(questions + 1);
        m = model_files_open(&memory, folder, NULL, MODEL_DENSE, NULL, &err);
        bool was = blind_was();
        if (m) {
            assert_int_equal(m->max_length, 40);
            assert_int_equal(m->sentence_count, 1);
            assert_int_equal(m->pooling[0], POOL_CLS);
            assert_string_equal(m->default_prompt, "q");
            assert_true(m->tokenizer_files_count >= 2);
            opened++;
        }
        model_files_free(m);
        if (!was)
            break;
    }
    assert_true(questions > 8 && opened > 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(defaults),
        TEST(pooling_in_both_spellings),
        TEST(routes_by_tasks),
        TEST(modules_that_are_not_run),
        TEST(dense_layers),
        TEST(all_that_is_missing_is_named),
        TEST(older_weights),
        TEST(similarity_and_widths),
        TEST(without_modules),
        TEST(a_transformer_in_a_folder_of_its_own),
        TEST(shards),
        TEST(a_file_that_is_hidden_for_a_moment),
        TEST(digests),
        TEST(keys_of_folders),
        TEST(fixtures_agree_with_the_library),
        TEST(fixtures_pool_as_they_are_named),
        TEST(a_fixture_without_weights),
        TEST(fixtures_with_broken_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
