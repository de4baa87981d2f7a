/* test_digest_list.c - which points of a collection stand in a list of digests,
 * whatever else does, and when the system does not tell for a moment whether
 * the list is there. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/blind.h"
#include "run/digest_list.h"
#include "run/scanned.h"

struct stage {
    struct memory memory;
    struct chunk_options options;
    struct chunk_listing *list;
    struct intake *intake;
    struct scanned_places at;
    char path[SCANNED_PATH + 16];
};

/* Three points, the first and the last of the same text. */
static void stage_open(struct stage *s) {
    *s = (struct stage){0};
    scanned_make(&s->at, "digest_list");
    FILE *f = fopen(s->at.chunks, "w");
    assert_non_null(f);
    fputs("{\"id\": \"a\", \"text\": \"one\"}\n"
          "{\"id\": \"b\", \"text\": \"two\"}\n"
          "{\"id\": \"c\", \"text\": \"one\"}\n",
          f);
    assert_int_equal(fclose(f), 0);
    s->intake = scanned(&s->memory, &s->at, &s->options, &s->list);
    snprintf(s->path, sizeof s->path, "%s/list", s->at.scratch);
}

static void stage_close(struct stage *s) {
    intake_free(s->intake);
    chunks_free(s->list);
    assert_int_equal(memory_live(&s->memory), 0);
    scanned_remove(&s->at);
}

static void add_first(struct stage *s) {
    uint8_t digests[2 * SHA256_BYTES];
    uint64_t point;
    struct chunk_reader *reader = chunk_reader_open(s->intake, NULL);
    assert_int_equal(chunk_reader_digest(reader, false, &point, digests, NULL),
                     CHUNK_OK);
    chunk_reader_close(reader);
    memset(digests + SHA256_BYTES, 7, SHA256_BYTES); /* a chunk that is gone */
    assert_true(digest_list_add(s->path, digests, 2, NULL));
    assert_true(digest_list_add(s->path, digests, 1, NULL)); /* after a kill */
}

static bool count(struct stage *s, bool unique_only, uint64_t *points,
                  json_t *ids, struct error *err) {
    const char *path = s->path;
    return digest_list_count(&path, 1, unique_only, s->intake, s->at.scratch,
                             points, ids, err);
}

static void points_of_the_collection_count(void **state) {
    (void)state;
    struct stage s;
    uint64_t points;
    json_t *ids = json_array();
    stage_open(&s);
    assert_true(count(&s, false, &points, ids, NULL));
    assert_int_equal(points, 0); /* there is no list yet */
    add_first(&s);
    assert_true(count(&s, false, &points, ids, NULL));
    assert_int_equal(points, 2);
    assert_string_equal(json_string_value(json_array_get(ids, 0)), "a");
    assert_string_equal(json_string_value(json_array_get(ids, 1)), "c");
    assert_int_equal(json_array_size(ids), 2);
    assert_true(count(&s, true, &points, NULL, NULL));
    assert_int_equal(points, 1);
    json_decref(ids);
    stage_close(&s);
}

/* A run would say that no text was cut. */
static void a_list_that_cannot_be_seen_counts_the_same(void **state) {
    (void)state;
    struct stage s;
    stage_open(&s);
    add_first(&s);
    int questions = 0;
    for (;; questions++) {
        uint64_t points;
        struct error err = {0};
        blind_from(questions + 1);
        bool counted = count(&s, false, &points, NULL, &err);
        bool was = blind_was();
        if (counted)
            assert_int_equal(points, 2);
        else
            assert_int_equal(err.code, ERROR_IO);
        if (!was)
            break;
    }
    assert_true(questions > 0);
    stage_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_of_the_collection_count),
        cmocka_unit_test(a_list_that_cannot_be_seen_counts_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
