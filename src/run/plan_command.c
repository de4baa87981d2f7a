/* plan_command.c - `ensembed plan`: the plan of a whole run, told. */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/artefacts.h"
#include "run/pass.h"
#include "run/plan.h"

static json_t *describe_team(const struct session *session,
                             const struct plan_team *team) {
    json_t *list = json_array();
    for (size_t i = 0; i < team->homes_count; i++) {
        const struct plan_home *home = &team->homes[i];
        json_t *entry = plan_describe_home(home);
        json_object_set_new(
            entry, "device",
            json_string(station_name(&session->stations[home->station])));
        json_array_append_new(list, entry);
    }
    return list;
}

static bool plan_models(struct session *session, const struct roster *roster,
                        json_t *list, struct error *err) {
    for (size_t i = 0; i < roster->count; i++) {
        const struct member *member = &roster->members[i];
        json_t *entry = member_describe(member);
        json_array_append_new(list, entry);
        if (member->error.code)
            continue;
        struct plan_team team = {0};
        struct pass_plan plan = {0};
        struct error refusal = {0};
        bool fits = plan_exclusive(session, member, member->spec.max_length,
                                   &team, &refusal);
        if (!fits && refusal.code != ERROR_MEMORY)
            return error_set(err, refusal.code, "%s", refusal.message);
        fits = plan_pass(session, MODE_EXCLUSIVE, &team, &plan, err) && fits;
        json_object_set_new(entry, "plan", plan_describe(&plan));
        json_object_set_new(entry, "homes", describe_team(session, &team));
        json_object_set_new(entry, "fits", json_boolean(fits));
        if (!fits)
            json_object_set_new(entry, "reason", json_string(refusal.message));
        plan_team_free(session, &team);
    }
    return true;
}

static json_t *plan_collection(const struct roster *roster,
                               const struct intake *intake, unsigned exports) {
    const struct intake_counts *counts = &intake->counts;
    uint64_t rows = 0;
    for (size_t i = 0; i < roster->count; i++)
        if (!roster->members[i].error.code)
            rows +=
                counts->unique * roster->members[i].spec.width * sizeof(float);
    uint64_t artefacts =
        artefacts_bytes(roster, counts->points, counts->text_bytes, exports);
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "collection",
        intake->collection->name, "files", (json_int_t)counts->files, "found",
        (json_int_t)counts->found, "points", (json_int_t)counts->points,
        "unique_texts", (json_int_t)counts->unique, "blank",
        (json_int_t)counts->blank, "text_bytes", (json_int_t)counts->text_bytes,
        "store_bytes", (json_int_t)rows, "artefact_bytes",
        (json_int_t)artefacts);
}

static bool plan_collections(struct session *session,
                             const struct roster *roster,
                             const struct chunk_listing *list, json_t *out,
                             struct error *err) {
    const struct run_options *options = session->options;
    for (size_t i = 0; i < list->count; i++) {
        if (list->collections[i].missing) {
            json_array_append_new(out, json_pack("{s:s, s:s}", "collection",
                                                 list->collections[i].name,
                                                 "status", "skipped_missing"));
            continue;
        }
        struct intake *intake =
            intake_scan(&session->memory, &list->collections[i],
                        &options->chunk, options->scratch, session->sink, err);
        if (!intake)
            return false;
        json_array_append_new(
            out,
            plan_collection(roster, intake,
                            options->exports ? options->exports : EXPORT_ALL));
        intake_free(intake);
    }
    return true;
}

bool plan_run(const struct run_options *options, const struct sink *sink,
              json_t **out, struct error *err) {
    struct session session;
    struct roster roster = {0};
    struct chunk_listing *list = NULL;
    if (!strcmp(options->chunks, "-"))
        return error_set(err, ERROR_USAGE,
                         "a plan would use standard input up: name a file or a "
                         "folder of chunks");
    if (!session_open(&session, options, sink, err))
        return false;
    json_t *models = json_array(), *collections = json_array();
    uint64_t disk = 0;
    bool fine =
        roster_open(&roster, &session, "document", false, err) &&
        plan_models(&session, &roster, models, err) &&
        (list = chunks_list(&session.memory, options->chunks, &options->chunk,
                            err)) &&
        plan_collections(&session, &roster, list, collections, err) &&
        disk_free(options->out ? options->out : options->scratch, &disk, err);
    *out = json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:o, s:o}", "device",
                     session.facts.name, "isa", session.facts.isa, "threads",
                     (int)session.facts.threads, "ceiling_bytes",
                     (json_int_t)session.memory.ceiling, "process_base_bytes",
                     (json_int_t)session.base.resident, "disk_free_bytes",
                     (json_int_t)disk, "models", models, "collections",
                     collections);
    if (!fine) {
        json_decref(*out);
        *out = NULL;
    }
    chunks_free(list);
    roster_free(&roster);
    session_close(&session);
    return fine;
}
