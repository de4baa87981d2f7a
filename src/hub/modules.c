/* modules.c - modules.json and the configs of the modules that it lists, as
 * sentence-transformers 6 reads them, in the old spelling and in the new. */

#include "hub/reading.h"

#include <string.h>

#include "base/json.h"

static const struct {
    const char *name; /* last word of the class */
    enum module_kind kind;
} KINDS[] = {
    {"Transformer", MODULE_TRANSFORMER},
    {"Pooling", MODULE_POOLING},
    {"Dense", MODULE_DENSE},
    {"Normalize", MODULE_NORMALIZE},
    {"Dropout", MODULE_DROPOUT},
};

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

/* modules.json. */

/* Code outside the library's own name is the repository's, and we run none. */
static bool kind_of(const char *type, const char *name, enum module_kind *kind,
                    struct error *err) {
    const char *dot = strrchr(type, '.');
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (dot && strcmp(dot + 1, KINDS[i].name) == 0 &&
            strncmp(type, "sentence_transformers.", 22) == 0) {
            *kind = KINDS[i].kind;
            return true;
        }
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: the module %s is not one that can be run here "
                     "(Transformer, Pooling, Dense and Normalize can)",
                     name, type);
}

/* A relative path without "..". */
static bool inner_path(const char *path) {
    if (path[0] == '/' || strchr(path, '\\') || strchr(path, ':'))
        return false;
    for (const char *at = path; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (at[0] == '.' && at[1] == '.' && (at[2] == '/' || !at[2]))
            return false;
    }
    return true;
}

static bool list_one(struct reading *r, const json_t *row, const char *name,
                     struct error *err) {
    const char *type = NULL, *path = NULL;
    struct module *module = &r->modules[r->modules_count++];
    if (!json_is_object(row))
        return error_set(err, ERROR_INPUT, "%s: a module is not an object",
                         name);
    if (!json_member_string(row, "type", name, &type, err) ||
        !json_member_string(row, "path", name, &path, err))
        return false;
    if (!type || !path)
        return error_set(err, ERROR_INPUT, "%s: a module without a %s", name,
                         type ? "path" : "type");
    if (!inner_path(path))
        return error_set(err, ERROR_INPUT,
                         "%s: the path %s leads out of the model's folder",
                         name, path);
    return kind_of(type, name, &module->kind, err) &&
           reading_keep(r, path, &module->path, err);
}

/* Transformer, Pooling, then Dense layers, then Normalize: what follows the
 * pooling runs in this order here, so the file must have it too. */
static bool check_order(const struct reading *r, const char *name,
                        struct error *err) {
    unsigned normalized = 0;
    for (size_t i = 0; i < r->modules_count; i++) {
        enum module_kind kind = r->modules[i].kind;
        bool fits = (kind == MODULE_TRANSFORMER) == (i == 0) &&
                    (kind == MODULE_POOLING) == (i == 1) &&
                    !(kind == MODULE_DENSE && normalized);
        if (!fits)
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: module %zu is out of order: expected "
                             "Transformer, Pooling, Dense, Normalize",
                             name, i);
        normalized += kind == MODULE_NORMALIZE;
    }
    return r->modules_count > 1 || error_set(err, ERROR_UNSUPPORTED,
                                             "%s: no Pooling module, so the "
                                             "model gives no text vector",
                                             name);
}

static bool list_all(struct reading *r, const json_t *rows, const char *name,
                     struct error *err) {
    size_t count = json_array_size(rows);
    if (!json_is_array(rows) || count == 0)
        return error_set(err, ERROR_INPUT, "%s: expected a list of modules",
                         name);
    if (count > MODULES_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: %zu modules, expected at most %d", name, count,
                         MODULES_MAX);
    for (size_t i = 0; i < count; i++)
        if (!list_one(r, json_array_get(rows, i), name, err))
            return false;
    return check_order(r, name, err);
}

bool modules_list(struct reading *r, struct error *err) {
    r->has_modules = whole_modules(&r->whole);
    if (!r->has_modules) { /* the library's own default */
        r->modules[0] = (struct module){MODULE_TRANSFORMER, ""};
        r->modules[1] = (struct module){MODULE_POOLING, ""};
        r->modules_count = 2;
        return true;
    }
    const char *path = reading_path(r, "", "modules.json", err);
    json_t *rows = path ? json_read_file(path, CONFIG_BYTES_MAX, err) : NULL;
    bool fine = rows && list_all(r, rows, path, err);
    json_decref(rows);
    return fine;
}

const char *modules_transformer(const struct reading *r) {
    return r->modules[0].path;
}

/* Which files the modules behind the transformer take. */

static const char SAFE[] = "model.safetensors", BIN[] = "pytorch_model.bin";

/* Of a module with weights of its own: safetensors where there are any. */
static const char *module_weights(struct reading *r, const char *dir,
                                  struct error *err) {
    const char *safe = reading_join(r, dir, SAFE, err);
    const char *bin = reading_join(r, dir, BIN, err);
    if (!safe || !bin)
        return NULL;
    bool older = !whole_known(&r->whole, safe) && whole_known(&r->whole, bin);
    return older ? bin : safe;
}

static bool need_module_weights(struct reading *r, const char *dir,
                                struct error *err) {
    const char *name = module_weights(r, dir, err);
    return name && (whole_need(&r->whole, name), true);
}

bool modules_need(struct reading *r, struct error *err) {
    for (size_t i = 1; r->has_modules && i < r->modules_count; i++) {
        const struct module *module = &r->modules[i];
        const char *config = reading_join(r, module->path, "config.json", err);
        if (!config)
            return false;
        /* Before version 6 a Normalize had no file at all. */
        if (module->kind == MODULE_NORMALIZE && !whole_known(&r->whole, config))
            continue;
        if (module->kind == MODULE_DROPOUT)
            continue;
        whole_need(&r->whole, config);
        if (module->kind == MODULE_DENSE &&
            !need_module_weights(r, module->path, err))
            return false;
    }
    return true;
}

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
    fine = fine && json_member_bool(config, "include_prompt", name,
                                    &files->pooling_include_prompt, err);
    json_decref(config);
    return fine;
}

/* Dense and Normalize. */

/* A member that must have its default VALUE, or be missing: we have no code
 * for another. */
static bool must_be(const json_t *config, const char *key, const char *value,
                    const char *name, struct error *err) {
    const char *text = value;
    if (!json_member_string(config, key, name, &text, err))
        return false;
    return strcmp(text, value) == 0 ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: %s is %s, and only %s can be run here", name, key,
                     text, value);
}

/* A class outside torch is the repository's own code: the library takes Tanh
 * in its place, and warns. */
static bool read_activation(struct reading *r, const json_t *config,
                            const char *name, struct tensor_source *dense,
                            struct error *err) {
    const char *type = NULL;
    if (!json_member_string(config, "activation_function", name, &type, err))
        return false;
    const char *dot = type ? strrchr(type, '.') : NULL;
    if (!dot || strncmp(type, "torch.", 6) != 0)
        return reading_keep(r, "Tanh", &dense->activation, err);
    return reading_keep(r, dot + 1, &dense->activation, err);
}

static bool read_dense_config(struct reading *r, const json_t *config,
                              const char *name, struct tensor_source *dense,
                              struct error *err) {
    bool residual = false, bias = true;
    if (!json_member_size(config, "in_features", name, &dense->in, err) ||
        !json_member_size(config, "out_features", name, &dense->out, err) ||
        !json_member_bool(config, "bias", name, &bias, err) ||
        !json_member_bool(config, "use_residual", name, &residual, err) ||
        !must_be(config, "module_input_name", "sentence_embedding", name,
                 err) ||
        !must_be(config, "module_output_name", "sentence_embedding", name, err))
        return false;
    if (residual)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: use_residual cannot be run here", name);
    if (!dense->in || !dense->out)
        return error_set(err, ERROR_INPUT,
                         "%s: in_features and out_features must be more than 0",
                         name);
    dense->weight = "linear.weight";
    dense->bias = bias ? "linear.bias" : NULL;
    return read_activation(r, config, name, dense, err);
}

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
    json_t *config;
    struct sentence_module *sentence = add_sentence(r, SENTENCE_DENSE, err);
    if (!sentence)
        return false;
    struct tensor_source *dense = &sentence->source;
    const char **paths = arena_alloc(&r->arena, 1, sizeof *paths, err);
    if (!paths || !reading_object(r, module->path, "config.json", &config,
                                  &dense->config, err))
        return false;
    const char *file = module_weights(r, module->path, err);
    paths[0] = file ? reading_path(r, "", file, err) : NULL;
    dense->paths = paths;
    dense->paths_count = 1;
    bool fine =
        paths[0] && read_dense_config(r, config, dense->config, dense, err);
    json_decref(config);
    return fine;
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
    bool fine =
        must_be(config, "module_input_name", "sentence_embedding", name, err) &&
        must_be(config, "module_output_name", "sentence_embedding", name, err);
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

bool modules_read(struct reading *r, struct error *err) {
    r->files.pooling_include_prompt = true;
    if (!r->has_modules) {
        default_pooling(r);
        return true;
    }
    for (size_t i = 1; i < r->modules_count; i++)
        if (!read_one(r, &r->modules[i], err))
            return false;
    return true;
}
