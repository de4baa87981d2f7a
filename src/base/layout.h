/* layout.h - one block, cut into pieces by code that runs twice.
 *
 * Memory is asked for before it is taken: the function that lays out a
 * workspace is first run with base NULL, which only adds up the bytes, and
 * then again with the block of that size. Both runs are the same code, so the
 * plan cannot drift from what is placed.
 *
 *     static void place(struct layout *l, struct work *w, size_t rows) {
 *         w->x = layout_take(l, rows, HIDDEN * sizeof(float));
 *     }
 *     struct layout measure = {0};
 *     place(&measure, &work, rows);            // measure.bytes is the need
 *     struct layout real = {.base = block};
 *     place(&real, &work, rows);
 */

#ifndef BASE_LAYOUT_H
#define BASE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct layout {
    char *base;    /* NULL: only measure. Aligned to 64 bytes otherwise */
    size_t bytes;  /* taken so far */
    bool overflow; /* the sum does not fit size_t: the sizes are nonsense */
};

/* A piece of COUNT x SIZE bytes, aligned to 64; NULL while measuring. */
static inline void *layout_take(struct layout *layout, size_t count,
                                size_t size) {
    size_t bytes, begin = layout->bytes;
    if (__builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(bytes, (size_t)63, &bytes) ||
        __builtin_add_overflow(begin, bytes & ~(size_t)63, &layout->bytes)) {
        layout->overflow = true;
        layout->bytes = SIZE_MAX & ~(size_t)63;
        return NULL;
    }
    return layout->base ? layout->base + begin : NULL;
}

#endif
