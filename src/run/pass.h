/* pass.h - one model over one collection: every text that one of its stores (a
 * store a head) does not have yet is tokenized, encoded by the crew, checked
 * and stored.
 *
 * Texts come in windows (run/window.h). A batch's rows are in the store when
 * the pass is told of the next one. Where devices compute besides the CPU, the
 * next window is read and tokenized while they work on this one. Which texts
 * share a batch, and which device computes them, does not change a vector, so a
 * pass that goes on after a kill ends with the same rows.
 *
 *     struct pass pass = {.session = ..., .member = ..., ...};
 *     pass_open(&pass, err);
 *     while (pass_read(&pass, err) && pass.window.count)
 *         ... crew_work, which calls pass_store for each batch ...
 *     pass_close(&pass, err);
 *     pass.report.computed ...
 *
 * Who runs when, and where, is the schedule's business (run/schedule.h).
 */

#ifndef RUN_PASS_H
#define RUN_PASS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "data/chunks.h"
#include "data/store.h"
#include "run/crew.h"
#include "run/drift.h"
#include "run/engine.h"
#include "run/heads.h"
#include "run/pass_texts.h"
#include "run/roster.h"
#include "run/session.h"
#include "run/window.h"

enum { FAILED_LISTED = 100 };

struct pass_report {
    uint64_t texts;  /* distinct texts of the collection */
    uint64_t reused; /* already in all stores */
    uint64_t computed;
    uint64_t failed;    /* texts with a vector that was not sound */
    uint64_t empty;     /* sparse vectors without any number, in this run */
    uint64_t truncated; /* texts that were cut at the limit, in this run or an
                           earlier one */
    uint64_t elsewhere; /* texts that another device computed than was planned,
                           in this run or an earlier one */
    uint64_t other_dtype; /* texts whose rows were computed in another type
                             than the store's, likewise */
    uint64_t tokens;      /* encoded */
    uint64_t batches;
    double duration_ms;       /* of all this, without loading */
    double reading_ms;        /* of it while nobody computed, for there were no
                                 texts ready */
    uint64_t read_ahead;      /* texts that were read while devices computed */
    double encode_ms;         /* inside the devices' verbs, added up */
    json_t *failed_chunks;    /* [{chunk, reason}], the first FAILED_LISTED */
    json_t *truncated_chunks; /* [chunk ids], the first of them */
    json_t *elsewhere_chunks; /* likewise, and so: */
    json_t *other_dtype_chunks;
};

struct pass {
    struct session *session;
    const struct sink *sink;
    const struct member *member;
    const struct intake *intake;
    struct head_stores stores;
    unsigned heads;         /* those whose store lacks a text: what is computed;
                               set by pass_missing */
    struct engine *engine;  /* its tokenizer; not needed while nothing is
                               missing */
    const char *folder;     /* OUT/COLLECTION/.ensembed */
    unsigned number, count; /* 1-based, for progress */
    const bool *planned;    /* [stations]: rows of others are named */
    struct window window;   /* that the crew works on */
    struct window next;     /* that is read meanwhile, if it `doubles` */
    bool doubles;
    struct error ahead_failure; /* of reading ahead: pass_read tells it */
    struct drift_sample sample; /* of what is computed; {0}: none is taken */
    struct chunk_reader *reader;
    struct pass_texts texts; /* of the points that it found */
    uint64_t point;          /* that the reader gave last ... */
    bool held;               /* ... and that is not in `texts` yet */
    bool end;                /* the reader is through, and no text is left */
    bool lacks_all;          /* its stores were empty: they lack every text */
    int64_t began_ns, synced_ms;
    struct pass_report report;
};

/* How many texts a store lacks. */
bool pass_missing(struct pass *pass, uint64_t *texts, struct error *err);
/* How many rows there are in all stores. */
uint64_t pass_rows(const struct pass *pass);
/* The rows that are there, and an index of them with room for MORE. */
bool pass_prepare_stores(struct pass *pass, uint64_t more, struct error *err);

/* Tokens of the longest text, at most: what workspaces must have room for. */
size_t pass_longest(const struct intake *intake, const struct member *member,
                    const struct engine *engine);
/* Tokens of the longest text, at most, whatever the limit. */
size_t pass_tokens_longest(const struct intake *intake,
                           const struct member *member,
                           const struct engine *engine);
/* Bytes that pass_open takes, and all that reading takes besides, for a while,
 * as memory counts them. */
uint64_t pass_staging_bytes(const struct intake *intake,
                            const struct member *member,
                            const struct engine *engine);
/* Where texts are not cut the longest one decides how much that is: ERR, if it
 * is a lack of memory, names it and what to do about it. */
void pass_blame_longest(const struct session *session,
                        const struct intake *intake, struct error *err);
uint64_t pass_scratch_bytes(const struct session *session,
                            const struct intake *intake);

bool pass_open(struct pass *pass, struct error *err);
/* Fill the window with texts that a store lacks; window.count is 0 when
 * there are no more. */
bool pass_read(struct pass *pass, struct error *err);
/* Read some of the next window's texts; false: there was nothing to do. Only
 * while the session's own threads do not compute. */
bool pass_read_ahead(struct pass *pass);
/* A batch of this pass is computed. False: it could not be stored. */
bool pass_store(struct pass *pass, const struct batch *batch,
                struct error *err);
/* Everything on disk; the window is let go. */
bool pass_close(struct pass *pass, struct error *err);

void pass_free_report(struct pass *pass);

/* Fill the report's counts of the three lists. SCRATCH is a folder for a
 * table. */
bool pass_count_lists(struct pass *pass, const char *scratch,
                      struct error *err);

#endif
