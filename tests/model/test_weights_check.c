#define _GNU_SOURCE /* memmem */
/* test_weights_check.c - which tensors a config.json asks for: one that is
 * missing, too many or of an adapter that does not fit is said by its name. */

#include <math.h>

#include "model/fixture.h"

/* In the header of the file at PATH, NAME with another first letter. */
static void rename_tensor(const char *path, const char *name) {
    char quoted[300], buffer[1 << 16];
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    size_t count = fread(buffer, 1, sizeof buffer - 1, file);
    const char *at =
        memmem(buffer, count, quoted, strlen(quoted)); /* of the header */
    if (!at)
        fail_msg("%s: no %s", path, name);
    assert_int_equal(fseek(file, at + 1 - buffer, SEEK_SET), 0);
    fputc('~', file);
    assert_int_equal(fclose(file), 0);
}

static void check_missing(const char *folder, size_t rule) {
    struct rig r;
    struct error err = {0};
    char name[256], want[600];
    rig_open(&r, "cpu", 1, folder, 1);
    const char *pattern = r.spec.family->rules[rule].name;
    const char *slot = strstr(pattern, "%zu");
    bool applies = model_spec_has(&r.spec, &r.spec.family->rules[rule], 0);
    if (slot)
        snprintf(name, sizeof name, "%.*s0%s", (int)(slot - pattern), pattern,
                 slot + 3);
    else
        snprintf(name, sizeof name, "%s", pattern);
    if (!weights_check(&r.memory, &r.spec, &r.deep, &err))
        fail_msg("%s", err.message);
    if (applies) {
        rename_tensor(r.path, name);
        snprintf(want, sizeof want, "missing %s; unexpected ~%s", name,
                 name + 1);
        if (weights_check(&r.memory, &r.spec, &r.deep, &err) ||
            err.code != ERROR_INPUT || !strstr(err.message, want))
            fail_msg("%s without %s: %s", folder, name, err.message);
    }
    rig_close(&r);
}

/* The first rule of each tells the prefix, and is as good a missing tensor. */
static void every_tensor_is_missed_by_name(void **state) {
    (void)state;
    static const char *const folders[] = {
        "mean",          "distilbert",      "mpnet",
        "electra_small", "camembert",       "albert",
        "t5_gated",      "jina3",           "jina2",
        "jina2_code",    "deberta",         "qwen2",
        "qwen3",         "llama",           "embeddinggemma",
        "modernbert",    "eurobert_biased", "gte",
        "nomic_bert",    "nomic_moe",       "static_table"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct rig r;
        rig_open(&r, "cpu", 1, folders[i], 0);
        size_t rules = r.spec.family->rules_count;
        rig_close(&r);
        for (size_t rule = 0; rule < rules; rule++)
            check_missing(folders[i], rule);
    }
}

static void a_projection_is_there_where_widths_differ(void **state) {
    (void)state;
    struct rig r;
    struct error err = {0};
    rig_open(&r, "cpu", 1, "electra", 1);
    r.spec.traits |= TRAIT_PROJECTS;
    assert_false(weights_check(&r.memory, &r.spec, &r.deep, &err));
    assert_non_null(strstr(err.message, "missing embeddings_project.weight"));
    rig_close(&r);
    rig_open(&r, "cpu", 1, "electra_small", 1);
    r.spec.traits &= ~(unsigned)TRAIT_PROJECTS;
    assert_false(weights_check(&r.memory, &r.spec, &r.deep, &err));
    assert_non_null(strstr(err.message, "unexpected embeddings_project."));
    rig_close(&r);
}

/* The file has three tasks of rank 5. */
static void adapters_must_fit_the_config(void **state) {
    (void)state;
    struct rig r;
    struct error err = {0};
    rig_open(&r, "cpu", 1, "jina3_lora", 0);
    assert_true(weights_check(&r.memory, &r.spec, &r.deep, &err));
    r.spec.lora_rank = 4;
    assert_false(weights_check(&r.memory, &r.spec, &r.deep, &err));
    assert_non_null(strstr(err.message, "word_embeddings.parametrizations"));
    r.spec.lora_rank = 5;
    r.spec.lora_tasks = 2;
    assert_false(weights_check(&r.memory, &r.spec, &r.deep, &err));
    assert_non_null(strstr(err.message, "2 tasks"));
    r.spec.lora_rank = 0;
    assert_false(weights_check(&r.memory, &r.spec, &r.deep, &err));
    assert_non_null(strstr(err.message, "unexpected"));
    rig_close(&r);
}

#define JINA4 MODELS "jina4/adapters/"

/* jina4 with adapter_config.json as TEXT, at PATH. */
static bool read_adapters(struct rig *r, const char *text, char *path,
                          struct error *err) {
    static const struct model_task tasks[] = {
        {"retrieval", NULL}, {"text-matching", NULL}, {"code", NULL}};
    FILE *file = fdopen(mkstemp(path), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    rig_open_device(r, "cpu", 1, NULL);
    rig_read(r, "jina4");
    r->deep.adapter_path = JINA4 "adapter_model.safetensors";
    r->deep.adapter_config_path = path;
    r->deep.tasks = tasks;
    r->deep.tasks_count = 3;
    return model_spec_read(&r->deep, &r->spec, err) &&
           weights_check(&r->memory, &r->spec, &r->deep, err);
}

static void adapters_in_a_file_are_read_or_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *word;
        enum error_code code; /* ERROR_NONE: fine, with this scale */
        float scale;
    } cases[] = {
        {"{\"r\": 3, \"lora_alpha\": 6}", "", ERROR_NONE, 2},
        {"{\"r\": 3, \"lora_alpha\": 6, \"use_rslora\": true}", "", ERROR_NONE,
         3.4641016f},
        {"{\"r\": 4, \"lora_alpha\": 6}", "rank 4", ERROR_INPUT, 0},
        {"{\"lora_alpha\": 6}", "\"r\"", ERROR_INPUT, 0},
        {"{\"r\": 3, \"peft_type\": \"IA3\"}", "peft_type", ERROR_UNSUPPORTED,
         0},
        {"{\"r\": 3, \"bias\": \"all\"}", "bias", ERROR_UNSUPPORTED, 0},
        {"{\"r\": 3, \"use_dora\": true}", "use_dora", ERROR_UNSUPPORTED, 0},
        {"{\"r\": 3, \"lora_bias\": true}", "lora_bias", ERROR_UNSUPPORTED, 0},
        {"{\"r\": 3, \"fan_in_fan_out\": true}", "fan_in_fan_out",
         ERROR_UNSUPPORTED, 0},
        {"{\"r\": 3, \"rank_pattern\": {\"q_proj\": 8}}", "rank_pattern",
         ERROR_UNSUPPORTED, 0},
        {"{\"r\": 3, \"alpha_pattern\": {\"q_proj\": 8}}", "alpha_pattern",
         ERROR_UNSUPPORTED, 0},
        {"{\"r\": 3, \"modules_to_save\": [\"norm\"]}", "modules_to_save",
         ERROR_UNSUPPORTED, 0},
        {"[]", "object", ERROR_INPUT, 0},
        {"{", "", ERROR_INPUT, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        struct error err = {0};
        char path[] = "/tmp/ensembed-test-XXXXXX";
        bool fine = read_adapters(&r, cases[i].text, path, &err);
        if (fine != (cases[i].code == ERROR_NONE) ||
            err.code != cases[i].code || !strstr(err.message, cases[i].word))
            fail_msg("%s: %s", cases[i].text, err.message);
        if (fine)
            assert_true(fabsf(r.spec.lora_scale - cases[i].scale) < 1e-6f);
        unlink(path);
        rig_close(&r);
    }
}

/* As many tasks as the config names, or none. */
static void adapters_of_all_tasks_are_there(void **state) {
    (void)state;
    static const struct model_task other[] = {
        {"retrieval", NULL}, {"poetry", NULL}, {"code", NULL}};
    struct rig r;
    struct error err = {0};
    char path[] = "/tmp/ensembed-test-XXXXXX";
    assert_true(read_adapters(&r, "{\"r\": 3}", path, &err));
    r.deep.tasks = other;
    assert_false(weights_check(&r.memory, &r.spec, &r.deep, &err));
    assert_non_null(strstr(err.message, "2 of 3 tasks"));
    r.deep.tasks_count = r.spec.lora_tasks = 1;
    assert_false(weights_check(&r.memory, &r.spec, &r.deep, &err));
    assert_non_null(strstr(err.message, "lora_A.code.weight"));
    unlink(path);
    rig_close(&r);
}

/* A classifier of texts is told where it belongs, and one of tokens is not
 * read. */
static void classifiers_beside_a_dense_model(void **state) {
    (void)state;
    struct rig r;
    struct error err = {0};
    rig_open(&r, "cpu", 1, "cross_bert", 0);
    assert_false(weights_check(&r.memory, &r.spec, &r.deep, &err));
    assert_non_null(strstr(err.message, "goes to --rerank"));
    json_t *config = json_deep_copy(r.deep.config);
    json_object_set_new(config, "architectures",
                        json_pack("[s]", "BertForTokenClassification"));
    r.deep.config = config; /* now the rig's to free */
    if (!weights_check(&r.memory, &r.spec, &r.deep, &err))
        fail_msg("%s", err.message);
    rig_close(&r);
}

/* static_folded's file: 50 rows, of which "mapping" makes those of all words.
 */
#define FOLDED MODELS "static_folded/0_StaticEmbedding/model.safetensors"

static void is_refused(struct rig *r, const char *word, enum error_code code) {
    struct error err = {0};
    if (weights_check(&r->memory, &r->spec, &r->deep, &err) ||
        err.code != code || !strstr(err.message, word))
        fail_msg("expected %s, %s: %s", error_name(code), word, err.message);
}

/* At PATH a copy of it, where in the header TO stands for FROM (as long), and
 * where the COUNT bytes at PLACE of the mapping are VALUE. */
static void copy_folded(const char *path, const char *from, const char *to,
                        size_t place, const void *value, size_t count) {
    static char bytes[1 << 16];
    static const char named[] = "\"mapping\"";
    FILE *file = fopen(FOLDED, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    json_t *tensors = json_loadb(bytes + 8, header, 0, NULL);
    const json_t *mapping = json_object_get(tensors, "mapping");
    json_int_t at = json_integer_value(
        json_array_get(json_object_get(mapping, "data_offsets"), 0));
    memcpy(bytes + 8 + header + at + place, value, count);
    char *name = memmem(bytes, header, named, strlen(named));
    char *found = name ? memmem(name, header, from, strlen(from)) : NULL;
    assert_non_null(found);
    memcpy(found, to, strlen(to));
    file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    json_decref(tensors);
}

static void a_folded_table_must_fit(void **state) {
    (void)state;
    static const int64_t past = 50, before = -1, last = 49;
    struct rig r;
    char path[] = "/tmp/ensembed-test-XXXXXX";
    const char *paths[] = {path};
    struct error err = {0};
    close(mkstemp(path));
    rig_open(&r, "cpu", 1, "static_folded", 0);
    assert_true(weights_check(&r.memory, &r.spec, &r.deep, &err));
    r.spec.folded_rows = 49;
    is_refused(&r, "[50, 12]", ERROR_INPUT);
    r.spec.folded_rows = 0; /* then the other two are nobody's */
    is_refused(&r, "embeddings", ERROR_INPUT);
    r.spec.folded_rows = 50;
    r.spec.vocab--;
    is_refused(&r, "mapping", ERROR_INPUT);
    r.spec.vocab++;
    r.deep.weights = paths;
    size_t end = (r.spec.vocab - 1) * sizeof past;
    copy_folded(path, "I64", "I64", end, &last, sizeof last);
    assert_true(weights_check(&r.memory, &r.spec, &r.deep, &err));
    copy_folded(path, "I64", "I64", end, &past, sizeof past);
    is_refused(&r, "row 50, and the table has 50", ERROR_INPUT);
    copy_folded(path, "I64", "I64", 0, &before, sizeof before);
    is_refused(&r, "word 0 is row -1", ERROR_INPUT);
    copy_folded(path, "I64", "F64", 0, &last, sizeof last);
    is_refused(&r, "mapping is F64; I64 and I32", ERROR_UNSUPPORTED);
    copy_folded(path, "F64", "I64", 0, &last, sizeof last); /* the weights' */
    is_refused(&r, "weights is I64; F64", ERROR_UNSUPPORTED);
    unlink(path);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_is_missed_by_name),
        cmocka_unit_test(a_projection_is_there_where_widths_differ),
        cmocka_unit_test(adapters_must_fit_the_config),
        cmocka_unit_test(adapters_in_a_file_are_read_or_refused),
        cmocka_unit_test(adapters_of_all_tasks_are_there),
        cmocka_unit_test(a_folded_table_must_fit),
        cmocka_unit_test(classifiers_beside_a_dense_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
