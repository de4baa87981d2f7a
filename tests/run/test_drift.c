/* test_drift.c - which texts are compared with f32, and what a cosine is: by
 * their definitions, written plainly. Whole runs: tests/run/drift.py. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run/drift.h"

enum { TEXTS = 500, ROOM = 7 };

static unsigned seed = 9;

static unsigned number(unsigned below) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % below;
}

/* ---- the sample --------------------------------------------------------- */

struct text {
    uint8_t digest[SHA256_BYTES];
    uint32_t ids[ROOM + 1];
    size_t count;
};

static int by_digest(const void *a, const void *b) {
    return memcmp(a, b, SHA256_BYTES);
}

/* Digests that share their first bytes, so that the later ones decide. */
static void make_texts(struct text *texts, size_t count) {
    memset(texts, 0, count * sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        texts[i].digest[0] = (uint8_t)number(3);
        texts[i].digest[30] = (uint8_t)(i >> 8);
        texts[i].digest[31] = (uint8_t)i;
        texts[i].count = 1 + number(ROOM);
        for (size_t k = 0; k < texts[i].count; k++)
            texts[i].ids[k] = number(1000);
    }
}

static void shuffle(struct text *texts, size_t count) {
    for (size_t i = count; i-- > 1;) {
        size_t k = number((unsigned)i + 1);
        struct text text = texts[i];
        texts[i] = texts[k];
        texts[k] = text;
    }
}

static void check_sample(const struct drift_sample *sample,
                         const struct text *sorted, size_t expected) {
    assert_int_equal(sample->count, expected);
    for (size_t i = 0; i < expected; i++) {
        const struct text *text = &sorted[i];
        size_t at = 0;
        while (at < sample->count && memcmp(sample->digests + at * SHA256_BYTES,
                                            text->digest, SHA256_BYTES) != 0)
            at++;
        assert_in_range(at, 0, sample->count - 1);
        assert_int_equal(sample->sizes[at], text->count);
        assert_memory_equal(sample->ids + at * sample->room, text->ids,
                            text->count * sizeof *text->ids);
    }
}

static void the_smallest_digests_are_taken_in_any_order(void **state) {
    (void)state;
    static struct text texts[TEXTS], sorted[TEXTS];
    make_texts(texts, TEXTS);
    memcpy(sorted, texts, sizeof texts);
    qsort(sorted, TEXTS, sizeof *sorted, by_digest);
    for (size_t most = 1; most <= 33; most += 8)
        for (size_t count = 0; count <= TEXTS; count += 50) {
            struct memory memory = {0};
            struct drift_sample sample;
            assert_true(drift_sample_open(&sample, &memory, most, ROOM, NULL));
            assert_int_equal(memory_live(&memory),
                             drift_sample_bytes(most, ROOM));
            memcpy(texts, sorted, sizeof texts);
            shuffle(texts, count);
            for (size_t i = 0; i < count; i++)
                drift_sample_add(&sample, texts[i].digest, texts[i].ids,
                                 texts[i].count);
            check_sample(&sample, sorted, count < most ? count : most);
            drift_sample_close(&sample);
            assert_int_equal(memory_live(&memory), 0);
        }
}

static void what_has_no_place_is_left_out(void **state) {
    (void)state;
    struct memory memory = {0};
    struct drift_sample sample;
    struct text text = {.count = ROOM + 1};
    assert_true(drift_sample_open(&sample, &memory, 4, ROOM, NULL));
    drift_sample_add(&sample, text.digest, text.ids, ROOM + 1);
    drift_sample_add(&sample, text.digest, text.ids, 0);
    assert_int_equal(sample.count, 0);
    drift_sample_add(&sample, text.digest, text.ids, ROOM);
    assert_int_equal(sample.count, 1);
    drift_sample_close(&sample);
    assert_true(drift_sample_open(&sample, &memory, 0, ROOM, NULL));
    drift_sample_add(&sample, text.digest, text.ids, 1);
    assert_int_equal(sample.count, 0);
    assert_int_equal(memory_live(&memory), 0);
    memory.ceiling = 10;
    struct error why = {0};
    assert_false(drift_sample_open(&sample, &memory, 4, ROOM, &why));
    assert_int_equal(why.code, ERROR_MEMORY);
    drift_sample_add(&sample, text.digest, text.ids, 1);
    assert_int_equal(sample.count, 0);
    drift_sample_close(&sample);
    memory.ceiling = 0; /* only the sum is too large */
    why.code = 0;
    assert_false(drift_sample_open(&sample, &memory, 4, SIZE_MAX / 4, &why));
    assert_int_equal(why.code, ERROR_MEMORY);
}

/* A run that had no room for the texts says so. */
static void what_is_left_out_is_described(void **state) {
    (void)state;
    struct member member = {.heads = head_bit(ROW_DENSE),
                            .types = {[ROW_DENSE] = NUMBER_BF16}};
    struct error why = {0};
    error_set(&why, ERROR_MEMORY, "no room for %d texts", 4);
    struct drift drift = drift_skip(&member, &why);
    json_t *said = drift_describe(&drift);
    assert_int_equal(json_object_size(said), 2);
    assert_string_equal(json_string_value(json_object_get(said, "dtype")),
                        "bf16");
    assert_string_equal(json_string_value(json_object_get(said, "skipped")),
                        "no room for 4 texts");
    json_decref(said);
    struct drift none = {0};
    assert_null(drift_describe(&none));
}

/* A path in the reason may hold any bytes, of which an error keeps what is
 * UTF-8, and the reason may be cut within a character. */
static void what_is_left_out_has_a_reason_of_any_bytes(void **state) {
    (void)state;
    struct member member = {.heads = head_bit(ROW_DENSE),
                            .types = {[ROW_DENSE] = NUMBER_BF16}};
    for (int bytes = 296; bytes < 304; bytes++) {
        struct error why = {0};
        error_set(&why, ERROR_IO, "open \xff%*s\u20ac", bytes - 6, "");
        struct drift drift = drift_skip(&member, &why);
        json_t *said = drift_describe(&drift);
        const char *skipped =
            json_string_value(json_object_get(said, "skipped"));
        assert_non_null(skipped);
        assert_memory_equal(skipped, "open ? ", 7);
        json_decref(said);
    }
}

static void one_text_of_128_but_4_and_32(void **state) {
    (void)state;
    static const struct {
        uint64_t computing;
        size_t texts;
    } cases[] = {{0, 0},     {1, 1},     {4, 4},          {5, 4},
                 {639, 4},   {640, 5},   {1000, 7},       {4095, 31},
                 {4096, 32}, {4300, 32}, {UINT64_MAX, 32}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(drift_texts(cases[i].computing), cases[i].texts);
}

/* ---- cosines ------------------------------------------------------------ */

enum { WIDTH = 40 };

static double plain_cosine(const double *a, const double *b, size_t count) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++)
        ab += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
    return ab / sqrt(aa * bb);
}

static float random_float(void) {
    return (float)number(2001) / 1000 - 1;
}

static void dense_and_multi_rows_are_long_vectors(void **state) {
    (void)state;
    for (size_t vectors = 1; vectors <= 3; vectors++) {
        float a[3 * WIDTH], b[3 * WIDTH];
        double wide_a[3 * WIDTH], wide_b[3 * WIDTH];
        for (size_t i = 0; i < 3 * WIDTH; i++) {
            wide_a[i] = a[i] = random_float();
            wide_b[i] = b[i] = a[i] + random_float() / 10;
        }
        struct row x = {.count = vectors, .values = a};
        struct row y = {.count = vectors, .values = b};
        double want = plain_cosine(wide_a, wide_b, vectors * WIDTH);
        enum row_kind head = vectors == 1 ? ROW_DENSE : ROW_MULTI;
        assert_true(fabs(drift_cosine(head, WIDTH, &x, &y) - want) < 1e-12);
        assert_true(drift_cosine(head, WIDTH, &x, &x) <= 1);
        y.count++; /* other tokens: nothing alike */
        assert_true(drift_cosine(ROW_MULTI, WIDTH, &x, &y) == 0);
    }
}

static void sparse_rows_have_zeros_between_their_pairs(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        uint32_t indices[2][WIDTH];
        float values[2][WIDTH];
        double wide[2][WIDTH] = {{0}};
        struct row rows[2];
        for (size_t r = 0; r < 2; r++) {
            size_t count = 0;
            for (uint32_t i = 0; i < WIDTH; i++) {
                if (number(3) && !(i == 0 && round % 2))
                    continue;
                indices[r][count] = i;
                wide[r][i] = values[r][count++] = random_float() + 1.5F;
            }
            rows[r] = (struct row){
                .count = count, .indices = indices[r], .values = values[r]};
        }
        if (!rows[0].count || !rows[1].count)
            continue;
        double want = plain_cosine(wide[0], wide[1], WIDTH);
        double got = drift_cosine(ROW_SPARSE, WIDTH, &rows[0], &rows[1]);
        assert_true(fabs(got - want) < 1e-12);
        struct row none = {.count = 0};
        assert_true(drift_cosine(ROW_SPARSE, WIDTH, &none, &rows[1]) == 0);
        assert_true(drift_cosine(ROW_SPARSE, WIDTH, &none, &none) == 1);
    }
}

static void a_median_lies_in_the_middle(void **state) {
    (void)state;
    double one[] = {0.5}, two[] = {0.75, 0.25}, three[] = {0.9, 0.1, 0.2},
           four[] = {4, 1, 3, 2};
    assert_true(drift_median(one, 1) == 0.5);
    assert_true(drift_median(two, 2) == 0.5);
    assert_true(drift_median(three, 3) == 0.2);
    assert_true(drift_median(four, 4) == 2.5);
    assert_true(three[0] == 0.1); /* sorted: the lowest first */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_digests_are_taken_in_any_order),
        cmocka_unit_test(what_has_no_place_is_left_out),
        cmocka_unit_test(what_is_left_out_is_described),
        cmocka_unit_test(what_is_left_out_has_a_reason_of_any_bytes),
        cmocka_unit_test(one_text_of_128_but_4_and_32),
        cmocka_unit_test(dense_and_multi_rows_are_long_vectors),
        cmocka_unit_test(sparse_rows_have_zeros_between_their_pairs),
        cmocka_unit_test(a_median_lies_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
