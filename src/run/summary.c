#include "run/summary.h"

#include <sys/resource.h>

#include "base/clock.h"
#include "base/json.h"
#include "run/dtype.h"

static double per_second(uint64_t count, double ms) {
    return ms > 0 ? (double)count * 1000 / ms : 0;
}

static json_t *describe_failure(const struct error *failure,
                                const char *model) {
    json_t *object = json_pack("{s:s, s:s}", "code", error_name(failure->code),
                               "message", failure->message);
    if (model)
        json_object_set_new(object, "model", json_string(model));
    return object;
}

/* Planned against measured: private bytes are ours, counted; the resident peak
 * is the kernel's for the whole process so far. */
static json_t *describe_memory(const struct session *session,
                               const struct turn *turn) {
    struct process_memory now = process_memory_now();
    const struct pass_plan *plan = &turn->plan;
    return json_pack("{s:I, s:o, s:I, s:I, s:I, s:I}", "process_base_bytes",
                     (json_int_t)session->base.resident, "planned",
                     plan_describe(plan), "planned_resident_bytes",
                     (json_int_t)(session->base.resident + plan->private_bytes +
                                  plan->mapped_bytes),
                     "private_peak_bytes", (json_int_t)turn->peak_bytes,
                     "resident_peak_bytes", (json_int_t)now.resident_peak,
                     "ceiling_bytes", (json_int_t)session->memory.ceiling);
}

static void add_list(json_t *object, const char *name, json_t *list) {
    if (json_array_size(list))
        json_object_set(object, name, list);
}

/* Whose pass it was, how it ended, and what was done in how long. */
static json_t *describe_work(const struct session *session,
                             const struct turn *turn) {
    const struct pass *pass = &turn->pass;
    const struct pass_report *report = &pass->report;
    return json_pack(
        "{s:s, s:o, s:i, s:s, s:s, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:I, s:I, s:f}",
        "model", pass->member->key, "heads", member_heads_list(pass->member),
        "pass", (int)pass->number, "device",
        turn->ran ? turn->devices : session->facts.name, "status",
        turn->failure.code ? "failed" : "completed", "duration_ms",
        report->duration_ms, "encode_ms", report->encode_ms, "load_ms",
        turn->load_ms, "texts", (json_int_t)report->texts, "reused",
        (json_int_t)report->reused, "computed", (json_int_t)report->computed,
        "failed", (json_int_t)report->failed, "truncated",
        (json_int_t)report->truncated, "elsewhere",
        (json_int_t)report->elsewhere, "tokens", (json_int_t)report->tokens,
        "batches", (json_int_t)report->batches, "tokens_per_second",
        per_second(report->tokens, report->duration_ms));
}

/* Where it ran, with how much memory, and what had to be done for that. */
static void add_devices(json_t *object, const struct session *session,
                        const struct turn *turn) {
    json_object_set_new(object, "leases",
                        turn->leases ? json_incref(turn->leases)
                                     : json_array());
    json_object_set_new(object, "mitigations",
                        turn->mitigations ? json_incref(turn->mitigations)
                                          : json_array());
    if (turn->ran) {
        json_object_set_new(object, "mode", json_string(turn->mode));
        json_object_set_new(object, "budget_tokens",
                            json_integer((json_int_t)turn->tokens));
        json_object_set(object, "devices", turn->use);
        json_object_set_new(object, "memory", describe_memory(session, turn));
    }
    if (turn->budgets)
        json_object_set(object, "budgets", turn->budgets);
}

json_t *summary_pass(const struct session *session, const struct turn *turn) {
    const struct member *member = turn->pass.member;
    const struct pass_report *report = &turn->pass.report;
    json_t *object = describe_work(session, turn);
    if (member_has(member, ROW_SPARSE))
        json_object_set_new(object, "empty_sparse",
                            json_integer((json_int_t)report->empty));
    add_devices(object, session, turn);
    add_list(object, "truncated_chunks", report->truncated_chunks);
    json_object_set_new(object, "reading_ms", json_real(report->reading_ms));
    json_object_set_new(object, "read_ahead",
                        json_integer((json_int_t)report->read_ahead));
    if (!member->bm25)
        json_object_set_new(object, "dtype",
                            json_string(dtype_name(member_type(member))));
    json_t *drift = drift_describe(&turn->drift);
    if (drift)
        json_object_set_new(object, "drift", drift);
    add_list(object, "elsewhere_chunks", report->elsewhere_chunks);
    if (report->other_dtype)
        json_object_set_new(object, "other_dtype",
                            json_integer((json_int_t)report->other_dtype));
    add_list(object, "other_dtype_chunks", report->other_dtype_chunks);
    add_list(object, "failed_chunks", report->failed_chunks);
    if (turn->failure.code)
        json_object_set_new(object, "error",
                            describe_failure(&turn->failure, NULL));
    return object;
}

static json_t *describe_problems(const struct intake *intake) {
    json_t *list = json_array();
    for (size_t i = 0; i < intake->problems_count; i++) {
        const struct chunk_problem *problem = &intake->problems[i];
        json_t *entry =
            json_pack("{s:s, s:s, s:I, s:I, s:s, s:b}", "code", problem->code,
                      "file", problem->file, "line", (json_int_t)problem->line,
                      "column", (json_int_t)problem->column, "message",
                      problem->message, "failed", problem->failed);
        if (entry) /* a file name that is not UTF-8 has no place in JSON */
            json_array_append_new(list, entry);
    }
    return list;
}

static json_t *describe_chunks(const struct summary_collection *entry) {
    const struct intake_counts *counts = &entry->intake->counts;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                     "found", (json_int_t)counts->found, "embedded",
                     (json_int_t)entry->artefacts->points, "unique",
                     (json_int_t)counts->unique, "duplicate",
                     (json_int_t)counts->duplicate, "blank",
                     (json_int_t)counts->blank, "truncated",
                     (json_int_t)entry->truncated, "failed",
                     (json_int_t)(counts->failed + entry->artefacts->left_out),
                     "files", (json_int_t)counts->files, "files_failed",
                     (json_int_t)counts->files_failed, "lines_failed",
                     (json_int_t)counts->lines_failed, "repeated_ids",
                     (json_int_t)counts->repeated_ids);
}

static json_t *describe_performance(double duration_ms, uint64_t points) {
    struct process_memory now = process_memory_now();
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu =
        (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
        (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    return json_pack("{s:f, s:f, s:f, s:I}", "duration_ms", duration_ms,
                     "points_per_second", per_second(points, duration_ms),
                     "process_cpu_seconds", cpu, "resident_peak_bytes",
                     (json_int_t)now.resident_peak);
}

json_t *summary_collection(const struct summary_collection *entry) {
    json_t *object =
        json_pack("{s:s, s:s, s:s?}", "collection", entry->collection->name,
                  "status", entry->status, "reason", entry->reason);
    if (!object) /* a folder's name that is not UTF-8 */
        object = json_pack("{s:s, s:s, s:s?}", "collection",
                           entry->collection->folder, "status", entry->status,
                           "reason", entry->reason);
    if (entry->failure->code)
        json_object_set_new(
            object, "error",
            describe_failure(entry->failure, entry->failed_model));
    json_object_set(object, "passes", entry->passes);
    if (entry->mode)
        json_object_set_new(object, "mode",
                            json_pack("{s:s, s:s}", "name", entry->mode,
                                      "reason", entry->mode_reason));
    if (!entry->intake)
        return object;
    json_object_set_new(object, "qdrant_collection",
                        json_string(entry->collection->canonical));
    json_object_set_new(object, "chunks", describe_chunks(entry));
    json_object_set_new(object, "problems", describe_problems(entry->intake));
    json_object_set_new(
        object, "problems_total",
        json_integer((json_int_t)entry->intake->problems_total));
    if (entry->artefacts->files)
        json_object_set(object, "artefacts", entry->artefacts->files);
    if (json_array_size(entry->artefacts->left_out_chunks))
        json_object_set(object, "left_out", entry->artefacts->left_out_chunks);
    json_t *performance =
        describe_performance(entry->duration_ms, entry->artefacts->points);
    json_object_update(performance, entry->sampled);
    json_object_set_new(object, "performance", performance);
    return object;
}

json_t *summary_environment(const struct session *session) {
    char date[21];
    clock_date(date);
    json_t *object =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:i, s:I, s:I}}", "program",
                  "ensembed " ENS_VERSION, "date", date, "device", "name",
                  session->facts.name, "model", session->facts.model, "isa",
                  session->facts.isa, "threads", (int)session->facts.threads,
                  "memory_bytes", (json_int_t)session->facts.bytes_total,
                  "ceiling_bytes", (json_int_t)session->memory.ceiling);
    if (*session->why_cpu)
        json_object_set_new(object, "cards_unused",
                            json_any_text(session->why_cpu));
    return object;
}

json_t *summary_make(const struct session *session, const struct roster *roster,
                     json_t *collections, double duration_ms,
                     uint64_t events_dropped) {
    json_t *models = json_array();
    for (size_t i = 0; i < roster->count; i++)
        json_array_append_new(models, member_describe(&roster->members[i]));
    json_t *summary =
        json_pack("{s:i, s:o}", "schema_version", SUMMARY_VERSION, "command",
                  json_any_text(session->options->command));
    json_object_update_new(summary, summary_environment(session));
    json_object_set_new(summary, "models", models);
    if (roster->reranker)
        json_object_set_new(summary, "rerank",
                            member_describe(roster->reranker));
    json_object_set(summary, "collections", collections);
    json_object_set_new(summary, "duration_ms", json_real(duration_ms));
    json_object_set_new(summary, "events_dropped",
                        json_integer((json_int_t)events_dropped));
    return summary;
}
