/* metrics.h - OUT/metrics.prom: a finished run's numbers in the Prometheus
 * text format, for a node exporter's textfile collector or a pushgateway.
 *
 *     metrics_write("out/metrics.prom", summary, recorder, memory, err);
 *
 * The numbers are those of summary.json (docs/outputs.md lists the names);
 * counts of events by type come from the recorder. The file appears whole.
 */

#ifndef RUN_METRICS_H
#define RUN_METRICS_H

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "base/memory.h"
#include "run/recorder.h"

/* SUMMARY as summary_make makes it; members may be absent or of other types
 * and are then left out. RECORDER may be NULL. */
bool metrics_write(const char *path, const json_t *summary,
                   const struct recorder *recorder, struct memory *memory,
                   struct error *err);

#endif
