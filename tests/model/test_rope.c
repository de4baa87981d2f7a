/* test_rope.c - frequencies of rotary positions against those of transformers
 * (tools/rope_oracle.py), float by float; what has no frequencies is refused by
 * name. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "model/spec_parts.h"

#define CASES "tests/fixtures/rope/cases.json"

enum {
    FILE_MAX = 1 << 20,
    APART = 2, /* steps of a float: another pow's rounding, once in the power
                  and once in what is made of it */
};

/* How many floats lie between two of the same sign. */
static int32_t steps(float a, float b) {
    int32_t i, j;
    memcpy(&i, &a, sizeof i);
    memcpy(&j, &b, sizeof j);
    return i > j ? i - j : j - i;
}

static void check_case(size_t number, const json_t *from) {
    struct config_source source = {.config = json_object_get(from, "config"),
                                   .path = CASES};
    struct rotary_spec rotary = {0};
    struct error err = {0};
    const json_t *inverse = json_object_get(from, "inverse");
    size_t dims = (size_t)json_integer_value(json_object_get(from, "dims"));
    double factor = json_number_value(json_object_get(from, "factor"));
    if (!config_rotary(&source, NULL, dims, 1e4, &rotary, &err))
        fail_msg("case %zu: %s", number, err.message);
    assert_int_equal(rotary.dims, dims);
    assert_int_equal(json_array_size(inverse), dims / 2);
    if (steps(rotary.factor, (float)factor) > 0)
        fail_msg("case %zu: factor %.9g, expected %.9g", number,
                 (double)rotary.factor, factor);
    for (size_t p = 0; p < dims / 2; p++) {
        float want = (float)json_number_value(json_array_get(inverse, p));
        if (steps(rotary.inverse[p], want) > APART)
            fail_msg("case %zu, pair %zu: %.9g, expected %.9g", number, p,
                     (double)rotary.inverse[p], (double)want);
    }
}

static void frequencies_are_those_of_transformers(void **state) {
    (void)state;
    struct error err = {0};
    json_t *cases = json_read_file(CASES, FILE_MAX, &err);
    if (!cases)
        fail_msg("%s", err.message);
    assert_true(json_array_size(cases) >= 20);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(i, json_array_get(cases, i));
    json_decref(cases);
}

static bool read_text(const char *text, const char *kind, size_t dims,
                      struct rotary_spec *rotary, struct error *err) {
    json_t *config = json_loads(text, 0, NULL);
    assert_non_null(config);
    struct config_source source = {.config = config, .path = "config.json"};
    bool fine = config_rotary(&source, kind, dims, 1e4, rotary, err);
    json_decref(config);
    return fine;
}

static void others_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *config, *kind;
        size_t dims;
        const char *word;
        enum error_code code;
    } cases[] = {
        {"{\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}", NULL, 8,
         "dynamic", ERROR_UNSUPPORTED},
        {"{\"rope_parameters\": {\"rope_type\": \"longrope\"}}", NULL, 8,
         "longrope", ERROR_UNSUPPORTED},
        {"{\"rope_scaling\": {\"type\": \"linear\"}}", NULL, 8, "factor",
         ERROR_INPUT},
        {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 0}}", NULL, 8,
         "factor", ERROR_INPUT},
        {"{\"rope_scaling\": {\"type\": \"llama3\", \"factor\": 2}}", NULL, 8,
         "low_freq_factor", ERROR_INPUT},
        {"{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 2}}", NULL, 8,
         "original_max_position_embeddings", ERROR_INPUT},
        {"{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 2, "
         "\"beta_fast\": "
         "-1, \"original_max_position_embeddings\": 64}}",
         NULL, 8, "beta_fast", ERROR_INPUT},
        {"{\"rope_scaling\": \"linear\"}", NULL, 8, "rope_scaling",
         ERROR_INPUT},
        {"{\"rope_parameters\": 7}", NULL, 8, "rope_parameters", ERROR_INPUT},
        {"{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 5}}}",
         NULL, 8, "full_attention", ERROR_UNSUPPORTED},
        {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, "
         "\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 5}}}",
         "full_attention", 8, "rope_scaling", ERROR_UNSUPPORTED},
        {"{\"rope_theta\": 0}", NULL, 8, "rope_theta", ERROR_INPUT},
        {"{\"rope_theta\": \"10000\"}", NULL, 8, "rope_theta", ERROR_INPUT},
        {"{\"partial_rotary_factor\": 0}", NULL, 8, "partial_rotary_factor",
         ERROR_INPUT},
        {"{}", NULL, 7, "even", ERROR_UNSUPPORTED},
        {"{}", NULL, 258, "256", ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rotary_spec rotary = {0};
        struct error err = {0};
        if (read_text(cases[i].config, cases[i].kind, cases[i].dims, &rotary,
                      &err) ||
            err.code != cases[i].code || !strstr(err.message, cases[i].word) ||
            !strstr(err.message, "config.json"))
            fail_msg("%s: %s", cases[i].config, err.message);
    }
}

/* A kind's own parameters, and a part of each head. */
static void kinds_and_parts_are_read(void **state) {
    (void)state;
    struct rotary_spec rotary = {0};
    struct error err = {0};
    const char *two = "{\"rope_theta\": 7, \"rope_parameters\": {"
                      "\"sliding_attention\": {\"rope_theta\": 16}, "
                      "\"full_attention\": {\"rope_theta\": 81}}}";
    assert_true(read_text(two, "sliding_attention", 4, &rotary, &err));
    assert_true(rotary.inverse[1] == 0.25f);
    assert_true(read_text(two, "full_attention", 4, &rotary, &err));
    assert_true(fabsf(rotary.inverse[1] - 1.0f / 9) < 1e-7f);
    assert_true(
        read_text("{\"partial_rotary_factor\": 0.5}", NULL, 8, &rotary, &err));
    assert_int_equal(rotary.dims, 4);
    assert_true(fabsf(rotary.inverse[1] - 0.01f) < 1e-8f);
    assert_true(rotary.factor == 1.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frequencies_are_those_of_transformers),
        cmocka_unit_test(others_are_refused_by_name),
        cmocka_unit_test(kinds_and_parts_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
