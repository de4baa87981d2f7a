/* splits.c - see splits.h. */

#include "text/splits.h"

void splits_add(struct splits *splits, size_t begin, size_t end) {
    if (begin == end)
        return;
    if (splits->count == splits->capacity) {
        size_t capacity = splits->capacity ? splits->capacity * 2 : 256;
        struct split *list = memory_resize(splits->memory, splits->list,
                                           capacity, sizeof *list, NULL);
        if (!list) {
            splits->failed = true;
            return;
        }
        splits->list = list;
        splits->capacity = capacity;
    }
    splits->list[splits->count++] = (struct split){begin, end};
}

void splits_free(struct splits *splits) {
    memory_free(splits->memory, splits->list);
    *splits = (struct splits){.memory = splits->memory};
}

bool splits_ok(const struct splits *splits, struct error *err) {
    return !splits->failed ||
           error_set(err, ERROR_MEMORY,
                     "out of memory after %zu pieces of one text: raise the "
                     "memory limit",
                     splits->count);
}

bool behavior_named(struct str name, enum behavior *behavior) {
    static const char *const names[] = {"Removed", "Isolated",
                                        "MergedWithPrevious", "MergedWithNext",
                                        "Contiguous"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_equal(name, str_from(names[i]))) {
            *behavior = (enum behavior)i;
            return true;
        }
    }
    return false;
}

void splitter_end(struct splitter *splitter) {
    if (splitter->holding)
        splits_add(splitter->out, splitter->held.begin, splitter->held.end);
    splitter->holding = false;
}

/* Whether the piece that waits takes what comes now along. */
static bool takes(const struct splitter *splitter, bool match) {
    if (!splitter->holding)
        return false;
    switch (splitter->behavior) {
    case SPLIT_MERGED_WITH_PREVIOUS:
        return match && !splitter->held_match;
    case SPLIT_MERGED_WITH_NEXT:
        return !match && splitter->held_match;
    case SPLIT_CONTIGUOUS:
        return match == splitter->held_match;
    case SPLIT_REMOVED:
    case SPLIT_ISOLATED:
        break;
    }
    return false;
}

void splitter_add(struct splitter *splitter, size_t begin, size_t end,
                  bool match) {
    match ^= splitter->invert;
    if (takes(splitter, match)) {
        splitter->held.end = end;
    } else {
        splitter_end(splitter);
        splitter->held = (struct split){begin, end};
        splitter->holding = splitter->behavior != SPLIT_REMOVED || !match;
    }
    splitter->held_match = match;
}
