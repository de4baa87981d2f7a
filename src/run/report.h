/* report.h - OUT/report.html: what a run did, for a person.
 *
 * One file: no network, no script, no font from elsewhere; it reads on a phone,
 * in the dark and on paper. It says in one sentence whether all is well, then
 * where time and memory went: memory over time against the ceiling, passes,
 * batches, what was slow, what was done under pressure, and what failed.
 *
 *     report_write("out/report.html", summary, recorder,
 *                  sampler_series(&sampler), memory, err);
 *
 * Everything in it that came from outside is escaped. The file appears whole.
 */

#ifndef RUN_REPORT_H
#define RUN_REPORT_H

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "base/memory.h"
#include "run/recorder.h"
#include "run/samples.h"

/* SUMMARY as summary_make makes it; members may be absent or of other types.
 * RECORDER and SERIES may be NULL; the sampler must have stopped. */
bool report_write(const char *path, const json_t *summary,
                  const struct recorder *recorder, const struct samples *series,
                  struct memory *memory, struct error *err);

#endif
