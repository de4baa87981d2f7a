/* plan_command_parts.h - what plan_command.c and plan_command_passes.c share: a
 * plan that is being made, on the thread that asked for it. */

#ifndef RUN_PLAN_COMMAND_PARTS_H
#define RUN_PLAN_COMMAND_PARTS_H

#include "run/engine.h"
#include "run/plan.h"
#include "run/recorder.h"
#include "run/roster.h"
#include "run/samples.h"

struct planning {
    struct session *session;
    struct roster *roster;
    struct engine **engines; /* [roster->count]; NULL: cannot be used */
    size_t *longest;         /* [roster->count], of the collection */
    double *rates;           /* [stations], of the devices */
    struct intake *intake;   /* of the collection */
    enum run_mode mode;
    const char *reason;
    struct recorder *recorder; /* as a run has them: their memory counts */
    struct samples samples;
};

static inline const struct member *planning_member(const struct planning *p,
                                                   size_t i) {
    return &p->roster->members[i];
}

/* ---- plan_command_passes.c: of the collection in P ---------------------- */

/* Bytes that a run holds in every pass of the collection: the crew's buffers,
 * open stores and their indexes. */
uint64_t planning_common_bytes(const struct planning *p);

/* Its passes into LIST, in the order of a run. False: the plan ends here; what
 * only does not fit stands in LIST. */
bool planning_passes(struct planning *p, json_t *list, struct error *err);

#endif
