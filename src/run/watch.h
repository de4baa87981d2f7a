/* watch.h - what is looked at while a run works, and what a person reads of it
 * afterwards: the sampler and the recorder, metrics.prom and report.html.
 *
 *     struct watch watch;
 *     watch_start(&watch, session, &telemetry, err);
 *     ... the run ...
 *     watch_write(&watch, session, summary, err);
 *     watch_end(&watch);
 */

#ifndef RUN_WATCH_H
#define RUN_WATCH_H

#include <stdbool.h>

#include "run/sampler.h"
#include "run/session.h"
#include "run/telemetry.h"

struct watch {
    struct sampler sampler;
    struct recorder *recorder;
};

bool watch_start(struct watch *watch, struct session *session,
                 struct telemetry *telemetry, struct error *err);
/* Ends the sampling; both files in OUT. */
bool watch_write(struct watch *watch, struct session *session,
                 const json_t *summary, struct error *err);
void watch_end(struct watch *watch); /* {0} is fine */

#endif
