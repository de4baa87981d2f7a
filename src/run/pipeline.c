#include "run/pipeline_parts.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "data/payload.h"
#include "run/dtype.h"
#include "run/lock.h"
#include "run/origin.h"
#include "run/rerank.h"
#include "run/schedule.h"
#include "run/stations.h"
#include "run/summary.h"

enum { EARLIER_TOLD = 20 };

/* ---- the type of the run's cards ---------------------------------------- */

bool pipeline_takes_types(const struct run *run) {
    return !run->session.type_asked && !run->session.options->restart;
}

/* The cards' type, which is one in a run: the first that is there. */
static bool take_type(struct run *run, struct error *err) {
    struct session *session = &run->session;
    char private[PATH_MAX];
    for (size_t c = 0; pipeline_takes_types(run) && c < run->list->count; c++) {
        if (snprintf(private, sizeof private, "%s/%s/.ensembed",
                     session->options->out,
                     run->list->collections[c].folder) >= PATH_MAX)
            continue;
        for (size_t i = 0; i < run->roster.count; i++)
            for (enum row_kind h = 0; h < ROW_KINDS; h++) {
                const struct member *member = &run->roster.members[i];
                enum number_type type =
                    !member->error.code && member_has(member, h)
                        ? dtype_there(private, member, h)
                        : NUMBER_DEFAULT;
                if (type)
                    return session_set_type(session, type, err);
            }
    }
    return true;
}

/* ---- warnings ----------------------------------------------------------- */

static void warn_of_account(const struct run *run) {
    for (size_t i = 0; i < run->session.stations_count; i++)
        if (run->session.stations[i].device->charges_shapes)
            return;
    for (size_t i = 0; i < run->roster.count; i++)
        if (run->roster.members[i].request->account)
            event_log(&run->telemetry.sink, LOG_WARNING,
                      "model %s: account= counts on simulated cards only, and "
                      "there is none (--device)",
                      run->roster.members[i].key);
}

/* What is asked for as fp8 may be bf16 for the most part. */
static void warn_of_fp8(const struct run *run, const struct member *member) {
    if (member->bm25 || run->session.type != NUMBER_FP8)
        return;
    double share = dtype_fp8_share(&member->spec);
    if (share == 1)
        return;
    event_log(&run->telemetry.sink, LOG_WARNING,
              "model %s: %.0f%% of the numbers of its matrices are fp8; the "
              "others are in matrices whose widths are no multiples of %d, and "
              "compute in bf16",
              member->key, share * 100, FP8_MULTIPLE);
}

static void warn_of_members(const struct run *run) {
    const struct sink *sink = &run->telemetry.sink;
    const struct member *reranker = run->roster.reranker;
    warn_of_account(run);
    if (reranker && reranker->error.code)
        event_log(sink, LOG_WARNING,
                  "model %s cannot be used: %s; search will have to do without",
                  reranker->key, reranker->error.message);
    for (size_t i = 0; i < run->roster.count; i++) {
        const struct member *member = &run->roster.members[i];
        if (member->error.code) {
            event_log(sink, LOG_WARNING,
                      "model %s cannot be used: %s; the others are exported "
                      "under their own names%s, where no complete files of an "
                      "earlier run stand",
                      member->key, member->error.message,
                      member_has(member, ROW_DENSE) ? ", without fused vectors"
                                                    : "");
            continue;
        }
        warn_of_fp8(run, member);
        if (member->undeclared_cut)
            event_log(sink, LOG_WARNING,
                      "model %s is cut from %zu to %zu numbers a vector, but "
                      "does not declare that it stands this (Matryoshka); "
                      "similarity may suffer",
                      member->key, member->spec.width, member->width);
    }
}

/* Folders of collections that were renamed or removed since. */
static void warn_of_earlier(struct run *run) {
    run->earlier =
        origin_find_gone(run->session.options, run->list, &run->session.memory);
    size_t i, count = json_array_size(run->earlier);
    const json_t *entry;
    json_array_foreach(run->earlier, i, entry) {
        if (i == EARLIER_TOLD)
            break;
        event_log(&run->telemetry.sink, LOG_WARNING,
                  "%s is of an earlier run: its chunks are not in %s any more, "
                  "or are another collection's; search asks it too, so remove "
                  "the folder if nobody needs it",
                  json_string_value(json_object_get(entry, "folder")),
                  json_string_value(json_object_get(entry, "chunks")));
    }
    if (count > EARLIER_TOLD)
        event_log(&run->telemetry.sink, LOG_WARNING,
                  "and %zu more folders of earlier runs: see \"earlier\" in "
                  "the summary",
                  count - EARLIER_TOLD);
}

/* ---- beginning and end -------------------------------------------------- */

static bool check_text_field(const struct run_options *options,
                             struct error *err) {
    struct str field = str_from(options->text_field ? options->text_field : "");
    if (utf8_valid_prefix(field) != field.size)
        return error_set(err, ERROR_USAGE,
                         "the text field's name is not valid UTF-8");
    return !payload_has_own(field) ||
           error_set(err, ERROR_USAGE,
                     "the payload has a field %s of its own: call the text's "
                     "another (--text-field)",
                     options->text_field);
}

/* A summary that has no place to go is better known before the work. */
static bool place_summary(struct run *run, struct error *err) {
    const struct run_options *options = run->session.options;
    char *path = run->result->summary_path;
    if (!options->summary_path)
        return path_join(path, options->out, "summary.json", err);
    if (snprintf(path, PATH_MAX, "%s", options->summary_path) >= PATH_MAX)
        return error_set(err, ERROR_USAGE, "path too long: %s",
                         options->summary_path);
    if (folder_exists(path))
        return error_set(err, ERROR_USAGE,
                         "%s is a folder: the summary wants a file's name",
                         path);
    char folder[PATH_MAX];
    strcpy(folder, path);
    const char *parent = dirname(folder);
    return folder_exists(parent) ||
           error_set(err, ERROR_MISSING,
                     "%s is not a folder: the summary cannot be written there",
                     parent);
}

static bool begin(struct run *run, const struct run_options *options,
                  const struct sink *sink, struct error *err) {
    char events[PATH_MAX];
    kept_events_begin(&run->early, sink);
    if (!check_text_field(options, err) ||
        !session_open(&run->session, options, &run->early.sink, err) ||
        !roster_open(&run->roster, &run->session, "document", true, err))
        return false;
    if (!run->roster.usable) {
        *err = run->roster.members[0].error;
        return false;
    }
    run->list = chunks_list(&run->session.memory, options->chunks,
                            &options->chunk, err);
    if (!run->list)
        return false;
    if (!run->list->count)
        return error_set(err, ERROR_MISSING,
                         "%s: no chunk files found (*_chunks.json, *.json, "
                         "*.jsonl)",
                         options->chunks);
    if (!take_type(run, err))
        return false;
    /* The folder .ensembed tells a later run over a folder that OUT lies in
     * that events.jsonl is not a file of chunks. */
    if (!place_summary(run, err) ||
        !path_join(events, options->out, ".ensembed", err) ||
        !folder_make(events, err) ||
        !lock_take(events, options->out, &run->lock_fd, err) ||
        !path_join(events, options->out, "events.jsonl", err) ||
        !telemetry_open(&run->telemetry, events, run->begin_ns, sink, err))
        return false;
    run->session.sink = &run->telemetry.sink;
    run->engines = memory_zalloc(&run->session.memory, run->roster.count,
                                 sizeof(struct engine *), err);
    if (!run->engines ||
        !watch_start(&run->watch, &run->session, &run->telemetry, err))
        return false;
    telemetry_catch_up(&run->telemetry, &run->early);
    return true;
}

void pipeline_note_worst(struct run_result *result, enum error_code code,
                         const char *message, bool told) {
    bool worse =
        !result->worst.code ||
        (schedule_ends_with(code) && !schedule_ends_with(result->worst.code)) ||
        (code == ERROR_CONFLICT && !schedule_ends_with(result->worst.code));
    if (!code || !worse)
        return;
    error_set(&result->worst, code, "%s", message);
    result->worst_told = told;
}

/* Models that were kept warm, and the cards that were leased for them. */
static void leave_devices(struct run *run) {
    for (size_t i = 0; i < run->session.stations_count; i++)
        station_unload_all(&run->session.stations[i]);
    stations_release(&run->session, run->leases);
}

/* STATUS: how it ended, in a word, or that it runs; for report.html too. */
static json_t *describe(struct run *run, const char *status) {
    const struct run_result *result = run->result;
    json_t *summary =
        summary_make(&run->session, &run->roster, run->collections,
                     result->duration_ms, run->telemetry.dropped);
    json_object_set_new(summary, "status", json_string(status));
    if (result->worst.code)
        json_object_set_new(summary, "message",
                            json_string(result->worst.message));
    if (run->session.options->restart) /* not for the next run: see report */
        json_object_set_new(summary, "restart", json_true());
    json_object_set_new(summary, "phases",
                        phases_describe(&run->session.phases));
    if (json_array_size(run->leases))
        json_object_set(summary, "leases", run->leases);
    if (json_array_size(run->earlier))
        json_object_set(summary, "earlier", run->earlier);
    json_object_set_new(summary, "events_dropped_types",
                        telemetry_dropped(&run->telemetry));
    return summary;
}

static bool put_summary(struct run *run, const json_t *summary,
                        struct error *err) {
    return json_write_file(run->result->summary_path, summary, 12,
                           &run->session.memory, err);
}

/* For the searches of OUT, wherever the summary goes. */
static bool note_reranker(struct run *run, struct error *err) {
    const struct member *reranker = run->roster.reranker;
    char path[PATH_MAX];
    if (!path_join(path, run->session.options->out, RERANKER_FILE, err))
        return false;
    if (!reranker)
        return file_remove(path, err);
    json_t *described = member_describe(reranker);
    bool fine = json_write_file(path, described, 0, &run->session.memory, err);
    json_decref(described);
    return fine;
}

/* What the run before said of itself goes, so that nobody takes it for the word
 * of this one, should it be killed. */
static bool announce(struct run *run, struct error *err) {
    char report[PATH_MAX];
    json_t *summary = describe(run, "running");
    bool fine =
        (file_is_stream(run->result->summary_path) ||
         put_summary(run, summary, err)) &&
        note_reranker(run, err) &&
        path_join(report, run->session.options->out, "report.html", err) &&
        file_remove(report, err);
    json_decref(summary);
    return fine;
}

static bool write_summary(struct run *run, struct error *err) {
    struct run_result *result = run->result;
    result->duration_ms = (double)(clock_now_ns() - run->begin_ns) / 1e6;
    result->summary = describe(run, error_name(result->worst.code));
    bool fine = put_summary(run, result->summary, err);
    if (!fine)
        result->summary_path[0] = '\0';
    /* The report has its place in OUT, wherever the summary could not go. */
    bool told = watch_write(&run->watch, &run->session, result->summary,
                            fine ? err : NULL);
    return fine && told;
}

static void end(struct run *run) {
    for (size_t i = 0; run->engines && i < run->roster.count; i++)
        engine_free(run->engines[i]);
    memory_free(&run->session.memory, run->engines);
    chunks_free(run->list);
    roster_free(&run->roster);
    json_decref(run->collections);
    json_decref(run->leases);
    json_decref(run->earlier);
    watch_end(&run->watch);
    telemetry_close(&run->telemetry);
    session_close(&run->session);
    kept_events_free(&run->early);
    lock_drop(run->lock_fd);
}

bool pipeline_run(const struct run_options *options, const struct sink *sink,
                  struct run_result *result, struct error *err) {
    *result = (struct run_result){0};
    struct run run = {.begin_ns = clock_now_ns(),
                      .result = result,
                      .collections = json_array(),
                      .leases = json_array()};
    run.telemetry.fd = -1;
    bool fine = begin(&run, options, sink, err) && announce(&run, err);
    if (fine) {
        event_emit(&run.telemetry.sink, "run_started",
                   summary_environment(&run.session));
        warn_of_members(&run);
        bool go_on = true;
        for (size_t i = 0; go_on && i < run.list->count; i++)
            go_on = collection_run(&run, i);
        if (go_on)
            warn_of_earlier(&run);
        const struct member *reranker = run.roster.reranker;
        if (reranker && reranker->error.code)
            pipeline_note_worst(result, reranker->error.code,
                                reranker->error.message, false);
        if (run.roster.usable < run.roster.count)
            for (size_t i = 0; i < run.roster.count; i++)
                pipeline_note_worst(result, run.roster.members[i].error.code,
                                    run.roster.members[i].error.message, false);
        struct error failure = {0};
        leave_devices(&run);
        if (!write_summary(&run, &failure))
            pipeline_note_worst(result, failure.code, failure.message, false);
        event_emit(&run.telemetry.sink, "run_ended",
                   json_pack("{s:f, s:s}", "duration_ms", result->duration_ms,
                             "status", error_name(result->worst.code)));
    }
    end(&run);
    return fine;
}

void run_result_free(struct run_result *result) {
    json_decref(result->summary);
    result->summary = NULL;
}
