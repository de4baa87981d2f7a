/* test_dtype.c - what numbers a run computes in: asked for, by default, and on
 * devices that do not have them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "run/dtype.h"

static struct error err;

/* A list of cards by their arch; 0 is the CPU, 1 a simulated card. */
static struct device_list devices(struct device_name *items,
                                  const unsigned *archs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct device_name){.storage_bytes = 4};
        if (archs[i])
            snprintf(items[i].name, sizeof items[i].name, "%s%zu",
                     archs[i] > 1 ? "cuda:" : "sim:", i);
        else
            items[i] = DEVICE_CPU;
        items[i].capacity = archs[i] == 1;
        items[i].arch = archs[i] > 1 ? archs[i] : 0;
    }
    return (struct device_list){items, count};
}

static enum number_type by_default(const unsigned *archs, size_t count) {
    struct device_name items[4];
    struct device_list list = devices(items, archs, count);
    return dtype_default(&list);
}

static void cards_compute_in_what_all_of_them_have(void **state) {
    (void)state;
    assert_int_equal(by_default((unsigned[]){0}, 1), NUMBER_F32);
    assert_int_equal(by_default((unsigned[]){1, 1}, 2), NUMBER_F32);
    assert_int_equal(by_default((unsigned[]){75}, 1), NUMBER_F16);
    assert_int_equal(by_default((unsigned[]){80}, 1), NUMBER_BF16);
    assert_int_equal(by_default((unsigned[]){90, 89, 0}, 3), NUMBER_BF16);
    assert_int_equal(by_default((unsigned[]){90, 75}, 2), NUMBER_F16);
    assert_int_equal(by_default((unsigned[]){1, 0, 75, 90}, 4), NUMBER_F16);
}

static void a_device_without_the_type_computes_in_f32(void **state) {
    (void)state;
    static const enum number_type types[] = {
        NUMBER_F32, NUMBER_F16, NUMBER_BF16, NUMBER_INT8, NUMBER_FP8};
    struct device_name d[6];
    devices(d, (unsigned[]){0, 1, 75, 86, 89, 120}, 6);
    for (size_t t = 0; t < 5; t++) {
        bool card_has = types[t] != NUMBER_INT8;
        assert_int_equal(dtype_on(&d[0], types[t]), NUMBER_F32);
        assert_int_equal(dtype_on(&d[1], types[t]), NUMBER_F32);
        assert_int_equal(dtype_on(&d[2], types[t]),
                         t < 2 ? types[t] : NUMBER_F32);
        assert_int_equal(dtype_on(&d[3], types[t]),
                         t < 3 ? types[t] : NUMBER_F32);
        for (size_t i = 4; i < 6; i++)
            assert_int_equal(dtype_on(&d[i], types[t]),
                             card_has ? types[t] : NUMBER_F32);
    }
}

/* The CPU computes in bf16 and int8 where it comes first. */
static void the_cpu_stands_in_for_cards_in_f32(void **state) {
    (void)state;
    struct device_name d[3];
    struct device_list list = devices(d, (unsigned[]){0, 1, 80}, 3);
    assert_int_equal(dtype_in(&list, &d[0], NUMBER_F32), NUMBER_F32);
    assert_int_equal(dtype_in(&list, &d[0], NUMBER_F16), NUMBER_F32);
    assert_int_equal(dtype_in(&list, &d[0], NUMBER_BF16), NUMBER_BF16);
    assert_int_equal(dtype_in(&list, &d[0], NUMBER_INT8), NUMBER_INT8);
    assert_int_equal(dtype_in(&list, &d[1], NUMBER_INT8), NUMBER_F32);
    assert_int_equal(dtype_in(&list, &d[2], NUMBER_INT8), NUMBER_F32);
    assert_int_equal(dtype_in(&list, &d[2], NUMBER_BF16), NUMBER_BF16);
    list = devices(d, (unsigned[]){80, 0}, 2);
    assert_int_equal(dtype_in(&list, &d[1], NUMBER_BF16), NUMBER_F32);
    assert_int_equal(dtype_in(&list, &d[1], NUMBER_INT8), NUMBER_F32);
    assert_int_equal(dtype_in(&list, &DEVICE_CPU, NUMBER_INT8), NUMBER_F32);
}

static bool check(enum number_type asked, const unsigned *archs, size_t count) {
    struct device_name items[4];
    struct device_list list = devices(items, archs, count);
    err = (struct error){0};
    return dtype_check(asked, &list, &err);
}

static void what_no_device_has_is_refused(void **state) {
    (void)state;
    assert_true(check(NUMBER_DEFAULT, (unsigned[]){0}, 1));
    assert_true(check(NUMBER_F32, (unsigned[]){0}, 1));
    assert_true(check(NUMBER_BF16, (unsigned[]){0, 75, 80}, 3));
    assert_true(check(NUMBER_F16, (unsigned[]){75}, 1));
    assert_true(check(NUMBER_BF16, (unsigned[]){0}, 1));
    assert_true(check(NUMBER_INT8, (unsigned[]){0, 80}, 2));
    assert_false(check(NUMBER_F16, (unsigned[]){0}, 1));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_string_equal(err.message, "--dtype: no device of this run computes "
                                     "in fp16: cpu in f32, bf16 and int8");
    assert_false(check(NUMBER_INT8, (unsigned[]){80, 0}, 2));
    assert_string_equal(err.message,
                        "--dtype: no device of this run computes in int8: "
                        "cuda:0 (sm_80) in f32, bf16 and fp16; cpu in f32");
    assert_false(check(NUMBER_F16, (unsigned[]){1, 0}, 2));
    assert_false(check(NUMBER_BF16, (unsigned[]){75, 0}, 2));
    assert_string_equal(err.message,
                        "--dtype: no device of this run computes in bf16: "
                        "cuda:0 (sm_75) in f32 and fp16; cpu in f32");
    assert_true(check(NUMBER_FP8, (unsigned[]){75, 89, 0}, 3));
    assert_false(check(NUMBER_FP8, (unsigned[]){86, 0}, 2));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_string_equal(
        err.message,
        "--dtype: no device of this run computes in fp8: cuda:0 (sm_86) in "
        "f32, bf16 and fp16; cpu in f32; choose one of these, for fp8 needs a "
        "card from sm_89 on (L4, RTX 40, H100)");
    assert_false(check(NUMBER_FP8, (unsigned[]){0}, 1));
    assert_false(check(NUMBER_INT8, (unsigned[]){90}, 1));
    assert_string_equal(err.message,
                        "--dtype: no device of this run computes in int8: "
                        "cuda:0 (sm_90) in f32, bf16, fp16 and fp8");
}

static enum number_type ask(struct run_options *options) {
    enum number_type type;
    err = (struct error){0};
    assert_true(dtype_asked(options, &type, &err));
    return type;
}

static void a_model_s_type_counts_before_the_run_s(void **state) {
    (void)state;
    struct model_request models[2] = {{.reference = "a"}, {.reference = "b"}};
    struct model_request sparse = {.reference = "s"};
    struct run_options options = {.models = models,
                                  .models_count = 2,
                                  .sparse = &sparse,
                                  .sparse_count = 1};
    enum number_type type;
    assert_int_equal(ask(&options), NUMBER_DEFAULT);
    options.type = NUMBER_F16;
    assert_int_equal(ask(&options), NUMBER_F16);
    options.type = NUMBER_DEFAULT;
    sparse.type = NUMBER_BF16;
    assert_int_equal(ask(&options), NUMBER_BF16);
    models[1].type = NUMBER_F32;
    assert_false(dtype_asked(&options, &type, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_string_equal(err.message,
                        "b is to be computed in f32 and s in bf16, and a card "
                        "computes in one type in a run; run one after the "
                        "other with the same --out");
    sparse.type = NUMBER_DEFAULT;
    options.type = NUMBER_BF16;
    assert_false(dtype_asked(&options, &type, &err));
    options.models_count = options.sparse_count = 1;
    models[0].type = sparse.type = NUMBER_F16;
    assert_int_equal(ask(&options), NUMBER_F16);
    options = (struct run_options){.type = NUMBER_F16};
    assert_int_equal(ask(&options), NUMBER_F16);
}

static void names_go_both_ways(void **state) {
    (void)state;
    enum number_type type;
    for (enum number_type t = NUMBER_F32; t <= NUMBER_FP8; t++)
        assert_int_equal(dtype_named(dtype_name(t)), t);
    assert_string_equal(dtype_name(NUMBER_F16), "fp16");
    assert_int_equal(dtype_named(""), NUMBER_DEFAULT);
    assert_int_equal(dtype_named("F32"), NUMBER_DEFAULT);
    assert_true(dtype_parse("bf16", "here", &type, &err));
    assert_int_equal(type, NUMBER_BF16);
    assert_false(dtype_parse("fp4", "here", &type, &err));
    assert_string_equal(err.message,
                        "here: 'fp4' is none of: f32, bf16, fp16, int8, fp8");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cards_compute_in_what_all_of_them_have),
        cmocka_unit_test(a_device_without_the_type_computes_in_f32),
        cmocka_unit_test(the_cpu_stands_in_for_cards_in_f32),
        cmocka_unit_test(what_no_device_has_is_refused),
        cmocka_unit_test(a_model_s_type_counts_before_the_run_s),
        cmocka_unit_test(names_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
