/* weights.h - a model's weights, checked by name, type and exact shape against
 * the table that its config derives, and laid out for a device.
 *
 * Big tables (word embeddings) stay in the mapped file where they can; what a
 * GEMM reads is packed into one block, and the file's pages are let go.
 *
 *     struct weights_need need;
 *     weights_measure(spec, device, &need);            // before anything
 *     struct weights *w = weights_load(memory, spec, files, device, err);
 *     weights_free(w);
 *
 * Immutable after loading, shared by lanes.
 */

#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "device/device.h"
#include "hub/model_files.h"
#include "hub/safetensors.h"

struct model_spec;
struct shape;

struct layer_weights {
    struct linear qkv; /* [3 * hidden, hidden]: Q, K, V one behind the other */
    struct linear attention_out; /* [hidden, hidden] */
    struct norm attention_norm;
    struct linear up;   /* [inter, hidden] */
    struct linear down; /* [hidden, inter] */
    struct norm output_norm;
};

struct weights {
    struct memory *memory; /* borrowed */
    struct embedding embedding;
    struct norm embedding_norm;
    struct layer_weights *layers;   /* [layers], in the block */
    struct linear dense[DENSE_MAX]; /* the sentence modules behind pooling */
    void *block;                    /* one block for all of it, owned */
    struct safetensors *file;       /* the mapping that tables point into */
};

/* Which layers stay on the device. The others lie in host memory and pass
 * through two slots there, copied while the layer before is computed. */
struct weights_placement {
    size_t resident; /* of shape->layers (of the account, where there is one);
                        what is more than that means all */
    const struct shape *shape; /* what a device that charges shapes counts */
};

struct weights_need {
    uint64_t block_bytes;  /* on the device, as we hold it */
    uint64_t charge_bytes; /* what its account is charged: block_bytes (with
                              the allocator's rounding) on the CPU */
    uint64_t host_bytes;   /* private host memory of layers that stream, with
                              the loader's own (rounding counted) */
    uint64_t mapped_bytes; /* of the files, at most, while loaded */
};

/* What weights_load will take: exactly. False if the sizes overflow. */
bool weights_measure(const struct model_spec *spec,
                     const struct model_files *files,
                     const struct device *device,
                     const struct weights_placement *placement,
                     struct weights_need *need, struct error *err);

/* Do the files have the tensors that the config asks for, and no others?
 * Looks at headers only. ERROR_INPUT names every tensor that is missing,
 * unexpected or of the wrong shape, ERROR_UNSUPPORTED a type. */
bool weights_check(struct memory *memory, const struct model_spec *spec,
                   const struct model_files *files, struct error *err);

/* NULL and the errors of weights_check, or ERROR_MEMORY. The caller frees.
 * FROM: a reservation on the device's account, or NULL. */
struct weights *weights_load(struct memory *memory,
                             const struct model_spec *spec,
                             const struct model_files *files,
                             struct device *device,
                             const struct weights_placement *placement,
                             struct reservation *from, struct error *err);

/* Layer I on the device. Where layers stream it waits for the layer's copy and
 * begins the next one's: ask for layers in their order, again and again from
 * 0, from one thread. ERROR_DEVICE if the copy failed. */
const struct layer_weights *weights_layer(struct weights *weights, size_t i,
                                          struct error *err);
bool weights_stream(const struct weights *weights); /* do any layers? */
void weights_free(struct weights *weights);         /* NULL is fine */

#endif
