/* repo_tree.h - the files of a repository at one commit: what the hub says of
 * them, checked, and the cache's copy of it.
 *
 *     REPO/trees/COMMIT.json   {"format_version": 1, "files": {PATH: {size,
 *                              blob_id[, lfs_sha256, lfs_size][, xet_hash]}}}
 *
 * A commit never changes, so its list is asked for once. The text is what
 * huggingface_hub writes, byte for byte.
 *
 * The list comes from a server and its paths become paths here: a path that is
 * absolute, has "..", an empty part, a control character or a backslash, comes
 * twice or is a folder of another one refuses the whole list, and so do sizes
 * and digests that are none.
 */

#ifndef HUB_REPO_TREE_H
#define HUB_REPO_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct repo_file {
    const char *path;       /* as in the repository, with '/' */
    const char *blob_id;    /* git's SHA-1 of the file or of its pointer */
    const char *lfs_sha256; /* of the content; NULL: not a large file */
    const char *xet_hash;   /* kept for the cache's list; or NULL */
    uint64_t size;          /* as listed */
    uint64_t lfs_size;      /* of a large file */
};

struct repo_tree {
    struct arena *arena; /* owner of everything below */
    struct repo_file *files;
    size_t count, room;
};

struct repo_tree repo_tree_make(struct arena *arena);

/* Add a page of /api/models/ID/tree. NAME is for messages. */
bool repo_tree_add_page(struct repo_tree *tree, const json_t *page,
                        const char *name, struct error *err);
/* After the last page: sort by path, and refuse paths that clash. */
bool repo_tree_finish(struct repo_tree *tree, const char *name,
                      struct error *err);

/* The cache's list. False and no error if there is none that can be used. */
bool repo_tree_load(struct repo_tree *tree, const char *path);
/* The text of that file. */
void repo_tree_text(const struct repo_tree *tree, struct strbuf *out);

/* NULL if there is none. The tree must be finished. */
const struct repo_file *repo_tree_find(const struct repo_tree *tree,
                                       const char *path);

uint64_t repo_file_bytes(const struct repo_file *file);

/* May PATH become a path under a folder of ours? */
bool repo_path_safe(const char *path, size_t size);

#endif
