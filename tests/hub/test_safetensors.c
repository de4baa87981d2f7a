/* test_safetensors.c - what the format allows and what it does not; the
 * verdicts are those of the safetensors package (0.8), asked once. */

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

#include "base/file.h"
#include "base/memory.h"
#include "hub/tensors.h"

static struct memory memory;

/* HEADER behind its length, then DATA bytes counting 0, 1, 2... */
static size_t make_file(char *out, const char *header, size_t data) {
    uint64_t length = strlen(header);
    for (unsigned i = 0; i < 8; i++)
        out[i] = (char)(length >> (8 * i));
    memcpy(out + 8, header, length);
    for (size_t i = 0; i < data; i++)
        out[8 + length + i] = (char)i;
    return 8 + (size_t)length + data;
}

static struct tensors *open_text(const char *header, size_t data,
                                 struct error *err) {
    static char file[8192];
    return tensors_open_bytes(&memory, "f", file, make_file(file, header, data),
                              err);
}

static void accepts(const char *header, size_t data, size_t count) {
    struct error err = {0};
    struct tensors *st = open_text(header, data, &err);
    if (!st)
        fail_msg("%s: %s", header, err.message);
    assert_int_equal(tensors_count(st), count);
    tensors_close(st);
}

/* Refused, and the message has WORD in it. */
static void refuses(const char *header, size_t data, const char *word) {
    struct error err = {0};
    struct tensors *st = open_text(header, data, &err);
    if (st)
        fail_msg("accepted: %s", header);
    assert_true(err.code == ERROR_INPUT || err.code == ERROR_UNSUPPORTED);
    if (!strstr(err.message, word))
        fail_msg("no \"%s\" in: %s", word, err.message);
    assert_int_equal(memory_live(&memory), 0);
}

#define A8 "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

static void what_the_format_allows(void **state) {
    (void)state;
    accepts("{}", 0, 0);
    accepts("{\"a\":" A8 "}", 8, 1);
    accepts(" {\"a\":" A8 "}   ", 8, 1);
    accepts("{\"__metadata__\":{\"k\":\"v\"},\"a\":" A8 "}", 8, 1);
    accepts("{\"__metadata__\":null,\"a\":" A8 "}", 8, 1);
    accepts("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",
            4, 1);
    accepts("{\"a\":" A8 ",\"z\":{\"dtype\":\"F32\",\"shape\":[0,3],"
            "\"data_offsets\":[8,8]},\"y\":{\"dtype\":\"F16\",\"shape\":[0],"
            "\"data_offsets\":[0,0]}}",
            8, 3);
    accepts("{\"a\":{\"dtype\":\"F32\",\"shape\":[0,4611686018427387904,16],"
            "\"data_offsets\":[0,0]}}",
            0, 1);
}

static void every_dtype_has_its_size(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t elements, bytes;
    } DTYPES[] = {
        {"F4", 2, 1},          {"F6_E2M3", 4, 3},     {"F6_E3M2", 4, 3},
        {"U8", 2, 2},          {"BOOL", 2, 2},        {"I8", 2, 2},
        {"F8_E5M2", 2, 2},     {"F8_E4M3", 2, 2},     {"F8_E8M0", 2, 2},
        {"F8_E4M3FNUZ", 2, 2}, {"F8_E5M2FNUZ", 2, 2}, {"I16", 2, 4},
        {"U16", 2, 4},         {"F16", 2, 4},         {"BF16", 2, 4},
        {"I32", 2, 8},         {"U32", 2, 8},         {"F32", 2, 8},
        {"C64", 2, 16},        {"F64", 2, 16},        {"I64", 2, 16},
        {"U64", 2, 16},
    };
    for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++) {
        char header[256];
        for (size_t off = 0; off < 2; off++) {
            snprintf(header, sizeof header,
                     "{\"a\":{\"dtype\":\"%s\",\"shape\":[%zu],"
                     "\"data_offsets\":[0,%zu]}}",
                     DTYPES[i].name, DTYPES[i].elements, DTYPES[i].bytes + off);
            if (off)
                refuses(header, DTYPES[i].bytes + off, "need");
            else
                accepts(header, DTYPES[i].bytes, 1);
        }
    }
    refuses("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}",
            1, "byte");
}

static void places_that_lie(void **state) {
    (void)state;
    refuses("{\"a\":" A8 "}", 9, "no tensor");
    refuses(
        "{\"a\":" A8 "}", 7,
        "tensor a lies at bytes 0 to 8 of 7: the file is cut off or broken, "
        "fetch it again");
    refuses("{}", 1, "no tensor");
    refuses("{\"a\":" A8 ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
            "\"data_offsets\":[12,16]}}",
            16, "bytes 8 to 12");
    refuses("{\"a\":" A8 ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
            "\"data_offsets\":[4,8]}}",
            8, "inside tensor a");
    refuses("{\"a\":" A8 ",\"b\":{\"dtype\":\"F32\",\"shape\":[0,3],"
            "\"data_offsets\":[4,4]}}",
            8, "inside tensor a");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
            8, "8 to 0");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],"
            "\"data_offsets\":[0,9223372036854775807]}}",
            8, "9223372036854775807");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
            8, "need 12: the file is cut off or broken, fetch it again");
}

static void entries_that_are_none(void **state) {
    (void)state;
    static const char *const BROKEN[] = {
        "[]",
        "{abc}",
        "{\"a\":5}",
        "{\"a\":[\"F32\",[2],[0,8]]}",
        "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}",
        "{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"f32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2e0],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}",
        "{\"__metadata__\":{\"k\":1},\"a\":" A8 "}",
        "{\"a\":" A8 ",\"a\":" A8 "}",
        "{\"a\":" A8 "}x",
        "{\"a\xff\":" A8 "}",
    };
    for (size_t i = 0; i < sizeof BROKEN / sizeof *BROKEN; i++)
        refuses(BROKEN[i], 8, "f: ");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,16],"
            "\"data_offsets\":[0,8]}}",
            8, "64 bits");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[1152921504606846976],"
            "\"data_offsets\":[0,8]}}",
            8, "64 bits");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],"
            "\"data_offsets\":[0,8]}}",
            8, "9 dimensions");
}

static void refuses_bytes(const void *data, size_t size, const char *word) {
    struct error err = {0};
    assert_null(tensors_open_bytes(&memory, "f", data, size, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    if (!strstr(err.message, word))
        fail_msg("no \"%s\" in: %s", word, err.message);
    assert_int_equal(memory_live(&memory), 0);
}

static void lengths_that_lie(void **state) {
    (void)state;
    char file[256];
    size_t size = make_file(file, "{\"a\":" A8 "}", 8);
    for (size_t cut = 0; cut < size; cut++)
        refuses_bytes(file, cut,
                      cut < 8          ? "too few"
                      : cut < size - 8 ? "cannot be in a file"
                                       : "lies at bytes");
    const uint64_t lengths[] = {size - 7,   5000,           100000001,
                                UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (unsigned b = 0; b < 8; b++)
            file[b] = (char)(lengths[i] >> (8 * b));
        refuses_bytes(file, size, "cannot be in a file");
    }
    for (char length = 0; length < 2; length++) {
        memcpy(file, (char[8]){length}, 8);
        refuses_bytes(file, size, "its header: not");
    }
    /* The package's own limit, in a file that is long enough. */
    size = 100000200;
    char *large = calloc(size, 1);
    assert_non_null(large);
    memcpy(large, "\x01\xe1\xf5\x05", 4); /* 100,000,001 */
    refuses_bytes(large, size, "cannot be in a file");
    memcpy(large, "\x00\xe1\xf5\x05", 4);
    refuses_bytes(large, size, "its header: not");
    free(large);
}

static void finds_tensors_in_order_of_place(void **state) {
    (void)state;
    struct error err = {0};
    struct tensors *st = open_text(
        "{\"later\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[4,7]},"
        "\"first\":{\"dtype\":\"I32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}",
        7, &err);
    assert_non_null(st);
    assert_string_equal(tensors_at(st, 0)->name, "first");
    assert_string_equal(tensors_at(st, 1)->name, "later");
    const struct tensor *t = tensors_find(st, "later");
    assert_ptr_equal(t, tensors_at(st, 1));
    assert_int_equal(t->dtype, TENSOR_OTHER);
    assert_string_equal(t->dtype_name, "U8");
    assert_int_equal(t->rank, 1);
    assert_int_equal(t->elements, 3);
    assert_int_equal(t->bytes, 3);
    assert_memory_equal(t->data, "\4\5\6", 3);
    assert_null(tensors_find(st, "none"));
    tensors_close(st);
    tensors_close(NULL);
}

static void shapes_as_text(void **state) {
    (void)state;
    char text[64];
    struct tensor t = {.rank = 2, .shape = {30522, 384}};
    tensor_shape_text(&t, text, sizeof text);
    assert_string_equal(text, "[30522, 384]");
    tensor_shape_text(&t, text, 6);
    assert_string_equal(text, "[3052");
    t.rank = 0;
    tensor_shape_text(&t, text, sizeof text);
    assert_string_equal(text, "[]");
}

/* IEEE 754's own words for a half. */
static double value_of_half(unsigned half) {
    double sign = half & 0x8000 ? -1 : 1;
    int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, -24);
    return sign * ldexp(1024 + fraction, exponent - 25);
}

static void all_halves_are_exact(void **state) {
    (void)state;
    static uint16_t halves[65536];
    static char bytes[2 * 65536 + 1];
    static float out[65536];
    for (unsigned i = 0; i < 65536; i++)
        halves[i] = (uint16_t)i;
    memcpy(bytes + 1, halves, sizeof halves); /* at an odd address */
    struct tensor t = {
        .dtype = TENSOR_F16, .elements = 65536, .data = bytes + 1};
    tensor_read_f32(&t, 0, 65536, out);
    for (unsigned i = 0; i < 65536; i++) {
        double expected = value_of_half(i);
        if (isnan(expected))
            assert_true(isnan(out[i]));
        else
            assert_true(out[i] == (float)expected &&
                        !signbit(out[i]) == !signbit(expected));
    }
    t.dtype = TENSOR_BF16;
    tensor_read_f32(&t, 100, 65436, out);
    for (unsigned i = 0; i < 65436; i++) {
        uint32_t bits;
        memcpy(&bits, &out[i], sizeof bits);
        assert_int_equal(bits, (i + 100) << 16);
    }
    t = (struct tensor){.dtype = TENSOR_F32, .elements = 3, .data = bytes + 1};
    float three[3] = {1.5f, -2, 3e30f};
    memcpy(bytes + 1, three, sizeof three);
    tensor_read_f32(&t, 1, 2, out);
    assert_memory_equal(out, three + 1, 2 * sizeof *out);
}

static void write_file(const char *path, const char *header, size_t data) {
    static char file[1 << 16];
    struct error err = {0};
    size_t size = make_file(file, header, data);
    if (!file_write(path, (struct str){file, size}, &memory, &err))
        fail_msg("%s", err.message);
}

static void shards_look_like_one(void **state) {
    (void)state;
    char folder[] = "/tmp/ens-test-XXXXXX", one[64], two[64];
    assert_non_null(mkdtemp(folder));
    snprintf(one, sizeof one, "%s/one", folder);
    snprintf(two, sizeof two, "%s/two", folder);
    write_file(one, "{\"a\":" A8 "}", 8);
    write_file(two,
               "{\"b\":{\"dtype\":\"U8\",\"shape\":[20000],"
               "\"data_offsets\":[0,20000]}}",
               20000);
    const char *paths[] = {one, two};
    struct error err = {0};
    struct tensors *st = tensors_open(&memory, paths, 2, &err);
    if (!st)
        fail_msg("%s", err.message);
    assert_int_equal(tensors_count(st), 2);
    const struct tensor *b = tensors_find(st, "b");
    assert_int_equal(b->file, 1);
    tensors_forget(st, b);
    tensors_forget(st, tensors_find(st, "a"));
    for (size_t i = 0; i < 20000; i++)
        assert_int_equal(((const unsigned char *)b->data)[i], i & 255);
    tensors_close(st);

    write_file(two, "{\"a\":" A8 "}", 8);
    assert_null(tensors_open(&memory, paths, 2, &err));
    assert_non_null(strstr(err.message, one));
    assert_non_null(strstr(err.message, two));
    paths[1] = "/tmp/ens-test-not-there";
    assert_null(tensors_open(&memory, paths, 2, &err));
    assert_int_equal(err.code, ERROR_MISSING);
    assert_true(folder_remove(folder, &err));
    assert_int_equal(memory_live(&memory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_format_allows),
        cmocka_unit_test(every_dtype_has_its_size),
        cmocka_unit_test(places_that_lie),
        cmocka_unit_test(entries_that_are_none),
        cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(finds_tensors_in_order_of_place),
        cmocka_unit_test(shapes_as_text),
        cmocka_unit_test(all_halves_are_exact),
        cmocka_unit_test(shards_look_like_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
