/* test_store.c - every row that the store vouches for is the row that was put
 * in, whatever was cut, changed or killed; and what was promised is kept. */

#define _GNU_SOURCE /* unshare */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/killed.h"
#include "data/npy.h"
#include "data/store.h"

enum { WIDTH = 3, PATH_BYTES = 400 };

static struct memory memory;
static char top[] = "/tmp/ens-store-XXXXXX";

/* The log lines of the store that was opened last. */
static unsigned warnings;
static char warning[2048];

static void count_warning(void *context, enum log_level level,
                          const char *message) {
    (void)context;
    assert_int_equal(level, LOG_WARNING);
    warnings++;
    snprintf(warning, sizeof warning, "%s", message);
}

static const struct sink sink = {.log = count_warning};

/* Text number I, and its row. */
static void digest_of(uint64_t i, uint8_t digest[SHA256_BYTES]) {
    hash_sha256((struct str){(const char *)&i, sizeof i}, digest);
}

static void row_of(uint64_t i, float row[WIDTH]) {
    for (unsigned c = 0; c < WIDTH; c++)
        row[c] = (float)(i * WIDTH + c) / 8;
}

static struct store *open_with(const char *folder, const char *commit,
                               size_t width, bool restart, struct error *err) {
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

static struct store *open_at(const char *folder) {
    struct error err = {0};
    struct store *store = open_with(folder, "c0ffee", WIDTH, false, &err);
    if (!store)
        fail_msg("%s", err.message);
    return store;
}

/* Texts [first, first + count). */
static bool append(struct store *store, uint64_t first, size_t count,
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

static void append_fine(struct store *store, uint64_t first, size_t count) {
    struct error err = {0};
    if (!append(store, first, count, &err))
        fail_msg("%s", err.message);
}

/* Whether text I is there; if it is, its row is right. */
static bool has(struct store *store, uint64_t i) {
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
static void holds(struct store *store, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        assert_true(has(store, i));
    assert_false(has(store, count));
}

static void holds_at(const char *folder, uint64_t count) {
    struct store *store = open_at(folder);
    holds(store, count);
    store_close(store);
}

/* A folder of its own for each test. */
static const char *fresh(const char *name) {
    static char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/%s/.ensembed/key/dense", top, name);
    char all[PATH_BYTES];
    snprintf(all, sizeof all, "%s/%s", top, name);
    assert_true(folder_remove(all, NULL));
    return folder;
}

/* Good for four calls. */
static const char *in(const char *folder, const char *name) {
    static char paths[4][2 * PATH_BYTES];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void copy_file(const char *from, const char *to) {
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
static void export_rows(const char *folder, uint64_t count) {
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

static bool retire(struct store *store, const char *folder, struct error *err) {
    return store_retire(store, in(folder, "../../../embeddings.npy"),
                        in(folder, "export.digests"), err);
}

static void retire_fine(struct store *store, const char *folder) {
    struct error err = {0};
    if (!retire(store, folder, &err))
        fail_msg("%s", err.message);
    assert_true(store_is_retired(store));
}

/* ------------------------------------------------------------------------ */

static void rows_come_back(void **state) {
    (void)state;
    const char *folder = fresh("rows");
    struct store *store = open_at(folder);
    holds(store, 0);
    append_fine(store, 0, 5);
    holds(store, 5);
    append_fine(store, 5, 64);
    assert_true(store_sync(store, NULL));
    holds(store, 69);
    store_close(store);

    store = open_at(folder);
    assert_int_equal(store_rows(store), 69);
    append_fine(store, 69, 1); /* before the index was ever asked */
    holds(store, 70);
    assert_int_equal(warnings, 0);
    store_close(store);
    holds_at(folder, 70);
    assert_int_equal(memory_live(&memory), 0);
}

static void store_json_comes_before_rows(void **state) {
    (void)state;
    const char *folder = fresh("json");
    struct store *store = open_at(folder);
    assert_false(file_exists(in(folder, "store.json")));
    append_fine(store, 0, 1);
    assert_true(file_exists(in(folder, "store.json")));
    store_close(store);
    json_t *record = json_load_file(in(folder, "store.json"), 0, NULL);
    const char *commit, *isa;
    int version, width;
    assert_int_equal(json_unpack(record, "{s:i, s:i, s:[s], s:{s:s}, s?o}",
                                 "version", &version, "width", &width, "isa",
                                 &isa, "fingerprint", "commit", &commit),
                     0);
    assert_int_equal(version, 1);
    assert_int_equal(width, WIDTH);
    assert_string_equal(commit, "c0ffee");
    assert_string_equal(isa, "avx2");
    json_decref(record);
    /* Rows that nothing describes are no rows. */
    assert_true(file_remove(in(folder, "store.json"), NULL));
    store = open_at(folder);
    assert_int_equal(store_rows(store), 0);
    store_close(store);
}

static void other_fingerprints_are_refused(void **state) {
    (void)state;
    const char *folder = fresh("conflict");
    struct error err = {0};
    struct store *store = open_at(folder);
    append_fine(store, 0, 2);
    store_close(store);

    assert_null(open_with(folder, "decade", WIDTH, false, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(strstr(err.message, "commit is \"c0ffee\" there and "
                                        "\"decade\" now"));
    assert_null(strstr(err.message, "max_length"));
    assert_non_null(strstr(err.message, "--restart"));
    assert_non_null(strstr(err.message, folder));

    assert_null(open_with(folder, "c0ffee", WIDTH + 1, false, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(strstr(err.message, "width is 3 there and 4 now"));

    assert_null(open_with(folder, "c0ffee", 0, false, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_null(open_with(folder, "c0ffee", SIZE_MAX / 2, false, &err));
    assert_int_equal(err.code, ERROR_USAGE);

    json_t *other = json_pack("{s:s, s:i, s:s}", "commit", "c0ffee",
                              "max_length", 128, "prompt", "query: ");
    struct store_request request = {
        .folder = folder, .fingerprint = other, .isa = "avx2", .width = WIDTH};
    assert_null(store_open(&memory, &request, &err));
    assert_non_null(strstr(err.message, "max_length is 256 there and 128 now"));
    assert_non_null(strstr(err.message, "normalize is true there and absent"));
    assert_non_null(
        strstr(err.message, "prompt is absent there and \"query: \" now"));
    json_decref(other);

    holds_at(folder, 2); /* nothing was harmed */
    store = open_with(folder, "decade", WIDTH, true, &err);
    assert_non_null(store);
    holds(store, 0);
    append_fine(store, 0, 1);
    store_close(store);
    assert_null(open_with(folder, "c0ffee", WIDTH, false, &err));
}

/* However much differs, the message ends with the ways out. */
static void long_differences_keep_the_remedy(void **state) {
    (void)state;
    const char *folder = fresh("long");
    struct store *store = open_at(folder);
    append_fine(store, 0, 1);
    store_close(store);
    json_t *other = json_object();
    for (int i = 0; i < 20; i++) {
        char key[20], value[900];
        snprintf(key, sizeof key, "member_%d", i);
        memset(value, 'x', sizeof value);
        value[sizeof value - 1] = '\0';
        json_object_set_new(other, key, json_string(value));
    }
    struct store_request request = {
        .folder = folder, .fingerprint = other, .isa = "avx2", .width = WIDTH};
    struct error err = {0};
    assert_null(store_open(&memory, &request, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(strstr(err.message, "member_0 is absent"));
    assert_non_null(strstr(err.message, "member_19"));
    assert_non_null(strstr(err.message, "--restart"));
    assert_non_null(strstr(err.message, ":name="));
    json_decref(other);
}

static void a_damaged_record_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"version\": 1}",
        "{\"version\": 1, \"width\": 3, \"isa\": [], \"fingerprint\": 7}",
        "{\"version\":1,\"width\":3,\"isa\":[],\"fingerprint\":{},\"array\":7}",
        "{\"version\": 2, \"width\": 3, \"isa\": [], \"fingerprint\": {}}"};
    const char *folder = fresh("damaged");
    struct store *store = open_at(folder);
    append_fine(store, 0, 2);
    store_close(store);
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        struct error err = {0};
        assert_true(file_write(in(folder, "store.json"), str_from(texts[t]),
                               &memory, NULL));
        assert_null(open_with(folder, "c0ffee", WIDTH, false, &err));
        assert_int_equal(err.code, ERROR_CONFLICT);
        assert_non_null(strstr(err.message, "store.json"));
        assert_non_null(strstr(err.message, "--restart"));
    }
    store = open_with(folder, "c0ffee", WIDTH, true, NULL);
    assert_non_null(store);
    holds(store, 0);
    store_close(store);
}

static void one_process_at_a_time(void **state) {
    (void)state;
    const char *folder = fresh("busy");
    struct store *store = open_at(folder);
    append_fine(store, 0, 1);
    struct error err = {0};
    assert_null(open_with(folder, "c0ffee", WIDTH, true, &err));
    assert_int_equal(err.code, ERROR_BUSY);
    assert_non_null(strstr(err.message, folder));
    holds(store, 1);
    store_close(store);
    holds_at(folder, 1);
}

static void other_instruction_sets_are_written_down(void **state) {
    (void)state;
    const char *folder = fresh("isa");
    static const char *const isas[] = {"avx2", "avx512", "avx2"};
    for (unsigned i = 0; i < 3; i++) {
        json_t *fingerprint = json_pack("{s:i}", "max_length", 256);
        struct store_request request = {.folder = folder,
                                        .fingerprint = fingerprint,
                                        .isa = isas[i],
                                        .width = WIDTH};
        struct store *store = store_open(&memory, &request, NULL);
        append_fine(store, i, 1);
        store_close(store);
        json_decref(fingerprint);
    }
    json_t *record = json_load_file(in(folder, "store.json"), 0, NULL);
    const char *first, *second;
    assert_int_equal(json_unpack(record, "{s:[s, s!]}", "isa", &first, &second),
                     0);
    assert_string_equal(first, "avx2");
    assert_string_equal(second, "avx512");
    json_decref(record);
}

/* ---- what a kill or a disk does to the files ----------------------------- */

static const char *const log_names[] = {"rows.f32", "digests", "journal"};
enum { BATCH = 3, BATCHES = 3, RECORD_BYTES = 48 };
static const size_t batch_bytes[] = {BATCH * WIDTH * 4, BATCH *SHA256_BYTES,
                                     RECORD_BYTES};

/* Open the store in FOLDER, whose files hold for BATCHES_KEPT batches; go on
 * with one batch, and look again. */
static void goes_on(const char *folder, uint64_t batches_kept) {
    struct store *store = open_at(folder);
    assert_int_equal(store_rows(store), batches_kept * BATCH);
    holds(store, batches_kept * BATCH);
    assert_int_equal(warnings, batches_kept < BATCHES);
    append_fine(store, batches_kept * BATCH, BATCH);
    store_close(store);
    store = open_at(folder);
    holds(store, (batches_kept + 1) * BATCH);
    assert_int_equal(warnings, 0);
    store_close(store);
}

static void restore(const char *pristine, const char *folder) {
    for (int f = 0; f < 3; f++)
        copy_file(in(pristine, log_names[f]), in(folder, log_names[f]));
}

static void any_cut_or_changed_byte_costs_only_its_batch(void **state) {
    (void)state;
    char pristine[PATH_BYTES];
    snprintf(pristine, sizeof pristine, "%s", fresh("pristine"));
    struct store *store = open_at(pristine);
    for (unsigned b = 0; b < BATCHES; b++)
        append_fine(store, b * BATCH, BATCH);
    store_close(store);
    const char *folder = fresh("torn");
    store = open_at(folder);
    append_fine(store, 0, 1);
    store_close(store);
    for (int f = 0; f < 3; f++) {
        for (size_t at = 0; at < BATCHES * batch_bytes[f]; at++) {
            restore(pristine, folder);
            const char *path = in(folder, log_names[f]);
            assert_int_equal(truncate(path, (off_t)at), 0);
            goes_on(folder, at / batch_bytes[f]);

            restore(pristine, folder);
            path = in(folder, log_names[f]);
            int fd = open(path, O_RDWR);
            char byte;
            assert_true(file_pread(fd, &byte, 1, at, path, NULL));
            byte ^= (char)(1 << at % 8);
            assert_true(file_pwrite(fd, &byte, 1, at, path, NULL));
            close(fd);
            goes_on(folder, at / batch_bytes[f]);
        }
    }
}

/* What lies behind the last record is cut off, even a batch that is whole but
 * for its record, and a copy of a record from another place. */
static void more_than_the_journal_says_is_cut(void **state) {
    (void)state;
    const char *folder = fresh("more");
    struct store *store = open_at(folder);
    append_fine(store, 0, BATCH);
    store_close(store);
    for (int f = 0; f < 3; f++) {
        const char *path = in(folder, log_names[f]);
        char bytes[BATCH * SHA256_BYTES];
        int fd = open(path, O_RDWR);
        assert_true(file_pread(fd, bytes, batch_bytes[f], 0, path, NULL));
        assert_true(
            file_pwrite(fd, bytes, batch_bytes[f], batch_bytes[f], path, NULL));
        close(fd);
    }
    store = open_at(folder);
    assert_int_equal(store_rows(store), BATCH);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(warning, ": 3 rows"));
    store_close(store);
    uint64_t bytes;
    for (int f = 0; f < 3; f++) {
        assert_true(file_size(in(folder, log_names[f]), &bytes, NULL));
        assert_int_equal(bytes, batch_bytes[f]);
    }
}

/* A child that is killed at any moment: the number of texts that it was told
 * are kept comes through REPORT. */
static void child_appends(const char *folder, int kind, int report) {
    (void)kind;
    struct store *store = open_with(folder, "c0ffee", WIDTH, false, NULL);
    if (!store)
        _exit(1);
    for (uint64_t kept = store_rows(store);;) {
        size_t count = 1 + (size_t)(kept % 60);
        if (!append(store, kept, count, NULL))
            _exit(1);
        kept += count;
        if (write(report, &kept, sizeof kept) != sizeof kept)
            _exit(1);
    }
}

/* The same with a life cycle: add, export, retire, close, open again. */
static void child_lives(const char *folder, int kind, int report) {
    (void)kind;
    for (;;) {
        struct store *store = open_with(folder, "c0ffee", WIDTH, false, NULL);
        if (!store || !store_materialise(store, NULL))
            _exit(1);
        uint64_t kept = store_rows(store) + 7;
        if (!append(store, kept - 7, 7, NULL))
            _exit(1);
        if (write(report, &kept, sizeof kept) != sizeof kept)
            _exit(1);
        export_rows(folder, kept);
        if (!retire(store, folder, NULL))
            _exit(1);
        store_close(store);
    }
}

static uint64_t texts_in(struct store *store) {
    uint64_t count = 0;
    while (has(store, count))
        count++;
    return count;
}

static void survives_kills(const char *folder, killed_child *child) {
    uint64_t kept = 0, most = 0;
    for (unsigned round = 0; round < 60; round++) {
        if (kept > 4000) { /* checking it all is what takes the time */
            store_close(open_with(folder, "c0ffee", WIDTH, true, NULL));
            kept = 0;
        }
        kept = run_and_kill(child, folder, 0, round, kept);
        struct store *store = open_at(folder);
        uint64_t there = texts_in(store);
        if (there < kept)
            fail_msg("%llu texts of %llu are left in round %u",
                     (unsigned long long)there, (unsigned long long)kept,
                     round);
        /* Killed while it made one batch: at most that one is new. */
        assert_in_range(there - kept, 0, 60);
        assert_true(store_rows(store) - there <= 1);
        append_fine(store, there, 2);
        holds(store, there + 2);
        store_close(store);
        kept = there + 2;
        most = kept > most ? kept : most;
    }
    assert_true(most > 200);
}

static void killed_while_appending(void **state) {
    (void)state;
    survives_kills(fresh("killed"), child_appends);
}

static void killed_while_retiring(void **state) {
    (void)state;
    survives_kills(fresh("lives"), child_lives);
}

/* ---- a full disk --------------------------------------------------------- */

static bool append_until_full(struct store *store, uint64_t *kept,
                              struct error *err) {
    while (append(store, *kept, 60, err))
        *kept += 60;
    return err->code == ERROR_FULL;
}

/* In a process of its own, in which mounting is allowed. 77: it is not. */
static void full_disk_child(const char *folder) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("ensembed-test", top, "tmpfs", 0, "size=256k") != 0)
        _exit(77);
    struct error err = {0};
    uint64_t kept = 0;
    struct store *store = open_with(folder, "c0ffee", WIDTH, false, &err);
    bool fine = store && append_until_full(store, &kept, &err) && kept > 0;
    /* Still whole: what is in it can be read, what failed is told again. */
    fine = fine && store_rows(store) == kept &&
           append_until_full(store, &kept, &err);
    store_close(store);
    store = open_with(folder, "c0ffee", WIDTH, false, &err);
    fine = fine && store && store_rows(store) == kept && warnings == 0;
    float row[WIDTH], expected[WIDTH];
    for (uint64_t i = 0; fine && i < kept; i++) {
        row_of(i, expected);
        fine = store_read(store, i, row, &err) &&
               !memcmp(row, expected, sizeof row);
    }
    if (!fine)
        fprintf(stderr, "%d: %s\n", (int)kept, err.message);
    _exit(fine ? 0 : 1);
}

static void a_full_disk_leaves_it_whole(void **state) {
    (void)state;
    const char *folder = fresh("full");
    pid_t pid = fork();
    if (pid == 0)
        full_disk_child(folder);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("skip: no right to mount a small disk\n");
        return;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- retired ------------------------------------------------------------- */

/* A store with texts [0, count) that is retired. */
static const char *retired(const char *name, uint64_t count) {
    const char *folder = fresh(name);
    struct store *store = open_at(folder);
    append_fine(store, 0, (size_t)count);
    export_rows(folder, count);
    retire_fine(store, folder);
    holds(store, count);
    store_close(store);
    return folder;
}

static void array_holds_the_rows(void **state) {
    (void)state;
    const char *folder = retired("retired", 10);
    for (int f = 0; f < 3; f++)
        assert_false(file_exists(in(folder, log_names[f])));
    assert_false(file_exists(in(folder, "export.digests")));
    struct store *store = open_at(folder);
    assert_true(store_is_retired(store));
    assert_int_equal(store_rows(store), 11);
    holds(store, 10);
    /* The name may get another file: ours is open. */
    export_rows(folder, 3);
    holds(store, 10);
    assert_int_equal(warnings, 0);
    store_close(store);
}

static void array_is_found_after_a_move(void **state) {
    (void)state;
    retired("moved", 4);
    char from[PATH_BYTES], to[PATH_BYTES];
    snprintf(from, sizeof from, "%s/moved", top);
    snprintf(to, sizeof to, "%s/moved-away", top);
    assert_int_equal(rename(from, to), 0);
    holds_at(in(to, ".ensembed/key/dense"), 4);
    assert_int_equal(warnings, 0);
}

static void new_rows_bring_the_rows_back(void **state) {
    (void)state;
    const char *folder = retired("back", 10);
    struct store *store = open_at(folder);
    holds(store, 10);
    append_fine(store, 10, 2);
    assert_false(store_is_retired(store));
    assert_int_equal(store_rows(store), 12); /* the double one is gone */
    holds(store, 12);
    store_close(store);
    assert_false(file_exists(in(folder, "array.digests")));
    export_rows(folder, 2); /* whatever happens to the array now */
    store = open_at(folder);
    holds(store, 12);
    export_rows(folder, 12);
    retire_fine(store, folder);
    store_close(store);
    holds_at(folder, 12);
    assert_int_equal(warnings, 0);
}

static void retiring_twice_takes_the_new_array(void **state) {
    (void)state;
    const char *folder = retired("twice", 5);
    struct store *store = open_at(folder);
    export_rows(folder, 5);
    retire_fine(store, folder);
    holds(store, 5);
    export_rows(folder, 3);
    retire_fine(store, folder);
    holds(store, 3);
    store_close(store);
    holds_at(folder, 3);
    assert_int_equal(warnings, 0);
}

static void a_changed_array_is_not_used(void **state) {
    (void)state;
    enum { GONE, FLIPPED, SHORTER, OTHER, DIGESTS_FLIPPED, DIGESTS_GONE, ALL };
    for (int what = 0; what < ALL; what++) {
        const char *folder = retired("changed", 10);
        const char *array = in(folder, "../../../embeddings.npy");
        const char *digests = in(folder, "array.digests");
        int fd = open(what == DIGESTS_FLIPPED ? digests : array, O_RDWR);
        if (what == GONE)
            file_remove(array, NULL);
        else if (what == DIGESTS_GONE)
            file_remove(digests, NULL);
        else if (what == FLIPPED || what == DIGESTS_FLIPPED)
            assert_true(file_pwrite(fd, "\1", 1, 200, array, NULL));
        else if (what == SHORTER)
            assert_int_equal(ftruncate(fd, 200), 0);
        else
            export_rows(folder, 11);
        close(fd);

        struct store *store = open_at(folder);
        assert_int_equal(warnings, 1);
        assert_non_null(strstr(warning, "computed again"));
        assert_false(store_is_retired(store));
        assert_int_equal(store_rows(store), 0);
        holds(store, 0);
        store_close(store);
        struct error err = {0}; /* what made the rows is remembered */
        assert_null(open_with(folder, "decade", WIDTH, false, &err));
        assert_int_equal(err.code, ERROR_CONFLICT);
        store = open_at(folder);
        append_fine(store, 0, 4);
        store_close(store);
        holds_at(folder, 4);
        assert_int_equal(warnings, 0);
    }
}

static void arrays_that_do_not_fit_are_refused(void **state) {
    (void)state;
    const char *folder = fresh("unfit");
    struct store *store = open_at(folder);
    append_fine(store, 0, 6);
    export_rows(folder, 6);
    struct error err = {0};
    assert_int_equal(truncate(in(folder, "export.digests"), 6 * 32), 0);
    assert_false(retire(store, folder, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    struct npy_writer npy; /* of another width */
    const char *array = in(folder, "../../../embeddings.npy");
    float row[WIDTH + 1] = {0};
    assert_true(npy_writer_open(&npy, array, 1, WIDTH + 1, &memory, NULL));
    assert_true(npy_writer_add(&npy, row, 1, NULL));
    assert_true(npy_writer_commit(&npy, NULL));
    npy_writer_close(&npy);
    assert_int_equal(truncate(in(folder, "export.digests"), 32), 0);
    assert_false(retire(store, folder, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_false(store_is_retired(store));
    holds(store, 6);
    store_close(store);
    holds_at(folder, 6);
}

/* Each state between "rows in the log" and "rows in the array", put together
 * by hand from the files before and after. */
static void every_state_on_the_way_opens(void **state) {
    (void)state;
    char before[PATH_BYTES];
    snprintf(before, sizeof before, "%s", fresh("before"));
    struct store *store = open_at(before);
    append_fine(store, 0, 10);
    store_close(store);
    char after[PATH_BYTES];
    snprintf(after, sizeof after, "%s", retired("after", 10));

    /* To the array: the digests have come, store.json has not changed. */
    const char *folder = fresh("between");
    store_close(open_at(folder));
    restore(before, folder);
    copy_file(in(before, "store.json"), in(folder, "store.json"));
    copy_file(in(after, "array.digests"), in(folder, "array.digests"));
    holds_at(folder, 10);
    assert_int_equal(warnings, 0);
    assert_false(file_exists(in(folder, "array.digests")));

    /* store.json has changed: the log is there whole, or in part, or torn. */
    for (int left = 0; left <= 4; left++) {
        copy_file(in(after, "store.json"), in(folder, "store.json"));
        copy_file(in(after, "array.digests"), in(folder, "array.digests"));
        copy_file(in(after, "../../../embeddings.npy"),
                  in(folder, "../../../embeddings.npy"));
        for (int f = 0; f < 3; f++)
            if (f < left)
                copy_file(in(before, log_names[f]), in(folder, log_names[f]));
        if (left == 4)
            assert_int_equal(truncate(in(folder, "rows.f32"), 17), 0);
        store = open_at(folder);
        assert_true(store_is_retired(store));
        holds(store, 10);
        assert_int_equal(warnings, 0);
        for (int f = 0; f < 3; f++)
            assert_false(file_exists(in(folder, log_names[f])));
        append_fine(store, 10, 1); /* and the leftovers do no harm */
        store_close(store);
        holds_at(folder, 11);
    }
}

static int make_top(void **state) {
    (void)state;
    return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state) {
    (void)state;
    return folder_remove(top, NULL) ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(store_json_comes_before_rows),
        cmocka_unit_test(other_fingerprints_are_refused),
        cmocka_unit_test(long_differences_keep_the_remedy),
        cmocka_unit_test(a_damaged_record_is_refused),
        cmocka_unit_test(one_process_at_a_time),
        cmocka_unit_test(other_instruction_sets_are_written_down),
        cmocka_unit_test(any_cut_or_changed_byte_costs_only_its_batch),
        cmocka_unit_test(more_than_the_journal_says_is_cut),
        cmocka_unit_test(killed_while_appending),
        cmocka_unit_test(killed_while_retiring),
        cmocka_unit_test(a_full_disk_leaves_it_whole),
        cmocka_unit_test(array_holds_the_rows),
        cmocka_unit_test(array_is_found_after_a_move),
        cmocka_unit_test(new_rows_bring_the_rows_back),
        cmocka_unit_test(retiring_twice_takes_the_new_array),
        cmocka_unit_test(a_changed_array_is_not_used),
        cmocka_unit_test(arrays_that_do_not_fit_are_refused),
        cmocka_unit_test(every_state_on_the_way_opens),
    };
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
