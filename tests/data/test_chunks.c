/* test_chunks.c - from folders of chunk files to numbered points.
 *
 * With arguments it is the program that tools/intake_oracle.py compares with
 * its own reading:
 *
 *     test_data_chunks --dump PATH [as=NAME] [only=NAME]... [collapse]
 *                      [trim=N] [read=N]
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/disk_index.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/chunks.h"
#include "data/json_scan.h"
#include "data/payload.h"

static struct memory memory;

/* ---- the dump ---- */

static void dump_point(struct strbuf *out, const struct chunk *chunk,
                       const struct collection *collection) {
    char hex[2 * SHA256_BYTES + 1], uuid[37];
    hash_hex(chunk->digest, SHA256_BYTES, hex);
    uuid_text(chunk->id, uuid);
    strbuf_add(out, STR("{\"collection\":"));
    strbuf_add_json(out, str_from(collection->name));
    strbuf_add(out, STR(",\"file\":"));
    strbuf_add_json(out, str_from(chunk->file));
    strbuf_add(out, STR(",\"chunk_id\":"));
    strbuf_add_json(out, chunk->chunk_id);
    strbuf_printf(out, ",\"id\":\"%s\",\"digest\":\"%s\",\"duplicate\":%s",
                  uuid, hex, chunk->duplicate ? "true" : "false");
    strbuf_add(out, STR(",\"text\":"));
    strbuf_add_json(out, chunk->text);
    strbuf_add(out, STR(",\"metadata\":"));
    strbuf_add_json(out, chunk->metadata);
    strbuf_add(out, STR(",\"payload\":"));
    payload_write(out, chunk, collection, "text");
    strbuf_add(out, STR("}\n"));
}

static void dump_problem(struct strbuf *out, const struct chunk_problem *p) {
    strbuf_add(out, STR("{\"file\":"));
    strbuf_add_json(out, str_from(p->file));
    strbuf_printf(out,
                  ",\"line\":%llu,\"column\":%llu,\"code\":\"%s\","
                  "\"failed\":%s}",
                  (unsigned long long)p->line, (unsigned long long)p->column,
                  p->code, p->failed ? "true" : "false");
}

static void dump_totals(struct strbuf *out, const struct intake *in) {
    const struct intake_counts *c = &in->counts;
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"files", c->files},
                  {"files_failed", c->files_failed},
                  {"lines_failed", c->lines_failed},
                  {"found", c->found},
                  {"points", c->points},
                  {"unique", c->unique},
                  {"duplicate", c->duplicate},
                  {"blank", c->blank},
                  {"failed", c->failed},
                  {"repeated_ids", c->repeated_ids},
                  {"surrogates", c->surrogates},
                  {"bytes", c->bytes},
                  {"text_bytes", c->text_bytes},
                  {"text_bytes_longest", c->text_bytes_longest}};
    strbuf_add(out, STR("{\"collection\":"));
    strbuf_add_json(out, str_from(in->collection->name));
    strbuf_printf(out, ",\"folder\":\"%s\"", in->collection->folder);
    strbuf_add(out, STR(",\"canonical\":"));
    strbuf_add_json(out, str_from(in->collection->canonical));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        strbuf_printf(out, ",\"%s\":%llu", counts[i].name,
                      (unsigned long long)counts[i].value);
    strbuf_add(out, STR(",\"problems\":["));
    for (size_t i = 0; i < in->problems_count; i++) {
        if (i)
            strbuf_add_char(out, ',');
        dump_problem(out, &in->problems[i]);
    }
    strbuf_add(out, STR("]}\n"));
}

static bool dump_collection(struct strbuf *out, const struct collection *c,
                            const struct chunk_options *options,
                            const char *scratch, struct error *err) {
    struct intake *in = intake_scan(&memory, c, options, scratch, NULL, err);
    struct chunk_reader *reader = in ? chunk_reader_open(in, err) : NULL;
    struct chunk chunk;
    enum chunk_step step = CHUNK_ERROR;
    while (reader &&
           (step = chunk_reader_next(reader, false, &chunk, err)) == CHUNK_OK)
        dump_point(out, &chunk, c);
    chunk_reader_close(reader);
    if (in)
        dump_totals(out, in);
    intake_free(in);
    return step == CHUNK_END;
}

static bool dump(struct strbuf *out, const char *path,
                 const struct chunk_options *options, struct error *err) {
    char scratch[] = "/tmp/ens-intake-XXXXXX";
    assert_non_null(mkdtemp(scratch));
    struct chunk_listing *list = chunks_list(&memory, path, options, err);
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < list->count; i++)
        fine =
            dump_collection(out, &list->collections[i], options, scratch, err);
    chunks_free(list);
    /* Nothing may be left behind. */
    return rmdir(scratch) == 0 && fine;
}

static int dump_main(int argc, char **argv) {
    struct error err = {0};
    struct strbuf out = strbuf_make(&memory);
    struct chunk_options options = {0};
    const char *only[64];
    for (int i = 3; i < argc; i++) {
        if (!strncmp(argv[i], "as=", 3))
            options.as = argv[i] + 3;
        else if (!strncmp(argv[i], "only=", 5) &&
                 options.collections_count < 64)
            only[options.collections_count++] = argv[i] + 5;
        else if (!strcmp(argv[i], "collapse"))
            options.collapse_whitespace = true;
        else if (!strncmp(argv[i], "trim=", 5))
            options.trim_chars = strtoul(argv[i] + 5, NULL, 10);
        else if (!strncmp(argv[i], "read=", 5))
            options.read_bytes = strtoul(argv[i] + 5, NULL, 10);
    }
    options.collections = options.collections_count ? only : NULL;
    bool fine = dump(&out, argv[2], &options, &err);
    fwrite(strbuf_str(&out).data, 1, out.size, stdout);
    strbuf_free(&out);
    if (!fine)
        fprintf(stderr, "%s\n", err.message);
    if (memory_live(&memory))
        fprintf(stderr, "%llu bytes not given back\n",
                (unsigned long long)memory_live(&memory));
    return !fine || memory_live(&memory);
}

/* ---- a folder to write input into ---- */

struct place {
    char root[64];    /* the input */
    char scratch[64]; /* what is ours */
};

static int set_up(void **state) {
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->root, "/tmp/ens-chunks-XXXXXX");
    if (!mkdtemp(place->root))
        return -1;
    snprintf(place->scratch, sizeof place->scratch, "%s/.ensembed",
             place->root);
    *state = place;
    return mkdir(place->scratch, 0777);
}

static int tear_down(void **state) {
    struct place *place = *state;
    folder_remove(place->root, NULL);
    free(place);
    uint64_t left = memory_live(&memory);
    memory.live = 0; /* the next test has its own */
    return left != 0;
}

static char *path_in(const struct place *place, const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", place->root, name);
    return path;
}

static void put_bytes(const struct place *place, const char *name,
                      const void *data, size_t size) {
    char *path = path_in(place, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_true(folder_make(path, NULL));
    *slash = '/';
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static void put(const struct place *place, const char *name, const char *text) {
    put_bytes(place, name, text, strlen(text));
}

static struct chunk_listing *list_of(const struct place *place,
                                     const struct chunk_options *options) {
    struct error err = {0};
    struct chunk_listing *list =
        chunks_list(&memory, place->root, options, &err);
    if (!list)
        fail_msg("%s", err.message);
    return list;
}

/* The first collection below the root, scanned. */
struct read {
    struct chunk_listing *list;
    struct intake *in;
};

static struct read read_with(const struct place *place,
                             const struct chunk_options *options,
                             const struct sink *sink) {
    struct error err = {0};
    struct read r = {.list = list_of(place, options)};
    assert_true(r.list->count > 0);
    r.in = intake_scan(&memory, &r.list->collections[0], options,
                       place->scratch, sink, &err);
    if (!r.in)
        fail_msg("%s", err.message);
    return r;
}

static struct read read_all(const struct place *place) {
    struct chunk_options options = {0};
    return read_with(place, &options, NULL);
}

static void done(struct read *r) {
    intake_free(r->in);
    chunks_free(r->list);
}

/* The texts of all points, each with its id: "id=text;". */
static void texts_of(const struct intake *in, struct strbuf *out) {
    struct error err = {0};
    struct chunk chunk;
    enum chunk_step step;
    struct chunk_reader *reader = chunk_reader_open(in, &err);
    assert_non_null(reader);
    uint64_t points = 0;
    while ((step = chunk_reader_next(reader, false, &chunk, &err)) ==
           CHUNK_OK) {
        assert_int_equal(chunk.point, points++);
        strbuf_add(out, chunk.chunk_id);
        strbuf_add_char(out, '=');
        strbuf_add(out, chunk.text);
        strbuf_add_char(out, ';');
    }
    if (step != CHUNK_END)
        fail_msg("%s", err.message);
    assert_int_equal(points, in->counts.points);
    chunk_reader_close(reader);
}

static void expect_texts(const struct place *place, const char *expected) {
    struct read r = read_all(place);
    struct strbuf out = strbuf_make(&memory);
    texts_of(r.in, &out);
    assert_string_equal(strbuf_str(&out).data, expected);
    strbuf_free(&out);
    done(&r);
}

/* ---- what is found ---- */

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

/* ---- shapes ---- */

static void shapes_of_documents(void **state) {
    const struct place *place = *state;
    put(place, "1.json",
        "[{\"id\":1,\"text\":\"a\"},{\"id\":2,\"text\":"
        "\"b\"}]");
    put(place, "2.json",
        "{\"x\":[1],\"items\":[{\"id\":3,\"text\":\"no\"}],\"data\":[{\"id\":4,"
        "\"content\":\"c\"}],\"chunks\":5}");
    put(place, "3.json", "{\"id\":5,\"text\":\"d\",\"chunks\":{}}");
    put(place, "4.json", "{\"id\":6,\"text\":null,\"content\":\"e\"}");
    put(place, "5.jsonl",
        "{\"id\":7,\"text\":\"f\",\"items\":[]}\r\n\r\n"
        "{\"chunk_id\":\"8\",\"text\":\"g\"}");
    put(place, "6.json", "{\"\\u0063hunks\":[{\"id\":9,\"text\":\"h\"}]}");
    expect_texts(place, "1=a;2=b;4=c;5=d;6=e;7=f;8=g;9=h;");
}

static void shapes_that_are_wrong(void **state) {
    const struct place *place = *state;
    put(place, "1.json",
        "[{\"id\":1,\"text\":\"a\"}, 5,\n[], null,"
        "{\"id\":2,\"text\":7},\n  {\"id\":3}]");
    put(place, "2.json", "17");
    put(place, "3.json", "[]");
    put(place, "4.jsonl", "[{\"text\":\"no\"}]\n \n7\n");
    put(place, "5.json", "\n");
    put(place, "6.json", "");
    put(place, "7.jsonl", "");
    struct read r = read_all(place);
    const struct {
        const char *file, *code;
        uint64_t line, column;
        bool failed;
    } expected[] = {
        {"1.json", "bad_shape", 1, 23, true},
        {"1.json", "bad_shape", 2, 1, true},
        {"1.json", "bad_shape", 2, 5, true},
        {"1.json", "bad_chunk", 2, 10, true},
        {"1.json", "bad_chunk", 3, 3, true},
        {"2.json", "bad_shape", 0, 0, true},
        {"3.json", "no_chunks", 0, 0, false},
        {"4.jsonl", "bad_shape", 1, 1, true},
        {"4.jsonl", "bad_shape", 3, 1, true},
        {"4.jsonl", "no_chunks", 0, 0, false},
        {"5.json", "broken_file", 2, 1, true},
        {"6.json", "broken_file", 0, 0, true},
        {"7.jsonl", "no_chunks", 0, 0, false},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const struct chunk_problem *p = &r.in->problems[i];
        assert_string_equal(p->file, expected[i].file);
        assert_string_equal(p->code, expected[i].code);
        assert_int_equal(p->line, expected[i].line);
        assert_int_equal(p->column, expected[i].column);
        assert_int_equal(p->failed, expected[i].failed);
        assert_ptr_equal(strstr(p->message, p->file), p->message);
    }
    assert_int_equal(r.in->problems_count, 13);
    const struct intake_counts *c = &r.in->counts;
    assert_int_equal(c->files, 7);
    assert_int_equal(c->files_failed, 3);
    assert_int_equal(c->lines_failed, 2);
    assert_int_equal(c->found, 6);
    assert_int_equal(c->failed, 5);
    assert_int_equal(c->points, 1);
    done(&r);
}

static void bare_strings_are_texts(void **state) {
    const struct place *place = *state;
    put(place, "1.json", "[\"a\",\"b\"]");
    put(place, "2.json", "\"c\"");
    put(place, "3.jsonl", "\"d\"\n");
    struct read r = read_all(place);
    assert_int_equal(r.in->counts.points, 4);
    assert_int_equal(r.in->problems_count, 2);
    assert_string_equal(r.in->problems[0].code, "bare_string");
    assert_false(r.in->problems[0].failed);
    struct chunk chunk;
    struct chunk_reader *reader = chunk_reader_open(r.in, NULL);
    assert_int_equal(chunk_reader_next(reader, false, &chunk, NULL), CHUNK_OK);
    assert_true(str_equal(chunk.metadata, STR("{}")));
    chunk_reader_close(reader);
    done(&r);
}

static void standard_input_may_be_a_list(void **state) {
    const struct place *place = *state;
    struct error err = {0};
    struct chunk_options options = {0};
    put(place, "spool", "\n[\n{\"id\":\"x\",\"text\":\"a\"}\n]");
    struct chunk_listing *list = chunks_list(&memory, "-", &options, &err);
    assert_true(chunks_set_path(list, 0, path_in(place, "spool"), &err));
    struct intake *in = intake_scan(&memory, &list->collections[0], &options,
                                    place->scratch, NULL, &err);
    assert_non_null(in);
    assert_int_equal(in->counts.points, 1);
    assert_int_equal(in->problems_count, 0);
    intake_free(in);
    chunks_free(list);
}

/* ---- broken files and lines ---- */

static void broken_input_is_named(void **state) {
    const struct place *place = *state;
    put(place, "1.json",
        "[{\"id\":1,\"text\":\"a\"},\n {\"id\":2 \"text\":"
        "\"b\"}]");
    put(place, "2.json", "[{\"id\":3,\"text\":\"a\"},\n {\"id\":4,\"te");
    put(place, "3.json", "[{\"id\":5,\"text\":\"caf\xE9\"}]");
    put(place, "4.jsonl",
        "{\"id\":6,\"text\":\"fine\"}\n{\"id\":7,}\n"
        "{\"id\":8,\"text\":\"\xFF\"}\n"
        "{\"id\":9,\"text\":\"fine too\"}");
    struct read r = read_all(place);
    const struct {
        const char *message, *code;
    } expected[] = {
        {"1.json: line 2, column 10: ", "broken_file"},
        {"2.json: line 2, column 13: ", "broken_file"},
        {"3.json: line 1, column 21: ", "not_utf8"},
        {"4.jsonl: line 2, column 9: ", "broken_line"},
        {"4.jsonl: line 3, column 17: ", "not_utf8"},
    };
    assert_int_equal(r.in->problems_count, 5);
    for (size_t i = 0; i < 5; i++) {
        const struct chunk_problem *p = &r.in->problems[i];
        assert_ptr_equal(strstr(p->message, expected[i].message), p->message);
        assert_string_equal(p->code, expected[i].code);
        assert_true(p->failed);
    }
    assert_non_null(strstr(r.in->problems[1].message, "cut off"));
    assert_non_null(strstr(r.in->problems[2].message, "UTF-8"));
    assert_int_equal(r.in->counts.files_failed, 3);
    assert_int_equal(r.in->counts.lines_failed, 2);
    struct strbuf out = strbuf_make(&memory);
    texts_of(r.in, &out);
    assert_string_equal(out.data, "6=fine;9=fine too;");
    strbuf_free(&out);
    done(&r);
}

static void a_file_without_permission(void **state) {
    const struct place *place = *state;
    put(place, "a/1.json", "[{\"text\":\"a\"}]");
    put(place, "a/2.json", "[{\"text\":\"b\"}]");
    put(place, "a/locked/3.json", "[{\"text\":\"c\"}]");
    chmod(place->root, 0777);
    chmod(place->scratch, 0777);
    chmod(path_in(place, "a/1.json"), 0);
    chmod(path_in(place, "a/locked"), 0);
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    struct read r = read_all(place);
    if (root)
        assert_int_equal(seteuid(0), 0);
    chmod(path_in(place, "a/locked"), 0777);
    assert_int_equal(r.in->counts.files, 3);
    assert_int_equal(r.in->counts.files_failed, 2);
    assert_int_equal(r.in->counts.points, 1);
    assert_string_equal(r.in->problems[0].code, "unreadable_file");
    assert_string_equal(r.in->problems[0].file, "1.json");
    assert_string_equal(r.in->problems[1].file, "locked/");
    assert_non_null(strstr(r.in->problems[1].message, "Permission denied"));
    done(&r);
}

/* ---- ids, repeats, duplicates, blanks ---- */

static void ids_are_unique(void **state) {
    const struct place *place = *state;
    put(place, "1.json",
        "[{\"text\":\"a\",\"metadata\":{\"chunk_id\":\"x\"},\"id\":\"no\"},"
        "{\"text\":\"b\",\"chunk_id\":\"x#2\"},"
        "{\"text\":\"c\",\"id\":\"x\"},"
        "{\"text\":\"d\",\"chunk_id\":12.50,\"id\":\"y\"},"
        "{\"text\":\"e\",\"chunk_id\":\"\",\"id\":\"z\"},"
        "{\"text\":\"f\",\"chunk_id\":\"x\"},"
        "{\"text\":\"g\",\"chunk_id\":\"x#2\"}]");
    expect_texts(place, "x=a;x#2=b;x#3=c;12.50=d;z=e;x#4=f;x#2#2=g;");
}

static void chunks_without_an_id_get_one(void **state) {
    const struct place *place = *state;
    put(place, "a/1.json",
        "[{\"id\":\"1.json\\u001f8f434346648f6b96\",\"text\":\"own\"},"
        "\"hi\",\"hi\",{\"text\":\"yo\",\"metadata\":{\"chunk_id\":null},"
        "\"id\":true}]");
    put(place, "a/b/2.jsonl", "\"hi\"\n");
    /* printf hi | sha256sum, printf yo | sha256sum */
#define HI                                                                     \
    "\x1f"                                                                     \
    "8f434346648f6b96"
#define YO                                                                     \
    "\x1f"                                                                     \
    "e9058ab198f6908f"
    expect_texts(place, "1.json" HI "=own;"
                        "1.json" HI "\x1f"
                        "1=hi;"
                        "1.json" HI "\x1f"
                        "2=hi;"
                        "1.json" YO "\x1f"
                        "1=yo;"
                        "b/2.jsonl" HI "\x1f"
                        "1=hi;");
}

/* Counted in the file, among those without an id: wherever the text was first,
 * and whether that one had an id. */
static void occurrences_are_counted_in_their_file(void **state) {
    const struct place *place = *state;
    put(place, "1.jsonl", "{\"id\":\"x\",\"text\":\"hi\"}\n\"hi\"\n\"yo\"\n");
    put(place, "2.jsonl", "\"hi\"\n\"yo\"\n\"hi\"\n\"hi\"\n");
    put(place, "3.jsonl", "\"yo\"\n\"yo\"\n");
    expect_texts(place, "x=hi;"
                        "1.jsonl" HI "\x1f"
                        "1=hi;"
                        "1.jsonl" YO "\x1f"
                        "1=yo;"
                        "2.jsonl" HI "\x1f"
                        "1=hi;"
                        "2.jsonl" YO "\x1f"
                        "1=yo;"
                        "2.jsonl" HI "\x1f"
                        "2=hi;"
                        "2.jsonl" HI "\x1f"
                        "3=hi;"
                        "3.jsonl" YO "\x1f"
                        "1=yo;"
                        "3.jsonl" YO "\x1f"
                        "2=yo;");
}

static void duplicates_and_blanks_are_counted(void **state) {
    const struct place *place = *state;
    put(place, "1.json",
        "[\"a\",\"b\",\"a\",\" \\n\\u3000\\u0085\",\"\","
        "\"\\u200b\",\"b\"]");
    struct read r = read_all(place);
    const struct intake_counts *c = &r.in->counts;
    assert_int_equal(c->found, 7);
    assert_int_equal(c->blank, 2); /* U+200B is no whitespace */
    assert_int_equal(c->points, 5);
    assert_int_equal(c->unique, 3);
    assert_int_equal(c->duplicate, 2);
    assert_int_equal(c->failed, 0);
    assert_int_equal(c->text_bytes, 7);
    assert_int_equal(c->text_bytes_longest, 3);
    assert_string_equal(r.in->problems[0].code, "blank_chunk");
    assert_int_equal(r.in->problems[0].column, 14);
    assert_false(r.in->problems[0].failed);
    struct error err = {0};
    struct chunk chunk;
    struct chunk_reader *reader = chunk_reader_open(r.in, &err);
    const uint64_t firsts[] = {0, 1, 3};
    for (size_t i = 0; i < 3; i++) {
        uint64_t point;
        uint8_t digest[SHA256_BYTES];
        assert_int_equal(
            chunk_reader_digest(reader, true, &point, digest, &err), CHUNK_OK);
        assert_int_equal(point, firsts[i]);
        assert_true(chunk_reader_decode(reader, &chunk, &err));
        assert_int_equal(chunk.point, firsts[i]);
        assert_memory_equal(chunk.digest, digest, sizeof digest);
        assert_false(chunk.duplicate);
    }
    assert_int_equal(chunk_reader_next(reader, true, &chunk, &err), CHUNK_END);
    assert_int_equal(chunk_reader_next(reader, true, &chunk, &err), CHUNK_END);
    chunk_reader_close(reader);
    done(&r);
}

/* ---- what is carried through ---- */

static void metadata_is_the_bytes_that_came(void **state) {
    const struct place *place = *state;
    static const char first[] =
        "{ \"n\" : 0.1, \"e\":1e400,\n\"i\":12345678901234567890, \"k\":1,"
        "\"k\":2, \"u\":\"\\u00e9\\/\" }";
    static const char *metadata[] = {first, "{\"chunk_id\":\"\\u0061\"}",
                                     "{\"lone\":\"\\ufffd \\ud83d\\ude00\"}"};
    put(place, "1.json",
        "[{\"metadata\":{ \"n\" : 0.1, \"e\":1e400,\n\"i\":1234567890123456789"
        "0, \"k\":1,\"k\":2, \"u\":\"\\u00e9\\/\" },\"text\":\"t\",\"x\":1},"
        "{\"text\":\"\\u00e9\",\"metadata\":{\"chunk_id\":\"\\u0061\"}},"
        "{\"metadata\":{\"lone\":\"\\udead \\ud83d\\ude00\"},\"text\":"
        "\"\\ud800\"}]");
    for (size_t window = 16; window < 64; window += 5) {
        struct chunk_options options = {.read_bytes = window};
        struct read r = read_with(place, &options, NULL);
        struct error err = {0};
        struct chunk chunk;
        struct chunk_reader *reader = chunk_reader_open(r.in, &err);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(chunk_reader_next(reader, false, &chunk, &err),
                             CHUNK_OK);
            assert_true(str_equal(chunk.metadata, str_from(metadata[i])));
            if (i == 1)
                assert_true(str_equal(chunk.chunk_id, STR("a")) &&
                            str_equal(chunk.text, STR("\xC3\xA9")));
        }
        assert_true(str_equal(chunk.text, STR("\xEF\xBF\xBD")));
        assert_int_equal(r.in->counts.surrogates, 2);
        assert_string_equal(r.in->problems[0].code, "lone_surrogate");
        chunk_reader_close(reader);
        done(&r);
    }
}

static void other_members_become_the_metadata(void **state) {
    const struct place *place = *state;
    put(place, "1.json",
        "[{\"text\":\"a\", \"content\" : [ 1e400 ],\"id\":1,\"chunk_id\":2,"
        "\"b\\u0063\":{\"d\": 0.10},\"metadata\":null}]");
    struct read r = read_all(place);
    struct chunk chunk;
    struct chunk_reader *reader = chunk_reader_open(r.in, NULL);
    assert_int_equal(chunk_reader_next(reader, false, &chunk, NULL), CHUNK_OK);
    assert_true(str_equal(
        chunk.metadata,
        STR("{\"content\":[ 1e400 ],\"id\":1,\"b\\u0063\":{\"d\": 0.10}}")));
    chunk_reader_close(reader);
    done(&r);
}

static void options_change_the_text_and_nothing_else(void **state) {
    const struct place *place = *state;
    put(place, "1.json",
        "[\"  a \\n\\t b\\u00a0\\u2003c\",\"12345678\",\"\\u00e9\\u00e9\\u00e9"
        "\\u00e9\\u00e9\\u00e9\"]");
    static const char *texts[][3] = {
        {" a b c", "12345678",
         "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
         "\xC3\xA9"},
        {"  a \n...", "12345...",
         "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9..."},
        {" a b ...", "12345...",
         "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9..."}};
    uint8_t plain_digest[SHA256_BYTES];
    struct read plain = read_all(place);
    memcpy(plain_digest, plain.in->digest, sizeof plain_digest);
    for (size_t o = 0; o < 3; o++) {
        struct chunk_options options = {.collapse_whitespace = o != 1,
                                        .trim_chars = o ? 5 : 0};
        struct chunk_options none = {0};
        struct read r = read_with(place, &options, NULL);
        struct intake *bare = intake_scan(&memory, &r.list->collections[0],
                                          &none, "/tmp", NULL, NULL);
        assert_non_null(bare);
        assert_memory_not_equal(r.in->digest, plain_digest,
                                sizeof plain_digest);
        struct chunk chunk, other;
        struct chunk_reader *reader = chunk_reader_open(r.in, NULL);
        struct chunk_reader *second = chunk_reader_open(bare, NULL);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(chunk_reader_next(reader, false, &chunk, NULL),
                             CHUNK_OK);
            assert_int_equal(chunk_reader_next(second, false, &other, NULL),
                             CHUNK_OK);
            if (!str_equal(chunk.text, str_from(texts[o][i])))
                fail_msg("%.*s", STR_ARG(chunk.text));
            assert_true(str_equal(chunk.original, other.text));
            assert_true(str_equal(chunk.chunk_id, other.chunk_id));
            assert_memory_equal(chunk.id, other.id, 16);
        }
        chunk_reader_close(reader);
        chunk_reader_close(second);
        intake_free(bare);
        done(&r);
    }
    done(&plain);
}

static void the_digest_tells_exports_apart(void **state) {
    const struct place *place = *state;
    static const char *variants[] = {
        "[{\"id\":1,\"text\":\"a\",\"metadata\":{\"b\":1}}]",
        "[{\"id\":1,\"text\":\"a\",\"metadata\":{\"b\":2}}]",
        "[{\"id\":2,\"text\":\"a\",\"metadata\":{\"b\":1}}]",
        "[{\"id\":1,\"text\":\"b\",\"metadata\":{\"b\":1}}]",
        "[{\"id\":1,\"text\":\"a\",\"metadata\":{\"b\":1}},\"c\"]",
        "\n[{\"x\":0, \"id\":1,\"text\":\"a\",\"metadata\":{\"b\":1}}]"};
    uint8_t digests[6][SHA256_BYTES];
    for (size_t i = 0; i < 6; i++) {
        put(place, "1.json", variants[i]);
        struct read r = read_all(place);
        memcpy(digests[i], r.in->digest, SHA256_BYTES);
        done(&r);
        for (size_t k = 0; k < i && i < 5; k++)
            assert_memory_not_equal(digests[i], digests[k], SHA256_BYTES);
    }
    assert_memory_equal(digests[5], digests[0], SHA256_BYTES);
}

static void a_file_that_changes_is_seen(void **state) {
    const struct place *place = *state;
    static const char *after[] = {"[{\"id\":1,\"text\":\"abd\"}]", "[{\"i",
                                  "[{\"id\":1,\"text\":\"abc]}]",
                                  "[{\"xd\":1,\"text\":\"abc\"}]", NULL};
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
        put(place, "1.json", "[{\"id\":1,\"text\":\"abc\"}]");
        struct read r = read_all(place);
        struct error err = {0};
        struct chunk chunk;
        struct chunk_reader *reader = chunk_reader_open(r.in, &err);
        if (after[i])
            put(place, "1.json", after[i]);
        else
            unlink(path_in(place, "1.json"));
        assert_int_equal(chunk_reader_next(reader, false, &chunk, &err),
                         CHUNK_ERROR);
        assert_non_null(strstr(err.message, "1.json"));
        chunk_reader_close(reader);
        done(&r);
    }
}

/* ---- the sink ---- */

struct listener {
    unsigned lines, events, progress;
    bool stop;
};

static void on_log(void *context, enum log_level level, const char *message) {
    (void)level;
    (void)message;
    ((struct listener *)context)->lines++;
}

static void on_event(void *context, const char *type, const json_t *fields) {
    assert_string_equal(type, "chunk_problem");
    assert_non_null(json_object_get(fields, "message"));
    ((struct listener *)context)->events++;
}

static void on_progress(void *context, const struct progress *progress) {
    assert_string_equal(progress->stage, "read");
    assert_true(progress->done <= progress->total);
    ((struct listener *)context)->progress++;
}

static bool on_interrupted(void *context) {
    return ((struct listener *)context)->stop;
}

static void the_sink_hears_of_problems(void **state) {
    const struct place *place = *state;
    struct listener ears = {0};
    struct sink sink = {&ears, on_log, on_progress, on_event, on_interrupted};
    struct strbuf text = strbuf_make(&memory);
    for (int i = 0; i < 1500; i++)
        strbuf_add(&text, STR("x\n"));
    put(place, "1.jsonl", text.data);
    strbuf_free(&text);
    struct chunk_options options = {.read_bytes = 64};
    struct read r = read_with(place, &options, &sink);
    assert_int_equal(ears.lines, 21);
    assert_int_equal(ears.events, PROBLEMS_KEPT);
    assert_true(ears.progress > 10);
    assert_int_equal(r.in->problems_count, PROBLEMS_KEPT);
    assert_int_equal(r.in->problems_total, 1501);
    assert_int_equal(r.in->counts.lines_failed, 1500);
    intake_free(r.in);
    ears.stop = true;
    struct error err = {0};
    assert_null(intake_scan(&memory, &r.list->collections[0], &options,
                            place->scratch, &sink, &err));
    assert_int_equal(err.code, ERROR_INTERRUPTED);
    chunks_free(r.list);
}

/* ---- size ---- */

static FILE *open_big(const struct place *place, const char *name) {
    FILE *file = fopen(path_in(place, name), "wb");
    assert_non_null(file);
    return file;
}

static void write_many(const struct place *place, unsigned count, bool lines) {
    FILE *file = open_big(place, lines ? "big.jsonl" : "big.json");
    unlink(path_in(place, lines ? "big.json" : "big.jsonl"));
    fputs(lines ? "" : "[", file);
    for (unsigned i = 0; i < count; i++)
        fprintf(file,
                "%s{\"text\":\"chunk %u of a large corpus\",\"metadata\":{"
                "\"chunk_id\":\"c%u\",\"n\":%u}}\n",
                i && !lines ? "," : "", i % (count / 10 * 9), i, i);
    fputs(lines ? "" : "]", file);
    fclose(file);
}

static uint64_t peak_of(const struct place *place, unsigned count, bool lines) {
    write_many(place, count, lines);
    memory.peak = memory_live(&memory);
    struct read r = read_all(place);
    assert_int_equal(r.in->counts.points, count);
    assert_int_equal(r.in->counts.unique, count / 10 * 9);
    struct chunk chunk;
    struct chunk_reader *reader = chunk_reader_open(r.in, NULL);
    uint64_t points = 0;
    while (chunk_reader_next(reader, true, &chunk, NULL) == CHUNK_OK)
        points++;
    assert_int_equal(points, count / 10 * 9);
    chunk_reader_close(reader);
    done(&r);
    return memory_peak(&memory);
}

static void memory_does_not_grow(void **state) {
    const struct place *place = *state;
    /* Both have more ids and texts than an index holds. */
    uint64_t small = peak_of(place, 100000, true);
    uint64_t large = peak_of(place, 200000, true);
    uint64_t array = peak_of(place, 200000, false);
    assert_int_equal(small, large);
    assert_true(array <= large + 4096);
    assert_true(large < 1024 * 1024 + 2 * DISK_INDEX_HELD_MAX);
}

static void a_hundred_megabytes_of_text(void **state) {
    const struct place *place = *state;
    const size_t size = 100 * 1000 * 1000;
    FILE *file = open_big(place, "big.json");
    fputs("[{\"id\":1,\"text\":\"", file);
    for (size_t i = 0; i < size / 10; i++)
        fputs("012345678 ", file);
    fputs("\"},{\"id\":2,\"text\":\"small\"}]", file);
    fclose(file);
    memory.peak = memory_live(&memory);
    struct read r = read_all(place);
    assert_int_equal(r.in->counts.points, 2);
    assert_int_equal(r.in->counts.text_bytes_longest, size);
    struct chunk chunk;
    struct chunk_reader *reader = chunk_reader_open(r.in, NULL);
    assert_int_equal(chunk_reader_next(reader, false, &chunk, NULL), CHUNK_OK);
    assert_int_equal(chunk.text.size, size);
    assert_int_equal(chunk_reader_next(reader, false, &chunk, NULL), CHUNK_OK);
    assert_true(str_equal(chunk.text, STR("small")));
    assert_true(memory_live(&memory) < 1024 * 1024);
    chunk_reader_close(reader);
    done(&r);
    assert_true(memory_peak(&memory) < size + 1024 * 1024);
    /* Below a ceiling it is left out by name, and the run goes on. */
    memory.ceiling = 50 * 1000 * 1000;
    r = read_all(place);
    memory.ceiling = 0;
    assert_int_equal(r.in->counts.points, 1);
    assert_int_equal(r.in->counts.failed, 1);
    assert_string_equal(r.in->problems[0].code, "chunk_too_long");
    assert_int_equal(r.in->problems[0].column, 2);
    done(&r);
}

/* ---- lines of `embed` and `tokenize` ---- */

static void texts_of_lines(void **state) {
    (void)state;
    struct error err = {0};
    struct strbuf out = strbuf_make(&memory);
    static const struct {
        const char *line, *text;
    } good[] = {{"\"a\\u00e9\"", "a\xC3\xA9"},
                {" {\"text\" : \"x\", \"n\":1e400}\r\n", "x"},
                {"{\"content\":\"y\"}", "y"},
                {"{\"text\":null,\"content\":\"y\"}", "y"},
                {"\xEF\xBB\xBF\"\\ud800\"", "\xEF\xBF\xBD"},
                {"\"\"", ""}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(
            chunk_line_text(str_from(good[i].line), "in", 3, &out, &err));
        assert_true(str_equal(strbuf_str(&out), str_from(good[i].text)));
    }
    static const struct {
        const char *line, *message;
    } bad[] = {{"{\"text\":1}", "in: line 7: "},
               {"[]", "in: line 7: "},
               {"7", "in: line 7: "},
               {"{}", "in: line 7: "},
               {"", "in: line 7, column 1: "},
               {"{\"text\":\"a\"", "in: line 7, column 12: "},
               {"{\"text\":\"\xC3\xA9\xFF\"}", "in: line 7, column 11: "},
               {"\"a\" b", "in: line 7, column 5: "}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(
            chunk_line_text(str_from(bad[i].line), "in", 7, &out, &err));
        assert_int_equal(err.code, ERROR_INPUT);
        if (strncmp(err.message, bad[i].message, strlen(bad[i].message)) != 0)
            fail_msg("%s: %s", bad[i].line, err.message);
    }
    strbuf_free(&out);
}

/* ---- against other people's reading ---- */

/* Made by tools/intake_oracle.py --make. */
static void generated_chunks_are_as_python_reads_them(void **state) {
    (void)state;
    struct error err = {0};
    struct strbuf expected = strbuf_make(&memory), got = strbuf_make(&memory);
    static const size_t windows[] = {0, 16, 100};
    assert_true(file_read("tests/fixtures/chunks/expected.jsonl", 1 << 24,
                          &expected, &err));
    for (size_t i = 0; i < 3; i++) {
        struct chunk_options options = {.read_bytes = windows[i]};
        strbuf_clear(&got);
        assert_true(dump(&got, "tests/fixtures/chunks/input", &options, &err));
        size_t at = 0;
        while (at < got.size && got.data[at] == expected.data[at])
            at++;
        if (got.size != expected.size || at < got.size) {
            size_t from = at < 200 ? 0 : at - 200;
            fail_msg("differ at byte %zu:\n%.300s\n%.300s", at, got.data + from,
                     expected.data + from);
        }
    }
    strbuf_free(&expected);
    strbuf_free(&got);
}

static void real_chunks(void **state) {
    const struct place *place = *state;
    const char *path = "../shared/data/chunks";
    if (!folder_exists(path)) {
        print_message("skip: %s is not there\n", path);
        return;
    }
    struct error err = {0};
    struct chunk_options options = {0};
    static const struct {
        const char *name, *canonical;
        uint64_t points;
    } expected[] = {{"Docling", "docling", 738},
                    {"Sentence_Transformer", "sentence_transformers", 406},
                    {"pydantic", "pydantic", 419}};
    struct chunk_listing *list = chunks_list(&memory, path, &options, &err);
    assert_int_equal(list->count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct collection *c = &list->collections[i];
        assert_string_equal(c->name, expected[i].name);
        assert_string_equal(c->canonical, expected[i].canonical);
        struct intake *in =
            intake_scan(&memory, c, &options, place->scratch, NULL, &err);
        assert_int_equal(in->counts.points, expected[i].points);
        assert_int_equal(in->problems_total, 0);
        intake_free(in);
    }
    chunks_free(list);
}

static void odd_real_chunks(void **state) {
    const struct place *place = *state;
    const char *path = "../shared/data/chunks_odd";
    if (!folder_exists(path)) {
        print_message("skip: %s is not there\n", path);
        return;
    }
    struct error err = {0};
    struct chunk_options options = {0};
    static const struct {
        const char *name;
        uint64_t points, failed;
    } expected[] = {{"content_key", 80, 0},
                    {"text_key_old", 9, 0},
                    {"truncated", 0, 2},
                    {"wrapped_chunks", 21, 0}};
    struct chunk_listing *list = chunks_list(&memory, path, &options, &err);
    assert_int_equal(list->count, 4);
    for (size_t i = 0; i < 4; i++) {
        struct intake *in = intake_scan(&memory, &list->collections[i],
                                        &options, place->scratch, NULL, &err);
        assert_string_equal(in->collection->name, expected[i].name);
        assert_int_equal(in->counts.points, expected[i].points);
        assert_int_equal(in->counts.files_failed, expected[i].failed);
        if (expected[i].failed)
            assert_true(in->problems[0].line == 14 &&
                        in->problems[0].column == 25);
        intake_free(in);
    }
    chunks_free(list);
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "--dump"))
        return dump_main(argc, argv);
#define IN_A_FOLDER(test)                                                      \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(folders_and_names),
        IN_A_FOLDER(one_file_in_the_root_makes_one_collection),
        IN_A_FOLDER(collections_are_selected),
        IN_A_FOLDER(single_files_and_standard_input),
        IN_A_FOLDER(an_empty_folder_has_no_collection),
        IN_A_FOLDER(links_do_not_loop),
        IN_A_FOLDER(our_own_output_is_not_input),
        IN_A_FOLDER(shapes_of_documents),
        IN_A_FOLDER(shapes_that_are_wrong),
        IN_A_FOLDER(bare_strings_are_texts),
        IN_A_FOLDER(standard_input_may_be_a_list),
        IN_A_FOLDER(broken_input_is_named),
        IN_A_FOLDER(a_file_without_permission),
        IN_A_FOLDER(ids_are_unique),
        IN_A_FOLDER(chunks_without_an_id_get_one),
        IN_A_FOLDER(occurrences_are_counted_in_their_file),
        IN_A_FOLDER(duplicates_and_blanks_are_counted),
        IN_A_FOLDER(metadata_is_the_bytes_that_came),
        IN_A_FOLDER(other_members_become_the_metadata),
        IN_A_FOLDER(options_change_the_text_and_nothing_else),
        IN_A_FOLDER(the_digest_tells_exports_apart),
        IN_A_FOLDER(a_file_that_changes_is_seen),
        IN_A_FOLDER(the_sink_hears_of_problems),
        IN_A_FOLDER(memory_does_not_grow),
        IN_A_FOLDER(a_hundred_megabytes_of_text),
        IN_A_FOLDER(texts_of_lines),
        IN_A_FOLDER(generated_chunks_are_as_python_reads_them),
        IN_A_FOLDER(real_chunks),
        IN_A_FOLDER(odd_real_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
