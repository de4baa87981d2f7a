/* modules.c - modules.json: which modules a model has, in which order, and
 * which files that takes. What they say is read in sentence.c and head_*.c.
 *
 * A module is known by the last word of its class. Code outside the library's
 * own name is the repository's, and none is run; only a Transformer of such
 * code is taken for what its name says, for its config.json has to say how it
 * computes anyway. */

#include "hub/reading.h"

#include <string.h>

#include "base/json.h"

static const struct {
    const char *name; /* last word of the class */
    enum module_kind kind;
} KINDS[] = {
    {"Transformer", MODULE_TRANSFORMER},
    {"MLMTransformer", MODULE_TRANSFORMER},
    {"Pooling", MODULE_POOLING},
    {"Dense", MODULE_DENSE},
    {"LayerNorm", MODULE_LAYER_NORM},
    {"Normalize", MODULE_NORMALIZE},
    {"Dropout", MODULE_DROPOUT},
    {"SpladePooling", MODULE_SPLADE},
    {"MultiVectorMask", MODULE_MASK},
    {"LogitScore", MODULE_LOGIT_SCORE},
    {"Router", MODULE_ROUTER},
    {"SparseStaticEmbedding", MODULE_STATIC},
    {"StaticEmbedding", MODULE_TABLE},
};

/* Which class of the library each use is, and what it puts behind a
 * transformer (or a StaticEmbedding, which pools by itself). A Dropout may be
 * anywhere. */
static const struct use {
    const char *class;
    unsigned may; /* bits of module_kind */
    const char *words;
    const char *option; /* of a run, beside --model */
} USES[] = {
    [MODEL_DENSE] = {"SentenceTransformer",
                     1u << MODULE_POOLING | 1u << MODULE_DENSE |
                         1u << MODULE_LAYER_NORM | 1u << MODULE_NORMALIZE,
                     "Transformer, Pooling (or StaticEmbedding), then Dense, "
                     "LayerNorm and Normalize",
                     NULL},
    [MODEL_SPARSE] = {"SparseEncoder", 1u << MODULE_SPLADE,
                      "Transformer, SpladePooling", "--sparse"},
    [MODEL_MULTI] = {"MultiVectorEncoder",
                     1u << MODULE_DENSE | 1u << MODULE_MASK |
                         1u << MODULE_NORMALIZE | 1u << MODULE_POOLING,
                     "Transformer, Dense, MultiVectorMask, Normalize",
                     "--colbert"},
    [MODEL_RERANK] = {"CrossEncoder", 1u << MODULE_LOGIT_SCORE,
                      "Transformer, LogitScore", "--rerank"},
};

/* The class. */

static bool ours(const char *type) {
    return strncmp(type, "sentence_transformers.", 22) == 0 ||
           strcmp(type, "pylate.models.Dense.Dense") == 0;
}

static bool kind_of(const char *type, const char *name, enum module_kind *kind,
                    struct error *err) {
    const char *dot = strrchr(type, '.');
    for (size_t i = 0; dot && i < sizeof KINDS / sizeof *KINDS; i++)
        if (strcmp(dot + 1, KINDS[i].name) == 0 &&
            (ours(type) || KINDS[i].kind == MODULE_TRANSFORMER)) {
            *kind = KINDS[i].kind;
            return true;
        }
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: the module %s is not one that can be run here: use "
                     "a model without it",
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

/* "." is the model's own folder, as model2vec writes it. */
static const char *without_dot(const char *path) {
    if (path[0] != '.' || (path[1] && path[1] != '/'))
        return path;
    return path[1] ? path + 2 : path + 1;
}

static bool too_many(const char *name, struct error *err) {
    return error_set(err, ERROR_UNSUPPORTED, "%s: more than %d modules", name,
                     MODULES_MAX);
}

/* TYPE and PATH as a module behind the others. */
static bool add_module(struct reading *r, const char *type, const char *path,
                       const char *name, struct error *err) {
    if (r->modules_count == MODULES_MAX)
        return too_many(name, err);
    path = without_dot(path);
    struct module *module = &r->modules[r->modules_count++];
    if (!inner_path(path))
        return error_set(err, ERROR_INPUT,
                         "%s: the path %s leads out of the model's folder",
                         name, path);
    return kind_of(type, name, &module->kind, err) &&
           reading_keep(r, type, &module->type, err) &&
           reading_keep(r, path, &module->path, err);
}

static bool list_one(struct reading *r, const json_t *row, const char *name,
                     struct error *err) {
    const char *type = NULL, *path = NULL;
    if (!json_is_object(row))
        return error_set(err, ERROR_INPUT, "%s: a module is not an object",
                         name);
    if (!json_member_string(row, "type", name, &type, err) ||
        !json_member_string(row, "path", name, &path, err))
        return false;
    if (!type || !path)
        return error_set(err, ERROR_INPUT, "%s: a module without a %s", name,
                         type ? "path" : "type");
    return add_module(r, type, path, name, err);
}

/* A Router: a text's task chooses the modules that it passes through. Those of
 * the route are listed in the Router's place. */

static bool route_module(struct reading *r, const json_t *config,
                         const char *dir, const json_t *id, const char *name,
                         struct error *err) {
    const char *word = json_string_value(id);
    const char *type = json_string_value(
        word ? json_object_get(json_object_get(config, "types"), word) : NULL);
    const char *path = word ? reading_join(r, dir, word, err) : NULL;
    if (!type)
        return error_set(err, ERROR_INPUT,
                         "%s: a module of the structure has no type", name);
    return path && add_module(r, type, path, name, err);
}

static bool list_route(struct reading *r, const json_t *config, const char *dir,
                       const json_t *route, const char *name,
                       struct error *err) {
    for (size_t i = 0; i < json_array_size(route); i++)
        if (!route_module(r, config, dir, json_array_get(route, i), name, err))
            return false;
    return true;
}

/* The route of no task: the one that is named, or the first. */
static const char *default_route(const json_t *structure,
                                 const json_t *parameters) {
    const json_t *named = json_object_get(parameters, "default_route");
    bool any = !json_is_false(json_object_get(parameters, "allow_empty_key"));
    if (json_is_string(named))
        return json_string_value(named);
    return any ? json_object_iter_key(
                     json_object_iter((json_t *)(uintptr_t)structure))
               : NULL;
}

/* Of a dense model, as the library's Router._resolve_route chooses it for
 * texts; what stands behind the Router follows. */
static bool dense_route(struct reading *r, const json_t *config,
                        const char *dir, const char *name, struct error *err) {
    const json_t *structure = json_object_get(config, "structure");
    const json_t *parameters = json_object_get(config, "parameters");
    const char *route = json_object_get(structure, r->route) ? r->route
                        : json_object_get(structure, "text") ? "text"
                        : *r->route                          ? NULL
                                    : default_route(structure, parameters);
    const json_t *list = route ? json_object_get(structure, route) : NULL;
    if (json_object_size(json_object_get(parameters, "route_mappings")) > 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: route_mappings cannot be run here: save the "
                         "modules of the route that you mean as a model of "
                         "their own",
                         name);
    if (!json_array_size(list))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: there is no route for texts of the task \"%s\" "
                         "(a run's is document, a search's query): save the "
                         "modules of the route that you mean as a model of "
                         "their own",
                         name, r->route);
    struct module behind[MODULES_MAX];
    size_t count = r->modules_count - 1;
    memcpy(behind, r->modules + 1, count * sizeof *behind);
    r->modules_count = 0;
    r->files.routed = true;
    if (!list_route(r, config, dir, list, name, err))
        return false;
    if (r->modules_count + count > MODULES_MAX)
        return too_many(name, err);
    memcpy(r->modules + r->modules_count, behind, count * sizeof *behind);
    r->modules_count += count;
    return true;
}

/* The one that sparse models have: a table for queries, a transformer for
 * documents. */
static bool sparse_routes(struct reading *r, const json_t *config,
                          const char *dir, const char *name,
                          struct error *err) {
    const json_t *structure = json_object_get(config, "structure");
    const json_t *query = json_object_get(structure, "query");
    const json_t *document = json_object_get(structure, "document");
    const json_t *parameters = json_object_get(config, "parameters");
    const json_t *mappings = json_object_get(parameters, "route_mappings");
    if (r->files.use != MODEL_SPARSE || json_object_size(structure) != 2 ||
        json_array_size(query) != 1 || json_array_size(document) < 2 ||
        json_object_size(mappings) > 0 || r->modules_count > 1)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: a Router is only run in a dense model, or alone "
                         "in a sparse one with the routes query (a "
                         "SparseStaticEmbedding) and document",
                         name);
    r->modules_count = 0;
    if (!route_module(r, config, dir, json_array_get(query, 0), name, err))
        return false;
    if (r->modules[0].kind != MODULE_STATIC)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: the module %s of the route query is not one that "
                         "can be run here",
                         name, r->modules[0].type);
    r->static_path = r->modules[0].path;
    r->modules_count = 0;
    return list_route(r, config, dir, document, name, err);
}

static bool routes(struct reading *r, const json_t *config, const char *dir,
                   const char *name, struct error *err) {
    return r->files.use == MODEL_DENSE
               ? dense_route(r, config, dir, name, err)
               : sparse_routes(r, config, dir, name, err);
}

static bool open_router(struct reading *r, struct error *err) {
    const char *dir = r->modules[0].path, *path;
    json_t *config = NULL;
    const char *name = reading_join(r, dir, "router_config.json", err);
    if (!name ||
        !reading_object(r, dir, "router_config.json", &config, &path, err))
        return false;
    whole_need(&r->whole, name);
    bool fine = config ? routes(r, config, dir, path, err)
                       : whole_check(&r->whole, err);
    json_decref(config);
    return fine;
}

/* Order: a transformer or a table first, then what the use has. */

static bool may_begin(const struct reading *r, enum module_kind kind) {
    return kind == MODULE_TRANSFORMER ||
           (kind == MODULE_TABLE && r->files.use == MODEL_DENSE);
}

static bool check_kinds(const struct reading *r, const char *name,
                        struct error *err) {
    const struct use *use = &USES[r->files.use];
    for (size_t i = 0; i < r->modules_count; i++) {
        enum module_kind kind = r->modules[i].kind;
        bool fits = i == 0 ? may_begin(r, kind)
                           : kind == MODULE_DROPOUT || (use->may >> kind & 1);
        if (!fits)
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: the module %s at place %zu cannot be run in "
                             "a %s here: expected %s",
                             name, r->modules[i].type, i, use->class,
                             use->words);
    }
    return true;
}

/* A transformer of jina-embeddings-v4's own code pools by itself. */
static bool pools_by_itself(const struct reading *r) {
    return r->modules_count == 1 && !ours(r->modules[0].type);
}

static bool check_dense(const struct reading *r, const char *name,
                        struct error *err) {
    size_t pooling = modules_table(r) ? 0 : 1; /* its place; 0: none */
    for (size_t i = 1; i < r->modules_count; i++)
        if ((r->modules[i].kind == MODULE_POOLING) != (i == pooling))
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: module %zu is out of order: expected %s",
                             name, i, USES[MODEL_DENSE].words);
    return r->modules_count > 1 || modules_table(r) || pools_by_itself(r) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: no Pooling module, so the model gives no text vector",
                     name);
}

static bool check_order(const struct reading *r, const char *name,
                        struct error *err) {
    bool head_beside = (r->files.use == MODEL_SPARSE &&
                        r->files.sparse.kind == SPARSE_LEXICAL) ||
                       (r->files.use == MODEL_MULTI && r->files.multi.exists);
    if (head_beside) /* the modules are those of the dense model */
        return r->modules[0].kind == MODULE_TRANSFORMER ||
               check_kinds(r, name, err);
    return check_kinds(r, name, err) &&
           (r->files.use != MODEL_DENSE || check_dense(r, name, err));
}

/* The library keeps modules by their names: of two that share one the second
 * would take the first's place. */
static bool check_names(const json_t *rows, const char *name,
                        struct error *err) {
    for (size_t i = 0; i < json_array_size(rows); i++)
        for (size_t k = 0; k < i; k++) {
            const json_t *a = json_object_get(json_array_get(rows, i), "name");
            const json_t *b = json_object_get(json_array_get(rows, k), "name");
            if (a && b && json_equal(a, b))
                return error_set(err, ERROR_UNSUPPORTED,
                                 "%s: modules %zu and %zu have the same name, "
                                 "which is not supported: give each its own",
                                 name, k, i);
        }
    return true;
}

static bool list_all(struct reading *r, const json_t *rows, const char *name,
                     struct error *err) {
    size_t count = json_array_size(rows);
    if (!json_is_array(rows) || count == 0)
        return error_set(err, ERROR_INPUT, "%s: expected a list of modules",
                         name);
    for (size_t i = 0; i < count; i++)
        if (!list_one(r, json_array_get(rows, i), name, err))
            return false;
    if (!check_names(rows, name, err))
        return false;
    if (r->modules[0].kind == MODULE_ROUTER && !open_router(r, err))
        return false;
    return check_order(r, name, err);
}

/* Is it a model of the class that USE is? */

static const char CONFIG[] = "config_sentence_transformers.json";

static void drop_modules(struct reading *r) {
    json_decref(r->sentence);
    r->sentence = NULL;
    r->has_modules = false;
}

/* The option of a run that takes a model of that class. */
static const char *option_of(const char *class) {
    for (enum model_use use = MODEL_SPARSE; use <= MODEL_RERANK; use++)
        if (strcmp(USES[use].class, class) == 0)
            return USES[use].option;
    return strcmp(class, "ColBERT") == 0 ? USES[MODEL_MULTI].option : NULL;
}

static bool convert(struct reading *r, const char *type, struct error *err) {
    const char *option = option_of(type);
    if (r->files.use == MODEL_DENSE)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: this is a %s, and only a SentenceTransformer "
                         "gives one vector a text%s%s",
                         r->sentence_path, type, option ? ": it goes to " : "",
                         option ? option : "");
    bool dense = strcmp(type, "SentenceTransformer") == 0;
    if (dense && r->files.use == MODEL_SPARSE &&
        r->files.sparse.kind != SPARSE_LEXICAL)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: this is a dense model without a sparse head (the "
                         "library would put an untrained SparseAutoEncoder "
                         "behind it): use a SPLADE model or bge-m3",
                         r->files.folder);
    if (!dense || r->files.use == MODEL_RERANK)
        drop_modules(r); /* the library's defaults over the same transformer */
    return true;
}

/* The file may be on its way: then that is what whole_check will say. */
static bool find_class(struct reading *r, struct error *err) {
    const char *type = "SentenceTransformer";
    if (!r->has_modules)
        return true;
    whole_maybe(&r->whole, CONFIG);
    if (!reading_object(r, "", CONFIG, &r->sentence, &r->sentence_path, err) ||
        !json_member_string(r->sentence, "model_type", r->sentence_path, &type,
                            err))
        return false;
    bool same = strcmp(type, USES[r->files.use].class) == 0;
    if (r->files.use == MODEL_MULTI)
        same = same || strcmp(type, "ColBERT") == 0 ||
               (!json_object_get(r->sentence, "model_type") &&
                reading_architecture(r, STR("HF_ColBERT")));
    return same || convert(r, type, err);
}

static bool list_file(struct reading *r, struct error *err) {
    const char *path = reading_path(r, "", "modules.json", err);
    json_t *rows = path ? json_read_file(path, CONFIG_BYTES_MAX, err) : NULL;
    bool fine = rows && list_all(r, rows, path, err);
    json_decref(rows);
    return fine;
}

bool modules_list(struct reading *r, struct error *err) {
    r->has_modules = whole_modules(&r->whole);
    if (reading_knows(r, "sparse_linear.pt"))
        r->files.sparse.kind = SPARSE_LEXICAL;
    r->files.multi.exists = reading_knows(r, "colbert_linear.pt");
    if (!find_class(r, err))
        return false;
    if (r->has_modules)
        return list_file(r, err);
    r->modules[0] = (struct module){MODULE_TRANSFORMER, "", "Transformer"};
    r->modules[1] = (struct module){MODULE_POOLING, "", "Pooling"};
    r->modules_count = 2;
    return true;
}

const char *modules_transformer(const struct reading *r) {
    return r->modules[0].path;
}

bool modules_table(const struct reading *r) {
    return r->modules[0].kind == MODULE_TABLE;
}

/* Which files the modules behind the transformer take. */

static bool need_one(struct reading *r, const struct module *module,
                     struct error *err) {
    const char *config = reading_join(r, module->path, "config.json", err);
    if (!config)
        return false;
    /* Before version 6 a Normalize had no file at all. */
    if (module->kind == MODULE_DROPOUT ||
        (module->kind == MODULE_NORMALIZE && !whole_known(&r->whole, config)))
        return true;
    whole_need(&r->whole, config);
    if (module->kind != MODULE_DENSE && module->kind != MODULE_LAYER_NORM)
        return true;
    const char *weights = module_weights(r, module->path, err);
    return weights && (whole_need(&r->whole, weights), true);
}

bool modules_need(struct reading *r, struct error *err) {
    for (size_t i = 1; r->has_modules && i < r->modules_count; i++)
        if (!need_one(r, &r->modules[i], err))
            return false;
    return sparse_need(r, err) && multi_need(r, err) && rerank_need(r, err);
}
