/* splits.h - the pieces that a text is cut into, and what becomes of the
 * delimiter between them: tokenizer.json's "behavior".
 *
 *     struct splitter s = {.behavior = SPLIT_ISOLATED, .out = &splits};
 *     splitter_add(&s, 0, 3, false);   // no delimiter
 *     splitter_add(&s, 3, 4, true);    // one
 *     splitter_end(&s);
 *
 * What is added covers the text from left to right. Empty pieces are dropped.
 */

#ifndef TEXT_SPLITS_H
#define TEXT_SPLITS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"

struct split {
    size_t begin, end;
};

struct splits {
    struct memory *memory; /* borrowed */
    struct split *list;    /* owned */
    size_t count;
    size_t capacity;
    bool failed; /* memory ran out: the list is not whole */
};

void splits_add(struct splits *splits, size_t begin, size_t end);
void splits_free(struct splits *splits);
bool splits_ok(const struct splits *splits, struct error *err);

enum behavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS,
};

/* The behavior of that name ("Isolated"). */
bool behavior_named(struct str name, enum behavior *behavior);

struct splitter {
    enum behavior behavior;
    bool invert; /* what is added as no delimiter is one */
    struct splits *out;
    struct split held; /* waits for what comes next */
    bool holding;
    bool held_match;
};

void splitter_add(struct splitter *splitter, size_t begin, size_t end,
                  bool match);
void splitter_end(struct splitter *splitter);

#endif
