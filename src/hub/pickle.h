/* pickle.h - a pickle read as data: nothing in it is ever run.
 *
 * Python's pickle is a program for a small stack machine that may import and
 * call anything. This reader knows the instructions that make data (protocols
 * 2 to 5: numbers, texts, tuples, lists, dicts, OrderedDict) and keeps "call
 * this with that" as a value of its own, for the caller to understand. A name
 * that would be imported must be in the caller's list, else the pickle is
 * refused with that name.
 *
 *     static const struct pickle_global GLOBALS[] = {
 *         {"torch", "FloatStorage"}, {NULL, NULL}};
 *     struct pickle pickle;
 *     if (!pickle_read(&pickle, &arena, path, bytes, GLOBALS, err)) ...
 *     if (pickle.root->type == PICKLE_DICT) ...
 *
 * Values share parts, and a hostile one contains itself: walk them by a fixed
 * plan, never until they end. Used by one thread.
 *
 * FACTS: Python 3.13's Lib/pickletools.py.
 */

#ifndef HUB_PICKLE_H
#define HUB_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum { PICKLE_BYTES_MAX = 16 << 20 };

enum pickle_type {
    PICKLE_NONE,
    PICKLE_BOOL,   /* integer */
    PICKLE_INT,    /* integer */
    PICKLE_LONG,   /* text: more than 64 bits, little-endian two's complement */
    PICKLE_REAL,   /* real */
    PICKLE_TEXT,   /* text, UTF-8 and without NUL */
    PICKLE_TUPLE,  /* items */
    PICKLE_LIST,   /* items */
    PICKLE_DICT,   /* items: key, value, key, value; also an OrderedDict */
    PICKLE_GLOBAL, /* integer: its place in the caller's list */
    PICKLE_CALL,   /* callable, argument: a tuple */
    PICKLE_OUTSIDE /* argument: the id of an object that is not in the pickle */
};

struct pickle_value {
    enum pickle_type type;
    union {
        int64_t integer;
        double real;
        struct str text; /* in the pickle's bytes */
        struct {
            const struct pickle_value **items; /* [count] */
            size_t count, capacity;
        };
        struct {
            const struct pickle_value *callable; /* a GLOBAL; NULL: OUTSIDE */
            const struct pickle_value *argument;
        };
    };
};

struct pickle_global {
    const char *module, *name;
};

struct pickle {
    const struct pickle_value *root;
    const struct pickle_value **outside; /* every OUTSIDE, in order */
    size_t outside_count;
    size_t bytes; /* from the first to behind the last instruction */
};

/* Read the pickle at the begin of BYTES, which may go on behind it. Values lie
 * in ARENA; their texts in BYTES. GLOBALS ends with {NULL, NULL}. ERROR_INPUT
 * for a broken pickle, ERROR_UNSUPPORTED for one that wants more than data. */
bool pickle_read(struct pickle *pickle, struct arena *arena, const char *path,
                 struct str bytes, const struct pickle_global *globals,
                 struct error *err);

/* "a dict": for messages. */
const char *pickle_type_name(const struct pickle_value *value);

#endif
