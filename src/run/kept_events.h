/* kept_events.h - a sink that passes everything on and keeps events and
 * warnings, for a telemetry that is not open yet: devices are looked at and
 * models fetched before a run has a folder to write events to.
 *
 *     struct kept_events kept;
 *     kept_events_begin(&kept, outer);
 *     ... work with &kept.sink ...
 *     telemetry_catch_up(&telemetry, &kept);
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
    json_t *events;           /* [[clock_now_ns(), type, fields], ...] */
    json_t *warnings;         /* [[clock_now_ns(), log_level, message], ...] */
};

void kept_events_begin(struct kept_events *kept, const struct sink *outer);
void kept_events_free(struct kept_events *kept); /* {0} is fine */

#endif
