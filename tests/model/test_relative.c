/* test_relative.c - buckets of distances and slopes against those of
 * transformers and of ALiBi's authors (tools/relative_oracle.py), each distance
 * up to where nothing changes any more. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "model/weights_parts.h"

#define CASES "tests/fixtures/relative/cases.json"

enum { FILE_MAX = 1 << 20, BEYOND = 5, HEADS_MAX = 64 };

static json_t *cases;

static int read_cases(void **state) {
    struct error err = {0};
    (void)state;
    cases = json_read_file(CASES, FILE_MAX, &err);
    if (!cases)
        print_error("%s\n", err.message);
    return cases ? 0 : -1;
}

static int free_cases(void **state) {
    (void)state;
    json_decref(cases);
    return 0;
}

static long number(const json_t *list, size_t i) {
    return (long)json_integer_value(json_array_get(list, i));
}

static long bucket(const struct model_spec *spec, long distance) {
    return (long)distance_bucket(spec, distance);
}

static long row(const struct model_spec *spec, long distance) {
    return (long)relative_row(spec, distance);
}

/* CHANGES: [distance, row] where another begins. */
static void check_rows(const char *name, const struct model_spec *spec,
                       long reach, const json_t *changes,
                       long (*of)(const struct model_spec *, long)) {
    size_t next = 0;
    long want = -1;
    assert_true(json_array_size(changes) > 0);
    for (long d = -reach - BEYOND; d <= reach + BEYOND; d++) {
        const json_t *change = json_array_get(changes, next);
        if (change && number(change, 0) == d) {
            want = number(change, 1);
            next++;
        }
        if (of(spec, d) != want)
            fail_msg("%s, %ld distances: distance %ld is in %ld, expected %ld",
                     name, reach, d, of(spec, d), want);
    }
    assert_int_equal(next, json_array_size(changes));
}

static void buckets_are_those_of_t5(void **state) {
    (void)state;
    const json_t *list = json_object_get(cases, "t5"), *one;
    size_t i;
    assert_true(json_array_size(list) > 0);
    json_array_foreach((json_t *)list, i, one) {
        struct model_spec spec = {.buckets_used = (size_t)number(one, 0),
                                  .distance_reach = (size_t)number(one, 1)};
        check_rows("T5", &spec, number(one, 1), json_array_get(one, 2), bucket);
    }
}

static void rows_are_those_of_deberta(void **state) {
    (void)state;
    const json_t *list = json_object_get(cases, "deberta"), *one;
    size_t i;
    assert_true(json_array_size(list) > 0);
    json_array_foreach((json_t *)list, i, one) {
        size_t buckets = (size_t)number(one, 0), reach = (size_t)number(one, 1);
        struct model_spec spec = {.relative_buckets = buckets,
                                  .relative_reach = reach,
                                  .relative_rows =
                                      2 * (buckets ? buckets : reach)};
        check_rows("DeBERTa", &spec, (long)reach, json_array_get(one, 2), row);
    }
}

static void slopes_are_those_of_alibi(void **state) {
    (void)state;
    const json_t *list = json_object_get(cases, "slopes"), *one;
    size_t i;
    assert_true(json_array_size(list) > 0);
    json_array_foreach((json_t *)list, i, one) {
        float slopes[HEADS_MAX];
        size_t heads = json_array_size(one);
        assert_in_range(heads, 1, HEADS_MAX);
        alibi_slopes(heads, slopes);
        for (size_t h = 0; h < heads; h++) {
            double want = json_number_value(json_array_get(one, h));
            if (!(__builtin_fabs((double)slopes[h] / want - 1) < 1e-7))
                fail_msg("%zu heads: slope %zu is %.9g, expected %.9g", heads,
                         h, (double)slopes[h], want);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_those_of_t5),
        cmocka_unit_test(rows_are_those_of_deberta),
        cmocka_unit_test(slopes_are_those_of_alibi),
    };
    return cmocka_run_group_tests(tests, read_cases, free_cases);
}
