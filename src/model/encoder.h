/* encoder.h - from ids to sentence vectors: the transformer and its head over
 * a device's verbs.
 *
 *     struct encoder_budget budget = encoder_budget_default(spec, device, 0);
 *     struct encoder *e = encoder_create(memory, spec, weights, device,
 *                                        &budget, err);
 *     encoder_encode(e, &batch, vectors, err);    // any number of times
 *     encoder_free(e);
 *
 * The workspace is one block, taken at creation; encoding allocates nothing.
 * Texts are packed without padding. On a device with several lanes a lane
 * takes a group of whole texts through all layers; a text's vector does not
 * depend on what it was grouped with.
 */

#ifndef MODEL_ENCODER_H
#define MODEL_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "device/device.h"
#include "model/spec.h"
#include "model/weights.h"

struct encoder_budget {
    size_t batch_tokens; /* most tokens in one call of encoder_encode */
    size_t group_tokens; /* rows a lane works on at once */
    size_t longest;      /* tokens of the longest text; <= group_tokens */
};

/* What suits the device; BATCH_TOKENS 0: the default. A batch always has room
 * for the longest text that the model takes. */
struct encoder_budget encoder_budget_default(const struct model_spec *spec,
                                             const struct device *device,
                                             size_t batch_tokens);

/* Bytes of the workspace that encoder_create will take. */
bool encoder_workspace_bytes(const struct model_spec *spec,
                             const struct device *device,
                             const struct encoder_budget *budget,
                             uint64_t *bytes, struct error *err);

struct encoder;

/* SPEC, WEIGHTS, DEVICE and POOL are borrowed and must outlive it. */
struct encoder *encoder_create(struct memory *memory,
                               const struct model_spec *spec,
                               const struct weights *weights,
                               struct device *device, struct pool *pool,
                               const struct encoder_budget *budget,
                               struct error *err);
void encoder_free(struct encoder *encoder); /* NULL is fine */

struct encoder_batch {
    const uint32_t *ids;    /* [tokens], each < vocab */
    const uint32_t *starts; /* [texts + 1], from 0; no text is empty or longer
                               than the budget's longest */
    size_t texts;
    size_t prompt_tokens; /* at the start of each text, kept out of pooling
                             where the model says so; 0: none */
};

/* VECTORS [texts, width] in host memory. */
bool encoder_encode(struct encoder *encoder, const struct encoder_batch *batch,
                    float *vectors, struct error *err);

#endif
