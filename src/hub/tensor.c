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

/* COUNT elements that are STEP bytes apart. */

static void read_f32(const char *data, size_t step, size_t count, float *out) {
    for (size_t i = 0; i < count; i++)
        memcpy(&out[i], data + i * step, sizeof *out);
}

static void read_f16(const char *data, size_t step, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, data + i * step, sizeof half);
        out[i] = f32_from_f16(half);
    }
}

/* The upper half of an f32. */
static void read_bf16(const char *data, size_t step, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, data + i * step, sizeof half);
        out[i] = f32_from_bits((uint32_t)half << 16);
    }
}

static void read_run(const struct tensor *tensor, size_t begin, size_t stride,
                     size_t count, float *out) {
    size_t width = tensor->dtype == TENSOR_F32 ? 4 : 2;
    const char *data = (const char *)tensor->data + begin * width;
    switch (tensor->dtype) {
    case TENSOR_F32:
        if (stride == 1)
            memcpy(out, data, count * sizeof *out);
        else
            read_f32(data, stride * width, count, out);
        break;
    case TENSOR_F16:
        read_f16(data, stride * width, count, out);
        break;
    case TENSOR_BF16:
        read_bf16(data, stride * width, count, out);
        break;
    default:
        assert(false); /* the caller looks at the dtype first */
    }
}

/* Element I counted in rows, as a place in the data. */
static size_t place_of(const struct tensor *tensor, size_t i) {
    size_t place = 0;
    for (unsigned d = tensor->rank; d-- > 0;) {
        place += i % tensor->shape[d] * tensor->strides[d];
        i /= tensor->shape[d];
    }
    return place;
}

/* Runs along the last dimension. */
static void read_strided(const struct tensor *tensor, size_t begin,
                         size_t count, float *out) {
    size_t row = tensor->shape[tensor->rank - 1];
    size_t stride = tensor->strides[tensor->rank - 1];
    while (count) {
        size_t left = row - begin % row;
        size_t run = left < count ? left : count;
        read_run(tensor, place_of(tensor, begin), stride, run, out);
        begin += run;
        out += run;
        count -= run;
    }
}

void tensor_read_f32(const struct tensor *tensor, size_t begin, size_t count,
                     float *out) {
    assert(begin <= tensor->elements && count <= tensor->elements - begin);
    if (!count)
        return;
    if (tensor->strided)
        read_strided(tensor, begin, count, out);
    else
        read_run(tensor, begin, 1, count, out);
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
