/* test_store_log.c - whatever a kill, a cut, a changed byte or a full disk does
 * to the log's files, what was promised is kept, and it goes on. */

#define _GNU_SOURCE /* unshare */
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "data/killed.h"
#include "data/store_fixture.h"

/* ---- what a kill or a disk does to the files ----------------------------- */

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut_or_changed_byte_costs_only_its_batch),
        cmocka_unit_test(more_than_the_journal_says_is_cut),
        cmocka_unit_test(killed_while_appending),
        cmocka_unit_test(killed_while_retiring),
        cmocka_unit_test(a_full_disk_leaves_it_whole),
    };
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
