/* plan_command.c - `ensembed plan`: the plan of a whole run, told. */

#include "run/plan_command_parts.h"

#include <string.h>

#include "base/file.h"
#include "data/chunk_record.h"
#include "run/drift.h"
#include "run/dtype.h"
#include "run/estimate.h"
#include "run/schedule.h"

enum { PLAN_VERSION = 1 };

/* ---- devices and models ------------------------------------------------- */

static json_t *describe_devices(struct planning *p) {
    json_t *list = json_array();
    for (size_t i = 0; i < p->session->stations_count; i++) {
        const struct station *s = &p->session->stations[i];
        uint64_t bytes_free = 0;
        device_bytes_free(s->device, &bytes_free, NULL);
        json_array_append_new(
            list,
            json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:f}",
                      "device", station_name(s), "asked_for", !s->spare,
                      "total_bytes", (json_int_t)s->bytes_total, "free_bytes",
                      (json_int_t)bytes_free, "ceiling_bytes",
                      (json_int_t)s->device->account->ceiling, "margin_bytes",
                      (json_int_t)s->margin, "storage_bytes",
                      (json_int_t)(s->device->charges_shapes
                                       ? s->device->storage_bytes
                                       : s->device->narrow_bytes),
                      "dtype", dtype_name(dtype_of(s->device)),
                      "overhead_bytes", (json_int_t)station_overhead(s),
                      "flops_per_second", p->rates[i]));
    }
    return list;
}

static json_t *describe_models(const struct planning *p) {
    json_t *list = json_array();
    for (size_t i = 0; i < p->roster->count; i++) {
        json_t *entry = member_describe(planning_member(p, i));
        if (p->engines[i])
            json_object_set_new(
                entry, "tokenizer_bytes",
                json_integer((json_int_t)p->engines[i]->tokenizer_bytes));
        json_array_append_new(list, entry);
    }
    return list;
}

/* Tokenizers are small, and exact only when they are there. */
static bool load_tokenizers(struct planning *p, struct error *err) {
    for (size_t i = 0; i < p->roster->count; i++) {
        struct member *member = &p->roster->members[i];
        if (member->error.code || member->bm25)
            continue;
        p->engines[i] =
            engine_load_tokenizer(p->session, member, &member->error);
        if (!p->engines[i] && schedule_ends_with(member->error.code))
            return error_set(err, member->error.code, "%s",
                             member->error.message);
        p->roster->usable -= !p->engines[i];
    }
    return true;
}

/* ---- a collection ------------------------------------------------------- */

static bool describe_disk(struct planning *p, json_t *entry,
                          struct error *err) {
    const struct run_options *options = p->session->options;
    unsigned exports = options->exports ? options->exports : EXPORT_ALL;
    struct disk_estimate disk;
    uint64_t rows = 0;
    for (size_t i = 0; i < p->roster->count; i++)
        for (enum row_kind h = 0; h < ROW_KINDS; h++)
            if (!planning_member(p, i)->error.code &&
                member_has(planning_member(p, i), h))
                rows += p->intake->counts.unique *
                        (estimate_row_bytes(planning_member(p, i), h,
                                            &p->intake->counts) +
                         estimate_key_bytes(h));
    if (!estimate_disk(p->session, p->roster, p->intake, exports, &disk, err))
        return false;
    disk.lookup_bytes += p->intake->counts.points * sizeof(struct chunk_record);
    json_object_set_new(
        entry, "disk",
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "store_bytes",
                  (json_int_t)rows, "lookup_bytes",
                  (json_int_t)disk.lookup_bytes, "arrays_bytes",
                  (json_int_t)disk.arrays_bytes, "points_bytes",
                  (json_int_t)disk.points_bytes, "texts_bytes",
                  (json_int_t)disk.texts_bytes, "metadata_bytes",
                  (json_int_t)disk.metadata_bytes, "total_bytes",
                  (json_int_t)(rows + disk_estimate_bytes(&disk)),
                  "chunks_looked_at", (json_int_t)disk.sampled));
    return true;
}

static bool plan_collection(struct planning *p, json_t *entry,
                            struct error *err) {
    const struct intake_counts *counts = &p->intake->counts;
    json_t *passes = json_array();
    json_object_update_new(
        entry,
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "files",
                  (json_int_t)counts->files, "found", (json_int_t)counts->found,
                  "points", (json_int_t)counts->points, "unique_texts",
                  (json_int_t)counts->unique, "blank",
                  (json_int_t)counts->blank, "text_bytes",
                  (json_int_t)counts->text_bytes, "passes", passes));
    if (!counts->found)
        return true;
    uint64_t common = planning_common_bytes(p);
    if (!memory_charge(&p->session->memory, common, NULL, err))
        return false;
    bool fine = planning_passes(p, passes, err) && describe_disk(p, entry, err);
    memory_discharge(&p->session->memory, common);
    return fine;
}

static bool plan_collections(struct planning *p,
                             const struct chunk_listing *list, json_t *out,
                             struct error *err) {
    const struct run_options *options = p->session->options;
    struct chunk_options chunk = options->chunk;
    bool fine = true;
    chunk.pool = p->session->pool;
    for (size_t i = 0; fine && i < list->count; i++) {
        const struct collection *collection = &list->collections[i];
        json_t *entry = json_pack("{s:s}", "collection", collection->name);
        if (!entry) /* a folder's name that is not UTF-8 */
            entry = json_pack("{s:s}", "collection", collection->folder);
        json_array_append_new(out, entry);
        if (collection->missing) {
            json_object_set_new(entry, "status",
                                json_string("skipped_missing"));
            continue;
        }
        p->intake = intake_scan(&p->session->memory, collection, &chunk,
                                options->scratch, p->session->sink, err);
        fine = p->intake && plan_collection(p, entry, err);
        intake_free(p->intake);
        p->intake = NULL;
    }
    return fine;
}

/* ---- the plan ----------------------------------------------------------- */

static bool open_planning(struct planning *p, struct error *err) {
    struct memory *memory = &p->session->memory;
    size_t members = p->roster->count, stations = p->session->stations_count;
    p->engines = memory_zalloc(memory, members, sizeof *p->engines, err);
    p->longest = memory_zalloc(memory, members, sizeof *p->longest, err);
    p->rates = memory_zalloc(memory, stations, sizeof *p->rates, err);
    if (!p->engines || !p->longest || !p->rates || !load_tokenizers(p, err))
        return false;
    size_t devices =
        stations < SAMPLE_DEVICES_MAX ? stations : SAMPLE_DEVICES_MAX;
    p->recorder = recorder_create(memory, err);
    if (!p->recorder || !samples_open(&p->samples, memory, devices, err))
        return false;
    for (size_t i = 0; i < members; i++) /* it is there from the start */
        if (drift_is_due(p->session, planning_member(p, i)))
            session_reference(p->session, NULL);
    for (size_t i = 0; i < stations; i++)
        p->rates[i] = estimate_rate(p->session->stations[i].device);
    return true;
}

static void close_planning(struct planning *p) {
    struct memory *memory = &p->session->memory;
    for (size_t i = 0; p->engines && i < p->roster->count; i++)
        engine_free(p->engines[i]);
    samples_close(&p->samples);
    recorder_free(p->recorder);
    memory_free(memory, p->engines);
    memory_free(memory, p->longest);
    memory_free(memory, p->rates);
}

static void choose_mode(struct planning *p, size_t collections) {
    p->mode = p->session->options->mode;
    p->reason = "it was asked for";
    if (p->mode == MODE_AUTO)
        p->mode = plan_mode(p->session, p->roster, collections, &p->reason);
}

/* A run does not load it; `search` will. */
static json_t *describe_reranker(const struct planning *p) {
    const struct member *member = p->roster->reranker;
    json_t *entry = member_describe(member);
    uint64_t bytes;
    if (!member->error.code &&
        station_whole_bytes(&p->session->stations[0], member, &bytes, NULL))
        json_object_set_new(entry, "weights_bytes",
                            json_integer((json_int_t)bytes));
    return entry;
}

static json_t *describe_plan(struct planning *p, uint64_t disk,
                             json_t *collections) {
    const struct session *session = p->session;
    json_t *plan = json_pack(
        "{s:i, s:s, s:s, s:i, s:I, s:{s:s, s:s}, s:o, s:o, s:O, s:I}",
        "schema_version", PLAN_VERSION, "isa", session->facts.isa, "program",
        "ensembed " ENS_VERSION, "threads", (int)session->facts.threads,
        "process_base_bytes", (json_int_t)session->base.resident, "mode",
        "name", run_mode_name(p->mode), "reason", p->reason, "devices",
        describe_devices(p), "models", describe_models(p), "collections",
        collections, "disk_free_bytes", (json_int_t)disk);
    if (p->roster->reranker)
        json_object_set_new(plan, "rerank", describe_reranker(p));
    return plan;
}

static bool plan_all(struct planning *p, json_t **out, struct error *err) {
    const struct run_options *options = p->session->options;
    json_t *collections = json_array();
    uint64_t disk = 0;
    struct chunk_listing *list =
        chunks_list(&p->session->memory, options->chunks, &options->chunk, err);
    bool fine = list && open_planning(p, err);
    if (fine) {
        choose_mode(p, list->count);
        fine = plan_collections(p, list, collections, err) &&
               disk_free(options->out ? options->out : options->scratch, &disk,
                         err);
    }
    if (fine)
        *out = describe_plan(p, disk, collections);
    json_decref(collections);
    close_planning(p);
    chunks_free(list);
    return fine;
}

bool plan_run(const struct run_options *options, const struct sink *sink,
              json_t **out, struct error *err) {
    struct session session;
    struct roster roster = {0};
    struct planning p = {.session = &session, .roster = &roster};
    *out = NULL;
    if (!strcmp(options->chunks, "-"))
        return error_set(err, ERROR_USAGE,
                         "a plan would use standard input up: name a file or a "
                         "folder of chunks");
    if (!session_open(&session, options, sink, err))
        return false;
    bool fine = roster_open(&roster, &session, "document", false, err) &&
                plan_all(&p, out, err);
    roster_free(&roster);
    session_close(&session);
    return fine;
}
