/* test_fuse.c - fused vectors against NumPy (tools/make_array_fixtures.py). */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "data/fuse.h"

enum { MEMBERS = 3, WIDTH_MAX = 128 };

/* One case of the fixture. */
struct fused {
    enum fuse_method method;
    size_t dim, count;
    struct fuse_member members[MEMBERS];
    float values[MEMBERS][WIDTH_MAX];
    const float *vectors[MEMBERS];
    double expected[WIDTH_MAX];
    size_t width;
};

static void load(const json_t *object, struct fused *c) {
    const json_t *vectors = json_object_get(object, "vectors");
    const json_t *weights = json_object_get(object, "weights");
    const json_t *fused = json_object_get(object, "fused");
    const char *method = json_string_value(json_object_get(object, "method"));
    c->method = strcmp(method, "mean") ? FUSE_CONCAT : FUSE_MEAN;
    c->dim = (size_t)json_integer_value(json_object_get(object, "dim"));
    c->count = json_array_size(vectors);
    assert_in_range(c->count, 1, MEMBERS);
    for (size_t m = 0; m < c->count; m++) {
        const json_t *vector = json_array_get(vectors, m);
        c->members[m].weight = json_number_value(json_array_get(weights, m));
        c->members[m].width = json_array_size(vector);
        for (size_t i = 0; i < c->members[m].width; i++)
            c->values[m][i] =
                (float)json_number_value(json_array_get(vector, i));
        c->vectors[m] = c->values[m];
    }
    c->width = json_array_size(fused);
    for (size_t i = 0; i < c->width; i++)
        c->expected[i] = json_number_value(json_array_get(fused, i));
}

static void equals_numpy(void **state) {
    (void)state;
    static const char *const names[MEMBERS] = {"a", "b", "c"};
    json_t *cases =
        json_read_file("tests/fixtures/fuse/cases.json", 1 << 20, NULL);
    assert_true(json_array_size(cases) >= 7);
    for (size_t n = 0; n < json_array_size(cases); n++) {
        struct fused c = {0};
        float out[WIDTH_MAX];
        load(json_array_get(cases, n), &c);
        assert_true(
            fuse_check(c.members, names, c.count, c.method, c.dim, NULL));
        assert_int_equal(fuse_width(c.members, c.count, c.method, c.dim),
                         c.width);
        assert_true(
            fuse_vectors(c.members, c.count, c.method, c.dim, c.vectors, out));
        for (size_t i = 0; i < c.width; i++) {
            /* NumPy's sum has another order: it may fall on the other side of
             * where f32 rounds, never further. */
            float expected = (float)c.expected[i];
            assert_true(out[i] == expected ||
                        out[i] == nextafterf(expected, INFINITY) ||
                        out[i] == nextafterf(expected, -INFINITY));
        }
    }
    json_decref(cases);
}

/* What concat is for: the dot product is the weighted mean of cosines. */
static void concat_keeps_the_mean_of_cosines(void **state) {
    (void)state;
    const struct fuse_member members[] = {{2, 1}, {3, 3}};
    const float a1[] = {3, 4}, a2[] = {1, 0, 0};
    const float b1[] = {1, 0}, b2[] = {1, 1, 0};
    float a[5], b[5];
    assert_true(fuse_vectors(members, 2, FUSE_CONCAT, 0,
                             (const float *const[]){a1, a2}, a));
    assert_true(fuse_vectors(members, 2, FUSE_CONCAT, 0,
                             (const float *const[]){b1, b2}, b));
    double dot = 0;
    for (int i = 0; i < 5; i++)
        dot += (double)a[i] * (double)b[i];
    assert_true(fabs(dot - (0.25 * 0.6 + 0.75 * sqrt(0.5))) < 1e-6);
}

static void no_direction_is_said(void **state) {
    (void)state;
    const struct fuse_member members[] = {{3, 1}, {3, 1}};
    const float a[] = {1, 2, 3}, opposite[] = {-2, -4, -6}, zero[] = {0, 0, 0},
                late[] = {0, 0, 1}, bad[] = {1, NAN, 0},
                far[] = {INFINITY, 0, 0};
    float out[6];
    assert_false(fuse_vectors(members, 2, FUSE_MEAN, 0,
                              (const float *const[]){a, opposite}, out));
    assert_true(fuse_vectors(members, 2, FUSE_CONCAT, 0,
                             (const float *const[]){a, opposite}, out));
    const float *const others[] = {zero, bad, far};
    for (int i = 0; i < 3; i++)
        for (int method = FUSE_MEAN; method <= FUSE_CONCAT; method++)
            assert_false(fuse_vectors(members, 2, (enum fuse_method)method, 0,
                                      (const float *const[]){a, others[i]},
                                      out));
    assert_true(fuse_vectors(members, 2, FUSE_MEAN, 0,
                             (const float *const[]){a, late}, out));
    assert_false(fuse_vectors(members, 2, FUSE_MEAN, 2,
                              (const float *const[]){a, late}, out));
}

static void refused(const struct fuse_member *members, size_t count,
                    enum fuse_method method, size_t dim, const char *reason) {
    const char *names[FUSE_MEMBERS_MAX + 1];
    struct error err = {0};
    for (size_t n = 0; n <= FUSE_MEMBERS_MAX; n++)
        names[n] = n ? "bge-m3" : "minilm";
    assert_false(fuse_check(members, names, count, method, dim, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    if (!strstr(err.message, reason))
        fail_msg("%s", err.message);
}

static void bad_members_are_refused(void **state) {
    (void)state;
    static const double weights[] = {0, -1, NAN, INFINITY};
    for (int w = 0; w < 4; w++) {
        struct fuse_member members[] = {{8, 1}, {8, weights[w]}};
        refused(members, 2, FUSE_MEAN, 0, "bge-m3 has weight");
    }
    const struct fuse_member unequal[] = {{8, 1}, {16, 1}};
    refused(unequal, 2, FUSE_MEAN, 0, "of width 8 and bge-m3 of width 16");
    refused(unequal, 2, FUSE_MEAN, 9, "minilm gives vectors of width 8");
    refused(unequal, 2, FUSE_CONCAT, 9, "cannot be cut to 9");
    assert_true(fuse_check(unequal, (const char *const[]){"a", "b"}, 2,
                           FUSE_CONCAT, 0, NULL));
    assert_true(fuse_check(unequal, (const char *const[]){"a", "b"}, 2,
                           FUSE_MEAN, 8, NULL));
    const struct fuse_member huge[] = {{8, 1e308}, {8, 1e308}};
    refused(huge, 2, FUSE_MEAN, 0, "not finite");
    struct fuse_member many[FUSE_MEMBERS_MAX + 1];
    for (int m = 0; m <= FUSE_MEMBERS_MAX; m++)
        many[m] = (struct fuse_member){8, 1};
    refused(many, FUSE_MEMBERS_MAX + 1, FUSE_MEAN, 0, "65 models");
    refused(many, 0, FUSE_MEAN, 0, "0 models");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_numpy),
        cmocka_unit_test(concat_keeps_the_mean_of_cosines),
        cmocka_unit_test(no_direction_is_said),
        cmocka_unit_test(bad_members_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
