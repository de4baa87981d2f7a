/* stations.h - all devices of a run at once: leased in an order that all
 * programs keep, begun anew for a pass, and left as they were found. */

#ifndef RUN_STATIONS_H
#define RUN_STATIONS_H

#include <stdbool.h>

#include <jansson.h>

#include "base/event.h"
#include "run/session.h"
#include "run/station.h"

/* Lease every device that was asked for and is not leased yet, and begin its
 * figures anew. HOLDER: the models' names. On failure (the errors of
 * lease_acquire) those that were leased stay so: stations_release. */
bool stations_lease(struct session *session, const struct sink *sink,
                    const char *holder, struct error *err);
/* Release what is leased, and append what is to be said of it to LEASES. */
void stations_release(struct session *session, json_t *leases);

/* Controllers begin anew with each pass. */
void stations_start(struct session *session);
/* After the passes: nothing stays but models that are kept warm. */
void stations_leave(struct session *session, const struct sink *sink);

/* Does any of them take batches of MEMBER? */
bool stations_serve(const struct session *session, const struct member *member);

/* station_unload, told to SINK. */
void stations_put_away(const struct sink *sink, struct station *station,
                       struct resident *resident);

#endif
