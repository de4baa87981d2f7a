/* arena.h - many small things that die together.
 *
 * A description (a model's files, a vocabulary, the chunk files of a folder)
 * is made of hundreds of strings and small arrays with one owner. They are
 * taken from an arena and go with it.
 *
 *     struct arena arena = arena_make(memory);
 *     char *path = arena_printf(&arena, err, "%s/config.json", folder);
 *     arena_free(&arena);
 *
 * Used by one thread at a time. Pointers stay valid until arena_free.
 */

#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"

struct arena_block;

struct arena {
    struct memory *memory; /* borrowed */
    struct arena_block *newest;
};

struct arena arena_make(struct memory *memory);
void arena_free(struct arena *arena);

/* COUNT x SIZE zeroed bytes, aligned to 16; NULL and ERR on failure. */
void *arena_alloc(struct arena *arena, size_t count, size_t size,
                  struct error *err);

/* Copies with a NUL at the end. */
char *arena_copy(struct arena *arena, struct str text, struct error *err);
char *arena_printf(struct arena *arena, struct error *err, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));

#endif
