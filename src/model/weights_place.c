/* weights_place.c - where each tensor goes: into the device's block, into host
 * memory to stream from, or nowhere, where the file is as good a place. */

#include <stddef.h>
#include <string.h>

#include "model/weights_parts.h"

size_t dim_size(const struct model_spec *spec, enum dim dim) {
    switch (dim) {
    case DIM_HIDDEN:
        return spec->hidden;
    case DIM_INTER:
        return spec->inter;
    case DIM_INTER_TWICE:
        return 2 * spec->inter;
    case DIM_VOCAB:
        return spec->vocab;
    case DIM_POSITIONS:
        return spec->positions;
    case DIM_TYPES:
        return spec->types;
    case DIM_TASK_TYPES:
        return spec->task_types;
    case DIM_EMBEDDING:
        return spec->embedding;
    case DIM_HEADS:
        return spec->heads;
    case DIM_HEAD:
        return spec->head_dim;
    case DIM_QUERY:
        return spec->heads * spec->head_dim;
    case DIM_KEY:
        return spec->kv_heads * spec->head_dim;
    case DIM_QKV:
        return model_spec_qkv(spec);
    case DIM_BUCKETS:
        return spec->buckets;
    case DIM_RELATIVE:
        return spec->relative_rows;
    case DIM_EXPERTS:
        return spec->experts;
    case DIM_EXPERTS_INTER:
        return spec->experts * spec->inter;
    case DIM_LABELS:
        return spec->labels;
    default:
        return 1;
    }
}

size_t types_used(const struct model_spec *spec) {
    return spec->types < 2 ? spec->types : 2;
}

bool in_layer(const struct tensor_rule *rule) {
    return strstr(rule->name, "%zu") != NULL;
}

/* Another part of the same matrix, or of the same vector. */
static bool same_whole(const struct tensor_rule *a,
                       const struct tensor_rule *b) {
    return a->use == b->use && a->target == b->target &&
           in_layer(a) == in_layer(b);
}

size_t joined_rows(const struct model_spec *spec,
                   const struct tensor_rule *rule, size_t layer) {
    const struct family *family = spec->family;
    size_t rows = 0;
    for (size_t i = 0; i < family->rules_count; i++)
        if (same_whole(&family->rules[i], rule) &&
            model_spec_has(spec, &family->rules[i], layer))
            rows += dim_size(spec, family->rules[i].rows);
    return rows;
}

size_t part_begin(const struct model_spec *spec, const struct tensor_rule *rule,
                  size_t layer) {
    const struct family *family = spec->family;
    size_t begin = 0;
    for (size_t i = 0; i < family->rules_count; i++) {
        const struct tensor_rule *other = &family->rules[i];
        if (same_whole(other, rule) && other->part < rule->part &&
            model_spec_has(spec, other, layer))
            begin += dim_size(spec, other->rows);
    }
    return begin;
}

bool stays_mapped(const struct loader *loader, const struct tensor *tensor) {
    return loader->device->host_memory && tensor &&
           tensor->dtype == TENSOR_F32 && !tensor->strided &&
           (uintptr_t)tensor->data % _Alignof(float) == 0 &&
           !has_lora(loader, tensor) && !loader->spec->folded_rows;
}

void place_matrix(const struct loader *loader, struct layout *layout, size_t in,
                  size_t out, struct linear *linear) {
    linear->in = in;
    linear->out = out;
    linear->weights =
        layout_take(layout, 1, device_linear_bytes(loader->device, in, out));
}

/* A matrix an expert. LINEARS [experts], or NULL while measuring. */
static void place_experts(const struct loader *loader, struct layout *layout,
                          const struct tensor_rule *rule,
                          struct linear *linears) {
    const struct model_spec *spec = loader->spec;
    struct linear nowhere;
    bool turned = rule->use == USE_EXPERTS_TURNED;
    size_t rows = dim_size(spec, rule->rows) / spec->experts;
    size_t columns = dim_size(spec, rule->columns);
    for (size_t e = 0; e < spec->experts; e++) {
        struct linear *linear = linears ? &linears[e] : &nowhere;
        *linear = (struct linear){0};
        place_matrix(loader, layout, turned ? rows : columns,
                     turned ? columns : rows, linear);
    }
}

/* Numbers of a table, or of a vector that stands for itself. */
static size_t table_count(const struct model_spec *spec,
                          const struct tensor_rule *rule) {
    size_t rows = dim_size(spec, rule->rows);
    if (rule->use == USE_DISTANCES)
        rows = 2 * spec->distance_reach + 1;
    if (rule->use == USE_TYPES)
        rows = types_used(spec);
    return rows * dim_size(spec, rule->columns);
}

static size_t number_bytes(const struct loader *loader,
                           const struct tensor_rule *rule) {
    return rule->use == USE_VECTOR || rule->use == USE_DISTANCES
               ? sizeof(float)
               : loader->device->narrow_bytes;
}

/* Is it the matrix behind the gate of a feed-forward block? */
static bool is_behind_gate(const struct loader *loader,
                           const struct tensor_rule *rule) {
    return loader->spec->traits & TRAIT_GATED && in_layer(rule) &&
           rule->target == offsetof(struct layer_weights, down);
}

static void place_rule(const struct loader *loader, struct layout *layout,
                       const struct tensor_rule *rule, size_t layer,
                       void *base) {
    const struct model_spec *spec = loader->spec;
    void *target = (char *)base + rule->target;
    struct norm *norm = target;
    size_t rows = dim_size(spec, rule->rows);
    if (!model_spec_has(spec, rule, layer))
        return;
    switch (rule->use) {
    case USE_MATRIX:
        if (rule->part == 0)
            place_matrix(loader, layout, dim_size(spec, rule->columns),
                         joined_rows(spec, rule, layer), target);
        ((struct linear *)target)->behind_gate = is_behind_gate(loader, rule);
        return;
    case USE_BIAS:
        if (rule->part == 0)
            ((struct linear *)target)->bias = layout_take(
                layout, joined_rows(spec, rule, layer), sizeof(float));
        return;
    case USE_NORM_SCALE:
        norm->width = rows;
        norm->epsilon = spec->norm_epsilon;
        norm->rms = spec->family->rms;
        norm->scale = layout_take(layout, rows, sizeof(float));
        return;
    case USE_NORM_SHIFT:
        norm->shift = layout_take(layout, rows, sizeof(float));
        return;
    case USE_TASK_TYPES: /* within the types */
        return;
    case USE_WORD_ROWS:
        place_matrix(loader, layout, dim_size(spec, rule->columns), 1, target);
        return;
    case USE_EXPERTS:
    case USE_EXPERTS_TURNED:
        place_experts(loader, layout, rule, *(struct linear **)target);
        return;
    case USE_TABLE:
        if (stays_mapped(loader, find_rule(loader, rule, 0)))
            return;
        break;
    default:
        break;
    }
    const void *numbers = layout_take(layout, table_count(spec, rule),
                                      number_bytes(loader, rule));
    memcpy(target, &numbers, sizeof numbers);
}

/* Who reads what blocks hand on (struct linear): whatever a family has. */
static void say_readers(const struct model_spec *spec,
                        struct layer_weights *layer) {
    size_t up = layer->experts.count ? 0 : layer->up.out;
    layer->before_attention.feeds = layer->behind_feed.feeds = layer->qkv.out;
    layer->before_feed.feeds = layer->behind_attention.feeds = up;
    layer->twice_behind_attention.feeds = up;
    layer->up.feeds = layer->down.out;
    layer->up.before_gate = spec->traits & TRAIT_GATED;
}

static void place_layer(const struct loader *loader, struct layout *layout,
                        size_t number, struct layer_weights *layer) {
    const struct model_spec *spec = loader->spec;
    const struct family *family = spec->family;
    if (layer_set_has(&spec->experts_at, number)) {
        layer->experts.count = spec->experts;
        layer->experts.chosen = spec->experts_chosen;
        layer->experts.activation = spec->activation;
    }
    for (size_t i = 0; i < family->rules_count; i++)
        if (in_layer(&family->rules[i]))
            place_rule(loader, layout, &family->rules[i], number, layer);
    say_readers(spec, layer);
}

/* Tables that no file has. */
static void place_made(const struct loader *loader, struct layout *layout) {
    const struct model_spec *spec = loader->spec;
    struct weights *weights = loader->weights;
    for (int i = 0; i < 2; i++) {
        const struct rotary_spec *rotary = &spec->rotary[i];
        size_t count = spec->max_length * (rotary->dims / 2);
        if (!rotary->dims)
            continue;
        weights->rotary[i] =
            (struct rotary){.dims = rotary->dims,
                            .positions = spec->max_length,
                            .cosine = layout_take(layout, count, sizeof(float)),
                            .sine = layout_take(layout, count, sizeof(float)),
                            .interleaved = rotary->interleaved};
    }
    if (spec->alibi)
        weights->slopes = layout_take(layout, spec->heads, sizeof(float));
    if (spec->relative_rows)
        weights->relative_row =
            layout_take(layout, 2 * spec->relative_reach + 1, sizeof(uint32_t));
}

/* Descriptions of all layers, with their experts. */
static struct layer_weights *place_notes(const struct loader *loader,
                                         struct layout *notes) {
    const struct model_spec *spec = loader->spec;
    struct layer_weights *layers =
        layout_take(notes, spec->layers, sizeof *layers);
    if (layers)
        memset(layers, 0, spec->layers * sizeof *layers);
    for (size_t i = 0; i < spec->layers; i++) {
        if (!layer_set_has(&spec->experts_at, i))
            continue;
        struct linear *up = layout_take(notes, spec->experts, sizeof *up);
        struct linear *down = layout_take(notes, spec->experts, sizeof *down);
        if (layers) {
            layers[i].experts.up = up;
            layers[i].experts.down = down;
        }
    }
    return layers;
}

static size_t measure_layer(const struct loader *loader, size_t number) {
    struct layout measure = {0};
    struct layer_weights nowhere = {0};
    place_layer(loader, &measure, number, &nowhere);
    return measure.overflow ? SIZE_MAX : measure.bytes;
}

/* A layer that streams takes as much as the largest of them. */
static void place_streamed(const struct loader *loader, struct layout *on_host,
                           size_t number, struct layer_weights *layer) {
    size_t end = on_host->bytes + loader->weights->layer_bytes;
    place_layer(loader, on_host, number, layer);
    if (on_host->bytes < end)
        layout_take(on_host, 1, end - on_host->bytes);
}

/* Where each of the layers that stream lies in the slot, while it is there. */
static void place_slot(const struct loader *loader, struct layout *on_device,
                       struct weights_slot *slot) {
    const struct weights *weights = loader->weights;
    slot->data = layout_take(on_device, 1, weights->layer_bytes);
    for (size_t i = weights->resident;
         slot->layers && i < weights->layers_count; i++) {
        struct layout inside = {.base = slot->data};
        place_layer(loader, &inside, i, &slot->layers[i]);
    }
}

static void place_layers(const struct loader *loader, struct layout *on_device,
                         struct layout *on_host) {
    struct weights *weights = loader->weights;
    struct layer_weights nowhere = {0};
    for (size_t i = 0; i < weights->layers_count; i++) {
        struct layer_weights *layer =
            weights->layers ? &weights->layers[i] : &nowhere;
        if (i == weights->resident && on_host->base && !weights->from_file)
            weights->streamed = on_host->base + on_host->bytes;
        if (i < weights->resident)
            place_layer(loader, on_device, i, layer);
        else if (!weights->from_file)
            place_streamed(loader, on_host, i, layer);
    }
}

void place_weights(const struct loader *loader, struct layout *on_device,
                   struct layout *on_host) {
    const struct family *family = loader->spec->family;
    struct weights *weights = loader->weights;
    unsigned slots = stream_slots(weights);
    weights->layers = place_notes(loader, on_host);
    for (unsigned i = 0; i < slots; i++)
        weights->slots[i].layers = place_notes(loader, on_host);
    weights->layer_bytes = 0;
    for (size_t i = weights->resident; i < weights->layers_count; i++) {
        size_t bytes = measure_layer(loader, i);
        if (bytes > weights->layer_bytes)
            weights->layer_bytes = bytes;
    }
    for (size_t i = 0; i < family->rules_count; i++)
        if (!in_layer(&family->rules[i]))
            place_rule(loader, on_device, &family->rules[i], 0, weights);
    place_made(loader, on_device);
    place_modules(loader, on_device);
    place_layers(loader, on_device, on_host);
    weights->embedding_norm.feeds = model_spec_qkv(loader->spec);
    for (unsigned i = 0; i < slots; i++)
        place_slot(loader, on_device, &weights->slots[i]);
}
