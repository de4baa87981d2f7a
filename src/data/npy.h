/* npy.h - NumPy's array file, C order: written in version 1.0, read in versions
 * 1.0 to 3.0. Arrays of f32 with rows and columns have a writer and a map;
 * for others there are the headers.
 *
 * Written under a temporary name, complete or not there:
 *
 *     struct npy_writer out;
 *     bool fine = npy_writer_open(&out, path, points, width, memory, err) &&
 *                 npy_writer_add(&out, rows, count, err) && ... &&
 *                 npy_writer_commit(&out, err);
 *     npy_writer_close(&out);
 */

#ifndef DATA_NPY_H
#define DATA_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"

/* Bytes of the header that we write, whatever the shape: NumPy leaves room for
 * the first axis to grow, so its header has that length as well. */
enum { NPY_HEADER_BYTES = 128 };
void npy_header_write(char header[NPY_HEADER_BYTES], uint64_t rows,
                      size_t width);

/* The same for any array: TYPE is NumPy's ('<f4', '<i8', '|S3'), SHAPE has
 * DIMENSIONS (0 to 2) numbers. */
void npy_header_make(char header[NPY_HEADER_BYTES], const char *type,
                     const uint64_t *shape, size_t dimensions);

/* What a header says. The data lies in [offset, size of the file). */
struct npy_header {
    uint64_t rows;
    size_t width;  /* >= 1 */
    size_t offset; /* of the data, a multiple of 4 */
};
/* Read the header at the begin of HEAD, of a file of FILE_BYTES bytes. Anything
 * but a whole 2-D little-endian f32 array in C order is ERROR_INPUT with
 * NAME. */
bool npy_header_read(struct str head, uint64_t file_bytes, const char *name,
                     struct npy_header *out, struct error *err);

/* An array of any shape and one of a few types, in memory. */
enum { NPY_DIMENSIONS_MAX = 2 };
struct npy_array {
    struct str type; /* borrowed from the bytes */
    size_t dimensions;
    uint64_t shape[NPY_DIMENSIONS_MAX];
    struct str data; /* borrowed; as many bytes as the shape says */
};
/* The array whose file is BYTES. ITEM_BYTES is of an item of its type, which
 * must be TYPE; ERROR_INPUT with NAME for all that is not such an array with
 * DIMENSIONS dimensions, whole and in C order. */
bool npy_array_read(struct str bytes, const char *type, size_t item_bytes,
                    size_t dimensions, const char *name, struct npy_array *out,
                    struct error *err);

struct npy_writer {
    struct file_writer file;
    uint64_t rows; /* as announced */
    size_t width;
    uint64_t written;
};
/* WIDTH >= 1. On failure nothing is open. */
bool npy_writer_open(struct npy_writer *writer, const char *path, uint64_t rows,
                     size_t width, struct memory *memory, struct error *err);
bool npy_writer_add(struct npy_writer *writer, const float *rows, size_t count,
                    struct error *err);
/* All announced rows must have been added. */
bool npy_writer_commit(struct npy_writer *writer, struct error *err);
/* Without a commit before it, nothing is left. */
void npy_writer_close(struct npy_writer *writer);

/* A 2-D f32 array, mapped. */
struct npy_map {
    struct file_map map;
    uint64_t rows;
    size_t width;
    const float *data; /* [rows, width] */
};
bool npy_map_open(struct npy_map *npy, const char *path, struct error *err);
void npy_map_close(struct npy_map *npy); /* {0} is fine */

#endif
