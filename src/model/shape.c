#include "model/shape.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "model/weights_parts.h"

enum { CONFIG_BYTES_MAX = 1 << 20 };

/* ---- sums that stop at UINT64_MAX --------------------------------------- */

static uint64_t times(uint64_t a, uint64_t b) {
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t plus(uint64_t a, uint64_t b) {
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t matrix(uint64_t in, uint64_t out, bool bias) {
    return plus(times(in, out), bias ? out : 0);
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* ---- what a model holds ------------------------------------------------- */

/* Numbers of RULE's tensor in LAYER. */
static uint64_t count_rule(const struct model_spec *spec,
                           const struct tensor_rule *rule, size_t layer) {
    return model_spec_has(spec, rule, layer)
               ? times(dim_size(spec, rule->rows),
                       dim_size(spec, rule->columns))
               : 0;
}

static uint64_t mean_up(uint64_t sum, uint64_t count) {
    return count ? sum / count + (sum % count != 0) : 0;
}

/* A family that we compute holds what its table of tensors says. Where layers
 * differ, each counts as the mean of them. */
static void count_rules(const struct model_spec *spec, struct shape *s) {
    uint64_t layers = 0;
    for (size_t i = 0; i < spec->family->rules_count; i++) {
        const struct tensor_rule *rule = &spec->family->rules[i];
        for (size_t l = 0; in_layer(rule) && l < spec->layers; l++)
            layers = plus(layers, count_rule(spec, rule, l));
        if (!in_layer(rule))
            s->table_count = plus(s->table_count, count_rule(spec, rule, 0));
    }
    s->layer_count = mean_up(layers, spec->layers);
}

void shape_of_spec(const struct model_spec *spec, struct shape *shape) {
    *shape = (struct shape){
        .hidden = spec->hidden,
        .layers = spec->layers,
        .heads = spec->heads,
        .kv_heads = spec->kv_heads,
        .head_dim = spec->head_dim,
        .inter = spec->inter,
        .vocab = spec->vocab,
        .gated = (spec->traits & TRAIT_GATED) != 0,
        .embedding = spec->traits & TRAIT_PROJECTS ? spec->embedding : 0,
        .width = model_spec_head_width(spec)};
    count_rules(spec, shape);
    const struct module_spec *module;
    for (size_t i = 0; (module = model_spec_module(spec, i)); i++) {
        if (!module->source)
            continue;
        shape->table_count =
            plus(shape->table_count,
                 matrix(module->what == MODULE_LINEAR ? module->in : 1,
                        module->out, module->bias));
        if (module->source->shortcut)
            shape->table_count = plus(shape->table_count,
                                      matrix(module->in, module->out, false));
    }
}

/* ---- bytes -------------------------------------------------------------- */

uint64_t shape_weights_bytes(const struct shape *shape, size_t resident,
                             bool slots, size_t storage_bytes) {
    if (resident > shape->layers)
        resident = shape->layers;
    uint64_t layers = (uint64_t)resident + (slots ? 2 : 0);
    return times(plus(shape->table_count, times(layers, shape->layer_count)),
                 storage_bytes);
}

uint64_t shape_workspace_bytes(const struct shape *shape, size_t tokens,
                               size_t longest, size_t storage_bytes) {
    uint64_t heads = 2 * ((uint64_t)shape->heads + shape->kv_heads);
    uint64_t inside = larger(times(heads, shape->head_dim),
                             times(shape->inter, shape->gated ? 2 : 1));
    inside = larger(inside, shape->embedding);
    uint64_t row = times(shape->hidden, sizeof(float));
    row = plus(row, times(shape->hidden, storage_bytes));
    row = plus(row, times(inside, storage_bytes));
    row = plus(row, 2 * sizeof(uint32_t));
    row = plus(row, times(shape->width, sizeof(float)));
    uint64_t attention = times(times(shape->heads, longest),
                               times(shape->head_dim + 2, sizeof(float)));
    return plus(plus(times(tokens, row), attention), sizeof(uint32_t));
}

/* ---- reading ------------------------------------------------------------ */

struct reading {
    const char *path;
    const json_t *config;
};

static void list_known(char *text, size_t capacity) {
    text[0] = '\0';
    for (size_t i = 0; family_at(i); i++)
        snprintf(text + strlen(text), capacity - strlen(text), "%s%s",
                 i ? ", " : "", family_at(i)->model_type);
}

static bool refuse_type(const struct reading *r, const char *type,
                        struct error *err) {
    char known[512];
    list_known(known, sizeof known);
    return type ? error_set(err, ERROR_UNSUPPORTED,
                            "%s: the sizes of architecture \"%s\" are not "
                            "known; known are %s",
                            r->path, type, known)
                : error_set(err, ERROR_INPUT,
                            "%s: \"model_type\" is missing; it should be one "
                            "of %s",
                            r->path, known);
}

static bool read_family(const struct reading *r, struct shape *s,
                        struct error *err) {
    struct model_spec spec;
    if (!model_spec_read_sizes(r->config, r->path, &spec, err))
        return false;
    shape_of_spec(&spec, s);
    s->width = s->hidden;
    return true;
}

static bool read_shape(const struct reading *r, struct shape *s,
                       struct error *err) {
    const char *type = NULL;
    if (!json_member_string(r->config, "model_type", r->path, &type, err))
        return false;
    if (!type || !family_find(type))
        return refuse_type(r, type, err);
    if (!read_family(r, s, err))
        return false;
    if (shape_weights_bytes(s, s->layers, true, sizeof(float)) != UINT64_MAX)
        return true;
    return error_set(err, ERROR_INPUT,
                     "%s: its sizes multiply to more bytes than 64 bits count",
                     r->path);
}

bool shape_read(struct memory *memory, const char *path, struct shape *shape,
                struct error *err) {
    (void)memory; /* jansson takes its own */
    *shape = (struct shape){0};
    json_t *config = json_read_file(path, CONFIG_BYTES_MAX, err);
    struct reading reading = {.path = path, .config = config};
    bool fine =
        config && (json_is_object(config) ||
                   error_set(err, ERROR_INPUT,
                             "%s: a model's config is a JSON object", path));
    fine = fine && read_shape(&reading, shape, err);
    json_decref(config);
    return fine;
}
