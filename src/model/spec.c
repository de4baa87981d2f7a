#include "model/spec.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

/* No model has a size, or as many layers, above these. */
enum { SIZE_LIMIT = 1 << 24, LAYERS_LIMIT = 4096 };

/* A size that config.json must say, 1 ... SIZE_LIMIT. */
static bool need_size(const struct model_files *files, const char *key,
                      size_t *out, struct error *err) {
    *out = 0;
    if (!json_member_size(files->config, key, files->config_path, out, err))
        return false;
    if (*out < 1 || *out > SIZE_LIMIT)
        return error_set(err, ERROR_INPUT, "%s: \"%s\" is %s",
                         files->config_path, key,
                         *out ? "too large" : "missing or 0");
    return true;
}

static bool read_sizes(const struct model_files *files, struct model_spec *spec,
                       struct error *err) {
    if (!need_size(files, "hidden_size", &spec->hidden, err) ||
        !need_size(files, "num_hidden_layers", &spec->layers, err) ||
        !need_size(files, "num_attention_heads", &spec->heads, err) ||
        !need_size(files, "intermediate_size", &spec->inter, err) ||
        !need_size(files, "vocab_size", &spec->vocab, err) ||
        !need_size(files, "max_position_embeddings", &spec->positions, err))
        return false;
    if (spec->layers > LAYERS_LIMIT)
        return error_set(err, ERROR_INPUT,
                         "%s: \"num_hidden_layers\" is too large",
                         files->config_path);
    spec->types = 2; /* transformers' default */
    if (!json_member_size(files->config, "type_vocab_size", files->config_path,
                          &spec->types, err))
        return false;
    if (spec->types < 1 || spec->types > SIZE_LIMIT)
        return error_set(err, ERROR_INPUT, "%s: \"type_vocab_size\" is %zu",
                         files->config_path, spec->types);
    if (spec->hidden % spec->heads != 0)
        return error_set(err, ERROR_INPUT,
                         "%s: hidden_size %zu is not a multiple of "
                         "num_attention_heads %zu",
                         files->config_path, spec->hidden, spec->heads);
    spec->head_dim = spec->hidden / spec->heads;
    return true;
}

/* The last word of a dotted class name, or transformers' name of it. */
static bool activation_named(const char *name, enum activation *activation) {
    static const struct {
        const char *name;
        enum activation activation;
    } table[] = {
        {"gelu", ACTIVATION_GELU},
        {"GELU", ACTIVATION_GELU},
        {"gelu_new", ACTIVATION_GELU_TANH},
        {"gelu_pytorch_tanh", ACTIVATION_GELU_TANH},
        {"relu", ACTIVATION_RELU},
        {"ReLU", ACTIVATION_RELU},
        {"silu", ACTIVATION_SILU},
        {"swish", ACTIVATION_SILU},
        {"SiLU", ACTIVATION_SILU},
        {"tanh", ACTIVATION_TANH},
        {"Tanh", ACTIVATION_TANH},
        {"sigmoid", ACTIVATION_SIGMOID},
        {"Sigmoid", ACTIVATION_SIGMOID},
        {"Identity", ACTIVATION_NONE},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name)) {
            *activation = table[i].activation;
            return true;
        }
    return false;
}

static bool read_options(const struct model_files *files,
                         struct model_spec *spec, struct error *err) {
    const char *path = files->config_path;
    double epsilon = 1e-12; /* transformers' default for BERT */
    const char *act = "gelu", *positions = "absolute";
    bool decoder = false, cross = false;
    if (!json_member_real(files->config, "layer_norm_eps", path, &epsilon,
                          err) ||
        !json_member_string(files->config, "hidden_act", path, &act, err) ||
        !json_member_string(files->config, "position_embedding_type", path,
                            &positions, err) ||
        !json_member_bool(files->config, "is_decoder", path, &decoder, err) ||
        !json_member_bool(files->config, "add_cross_attention", path, &cross,
                          err))
        return false;
    if (!(epsilon >= 0 && epsilon < 1))
        return error_set(err, ERROR_INPUT, "%s: \"layer_norm_eps\" is %g", path,
                         epsilon);
    spec->norm_epsilon = (float)epsilon;
    if (!activation_named(act, &spec->activation))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: hidden_act \"%s\" is not supported", path, act);
    if (strcmp(positions, "absolute") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: position_embedding_type \"%s\" is not supported; "
                         "only \"absolute\" is",
                         path, positions);
    if (decoder || cross)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: is_decoder and add_cross_attention are not "
                         "supported",
                         path);
    return true;
}

static void list_families(char *text, size_t capacity) {
    text[0] = '\0';
    for (size_t i = 0; family_at(i); i++)
        snprintf(text + strlen(text), capacity - strlen(text), "%s%s",
                 i ? ", " : "", family_at(i)->model_type);
}

static bool read_family(const struct model_files *files,
                        struct model_spec *spec, struct error *err) {
    const char *type = NULL;
    if (!json_member_string(files->config, "model_type", files->config_path,
                            &type, err))
        return false;
    if (!type)
        return error_set(err, ERROR_INPUT, "%s: \"model_type\" is missing",
                         files->config_path);
    spec->family = family_find(type);
    if (spec->family)
        return true;
    char known[256];
    list_families(known, sizeof known);
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: architecture \"%s\" is not supported in this "
                     "release; supported: %s",
                     files->config_path, type, known);
}

static enum pooling pooling_of(enum pooling_mode mode) {
    switch (mode) {
    case POOL_CLS:
        return POOLING_CLS;
    case POOL_LAST:
        return POOLING_LAST;
    case POOL_MEAN_SQRT:
        return POOLING_MEAN_SQRT;
    case POOL_WEIGHTED_MEAN:
        return POOLING_WEIGHTED_MEAN;
    case POOL_MAX:
        return POOLING_MAX;
    default:
        return POOLING_MEAN;
    }
}

/* The modules behind the transformer; each must fit the one before it. */
static bool read_head(const struct model_files *files, struct model_spec *spec,
                      struct error *err) {
    spec->pooling_count = files->pooling_count;
    for (size_t i = 0; i < files->pooling_count; i++)
        spec->pooling[i] = pooling_of(files->pooling[i]);
    spec->pooling_include_prompt = files->pooling_include_prompt;
    spec->normalize = files->normalize;
    spec->width = model_spec_pooled_width(spec);
    spec->dense_count = files->dense_count;
    for (size_t i = 0; i < files->dense_count; i++) {
        const struct dense_files *dense = &files->dense[i];
        struct dense_spec *to = &spec->dense[i];
        *to = (struct dense_spec){
            .in = dense->in, .out = dense->out, .bias = dense->bias};
        if (to->in != spec->width || to->out < 1 || to->out > SIZE_LIMIT)
            return error_set(err, ERROR_INPUT,
                             "%s: takes %zu and gives %zu features, but %zu "
                             "come in",
                             dense->config, to->in, to->out, spec->width);
        if (!activation_named(dense->activation, &to->activation))
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: activation \"%s\" is not supported",
                             dense->config, dense->activation);
        spec->width = to->out;
    }
    return true;
}

bool model_spec_read(const struct model_files *files, struct model_spec *spec,
                     struct error *err) {
    *spec = (struct model_spec){0};
    if (!read_family(files, spec, err) || !read_sizes(files, spec, err) ||
        !read_options(files, spec, err) || !read_head(files, spec, err))
        return false;
    spec->max_length = spec->positions;
    if (files->max_length && files->max_length < spec->max_length)
        spec->max_length = files->max_length;
    return true;
}

size_t model_spec_pooled_width(const struct model_spec *spec) {
    return spec->hidden * spec->pooling_count;
}

size_t model_spec_head_width(const struct model_spec *spec) {
    size_t widest = model_spec_pooled_width(spec);
    for (size_t i = 0; i < spec->dense_count; i++)
        if (spec->dense[i].out > widest)
            widest = spec->dense[i].out;
    return widest;
}
