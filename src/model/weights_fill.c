/* weights_fill.c - from the mapped file to where weights_place.c put them. */

#include <string.h>

#include "model/weights_parts.h"

enum { STAGE_FLOATS = 64 * 1024 };

/* Pack a [rows, in] tensor behind row BEGIN of LINEAR. */
static void fill_matrix(const struct loader *loader, const struct tensors *st,
                        const struct tensor *tensor,
                        const struct linear *linear, size_t begin) {
    size_t rows = tensor->shape[0], in = tensor->shape[1];
    size_t step = loader->stage_floats / in;
    struct device *device = loader->weights->device;
    for (size_t row = 0; row < rows; row += step) {
        size_t count = rows - row < step ? rows - row : step;
        tensor_read_f32(tensor, row * in, count * in, loader->stage);
        device_linear_pack(device, loader->stage, in, linear->out, begin + row,
                           count, (void *)linear->weights);
    }
    tensors_forget(st, tensor);
}

/* 32 buckets, half of them for keys behind the query: distances below 8 have
 * one each, then one ends with each half power of 2 (so 128 is past the last).
 * n * n >= 64 * 2^k says 2 log2(n / 8) >= k without rounding. */
static size_t bucket_of(long behind) {
    size_t n = (size_t)(behind < 0 ? -behind : behind);
    size_t bucket = n < 8 ? n : 8;
    while (bucket >= 8 && bucket < 15 && n * n >= (size_t)64 << (bucket - 7))
        bucket++;
    return bucket + (behind > 0 ? 16 : 0);
}

static void fill_distances(const struct loader *loader,
                           const struct tensor *tensor, float *distances) {
    size_t heads = loader->spec->heads;
    for (size_t i = 0; i < DISTANCES; i++) {
        size_t bucket = bucket_of((long)i - DISTANCE_REACH);
        tensor_read_f32(tensor, bucket * heads, heads, loader->stage);
        for (size_t h = 0; h < heads; h++)
            distances[h * DISTANCES + i] = loader->stage[h];
    }
}

static void fill_rule(const struct loader *loader,
                      const struct tensor_rule *rule,
                      const struct tensor *tensor, void *base) {
    const struct model_spec *spec = loader->spec;
    void *target = (char *)base + rule->target;
    const struct linear *linear = target;
    const struct norm *norm = target;
    const float *const *table = target;
    size_t columns = dim_size(spec, rule->columns);
    if (!rule_applies(spec, rule))
        return;
    switch (rule->use) {
    case USE_MATRIX:
        fill_matrix(loader, loader->st, tensor, linear, part_begin(spec, rule));
        return;
    case USE_BIAS:
        tensor_read_f32(tensor, 0, tensor->elements,
                        (float *)linear->bias + part_begin(spec, rule));
        return;
    case USE_NORM_SCALE:
        tensor_read_f32(tensor, 0, tensor->elements, (float *)norm->scale);
        return;
    case USE_NORM_SHIFT:
        tensor_read_f32(tensor, 0, tensor->elements, (float *)norm->shift);
        return;
    case USE_DISTANCES:
        fill_distances(loader, tensor, (float *)*table);
        return;
    case USE_FIRST_ROW:
        tensor_read_f32(tensor, 0, columns, (float *)*table);
        return;
    case USE_TABLE:
        break;
    }
    if (stays_mapped(tensor)) {
        memcpy(target, &tensor->data, sizeof tensor->data);
        return;
    }
    tensor_read_f32(tensor, 0, tensor->elements, (float *)*table);
    tensors_forget(loader->st, tensor);
}

/* Layers one after the other: the file is read in one direction. */
static void fill_encoder(const struct loader *loader) {
    const struct family *family = loader->spec->family;
    for (size_t i = 0; i < family->rules_count; i++)
        if (!in_layer(&family->rules[i]))
            fill_rule(loader, &family->rules[i],
                      find_rule(loader, &family->rules[i], 0), loader->weights);
    for (size_t layer = 0; layer < loader->spec->layers; layer++)
        for (size_t i = 0; i < family->rules_count; i++)
            if (in_layer(&family->rules[i]))
                fill_rule(loader, &family->rules[i],
                          find_rule(loader, &family->rules[i], layer),
                          &loader->weights->layers[layer]);
}

static bool fill_dense(const struct loader *loader, size_t i,
                       struct error *err) {
    const struct tensor *weight, *bias;
    struct tensors *st =
        open_dense(loader, i, loader->weights->memory, &weight, &bias, err);
    if (!st)
        return false;
    const struct linear *linear = &loader->weights->dense[i];
    fill_matrix(loader, st, weight, linear, 0);
    if (bias)
        tensor_read_f32(bias, 0, bias->elements, (float *)linear->bias);
    tensors_close(st);
    return true;
}

size_t stage_floats(const struct model_spec *spec) {
    size_t widest = spec->inter > spec->hidden ? spec->inter : spec->hidden;
    if (spec->embedding > widest)
        widest = spec->embedding;
    if (model_spec_head_width(spec) > widest)
        widest = model_spec_head_width(spec);
    return widest > STAGE_FLOATS ? widest : STAGE_FLOATS;
}

bool fill_weights(struct loader *loader, struct error *err) {
    loader->stage_floats = stage_floats(loader->spec);
    loader->stage = memory_alloc(loader->weights->memory, loader->stage_floats,
                                 sizeof(float), err);
    if (!loader->stage)
        return false;
    fill_encoder(loader);
    for (size_t i = 0; i < loader->spec->dense_count; i++)
        if (!fill_dense(loader, i, err))
            return false;
    return true;
}
