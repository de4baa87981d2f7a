/* truncated.h - which texts of a collection a model saw only the beginning of.
 *
 * A pass that goes on after a kill does not tokenize again what is stored, and
 * still must say how many texts were cut. So their digests are appended to a
 * file beside the store before their rows are. A digest may stand there twice
 * (a kill between the two), or belong to a chunk that has gone since: counting
 * takes each text of the collection once.
 */

#ifndef RUN_TRUNCATED_H
#define RUN_TRUNCATED_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "data/chunks.h"

enum { TRUNCATED_LISTED = 100 };

/* Append COUNT digests [count, 32] to the file at PATH. */
bool truncated_add(const char *path, const uint8_t *digests, size_t count,
                   struct error *err);

/* How many points of INTAKE (with UNIQUE_ONLY: distinct texts) stand in any of
 * the files; the first TRUNCATED_LISTED chunk ids are appended to IDS (NULL:
 * not wanted). SCRATCH is a folder for a table. A file that is not there has
 * none. */
bool truncated_count(const char *const *paths, size_t paths_count,
                     bool unique_only, const struct intake *intake,
                     const char *scratch, uint64_t *count, json_t *ids,
                     struct error *err);

#endif
