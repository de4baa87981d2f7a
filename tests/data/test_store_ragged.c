/* test_store_ragged.c - stores of sparse rows and of multivectors keep what
 * test_store.c shows of dense ones: every row that the store vouches for is the
 * row that was put in, whatever was cut, changed or killed. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/killed.h"
#include "data/store.h"

enum {
    WIDTH = 3,
    TERMS = 1000,
    ITEMS_MAX = 7,  /* pairs or vectors a row */
    BATCH_MAX = 64, /* rows */
    PATH_BYTES = 400,
};

static struct memory memory;
static char top[] = "/tmp/ens-ragged-XXXXXX";
static unsigned warnings;

static void count_warning(void *context, enum log_level level,
                          const char *message) {
    (void)context;
    (void)message;
    assert_int_equal(level, LOG_WARNING);
    warnings++;
}

static const struct sink sink = {.log = count_warning};

/* ---- text number I, and its row ------------------------------------------ */

static void digest_of(uint64_t i, uint8_t digest[SHA256_BYTES]) {
    hash_sha256((struct str){(const char *)&i, sizeof i}, digest);
}

static size_t count_of(uint64_t i) {
    return (size_t)(i * 5 % (ITEMS_MAX + 1)); /* the first is empty */
}

static uint32_t index_of(uint64_t i, size_t j) {
    return (uint32_t)(i % 90 + 100 * j);
}

static float value_of(uint64_t i, size_t j) {
    return (float)(i * 64 + j) / 8;
}

/* A batch of texts [FIRST, FIRST + COUNT): the last text's items come first,
 * and there is a gap between two texts'. */
struct made {
    struct row_batch batch;
    uint8_t digests[BATCH_MAX][SHA256_BYTES];
    struct row_span spans[BATCH_MAX];
    uint32_t indices[BATCH_MAX * (ITEMS_MAX + 1)];
    float values[BATCH_MAX * (ITEMS_MAX + 1) * WIDTH];
};

static void make_batch(enum row_kind kind, uint64_t first, size_t count,
                       struct made *made) {
    assert_in_range(count, 1, BATCH_MAX);
    size_t floats = kind == ROW_MULTI ? WIDTH : 1, at = 0;
    memset(made, 0x55, sizeof *made);
    for (size_t t = count; t-- > 0;) {
        uint64_t i = first + t;
        digest_of(i, made->digests[t]);
        made->spans[t] = (struct row_span){at, count_of(i)};
        for (size_t j = 0; j < count_of(i); j++)
            made->indices[at + j] = index_of(i, j);
        for (size_t j = 0; j < count_of(i) * floats; j++)
            made->values[at * floats + j] = value_of(i, j);
        at += count_of(i) + 1;
    }
    made->batch = (struct row_batch){
        .kind = kind,
        .width = kind == ROW_SPARSE ? TERMS : WIDTH,
        .count = count,
        .spans = made->spans,
        .indices = kind == ROW_SPARSE ? made->indices : NULL,
        .values = made->values,
    };
}

static bool append(struct store *store, enum row_kind kind, uint64_t first,
                   size_t count, struct error *err) {
    static struct made made;
    make_batch(kind, first, count, &made);
    return store_append_rows(store, made.digests[0], &made.batch, err);
}

static void append_fine(struct store *store, enum row_kind kind, uint64_t first,
                        size_t count) {
    struct error err = {0};
    if (!append(store, kind, first, count, &err))
        fail_msg("%s", err.message);
}

/* ---- stores -------------------------------------------------------------- */

static struct store *open_with(const char *folder, enum row_kind kind,
                               size_t width, bool restart, struct error *err) {
    json_t *fingerprint = json_pack("{s:s}", "commit", "c0ffee");
    struct store_request request = {.folder = folder,
                                    .kind = kind,
                                    .fingerprint = fingerprint,
                                    .isa = "avx2",
                                    .width = width,
                                    .restart = restart,
                                    .sink = &sink};
    warnings = 0;
    struct store *store = store_open(&memory, &request, err);
    json_decref(fingerprint);
    return store;
}

static struct store *open_at(const char *folder, enum row_kind kind) {
    struct error err = {0};
    struct store *store = open_with(
        folder, kind, kind == ROW_SPARSE ? TERMS : WIDTH, false, &err);
    if (!store)
        fail_msg("%s", err.message);
    return store;
}

/* Whether text I is there; if it is, its row is right. */
static bool has(struct store *store, enum row_kind kind, uint64_t i) {
    uint8_t digest[SHA256_BYTES];
    struct row_buffer buffer = {.memory = &memory};
    struct row got;
    bool found;
    uint64_t row;
    digest_of(i, digest);
    assert_true(store_find(store, digest, &found, &row, NULL));
    if (!found)
        return false;
    assert_true(store_read_row(store, row, &buffer, &got, NULL));
    assert_int_equal(got.count, count_of(i));
    size_t floats = got.count * (kind == ROW_MULTI ? WIDTH : 1);
    for (size_t j = 0; kind == ROW_SPARSE && j < got.count; j++)
        assert_int_equal(got.indices[j], index_of(i, j));
    for (size_t j = 0; j < floats; j++)
        assert_true(got.values[j] == value_of(i, j));
    row_buffer_free(&buffer);
    return true;
}

static void holds(struct store *store, enum row_kind kind, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        assert_true(has(store, kind, i));
    assert_false(has(store, kind, count));
    assert_int_equal(store_rows(store), count);
}

static const char *fresh(const char *name) {
    static char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/%s", top, name);
    assert_true(folder_remove(folder, NULL));
    return folder;
}

static const char *in(const char *folder, const char *name) {
    static char paths[4][2 * PATH_BYTES];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* ------------------------------------------------------------------------ */

static void rows_come_back(void **state) {
    (void)state;
    for (enum row_kind kind = ROW_SPARSE; kind <= ROW_MULTI; kind++) {
        const char *folder = fresh("rows");
        struct store *store = open_at(folder, kind);
        holds(store, kind, 0);
        append_fine(store, kind, 0, 1); /* a batch of one empty row */
        holds(store, kind, 1);
        append_fine(store, kind, 1, 5);
        append_fine(store, kind, 6, BATCH_MAX);
        assert_true(store_sync(store, NULL));
        holds(store, kind, 6 + BATCH_MAX);
        store_close(store);
        store = open_at(folder, kind);
        append_fine(store, kind, 6 + BATCH_MAX, 2);
        holds(store, kind, 8 + BATCH_MAX);
        assert_true(store_materialise(store, NULL)); /* nothing to do */
        assert_false(store_is_retired(store));
        assert_int_equal(warnings, 0);
        store_close(store);
    }
    assert_int_equal(memory_live(&memory), 0);
}

/* Rows and a batch that are larger than the pieces in which they are written
 * and checked. */
static void large_rows_come_back(void **state) {
    (void)state;
    enum { VECTORS = 60000, TEXTS = 3 };
    float *values = malloc(VECTORS * WIDTH * sizeof *values);
    assert_non_null(values);
    for (size_t j = 0; j < VECTORS * WIDTH; j++)
        values[j] = (float)(j % 10007);
    const struct row_span spans[TEXTS] = {
        {0, VECTORS}, {17, 1}, {1, VECTORS - 1}};
    uint8_t digests[TEXTS][SHA256_BYTES];
    for (uint64_t i = 0; i < TEXTS; i++)
        digest_of(i, digests[i]);
    struct row_batch batch = {.kind = ROW_MULTI,
                              .width = WIDTH,
                              .count = TEXTS,
                              .spans = spans,
                              .values = values};
    const char *folder = fresh("large");
    struct store *store = open_at(folder, ROW_MULTI);
    assert_true(store_append_rows(store, digests[0], &batch, NULL));
    store_close(store);
    store = open_at(folder, ROW_MULTI);
    assert_int_equal(warnings, 0);
    assert_int_equal(store_rows(store), TEXTS);
    struct row_buffer buffer = {.memory = &memory};
    for (uint64_t i = 0; i < TEXTS; i++) {
        struct row row;
        assert_true(store_read_row(store, i, &buffer, &row, NULL));
        assert_int_equal(row.count, spans[i].count);
        assert_memory_equal(row.values, values + spans[i].first * WIDTH,
                            row.count * WIDTH * sizeof *values);
    }
    row_buffer_free(&buffer);
    store_close(store);
    free(values);
    assert_int_equal(memory_live(&memory), 0);
}

static void other_kinds_are_refused(void **state) {
    (void)state;
    const char *folder = fresh("kinds");
    struct error err = {0};
    struct store *store = open_at(folder, ROW_SPARSE);
    append_fine(store, ROW_SPARSE, 0, 3);
    store_close(store);
    assert_null(open_with(folder, ROW_MULTI, TERMS, false, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(
        strstr(err.message, "kind is \"sparse\" there and \"multi\" now"));
    assert_null(open_with(folder, ROW_DENSE, TERMS, false, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(
        strstr(err.message, "kind is \"sparse\" there and absent now"));
    assert_null(open_with(folder, ROW_SPARSE, TERMS + 1, false, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(strstr(err.message, "width is 1000 there and 1001 now"));
    store = open_at(folder, ROW_SPARSE);
    holds(store, ROW_SPARSE, 3);
    store_close(store);
}

/* A store of dense rows says nothing of kinds, as before there were any. */
static void dense_stores_stay_as_they_were(void **state) {
    (void)state;
    const char *folder = fresh("dense");
    struct store *store = open_with(folder, ROW_DENSE, WIDTH, false, NULL);
    uint8_t digest[SHA256_BYTES];
    const float row[WIDTH] = {1, 2, 3};
    digest_of(0, digest);
    assert_true(store_append(store, digest, row, 1, NULL));
    struct row_buffer buffer = {.memory = &memory};
    struct row got;
    assert_true(store_read_row(store, 0, &buffer, &got, NULL));
    assert_int_equal(got.count, 1);
    assert_memory_equal(got.values, row, sizeof row);
    row_buffer_free(&buffer);
    store_close(store);
    json_t *record = json_load_file(in(folder, "store.json"), 0, NULL);
    assert_non_null(record);
    assert_null(json_object_get(record, "kind"));
    json_decref(record);
    uint64_t bytes;
    assert_true(file_size(in(folder, "digests"), &bytes, NULL));
    assert_int_equal(bytes, SHA256_BYTES);
    assert_true(file_size(in(folder, "rows.f32"), &bytes, NULL));
    assert_int_equal(bytes, sizeof row);
}

/* ---- what a kill or a disk does to the files ----------------------------- */

enum { BATCH = 3, BATCHES = 3, FILES = 3 };
static const char *const log_names[ROW_KINDS][FILES] = {
    [ROW_SPARSE] = {"rows.sparse", "keys", "journal"},
    [ROW_MULTI] = {"rows.multi", "keys", "journal"},
};

/* Bytes of the file up to the end of batch BATCHES. */
static uint64_t bytes_after(enum row_kind kind, int file, uint64_t batches) {
    uint64_t items = 0;
    for (uint64_t i = 0; i < batches * BATCH; i++)
        items += count_of(i);
    return file == 0   ? items * (kind == ROW_SPARSE ? 8 : WIDTH * 4)
           : file == 1 ? batches * BATCH * (SHA256_BYTES + 8)
                       : batches * 48;
}

/* How many batches are whole when the file is sound up to byte AT. */
static uint64_t batches_before(enum row_kind kind, int file, uint64_t at) {
    uint64_t batches = 0;
    while (batches < BATCHES && bytes_after(kind, file, batches + 1) <= at)
        batches++;
    return batches;
}

static void goes_on(const char *folder, enum row_kind kind, uint64_t kept) {
    struct store *store = open_at(folder, kind);
    holds(store, kind, kept * BATCH);
    assert_int_equal(warnings, kept < BATCHES);
    append_fine(store, kind, kept * BATCH, BATCH);
    store_close(store);
    store = open_at(folder, kind);
    holds(store, kind, (kept + 1) * BATCH);
    assert_int_equal(warnings, 0);
    store_close(store);
}

struct file_copy {
    char bytes[4096];
    size_t size;
};

static void read_files(const char *folder, enum row_kind kind,
                       struct file_copy copies[FILES]) {
    for (int f = 0; f < FILES; f++) {
        int fd = open(in(folder, log_names[kind][f]), O_RDONLY);
        ssize_t got = read(fd, copies[f].bytes, sizeof copies[f].bytes);
        assert_in_range(got, 1, sizeof copies[f].bytes - 1);
        copies[f].size = (size_t)got;
        assert_int_equal(got, bytes_after(kind, f, BATCHES));
        close(fd);
    }
}

static void write_files(const char *folder, enum row_kind kind,
                        const struct file_copy copies[FILES]) {
    for (int f = 0; f < FILES; f++) {
        int fd = open(in(folder, log_names[kind][f]), O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, copies[f].bytes, copies[f].size),
                         copies[f].size);
        close(fd);
    }
}

static void any_cut_or_changed_byte_costs_only_its_batch(void **state) {
    (void)state;
    static struct file_copy whole[FILES], harmed[FILES];
    for (enum row_kind kind = ROW_SPARSE; kind <= ROW_MULTI; kind++) {
        const char *folder = fresh("torn");
        struct store *store = open_at(folder, kind);
        for (unsigned b = 0; b < BATCHES; b++)
            append_fine(store, kind, b * BATCH, BATCH);
        store_close(store);
        read_files(folder, kind, whole);
        for (int f = 0; f < FILES; f++)
            for (size_t at = 0; at < whole[f].size; at++)
                for (int cut = 0; cut < 2; cut++) {
                    memcpy(harmed, whole, sizeof whole);
                    if (cut)
                        harmed[f].size = at;
                    else
                        harmed[f].bytes[at] ^= (char)(1 << at % 8);
                    write_files(folder, kind, harmed);
                    goes_on(folder, kind, batches_before(kind, f, at));
                }
    }
}

/* A child that is killed at any moment: what it was told is kept comes through
 * REPORT. */
static void child_appends(const char *folder, int number, int report) {
    enum row_kind kind = (enum row_kind)number;
    struct store *store = open_with(
        folder, kind, kind == ROW_SPARSE ? TERMS : WIDTH, false, NULL);
    if (!store)
        _exit(1);
    for (uint64_t kept = store_rows(store);;) {
        size_t count = 1 + (size_t)(kept % 60);
        if (!append(store, kind, kept, count, NULL))
            _exit(1);
        kept += count;
        if (write(report, &kept, sizeof kept) != sizeof kept)
            _exit(1);
    }
}

static void killed_while_appending(void **state) {
    (void)state;
    for (enum row_kind kind = ROW_SPARSE; kind <= ROW_MULTI; kind++) {
        const char *folder = fresh("killed");
        uint64_t kept = 0, most = 0;
        for (unsigned round = 0; round < 30; round++) {
            if (kept > 4000) {
                store_close(open_with(folder, kind,
                                      kind == ROW_SPARSE ? TERMS : WIDTH, true,
                                      NULL));
                kept = 0;
            }
            kept = run_and_kill(child_appends, folder, (int)kind, round, kept);
            struct store *store = open_at(folder, kind);
            uint64_t there = store_rows(store);
            assert_in_range(there, kept, kept + 60); /* at most a batch */
            holds(store, kind, there);
            store_close(store);
            kept = there;
            most = kept > most ? kept : most;
        }
        assert_true(most > 200);
    }
}

static void unsound_rows_are_told(void **state) {
    (void)state;
    const char *reason;
    const uint32_t good[] = {0, 7, TERMS - 1}, twice[] = {0, 7, 7},
                   wide[] = {0, 7, TERMS}, down[] = {7, 0, 8};
    const float values[] = {1, -2, 0};
    struct row row = {3, good, values};
    assert_true(row_is_sound(ROW_SPARSE, TERMS, &row, &reason));
    const uint32_t *const bad[] = {twice, wide, down};
    for (int b = 0; b < 3; b++) {
        row.indices = bad[b];
        assert_false(row_is_sound(ROW_SPARSE, TERMS, &row, &reason));
        assert_non_null(strstr(reason, "ascend"));
    }
    row.count = 0;
    assert_true(row_is_sound(ROW_SPARSE, TERMS, &row, &reason));
    const float endless[] = {1, 2, 3, 4, 5, 1e30f * 1e30f};
    struct row multi = {1, NULL, endless};
    assert_true(row_is_sound(ROW_MULTI, WIDTH, &multi, &reason));
    multi.count = 2;
    assert_false(row_is_sound(ROW_MULTI, WIDTH, &multi, &reason));
    assert_non_null(strstr(reason, "finite"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(large_rows_come_back),
        cmocka_unit_test(other_kinds_are_refused),
        cmocka_unit_test(dense_stores_stay_as_they_were),
        cmocka_unit_test(any_cut_or_changed_byte_costs_only_its_batch),
        cmocka_unit_test(killed_while_appending),
        cmocka_unit_test(unsound_rows_are_told),
    };
    if (!mkdtemp(top))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    folder_remove(top, NULL);
    return failed;
}
