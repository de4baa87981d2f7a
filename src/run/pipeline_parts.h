/* pipeline_parts.h - what pipeline.c and collection.c share: the run, and how
 * one of its collections is done. All on the thread that runs the pipeline. */

#ifndef RUN_PIPELINE_PARTS_H
#define RUN_PIPELINE_PARTS_H

#include "data/chunks.h"
#include "run/engine.h"
#include "run/kept_events.h"
#include "run/pipeline.h"
#include "run/roster.h"
#include "run/session.h"
#include "run/telemetry.h"
#include "run/watch.h"

struct run {
    int64_t begin_ns;
    struct session session;
    struct kept_events early; /* until there is telemetry */
    struct telemetry telemetry;
    struct roster roster;
    struct chunk_listing *list;
    struct engine *
        *engines; /* [roster.count]: tokenizers, as they are needed */
    struct watch watch;
    struct run_result *result;
    json_t *collections; /* the summary's list */
    int lock_fd;         /* of OUT: summary, events and report are one run's */
    json_t *leases;      /* that were held until the end (--warm) */
    json_t *earlier;     /* collections in OUT that are of an earlier run, and
                            not of this one's chunks (run/origin.h); or NULL */
};

/* Who resumes without --dtype goes on in the type that is there. */
bool pipeline_takes_types(const struct run *run);

/* The more a failure asks of the caller, the more it counts. TOLD: it was
 * logged, as an error. */
void pipeline_note_worst(struct run_result *result, enum error_code code,
                         const char *message, bool told);

/* Collection NUMBER of the list, from its files to its artefacts and its entry
 * in the summary. False when the run ends here. */
bool collection_run(struct run *run, size_t number);

#endif
