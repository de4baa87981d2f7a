/* test_store.c - every row that the store vouches for is the row that was put
 * in, and store.json says of which run: another's is refused. What becomes of
 * the log's files is test_store_log.c's, rows in an array test_store_array.c's.
 */

#include "data/store_fixture.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(store_json_comes_before_rows),
        cmocka_unit_test(other_fingerprints_are_refused),
        cmocka_unit_test(long_differences_keep_the_remedy),
        cmocka_unit_test(a_damaged_record_is_refused),
        cmocka_unit_test(one_process_at_a_time),
        cmocka_unit_test(other_instruction_sets_are_written_down),
    };
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
