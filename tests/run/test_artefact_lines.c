/* test_artefact_lines.c - the line files: the same bytes by any number of
 * threads, by one at a time where there is no room, and what is wrong with a
 * chunk is said. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/pool.h"
#include "data/chunks.h"
#include "run/artefact_lines.h"
#include "run/scanned.h"

enum { POINTS = 1500, WIDTH = 5, FUSED = 2, FILES = 4 };
enum { LARGE_BYTES = 300 * 1024, HUGE_BYTES = 1200 * 1024 };

static const char *const NAMES[FILES] = {"points.jsonl",
                                         ".ensembed/points.offsets",
                                         "texts.jsonl", "metadata.jsonl"};

struct stage {
    struct run_options options;
    struct session session;
    struct chunk_listing *list;
    struct intake *intake;
    struct artefacts artefacts;
    struct scanned_places at;
};

/* ---- the stage ---------------------------------------------------------- */

/* Letters of a text: a few, but of LARGE ones some have more than a thread's
 * share, and one more than a buffer that is kept. */
static size_t letters_of(unsigned i, bool large) {
    if (large && (i == 700 || i == 701))
        return LARGE_BYTES;
    return large && i == 1100 ? HUGE_BYTES : i * 37 % 400;
}

static void put_text(FILE *f, unsigned i, bool large) {
    fprintf(f, "text %u ", i % 50 == 49 ? i - 1 : i); /* some come twice */
    for (size_t n = 0; n < letters_of(i % 50 == 49 ? i - 1 : i, large); n++)
        putc('a' + (int)(n % 26), f);
}

static void write_chunks(const char *path, bool large, unsigned changed) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (unsigned i = 0; i < POINTS; i++) {
        fputs("{\"text\": \"", f);
        put_text(f, i == changed ? i + 1 : i, large);
        fprintf(f, "\", \"metadata\": {\"chunk_id\": \"c%u\", \"n\":  %u}}\n",
                i, i);
    }
    assert_int_equal(fclose(f), 0);
}

static void stage_open(struct stage *s, const char *name, bool large) {
    *s = (struct stage){.options.exports = EXPORT_ALL};
    scanned_make(&s->at, name);
    write_chunks(s->at.chunks, large, POINTS);
    s->session.options = &s->options;
    s->intake =
        scanned(&s->session.memory, &s->at, &s->options.chunk, &s->list);
    assert_int_equal(s->intake->counts.points, POINTS);
    s->artefacts = (struct artefacts){
        .session = &s->session, .intake = s->intake, .folder = s->at.folder};
}

static void stage_close(struct stage *s) {
    intake_free(s->intake);
    chunks_free(s->list);
    assert_int_equal(memory_live(&s->session.memory), 0);
    scanned_remove(&s->at);
}

/* As artefacts.c does it; every tenth point is left out. */
static bool add_points(struct stage *s, struct lines *lines,
                       struct error *err) {
    struct chunk_reader *reader = chunk_reader_open(s->intake, err);
    bool fine = reader != NULL;
    uint64_t point;
    uint8_t digest[SHA256_BYTES];
    while (fine && chunk_reader_digest(reader, false, &point, digest, err) ==
                       CHUNK_OK) {
        float values[WIDTH + FUSED];
        for (size_t i = 0; i < WIDTH + FUSED; i++)
            values[i] = (float)point / 3 + (float)i;
        struct named_vector vectors[2] = {
            {.name = "a", .values = values, .width = WIDTH},
            {.name = "fused", .values = values + WIDTH, .width = FUSED}};
        struct chunk chunk;
        uint64_t bytes = chunk_reader_size(reader);
        bool waits;
        if (point % 10 == 3)
            continue;
        fine = lines_may_wait(lines, bytes, &waits, err);
        if (fine && waits)
            fine = lines_add(lines, point, bytes, vectors, 2, err);
        else if (fine)
            fine = chunk_reader_decode(reader, &chunk, err) &&
                   lines_add_chunk(lines, &chunk, vectors, 2, err);
    }
    chunk_reader_close(reader);
    return fine && lines_flush(lines, err);
}

static bool write_lines(struct stage *s, unsigned threads, uint64_t room,
                        struct error *err) {
    static struct memory pools;
    struct lines lines = {0};
    s->session.pool = threads ? pool_create(&pools, threads, NULL) : NULL;
    s->session.memory.ceiling =
        room ? memory_live(&s->session.memory) + room : 0;
    bool fine = lines_open(&lines, &s->artefacts, EXPORT_ALL, "text", 2,
                           WIDTH + FUSED, err) &&
                add_points(s, &lines, err) && lines_commit(&lines, err);
    lines_close(&lines);
    s->session.memory.ceiling = 0;
    pool_free(s->session.pool);
    return fine;
}

static void read_files(const struct stage *s, struct strbuf text[FILES]) {
    static struct memory memory;
    for (size_t f = 0; f < FILES; f++) {
        char path[700];
        snprintf(path, sizeof path, "%s/%s", s->at.folder, NAMES[f]);
        text[f] = strbuf_make(&memory);
        assert_true(file_read(path, 1 << 26, &text[f], NULL));
        unlink(path);
    }
}

static void free_files(struct strbuf text[FILES]) {
    for (size_t f = 0; f < FILES; f++)
        strbuf_free(&text[f]);
}

static void assert_same(struct strbuf a[FILES], struct strbuf b[FILES]) {
    for (size_t f = 0; f < FILES; f++) {
        assert_int_equal(a[f].size, b[f].size);
        assert_memory_equal(a[f].data, b[f].data, a[f].size);
    }
}

/* ---- tests -------------------------------------------------------------- */

/* What was put in, plainly: point I of those that stay has its id, its text
 * and where its line begins. */
static void assert_right(struct strbuf text[FILES]) {
    const char *point = text[0].data, *line = text[2].data;
    const char *metadata = text[3].data;
    size_t count = 0;
    for (unsigned i = 0; i < POINTS; i++) {
        char wanted[64];
        uint64_t offset;
        if (i % 10 == 3)
            continue;
        memcpy(&offset, text[1].data + count++ * sizeof offset, sizeof offset);
        assert_int_equal(offset, point - text[0].data);
        snprintf(wanted, sizeof wanted, "\"chunk_id\":\"c%u\"", i);
        const char *found = strstr(point, wanted);
        point = strchr(point, '\n') + 1;
        assert_true(found && found < point);
        snprintf(wanted, sizeof wanted, "\"text %u ", i % 50 == 49 ? i - 1 : i);
        assert_memory_equal(line, wanted, strlen(wanted));
        line = strchr(line, '\n') + 1;
        snprintf(wanted, sizeof wanted, "{\"chunk_id\":\"c%u\",\"n\":%u}\n", i,
                 i);
        assert_memory_equal(metadata, wanted, strlen(wanted));
        metadata += strlen(wanted);
    }
    assert_int_equal(text[1].size, count * sizeof(uint64_t));
    assert_int_equal(point - text[0].data, text[0].size);
    assert_int_equal(line - text[2].data, text[2].size);
    assert_int_equal(metadata - text[3].data, text[3].size);
}

static void any_number_of_threads_makes_the_same_files(void **state) {
    (void)state;
    static const unsigned threads[] = {1, 2, 3, 8};
    struct stage s;
    struct error err = {0};
    struct strbuf alone[FILES], text[FILES];
    stage_open(&s, "lines", true);
    assert_true(write_lines(&s, 0, 0, &err));
    read_files(&s, alone);
    assert_right(alone);
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        if (!write_lines(&s, threads[t], 0, &err))
            fail_msg("%s", err.message);
        read_files(&s, text);
        assert_same(alone, text);
        free_files(text);
    }
    free_files(alone);
    stage_close(&s);
}

/* Wherever one thread has room enough, several have too. */
static void try_rooms(bool large) {
    enum { STEP = 48 * 1024, STEPS = 40 };
    struct stage s;
    struct error err = {0};
    struct strbuf alone[FILES], text[FILES];
    uint64_t room = STEP;
    stage_open(&s, "room", large);
    while (!write_lines(&s, 0, room, &err)) {
        assert_int_equal(err.code, ERROR_MEMORY);
        room += STEP;
    }
    read_files(&s, alone);
    for (int i = 0; i < STEPS; i++, room += STEP) {
        if (!write_lines(&s, 4, room, &err))
            fail_msg("with %d pieces more: %s", i, err.message);
        read_files(&s, text);
        assert_same(alone, text);
        free_files(text);
    }
    free_files(alone);
    stage_close(&s);
}

static void without_room_lines_are_made_one_by_one(void **state) {
    (void)state;
    try_rooms(false);
    try_rooms(true);
}

static void a_chunk_that_changed_is_an_error(void **state) {
    (void)state;
    struct stage s;
    stage_open(&s, "changed", true);
    write_chunks(s.at.chunks, true, 1234);
    for (unsigned threads = 1; threads <= 4; threads += 3) {
        struct error err = {0};
        assert_false(write_lines(&s, threads, 0, &err));
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.message, "changed while it was being read"));
    }
    stage_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_makes_the_same_files),
        cmocka_unit_test(without_room_lines_are_made_one_by_one),
        cmocka_unit_test(a_chunk_that_changed_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
