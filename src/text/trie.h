/* trie.h - strings with numbers, followed one byte at a time.
 *
 * The longest piece of a vocabulary that a word begins with is found by
 * following the word's bytes from the root as far as they go:
 *
 *     uint32_t node = TRIE_ROOT;
 *     while (at < end && (edge = trie_step(trie, node, bytes[at++])))
 *         node = edge->node;    // edge->value: the string that ends here
 *
 * The edges of all nodes lie in one hash table, so a vocabulary is put in with
 * one probe a byte and no second pass. Reading is safe from several threads.
 */

#ifndef TEXT_TRIE_H
#define TEXT_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"

enum { TRIE_ROOT = 0, TRIE_NODES_MAX = 1 << 24 };
#define TRIE_NONE UINT32_MAX /* no string ends here */

struct trie_edge {
    uint32_t key;   /* node << 8 | byte */
    uint32_t node;  /* where it leads; 0: this place in the table is free */
    uint32_t value; /* of the string that ends there, or TRIE_NONE */
};

struct trie {
    struct memory *memory; /* borrowed */
    struct trie_edge *edges;
    size_t capacity;     /* a power of two, or 0 */
    unsigned shift;      /* 32 - log2(capacity) */
    uint32_t nodes;      /* the root not counted: as many as edges */
    uint32_t root_value; /* of the empty string */
};

struct trie trie_make(struct memory *memory);
void trie_free(struct trie *trie);

/* Put VALUE (not TRIE_NONE) under KEY, replacing what stands there. */
bool trie_put(struct trie *trie, struct str key, uint32_t value,
              struct error *err);
bool trie_get(const struct trie *trie, struct str key, uint32_t *value);
/* The node that KEY leads to, false if no string begins with it. */
bool trie_walk(const struct trie *trie, struct str key, uint32_t *node);

static inline size_t trie_place(const struct trie *trie, uint32_t key) {
    return (size_t)(uint32_t)(key * 0x9E3779B1u) >> trie->shift;
}

/* NULL when no string goes on with BYTE. */
static inline const struct trie_edge *trie_step(const struct trie *trie,
                                                uint32_t node, uint8_t byte) {
    uint32_t key = node << 8 | byte;
    if (!trie->capacity)
        return NULL;
    size_t mask = trie->capacity - 1, i = trie_place(trie, key);
    while (trie->edges[i].node) {
        if (trie->edges[i].key == key)
            return &trie->edges[i];
        i = (i + 1) & mask;
    }
    return NULL;
}

#endif
