/* encoder.c - one text's way: embed, LAYERS times (attend, feed forward), pool,
 * Dense, normalise. BERT's order: the norm comes behind each residual sum. */

#include "model/encoder.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>

#include "base/layout.h"

/* Enough rows for the GEMM, few enough for the cache. */
enum { GROUP_TOKENS = 512 };

/* What a lane holds while a group of texts goes through. */
struct lane_work {
    float *x;        /* [group_tokens, hidden] the residual stream */
    float *wide;     /* [group_tokens, max(4 * hidden, inter, embedding)]: rows
                        of tables that are projected, then Q, K, V and the
                        context, later the feed-forward block's inside */
    void *attention; /* the device's own scratch */
    float *pooled;   /* [group_tokens, head width] */
    float *projected;
    uint32_t *starts; /* [group_tokens + 1] the group's own, from 0 */
};

struct encoder {
    struct memory *memory;
    const struct model_spec *spec;
    struct weights *weights;
    struct device *device;
    struct pool *pool;
    struct encoder_budget budget;
    struct attention attention;
    struct lane_work work[]; /* [device->lanes], pieces of the caller's block */
};

/* Whole texts of a batch that go through together. */
struct group {
    const struct encoder_batch *batch;
    struct sequences texts;
    const uint32_t *ids;
    float *vectors;
};

/* ---- the transformer ---------------------------------------------------- */

static void encoder_layer(const struct encoder *e,
                          const struct layer_weights *w, struct lane *lane,
                          const struct lane_work *work,
                          const struct sequences *texts) {
    size_t rows = sequences_rows(texts), hidden = e->spec->hidden;
    float *x = work->x, *qkv = work->wide;
    float *context = work->wide + rows * 3 * hidden, *inner = work->wide;

    device_linear(lane, &w->qkv, x, rows, ACTIVATION_NONE, NULL, qkv);
    device_attention(lane, &e->attention, texts, qkv, work->attention, context);
    device_linear(lane, &w->attention_out, context, rows, ACTIVATION_NONE, x,
                  x);
    device_norm(lane, &w->attention_norm, x, rows, NULL, x);

    device_linear(lane, &w->up, x, rows, e->spec->activation, NULL, inner);
    device_linear(lane, &w->down, inner, rows, ACTIVATION_NONE, x, x);
    device_norm(lane, &w->output_norm, x, rows, NULL, x);
}

static void embed(const struct encoder *e, struct lane *lane,
                  const struct lane_work *work, const struct group *group) {
    size_t rows = sequences_rows(&group->texts);
    float *y = e->spec->projects ? work->wide : work->x;
    device_embed(lane, &e->weights->embedding, group->ids, &group->texts, y);
    device_norm(lane, &e->weights->embedding_norm, y, rows, NULL, y);
    if (e->spec->projects)
        device_linear(lane, &e->weights->projection, y, rows, ACTIVATION_NONE,
                      NULL, work->x);
}

/* ---- the head ----------------------------------------------------------- */

static void pool(const struct encoder *e, struct lane *lane,
                 const struct lane_work *work, const struct sequences *texts,
                 size_t prompt_tokens) {
    size_t hidden = e->spec->hidden;
    struct sequences counted = *texts;
    counted.skip = e->spec->pooling_include_prompt ? 0 : prompt_tokens;
    for (size_t i = 0; i < e->spec->pooling_count; i++)
        device_pool(lane, e->spec->pooling[i], &counted, work->x, hidden,
                    work->pooled + i * hidden,
                    model_spec_pooled_width(e->spec));
}

static void head(const struct encoder *e, struct lane *lane,
                 const struct lane_work *work, const struct group *group) {
    size_t texts = group->texts.texts;
    pool(e, lane, work, &group->texts, group->batch->prompt_tokens);
    float *from = work->pooled, *to = work->projected;
    for (size_t i = 0; i < e->spec->dense_count; i++) {
        device_linear(lane, &e->weights->dense[i], from, texts,
                      e->spec->dense[i].activation, NULL, to);
        float *swap = from;
        from = to;
        to = swap;
    }
    if (e->spec->normalize)
        device_normalize(lane, from, texts, e->spec->width);
    device_download(lane, from, texts * e->spec->width, group->vectors);
}

/* ---- one group ---------------------------------------------------------- */

/* All layers in one submit. */
static bool encode_resident(const struct encoder *e, struct lane *lane,
                            const struct lane_work *work,
                            const struct group *group, struct error *err) {
    if (!device_submit(lane, err))
        return false;
    embed(e, lane, work, group);
    for (size_t i = 0; i < e->spec->depth; i++)
        encoder_layer(e, &e->weights->layers[model_spec_layer(e->spec, i)],
                      lane, work, &group->texts);
    head(e, lane, work, group);
    return device_finish(lane, err);
}

/* A layer a submit: weights_layer overwrites the slot of the one before, which
 * must be done. A layer that is used again is still in its slot. */
static bool encode_streamed(const struct encoder *e, struct lane *lane,
                            const struct lane_work *work,
                            const struct group *group, struct error *err) {
    const struct layer_weights *layer = NULL;
    for (size_t i = 0, at = SIZE_MAX; i < e->spec->depth; i++) {
        size_t next = model_spec_layer(e->spec, i);
        if (next != at)
            layer = weights_layer(e->weights, next, err);
        at = next;
        if (!layer || !device_submit(lane, err))
            return false;
        if (i == 0)
            embed(e, lane, work, group);
        encoder_layer(e, layer, lane, work, &group->texts);
        if (i + 1 == e->spec->depth)
            head(e, lane, work, group);
        if (!device_finish(lane, err))
            return false;
    }
    return true;
}

/* ---- groups and lanes --------------------------------------------------- */

/* The text behind the last of the group that begins at FIRST. */
static size_t group_end(const struct encoder *e,
                        const struct encoder_batch *batch, size_t first) {
    size_t end = first + 1;
    while (end < batch->texts &&
           batch->starts[end + 1] - batch->starts[first] <=
               e->budget.group_tokens)
        end++;
    return end;
}

static bool encode_group(const struct encoder *e, struct lane *lane,
                         const struct encoder_batch *batch, size_t first,
                         size_t end, float *vectors, struct error *err) {
    const struct lane_work *work = &e->work[lane->number];
    for (size_t t = first; t <= end; t++)
        work->starts[t - first] = batch->starts[t] - batch->starts[first];
    struct group group = {
        .batch = batch,
        .texts = {.texts = end - first, .starts = work->starts},
        .ids = batch->ids + batch->starts[first],
        .vectors = vectors + first * e->spec->width,
    };
    return weights_stream(e->weights)
               ? encode_streamed(e, lane, work, &group, err)
               : encode_resident(e, lane, work, &group, err);
}

struct job {
    const struct encoder *encoder;
    const struct encoder_batch *batch;
    float *vectors;
    _Atomic size_t next; /* the first text that nobody has taken */
    _Atomic bool failed; /* set by the lane that writes ERROR */
    struct error error;
};

/* The first text of a group that is now the caller's, up to *END; all texts if
 * there is none left, or another lane failed. */
static size_t take_group(struct job *job, size_t *end) {
    size_t first = atomic_load(&job->next);
    while (first < job->batch->texts) {
        if (atomic_load(&job->failed))
            return job->batch->texts;
        *end = group_end(job->encoder, job->batch, first);
        if (atomic_compare_exchange_weak(&job->next, &first, *end))
            return first;
    }
    return first;
}

/* Lanes take the next group as they get free; groups are the same whoever
 * takes them. */
static void run_lane(void *context, unsigned thread) {
    struct job *job = context;
    const struct encoder *e = job->encoder;
    if (thread >= e->device->lanes)
        return;
    struct lane *lane = device_lane(e->device, thread);
    struct error err = {0};
    for (size_t first, end;
         (first = take_group(job, &end)) < job->batch->texts;)
        if (!encode_group(e, lane, job->batch, first, end, job->vectors,
                          &err) &&
            !atomic_exchange(&job->failed, true))
            job->error = err;
}

static bool run_lanes(const struct encoder *e,
                      const struct encoder_batch *batch, float *vectors,
                      struct error *err) {
    struct job job = {.encoder = e, .batch = batch, .vectors = vectors};
    pool_run(e->pool, run_lane, &job);
    if (!job.failed)
        return true;
    if (err)
        *err = job.error;
    return false;
}

/* Few texts, or layers that stream: all threads share the verbs of one lane. */
static bool run_wide(const struct encoder *e, const struct encoder_batch *batch,
                     float *vectors, struct error *err) {
    struct lane *lane = device_lane(e->device, 0);
    bool fine = true;
    lane_widen(lane, true);
    for (size_t first = 0; fine && first < batch->texts;) {
        size_t end = group_end(e, batch, first);
        fine = encode_group(e, lane, batch, first, end, vectors, err);
        first = end;
    }
    lane_widen(lane, false);
    return fine;
}

static size_t count_groups(const struct encoder *e,
                           const struct encoder_batch *batch) {
    size_t groups = 0;
    for (size_t first = 0; first < batch->texts; groups++)
        first = group_end(e, batch, first);
    return groups;
}

bool encoder_encode(struct encoder *encoder, const struct encoder_batch *batch,
                    float *vectors, struct error *err) {
    return encoder->budget.stream ||
                   count_groups(encoder, batch) < encoder->device->lanes
               ? run_wide(encoder, batch, vectors, err)
               : run_lanes(encoder, batch, vectors, err);
}

/* ---- memory ------------------------------------------------------------- */

static size_t at_least(size_t value, size_t low) {
    return value > low ? value : low;
}

static size_t at_most(size_t value, size_t high) {
    return value < high ? value : high;
}

struct encoder_budget encoder_budget_make(const struct model_spec *spec,
                                          bool stream,
                                          const struct device *device,
                                          size_t batch_tokens, size_t longest) {
    longest = at_least(at_most(longest, spec->max_length), 1);
    batch_tokens = at_least(batch_tokens, longest);
    size_t share = at_most(batch_tokens / device->lanes, GROUP_TOKENS);
    return (struct encoder_budget){
        .batch_tokens = batch_tokens,
        .group_tokens = stream ? batch_tokens : at_least(share, longest),
        .longest = longest,
        .stream = stream};
}

/* Runs twice: first with an empty layout, to measure. */
static struct lane_work place_lane(struct layout *layout,
                                   const struct model_spec *spec,
                                   const struct encoder_budget *budget,
                                   size_t attention_bytes) {
    size_t rows = budget->group_tokens, hidden = spec->hidden;
    size_t wide = at_least(at_least(spec->inter, 4 * hidden), spec->embedding);
    size_t head = model_spec_head_width(spec) * sizeof(float);
    return (struct lane_work){
        .x = layout_take(layout, rows, hidden * sizeof(float)),
        .wide = layout_take(layout, rows, wide * sizeof(float)),
        .attention = layout_take(layout, 1, attention_bytes),
        .pooled = layout_take(layout, rows, head),
        .projected = spec->dense_count ? layout_take(layout, rows, head) : NULL,
        .starts = layout_take(layout, rows + 1, sizeof(uint32_t)),
    };
}

/* Lanes that have rows of their own. */
static unsigned lanes_used(const struct device *device,
                           const struct encoder_budget *budget) {
    return budget->stream ? 1 : device->lanes;
}

static struct attention attention_of(const struct model_spec *spec) {
    return (struct attention){.heads = spec->heads,
                              .kv_heads = spec->heads,
                              .head_dim = spec->head_dim,
                              .behind = SIZE_MAX,
                              .ahead = SIZE_MAX,
                              .scale = 1.0f / sqrtf((float)spec->head_dim)};
}

static uint64_t charge_of(const struct model_spec *spec,
                          const struct shape *shape,
                          const struct device *device,
                          const struct encoder_budget *budget, uint64_t bytes) {
    struct shape own;
    if (!device->charges_shapes)
        return memory_block_bytes(bytes);
    shape_of_spec(spec, &own);
    return shape_workspace_bytes(shape ? shape : &own, budget->batch_tokens,
                                 budget->longest, device->storage_bytes);
}

bool encoder_workspace(const struct model_spec *spec, const struct shape *shape,
                       const struct device *device,
                       const struct encoder_budget *budget,
                       struct encoder_need *need, struct error *err) {
    struct layout measure = {0};
    struct attention attention = attention_of(spec);
    size_t scratch =
        device_attention_bytes(device, &attention, budget->longest);
    for (unsigned i = 0; i < lanes_used(device, budget); i++)
        place_lane(&measure, spec, budget, scratch);
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
    assert(budget->stream || !weights_stream(encoder->weights));
    struct layout layout = {.base = block};
    size_t scratch = device_attention_bytes(
        encoder->device, &encoder->attention, budget->longest);
    encoder->budget = *budget;
    for (unsigned i = 0; i < lanes_used(encoder->device, budget); i++)
        encoder->work[i] = place_lane(&layout, encoder->spec, budget, scratch);
}

struct encoder *encoder_create(struct memory *memory,
                               const struct model_spec *spec,
                               struct weights *weights, struct device *device,
                               struct pool *pool, struct error *err) {
    struct encoder *e = memory_zalloc(
        memory, 1, sizeof *e + device->lanes * sizeof *e->work, err);
    if (!e)
        return NULL;
    e->memory = memory;
    e->spec = spec;
    e->weights = weights;
    e->device = device;
    e->pool = pool;
    e->attention = attention_of(spec);
    e->attention.distances = weights->distances;
    e->attention.reach = DISTANCE_REACH;
    return e;
}

void encoder_free(struct encoder *encoder) {
    if (encoder)
        memory_free(encoder->memory, encoder);
}
