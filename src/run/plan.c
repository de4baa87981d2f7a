#include "run/plan.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/artefacts.h"
#include "run/pass.h"

enum { TOKENIZER_FACTOR = 10 }; /* tables over tokenizer.json, at most */

bool plan_member(const struct session *session, const struct member *member,
                 struct member_plan *plan, struct error *err) {
    size_t tokens = member->request->budget;
    *plan = (struct member_plan){
        .budget = encoder_budget_make(&member->spec, false, session->device,
                                      tokens ? tokens : ENCODER_BATCH_TOKENS,
                                      member->spec.max_length)};
    struct encoder_need workspace;
    struct weights_need need;
    uint64_t tokenizer;
    if (!weights_measure(&member->spec, member->files, session->device, NULL,
                         &need, err) ||
        !encoder_workspace(&member->spec, NULL, session->device, &plan->budget,
                           &workspace, err) ||
        !file_size(member->files->tokenizer_path, &tokenizer, err))
        return false;
    plan->weights_bytes = need.block_bytes;
    plan->workspace_bytes = workspace.bytes;
    plan->mapped_bytes = need.mapped_bytes;
    plan->tokenizer_bytes = tokenizer * TOKENIZER_FACTOR;
    plan->staging_bytes = pass_staging_bytes(&member->spec, &plan->budget);
    plan->private_bytes = plan->weights_bytes + plan->workspace_bytes +
                          plan->tokenizer_bytes + plan->staging_bytes;
    return true;
}

bool plan_check(const struct session *session, const struct member *member,
                const struct member_plan *plan, struct error *err) {
    uint64_t live = memory_live(&session->memory);
    uint64_t ceiling = session->memory.ceiling;
    if (live + plan->private_bytes <= ceiling)
        return true;
    return error_set(
        err, ERROR_MEMORY,
        "%s does not fit: its pass needs %" PRIu64 " bytes (weights %" PRIu64
        ", workspace %" PRIu64 ", tokenizer %" PRIu64 ", staging %" PRIu64
        ") and the ceiling of cpu leaves %" PRIu64 "; --ceiling cpu=%" PRIu64
        " would do",
        member->key, plan->private_bytes, plan->weights_bytes,
        plan->workspace_bytes, plan->tokenizer_bytes, plan->staging_bytes,
        ceiling > live ? ceiling - live : 0, live + plan->private_bytes);
}

json_t *plan_describe(const struct member_plan *plan) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "batch_tokens",
                     (json_int_t)plan->budget.batch_tokens, "group_tokens",
                     (json_int_t)plan->budget.group_tokens, "weights_bytes",
                     (json_int_t)plan->weights_bytes, "mapped_bytes",
                     (json_int_t)plan->mapped_bytes, "workspace_bytes",
                     (json_int_t)plan->workspace_bytes, "tokenizer_bytes",
                     (json_int_t)plan->tokenizer_bytes, "staging_bytes",
                     (json_int_t)plan->staging_bytes, "private_bytes",
                     (json_int_t)plan->private_bytes);
}

/* ---- `ensembed plan` ---------------------------------------------------- */

static bool plan_models(const struct session *session,
                        const struct roster *roster, json_t *list,
                        struct error *err) {
    for (size_t i = 0; i < roster->count; i++) {
        const struct member *member = &roster->members[i];
        json_t *entry = member_describe(member);
        json_array_append_new(list, entry);
        if (member->error.code)
            continue;
        struct member_plan plan;
        struct error refusal = {0};
        if (!plan_member(session, member, &plan, err))
            return false;
        json_object_set_new(entry, "plan", plan_describe(&plan));
        bool fits = plan_check(session, member, &plan, &refusal);
        json_object_set_new(entry, "fits", json_boolean(fits));
        if (!fits)
            json_object_set_new(entry, "reason", json_string(refusal.message));
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
