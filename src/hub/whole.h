/* whole.h - is everything there that a model needs?
 *
 * Files are asked for one by one, and what is missing is collected, so that
 * one message names all of it and nothing is loaded before:
 *
 *     struct whole whole;
 *     if (!whole_make(&whole, arena, &snapshot, err)) ...
 *     whole_need(&whole, "config.json");
 *     bool there = whole_maybe(&whole, "config_sentence_transformers.json");
 *     if (!whole_check(&whole, err)) ...
 *
 * In the cache a name may be a link to a blob that is not there, a download
 * that was cut off, or a file shorter than the cache's own listing says; all
 * of that is missing too. PATHs are relative to the folder and trusted.
 */

#ifndef HUB_WHOLE_H
#define HUB_WHOLE_H

#include <stdbool.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "hub/cache.h"

struct whole {
    struct arena *arena;             /* borrowed */
    const struct snapshot *snapshot; /* borrowed; repo NULL: a plain folder */
    json_t *files; /* path -> {size, ...} of the whole repository, or NULL */
    bool cut_off;  /* a download into this repository did not end */
    struct strbuf list; /* what is missing, for the message */
    size_t missing;
};

bool whole_make(struct whole *whole, struct arena *arena,
                const struct snapshot *snapshot, struct error *err);
void whole_free(struct whole *whole); /* {0} is fine */

/* PATH must be there; true if it is. */
bool whole_need(struct whole *whole, const char *path);

/* PATH may be there; true if it is. It counts as missing if the repository
 * has it, or if a download was cut off and nobody knows. */
bool whole_maybe(struct whole *whole, const char *path);

/* The same for modules.json, on which everything depends: in the cache it
 * must be known that the repository has none. */
bool whole_modules(struct whole *whole);

/* PATH is in the repository: it is here, or should be. Counts nothing. */
bool whole_known(const struct whole *whole, const char *path);

/* ERROR_MISSING if anything is. Ask once. */
bool whole_check(struct whole *whole, struct error *err);

#endif
