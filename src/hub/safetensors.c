/* safetensors.c - see tensors.h. The rules are those of the safetensors
 * package itself (0.8), and three of our own: no name twice, at most 8
 * dimensions, no NUL in a name. */

#include "hub/tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/map.h"

enum { LENGTH_BYTES = 8, HEADER_BYTES_MAX = 100000000 };

struct dtype_row {
    const char *name;
    unsigned bits;
    enum tensor_dtype dtype;
};

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

struct source {
    const char *path; /* for messages; in the arena */
    struct file_map map;
    bool borrowed; /* the bytes are the caller's */
};

struct tensors {
    struct memory *memory;
    struct arena arena;
    struct source *sources; /* [sources_count], in the arena */
    size_t sources_count;
    struct tensor *tensors; /* [count], owned: by file, then by offset */
    size_t count;
    struct map names;
};

/* What one header says of one tensor, before its place is believed. */
struct entry {
    struct tensor tensor;
    size_t begin, end; /* in the buffer behind the header */
};

static const struct dtype_row *dtype_find(const char *name) {
    for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++)
        if (strcmp(DTYPES[i].name, name) == 0)
            return &DTYPES[i];
    return NULL;
}

/* JSON reading of one tensor's entry. */

static bool read_size(const json_t *value, size_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static bool read_dtype(const struct source *source, const json_t *info,
                       struct tensor *t, const struct dtype_row **row,
                       struct error *err) {
    const char *name = json_string_value(json_object_get(info, "dtype"));
    if (!name)
        return error_set(err, ERROR_INPUT, "%s: tensor %s has no dtype",
                         source->path, t->name);
    *row = dtype_find(name);
    if (!*row)
        return error_set(err, ERROR_INPUT,
                         "%s: tensor %s has dtype %s, which safetensors does "
                         "not know",
                         source->path, t->name, name);
    t->dtype = (*row)->dtype;
    t->dtype_name = (*row)->name;
    return true;
}

static bool read_shape(const struct source *source, const json_t *info,
                       struct tensor *t, struct error *err) {
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape))
        return error_set(err, ERROR_INPUT, "%s: tensor %s has no shape",
                         source->path, t->name);
    size_t rank = json_array_size(shape);
    if (rank > TENSOR_RANK_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: tensor %s has %zu dimensions, expected at most "
                         "%d",
                         source->path, t->name, rank, TENSOR_RANK_MAX);
    t->rank = (unsigned)rank;
    t->elements = 1;
    for (size_t i = 0; i < rank; i++) {
        if (!read_size(json_array_get(shape, i), &t->shape[i]))
            return error_set(err, ERROR_INPUT,
                             "%s: tensor %s: dimension %zu of its shape is not "
                             "a whole number",
                             source->path, t->name, i);
        if (!size_multiply(t->elements, t->shape[i], &t->elements))
            return error_set(err, ERROR_INPUT,
                             "%s: tensor %s: the product of its shape does not "
                             "fit 64 bits",
                             source->path, t->name);
    }
    return true;
}

static bool read_bytes(const struct source *source, unsigned dtype_bits,
                       struct tensor *t, struct error *err) {
    size_t bits;
    if (!size_multiply(t->elements, dtype_bits, &bits))
        return error_set(err, ERROR_INPUT,
                         "%s: tensor %s: %zu elements of %s do not fit 64 bits",
                         source->path, t->name, t->elements, t->dtype_name);
    if (bits % 8)
        return error_set(err, ERROR_INPUT,
                         "%s: tensor %s: %zu elements of %s do not end on a "
                         "byte",
                         source->path, t->name, t->elements, t->dtype_name);
    t->bytes = bits / 8;
    return true;
}

static bool read_offsets(const struct source *source, const json_t *info,
                         size_t buffer, struct entry *e, struct error *err) {
    const json_t *pair = json_object_get(info, "data_offsets");
    const char *name = e->tensor.name;
    if (json_array_size(pair) != 2 ||
        !read_size(json_array_get(pair, 0), &e->begin) ||
        !read_size(json_array_get(pair, 1), &e->end))
        return error_set(err, ERROR_INPUT,
                         "%s: tensor %s: data_offsets is not two whole numbers",
                         source->path, name);
    if (e->begin > e->end || e->end > buffer)
        return error_set(err, ERROR_INPUT,
                         "%s: tensor %s lies at bytes %zu to %zu of %zu: the "
                         "file is cut off or broken, fetch it again",
                         source->path, name, e->begin, e->end, buffer);
    if (e->end - e->begin != e->tensor.bytes)
        return error_set(err, ERROR_INPUT,
                         "%s: tensor %s has %zu bytes, its shape and dtype "
                         "need %zu",
                         source->path, name, e->end - e->begin,
                         e->tensor.bytes);
    return true;
}

static bool read_entry(struct tensors *st, const struct source *source,
                       const char *name, const json_t *info, size_t buffer,
                       struct entry *e, struct error *err) {
    const struct dtype_row *row;
    *e = (struct entry){0};
    e->tensor.name = arena_copy(&st->arena, str_from(name), err);
    if (!e->tensor.name)
        return false;
    if (!json_is_object(info))
        return error_set(err, ERROR_INPUT, "%s: tensor %s is not an object",
                         source->path, name);
    return read_dtype(source, info, &e->tensor, &row, err) &&
           read_shape(source, info, &e->tensor, err) &&
           read_bytes(source, row->bits, &e->tensor, err) &&
           read_offsets(source, info, buffer, e, err);
}

/* The header as a whole. */

static json_t *header_parse(const struct source *source, size_t *header_bytes,
                            struct error *err) {
    const unsigned char *at = (const unsigned char *)source->map.data;
    size_t size = source->map.size;
    uint64_t length = 0;
    if (size < LENGTH_BYTES) {
        error_set(err, ERROR_INPUT,
                  "%s: %zu bytes are too few for a safetensors file, fetch it "
                  "again",
                  source->path, size);
        return NULL;
    }
    for (unsigned i = 0; i < LENGTH_BYTES; i++)
        length |= (uint64_t)at[i] << (8 * i);
    if (length > HEADER_BYTES_MAX || length > size - LENGTH_BYTES) {
        error_set(err, ERROR_INPUT,
                  "%s: a header of %llu bytes cannot be in a file of %zu: not "
                  "a safetensors file, or cut off",
                  source->path, (unsigned long long)length, size);
        return NULL;
    }
    json_error_t cause;
    json_t *header = json_loadb(source->map.data + LENGTH_BYTES, (size_t)length,
                                JSON_REJECT_DUPLICATES, &cause);
    if (!header || !json_is_object(header)) {
        error_set(err, ERROR_INPUT,
                  "%s: the header is not a JSON object%s%s (byte %d)",
                  source->path, header ? "" : ": ", header ? "" : cause.text,
                  header ? 0 : cause.position);
        json_decref(header);
        return NULL;
    }
    *header_bytes = LENGTH_BYTES + (size_t)length;
    return header;
}

static bool check_metadata(const struct source *source, const json_t *metadata,
                           struct error *err) {
    const char *key;
    json_t *value;
    if (!metadata || json_is_null(metadata))
        return true;
    bool fine = json_is_object(metadata);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) fine =
        fine && json_is_string(value);
    return fine || error_set(err, ERROR_INPUT,
                             "%s: __metadata__ is not an object of strings",
                             source->path);
}

static int by_place(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

/* Sorted by place, the tensors follow each other without gap or overlap and
 * end where the file ends. */
static bool check_places(const struct source *source,
                         const struct entry *entries, size_t count,
                         size_t buffer, struct error *err) {
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct entry *e = &entries[i];
        if (e->begin < at)
            return error_set(err, ERROR_INPUT,
                             "%s: tensor %s begins at byte %zu, inside tensor "
                             "%s, which ends at %zu",
                             source->path, e->tensor.name, e->begin,
                             entries[i - 1].tensor.name, at);
        if (e->begin > at)
            return error_set(err, ERROR_INPUT,
                             "%s: bytes %zu to %zu before tensor %s belong to "
                             "no tensor",
                             source->path, at, e->begin, e->tensor.name);
        at = e->end;
    }
    return at == buffer || error_set(err, ERROR_INPUT,
                                     "%s: the tensors end at byte %zu of %zu: "
                                     "bytes that belong to no tensor",
                                     source->path, at, buffer);
}

static bool add_tensors(struct tensors *st, unsigned file,
                        const struct entry *entries, size_t count,
                        const char *buffer, struct error *err) {
    struct tensor *grown = memory_resize(st->memory, st->tensors,
                                         st->count + count, sizeof *grown, err);
    if (!grown)
        return false;
    st->tensors = grown;
    for (size_t i = 0; i < count; i++) {
        struct tensor *t = &st->tensors[st->count];
        uint64_t other;
        *t = entries[i].tensor;
        t->file = file;
        t->data = buffer + entries[i].begin;
        if (map_get(&st->names, str_from(t->name), &other))
            return error_set(err, ERROR_INPUT, "%s: tensor %s is in %s too",
                             st->sources[file].path, t->name,
                             st->sources[st->tensors[other].file].path);
        if (!map_put(&st->names, str_from(t->name), st->count, err))
            return false;
        st->count++;
    }
    return true;
}

static bool read_header(struct tensors *st, unsigned file, const json_t *header,
                        size_t header_bytes, struct error *err) {
    const struct source *source = &st->sources[file];
    size_t buffer = source->map.size - header_bytes, count = 0;
    struct entry *entries = memory_alloc(st->memory, json_object_size(header),
                                         sizeof *entries, err);
    bool fine = entries != NULL;
    const char *name;
    json_t *info;
    json_object_foreach((json_t *)(uintptr_t)header, name, info) {
        if (!fine)
            break;
        if (strcmp(name, "__metadata__") == 0)
            fine = check_metadata(source, info, err);
        else
            fine = read_entry(st, source, name, info, buffer, &entries[count++],
                              err);
    }
    if (fine)
        qsort(entries, count, sizeof *entries, by_place);
    fine = fine && check_places(source, entries, count, buffer, err) &&
           add_tensors(st, file, entries, count,
                       source->map.data + header_bytes, err);
    memory_free(st->memory, entries);
    return fine;
}

static bool read_source(struct tensors *st, unsigned file, struct error *err) {
    size_t header_bytes;
    json_t *header = header_parse(&st->sources[file], &header_bytes, err);
    bool fine = header && read_header(st, file, header, header_bytes, err);
    json_decref(header);
    return fine;
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

/* Only pages that hold nothing but this tensor: its neighbours may be in use.
 */
void tensors_forget(const struct tensors *st, const struct tensor *tensor) {
    const struct source *source = &st->sources[tensor->file];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = (size_t)((const char *)tensor->data - source->map.data);
    size_t end = begin + tensor->bytes;
    begin = (begin + page - 1) & ~(page - 1);
    end &= ~(page - 1);
    if (!source->borrowed && begin < end)
        file_map_forget(&source->map, begin, end - begin);
}
