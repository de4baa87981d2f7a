/* test_exports.c - sparse rows and multivectors as files, written and read
 * back, and files that lie. With "write FOLDER" it writes the files that
 * tests/data/exports.py compares with what NumPy and SciPy read. */

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

#include "data/csr.h"
#include "data/multi.h"

enum { ROW_MAX = 16, DIM = 5, PATH_BYTES = 400 };

static struct memory memory;
static char top[] = "/tmp/ens-exports-XXXXXX";

/* ---- what stands in row I; exports.py has the same lines ----------------- */

static size_t row_count(uint64_t i) {
    return (size_t)(i * i % 7);
}

/* The last index of every fifth row is the last column. */
static uint32_t row_index(uint64_t i, size_t j, uint64_t columns) {
    return i % 5 == 0 && j + 1 == row_count(i) ? (uint32_t)(columns - 1)
                                               : (uint32_t)(i % 3 + j * 37);
}

static float row_value(uint64_t i, size_t j) {
    return (float)((i * 31 + j * 7) % 101) / 8 - 3;
}

static void make_row(uint64_t i, uint64_t columns, uint32_t *indices,
                     float *values) {
    for (size_t j = 0; j < row_count(i); j++) {
        indices[j] = row_index(i, j, columns);
        values[j] = row_value(i, j);
    }
}

static const char *in(const char *folder, const char *name) {
    static char paths[4][PATH_BYTES];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return path;
}

static void write_csr(const char *path, uint64_t rows, uint64_t columns,
                      uint64_t large_from) {
    struct csr_writer out;
    struct error err = {0};
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    if (!csr_writer_open(&out, path, folder, columns, &memory, &err))
        fail_msg("%s", err.message);
    out.zip.large_from = large_from;
    for (uint64_t i = 0; i < rows; i++) {
        uint32_t indices[ROW_MAX];
        float values[ROW_MAX];
        make_row(i, columns, indices, values);
        assert_true(csr_writer_add(&out, indices, values, row_count(i), NULL));
    }
    assert_true(csr_writer_commit(&out, &err));
    csr_writer_close(&out);
}

static void write_multi(const char *vectors, const char *offsets,
                        uint64_t points) {
    struct multi_writer out;
    assert_true(multi_writer_open(&out, vectors, offsets, DIM, &memory, NULL));
    for (uint64_t i = 0; i < points; i++) {
        float rows[ROW_MAX * DIM];
        for (size_t j = 0; j < row_count(i) * DIM; j++)
            rows[j] = row_value(i, j);
        assert_true(multi_writer_add(&out, rows, row_count(i), NULL));
    }
    assert_true(multi_writer_commit(&out, NULL));
    multi_writer_close(&out);
}

#define TERMS  UINT64_C(30522)
#define HASHED (UINT64_C(1) << 31 | 1)
#define WORDS  (UINT64_C(1) << 32)
#define LARGE  UINT64_C(0xFFFFFFFF)

static int write_all(const char *folder) {
    write_csr(in(folder, "none.npz"), 0, TERMS, LARGE);
    write_csr(in(folder, "small.npz"), 50, TERMS, LARGE);
    write_csr(in(folder, "again.npz"), 50, TERMS, LARGE);
    write_csr(in(folder, "hashed.npz"), 50, HASHED, LARGE);
    write_csr(in(folder, "words.npz"), 50, WORDS, LARGE);
    write_csr(in(folder, "many.npz"), 100000, TERMS, LARGE);
    write_csr(in(folder, "zip64.npz"), 50, TERMS, 1);
    write_csr(in(folder, "places64.npz"), 50, TERMS, 1000);
    write_multi(in(folder, "multi.npy"), in(folder, "offsets.npy"), 50);
    write_multi(in(folder, "multi-none.npy"), in(folder, "offsets-none.npy"),
                0);
    return 0;
}

/* ---- sparse rows --------------------------------------------------------- */

static void reads_back(uint64_t rows, uint64_t columns, uint64_t large_from) {
    const char *path = in(top, "rows.npz");
    struct csr_map csr;
    struct error err = {0};
    write_csr(path, rows, columns, large_from);
    if (!csr_map_open(&csr, path, &memory, &err))
        fail_msg("%s", err.message);
    assert_int_equal(csr.rows, rows);
    assert_int_equal(csr.columns, columns);
    for (uint64_t i = 0; i < rows; i++) {
        struct csr_row row;
        assert_true(csr_map_row(&csr, i, &row, &err));
        assert_int_equal(row.count, row_count(i));
        for (size_t j = 0; j < row.count; j++) {
            assert_int_equal(csr_index(&row, j), row_index(i, j, columns));
            assert_true(row.values[j] == row_value(i, j));
        }
    }
    csr_map_close(&csr);
    assert_int_equal(memory_live(&memory), 0);
}

static void sparse_rows_come_back(void **state) {
    (void)state;
    reads_back(0, TERMS, LARGE);
    reads_back(50, TERMS, LARGE);
    reads_back(50, UINT64_C(1) << 31, LARGE); /* the most for i32 */
    reads_back(50, HASHED, LARGE);
    reads_back(50, WORDS, LARGE);
    reads_back(50, TERMS, 1);
    reads_back(50, TERMS, 1000);
}

static unsigned files_in(const char *folder) {
    unsigned count = 0;
    static const char *const names[] = {
        "gone.npz",         "gone.npz.part",
        "gone.npz.indices", "gone.npz.indices.part",
        "gone.npz.indptr",  "gone.npz.indptr.part",
        "gone.npy",         "gone.npy.part",
        "gone-offsets.npy", "gone-offsets.npy.part"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        count += file_exists(in(folder, names[n]));
    return count;
}

static void nothing_is_left_without_a_commit(void **state) {
    (void)state;
    struct csr_writer sparse;
    struct multi_writer multi;
    uint32_t index = 3;
    float values[DIM] = {1};
    char scratch[] = "/tmp/ensembed_exports_XXXXXX";
    assert_non_null(mkdtemp(scratch));
    assert_true(csr_writer_open(&sparse, in(top, "gone.npz"), scratch, 9,
                                &memory, NULL));
    assert_true(csr_writer_add(&sparse, &index, values, 1, NULL));
    assert_true(multi_writer_open(&multi, in(top, "gone.npy"),
                                  in(top, "gone-offsets.npy"), DIM, &memory,
                                  NULL));
    assert_true(multi_writer_add(&multi, values, 1, NULL));
    assert_int_equal(files_in(top), 3);
    assert_int_equal(files_in(scratch), 2);
    csr_writer_close(&sparse);
    multi_writer_close(&multi);
    assert_int_equal(files_in(top), 0);
    assert_int_equal(rmdir(scratch), 0);
    csr_writer_close(&sparse); /* once more is fine */
    multi_writer_close(&multi);
    assert_int_equal(memory_live(&memory), 0);

    struct error err = {0};
    assert_false(csr_writer_open(&sparse, "/no/such/folder/a.npz", top, 9,
                                 &memory, &err));
    assert_false(multi_writer_open(&multi, in(top, "gone.npy"),
                                   "/no/such/folder/b.npy", DIM, &memory,
                                   &err));
    csr_writer_close(&sparse);
    multi_writer_close(&multi);
    assert_int_equal(files_in(top), 0);
    assert_int_equal(memory_live(&memory), 0);
}

static void dot_product_of_what_both_have(void **state) {
    (void)state;
    const int32_t indices[] = {2, 5, 9};
    const float values[] = {1, -2, 4};
    struct csr_row row = {3, (const uint8_t *)indices, 4, values};
    const uint32_t query[] = {0, 5, 8, 9, 11};
    const float weights[] = {7, 0.5f, 3, 2, 1};
    assert_true(csr_row_dot(&row, query, weights, 5) == -2 * 0.5 + 4 * 2);
    assert_true(csr_row_dot(&row, query, weights, 1) == 0);
    assert_true(csr_row_dot(&row, query, weights, 0) == 0);
    row.count = 0;
    assert_true(csr_row_dot(&row, query, weights, 5) == 0);
}

/* ---- files that lie ------------------------------------------------------ */

/* All rows that FILE gives, read; false when it or one of them is refused. */
static bool can_be_read(struct str file, struct error *err) {
    struct csr_map csr;
    bool fine = csr_map_bytes(&csr, file, "test.npz", &memory, err);
    for (uint64_t i = 0; fine && i < csr.rows; i++) {
        struct csr_row row;
        fine = csr_map_row(&csr, i, &row, err);
        for (size_t j = 0; fine && j < row.count; j++)
            assert_true(csr_index(&row, j) < csr.columns);
    }
    return fine;
}

/* Every byte changed in turn, and every length. What is still read has sound
 * rows; what is refused says why. The copy ends where the file does, for the
 * sanitizer to see a read behind it. */
static void changed_files_are_survived(void **state) {
    (void)state;
    struct strbuf text = strbuf_make(&memory);
    write_csr(in(top, "true.npz"), 12, TERMS, 1);
    assert_true(file_read(in(top, "true.npz"), 1 << 20, &text, NULL));
    assert_true(can_be_read(strbuf_str(&text), NULL));
    unsigned refused = 0;
    for (size_t at = 0; at < 2 * text.size; at++) {
        size_t size = at < text.size ? text.size : at - text.size;
        char *copy = malloc(size ? size : 1);
        struct error err = {0};
        memcpy(copy, text.data, size);
        if (at < text.size)
            copy[at] ^= (char)(1 << at % 8);
        if (!can_be_read((struct str){copy, size}, &err)) {
            assert_true(err.code == ERROR_INPUT ||
                        err.code == ERROR_UNSUPPORTED);
            assert_non_null(strstr(err.message, "test.npz"));
            refused++;
        }
        free(copy);
    }
    assert_true(refused > text.size); /* every cut at least */
    strbuf_free(&text);
}

static void unsound_rows_are_refused(void **state) {
    (void)state;
    static const struct {
        uint32_t indices[3];
        const char *what;
    } rows[] = {{{4, 3, 8}, "descend"}, {{3, 3, 8}, "twice"}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct csr_writer out;
        struct csr_map csr;
        struct csr_row row;
        struct error err = {0};
        float values[3] = {1, 2, 3};
        const char *path = in(top, "unsound.npz");
        assert_true(csr_writer_open(&out, path, top, 9, &memory, NULL));
        assert_true(csr_writer_add(&out, rows[r].indices, values, 3, NULL));
        assert_true(csr_writer_commit(&out, NULL));
        csr_writer_close(&out);
        assert_true(csr_map_open(&csr, path, &memory, NULL));
        assert_false(csr_map_row(&csr, 0, &row, &err));
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.message, "row 0"));
        csr_map_close(&csr);
    }
}

/* Row ends that lie outside the file or go back. */
static void unsound_ends_are_refused(void **state) {
    (void)state;
    struct strbuf text = strbuf_make(&memory);
    write_csr(in(top, "ends.npz"), 5, TERMS, LARGE); /* 0, 1, 4, 2, 2 pairs */
    assert_true(file_read(in(top, "ends.npz"), 1 << 20, &text, NULL));
    struct csr_map csr;
    struct csr_row row;
    assert_true(
        csr_map_bytes(&csr, strbuf_str(&text), "test.npz", &memory, NULL));
    int64_t *ends =
        (int64_t *)(void *)(text.data + (csr.ends - (uint8_t *)text.data));
    static const int64_t wild[] = {10, INT64_MAX, -1, 0};
    for (size_t w = 0; w < sizeof wild / sizeof *wild; w++) {
        ends[2] = wild[w];
        assert_true(
            csr_map_bytes(&csr, strbuf_str(&text), "test.npz", &memory, NULL));
        assert_int_equal(csr_map_row(&csr, 1, &row, NULL), wild[w] == 0);
        assert_int_equal(csr_map_row(&csr, 2, &row, NULL), wild[w] == 0);
    }
    ends[2] = 1;
    static const int64_t last[] = {8, 10, INT64_MAX, -1};
    for (size_t w = 0; w < sizeof last / sizeof *last; w++) {
        struct error err = {0};
        ends[5] = last[w];
        assert_false(
            csr_map_bytes(&csr, strbuf_str(&text), "test.npz", &memory, &err));
        assert_int_equal(err.code, ERROR_INPUT);
    }
    strbuf_free(&text);
}

/* Sizes in the archive's directory that go beyond its end. */
static void unsound_directories_are_refused(void **state) {
    (void)state;
    struct strbuf text = strbuf_make(&memory);
    struct csr_map csr;
    write_csr(in(top, "directory.npz"), 5, TERMS, LARGE);
    assert_true(file_read(in(top, "directory.npz"), 1 << 20, &text, NULL));
    struct str file = strbuf_str(&text);
    assert_true(csr_map_bytes(&csr, file, "test.npz", &memory, NULL));
    assert_int_equal(((const char *)csr.values - file.data) % 64, 0);
    char *entry = text.data;
    while (memcmp(entry, "PK\1\2", 4) != 0)
        entry++;
    static const struct {
        size_t at, size;
    } fields[] = {{20, 8} /* sizes */, {42, 4} /* place */, {28, 2}, {30, 2}};
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
        char before[8];
        struct error err = {0};
        memcpy(before, entry + fields[f].at, fields[f].size);
        memset(entry + fields[f].at, 0x7F, fields[f].size);
        assert_false(csr_map_bytes(&csr, file, "test.npz", &memory, &err));
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(
            strstr(err.message, "cut off or damaged, make the file again"));
        memcpy(entry + fields[f].at, before, fields[f].size);
    }
    strbuf_free(&text);
}

static void compressed_files_are_refused_by_name(void **state) {
    (void)state;
    struct strbuf text = strbuf_make(&memory);
    struct error err = {0};
    assert_true(
        file_read("tests/fixtures/npy/compressed.npz", 1 << 20, &text, NULL));
    assert_false(can_be_read(strbuf_str(&text), &err));
    assert_int_equal(err.code, ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "compressed"));
    strbuf_free(&text);
}

/* ---- multivectors -------------------------------------------------------- */

static void multivectors_come_back(void **state) {
    (void)state;
    struct multi_map multi;
    struct error err = {0};
    const char *vectors = in(top, "v.npy"), *offsets = in(top, "o.npy");
    write_multi(vectors, offsets, 50);
    if (!multi_map_open(&multi, vectors, offsets, &err))
        fail_msg("%s", err.message);
    assert_int_equal(multi.points, 50);
    assert_int_equal(multi.vectors.width, DIM);
    for (uint64_t i = 0; i < 50; i++) {
        const float *rows;
        size_t count;
        assert_true(multi_map_row(&multi, i, &rows, &count, &err));
        assert_int_equal(count, row_count(i));
        for (size_t j = 0; j < count * DIM; j++)
            assert_true(rows[j] == row_value(i, j));
    }
    multi_map_close(&multi);
    assert_int_equal(memory_live(&memory), 0);
}

static void write_offsets(const char *path, const char *type,
                          const uint64_t *values, uint64_t count) {
    char bytes[NPY_HEADER_BYTES + 8 * 8];
    npy_header_make(bytes, type, &count, 1);
    memcpy(bytes + NPY_HEADER_BYTES, values, count * 8);
    assert_true(file_write(
        path, (struct str){bytes, NPY_HEADER_BYTES + (size_t)count * 8},
        &memory, NULL));
}

static void offsets_that_lie_are_refused(void **state) {
    (void)state;
    const char *vectors = in(top, "v.npy"), *offsets = in(top, "o.npy");
    const char *mine = in(top, "mine.npy");
    write_multi(vectors, offsets, 5); /* 0, 1, 4, 2, 2 vectors */
    static const struct {
        const char *type;
        uint64_t count, values[6];
        bool opens;
    } cases[] = {
        {"<u8", 6, {0, 0, 1, 5, 7, 9}, true},
        {"<i8", 6, {0, 0, 1, 5, 7, 9}, false},
        {"<u8", 0, {0}, false},
        {"<u8", 6, {1, 1, 1, 5, 7, 9}, false},
        {"<u8", 6, {0, 0, 1, 5, 7, 8}, false},
        {"<u8", 6, {0, 0, 1, 5, 7, 10}, false},
    };
    struct multi_map multi;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct error err = {0};
        write_offsets(mine, cases[c].type, cases[c].values, cases[c].count);
        bool opens = multi_map_open(&multi, vectors, mine, &err);
        assert_int_equal(opens, cases[c].opens);
        if (!opens)
            assert_non_null(strstr(err.message, "mine.npy"));
        multi_map_close(&multi);
    }
    static const uint64_t wild[] = {0, 4, 1, UINT64_MAX, 7, 9};
    write_offsets(mine, "<u8", wild, 6);
    assert_true(multi_map_open(&multi, vectors, mine, NULL));
    static const bool sound[] = {true, false, false, false, true};
    for (uint64_t i = 0; i < 5; i++) {
        const float *rows;
        size_t count;
        struct error err = {0};
        assert_int_equal(multi_map_row(&multi, i, &rows, &count, &err),
                         sound[i]);
        assert_true(sound[i] || err.code == ERROR_INPUT);
    }
    multi_map_close(&multi);
}

/* The definition, written plainly. */
static double plain_max_sim(const float *query, size_t query_count,
                            const float *rows, size_t count, size_t dim) {
    double sum = 0;
    for (size_t q = 0; q < query_count; q++) {
        double best = -1e30;
        for (size_t r = 0; r < count; r++) {
            double score = 0;
            for (size_t d = 0; d < dim; d++)
                score += (double)query[q * dim + d] * (double)rows[r * dim + d];
            best = score > best ? score : best;
        }
        sum += best;
    }
    return sum;
}

static void max_sim_is_the_definition(void **state) {
    (void)state;
    enum { QUERY = 3, ROWS = 4, WIDEST = 37 };
    float query[QUERY * WIDEST], rows[ROWS * WIDEST];
    for (size_t i = 0; i < QUERY * WIDEST; i++)
        query[i] = (float)(i * 29 % 64) / 16 - 2; /* sums are exact */
    for (size_t i = 0; i < ROWS * WIDEST; i++)
        rows[i] = (float)(i * 37 % 128) / 16 - 4;
    static const size_t dims[] = {1, 5, 16, 17, 37};
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t q = 0; q <= QUERY; q++)
            for (size_t r = 1; r <= ROWS; r++)
                assert_true(multi_max_sim(query, q, rows, r, dims[d]) ==
                            plain_max_sim(query, q, rows, r, dims[d]));
    assert_true(multi_max_sim(query, QUERY, rows, 0, 5) == 0);
}

int main(int count, char **arguments) {
    if (count == 3 && !strcmp(arguments[1], "write"))
        return write_all(arguments[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparse_rows_come_back),
        cmocka_unit_test(nothing_is_left_without_a_commit),
        cmocka_unit_test(dot_product_of_what_both_have),
        cmocka_unit_test(changed_files_are_survived),
        cmocka_unit_test(unsound_rows_are_refused),
        cmocka_unit_test(unsound_ends_are_refused),
        cmocka_unit_test(unsound_directories_are_refused),
        cmocka_unit_test(compressed_files_are_refused_by_name),
        cmocka_unit_test(multivectors_come_back),
        cmocka_unit_test(offsets_that_lie_are_refused),
        cmocka_unit_test(max_sim_is_the_definition),
    };
    if (!mkdtemp(top))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    folder_remove(top, NULL);
    return failed;
}
