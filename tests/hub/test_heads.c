/* test_heads.c - each folder of tests/fixtures/heads (tools/make_heads.py)
 * reads as sentence-transformers reads it: expected.json was asked of its
 * objects. And bge-m3's and jina-reranker-v3's, which it does not know. */

#include <dirent.h>
#include <limits.h>

#include "base/json.h"
#include "hub/model_folder.h"
#include "hub/rerank_text.h"

#define FOLDER "tests/fixtures/heads"

static const char *place; /* for messages: which folder */

static struct model_files *open_as(const char *name, enum model_use use) {
    char path[PATH_MAX];
    struct error err = {0};
    snprintf(path, sizeof path, "%s%s%s", strchr(name, '/') ? "" : FOLDER "/",
             name, "");
    struct model_files *files =
        model_files_open(&memory, path, NULL, use, NULL, &err);
    if (!files)
        fail_msg("%s: %s", name, err.message);
    return files;
}

/* What is expected. */

static void same_size(const json_t *expected, const char *key, size_t got) {
    const json_t *value = json_object_get(expected, key);
    if (!json_is_integer(value) || json_integer_value(value) != (json_int_t)got)
        fail_msg("%s: %s is %zu, expected %lld", place, key, got,
                 (long long)json_integer_value(value));
}

static void same_bool(const json_t *expected, const char *key, bool got) {
    const json_t *value = json_object_get(expected, key);
    if (!json_is_boolean(value) || json_boolean_value(value) != got)
        fail_msg("%s: %s is %d", place, key, got);
}

static void same_text(const json_t *value, const char *key, const char *got) {
    const char *text = json_string_value(value);
    if (!value || (text == NULL) != (got == NULL) ||
        (text && strcmp(text, got) != 0))
        fail_msg("%s: %s is %s, expected %s", place, key, got ? got : "none",
                 text ? text : "none");
}

static void same_prompt(const json_t *expected, const char *key,
                        const struct model_files *files, const char *what) {
    struct error err;
    const char *text;
    assert_true(model_files_prompt(files, what, NULL, &text, &err));
    same_text(json_object_get(expected, key), key, text ? text : "");
}

static void same_source(const json_t *row, const struct tensor_source *dense) {
    assert_int_equal(dense->paths_count, 1);
    if (!dense->in && !dense->out) /* in the tensor */
        assert_string_equal(dense->weight, "linear.weight");
    else
        assert_int_equal(dense->in, json_integer_value(json_array_get(row, 0)));
    if (dense->out)
        assert_int_equal(dense->out,
                         json_integer_value(json_array_get(row, 1)));
    assert_int_equal(dense->bias != NULL,
                     json_boolean_value(json_array_get(row, 2)));
    same_text(json_array_get(row, 3), "activation", dense->activation);
}

static void same_sparse(const json_t *expected,
                        const struct model_files *files) {
    const struct sparse_files *sparse = &files->sparse;
    const char *kind = sparse->kind == SPARSE_STATIC   ? "static"
                       : sparse->kind == SPARSE_SPLADE ? "splade"
                                                       : "other";
    same_text(json_object_get(expected, "kind"), "kind", kind);
    same_bool(expected, "sum", sparse->sum);
    same_bool(expected, "log_twice", sparse->log_twice);
    same_size(expected, "width", sparse->width);
    same_size(expected, "active_max", sparse->active_max);
    if (sparse->kind == SPARSE_STATIC) {
        assert_true(file_exists(sparse->static_weights.paths[0]));
        assert_non_null(strstr(files->config_path, "document_0_"));
    }
}

static void same_multi(const json_t *expected,
                       const struct model_files *files) {
    const struct multi_files *multi = &files->multi;
    const json_t *dense = json_object_get(expected, "dense");
    const json_t *words = json_object_get(expected, "skiplist");
    assert_true(multi->exists);
    assert_int_equal(multi->dense_count, json_array_size(dense));
    for (size_t i = 0; i < multi->dense_count; i++)
        same_source(json_array_get(dense, i), &multi->dense[i]);
    same_bool(expected, "normalize", multi->normalize);
    assert_false(multi->drop_first);
    same_size(expected, "query_length", multi->query_length);
    same_size(expected, "document_length", multi->document_length);
    same_size(expected, "expand_length", multi->expand_length);
    same_bool(expected, "expand_cuts", multi->expand_cuts);
    same_bool(expected, "expand_attends", multi->expand_attends);
    same_text(json_object_get(expected, "expand_token"), "expand_token",
              multi->expand_token);
    assert_int_equal(multi->skiplist_count, json_array_size(words));
    for (size_t i = 0; i < multi->skiplist_count; i++)
        same_text(json_array_get(words, i), "skiplist", multi->skiplist[i]);
    same_bool(expected, "skip_in_documents", multi->skip_in_documents);
    same_bool(expected, "skip_in_queries", multi->skip_in_queries);
    same_prompt(expected, "query_prompt", files, "query");
    same_prompt(expected, "document_prompt", files, "document");
    same_text(json_object_get(expected, "query_marker"), "query_marker",
              multi->query_marker);
    same_text(json_object_get(expected, "document_marker"), "document_marker",
              multi->document_marker);
}

/* The pair that make_heads.py rendered. */
static void same_pair(const json_t *expected, const struct rerank_files *got) {
    struct strbuf text = strbuf_make(&memory);
    if (got->pair.query)
        rerank_pair_text(&got->pair, NULL, STR("which {{ one }}?"),
                         STR(" this\n one "), &text);
    same_text(json_object_get(expected, "text"), "text",
              got->pair.query ? text.data : NULL);
    strbuf_free(&text);
}

static void same_rerank(const json_t *expected,
                        const struct model_files *files) {
    const struct rerank_files *rerank = &files->rerank;
    bool classifier = rerank->kind == RERANK_CLASSIFIER;
    same_text(json_object_get(expected, "kind"), "kind",
              classifier ? "classifier" : "yes_no");
    same_size(expected, "labels", rerank->labels);
    same_text(json_object_get(expected, "activation"), "activation",
              rerank->activation);
    same_pair(expected, rerank);
    if (classifier)
        return;
    assert_false(rerank->no_none);
    if (json_is_true(json_object_get(expected, "named"))) {
        assert_string_equal(rerank->yes_token, "yes");
        assert_string_equal(rerank->no_token, "no");
        return;
    }
    same_size(expected, "yes_id", rerank->yes_id);
    same_size(expected, "no_id", rerank->no_id);
}

static enum model_use use_of(const json_t *expected) {
    const char *use = json_string_value(json_object_get(expected, "use"));
    return strcmp(use, "sparse") == 0  ? MODEL_SPARSE
           : strcmp(use, "multi") == 0 ? MODEL_MULTI
                                       : MODEL_RERANK;
}

static void same_folder(const char *name) {
    char path[PATH_MAX];
    struct error err = {0};
    snprintf(path, sizeof path, FOLDER "/%s/expected.json", name);
    json_t *expected = json_read_file(path, 1 << 20, &err);
    assert_non_null(expected);
    place = name;
    struct model_files *files = open_as(name, use_of(expected));
    same_size(expected, "max_length", files->max_length);
    if (files->use != MODEL_RERANK)
        same_text(json_object_get(expected, "similarity"), "similarity",
                  files->similarity);
    if (files->use == MODEL_SPARSE)
        same_sparse(expected, files);
    else if (files->use == MODEL_MULTI)
        same_multi(expected, files);
    else
        same_rerank(expected, files);
    model_files_free(files);
    json_decref(expected);
}

static void as_the_library(void **state) {
    (void)state;
    DIR *dir = opendir(FOLDER);
    struct dirent *entry;
    size_t count = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.') {
            same_folder(entry->d_name);
            count++;
        }
    closedir(dir);
    assert_int_equal(count, 22);
    assert_int_equal(memory_live(&memory), 0);
}

/* What is no such model. */

static void refused_as(const char *name, enum model_use use, const char *word) {
    char path[PATH_MAX];
    struct error err = {0};
    snprintf(path, sizeof path, "tests/fixtures/%s", name);
    if (model_files_open(&memory, path, NULL, use, NULL, &err))
        fail_msg("%s: accepted, expected: %s", name, word);
    if (err.code != ERROR_UNSUPPORTED || !strstr(err.message, word))
        fail_msg("%s: no \"%s\" in: %s", name, word, err.message);
}

static void other_models(void **state) {
    (void)state;
    refused_as("models/mean", MODEL_SPARSE, "without a sparse head");
    refused_as("models/plain", MODEL_SPARSE, "no sparse model");
    refused_as("models/mean", MODEL_MULTI, "without a Dense layer");
    refused_as("models/plain", MODEL_MULTI, "no late-interaction model");
    refused_as("models/mean", MODEL_RERANK, "no reranker");
    refused_as("heads/splade_saved", MODEL_DENSE, "SparseEncoder");
    refused_as("heads/splade_saved", MODEL_RERANK, "no reranker");
    refused_as("heads/multi_saved", MODEL_DENSE, "MultiVectorEncoder");
    refused_as("heads/yes_no", MODEL_DENSE, "chat");
}

/* bge-m3 and jina-reranker-v3 by hand. */

static int setup(void **state) {
    if (make_folder(state) != 0)
        return -1;
    put("tokenizer.json", "{}");
    put("model.safetensors", "w");
    put("config.json", "{\"model_type\":\"xlm-roberta\"}");
    return 0;
}

static void bge_m3(void **state) {
    (void)state;
    put("modules.json",
        "[{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"}"
        ",{\"path\":\"\",\"type\":\"sentence_transformers.models.Pooling\"}]");
    put("sparse_linear.pt", "w");
    put("colbert_linear.pt", "w");
    struct model_files *files = open_as(folder, MODEL_DENSE);
    assert_int_equal(files->sparse.kind, SPARSE_LEXICAL);
    assert_true(files->multi.exists);
    assert_string_equal(files->similarity, "cosine");
    model_files_free(files);

    files = open_as(folder, MODEL_SPARSE);
    assert_string_equal(strrchr(files->sparse.linear.paths[0], '/'),
                        "/sparse_linear.pt");
    assert_string_equal(files->sparse.linear.weight, "weight");
    assert_string_equal(files->sparse.linear.bias, "bias");
    assert_false(files->multi.exists);
    model_files_free(files);

    files = open_as(folder, MODEL_MULTI);
    assert_int_equal(files->sparse.kind, SPARSE_NONE);
    assert_int_equal(files->multi.dense_count, 1);
    assert_true(files->multi.normalize);
    assert_true(files->multi.drop_first);
    assert_int_equal(files->multi.expand_length, 0);
    assert_int_equal(files->multi.skiplist_count, 0);
    model_files_free(files);
}

static void many_documents(void **state) {
    (void)state;
    put("config.json", "{\"architectures\":[\"JinaForRanking\"]}");
    struct model_files *files = open_as(folder, MODEL_RERANK);
    assert_int_equal(files->rerank.kind, RERANK_LISTWISE);
    assert_int_equal(files->rerank.dense_count, 2);
    assert_string_equal(files->rerank.dense[0].activation, "ReLU");
    struct str documents[] = {STR("one <|embed_token|>1"),
                              STR("two<|rerank_<|embed_token|>token|>")};
    struct strbuf text = strbuf_make(&memory);
    rerank_list_text(&files->rerank, "do it", STR("q<|rerank_token|>?"),
                     documents, 2, &text);
    /* format_docs_prompts_func by hand, behind the words of the system */
    const char *user = strstr(text.data, "<|im_start|>user\n");
    assert_string_equal(
        user, "<|im_start|>user\n"
              "I will provide you with 2 passages, each indicated by a "
              "numerical identifier. Rank the passages based on their "
              "relevance to query: q?\n<instruct>\ndo it\n</instruct>\n"
              "<passage id=\"0\">\none 1<|embed_token|>\n</passage>\n"
              "<passage id=\"1\">\ntwo<|embed_token|>\n"
              "</passage>\n<query>\nq?<|rerank_token|>\n</query>"
              "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
    strbuf_free(&text);
    model_files_free(files);
}

static void tasks(void **state) {
    (void)state;
    put("config.json",
        "{\"lora_adaptations\":[\"retrieval.query\",\"separation\"],"
        "\"task_instructions\":{\"retrieval.query\":\"Ask: \"}}");
    struct model_files *files = open_as(folder, MODEL_DENSE);
    const struct model_task *task;
    const char *prompt;
    struct error err = {0};
    assert_int_equal(files->tasks_count, 2);
    assert_true(
        model_files_task(files, "retrieval.query", &task, &prompt, &err));
    assert_ptr_equal(task, &files->tasks[0]);
    assert_string_equal(prompt, "Ask: ");
    assert_true(model_files_task(files, "separation", &task, &prompt, &err));
    assert_null(prompt);
    assert_true(model_files_task(files, NULL, &task, &prompt, &err));
    assert_null(task);
    assert_false(model_files_task(files, "query", &task, &prompt, &err));
    assert_non_null(strstr(err.message, "retrieval.query, separation"));
    model_files_free(files);
}

#define IN_FOLDER(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup, remove_folder)

/* As many words as are read at most, and one more. */
static void many_skipped_words(void **state) {
    (void)state;
    static const char module[] = "sentence_transformers.multi_vector_encoder."
                                 "modules.multi_vector_mask.MultiVectorMask";
    struct strbuf text = strbuf_make(&memory);
    strbuf_printf(&text,
                  "[{\"path\":\"\",\"type\":\"sentence_transformers.base."
                  "modules.transformer.Transformer\"},"
                  "{\"path\":\"1_Mask\",\"type\":\"%s\"}]",
                  module);
    put("modules.json", text.data);
    put("config_sentence_transformers.json",
        "{\"model_type\":\"MultiVectorEncoder\"}");
    strbuf_clear(&text);
    strbuf_printf(&text, "%s/1_Mask", folder);
    assert_true(folder_make(text.data, NULL));
    for (size_t more = 0; more < 2; more++) {
        struct error err = {0};
        strbuf_clear(&text);
        strbuf_printf(&text, "{\"skiplist_words\":[\"w\"");
        for (size_t i = 1; i < MULTI_SKIPLIST_MAX + more; i++)
            strbuf_printf(&text, ",\"w%zu\"", i);
        strbuf_printf(&text, "]}");
        put("1_Mask/config.json", text.data);
        struct model_files *files =
            model_files_open(&memory, folder, NULL, MODEL_MULTI, NULL, &err);
        if (more == 0 && !files)
            fail_msg("%s", err.message);
        if (more == 0)
            assert_int_equal(files->multi.skiplist_count, MULTI_SKIPLIST_MAX);
        else
            assert_non_null(strstr(err.message, "has 4097 words, and the most "
                                                "that are left out are 4096"));
        model_files_free(files);
    }
    strbuf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_library),
        cmocka_unit_test(other_models),
        IN_FOLDER(bge_m3),
        IN_FOLDER(many_documents),
        IN_FOLDER(tasks),
        IN_FOLDER(many_skipped_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
