/* product.h - one product on a device, and what no type of numbers may change:
 * rows, threads and pieces. */

#ifndef TESTS_DEVICE_PRODUCT_H
#define TESTS_DEVICE_PRODUCT_H

#include "device/fixture.h"

struct shape {
    size_t rows, in, out;
};

/* One more than, one less than and exactly the sizes of words, tiles, panels,
 * slices and blocks, and 1. */
static const struct shape PRODUCT_SHAPES[] = {
    {1, 1, 16},     {1, 1, 33},      {2, 3, 17},     {1, 384, 384},
    {3, 384, 64},   {4, 385, 65},    {5, 100, 130},  {6, 7, 48},
    {7, 64, 31},    {11, 32, 32},    {12, 9, 32},    {13, 384, 96},
    {16, 769, 33},  {24, 50, 16},    {25, 383, 47},  {8, 1537, 70},
    {1, 1536, 97},  {2, 1535, 130},  {3, 1000, 200}, {6, 767, 161},
    {191, 40, 20},  {192, 36, 16},   {193, 20, 33},  {40, 3075, 40},
    {70, 3100, 33}, {25, 20000, 17}, {400, 5, 18},
};
enum { PRODUCT_SHAPE_COUNT = sizeof PRODUCT_SHAPES / sizeof *PRODUCT_SHAPES };

struct problem {
    struct shape shape;
    float *x, *weights, *bias, *residual;
    void *packed;
    struct linear linear;
};

static inline void problem_pack(struct fixture *f, struct problem *p) {
    struct shape s = p->shape;
    free(p->packed);
    p->packed = packed_of(f, p->weights, s.in, s.out);
    p->linear = (struct linear){
        .in = s.in, .out = s.out, .weights = p->packed, .bias = p->bias};
}

static inline struct problem problem_of(struct fixture *f, struct shape s) {
    struct problem p = {.shape = s,
                        .x = floats(s.rows * s.in),
                        .weights = floats(s.in * s.out),
                        .bias = floats(s.out),
                        .residual = floats(s.rows * s.out)};
    problem_pack(f, &p);
    return p;
}

static inline void problem_free(struct problem *p) {
    free(p->x);
    free(p->weights);
    free(p->bias);
    free(p->residual);
    free(p->packed);
}

static inline void run_product(struct fixture *f, const struct problem *p,
                               enum activation activation,
                               const float *residual, float *y) {
    device_linear(device_lane(f->device, 0), &p->linear, narrow_of(p->x),
                  p->shape.rows, activation, residual, y);
}

/* Each element of the product is SUMS [rows, out], then comes the bias, and
 * then the residual, which may be where the product goes. */
static inline void check_sums(struct fixture *f, struct problem *p,
                              const float *sums) {
    size_t out = p->shape.out, count = p->shape.rows * out;
    float *y = floats(count), *expected = floats(count);
    for (size_t i = 0; i < count; i++)
        expected[i] = sums[i] + p->bias[i % out];
    run_product(f, p, ACTIVATION_NONE, NULL, y);
    assert_same_bits(y, expected, count, "with bias");

    for (size_t i = 0; i < count; i++)
        expected[i] += p->residual[i];
    run_product(f, p, ACTIVATION_NONE, p->residual, y);
    assert_same_bits(y, expected, count, "with bias and residual");

    memcpy(y, p->residual, count * sizeof *y);
    run_product(f, p, ACTIVATION_NONE, y, y);
    assert_same_bits(y, expected, count, "residual in place");

    p->linear.bias = NULL;
    run_product(f, p, ACTIVATION_NONE, NULL, y);
    assert_same_bits(y, sums, count, "plain");
    free(y);
    free(expected);
}

/* Rows computed one by one, all at once, and by all threads. */
static inline void check_splits(struct fixture *f, struct shape s,
                                enum activation activation) {
    struct problem p = problem_of(f, s);
    struct lane *lane = device_lane(f->device, 0);
    size_t count = s.rows * s.out;
    float *all = floats(count), *other = floats(count);
    run_product(f, &p, activation, p.residual, all);
    for (size_t r = 0; r < s.rows; r++)
        device_linear(lane, &p.linear, narrow_of(p.x + r * s.in), 1, activation,
                      p.residual + r * s.out, other + r * s.out);
    assert_same_bits(all, other, count, "row by row");

    lane_widen(lane, true);
    memset(other, 0, count * sizeof *other);
    run_product(f, &p, activation, p.residual, other);
    lane_widen(lane, false);
    assert_same_bits(all, other, count, "all threads");
    free(all);
    free(other);
    problem_free(&p);
}

static inline void check_all_splits(struct fixture *f) {
    for (size_t i = 0; i < PRODUCT_SHAPE_COUNT; i++) {
        check_splits(f, PRODUCT_SHAPES[i], ACTIVATION_NONE);
        check_splits(f, PRODUCT_SHAPES[i], (enum activation)(1 + i % 6));
    }
    check_splits(f, (struct shape){17, 384, 1000}, ACTIVATION_GELU);
    check_splits(f, (struct shape){150, 384, 300}, ACTIVATION_NONE);
}

/* Q, K and V packed one after another are one matrix: S has 3 * 37 columns. */
static inline void check_pieces(struct fixture *f, struct shape s) {
    struct problem p = problem_of(f, s);
    float *y = floats(s.rows * s.out), *joined = floats(s.rows * s.out);
    run_product(f, &p, ACTIVATION_NONE, NULL, y);
    size_t bytes = device_linear_bytes(f->device, s.in, s.out);
    char *once = malloc(bytes);
    assert_non_null(once);
    memcpy(once, p.packed, bytes);
    memset(p.packed, 0x77, bytes);
    for (size_t row = 0; row < s.out; row += 37)
        device_linear_pack(f->device, p.weights + row * s.in, s.in, s.out, row,
                           37, p.packed);
    assert_memory_equal(once, p.packed, bytes); /* padding included */
    run_product(f, &p, ACTIVATION_NONE, NULL, joined);
    assert_same_bits(y, joined, s.rows * s.out, "packed in three pieces");
    free(once);
    free(y);
    free(joined);
    problem_free(&p);
}

/* What is not finite in a row of x makes that whole row so, whatever follows,
 * and in a row of the matrix its column; all else is as before. */
static inline void check_poison(struct fixture *f, float poison, bool in_x,
                                enum activation activation) {
    struct shape s = {14, 500, 40};
    struct problem p = problem_of(f, s);
    float *clean = floats(s.rows * s.out), *y = floats(s.rows * s.out);
    run_product(f, &p, activation, NULL, clean);
    if (in_x) {
        p.x[9 * s.in + 450] = poison;
    } else {
        p.weights[9 * s.in + 450] = poison;
        problem_pack(f, &p);
    }
    run_product(f, &p, activation, NULL, y);
    bool shows = activation == ACTIVATION_NONE || isnan(poison);
    for (size_t i = 0; i < s.rows * s.out; i++) {
        bool hit = (in_x ? i / s.out : i % s.out) == 9;
        if (hit && shows && isfinite(y[i]))
            fail_msg("%g is hidden at %zu", (double)poison, i);
        if (!hit)
            assert_same_bits(y + i, clean + i, 1, "beside what is poisoned");
    }
    free(clean);
    free(y);
    problem_free(&p);
}

static inline void check_all_poison(struct fixture *f) {
    for (int a = ACTIVATION_NONE; a <= ACTIVATION_SIGMOID; a++)
        for (int in_x = 0; in_x < 2; in_x++) {
            check_poison(f, NAN, in_x, (enum activation)a);
            check_poison(f, INFINITY, in_x, (enum activation)a);
            check_poison(f, -INFINITY, in_x, (enum activation)a);
        }
}

/* A matrix that stays floats has the bits that it has among floats. */
static inline void check_stays_float(struct fixture *f, struct shape s) {
    struct fixture plain;
    struct device_facts facts;
    assert_true(device_facts(f->device, &facts, NULL));
    char isa[32];
    snprintf(isa, sizeof isa, "%s", facts.isa);
    isa[strcspn(isa, "+")] = 0;
    fixture_open(&plain, isa, 1);
    struct problem p = problem_of(f, s);
    float *y = floats(s.rows * s.out), *expected = floats(s.rows * s.out);
    run_product(f, &p, ACTIVATION_NONE, NULL, y);
    problem_pack(&plain, &p);
    run_product(&plain, &p, ACTIVATION_NONE, NULL, expected);
    assert_same_bits(y, expected, s.rows * s.out, "floats");
    assert_int_equal(device_linear_bytes(f->device, s.in, s.out),
                     device_linear_bytes(plain.device, s.in, s.out));
    free(y);
    free(expected);
    problem_free(&p);
    fixture_close(&plain);
}

static inline void check_small_and_endless(struct fixture *f) {
    check_stays_float(f, (struct shape){3, 40, 1});
    check_stays_float(f, (struct shape){14, 384, 15});
    check_stays_float(f, (struct shape){1, 65537, 16});
}

#endif
