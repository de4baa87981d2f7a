/* encoder.h - from ids to sentence vectors: the transformer and its head over
 * a device's verbs.
 *
 *     struct encoder *e = encoder_create(memory, spec, weights, device, pool,
 *                                        err);
 *     size_t tokens = encoder_batch_tokens(device);
 *     struct encoder_budget budget = encoder_budget_make(
 *         spec, weights_stream(weights), device, tokens, 512);
 *     struct encoder_need need;
 *     encoder_workspace(spec, shape, device, &budget, &need, err);
 *     void *block = device_alloc(device, need.bytes, need.charge, NULL, err);
 *     encoder_lay_out(e, &budget, block);
 *     encoder_encode(e, &batch, &out, err);        // any number of times
 *
 * The workspace belongs to the caller: the models on a device share one, and
 * another budget is laid out in it (or in a new one) between batches. Encoding
 * allocates nothing. Texts are packed without padding. On a device with
 * several lanes a lane takes a group of whole texts through all layers; a
 * text's vector does not depend on what it was grouped with. Where layers
 * stream, the whole batch goes through a layer together (lane 0, made wide):
 * the same bits. One thread drives an encoder.
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
#include "model/shape.h"
#include "model/spec.h"
#include "model/weights.h"

struct encoder_budget {
    size_t batch_tokens; /* most tokens in one call of encoder_encode */
    size_t group_tokens; /* rows a lane works on at once */
    size_t longest;      /* tokens of the longest text; <= group_tokens */
    bool stream;         /* layers stream: one lane takes the batch whole */
};

/* A good batch on the host's cores: some ten groups for each lane, so that few
 * lanes wait at its end and a kill loses about as many seconds on any machine.
 */
size_t encoder_batch_tokens(const struct device *device);

/* BATCH_TOKENS is raised to LONGEST if it is less. LONGEST: of the texts that
 * will come, special tokens included; the workspace depends on it and not on
 * what the model could take (spec->max_length caps it). */
struct encoder_budget encoder_budget_make(const struct model_spec *spec,
                                          bool stream,
                                          const struct device *device,
                                          size_t batch_tokens, size_t longest);

struct encoder_need {
    uint64_t bytes;  /* for device_alloc */
    uint64_t charge; /* likewise, and what the device's account then counts:
                        bytes with the allocator's rounding, or the shape's
                        workspace for batch_tokens and longest */
};
/* SHAPE: what a device that charges shapes counts; NULL: the model's own. */
bool encoder_workspace(const struct model_spec *spec, const struct shape *shape,
                       const struct device *device,
                       const struct encoder_budget *budget,
                       struct encoder_need *need, struct error *err);

/* device_prepare for all that models of SPEC need: before their bytes are
 * planned, for a card takes memory for it. ERROR_UNSUPPORTED: the device cannot
 * compute such a model. */
bool encoder_prepare(const struct model_spec *spec, struct device *device,
                     struct error *err);

struct encoder;

/* SPEC, WEIGHTS, DEVICE and POOL (the device's) are borrowed and must outlive
 * it. It has no workspace yet. */
struct encoder *encoder_create(struct memory *memory,
                               const struct model_spec *spec,
                               struct weights *weights, struct device *device,
                               struct pool *pool, struct error *err);
void encoder_free(struct encoder *encoder); /* NULL is fine; not the block */
/* What encoder_create takes, as memory counts it. */
uint64_t encoder_own_bytes(const struct device *device);

/* Use BLOCK (borrowed, at least encoder_workspace's bytes) from now on.
 * Allocates nothing. Where the weights stream, the budget must say so. */
void encoder_lay_out(struct encoder *encoder,
                     const struct encoder_budget *budget, void *block);

struct encoder_batch {
    const uint32_t *ids;    /* [tokens], each < vocab */
    const uint32_t *starts; /* [texts + 1], from 0; no text is empty or longer
                               than the budget's longest */
    size_t texts;
    size_t prompt_tokens;   /* at the start of each text, kept out of pooling
                               where the model says so; 0: none */
    const uint32_t *second; /* [texts] the row in its text from which on tokens
                               have type 1 (pairs of texts); NULL: none has */
    const uint32_t *keys;   /* [texts] how many of its first rows a text's rows
                               attend to, at least one; NULL: to all */
};

/* What one forward pass is to give; NULL: not wanted. Host memory. */
struct encoder_output {
    float *dense;   /* [texts, width] */
    float *lexical; /* [tokens]: each token's weight, >= 0 */
    float *splade;  /* [texts, vocab], >= 0, logarithms taken */
    float *multi;   /* [tokens, multi_width]: unit rows, one a token */
    float *scores;  /* [texts, labels] */
};

/* A refused submit (ERROR_MEMORY, ERROR_DEVICE) ends the batch on all lanes:
 * the error is the first lane's, nothing in OUT counts then, and the encoder
 * can be used again (with ERROR_MEMORY). A submit is a group of texts, or a
 * layer where layers stream. */
bool encoder_encode(struct encoder *encoder, const struct encoder_batch *batch,
                    const struct encoder_output *out, struct error *err);

#endif
