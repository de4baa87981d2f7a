/* cuda_fp8_fixture.h - a card whose matrices are e4m3 (NUMBER_FP8), and what
 * its rows are by definition. */

#ifndef TESTS_DEVICE_CUDA_FP8_FIXTURE_H
#define TESTS_DEVICE_CUDA_FP8_FIXTURE_H

#include "device/activations.h"
#include "device/cuda/e4m3.h"
#include "device/cuda_fixture.h"

static const char *const L4 =
    "mode lazy\ncard name=L4 capability=8.9 memory=24G\n";

static inline void fp8_open(struct rig *r, const char *cards) {
    rig_open(r, cards, NUMBER_FP8);
    assert_int_equal(r->card->type, NUMBER_FP8);
    assert_int_equal(r->card->narrow_bytes, 2);
    assert_false(r->card->narrow_is_float);
    r->type = NUMBER_BF16; /* of narrow numbers */
}

static inline bool has_fp8(void) {
    return !is_real() || can_do(NUMBER_FP8);
}

/* A row as numbers that e4m3 has, and what they are to be multiplied by. */
static inline double quantized(const float *row, size_t count, double *values) {
    float most = 0x1p-100f;
    for (size_t i = 0; i < count; i++)
        most = fabsf(row[i]) > most ? fabsf(row[i]) : most;
    for (size_t i = 0; i < count; i++)
        values[i] = e4m3_value(e4m3_nearest((double)(row[i] * (448 / most))));
    return (double)(most / 448);
}

#endif
