/* cache.h - where the Hugging Face cache keeps a repository.
 *
 *     CACHE/models--ORG--NAME/refs/main                  a commit, 40 digits
 *                            /snapshots/COMMIT/FILE  ->  ../../blobs/ETAG
 *                            /.no_exist/COMMIT/FILE      asked for, not there
 *                            /trees/COMMIT.json          all files with sizes
 *
 * Names come from a command line and commits from a file: both are checked
 * before a path is made of them.
 */

#ifndef HUB_CACHE_H
#define HUB_CACHE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

enum { COMMIT_DIGITS = 40 };

struct snapshot {
    const char *id;     /* as it is in the cache, "ORG/NAME" or "NAME" */
    const char *repo;   /* CACHE/models--ORG--NAME */
    const char *commit; /* 40 hex digits */
    const char *folder; /* REPO/snapshots/COMMIT */
};

/* "NAME" or "ORG/NAME" of [A-Za-z0-9._-], without ".." or "--". */
bool hub_id_valid(const char *id);

bool commit_valid(const char *text);

/* A commit, branch or tag that git takes and that stays inside refs/. */
bool revision_valid(const char *revision);

/* CACHE/models--ORG--NAME of a valid ID. */
const char *hub_repo_path(struct arena *arena, const char *cache,
                          const char *id, struct error *err);

/* The snapshot of REVISION: a commit, or a branch or tag in refs/. A NAME
 * without an ORG that is not in the cache is looked for under
 * sentence-transformers/, as that library does. ERROR_MISSING says what was
 * looked for, where, and how to get it. */
bool snapshot_find(struct arena *arena, const char *cache, const char *id,
                   const char *revision, struct snapshot *snapshot,
                   struct error *err);

/* If FOLDER (absolute) is a snapshot in some cache, what it is a snapshot of;
 * else id and repo stay NULL. */
bool snapshot_recognise(struct arena *arena, const char *folder,
                        struct snapshot *snapshot, struct error *err);

#endif
