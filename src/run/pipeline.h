/* pipeline.h - the main job: chunk files in, artefacts and a summary out. The
 * one place that knows the order of things.
 *
 *     for each collection: read - for each model: pass - artefacts
 *
 * A failure costs as little as it can: a broken file its chunks, a model its
 * vectors, a collection itself. Only an interruption, a full disk or an
 * output that is in use ends the run, and the same command goes on from there.
 */

#ifndef RUN_PIPELINE_H
#define RUN_PIPELINE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/event.h"
#include "run/session.h"

struct run_result {
    struct error worst; /* code ERROR_NONE: everything was embedded. Else what
                           the process should end with, and why */
    bool worst_told;    /* it was logged, with its collection's name */
    json_t *summary;    /* summary.json's content; owned */
    char summary_path[PATH_MAX]; /* "": it could not be written */
    uint64_t points, texts_computed, texts_reused, truncated, blank, left_out;
    uint64_t files_failed, lines_failed;
    uint64_t tokens;
    double duration_ms;
    size_t collections, collections_completed;
};

/* False if the run could not begin (options, chunks or models that are not
 * there): then nothing was written. Otherwise RESULT says how it went, and is
 * freed by run_result_free. */
bool pipeline_run(const struct run_options *options, const struct sink *sink,
                  struct run_result *result, struct error *err);
void run_result_free(struct run_result *result);

#endif
