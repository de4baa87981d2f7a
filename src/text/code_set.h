/* code_set.h - sets of code points, and the classes that several sets cut all
 * code points into.
 *
 * Code points that the same sets contain are one class. Few sets make few
 * classes, so that a text can be read as one byte a code point.
 *
 *     code_set_add(&set, 'a', 'z'); code_set_add_kind(&set, ...);
 *     code_set_close(&set);                       // or code_set_negate
 *     code_classes_make(&classes, memory, sets, count, err);
 *     classes.of[...]                             // code_class(&classes, code)
 */

#ifndef TEXT_CODE_SET_H
#define TEXT_CODE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

enum { CODES_END = 0x110000, CLASSES_MAX = 256, CLASS_BLOCK = 256 };

struct code_range {
    uint32_t first, last;
};

struct code_set {
    struct memory *memory; /* borrowed */
    struct code_range *ranges;
    size_t count;
    size_t capacity;
    bool failed;
};

void code_set_free(struct code_set *set);
void code_set_add(struct code_set *set, uint32_t first, uint32_t last);
/* All code points whose unicode_set has a kind of KINDS (bit by bit) or a flag
 * of FLAGS; those that have none if NEGATED. */
void code_set_add_kind(struct code_set *set, uint32_t kinds, uint32_t flags,
                       bool negated);
/* Sort and join the ranges; to be called before a set is asked. */
void code_set_close(struct code_set *set);
void code_set_negate(struct code_set *set); /* closes it as well */
bool code_set_has(const struct code_set *set, uint32_t code);

struct code_classes {
    uint8_t ascii[128];
    uint16_t pages[CODES_END / CLASS_BLOCK];
    uint8_t *blocks;              /* [.., CLASS_BLOCK], owned */
    uint32_t sample[CLASSES_MAX]; /* a code point of each class */
    size_t count;
};

/* False when memory runs out, or there are more than CLASSES_MAX classes. */
bool code_classes_make(struct code_classes *classes, struct memory *memory,
                       const struct code_set *sets, size_t count,
                       struct error *err);

static inline uint8_t code_class(const struct code_classes *classes,
                                 uint32_t code) {
    return classes
        ->blocks[(size_t)classes->pages[code / CLASS_BLOCK] * CLASS_BLOCK +
                 code % CLASS_BLOCK];
}

#endif
