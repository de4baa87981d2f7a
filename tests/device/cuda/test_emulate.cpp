/* Does the emulator run right kernels rightly, and does it see wrong ones? */

#include "device/cuda/cpp_fixture.h"

#include "device/cuda/emulate.h"

namespace f16 {
#define NARROW      1
#define KERNEL_ARCH 80
#define KERNEL_FILE "device/cuda/test_kernels.cu"
#include "device/cuda/emulate_module.h"
} // namespace f16

namespace f16_75 {
#define NARROW      1
#define KERNEL_ARCH 75
#define KERNEL_FILE "device/cuda/test_kernels.cu"
#include "device/cuda/emulate_module.h"
} // namespace f16_75

namespace bf16 {
#define NARROW      2
#define KERNEL_ARCH 80
#define KERNEL_FILE "device/cuda/test_kernels.cu"
#include "device/cuda/emulate_module.h"
} // namespace bf16

static void fine(const char *message) {
    if (message)
        fail_msg("%s", message);
}

static void said(const char *message, const char *part) {
    if (!message || !strstr(message, part))
        fail_msg("no \"%s\" in \"%s\"", part, message ? message : "(nothing)");
}

/* ---- blocks ---- */

static const char *reverse(unsigned fault, float *y) {
    static float x[768];
    for (unsigned i = 0; i < 768; i++)
        x[i] = (float)i;
    f16::test_reverse_params p = {x, y, fault};
    return EMULATE_TRY(f16::test_reverse, 3, 1, 256, 0, p);
}

static void test_barriers(void **state) {
    (void)state;
    float y[768];
    fine(emulate_in_all_orders(y, sizeof y, [&] { fine(reverse(0, y)); }));
    for (unsigned i = 0; i < 768; i++)
        assert_true(y[i] == (float)(i / 256 * 256 + 255 - i % 256));
    assert_int_equal(emulate_shared_used(), 1024);
}

static void test_barrier_missing(void **state) {
    (void)state;
    float y[768];
    const char *race =
        emulate_in_all_orders(y, sizeof y, [&] { fine(reverse(1, y)); });
    said(race, "a race");
}

static void test_barrier_divergent(void **state) {
    (void)state;
    float y[768];
    for (emulate_order = 0; emulate_order < EMULATE_ORDERS; emulate_order++) {
        said(reverse(2, y), "thread 5 has returned");
        said(reverse(2, y), "test_kernels.cu:25 (__syncthreads)");
        said(reverse(4, y), "test_kernels.cu:23 (__syncthreads)");
        fine(reverse(0, y)); /* and goes on after it */
    }
    emulate_order = 2;
}

/* With ASan it would end the program. */
static void test_overrun(void **state) {
    (void)state;
#if !defined __SANITIZE_ADDRESS__
#if defined __has_feature
#if __has_feature(address_sanitizer)
    return;
#endif
#endif
    float y[768];
    said(reverse(3, y), "piece [1024 bytes] was written behind its end");
#endif
}

static const char *racing(bool synced, float *y) {
    f16::test_race_params p = {y, synced};
    return EMULATE_TRY(f16::test_race, 1, 1, 128, 128 * sizeof(float), p);
}

static void test_race_between_warps(void **state) {
    (void)state;
    float y[128];
    fine(emulate_in_all_orders(y, sizeof y, [&] { fine(racing(true, y)); }));
    for (unsigned i = 0; i < 128; i++)
        assert_true(y[i] == (float)((i + 95) % 128));
    said(emulate_in_all_orders(y, sizeof y, [&] { fine(racing(false, y)); }),
         "a race");
}

/* ---- warps ---- */

static void test_collectives(void **state) {
    (void)state;
    unsigned y[160], multiples = 0;
    for (unsigned i = 0; i < 32; i += 3)
        multiples |= 1u << i;
    fine(emulate_in_all_orders(y, sizeof y, [&] {
        f16::test_warp_params p = {y, 0};
        fine(EMULATE_TRY(f16::test_warp, 1, 1, 32, 0, p));
    }));
    for (unsigned i = 0; i < 32; i++) {
        unsigned third = i / 8 * 8 + 3, down = i < 28 ? i + 4 : i;
        assert_int_equal(y[i], (i ^ 5) * (i ^ 5) + 1);
        assert_int_equal(y[32 + i], third * third + 1);
        assert_int_equal(y[64 + i], down * down + 1);
        assert_int_equal(y[96 + i], multiples);
        assert_int_equal(y[128 + i], i < 16 ? 120 : i);
    }
}

static void test_collectives_divergent(void **state) {
    (void)state;
    unsigned y[160];
    f16::test_warp_params p = {y, 1};
    said(EMULATE_TRY(f16::test_warp, 1, 1, 32, 0, p), "thread 7 has returned");
    p.fault = 3;
    said(EMULATE_TRY(f16::test_warp, 1, 1, 32, 0, p), "divergent");
    p.fault = 4;
    said(EMULATE_TRY(f16::test_warp, 1, 1, 32, 0, p), "divergent");
    p.fault = 2;
    said(EMULATE_TRY(f16::test_warp, 1, 1, 32, 0, p),
         "lane 0 asks for the value of lane 16");
    p.fault = 0; /* half a warp is not there */
    said(EMULATE_TRY(f16::test_warp, 1, 1, 16, 0, p), "divergent");
}

/* ---- copies ---- */

static void copies(unsigned wait, float *y) {
    alignas(16) static float x[128];
    for (unsigned i = 0; i < 128; i++)
        x[i] = (float)i;
    f16::test_copy_params p = {x, y, wait, 0};
    fine(EMULATE_TRY(f16::test_copy, 1, 1, 32, 0, p));
}

static void test_copy_waits(void **state) {
    (void)state;
    float y[257];
    for (unsigned wait = 0; wait < 3; wait++) {
        copies(wait, y);
        assert_true(std::isnan(y[256])); /* shared memory that nobody wrote */
        for (unsigned i = 0; i < 128; i++) {
            assert_true(wait >= 1 ? y[i] == (float)i : std::isnan(y[i]));
            float second = i / 4 % 2 ? 0.0f : (float)i;
            assert_true(wait >= 2 ? y[128 + i] == second
                                  : std::isnan(y[128 + i]));
        }
    }
}

static void test_copy_addresses(void **state) {
    (void)state;
    alignas(16) float x[128], y[257];
    f16::test_copy_params p = {x, y, 2, 1};
    said(EMULATE_TRY(f16::test_copy, 1, 1, 32, 0, p), "multiple of 16");
    p.fault = 2;
    said(EMULATE_TRY(f16::test_copy, 1, 1, 32, 0, p), "outside of shared");
    memset(x, 0, sizeof x);
    f16_75::test_copy_params q = {x, y, 0, 0}; /* there at once */
    fine(EMULATE_TRY(f16_75::test_copy, 1, 1, 32, 0, q));
    assert_true(y[0] == 0.0f && y[255] == 0.0f);
}

/* ---- tensor cores ---- */

static float number(unsigned *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) * 0x1p-23f - 1.0f;
}

/* The definition, in double. */
template <class Number, class Params>
static void product(void (*kernel)(Params), float (*widen)(unsigned short),
                    unsigned short (*round)(float), unsigned transposed) {
    Number a[256], b[128];
    float c[128], d[128];
    unsigned seed = 7;
    for (Number &x : a)
        x.bits = round(number(&seed));
    for (Number &x : b)
        x.bits = round(number(&seed));
    for (float &x : c)
        x = number(&seed);
    Params p = {a, b, c, d, transposed, 0};
    fine(emulate_in_all_orders(d, sizeof d, [&] {
        fine(emulate_try(kernel, "test_mma", 1, 1, 32, 0, p));
    }));
    for (unsigned i = 0; i < 16; i++)
        for (unsigned j = 0; j < 8; j++) {
            double sum = (double)c[i * 8 + j];
            for (unsigned k = 0; k < 16; k++)
                sum +=
                    (double)widen(a[i * 16 + k].bits) *
                    (double)widen(b[transposed ? k * 8 + j : j * 16 + k].bits);
            assert_true(fabs(sum - (double)d[i * 8 + j]) < 1e-5);
        }
    p.fault = 1;
    said(emulate_try(kernel, "test_mma", 1, 1, 32, 0, p), "ldmatrix");
    p.fault = 2;
    said(emulate_in_all_orders(
             d, sizeof d,
             [&] { fine(emulate_try(kernel, "test_mma", 1, 1, 32, 0, p)); }),
         "a race");
}

static void test_mma(void **state) {
    (void)state;
    for (unsigned transposed = 0; transposed < 2; transposed++) {
        product<emulate_half>(f16::test_mma, emulate_widen_half,
                              emulate_round_half, transposed);
        product<emulate_half>(f16_75::test_mma, emulate_widen_half,
                              emulate_round_half, transposed);
        product<emulate_bfloat>(bf16::test_mma, emulate_widen_bfloat,
                                emulate_round_bfloat, transposed);
    }
}

/* ---- numbers ---- */

/* What the bits of a binary float of EXPONENT and MANTISSA bits mean. */
static double meaning(unsigned bits, int exponent_bits, int mantissa_bits) {
    int mantissa = (int)(bits & ((1u << mantissa_bits) - 1));
    int exponent = (int)(bits >> mantissa_bits & ((1u << exponent_bits) - 1));
    int bias = (1 << (exponent_bits - 1)) - 1;
    double sign = bits >> 15 ? -1.0 : 1.0;
    if (exponent == (1 << exponent_bits) - 1)
        return mantissa ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * ldexp(mantissa + (1 << mantissa_bits),
                        exponent - bias - mantissa_bits);
}

/* Each number, and what lies in the middle between it and the next. */
static void all_numbers(float (*widen)(unsigned short),
                        unsigned short (*round)(float), int exponent_bits) {
    int mantissa_bits = 15 - exponent_bits;
    unsigned infinity = 0x7fffu & ~((1u << mantissa_bits) - 1);
    for (unsigned bits = 0; bits < 65536; bits++) {
        unsigned short number = (unsigned short)bits;
        double means = meaning(bits, exponent_bits, mantissa_bits);
        float x = widen(number);
        if (std::isnan(means)) {
            assert_true(std::isnan(x));
            assert_int_equal(round(x), 0x7fff);
            continue;
        }
        assert_true((double)x == means && std::signbit(x) == (bits >> 15));
        assert_int_equal(round(x), number);
        if ((bits & 0x7fff) == infinity)
            continue;
        /* the one after the greatest would be the next power of 2 */
        double next = (bits & 0x7fff) + 1 == infinity
                          ? ldexp(bits >> 15 ? -1 : 1, 1 << (exponent_bits - 1))
                          : meaning(bits + 1, exponent_bits, mantissa_bits);
        float middle = (float)(means / 2 + next / 2);
        assert_int_equal(round(middle), bits & 1 ? bits + 1 : bits);
        assert_int_equal(round(nextafterf(middle, x)), bits);
        assert_int_equal(round(nextafterf(middle, (float)next)), bits + 1);
    }
}

static void test_numbers(void **state) {
    (void)state;
    all_numbers(emulate_widen_half, emulate_round_half, 5);
    all_numbers(emulate_widen_bfloat, emulate_round_bfloat, 8);
    assert_int_equal(f16::pack2(1.0f, -2.0f), 0xc0003c00u);
    float low, high;
    f16::unpack2(0xc0003c00u, &low, &high);
    assert_true(low == 1.0f && high == -2.0f);
    assert_int_equal(bf16::pack2(1.0f, -2.0f), 0xc0003f80u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barriers),
        cmocka_unit_test(test_barrier_missing),
        cmocka_unit_test(test_barrier_divergent),
        cmocka_unit_test(test_overrun),
        cmocka_unit_test(test_race_between_warps),
        cmocka_unit_test(test_collectives),
        cmocka_unit_test(test_collectives_divergent),
        cmocka_unit_test(test_copy_waits),
        cmocka_unit_test(test_copy_addresses),
        cmocka_unit_test(test_mma),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
