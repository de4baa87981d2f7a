/* digest_list.h - texts of a collection of which something is to be told at the
 * end: those that a model saw only the beginning of ("truncated"), or that
 * another device than was planned ("elsewhere"), or another type of numbers
 * ("other_dtype") computed.
 *
 * A pass that goes on after a kill does not tokenize or compute again what is
 * stored, and still must say how many these are. So their digests are appended
 * to a file beside the store before their rows are. A digest may stand there
 * twice (a kill between the two), or belong to a chunk that has gone since:
 * counting takes each text of the collection once.
 */

#ifndef RUN_DIGEST_LIST_H
#define RUN_DIGEST_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "data/chunks.h"

enum { DIGEST_LIST_NAMED = 100 };

/* Append COUNT digests [count, 32] to the file at PATH. */
bool digest_list_add(const char *path, const uint8_t *digests, size_t count,
                     struct error *err);

/* How many points of INTAKE (with UNIQUE_ONLY: distinct texts) stand in any of
 * the files; the first DIGEST_LIST_NAMED chunk ids are appended to IDS (NULL:
 * not wanted). SCRATCH is a folder for a table. A file that is not there has
 * none. */
bool digest_list_count(const char *const *paths, size_t paths_count,
                       bool unique_only, const struct intake *intake,
                       const char *scratch, uint64_t *count, json_t *ids,
                       struct error *err);

#endif
