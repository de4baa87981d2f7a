/* blob.h - one file of a repository into the cache.
 *
 *     CACHE/.locks/models--ORG--NAME/ETAG.lock      held meanwhile
 *     REPO/blobs/ETAG.incomplete                    what is there so far
 *     REPO/blobs/ETAG                               whole, digest checked
 *     REPO/snapshots/COMMIT/PATH -> ../../blobs/ETAG
 *
 * A download goes on behind the bytes that are there: our own of an earlier
 * attempt, those of older huggingface_hub (the same name), and those that the
 * current one left behind when it was killed (ETAG.8DIGITS.incomplete). Bytes
 * of others are only a hint: the digest of the whole file decides, SHA-256 for
 * large files and git's SHA-1 for the others. If it is wrong, the file is
 * fetched once more from its first byte, and then given up: nothing wrong ever
 * gets the blob's name.
 */

#ifndef HUB_BLOB_H
#define HUB_BLOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "hub/hub.h"
#include "hub/repo_tree.h"

struct blob_place {
    const char *repo;   /* CACHE/models--ORG--NAME */
    const char *locks;  /* CACHE/.locks/models--ORG--NAME */
    const char *commit; /* 40 hex digits */
    const char *base;   /* ENDPOINT/ID/resolve/COMMIT/ */
};

struct blob_report {
    uint64_t bytes; /* that came over the network */
    bool resumed;   /* behind bytes of an earlier attempt */
};

/* How many of the file's bytes are here; called often. */
struct blob_watch {
    void *context;
    void (*here)(void *context, uint64_t bytes);
};

/* Is the file in the snapshot, whole by its size? */
bool blob_present(struct arena *arena, const struct blob_place *place,
                  const struct repo_file *file);

/* Bytes of FILE that are here in one form or another: for the check of disk
 * space and the beginning of the progress. */
uint64_t blob_bytes_here(struct arena *arena, const struct blob_place *place,
                         const struct repo_file *file);

/* Strings are made in ARENA. REPORT is added to, also when this fails. */
bool blob_fetch(struct hub *hub, struct arena *arena,
                const struct blob_place *place, const struct repo_file *file,
                const struct blob_watch *watch, struct blob_report *report,
                struct error *err);

/* W/"abc" or "abc" or abc -> abc, if it is safe as a file's name. */
const char *blob_etag(struct arena *arena, const char *header,
                      struct error *err);

#endif
