/* telemetry.h - the sink between the run and its caller: every event goes to
 * OUT/events.jsonl, to the recorder and on to the caller's sink.
 *
 * A line is {"v": 1, "run": ID, "t_ms": since the run began, "type": ...,
 * fields}. v goes up when a field changes its meaning or goes away; new fields
 * and new types do not raise it. The file grows from run to run. A run writes
 * at most EVENTS_MAX lines; what is over is counted by type. The last lines are
 * kept for what comes seldom and matters: the many events of one batch, one
 * chunk or one moment stop first, then all but the beginnings and ends of
 * passes, collections and the run.
 *
 *     struct telemetry t;
 *     telemetry_open(&t, path, begin_ns, sink, err);
 *     t.recorder = recorder;      // both may stay NULL
 *     t.sampler = &sampler;
 *     telemetry_catch_up(&t, &kept); // if something was kept
 *     event_emit(&t.sink, "ensemble_pass_completed", fields);
 *     telemetry_close(&t);
 *
 * One thread emits. The sampler's thread never does: at events and progress
 * telemetry asks it for its latest sample, and emits `memory_sample` when it
 * is time, first each second and then ever more seldom.
 */

#ifndef RUN_TELEMETRY_H
#define RUN_TELEMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/event.h"
#include "run/kept_events.h"
#include "run/recorder.h"
#include "run/sampler.h"
#include "run/tally.h"

enum {
    EVENTS_VERSION = 1,
    EVENTS_MAX = 20000,
    EVENTS_MAX_PLAIN = 19000, /* for all but beginnings and ends */
    EVENTS_MAX_MANY = 16000,  /* for events of a batch, chunk or moment */
    SAMPLES_PER_PERIOD = 500  /* then the period between them doubles */
};

struct telemetry {
    struct sink sink;          /* give this one to the parts of the run */
    const struct sink *outer;  /* borrowed */
    struct recorder *recorder; /* borrowed, or NULL */
    struct sampler *sampler;   /* borrowed, or NULL */
    int fd;                    /* -1: no file */
    int64_t begin_ns;
    uint64_t written, dropped;
    struct tally dropped_types;
    int64_t sample_at_ms, sample_period_ms; /* of memory_sample */
    unsigned samples_in_period;
    char run[33]; /* 32 hex digits */
};

/* For a run that began at BEGIN_NS (clock_now_ns). PATH NULL: only pass on. */
bool telemetry_open(struct telemetry *telemetry, const char *path,
                    int64_t begin_ns, const struct sink *outer,
                    struct error *err);
void telemetry_close(struct telemetry *telemetry);

/* File and recorder learn what happened before this telemetry was opened, at
 * the times of then; the caller's sink has heard of it. */
void telemetry_catch_up(struct telemetry *telemetry,
                        const struct kept_events *kept);

/* Milliseconds since the run began, as in t_ms. */
int64_t telemetry_now_ms(const struct telemetry *telemetry);

/* Dropped events by type, for the summary. */
json_t *telemetry_dropped(const struct telemetry *telemetry);

#endif
