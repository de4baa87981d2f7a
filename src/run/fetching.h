/* fetching.h - a model's files: from the cache if they are whole there, from
 * the hub if they are not.
 *
 *     struct cache_use use;
 *     struct model_files *files =
 *         fetching_open(memory, options, sink, request, "", &use, err);
 *
 * A whole cache costs no request. What was done is a `cache` event: hit,
 * downloaded (nothing of the commit was here), resumed (a part was), refreshed
 * (a newer commit came), missing (and why is in the error).
 */

#ifndef RUN_FETCHING_H
#define RUN_FETCHING_H

#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/event.h"
#include "base/memory.h"
#include "hub/cache.h"
#include "hub/model_files.h"
#include "run/session.h"

struct cache_use {
    const char *status; /* "hit" and so on; NULL: a folder, no cache */
    char commit[COMMIT_DIGITS + 1]; /* "": not known */
    uint64_t bytes;                 /* that came over the network */
    uint64_t requests;
};

/* As model_files_open_for, after a pull where options->hub allows one and it
 * takes one. ERROR_INTERRUPTED, ERROR_BUSY and ERROR_FULL: the next call goes
 * on. */
struct model_files *fetching_open(struct memory *memory,
                                  const struct run_options *options,
                                  const struct sink *sink,
                                  const struct model_request *request,
                                  const char *task, struct cache_use *use,
                                  struct error *err);

/* {"status", "commit", "bytes_downloaded", "requests"} */
json_t *cache_use_json(const struct cache_use *use);

#endif
