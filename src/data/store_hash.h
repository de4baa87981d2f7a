/* store_hash.h - one checksum over any number of bytes, in constant memory.
 *
 * XXH3 of each piece of 256 KiB, chained: h = XXH3(h, XXH3(piece)), from 0.
 * Bytes in memory and the same bytes in a file give the same number. It tells
 * a torn or changed file from a whole one; it is no defence against malice.
 */

#ifndef DATA_STORE_HASH_H
#define DATA_STORE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { STORE_PIECE_BYTES = 256 * 1024 };

/* HASH goes on with a piece; each but the last has STORE_PIECE_BYTES. */
uint64_t store_hash_piece(uint64_t hash, const void *piece, size_t size);

/* [offset, offset + size) of the file; PIECE has STORE_PIECE_BYTES bytes. */
bool store_hash_file(int fd, uint64_t offset, uint64_t size, const char *path,
                     void *piece, uint64_t *hash, struct error *err);

#endif
