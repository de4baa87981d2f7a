/* phases.h - where a run's time goes.
 *
 * The thread that decides is in one phase at any moment, so that the phases'
 * milliseconds add up to the run's: none is counted twice and none is lost.
 *
 *     struct phases phases;
 *     phases_begin(&phases);                                // PHASE_OPEN
 *     enum phase before = phases_enter(&phases, PHASE_STORE);
 *     ... append rows ...
 *     phases_enter(&phases, before);
 *     json_t *object = phases_describe(&phases);
 *
 * Encoding is the other threads' work: in PHASE_ENCODE this thread waits for
 * it. While it stores rows or reads ahead, the others may go on encoding: such
 * a phase's milliseconds are what it lasted, and at most what it cost. `cpu_ms`
 * is what this thread computed in the phase, which is never more.
 *
 * Two clocks are read a change, and no memory is taken. One thread; a session
 * has one and begins it (session->phases).
 */

#ifndef RUN_PHASES_H
#define RUN_PHASES_H

#include <stdint.h>

#include <jansson.h>

/* name, in summary.json, and what it is */
#define PHASE_LIST(X)                                                          \
    X(OPEN, "open")         /* devices, models' files, list of chunk files */  \
    X(INTAKE, "intake")     /* every chunk file read and checked */            \
    X(PREPARE, "prepare")   /* stores, tokenizer, plan, workspaces */          \
    X(LOAD, "load")         /* weights */                                      \
    X(READ, "read")         /* texts of a window, looked up and decoded */     \
    X(TOKENIZE, "tokenize") /* by all threads */                               \
    X(ENCODE, "encode")     /* by the devices; this thread waits */            \
    X(STORE, "store")       /* rows written, counted and told */               \
    X(DRIFT, "drift")       /* some texts computed in f32 too, compared */     \
    X(EXPORT, "export")     /* arrays and line files */                        \
    X(SYNC, "sync")         /* rows and files pushed to the disk */            \
    X(REPORT, "report")     /* summary and report */

enum phase {
#define PHASE_NAME(name, text) PHASE_##name,
    PHASE_LIST(PHASE_NAME)
#undef PHASE_NAME
        PHASES
};

struct phases {
    enum phase now;
    int64_t wall_since_ns, cpu_since_ns; /* when it began */
    int64_t wall_ns[PHASES], cpu_ns[PHASES];
};

void phases_begin(struct phases *phases);
/* What was entered before: to go back to. */
enum phase phases_enter(struct phases *phases, enum phase phase);
/* {"open": {"ms": ..., "cpu_ms": ...}, ...} up to now. */
json_t *phases_describe(struct phases *phases);

#endif
