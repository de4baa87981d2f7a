/* test_torch_file.c - files that torch saved (tools/make_torch_files.py) hold
 * what torch itself put into a safetensors file; what is more than weights is
 * refused by its name. */

#include <dirent.h>
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

#define FOLDER "tests/fixtures/torch/"

enum { VALUES_MAX = 256 };

static struct memory memory;

static struct tensors *open_it(const char *name) {
    char path[PATH_MAX];
    const char *const paths[] = {path};
    struct error err = {0};
    snprintf(path, sizeof path, FOLDER "%s", name);
    struct tensors *st = tensors_open(&memory, paths, 1, &err);
    if (!st)
        fail_msg("%s", err.message);
    return st;
}

/* In pieces of PIECE values: a strided tensor is read in runs. */
static void read_in_pieces(const struct tensor *t, size_t piece, float *out) {
    for (size_t at = 0; at < t->elements; at += piece) {
        size_t left = t->elements - at;
        tensor_read_f32(t, at, left < piece ? left : piece, out + at);
    }
}

static bool is_float(const struct tensor *t) {
    return t->dtype == TENSOR_F32 || t->dtype == TENSOR_F16 ||
           t->dtype == TENSOR_BF16;
}

static void same_tensor(const struct tensor *got, const struct tensor *want) {
    float a[VALUES_MAX], b[VALUES_MAX];
    if (!got)
        fail_msg("no tensor %s", want->name);
    assert_string_equal(got->dtype_name, want->dtype_name);
    assert_int_equal(got->rank, want->rank);
    assert_memory_equal(got->shape, want->shape, sizeof got->shape);
    assert_int_equal(got->bytes, want->bytes);
    assert_in_range(want->elements, 0, VALUES_MAX);
    for (size_t piece = 1; is_float(want) && piece < 10; piece++) {
        read_in_pieces(want, piece, a);
        read_in_pieces(got, piece, b);
        if (memcmp(a, b, want->elements * sizeof *a) != 0)
            fail_msg("%s: other values, read %zu at a time", want->name, piece);
    }
    if (!is_float(want))
        assert_memory_equal(got->data, want->data, want->bytes);
}

static void same_file(const char *name) {
    struct tensors *want = open_it("expected.safetensors");
    struct tensors *got = open_it(name);
    assert_int_equal(tensors_count(got), tensors_count(want));
    for (size_t i = 0; i < tensors_count(want); i++)
        same_tensor(tensors_find(got, tensors_at(want, i)->name),
                    tensors_at(want, i));
    for (size_t i = 0; i < tensors_count(got); i++)
        tensors_forget(got, tensors_at(got, i));
    same_tensor(tensors_find(got, "base"), tensors_find(want, "base"));
    tensors_close(want);
    tensors_close(got);
    assert_int_equal(memory_live(&memory), 0);
}

static void zip_format(void **state) {
    (void)state;
    same_file("zip.pt");
    same_file("zip-protocol-4.pt");
    same_file("zip-protocol-5.pt");
    same_file("zip64.pt");
}

static void older_format(void **state) {
    (void)state;
    same_file("older.pt");
    struct tensors *st = open_it("python2.pt");
    assert_int_equal(tensors_count(st), 1);
    assert_non_null(tensors_find(st, "weight"));
    tensors_close(st);
}

/* Which tensors have their elements elsewhere than one after the other. */
static void order(void **state) {
    (void)state;
    static const char *const STRIDED[] = {
        "transposed", "columns",     "expanded",   "every_other",
        "turned",     "turned_half", "overlapping"};
    struct tensors *st = open_it("zip.pt");
    size_t count = 0;
    for (size_t i = 0; i < tensors_count(st); i++)
        count += tensors_at(st, i)->strided;
    assert_int_equal(count, sizeof STRIDED / sizeof *STRIDED);
    for (size_t i = 0; i < count; i++)
        assert_true(tensors_find(st, STRIDED[i])->strided);
    assert_ptr_equal(tensors_find(st, "base")->data,
                     tensors_find(st, "same")->data);
    tensors_close(st);
}

static void shards(void **state) {
    (void)state;
    const char *const paths[] = {FOLDER "zip.pt", FOLDER "python2.pt"};
    const char *const twice[] = {FOLDER "python2.pt", FOLDER "python2.pt"};
    struct error err = {0};
    struct tensors *st = tensors_open(&memory, paths, 2, &err);
    assert_non_null(st);
    assert_int_equal(tensors_find(st, "weight")->file, 1);
    assert_int_equal(tensors_find(st, "base")->file, 0);
    tensors_close(st);
    assert_null(tensors_open(&memory, twice, 2, &err));
    assert_non_null(strstr(err.message, "tensor weight is in"));
}

static void refuse(const char *name) {
    char path[PATH_MAX], word[NAME_MAX + 1];
    const char *const paths[] = {path};
    struct error err = {0};
    snprintf(path, sizeof path, FOLDER "refused/%s", name);
    snprintf(word, sizeof word, "%s", name);
    *strrchr(word, '.') = '\0';
    if (tensors_open(&memory, paths, 1, &err))
        fail_msg("%s: accepted", name);
    if (strncmp(err.message, path, strlen(path)) != 0 ||
        !strstr(err.message + strlen(path), word))
        fail_msg("no \"%s\" in: %s", word, err.message);
    assert_true(err.code == ERROR_INPUT || err.code == ERROR_UNSUPPORTED);
    assert_int_equal(memory_live(&memory), 0);
}

static void refused(void **state) {
    (void)state;
    DIR *dir = opendir(FOLDER "refused");
    struct dirent *entry;
    size_t count = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.') {
            refuse(entry->d_name);
            count++;
        }
    closedir(dir);
    assert_int_equal(count, 23);
    assert_int_not_equal(access("/tmp/it-ran", F_OK), 0);
}

/* A file that is cut off anywhere is refused, and says so. */
static void cut_off(void **state) {
    (void)state;
    static const char *const NAMES[] = {FOLDER "zip.pt", FOLDER "zip64.pt",
                                        FOLDER "older.pt"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct strbuf text = strbuf_make(&memory);
        struct error err = {0};
        assert_true(file_read(NAMES[i], 1 << 20, &text, &err));
        struct str whole = strbuf_str(&text);
        for (size_t size = 0; size < whole.size; size++) {
            err = (struct error){0};
            char *copy =
                malloc(size + 1); /* so that a sanitizer sees its end */
            memcpy(copy, whole.data, size);
            if (tensors_open_bytes(&memory, "f", copy, size, &err))
                fail_msg("%s: accepted with %zu bytes", NAMES[i], size);
            assert_true(err.code == ERROR_INPUT ||
                        err.code == ERROR_UNSUPPORTED);
            free(copy);
        }
        strbuf_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zip_format), cmocka_unit_test(older_format),
        cmocka_unit_test(order),      cmocka_unit_test(shards),
        cmocka_unit_test(refused),    cmocka_unit_test(cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
