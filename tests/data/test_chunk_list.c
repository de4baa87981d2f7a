/* test_chunk_list.c - which collections a folder, a file or standard input is,
 * and which of the files below it are theirs. */

#include "base/blind.h"
#include "data/chunk_folder.h"

static void folders_and_names(void **state) {
    const struct place *place = *state;
    const char *chunk = "[{\"text\":\"t\"}]";
    put(place, "processing_summary.json", "{}");
    put(place, "a b/deep/er/..._x_chunks.json", chunk);
    put(place, "a b/.hidden/y.jsonl", "");
    put(place, "a b/z.NDJSON", "");
    put(place, "a b/.json", chunk); /* all of its name is the end */
    put(place, "a b/q_processing_summary.json", "{}");
    put(place, "a b/__pycache__/c.json", chunk);
    put(place, "a b/.git/c.json", chunk);
    put(place, "a b/.ensembed/c.json", chunk);
    put(place, "a b/notes.txt", "x");
    put(place, "a_b/c.json", chunk);
    put(place, "empty/readme.md", "x");
    put(place, "-._/c.json", chunk);
    struct chunk_options options = {0};
    struct chunk_listing *list = list_of(place, &options);
    assert_int_equal(list->count, 3);
    const struct collection *c = list->collections;
    assert_string_equal(c[0].name, "-._");
    assert_string_equal(c[0].folder, "-");
    assert_string_equal(c[1].name, "a b");
    /* SHA-256 of "a b" begins with c8687a08. */
    assert_string_equal(c[1].folder, "a_b_c8687a08");
    assert_string_equal(c[2].name, "a_b");
    assert_string_equal(c[2].folder, "a_b");
    assert_int_equal(c[1].files_count, 4);
    assert_string_equal(c[1].files[0].relative, ".hidden/y.jsonl");
    assert_true(c[1].files[0].lines);
    assert_string_equal(c[1].files[1].relative, ".json");
    assert_false(c[1].files[1].lines);
    assert_string_equal(c[1].files[2].relative, "deep/er/..._x_chunks.json");
    assert_false(c[1].files[2].lines);
    assert_string_equal(c[1].files[3].relative, "z.NDJSON");
    assert_true(c[1].files[3].lines);
    chunks_free(list);
}

static void one_file_in_the_root_makes_one_collection(void **state) {
    const struct place *place = *state;
    put(place, "sub/a.json", "[]");
    put(place, "b.json", "[]");
    struct chunk_options options = {0};
    struct chunk_listing *list = list_of(place, &options);
    assert_int_equal(list->count, 1);
    assert_string_equal(list->collections[0].name, place->root + 5);
    assert_int_equal(list->collections[0].files_count, 2);
    assert_string_equal(list->collections[0].files[1].relative, "sub/a.json");
    chunks_free(list);
    /* "." has a name too. */
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(place->root), 0);
    list = chunks_list(&memory, ".", &options, NULL);
    assert_int_equal(chdir(before), 0);
    assert_non_null(list);
    assert_string_equal(list->collections[0].name, place->root + 5);
    chunks_free(list);
}

static void collections_are_selected(void **state) {
    const struct place *place = *state;
    put(place, "a/x.json", "[]");
    put(place, "b/x.json", "[]");
    const char *names[] = {"b", "zz"};
    struct chunk_options options = {.collections = names,
                                    .collections_count = 2};
    struct chunk_listing *list = list_of(place, &options);
    assert_int_equal(list->count, 2);
    assert_string_equal(list->collections[0].name, "b");
    assert_false(list->collections[0].missing);
    assert_string_equal(list->collections[1].name, "zz");
    assert_true(list->collections[1].missing);
    chunks_free(list);
    options = (struct chunk_options){.as = "All Docs"};
    list = list_of(place, &options);
    assert_int_equal(list->count, 1);
    assert_string_equal(list->collections[0].name, "All Docs");
    assert_string_equal(list->collections[0].folder, "All_Docs");
    assert_string_equal(list->collections[0].canonical, "all_docs");
    assert_string_equal(list->collections[0].files[1].relative, "b/x.json");
    chunks_free(list);
}

static void single_files_and_standard_input(void **state) {
    const struct place *place = *state;
    struct error err = {0};
    struct chunk_options options = {0};
    put(place, "Doc_chunks.json", "[]");
    put(place, "lines.v2.jsonl", "");
    struct chunk_listing *list =
        chunks_list(&memory, path_in(place, "Doc_chunks.json"), &options, &err);
    assert_string_equal(list->collections[0].name, "Doc");
    assert_string_equal(list->collections[0].files[0].relative,
                        "Doc_chunks.json");
    chunks_free(list);
    list =
        chunks_list(&memory, path_in(place, "lines.v2.jsonl"), &options, &err);
    assert_string_equal(list->collections[0].name, "lines.v2");
    assert_string_equal(list->collections[0].folder, "lines_v2");
    assert_true(list->collections[0].files[0].lines);
    chunks_free(list);
    list = chunks_list(&memory, "-", &options, &err);
    assert_string_equal(list->collections[0].name, "chunks");
    assert_string_equal(list->collections[0].files[0].path, "-");
    assert_true(list->collections[0].files[0].lines);
    assert_true(chunks_set_path(list, 0, "/tmp/spool", &err));
    assert_string_equal(list->collections[0].files[0].path, "/tmp/spool");
    chunks_free(list);
    assert_null(chunks_list(&memory, path_in(place, "no"), &options, &err));
    assert_int_equal(err.code, ERROR_MISSING);
    assert_null(chunks_list(&memory, "/dev/null", &options, &err));
    assert_int_equal(err.code, ERROR_INPUT);
}

static void an_empty_folder_has_no_collection(void **state) {
    const struct place *place = *state;
    struct chunk_options options = {0};
    struct chunk_listing *list = list_of(place, &options);
    assert_int_equal(list->count, 0);
    chunks_free(list);
}

static void links_do_not_loop(void **state) {
    const struct place *place = *state;
    char target[512];
    put(place, "a/x.json", "[]");
    put(place, "b/y.json", "[]");
    assert_int_equal(symlink(place->root, path_in(place, "a/up")), 0);
    snprintf(target, sizeof target, "%s/b", place->root);
    assert_int_equal(symlink(target, path_in(place, "a/b")), 0);
    assert_int_equal(symlink("self.json", path_in(place, "b/self.json")), 0);
    struct chunk_options options = {0};
    struct chunk_listing *list = list_of(place, &options);
    assert_int_equal(list->count, 2);
    assert_int_equal(list->collections[0].files_count, 1);
    assert_int_equal(list->collections[1].files_count, 2);
    struct error err = {0};
    struct intake *in = intake_scan(&memory, &list->collections[1], &options,
                                    place->scratch, NULL, &err);
    assert_non_null(in);
    assert_int_equal(in->counts.files_failed, 1);
    assert_string_equal(in->problems[0].code, "unreadable_file");
    intake_free(in);
    chunks_free(list);
}

static void our_own_output_is_not_input(void **state) {
    const struct place *place = *state;
    put(place, "docs/x.json", "[]");
    put(place, "docs/stats.json", "[]"); /* not ours: no .ensembed there */
    put(place, "out/c/.ensembed/k/store.json", "{}");
    put(place, "out/c/points.jsonl", "{}");
    put(place, "out/c/stats.json", "{}");
    put(place, "out/summary.json", "{}");
    put(place, "out/events.jsonl", "{}");
    put(place, "docs/summary.json", "[]"); /* of neither output folder */
    put(place, "docs/old/out/b/x.json", "[]");
    put(place, "docs/old/out/c/.ensembed/k/store.json", "{}");
    put(place, "docs/old/out/d/x.json", "[]");
    put(place, "docs/old/out/summary.json", "{}");
    struct chunk_options options = {.as = "all"};
    struct chunk_listing *list = list_of(place, &options);
    static const char *const inputs[] = {
        "docs/old/out/b/x.json", "docs/old/out/d/x.json", "docs/stats.json",
        "docs/summary.json", "docs/x.json"};
    enum { INPUTS = sizeof inputs / sizeof *inputs };
    assert_int_equal(list->collections[0].files_count, INPUTS);
    for (size_t i = 0; i < INPUTS; i++)
        assert_string_equal(list->collections[0].files[i].relative, inputs[i]);
    chunks_free(list);
}

/* A folder that cannot be looked at is not one that holds no chunks, nor a file
 * that makes one collection of all: there is no list, or the same one. */
static void a_folder_that_is_hidden_for_a_moment(void **state) {
    const struct place *place = *state;
    put(place, "a/x_chunks.json", "[]");
    put(place, "b/y.jsonl", "");
    put(place, "b/below/z.json", "[]");
    int questions = 0;
    for (;; questions++) {
        struct error err = {0};
        struct chunk_options options = {0};
        blind_from(questions + 1);
        struct chunk_listing *list =
            chunks_list(&memory, place->root, &options, &err);
        bool was = blind_was();
        assert_true(list || err.code == ERROR_IO);
        if (list) {
            assert_int_equal(list->count, 2);
            assert_int_equal(list->collections[0].files_count, 1);
            assert_int_equal(list->collections[1].files_count, 2);
            assert_true(list->collections[1].files[1].lines);
        }
        chunks_free(list);
        if (!was)
            break;
    }
    assert_true(questions > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(folders_and_names),
        IN_A_FOLDER(one_file_in_the_root_makes_one_collection),
        IN_A_FOLDER(collections_are_selected),
        IN_A_FOLDER(single_files_and_standard_input),
        IN_A_FOLDER(an_empty_folder_has_no_collection),
        IN_A_FOLDER(links_do_not_loop),
        IN_A_FOLDER(our_own_output_is_not_input),
        IN_A_FOLDER(a_folder_that_is_hidden_for_a_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
