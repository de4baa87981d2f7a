#include "hub/choose.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { FOLDERS_MAX = 18 };

/* The folders that count, without slashes at the end. */
struct folders {
    struct str names[FOLDERS_MAX];
    size_t count;
    bool routes; /* a Router has more, which only its own file names */
    bool table;  /* a StaticEmbedding has no config.json */
};

static const char *const names[] = {
    "modules.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
    "chat_template.jinja",
    "router_config.json",
    "artifact.metadata",
    "adapter_config.json",
    "adapter_model.safetensors",
    "sparse_linear.pt",
    "colbert_linear.pt",
};

static struct str folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return (struct str){path, slash ? (size_t)(slash - path) : 0};
}

static struct str name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return str_from(slash ? slash + 1 : path);
}

static bool is_listed(struct str name) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_equal(name, str_from(names[i])))
            return true;
    bool config = str_starts(name, STR("config"));
    bool sentence = str_starts(name, STR("sentence_")) &&
                    str_ends(name, STR("_config.json"));
    return sentence || (config && str_ends(name, STR(".json")));
}

/* Weights in the order in which transformers looks for them: of a folder's,
 * only the first kind that is there is a part of the model. */
static const struct {
    const char *name;
    bool digits; /* each 0 in NAME is any digit */
} WEIGHTS[] = {
    {"model.safetensors", false},
    {"model.safetensors.index.json", false},
    {"pytorch_model.bin", false},
    {"pytorch_model.bin.index.json", false},
    {"model-00000-of-00000.safetensors", true},
    {"pytorch_model-00000-of-00000.bin", true},
};
enum { SAFE, SAFE_INDEX, BIN, BIN_INDEX, SAFE_SHARD, BIN_SHARD, WEIGHTS_COUNT };

static bool matches(struct str name, const char *pattern, bool digits) {
    bool same = name.size == strlen(pattern);
    for (size_t i = 0; same && i < name.size; i++)
        same = digits && pattern[i] == '0'
                   ? isdigit((unsigned char)name.data[i]) != 0
                   : pattern[i] == name.data[i];
    return same;
}

/* Its place in WEIGHTS, or WEIGHTS_COUNT. */
static size_t weights_kind(struct str name) {
    size_t kind = 0;
    while (kind < WEIGHTS_COUNT &&
           !matches(name, WEIGHTS[kind].name, WEIGHTS[kind].digits))
        kind++;
    return kind;
}

static void find_folders(const json_t *modules, struct folders *folders) {
    *folders = (struct folders){.count = 2};
    folders->names[0] = STR("");
    folders->names[1] = STR("adapters"); /* jina-embeddings-v4's LoRA */
    for (size_t i = 0; i < json_array_size(modules); i++) {
        const json_t *module = json_array_get(modules, i);
        const char *path = json_string_value(json_object_get(module, "path"));
        const char *type = json_string_value(json_object_get(module, "type"));
        struct str class = str_from(type ? type : "");
        folders->routes = folders->routes || str_ends(class, STR(".Router"));
        folders->table =
            folders->table || str_ends(class, STR(".StaticEmbedding"));
        struct str name = str_from(path ? path : "");
        if (str_equal(name, STR(".")) || str_starts(name, STR("./")))
            name = str_from(path + (path[1] ? 2 : 1));
        while (name.size && name.data[name.size - 1] == '/')
            name.size--;
        if (name.size && folders->count < FOLDERS_MAX)
            folders->names[folders->count++] = name;
    }
}

/* "document_0_MLMTransformer": a module of a Router, by the name that the
 * library gives it. */
static bool is_route(struct str folder) {
    for (size_t i = 0; i + 2 < folder.size; i++)
        if (folder.data[i] == '_' &&
            isdigit((unsigned char)folder.data[i + 1]) &&
            folder.data[i + 2] == '_')
            return !memchr(folder.data, '/', folder.size);
    return false;
}

static bool has(struct arena *arena, const struct repo_tree *tree,
                struct str folder, size_t kind) {
    const char *path = arena_printf(arena, NULL, "%.*s%s%s", STR_ARG(folder),
                                    folder.size ? "/" : "", WEIGHTS[kind].name);
    return path && repo_tree_find(tree, path);
}

/* The kind of weights of FOLDER that is used: SAFE to BIN_INDEX. */
static size_t used_kind(struct arena *arena, const struct repo_tree *tree,
                        struct str folder) {
    size_t kind = SAFE;
    while (kind <= BIN_INDEX && !has(arena, tree, folder, kind))
        kind++;
    return kind;
}

static bool are_used(struct arena *arena, const struct repo_tree *tree,
                     struct str folder, size_t kind) {
    size_t used = used_kind(arena, tree, folder);
    if (kind == SAFE_SHARD)
        return used == SAFE_INDEX;
    return kind == BIN_SHARD ? used == BIN_INDEX : kind == used;
}

static bool is_chosen(struct arena *arena, const struct repo_tree *tree,
                      const struct folders *folders, const char *path) {
    struct str folder = folder_of(path), name = name_of(path);
    bool inside = folders->routes && is_route(folder);
    for (size_t i = 0; i < folders->count; i++)
        inside = inside || str_equal(folder, folders->names[i]);
    size_t kind = weights_kind(name);
    return inside &&
           (kind == WEIGHTS_COUNT ? is_listed(name)
                                  : are_used(arena, tree, folder, kind));
}

/* Small ones first: a mistake shows before the gigabytes. */
static int by_size(const void *a, const void *b) {
    const struct repo_file *x = *(const struct repo_file *const *)a;
    const struct repo_file *y = *(const struct repo_file *const *)b;
    uint64_t s = repo_file_bytes(x), t = repo_file_bytes(y);
    return s != t ? (s > t) - (s < t) : strcmp(x->path, y->path);
}

/* What the names seen so far can do. */
struct seen {
    bool config, weights; /* what stands for a config.json counts as one */
};

static void see(struct seen *seen, const char *path, const char *config) {
    struct str name = name_of(path);
    seen->config = seen->config || str_equal(name, str_from(config));
    seen->weights = seen->weights || weights_kind(name) < WEIGHTS_COUNT;
}

static bool check(struct seen seen, const char *id, struct error *err) {
    if (seen.config && seen.weights)
        return true;
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s has no %s, and only models with weights as "
                     "safetensors or pytorch_model.bin are read: use another "
                     "model or a revision that has them",
                     id, seen.config ? "model.safetensors" : "config.json");
}

bool choose_possible(const struct repo_tree *tree, const char *id,
                     struct error *err) {
    struct seen seen = {false, false};
    for (size_t i = 0; i < tree->count; i++) {
        see(&seen, tree->files[i].path, "config.json");
        see(&seen, tree->files[i].path, "modules.json");
    }
    return check(seen, id, err);
}

bool choose_files(struct arena *arena, const struct repo_tree *tree,
                  const json_t *modules, const char *id, struct choice *choice,
                  struct error *err) {
    struct folders folders;
    *choice = (struct choice){
        .files = arena_alloc(arena, tree->count, sizeof *choice->files, err)};
    if (!choice->files)
        return false;
    find_folders(modules, &folders);
    struct seen seen = {.config = folders.table};
    for (size_t i = 0; i < tree->count; i++)
        if (is_chosen(arena, tree, &folders, tree->files[i].path)) {
            choice->files[choice->count++] = &tree->files[i];
            see(&seen, tree->files[i].path, "config.json");
        }
    if (choice->count)
        qsort(choice->files, choice->count, sizeof *choice->files, by_size);
    return check(seen, id, err);
}
