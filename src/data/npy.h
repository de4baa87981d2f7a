/* npy.h - NumPy's array file, version 1.0, C order: f32 written, f32 read.
 *
 * Written under a temporary name, complete or not there. */

#ifndef DATA_NPY_H
#define DATA_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

struct npy_writer {
    struct file_writer file;
    uint64_t rows; /* as announced */
    size_t width;
    uint64_t written;
};
bool npy_writer_open(struct npy_writer *writer, const char *path, uint64_t rows,
                     size_t width, struct memory *memory, struct error *err);
bool npy_writer_add(struct npy_writer *writer, const float *rows, size_t count,
                    struct error *err);
/* All announced rows must have been added. */
bool npy_writer_commit(struct npy_writer *writer, struct error *err);
void npy_writer_close(struct npy_writer *writer);

/* A 2-D f32 array, mapped. */
struct npy_map {
    struct file_map map;
    uint64_t rows;
    size_t width;
    const float *data; /* [rows, width] */
};
bool npy_map_open(struct npy_map *npy, const char *path, struct error *err);
void npy_map_close(struct npy_map *npy);

#endif
