/* encoder.c - one text's way: embed, LAYERS times (attend, feed forward), and
 * the heads (heads.c). What a family does not have is a norm of width 0, a
 * table that is NULL, a matrix without rows. */

#include "model/encoder.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>

#include "base/layout.h"
#include "model/encoder_parts.h"

enum {
    PIECE_ALIGNMENT = 64,  /* of pieces within a piece, where the device asks */
    BATCH_TOKENS = 8192,   /* of a batch at least ... */
    BATCH_PER_LANE = 4096, /* ... and for each lane */
    GROUP_LEAST = 64,      /* rows at which products have their rate */
};

struct encoder {
    struct memory *memory;
    const struct model_spec *spec;
    struct weights *weights;
    struct device *device;
    struct pool *pool;
    struct encoder_budget budget;
    struct attention attention[2]; /* of global layers, of local ones */
    struct lane_work work[]; /* [device->lanes], pieces of the caller's block */
};

static size_t at_least(size_t value, size_t low) {
    return value > low ? value : low;
}

static size_t at_most(size_t value, size_t high) {
    return value < high ? value : high;
}

/* ---- the transformer ---------------------------------------------------- */

static bool norms_behind(const struct model_spec *spec) {
    enum norm_order order = spec->family->norms;
    return order == NORM_BEHIND || order == NORM_TWICE;
}

/* What a block reads: x, or its norm. */
static const struct narrow *block_input(const struct encoder *e,
                                        struct lane *lane,
                                        const struct norm *norm,
                                        const struct lane_work *work,
                                        size_t rows) {
    if (norms_behind(e->spec))
        return work->narrow;
    if (!norm->width)
        return device_narrow(lane, work->x, rows * e->spec->hidden,
                             work->narrow);
    device_norm(lane, norm, work->x, rows, NULL, NULL, work->narrow);
    return work->narrow;
}

/* x = x + what the block's last matrix makes of FROM, and the norm behind
 * that: of the sum, or of what is added. */
static void block_output(struct lane *lane, enum norm_order order,
                         const struct linear *linear, const struct norm *behind,
                         const struct narrow *from,
                         const struct lane_work *work, size_t rows) {
    float *x = work->x;
    if (order == NORM_AROUND) {
        device_linear(lane, linear, from, rows, ACTIVATION_NONE, NULL,
                      work->other);
        device_norm(lane, behind, work->other, rows, x, x, NULL);
        return;
    }
    assert(order == NORM_BEFORE || behind->width);
    device_linear(lane, linear, from, rows, ACTIVATION_NONE, x, x);
    if (order != NORM_BEFORE)
        device_norm(lane, behind, x, rows, NULL, x, work->narrow);
}

/* NORM_TWICE's behind attention, from its CONTEXT. */
static void output_twice(struct lane *lane, const struct layer_weights *w,
                         const struct narrow *context,
                         const struct lane_work *work, size_t rows) {
    float *x = work->x, *sum = work->other;
    device_linear(lane, &w->attention_out, context, rows, ACTIVATION_NONE, x,
                  sum);
    device_norm(lane, &w->behind_attention, sum, rows, x, x, NULL);
    device_norm(lane, &w->twice_behind_attention, x, rows, NULL, x,
                work->narrow);
}

/* The queries and keys of QKV as attention wants them. */
static void prepare_heads(const struct encoder *e,
                          const struct layer_weights *w, struct lane *lane,
                          const struct sequences *texts, size_t local,
                          struct narrow *qkv) {
    const struct model_spec *spec = e->spec;
    const struct rotary *rotary = &e->weights->rotary[local];
    size_t rows = sequences_rows(texts), stride = model_spec_qkv(spec);
    size_t queries = spec->heads * spec->head_dim;
    if (w->query_norm.width)
        device_norm_heads(lane, &w->query_norm, qkv, rows, stride,
                          queries / w->query_norm.width);
    if (w->key_norm.width)
        device_norm_heads(lane, &w->key_norm,
                          narrow_row(e->device, qkv, 1, queries), rows, stride,
                          spec->kv_heads * spec->head_dim / w->key_norm.width);
    if (rotary->dims)
        device_rotate(lane, rotary, &e->attention[local], texts, qkv);
}

/* The second piece of the inside, behind ROWS of WIDTH. Devices that cannot be
 * written to by the host want pieces to begin as blocks do. */
static struct narrow *inside_behind(const struct encoder *e,
                                    const struct lane_work *work, size_t rows,
                                    size_t width) {
    size_t bytes = rows * width * e->device->narrow_bytes;
    if (!e->device->host_memory)
        bytes = (bytes + PIECE_ALIGNMENT - 1) & ~(size_t)(PIECE_ALIGNMENT - 1);
    return (struct narrow *)(void *)((char *)work->inside + bytes);
}

static void attend(const struct encoder *e, const struct layer_weights *w,
                   struct lane *lane, const struct lane_work *work,
                   const struct sequences *texts, bool local) {
    size_t rows = sequences_rows(texts);
    struct narrow *qkv = work->inside;
    struct narrow *context =
        inside_behind(e, work, rows, model_spec_qkv(e->spec));
    struct attention attention = e->attention[local];
    const struct narrow *in =
        block_input(e, lane, &w->before_attention, work, rows);
    device_linear_narrow(lane, &w->qkv, in, rows, ACTIVATION_NONE, qkv);
    prepare_heads(e, w, lane, texts, local, qkv);
    if (attention.relative.rows) {
        device_linear_narrow(lane, &w->qkv, e->weights->relative,
                             attention.relative.rows, ACTIVATION_NONE,
                             work->relative);
        attention.relative.table = work->relative;
    }
    device_attention(lane, &attention, texts, qkv, work->attention, context);
    if (e->spec->family->norms == NORM_TWICE)
        output_twice(lane, w, context, work, rows);
    else
        block_output(lane, e->spec->family->norms, &w->attention_out,
                     &w->behind_attention, context, work, rows);
}

static void feed(const struct encoder *e, const struct layer_weights *w,
                 struct lane *lane, const struct lane_work *work, size_t rows) {
    const struct model_spec *spec = e->spec;
    enum activation activation = spec->activation;
    const struct narrow *in = block_input(e, lane, &w->before_feed, work, rows);
    struct narrow *inner = work->inside;
    if (spec->traits & TRAIT_GATED) {
        struct narrow *both = inside_behind(e, work, rows, spec->inter);
        device_linear_narrow(lane, &w->up, in, rows, ACTIVATION_NONE, both);
        device_gate(lane, activation, both, rows, spec->inter, inner);
    } else {
        device_linear_narrow(lane, &w->up, in, rows, activation, inner);
    }
    block_output(lane, spec->family->norms, &w->down, &w->behind_feed, inner,
                 work, rows);
}

/* The experts' sum needs no matrix behind it. */
static void feed_experts(const struct layer_weights *w, struct lane *lane,
                         const struct lane_work *work, size_t rows) {
    device_experts(lane, &w->experts, work->narrow, rows, work->x,
                   work->experts, work->other);
    device_norm(lane, &w->behind_feed, work->other, rows, NULL, work->x,
                work->narrow);
}

static void encoder_layer(const struct encoder *e,
                          const struct layer_weights *w, struct lane *lane,
                          const struct lane_work *work,
                          const struct sequences *texts, bool local) {
    size_t rows = sequences_rows(texts);
    attend(e, w, lane, work, texts, local);
    assert(!w->experts.count || e->spec->family->norms == NORM_BEHIND);
    if (w->experts.count)
        feed_experts(w, lane, work, rows);
    else
        feed(e, w, lane, work, rows);
}

/* Table rows of another width than the model's. */
static void embed_projected(const struct encoder *e, struct lane *lane,
                            const struct lane_work *work,
                            const struct group *group) {
    const struct weights *weights = e->weights;
    size_t rows = sequences_rows(&group->texts);
    float *y = work->other;
    device_embed(lane, &weights->embedding, group->ids, &group->texts, y);
    if (weights->embedding_norm.width)
        device_norm(lane, &weights->embedding_norm, y, rows, NULL, y, NULL);
    device_linear(
        lane, &weights->projection,
        device_narrow(lane, y, rows * e->spec->embedding, work->narrow), rows,
        ACTIVATION_NONE, NULL, work->x);
}

static void embed(const struct encoder *e, struct lane *lane,
                  const struct lane_work *work, const struct group *group) {
    const struct norm *norm = &e->weights->embedding_norm;
    bool projects = (e->spec->traits & TRAIT_PROJECTS) != 0;
    size_t rows = sequences_rows(&group->texts);
    device_lane_use(lane, work->room, e->budget.group_tokens);
    device_group(lane, &group->texts, group->ids);
    if (projects)
        embed_projected(e, lane, work, group);
    else
        device_embed(lane, &e->weights->embedding, group->ids, &group->texts,
                     work->x);
    if (!projects && norm->width)
        device_norm(lane, norm, work->x, rows, NULL, work->x,
                    norms_behind(e->spec) ? work->narrow : NULL);
    else if (norms_behind(e->spec))
        device_narrow(lane, work->x, rows * e->spec->hidden, work->narrow);
}

/* Step I of the way through the layers. */
static void step(const struct encoder *e, const struct layer_weights *w,
                 struct lane *lane, const struct lane_work *work,
                 const struct group *group, size_t i) {
    const struct norm *final = &e->weights->final_norm;
    size_t rows = sequences_rows(&group->texts);
    bool local = layer_set_has(&e->spec->local, model_spec_layer(e->spec, i));
    if (i == 0)
        embed(e, lane, work, group);
    encoder_layer(e, w, lane, work, &group->texts, local);
    if (i + 1 < e->spec->depth)
        return;
    if (final->width)
        device_norm(lane, final, work->x, rows, NULL, work->x, NULL);
    heads_run(e->spec, e->weights, lane, work, group);
}

/* ---- one group ---------------------------------------------------------- */

/* All layers in one submit. */
static bool encode_resident(const struct encoder *e, struct lane *lane,
                            const struct lane_work *work,
                            const struct group *group, struct error *err) {
    if (!device_submit(lane, err))
        return false;
    for (size_t i = 0; i < e->spec->depth; i++)
        step(e, &e->weights->layers[model_spec_layer(e->spec, i)], lane, work,
             group, i);
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
        step(e, layer, lane, work, group, i);
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
    size_t share = at_least(left / e->device->lanes, GROUP_LEAST);
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
    };
    return weights_stream(e->weights)
               ? encode_streamed(e, lane, work, &group, err)
               : encode_resident(e, lane, work, &group, err);
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
    if (thread >= e->device->lanes)
        return;
    struct lane *lane = device_lane(e->device, thread);
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
    struct lane *lane = device_lane(e->device, 0);
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
    return encoder->budget.stream || encoder->device->lanes == 1 ||
                   count_groups(encoder, batch) < encoder->device->lanes
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

/* Numbers a row that the blocks need: tables' rows that are projected, then Q,
 * K, V and the context, later the inside of the feed-forward block. */
static size_t inside_width(const struct model_spec *spec) {
    size_t attention = model_spec_qkv(spec) + spec->heads * spec->head_dim;
    size_t inner = spec->inter * (spec->traits & TRAIT_GATED ? 3 : 1);
    return at_least(at_least(attention, inner),
                    at_least(spec->embedding, spec->hidden));
}

static struct narrow *place_inside(struct layout *layout,
                                   const struct model_spec *spec,
                                   const struct device *device, size_t rows) {
    size_t width = inside_width(spec);
    if (!device->narrow_is_float) /* else the heads read floats as they are */
        width = at_least(width, heads_width(spec));
    struct narrow *inside =
        layout_take(layout, rows, width * device->narrow_bytes);
    if (!device->host_memory)
        layout_take(layout, 1, PIECE_ALIGNMENT); /* see inside_behind */
    return inside;
}

/* Each its own piece where narrow numbers are not floats. Where they are,
 * narrow is x if norms stand behind blocks; other is narrow under NORM_AROUND,
 * a piece of its own under NORM_TWICE, and else inside. */
static void place_rows(struct layout *layout, const struct model_spec *spec,
                       const struct device *device, size_t rows,
                       struct lane_work *work) {
    enum norm_order order = spec->family->norms;
    bool apart = !device->narrow_is_float;
    size_t widest = at_least(spec->hidden, spec->embedding);
    size_t narrow = apart ? widest : spec->hidden;
    bool sums = order == NORM_AROUND || order == NORM_TWICE;
    bool others = sums || spec->experts || spec->traits & TRAIT_PROJECTS ||
                  spec->traits & TRAIT_MLM;
    work->x = layout_take(layout, rows, spec->hidden * sizeof(float));
    work->narrow = (struct narrow *)work->x;
    if (apart || !norms_behind(spec))
        work->narrow = layout_take(layout, rows, narrow * device->narrow_bytes);
    work->inside = place_inside(layout, spec, device, rows);
    if (apart || order == NORM_TWICE)
        work->other =
            others ? layout_take(layout, rows, widest * sizeof(float)) : NULL;
    else
        work->other =
            (float *)(order == NORM_AROUND ? work->narrow : work->inside);
}

/* The largest of the layers' experts, for the device to say what it needs. */
static size_t experts_bytes(const struct model_spec *spec,
                            const struct device *device, size_t rows) {
    struct linear up = {.in = spec->hidden, .out = spec->inter};
    struct linear down = {.in = spec->inter, .out = spec->hidden};
    struct experts experts = {
        .count = spec->experts,
        .chosen = spec->experts_chosen,
        .router = {.in = spec->hidden, .out = spec->experts},
        .up = &up,
        .down = &down};
    return spec->experts ? device_experts_bytes(device, &experts, rows) : 0;
}

/* Runs twice: first with an empty layout, to measure. */
static struct lane_work place_lane(struct layout *layout,
                                   const struct model_spec *spec,
                                   const struct device *device,
                                   const struct encoder_budget *budget,
                                   size_t attention_bytes) {
    size_t rows = budget->group_tokens;
    struct lane_work work = {0};
    place_rows(layout, spec, device, rows, &work);
    work.attention = layout_take(layout, 1, attention_bytes);
    work.room = layout_take(layout, 1, device_lane_bytes(device, rows));
    if (spec->experts)
        work.experts =
            layout_take(layout, 1, experts_bytes(spec, device, rows));
    if (spec->relative_rows)
        work.relative =
            layout_take(layout, spec->relative_rows,
                        model_spec_qkv(spec) * device->narrow_bytes);
    heads_place(layout, spec, rows, &work);
    return work;
}

/* Lanes that have rows of their own. */
static unsigned lanes_used(const struct device *device,
                           const struct encoder_budget *budget) {
    return budget->stream ? 1 : device->lanes;
}

/* As a layer computes it; WEIGHTS NULL: only its sizes. */
static struct attention attention_of(const struct model_spec *spec,
                                     const struct weights *weights,
                                     bool local) {
    struct attention attention = {
        .heads = spec->heads,
        .kv_heads = spec->kv_heads,
        .head_dim = spec->head_dim,
        .scale = spec->attention_scale,
        .behind = spec->reach[local].behind,
        .ahead = spec->reach[local].ahead,
        .reach = spec->distance_reach,
        .relative = {.rows = spec->relative_rows,
                     .reach = spec->relative_reach},
    };
    if (weights) {
        attention.distances = weights->distances;
        attention.slopes = weights->slopes;
        attention.relative.row = weights->relative_row;
    }
    return attention;
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
    struct attention attention = attention_of(spec, NULL, false);
    size_t scratch =
        device_attention_bytes(device, &attention, budget->longest);
    for (unsigned i = 0; i < lanes_used(device, budget); i++)
        place_lane(&measure, spec, device, budget, scratch);
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
        encoder->device, &encoder->attention[0], budget->longest);
    encoder->budget = *budget;
    for (unsigned i = 0; i < lanes_used(encoder->device, budget); i++)
        encoder->work[i] = place_lane(&layout, encoder->spec, encoder->device,
                                      budget, scratch);
}

/* What there will be is said by pointers that nobody follows. */
static struct attention attention_to_be(const struct model_spec *spec,
                                        bool local) {
    static const float there = 0;
    struct attention attention = attention_of(spec, NULL, local);
    attention.distances = spec->buckets ? &there : NULL;
    attention.slopes = spec->alibi ? &there : NULL;
    return attention;
}

/* The kinds of attention that the layers have. */
static bool has_attention(const struct model_spec *spec, bool local) {
    for (size_t i = 0; i < spec->layers; i++)
        if (layer_set_has(&spec->local, i) == local)
            return true;
    return false;
}

bool encoder_prepare(const struct model_spec *spec, struct device *device,
                     struct error *err) {
    for (int local = 0; local < 2; local++) {
        struct attention attention = attention_to_be(spec, local);
        if (has_attention(spec, local) &&
            !device_prepare(device, &attention, err))
            return false;
    }
    return true;
}

static bool prepare(const struct encoder *e, struct error *err) {
    for (int local = 0; local < 2; local++)
        if (has_attention(e->spec, local) &&
            !device_prepare(e->device, &e->attention[local], err))
            return false;
    return true;
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
    e->spec = spec;
    e->weights = weights;
    e->device = device;
    e->pool = pool;
    for (int local = 0; local < 2; local++)
        e->attention[local] = attention_of(spec, weights, local);
    if (prepare(e, err))
        return e;
    encoder_free(e);
    return NULL;
}

void encoder_free(struct encoder *encoder) {
    if (encoder)
        memory_free(encoder->memory, encoder);
}
