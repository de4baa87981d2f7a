/* test_chunk_reader.c - the walk over an intake's chunks gives each of them as
 * it lies in its file, wherever the window that is read ahead begins and ends,
 * and no file may change under it unseen. */

#include <limits.h>
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

#include "base/file.h"
#include "base/memory.h"
#include "data/chunks.h"

enum { AHEAD = 64 * 1024, GAP = 4 * 1024, FILES = 2, CHUNKS_MOST = 4000 };

static struct memory memory;

/* A folder of JSON Lines, and what was written into them. */
struct corpus {
    char root[64], scratch[80];
    FILE *file;
    unsigned files, count;
    struct {
        unsigned file;
        size_t begin, end, text; /* in its file; bytes of text */
    } chunks[CHUNKS_MOST];
    struct chunk_listing *list;
    struct intake *intake;
};

static void path_of(const struct corpus *c, unsigned file, char path[128]) {
    snprintf(path, 128, "%s/%u.jsonl", c->root, file);
}

static struct corpus *corpus_make(void) {
    struct corpus *c = calloc(1, sizeof *c);
    strcpy(c->root, "/tmp/ens-reader-XXXXXX");
    assert_non_null(mkdtemp(c->root));
    snprintf(c->scratch, sizeof c->scratch, "%s/.ensembed", c->root);
    assert_true(folder_make(c->scratch, NULL));
    return c;
}

static void begin_file(struct corpus *c) {
    char path[128];
    if (c->file)
        fclose(c->file);
    path_of(c, c->files++, path);
    c->file = fopen(path, "wb");
    assert_non_null(c->file);
}

/* Byte I of the text of chunk NUMBER: no two chunks are alike. */
static char letter(unsigned number, size_t i) {
    return (char)('a' + (number * 7919u + i * 31u + (i / 26) * number) % 26);
}

static size_t position(const struct corpus *c) {
    return (size_t)ftell(c->file);
}

/* A chunk whose JSON has SIZE bytes (at least 30), BEFORE bytes of space before
 * it, ENDING after it. */
static void add(struct corpus *c, size_t before, size_t size,
                const char *ending) {
    unsigned number = c->count++;
    assert_true(c->count <= CHUNKS_MOST && size >= 30);
    for (size_t i = 0; i < before; i++)
        fputc(i % 64 == 63 ? '\n' : ' ', c->file);
    size_t begin = position(c);
    fprintf(c->file, "{\"id\":\"%u\",\"text\":\"", number);
    size_t text = size - (position(c) - begin) - 2;
    for (size_t i = 0; i < text; i++)
        fputc(letter(number, i), c->file);
    fputs("\"}", c->file);
    c->chunks[number].file = c->files - 1;
    c->chunks[number].begin = begin;
    c->chunks[number].end = position(c);
    c->chunks[number].text = text;
    assert_int_equal(position(c) - begin, size);
    fputs(ending, c->file);
}

static void scan(struct corpus *c) {
    struct chunk_options options = {0};
    struct error err = {0};
    fclose(c->file);
    c->file = NULL;
    c->list = chunks_list(&memory, c->root, &options, &err);
    if (c->list)
        c->intake = intake_scan(&memory, &c->list->collections[0], &options,
                                c->scratch, NULL, &err);
    if (!c->intake)
        fail_msg("%s", err.message);
    assert_int_equal(c->intake->counts.points, c->count);
}

static void corpus_free(struct corpus *c) {
    intake_free(c->intake);
    chunks_free(c->list);
    folder_remove(c->root, NULL);
    free(c);
    assert_int_equal(memory_live(&memory), 0);
}

static void check_chunk(const struct corpus *c, const struct chunk *chunk,
                        uint64_t point) {
    char id[16];
    unsigned number = (unsigned)point;
    snprintf(id, sizeof id, "%u", number);
    assert_int_equal(chunk->point, point);
    assert_int_equal(chunk->chunk_id.size, strlen(id));
    assert_memory_equal(chunk->chunk_id.data, id, strlen(id));
    assert_int_equal(chunk->text.size, c->chunks[number].text);
    for (size_t i = 0; i < chunk->text.size; i++)
        if (chunk->text.data[i] != letter(number, i))
            fail_msg("chunk %u differs at byte %zu", number, i);
}

/* All chunks one after another, then each EVERY-th: what is left out makes
 * gaps. */
static void check_all(const struct corpus *c, unsigned every) {
    struct error err = {0};
    struct chunk_reader *reader = chunk_reader_open(c->intake, &err);
    assert_non_null(reader);
    enum chunk_step step;
    uint64_t seen = 0, point;
    uint8_t digest[SHA256_BYTES];
    while ((step = chunk_reader_digest(reader, false, &point, digest, &err)) ==
           CHUNK_OK) {
        struct chunk chunk;
        assert_int_equal(point, seen++);
        if (point % every)
            continue;
        if (!chunk_reader_decode(reader, &chunk, &err))
            fail_msg("chunk %u: %s", (unsigned)point, err.message);
        check_chunk(c, &chunk, point);
    }
    assert_int_equal(step, CHUNK_END);
    assert_int_equal(seen, c->count);
    chunk_reader_close(reader);
}

static void check_corpus(struct corpus *c) {
    static const unsigned every[] = {1, 2, 3, 7, 50};
    scan(c);
    for (size_t i = 0; i < sizeof every / sizeof *every; i++)
        check_all(c, every[i]);
    corpus_free(c);
}

/* The last byte of a chunk is the window's last, the one before, the one
 * after; and so is its first. */
static void chunks_at_the_windows_edges(void **state) {
    (void)state;
    for (int off = -3; off <= 3; off++) {
        struct corpus *c = corpus_make();
        for (int file = 0; file < FILES; file++) {
            begin_file(c);
            size_t edge = (size_t)(AHEAD + off);
            for (unsigned window = 0; window < 3; window++) {
                size_t begin = position(c);
                while (position(c) + 2200 < begin + edge)
                    add(c, 0, 1000, "\n");
                add(c, 0, begin + edge - position(c), "\n"); /* ends there */
            }
            size_t begin = position(c);
            add(c, 0, 30000, "\n");
            add(c, 0, edge - (position(c) - begin) - 1, "\n");
            add(c, 0, 500, "\n"); /* begins there */
        }
        check_corpus(c);
    }
}

/* Chunks of half a window, of a whole one and of more, between small ones. */
static void chunks_longer_than_the_window(void **state) {
    (void)state;
    static const size_t sizes[] = {AHEAD / 2 - 1, AHEAD / 2, AHEAD / 2 + 1,
                                   AHEAD - 1,     AHEAD,     AHEAD + 1,
                                   2 * AHEAD,     300001};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    struct corpus *c = corpus_make();
    for (int file = 0; file < FILES; file++) {
        begin_file(c);
        for (size_t i = 0; i < SIZES * SIZES; i++) {
            add(c, 0, sizes[i % SIZES], "\n");
            for (size_t k = 0; k < i / SIZES; k++)
                add(c, 0, 30 + 977 * k, "\n");
        }
    }
    check_corpus(c);
}

/* Blank lines between chunks, up to what is still read together and past it;
 * lines that end as Windows ends them, and a last one that does not end. */
static void gaps_and_line_ends(void **state) {
    (void)state;
    static const char *const endings[] = {"\n", "\r\n", " \t\r\n", "\n\n\r\n"};
    for (size_t e = 0; e < sizeof endings / sizeof *endings; e++) {
        struct corpus *c = corpus_make();
        for (int file = 0; file < FILES; file++) {
            begin_file(c);
            for (size_t i = 0; i < 300; i++)
                add(c, i % 5 ? i % 64 : GAP - 3 + i % 7, 30 + i * 37 % 3000,
                    endings[e]);
            add(c, 0, 60, "");
        }
        check_corpus(c);
    }
}

/* Reads on until the reader says that it cannot; how many it gave. */
static uint64_t read_to_the_fault(struct corpus *c, struct chunk_reader *reader,
                                  uint64_t point) {
    struct error err = {0};
    struct chunk chunk;
    enum chunk_step step;
    while ((step = chunk_reader_next(reader, false, &chunk, &err)) == CHUNK_OK)
        check_chunk(c, &chunk, point++);
    if (step == CHUNK_ERROR) {
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.message, "0.jsonl changed while it was"));
    }
    return point;
}

static struct corpus *one_file(void) {
    struct corpus *c = corpus_make();
    begin_file(c);
    for (unsigned i = 0; i < 400; i++)
        add(c, 0, 500 + i * 13 % 700, "\n");
    scan(c);
    return c;
}

static struct chunk_reader *read_first(struct corpus *c) {
    struct chunk chunk;
    struct chunk_reader *reader = chunk_reader_open(c->intake, NULL);
    assert_non_null(reader);
    assert_int_equal(chunk_reader_next(reader, false, &chunk, NULL), CHUNK_OK);
    check_chunk(c, &chunk, 0);
    return reader;
}

/* What was read before may still be given, and is whole; the first chunk that
 * is neither in the file nor in the window is the end. */
static void a_file_that_shrinks_is_seen(void **state) {
    (void)state;
    for (unsigned victim = 1; victim < 400; victim += 19) {
        struct corpus *c = one_file();
        struct chunk_reader *reader = read_first(c);
        char path[128];
        path_of(c, 0, path);
        size_t size = c->chunks[victim].end - 1;
        assert_int_equal(truncate(path, (off_t)size), 0);
        uint64_t given = read_to_the_fault(c, reader, 1);
        size_t held = AHEAD > size ? AHEAD : size;
        assert_true(given >= victim && given < c->count);
        assert_true(c->chunks[given].end > size);
        assert_true(c->chunks[given - 1].end <= held);
        chunk_reader_close(reader);
        corpus_free(c);
    }
}

/* Nobody writes to the pipe that stands there now: who waited for that would
 * not hear Ctrl-C. */
static void a_pipe_in_the_files_place_is_seen(void **state) {
    (void)state;
    struct corpus *c = one_file();
    struct error err = {0};
    char path[128];
    path_of(c, 0, path);
    assert_true(file_remove(path, NULL));
    assert_int_equal(mkfifo(path, 0666), 0);
    struct chunk_reader *reader = chunk_reader_open(c->intake, &err);
    assert_non_null(reader);
    alarm(20);
    assert_int_equal(read_to_the_fault(c, reader, 0), 0);
    alarm(0);
    chunk_reader_close(reader);
    corpus_free(c);
}

static void a_file_that_grows_is_what_it_was(void **state) {
    (void)state;
    struct corpus *c = one_file();
    struct chunk_reader *reader = read_first(c);
    char path[128];
    path_of(c, 0, path);
    FILE *file = fopen(path, "ab");
    for (unsigned i = 0; i < 9000; i++)
        fputs("{\"text\":\"a chunk that nobody asked for\"}\n", file);
    fclose(file);
    assert_int_equal(read_to_the_fault(c, reader, 1), c->count);
    chunk_reader_close(reader);
    check_all(c, 3);
    corpus_free(c);
}

/* One letter of a chunk that is not in the window. */
static void a_letter_that_changes_is_seen(void **state) {
    (void)state;
    for (unsigned victim = 150; victim < 400; victim += 37) {
        struct corpus *c = one_file();
        struct chunk_reader *reader = read_first(c);
        char path[128];
        path_of(c, 0, path);
        FILE *file = fopen(path, "r+b");
        fseek(file, (long)c->chunks[victim].end - 3, SEEK_SET);
        fputc('#', file);
        fclose(file);
        assert_int_equal(read_to_the_fault(c, reader, 1), victim);
        chunk_reader_close(reader);
        corpus_free(c);
    }
}

/* A file whose path is long and no text: each byte of it is three in an id that
 * is put together. */
static struct corpus *file_with_a_broken_path(void) {
    enum { DEPTH = 15, NAME_BYTES = 240 };
    char path[PATH_MAX];
    struct corpus *c = corpus_make();
    size_t size = (size_t)snprintf(path, sizeof path, "%s", c->root);
    for (int i = 0; i < DEPTH; i++) {
        path[size++] = '/';
        memset(path + size, 0xFF, NAME_BYTES);
        size += NAME_BYTES;
    }
    path[size] = '\0';
    assert_true(folder_make(path, NULL));
    strcpy(path + size, "/a.jsonl");
    c->file = fopen(path, "wb");
    assert_non_null(c->file);
    fputs("\"one\"\n", c->file);
    c->count = 1;
    scan(c);
    return c;
}

static void an_id_longer_than_its_path_has_room(void **state) {
    (void)state;
    enum { MOST = 64 };
    struct corpus *c = file_with_a_broken_path();
    struct error err = {0};
    struct chunk chunk;
    uint64_t before = memory_live(&memory);
    struct chunk_reader *reader = chunk_reader_open_for(c->intake, MOST, &err);
    assert_non_null(reader);
    uint64_t held = memory_live(&memory) - before;
    assert_int_equal(held, chunk_reader_bytes_for(c->intake, MOST));
    assert_int_equal(chunk_reader_next(reader, false, &chunk, &err), CHUNK_OK);
    assert_true(chunk.chunk_id.size > MOST + 2 * PATH_MAX);
    assert_int_equal(memory_live(&memory) - before, held);
    chunk_reader_close(reader);
    corpus_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_at_the_windows_edges),
        cmocka_unit_test(chunks_longer_than_the_window),
        cmocka_unit_test(gaps_and_line_ends),
        cmocka_unit_test(a_file_that_shrinks_is_seen),
        cmocka_unit_test(a_pipe_in_the_files_place_is_seen),
        cmocka_unit_test(a_file_that_grows_is_what_it_was),
        cmocka_unit_test(a_letter_that_changes_is_seen),
        cmocka_unit_test(an_id_longer_than_its_path_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
