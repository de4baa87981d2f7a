/* tensors.h - the tensors of a model's files, mapped and checked.
 *
 * A file is safetensors or what torch.save wrote (pytorch_model.bin, .pt): its
 * first bytes say which. Both are foreign: every length, offset and shape is
 * checked before a pointer is given out, and a pickle is read, never run.
 *
 *     struct tensors *st = tensors_open(memory, paths, count, err);
 *     const struct tensor *t = tensors_find(st, "embeddings.weight");
 *     tensors_close(st);
 *
 * Several files (shards) look like one; a name in two of them is an error.
 * Immutable after opening; shared by threads.
 */

#ifndef HUB_TENSORS_H
#define HUB_TENSORS_H

#include <stdbool.h>
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
    bool strided;     /* the elements do not follow each other (a transposed
                         matrix in a torch file): read them with
                         tensor_read_f32, not from DATA */
    size_t strides[TENSOR_RANK_MAX]; /* elements; set where STRIDED */
    unsigned file;                   /* index in PATHS */
};

struct tensors;

struct tensors *tensors_open(struct memory *memory, const char *const *paths,
                             size_t count, struct error *err);
void tensors_close(struct tensors *st); /* NULL is fine */

/* The same from the bytes of one file, borrowed until it is closed. For the
 * tests: a model's weights are too large to be read instead of mapped. */
struct tensors *tensors_open_bytes(struct memory *memory, const char *name,
                                   const void *data, size_t size,
                                   struct error *err);

size_t tensors_count(const struct tensors *st);
const struct tensor *tensors_at(const struct tensors *st, size_t i);
/* NULL if there is none. */
const struct tensor *tensors_find(const struct tensors *st, const char *name);

/* The tensor's pages were read and are not needed again soon: they stop
 * counting as resident. */
void tensors_forget(const struct tensors *st, const struct tensor *tensor);

/* Values [begin, begin + count) of an F32, F16 or BF16 tensor as f32. */
void tensor_read_f32(const struct tensor *tensor, size_t begin, size_t count,
                     float *out);

/* "[30522, 384]" and a NUL, cut to CAPACITY. */
void tensor_shape_text(const struct tensor *tensor, char *text,
                       size_t capacity);

#endif
