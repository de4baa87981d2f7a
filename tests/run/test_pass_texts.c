/* test_pass_texts.c - the texts of a pass, decoded by any number of threads:
 * each as its reader gives it, in the same order, and what is wrong with a
 * chunk is said when its turn comes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/pool.h"
#include "data/chunks.h"
#include "run/pass_texts.h"
#include "run/scanned.h"

enum {
    POINTS = 3000,
    LARGE_BYTES = 300 * 1024, /* no share has room for it */
    LONG_ID_BYTES = 40 * 1024 /* a few, and a thread's buffer is full */
};

struct stage {
    struct memory memory, pools;
    struct chunk_options options;
    struct chunk_listing *list;
    struct intake *intake;
    struct scanned_places at;
};

/* ---- the stage ---------------------------------------------------------- */

static size_t letters_of(unsigned i) {
    return i == 1700 || i == 1701 ? LARGE_BYTES : i * 37 % 800;
}

static size_t id_letters_of(unsigned i) {
    return i >= 900 && i < 1000 ? LONG_ID_BYTES : 3;
}

static void put_letters(FILE *f, unsigned i, size_t count) {
    for (size_t n = 0; n < count; n++)
        putc('a' + (int)((n + i) % 26), f);
}

static void write_chunks(const char *path, unsigned changed) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (unsigned i = 0; i < POINTS; i++) {
        fprintf(f, "{\"id\": \"%u ", i);
        put_letters(f, i, id_letters_of(i));
        fprintf(f, "\", \"text\": \"text %u ", i == changed ? 1 : i);
        put_letters(f, i, letters_of(i));
        fputs("\"}\n", f);
    }
    assert_int_equal(fclose(f), 0);
}

static void stage_open(struct stage *s, const char *name) {
    *s = (struct stage){.options.trim_chars = 700};
    scanned_make(&s->at, name);
    write_chunks(s->at.chunks, POINTS);
    s->intake = scanned(&s->memory, &s->at, &s->options, &s->list);
    assert_int_equal(s->intake->counts.points, POINTS);
}

static void stage_close(struct stage *s) {
    intake_free(s->intake);
    chunks_free(s->list);
    assert_int_equal(memory_live(&s->memory), 0);
    assert_int_equal(memory_live(&s->pools), 0);
    scanned_remove(&s->at);
}

/* TEXT is POINT's, as READER gives it. */
static void check(struct chunk_reader *reader, const struct pass_text *text,
                  uint64_t point) {
    struct chunk chunk;
    chunk_reader_seek(reader, point);
    assert_int_equal(chunk_reader_next(reader, false, &chunk, NULL), CHUNK_OK);
    assert_int_equal(text->point, point);
    assert_memory_equal(text->digest, chunk.digest, SHA256_BYTES);
    assert_true(str_equal(text->text, chunk.text));
    assert_true(str_equal(text->chunk_id, chunk.chunk_id));
}

/* Every third point is not wanted. Points before FAILS are as they were; the
 * error is that of FAILS. How many of them all threads decoded. */
static size_t read_texts(struct stage *s, unsigned threads, uint64_t fails) {
    struct pass_texts texts;
    struct error err = {0};
    struct pool *pool = pool_create(&s->pools, threads, NULL);
    struct chunk_reader *oracle = chunk_reader_open(s->intake, NULL);
    struct chunk_reader *reader = chunk_reader_open(s->intake, NULL);
    uint64_t before = memory_live(&s->memory), handed = 0, failed = 0;
    assert_true(pass_texts_open(&texts, s->intake, pool, &err));
    assert_int_equal(memory_live(&s->memory) - before,
                     pass_texts_bytes(s->intake, pool));
    uint64_t allocations = s->memory.allocations;
    size_t most = 0; /* at once */
    for (uint64_t next = 0; next < POINTS && !failed;) {
        uint64_t first = next, point;
        uint8_t digest[SHA256_BYTES];
        for (; next < POINTS; next++) {
            chunk_reader_seek(reader, next);
            chunk_reader_digest(reader, false, &point, digest, NULL);
            if (!pass_texts_has_room(&texts, chunk_reader_size(reader)))
                break;
            if (next % 3 != 1)
                pass_texts_want(&texts, next, chunk_reader_size(reader));
        }
        most = texts.count > most ? texts.count : most;
        pass_texts_decode(&texts);
        for (uint64_t i = first; pass_texts_left(&texts) && !failed; i++) {
            struct pass_text text;
            assert_false(pass_texts_has_room(&texts, 1));
            if (i % 3 == 1)
                continue;
            if (!pass_texts_next(&texts, &text, &err))
                failed = i;
            else
                check(oracle, &text, i);
            handed += !failed;
        }
        next += next == first; /* it is the caller's own */
    }
    assert_int_equal(s->memory.allocations, allocations);
    assert_int_equal(failed, fails);
    if (fails) {
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.message, "changed while it was being read"));
    }
    assert_true(threads == 1 || most > 256);
    pass_texts_close(&texts);
    assert_int_equal(memory_live(&s->memory), before);
    chunk_reader_close(oracle);
    chunk_reader_close(reader);
    pool_free(pool);
    return handed;
}

/* ---- tests -------------------------------------------------------------- */

static void threads_decode_what_a_reader_gives(void **state) {
    (void)state;
    struct stage s;
    stage_open(&s, "texts");
    assert_int_equal(read_texts(&s, 1, 0), 0); /* its caller does it */
    for (unsigned threads = 2; threads <= 11; threads += 3)
        assert_int_equal(read_texts(&s, threads, 0),
                         POINTS / 3 * 2 - 2); /* 1700 is large, 1701 too */
    stage_close(&s);
}

static void the_first_chunk_that_changed_is_the_one(void **state) {
    (void)state;
    struct stage s;
    stage_open(&s, "changed-text");
    write_chunks(s.at.chunks, 2001); /* shorter: what is behind it moved too */
    for (unsigned threads = 2; threads <= 11; threads += 3)
        assert_int_equal(read_texts(&s, threads, 2001), 2001 / 3 * 2 - 2);
    stage_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_decode_what_a_reader_gives),
        cmocka_unit_test(the_first_chunk_that_changed_is_the_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
