/* layer: hub
 *
 * fuzz_safetensors.c - any bytes as a safetensors file: refused with a message,
 * or every value of every tensor can be read. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "hub/tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct tensor *t) {
    float values[64];
    char shape[64];
    if (t->dtype == TENSOR_F32 || t->dtype == TENSOR_F16 ||
        t->dtype == TENSOR_BF16)
        for (size_t at = 0; at < t->elements; at += 64) {
            size_t left = t->elements - at;
            tensor_read_f32(t, at, left < 64 ? left : 64, values);
        }
    uint8_t sum = 0;
    for (size_t i = 0; i < t->bytes; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)t->data)[i]);
    volatile uint8_t kept = sum;
    (void)kept;
    tensor_shape_text(t, shape, sizeof shape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct memory memory = {0};
    struct error err = {0};
    struct tensors *st = tensors_open_bytes(&memory, "f", data, size, &err);
    if (!st && (err.code == ERROR_NONE || !err.message[0]))
        abort();
    size_t bytes = 0;
    for (size_t i = 0; st && i < tensors_count(st); i++) {
        const struct tensor *t = tensors_at(st, i);
        if (tensors_find(st, t->name) != t)
            abort();
        bytes += t->bytes;
        read_all(t);
    }
    if (bytes > size)
        abort();
    if (st && tensors_count(st))
        tensors_forget(st, tensors_at(st, 0));
    tensors_close(st);
    if (memory_live(&memory))
        abort();
    return 0;
}
