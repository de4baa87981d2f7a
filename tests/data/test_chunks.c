/* test_chunks.c - from chunk files to numbered points: shapes, what is wrong
 * with them, ids, duplicates, what is carried through, and what the sink hears.
 * Which files they are is test_chunk_list.c's, how much memory it takes
 * test_chunk_memory.c's, what others make of the same files
 * test_chunk_oracle.c's. */

#include "data/chunk_folder.h"

/* ---- what was read ---- */

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

static void note_last(void *context, const struct progress *progress) {
    *(struct progress *)context = *progress;
}

static void a_file_without_permission(void **state) {
    const struct place *place = *state;
    struct chunk_options options = {0};
    struct progress last = {0};
    struct sink sink = {.context = &last, .progress = note_last};
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
    struct read r = read_with(place, &options, &sink);
    if (root)
        assert_int_equal(seteuid(0), 0);
    chmod(path_in(place, "a/locked"), 0777);
    assert_int_equal(last.total, 2 * strlen("[{\"text\":\"a\"}]"));
    assert_int_equal(last.done, last.total); /* though 1.json was not read */
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

int main(void) {
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
