/* layer: hub
 *
 * fuzz_torch_file.c - any bytes as a file of torch.save: refused with a
 * message, or the values of every tensor can be read. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "hub/tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUES = 64, READ_MAX = 1024 };

/* The first and the last of them: a tensor may repeat its data for ever. */
static void read_values(const struct tensor *t) {
    float values[VALUES];
    size_t end = t->elements, from = end > READ_MAX ? end - READ_MAX : 0;
    if (t->dtype != TENSOR_F32 && t->dtype != TENSOR_F16 &&
        t->dtype != TENSOR_BF16)
        return;
    for (size_t at = 0; at < end && at < READ_MAX; at += VALUES)
        tensor_read_f32(t, at, end - at < VALUES ? end - at : VALUES, values);
    for (size_t at = from; at < end; at += VALUES)
        tensor_read_f32(t, at, end - at < VALUES ? end - at : VALUES, values);
}

static void read_bytes(const struct tensor *t) {
    uint8_t sum = 0;
    if (t->strided)
        return;
    for (size_t i = 0; i < t->bytes; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)t->data)[i]);
    volatile uint8_t kept = sum;
    (void)kept;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct memory memory = {0};
    struct error err = {0};
    struct tensors *st = tensors_open_bytes(&memory, "f", data, size, &err);
    if (!st && (err.code == ERROR_NONE || !err.message[0]))
        abort();
    for (size_t i = 0; st && i < tensors_count(st); i++) {
        const struct tensor *t = tensors_at(st, i);
        if (tensors_find(st, t->name) != t)
            abort();
        read_values(t);
        read_bytes(t);
        tensors_forget(st, t);
    }
    tensors_close(st);
    if (memory_live(&memory))
        abort();
    return 0;
}
