/* encoder.c - one text's way: embed, LAYERS times (attend, feed forward), pool,
 * Dense, normalise. BERT's order: the norm comes behind each residual sum. */

#include "model/encoder.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/layout.h"

enum {
    BATCH_TOKENS = 8192, /* about a second of a small model on two cores */
    GROUP_TOKENS = 512, /* enough rows for the GEMM, few enough for the cache */
};

/* What a lane holds while a group of texts goes through. */
struct lane_work {
    float *x;        /* [group_tokens, hidden] the residual stream */
    float *wide;     /* [group_tokens, max(4 * hidden, inter)]: Q, K, V and the
                        context, later the feed-forward block's inside */
    void *attention; /* the device's own scratch */
    float *pooled;   /* [group_tokens, head width] */
    float *projected;
    uint32_t *starts; /* [group_tokens + 1] the group's own, from 0 */
};

struct encoder {
    struct memory *memory;
    const struct model_spec *spec;
    const struct weights *weights;
    struct device *device;
    struct pool *pool;
    struct encoder_budget budget;
    struct attention attention;
    struct lane_work *work; /* [device->lanes] */
    void *block;            /* owned: all of the above */
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
    device_norm(lane, &w->attention_norm, x, rows, x);

    device_linear(lane, &w->up, x, rows, e->spec->activation, NULL, inner);
    device_linear(lane, &w->down, inner, rows, ACTIVATION_NONE, x, x);
    device_norm(lane, &w->output_norm, x, rows, x);
}

static void transform(const struct encoder *e, struct lane *lane,
                      const struct lane_work *work,
                      const struct sequences *texts, const uint32_t *ids) {
    device_embed(lane, &e->weights->embedding, ids, texts, work->x);
    device_norm(lane, &e->weights->embedding_norm, work->x,
                sequences_rows(texts), work->x);
    for (size_t i = 0; i < e->spec->layers; i++)
        encoder_layer(e, &e->weights->layers[i], lane, work, texts);
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
                 const struct lane_work *work, const struct sequences *texts,
                 size_t prompt_tokens, float *vectors) {
    pool(e, lane, work, texts, prompt_tokens);
    float *from = work->pooled, *to = work->projected;
    for (size_t i = 0; i < e->spec->dense_count; i++) {
        device_linear(lane, &e->weights->dense[i], from, texts->texts,
                      e->spec->dense[i].activation, NULL, to);
        float *swap = from;
        from = to;
        to = swap;
    }
    if (e->spec->normalize)
        device_normalize(lane, from, texts->texts, e->spec->width);
    memcpy(vectors, from, texts->texts * e->spec->width * sizeof *vectors);
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

static void encode_group(const struct encoder *e, struct lane *lane,
                         const struct encoder_batch *batch, size_t first,
                         size_t end, float *vectors) {
    const struct lane_work *work = &e->work[lane->number];
    for (size_t t = first; t <= end; t++)
        work->starts[t - first] = batch->starts[t] - batch->starts[first];
    struct sequences texts = {.texts = end - first, .starts = work->starts};
    transform(e, lane, work, &texts, batch->ids + batch->starts[first]);
    head(e, lane, work, &texts, batch->prompt_tokens,
         vectors + first * e->spec->width);
}

struct job {
    const struct encoder *encoder;
    const struct encoder_batch *batch;
    float *vectors;
    _Atomic size_t next; /* the first text that nobody has taken */
};

/* Lanes take the next group as they get free; groups are the same whoever
 * takes them. */
static void run_lane(void *context, unsigned thread) {
    struct job *job = context;
    const struct encoder *e = job->encoder;
    if (thread >= e->device->lanes)
        return;
    struct lane *lane = device_lane(e->device, thread);
    size_t first = atomic_load(&job->next);
    while (first < job->batch->texts) {
        size_t end = group_end(e, job->batch, first);
        if (!atomic_compare_exchange_weak(&job->next, &first, end))
            continue;
        encode_group(e, lane, job->batch, first, end, job->vectors);
        first = atomic_load(&job->next);
    }
}

/* Few texts: all threads share the verbs of one lane. */
static void run_wide(const struct encoder *e, const struct encoder_batch *batch,
                     float *vectors) {
    struct lane *lane = device_lane(e->device, 0);
    lane_widen(lane, true);
    for (size_t first = 0; first < batch->texts;) {
        size_t end = group_end(e, batch, first);
        encode_group(e, lane, batch, first, end, vectors);
        first = end;
    }
    lane_widen(lane, false);
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
    if (count_groups(encoder, batch) < encoder->device->lanes) {
        run_wide(encoder, batch, vectors);
        return device_finish(device_lane(encoder->device, 0), err);
    }
    struct job job = {.encoder = encoder, .batch = batch, .vectors = vectors};
    pool_run(encoder->pool, run_lane, &job);
    for (unsigned i = 0; i < encoder->device->lanes; i++)
        if (!device_finish(device_lane(encoder->device, i), err))
            return false;
    return true;
}

/* ---- memory ------------------------------------------------------------- */

struct encoder_budget encoder_budget_default(const struct model_spec *spec,
                                             const struct device *device,
                                             size_t batch_tokens) {
    struct encoder_budget budget = {.longest = spec->max_length};
    budget.batch_tokens = batch_tokens ? batch_tokens : BATCH_TOKENS;
    if (budget.batch_tokens < budget.longest)
        budget.batch_tokens = budget.longest;
    size_t share = budget.batch_tokens / device->lanes;
    budget.group_tokens = share < GROUP_TOKENS ? share : GROUP_TOKENS;
    if (budget.group_tokens < budget.longest)
        budget.group_tokens = budget.longest;
    return budget;
}

/* Runs twice: first with an empty layout, to measure. */
static struct lane_work *place(struct layout *layout,
                               const struct model_spec *spec,
                               const struct device *device,
                               const struct attention *attention,
                               const struct encoder_budget *budget) {
    size_t rows = budget->group_tokens, hidden = spec->hidden;
    size_t wide = spec->inter > 4 * hidden ? spec->inter : 4 * hidden;
    size_t head = model_spec_head_width(spec);
    struct lane_work *work = layout_take(layout, device->lanes, sizeof *work);
    for (unsigned i = 0; i < device->lanes; i++) {
        struct lane_work w = {
            .x = layout_take(layout, rows, hidden * sizeof(float)),
            .wide = layout_take(layout, rows, wide * sizeof(float)),
            .attention = layout_take(
                layout, 1,
                device_attention_bytes(device, attention, budget->longest)),
            .pooled = layout_take(layout, rows, head * sizeof(float)),
            .projected = spec->dense_count
                             ? layout_take(layout, rows, head * sizeof(float))
                             : NULL,
            .starts = layout_take(layout, rows + 1, sizeof(uint32_t)),
        };
        if (work)
            work[i] = w;
    }
    return work;
}

static struct attention attention_of(const struct model_spec *spec) {
    return (struct attention){.heads = spec->heads,
                              .head_dim = spec->head_dim,
                              .scale = 1.0f / sqrtf((float)spec->head_dim)};
}

bool encoder_workspace_bytes(const struct model_spec *spec,
                             const struct device *device,
                             const struct encoder_budget *budget,
                             uint64_t *bytes, struct error *err) {
    struct layout measure = {0};
    struct attention attention = attention_of(spec);
    place(&measure, spec, device, &attention, budget);
    *bytes = measure.bytes;
    return !measure.overflow ||
           error_set(err, ERROR_MEMORY,
                     "a workspace for %zu tokens cannot be addressed",
                     budget->group_tokens);
}

struct encoder *encoder_create(struct memory *memory,
                               const struct model_spec *spec,
                               const struct weights *weights,
                               struct device *device, struct pool *pool,
                               const struct encoder_budget *budget,
                               struct error *err) {
    uint64_t bytes;
    if (!encoder_workspace_bytes(spec, device, budget, &bytes, err))
        return NULL;
    struct encoder *e = memory_alloc(memory, 1, sizeof *e, err);
    if (!e)
        return NULL;
    *e = (struct encoder){.memory = memory,
                          .spec = spec,
                          .weights = weights,
                          .device = device,
                          .pool = pool,
                          .budget = *budget,
                          .attention = attention_of(spec)};
    e->block = memory_alloc(memory, 1, bytes, err);
    if (!e->block) {
        encoder_free(e);
        return NULL;
    }
    struct layout real = {.base = e->block};
    e->work = place(&real, spec, device, &e->attention, budget);
    return e;
}

void encoder_free(struct encoder *encoder) {
    if (!encoder)
        return;
    memory_free(encoder->memory, encoder->block);
    memory_free(encoder->memory, encoder);
}
