/* artefacts.h - the files that a collection ends with (docs/outputs.md):
 * arrays, line files, stats.json, each complete or not there, and byte for byte
 * the same from run to run.
 *
 * What the files were made from is written down last, in
 * .ensembed/complete.json; a run that would make the same files from the same
 * things leaves them alone, unless a model or a row was missing then. Before
 * the first of them gets its name it says which are begun.
 */

#ifndef RUN_ARTEFACTS_H
#define RUN_ARTEFACTS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "data/chunks.h"
#include "data/store.h"
#include "run/heads.h"
#include "run/roster.h"
#include "run/session.h"

struct artefacts {
    struct session *session;
    const struct sink *sink;
    const struct roster *roster;
    const struct intake *intake;
    struct head_stores *stores; /* [roster->count]; NULL in it: not asked for,
                                   or that member failed */
    const char *folder;         /* OUT/COLLECTION */
    const char *scratch;        /* a folder that is emptied before each run */
    uint64_t failed_texts;      /* texts that some store lacks */
    /* out */
    uint64_t points;         /* rows of every array, lines of every line file */
    uint64_t left_out;       /* points without a vector in some model */
    json_t *files;           /* {"embeddings.npy": path, ...} */
    json_t *left_out_chunks; /* ids of the first FAILED_LISTED */
    json_t *kept; /* arrays of models that are not asked for, which stay */
};

/* Are all files there that would be made from this roster and intake, as they
 * were written? Then `files` and `points` are filled. Any doubt is a no. */
bool artefacts_complete(struct artefacts *artefacts);

/* Is there a complete set at all, whatever it was made from? One that lacks a
 * model that failed, or rows, is none. */
bool artefacts_exist(const char *folder);

/* Was it made with other models or options, whatever the chunks? Neither
 * `intake` nor `stores` is looked at. */
bool artefacts_made_otherwise(const struct artefacts *artefacts);

/* A model is missing in this run, or failed, and a complete set of a run that
 * had all of its own stands: it is worth more than what would replace it. */
bool artefacts_better_stay(const struct artefacts *artefacts);

/* Write them. Afterwards stores whose rows stand in an array at their own
 * width have let go of their copy. */
bool artefacts_write(struct artefacts *artefacts, struct error *err);
void artefacts_free(struct artefacts *artefacts); /* the out members */

#endif
