/* origin.h - where the chunks of a collection came from, and whether they are
 * still there: the folder of a collection that was renamed or removed stays in
 * OUT, and whoever asks OUT a question hears of it.
 *
 *     origin_note(private, options, collection, memory, err);
 *     json_t *gone = origin_find_gone(options, list, memory);
 *
 * OUT/COLLECTION/.ensembed/origin.json has the path of the collection's folder
 * or file. Several runs may fill one OUT on purpose, each with chunks of its
 * own: only what lay beside this run's chunks, and is gone from there, counts.
 * Collections whose name was said (--as, standard input) are not judged, for
 * they are not named after a place. Nothing is ever removed.
 */

#ifndef RUN_ORIGIN_H
#define RUN_ORIGIN_H

#include <limits.h>
#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "base/memory.h"
#include "data/chunks.h"
#include "run/session.h"

/* Write down where COLLECTION's chunks are; PRIVATE is its .ensembed. */
bool origin_note(const char *private, const struct run_options *options,
                 const struct collection *collection, struct memory *memory,
                 struct error *err);

/* The collections in OUT whose chunks this run did not find where an earlier
 * one did: [{"collection", "folder", "chunks"}], owned by the caller. They are
 * marked for origin_is_gone, and those that are there again are not any more.
 */
json_t *origin_find_gone(const struct run_options *options,
                         const struct chunk_listing *list,
                         struct memory *memory);

/* Is FOLDER, of one collection, marked? CHUNKS is where its chunks were. */
bool origin_is_gone(const char *folder, char chunks[PATH_MAX]);

#endif
