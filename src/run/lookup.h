/* lookup.h - members of events and summaries for those who show them: one that
 * is absent, or of another type than expected, is simply not there.
 *
 *     double ms = lookup_real(pass, "duration_ms");          // 0: not there
 *     if (lookup_has(pass, "memory.planned.private_bytes")) ...
 *
 * A path names members of members with dots. All answers are borrowed.
 */

#ifndef RUN_LOOKUP_H
#define RUN_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* NULL if there is none. ROOT may be NULL or no object. */
const json_t *lookup(const json_t *root, const char *path);
bool lookup_has(const json_t *root, const char *path); /* a number */
double lookup_real(const json_t *root, const char *path);
/* 0 also for what is negative or too large. */
uint64_t lookup_count(const json_t *root, const char *path);
/* Text, or "" if there is none. */
const char *lookup_text(const json_t *root, const char *path);
/* A list; NULL, which json_array_foreach takes as empty, if there is none. */
json_t *lookup_list(const json_t *root, const char *path);

/* How a run ended, by its summary: what it says itself, else the code that
 * ended it early (see lookup_goes_on), else that of the first model or
 * collection that failed, else "none". */
const char *lookup_run_status(const json_t *summary);

/* Does the same command go on after an end with CODE? */
bool lookup_goes_on(const char *code);

#endif
