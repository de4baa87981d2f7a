/* tensors.c - see tensors.h. Opens the files, has each read by its format, and
 * finds tensors by name. */

#include "hub/tensors.h"

#include <string.h>
#include <unistd.h>

#include "hub/tensors_parts.h"

static const struct dtype_row DTYPES[] = {
    {"F32", 32, TENSOR_F32},          {"F16", 16, TENSOR_F16},
    {"BF16", 16, TENSOR_BF16},        {"F64", 64, TENSOR_F64},
    {"I64", 64, TENSOR_I64},          {"I32", 32, TENSOR_I32},
    {"BOOL", 8, TENSOR_OTHER},        {"U8", 8, TENSOR_OTHER},
    {"I8", 8, TENSOR_OTHER},          {"I16", 16, TENSOR_OTHER},
    {"U16", 16, TENSOR_OTHER},        {"U32", 32, TENSOR_OTHER},
    {"U64", 64, TENSOR_OTHER},        {"C64", 64, TENSOR_OTHER},
    {"F4", 4, TENSOR_OTHER},          {"F6_E2M3", 6, TENSOR_OTHER},
    {"F6_E3M2", 6, TENSOR_OTHER},     {"F8_E5M2", 8, TENSOR_OTHER},
    {"F8_E4M3", 8, TENSOR_OTHER},     {"F8_E8M0", 8, TENSOR_OTHER},
    {"F8_E4M3FNUZ", 8, TENSOR_OTHER}, {"F8_E5M2FNUZ", 8, TENSOR_OTHER},
};

const struct dtype_row *dtype_find(const char *name) {
    for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++)
        if (strcmp(DTYPES[i].name, name) == 0)
            return &DTYPES[i];
    return NULL;
}

/* Filling. */

bool tensors_reserve(struct tensors *st, size_t count, struct error *err) {
    struct tensor *grown = memory_resize(st->memory, st->tensors,
                                         st->count + count, sizeof *grown, err);
    if (!grown)
        return false;
    st->tensors = grown;
    st->capacity = st->count + count;
    return true;
}

bool tensors_add(struct tensors *st, const struct tensor *tensor,
                 struct error *err) {
    struct str name = str_from(tensor->name);
    uint64_t other;
    if (map_get(&st->names, name, &other))
        return error_set(err, ERROR_INPUT, "%s: tensor %s is in %s too",
                         st->sources[tensor->file].path, tensor->name,
                         st->sources[st->tensors[other].file].path);
    if (!map_put(&st->names, name, st->count, err))
        return false;
    st->tensors[st->count++] = *tensor;
    return true;
}

/* Formats that people meet, by their first bytes. */
static const struct {
    struct str begin;
    const char *name;
} OTHERS[] = {
    {{"GGUF", 4}, "GGUF"},
    {{"\x89HDF", 4}, "HDF5 (TensorFlow, Keras)"},
    {{"\x80\x05\x95", 3}, "a pickle that torch did not write"},
};

static bool read_source(struct tensors *st, unsigned file, struct error *err) {
    const struct source *source = &st->sources[file];
    struct str bytes = {source->map.data, source->map.size};
    if (torch_file_is(bytes))
        return torch_file_read(st, file, err);
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        if (str_starts(bytes, OTHERS[i].begin))
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s is %s, and only safetensors and torch's files "
                             "are read",
                             source->path, OTHERS[i].name);
    return safetensors_read(st, file, err);
}

/* Opening and closing. */

static struct tensors *make(struct memory *memory, size_t sources,
                            struct error *err) {
    struct tensors *st = memory_zalloc(memory, 1, sizeof *st, err);
    if (!st)
        return NULL;
    st->memory = memory;
    st->arena = arena_make(memory);
    st->names = map_make(memory);
    st->sources = arena_alloc(&st->arena, sources, sizeof *st->sources, err);
    if (st->sources)
        return st;
    tensors_close(st);
    return NULL;
}

static bool add_file(struct tensors *st, const char *path, struct error *err) {
    struct source *source = &st->sources[st->sources_count];
    source->path = arena_copy(&st->arena, str_from(path), err);
    if (!source->path || !file_map_open(&source->map, path, err))
        return false;
    return read_source(st, (unsigned)st->sources_count++, err);
}

struct tensors *tensors_open(struct memory *memory, const char *const *paths,
                             size_t count, struct error *err) {
    struct tensors *st = make(memory, count, err);
    bool fine = st != NULL;
    for (size_t i = 0; fine && i < count; i++)
        fine = add_file(st, paths[i], err);
    if (fine)
        return st;
    tensors_close(st);
    return NULL;
}

struct tensors *tensors_open_bytes(struct memory *memory, const char *name,
                                   const void *data, size_t size,
                                   struct error *err) {
    struct tensors *st = make(memory, 1, err);
    if (!st)
        return NULL;
    st->sources[st->sources_count++] = (struct source){
        .path = arena_copy(&st->arena, str_from(name), err),
        .map = {.data = data, .size = size},
        .borrowed = true,
    };
    if (st->sources[0].path && read_source(st, 0, err))
        return st;
    tensors_close(st);
    return NULL;
}

void tensors_close(struct tensors *st) {
    if (!st)
        return;
    for (size_t i = 0; i < st->sources_count; i++)
        if (!st->sources[i].borrowed)
            file_map_close(&st->sources[i].map);
    memory_free(st->memory, st->tensors);
    map_free(&st->names);
    arena_free(&st->arena);
    memory_free(st->memory, st);
}

/* Looking. */

size_t tensors_count(const struct tensors *st) {
    return st->count;
}

const struct tensor *tensors_at(const struct tensors *st, size_t i) {
    return &st->tensors[i];
}

const struct tensor *tensors_find(const struct tensors *st, const char *name) {
    uint64_t i;
    return map_get(&st->names, str_from(name), &i) ? &st->tensors[i] : NULL;
}

/* From the first to behind the last element. */
static size_t span_bytes(const struct tensor *tensor) {
    if (!tensor->strided)
        return tensor->bytes;
    size_t last = 0;
    for (unsigned i = 0; i < tensor->rank; i++)
        last += (tensor->shape[i] - 1) * tensor->strides[i];
    return (last + 1) * (tensor->bytes / tensor->elements);
}

/* Only pages that hold nothing but this tensor: its neighbours may be in use.
 */
void tensors_forget(const struct tensors *st, const struct tensor *tensor) {
    const struct source *source = &st->sources[tensor->file];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = (size_t)((const char *)tensor->data - source->map.data);
    size_t end = begin + span_bytes(tensor);
    begin = (begin + page - 1) & ~(page - 1);
    end &= ~(page - 1);
    if (!source->borrowed && begin < end)
        file_map_forget(&source->map, begin, end - begin);
}
