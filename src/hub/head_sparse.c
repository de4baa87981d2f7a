/* head_sparse.c - sparse vectors over the vocabulary, as SparseEncoder of
 * sentence-transformers 6 reads a folder (SpladePooling,
 * SparseStaticEmbedding), and bge-m3's sparse_linear.pt (FlagEmbedding 1.4,
 * M3Embedder). */

#include "hub/reading.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { TOKENIZER_BYTES_MAX = 64 << 20 };

static const char LEXICAL[] = "sparse_linear.pt";

static bool need_static(struct reading *r, struct error *err) {
    static const char *const NAMES[] = {"config.json", "tokenizer.json"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const char *name = reading_join(r, r->static_path, NAMES[i], err);
        if (!name)
            return false;
        whole_need(&r->whole, name);
    }
    const char *weights = module_weights(r, r->static_path, err);
    const char *limit =
        reading_join(r, r->static_path, "tokenizer_config.json", err);
    if (!weights || !limit)
        return false;
    whole_maybe(&r->whole, limit);
    whole_need(&r->whole, weights);
    return true;
}

bool sparse_need(struct reading *r, struct error *err) {
    struct sparse_files *sparse = &r->files.sparse;
    if (r->files.use == MODEL_SPARSE) {
        if (sparse->kind == SPARSE_LEXICAL)
            whole_need(&r->whole, LEXICAL);
        return !r->static_path || need_static(r, err);
    }
    /* A dense model is whole without it. */
    const char *path = reading_path(r, "", LEXICAL, err);
    if (path && (r->files.use != MODEL_DENSE || !file_may_exist(path)))
        sparse->kind = SPARSE_NONE;
    return path != NULL;
}

static bool read_lexical(struct reading *r, struct error *err) {
    struct tensor_source *linear = &r->files.sparse.linear;
    linear->weight = "weight";
    linear->bias = "bias";
    linear->activation = "ReLU";
    linear->out = 1;
    return source_set_file(r, linear, LEXICAL, err);
}

/* One of two words; the first where nothing is said. */
static bool read_choice(const json_t *config, const char *key,
                        const char *first, const char *second, const char *name,
                        bool *is_second, struct error *err) {
    const char *word = first;
    if (!json_member_string(config, key, name, &word, err))
        return false;
    *is_second = strcmp(word, second) == 0;
    return *is_second || strcmp(word, first) == 0 ||
           error_set(err, ERROR_UNSUPPORTED, "%s: %s is %s, expected %s or %s",
                     name, key, word, first, second);
}

static bool read_splade(struct reading *r, const struct module *module,
                        struct error *err) {
    struct sparse_files *sparse = &r->files.sparse;
    const char *name;
    json_t *config = NULL;
    if (!reading_object(r, module->path, "config.json", &config, &name, err))
        return false;
    const char *width = json_object_get(config, "embedding_dimension")
                            ? "embedding_dimension"
                            : "word_embedding_dimension";
    bool fine = read_choice(config, "pooling_strategy", "max", "sum", name,
                            &sparse->sum, err) &&
                read_choice(config, "activation_function", "relu", "log1p_relu",
                            name, &sparse->log_twice, err) &&
                json_member_size(config, width, name, &sparse->width, err);
    json_decref(config);
    sparse->kind = SPARSE_SPLADE;
    return fine;
}

/* DIR's tokenizer.json without what the last call before it was saved had set,
 * which every call sets anew. NULL: it cannot be read. */
static json_t *tokenizer_of(struct reading *r, const char *dir,
                            struct error *err) {
    const char *path = reading_path(r, dir, "tokenizer.json", err);
    json_t *json = path ? json_read_file(path, TOKENIZER_BYTES_MAX, err) : NULL;
    json_object_del(json, "truncation");
    json_object_del(json, "padding");
    return json;
}

/* Questions are read by the transformer's tokenizer, so the table's must be the
 * same one. */
static bool check_tokenizer(struct reading *r, struct error *err) {
    json_t *own = tokenizer_of(r, r->static_path, err);
    json_t *other = own ? tokenizer_of(r, modules_transformer(r), err) : NULL;
    bool read = own && other, same = read && json_equal(own, other);
    json_decref(own);
    json_decref(other);
    return same || (read && error_set(err, ERROR_UNSUPPORTED,
                                      "%s: %s has another tokenizer than the "
                                      "transformer's, which is not supported: "
                                      "use another model",
                                      r->files.folder, r->static_path));
}

/* A weight for each id, in a tensor. An older "path" names a file of words by
 * a path of the machine where it was made. */
static bool read_static(struct reading *r, struct error *err) {
    struct sparse_files *sparse = &r->files.sparse;
    const char *name, *file = module_weights(r, r->static_path, err);
    json_t *config = NULL;
    if (!file || !source_set_file(r, &sparse->static_weights, file, err) ||
        !reading_object(r, r->static_path, "config.json", &config, &name, err))
        return false;
    const char *path = json_string_value(json_object_get(config, "path"));
    bool list = path && str_ends(str_from(path), STR(".json"));
    json_decref(config);
    if (list)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: path names a list of words, and only weights in "
                         "model.safetensors are read: save the model with a "
                         "newer sentence-transformers",
                         name);
    sparse->kind = SPARSE_STATIC;
    sparse->static_weights.weight = "weight";
    sparse->static_weights.config = name;
    return check_tokenizer(r, err) &&
           limits_of_tokenizer(r, r->static_path, &sparse->static_max_length,
                               err);
}

/* Without modules.json: SPLADE for a model with a masked-LM head. */
static bool read_default(struct reading *r, struct error *err) {
    r->files.sparse.kind = SPARSE_SPLADE;
    return reading_architecture(r, STR("ForMaskedLM")) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: no sparse model: its architectures have no "
                     "ForMaskedLM, and there is no sparse_linear.pt",
                     r->files.config_path);
}

static bool read_modules(struct reading *r, struct error *err) {
    for (size_t i = 1; i < r->modules_count; i++)
        if (r->modules[i].kind == MODULE_SPLADE &&
            !read_splade(r, &r->modules[i], err))
            return false;
    if (r->files.sparse.kind == SPARSE_NONE)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: no SpladePooling among its modules, so it gives "
                         "no sparse vectors",
                         r->files.folder);
    return !r->static_path || read_static(r, err);
}

bool sparse_read(struct reading *r, struct error *err) {
    struct sparse_files *sparse = &r->files.sparse;
    if (sparse->kind == SPARSE_LEXICAL)
        return read_lexical(r, err);
    if (r->files.use != MODEL_SPARSE)
        return true;
    return json_member_size(r->sentence, "max_active_dims", r->sentence_path,
                            &sparse->active_max, err) &&
           (r->has_modules ? read_modules(r, err) : read_default(r, err));
}
