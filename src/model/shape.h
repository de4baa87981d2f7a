/* shape.h - how many bytes a transformer takes on a card, from its config
 * alone.
 *
 * A simulated card counts what a real one would hold. That is the model's own
 * shape, or with `account=CONFIG.json` the shape of a bigger model of any
 * family of family.h.
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
    /* layers: that it holds; ALBERT passes through one many times */
    size_t hidden, layers, heads, kv_heads, head_dim, inter, vocab;
    bool gated;           /* the feed-forward block has two matrices up */
    size_t embedding;     /* width of the tables whose rows are projected to
                             hidden; 0: none are */
    uint64_t table_count; /* numbers in embedding tables and what is not in a
                             layer */
    uint64_t layer_count; /* numbers in one layer */
    size_t width;         /* of the widest row that its head makes of a text */
};

/* Counted is what a sentence vector needs: what upstream's bare model holds,
 * without BERT's pooler and without a head that guesses words. ERROR_INPUT
 * names the file, the key and what is wrong with it (absent, no number, too
 * large), ERROR_UNSUPPORTED a "model_type" whose numbers we do not know. */
bool shape_read(struct memory *memory, const char *path, struct shape *shape,
                struct error *err);
/* The shape of a model that we compute. */
void shape_of_spec(const struct model_spec *spec, struct shape *shape);

/* RESIDENT of the layers, the tables, and with SLOTS two more layers that
 * streamed ones pass through. What does not fit 64 bits is UINT64_MAX, here
 * and below. */
uint64_t shape_weights_bytes(const struct shape *shape, size_t resident,
                             bool slots, size_t storage_bytes);

/* What a card holds for a packed batch of TOKENS, no text longer than LONGEST:
 *
 *     tokens * hidden * 4            the residual stream, in f32
 *     tokens * hidden * storage      its normed rows, which a GEMM reads
 *     tokens * inside * storage      Q K V and context, later the inside of the
 *                                    feed-forward block: the larger of the two
 *     heads * longest * (head_dim + 2) * 4
 *                                    attention of one text: its rows with their
 *                                    greatest score and sum, no [L, L] matrix
 *     tokens * 4 + (tokens + 1) * 4  ids and starts
 *     tokens * width * 4             pooled vectors: a text has a token at
 *                                    least
 *
 * where inside is max((2 * heads + 2 * kv_heads) * head_dim, inter), or
 * 2 * inter where the block is gated, and embedding if that is more. Linear in
 * TOKENS. */
uint64_t shape_workspace_bytes(const struct shape *shape, size_t tokens,
                               size_t longest, size_t storage_bytes);

#endif
