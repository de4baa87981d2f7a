#include "data/rows.h"

#include <math.h>

const char *row_kind_name(enum row_kind kind) {
    static const char *const names[ROW_KINDS] = {"dense", "sparse", "multi"};
    return names[kind];
}

struct row row_of_batch(const struct row_batch *batch, size_t i) {
    if (batch->kind == ROW_DENSE)
        return (struct row){.count = 1,
                            .values = batch->values + i * batch->width};
    struct row_span span = batch->spans[i];
    if (batch->kind == ROW_SPARSE)
        return (struct row){.count = span.count,
                            .indices = batch->indices + span.first,
                            .values = batch->values + span.first};
    return (struct row){.count = span.count,
                        .values = batch->values + span.first * batch->width};
}

static bool indices_ascend(const struct row *row, size_t width) {
    for (size_t i = 0; i < row->count; i++)
        if (row->indices[i] >= width ||
            (i && row->indices[i] <= row->indices[i - 1]))
            return false;
    return true;
}

bool row_is_sound(enum row_kind kind, size_t width, const struct row *row,
                  const char **reason) {
    size_t values = kind == ROW_SPARSE ? row->count : row->count * width;
    for (size_t i = 0; i < values; i++)
        if (!isfinite(row->values[i])) {
            *reason = "a value that is not finite";
            return false;
        }
    if (kind == ROW_SPARSE && !indices_ascend(row, width)) {
        *reason = "indices that do not ascend below the model's number of "
                  "terms";
        return false;
    }
    return true;
}

bool row_buffer_reserve(struct row_buffer *buffer, size_t bytes,
                        struct error *err) {
    if (buffer->bytes && bytes <= buffer->capacity)
        return true;
    size_t capacity = bytes + bytes / 4 + 1;
    void *larger =
        memory_resize(buffer->memory, buffer->bytes, capacity, 1, err);
    if (!larger)
        return false;
    buffer->bytes = larger;
    buffer->capacity = capacity;
    return true;
}

void row_buffer_free(struct row_buffer *buffer) {
    if (buffer->bytes)
        memory_free(buffer->memory, buffer->bytes);
    *buffer = (struct row_buffer){.memory = buffer->memory};
}
