#include "hub/choose.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { FOLDERS_MAX = 17 };

/* The folders that count, without slashes at the end. */
struct folders {
    struct str names[FOLDERS_MAX];
    size_t count;
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
    "model.safetensors",
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

/* "model-00001-of-00003.safetensors", or the index of such. */
static bool is_shard(struct str name) {
    static const char pattern[] = "model-00000-of-00000.safetensors";
    if (str_equal(name, STR("model.safetensors.index.json")))
        return true;
    bool same = name.size == sizeof pattern - 1;
    for (size_t i = 0; same && i < name.size; i++)
        same = pattern[i] == '0' ? isdigit((unsigned char)name.data[i]) != 0
                                 : pattern[i] == name.data[i];
    return same;
}

static void find_folders(const json_t *modules, struct folders *folders) {
    *folders = (struct folders){.count = 1};
    folders->names[0] = STR("");
    for (size_t i = 0; i < json_array_size(modules); i++) {
        const char *path = json_string_value(
            json_object_get(json_array_get(modules, i), "path"));
        struct str name = str_from(path ? path : "");
        while (name.size && name.data[name.size - 1] == '/')
            name.size--;
        if (name.size && folders->count < FOLDERS_MAX)
            folders->names[folders->count++] = name;
    }
}

static bool has_whole_weights(struct arena *arena, const struct repo_tree *tree,
                              struct str folder) {
    const char *path = arena_printf(arena, NULL, "%.*s%smodel.safetensors",
                                    STR_ARG(folder), folder.size ? "/" : "");
    return path && repo_tree_find(tree, path);
}

static bool is_chosen(struct arena *arena, const struct repo_tree *tree,
                      const struct folders *folders, const char *path) {
    struct str folder = folder_of(path), name = name_of(path);
    bool inside = false;
    for (size_t i = 0; i < folders->count; i++)
        inside = inside || str_equal(folder, folders->names[i]);
    return inside &&
           (is_listed(name) ||
            (is_shard(name) && !has_whole_weights(arena, tree, folder)));
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
    bool config, weights;
};

static void see(struct seen *seen, const char *path) {
    struct str name = name_of(path);
    seen->config = seen->config || str_equal(name, STR("config.json"));
    seen->weights = seen->weights ||
                    str_equal(name, STR("model.safetensors")) || is_shard(name);
}

static bool check(struct seen seen, const char *id, struct error *err) {
    if (seen.config && seen.weights)
        return true;
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s has no %s, and only models with safetensors weights "
                     "are read so far: use another model or a revision that "
                     "has them",
                     id, seen.config ? "model.safetensors" : "config.json");
}

bool choose_possible(const struct repo_tree *tree, const char *id,
                     struct error *err) {
    struct seen seen = {false, false};
    for (size_t i = 0; i < tree->count; i++)
        see(&seen, tree->files[i].path);
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
    struct seen seen = {false, false};
    find_folders(modules, &folders);
    for (size_t i = 0; i < tree->count; i++)
        if (is_chosen(arena, tree, &folders, tree->files[i].path)) {
            choice->files[choice->count++] = &tree->files[i];
            see(&seen, tree->files[i].path);
        }
    if (choice->count)
        qsort(choice->files, choice->count, sizeof *choice->files, by_size);
    return check(seen, id, err);
}
