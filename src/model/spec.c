#include "model/spec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/spec_parts.h"

/* WORD is the family's own; BERT's counts before it where it is there, as in
 * the attribute_map of transformers' configurations. */
static const char *size_word(const struct config_source *from, const char *word,
                             const char *common) {
    return json_object_get(from->config, common) ? common : word;
}

/* WORD is the family's own; BERT's does for it where only that is there. */
static const char *word_used(const struct config_source *from, const char *word,
                             const char *common) {
    return !json_object_get(from->config, word) &&
                   json_object_get(from->config, common)
               ? common
               : word;
}

/* Layers that share their weights are held once: LAYERS counts groups, of which
 * there may be more than a text goes through. */
static bool read_groups(const struct config_source *from,
                        struct model_spec *spec, struct error *err) {
    size_t groups = 1, inner = 1;
    if (!config_size(from, "num_hidden_groups", &groups, err) ||
        !config_size(from, "inner_group_num", &inner, err))
        return false;
    if (inner != 1)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: inner_group_num %zu is not supported; only 1 is",
                         from->path, inner);
    spec->layers = groups;
    return config_at_most(from, "num_hidden_groups", groups, LAYERS_LIMIT, err);
}

static bool read_layers(const struct config_source *from,
                        struct model_spec *spec, struct error *err) {
    const char *key =
        size_word(from, spec->family->words->layers, "num_hidden_layers");
    if (!config_size(from, key, &spec->layers, err) ||
        !config_at_most(from, key, spec->layers, LAYERS_LIMIT, err))
        return false;
    spec->depth = spec->layers;
    return !spec->family->shares_layers || read_groups(from, spec, err);
}

static bool read_heads(const struct config_source *from,
                       struct model_spec *spec, struct error *err) {
    const struct config_words *words = spec->family->words;
    const char *hidden = size_word(from, words->hidden, "hidden_size");
    const char *heads = size_word(from, words->heads, "num_attention_heads");
    if (!config_size(from, hidden, &spec->hidden, err) ||
        !read_layers(from, spec, err) ||
        !config_size(from, heads, &spec->heads, err))
        return false;
    spec->kv_heads = spec->heads;
    return true;
}

/* Once the family has said what it says of heads. */
static bool finish_heads(const struct config_source *from,
                         struct model_spec *spec, struct error *err) {
    const struct config_words *words = spec->family->words;
    const char *hidden = size_word(from, words->hidden, "hidden_size");
    const char *heads = size_word(from, words->heads, "num_attention_heads");
    if (!spec->head_dim && spec->hidden % spec->heads != 0)
        return error_set(err, ERROR_INPUT,
                         "%s: %s %zu is not a multiple of %s %zu", from->path,
                         hidden, spec->hidden, heads, spec->heads);
    if (!spec->head_dim)
        spec->head_dim = spec->hidden / spec->heads;
    if (spec->head_dim > HEAD_DIM_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: attention heads of %zu numbers are not "
                         "supported; %d at most",
                         from->path, spec->head_dim, HEAD_DIM_MAX);
    if (spec->attention_scale == 0)
        spec->attention_scale = 1.0f / sqrtf((float)spec->head_dim);
    return spec->heads % spec->kv_heads == 0 ||
           error_set(err, ERROR_INPUT,
                     "%s: %s %zu is not a multiple of num_key_value_heads %zu",
                     from->path, heads, spec->heads, spec->kv_heads);
}

/* Position ids begin behind padding's own. */
static bool read_positions(const struct config_source *from,
                           struct model_spec *spec, struct error *err) {
    size_t pad = 1;
    if (!family_has(spec->family, DIM_POSITIONS))
        return true;
    spec->positions = from->length;
    if (!config_size(from, "max_position_embeddings", &spec->positions, err))
        return false;
    if (spec->family->positions == POSITIONS_FROM_0)
        return true;
    if (spec->family->positions == POSITIONS_PAST_PAD &&
        !json_member_size(from->config, "pad_token_id", from->path, &pad, err))
        return false;
    if (pad >= spec->positions || spec->positions - pad < 2)
        return error_set(err, ERROR_INPUT,
                         "%s: max_position_embeddings %zu leaves no position "
                         "behind pad_token_id %zu",
                         from->path, spec->positions, pad);
    spec->position_first = pad + 1;
    spec->pad_has_no_position = true;
    spec->pad = (uint32_t)pad;
    return true;
}

/* Then the family's own reader says how many there are (config_types). */
static bool types_may_lack(const struct family *family) {
    for (size_t i = 0; i < family->rules_count; i++)
        if (family->rules[i].use == USE_TYPES)
            return (family->rules[i].traits & TRAIT_TYPES) != 0;
    return false;
}

/* Tables that not every family has. */
static bool read_tables(const struct config_source *from,
                        struct model_spec *spec, struct error *err) {
    const struct family *family = spec->family;
    spec->embedding =
        family->embedding_size ? family->embedding_size : spec->hidden;
    if (family->embedding_size &&
        !config_size(from, "embedding_size", &spec->embedding, err))
        return false;
    if (family->always_projects || spec->embedding != spec->hidden)
        spec->traits |= TRAIT_PROJECTS;
    if (family_has(family, DIM_TYPES) && !types_may_lack(family)) {
        spec->types = 2; /* transformers' default */
        if (!config_size(from, "type_vocab_size", &spec->types, err))
            return false;
    }
    if (!family_has(family, DIM_BUCKETS))
        return true;
    spec->buckets = spec->buckets_used;
    return config_size(from, "relative_attention_num_buckets", &spec->buckets,
                       err);
}

/* Once the family has said how many of them distances go to. */
static bool check_buckets(const struct config_source *from,
                          const struct model_spec *spec, struct error *err) {
    return !spec->buckets || spec->buckets >= spec->buckets_used ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: relative_attention_num_buckets %zu is not "
                     "supported; distances take %zu",
                     from->path, spec->buckets, spec->buckets_used);
}

static void set_defaults(struct model_spec *spec) {
    spec->embedding_scale = 1;
    spec->task = TASK_NONE;
    spec->distance_reach = DISTANCE_REACH;
    spec->buckets_used = DISTANCE_BUCKETS;
    for (int i = 0; i < 2; i++)
        spec->reach[i] = (struct reach){SIZE_MAX, SIZE_MAX};
}

/* Attention of one number that no layer asks for: nothing divides by 0. */
static bool read_no_layers(const struct config_source *from,
                           struct model_spec *spec, struct error *err) {
    spec->heads = spec->kv_heads = spec->head_dim = 1;
    if (!config_size(from, spec->family->words->hidden, &spec->hidden, err) ||
        !config_size(from, "vocab_size", &spec->vocab, err))
        return false;
    spec->embedding = spec->hidden;
    return spec->family->read(from, spec, err);
}

static bool read_sizes(const struct config_source *from,
                       struct model_spec *spec, struct error *err) {
    const struct family *family = spec->family;
    set_defaults(spec);
    if (family->no_layers)
        return read_no_layers(from, spec, err);
    return read_heads(from, spec, err) &&
           config_size(
               from, word_used(from, family->words->inter, "intermediate_size"),
               &spec->inter, err) &&
           config_size(from, "vocab_size", &spec->vocab, err) &&
           read_positions(from, spec, err) && read_tables(from, spec, err) &&
           (!family->read || family->read(from, spec, err)) &&
           check_buckets(from, spec, err) && finish_heads(from, spec, err);
}

/* The last word of a dotted class name, or transformers' name of it. */
bool activation_named(const char *name, enum activation *activation) {
    static const struct {
        const char *name;
        enum activation activation;
    } table[] = {
        {"gelu", ACTIVATION_GELU},
        {"GELU", ACTIVATION_GELU},
        {"gelu_new", ACTIVATION_GELU_TANH},
        {"gelu_pytorch_tanh", ACTIVATION_GELU_TANH},
        {"gelu_python_tanh", ACTIVATION_GELU_TANH},
        {"gelu_fast", ACTIVATION_GELU_TANH},
        {"gelu_accurate", ACTIVATION_GELU_TANH},
        {"gelu_python", ACTIVATION_GELU},
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

bool activation_read(const char *path, const char *key, const char *name,
                     enum activation *activation, struct error *err) {
    return activation_named(name, activation) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: %s \"%s\" is not supported; gelu and its tanh forms, "
                     "relu, silu, tanh and sigmoid are",
                     path, key, name);
}

static bool read_epsilon(const struct config_source *from,
                         struct model_spec *spec, struct error *err) {
    const struct family *family = spec->family;
    const char *key = family->words->epsilon;
    double epsilon = family->epsilon > 0 ? (double)family->epsilon : 1e-12;
    if (spec->norm_epsilon > 0) /* the family's reader knows better */
        epsilon = (double)spec->norm_epsilon;
    key = key ? word_used(from, key, "layer_norm_eps") : NULL;
    if (!family->fixed_epsilon && !config_real(from, key, &epsilon, err))
        return false;
    if (!(epsilon >= 0 && epsilon < 1))
        return error_set(err, ERROR_INPUT,
                         "%s: \"%s\" is %g; a number from 0 to below 1 belongs "
                         "there",
                         from->path, key, epsilon);
    spec->norm_epsilon = (float)epsilon;
    return true;
}

static bool read_activation(const struct config_source *from,
                            struct model_spec *spec, struct error *err) {
    const char *key = spec->family->words->activation;
    const char *act = spec->family->activation;
    if (!act)
        return true;
    if (key && !config_word(from, key, &act, err))
        return false;
    return activation_read(from->path, key, act, &spec->activation, err);
}

/* Some families share a word. */
static void list_families(char *text, size_t capacity) {
    text[0] = '\0';
    for (size_t i = 0; family_at(i); i++)
        if (family_find(family_at(i)->model_type) == family_at(i))
            snprintf(text + strlen(text), capacity - strlen(text), "%s%s",
                     i ? ", " : "", family_at(i)->model_type);
}

static bool read_family(const struct config_source *from,
                        struct model_spec *spec, struct error *err) {
    const char *type = NULL;
    if (!config_word(from, "model_type", &type, err))
        return false;
    if (!type)
        return error_set(err, ERROR_INPUT, "%s: \"model_type\" is missing",
                         from->path);
    spec->family = family_of(type, from->config);
    if (spec->family)
        return true;
    char known[512];
    list_families(known, sizeof known);
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: architecture \"%s\" is not supported in this "
                     "release; supported: %s",
                     from->path, type, known);
}

/* To the part of config.json that speaks of text. */
static void go_inside(struct config_source *from, const struct family *family) {
    const json_t *inner =
        family->inside ? json_object_get(from->config, family->inside) : NULL;
    if (json_is_object(inner))
        from->config = inner;
}

bool model_spec_read_sizes(const json_t *config, const char *path,
                           struct model_spec *spec, struct error *err) {
    struct config_source from = {.config = config, .path = path};
    *spec = (struct model_spec){0};
    if (!read_family(&from, spec, err))
        return false;
    from.length = spec->family->length;
    go_inside(&from, spec->family);
    return read_sizes(&from, spec, err);
}

/* Tables of positions have an end; otherwise the files say how far, or the
 * family does. -1 is XLNet's word for no end, which every family's config may
 * have (see limits.c). */
static bool read_limit(const struct config_source *from,
                       const struct model_files *files, struct model_spec *spec,
                       struct error *err) {
    const char *key = "max_position_embeddings";
    bool endless = json_integer_value(json_object_get(from->config, key)) == -1;
    bool said = endless || (files->max_length && !files->positions_unsaid);
    size_t length = spec->family->length;
    spec->max_length = length && !said ? length : MODEL_LENGTH_MAX;
    if (spec->positions)
        spec->max_length = spec->positions - spec->position_first;
    else if (!files->max_length && !endless &&
             !config_size(from, key, &spec->max_length, err))
        return false;
    if (files->max_length && files->max_length < spec->max_length)
        spec->max_length = files->max_length;
    return true;
}

static void take_default_task(const struct model_files *files,
                              struct model_spec *spec) {
    for (size_t i = 0; files->default_task && i < files->tasks_count; i++)
        if (strcmp(files->tasks[i].name, files->default_task) == 0)
            spec->task = i;
}

bool model_spec_read(const struct model_files *files, struct model_spec *spec,
                     struct error *err) {
    struct config_source from = {.config = files->config,
                                 .path = files->config_path};
    if (!model_spec_read_sizes(from.config, from.path, spec, err))
        return false;
    take_default_task(files, spec);
    go_inside(&from, spec->family);
    return read_adapter_file(files, spec, err) &&
           read_epsilon(&from, spec, err) &&
           read_activation(&from, spec, err) &&
           read_heads_of_files(files, spec, err) &&
           read_limit(&from, files, spec, err);
}

static unsigned layer_traits(const struct model_spec *spec, size_t layer) {
    return spec->traits | (layer ? TRAIT_LAYER_NORM : 0) |
           (layer_set_has(&spec->experts_at, layer) ? TRAIT_LAYER_EXPERTS
                                                    : TRAIT_LAYER_DENSE);
}

bool model_spec_has(const struct model_spec *spec,
                    const struct tensor_rule *rule, size_t layer) {
    return (rule->traits & ~layer_traits(spec, layer)) == 0;
}

/* As upstream divides, in double. */
size_t model_spec_layer(const struct model_spec *spec, size_t step) {
    if (spec->depth == spec->layers)
        return step;
    double each = (double)spec->depth / (double)spec->layers;
    size_t layer = (size_t)((double)step / each);
    return layer < spec->layers ? layer : spec->layers - 1;
}
