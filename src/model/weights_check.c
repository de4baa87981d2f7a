/* weights_check.c - which tensor of the file is which, and whether all of them
 * are there, and no other. */

#include <stdio.h>
#include <string.h>

#include "model/weights_parts.h"

enum { PROBLEMS_NAMED = 6 };

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

/* As torch calls a matrix that has adapters. */
static const struct tensor *find_parametrized(const struct tensors *st,
                                              const char *prefix,
                                              const char *bare) {
    size_t length = strlen(bare), stem = length - strlen("weight");
    char name[2 * NAME_MAX_BYTES];
    if (!str_ends(str_from(bare), STR(".weight")))
        return NULL;
    snprintf(name, sizeof name, "%s%.*sparametrizations.weight.original",
             prefix, (int)stem, bare);
    return tensors_find(st, name);
}

/* As TensorFlow's models, and those made of them, call the two parts of a norm.
 * Upstream reads these words in the name of any tensor whose norm is a
 * "LayerNorm", whatever the family, and in no other. */
static const struct tensor *find_gamma(const struct tensors *st,
                                       const char *prefix, const char *bare) {
    static const char *const words[][2] = {{"LayerNorm.weight", "gamma"},
                                           {"LayerNorm.bias", "beta"}};
    char name[2 * NAME_MAX_BYTES];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_ends(str_from(bare), str_from(words[i][0]))) {
            size_t stem = (size_t)(strrchr(bare, '.') - bare) + 1;
            snprintf(name, sizeof name, "%s%.*s%s", prefix, (int)stem, bare,
                     words[i][1]);
            return tensors_find(st, name);
        }
    return NULL;
}

static const struct tensor *find_named(const struct tensors *st,
                                       const char *prefix, const char *pattern,
                                       size_t layer) {
    char bare[NAME_MAX_BYTES], name[2 * NAME_MAX_BYTES];
    if (!pattern)
        return NULL;
    rule_name(pattern, layer, bare);
    snprintf(name, sizeof name, "%s%s", prefix, bare);
    const struct tensor *tensor = tensors_find(st, name);
    if (!tensor)
        tensor = find_gamma(st, prefix, bare);
    return tensor ? tensor : find_parametrized(st, prefix, bare);
}

static const struct tensor *find_behind(const struct tensors *st,
                                        const char *prefix,
                                        const struct tensor_rule *rule,
                                        size_t layer) {
    const struct tensor *tensor = find_named(st, prefix, rule->name, layer);
    return tensor ? tensor : find_named(st, prefix, rule->old_name, layer);
}

const struct tensor *find_rule(const struct loader *loader,
                               const struct tensor_rule *rule, size_t layer) {
    return find_behind(loader->st, rule->bare ? "" : loader->prefix, rule,
                       layer);
}

const struct tensor *find_whole(const struct loader *loader,
                                const struct tensor_rule *rule, size_t layer) {
    return find_named(loader->st, loader->prefix, rule->whole, layer);
}

const char *find_prefix(const struct tensors *st, const struct family *family) {
    for (size_t i = 0; family->prefixes[i]; i++)
        if (find_behind(st, family->prefixes[i], &family->rules[0], 0))
            return family->prefixes[i];
    return family->prefixes[0];
}

const char *weights_path(const struct loader *loader,
                         const struct tensor *tensor) {
    return tensor->file < loader->files->weights_count
               ? loader->files->weights[tensor->file]
               : loader->files->adapter_path;
}

/* PATTERN is the beginning of a name, or '*' and its end. */
static bool fits(struct str name, const char *pattern) {
    return pattern[0] == '*' ? str_ends(name, str_from(pattern + 1))
                             : str_starts(name, str_from(pattern));
}

static bool is_ignored(const struct family *family, const char *prefix,
                       const char *name) {
    struct str whole = str_from(name), bare = whole;
    if (str_starts(whole, str_from(prefix)))
        bare = str_from(name + strlen(prefix));
    for (size_t i = 0; family->ignored[i]; i++) {
        const char *pattern = family->ignored[i];
        if (fits(whole, pattern) || fits(bare, pattern))
            return true;
    }
    return false;
}

static void name_problem(struct strbuf *list, size_t *count, const char *name) {
    if (++*count <= PROBLEMS_NAMED)
        strbuf_printf(list, "%s%s", *count > 1 ? ", " : "", name);
    else if (*count == PROBLEMS_NAMED + 1)
        strbuf_add(list, STR(", ..."));
}

bool check_dtype(const struct tensor *tensor, const char *file,
                 struct error *err) {
    return tensor->dtype == TENSOR_F32 || tensor->dtype == TENSOR_F16 ||
           tensor->dtype == TENSOR_BF16 ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: tensor %s is %s; F32, F16 and BF16 are supported",
                     file, tensor->name, tensor->dtype_name);
}

bool check_tensor(const struct tensor *tensor, size_t rows, size_t columns,
                  const char *file, struct error *err) {
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
    return check_dtype(tensor, file, err);
}

/* What else the folder is, where that tells why a dense model has tensors too
 * many. */
static const char *other_use(const struct model_files *files) {
    const json_t *list = json_object_get(files->config, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    if (files->use != MODEL_DENSE || !name)
        return "";
    return str_ends(str_from(name), STR("ForSequenceClassification"))
               ? ": it is a classifier or a reranker; a reranker goes to "
                 "--rerank"
           : strcmp(name, "HF_ColBERT") == 0
               ? ": it gives a vector a token and goes to --colbert"
               : "";
}

/* The matrix behind the rows of a model that was made to give each token a
 * class: where a text's vector is wanted, nobody reads it. */
static bool is_token_class(const struct model_files *files, const char *name) {
    const json_t *list = json_object_get(files->config, "architectures");
    const char *type = json_string_value(json_array_get(list, 0));
    return type && str_ends(str_from(type), STR("ForTokenClassification")) &&
           str_starts(str_from(name), STR("classifier."));
}

static bool report_problems(const struct loader *loader, struct error *err) {
    if (!loader->missing_count && !loader->unexpected_count)
        return true;
    return error_set(
        err, ERROR_INPUT, "%s: weights do not match the config:%s%s%s%s%s%s",
        loader->files->folder, loader->missing_count ? " missing " : "",
        strbuf_str(&loader->missing).data,
        loader->missing_count && loader->unexpected_count ? ";" : "",
        loader->unexpected_count ? " unexpected " : "",
        strbuf_str(&loader->unexpected).data,
        loader->missing_count ? "" : other_use(loader->files));
}

/* RULE's tensor of LAYER, if it is there and fits; it is noted if not there. */
static bool check_rule(struct loader *loader, const struct tensor_rule *rule,
                       size_t layer, struct error *err) {
    const struct model_spec *spec = loader->spec;
    if (!model_spec_has(spec, rule, layer))
        return true;
    const struct tensor *tensor = find_rule(loader, rule, layer);
    size_t rows = dim_size(spec, rule->rows);
    if (!tensor) {
        tensor = find_whole(loader, rule, layer);
        rows = joined_rows(spec, rule, layer);
    }
    if (!tensor) {
        char name[NAME_MAX_BYTES];
        rule_name(rule->name, layer, name);
        name_problem(&loader->missing, &loader->missing_count, name);
        return true;
    }
    if (spec->folded_rows)
        rows = spec->folded_rows;
    size_t columns =
        rule->columns == DIM_NONE ? 0 : dim_size(spec, rule->columns);
    loader->used[tensor - tensors_at(loader->st, 0)] = true;
    return check_tensor(tensor, rows, columns, weights_path(loader, tensor),
                        err) &&
           check_lora(loader, tensor, err) && check_folded(loader, err);
}

bool check_encoder(struct loader *loader, struct error *err) {
    const struct family *family = loader->spec->family;
    for (size_t i = 0; i < family->rules_count; i++) {
        const struct tensor_rule *rule = &family->rules[i];
        size_t times = in_layer(rule) ? loader->spec->layers : 1;
        for (size_t layer = 0; layer < times; layer++)
            if (!check_rule(loader, rule, layer, err))
                return false;
    }
    if (!check_modules_beside(loader, err))
        return false;
    for (size_t i = 0; i < tensors_count(loader->st); i++) {
        const char *name = tensors_at(loader->st, i)->name;
        if (!loader->used[i] && !is_ignored(family, loader->prefix, name) &&
            !is_token_class(loader->files, name))
            name_problem(&loader->unexpected, &loader->unexpected_count, name);
    }
    return report_problems(loader, err);
}
