/* safetensors.h - weights in a file, mapped and checked.
 *
 * The header is foreign bytes: its length, every offset, the product of every
 * shape, overlaps and holes are checked before a pointer is given out.
 *
 *     struct safetensors *st = safetensors_open(memory, paths, count, err);
 *     const struct tensor *t = safetensors_find(st, "embeddings.weight");
 *     safetensors_close(st);
 *
 * Several files (shards) look like one; a name in two of them is an error.
 * Immutable after opening; shared by threads.
 */

#ifndef HUB_SAFETENSORS_H
#define HUB_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

enum { TENSOR_RANK_MAX = 8 };

enum tensor_dtype {
    TENSOR_F32,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_F64,
    TENSOR_I64,
    TENSOR_I32,
    TENSOR_OTHER, /* known to the format, not to us; see dtype_name */
};

struct tensor {
    const char *name;       /* borrowed from the file's object */
    const char *dtype_name; /* as the file spells it */
    enum tensor_dtype dtype;
    unsigned rank;
    size_t shape[TENSOR_RANK_MAX];
    size_t elements;
    size_t bytes;
    const void *data; /* in the mapping, not aligned to more than 1 byte */
    unsigned file;    /* index in PATHS */
};

struct safetensors;

struct safetensors *safetensors_open(struct memory *memory,
                                     const char *const *paths, size_t count,
                                     struct error *err);
void safetensors_close(struct safetensors *st); /* NULL is fine */

/* The same from the bytes of one file, borrowed until it is closed. For the
 * tests: a model's weights are too large to be read instead of mapped. */
struct safetensors *safetensors_open_bytes(struct memory *memory,
                                           const char *name, const void *data,
                                           size_t size, struct error *err);

size_t safetensors_count(const struct safetensors *st);
const struct tensor *safetensors_at(const struct safetensors *st, size_t i);
/* NULL if there is none. */
const struct tensor *safetensors_find(const struct safetensors *st,
                                      const char *name);

/* The tensor's pages were read and are not needed again soon: they stop
 * counting as resident. */
void safetensors_forget(const struct safetensors *st,
                        const struct tensor *tensor);

/* Values [begin, begin + count) of an F32, F16 or BF16 tensor as f32. */
void tensor_read_f32(const struct tensor *tensor, size_t begin, size_t count,
                     float *out);

/* "[30522, 384]" and a NUL, cut to CAPACITY. */
void tensor_shape_text(const struct tensor *tensor, char *text,
                       size_t capacity);

#endif
