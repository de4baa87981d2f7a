/* shape.h - how many bytes a transformer takes on a card, from its config
 * alone.
 *
 * A simulated card counts what a real one would hold. That is the model's own
 * shape, or with `account=CONFIG.json` the shape of a bigger model, which need
 * not be one that we can compute: its config is read for its numbers only
 * (BERT, XLM-RoBERTa, Qwen2 and Qwen3 and what shares their key names).
 *
 *     struct shape shape;
 *     shape_read(memory, "jina.json", &shape, err);
 *     shape_weights_bytes(&shape, shape.layers, false, device->storage_bytes);
 *     shape_workspace_bytes(&shape, tokens, longest, device->storage_bytes);
 */

#ifndef MODEL_SHAPE_H
#define MODEL_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/spec.h"

struct shape {
    size_t hidden, layers, heads, kv_heads, head_dim, inter, vocab, positions;
    bool gated;           /* the feed-forward block has two matrices up */
    uint64_t table_count; /* numbers in embedding tables and what is not in a
                             layer */
    uint64_t layer_count; /* numbers in one layer */
    size_t width;         /* of its pooled vector */
};

/* ERROR_INPUT names the file, the key and what is wrong with it (absent, no
 * number, too large: products are checked against overflow). */
bool shape_read(struct memory *memory, const char *path, struct shape *shape,
                struct error *err);
/* The shape of a model that we compute. */
void shape_of_spec(const struct model_spec *spec, struct shape *shape);

/* RESIDENT of the layers, the tables, and with SLOTS two more layers that
 * streamed ones pass through. */
uint64_t shape_weights_bytes(const struct shape *shape, size_t resident,
                             bool slots, size_t storage_bytes);
/* For a packed batch of TOKENS, no text longer than LONGEST: residual stream
 * in f32, Q K V and context or the feed-forward block's inside in the stored
 * type, attention without an [L, L] matrix, ids and starts, pooled vectors. */
uint64_t shape_workspace_bytes(const struct shape *shape, size_t tokens,
                               size_t longest, size_t storage_bytes);

#endif
