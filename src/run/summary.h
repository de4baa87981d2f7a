/* summary.h - what a run says of itself when it is over: the objects of
 * summary.json (docs/summary.schema.json is their schema). */

#ifndef RUN_SUMMARY_H
#define RUN_SUMMARY_H

#include <stdint.h>

#include <jansson.h>

#include "run/artefacts.h"
#include "run/roster.h"
#include "run/session.h"
#include "run/turn.h"

enum { SUMMARY_VERSION = 1 };

json_t *summary_pass(const struct session *session, const struct turn *turn);

struct summary_collection {
    const struct collection *collection;
    const char *status;
    const char *reason; /* or NULL */
    const struct error *failure;
    const char *failed_model;    /* or NULL */
    const struct intake *intake; /* NULL: not read */
    const struct artefacts *artefacts;
    json_t *passes;                 /* shared */
    const char *mode, *mode_reason; /* NULL: nothing had to be computed */
    uint64_t truncated;
    double duration_ms;
    json_t *sampled; /* the sampler's aggregates; shared */
};
json_t *summary_collection(const struct summary_collection *entry);

/* Program, date, machine: for the summary's head and the first event. */
json_t *summary_environment(const struct session *session);

/* COLLECTIONS is shared. */
json_t *summary_make(const struct session *session, const struct roster *roster,
                     json_t *collections, double duration_ms,
                     uint64_t events_dropped);

#endif
