#include "base/disk_index.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum {
    BUCKET_BYTES = 4096,
    ENTRY_BYTES = DISK_INDEX_KEY_BYTES + 8,
    BUCKET_ENTRIES = (BUCKET_BYTES - 8) / ENTRY_BYTES,
    BUCKETS_FIRST = 64,
    FILL_PERCENT = 70, /* grow before buckets overflow into long runs */
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

static int create(const char *path, uint64_t buckets, struct error *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        error_errno(err, "create %s", path);
    } else if (ftruncate(fd, (off_t)(buckets * BUCKET_BYTES)) != 0) {
        error_errno(err, "grow %s", path);
        close(fd);
        fd = -1;
    }
    return fd;
}

bool disk_index_open(struct disk_index *index, const char *path,
                     struct memory *memory, struct error *err) {
    *index = (struct disk_index){
        .memory = memory, .fd = -1, .buckets = BUCKETS_FIRST};
    index->path = memory_alloc(memory, strlen(path) + 1, 1, err);
    index->bucket = memory_alloc(memory, 1, sizeof(struct bucket), err);
    if (index->path && index->bucket) {
        strcpy(index->path, path);
        index->fd = create(path, index->buckets, err);
        if (index->fd >= 0)
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
    memory_free(index->memory, index->bucket);
    *index = (struct disk_index){.memory = index->memory, .fd = -1};
}

/* Digests are evenly spread already. */
static uint64_t home(const struct disk_index *index, const uint8_t *key) {
    uint64_t head;
    memcpy(&head, key, sizeof head);
    return head & (index->buckets - 1);
}

static bool load(struct disk_index *index, uint64_t number, struct error *err) {
    return file_pread(index->fd, index->bucket, BUCKET_BYTES,
                      number * BUCKET_BYTES, index->path, err);
}

bool disk_index_find(struct disk_index *index,
                     const uint8_t key[DISK_INDEX_KEY_BYTES], bool *found,
                     uint64_t *value, struct error *err) {
    struct bucket *bucket = index->bucket;
    uint64_t number = home(index, key);
    *found = false;
    do {
        if (!load(index, number, err))
            return false;
        for (uint64_t i = 0; i < bucket->used; i++) {
            if (memcmp(bucket->entries[i].key, key, DISK_INDEX_KEY_BYTES) != 0)
                continue;
            *found = true;
            *value = bucket->entries[i].value;
            return true;
        }
        number = (number + 1) & (index->buckets - 1);
    } while (bucket->used == BUCKET_ENTRIES);
    return true;
}

static bool insert(struct disk_index *index, const struct entry *entry,
                   struct error *err) {
    struct bucket *bucket = index->bucket;
    uint64_t number = home(index, entry->key);
    for (;;) {
        if (!load(index, number, err))
            return false;
        if (bucket->used < BUCKET_ENTRIES)
            break;
        number = (number + 1) & (index->buckets - 1);
    }
    bucket->entries[bucket->used] = *entry;
    uint64_t at = number * BUCKET_BYTES;
    size_t offset =
        offsetof(struct bucket, entries) + (size_t)bucket->used * sizeof *entry;
    bucket->used++;
    return file_pwrite(index->fd, &bucket->used, sizeof bucket->used, at,
                       index->path, err) &&
           file_pwrite(index->fd, entry, sizeof *entry, at + offset,
                       index->path, err);
}

/* Twice the buckets, in a new file that takes the old one's name. */
static bool grow(struct disk_index *index, struct error *err) {
    struct bucket *old = memory_alloc(index->memory, 1, sizeof *old, err);
    if (!old)
        return false;
    int old_fd = index->fd;
    uint64_t old_buckets = index->buckets;
    unlink(index->path);
    index->buckets *= 2;
    index->fd = create(index->path, index->buckets, err);
    bool fine = index->fd >= 0;
    for (uint64_t b = 0; fine && b < old_buckets; b++) {
        fine = file_pread(old_fd, old, BUCKET_BYTES, b * BUCKET_BYTES,
                          index->path, err);
        for (uint64_t i = 0; fine && i < old->used; i++)
            fine = insert(index, &old->entries[i], err);
    }
    close(old_fd);
    memory_free(index->memory, old);
    return fine;
}

bool disk_index_put(struct disk_index *index,
                    const uint8_t key[DISK_INDEX_KEY_BYTES], uint64_t value,
                    struct error *err) {
    uint64_t room = index->buckets * BUCKET_ENTRIES / 100 * FILL_PERCENT;
    if (index->count >= room && !grow(index, err))
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
    struct bucket *bucket = index->bucket;
    uint64_t number = home(index, key);
    for (;;) {
        if (!load(index, number, err))
            return false;
        for (uint64_t i = 0; i < bucket->used; i++) {
            if (memcmp(bucket->entries[i].key, key, DISK_INDEX_KEY_BYTES) != 0)
                continue;
            uint64_t at = number * BUCKET_BYTES +
                          offsetof(struct bucket, entries) +
                          i * sizeof(struct entry) +
                          offsetof(struct entry, value);
            return file_pwrite(index->fd, &value, sizeof value, at, index->path,
                               err);
        }
        number = (number + 1) & (index->buckets - 1);
    }
}
