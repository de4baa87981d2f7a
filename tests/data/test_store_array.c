/* test_store_array.c - a store that is retired: its rows lie in the array that
 * was exported of them, wherever that goes, and in no other. */

#include "data/store_fixture.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
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
