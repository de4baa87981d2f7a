#include "data/csr.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/archive.h"
#include "base/str.h"
#include "data/npy.h"

enum { PIECE_BYTES = 16384, PIECE_INDICES = 512 };

/* ---- writing ------------------------------------------------------------ */

static bool wide_indices(uint64_t columns) {
    return columns > (uint64_t)INT32_MAX + 1;
}

/* WHAT of PATH, in SCRATCH. */
static bool open_aside(struct file_writer *file, const char *path,
                       const char *scratch, const char *what,
                       struct memory *memory, struct error *err) {
    const char *slash = strrchr(path, '/');
    struct strbuf name = strbuf_make(memory);
    strbuf_printf(&name, "%s/%s.%s", scratch, slash ? slash + 1 : path, what);
    bool fine =
        strbuf_ok(&name, err) && file_writer_open(file, name.data, memory, err);
    strbuf_free(&name);
    return fine;
}

bool csr_writer_open(struct csr_writer *writer, const char *path,
                     const char *scratch, uint64_t columns,
                     struct memory *memory, struct error *err) {
    struct file_writer closed = {.memory = memory, .fd = -1};
    *writer = (struct csr_writer){
        .indices = closed, .ends = closed, .columns = columns};
    int64_t first = 0;
    if (zip_writer_open(&writer->zip, path, memory, err) &&
        open_aside(&writer->indices, path, scratch, "indices", memory, err) &&
        open_aside(&writer->ends, path, scratch, "indptr", memory, err) &&
        zip_begin(&writer->zip, "data.npy", NPY_HEADER_BYTES, err) &&
        file_writer_add(&writer->ends, &first, sizeof first, err))
        return true;
    csr_writer_close(writer);
    return false;
}

static bool add_indices(struct csr_writer *writer, const uint32_t *indices,
                        size_t count, struct error *err) {
    if (!wide_indices(writer->columns))
        return file_writer_add(&writer->indices, indices,
                               count * sizeof *indices, err);
    while (count > 0) {
        int64_t piece[PIECE_INDICES];
        size_t part = count < PIECE_INDICES ? count : PIECE_INDICES;
        for (size_t i = 0; i < part; i++)
            piece[i] = indices[i];
        if (!file_writer_add(&writer->indices, piece, part * sizeof *piece,
                             err))
            return false;
        indices += part;
        count -= part;
    }
    return true;
}

bool csr_writer_add(struct csr_writer *writer, const uint32_t *indices,
                    const float *values, size_t count, struct error *err) {
    assert(count == 0 || indices[count - 1] < writer->columns);
    writer->rows++;
    writer->pairs += count;
    int64_t end = (int64_t)writer->pairs;
    return zip_add(&writer->zip, values, count * sizeof *values, err) &&
           add_indices(writer, indices, count, err) &&
           file_writer_add(&writer->ends, &end, sizeof end, err);
}

/* FROM, which is not committed, as the rest of the member; then it goes. */
static bool add_file(struct zip_writer *zip, struct file_writer *from,
                     struct error *err) {
    /* What is still buffered goes out by a patch of nothing. */
    if (!file_writer_patch(from, 0, "", 0, err))
        return false;
    int fd = open(from->part, O_RDONLY | O_CLOEXEC);
    bool fine = fd >= 0 || error_errno(err, "open %s", from->part);
    for (uint64_t at = 0; fine && at < from->written;) {
        char piece[PIECE_BYTES];
        uint64_t left = from->written - at;
        size_t part = left < sizeof piece ? (size_t)left : sizeof piece;
        fine = file_pread(fd, piece, part, at, from->part, err) &&
               zip_add(zip, piece, part, err);
        at += part;
    }
    if (fd >= 0)
        close(fd);
    file_writer_close(from);
    return fine;
}

static bool add_array(struct zip_writer *zip, const char *name,
                      const char *type, const uint64_t *shape,
                      size_t dimensions, struct file_writer *from,
                      struct error *err) {
    char header[NPY_HEADER_BYTES];
    npy_header_make(header, type, shape, dimensions);
    return zip_begin(zip, name, 0, err) &&
           zip_add(zip, header, sizeof header, err) &&
           (!from || add_file(zip, from, err));
}

bool csr_writer_commit(struct csr_writer *writer, struct error *err) {
    struct zip_writer *zip = &writer->zip;
    char header[NPY_HEADER_BYTES];
    npy_header_make(header, "<f4", &writer->pairs, 1);
    uint64_t ends = writer->rows + 1, two = 2;
    int64_t shape[2] = {(int64_t)writer->rows, (int64_t)writer->columns};
    return zip_end(zip, header, err) &&
           add_array(zip, "indices.npy",
                     wide_indices(writer->columns) ? "<i8" : "<i4",
                     &writer->pairs, 1, &writer->indices, err) &&
           zip_end(zip, NULL, err) &&
           add_array(zip, "indptr.npy", "<i8", &ends, 1, &writer->ends, err) &&
           zip_end(zip, NULL, err) &&
           add_array(zip, "shape.npy", "<i8", &two, 1, NULL, err) &&
           zip_add(zip, shape, sizeof shape, err) && zip_end(zip, NULL, err) &&
           add_array(zip, "format.npy", "|S3", NULL, 0, NULL, err) &&
           zip_add(zip, "csr", 3, err) && zip_end(zip, NULL, err) &&
           zip_commit(zip, err);
}

void csr_writer_close(struct csr_writer *writer) {
    zip_writer_close(&writer->zip);
    if (writer->ends.memory) {
        file_writer_close(&writer->indices);
        file_writer_close(&writer->ends);
    }
    *writer = (struct csr_writer){0};
}

/* ---- reading ------------------------------------------------------------ */

/* An i64 that is not negative, else UINT64_MAX; at any place. */
static uint64_t long_at(const uint8_t *at) {
    int64_t value;
    memcpy(&value, at, sizeof value);
    return value < 0 ? UINT64_MAX : (uint64_t)value;
}

/* The arrays of PATH. */
struct members {
    struct archive zip;
    const char *path;
};

static bool find_array(const struct members *members, const char *name,
                       const char *type, size_t item_bytes, size_t dimensions,
                       struct npy_array *out, struct error *err) {
    struct str bytes;
    if (!archive_find(&members->zip, str_from(name), &bytes))
        return error_set(err, ERROR_INPUT,
                         "%s has no array %s; it is not a sparse matrix as "
                         "SciPy saves it",
                         members->path, name);
    return npy_array_read(bytes, type, item_bytes, dimensions, members->path,
                          out, err);
}

static bool is_csr(const struct members *members, struct error *err) {
    struct npy_array format;
    return find_array(members, "format.npy", "|S3", 3, 0, &format, err) &&
           (str_equal(format.data, STR("csr")) ||
            error_set(err, ERROR_UNSUPPORTED,
                      "%s is a sparse matrix of another format; csr can be "
                      "read",
                      members->path));
}

static bool find_indices(const struct members *members, struct csr_map *csr,
                         struct npy_array *indices, struct error *err) {
    csr->index_bytes = 4;
    if (find_array(members, "indices.npy", "<i4", 4, 1, indices, NULL))
        return true;
    csr->index_bytes = 8;
    return find_array(members, "indices.npy", "<i8", 8, 1, indices, err);
}

static bool check_shapes(struct csr_map *csr, const struct npy_array *data,
                         const struct npy_array *indices,
                         const struct npy_array *ends,
                         const struct npy_array *shape, struct error *err) {
    csr->pairs = data->shape[0];
    if (shape->shape[0] == 2) {
        csr->rows = long_at((const uint8_t *)shape->data.data);
        csr->columns = long_at((const uint8_t *)shape->data.data + 8);
        if (indices->shape[0] == csr->pairs && csr->columns != UINT64_MAX &&
            ends->shape[0] >= 1 && ends->shape[0] - 1 == csr->rows &&
            long_at(csr->ends) == 0 &&
            long_at(csr->ends + 8 * csr->rows) == csr->pairs &&
            (uintptr_t)data->data.data % sizeof *csr->values == 0)
            return true;
    }
    return error_set(err, ERROR_INPUT,
                     "%s: its arrays do not fit together; make the file again",
                     csr->path);
}

static bool read_arrays(struct csr_map *csr, const struct members *members,
                        struct error *err) {
    struct npy_array data, indices, ends, shape;
    if (!is_csr(members, err) ||
        !find_array(members, "data.npy", "<f4", 4, 1, &data, err) ||
        !find_indices(members, csr, &indices, err) ||
        !find_array(members, "indptr.npy", "<i8", 8, 1, &ends, err) ||
        !find_array(members, "shape.npy", "<i8", 8, 1, &shape, err))
        return false;
    csr->ends = (const uint8_t *)ends.data.data;
    csr->indices = (const uint8_t *)indices.data.data;
    csr->values = (const float *)(const void *)data.data.data;
    return check_shapes(csr, &data, &indices, &ends, &shape, err);
}

bool csr_map_bytes(struct csr_map *csr, struct str file, const char *path,
                   struct memory *memory, struct error *err) {
    struct members members = {.path = path};
    *csr = (struct csr_map){.path = path};
    if (!archive_read(&members.zip, memory, path, file,
                      "make the file again, with compressed=False", err))
        return false;
    bool fine = read_arrays(csr, &members, err);
    archive_free(&members.zip);
    return fine;
}

bool csr_map_open(struct csr_map *csr, const char *path, struct memory *memory,
                  struct error *err) {
    struct file_map map;
    *csr = (struct csr_map){0};
    if (!file_map_open(&map, path, err))
        return false;
    bool fine =
        csr_map_bytes(csr, (struct str){map.data, map.size}, path, memory, err);
    csr->map = map;
    if (!fine)
        csr_map_close(csr);
    return fine;
}

void csr_map_close(struct csr_map *csr) {
    file_map_close(&csr->map);
    *csr = (struct csr_map){0};
}

uint64_t csr_index(const struct csr_row *row, size_t i) {
    if (row->index_bytes == 8)
        return long_at(row->indices + 8 * i);
    int32_t index;
    memcpy(&index, row->indices + 4 * i, sizeof index);
    return index < 0 ? UINT64_MAX : (uint64_t)index;
}

static bool ascends(const struct csr_row *row, uint64_t columns) {
    uint64_t next = 0; /* the least that may come */
    for (size_t i = 0; i < row->count; i++) {
        uint64_t index = csr_index(row, i);
        if (index < next || index >= columns)
            return false;
        next = index + 1;
    }
    return true;
}

bool csr_map_row(const struct csr_map *csr, uint64_t row, struct csr_row *out,
                 struct error *err) {
    assert(row < csr->rows);
    uint64_t begin = long_at(csr->ends + 8 * row);
    uint64_t end = long_at(csr->ends + 8 * (row + 1));
    if (begin <= end && end <= csr->pairs) {
        *out = (struct csr_row){
            .count = (size_t)(end - begin),
            .indices = csr->indices + begin * csr->index_bytes,
            .index_bytes = csr->index_bytes,
            .values = csr->values + begin,
        };
        if (ascends(out, csr->columns))
            return true;
    }
    return error_set(err, ERROR_INPUT,
                     "%s: row %" PRIu64 " is not sound (its place, or indices "
                     "that do not ascend); make the file again",
                     csr->path, row);
}

double csr_row_dot(const struct csr_row *row, const uint32_t *indices,
                   const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0, q = 0; i < row->count && q < count;) {
        uint64_t index = csr_index(row, i);
        if (index == indices[q])
            sum += (double)row->values[i++] * (double)values[q++];
        else if (index < indices[q])
            i++;
        else
            q++;
    }
    return sum;
}
