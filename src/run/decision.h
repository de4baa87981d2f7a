/* decision.h - the line that a person reads when memory ran short and the run
 * did something about it. docs/memory.md lists them. */

#ifndef RUN_DECISION_H
#define RUN_DECISION_H

#include <jansson.h>

#include "base/event.h"
#include "run/station.h"

/* What every decision says: why, and how much was free against what should be.
 * The caller adds the rest, and owns it. */
json_t *decision_fields(const struct station *station, const char *reason,
                        uint64_t bytes_free);

/* TYPE and FIELDS as in the event. */
void decision_log(const struct sink *sink, const char *type,
                  const json_t *fields);

#endif
