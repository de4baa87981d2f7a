/* test_npy.c - arrays byte for byte as NumPy writes them, and only whole 2-D
 * f32 ones read. The fixtures are made by tools/make_array_fixtures.py. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/npy.h"

#define FIXTURES "tests/fixtures/npy/"

static struct memory memory;
static char path[] = "/tmp/ens-npy-XXXXXX";

static void value_rows(float *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        rows[i] = (float)i / 8 - 1;
}

static void same_file(const char *made, const char *fixture) {
    struct strbuf a = strbuf_make(&memory), b = strbuf_make(&memory);
    assert_true(file_read(made, 1 << 20, &a, NULL));
    assert_true(file_read(fixture, 1 << 20, &b, NULL));
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    strbuf_free(&a);
    strbuf_free(&b);
}

/* Written in pieces of 2 rows, 0 rows and the rest. */
static void write_array(size_t rows, size_t width) {
    float values[64];
    struct npy_writer writer;
    size_t first = rows < 2 ? rows : 2;
    value_rows(values, rows * width);
    assert_true(npy_writer_open(&writer, path, rows, width, &memory, NULL));
    assert_true(npy_writer_add(&writer, values, first, NULL));
    assert_true(npy_writer_add(&writer, values, 0, NULL));
    assert_true(
        npy_writer_add(&writer, values + first * width, rows - first, NULL));
    assert_true(npy_writer_commit(&writer, NULL));
    npy_writer_close(&writer);
}

static void writes_what_numpy_writes(void **state) {
    (void)state;
    write_array(3, 5);
    same_file(path, FIXTURES "3x5.npy");
    write_array(1, 1);
    same_file(path, FIXTURES "1x1.npy");
    write_array(0, 384);
    same_file(path, FIXTURES "0x384.npy");
    assert_int_equal(memory_live(&memory), 0);
}

static void writes_headers_of_any_shape(void **state) {
    (void)state;
    static const struct {
        uint64_t rows;
        size_t width;
    } shapes[] = {{0, 384},
                  {1, 1},
                  {738, 384},
                  {1000000000, 4096},
                  {UINT64_C(1) << 63, (size_t)1 << 31}};
    struct strbuf numpy = strbuf_make(&memory);
    assert_true(file_read(FIXTURES "headers.bin", 1 << 20, &numpy, NULL));
    assert_int_equal(numpy.size, 5 * NPY_HEADER_BYTES);
    for (size_t s = 0; s < 5; s++) {
        char header[NPY_HEADER_BYTES];
        npy_header_write(header, shapes[s].rows, shapes[s].width);
        assert_memory_equal(header, numpy.data + s * NPY_HEADER_BYTES,
                            sizeof header);
    }
    strbuf_free(&numpy);
}

static void nothing_is_left_without_a_commit(void **state) {
    (void)state;
    struct npy_writer writer;
    float values[5] = {0};
    char part[sizeof path + 5];
    snprintf(part, sizeof part, "%s.part", path);
    unlink(path);
    assert_true(npy_writer_open(&writer, path, 3, 5, &memory, NULL));
    assert_true(npy_writer_add(&writer, values, 1, NULL));
    assert_true(file_exists(part));
    npy_writer_close(&writer);
    assert_false(file_exists(path));
    assert_false(file_exists(part));
    struct error err = {0};
    assert_false(
        npy_writer_open(&writer, "/nowhere/a.npy", 3, 5, &memory, &err));
    npy_writer_close(&writer);
    assert_int_equal(memory_live(&memory), 0);
}

static void reads_numpys_arrays(void **state) {
    (void)state;
    static const char *const names[] = {
        FIXTURES "3x5.npy", FIXTURES "3x5-v2.npy", FIXTURES "3x5-v3.npy"};
    float values[15];
    value_rows(values, 15);
    struct npy_map npy;
    for (size_t n = 0; n < 3; n++) {
        assert_true(npy_map_open(&npy, names[n], NULL));
        assert_int_equal(npy.rows, 3);
        assert_int_equal(npy.width, 5);
        assert_memory_equal(npy.data, values, sizeof values);
        npy_map_close(&npy);
    }
    assert_true(npy_map_open(&npy, FIXTURES "0x384.npy", NULL));
    assert_int_equal(npy.rows, 0);
    assert_int_equal(npy.width, 384);
    npy_map_close(&npy);
    npy_map_close(&npy); /* closed is fine */
}

static void refuses_other_arrays(void **state) {
    (void)state;
    static const struct {
        const char *name, *reason;
    } cases[] = {
        {FIXTURES "bad-f8.npy", "type '<f8'"},
        {FIXTURES "bad-big-endian.npy", "type '>f4'"},
        {FIXTURES "bad-fortran.npy", "Fortran order"},
        {FIXTURES "bad-1d.npy", "1 dimensions"},
        {FIXTURES "bad-3d.npy", "3 dimensions"},
        {FIXTURES "bad-no-columns.npy", "rows and columns"},
        {FIXTURES "bad-record.npy", "header cannot be read"},
        {"README.md", "not a NumPy array"},
        {"tests/data", "tests/data"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct npy_map npy;
        struct error err = {0};
        if (!file_exists(cases[c].name) && !folder_exists(cases[c].name))
            continue;
        assert_false(npy_map_open(&npy, cases[c].name, &err));
        assert_int_equal(err.code, ERROR_INPUT);
        if (!strstr(err.message, cases[c].reason) ||
            !strstr(err.message, cases[c].name))
            fail_msg("%s: %s", cases[c].name, err.message);
    }
    struct npy_map npy;
    struct error err = {0};
    assert_false(npy_map_open(&npy, "/nowhere/a.npy", &err));
    assert_int_equal(err.code, ERROR_MISSING);
}

/* A version 1.0 header with TEXT as its dictionary, in front of DATA bytes.
 * Blanks before the dictionary bring the data to a multiple of 4, and OFF
 * bytes further. */
static bool read_text(const char *text, size_t off, uint64_t data,
                      struct npy_header *out, struct error *err) {
    char head[1000];
    size_t blanks = (2 - strlen(text) % 4 + 4) % 4 + off;
    size_t size = blanks + strlen(text);
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\1\0", 8);
    head[8] = (char)(size & 255);
    head[9] = (char)(size >> 8);
    memcpy(head + 10 + blanks, text, strlen(text));
    struct str bytes = {head, 10 + size};
    return npy_header_read(bytes, bytes.size + data, "made.npy", out, err);
}

static void reads_any_layout_of_the_dictionary(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), } \n",
        "{\"shape\":(3,5,),'fortran_order':False,'descr':\"<f4\"}    \n",
        "{ 'shape' : ( 3 , 5 ) , 'descr' : '<f4', 'fortran_order' : False }",
    };
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        struct npy_header header = {0};
        struct error err = {0};
        if (!read_text(texts[t], 0, 60, &header, &err))
            fail_msg("%zu: %s", t, err.message);
        assert_int_equal(header.rows, 3);
        assert_int_equal(header.width, 5);
        assert_int_equal(header.offset % 4, 0);
        assert_false(read_text(texts[t], 1, 60, &header, &err));
        assert_non_null(strstr(err.message, "aligned"));
    }
}

static void refuses_hostile_headers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t data;
    } cases[] = {
        /* more and less than the header says */
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), } \n", 59},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), } \n", 61},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), } \n", 0},
        /* products that wrap around to the right size */
        {"{'descr': '<f4', 'fortran_order': False, "
         "'shape': (4611686018427387904, 1)} \n",
         0},
        {"{'descr': '<f4', 'fortran_order': False, "
         "'shape': (4294967296, 4294967296)}  \n",
         0},
        {"{'descr': '<f4', 'fortran_order': False, "
         "'shape': (18446744073709551617, 1)} \n",
         4},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 5)}  \n", 60},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5)    \n", 60},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5     \n", 60},
        {"{'descr': '<f4', 'fortran_order': False}                    \n", 60},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5)} x \n", 60},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 5), }     \n", 60},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), "
         "'descr': '<f4'}\n",
         60},
        {"{'descr': '<f4', 'descr': '<f4', 'shape': (3, 5), }       \n", 60},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': (3, 5), }  \n", 60},
        {"{'descr': '<f4\x80', 'fortran_order': False, 'shape': (3, 5)}\n", 60},
        {"{'descr': '<f4', 'other': False, 'shape': (3, 5), }         \n", 60},
        {"", 60},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct npy_header header;
        struct error err = {0};
        if (read_text(cases[c].text, 0, cases[c].data, &header, &err))
            fail_msg("case %zu was read", c);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.message, "made.npy"));
        for (const char *at = err.message; *at; at++)
            assert_in_range(*at, ' ', '~'); /* nothing foreign is passed on */
    }
}

/* Every beginning of a good file is no good file. */
static void refuses_files_that_were_cut(void **state) {
    (void)state;
    struct strbuf bytes = strbuf_make(&memory);
    assert_true(file_read(FIXTURES "3x5.npy", 1 << 20, &bytes, NULL));
    for (size_t size = 0; size < bytes.size; size++) {
        struct npy_header header;
        char *copy = malloc(size ? size : 1); /* reading past it is seen */
        memcpy(copy, bytes.data, size);
        struct error err = {0};
        assert_false(npy_header_read((struct str){copy, size}, size, "cut.npy",
                                     &header, &err));
        assert_non_null(strstr(err.message, size < 12 ? "is not a NumPy array"
                                            : size < NPY_HEADER_BYTES
                                                ? "ends inside its header"
                                                : "its header says"));
        free(copy);
    }
    bytes.data[6] = 4; /* version 4.0 */
    struct npy_header header;
    struct error err = {0};
    assert_false(npy_header_read(strbuf_str(&bytes), bytes.size, "new.npy",
                                 &header, &err));
    assert_non_null(strstr(err.message, "version 4.0"));
    strbuf_free(&bytes);
}

static int make_path(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_numpy_writes),
        cmocka_unit_test(writes_headers_of_any_shape),
        cmocka_unit_test(nothing_is_left_without_a_commit),
        cmocka_unit_test(reads_numpys_arrays),
        cmocka_unit_test(refuses_other_arrays),
        cmocka_unit_test(reads_any_layout_of_the_dictionary),
        cmocka_unit_test(refuses_hostile_headers),
        cmocka_unit_test(refuses_files_that_were_cut),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
