/* weights_place.c - where each tensor goes: into the device's block, into host
 * memory to stream from, or nowhere, where the file is as good a place. */

#include <string.h>

#include "model/weights_parts.h"

size_t dim_size(const struct model_spec *spec, enum dim dim) {
    switch (dim) {
    case DIM_HIDDEN:
        return spec->hidden;
    case DIM_INTER:
        return spec->inter;
    case DIM_VOCAB:
        return spec->vocab;
    case DIM_POSITIONS:
        return spec->positions;
    case DIM_TYPES:
        return spec->types;
    case DIM_EMBEDDING:
        return spec->embedding;
    case DIM_HEADS:
        return spec->heads;
    case DIM_BUCKETS:
        return spec->buckets;
    default:
        return 1;
    }
}

bool in_layer(const struct tensor_rule *rule) {
    return strstr(rule->name, "%zu") != NULL;
}

bool rule_applies(const struct model_spec *spec,
                  const struct tensor_rule *rule) {
    return spec->projects || !rule->projects;
}

/* Rows of the whole matrix that RULE's tensor is a part of. */
static size_t joined_rows(const struct model_spec *spec,
                          const struct tensor_rule *rule) {
    const struct family *family = spec->family;
    size_t rows = 0;
    for (size_t i = 0; i < family->rules_count; i++) {
        const struct tensor_rule *other = &family->rules[i];
        if (other->use == USE_MATRIX && other->target == rule->target &&
            in_layer(other) == in_layer(rule))
            rows += dim_size(spec, other->rows);
    }
    return rows;
}

size_t part_begin(const struct model_spec *spec,
                  const struct tensor_rule *rule) {
    const struct family *family = spec->family;
    size_t begin = 0;
    for (size_t i = 0; i < family->rules_count; i++) {
        const struct tensor_rule *other = &family->rules[i];
        if (other->use == rule->use && other->target == rule->target &&
            in_layer(other) == in_layer(rule) && other->part < rule->part)
            begin += dim_size(spec, other->rows);
    }
    return begin;
}

bool stays_mapped(const struct tensor *tensor) {
    return tensor && tensor->dtype == TENSOR_F32 && !tensor->strided &&
           (uintptr_t)tensor->data % _Alignof(float) == 0;
}

static void place_rule(const struct loader *loader, struct layout *layout,
                       const struct tensor_rule *rule, void *base) {
    const struct model_spec *spec = loader->spec;
    void *target = (char *)base + rule->target;
    struct linear *linear = target;
    struct norm *norm = target;
    size_t rows = dim_size(spec, rule->rows);
    if (!rule_applies(spec, rule))
        return;
    switch (rule->use) {
    case USE_MATRIX:
        if (rule->part > 0)
            return;
        linear->in = dim_size(spec, rule->columns);
        linear->out = joined_rows(spec, rule);
        linear->weights = layout_take(
            layout, 1,
            device_linear_bytes(loader->device, linear->in, linear->out));
        return;
    case USE_BIAS:
        if (rule->part == 0)
            linear->bias =
                layout_take(layout, joined_rows(spec, rule), sizeof(float));
        return;
    case USE_NORM_SCALE:
        norm->width = rows;
        norm->epsilon = spec->norm_epsilon;
        norm->scale = layout_take(layout, rows, sizeof(float));
        return;
    case USE_NORM_SHIFT:
        norm->shift = layout_take(layout, rows, sizeof(float));
        return;
    case USE_DISTANCES:
        rows = DISTANCES;
        break;
    case USE_FIRST_ROW:
        rows = 1;
        break;
    case USE_TABLE:
        if (stays_mapped(find_rule(loader, rule, 0)))
            return;
        break;
    }
    const float *floats = layout_take(
        layout, rows * dim_size(spec, rule->columns), sizeof(float));
    memcpy(target, &floats, sizeof floats);
}

static void place_dense(const struct loader *loader, struct layout *layout) {
    for (size_t i = 0; i < loader->spec->dense_count; i++) {
        const struct dense_spec *dense = &loader->spec->dense[i];
        struct linear *linear = &loader->weights->dense[i];
        *linear = (struct linear){.in = dense->in, .out = dense->out};
        linear->weights = layout_take(
            layout, 1,
            device_linear_bytes(loader->device, dense->in, dense->out));
        if (dense->bias)
            linear->bias = layout_take(layout, dense->out, sizeof(float));
    }
}

static void place_layer(const struct loader *loader, struct layout *layout,
                        struct layer_weights *layer) {
    const struct family *family = loader->spec->family;
    for (size_t i = 0; i < family->rules_count; i++)
        if (in_layer(&family->rules[i]))
            place_rule(loader, layout, &family->rules[i], layer);
}

static void place_slot(const struct loader *loader, struct layout *layout,
                       struct weights_slot *slot) {
    size_t begin = layout->bytes;
    slot->data = layout->base ? layout->base + begin : NULL;
    place_layer(loader, layout, &slot->layer);
    loader->weights->layer_bytes = layout->bytes - begin;
}

void place_weights(const struct loader *loader, struct layout *on_device,
                   struct layout *on_host) {
    const struct family *family = loader->spec->family;
    struct weights *weights = loader->weights;
    struct layer_weights nowhere = {0};
    size_t layers = loader->spec->layers;
    weights->layers = layout_take(on_host, layers, sizeof *weights->layers);
    for (size_t i = 0; i < family->rules_count; i++)
        if (!in_layer(&family->rules[i]))
            place_rule(loader, on_device, &family->rules[i], weights);
    place_dense(loader, on_device);
    for (size_t i = 0; i < layers; i++) {
        struct layout *layout = i < weights->resident ? on_device : on_host;
        if (i == weights->resident && on_host->base)
            weights->streamed = on_host->base + on_host->bytes;
        place_layer(loader, layout,
                    weights->layers ? &weights->layers[i] : &nowhere);
    }
    if (weights->resident < layers)
        for (int i = 0; i < 2; i++)
            place_slot(loader, on_device, &weights->slots[i]);
}
