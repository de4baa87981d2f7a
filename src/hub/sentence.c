/* sentence.c - the modules that make one vector of a text, as their own files
 * describe them, in the old spelling and in the new. */

#include "hub/reading.h"

#include <string.h>

#include "base/json.h"

/* In the order in which the old spelling concatenates. */
static const struct {
    const char *old_name, *name;
    enum pooling_mode mode;
} MODES[] = {
    {"pooling_mode_cls_token", "cls", POOL_CLS},
    {"pooling_mode_max_tokens", "max", POOL_MAX},
    {"pooling_mode_mean_tokens", "mean", POOL_MEAN},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens",
     POOL_MEAN_SQRT},
    {"pooling_mode_weightedmean_tokens", "weightedmean", POOL_WEIGHTED_MEAN},
    {"pooling_mode_lasttoken", "lasttoken", POOL_LAST},
};
enum { MODES_COUNT = sizeof MODES / sizeof *MODES };

/* Pooling. */

static bool add_mode(struct model_files *files, enum pooling_mode mode,
                     const char *name, struct error *err) {
    if (files->pooling_count == POOLING_MODES_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: more than %d pooling modes", name,
                         POOLING_MODES_MAX);
    files->pooling[files->pooling_count++] = mode;
    return true;
}

static bool add_named_mode(struct model_files *files, const json_t *value,
                           const char *name, struct error *err) {
    const char *text = json_string_value(value);
    for (size_t i = 0; text && i < MODES_COUNT; i++)
        if (strcmp(MODES[i].name, text) == 0)
            return add_mode(files, MODES[i].mode, name, err);
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: pooling_mode %s is not known: expected cls, max, "
                     "mean, mean_sqrt_len_tokens, weightedmean or lasttoken",
                     name, text ? text : "is not a text and");
}

static bool read_new_modes(struct model_files *files, const json_t *value,
                           const char *name, struct error *err) {
    if (!json_is_array(value))
        return add_named_mode(files, value, name, err);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!add_named_mode(files, json_array_get(value, i), name, err))
            return false;
    return files->pooling_count > 0 ||
           error_set(err, ERROR_INPUT, "%s: pooling_mode is empty", name);
}

static bool read_old_modes(struct model_files *files, const json_t *config,
                           const char *name, struct error *err) {
    for (size_t i = 0; i < MODES_COUNT; i++) {
        bool on = false;
        if (!json_member_bool(config, MODES[i].old_name, name, &on, err) ||
            (on && !add_mode(files, MODES[i].mode, name, err)))
            return false;
    }
    return files->pooling_count > 0 || add_mode(files, POOL_MEAN, name, err);
}

/* Null is false to the library, and a missing one true. */
static bool read_include_prompt(struct model_files *files, const json_t *config,
                                const char *name, struct error *err) {
    const char *key = "include_prompt";
    bool *include = &files->pooling_include_prompt;
    if (json_is_null(json_object_get(config, key)))
        *include = false;
    return json_member_bool(config, key, name, include, err);
}

static bool read_pooling(struct reading *r, const struct module *module,
                         struct error *err) {
    const char *name;
    json_t *config;
    struct model_files *files = &r->files;
    if (!reading_object(r, module->path, "config.json", &config, &name, err))
        return false;
    const json_t *modes = json_object_get(config, "pooling_mode");
    bool fine = modes ? read_new_modes(files, modes, name, err)
                      : read_old_modes(files, config, name, err);
    fine = fine && read_include_prompt(files, config, name, err);
    json_decref(config);
    return fine;
}

/* Linear layers. */

const char *module_weights(struct reading *r, const char *dir,
                           struct error *err) {
    const char *safe = reading_join(r, dir, "model.safetensors", err);
    const char *bin = reading_join(r, dir, "pytorch_model.bin", err);
    if (!safe || !bin)
        return NULL;
    bool older = !whole_known(&r->whole, safe) && whole_known(&r->whole, bin);
    return older ? bin : safe;
}

bool source_set_file(struct reading *r, struct tensor_source *source,
                     const char *path, struct error *err) {
    const char **paths = arena_alloc(&r->arena, 1, sizeof *paths, err);
    if (!paths)
        return false;
    paths[0] = reading_path(r, "", path, err);
    source->paths = paths;
    source->paths_count = 1;
    return paths[0] != NULL;
}

/* Where nothing is said of the output, it replaces the input. */
static bool check_places(const json_t *config, const char *input,
                         const char *name, struct error *err) {
    return reading_must_be(config, "module_input_name", input, name, err) &&
           reading_must_be(config, "module_output_name", input, name, err);
}

static bool read_dense_config(struct reading *r, const json_t *config,
                              const char *input, struct tensor_source *dense,
                              struct error *err) {
    const char *name = dense->config, *activation = NULL;
    bool bias = true;
    if (json_is_null(json_object_get(config, "activation_function")))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: activation_function is null, which "
                         "sentence-transformers does not load either: write "
                         "\"torch.nn.modules.linear.Identity\" if there is to "
                         "be none",
                         name);
    if (!json_member_size(config, "in_features", name, &dense->in, err) ||
        !json_member_size(config, "out_features", name, &dense->out, err) ||
        !json_member_bool(config, "bias", name, &bias, err) ||
        !json_member_bool(config, "use_residual", name, &dense->residual,
                          err) ||
        !json_member_string(config, "activation_function", name, &activation,
                            err) ||
        !check_places(config, input, name, err))
        return false;
    if (!dense->in || !dense->out)
        return error_set(err, ERROR_INPUT,
                         "%s: in_features and out_features must be more than 0",
                         name);
    dense->weight = "linear.weight";
    dense->bias = bias ? "linear.bias" : NULL;
    if (dense->residual && dense->in != dense->out)
        dense->shortcut = "residual.weight";
    return reading_activation(r, activation, "Tanh", &dense->activation, err);
}

bool dense_read(struct reading *r, const struct module *module,
                const char *input, struct tensor_source *dense,
                struct error *err) {
    json_t *config = NULL;
    const char *file = module_weights(r, module->path, err);
    if (!file || !source_set_file(r, dense, file, err) ||
        !reading_object(r, module->path, "config.json", &config, &dense->config,
                        err))
        return false;
    bool fine = read_dense_config(r, config, input, dense, err);
    json_decref(config);
    return fine;
}

/* Behind the pooling. */

static struct sentence_module *add_sentence(struct reading *r,
                                            enum sentence_kind kind,
                                            struct error *err) {
    struct model_files *files = &r->files;
    if (files->sentence_count == SENTENCE_MAX) {
        error_set(err, ERROR_UNSUPPORTED,
                  "%s: more than %d modules behind the pooling", files->folder,
                  SENTENCE_MAX);
        return NULL;
    }
    struct sentence_module *module = &files->sentence[files->sentence_count++];
    module->kind = kind;
    return module;
}

static bool read_dense(struct reading *r, const struct module *module,
                       struct error *err) {
    struct sentence_module *sentence = add_sentence(r, SENTENCE_DENSE, err);
    return sentence &&
           dense_read(r, module, "sentence_embedding", &sentence->source, err);
}

static bool read_layer_norm(struct reading *r, const struct module *module,
                            struct error *err) {
    json_t *config = NULL;
    struct sentence_module *sentence =
        add_sentence(r, SENTENCE_LAYER_NORM, err);
    const char *file = module_weights(r, module->path, err);
    struct tensor_source *norm = &sentence->source;
    if (!sentence || !file || !source_set_file(r, norm, file, err) ||
        !reading_object(r, module->path, "config.json", &config, &norm->config,
                        err))
        return false;
    norm->weight = "norm.weight";
    norm->bias = "norm.bias";
    bool fine =
        json_member_size(config, "dimension", norm->config, &norm->out, err);
    norm->in = norm->out;
    json_decref(config);
    return fine && (norm->out ||
                    error_set(err, ERROR_INPUT, "%s: dimension must be given",
                              norm->config));
}

static bool read_normalize(struct reading *r, const struct module *module,
                           struct error *err) {
    const char *name;
    json_t *config = NULL;
    if (!add_sentence(r, SENTENCE_NORMALIZE, err))
        return false;
    /* An old Normalize has no folder; with path "" the file would be the
     * transformer's. */
    if (!module->path[0])
        return true;
    if (!reading_object(r, module->path, "config.json", &config, &name, err))
        return false;
    bool fine = check_places(config, "sentence_embedding", name, err);
    json_decref(config);
    return fine;
}

static bool read_one(struct reading *r, const struct module *module,
                     struct error *err) {
    switch (module->kind) {
    case MODULE_POOLING:
        return read_pooling(r, module, err);
    case MODULE_DENSE:
        return read_dense(r, module, err);
    case MODULE_LAYER_NORM:
        return read_layer_norm(r, module, err);
    case MODULE_NORMALIZE:
        return read_normalize(r, module, err);
    default:
        return true;
    }
}

/* Without modules.json: the mean, but the last token where the model was made
 * to go on with a text. */
static void default_pooling(struct reading *r) {
    const json_t *name =
        json_array_get(json_object_get(r->config, "architectures"), 0);
    const json_t *causal = json_object_get(r->config, "is_causal");
    struct str kind =
        json_is_string(name) ? str_from(json_string_value(name)) : STR("");
    bool last = str_ends(kind, STR("ForCausalLM")) && !json_is_false(causal);
    r->files.pooling[0] = last ? POOL_LAST : POOL_MEAN;
    r->files.pooling_count = 1;
}

/* jina-embeddings-v4 has one module, of its own code, that takes the mean and
 * scales it to length 1 (modeling_jina_embeddings_v4.py,
 * get_single_vector_embeddings). */
static bool read_own_pooling(struct reading *r, struct error *err) {
    const char *type =
        json_string_value(json_object_get(r->config, "model_type"));
    if (!type || (strcmp(type, "jina_embeddings_v4") != 0 &&
                  strcmp(type, "qwen2_5_vl") != 0))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: its one module %s is code of its own, and how it "
                         "pools stands in no file",
                         r->files.folder, r->modules[0].type);
    if (!reading_must_be(r->config, "single_vector_pool_strategy", "mean",
                         r->files.config_path, err))
        return false;
    r->files.pooling[r->files.pooling_count++] = POOL_MEAN;
    return add_sentence(r, SENTENCE_NORMALIZE, err) != NULL;
}

/* Models whose files leave out that prompts are not pooled: the library knows
 * them by their names (sentence_transformer/model.py). */
static void know_by_name(struct reading *r) {
    static const char *const NAMES[] = {"hkunlp/instructor-base",
                                        "hkunlp/instructor-large",
                                        "hkunlp/instructor-xl"};
    for (size_t i = 0; r->files.id && i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(r->files.id, NAMES[i]) == 0)
            r->files.pooling_include_prompt = false;
}

bool sentence_read(struct reading *r, struct error *err) {
    if (r->files.use != MODEL_DENSE)
        return true;
    r->files.pooling_include_prompt = true;
    if (!r->has_modules) {
        default_pooling(r);
        return true;
    }
    if (modules_table(r))
        r->files.pooling[r->files.pooling_count++] = POOL_MEAN;
    else if (r->modules_count == 1)
        return read_own_pooling(r, err);
    for (size_t i = 1; i < r->modules_count; i++)
        if (!read_one(r, &r->modules[i], err))
            return false;
    know_by_name(r);
    return true;
}
