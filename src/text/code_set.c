/* code_set.c - see code_set.h. */

#include "text/code_set.h"

#include <stdlib.h>
#include <string.h>

#include "text/unicode_sets.h"

void code_set_free(struct code_set *set) {
    memory_free(set->memory, set->ranges);
    *set = (struct code_set){.memory = set->memory};
}

void code_set_add(struct code_set *set, uint32_t first, uint32_t last) {
    if (set->count == set->capacity) {
        size_t capacity = set->capacity ? set->capacity * 2 : 8;
        struct code_range *ranges = memory_resize(
            set->memory, set->ranges, capacity, sizeof *ranges, NULL);
        if (!ranges) {
            set->failed = true;
            return;
        }
        set->ranges = ranges;
        set->capacity = capacity;
    }
    set->ranges[set->count++] = (struct code_range){first, last};
}

static bool of_kind(uint32_t code, uint32_t kinds, uint32_t flags) {
    uint32_t set = unicode_set(code);
    return (kinds >> unicode_kind(set) & 1) || (set & flags);
}

void code_set_add_kind(struct code_set *set, uint32_t kinds, uint32_t flags,
                       bool negated) {
    uint32_t first = 0;
    bool in = false;
    for (uint32_t code = 0; code <= CODES_END; code++) {
        bool now = code < CODES_END && of_kind(code, kinds, flags) != negated;
        if (now && !in)
            first = code;
        if (!now && in)
            code_set_add(set, first, code - 1);
        in = now;
    }
}

static int by_first(const void *a, const void *b) {
    uint32_t x = ((const struct code_range *)a)->first;
    uint32_t y = ((const struct code_range *)b)->first;
    return (x > y) - (x < y);
}

void code_set_close(struct code_set *set) {
    if (!set->count)
        return;
    qsort(set->ranges, set->count, sizeof *set->ranges, by_first);
    size_t count = 1;
    for (size_t i = 1; i < set->count; i++) {
        struct code_range *last = &set->ranges[count - 1];
        struct code_range range = set->ranges[i];
        if (range.first > last->last + 1)
            set->ranges[count++] = range;
        else if (range.last > last->last)
            last->last = range.last;
    }
    set->count = count;
}

void code_set_negate(struct code_set *set) {
    code_set_close(set);
    struct code_set rest = {.memory = set->memory};
    uint32_t next = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->ranges[i].first > next)
            code_set_add(&rest, next, set->ranges[i].first - 1);
        next = set->ranges[i].last + 1;
    }
    if (next < CODES_END)
        code_set_add(&rest, next, CODES_END - 1);
    rest.failed |= set->failed;
    code_set_free(set);
    *set = rest;
}

bool code_set_has(const struct code_set *set, uint32_t code) {
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (set->ranges[middle].last < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->count && set->ranges[low].first <= code;
}

/* While classes are made. */
struct making {
    struct memory *memory;
    uint16_t *of; /* [CODES_END]: class of each code point, owned */
    size_t count;
    size_t sizes[CLASSES_MAX]; /* code points of each class */
};

/* Each class is cut in two by SET: what is inside gets a new number. */
static bool refine(struct making *making, const struct code_set *set) {
    uint16_t inside[CLASSES_MAX];
    size_t within[CLASSES_MAX] = {0};
    for (size_t i = 0; i < set->count; i++)
        for (uint32_t c = set->ranges[i].first; c <= set->ranges[i].last; c++)
            within[making->of[c]]++;
    size_t count = making->count;
    for (size_t i = 0; i < making->count; i++) {
        bool cut = within[i] && within[i] < making->sizes[i];
        inside[i] = (uint16_t)(cut ? count : i);
        count += cut;
    }
    if (count > CLASSES_MAX)
        return false;
    for (size_t i = 0; i < making->count; i++) {
        if (inside[i] == i)
            continue;
        making->sizes[inside[i]] = within[i];
        making->sizes[i] -= within[i];
    }
    for (size_t i = 0; i < set->count; i++)
        for (uint32_t c = set->ranges[i].first; c <= set->ranges[i].last; c++)
            making->of[c] = inside[making->of[c]];
    making->count = count;
    return true;
}

/* Equal blocks once. */
static bool pack(struct code_classes *classes, const struct making *making,
                 struct error *err) {
    enum { PAGES = CODES_END / CLASS_BLOCK };
    uint8_t *blocks = memory_alloc(making->memory, PAGES, CLASS_BLOCK, err);
    if (!blocks)
        return false;
    size_t count = 0;
    for (size_t page = 0; page < PAGES; page++) {
        uint8_t *block = blocks + count * CLASS_BLOCK;
        for (size_t i = 0; i < CLASS_BLOCK; i++)
            block[i] = (uint8_t)making->of[page * CLASS_BLOCK + i];
        size_t same = 0;
        while (same < count &&
               memcmp(blocks + same * CLASS_BLOCK, block, CLASS_BLOCK) != 0)
            same++;
        classes->pages[page] = (uint16_t)same;
        count += same == count;
    }
    classes->blocks =
        memory_resize(making->memory, blocks, count, CLASS_BLOCK, err);
    if (!classes->blocks)
        memory_free(making->memory, blocks);
    return classes->blocks;
}

bool code_classes_make(struct code_classes *classes, struct memory *memory,
                       const struct code_set *sets, size_t count,
                       struct error *err) {
    struct making making = {.memory = memory, .count = 1, .sizes = {CODES_END}};
    making.of = memory_zalloc(memory, CODES_END, sizeof *making.of, err);
    bool fine = making.of;
    for (size_t i = 0; fine && i < count; i++)
        if (!refine(&making, &sets[i]))
            fine = error_set(err, ERROR_UNSUPPORTED,
                             "the pattern tells more than %d kinds of "
                             "characters apart: use a simpler one",
                             CLASSES_MAX);
    fine = fine && pack(classes, &making, err);
    for (uint32_t code = CODES_END; fine && code-- > 0;)
        classes->sample[making.of[code]] = code;
    for (uint32_t code = 0; fine && code < 128; code++)
        classes->ascii[code] = (uint8_t)making.of[code];
    classes->count = making.count;
    memory_free(memory, making.of);
    return fine;
}
