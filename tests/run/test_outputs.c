/* test_outputs.c - whole runs with sparse and late-interaction heads: what is
 * in the files against upstream's encode_document and FlagEmbedding's formulas
 * (tools/outputs_oracle.py), on the CPU and on a simulated card, alone and
 * sharing a pass, in large and small batches, cut and in windows; by each
 * instruction set what sums over a text's tokens, whose bits no batch changes.
 */

#include <unistd.h>

#include "data/csr.h"
#include "data/multi.h"
#include "run/reference.h"

#define OUTPUTS "tests/fixtures/outputs/"

/* How a model is run. */
struct way {
    bool dense, sparse, multi; /* its heads */
    const char *devices;
    size_t budget;
    const char *isa; /* NULL: best */
};

static void run(const char *folder, const char *model, const json_t *overlap,
                const struct way *way) {
    struct run_result result;
    run_one_model(folder, model, way->budget,
                  (struct run_options){
                      .models_count = way->dense,
                      .sparse_count = way->sparse,
                      .multi_count = way->multi,
                      .devices = way->devices,
                      .isa = way->isa,
                      .long_texts = {json_is_integer(overlap),
                                     (size_t)json_integer_value(overlap)}},
                  &result);
    const json_t *collection =
        json_array_get(json_object_get(result.summary, "collections"), 0);
    assert_int_equal(json_array_size(json_object_get(collection, "passes")), 1);
    run_result_free(&result);
}

static void near(const char *name, size_t row, double want, double have) {
    if (!(__builtin_fabs(want - have) <= 1e-4))
        fail_msg("%s, text %zu: %.9g, not %.9g", name, row, have, want);
}

static void compare_sparse(const char *name, size_t row, const json_t *want,
                           const struct csr_row *have) {
    const json_t *indices = json_object_get(want, "indices");
    const json_t *values = json_object_get(want, "values");
    assert_int_equal(have->count, json_array_size(indices));
    for (size_t i = 0; i < have->count; i++) {
        assert_int_equal(csr_index(have, i),
                         json_integer_value(json_array_get(indices, i)));
        near(name, row, json_number_value(json_array_get(values, i)),
             (double)have->values[i]);
    }
}

static void open_sparse(struct csr_map *csr, const char *folder,
                        const char *model, struct memory *memory) {
    char path[192];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/out/chunks/%s.sparse.npz", folder, model);
    if (!csr_map_open(csr, path, memory, &err))
        fail_msg("%s", err.message);
}

static void check_sparse(const char *folder, const char *model,
                         const json_t *rows) {
    struct memory memory = {0};
    struct csr_map csr;
    struct csr_row have;
    struct error err = {0};
    open_sparse(&csr, folder, model, &memory);
    assert_int_equal(csr.rows, json_array_size(rows));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        assert_true(csr_map_row(&csr, i, &have, &err));
        compare_sparse(model, i,
                       json_object_get(json_array_get(rows, i), "sparse"),
                       &have);
    }
    csr_map_close(&csr);
}

static void check_multi(const char *folder, const char *model,
                        const json_t *rows) {
    char vectors[192], offsets[192];
    struct multi_map map;
    struct error err = {0};
    snprintf(vectors, sizeof vectors, "%s/out/chunks/%s.multi.npy", folder,
             model);
    snprintf(offsets, sizeof offsets, "%s/out/chunks/%s.multi.offsets.npy",
             folder, model);
    if (!multi_map_open(&map, vectors, offsets, &err))
        fail_msg("%s", err.message);
    assert_int_equal(map.points, json_array_size(rows));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *want = json_object_get(json_array_get(rows, i), "multi");
        const float *have;
        size_t count;
        assert_true(multi_map_row(&map, i, &have, &count, &err));
        assert_int_equal(count, json_array_size(want));
        for (size_t k = 0; k < count; k++)
            for (size_t d = 0; d < map.vectors.width; d++)
                near(model, i,
                     json_number_value(
                         json_array_get(json_array_get(want, k), d)),
                     (double)have[k * map.vectors.width + d]);
    }
    multi_map_close(&map);
}

static void check_dense(const char *folder, const json_t *rows) {
    char path[192];
    struct npy_map map;
    struct error err = {0};
    snprintf(path, sizeof path, "%s/out/chunks/embeddings.npy", folder);
    if (!npy_map_open(&map, path, &err))
        fail_msg("%s", err.message);
    assert_int_equal(map.rows, json_array_size(rows));
    for (size_t i = 0; i < json_array_size(rows); i++)
        for (size_t d = 0; d < map.width; d++)
            near("dense", i,
                 json_number_value(json_array_get(
                     json_object_get(json_array_get(rows, i), "dense"), d)),
                 (double)map.data[i * map.width + d]);
    npy_map_close(&map);
}

static json_t *read_reference(const char *file) {
    char path[128];
    snprintf(path, sizeof path, OUTPUTS "%s", file);
    return read_json(path);
}

static void drop_folder(const char *folder) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static void check_case(const char *file, const struct way *way) {
    char folder[] = "/tmp/ensembed-outputs-XXXXXX";
    json_t *reference = read_reference(file);
    const json_t *rows = json_object_get(reference, "rows");
    const char *model = json_string_value(json_object_get(reference, "model"));
    assert_non_null(mkdtemp(folder));
    write_chunks(folder, json_object_get(reference, "texts"));
    run(folder, model, json_object_get(reference, "overlap"), way);
    if (way->dense)
        check_dense(folder, rows);
    if (way->sparse)
        check_sparse(folder, model, rows);
    if (way->multi)
        check_multi(folder, model, rows);
    drop_folder(folder);
    json_decref(reference);
}

static void splade_rows_are_upstreams(void **state) {
    (void)state;
    static const char *const files[] = {"splade.json", "splade_distil.json",
                                        "splade_log_twice.json",
                                        "splade-5.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        check_case(files[i], &(struct way){.sparse = true, .devices = "cpu"});
        check_case(files[i], &(struct way){.sparse = true,
                                           .devices = "sim:a=64MB",
                                           .budget = 70});
    }
}

static void each_isa_sums_as_upstream(void **state) {
    (void)state;
    const char *isa;
    for (size_t i = 0; (isa = device_isa(NUMBER_F32, i)); i++)
        check_case("splade_distil.json",
                   &(struct way){.sparse = true, .devices = "cpu", .isa = isa});
}

static void assert_same_rows(const struct csr_map *a, const struct csr_map *b) {
    struct csr_row x, y;
    assert_int_equal(a->rows, b->rows);
    for (size_t i = 0; i < a->rows; i++) {
        assert_true(csr_map_row(a, i, &x, NULL));
        assert_true(csr_map_row(b, i, &y, NULL));
        assert_int_equal(x.count, y.count);
        for (size_t k = 0; k < x.count; k++)
            assert_int_equal(csr_index(&x, k), csr_index(&y, k));
        assert_memory_equal(x.values, y.values, x.count * sizeof *x.values);
    }
}

/* Where a text's rows are decoded in pieces depends on what stands before it.
 */
static void sums_are_the_same_in_any_batch(void **state) {
    (void)state;
    static const struct way ways[] = {
        {.sparse = true, .devices = "cpu"},
        {.sparse = true, .devices = "cpu", .budget = 1}};
    char folders[2][32];
    struct csr_map maps[2];
    struct memory memory = {0};
    json_t *reference = read_reference("splade_distil.json");
    for (size_t i = 0; i < 2; i++) {
        strcpy(folders[i], "/tmp/ensembed-outputs-XXXXXX");
        assert_non_null(mkdtemp(folders[i]));
        write_chunks(folders[i], json_object_get(reference, "texts"));
        run(folders[i], "splade_distil", NULL, &ways[i]);
        open_sparse(&maps[i], folders[i], "splade_distil", &memory);
    }
    assert_same_rows(&maps[0], &maps[1]);
    for (size_t i = 0; i < 2; i++) {
        csr_map_close(&maps[i]);
        drop_folder(folders[i]);
    }
    json_decref(reference);
}

static void colbert_rows_are_upstreams(void **state) {
    (void)state;
    check_case("colbert.json", &(struct way){.multi = true, .devices = "cpu"});
    check_case(
        "colbert.json",
        &(struct way){.multi = true, .devices = "sim:a=64MB", .budget = 70});
}

/* One pass, whichever heads are wanted of it. */
static void m3_gives_all_heads_at_once(void **state) {
    (void)state;
    static const struct way ways[] = {
        {true, true, true, "cpu", 0, NULL},
        {true, true, true, "cpu", 1, NULL},
        {true, true, true, "sim:a=64MB", 90, NULL},
        {false, true, true, "cpu", 0, NULL},
        {true, false, true, "cpu", 0, NULL},
        {true, true, false, "cpu", 0, NULL},
        {false, true, false, "cpu", 0, NULL},
        {false, false, true, "cpu", 0, NULL}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        check_case("m3.json", &ways[i]);
        check_case("m3-5.json", &ways[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splade_rows_are_upstreams),
        cmocka_unit_test(each_isa_sums_as_upstream),
        cmocka_unit_test(sums_are_the_same_in_any_batch),
        cmocka_unit_test(colbert_rows_are_upstreams),
        cmocka_unit_test(m3_gives_all_heads_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
