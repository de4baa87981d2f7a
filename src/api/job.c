/* job.c - the main job through the public header: load, run, export. */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/embedder.h"
#include "base/file.h"
#include "run/pipeline.h"

static void add_counts(ens_counts *counts, const struct intake_counts *more) {
    counts->collections++;
    counts->files += more->files;
    counts->files_failed += more->files_failed;
    counts->chunks += more->found;
    counts->points += more->points;
    counts->unique += more->unique;
    counts->duplicate += more->duplicate;
    counts->blank += more->blank;
}

static bool scan_all(ens_embedder *e, struct chunk_listing *list,
                     const char *scratch, ens_counts *counts,
                     struct error *err) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->collections[i].missing)
            continue;
        struct intake *intake =
            intake_scan(&e->memory, &list->collections[i], &e->options.chunk,
                        scratch, &e->sink, err);
        if (!intake)
            return false;
        add_counts(counts, &intake->counts);
        intake_free(intake);
    }
    return counts->chunks > 0 ||
           error_set(err, ERROR_MISSING, "%s: no chunks found",
                     e->options.chunks);
}

bool ens_load_chunks(ens_embedder *e, const char *path, ens_counts *counts,
                     ens_error *error) {
    struct error err = {0};
    char scratch[PATH_MAX] = "";
    ens_counts all = {0};
    struct chunk_listing *list = NULL;
    bool fine =
        (path && e->options.out) ||
        error_set(&err, ERROR_USAGE, "chunks need a path and config.out");
    fine = fine && (e->options.chunks =
                        arena_copy(&e->arena, str_from(path), &err)) != NULL;
    if (fine && snprintf(scratch, sizeof scratch, "%s/.ensembed-load",
                         e->options.out) >= PATH_MAX) {
        *scratch = '\0'; /* not a part of a path: it is removed below */
        fine =
            error_set(&err, ERROR_USAGE, "path too long: %s", e->options.out);
    }
    fine = fine && folder_make(scratch, &err) &&
           (list = chunks_list(&e->memory, path, &e->options.chunk, &err)) &&
           scan_all(e, list, scratch, &all, &err);
    chunks_free(list);
    if (*scratch)
        folder_remove(scratch, NULL);
    if (counts)
        *counts = all;
    return fine || embedder_fail(error, &err);
}

static bool do_run(ens_embedder *e, unsigned exports, ens_result *result,
                   ens_error *error) {
    struct error err = {0};
    struct run_result run;
    if (!e->options.chunks || !e->options.out) {
        error_set(&err, ERROR_USAGE,
                  "nothing to run: ens_load_chunks says which chunks, "
                  "config.out where to");
        return embedder_fail(error, &err);
    }
    e->options.exports = exports;
    e->options.one_device = false;
    if (!pipeline_run(&e->options, &e->sink, &run, &err))
        return embedder_fail(error, &err);
    e->options.restart = false; /* once is enough */
    free(e->summary);
    e->summary =
        json_dumps(run.summary, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    if (result)
        *result = (ens_result){.points = run.points,
                               .texts_computed = run.texts_computed,
                               .texts_reused = run.texts_reused,
                               .truncated = run.truncated,
                               .blank = run.blank,
                               .left_out = run.left_out,
                               .files_failed = run.files_failed,
                               .tokens = run.tokens,
                               .duration_ms = run.duration_ms};
    err = run.worst;
    run_result_free(&run);
    return !err.code || embedder_fail(error, &err);
}

bool ens_run(ens_embedder *e, ens_result *result, ens_error *error) {
    return do_run(e, EXPORT_NONE, result, error);
}

bool ens_export(ens_embedder *e, ens_result *result, ens_error *error) {
    return do_run(e, e->exports ? e->exports : EXPORT_ALL, result, error);
}

const char *ens_summary(const ens_embedder *e) {
    return e->summary;
}
