/* cuda_cache.h - compiled kernels, kept from run to run.
 *
 *     struct cuda_key key = ...;   // SHA-256 of all that the image is made of
 *     bool there = cuda_cache_read(folder, "rows-sm_75", &key, memory,
 *                                  &data, &bytes);
 *     if (!there) ... compile ...
 *         cuda_cache_write(folder, "rows-sm_75", &key, data, bytes);
 *
 * A file is named by NAME and the key and begins with the SHA-256 of key and
 * image; what does not fit is not there, be it cut, changed or another's under
 * this name. Writing is to a name of its own and a rename: processes and
 * threads may do so at once. Nothing here fails but by doing nothing.
 */

#ifndef DEVICE_CUDA_CUDA_CACHE_H
#define DEVICE_CUDA_CUDA_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/memory.h"

struct cuda_key {
    uint8_t digest[SHA256_BYTES];
};

/* *DATA is taken from MEMORY. */
bool cuda_cache_read(const char *folder, const char *name,
                     const struct cuda_key *key, struct memory *memory,
                     void **data, size_t *bytes);
void cuda_cache_write(const char *folder, const char *name,
                      const struct cuda_key *key, const void *data,
                      size_t bytes);

#endif
