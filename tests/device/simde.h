/* simde.h - kernels of instructions that this machine may lack, as SIMDe
 * computes them, held against the portable ones. The including file has made
 * the table `emulated`. */

#ifndef TESTS_DEVICE_SIMDE_H
#define TESTS_DEVICE_SIMDE_H

#include "base/memory.h"
#include "device/product.h"

static inline void *aligned(size_t bytes) {
    void *block = aligned_alloc(64, round_up(bytes, 64));
    assert_non_null(block);
    memset(block, 0xff, bytes);
    return block;
}

/* Y of the whole product by TABLE. */
static inline void by_table(const struct products *table,
                            const struct problem *p, enum activation activation,
                            float *y) {
    struct shape s = p->shape;
    void *packed = aligned(table->pack_bytes(s.in, s.out));
    float *buffer = aligned(table->buffer_bytes);
    struct linear linear = {
        .in = s.in, .out = s.out, .weights = packed, .bias = p->bias};
    struct linear_job job = {.linear = &linear,
                             .activation = activation,
                             .x = p->x,
                             .residual = p->residual,
                             .y = y};
    table->pack(p->weights, s.in, s.out, 0, s.out, packed);
    table->linear(&job, 0, s.rows, 0,
                  (s.out + table->panel_columns - 1) / table->panel_columns,
                  buffer);
    free(packed);
    free(buffer);
}

/* Two chains of the same products in another order. */
static inline void assert_same_sums(const struct problem *p, const float *y,
                                    const float *expected) {
    struct shape s = p->shape;
    for (size_t i = 0; i < s.rows * s.out; i++) {
        double size = 1;
        for (size_t k = 0; k < s.in; k++)
            size += fabs((double)p->x[i / s.out * s.in + k] *
                         (double)p->weights[i % s.out * s.in + k]);
        assert_near((double)y[i], (double)expected[i],
                    2 * ROUNDING * (double)(s.in + 2) * size, "by SIMDe", i);
    }
}

/* EXACT: SIMDe adds in the instruction's order, as whole numbers allow. */
static inline void check_emulated(const struct products *portable, bool exact) {
    for (size_t i = 0; i < PRODUCT_SHAPE_COUNT; i++) {
        struct shape s = PRODUCT_SHAPES[i];
        struct problem p = {.shape = s,
                            .x = floats(s.rows * s.in),
                            .weights = floats(s.in * s.out),
                            .bias = floats(s.out),
                            .residual = floats(s.rows * s.out)};
        float *y = floats(s.rows * s.out), *expected = floats(s.rows * s.out);
        by_table(&emulated, &p, ACTIVATION_NONE, y);
        by_table(portable, &p, ACTIVATION_NONE, expected);
        if (exact)
            assert_same_bits(y, expected, s.rows * s.out, "by SIMDe");
        assert_same_sums(&p, y, expected);
        free(y);
        free(expected);
        problem_free(&p);
    }
}

#endif
