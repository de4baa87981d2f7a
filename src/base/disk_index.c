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
    SLOTS_MAX = 512, /* with more buckets than that ... */
    SLOTS_FEW = 64,  /* ... so many are held, and the youngest keys */
    YOUNG_ENTRIES = 48 * 1024,
    YOUNG_PLACES = 64 * 1024,
    FILTER_WORDS = 128 * 1024,
    WINDOW_BUCKETS = 64,
    WINDOW_LEAST = 32, /* keys for a window, or its buckets go one by one */
    BINS = 4096,
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

/* Keys that are not in the file yet, and which may be. */
struct disk_index_young {
    struct entry entries[YOUNG_ENTRIES];
    uint64_t count;
    uint16_t places[YOUNG_PLACES]; /* hash table: 1 + the entry's number */
    uint64_t filter[FILTER_WORDS]; /* four bits a key of the file, in a word */
    uint16_t order[YOUNG_ENTRIES]; /* of the entries, by their buckets */
    uint32_t bins[BINS + 1];
    uint64_t window_begin; /* number of its first bucket */
    bool window_dirty;
    struct bucket window[WINDOW_BUCKETS];
};

_Static_assert(YOUNG_ENTRIES <= UINT16_MAX, "a place holds their numbers");
_Static_assert((SLOTS_MAX + SLOTS_FEW) * sizeof(struct disk_index_slot) +
                       sizeof(struct disk_index_young) + sizeof(struct bucket) <
                   DISK_INDEX_HELD_MAX,
               "what is held while a table grows");

static uint64_t slots_for(uint64_t buckets) {
    return buckets <= SLOTS_MAX ? buckets : SLOTS_FEW;
}

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
    uint64_t slots = slots_for(buckets);
    index->slots =
        memory_zalloc(index->memory, slots, sizeof *index->slots, err);
    index->slots_count = slots;
    index->buckets = buckets;
    bool fine = index->slots;
    if (fine && buckets > SLOTS_MAX && !index->young) {
        index->young =
            memory_zalloc(index->memory, 1, sizeof *index->young, err);
        fine = index->young;
    }
    index->fd = fine ? create(index->path, buckets, err) : -1;
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
    uint64_t young = buckets > SLOTS_MAX ? sizeof(struct disk_index_young) : 0;
    return memory_block_bytes(slots_for(buckets) *
                              sizeof(struct disk_index_slot)) +
           (young ? memory_block_bytes(young) : 0);
}

uint64_t disk_index_file_bytes(uint64_t count) {
    return buckets_for(count) * BUCKET_BYTES;
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
    memory_free(index->memory, index->young);
    *index = (struct disk_index){.memory = index->memory, .fd = -1};
}

/* The 8 bytes of KEY from AT on. Digests are evenly spread already: each use
 * takes its own. */
static uint64_t part_of(const uint8_t *key, size_t at) {
    uint64_t part;
    memcpy(&part, key + at, sizeof part);
    return part;
}

/* By the first bits, so that one order of keys is the order of their buckets,
 * however many there are. */
static uint64_t home(const struct disk_index *index, const uint8_t *key) {
    return part_of(key, 0) >> (64 - __builtin_ctzll(index->buckets));
}

static uint64_t next(const struct disk_index *index, uint64_t number) {
    return (number + 1) & (index->buckets - 1);
}

/* Where bucket NUMBER is held. */
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

/* ---- the youngest keys --------------------------------------------------- */

/* KEY's place, or the free one where it would be. */
static uint16_t *place_of(struct disk_index_young *young, const uint8_t *key) {
    uint64_t at = part_of(key, 8) % YOUNG_PLACES;
    for (;; at = (at + 1) % YOUNG_PLACES) {
        uint16_t *place = &young->places[at];
        if (!*place ||
            !memcmp(young->entries[*place - 1].key, key, DISK_INDEX_KEY_BYTES))
            return place;
    }
}

static struct entry *young_find(struct disk_index_young *young,
                                const uint8_t *key) {
    uint16_t *place = young ? place_of(young, key) : NULL;
    return place && *place ? &young->entries[*place - 1] : NULL;
}

static void young_add(struct disk_index_young *young,
                      const struct entry *entry) {
    uint16_t *place = place_of(young, entry->key);
    young->entries[young->count] = *entry;
    *place = (uint16_t)++young->count;
}

/* KEY's word of the filter, and its bits there. */
static uint64_t *filter_of(struct disk_index_young *young, const uint8_t *key,
                           uint64_t *bits) {
    uint64_t part = part_of(key, 16);
    *bits = 0;
    for (int i = 0; i < 4; i++)
        *bits |= UINT64_C(1) << (part >> (6 * i) & 63);
    return &young->filter[(part >> 32) % FILTER_WORDS];
}

static void filter_add(struct disk_index_young *young, const uint8_t *key) {
    uint64_t bits, *word = filter_of(young, key, &bits);
    *word |= bits;
}

/* Whether the file may have KEY; without a filter it may. */
static bool filter_has(struct disk_index_young *young, const uint8_t *key) {
    if (!young)
        return true;
    uint64_t bits, *word = filter_of(young, key, &bits);
    return (*word & bits) == bits;
}

/* Their order by the first bits of their keys: by buckets, roughly. */
static void sort_young(struct disk_index_young *young) {
    uint32_t *bins = young->bins;
    memset(bins, 0, sizeof young->bins);
    for (uint64_t i = 0; i < young->count; i++)
        bins[part_of(young->entries[i].key, 0) / (UINT64_MAX / BINS + 1) + 1]++;
    for (size_t bin = 0; bin < BINS; bin++)
        bins[bin + 1] += bins[bin];
    for (uint64_t i = 0; i < young->count; i++) {
        uint64_t first = part_of(young->entries[i].key, 0);
        young->order[bins[first / (UINT64_MAX / BINS + 1)]++] = (uint16_t)i;
    }
}

static bool window_write(struct disk_index *index, struct error *err) {
    struct disk_index_young *young = index->young;
    if (young->window_dirty &&
        !file_pwrite(index->fd, young->window, sizeof young->window,
                     young->window_begin * BUCKET_BYTES, index->path, err))
        return false;
    young->window_dirty = false;
    return true;
}

/* Move the window to where bucket NUMBER is in it. */
static bool window_move(struct disk_index *index, uint64_t number,
                        struct error *err) {
    struct disk_index_young *young = index->young;
    uint64_t begin = number - number % WINDOW_BUCKETS;
    if (begin == young->window_begin)
        return true;
    if (!window_write(index, err))
        return false;
    young->window_begin = UINT64_MAX;
    if (!file_pread(index->fd, young->window, sizeof young->window,
                    begin * BUCKET_BYTES, index->path, err))
        return false;
    young->window_begin = begin;
    return true;
}

/* As insert, through the window. */
static bool window_insert(struct disk_index *index, const struct entry *entry,
                          struct error *err) {
    struct disk_index_young *young = index->young;
    for (uint64_t number = home(index, entry->key);;
         number = next(index, number)) {
        if (!window_move(index, number, err))
            return false;
        struct bucket *bucket = &young->window[number % WINDOW_BUCKETS];
        if (bucket->used == BUCKET_ENTRIES)
            continue;
        bucket->entries[bucket->used++] = *entry;
        return young->window_dirty = true;
    }
}

/* All young keys into the file. Where a window has enough of them, a call reads
 * and one writes all its buckets; and no slot may hold one of these then. */
static bool flush(struct disk_index *index, struct error *err) {
    struct disk_index_young *young = index->young;
    bool windows =
        young->count * WINDOW_BUCKETS >= WINDOW_LEAST * index->buckets;
    if (!write_back(index, err))
        return false;
    for (uint64_t i = 0; windows && i < index->slots_count; i++)
        index->slots[i].number = 0;
    young->window_begin = UINT64_MAX;
    young->window_dirty = false;
    sort_young(young);
    for (uint64_t i = 0; i < young->count; i++) {
        const struct entry *entry = &young->entries[young->order[i]];
        if (!(windows ? window_insert(index, entry, err)
                      : insert(index, entry, err)))
            return false;
        filter_add(young, entry->key);
    }
    if (!window_write(index, err))
        return false;
    young->count = 0;
    memset(young->places, 0, sizeof young->places);
    return true;
}

/* ---- growing ------------------------------------------------------------ */

/* Every entry of SMALL into BIG. */
static bool copy_entries(const struct disk_index *small, struct disk_index *big,
                         struct error *err) {
    struct bucket *bucket = memory_alloc(small->memory, 1, sizeof *bucket, err);
    bool fine = bucket != NULL;
    for (uint64_t b = 0; fine && b < small->buckets; b++) {
        fine = file_pread(small->fd, bucket, BUCKET_BYTES, b * BUCKET_BYTES,
                          small->path, err);
        for (uint64_t i = 0; fine && i < bucket->used; i++) {
            fine = insert(big, &bucket->entries[i], err);
            if (big->young)
                filter_add(big->young, bucket->entries[i].key);
        }
    }
    memory_free(small->memory, bucket);
    return fine;
}

/* Twice the buckets, in a new file that takes the old one's name; young keys
 * stay young. On failure the table is as it was, but for the name of its file.
 */
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
    if (gone->young != index->young)
        memory_free(index->memory, gone->young);
    return fine;
}

/* ---- what callers ask --------------------------------------------------- */

/* The entry of KEY, held; NULL where there is none. What is written to it must
 * be told to *SLOT, if there is one. */
static bool find_entry(struct disk_index *index, const uint8_t *key,
                       struct disk_index_slot **slot, struct entry **entry,
                       struct error *err) {
    *slot = NULL;
    *entry = young_find(index->young, key);
    if (*entry || !filter_has(index->young, key))
        return true;
    return search(index, key, slot, entry, err);
}

bool disk_index_find(struct disk_index *index,
                     const uint8_t key[DISK_INDEX_KEY_BYTES], bool *found,
                     uint64_t *value, struct error *err) {
    struct disk_index_slot *slot;
    struct entry *entry;
    if (!find_entry(index, key, &slot, &entry, err))
        return false;
    *found = entry != NULL;
    if (entry)
        *value = entry->value;
    return true;
}

bool disk_index_put(struct disk_index *index,
                    const uint8_t key[DISK_INDEX_KEY_BYTES], uint64_t value,
                    struct error *err) {
    if (index->count >= room_of(index->buckets) && !grow(index, err))
        return false;
    struct entry entry = {.value = value};
    memcpy(entry.key, key, DISK_INDEX_KEY_BYTES);
    struct disk_index_young *young = index->young;
    if (young && young->count == YOUNG_ENTRIES && !flush(index, err))
        return false;
    if (young)
        young_add(young, &entry);
    else if (!insert(index, &entry, err))
        return false;
    index->count++;
    return true;
}

bool disk_index_replace(struct disk_index *index,
                        const uint8_t key[DISK_INDEX_KEY_BYTES], uint64_t value,
                        struct error *err) {
    struct disk_index_slot *slot;
    struct entry *entry;
    if (!find_entry(index, key, &slot, &entry, err))
        return false;
    assert(entry != NULL);
    entry->value = value;
    if (slot)
        slot->dirty = true;
    return true;
}
