/* fetch.h - a model from a hub into the cache, so that the cache is what
 * huggingface_hub would have made of the same server, file by file and byte by
 * byte, and so that either goes on where the other stopped.
 *
 *     struct fetch_request request = {.cache = cache, .id = "org/name",
 *                                     .revision = "main", .hub = &settings};
 *     struct fetch_report report;
 *     if (!fetch_model(memory, &request, sink, &report, err)) ...
 *
 * In this order: the commit of the revision, the list of files of that commit
 * (trees/), refs/REVISION, modules.json, and then the files that a model here
 * is made of (choose.h), small ones first. Disk space is checked before the
 * first of them. Every step leaves a cache that is true; a kill at any moment
 * costs at most the bytes of the last write.
 *
 * The sink gets progress (stage "pull", bytes), log lines and `retrying`
 * events, and may interrupt. Used by one thread; several processes may fetch
 * the same model at once.
 */

#ifndef HUB_FETCH_H
#define HUB_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event.h"
#include "base/memory.h"
#include "hub/cache.h"
#include "hub/hub.h"

struct fetch_request {
    const char *cache;    /* folder; made if it is not there */
    const char *id;       /* "ORG/NAME" or "NAME" */
    const char *revision; /* branch, tag or commit */
    const struct hub_settings *hub;
};

struct fetch_report {
    char commit[COMMIT_DIGITS + 1]; /* "" until it is known */
    size_t files, fetched;          /* of the model; of them in this call */
    uint64_t bytes;                 /* that came over the network */
    uint64_t requests;
    bool resumed; /* something of this commit was here before */
};

/* REPORT is filled as far as it went, also on failure. ERROR_FULL, ERROR_BUSY
 * and ERROR_INTERRUPTED are worth the same call again: it goes on. */
bool fetch_model(struct memory *memory, const struct fetch_request *request,
                 const struct sink *sink, struct fetch_report *report,
                 struct error *err);

#endif
