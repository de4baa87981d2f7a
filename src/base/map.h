/* map.h - from a string to a number.
 *
 *     struct map map = map_make(memory);
 *     if (!map_put(&map, STR("[CLS]"), 101, err)) ...
 *     uint64_t id;
 *     if (map_get(&map, STR("[CLS]"), &id)) ...
 *     map_free(&map);
 *
 * Keys are borrowed and must outlive the map. Reading is safe from several
 * threads while nobody writes. Nothing is ever removed.
 */

#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"

struct map_slot;

struct map {
    struct memory *memory; /* borrowed */
    struct map_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

struct map map_make(struct memory *memory);
void map_free(struct map *map);

/* Put VALUE under KEY, replacing what stands there. */
bool map_put(struct map *map, struct str key, uint64_t value,
             struct error *err);
bool map_get(const struct map *map, struct str key, uint64_t *value);

#endif
