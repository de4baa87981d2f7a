#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_BYTES = 64 * 1024, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *older;
    size_t used;
    size_t capacity;
    _Alignas(ALIGNMENT) char data[];
};

struct arena arena_make(struct memory *memory) {
    return (struct arena){.memory = memory};
}

void arena_free(struct arena *arena) {
    while (arena->newest) {
        struct arena_block *block = arena->newest;
        arena->newest = block->older;
        memory_free(arena->memory, block);
    }
}

static bool grow(struct arena *arena, size_t bytes, struct error *err) {
    size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    struct arena_block *block = memory_alloc(
        arena->memory, 1, sizeof(struct arena_block) + capacity, err);
    if (!block)
        return false;
    block->older = arena->newest;
    block->used = 0;
    block->capacity = capacity;
    arena->newest = block;
    return true;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size,
                  struct error *err) {
    size_t bytes;
    if (!size_multiply(count, size, &bytes) || bytes > SIZE_MAX / 4) {
        error_set(err, ERROR_MEMORY, "%zu x %zu bytes cannot be addressed",
                  count, size);
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct arena_block *block = arena->newest;
    if (!block || block->capacity - block->used < bytes) {
        if (!grow(arena, bytes, err))
            return NULL;
        block = arena->newest;
    }
    void *place = block->data + block->used;
    block->used += bytes;
    return memset(place, 0, bytes);
}

char *arena_copy(struct arena *arena, struct str text, struct error *err) {
    char *copy = arena_alloc(arena, text.size + 1, 1, err);
    if (copy && text.size)
        memcpy(copy, text.data, text.size);
    return copy;
}

char *arena_printf(struct arena *arena, struct error *err, const char *format,
                   ...) {
    va_list measure, print;
    va_start(measure, format);
    va_copy(print, measure);
    int length = vsnprintf(NULL, 0, format, measure);
    va_end(measure);
    char *text =
        length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1, 1, err);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, print);
    va_end(print);
    return text;
}
