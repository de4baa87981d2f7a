/* telemetry.h - the sink between the run and its caller: every event goes to
 * OUT/events.jsonl and on to the caller's sink.
 *
 * A line is {"v": 1, "run": ID, "t_ms": since the run began, "type": ...,
 * fields}. v goes up when a field changes its meaning or goes away; new fields
 * and new types do not raise it. The file grows from run to run. A run writes
 * at most EVENTS_MAX lines; what is over is counted.
 *
 *     struct telemetry t;
 *     telemetry_open(&t, path, sink, err);
 *     event_emit(&t.sink, "ensemble_pass_completed", fields);
 *     telemetry_close(&t);
 */

#ifndef RUN_TELEMETRY_H
#define RUN_TELEMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event.h"

enum { EVENTS_VERSION = 1, EVENTS_MAX = 20000 };

struct telemetry {
    struct sink sink;         /* give this one to the parts of the run */
    const struct sink *outer; /* borrowed */
    int fd;                   /* -1: no file */
    int64_t begin_ns;
    uint64_t written, dropped;
    char run[33]; /* 32 hex digits */
};

/* PATH NULL: only pass on. */
bool telemetry_open(struct telemetry *telemetry, const char *path,
                    const struct sink *outer, struct error *err);
void telemetry_close(struct telemetry *telemetry);

#endif
