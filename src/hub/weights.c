/* weights.c - which files a transformer's weights are in. */

#include "hub/reading.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "hub/registry.h"

enum { INDEX_BYTES_MAX = 64 << 20, SHARDS_MAX = 4096 };

static bool one_file(struct reading *r, const char *dir, const char *name,
                     struct error *err) {
    const char **list = arena_alloc(&r->arena, 1, sizeof *list, err);
    if (list)
        list[0] = reading_path(r, dir, name, err);
    r->files.weights = list;
    r->files.weights_count = 1;
    return list && list[0];
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The different file names of a weight_map into LIST [size of the map]. */
static bool shard_names(const json_t *map, const char *index, const char **list,
                        size_t *count, struct error *err) {
    const char *tensor;
    json_t *value;
    size_t all = 0, kept = 0;
    json_object_foreach((json_t *)(uintptr_t)map, tensor, value) {
        const char *name = json_string_value(value);
        if (!name || !name[0] || name[0] == '.' || strpbrk(name, "/\\"))
            return error_set(
                err, ERROR_INPUT,
                "%s: the file of tensor %s is not a file name: fetch "
                "the file again",
                index, tensor);
        list[all++] = name;
    }
    qsort(list, all, sizeof *list, by_name);
    for (size_t i = 0; i < all; i++)
        if (i == 0 || strcmp(list[i], list[i - 1]) != 0)
            list[kept++] = list[i];
    *count = kept;
    return kept > 0 ||
           error_set(err, ERROR_INPUT,
                     "%s: weight_map names no file: fetch the file again",
                     index);
}

static bool need_shards(struct reading *r, const char *dir, const char **names,
                        size_t count, struct error *err) {
    const char **paths = arena_alloc(&r->arena, count, sizeof *paths, err);
    for (size_t i = 0; paths && i < count; i++) {
        const char *name = reading_join(r, dir, names[i], err);
        paths[i] = reading_path(r, dir, names[i], err);
        if (!name || !paths[i])
            return false;
        whole_need(&r->whole, name);
    }
    r->files.weights = paths;
    r->files.weights_count = count;
    return paths != NULL;
}

static bool read_map(struct reading *r, const char *dir, const json_t *map,
                     const char *index, struct error *err) {
    size_t count = 0;
    if (!json_is_object(map))
        return error_set(err, ERROR_INPUT,
                         "%s: there is no weight_map in it: fetch the file "
                         "again",
                         index);
    const char **names =
        memory_alloc(r->memory, json_object_size(map), sizeof *names, err);
    bool fine = names && shard_names(map, index, names, &count, err);
    if (fine && count > SHARDS_MAX)
        fine = error_set(err, ERROR_UNSUPPORTED,
                         "%s: %zu files, expected at most %d", index, count,
                         SHARDS_MAX);
    fine = fine && need_shards(r, dir, names, count, err);
    memory_free(r->memory, names);
    return fine;
}

static bool read_index(struct reading *r, const char *dir, const char *name,
                       struct error *err) {
    const char *path = reading_path(r, dir, name, err);
    json_t *index = path ? json_read_file(path, INDEX_BYTES_MAX, err) : NULL;
    bool fine = index && read_map(r, dir, json_object_get(index, "weight_map"),
                                  path, err);
    json_decref(index);
    return fine;
}

/* Weights in a format that is not read: the name of the file, or NULL. */
static const char *other_format(struct reading *r, const char *dir,
                                struct error *err) {
    static const char *const NAMES[] = {
        "model.onnx",    "onnx/model.onnx",    "model_optimized.onnx",
        "tf_model.h5",   "flax_model.msgpack", "model.gguf",
        "rust_model.ot",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const char *name = reading_join(r, dir, NAMES[i], err);
        if (name && whole_known(&r->whole, name))
            return name;
    }
    return NULL;
}

static bool refuse(struct reading *r, const char *name, struct error *err) {
    const char *shown = r->files.id ? r->files.id : r->files.folder;
    const struct registry_entry *entry =
        r->files.id ? registry_find_replaced(r->files.id) : NULL;
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s has its weights as %s, and only safetensors and "
                     "pytorch_model.bin are read: use %s",
                     shown, name,
                     entry ? entry->id
                           : "a model or a revision with model.safetensors");
}

/* In the order in which transformers looks. */
static const struct {
    const char *one, *index;
} KINDS[] = {
    {"model.safetensors", "model.safetensors.index.json"},
    {"pytorch_model.bin", "pytorch_model.bin.index.json"},
};

bool weights_need(struct reading *r, struct error *err) {
    const char *dir = modules_transformer(r);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        const char *one = reading_join(r, dir, KINDS[i].one, err);
        const char *index = reading_join(r, dir, KINDS[i].index, err);
        if (!one || !index)
            return false;
        if (whole_known(&r->whole, one))
            return !whole_need(&r->whole, one) ||
                   one_file(r, dir, KINDS[i].one, err);
        if (whole_known(&r->whole, index))
            return !whole_need(&r->whole, index) ||
                   read_index(r, dir, KINDS[i].index, err);
    }
    const char *other = other_format(r, dir, err);
    if (other)
        return refuse(r, other, err);
    const char *one = reading_join(r, dir, KINDS[0].one, err);
    return one && (whole_need(&r->whole, one), true);
}
