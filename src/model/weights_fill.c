/* weights_fill.c - from the mapped file to where weights_place.c put them. */

#include <string.h>

#include "model/weights_parts.h"

enum { STAGE_FLOATS = 64 * 1024 };

/* Pack COUNT rows of a [rows, in] tensor, from FIRST on, behind row BEGIN of
 * LINEAR. */
static void fill_rows(const struct loader *loader, const struct tensor *tensor,
                      size_t first, size_t count, const struct linear *linear,
                      size_t begin) {
    size_t in = tensor->shape[1];
    size_t step = loader->stage_floats / in;
    for (size_t row = 0; row < count; row += step) {
        size_t some = count - row < step ? count - row : step;
        tensor_read_f32(tensor, (first + row) * in, some * in, loader->stage);
        add_lora(loader, tensor, first + row, some, loader->stage);
        device_linear_pack(loader->weights->device, loader->stage, in,
                           linear->out, begin + row, some,
                           (void *)linear->weights);
    }
}

/* Where the rows of RULE's part are: TENSOR's from FIRST on. */
struct piece {
    const struct tensor *tensor;
    size_t first, rows;
};

static struct piece find_piece(const struct loader *loader,
                               const struct tensor_rule *rule, size_t layer) {
    const struct model_spec *spec = loader->spec;
    struct piece piece = {find_rule(loader, rule, layer), 0,
                          dim_size(spec, rule->rows)};
    if (piece.tensor)
        return piece;
    size_t begin = part_begin(spec, rule, layer);
    piece.tensor = find_whole(loader, rule, layer);
    piece.first = rule->whole_reversed
                      ? joined_rows(spec, rule, layer) - begin - piece.rows
                      : begin;
    return piece;
}

static void fill_matrix(const struct loader *loader,
                        const struct tensor_rule *rule, size_t layer,
                        const struct linear *linear) {
    struct piece piece = find_piece(loader, rule, layer);
    size_t begin = part_begin(loader->spec, rule, layer);
    size_t half = rule->halves_swapped ? piece.rows / 2 : 0;
    fill_rows(loader, piece.tensor, piece.first + half, piece.rows - half,
              linear, begin);
    fill_rows(loader, piece.tensor, piece.first, half, linear,
              begin + piece.rows - half);
    tensors_forget(loader->st, piece.tensor);
}

static void fill_bias(const struct loader *loader,
                      const struct tensor_rule *rule, size_t layer,
                      float *bias) {
    struct piece piece = find_piece(loader, rule, layer);
    size_t half = rule->halves_swapped ? piece.rows / 2 : 0;
    bias += part_begin(loader->spec, rule, layer);
    tensor_read_f32(piece.tensor, piece.first + half, piece.rows - half, bias);
    tensor_read_f32(piece.tensor, piece.first, half, bias + piece.rows - half);
}

/* Rows [first, first + count) of a [in, out] matrix that begins at row BEGIN of
 * TENSOR, as columns: [out rows, in]. */
static void fill_turned(const struct loader *loader,
                        const struct tensor *tensor, size_t begin,
                        const struct linear *linear) {
    size_t in = linear->in, out = linear->out;
    size_t step = loader->stage_floats / 2 / in;
    float *line = loader->stage + loader->stage_floats / 2;
    for (size_t row = 0; row < out; row += step) {
        size_t some = out - row < step ? out - row : step;
        for (size_t i = 0; i < in; i++) {
            tensor_read_f32(tensor, (begin + i) * out + row, some, line);
            for (size_t r = 0; r < some; r++)
                loader->stage[r * in + i] = line[r];
        }
        device_linear_pack(loader->weights->device, loader->stage, in, out, row,
                           some, (void *)linear->weights);
    }
}

static void fill_experts(const struct loader *loader,
                         const struct tensor_rule *rule,
                         const struct tensor *tensor,
                         const struct linear *linears) {
    size_t experts = loader->spec->experts, rows = tensor->shape[0] / experts;
    for (size_t e = 0; e < experts; e++)
        if (rule->use == USE_EXPERTS_TURNED)
            fill_turned(loader, tensor, e * rows, &linears[e]);
        else
            fill_rows(loader, tensor, e * rows, rows, &linears[e], 0);
    tensors_forget(loader->st, tensor);
}

/* The row of yes less that of no. */
static void fill_word_rows(const struct loader *loader,
                           const struct tensor *tensor,
                           const struct linear *linear) {
    const struct model_spec *spec = loader->spec;
    size_t in = linear->in;
    float *yes = loader->stage, *no = loader->stage + loader->stage_floats / 2;
    tensor_read_f32(tensor, spec->yes_id * in, in, yes);
    if (spec->no_id != SIZE_MAX) {
        tensor_read_f32(tensor, spec->no_id * in, in, no);
        for (size_t i = 0; i < in; i++)
            yes[i] -= no[i];
    }
    device_linear_pack(loader->weights->device, yes, in, 1, 0, 1,
                       (void *)linear->weights);
}

/* Gemma stores its norms' scales less 1. */
static void fill_scale(const struct loader *loader, const struct tensor *tensor,
                       float *scale) {
    tensor_read_f32(tensor, 0, tensor->elements, scale);
    for (size_t i = 0;
         loader->spec->family->scale_plus_one && i < tensor->elements; i++)
        scale[i] += 1;
}

static void fill_distances(const struct loader *loader,
                           const struct tensor *tensor, float *distances) {
    size_t heads = loader->spec->heads, reach = loader->spec->distance_reach;
    size_t count = 2 * reach + 1;
    for (size_t i = 0; i < count; i++) {
        size_t bucket = distance_bucket(loader->spec, (long)i - (long)reach);
        tensor_read_f32(tensor, bucket * heads, heads, loader->stage);
        for (size_t h = 0; h < heads; h++)
            distances[h * count + i] = loader->stage[h];
    }
}

/* A table, or a vector that stands for itself. */
static void fill_table(const struct loader *loader,
                       const struct tensor_rule *rule,
                       const struct tensor *tensor, void *target) {
    const struct model_spec *spec = loader->spec;
    float *const *table = target;
    if (rule->use == USE_TABLE && stays_mapped(loader, tensor)) {
        memcpy(target, &tensor->data, sizeof tensor->data);
        return;
    }
    if (rule->use == USE_DISTANCES) {
        fill_distances(loader, tensor, *table);
        return;
    }
    size_t columns = tensor->rank == 2 ? tensor->shape[1] : 1;
    size_t rows = rule->use == USE_TYPES ? types_used(spec) : tensor->shape[0];
    tensor_read_f32(tensor, 0, rows * columns, *table);
    add_lora(loader, tensor, 0, rows, *table);
    tensors_forget(loader->st, tensor);
}

static void fill_rule(const struct loader *loader,
                      const struct tensor_rule *rule, size_t layer,
                      void *base) {
    const struct model_spec *spec = loader->spec;
    const struct tensor *tensor = find_rule(loader, rule, layer);
    void *target = (char *)base + rule->target;
    const struct linear *linear = target;
    const struct norm *norm = target;
    if (!model_spec_has(spec, rule, layer))
        return;
    switch (rule->use) {
    case USE_MATRIX:
        fill_matrix(loader, rule, layer, linear);
        return;
    case USE_BIAS:
        fill_bias(loader, rule, layer, (float *)linear->bias);
        return;
    case USE_NORM_SCALE:
        fill_scale(loader, tensor, (float *)norm->scale);
        return;
    case USE_NORM_SHIFT:
        tensor_read_f32(tensor, 0, tensor->elements, (float *)norm->shift);
        return;
    case USE_WORD_ROWS:
        fill_word_rows(loader, tensor, linear);
        return;
    case USE_EXPERTS:
    case USE_EXPERTS_TURNED:
        fill_experts(loader, rule, tensor, *(struct linear *const *)target);
        return;
    default:
        fill_table(loader, rule, tensor, target);
        return;
    }
}

/* Layers one after the other: the file is read in one direction. */
static void fill_encoder(const struct loader *loader) {
    const struct family *family = loader->spec->family;
    struct weights *weights = loader->weights;
    for (size_t i = 0; i < family->rules_count; i++)
        if (!in_layer(&family->rules[i]))
            fill_rule(loader, &family->rules[i], 0, weights);
    for (size_t layer = 0; layer < loader->spec->layers; layer++)
        for (size_t i = 0; i < family->rules_count; i++)
            if (in_layer(&family->rules[i]))
                fill_rule(loader, &family->rules[i], layer,
                          &weights->layers[layer]);
}

void fill_module(const struct loader *loader, size_t i,
                 const struct tensor *weight, const struct tensor *bias) {
    const struct module_weights *to = &loader->weights->modules[i];
    bool norm = model_spec_module(loader->spec, i)->what == MODULE_NORM;
    if (norm)
        tensor_read_f32(weight, 0, weight->elements, (float *)to->norm.scale);
    else
        fill_rows(loader, weight, 0, weight->shape[0], &to->linear, 0);
    if (bias)
        tensor_read_f32(bias, 0, bias->elements,
                        (float *)(norm ? to->norm.shift : to->linear.bias));
}

size_t widest_row(const struct model_spec *spec) {
    size_t sizes[] = {spec->inter,       spec->hidden,
                      spec->embedding,   model_spec_head_width(spec),
                      spec->multi_width, spec->heads * spec->head_dim};
    size_t widest = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        widest = sizes[i] > widest ? sizes[i] : widest;
    const struct module_spec *module;
    for (size_t i = 0; (module = model_spec_module(spec, i)); i++)
        widest = module->in > widest ? module->in : widest;
    return widest;
}

/* Room for two rows. */
size_t stage_floats(const struct model_spec *spec) {
    size_t widest = widest_row(spec);
    return 2 * widest > STAGE_FLOATS ? 2 * widest : STAGE_FLOATS;
}

bool fill_weights(struct loader *loader, struct error *err) {
    loader->stage_floats = stage_floats(loader->spec);
    loader->stage = memory_alloc(
        loader->weights->memory,
        loader->stage_floats + lora_floats(loader->spec), sizeof(float), err);
    if (!loader->stage)
        return false;
    fill_encoder(loader);
    fill_made(loader->spec, loader->weights);
    return fill_modules(loader, err);
}
