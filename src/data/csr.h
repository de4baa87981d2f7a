/* csr.h - sparse rows as scipy.sparse.load_npz reads them: KEY.sparse.npz, a
 * zip of five NumPy arrays, not compressed: data f32 [pairs], indices i32 or
 * i64 [pairs], indptr i64 [rows + 1], shape i64 [2], format "csr".
 *
 * Written row by row in constant memory and atomically, of any size (zip64),
 * byte for byte the same for the same rows. Indices are i32 where all columns
 * have such a number, else i64 (hashed index spaces go to 2^32). While it is
 * written, indices and row ends lie in files of SCRATCH, which are gone after
 * the commit.
 *
 *     struct csr_writer out;
 *     bool fine = csr_writer_open(&out, path, scratch, columns, memory, err) &&
 *                 csr_writer_add(&out, indices, values, count, err) && ... &&
 *                 csr_writer_commit(&out, err);
 *     csr_writer_close(&out);
 */

#ifndef DATA_CSR_H
#define DATA_CSR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/zip.h"

struct csr_writer {
    struct zip_writer zip;            /* data.npy, then the rest */
    struct file_writer indices, ends; /* until the commit */
    uint64_t columns;
    uint64_t rows, pairs; /* so far */
};
/* SCRATCH: a folder for what stands in no file's place; files of one name may
 * be written in it one after another. COLUMNS: indices are below it. On failure
 * nothing is open. */
bool csr_writer_open(struct csr_writer *writer, const char *path,
                     const char *scratch, uint64_t columns,
                     struct memory *memory, struct error *err);
/* The next row: COUNT pairs, indices ascending; 0 is fine. */
bool csr_writer_add(struct csr_writer *writer, const uint32_t *indices,
                    const float *values, size_t count, struct error *err);
bool csr_writer_commit(struct csr_writer *writer, struct error *err);
/* Without a commit before it, nothing is left. {0} is fine. */
void csr_writer_close(struct csr_writer *writer);

/* Such a file, mapped. The file is not trusted: what is wrong as a whole shows
 * at the opening, what is wrong in a row when it is asked for. A compressed
 * file (scipy.sparse.save_npz's default) is ERROR_UNSUPPORTED. MEMORY is used
 * while it is opened. */
struct csr_map {
    struct file_map map;
    const char *path; /* borrowed, for messages */
    uint64_t rows, columns, pairs;
    const uint8_t *ends; /* i64 [rows + 1] */
    const uint8_t *indices;
    size_t index_bytes; /* 4 or 8 */
    const float *values;
};
bool csr_map_open(struct csr_map *csr, const char *path, struct memory *memory,
                  struct error *err);
/* The same from a file's bytes, which are borrowed. */
bool csr_map_bytes(struct csr_map *csr, struct str file, const char *path,
                   struct memory *memory, struct error *err);
void csr_map_close(struct csr_map *csr); /* {0} is fine */

/* Row ROW < rows: *COUNT pairs; value i is VALUES[i], its index csr_index. */
struct csr_row {
    size_t count;
    const uint8_t *indices;
    size_t index_bytes;
    const float *values;
};
/* ERROR_INPUT where the row is outside the file, or its indices do not ascend
 * below `columns`. Safe from several threads. */
bool csr_map_row(const struct csr_map *csr, uint64_t row, struct csr_row *out,
                 struct error *err);
uint64_t csr_index(const struct csr_row *row, size_t i);

/* Sum over the indices that both have of their values' product, in double, in
 * the order of the indices. QUERY's COUNT indices ascend. */
double csr_row_dot(const struct csr_row *row, const uint32_t *indices,
                   const float *values, size_t count);

#endif
