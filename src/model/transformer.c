/* transformer.c - see transformer.h. What a family does not have is a norm of
 * width 0, a table that is NULL, a matrix without rows. */

#include "model/transformer.h"

#include <assert.h>

/* ---- a layer ------------------------------------------------------------ */

/* What a block reads: x, or its norm. */
static const struct narrow *block_input(const struct transformer *t,
                                        struct lane *lane,
                                        const struct norm *norm,
                                        const struct lane_work *work,
                                        size_t rows) {
    if (norms_behind(t->spec))
        return work->narrow;
    if (!norm->width)
        return device_narrow(lane, work->x, rows * t->spec->hidden,
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
static void prepare_heads(const struct transformer *t,
                          const struct layer_weights *w, struct lane *lane,
                          const struct sequences *texts, size_t local,
                          struct narrow *qkv) {
    const struct model_spec *spec = t->spec;
    size_t rows = sequences_rows(texts), stride = model_spec_qkv(spec);
    size_t queries = spec->heads * spec->head_dim;
    if (w->query_norm.width)
        device_norm_heads(lane, &w->query_norm, qkv, rows, stride,
                          queries / w->query_norm.width);
    if (w->key_norm.width)
        device_norm_heads(lane, &w->key_norm,
                          narrow_row(t->device, qkv, 1, queries), rows, stride,
                          spec->kv_heads * spec->head_dim / w->key_norm.width);
    if (t->attention[local].rotary.dims)
        device_rotate(lane, &t->attention[local], texts, qkv);
}

/* What the heads make of the texts: the context of each row, behind the Q, K
 * and V in work->inside. */
static struct narrow *attend(const struct transformer *t,
                             const struct layer_weights *w, struct lane *lane,
                             const struct lane_work *work,
                             const struct sequences *texts, bool local) {
    size_t rows = sequences_rows(texts);
    struct narrow *qkv = work->inside;
    struct narrow *context =
        lane_work_behind(t->device, work, rows, model_spec_qkv(t->spec));
    struct attention attention = t->attention[local];
    const struct narrow *in =
        block_input(t, lane, &w->before_attention, work, rows);
    device_linear_narrow(lane, &w->qkv, in, rows, ACTIVATION_NONE, qkv);
    prepare_heads(t, w, lane, texts, local, qkv);
    if (attention.relative.rows) {
        device_linear_narrow(lane, w->relative.out ? &w->relative : &w->qkv,
                             t->weights->relative, attention.relative.rows,
                             ACTIVATION_NONE, work->relative);
        attention.relative.table = work->relative;
    }
    device_attention(lane, &attention, texts, qkv, work->attention, context);
    return context;
}

/* Where one row of each text is all that anybody will read, the others are left
 * here: CONTEXT and x are the rows that are meant, x being work->pooled, where
 * heads look for it. */
static struct narrow *leave_others(const struct transformer *t,
                                   struct lane *lane,
                                   const struct sequences *texts,
                                   const struct narrow *context,
                                   struct lane_work *work) {
    const struct model_spec *spec = t->spec;
    device_pick(lane, texts, context, spec->heads * spec->head_dim,
                work->inside);
    device_pool(lane, pooling_of_row(texts->meant), texts, work->x,
                spec->hidden, work->pooled, spec->hidden);
    work->x = work->pooled;
    if (t->device->narrow_is_float && norms_behind(spec))
        work->narrow = (struct narrow *)work->x;
    return work->inside;
}

static void attended(const struct transformer *t, const struct layer_weights *w,
                     struct lane *lane, const struct narrow *context,
                     const struct lane_work *work, size_t rows) {
    if (t->spec->family->norms == NORM_TWICE)
        output_twice(lane, w, context, work, rows);
    else
        block_output(lane, t->spec->family->norms, &w->attention_out,
                     &w->behind_attention, context, work, rows);
}

static void feed(const struct transformer *t, const struct layer_weights *w,
                 struct lane *lane, const struct lane_work *work, size_t rows) {
    const struct model_spec *spec = t->spec;
    enum activation activation = spec->activation;
    const struct narrow *in = block_input(t, lane, &w->before_feed, work, rows);
    struct narrow *inner = work->inside;
    if (spec->traits & TRAIT_GATED) {
        struct narrow *both =
            lane_work_behind(t->device, work, rows, spec->inter);
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

/* The rows that are left; where they are fewer, WORK says where they are. */
static size_t layer(const struct transformer *t, const struct layer_weights *w,
                    struct lane *lane, struct lane_work *work,
                    const struct sequences *texts, bool local) {
    size_t rows = sequences_rows(texts);
    const struct narrow *context = attend(t, w, lane, work, texts, local);
    if (texts->meant != ROWS_ALL) {
        rows = texts->texts;
        context = leave_others(t, lane, texts, context, work);
    }
    attended(t, w, lane, context, work, rows);
    assert(!w->experts.count || t->spec->family->norms == NORM_BEHIND);
    if (w->experts.count)
        feed_experts(w, lane, work, rows);
    else
        feed(t, w, lane, work, rows);
    return rows;
}

/* ---- before the first layer --------------------------------------------- */

/* Table rows of another width than the model's. */
static void embed_projected(const struct transformer *t, struct lane *lane,
                            const struct lane_work *work,
                            const struct group *group) {
    const struct weights *weights = t->weights;
    size_t rows = sequences_rows(&group->texts);
    float *y = work->other;
    device_embed(lane, &weights->embedding, group->ids, &group->texts, y);
    if (weights->embedding_norm.width)
        device_norm(lane, &weights->embedding_norm, y, rows, NULL, y, NULL);
    device_linear(
        lane, &weights->projection,
        device_narrow(lane, y, rows * t->spec->embedding, work->narrow), rows,
        ACTIVATION_NONE, NULL, work->x);
}

void transformer_begin(const struct transformer *t, struct lane *lane,
                       const struct lane_work *work,
                       const struct group *group) {
    const struct norm *norm = &t->weights->embedding_norm;
    bool projects = (t->spec->traits & TRAIT_PROJECTS) != 0;
    size_t rows = sequences_rows(&group->texts);
    device_lane_use(lane, work->room, work->rows);
    device_group(lane, &group->texts, group->ids);
    if (projects)
        embed_projected(t, lane, work, group);
    else
        device_embed(lane, &t->weights->embedding, group->ids, &group->texts,
                     work->x);
    if (!projects && norm->width)
        device_norm(lane, norm, work->x, rows, NULL, work->x,
                    norms_behind(t->spec) ? work->narrow : NULL);
    else if (norms_behind(t->spec))
        device_narrow(lane, work->x, rows * t->spec->hidden, work->narrow);
}

/* ---- a step ------------------------------------------------------------- */

void transformer_step(const struct transformer *t,
                      const struct layer_weights *w, struct lane *lane,
                      const struct lane_work *work, const struct group *group,
                      size_t i) {
    const struct norm *final = &t->weights->final_norm;
    bool local = layer_set_has(&t->spec->local, model_spec_layer(t->spec, i));
    bool last = i + 1 == t->spec->depth;
    struct sequences texts = group->texts;
    struct lane_work own = *work;
    if (last)
        texts.meant = group->read;
    size_t rows = layer(t, w, lane, &own, &texts, local);
    if (last && final->width)
        device_norm(lane, final, own.x, rows, NULL, own.x, NULL);
}

/* ---- kinds of attention ------------------------------------------------- */

struct attention transformer_attention(const struct model_spec *spec,
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
        .rotary = {.dims = spec->rotary[local].dims,
                   .interleaved = spec->rotary[local].interleaved},
    };
    if (weights) {
        attention.distances = weights->distances;
        attention.slopes = weights->slopes;
        attention.relative.row = weights->relative_row;
        attention.rotary = weights->rotary[local];
    }
    return attention;
}

/* What there will be is said by pointers that nobody follows. */
static struct attention attention_to_be(const struct model_spec *spec,
                                        bool local) {
    static const float there = 0;
    struct attention attention = transformer_attention(spec, NULL, local);
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

bool transformer_prepare(const struct model_spec *spec,
                         const struct weights *weights, struct device *device,
                         struct error *err) {
    for (int local = 0; local < 2; local++) {
        struct attention attention =
            weights ? transformer_attention(spec, weights, local)
                    : attention_to_be(spec, local);
        if (has_attention(spec, local) &&
            !device_prepare(device, &attention, err))
            return false;
    }
    return true;
}
