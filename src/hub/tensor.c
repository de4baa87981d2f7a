/* tensor.c - the values of a tensor, and its shape for messages. */

#include "hub/tensors.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static float f32_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* 1 sign, 5 exponent, 10 fraction bits. Every one of them is an f32. */
static float f32_from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 31, fraction = half & 1023;
    if (exponent == 31) /* infinity and NaN */
        return f32_from_bits(sign | 0x7F800000 | fraction << 13);
    if (exponent > 0)
        return f32_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    /* Zero and the numbers too small for an exponent: FRACTION x 2^-24. */
    float small = (float)fraction * 0x1p-24f;
    return sign ? -small : small;
}

static void read_f16(const char *data, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, data + 2 * i, sizeof half);
        out[i] = f32_from_f16(half);
    }
}

/* The upper half of an f32. */
static void read_bf16(const char *data, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, data + 2 * i, sizeof half);
        out[i] = f32_from_bits((uint32_t)half << 16);
    }
}

void tensor_read_f32(const struct tensor *tensor, size_t begin, size_t count,
                     float *out) {
    assert(begin <= tensor->elements && count <= tensor->elements - begin);
    const char *data = tensor->data;
    if (!count)
        return;
    switch (tensor->dtype) {
    case TENSOR_F32:
        memcpy(out, data + 4 * begin, count * sizeof *out);
        break;
    case TENSOR_F16:
        read_f16(data + 2 * begin, count, out);
        break;
    case TENSOR_BF16:
        read_bf16(data + 2 * begin, count, out);
        break;
    default:
        assert(false); /* the caller looks at the dtype first */
    }
}

void tensor_shape_text(const struct tensor *tensor, char *text,
                       size_t capacity) {
    if (!capacity)
        return;
    size_t used = 0;
    for (unsigned i = 0; i < tensor->rank && used < capacity; i++) {
        int wrote = snprintf(text + used, capacity - used, "%s%zu",
                             i ? ", " : "[", tensor->shape[i]);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    if (used < capacity)
        snprintf(text + used, capacity - used, tensor->rank ? "]" : "[]");
}
