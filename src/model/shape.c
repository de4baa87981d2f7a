#include "model/shape.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

enum {
    CONFIG_BYTES_MAX = 1 << 20,
    SIZE_LIMIT = 1 << 24, /* no model has a size above these */
    LAYERS_LIMIT = 4096,
};

/* What config.json does not say in numbers. */
struct kind {
    const char *model_type;
    bool bert;     /* biases, norms with a shift, position and type tables */
    bool gated;    /* two matrices up */
    bool qkv_bias; /* in a model that has no other biases */
    bool qk_norm;
};

static const struct kind kinds[] = {
    {.model_type = "bert", .bert = true},
    {.model_type = "roberta", .bert = true},
    {.model_type = "xlm-roberta", .bert = true},
    {.model_type = "qwen2", .gated = true, .qkv_bias = true},
    {.model_type = "qwen3", .gated = true, .qk_norm = true},
};

static const struct kind *find_kind(const char *model_type) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].model_type, model_type))
            return &kinds[i];
    return NULL;
}

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

static void count_layer(struct shape *s, const struct kind *kind) {
    uint64_t query = times(s->heads, s->head_dim);
    uint64_t keys = times(2, times(s->kv_heads, s->head_dim));
    uint64_t norm = kind->bert ? 2 * s->hidden : s->hidden;
    uint64_t n =
        matrix(s->hidden, plus(query, keys), kind->bert || kind->qkv_bias);
    n = plus(n, matrix(query, s->hidden, kind->bert));
    n = plus(
        n, matrix(s->hidden, times(s->inter, kind->gated ? 2 : 1), kind->bert));
    n = plus(n, matrix(s->inter, s->hidden, kind->bert));
    n = plus(n, times(2, norm));
    s->layer_count = plus(n, kind->qk_norm ? 2 * s->head_dim : 0);
}

/* One norm stands outside of the layers: BERT's behind the embedding, Qwen's
 * behind the last layer. */
static void count_tables(struct shape *s, const struct kind *kind,
                         size_t types) {
    uint64_t rows = s->vocab;
    if (kind->bert)
        rows += s->positions + types;
    s->table_count =
        plus(times(rows, s->hidden), kind->bert ? 2 * s->hidden : s->hidden);
}

void shape_of_spec(const struct model_spec *spec, struct shape *shape) {
    *shape = (struct shape){.hidden = spec->hidden,
                            .layers = spec->layers,
                            .heads = spec->heads,
                            .kv_heads = spec->heads,
                            .head_dim = spec->head_dim,
                            .inter = spec->inter,
                            .vocab = spec->vocab,
                            .positions = spec->positions,
                            .width = model_spec_head_width(spec)};
    const struct kind *kind = find_kind(spec->family->model_type);
    assert(kind); /* a family that we compute has a row there */
    shape->gated = kind->gated;
    count_layer(shape, kind);
    count_tables(shape, kind, spec->types);
    for (size_t i = 0; i < spec->dense_count; i++)
        shape->table_count = plus(
            shape->table_count,
            matrix(spec->dense[i].in, spec->dense[i].out, spec->dense[i].bias));
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

/* *OUT is what a missing member means; 0: it must be there. */
static bool read_size(const struct reading *r, const char *key, size_t limit,
                      size_t *out, struct error *err) {
    if (!json_member_size(r->config, key, r->path, out, err))
        return false;
    if (*out >= 1 && *out <= limit)
        return true;
    return error_set(err, ERROR_INPUT,
                     "%s: \"%s\" is %s; account= wants the config.json of a "
                     "transformer",
                     r->path, key, *out ? "too large" : "missing or 0");
}

static bool read_sizes(const struct reading *r, struct shape *s,
                       struct error *err) {
    if (!read_size(r, "hidden_size", SIZE_LIMIT, &s->hidden, err) ||
        !read_size(r, "num_hidden_layers", LAYERS_LIMIT, &s->layers, err) ||
        !read_size(r, "num_attention_heads", SIZE_LIMIT, &s->heads, err) ||
        !read_size(r, "intermediate_size", SIZE_LIMIT, &s->inter, err) ||
        !read_size(r, "vocab_size", SIZE_LIMIT, &s->vocab, err) ||
        !read_size(r, "max_position_embeddings", SIZE_LIMIT, &s->positions,
                   err))
        return false;
    s->kv_heads = s->heads;
    s->head_dim = s->hidden / s->heads;
    s->width = s->hidden;
    return read_size(r, "num_key_value_heads", SIZE_LIMIT, &s->kv_heads, err) &&
           read_size(r, "head_dim", SIZE_LIMIT, &s->head_dim, err);
}

static const struct kind *read_kind(const struct reading *r,
                                    struct error *err) {
    const char *type = NULL;
    char known[128] = "";
    if (!json_member_string(r->config, "model_type", r->path, &type, err))
        return NULL;
    const struct kind *kind = type ? find_kind(type) : NULL;
    if (kind)
        return kind;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                 i ? ", " : "", kinds[i].model_type);
    if (type)
        error_set(err, ERROR_UNSUPPORTED,
                  "%s: the sizes of architecture \"%s\" are not known; "
                  "known are %s",
                  r->path, type, known);
    else
        error_set(err, ERROR_INPUT,
                  "%s: \"model_type\" is missing; it should be one of %s",
                  r->path, known);
    return NULL;
}

static bool read_shape(const struct reading *r, struct shape *s,
                       struct error *err) {
    size_t types = 2; /* transformers' default */
    const struct kind *kind = read_kind(r, err);
    if (!kind || !read_sizes(r, s, err) ||
        (kind->bert &&
         !read_size(r, "type_vocab_size", SIZE_LIMIT, &types, err)))
        return false;
    s->gated = kind->gated;
    count_layer(s, kind);
    count_tables(s, kind, types);
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
