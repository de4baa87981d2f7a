/* test_points.c - numbers that come back as the same f32 from the C library
 * and from a JSON reader, and points that a JSON reader takes. */

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "data/points.h"

static struct memory memory;

static float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t to_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?(e-?[0-9]+)?, and the significant digits. */
static int json_number_digits(const char *text) {
    const char *at = text + (*text == '-');
    int digits = 0, zeros = 0; /* zeros that may turn out to be at the end */
    bool point = false;
    if (*at == '0' && isdigit((unsigned char)at[1]))
        return -1;
    for (; isdigit((unsigned char)*at) || (*at == '.' && !point); at++) {
        if (*at == '.') {
            point = true;
            if (!isdigit((unsigned char)at[1]) || at == text)
                return -1;
        } else if (*at != '0') {
            digits += zeros + 1;
            zeros = 0;
        } else if (digits) {
            zeros++;
        }
    }
    if (*at == 'e') {
        at += at[1] == '-' ? 2 : 1;
        if (!isdigit((unsigned char)*at))
            return -1;
        while (isdigit((unsigned char)*at))
            at++;
    }
    return *at ? -1 : digits;
}

/* TEXT stands for X: by the C library's reading, and by a JSON reader that
 * reads a double and makes it an f32. */
static void reads_as(const char *text, float x) {
    if (to_bits(strtof(text, NULL)) != to_bits(x) ||
        to_bits((float)strtod(text, NULL)) != to_bits(x))
        fail_msg("%.9g was written %s", (double)x, text);
}

/* One digit fewer, as the C library rounds, would be another number, or lie
 * half way to another one, which only a tie's rule gives back. */
static void is_shortest(const char *text, int digits, float x) {
    char shorter[40];
    if (digits < 2)
        return;
    snprintf(shorter, sizeof shorter, "%.*e", digits - 2, (double)x);
    double above = nextafterf(fabsf(x), INFINITY);
    double half = (above - fabs((double)x)) / 2;
    if (fabs(strtod(shorter, NULL) - (double)x) != half &&
        to_bits(strtof(shorter, NULL)) == to_bits(x))
        fail_msg("%s was written where %s would do", text, shorter);
}

static void check(float x) {
    char room[64] = "";
    struct strbuf out = strbuf_make(&memory);
    float_write(&out, x);
    assert_true(out.size < sizeof room);
    memcpy(room, out.data, out.size);
    strbuf_free(&out);
    int digits = json_number_digits(room);
    if (digits < 0 || digits > 9)
        fail_msg("%.9g was written %s", (double)x, room);
    reads_as(room, x);
    is_shortest(room, digits, x);
}

/* Every exponent, subnormals included, with the mantissas at the ends and in
 * the middle and others by chance; both signs. */
static void every_exponent_comes_back(void **state) {
    (void)state;
    static const uint32_t ends[] = {
        0, 1, 2, 3, 0x3FFFFF, 0x400000, 0x400001, 0x7FFFFE, 0x7FFFFF};
    enum { ENDS = sizeof ends / sizeof *ends, RANDOM = 500 };
    uint64_t random = 88172645463325252u;
    for (uint32_t exponent = 0; exponent < 255; exponent++)
        for (uint32_t m = 0; m < ENDS + RANDOM; m++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint32_t mantissa = m < ENDS ? ends[m] : (uint32_t)(random >> 41);
            uint32_t sign = (uint32_t)(random >> 32) & 0x80000000u;
            if (exponent || mantissa)
                check(from_bits(sign | exponent << 23 | mantissa));
        }
    for (uint32_t bits = 1; bits; bits <<= 1)
        if (isfinite(from_bits(bits)) && from_bits(bits) != 0)
            check(from_bits(bits)); /* subnormals of one bit, and more */
    assert_int_equal(memory_live(&memory), 0);
}

static void powers_of_ten_and_neighbours(void **state) {
    (void)state;
    for (int power = -45; power <= 38; power++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", power);
        float x = strtof(text, NULL);
        check(x);
        check(-x);
        check(nextafterf(x, INFINITY));
        if (nextafterf(x, 0) != 0)
            check(nextafterf(x, 0));
        check(x * 9.9999f < INFINITY ? x * 9.9999f : x);
    }
    check(FLT_MAX);
    check(-FLT_MAX);
    check(FLT_MIN);
    check(FLT_EPSILON);
    for (int i = 1; i < 2000; i++) {
        check((float)i);
        check((float)i / 1000);
        check(16777216.0f - (float)i);
    }
}

static void known_texts(void **state) {
    (void)state;
    static const struct {
        float x;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0f, "-0.0"},
        {1, "1"},
        {-1, "-1"},
        {0.5f, "0.5"},
        {0.1f, "0.1"},
        {-0.25f, "-0.25"},
        {100, "100"},
        {12.5f, "12.5"},
        {3.14159274f, "3.1415927"},
        {0.0625f, "0.0625"},
        {1e-5f, "0.00001"},
        {1e-6f, "1e-6"},
        {1.5e-7f, "1.5e-7"},
        {16777216, "16777216"},
        {123456792, "123456790"},
        {1e9f, "1e9"},
        {1e10f, "1e10"},
        {FLT_MAX, "3.4028235e38"},
        {FLT_MIN, "1.1754944e-38"},
        {1.40129846e-45f, "1e-45"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct strbuf out = strbuf_make(&memory);
        strbuf_add_char(&out, '<'); /* it appends */
        float_write(&out, cases[c].x);
        assert_string_equal(out.data + 1, cases[c].text);
        strbuf_free(&out);
    }
    /* Minus zero keeps its sign where 0 and 0.0 are of two types. */
    json_t *read = json_loads("[-0.0]", 0, NULL);
    assert_true(signbit(json_real_value(json_array_get(read, 0))));
    json_decref(read);
}

static void prints_its_speed(void **state) {
    (void)state;
    enum { COUNT = 1000000 };
    struct strbuf out = strbuf_make(&memory);
    uint64_t random = 1;
    float *values = memory_alloc(&memory, COUNT, sizeof *values, NULL);
    for (int i = 0; i < COUNT; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        values[i] =
            (float)((double)(random >> 11) / 9007199254740992.0 - 0.5) * 0.2f;
    }
    strbuf_reserve(&out, COUNT * 16);
    int64_t begin = clock_now_ns();
    for (int i = 0; i < COUNT; i++)
        float_write(&out, values[i]);
    double seconds = (double)(clock_now_ns() - begin) / 1e9;
    print_message("%.1f M floats/s, %.2f bytes each\n", COUNT / seconds / 1e6,
                  (double)out.size / COUNT);
    memory_free(&memory, values);
    strbuf_free(&out);
}

/* ------------------------------------------------------------------------ */

static void points_are_json_lines(void **state) {
    (void)state;
    const struct collection collection = {
        .name = "Docling", .folder = "Docling", .canonical = "docling"};
    const struct chunk chunk = {.text = STR("a \"text\"\n"),
                                .original = STR("a \"text\"\n"),
                                .metadata = STR("{\"page\": 0.10}"),
                                .chunk_id = STR("doc-0001"),
                                .id = {0x12, 0x34, [15] = 0xFF},
                                .file = "a_chunks.json"};
    const float small[] = {0.1f, -2, 3e-9f}, wide[] = {1};
    const struct named_vector vectors[] = {
        {.name = "mini\"lm", .values = small, .width = 3},
        {.name = "fused", .values = wide, .width = 1}};
    struct strbuf out = strbuf_make(&memory);
    point_line(&out, &chunk, &collection, "text", vectors, 2);
    assert_true(strbuf_ok(&out, NULL));
    assert_ptr_equal(strchr(out.data, '\n'), out.data + out.size - 1);

    json_t *point =
        json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
    const char *id, *text;
    double x[3], one;
    json_t *payload;
    assert_int_equal(json_unpack(point, "{s:s, s:{s:[F,F,F!], s:[F!]!}, s:o!}",
                                 "id", &id, "vector", "mini\"lm", &x[0], &x[1],
                                 &x[2], "fused", &one, "payload", &payload),
                     0);
    assert_string_equal(id, "12340000-0000-0000-0000-0000000000ff");
    for (int i = 0; i < 3; i++)
        assert_true((float)x[i] == small[i]);
    assert_true((float)one == 1);
    text = json_string_value(json_object_get(payload, "text"));
    assert_string_equal(text, "a \"text\"\n");
    json_decref(point);

    /* A second one goes behind it; no vectors is fine as well. */
    size_t first = out.size;
    point_line(&out, &chunk, &collection, "text", NULL, 0);
    point = json_loadb(out.data + first, out.size - first, 0, NULL);
    assert_int_equal(json_object_size(json_object_get(point, "vector")), 0);
    json_decref(point);
    strbuf_free(&out);
}

static void ragged_vectors_are_json_lines(void **state) {
    (void)state;
    const struct collection collection = {
        .name = "c", .folder = "c", .canonical = "c"};
    const struct chunk chunk = {.text = STR("a"),
                                .original = STR("a"),
                                .metadata = STR("{}"),
                                .chunk_id = STR("d"),
                                .file = "a_chunks.json"};
    const uint32_t indices[] = {0, 7, UINT32_MAX};
    const float values[] = {1, -0.5f, 3, 4, 5, 0.25f};
    const struct named_vector vectors[] = {
        {.name = "none-multi", .kind = ROW_MULTI, .values = values, .width = 3},
        {.name = "s",
         .kind = ROW_SPARSE,
         .count = 3,
         .indices = indices,
         .values = values},
        {.name = "m",
         .kind = ROW_MULTI,
         .count = 2,
         .values = values,
         .width = 3},
        {.name = "e", .kind = ROW_SPARSE}};
    struct strbuf out = strbuf_make(&memory);
    point_line(&out, &chunk, &collection, "text", vectors, 4);
    assert_true(strbuf_ok(&out, NULL));
    const char *at = strstr(out.data, "\"vector\":");
    assert_non_null(at);
    const char expected[] =
        "\"vector\":{\"s\":{\"indices\":[0,7,4294967295],"
        "\"values\":[1,-0.5,3]},\"m\":[[1,-0.5,3],[4,5,0.25]],"
        "\"e\":{\"indices\":[],\"values\":[]}},\"payload\":";
    assert_memory_equal(at, expected, sizeof expected - 1);
    strbuf_free(&out);

    assert_true(qdrant_takes_multi(1023, 1024));
    assert_false(qdrant_takes_multi(1024, 1024));
    assert_true(qdrant_takes_multi(8191, 128));
    assert_false(qdrant_takes_multi(8192, 128));
    assert_true(qdrant_takes_multi(0, 128));
}

/* To a file in pieces: the same line, and memory that does not grow with it. */
static void large_multivectors_go_to_files_in_pieces(void **state) {
    (void)state;
    enum { VECTORS = 20000, DIM = 16 };
    static const char path[] = "/tmp/ens-points-test.jsonl";
    const struct collection collection = {
        .name = "c", .folder = "c", .canonical = "c"};
    const struct chunk chunk = {.text = STR("a"),
                                .original = STR("a"),
                                .metadata = STR("{}"),
                                .chunk_id = STR("d"),
                                .file = "a_chunks.json"};
    struct memory own = {0};
    float *values = malloc(VECTORS * DIM * sizeof *values);
    for (size_t i = 0; i < VECTORS * DIM; i++)
        values[i] = (float)(i % 997) / 7;
    const struct named_vector vectors[] = {
        {.name = "m",
         .kind = ROW_MULTI,
         .count = VECTORS,
         .values = values,
         .width = DIM},
        {.name = "d", .values = values, .width = 3}};
    struct strbuf whole = strbuf_make(&memory), scratch = strbuf_make(&own);
    struct strbuf read = strbuf_make(&memory);
    struct file_writer file;
    point_line(&whole, &chunk, &collection, "text", vectors, 2);
    point_line(&whole, &chunk, &collection, "text", vectors + 1, 1);
    assert_true(file_writer_open(&file, path, &own, NULL));
    uint64_t before = memory_live(&own);
    assert_true(point_write(&file, &scratch, &chunk, &collection, "text",
                            vectors, 2, NULL));
    assert_true(memory_peak(&own) - before < 512 * 1024);
    assert_true(whole.size > 1 << 20);
    assert_true(point_write(&file, &scratch, &chunk, &collection, "text",
                            vectors + 1, 1, NULL));
    assert_true(file_writer_commit(&file, NULL));
    file_writer_close(&file);
    assert_true(file_read(path, SIZE_MAX / 2, &read, NULL));
    assert_int_equal(read.size, whole.size);
    assert_memory_equal(read.data, whole.data, whole.size);
    strbuf_free(&whole);
    strbuf_free(&scratch);
    strbuf_free(&read);
    assert_int_equal(memory_live(&own), 0);
    free(values);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_exponent_comes_back),
        cmocka_unit_test(powers_of_ten_and_neighbours),
        cmocka_unit_test(known_texts),
        cmocka_unit_test(prints_its_speed),
        cmocka_unit_test(points_are_json_lines),
        cmocka_unit_test(ragged_vectors_are_json_lines),
        cmocka_unit_test(large_multivectors_go_to_files_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
