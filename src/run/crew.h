/* crew.h - the stations of a run at work: a thread each, one queue of pieces,
 * and the caller who stores what they made and decides what needs deciding.
 *
 * A worker takes the next piece of a window whose model is resident on its
 * station, reads the free memory, encodes, reads it again, and hands the batch
 * over. It changes its own budget (run/controller.h). What concerns other
 * stations (relief, restoring, a lost device, results that are nonsense) it
 * asks of the caller's thread, which runs the ladder (run/ladder.h), stores
 * rows and emits events: there is one decider, and the sink is called from one
 * thread.
 *
 *     struct crew *crew = crew_open(session, &size, err);
 *     struct shift shift = {.jobs = jobs, .jobs_count = n, ...};
 *     crew_work(crew, &shift, err);      // until all windows are done
 *     crew_close(crew);
 *
 * No text is lost and none is done twice: it waits in its window, is held by
 * one worker, or is in a batch that was handed over. A batch that failed goes
 * back whole. Workers allocate nothing but workspaces, between batches.
 */

#ifndef RUN_CREW_H
#define RUN_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "data/chunks.h"
#include "run/crew_rows.h"
#include "run/engine.h"
#include "run/session.h"
#include "run/station.h"
#include "run/window.h"

/* Most texts of a batch, and its share of the workers' buffers. */
struct crew_size {
    size_t tokens; /* most in a batch, on any station */
    size_t texts;
    struct rows_size rows;
};

/* A batch on its way from a worker to the caller. Borrowed for the call. */
struct batch {
    struct station *station;
    struct job *job;
    struct piece piece;
    uint32_t *ids;        /* [tokens] */
    uint32_t *starts;     /* [texts + 1] */
    uint8_t *digests;     /* [texts, 32] */
    uint8_t *cut_digests; /* [cut_count, 32] of [texts, 32]: texts that were
                             truncated */
    size_t cut_count;
    struct batch_rows rows;
    size_t texts, tokens;
    size_t budget; /* tokens, at the time */
    double ms;
    uint64_t free_before, free_after, live;
    size_t sound, unsound; /* texts that have tokens */
    bool recomputed;       /* an earlier result of it was nonsense */
};

/* One model's window in a shift. */
struct job {
    const struct member *member;
    struct window *window;
    unsigned heads;                 /* bits of those that are wanted */
    const struct head_rules *rules; /* of its model's tokenizer, as: */
    const struct long_frame *frame;
    size_t prompt_tokens;
    size_t longest; /* tokens of a text, as planned: workspaces have room for
                       it */
    unsigned pass;  /* its number, for events */
    void *context;  /* the caller's */
    bool paused;    /* no station has room for its model at the moment */
    struct error failure; /* code set: the job is given up */
    uint64_t nonsense;    /* batches that no device could do soundly */
    bool any_sound;       /* some text has a sound vector, of this run or an
                             earlier one: the model is not broken */
};

/* What the crew asks of its caller, all on the caller's thread. */
struct shift_verbs {
    /* Store the batch's rows. False ends the shift. */
    bool (*store)(void *context, const struct batch *batch, struct error *err);
    /* While devices compute and nothing is to be stored or decided: prepare
     * what comes next, a little at a time. False: there is nothing. Not called
     * while the session's pool computes. NULL: never. */
    bool (*ahead)(void *context);
    /* A decision, already taken: event TYPE with FIELDS (taken over). */
    void (*decided)(void *context, const struct job *job,
                    const struct station *station, const char *type,
                    json_t *fields);
};

struct shift {
    struct job *jobs;
    size_t jobs_count;
    const struct shift_verbs *verbs;
    void *context;
};

/* No text of the job has a sound vector: its failure says so. */
void job_is_nonsense(struct job *job);

struct crew;

struct crew *crew_open(struct session *session, const struct crew_size *size,
                       struct error *err);
void crew_close(struct crew *crew); /* NULL is fine */
/* What the passes of a collection need. ENGINES [roster->count]: tokenizers of
 * those that have something to do, else NULL. */
struct crew_size crew_size_for(const struct session *session,
                               const struct roster *roster,
                               struct engine *const *engines,
                               const struct intake *intake);
/* Bytes of host memory that crew_open takes, as memory counts them. */
uint64_t crew_bytes(const struct session *session,
                    const struct crew_size *size);

/* Work until every job is done or has failed. The models of the jobs are
 * resident somewhere already, or `paused`. False: the sink interrupted, or
 * storing failed; no batch is lost that was stored. A job's own failure stands
 * in the job. */
bool crew_work(struct crew *crew, struct shift *shift, struct error *err);

#endif
