#include "data/multi.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* The shape is not known before the last point. */
static bool open_array(struct file_writer *file, const char *path,
                       struct memory *memory, struct error *err) {
    static const char zeros[NPY_HEADER_BYTES];
    return file_writer_open(file, path, memory, err) &&
           file_writer_add(file, zeros, sizeof zeros, err);
}

bool multi_writer_open(struct multi_writer *writer, const char *vectors_path,
                       const char *offsets_path, size_t dim,
                       struct memory *memory, struct error *err) {
    assert(dim > 0);
    struct file_writer closed = {.memory = memory, .fd = -1};
    *writer =
        (struct multi_writer){.vectors = closed, .offsets = closed, .dim = dim};
    uint64_t first = 0;
    if (open_array(&writer->vectors, vectors_path, memory, err) &&
        open_array(&writer->offsets, offsets_path, memory, err) &&
        file_writer_add(&writer->offsets, &first, sizeof first, err))
        return true;
    multi_writer_close(writer);
    return false;
}

bool multi_writer_add(struct multi_writer *writer, const float *vectors,
                      size_t count, struct error *err) {
    size_t bytes;
    if (!size_multiply(count, writer->dim, &bytes) ||
        !size_multiply(bytes, sizeof *vectors, &bytes))
        return error_set(err, ERROR_MEMORY,
                         "%zu vectors of %zu cannot be written", count,
                         writer->dim);
    writer->points++;
    writer->count += count;
    return file_writer_add(&writer->vectors, vectors, bytes, err) &&
           file_writer_add(&writer->offsets, &writer->count,
                           sizeof writer->count, err);
}

static bool commit_array(struct file_writer *file, const char *type,
                         const uint64_t *shape, size_t dimensions,
                         struct error *err) {
    char header[NPY_HEADER_BYTES];
    npy_header_make(header, type, shape, dimensions);
    return file_writer_patch(file, 0, header, sizeof header, err) &&
           file_writer_commit(file, err);
}

bool multi_writer_commit(struct multi_writer *writer, struct error *err) {
    return commit_array(&writer->vectors, "<f4",
                        (uint64_t[]){writer->count, writer->dim}, 2, err) &&
           commit_array(&writer->offsets, "<u8",
                        (uint64_t[]){writer->points + 1}, 1, err);
}

void multi_writer_close(struct multi_writer *writer) {
    if (!writer->vectors.memory)
        return;
    file_writer_close(&writer->vectors);
    file_writer_close(&writer->offsets);
    *writer = (struct multi_writer){0};
}

static bool open_offsets(struct multi_map *multi, struct error *err) {
    struct npy_array array;
    const char *path = multi->offsets_path;
    if (!file_map_open(&multi->offsets_map, path, err))
        return false;
    struct str bytes = {multi->offsets_map.data, multi->offsets_map.size};
    if (!npy_array_read(bytes, "<u8", sizeof *multi->offsets, 1, path, &array,
                        err))
        return false;
    if (array.shape[0] == 0 ||
        (uintptr_t)array.data.data % sizeof *multi->offsets != 0)
        return error_set(err, ERROR_INPUT,
                         "%s is not a list of offsets as ensembed writes it; "
                         "make the file again",
                         path);
    multi->offsets = (const uint64_t *)(const void *)array.data.data;
    multi->points = array.shape[0] - 1;
    if (multi->offsets[0] == 0 &&
        multi->offsets[multi->points] == multi->vectors.rows)
        return true;
    return error_set(err, ERROR_INPUT,
                     "%s goes from %" PRIu64 " to %" PRIu64 ", but there are "
                     "%" PRIu64 " vectors; the two files are of different runs",
                     path, multi->offsets[0], multi->offsets[multi->points],
                     multi->vectors.rows);
}

bool multi_map_open(struct multi_map *multi, const char *vectors_path,
                    const char *offsets_path, struct error *err) {
    *multi = (struct multi_map){.offsets_path = offsets_path};
    if (npy_map_open(&multi->vectors, vectors_path, err) &&
        open_offsets(multi, err))
        return true;
    multi_map_close(multi);
    return false;
}

void multi_map_close(struct multi_map *multi) {
    npy_map_close(&multi->vectors);
    file_map_close(&multi->offsets_map);
    *multi = (struct multi_map){0};
}

bool multi_map_row(const struct multi_map *multi, uint64_t point,
                   const float **vectors, size_t *count, struct error *err) {
    assert(point < multi->points);
    uint64_t begin = multi->offsets[point], end = multi->offsets[point + 1];
    if (begin > end || end > multi->vectors.rows)
        return error_set(err, ERROR_INPUT,
                         "%s: point %" PRIu64 " has the vectors from %" PRIu64
                         " to %" PRIu64 ", which cannot be; make the file "
                         "again",
                         multi->offsets_path, point, begin, end);
    *vectors = multi->vectors.data + begin * multi->vectors.width;
    *count = (size_t)(end - begin);
    return true;
}

static float dot(const float *a, const float *b, size_t dim) {
    enum {
        LANES = 16
    }; /* sums side by side, of which a compiler makes
          vectors */
    float lanes[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= dim; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            lanes[l] += a[i + l] * b[i + l];
    for (size_t l = 0; l < LANES; l++)
        sum += lanes[l];
    for (; i < dim; i++)
        sum += a[i] * b[i];
    return sum;
}

double multi_max_sim(const float *query, size_t query_count, const float *rows,
                     size_t count, size_t dim) {
    double sum = 0;
    float odd = 0; /* NaN when a score was not finite, which max may miss */
    for (size_t q = 0; count && q < query_count; q++) {
        float best = dot(query + q * dim, rows, dim);
        odd += best - best;
        for (size_t r = 1; r < count; r++) {
            float score = dot(query + q * dim, rows + r * dim, dim);
            best = score > best ? score : best;
            odd += score - score;
        }
        sum += (double)best;
    }
    return sum + (double)odd;
}
