/* store_fixture.h - stores in folders of their own, whose rows are known by
 * their texts' numbers. */

#ifndef TESTS_DATA_STORE_FIXTURE_H
#define TESTS_DATA_STORE_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/npy.h"
#include "data/store.h"

enum { WIDTH = 3, PATH_BYTES = 400 };

static struct memory memory;
static char top[] = "/tmp/ens-store-XXXXXX";

/* The log lines of the store that was opened last. */
static unsigned warnings;
static char warning[2048];

static inline void count_warning(void *context, enum log_level level,
                                 const char *message) {
    (void)context;
    assert_int_equal(level, LOG_WARNING);
    warnings++;
    snprintf(warning, sizeof warning, "%s", message);
}

static const struct sink sink = {.log = count_warning};

/* Text number I, and its row. */
static inline void digest_of(uint64_t i, uint8_t digest[SHA256_BYTES]) {
    hash_sha256((struct str){(const char *)&i, sizeof i}, digest);
}

static inline void row_of(uint64_t i, float row[WIDTH]) {
    for (unsigned c = 0; c < WIDTH; c++)
        row[c] = (float)(i * WIDTH + c) / 8;
}

static inline struct store *open_with(const char *folder, const char *commit,
                                      size_t width, bool restart,
                                      struct error *err) {
    json_t *fingerprint = json_pack("{s:s, s:i, s:b}", "commit", commit,
                                    "max_length", 256, "normalize", 1);
    struct store_request request = {.folder = folder,
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

static inline struct store *open_at(const char *folder) {
    struct error err = {0};
    struct store *store = open_with(folder, "c0ffee", WIDTH, false, &err);
    if (!store)
        fail_msg("%s", err.message);
    return store;
}

/* Texts [first, first + count). */
static inline bool append(struct store *store, uint64_t first, size_t count,
                          struct error *err) {
    uint8_t digests[64][SHA256_BYTES];
    float rows[64][WIDTH];
    assert_in_range(count, 1, 64);
    for (size_t i = 0; i < count; i++) {
        digest_of(first + i, digests[i]);
        row_of(first + i, rows[i]);
    }
    return store_append(store, digests[0], rows[0], count, err);
}

static inline void append_fine(struct store *store, uint64_t first,
                               size_t count) {
    struct error err = {0};
    if (!append(store, first, count, &err))
        fail_msg("%s", err.message);
}

/* Whether text I is there; if it is, its row is right. */
static inline bool has(struct store *store, uint64_t i) {
    uint8_t digest[SHA256_BYTES];
    bool found;
    uint64_t row;
    float got[WIDTH], expected[WIDTH];
    digest_of(i, digest);
    row_of(i, expected);
    assert_true(store_find(store, digest, &found, &row, NULL));
    if (!found)
        return false;
    assert_true(row < store_rows(store));
    assert_true(store_read(store, row, got, NULL));
    assert_memory_equal(got, expected, sizeof got);
    return true;
}

/* Texts [0, count) are there and the next is not. */
static inline void holds(struct store *store, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        assert_true(has(store, i));
    assert_false(has(store, count));
}

static inline void holds_at(const char *folder, uint64_t count) {
    struct store *store = open_at(folder);
    holds(store, count);
    store_close(store);
}

/* A folder of its own for each test. */
static inline const char *fresh(const char *name) {
    static char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/%s/.ensembed/key/dense", top, name);
    char all[PATH_BYTES];
    snprintf(all, sizeof all, "%s/%s", top, name);
    assert_true(folder_remove(all, NULL));
    return folder;
}

/* Good for four calls. */
static inline const char *in(const char *folder, const char *name) {
    static char paths[4][2 * PATH_BYTES];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline void copy_file(const char *from, const char *to) {
    struct strbuf text = strbuf_make(&memory);
    assert_true(file_read(from, 1 << 20, &text, NULL));
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_true(
        file_pwrite(fd, text.data ? text.data : "", text.size, 0, to, NULL));
    close(fd);
    strbuf_free(&text);
}

/* embeddings.npy three folders above the store, and the digests: texts
 * [0, count), and text 0 twice: so a row's number in the array is not the one
 * that it has in the log. */
static inline void export_rows(const char *folder, uint64_t count) {
    struct npy_writer npy;
    const char *digests = in(folder, "export.digests");
    struct strbuf text = strbuf_make(&memory);
    float row[WIDTH];
    assert_true(npy_writer_open(&npy, in(folder, "../../../embeddings.npy"),
                                count + 1, WIDTH, &memory, NULL));
    for (uint64_t point = 0; point <= count; point++) {
        uint8_t digest[SHA256_BYTES];
        uint64_t text_number = point ? point - 1 : 0;
        row_of(text_number, row);
        digest_of(text_number, digest);
        assert_true(npy_writer_add(&npy, row, 1, NULL));
        strbuf_add(&text, (struct str){(char *)digest, sizeof digest});
    }
    assert_true(npy_writer_commit(&npy, NULL));
    npy_writer_close(&npy);
    assert_true(file_write(digests, strbuf_str(&text), &memory, NULL));
    strbuf_free(&text);
}

static inline bool retire(struct store *store, const char *folder,
                          struct error *err) {
    return store_retire(store, in(folder, "../../../embeddings.npy"),
                        in(folder, "export.digests"), err);
}

static inline void retire_fine(struct store *store, const char *folder) {
    struct error err = {0};
    if (!retire(store, folder, &err))
        fail_msg("%s", err.message);
    assert_true(store_is_retired(store));
}

/* Of the log. */
static const char *const log_names[] = {"rows.f32", "digests", "journal"};

static inline void restore(const char *pristine, const char *folder) {
    for (int f = 0; f < 3; f++)
        copy_file(in(pristine, log_names[f]), in(folder, log_names[f]));
}

static inline int make_top(void **state) {
    (void)state;
    return mkdtemp(top) ? 0 : -1;
}

static inline int remove_top(void **state) {
    (void)state;
    return folder_remove(top, NULL) ? 0 : -1;
}

#endif
