/* test_heads.c - heads other than a sentence vector against SparseEncoder,
 * CrossEncoder and MultiVectorEncoder of sentence-transformers, and bge-m3's
 * against FlagEmbedding's formulas (tools/models_heads.py): on each instruction
 * set, every text alone and all of them in one batch, resident and streamed. */

#include "model/fixture.h"

#include "base/json.h"

enum { FILE_MAX = 16 << 20, TEXTS_MAX = 16 };

static const struct {
    const char *folder;
    enum model_use use;
} folders[] = {
    {"splade", MODEL_SPARSE},           {"splade_static", MODEL_SPARSE},
    {"splade_plain", MODEL_SPARSE},     {"splade_distil", MODEL_SPARSE},
    {"splade_log_twice", MODEL_SPARSE}, {"splade_roberta", MODEL_SPARSE},
    {"cross_bert", MODEL_RERANK},       {"cross_labels", MODEL_RERANK},
    {"cross_roberta", MODEL_RERANK},    {"cross_deberta", MODEL_RERANK},
    {"cross_jina2", MODEL_RERANK},      {"cross_jina3", MODEL_RERANK},
    {"splade_modern", MODEL_SPARSE},    {"splade_gte", MODEL_SPARSE},
    {"cross_modern", MODEL_RERANK},     {"cross_gte", MODEL_RERANK},
    {"cross_qwen3", MODEL_RERANK},      {"m3", MODEL_DENSE},
    {"colbert", MODEL_MULTI},           {"colbert_deep", MODEL_MULTI},
};
enum { FOLDERS = sizeof folders / sizeof *folders };

/* The texts of a reference, packed. */
struct texts {
    json_t *rows; /* borrowed from REFERENCE */
    json_t *reference;
    uint32_t *ids;
    uint32_t starts[TEXTS_MAX + 1], second[TEXTS_MAX];
    size_t count;
};

static void read_texts(struct texts *t, const char *folder) {
    char path[256];
    struct error err = {0};
    snprintf(path, sizeof path, MODELS "%s/reference-heads.json", folder);
    *t = (struct texts){.reference = json_read_file(path, FILE_MAX, &err)};
    t->rows = json_object_get(t->reference, "rows");
    t->count = json_array_size(t->rows);
    assert_in_range(t->count, 1, TEXTS_MAX);
    for (size_t i = 0; i < t->count; i++) {
        const json_t *row = json_array_get(t->rows, i);
        const json_t *ids = json_object_get(row, "ids");
        const json_t *second = json_object_get(row, "second");
        size_t count = json_array_size(ids);
        t->starts[i + 1] = t->starts[i] + (uint32_t)count;
        t->ids = realloc(t->ids, t->starts[i + 1] * sizeof *t->ids);
        for (size_t k = 0; k < count; k++)
            t->ids[t->starts[i] + k] =
                (uint32_t)json_integer_value(json_array_get(ids, k));
        t->second[i] =
            second ? (uint32_t)json_integer_value(second) : (uint32_t)count;
    }
}

static void free_texts(struct texts *t) {
    json_decref(t->reference);
    free(t->ids);
}

/* Arrays for all that a model can give. */
struct arrays {
    struct encoder_output out;
};

static void make_arrays(struct arrays *a, const struct model_spec *spec,
                        const struct texts *t) {
    size_t tokens = t->starts[t->count];
    *a = (struct arrays){0};
    if (spec->gives & HEAD_DENSE)
        a->out.dense = calloc(t->count * spec->width, sizeof(float));
    if (spec->sparse == SPARSE_LEXICAL)
        a->out.lexical = calloc(tokens, sizeof(float));
    else if (spec->gives & HEAD_SPARSE)
        a->out.splade = calloc(t->count * spec->vocab, sizeof(float));
    if (spec->gives & HEAD_MULTI)
        a->out.multi = calloc(tokens * spec->multi_width, sizeof(float));
    if (spec->gives & HEAD_SCORE)
        a->out.scores = calloc(t->count * spec->labels, sizeof(float));
}

static void free_arrays(struct arrays *a) {
    free(a->out.dense);
    free(a->out.lexical);
    free(a->out.splade);
    free(a->out.multi);
    free(a->out.scores);
}

static void near(const char *what, size_t text, const json_t *want, float got) {
    double value = json_number_value(want);
    if (!(__builtin_fabs(value - (double)got) <= 1e-4))
        fail_msg("%s, text %zu: %.7g, expected %.7g", what, text, (double)got,
                 value);
}

static void compare_row(const char *what, size_t text, const json_t *want,
                        const float *got, size_t count) {
    assert_int_equal(json_array_size(want), count);
    for (size_t i = 0; i < count; i++)
        near(what, text, json_array_get(want, i), got[i]);
}

/* Equal indices: what is not listed is 0. */
static void compare_splade(const char *what, size_t text, const json_t *want,
                           const float *got, size_t vocab) {
    const json_t *indices = json_object_get(want, "indices");
    const json_t *values = json_object_get(want, "values");
    size_t next = 0;
    for (size_t i = 0; i < vocab; i++) {
        json_int_t listed = json_integer_value(json_array_get(indices, next));
        if (next < json_array_size(indices) && (json_int_t)i == listed)
            near(what, text, json_array_get(values, next++), got[i]);
        else if (got[i] != 0)
            fail_msg("%s, text %zu: word %zu has %.7g, expected none", what,
                     text, i, (double)got[i]);
    }
    assert_int_equal(next, json_array_size(indices));
}

static void compare(const char *what, const struct model_spec *spec,
                    const struct texts *t, const struct encoder_output *out) {
    for (size_t i = 0; i < t->count; i++) {
        const json_t *row = json_array_get(t->rows, i);
        size_t first = t->starts[i], rows = t->starts[i + 1] - first;
        if (out->dense)
            compare_row(what, i, json_object_get(row, "dense"),
                        out->dense + i * spec->width, spec->width);
        if (out->lexical)
            compare_row(what, i, json_object_get(row, "lexical"),
                        out->lexical + first, rows);
        if (out->scores)
            compare_row(what, i, json_object_get(row, "scores"),
                        out->scores + i * spec->labels, spec->labels);
        if (out->splade)
            compare_splade(what, i, json_object_get(row, "splade"),
                           out->splade + i * spec->vocab, spec->vocab);
        const json_t *multi = json_object_get(row, "multi");
        for (size_t k = 0; out->multi && k < rows; k++)
            compare_row(what, i, json_array_get(multi, k),
                        out->multi + (first + k) * spec->multi_width,
                        spec->multi_width);
    }
}

/* Text I alone must be the bits that it is among others. */
static void encode_alone(struct encoder *encoder, const struct model_spec *spec,
                         const struct texts *t, const struct arrays *all) {
    for (size_t i = 0; i < t->count; i++) {
        struct error err = {0};
        struct texts one = {.count = 1};
        struct arrays got;
        size_t first = t->starts[i], rows = t->starts[i + 1] - first;
        one.starts[1] = (uint32_t)rows;
        make_arrays(&got, spec, &one);
        struct encoder_batch batch = {.ids = t->ids + first,
                                      .starts = one.starts,
                                      .texts = 1,
                                      .second = t->second + i};
        if (!encoder_encode(encoder, &batch, &got.out, &err))
            fail_msg("%s", err.message);
        if (got.out.splade)
            assert_memory_equal(got.out.splade,
                                all->out.splade + i * spec->vocab,
                                spec->vocab * sizeof(float));
        if (got.out.scores)
            assert_memory_equal(got.out.scores,
                                all->out.scores + i * spec->labels,
                                spec->labels * sizeof(float));
        if (got.out.lexical)
            assert_memory_equal(got.out.lexical, all->out.lexical + first,
                                rows * sizeof(float));
        if (got.out.multi)
            assert_memory_equal(got.out.multi,
                                all->out.multi + first * spec->multi_width,
                                rows * spec->multi_width * sizeof(float));
        free_arrays(&got);
    }
}

static void open_model(struct rig *r, const char *folder, enum model_use use) {
    char path[256];
    struct error err = {0};
    snprintf(path, sizeof path, MODELS "%s", folder);
    r->files = model_files_open(&r->files_memory, path, NULL, use, NULL, &err);
    if (!r->files || !model_spec_read(r->files, &r->spec, &err))
        fail_msg("%s: %s", folder, err.message);
    if (use == MODEL_DENSE &&
        (!model_spec_add_head(r->files, HEAD_SPARSE, &r->spec, &err) ||
         !model_spec_add_head(r->files, HEAD_MULTI, &r->spec, &err)))
        fail_msg("%s: %s", folder, err.message);
    r->deep = *r->files;
}

static void check_folder(size_t number, const char *isa, size_t resident) {
    struct rig r = {0};
    struct error err = {0};
    struct texts t;
    struct arrays a;
    char what[160];
    r.pool = pool_create(&r.memory, 2, &err);
    struct device_options options = {
        .memory = &r.memory, .pool = r.pool, .isa = isa};
    r.device = device_open(&DEVICE_CPU, &options, &err);
    assert_non_null(r.device);
    open_model(&r, folders[number].folder, folders[number].use);
    read_texts(&t, folders[number].folder);
    snprintf(what, sizeof what, "%s on %s, %zu layers resident",
             folders[number].folder, isa, resident);
    struct weights *weights = rig_load(&r, resident);
    struct encoder *e =
        encoder_create(&r.memory, &r.spec, weights, r.device, r.pool, &err);
    struct encoder_budget budget =
        encoder_budget_make(&r.spec, weights_stream(weights), r.device,
                            t.starts[t.count], r.spec.max_length);
    struct encoder_need need;
    assert_true(
        encoder_workspace(&r.spec, NULL, r.device, &budget, &need, &err));
    void *block = device_alloc(r.device, need.bytes, need.charge, NULL, &err);
    encoder_lay_out(e, &budget, block);
    make_arrays(&a, &r.spec, &t);
    struct encoder_batch batch = {
        .ids = t.ids, .starts = t.starts, .texts = t.count, .second = t.second};
    if (!encoder_encode(e, &batch, &a.out, &err))
        fail_msg("%s: %s", what, err.message);
    compare(what, &r.spec, &t, &a.out);
    encode_alone(e, &r.spec, &t, &a);
    free_arrays(&a);
    free_texts(&t);
    encoder_free(e);
    device_release(r.device, block);
    weights_free(weights);
    rig_close(&r);
}

static void heads_are_upstreams(void **state) {
    (void)state;
    const char *isa;
    for (size_t i = 0; (isa = device_isa(NUMBER_F32, i)); i++)
        for (size_t f = 0; f < FOLDERS; f++)
            for (size_t resident = 0; resident <= 2; resident += 2)
                check_folder(f, isa, resident);
}

/* Each tensor of a head is missed by its name. */
static void a_head_needs_its_files(void **state) {
    (void)state;
    struct rig r = {0};
    struct error err = {0};
    char path[256] = MODELS "mean";
    r.files =
        model_files_open(&r.files_memory, path, NULL, MODEL_DENSE, NULL, &err);
    assert_non_null(r.files);
    assert_true(model_spec_read(r.files, &r.spec, &err));
    assert_false(model_spec_add_head(r.files, HEAD_SPARSE, &r.spec, &err));
    assert_int_equal(err.code, ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "no sparse head"));
    assert_false(model_spec_add_head(r.files, HEAD_MULTI, &r.spec, &err));
    assert_non_null(strstr(err.message, "no multi-vector head"));
    model_files_free(r.files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_upstreams),
        cmocka_unit_test(a_head_needs_its_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
