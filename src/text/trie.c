/* trie.c - see trie.h. */

#include "text/trie.h"

enum { CAPACITY_FIRST = 64, SHIFT_FIRST = 26 };

struct trie trie_make(struct memory *memory) {
    return (struct trie){.memory = memory, .root_value = TRIE_NONE};
}

void trie_free(struct trie *trie) {
    memory_free(trie->memory, trie->edges);
    *trie = trie_make(trie->memory);
}

static struct trie_edge *place(const struct trie *trie, uint32_t key) {
    size_t mask = trie->capacity - 1, i = trie_place(trie, key);
    while (trie->edges[i].node && trie->edges[i].key != key)
        i = (i + 1) & mask;
    return &trie->edges[i];
}

static bool grow(struct trie *trie, struct error *err) {
    struct trie bigger = *trie;
    bigger.capacity = trie->capacity ? trie->capacity * 2 : CAPACITY_FIRST;
    bigger.shift = trie->capacity ? trie->shift - 1 : SHIFT_FIRST;
    bigger.edges =
        memory_zalloc(trie->memory, bigger.capacity, sizeof *bigger.edges, err);
    if (!bigger.edges)
        return false;
    for (size_t i = 0; i < trie->capacity; i++)
        if (trie->edges[i].node)
            *place(&bigger, trie->edges[i].key) = trie->edges[i];
    memory_free(trie->memory, trie->edges);
    *trie = bigger;
    return true;
}

/* The edge from NODE by BYTE, made if it is not there. */
static struct trie_edge *edge_to(struct trie *trie, uint32_t node, uint8_t byte,
                                 struct error *err) {
    if ((size_t)trie->nodes * 2 >= trie->capacity && !grow(trie, err))
        return NULL;
    uint32_t key = node << 8 | byte;
    struct trie_edge *edge = place(trie, key);
    if (edge->node)
        return edge;
    if (trie->nodes + 1 >= TRIE_NODES_MAX) {
        error_set(err, ERROR_UNSUPPORTED,
                  "the vocabulary has more than %d different beginnings of "
                  "tokens: use a model with a smaller one",
                  TRIE_NODES_MAX);
        return NULL;
    }
    *edge = (struct trie_edge){key, ++trie->nodes, TRIE_NONE};
    return edge;
}

bool trie_put(struct trie *trie, struct str key, uint32_t value,
              struct error *err) {
    uint32_t node = TRIE_ROOT;
    uint32_t *place_of_value = &trie->root_value;
    for (size_t i = 0; i < key.size; i++) {
        struct trie_edge *edge = edge_to(trie, node, (uint8_t)key.data[i], err);
        if (!edge)
            return false;
        node = edge->node;
        place_of_value = &edge->value;
    }
    *place_of_value = value;
    return true;
}

bool trie_get(const struct trie *trie, struct str key, uint32_t *value) {
    uint32_t node = TRIE_ROOT, found = trie->root_value;
    for (size_t i = 0; i < key.size; i++) {
        const struct trie_edge *edge =
            trie_step(trie, node, (uint8_t)key.data[i]);
        if (!edge)
            return false;
        node = edge->node;
        found = edge->value;
    }
    if (found == TRIE_NONE)
        return false;
    *value = found;
    return true;
}

bool trie_walk(const struct trie *trie, struct str key, uint32_t *node) {
    *node = TRIE_ROOT;
    for (size_t i = 0; i < key.size; i++) {
        const struct trie_edge *edge =
            trie_step(trie, *node, (uint8_t)key.data[i]);
        if (!edge)
            return false;
        *node = edge->node;
    }
    return true;
}
