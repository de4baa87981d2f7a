/* chunk_walk.h - the chunk files below a folder.
 *
 * Chunk files end in .json, .jsonl or .ndjson; names that begin with dots are
 * names like others. Left out: processing summaries, the folders __pycache__,
 * .git and .ensembed, and the files that an output folder of ours holds, so
 * that an output inside the input does not become input. Linked folders are
 * followed, each folder is entered once. A folder that cannot be read is
 * listed as if it were a file, so that reading it says why. */

#ifndef DATA_CHUNK_WALK_H
#define DATA_CHUNK_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "data/chunks.h"

struct walk_folder;

struct walk {
    struct memory *memory;    /* borrowed */
    struct arena *arena;      /* borrowed; owner of the names */
    struct chunk_file *files; /* owned; sorted by relative path's bytes, so
                                 what is below one folder stands together */
    size_t count, capacity;
    struct walk_folder *folders; /* owned; found so far */
    size_t folders_count, folders_capacity;
    size_t next;        /* folders before this one were entered or are links */
    struct map entered; /* device and inode of the folders */
};

struct walk walk_make(struct memory *memory, struct arena *arena);
void walk_free(struct walk *walk);

bool walk_folder(struct walk *walk, const char *path, struct error *err);
/* RELATIVE is made valid UTF-8. */
bool walk_add(struct walk *walk, const char *path, const char *relative,
              size_t relative_size, bool lines, struct error *err);
bool walk_is_lines(const char *name); /* .jsonl, .ndjson */

#endif
