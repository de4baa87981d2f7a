/* Floats to f16, bf16 and e4m3 on the host: the nearest of all numbers that
 * there are, the one with an even last bit between two. */

#include <jansson.h>

#include "device/cuda/e4m3.h"

#include "device/cuda/cuda_parts.h"
#include "device/fixture.h"

static double value_f16(uint32_t bits) {
    int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    if (exponent == 31)
        return fraction ? (double)NAN : 65536; /* where infinity would be */
    return exponent ? ldexp(1024 + fraction, exponent - 25)
                    : ldexp(fraction, -24);
}

static double value_bf16(uint32_t bits) {
    int exponent = (int)(bits >> 7 & 255), fraction = (int)(bits & 127);
    if (exponent == 255)
        return fraction ? (double)NAN : ldexp(1, 128);
    return exponent ? ldexp(128 + fraction, exponent - 134)
                    : ldexp(fraction, -133);
}

struct format {
    void (*narrow)(const float *from, size_t count, uint16_t *to);
    double (*value)(uint32_t bits);
    uint32_t infinity;
};
static const struct format FORMATS[] = {
    {cuda_narrow_f16, value_f16, 0x7c00},
    {cuda_narrow_bf16, value_bf16, 0x7f80},
};

/* The nearest by its definition: the values rise with their bits. */
static uint32_t nearest(const struct format *format, double size) {
    uint32_t low = 0, high = format->infinity;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (format->value(middle) <= size)
            low = middle;
        else
            high = middle;
    }
    double below = size - format->value(low),
           above = format->value(high) - size;
    if (below == above)
        return low & 1 ? high : low;
    return below < above ? low : high;
}

static void check(const struct format *format, const float *x, size_t count) {
    uint16_t *got = malloc(count * sizeof *got);
    format->narrow(x, count, got);
    for (size_t i = 0; i < count; i++) {
        uint32_t want = nearest(format, fabs((double)x[i]));
        if (signbit(x[i]))
            want |= 0x8000;
        if (got[i] != want)
            fail_msg("%a became %x, not %x", (double)x[i], got[i], want);
    }
    free(got);
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Every upper half of a float, with lower halves about each tie. */
static void every_float_goes_to_the_nearest(void **state) {
    (void)state;
    static const uint32_t LOWER[] = {0,      1,      0x0fff, 0x1000,
                                     0x1001, 0x7fff, 0x8000, 0x8001,
                                     0xefff, 0xf000, 0xf001, 0xffff};
    enum { COUNT = sizeof LOWER / sizeof *LOWER };
    for (uint32_t upper = 0; upper < 0x10000; upper++) {
        float x[COUNT];
        if ((upper & 0x7f80) == 0x7f80)
            continue;
        for (size_t i = 0; i < COUNT; i++)
            x[i] = float_of(upper << 16 | LOWER[i]);
        for (size_t f = 0; f < sizeof FORMATS / sizeof *FORMATS; f++)
            check(&FORMATS[f], x, COUNT);
    }
}

static void lots_and_what_is_left_are_the_same(void **state) {
    (void)state;
    float *x = floats(1000);
    for (size_t f = 0; f < sizeof FORMATS / sizeof *FORMATS; f++)
        for (size_t count = 0; count < 1000; count += 61)
            check(&FORMATS[f], x, count);
    free(x);
}

static void infinity_and_nan_stay(void **state) {
    (void)state;
    const float x[] = {INFINITY, -INFINITY, NAN, float_of(0xff800001)};
    for (size_t f = 0; f < sizeof FORMATS / sizeof *FORMATS; f++) {
        uint32_t infinity = FORMATS[f].infinity;
        uint16_t got[4];
        FORMATS[f].narrow(x, 4, got);
        assert_int_equal(got[0], infinity);
        assert_int_equal(got[1], infinity | 0x8000);
        assert_true((got[2] & 0x7fff) > infinity);
        assert_true((got[3] & 0x7fff) > infinity);
    }
}

/* ---- e4m3 ---------------------------------------------------------------- */

static unsigned e4m3_of(float x, float factor) {
    uint8_t code;
    cuda_narrow_e4m3(&x, 1, factor, &code);
    return code;
}

/* The tests' definition of it, too. */
static void e4m3_is_pytorch_s(void **state) {
    (void)state;
    json_t *all = json_load_file("tests/fixtures/e4m3.json", 0, NULL);
    json_t *values = json_object_get(all, "values"), *pair;
    size_t i;
    assert_int_equal(json_array_size(values), 256);
    for (unsigned code = 0; code < 256; code++) {
        const json_t *value = json_array_get(values, code);
        if (json_is_null(value))
            assert_true(isnan(e4m3_value(code)));
        else
            assert_true(json_number_value(value) == e4m3_value(code));
    }
    assert_true(json_array_size(json_object_get(all, "rounded")) > 500);
    json_array_foreach(json_object_get(all, "rounded"), i, pair) {
        double x = json_number_value(json_array_get(pair, 0));
        unsigned want = (unsigned)json_integer_value(json_array_get(pair, 1));
        assert_int_equal(e4m3_nearest(x), want);
        assert_int_equal(e4m3_of((float)x, 1), want);
    }
    json_decref(all);
}

/* Every upper half of a float, with lower halves about ties of e4m3. */
static void every_float_goes_to_the_nearest_e4m3(void **state) {
    (void)state;
    static const uint32_t LOWER[] = {0, 1, 0x8000, 0xffff};
    for (uint32_t upper = 0; upper < 0x10000; upper++)
        for (size_t i = 0; i < sizeof LOWER / sizeof *LOWER; i++) {
            float x = float_of(upper << 16 | LOWER[i]);
            unsigned want = e4m3_nearest((double)x), got = e4m3_of(x, 1);
            if (isnan(x) ? (got & 0x7f) != E4M3_NAN : got != want)
                fail_msg("%a became %x, not %x", (double)x, got, want);
        }
}

static void rows_are_multiplied_first(void **state) {
    (void)state;
    float x[1000];
    uint8_t got[1000];
    for (size_t i = 0; i < 1000; i++)
        x[i] = random_float();
    for (size_t count = 0; count < 1000; count += 61) {
        cuda_narrow_e4m3(x, count, 448, got);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(got[i], e4m3_nearest((double)(x[i] * 448)));
    }
    assert_int_equal(e4m3_of(3e38f, 1e30f), E4M3_GREATEST);
    assert_int_equal(e4m3_of(-3e38f, 1e30f), E4M3_GREATEST | E4M3_SIGN);
}

static void the_greatest_size_of_a_row(void **state) {
    (void)state;
    float x[] = {0, -3, 2, 0.5f};
    assert_true(cuda_greatest_size(x, 4, 0.25f) == 3);
    assert_true(cuda_greatest_size(x, 1, 0.25f) == 0.25f);
    assert_true(cuda_greatest_size(x, 0, 0.25f) == 0.25f);
    x[3] = -INFINITY;
    assert_true(cuda_greatest_size(x, 4, 0.25f) == INFINITY);
    x[0] = -NAN;
    assert_true(isnan(cuda_greatest_size(x, 4, 0.25f)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_float_goes_to_the_nearest),
        cmocka_unit_test(lots_and_what_is_left_are_the_same),
        cmocka_unit_test(infinity_and_nan_stay),
        cmocka_unit_test(e4m3_is_pytorch_s),
        cmocka_unit_test(every_float_goes_to_the_nearest_e4m3),
        cmocka_unit_test(rows_are_multiplied_first),
        cmocka_unit_test(the_greatest_size_of_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
