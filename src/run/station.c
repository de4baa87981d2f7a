#include "run/station.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "run/ceilings.h"
#include "run/decision.h"
#include "run/dtype.h"
#include "run/session.h"

enum { PROBE_TOKENS = 1024 };

static bool open_pool(struct station *station, unsigned threads,
                      struct error *err) {
    struct session *session = station->session;
    if (station->spare || threads == 0) {
        station->pool = session->pool;
        return true;
    }
    station->pool = pool_create(&session->memory, threads, err);
    station->own_pool = station->pool != NULL;
    return station->pool != NULL;
}

/* A share of the threads for each card; the CPU itself has all of them, and
 * none of them has more than one owner at a time: the session's pool computes
 * for the CPU and tokenizes in between. */
static unsigned threads_for(const struct session *session,
                            const struct device_name *name) {
    if (device_name_is_cpu(name))
        return 0;
    if (name->arch)
        return 1; /* it only hands the card its work */
    unsigned all = pool_threads(session->pool);
    unsigned share = all / (unsigned)session->list.count;
    return share ? share : 1;
}

/* What we hold already (a card's own needs) is ours to count with. */
bool station_set_ceiling(struct station *station, struct error *err) {
    const struct run_options *options = station->session->options;
    struct device_facts facts;
    if (!device_facts(station->device, &facts, err))
        return false;
    uint64_t ours =
        station->device->shared ? 0 : memory_live(station->device->account);
    station->device->account->ceiling = ceilings_find(
        options->ceilings, options->ceilings_count, station_name(station),
        ceiling_default(station->device->shared, facts.bytes_total,
                        facts.bytes_free + ours,
                        margin_default(facts.bytes_total)));
    return true;
}

/* Before anybody else looks at the station. */
static bool set_limits(struct station *station, struct error *err) {
    const struct run_options *options = station->session->options;
    struct device_facts facts;
    if (!device_facts(station->device, &facts, err))
        return false;
    station->bytes_total = facts.bytes_total;
    station->margin =
        ceilings_find(options->margins, options->margins_count,
                      station_name(station), margin_default(facts.bytes_total));
    return station_set_ceiling(station, err);
}

bool station_open(struct station *station, struct session *session,
                  const struct device_name *name, bool spare,
                  struct error *err) {
    *station = (struct station){
        .session = session, .spare = spare, .lease = {.lock_fd = -1}};
    struct device_options options = {
        .memory = &session->memory,
        .isa = session->options->isa,
        .script = session->script,
        .type = dtype_in(&session->list, name, session->type),
        .kernel_cache = session->options->kernel_cache,
        .library_folders = session->options->library_folders};
    if (!open_pool(station, threads_for(session, name), err))
        return false;
    options.pool = station->pool;
    station->device = device_open(name, &options, err);
    const struct run_options *asked = session->options;
    station->residents_most =
        asked->models_count + asked->sparse_count + asked->multi_count + 1;
    station->residents =
        memory_zalloc(&session->memory, station->residents_most,
                      sizeof(struct resident *), err);
    if (station->device && station->residents && set_limits(station, err))
        return true;
    station_close(station);
    return false;
}

void station_close(struct station *station) {
    if (!station->session)
        return;
    if (station->device)
        station_unload_all(station);
    memory_free(&station->session->memory, station->residents);
    device_close(station->device);
    if (station->own_pool)
        pool_free(station->pool);
    *station = (struct station){.lease = {.lock_fd = -1}};
}

void station_begin(struct station *station) {
    station->tokens = station->texts = station->batches = 0;
    station->busy_ns = 0;
    station->tokens_high = 0;
    memory_restart_peak(station->device->account);
}

/* ---- models ------------------------------------------------------------- */

static void free_resident(struct resident *resident) {
    encoder_free(resident->encoder);
    weights_free(resident->weights);
    memory_free(&resident->station->session->memory, resident);
}

static uint64_t bytes_per_token(const struct resident *resident) {
    const struct member *member = resident->member;
    struct encoder_budget budget =
        encoder_budget_make(&member->spec, weights_stream(resident->weights),
                            resident->station->device, PROBE_TOKENS, 1);
    struct encoder_need need;
    if (!encoder_workspace(&member->spec, &member->charged,
                           resident->station->device, &budget, &need, NULL))
        return 1;
    uint64_t each = need.charge / PROBE_TOKENS;
    return each ? each : 1;
}

struct resident *station_load(struct station *station,
                              const struct member *member,
                              const struct weights_placement *placement,
                              struct error *err) {
    struct memory *memory = &station->session->memory;
    struct reservation promised;
    assert(station->residents_count < station->residents_most);
    int64_t begin = clock_now_ns();
    struct resident *resident = memory_zalloc(memory, 1, sizeof *resident, err);
    if (!resident)
        return NULL;
    *resident = (struct resident){
        .station = station, .member = member, .placement = *placement};
    bool fine = weights_measure(&member->spec, member->files, station->device,
                                placement, &resident->need, err) &&
                memory_reserve(station->device->account,
                               resident->need.charge_bytes, &promised, err);
    if (!fine) {
        memory_free(memory, resident);
        return NULL;
    }
    resident->weights =
        weights_load(memory, &member->spec, member->files, station->device,
                     placement, &promised, err);
    memory_unreserve(&promised);
    if (resident->weights)
        resident->encoder =
            encoder_create(memory, &member->spec, resident->weights,
                           station->device, station->pool, err);
    if (!resident->encoder) {
        free_resident(resident);
        return NULL;
    }
    resident->bytes_per_token = bytes_per_token(resident);
    resident->load_ms = (double)(clock_now_ns() - begin) / 1e6;
    station->residents[station->residents_count++] = resident;
    return resident;
}

void station_unload(struct station *station, struct resident *resident) {
    size_t i = 0;
    while (i < station->residents_count && station->residents[i] != resident)
        i++;
    if (i == station->residents_count)
        return;
    for (; i + 1 < station->residents_count; i++)
        station->residents[i] = station->residents[i + 1];
    station->residents_count--;
    if (station->laid_out == resident)
        station->laid_out = NULL;
    free_resident(resident);
}

void station_unload_all(struct station *station) {
    while (station->residents_count)
        station_unload(station, station->residents[0]);
    station_clear(station);
}

struct resident *station_resident(const struct station *station,
                                  const struct member *member) {
    for (size_t i = 0; i < station->residents_count; i++)
        if (station->residents[i]->member == member)
            return station->residents[i];
    return NULL;
}

struct resident *station_serving(const struct station *station,
                                 const struct member *member) {
    struct resident *resident = station_resident(station, member);
    return resident && !resident->leaving && !station->lost ? resident : NULL;
}

bool station_whole_bytes(const struct station *station,
                         const struct member *member, uint64_t *bytes,
                         struct error *err) {
    struct weights_placement placement = {.resident = member->charged.layers,
                                          .shape = &member->charged};
    struct weights_need need;
    if (!weights_measure(&member->spec, member->files, station->device,
                         &placement, &need, err))
        return false;
    *bytes = need.charge_bytes;
    return true;
}

void station_lose(struct station *station, const char *why) {
    station->lost = true;
    snprintf(station->why_lost, sizeof station->why_lost, "%.150s", why);
    const struct sink *sink = station->session->sink;
    json_t *fields = decision_fields(station, station->why_lost, 0);
    json_object_set_new(fields, "device", json_string(station_name(station)));
    decision_log(sink, "device_lost", fields);
    event_emit(sink, "device_lost", fields);
}

uint64_t station_overhead(const struct station *station) {
    struct device_facts facts;
    return device_facts(station->device, &facts, NULL) ? facts.bytes_overhead
                                                       : 0;
}

uint64_t station_bytes_free(const struct station *station) {
    uint64_t bytes;
    return device_bytes_free(station->device, &bytes, NULL) ? bytes : 0;
}

/* ---- the workspace ------------------------------------------------------ */

void station_clear(struct station *station) {
    device_release(station->device, station->block);
    station->block = NULL;
    station->block_bytes = station->block_charge = 0;
    station->laid_out = NULL;
    for (size_t i = 0; i < station->residents_count; i++)
        station->residents[i]->budget = (struct encoder_budget){0};
}

/* A block that is much too large is given back as well: that is what a smaller
 * budget is for. */
static bool block_fits(const struct station *station,
                       const struct encoder_need *need) {
    return station->block && station->block_bytes >= need->bytes &&
           station->block_charge == need->charge;
}

static bool is_same(const struct encoder_budget *a,
                    const struct encoder_budget *b) {
    return a->batch_tokens == b->batch_tokens &&
           a->group_tokens == b->group_tokens && a->longest == b->longest &&
           a->stream == b->stream;
}

bool station_lay_out(struct station *station, struct resident *resident,
                     size_t tokens, size_t longest, struct error *err) {
    const struct member *member = resident->member;
    struct encoder_budget budget =
        encoder_budget_make(&member->spec, weights_stream(resident->weights),
                            station->device, tokens, longest);
    if (station->laid_out == resident && is_same(&budget, &resident->budget))
        return true;
    struct encoder_need need;
    if (!encoder_workspace(&member->spec, &member->charged, station->device,
                           &budget, &need, err))
        return false;
    if (!block_fits(station, &need)) {
        station_clear(station);
        station->block =
            device_alloc(station->device, need.bytes, need.charge, NULL, err);
        if (!station->block)
            return false;
        station->block_bytes = need.bytes;
        station->block_charge = need.charge;
    }
    encoder_lay_out(resident->encoder, &budget, station->block);
    resident->budget = budget;
    station->laid_out = resident;
    return true;
}
