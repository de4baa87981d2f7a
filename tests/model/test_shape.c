/* test_shape.c - sizes from a config alone: equal to what transformers counts
 * (tools/shape_oracle.py) and to what a folder's own files hold. */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/tensors.h"
#include "model/shape.h"

#define MODELS "tests/fixtures/models/"
#define SHAPES "tests/fixtures/shapes/"

static struct shape shape_at(const char *path) {
    struct memory memory = {0};
    struct shape shape;
    struct error err = {0};
    if (!shape_read(&memory, path, &shape, &err))
        fail_msg("%s", err.message);
    assert_int_equal(memory_live(&memory), 0);
    return shape;
}

static void parameters_are_those_of_transformers(void **state) {
    (void)state;
    FILE *file = fopen(SHAPES "parameters.txt", "r");
    assert_non_null(file);
    char name[64], path[128];
    uint64_t tables, layer, whole;
    int shapes = 0;
    for (; fscanf(file, "%63s %" SCNu64 " %" SCNu64 " %" SCNu64, name, &tables,
                  &layer, &whole) == 4;
         shapes++) {
        snprintf(path, sizeof path, SHAPES "%s.json", name);
        struct shape s = shape_at(path);
        assert_int_equal(s.table_count, tables);
        assert_int_equal(s.layer_count, layer);
        assert_int_equal(s.table_count + s.layers * s.layer_count, whole);
        assert_int_equal(shape_weights_bytes(&s, s.layers, false, 2),
                         2 * whole);
    }
    fclose(file);
    assert_int_equal(shapes, 7);
}

/* Of all tensors in the folder's weights: those that an encoder reads. BERT's
 * position_ids are whole numbers, Llama's inv_freq no weights. */
static uint64_t elements_in(const char *path) {
    struct memory memory = {0};
    struct error err = {0};
    const char *paths[] = {path};
    struct tensors *st = tensors_open(&memory, paths, 1, &err);
    if (!st)
        fail_msg("%s", err.message);
    uint64_t sum = 0;
    for (size_t i = 0; i < tensors_count(st); i++)
        if (!strstr(tensors_at(st, i)->name, "pooler") &&
            !strstr(tensors_at(st, i)->name, "inv_freq") &&
            (tensors_at(st, i)->dtype == TENSOR_F32 ||
             tensors_at(st, i)->dtype == TENSOR_BF16))
            sum += tensors_at(st, i)->elements;
    tensors_close(st);
    return sum;
}

static struct shape own_shape(const char *folder, enum model_use use) {
    struct memory memory = {0};
    struct error err = {0};
    struct model_spec spec;
    struct shape shape;
    struct model_files *files =
        model_files_open(&memory, folder, NULL, use, NULL, &err);
    if (!files || !model_spec_read(files, &spec, &err))
        fail_msg("%s", err.message);
    shape_of_spec(&spec, &shape);
    model_files_free(files);
    return shape;
}

static void is_same(const struct shape *a, const struct shape *b) {
    assert_int_equal(a->hidden, b->hidden);
    assert_int_equal(a->layers, b->layers);
    assert_int_equal(a->heads, b->heads);
    assert_int_equal(a->kv_heads, b->kv_heads);
    assert_int_equal(a->head_dim, b->head_dim);
    assert_int_equal(a->inter, b->inter);
    assert_int_equal(a->vocab, b->vocab);
    assert_int_equal(a->gated, b->gated);
    assert_int_equal(a->embedding, b->embedding);
    assert_int_equal(a->table_count, b->table_count);
    assert_int_equal(a->layer_count, b->layer_count);
    assert_int_equal(a->width, b->width);
}

static void own_shape_is_what_the_files_hold(void **state) {
    (void)state;
    static const char *const folders[] = {"mean",
                                          "cls",
                                          "pooler",
                                          "cased",
                                          "mpnet",
                                          "electra_wide",
                                          "electra_small",
                                          "roberta_pad",
                                          "xlm_roberta",
                                          "camembert",
                                          "albert",
                                          "t5_long",
                                          "jina3",
                                          "deberta_plain",
                                          "jina2",
                                          "jina2_code",
                                          "qwen2_sliding",
                                          "qwen3_linear",
                                          "llama",
                                          "mistral",
                                          "gemma3",
                                          "modernbert_biased",
                                          "eurobert_biased",
                                          "nomic_bert",
                                          "nomic_plain",
                                          "nomic_moe"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char folder[128], config[160], weights[160];
        snprintf(folder, sizeof folder, MODELS "%s", folders[i]);
        snprintf(config, sizeof config, "%s/config.json", folder);
        snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
        struct shape own = own_shape(folder, MODEL_DENSE);
        struct shape read = shape_at(config);
        assert_int_equal(own.table_count + own.layers * own.layer_count,
                         elements_in(weights));
        /* a config says nothing of pooling, and three vectors may be one */
        assert_int_equal(read.width, own.hidden);
        assert_int_equal(own.width % own.hidden, 0);
        read.width = own.width;
        is_same(&own, &read);
    }
    struct shape table = own_shape(MODELS "static_table", MODEL_DENSE);
    assert_int_equal(table.layers + table.layer_count, 0);
    assert_int_equal(table.table_count,
                     elements_in(MODELS "static_table/model.safetensors"));
    struct shape dense = own_shape(MODELS "dense", MODEL_DENSE);
    assert_int_equal(dense.table_count + dense.layers * dense.layer_count,
                     elements_in(MODELS "dense/model.safetensors") +
                         elements_in(MODELS "dense/2_Dense/model.safetensors"));
    struct shape deep = own_shape(MODELS "colbert_deep", MODEL_MULTI);
    uint64_t held = elements_in(MODELS "colbert_deep/model.safetensors");
    for (int i = 1; i <= 3; i++) {
        char path[128];
        snprintf(path, sizeof path,
                 MODELS "colbert_deep/%d_Dense/model.safetensors", i);
        held += elements_in(path);
    }
    assert_int_equal(deep.table_count + deep.layers * deep.layer_count, held);
}

static void bytes_follow_the_formula(void **state) {
    (void)state;
    struct shape s = shape_at(SHAPES "jina-code-embeddings-1.5b.json");
    assert_int_equal(shape_weights_bytes(&s, 0, false, 2), 2 * s.table_count);
    assert_int_equal(shape_weights_bytes(&s, 5, true, 2),
                     2 * (s.table_count + 7 * s.layer_count));
    assert_int_equal(shape_weights_bytes(&s, 1000, false, 4),
                     4 * (s.table_count + 28 * s.layer_count));
    /* hidden 1536, gated inter 8960, 12 heads of 128; Q K V and context (28 *
     * 128) are less than the block's inside. */
    uint64_t tokens = 4096, longest = 512;
    assert_int_equal(shape_workspace_bytes(&s, tokens, longest, 2),
                     tokens * 1536 * 4 + tokens * 1536 * 2 +
                         tokens * 2 * 8960 * 2 + 12 * longest * 130 * 4 +
                         tokens * 4 + (tokens + 1) * 4 + tokens * 1536 * 4);
    /* hidden 1024, inter 4096 = Q K V and context, 16 heads of 64 */
    s = shape_at(SHAPES "bge-m3.json");
    assert_int_equal(shape_workspace_bytes(&s, 1, 1, 4),
                     1024 * 4 + 1024 * 4 + 4096 * 4 + 16 * 66 * 4 + 4 + 8 +
                         1024 * 4);
    s.inter = 64;
    assert_int_equal(shape_workspace_bytes(&s, 1, 1, 4),
                     1024 * 4 + 1024 * 4 + 4096 * 4 + 16 * 66 * 4 + 4 + 8 +
                         1024 * 4);
}

/* docs/sim.md's table. */
static void a_token_takes_what_the_manual_says(void **state) {
    (void)state;
    static const struct {
        const char *path;
        uint64_t bytes;
    } rows[] = {
        {SHAPES "jina-code-embeddings-1.5b.json", 51208},
        {SHAPES "bge-m3.json", 18440},
        {SHAPES "qwen3-embedding-0.6b.json", 22536},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct shape s = shape_at(rows[i].path);
        assert_int_equal(shape_workspace_bytes(&s, 1001, 512, 2) -
                             shape_workspace_bytes(&s, 1000, 512, 2),
                         rows[i].bytes);
    }
}

static void what_does_not_fit_is_the_greatest_number(void **state) {
    (void)state;
    struct shape s = shape_at(SHAPES "bge-m3.json");
    assert_int_equal(shape_workspace_bytes(&s, SIZE_MAX, 1, 2), UINT64_MAX);
    assert_int_equal(shape_workspace_bytes(&s, 1, SIZE_MAX, 2), UINT64_MAX);
    assert_int_equal(shape_weights_bytes(&s, 24, false, SIZE_MAX), UINT64_MAX);
    s.layer_count = UINT64_MAX;
    assert_int_equal(shape_weights_bytes(&s, 1, false, 1), UINT64_MAX);
}

#define SIZES                                                                  \
    "\"hidden_size\": 8, \"num_hidden_layers\": 2, \"num_attention_heads\": "  \
    "2, \"intermediate_size\": 16, \"vocab_size\": 10"
#define REST "\"max_position_embeddings\": 12"

static void configs_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *text, *word;
        enum error_code code;
    } cases[] = {
        {"{\"model_type\": \"bert\", " SIZES
         ", \"max_position_embeddings\": 0}",
         "max_position_embeddings", ERROR_INPUT},
        {"{" SIZES ", " REST "}", "model_type", ERROR_INPUT},
        {"{\"model_type\": \"mamba\", " SIZES ", " REST "}", "mamba",
         ERROR_UNSUPPORTED},
        {"{\"model_type\": 7, " SIZES ", " REST "}", "model_type", ERROR_INPUT},
        {"{\"model_type\": \"qwen3\", " SIZES ", " REST ", \"head_dim\": -1}",
         "head_dim", ERROR_INPUT},
        {"{\"model_type\": \"qwen3\", " SIZES ", " REST
         ", \"head_dim\": 16777217}",
         "too large", ERROR_INPUT},
        {"{\"model_type\": \"qwen3\", " SIZES ", " REST
         ", \"num_key_value_heads\": 0}",
         "num_key_value_heads", ERROR_INPUT},
        {"{\"model_type\": \"qwen3\", \"hidden_size\": 16777216, "
         "\"num_hidden_layers\": 512, \"num_attention_heads\": 16777216, "
         "\"head_dim\": 256, \"intermediate_size\": 16, \"vocab_size\": "
         "16, " REST "}",
         "64 bits", ERROR_INPUT},
        {"{\"model_type\": \"bert\", \"hidden_size\": 8, "
         "\"num_hidden_layers\": 5000}",
         "num_hidden_layers", ERROR_INPUT},
        {"{\"model_type\": \"bert\", \"hidden_size\": \"8\"}", "hidden_size",
         ERROR_INPUT},
        {"[]", "object", ERROR_INPUT},
        {"{", "", ERROR_INPUT},
        {"", "", ERROR_INPUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[] = "/tmp/ensembed-test-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        FILE *file = fdopen(fd, "w");
        fputs(cases[i].text, file);
        fclose(file);
        struct memory memory = {0};
        struct shape shape;
        struct error err = {0};
        if (shape_read(&memory, path, &shape, &err) ||
            err.code != cases[i].code || !strstr(err.message, cases[i].word) ||
            !strstr(err.message, path))
            fail_msg("%s: %s", cases[i].text, err.message);
        unlink(path);
    }
    struct shape shape;
    struct error err = {0};
    assert_false(shape_read(NULL, "tests/fixtures/none.json", &shape, &err));
    assert_non_null(strstr(err.message, "none.json"));
}

/* What a config leaves out. */
static void defaults_are_those_of_transformers(void **state) {
    (void)state;
    char path[] = "/tmp/ensembed-test-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    fputs("{\"model_type\": \"qwen2\", \"head_dim\": null, "
          "\"num_key_value_heads\": null, " SIZES ", " REST "}",
          file);
    fclose(file);
    struct shape s = shape_at(path);
    assert_int_equal(s.head_dim, 4);
    assert_int_equal(s.kv_heads, 2);
    assert_true(s.gated);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_those_of_transformers),
        cmocka_unit_test(own_shape_is_what_the_files_hold),
        cmocka_unit_test(bytes_follow_the_formula),
        cmocka_unit_test(a_token_takes_what_the_manual_says),
        cmocka_unit_test(what_does_not_fit_is_the_greatest_number),
        cmocka_unit_test(configs_are_refused_by_name),
        cmocka_unit_test(defaults_are_those_of_transformers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
