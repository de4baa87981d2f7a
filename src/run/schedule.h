/* schedule.h - the passes of a collection: which model is where, and when.
 *
 *     exclusive     one model after the other, each on all devices
 *     sequential    models take turns, a window of texts each
 *     simultaneous  each model on its device, all at once
 *
 * All give the same rows. A model that fails costs its own pass; an
 * interruption, a full disk or a device that nothing replaces ends them all.
 *
 *     struct schedule schedule = {.session = ..., .roster = ..., ...};
 *     bool fine = schedule_run(&schedule, err);
 *     ... schedule.turns[i] says how member i's pass went ...
 *     schedule_free(&schedule);
 */

#ifndef RUN_SCHEDULE_H
#define RUN_SCHEDULE_H

#include <stdbool.h>

#include "run/turn.h"

struct schedule {
    struct session *session;
    const struct sink *sink;
    struct roster *roster;
    const struct intake *intake;
    struct head_stores *stores; /* [roster->count] */
    const char *folder;         /* OUT/COLLECTION/.ensembed */
    const char *scratch;
    struct engine **engines; /* [roster->count], kept by the caller for the next
                                collection; filled as needed */
    size_t collections;      /* of the whole run: for the mode */

    enum run_mode mode; /* as chosen */
    const char *reason;
    struct turn *turns;   /* [roster->count] */
    bool *planned;        /* [roster->count, stations] of the turns */
    struct turn_use *use; /* likewise */
    struct crew *crew;
    struct plan_team team; /* of the modes that share one */
};

/* False if it ended early (the error says why); turns then tell how far each
 * came. Members with an error of their own have no pass. */
bool schedule_run(struct schedule *schedule, struct error *err);
void schedule_free(struct schedule *schedule); /* {0} is fine */

/* Failures that another model cannot do better with. */
bool schedule_ends_with(enum error_code code);

const char *run_mode_name(enum run_mode mode);

#endif
