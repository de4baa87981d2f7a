/* Floats to f16 and bf16 on the host: the nearest of all numbers that there
 * are, the one with an even last bit between two. */

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_float_goes_to_the_nearest),
        cmocka_unit_test(lots_and_what_is_left_are_the_same),
        cmocka_unit_test(infinity_and_nan_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
