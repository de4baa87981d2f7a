/* test_chunk_oracle.c - chunk files as other people read them: those that
 * tools/intake_oracle.py makes, and real ones.
 *
 * With arguments it is the program that tools/intake_oracle.py compares with
 * its own reading:
 *
 *     test_data_chunk_oracle --dump PATH [as=NAME] [only=NAME]... [collapse]
 *                            [trim=N] [read=N]
 */

#include "data/chunk_folder.h"
#include "data/payload.h"

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

/* ---- tests ---- */

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
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(generated_chunks_are_as_python_reads_them),
        IN_A_FOLDER(real_chunks),
        IN_A_FOLDER(odd_real_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
