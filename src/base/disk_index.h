/* disk_index.h - from a 32-byte digest to a number, on disk.
 *
 * A corpus of ten million texts has ten million digests; in memory they would
 * grow with it. This is a hash table in a file of 4 KiB buckets, of which a
 * bounded number is held; the kernel's page cache grows, and gives way.
 *
 * Where not all buckets are held, a key would cost a call to the kernel to look
 * for it and one to write it, each for a bucket of its own. So the youngest
 * keys are held, and go to the file many at a time, in order; and a filter of a
 * bit pattern a key says of most keys that the file does not have them. Past a
 * few million keys the filter is full, and what it would have saved is read.
 *
 *     struct disk_index index;
 *     disk_index_open(&index, path, memory, err);
 *     disk_index_find(&index, digest, &found, &value, err);
 *     disk_index_put(&index, digest, value, err);    // digest not in it yet
 *     disk_index_close(&index);                      // and the file is gone
 *
 * It is scratch: opening begins an empty one, closing removes the file, and
 * what must survive is kept elsewhere and put in again. One thread.
 */

#ifndef BASE_DISK_INDEX_H
#define BASE_DISK_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

enum {
    DISK_INDEX_KEY_BYTES = 32,
    DISK_INDEX_HELD_MAX = 12 << 19, /* bytes: no index holds more */
};

struct disk_index_slot;
struct disk_index_young;

struct disk_index {
    struct memory *memory; /* borrowed */
    char *path;            /* owned */
    int fd;                /* -1: closed */
    uint64_t buckets;      /* a power of two */
    uint64_t count;
    struct disk_index_slot *slots;  /* [slots_count] buckets held, owned */
    uint64_t slots_count;           /* a power of two */
    struct disk_index_young *young; /* owned; NULL: all buckets are held */
};

bool disk_index_open(struct disk_index *index, const char *path,
                     struct memory *memory, struct error *err);
/* The same, with room for COUNT keys from the beginning: no growing, which
 * would hold the small table and the large one for a while. */
bool disk_index_open_for(struct disk_index *index, const char *path,
                         uint64_t count, struct memory *memory,
                         struct error *err);
/* What that takes, as memory counts it, but for its path. */
uint64_t disk_index_bytes(uint64_t count);
/* The size of its file. */
uint64_t disk_index_file_bytes(uint64_t count);
/* Whether COUNT keys have room without growing. */
bool disk_index_has_room(const struct disk_index *index, uint64_t count);
/* *VALUE stays as it was where KEY is not in the table. */
bool disk_index_find(struct disk_index *index,
                     const uint8_t key[DISK_INDEX_KEY_BYTES], bool *found,
                     uint64_t *value, struct error *err);
/* KEY must not be in the table yet. */
bool disk_index_put(struct disk_index *index,
                    const uint8_t key[DISK_INDEX_KEY_BYTES], uint64_t value,
                    struct error *err);
/* KEY must be in the table: its number becomes VALUE. */
bool disk_index_replace(struct disk_index *index,
                        const uint8_t key[DISK_INDEX_KEY_BYTES], uint64_t value,
                        struct error *err);
void disk_index_close(struct disk_index *index); /* {.fd = -1} is fine */

#endif
