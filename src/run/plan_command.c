/* plan_command.c - `ensembed plan`: the plan of a whole run, told. */

#include <string.h>

#include "base/file.h"
#include "data/chunk_record.h"
#include "run/crew.h"
#include "run/dtype.h"
#include "run/estimate.h"
#include "run/pass.h"
#include "run/pass_bm25.h"
#include "run/plan.h"
#include "run/recorder.h"
#include "run/samples.h"
#include "run/schedule.h"

enum { PLAN_VERSION = 1 };

struct planning {
    struct session *session;
    struct roster *roster;
    struct engine **engines; /* [roster->count]; NULL: cannot be used */
    size_t *longest;         /* [roster->count], of the collection */
    double *rates;           /* [stations], of the devices */
    struct intake *intake;   /* of the collection */
    enum run_mode mode;
    const char *reason;
    struct recorder *recorder; /* as a run has them: their memory counts */
    struct samples samples;
};

static const struct member *member_at(const struct planning *p, size_t i) {
    return &p->roster->members[i];
}

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
        json_t *entry = member_describe(member_at(p, i));
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

/* ---- a pass ------------------------------------------------------------- */

static json_t *describe_homes(const struct planning *p,
                              const struct plan_team *team,
                              const struct member *member) {
    json_t *list = json_array();
    for (size_t i = 0; i < team->homes_count; i++) {
        const struct plan_home *home = &team->homes[i];
        if (home->member != member)
            continue;
        const struct station *s = &p->session->stations[home->station];
        bool all = home->placement.resident >= member->charged.layers;
        json_t *entry = plan_describe_home(home);
        json_object_set_new(entry, "device", json_string(station_name(s)));
        json_object_set_new(entry, "host_bytes",
                            json_integer((json_int_t)home->host_bytes));
        json_object_set_new(
            entry, "why",
            json_string(s->spare ? "no device that was asked for has room"
                        : all    ? "it fits there whole"
                                 : "not all layers fit: the others stream"));
        json_array_append_new(list, entry);
    }
    return list;
}

static bool estimate_pass(struct planning *p, size_t i,
                          const struct plan_team *team, json_t *entry,
                          struct error *err) {
    uint64_t tokens, texts = p->intake->counts.unique;
    double rate = 0;
    if (!estimate_tokens(p->engines[i], p->intake, &tokens, err))
        return false;
    for (size_t k = 0; k < team->homes_count; k++)
        if (team->homes[k].member == member_at(p, i))
            rate += p->rates[team->homes[k].station];
    double length = texts ? (double)tokens / (double)texts : 0;
    double flops = estimate_flops(member_at(p, i), length) * (double)tokens;
    json_object_set_new(
        entry, "estimate",
        json_pack("{s:I, s:f, s:o, s:s}", "tokens", (json_int_t)tokens,
                  "flops_per_token", estimate_flops(member_at(p, i), length),
                  "seconds", rate > 0 ? json_real(flops / rate) : json_null(),
                  "how",
                  "tokens of the first 1000 texts, times the arithmetic of a "
                  "token, over the rate of a matrix product measured for 20 "
                  "ms on each device"));
    return true;
}

/* STAGING counts as taken from here on, as it would be when models are placed;
 * end_plan ends that. */
static bool begin_plan(const struct planning *p, uint64_t staging,
                       struct pass_plan *plan, struct error *err) {
    struct memory *memory = &p->session->memory;
    *plan = (struct pass_plan){.base_bytes = memory_live(memory),
                               .staging_bytes = staging,
                               .scratch_bytes =
                                   pass_scratch_bytes(p->session, p->intake)};
    return memory_charge(memory, staging, NULL, err);
}

/* As if no row was there yet. LIVE: when the pass is over. */
static uint64_t drift_of(const struct planning *p, size_t i, uint64_t live) {
    return drift_bytes(p->session, member_at(p, i), p->intake->counts.unique,
                       p->longest[i], live);
}

static void end_plan(const struct planning *p, const struct pass_plan *plan) {
    memory_discharge(&p->session->memory, plan->staging_bytes);
}

static bool describe_pass(struct planning *p, size_t i,
                          const struct plan_team *team,
                          const struct pass_plan *plan, json_t *list,
                          struct error *err) {
    const struct session *session = p->session;
    json_t *budgets = NULL;
    json_t *entry = json_pack(
        "{s:s, s:b, s:o, s:o, s:o, s:I, s:I}", "model", member_at(p, i)->key,
        "fits", true, "heads", member_heads_list(member_at(p, i)), "homes",
        describe_homes(p, team, member_at(p, i)), "memory", plan_describe(plan),
        "process_base_bytes", (json_int_t)session->base.resident,
        "planned_resident_bytes",
        (json_int_t)(session->base.resident + plan->private_bytes +
                     plan->mapped_bytes));
    json_array_append_new(list, entry);
    if (!plan_budgets(p->session, p->roster, p->longest, member_at(p, i),
                      &budgets, err))
        return false;
    json_object_set_new(entry, "budgets", budgets);
    return estimate_pass(p, i, team, entry, err);
}

static json_t *refused(const struct member *member, const struct error *why) {
    return json_pack("{s:s, s:b, s:s}", "model", member->key, "fits", false,
                     "reason", why->message);
}

static bool plan_alone(struct planning *p, size_t i, json_t *list,
                       struct error *err) {
    const struct member *member = member_at(p, i);
    struct plan_team team = {0};
    struct error refusal = {0};
    struct pass_plan plan;
    bool begun =
        begin_plan(p, pass_staging_bytes(p->intake, member, p->engines[i]),
                   &plan, &refusal);
    bool fits = begun && plan_exclusive(p->session, member, p->longest[i],
                                        &team, &refusal);
    plan.drift_bytes = begun ? drift_of(p, i, plan.base_bytes) : 0;
    pass_blame_longest(p->session, p->intake, &refusal);
    bool fine = fits || refusal.code == ERROR_MEMORY ||
                error_set(err, refusal.code, "%s", refusal.message);
    if (!fits)
        json_array_append_new(list, refused(member, &refusal));
    else
        fine = plan_pass(p->session, MODE_EXCLUSIVE, &team, &plan, err) &&
               describe_pass(p, i, &team, &plan, list, err);
    if (begun)
        end_plan(p, &plan);
    plan_team_free(p->session, &team);
    return fine;
}

static bool has_home(const struct plan_team *team,
                     const struct member *member) {
    for (size_t i = 0; i < team->homes_count; i++)
        if (team->homes[i].member == member && team->homes[i].tokens)
            return true;
    return false;
}

/* Formulas come first, as in a run; what they take they give back. */
static void plan_formulas(const struct planning *p, json_t *list) {
    for (size_t i = 0; i < p->roster->count; i++) {
        const struct member *member = member_at(p, i);
        struct pass_plan plan = {.base_bytes = memory_live(&p->session->memory),
                                 .staging_bytes = pass_bm25_bytes(p->intake)};
        if (!member->bm25)
            continue;
        plan.private_bytes = plan.base_bytes + plan.staging_bytes;
        json_array_append_new(
            list,
            json_pack(
                "{s:s, s:b, s:o, s:[], s:o, s:I, s:I}", "model", member->key,
                "fits", true, "heads", member_heads_list(member), "homes",
                "memory", plan_describe(&plan), "process_base_bytes",
                (json_int_t)p->session->base.resident, "planned_resident_bytes",
                (json_int_t)(p->session->base.resident + plan.private_bytes)));
    }
}

static bool plan_together(struct planning *p, json_t *list, struct error *err) {
    struct plan_team team = {0};
    struct pass_plan plan;
    uint64_t staging = 0;
    for (size_t i = 0; i < p->roster->count; i++)
        if (p->engines[i])
            staging +=
                pass_staging_bytes(p->intake, member_at(p, i), p->engines[i]);
    if (!begin_plan(p, staging, &plan, err)) {
        pass_blame_longest(p->session, p->intake, err);
        return false;
    }
    for (size_t i = 0; i < p->roster->count; i++) {
        uint64_t bytes = p->engines[i] ? drift_of(p, i, plan.base_bytes) : 0;
        if (bytes > plan.drift_bytes)
            plan.drift_bytes = bytes;
    }
    bool fine =
        (p->mode == MODE_SEQUENTIAL
             ? plan_sequential(p->session, p->roster, p->longest, &team, err)
             : plan_simultaneous(p->session, p->roster, p->longest, &team,
                                 err)) &&
        plan_pass(p->session, p->mode, &team, &plan, err);
    for (size_t i = 0; fine && i < p->roster->count; i++) {
        struct error refusal = {0};
        if (!p->engines[i])
            continue;
        if (has_home(&team, member_at(p, i))) {
            fine = describe_pass(p, i, &team, &plan, list, err);
            continue;
        }
        plan_refuse(p->session, member_at(p, i), p->longest[i], &refusal);
        json_array_append_new(list, refused(member_at(p, i), &refusal));
    }
    end_plan(p, &plan);
    plan_team_free(p->session, &team);
    return fine;
}

static bool plan_passes(struct planning *p, json_t *list, struct error *err) {
    for (size_t i = 0; i < p->roster->count; i++)
        p->longest[i] = p->engines[i] ? pass_longest(p->intake, member_at(p, i),
                                                     p->engines[i])
                                      : 0;
    plan_formulas(p, list);
    if (!roster_models(p->roster))
        return true;
    if (p->mode != MODE_EXCLUSIVE)
        return plan_together(p, list, err);
    for (size_t i = 0; i < p->roster->count; i++)
        if (p->engines[i] && !plan_alone(p, i, list, err))
            return false;
    return true;
}

/* Of texts that will be compared with f32. */
static uint64_t samples_bytes(const struct planning *p) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < p->roster->count; i++)
        if (p->engines[i] && drift_is_due(p->session, member_at(p, i)))
            bytes += drift_sample_bytes(
                drift_texts(p->intake->counts.unique),
                pass_longest(p->intake, member_at(p, i), p->engines[i]));
    return bytes;
}

/* Bytes that a run holds in every pass of the collection: the crew's buffers,
 * open stores and their indexes. */
static uint64_t common_bytes(const struct planning *p) {
    struct crew_size size =
        crew_size_for(p->session, p->roster, p->engines, p->intake);
    uint64_t stores = 0;
    for (size_t i = 0; i < p->roster->count; i++)
        for (enum row_kind h = 0; h < ROW_KINDS; h++)
            stores +=
                !member_at(p, i)->error.code && member_has(member_at(p, i), h);
    uint64_t crew =
        roster_models(p->roster) ? crew_bytes(p->session, &size) : 0;
    return crew + samples_bytes(p) +
           stores * (store_bytes_open() +
                     store_bytes_index(p->intake->counts.unique));
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
            if (!member_at(p, i)->error.code && member_has(member_at(p, i), h))
                rows += p->intake->counts.unique *
                        (estimate_row_bytes(member_at(p, i), h,
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
    uint64_t common = common_bytes(p);
    if (!memory_charge(&p->session->memory, common, NULL, err))
        return false;
    bool fine = plan_passes(p, passes, err) && describe_disk(p, entry, err);
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
        if (drift_is_due(p->session, member_at(p, i)))
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
