/* weights_fill.c - from the mapped file to where weights_place.c put them. */

#include <stddef.h>
#include <string.h>

#include "model/weights_parts.h"

enum { STAGE_FLOATS = 64 * 1024 };

/* COUNT numbers of TENSOR from FIRST on, each PLUS more, to the device. */
static void put_numbers(const struct loader *loader,
                        const struct tensor *tensor, size_t first, size_t count,
                        float plus, const float *to) {
    for (size_t done = 0, some; done < count; done += some) {
        some = count - done < loader->stage_floats ? count - done
                                                   : loader->stage_floats;
        tensor_read_f32(tensor, first + done, some, loader->stage);
        for (size_t i = 0; plus != 0 && i < some; i++)
            loader->stage[i] += plus;
        put_stage(loader, to + done, some);
    }
}

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
                      const float *bias) {
    struct piece piece = find_piece(loader, rule, layer);
    size_t half = rule->halves_swapped ? piece.rows / 2 : 0;
    bias += part_begin(loader->spec, rule, layer);
    put_numbers(loader, piece.tensor, piece.first + half, piece.rows - half, 0,
                bias);
    put_numbers(loader, piece.tensor, piece.first, half, 0,
                bias + piece.rows - half);
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
                       const float *scale) {
    put_numbers(loader, tensor, 0, tensor->elements,
                loader->spec->family->scale_plus_one ? 1 : 0, scale);
}

static void fill_distances(const struct loader *loader,
                           const struct tensor *tensor,
                           const float *distances) {
    size_t heads = loader->spec->heads, reach = loader->spec->distance_reach;
    size_t count = 2 * reach + 1, staged = 0, done = 0;
    for (size_t h = 0; h < heads; h++)
        for (size_t i = 0; i < count; i++) {
            size_t bucket =
                distance_bucket(loader->spec, (long)i - (long)reach);
            tensor_read_f32(tensor, bucket * heads + h, 1,
                            loader->stage + staged++);
            if (staged < loader->stage_floats && done + staged < heads * count)
                continue;
            put_stage(loader, distances + done, staged);
            done += staged;
            staged = 0;
        }
}

/* Adds row 0 of ERNIE's table of tasks, where there is one, to ROWS of types.
 */
static void add_task(const struct loader *loader, size_t rows, size_t columns,
                     float *types) {
    const struct family *family = loader->spec->family;
    for (size_t i = 0; i < family->rules_count; i++) {
        const struct tensor_rule *rule = &family->rules[i];
        if (rule->use != USE_TASK_TYPES ||
            !model_spec_has(loader->spec, rule, 0))
            continue;
        const struct tensor *tasks = find_rule(loader, rule, 0);
        for (size_t c = 0; c < columns; c++) {
            float number;
            tensor_read_f32(tasks, c, 1, &number);
            for (size_t row = 0; row < rows; row++)
                types[row * columns + c] += number;
        }
    }
}

/* Rows of a table, to be looked up. */
static void fill_table(const struct loader *loader,
                       const struct tensor_rule *rule,
                       const struct tensor *tensor, void *target) {
    if (rule->use == USE_TABLE && stays_mapped(loader, tensor)) {
        memcpy(target, &tensor->data, sizeof tensor->data);
        return;
    }
    void *table;
    memcpy(&table, target, sizeof table);
    size_t rows = rule->use == USE_TYPES ? types_used(loader->spec)
                                         : dim_size(loader->spec, rule->rows);
    size_t columns = tensor->shape[1], step = loader->stage_floats / columns;
    for (size_t row = 0, some; row < rows; row += some) {
        some = rows - row < step ? rows - row : step;
        if (loader->spec->folded_rows)
            read_folded(loader, tensor, row, some);
        else
            tensor_read_f32(tensor, row * columns, some * columns,
                            loader->stage);
        add_lora(loader, tensor, row, some, loader->stage);
        if (rule->use == USE_TYPES)
            add_task(loader, some, columns, loader->stage);
        device_table_put(loader->weights->device, loader->stage, columns, row,
                         some, table);
    }
    tensors_forget(loader->st, tensor);
}

/* The tensor of USE that belongs to the norm of relative positions. */
static const struct tensor *relative_norm(const struct loader *loader,
                                          enum tensor_use use) {
    const struct family *family = loader->spec->family;
    for (size_t i = 0; i < family->rules_count; i++) {
        const struct tensor_rule *rule = &family->rules[i];
        if (rule->use == use && !in_layer(rule) &&
            rule->target == offsetof(struct weights, relative_norm) &&
            model_spec_has(loader->spec, rule, 0))
            return find_rule(loader, rule, 0);
    }
    return NULL;
}

/* Row by row: the stage has room for its norm besides. */
static void fill_relative(const struct loader *loader,
                          const struct tensor *tensor,
                          const struct narrow *table) {
    const struct weights *weights = loader->weights;
    size_t width = tensor->shape[1];
    float *scale = loader->stage + width, *shift = scale + width;
    const struct tensor *scales = relative_norm(loader, USE_NORM_SCALE);
    const struct tensor *shifts = relative_norm(loader, USE_NORM_SHIFT);
    struct norm norm = weights->relative_norm;
    norm.scale = scale;
    norm.shift = shifts ? shift : NULL;
    if (scales)
        tensor_read_f32(scales, 0, width, scale);
    if (shifts)
        tensor_read_f32(shifts, 0, width, shift);
    for (size_t row = 0; row < tensor->shape[0]; row++) {
        tensor_read_f32(tensor, row * width, width, loader->stage);
        if (scales)
            norm_row(&norm, loader->stage);
        device_table_put(weights->device, loader->stage, width, row, 1,
                         (void *)table);
    }
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
        fill_bias(loader, rule, layer, linear->bias);
        return;
    case USE_NORM_SCALE:
        fill_scale(loader, tensor, norm->scale);
        return;
    case USE_NORM_SHIFT:
        put_numbers(loader, tensor, 0, tensor->elements, 0, norm->shift);
        return;
    case USE_WORD_ROWS:
        fill_word_rows(loader, tensor, linear);
        return;
    case USE_EXPERTS:
    case USE_EXPERTS_TURNED:
        fill_experts(loader, rule, tensor, *(struct linear *const *)target);
        return;
    case USE_VECTOR:
        put_numbers(loader, tensor, 0, tensor->elements, 0,
                    *(const float *const *)target);
        return;
    case USE_DISTANCES:
        fill_distances(loader, tensor, *(const float *const *)target);
        return;
    case USE_RELATIVE:
        fill_relative(loader, tensor, *(const struct narrow *const *)target);
        return;
    case USE_TASK_TYPES:
        return;
    case USE_TABLE:
    case USE_TYPES:
        fill_table(loader, rule, tensor, target);
        return;
    }
}

void fill_layer(const struct loader *loader, size_t number,
                struct layer_weights *layer) {
    const struct family *family = loader->spec->family;
    for (size_t i = 0; i < family->rules_count; i++)
        if (in_layer(&family->rules[i]))
            fill_rule(loader, &family->rules[i], number, layer);
}

/* Layers one after the other: the file is read in one direction. */
static void fill_encoder(const struct loader *loader) {
    const struct family *family = loader->spec->family;
    struct weights *weights = loader->weights;
    for (size_t i = 0; i < family->rules_count; i++)
        if (!in_layer(&family->rules[i]))
            fill_rule(loader, &family->rules[i], 0, weights);
    for (size_t i = 0; i < loader->spec->layers && !weights->from_file; i++)
        fill_layer(loader, i, &weights->layers[i]);
}

void fill_module(const struct loader *loader, size_t i,
                 const struct module_tensors *tensors) {
    const struct tensor *weight = tensors->weight, *bias = tensors->bias;
    const struct module_weights *to = &loader->weights->modules[i];
    bool norm = model_spec_module(loader->spec, i)->what == MODULE_NORM;
    if (norm)
        put_numbers(loader, weight, 0, weight->elements, 0, to->norm.scale);
    else
        fill_rows(loader, weight, 0, weight->shape[0], &to->linear, 0);
    if (bias)
        put_numbers(loader, bias, 0, bias->elements, 0,
                    norm ? to->norm.shift : to->linear.bias);
    if (tensors->shortcut)
        fill_rows(loader, tensors->shortcut, 0, tensors->shortcut->shape[0],
                  &to->shortcut, 0);
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

/* Room for two rows; for three, where rows are normed. */
static size_t floats_of_stage(const struct model_spec *spec) {
    size_t widest = widest_row(spec), rows = spec->relative_rows ? 3 : 2;
    return rows * widest > STAGE_FLOATS ? rows * widest : STAGE_FLOATS;
}

uint64_t stage_bytes(const struct model_spec *spec) {
    return memory_block_bytes((floats_of_stage(spec) + lora_floats(spec)) *
                              sizeof(float));
}

void put_stage(const struct loader *loader, const float *to, size_t count) {
    device_put(loader->weights->device, (void *)to, loader->stage,
               count * sizeof *to);
}

bool fill_weights(struct loader *loader, struct error *err) {
    loader->stage_floats = floats_of_stage(loader->spec);
    loader->stage = memory_alloc(
        loader->weights->memory,
        loader->stage_floats + lora_floats(loader->spec), sizeof(float), err);
    if (!loader->stage)
        return false;
    fill_encoder(loader);
    fill_made(loader);
    return fill_modules(loader, err);
}
