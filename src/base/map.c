#include "base/map.h"

#include "base/hash.h"

struct map_slot {
    struct str key; /* data NULL: free */
    uint64_t hash;
    uint64_t value;
};

struct map map_make(struct memory *memory) {
    return (struct map){.memory = memory};
}

void map_free(struct map *map) {
    memory_free(map->memory, map->slots);
    *map = map_make(map->memory);
}

/* The slot that holds KEY, or the free one where it belongs. */
static struct map_slot *find(const struct map *map, struct str key,
                             uint64_t hash) {
    size_t i = (size_t)hash & (map->capacity - 1);
    while (map->slots[i].key.data &&
           !(map->slots[i].hash == hash && str_equal(map->slots[i].key, key)))
        i = (i + 1) & (map->capacity - 1);
    return &map->slots[i];
}

static bool grow(struct map *map, struct error *err) {
    size_t capacity = map->capacity ? map->capacity * 2 : 64;
    struct map bigger = {
        .memory = map->memory, .capacity = capacity, .count = map->count};
    bigger.slots =
        memory_zalloc(map->memory, capacity, sizeof *bigger.slots, err);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].key.data)
            *find(&bigger, map->slots[i].key, map->slots[i].hash) =
                map->slots[i];
    memory_free(map->memory, map->slots);
    *map = bigger;
    return true;
}

bool map_put(struct map *map, struct str key, uint64_t value,
             struct error *err) {
    if (map->count * 2 >= map->capacity && !grow(map, err))
        return false;
    uint64_t hash = hash_bytes(key.data, key.size);
    struct map_slot *slot = find(map, key, hash);
    if (!slot->key.data)
        map->count++;
    *slot = (struct map_slot){key.data ? key : STR(""), hash, value};
    return true;
}

bool map_get(const struct map *map, struct str key, uint64_t *value) {
    if (!map->count)
        return false;
    const struct map_slot *slot =
        find(map, key, hash_bytes(key.data, key.size));
    if (!slot->key.data)
        return false;
    *value = slot->value;
    return true;
}
