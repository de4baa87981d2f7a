/* room.h - what the benchmarks in C are made of: memory that is there, or the
 * end, numbers to compute with and their types.
 *
 *     #define BENCH_NAME "bench_gemm"
 *     #include "room.h"
 */

#ifndef BENCH_ROOM_H
#define BENCH_ROOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/device.h"

static inline _Noreturn void stop(const char *what) {
    fprintf(stderr, BENCH_NAME ": %s\n", what);
    exit(2);
}

/* Of --dtype. */
static inline enum number_type type_named(const char *name) {
    if (strcmp(name, "f32") != 0 && strcmp(name, "int8") != 0 &&
        strcmp(name, "bf16") != 0)
        stop("--dtype is f32, int8 or bf16");
    return *name == 'i' ? NUMBER_INT8 : *name == 'b' ? NUMBER_BF16 : NUMBER_F32;
}

static inline void *take(struct memory *memory, size_t bytes) {
    struct error err;
    void *block = memory_alloc(memory, 1, bytes, &err);
    if (!block)
        stop(err.message);
    return block;
}

/* From -MOST to MOST. Not zero: memory that was never written reads as one
 * shared page. */
static inline float *noise(struct memory *memory, size_t count, float most) {
    float *values = take(memory, count * sizeof *values);
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = ((float)(state >> 8) / 8388608.0f - 1) * most;
    }
    return values;
}

/* On the CPU they are the same. */
static inline struct narrow *narrow_of(float *x) {
    return (struct narrow *)(void *)x;
}

#endif
