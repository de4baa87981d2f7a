/* weights.h - a model's weights, checked by name, type and exact shape against
 * the table that its config derives, and laid out for a device.
 *
 * Big tables (word embeddings) stay in the mapped file where they can; what a
 * GEMM reads is packed into one block on the device, and the file's pages are
 * let go. Where the layers do not all fit, some stay there and the others lie
 * packed in host memory and pass through two slots of the block: while a layer
 * computes in one, the next is copied into the other. For a few texts a model
 * may have one slot and nothing else: each layer is packed from the file again
 * when it is asked for (`from_file`).
 *
 *     struct weights_placement where = {.resident = 6, .shape = &shape};
 *     struct weights_need need;
 *     weights_measure(spec, files, device, &where, &need, err); // exactly
 *     struct weights *w = weights_load(memory, spec, files, device, &where,
 *                                      NULL, err);
 *     const struct layer_weights *layer = weights_layer(w, i, err);
 *     weights_free(w);
 *
 * Immutable after loading and shared by lanes, where no layers stream. Where
 * they do, one thread asks for layers (weights_layer).
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
#include "hub/tensors.h"

struct model_spec;
struct shape;

/* A norm of width 0, or a matrix without rows, is not there. */
struct layer_weights {
    struct norm before_attention;
    struct linear qkv; /* [(heads + 2 * kv_heads) * head_dim, hidden]: Q, K, V
                          one behind the other */
    struct linear relative; /* the same for rows of relative positions, where
                               they have their own; V's part says nothing */
    struct norm query_norm, key_norm; /* of a head, or of all of them */
    struct linear attention_out;      /* [hidden, heads * head_dim] */
    struct norm behind_attention;
    struct norm twice_behind_attention;
    struct norm before_feed;
    struct linear up;   /* [inter, hidden]; gate and up, where there is one */
    struct linear down; /* [hidden, inter] */
    struct experts experts; /* in the place of up and down */
    struct norm behind_feed;
};

/* The heads that a family's table has tensors for. */
struct head_weights {
    struct linear transform; /* [embedding, hidden] before the decoder */
    struct norm transform_norm;
    struct linear decoder; /* [vocab, embedding] back to words */
    struct linear inside;  /* [hidden, hidden] of a classifier; 0 rows: none */
    struct norm inside_norm;
    struct linear labels; /* [labels, hidden] */
};

/* A layer of model_spec_module: its linear, or its norm. */
struct module_weights {
    struct linear linear;
    struct linear shortcut; /* of the residual; 0 rows: none */
    struct norm norm;
};
enum { MODULES_MOST = SENTENCE_MAX + DENSE_MAX + 1 };

/* One of the places on the device that streamed layers pass through: two, or
 * one where they come from the file. */
struct weights_slot {
    struct layer_weights *layers; /* [layers_count]: where the layers that
                                     stream lie in DATA, while there */
    void *data;                   /* (device) [layer_bytes] */
    size_t holds;                 /* the layer that is there; SIZE_MAX: none */
};

struct weights {
    struct memory *memory; /* borrowed: host memory */
    struct device *device; /* borrowed */
    struct embedding embedding;
    struct norm embedding_norm;
    struct linear projection; /* [hidden, embedding], where the spec projects */
    const float *distances;   /* [heads, 2 * spec->distance_reach + 1]: what is
                                 added to the score of a key that lies so many
                                 rows behind the query; or NULL */
    const float *slopes;      /* [heads] of ALiBi, or NULL */
    struct rotary rotary[2];  /* of global layers, of local ones */
    const struct narrow *relative; /* [relative_rows, hidden], normed; or NULL
                                    */
    const uint32_t *relative_row;  /* [2 * relative_reach + 1] */
    struct norm relative_norm;     /* has been applied to it */
    struct norm final_norm;        /* behind the last layer */
    struct layer_weights *layers;  /* [layers_count]; those that stream point
                                      into host memory: ask weights_layer */
    size_t layers_count;
    size_t resident;          /* layers on the device: the first ones */
    struct head_weights head; /* of the family's own, those wanted */
    struct module_weights
        modules[MODULES_MOST]; /* as model_spec_module counts */
    void *block;               /* on the device, owned */
    void *host;                /* owned: layers, and those that stream */
    char *streamed;            /* in it: [layers_count - resident, layer_bytes],
                                  pinned; NULL: none */
    size_t layer_bytes;        /* of a packed layer, where any stream */
    struct weights_slot slots[2];
    struct weights_slot *copying; /* a copy is under way into it, or NULL */
    bool from_file;               /* layers that stream are not in `streamed` */
    struct loader *loader;        /* what packs them then; owned */
    struct tensors *file;         /* the mapping that tables point into */
};

/* Which layers stay on the device: the first RESIDENT. Where SHAPE has another
 * number of layers than the model, as large a part of the model's own, rounded
 * down. */
struct weights_placement {
    size_t resident; /* of shape->layers (of the account, where there is one);
                        what is more than that means all */
    const struct shape *shape; /* what a device that charges shapes counts;
                                  NULL: the model's own */
    bool from_file; /* no layer stays, on the device or in host memory, whatever
                       `resident` says: weights_layer packs it from the file */
};

struct weights_need {
    uint64_t block_bytes;   /* for device_alloc: as we hold it */
    uint64_t charge_bytes;  /* what the device's account is charged: block_bytes
                               with the allocator's rounding, or the shape's
                               bytes (tables and slots with them) */
    uint64_t host_bytes;    /* host memory besides: the description of layers
                               and files, and layers that stream; rounding
                               counted */
    uint64_t loading_bytes; /* host memory on top of all that, at most, until
                               weights_load returns */
    uint64_t mapped_bytes;  /* of the files, at most, while loaded */
};

/* What weights_load will take, to the byte: device->account grows by
 * charge_bytes, MEMORY by host_bytes (one and the same on the CPU). PLACEMENT
 * NULL: all layers on the device. False and ERROR_INPUT if the sizes overflow,
 * or the errors of opening the files. */
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
 * FROM: a reservation on the device's account, or NULL. PLACEMENT is read only
 * here. SPEC and FILES must outlive it where layers come from the file. */
struct weights *weights_load(struct memory *memory,
                             const struct model_spec *spec,
                             const struct model_files *files,
                             struct device *device,
                             const struct weights_placement *placement,
                             struct reservation *from, struct error *err);

/* Layer I on the device. Where layers stream it waits for the layer's copy and
 * begins the next one's (after the last the first, so the next batch starts
 * warm): ask for layers in their order, again and again from 0, from one
 * thread. The slot of layer I - 1 is overwritten from then on, so its verbs
 * must be finished (device_finish). A batch may be given up at any layer.
 * Allocates nothing. NULL and ERROR_DEVICE if the copy failed. From the file
 * nothing is begun ahead: there is one slot. */
const struct layer_weights *weights_layer(struct weights *weights, size_t i,
                                          struct error *err);
bool weights_stream(const struct weights *weights); /* do any layers? */
void weights_free(struct weights *weights);         /* NULL is fine */

#endif
