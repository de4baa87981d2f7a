/* kept_events.h - a sink that passes everything on and keeps the events, for a
 * telemetry that is not open yet: models are fetched before a run has a folder
 * to write events to.
 *
 *     struct kept_events kept;
 *     kept_events_begin(&kept, outer);
 *     ... work with &kept.sink ...
 *     kept_events_tell(&kept, &telemetry.sink);
 *     kept_events_free(&kept);
 *
 * At most KEPT_EVENTS_MAX are kept. Used by one thread, and not moved while
 * its sink is in use.
 */

#ifndef RUN_KEPT_EVENTS_H
#define RUN_KEPT_EVENTS_H

#include <jansson.h>

#include "base/event.h"

enum { KEPT_EVENTS_MAX = 1000 };

struct kept_events {
    struct sink sink;
    const struct sink *outer; /* borrowed, or NULL */
    json_t *list;             /* [[type, fields], ...] */
};

void kept_events_begin(struct kept_events *kept, const struct sink *outer);
/* Emit them once more. */
void kept_events_tell(const struct kept_events *kept, const struct sink *sink);
void kept_events_free(struct kept_events *kept); /* {0} is fine */

#endif
