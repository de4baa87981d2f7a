#include "base/disk_index.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum {
    BUCKET_BYTES = 4096,
    ENTRY_BYTES = DISK_INDEX_KEY_BYTES + 8,
    BUCKET_ENTRIES = (BUCKET_BYTES - 8) / ENTRY_BYTES,
    BUCKETS_FIRST = 16,
    SLOTS_MAX = 512,
    BUCKETS_MOST = 1 << 24, /* to begin with */
    FILL_PERCENT = 70,      /* grow before buckets overflow into long runs */
};

/* On disk as in memory: the file lives no longer than the process. A full
 * bucket sends later keys to the next one. */
struct bucket {
    uint64_t used;
    struct entry {
        uint8_t key[DISK_INDEX_KEY_BYTES];
        uint64_t value;
    } entries[BUCKET_ENTRIES];
    uint8_t unused[BUCKET_BYTES - 8 - BUCKET_ENTRIES * ENTRY_BYTES];
};

_Static_assert(sizeof(struct bucket) == BUCKET_BYTES, "a bucket is a page");

/* A bucket that is held; written back when another takes its place. */
struct disk_index_slot {
    uint64_t number; /* of the bucket, plus one; 0: empty */
    bool dirty;
    struct bucket bucket;
};

_Static_assert(2 * SLOTS_MAX * sizeof(struct disk_index_slot) +
                       sizeof(struct bucket) <
                   DISK_INDEX_HELD_MAX,
               "what is held while a table grows");

static int create(const char *path, uint64_t buckets, struct error *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        error_errno(err, "create %s", path);
    } else if (ftruncate(fd, (off_t)(buckets * BUCKET_BYTES)) != 0) {
        error_errno(err, "grow %s", path);
        close(fd);
        unlink(path);
        fd = -1;
    }
    /* Read ahead, the kernel would hold the file in pieces of up to megabytes,
     * and go through all pages of one for each bucket that is written. */
    if (fd >= 0)
        posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    return fd;
}

/* An empty table of BUCKETS in a new file; what was open is not closed. */
static bool begin(struct disk_index *index, uint64_t buckets,
                  struct error *err) {
    uint64_t slots = buckets < SLOTS_MAX ? buckets : SLOTS_MAX;
    index->slots =
        memory_zalloc(index->memory, slots, sizeof *index->slots, err);
    index->slots_count = slots;
    index->buckets = buckets;
    index->fd = index->slots ? create(index->path, buckets, err) : -1;
    return index->fd >= 0;
}

/* Keys that BUCKETS take before they should be more. */
static uint64_t room_of(uint64_t buckets) {
    return buckets * BUCKET_ENTRIES / 100 * FILL_PERCENT;
}

static uint64_t buckets_for(uint64_t count) {
    uint64_t buckets = BUCKETS_FIRST;
    while (room_of(buckets) < count && buckets < BUCKETS_MOST)
        buckets *= 2;
    return buckets;
}

uint64_t disk_index_bytes(uint64_t count) {
    uint64_t buckets = buckets_for(count);
    uint64_t slots = buckets < SLOTS_MAX ? buckets : SLOTS_MAX;
    return memory_block_bytes(slots * sizeof(struct disk_index_slot));
}

bool disk_index_has_room(const struct disk_index *index, uint64_t count) {
    return room_of(index->buckets) >= count;
}

bool disk_index_open(struct disk_index *index, const char *path,
                     struct memory *memory, struct error *err) {
    return disk_index_open_for(index, path, 0, memory, err);
}

bool disk_index_open_for(struct disk_index *index, const char *path,
                         uint64_t count, struct memory *memory,
                         struct error *err) {
    *index = (struct disk_index){.memory = memory, .fd = -1};
    index->path = memory_alloc(memory, strlen(path) + 1, 1, err);
    if (index->path) {
        strcpy(index->path, path);
        if (begin(index, buckets_for(count), err))
            return true;
    }
    disk_index_close(index);
    return false;
}

void disk_index_close(struct disk_index *index) {
    if (index->fd >= 0) {
        close(index->fd);
        unlink(index->path);
    }
    memory_free(index->memory, index->path);
    memory_free(index->memory, index->slots);
    *index = (struct disk_index){.memory = index->memory, .fd = -1};
}

/* Digests are evenly spread already. */
static uint64_t home(const struct disk_index *index, const uint8_t *key) {
    uint64_t first;
    memcpy(&first, key, sizeof first);
    return first & (index->buckets - 1);
}

static uint64_t next(const struct disk_index *index, uint64_t number) {
    return (number + 1) & (index->buckets - 1);
}

/* Where bucket NUMBER is held. Growing fills two runs of buckets side by side,
 * half a table apart: multiplying keeps them out of each other's slots. */
static struct disk_index_slot *slot_of(const struct disk_index *index,
                                       uint64_t number) {
    uint64_t mixed = number * 0x9E3779B97F4A7C15u;
    return &index->slots[(mixed >> 32) & (index->slots_count - 1)];
}

/* Bucket NUMBER, in its slot; NULL if the disk failed. */
static struct disk_index_slot *load(struct disk_index *index, uint64_t number,
                                    struct error *err) {
    struct disk_index_slot *slot = slot_of(index, number);
    if (slot->number == number + 1)
        return slot;
    if (slot->dirty &&
        !file_pwrite(index->fd, &slot->bucket, BUCKET_BYTES,
                     (slot->number - 1) * BUCKET_BYTES, index->path, err))
        return NULL;
    slot->dirty = false;
    slot->number = 0;
    if (!file_pread(index->fd, &slot->bucket, BUCKET_BYTES,
                    number * BUCKET_BYTES, index->path, err))
        return NULL;
    slot->number = number + 1;
    return slot;
}

/* The entry of KEY; *ENTRY is NULL if there is none. */
static bool search(struct disk_index *index, const uint8_t *key,
                   struct disk_index_slot **slot, struct entry **entry,
                   struct error *err) {
    *entry = NULL;
    for (uint64_t number = home(index, key);; number = next(index, number)) {
        *slot = load(index, number, err);
        if (!*slot)
            return false;
        struct bucket *bucket = &(*slot)->bucket;
        for (uint64_t i = 0; i < bucket->used; i++)
            if (!memcmp(bucket->entries[i].key, key, DISK_INDEX_KEY_BYTES)) {
                *entry = &bucket->entries[i];
                return true;
            }
        if (bucket->used < BUCKET_ENTRIES)
            return true;
    }
}

bool disk_index_find(struct disk_index *index,
                     const uint8_t key[DISK_INDEX_KEY_BYTES], bool *found,
                     uint64_t *value, struct error *err) {
    struct disk_index_slot *slot;
    struct entry *entry;
    if (!search(index, key, &slot, &entry, err))
        return false;
    *found = entry != NULL;
    if (entry)
        *value = entry->value;
    return true;
}

static bool insert(struct disk_index *index, const struct entry *entry,
                   struct error *err) {
    uint64_t number = home(index, entry->key);
    struct disk_index_slot *slot = load(index, number, err);
    while (slot && slot->bucket.used == BUCKET_ENTRIES) {
        number = next(index, number);
        slot = load(index, number, err);
    }
    if (!slot)
        return false;
    slot->bucket.entries[slot->bucket.used++] = *entry;
    slot->dirty = true;
    return true;
}

static bool write_back(struct disk_index *index, struct error *err) {
    for (uint64_t i = 0; i < index->slots_count; i++) {
        struct disk_index_slot *slot = &index->slots[i];
        if (slot->dirty &&
            !file_pwrite(index->fd, &slot->bucket, BUCKET_BYTES,
                         (slot->number - 1) * BUCKET_BYTES, index->path, err))
            return false;
        slot->dirty = false;
    }
    return true;
}

/* Every entry of SMALL into BIG. */
static bool copy_entries(const struct disk_index *small, struct disk_index *big,
                         struct error *err) {
    struct bucket *bucket = memory_alloc(small->memory, 1, sizeof *bucket, err);
    bool fine = bucket != NULL;
    for (uint64_t b = 0; fine && b < small->buckets; b++) {
        fine = file_pread(small->fd, bucket, BUCKET_BYTES, b * BUCKET_BYTES,
                          small->path, err);
        for (uint64_t i = 0; fine && i < bucket->used; i++)
            fine = insert(big, &bucket->entries[i], err);
    }
    memory_free(small->memory, bucket);
    return fine;
}

/* Twice the buckets, in a new file that takes the old one's name. On failure
 * the table is as it was, but for the name of its file. */
static bool grow(struct disk_index *index, struct error *err) {
    if (!write_back(index, err))
        return false;
    struct disk_index big = *index, *gone = &big;
    unlink(index->path);
    bool fine =
        begin(&big, 2 * index->buckets, err) && copy_entries(index, &big, err);
    if (fine) {
        struct disk_index small = *index;
        *index = big;
        big = small;
    }
    if (gone->fd >= 0)
        close(gone->fd);
    memory_free(index->memory, gone->slots);
    return fine;
}

bool disk_index_put(struct disk_index *index,
                    const uint8_t key[DISK_INDEX_KEY_BYTES], uint64_t value,
                    struct error *err) {
    if (index->count >= room_of(index->buckets) && !grow(index, err))
        return false;
    struct entry entry = {.value = value};
    memcpy(entry.key, key, DISK_INDEX_KEY_BYTES);
    if (!insert(index, &entry, err))
        return false;
    index->count++;
    return true;
}

bool disk_index_replace(struct disk_index *index,
                        const uint8_t key[DISK_INDEX_KEY_BYTES], uint64_t value,
                        struct error *err) {
    struct disk_index_slot *slot;
    struct entry *entry;
    if (!search(index, key, &slot, &entry, err))
        return false;
    assert(entry != NULL);
    entry->value = value;
    slot->dirty = true;
    return true;
}
