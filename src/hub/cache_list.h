/* cache_list.h - what is in a Hugging Face cache: repositories of models, the
 * commits of each, the branches and tags that name them, and bytes on disk.
 *
 *     json_t *list = cache_list(memory, cache, err);
 *
 * Whether a commit is whole is model_files_open's question, asked for each.
 * Symbolic links are never followed out of the cache, so no byte counts twice.
 */

#ifndef HUB_CACHE_LIST_H
#define HUB_CACHE_LIST_H

#include <jansson.h>

#include "base/error.h"
#include "base/memory.h"

/* [{"id", "bytes", "incomplete_bytes", "commits": [{"commit", "refs": [...],
 * "state": "whole" | "not_whole" | "unsupported", "reason"}]}], in the order
 * of their names. A cache that is not there is an empty list. NULL and ERR on
 * failure; the caller drops it. */
json_t *cache_list(struct memory *memory, const char *cache, struct error *err);

#endif
