/* encoder.c - see encoder.h. A batch becomes groups of whole texts, which lanes
 * take; a group goes through the layers (transformer.c) and the heads (heads.c)
 * in one submit, or in one a layer. The workspace is as many lanes' pieces
 * (lane_work.c). */

#include "model/encoder.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/layout.h"
#include "model/heads.h"
#include "model/lane_work.h"
#include "model/transformer.h"

enum {
    BATCH_TOKENS = 8192,   /* of a batch at least ... */
    BATCH_PER_LANE = 4096, /* ... and for each lane */
    GROUP_LEAST = 64,      /* rows at which products have their rate */
};

struct encoder {
    struct memory *memory;
    struct transformer transformer;
    struct pool *pool;
    struct encoder_budget budget;
    struct lane_work work[]; /* [device->lanes], pieces of the caller's block */
};

static size_t at_least(size_t value, size_t low) {
    return value > low ? value : low;
}

static size_t at_most(size_t value, size_t high) {
    return value < high ? value : high;
}

/* ---- one group ---------------------------------------------------------- */

/* All layers in one submit. */
static bool encode_resident(const struct transformer *t, struct lane *lane,
                            const struct lane_work *work,
                            const struct group *group, struct error *err) {
    if (!device_submit(lane, err))
        return false;
    transformer_begin(t, lane, work, group);
    for (size_t i = 0; i < t->spec->depth; i++)
        transformer_step(t, &t->weights->layers[model_spec_layer(t->spec, i)],
                         lane, work, group, i);
    heads_run(t->spec, t->weights, lane, work, group);
    return device_finish(lane, err);
}

/* A layer a submit: weights_layer overwrites the slot of the one before, which
 * must be done. A layer that is used again is still in its slot. */
static bool encode_streamed(const struct transformer *t, struct lane *lane,
                            const struct lane_work *work,
                            const struct group *group, struct error *err) {
    const struct layer_weights *layer = NULL;
    for (size_t i = 0, at = SIZE_MAX; i < t->spec->depth; i++) {
        size_t next = model_spec_layer(t->spec, i);
        if (next != at)
            layer = weights_layer(t->weights, next, err);
        at = next;
        if (!layer || !device_submit(lane, err))
            return false;
        if (i == 0)
            transformer_begin(t, lane, work, group);
        transformer_step(t, layer, lane, work, group, i);
        if (i + 1 == t->spec->depth)
            heads_run(t->spec, t->weights, lane, work, group);
        if (!device_finish(lane, err))
            return false;
    }
    return true;
}

/* ---- groups and lanes --------------------------------------------------- */

/* The text behind the last of a group of at most ROWS (or one text) that begins
 * at FIRST. */
static size_t group_end(const struct encoder_batch *batch, size_t first,
                        size_t rows) {
    size_t end = first + 1;
    while (end < batch->texts &&
           batch->starts[end + 1] - batch->starts[first] <= rows)
        end++;
    return end;
}

/* Towards the end of a batch groups become smaller, so that lanes end together;
 * not too small, for each group reads all weights. */
static size_t shared_rows(const struct encoder *e,
                          const struct encoder_batch *batch, size_t first) {
    size_t left = batch->starts[batch->texts] - batch->starts[first];
    size_t share = at_least(left / e->transformer.device->lanes, GROUP_LEAST);
    return at_most(share, e->budget.group_tokens);
}

static bool encode_group(const struct encoder *e, struct lane *lane,
                         const struct encoder_batch *batch, size_t first,
                         size_t end, const struct encoder_output *out,
                         struct error *err) {
    const struct lane_work *work = &e->work[lane->number];
    struct group group = {
        .batch = batch,
        .first = first,
        .texts = {.texts = end - first,
                  .starts = batch->starts + first,
                  .second = batch->second ? batch->second + first : NULL,
                  .keys = batch->keys ? batch->keys + first : NULL},
        .ids = batch->ids + batch->starts[first],
        .out = out,
        .read = heads_read(e->transformer.spec, batch, out),
    };
    return weights_stream(e->transformer.weights)
               ? encode_streamed(&e->transformer, lane, work, &group, err)
               : encode_resident(&e->transformer, lane, work, &group, err);
}

struct job {
    const struct encoder *encoder;
    const struct encoder_batch *batch;
    const struct encoder_output *out;
    _Atomic size_t next; /* the first text that nobody has taken */
    _Atomic bool failed; /* set by the lane that writes ERROR */
    struct error error;
};

/* A group that is now the caller's; false if there is none left, or another
 * lane failed. */
static bool take_group(struct job *job, size_t *first, size_t *end) {
    const struct encoder_batch *batch = job->batch;
    *first = atomic_load(&job->next);
    do {
        if (*first >= batch->texts || atomic_load(&job->failed))
            return false;
        *end =
            group_end(batch, *first, shared_rows(job->encoder, batch, *first));
    } while (!atomic_compare_exchange_weak(&job->next, first, *end));
    return true;
}

/* Lanes take the next group as they get free; groups are the same whoever
 * takes them. */
static void run_lane(void *context, unsigned thread) {
    struct job *job = context;
    const struct encoder *e = job->encoder;
    if (thread >= e->transformer.device->lanes)
        return;
    struct lane *lane = device_lane(e->transformer.device, thread);
    struct error err = {0};
    for (size_t first, end; take_group(job, &first, &end);)
        if (!encode_group(e, lane, job->batch, first, end, job->out, &err) &&
            !atomic_exchange(&job->failed, true))
            job->error = err;
}

static bool run_lanes(const struct encoder *e,
                      const struct encoder_batch *batch,
                      const struct encoder_output *out, struct error *err) {
    struct job job = {.encoder = e, .batch = batch, .out = out};
    pool_run(e->pool, run_lane, &job);
    if (!job.failed)
        return true;
    if (err)
        *err = job.error;
    return false;
}

/* Few texts, layers that stream, or a device of one lane, which the caller's
 * thread drives: all threads share the verbs of one lane. */
static bool run_wide(const struct encoder *e, const struct encoder_batch *batch,
                     const struct encoder_output *out, struct error *err) {
    struct lane *lane = device_lane(e->transformer.device, 0);
    bool fine = true;
    lane_widen(lane, true);
    for (size_t first = 0; fine && first < batch->texts;) {
        size_t end = group_end(batch, first, e->budget.group_tokens);
        fine = encode_group(e, lane, batch, first, end, out, err);
        first = end;
    }
    lane_widen(lane, false);
    return fine;
}

static size_t count_groups(const struct encoder *e,
                           const struct encoder_batch *batch) {
    size_t groups = 0;
    for (size_t first = 0; first < batch->texts; groups++)
        first = group_end(batch, first, e->budget.group_tokens);
    return groups;
}

bool encoder_encode(struct encoder *encoder, const struct encoder_batch *batch,
                    const struct encoder_output *out, struct error *err) {
    unsigned lanes = encoder->transformer.device->lanes;
    return encoder->budget.stream || lanes == 1 ||
                   count_groups(encoder, batch) < lanes
               ? run_wide(encoder, batch, out, err)
               : run_lanes(encoder, batch, out, err);
}

/* ---- memory ------------------------------------------------------------- */

size_t encoder_batch_tokens(const struct device *device) {
    return at_least((size_t)device->lanes * BATCH_PER_LANE, BATCH_TOKENS);
}

struct encoder_budget encoder_budget_make(const struct model_spec *spec,
                                          bool stream,
                                          const struct device *device,
                                          size_t batch_tokens, size_t longest) {
    longest = at_least(at_most(longest, spec->max_length), 1);
    batch_tokens = at_least(batch_tokens, longest);
    size_t share = at_most(batch_tokens / device->lanes, device->group_tokens);
    return (struct encoder_budget){
        .batch_tokens = batch_tokens,
        .group_tokens = stream ? batch_tokens : at_least(share, longest),
        .longest = longest,
        .stream = stream};
}

/* Lanes that have rows of their own. */
static unsigned lanes_used(const struct device *device,
                           const struct encoder_budget *budget) {
    return budget->stream ? 1 : device->lanes;
}

static uint64_t charge_of(const struct model_spec *spec,
                          const struct shape *shape,
                          const struct device *device,
                          const struct encoder_budget *budget, uint64_t bytes) {
    struct shape own;
    if (!device->charges_shapes)
        return device_block_bytes(device, bytes);
    shape_of_spec(spec, &own);
    return shape_workspace_bytes(shape ? shape : &own, budget->batch_tokens,
                                 budget->longest, device->storage_bytes);
}

bool encoder_workspace(const struct model_spec *spec, const struct shape *shape,
                       const struct device *device,
                       const struct encoder_budget *budget,
                       struct encoder_need *need, struct error *err) {
    struct layout measure = {0};
    struct attention attention = transformer_attention(spec, NULL, false);
    size_t scratch =
        device_attention_bytes(device, &attention, budget->longest);
    for (unsigned i = 0; i < lanes_used(device, budget); i++)
        lane_work_place(&measure, spec, device, budget->group_tokens, scratch);
    if (measure.overflow)
        return error_set(err, ERROR_MEMORY,
                         "a workspace for %zu tokens cannot be addressed; "
                         "choose a smaller budget",
                         budget->group_tokens);
    *need = (struct encoder_need){
        .bytes = measure.bytes,
        .charge = charge_of(spec, shape, device, budget, measure.bytes)};
    return true;
}

void encoder_lay_out(struct encoder *encoder,
                     const struct encoder_budget *budget, void *block) {
    assert(budget->stream || !weights_stream(encoder->transformer.weights));
    const struct device *device = encoder->transformer.device;
    struct layout layout = {.base = block};
    size_t scratch = device_attention_bytes(
        device, &encoder->transformer.attention[0], budget->longest);
    encoder->budget = *budget;
    for (unsigned i = 0; i < lanes_used(device, budget); i++)
        encoder->work[i] =
            lane_work_place(&layout, encoder->transformer.spec, device,
                            budget->group_tokens, scratch);
}

/* ---- the encoder -------------------------------------------------------- */

bool encoder_prepare(const struct model_spec *spec, struct device *device,
                     struct error *err) {
    return transformer_prepare(spec, NULL, device, err);
}

static size_t size_of(const struct device *device) {
    return sizeof(struct encoder) + device->lanes * sizeof(struct lane_work);
}

uint64_t encoder_own_bytes(const struct device *device) {
    return memory_block_bytes(size_of(device));
}

struct encoder *encoder_create(struct memory *memory,
                               const struct model_spec *spec,
                               struct weights *weights, struct device *device,
                               struct pool *pool, struct error *err) {
    struct encoder *e = memory_zalloc(memory, 1, size_of(device), err);
    if (!e)
        return NULL;
    e->memory = memory;
    e->pool = pool;
    e->transformer = (struct transformer){
        .spec = spec, .weights = weights, .device = device};
    for (int local = 0; local < 2; local++)
        e->transformer.attention[local] =
            transformer_attention(spec, weights, local);
    if (transformer_prepare(spec, weights, device, err))
        return e;
    encoder_free(e);
    return NULL;
}

void encoder_free(struct encoder *encoder) {
    if (encoder)
        memory_free(encoder->memory, encoder);
}
