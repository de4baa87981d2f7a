/* scanned.h - a collection of one file, read into an intake: what tests of the
 * steps behind the reading begin with. */

#ifndef TESTS_RUN_SCANNED_H
#define TESTS_RUN_SCANNED_H

#include <stdio.h>

#include "base/file.h"
#include "data/chunks.h"
#include "run/scene.h"

enum { SCANNED_PATH = 640 };

/* Where a collection lies: its output's folder, and the file of its chunks
 * beside that. */
struct scanned_places {
    char folder[512], chunks[SCANNED_PATH], scratch[SCANNED_PATH];
};

static inline void scanned_name(struct scanned_places *p, const char *folder) {
    snprintf(p->folder, sizeof p->folder, "%s", folder);
    snprintf(p->scratch, sizeof p->scratch, "%s/.ensembed", p->folder);
    snprintf(p->chunks, sizeof p->chunks, "%s-chunks.jsonl", p->folder);
}

/* In a folder of this test's own, which is made anew. */
static inline void scanned_make(struct scanned_places *p, const char *name) {
    scanned_name(p, scene_path(name));
    assert_true(folder_remove(p->folder, NULL));
    assert_true(folder_make(p->scratch, NULL));
}

static inline void scanned_remove(const struct scanned_places *p) {
    if (getenv("SCENE_FOLDER"))
        return; /* somebody wants to look at it */
    unlink(p->chunks);
    folder_remove(p->folder, NULL);
}

/* The intake of the file of chunks; *LIST is to be freed behind it. */
static inline struct intake *scanned(struct memory *memory,
                                     const struct scanned_places *p,
                                     const struct chunk_options *options,
                                     struct chunk_listing **list) {
    struct error err = {0};
    *list = chunks_list(memory, p->chunks, options, NULL);
    assert_int_equal((*list)->count, 1);
    struct intake *intake = intake_scan(memory, (*list)->collections, options,
                                        p->scratch, NULL, &err);
    if (!intake)
        fail_msg("%s", err.message);
    return intake;
}

#endif
