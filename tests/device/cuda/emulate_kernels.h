/* emulate_kernels.h - the program's kernels under emulation, for tests in C and
 * for the fake driver: found by name, launched with params.h's structs as the
 * host sees them.
 *
 *     struct emulate_choice rows = {.file = "rows", .narrow = 1, .arch = 75};
 *     struct norm_rows_params p = {...};
 *     wrong = emulate_kernel_launch(&rows, "norm_rows", 20, 1, ROW_THREADS, 0,
 *                                   &p, sizeof p);
 *
 * The kernels themselves are compiled in kernels_*.cpp (see emulate.h):
 *
 *     namespace rows_f16_75 {
 *     ... #include "device/cuda/emulate_module.h"
 *     EMULATE_KERNELS("rows", 1, 75, 0, EMULATE_KERNEL(embed_rows),
 *                     EMULATE_KERNEL(norm_rows))
 *     }
 */

#ifndef TESTS_DEVICE_CUDA_EMULATE_KERNELS_H
#define TESTS_DEVICE_CUDA_EMULATE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One compiled choice of a kernel file, and the features of a launch. */
struct emulate_choice {
    const char *file;        /* "rows" */
    unsigned narrow;         /* 0 float, 1 f16, 2 bf16 */
    unsigned arch, head_dim; /* 0: any that there is */
    unsigned features;
};

/* Is there such a kernel, and how many bytes its struct has (0: no). */
size_t emulate_kernel_bytes(const struct emulate_choice *choice,
                            const char *kernel);

/* NULL, or what is wrong, until the thread's next launch. PARAMS_BYTES 0: not
 * compared. */
const char *emulate_kernel_launch(const struct emulate_choice *choice,
                                  const char *kernel, unsigned grid_x,
                                  unsigned grid_y, unsigned threads,
                                  size_t shared_bytes, const void *params,
                                  size_t params_bytes);

/* emulate_in_all_orders of emulate.h. */
const char *emulate_all_orders(void *out, size_t bytes,
                               void (*run)(void *context), void *context);

/* Numbers of NARROW (2 bytes, or 4 where it is 0) to floats and back; 3 is e4m3
 * (1 byte). */
size_t emulate_narrow_bytes(unsigned narrow);
void emulate_widen(unsigned narrow, const void *from, size_t count, float *to);
void emulate_round(unsigned narrow, const float *from, size_t count, void *to);

#ifdef __cplusplus
}

#include "device/cuda/emulate.h"

struct emulate_entry {
    const char *name;
    size_t params_bytes;
    void (*call)(emulate_function kernel, const void *params);
    emulate_function kernel;
};

template <class P>
struct emulate_entry emulate_entry_of(const char *name, void (*kernel)(P)) {
    return {name, sizeof(P), emulate_call<P>, (emulate_function)kernel};
}

/* Made before main, and linked into the list of all. */
struct emulate_module {
    const char *file;
    unsigned narrow, arch, head_dim;
    const struct emulate_entry *entries;
    size_t count;
    struct emulate_module *next;

    emulate_module(const char *file_, unsigned narrow_, unsigned arch_,
                   unsigned head_dim_, const struct emulate_entry *entries_,
                   size_t count_);
};

#define EMULATE_KERNEL(kernel) emulate_entry_of(#kernel, kernel)
#define EMULATE_KERNELS(file, narrow, arch, head_dim, ...)                     \
    static const struct emulate_entry emulate_entries[] = {__VA_ARGS__};       \
    static struct emulate_module emulate_this_module(                          \
        file, narrow, arch, head_dim, emulate_entries,                         \
        sizeof emulate_entries / sizeof *emulate_entries);
#endif

#endif
