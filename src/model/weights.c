#include "model/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/layout.h"
#include "base/str.h"
#include "model/family.h"
#include "model/spec.h"

enum {
    NAME_MAX_BYTES = 256,
    STAGE_FLOATS = 64 * 1024, /* rows on their way from file to device */
    PROBLEMS_NAMED = 6,
};

struct loader {
    const struct model_spec *spec;
    const struct model_files *files;
    struct device *device;
    struct weights *weights;
    struct safetensors *st;
    const char *prefix;
    bool *used;   /* [safetensors_count] */
    float *stage; /* [stage_floats] */
    size_t stage_floats;
    struct strbuf missing, unexpected;
    size_t missing_count, unexpected_count;
};

static size_t dim_size(const struct model_spec *spec, enum dim dim) {
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
    default:
        return 1;
    }
}

static bool in_layer(const struct tensor_rule *rule) {
    return strstr(rule->name, "%zu") != NULL;
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

/* The row of the joined matrix where RULE's part begins. */
static size_t part_begin(const struct model_spec *spec,
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

/* ---- names -------------------------------------------------------------- */

/* PATTERN with the layer's number in the place of %zu. */
static void rule_name(const char *pattern, size_t layer,
                      char name[NAME_MAX_BYTES]) {
    const char *slot = strstr(pattern, "%zu");
    if (slot)
        snprintf(name, NAME_MAX_BYTES, "%.*s%zu%s", (int)(slot - pattern),
                 pattern, layer, slot + 3);
    else
        snprintf(name, NAME_MAX_BYTES, "%s", pattern);
}

static const struct tensor *find_named(const struct safetensors *st,
                                       const char *prefix, const char *pattern,
                                       size_t layer) {
    char bare[NAME_MAX_BYTES], name[2 * NAME_MAX_BYTES];
    if (!pattern)
        return NULL;
    rule_name(pattern, layer, bare);
    snprintf(name, sizeof name, "%s%s", prefix, bare);
    return safetensors_find(st, name);
}

static const struct tensor *find_rule(const struct safetensors *st,
                                      const char *prefix,
                                      const struct tensor_rule *rule,
                                      size_t layer) {
    const struct tensor *tensor = find_named(st, prefix, rule->name, layer);
    return tensor ? tensor : find_named(st, prefix, rule->old_name, layer);
}

static const char *find_prefix(const struct safetensors *st,
                               const struct family *family) {
    for (size_t i = 0; family->prefixes[i]; i++)
        if (find_rule(st, family->prefixes[i], &family->rules[0], 0))
            return family->prefixes[i];
    return family->prefixes[0];
}

static bool is_ignored(const struct family *family, const char *prefix,
                       const char *name) {
    struct str whole = str_from(name), bare = whole;
    if (str_starts(whole, str_from(prefix)))
        bare = str_from(name + strlen(prefix));
    for (size_t i = 0; family->ignored[i]; i++) {
        struct str begin = str_from(family->ignored[i]);
        if (str_starts(whole, begin) || str_starts(bare, begin))
            return true;
    }
    return false;
}

/* ---- placing ------------------------------------------------------------ */

/* A table can stay in the file if its floats can be read where they are. */
static bool stays_mapped(const struct tensor *tensor) {
    return tensor && tensor->dtype == TENSOR_F32 &&
           (uintptr_t)tensor->data % _Alignof(float) == 0;
}

static void place_rule(const struct loader *loader, struct layout *layout,
                       const struct tensor_rule *rule, void *base) {
    const struct model_spec *spec = loader->spec;
    void *target = (char *)base + rule->target;
    struct linear *linear = target;
    struct norm *norm = target;
    size_t rows = dim_size(spec, rule->rows);
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
    case USE_FIRST_ROW:
        rows = 1;
        break;
    case USE_TABLE:
        if (stays_mapped(find_rule(loader->st, loader->prefix, rule, 0)))
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

/* Runs twice: first with an empty layout, to measure. */
static void place(const struct loader *loader, struct layout *layout) {
    const struct family *family = loader->spec->family;
    struct weights *weights = loader->weights;
    struct layer_weights nowhere = {0};
    size_t layers = loader->spec->layers;
    weights->layers = layout_take(layout, layers, sizeof *weights->layers);
    for (size_t i = 0; i < family->rules_count; i++)
        if (!in_layer(&family->rules[i]))
            place_rule(loader, layout, &family->rules[i], weights);
    for (size_t layer = 0; layer < layers; layer++)
        for (size_t i = 0; i < family->rules_count; i++)
            if (in_layer(&family->rules[i]))
                place_rule(loader, layout, &family->rules[i],
                           weights->layers ? &weights->layers[layer]
                                           : &nowhere);
    place_dense(loader, layout);
}

/* ---- filling ------------------------------------------------------------ */

static void name_problem(struct strbuf *list, size_t *count, const char *name) {
    if (++*count <= PROBLEMS_NAMED)
        strbuf_printf(list, "%s%s", *count > 1 ? ", " : "", name);
    else if (*count == PROBLEMS_NAMED + 1)
        strbuf_add(list, STR(", ..."));
}

/* RULE's tensor if it is there in the right shape and a type that we read. */
static bool check_tensor(const struct tensor *tensor, size_t rows,
                         size_t columns, const char *file, struct error *err) {
    bool fits = columns ? tensor->rank == 2 && tensor->shape[0] == rows &&
                              tensor->shape[1] == columns
                        : tensor->rank == 1 && tensor->shape[0] == rows;
    char shape[160], want[64];
    if (!fits) {
        tensor_shape_text(tensor, shape, sizeof shape);
        snprintf(want, sizeof want, columns ? "[%zu, %zu]" : "[%zu]", rows,
                 columns);
        return error_set(err, ERROR_INPUT,
                         "%s: tensor %s has shape %s, but the config asks for "
                         "%s; config and weights do not belong together",
                         file, tensor->name, shape, want);
    }
    if (tensor->dtype != TENSOR_F32 && tensor->dtype != TENSOR_F16 &&
        tensor->dtype != TENSOR_BF16)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: tensor %s is %s; F32, F16 and BF16 are supported",
                         file, tensor->name, tensor->dtype_name);
    return true;
}

/* Pack a [rows, in] tensor behind row BEGIN of LINEAR. */
static void fill_matrix(const struct loader *loader,
                        const struct safetensors *st,
                        const struct tensor *tensor,
                        const struct linear *linear, size_t begin) {
    size_t rows = tensor->shape[0], in = tensor->shape[1];
    size_t step = loader->stage_floats / in;
    for (size_t row = 0; row < rows; row += step) {
        size_t count = rows - row < step ? rows - row : step;
        tensor_read_f32(tensor, row * in, count * in, loader->stage);
        device_linear_pack(loader->device, loader->stage, in, linear->out,
                           begin + row, count, (void *)linear->weights);
    }
    safetensors_forget(st, tensor);
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
    safetensors_forget(loader->st, tensor);
}

static bool report_problems(const struct loader *loader, struct error *err) {
    if (!loader->missing_count && !loader->unexpected_count)
        return true;
    return error_set(
        err, ERROR_INPUT, "%s: weights do not match the config:%s%s%s%s%s",
        loader->files->folder, loader->missing_count ? " missing " : "",
        strbuf_str(&loader->missing).data,
        loader->missing_count && loader->unexpected_count ? ";" : "",
        loader->unexpected_count ? " unexpected " : "",
        strbuf_str(&loader->unexpected).data);
}

/* RULE's tensor of LAYER, if it is there and fits; it is noted if not there. */
static bool check_rule(struct loader *loader, const struct tensor_rule *rule,
                       size_t layer, struct error *err) {
    const struct model_spec *spec = loader->spec;
    const struct tensor *tensor =
        find_rule(loader->st, loader->prefix, rule, layer);
    if (!tensor) {
        char name[NAME_MAX_BYTES];
        rule_name(rule->name, layer, name);
        name_problem(&loader->missing, &loader->missing_count, name);
        return true;
    }
    size_t columns =
        rule->columns == DIM_NONE ? 0 : dim_size(spec, rule->columns);
    loader->used[tensor - safetensors_at(loader->st, 0)] = true;
    return check_tensor(tensor, dim_size(spec, rule->rows), columns,
                        loader->files->weights[tensor->file], err);
}

/* Every tensor that the table asks for is there and fits, and there is no
 * other. */
static bool check_encoder(struct loader *loader, struct error *err) {
    const struct family *family = loader->spec->family;
    for (size_t i = 0; i < family->rules_count; i++) {
        const struct tensor_rule *rule = &family->rules[i];
        size_t times = in_layer(rule) ? loader->spec->layers : 1;
        for (size_t layer = 0; layer < times; layer++)
            if (!check_rule(loader, rule, layer, err))
                return false;
    }
    for (size_t i = 0; i < safetensors_count(loader->st); i++) {
        const char *name = safetensors_at(loader->st, i)->name;
        if (!loader->used[i] && !is_ignored(family, loader->prefix, name))
            name_problem(&loader->unexpected, &loader->unexpected_count, name);
    }
    return report_problems(loader, err);
}

static void fill_encoder(const struct loader *loader) {
    const struct family *family = loader->spec->family;
    for (size_t i = 0; i < family->rules_count; i++) {
        const struct tensor_rule *rule = &family->rules[i];
        if (!in_layer(rule))
            fill_rule(loader, rule,
                      find_rule(loader->st, loader->prefix, rule, 0),
                      loader->weights);
        for (size_t layer = 0; in_layer(rule) && layer < loader->spec->layers;
             layer++)
            fill_rule(loader, rule,
                      find_rule(loader->st, loader->prefix, rule, layer),
                      &loader->weights->layers[layer]);
    }
}

/* A Dense module has a file of its own, with exactly these tensors. FILL false:
 * only check. */
static bool take_dense(const struct loader *loader, struct memory *memory,
                       size_t i, bool fill, struct error *err) {
    const struct dense_files *files = &loader->files->dense[i];
    const struct dense_spec *spec = &loader->spec->dense[i];
    struct safetensors *st =
        safetensors_open(memory, files->weights, files->weights_count, err);
    if (!st)
        return false;
    const struct tensor *weight = safetensors_find(st, "linear.weight");
    const struct tensor *bias = safetensors_find(st, "linear.bias");
    const char *file = files->weights[0];
    bool fine = weight && (bias != NULL) == spec->bias &&
                safetensors_count(st) == (spec->bias ? 2 : 1);
    if (!fine)
        error_set(err, ERROR_INPUT,
                  "%s: expected exactly linear.weight%s for this Dense module",
                  file, spec->bias ? " and linear.bias" : "");
    fine = fine && check_tensor(weight, spec->out, spec->in, file, err) &&
           (!bias || check_tensor(bias, spec->out, 0, file, err));
    if (fine && fill) {
        const struct linear *linear = &loader->weights->dense[i];
        fill_matrix(loader, st, weight, linear, 0);
        if (bias)
            tensor_read_f32(bias, 0, bias->elements, (float *)linear->bias);
    }
    safetensors_close(st);
    return fine;
}

/* ---- the two entrances -------------------------------------------------- */

static struct loader make_loader(const struct model_spec *spec,
                                 const struct model_files *files,
                                 struct device *device,
                                 struct weights *weights) {
    struct memory *memory = weights->memory;
    return (struct loader){.spec = spec,
                           .files = files,
                           .device = device,
                           .weights = weights,
                           .missing = strbuf_make(memory),
                           .unexpected = strbuf_make(memory)};
}

static void close_loader(struct loader *loader) {
    struct memory *memory = loader->weights->memory;
    memory_free(memory, loader->stage);
    memory_free(memory, loader->used);
    strbuf_free(&loader->missing);
    strbuf_free(&loader->unexpected);
}

static bool open_files(struct loader *loader, struct error *err) {
    loader->st =
        safetensors_open(loader->weights->memory, loader->files->weights,
                         loader->files->weights_count, err);
    if (!loader->st)
        return false;
    loader->prefix = find_prefix(loader->st, loader->spec->family);
    return true;
}

static bool check(struct loader *loader, struct error *err) {
    struct memory *memory = loader->weights->memory;
    loader->used = memory_zalloc(memory, safetensors_count(loader->st),
                                 sizeof *loader->used, err);
    bool fine = loader->used && check_encoder(loader, err);
    for (size_t i = 0; fine && i < loader->spec->dense_count; i++)
        fine = take_dense(loader, memory, i, false, err);
    return fine;
}

bool weights_check(struct memory *memory, const struct model_spec *spec,
                   const struct model_files *files, struct error *err) {
    struct weights nowhere = {.memory = memory};
    struct loader loader = make_loader(spec, files, NULL, &nowhere);
    bool fine = open_files(&loader, err) && check(&loader, err);
    safetensors_close(loader.st);
    close_loader(&loader);
    return fine;
}

bool weights_measure(const struct model_spec *spec,
                     const struct model_files *files,
                     const struct device *device, struct weights_need *need,
                     struct error *err) {
    struct memory memory = {0};
    struct weights nowhere = {.memory = &memory};
    struct loader loader =
        make_loader(spec, files, (struct device *)(uintptr_t)device, &nowhere);
    if (!open_files(&loader, err))
        return false;
    struct layout layout = {0};
    place(&loader, &layout);
    safetensors_close(loader.st);
    *need = (struct weights_need){.block_bytes = layout.bytes};
    for (size_t i = 0; i < files->weights_count; i++) {
        uint64_t bytes;
        if (!file_size(files->weights[i], &bytes, err))
            return false;
        need->mapped_bytes += bytes;
    }
    return !layout.overflow ||
           error_set(err, ERROR_INPUT, "%s: the config's sizes overflow",
                     files->config_path);
}

static bool make_block(struct loader *loader, struct error *err) {
    struct weights *weights = loader->weights;
    struct layout measure = {0};
    place(loader, &measure);
    if (measure.overflow)
        return error_set(err, ERROR_INPUT, "%s: the config's sizes overflow",
                         loader->files->config_path);
    weights->block = memory_alloc(weights->memory, 1, measure.bytes, err);
    if (!weights->block)
        return false;
    memset(weights->block, 0, loader->spec->layers * sizeof *weights->layers);
    struct layout real = {.base = weights->block};
    place(loader, &real);
    return true;
}

static bool fill(struct loader *loader, struct error *err) {
    struct memory *memory = loader->weights->memory;
    const struct model_spec *spec = loader->spec;
    size_t widest = spec->inter > spec->hidden ? spec->inter : spec->hidden;
    if (model_spec_head_width(spec) > widest)
        widest = model_spec_head_width(spec);
    loader->stage_floats = widest > STAGE_FLOATS ? widest : STAGE_FLOATS;
    loader->stage =
        memory_alloc(memory, loader->stage_floats, sizeof(float), err);
    if (!loader->stage)
        return false;
    fill_encoder(loader);
    for (size_t i = 0; i < spec->dense_count; i++)
        if (!take_dense(loader, memory, i, true, err))
            return false;
    return true;
}

static void finish_embedding(struct weights *weights,
                             const struct model_spec *spec) {
    weights->embedding.width = spec->hidden;
    weights->embedding.vocab = spec->vocab;
    weights->embedding.positions = spec->positions;
}

struct weights *weights_load(struct memory *memory,
                             const struct model_spec *spec,
                             const struct model_files *files,
                             struct device *device, struct error *err) {
    struct weights *weights = memory_zalloc(memory, 1, sizeof *weights, err);
    if (!weights)
        return NULL;
    weights->memory = memory;
    struct loader loader = make_loader(spec, files, device, weights);
    bool fine = open_files(&loader, err) && check(&loader, err) &&
                make_block(&loader, err) && fill(&loader, err);
    weights->file = loader.st;
    finish_embedding(weights, spec);
    close_loader(&loader);
    if (fine)
        return weights;
    weights_free(weights);
    return NULL;
}

void weights_free(struct weights *weights) {
    if (!weights)
        return;
    safetensors_close(weights->file);
    memory_free(weights->memory, weights->block);
    memory_free(weights->memory, weights);
}
