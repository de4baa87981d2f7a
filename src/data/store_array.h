/* store_array.h - an exported array as the holder of a store's rows.
 *
 * Row i of the .npy file belongs to the text whose digest is at i in the file
 * FOLDER/array.digests; a digest may be there twice, with equal rows. Size and
 * checksum of both files stand in store.json, and a file that changed since is
 * not used.
 */

#ifndef DATA_STORE_ARRAY_H
#define DATA_STORE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"

struct store_array {
    int fd; /* -1: closed. The file may be replaced by name: this is still the
               one that was checked */
    int digests_fd;
    const char *path, *digests_path; /* owned by the arena */
    uint64_t offset;                 /* of row 0 */
    uint64_t count;                  /* rows */
    size_t row_bytes;
};

/* Open the array at PATH with the digests at DIGESTS_PATH, one a row.
 * PATH relative to FOLDER, checksums and sizes, as store.json has them, into
 * *MEMBER (a new reference). PIECE: store_hash.h. */
bool store_array_open(struct store_array *array, struct arena *arena,
                      const char *folder, const char *path,
                      const char *digests_path, size_t width, void *piece,
                      json_t **member, struct error *err);

/* The path of the array that MEMBER names, NULL if it names none. */
const char *store_array_path(const json_t *member, struct arena *arena,
                             const char *folder, struct error *err);

void store_array_close(struct store_array *array); /* closed is fine */

bool store_array_read(const struct store_array *array, uint64_t row, float *out,
                      struct error *err);
bool store_array_digest(const struct store_array *array, uint64_t row,
                        uint8_t digest[SHA256_BYTES], struct error *err);

#endif
