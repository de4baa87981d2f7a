/* pickle_machine.h - the stack machine that a pickle is a program for: its
 * bytes, its stack with marks, and its memo. For pickle.c, whose instructions
 * say what is done with them.
 *
 *     struct machine m = {.arena = &arena, .path = path, .bytes = bytes,
 *                         .globals = GLOBALS};
 *     uint64_t n;
 *     if (!machine_take_number(&m, 4, &n, err)) ...
 *     struct pickle_value *value = machine_make(&m, PICKLE_INT, err);
 *     if (!machine_push(&m, value, err)) ...          // NULL fails here
 *
 * A pickle is a stranger's: everything that could reach beyond its bytes, below
 * the stack or outside the memo is checked here and nowhere else, and is
 * ERROR_INPUT with the byte. Instructions see the values above the last mark
 * only. Nothing is freed: values and arrays are the arena's.
 */

#ifndef HUB_PICKLE_MACHINE_H
#define HUB_PICKLE_MACHINE_H

#include "hub/pickle.h"

struct machine {
    struct arena *arena; /* borrowed, as what follows */
    const char *path;
    struct str bytes;
    size_t at; /* in bytes: behind what was taken */
    const struct pickle_global *globals;
    struct pickle_value stack, marks, memo, outside; /* used for their items */
    bool stopped;
};

/* "a broken pickle", with WHAT: false. */
bool machine_broken(const struct machine *m, const char *what,
                    struct error *err);

/* The next bytes: SIZE of them; a little-endian number of WIDTH bytes, 8 at
 * most; UTF-8 up to a line end, which goes. */
bool machine_take(struct machine *m, uint64_t size, struct str *bytes,
                  struct error *err);
bool machine_take_number(struct machine *m, unsigned width, uint64_t *value,
                         struct error *err);
bool machine_take_line(struct machine *m, struct str *line, struct error *err);

/* A new value; NULL without memory. */
struct pickle_value *machine_make(struct machine *m, enum pickle_type type,
                                  struct error *err);
/* ITEM behind the others of LIST, of any type with items. False with ITEM NULL:
 * what failed before has said why. */
bool machine_add(struct machine *m, struct pickle_value *list,
                 const struct pickle_value *item, struct error *err);

bool machine_push(struct machine *m, const struct pickle_value *value,
                  struct error *err);
const struct pickle_value *machine_pop(struct machine *m, struct error *err);
/* The value on top; NULL: there is none. */
const struct pickle_value *machine_peek(const struct machine *m);
/* The value on top, which instructions add to and which must be of TYPE: ours
 * to change. */
struct pickle_value *machine_top(struct machine *m, enum pickle_type type,
                                 struct error *err);
/* The last COUNT values; they stay valid until the next push. */
bool machine_pop_many(struct machine *m, size_t count,
                      const struct pickle_value ***items, struct error *err);

bool machine_mark(struct machine *m, struct error *err);
/* The values above the last mark, which goes; valid as above. */
bool machine_pop_mark(struct machine *m, const struct pickle_value ***items,
                      size_t *count, struct error *err);

/* The value on top gets PLACE in the memo; the value in PLACE is pushed. Python
 * gives places out in order, from 0 on; Python 2 from 1 on. */
bool machine_remember(struct machine *m, uint64_t place, struct error *err);
bool machine_recall(struct machine *m, uint64_t place, struct error *err);

#endif
