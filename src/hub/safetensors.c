/* safetensors.c - the format safetensors. The rules are those of the
 * safetensors package itself (0.8), and three of our own: no name twice, at
 * most 8 dimensions, no NUL in a name. */

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/json.h"
#include "hub/tensors_parts.h"

enum { LENGTH_BYTES = 8, HEADER_BYTES_MAX = 100000000 };

/* What one header says of one tensor, before its place is believed. */
struct entry {
    struct tensor tensor;
    size_t begin, end; /* in the buffer behind the header */
};

/* What no writer of safetensors leaves: damage, or another format. */
__attribute__((format(printf, 3, 4))) static bool broken(
    const struct source *source, struct error *err, const char *format, ...) {
    char what[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    error_set(err, ERROR_INPUT,
              "%s: %s: the file is cut off or broken, fetch it again",
              source->path, what);
    return false; /* said here, for the compiler to know */
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
        return broken(source, err, "tensor %s has no dtype", t->name);
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
        return broken(source, err, "tensor %s has no shape", t->name);
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
            return broken(
                source, err,
                "tensor %s: dimension %zu of its shape is not a whole number",
                t->name, i);
        if (!size_multiply(t->elements, t->shape[i], &t->elements))
            return broken(
                source, err,
                "tensor %s: the product of its shape does not fit 64 bits",
                t->name);
    }
    return true;
}

static bool read_bytes(const struct source *source, unsigned dtype_bits,
                       struct tensor *t, struct error *err) {
    size_t bits;
    if (!size_multiply(t->elements, dtype_bits, &bits))
        return broken(source, err,
                      "tensor %s: %zu elements of %s do not fit 64 bits",
                      t->name, t->elements, t->dtype_name);
    if (bits % 8)
        return broken(source, err,
                      "tensor %s: %zu elements of %s do not end on a byte",
                      t->name, t->elements, t->dtype_name);
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
        return broken(source, err,
                      "tensor %s: data_offsets is not two whole numbers", name);
    if (e->begin > e->end || e->end > buffer)
        return broken(source, err, "tensor %s lies at bytes %zu to %zu of %zu",
                      name, e->begin, e->end, buffer);
    if (e->end - e->begin != e->tensor.bytes)
        return broken(source, err,
                      "tensor %s has %zu bytes, its shape and dtype need %zu",
                      name, e->end - e->begin, e->tensor.bytes);
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
        return broken(source, err, "tensor %s is not an object", name);
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
        broken(source, err, "%zu bytes are too few for a safetensors file",
               size);
        return NULL;
    }
    for (unsigned i = 0; i < LENGTH_BYTES; i++)
        length |= (uint64_t)at[i] << (8 * i);
    if (length > HEADER_BYTES_MAX || length > size - LENGTH_BYTES) {
        broken(source, err, "a header of %llu bytes cannot be in a file of %zu",
               (unsigned long long)length, size);
        return NULL;
    }
    struct str text = {source->map.data + LENGTH_BYTES, (size_t)length};
    char name[PATH_MAX + 16];
    snprintf(name, sizeof name, "%s: its header", source->path);
    json_t *header = json_parse_as(text, JSON_REJECT_DUPLICATES, name, err);
    if (!header)
        return NULL;
    if (!json_is_object(header)) {
        error_set(err, ERROR_INPUT, "%s: not a JSON object", name);
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
    return fine ||
           broken(source, err, "__metadata__ is not an object of strings");
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
            return broken(source, err,
                          "tensor %s begins at byte %zu, inside tensor %s, "
                          "which ends at %zu",
                          e->tensor.name, e->begin, entries[i - 1].tensor.name,
                          at);
        if (e->begin > at)
            return broken(
                source, err,
                "bytes %zu to %zu before tensor %s belong to no tensor", at,
                e->begin, e->tensor.name);
        at = e->end;
    }
    return at == buffer || broken(source, err,
                                  "the tensors end at byte %zu of %zu: bytes "
                                  "that belong to no tensor",
                                  at, buffer);
}

static bool add_tensors(struct tensors *st, unsigned file,
                        struct entry *entries, size_t count, const char *buffer,
                        struct error *err) {
    bool fine = tensors_reserve(st, count, err);
    for (size_t i = 0; fine && i < count; i++) {
        entries[i].tensor.file = file;
        entries[i].tensor.data = buffer + entries[i].begin;
        fine = tensors_add(st, &entries[i].tensor, err);
    }
    return fine;
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

bool safetensors_read(struct tensors *st, unsigned file, struct error *err) {
    size_t header_bytes;
    json_t *header = header_parse(&st->sources[file], &header_bytes, err);
    bool fine = header && read_header(st, file, header, header_bytes, err);
    json_decref(header);
    return fine;
}
