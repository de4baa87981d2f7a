/* fixture.h - a device a test, random numbers, and what the tests share. */

#ifndef TESTS_DEVICE_FIXTURE_H
#define TESTS_DEVICE_FIXTURE_H

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/device.h"

/* The greatest relative error of one rounded operation. */
#define ROUNDING (0.5 * (double)FLT_EPSILON)

enum { THREADS = 3 };

struct fixture {
    struct memory memory;
    struct pool *pool;
    struct device *device;
};

static inline void fixture_open_type(struct fixture *f, enum number_type type,
                                     const char *isa, unsigned threads) {
    struct error err = {0};
    *f = (struct fixture){0};
    f->pool = pool_create(&f->memory, threads, &err);
    struct device_options options = {
        .memory = &f->memory, .pool = f->pool, .isa = isa, .type = type};
    f->device = f->pool ? device_open(&DEVICE_CPU, &options, &err) : NULL;
    if (!f->device)
        fail_msg("%s", err.message);
}

static inline void fixture_open(struct fixture *f, const char *isa,
                                unsigned threads) {
    fixture_open_type(f, NUMBER_DEFAULT, isa, threads);
}

static inline void fixture_close(struct fixture *f) {
    device_close(f->device);
    pool_free(f->pool);
    assert_int_equal(memory_live(&f->memory), 0);
}

/* Run TEST on each instruction set that this machine has for matrices of TYPE.
 */
static inline void on_each_isa_of(enum number_type type,
                                  void (*test)(struct fixture *f)) {
    const char *isa;
    for (size_t i = 0; (isa = device_isa(type, i)); i++) {
        struct fixture f;
        fixture_open_type(&f, type, isa, THREADS);
        test(&f);
        fixture_close(&f);
    }
}

static inline void on_each_isa(void (*test)(struct fixture *f)) {
    on_each_isa_of(NUMBER_F32, test);
}

/* In [-1, 1), from a fixed sequence. */
static inline float random_float(void) {
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

/* Exactly as long as asked, so that the sanitizer sees what is past it. */
static inline float *floats(size_t count) {
    float *values = malloc(count ? count * sizeof *values : 1);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = random_float();
    return values;
}

/* Floats as narrow numbers, which they are on the CPU. */
static inline struct narrow *narrow_of(const float *x) {
    return (struct narrow *)(void *)(uintptr_t)x;
}

static inline void assert_same_bits(const float *a, const float *b,
                                    size_t count, const char *what) {
    for (size_t i = 0; i < count; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0)
            fail_msg("%s: element %zu is %.9g and %.9g", what, i, (double)a[i],
                     (double)b[i]);
}

static inline void assert_near(double value, double expected, double tolerance,
                               const char *what, size_t where) {
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s [%zu]: %.9g, expected %.9g within %.3g", what, where,
                 value, expected, tolerance);
}

static inline void *packed_of(struct fixture *f, const float *weights,
                              size_t in, size_t out) {
    size_t bytes = device_linear_bytes(f->device, in, out);
    void *packed = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(packed);
    memset(packed, 0xff, bytes); /* padding that is not written shows as NaN */
    device_linear_pack(f->device, weights, in, out, 0, out, packed);
    return packed;
}

#endif
