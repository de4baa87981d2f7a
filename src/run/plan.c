/* plan.c - one model on one station: what it takes, and the largest batch. */

#include "run/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "run/crew_rows.h"
#include "run/window.h"

enum { TOKENS_STEP = 256 };
static const uint64_t BIG_CARD_BYTES = UINT64_C(32) << 30;

uint64_t plan_room(const struct station *station) {
    const struct memory *account = station->device->account;
    uint64_t free_bytes, room = account->ceiling;
    if (!device_bytes_free(station->device, &free_bytes, NULL))
        return 0;
    uint64_t left =
        free_bytes > station->margin ? free_bytes - station->margin : 0;
    uint64_t measured = memory_live(account) + left;
    return measured < room ? measured : room;
}

uint64_t plan_host_room(const struct session *session) {
    for (size_t i = 0; i < session->stations_count; i++)
        if (session->stations[i].device->shared)
            return plan_room(&session->stations[i]);
    return 0;
}

/* Host memory for a block of a device. A simulated card's blocks lie here, each
 * behind a head of its own. */
static uint64_t held_bytes(const struct device *device, uint64_t bytes) {
    enum { SIM_HEAD_BYTES = 64 };
    if (device->charges_shapes)
        bytes += SIM_HEAD_BYTES;
    else if (!device->shared)
        return 0;
    return memory_block_bytes(bytes);
}

uint64_t plan_resident_held(const struct resident *resident) {
    return held_bytes(resident->station->device, resident->need.block_bytes) +
           resident->need.host_bytes;
}

static bool workspace(struct session *session, const struct member *member,
                      size_t station, bool stream, size_t tokens,
                      size_t longest, struct encoder_need *need) {
    const struct device *device = session->stations[station].device;
    struct encoder_budget budget =
        encoder_budget_make(&member->spec, stream, device, tokens, longest);
    return encoder_workspace(&member->spec, &member->charged, device, &budget,
                             need, NULL);
}

static bool fits(struct session *session, const struct member *member,
                 size_t station, bool stream, size_t tokens, size_t longest,
                 uint64_t bytes) {
    struct encoder_need need;
    return workspace(session, member, station, stream, tokens, longest,
                     &need) &&
           need.charge <= bytes;
}

/* The largest batch of a model that is on a station with BYTES left for the
 * workspace: a multiple of the step, or the longest text by itself; 0: not even
 * that fits. */
static size_t batch_that_fits(struct session *session,
                              const struct member *member, size_t station,
                              bool stream, size_t longest, size_t tokens_most,
                              uint64_t bytes) {
    size_t high = tokens_most > longest ? tokens_most : longest, low = longest;
    if (!fits(session, member, station, stream, low, longest, bytes))
        return 0;
    if (fits(session, member, station, stream, high, longest, bytes))
        return high;
    while (high - low > TOKENS_STEP) {
        size_t middle = low + (high - low) / 2;
        if (fits(session, member, station, stream, middle, longest, bytes))
            low = middle;
        else
            high = middle;
    }
    size_t whole = low / TOKENS_STEP * TOKENS_STEP;
    return whole > longest ? whole : low;
}

size_t plan_batch_tokens(const struct station *station) {
    return station->device->shared ? encoder_batch_tokens(station->device)
           : station->bytes_total < BIG_CARD_BYTES ? PLAN_CARD_TOKENS
                                                   : PLAN_BIG_CARD_TOKENS;
}

static size_t tokens_default(const struct member *member,
                             const struct station *station, size_t tokens) {
    if (!tokens)
        tokens = member->request->budget;
    if (!tokens)
        tokens = plan_batch_tokens(station);
    return rows_tokens_most(member, tokens);
}

static uint64_t most(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* What comes and goes on the host while a pass works: blocks of texts that are
 * tokenized, and our own descriptions of models. */
static uint64_t scratch_bytes(const struct session *session) {
    enum { DESCRIPTIONS = 16384 };
    return tokenizer_batch_bytes(session->pool, BLOCK_TEXTS) + DESCRIPTIONS;
}

/* For devices that need memory here besides their own. */
static uint64_t host_room(const struct session *session) {
    const struct memory *memory = &session->memory;
    uint64_t live = memory_live(memory);
    if (!memory->ceiling)
        return UINT64_MAX;
    return memory->ceiling > live ? memory->ceiling - live : 0;
}

/* Of HOME's batches only as much as the host can hold of them, too. */
static size_t tokens_for_host(struct session *session,
                              const struct plan_home *home, bool stream) {
    const struct station *station = &session->stations[home->station];
    uint64_t room = host_room(session),
             weights =
                 home->weights_held + home->host_bytes + scratch_bytes(session);
    size_t tokens = home->tokens;
    struct encoder_need need;
    room = room > weights ? room - weights : 0;
    while (tokens && workspace(session, home->member, home->station, stream,
                               tokens, home->longest, &need)) {
        if (held_bytes(station->device, need.bytes) <= room)
            return tokens;
        if (tokens <= home->longest)
            break;
        tokens = most(tokens / 2, home->longest);
    }
    return 0;
}

/* With RESIDENT layers there; home->tokens is 0 if that does not fit. */
static bool try_placement(struct session *session, const struct member *member,
                          size_t resident, size_t tokens, uint64_t room,
                          struct plan_home *home, struct error *err) {
    const struct station *station = &session->stations[home->station];
    struct weights_need need;
    home->placement = (struct weights_placement){.resident = resident,
                                                 .shape = &member->charged};
    home->tokens = 0;
    if (!weights_measure(&member->spec, member->files, station->device,
                         &home->placement, &need, err))
        return false;
    home->weights_bytes = need.charge_bytes;
    home->weights_held = held_bytes(station->device, need.block_bytes);
    home->host_bytes = need.host_bytes;
    home->loading_bytes = need.loading_bytes;
    if (station->device->shared)
        home->weights_bytes += need.host_bytes;
    home->mapped_bytes = need.mapped_bytes;
    uint64_t scratch = scratch_bytes(session);
    uint64_t loading = most(need.loading_bytes, scratch);
    if (station->device->shared)
        room = room > scratch ? room - scratch : 0;
    else if (home->weights_held + home->host_bytes + loading >
             host_room(session))
        return true;
    if (home->weights_bytes >= room ||
        (station->device->shared &&
         home->weights_bytes + loading > room + scratch))
        return true;
    bool stream = resident < member->charged.layers;
    home->tokens =
        batch_that_fits(session, member, home->station, stream, home->longest,
                        tokens, room - home->weights_bytes);
    if (!station->device->shared)
        home->tokens = tokens_for_host(session, home, stream);
    struct encoder_need space;
    if (home->tokens && workspace(session, member, home->station, stream,
                                  home->tokens, home->longest, &space)) {
        home->workspace_bytes = space.charge;
        home->workspace_held = held_bytes(station->device, space.bytes);
    }
    return true;
}

/* A card that cannot compute such a model is as one without room. */
bool plan_prepare(struct session *session, const struct member *member,
                  struct error *err) {
    for (size_t i = 0; i < session->stations_count; i++) {
        struct station *station = &session->stations[i];
        struct error cause = {0};
        if (station->lost || station->device->shared ||
            encoder_prepare(&member->spec, station->device, &cause) ||
            cause.code == ERROR_UNSUPPORTED || cause.code == ERROR_MEMORY)
            continue;
        if (cause.code != ERROR_DEVICE)
            return error_set(err, cause.code, "%s", cause.message);
        station_lose(station, cause.message);
    }
    return true;
}

static bool can_compute(const struct station *station,
                        const struct member *member) {
    return station->device->shared ||
           encoder_prepare(&member->spec, station->device, NULL);
}

bool plan_on_station(struct session *session, const struct member *member,
                     size_t station, size_t tokens, size_t longest,
                     uint64_t kept, struct plan_home *home, struct error *err) {
    const struct device *device = session->stations[station].device;
    uint64_t room = plan_room(&session->stations[station]);
    room = room > kept ? room - kept : 0;
    tokens = tokens_default(member, &session->stations[station], tokens);
    size_t all = member->charged.layers;
    *home = (struct plan_home){
        .station = station, .member = member, .longest = longest};
    if (!can_compute(&session->stations[station], member))
        return true;
    if (!try_placement(session, member, all, tokens, room, home, err))
        return false;
    if (home->tokens || device->shared)
        return true;
    /* The more layers stay the better, as long as a batch still fits. */
    size_t low = 0, high = all;
    if (!try_placement(session, member, 0, tokens, room, home, err))
        return false;
    if (!home->tokens)
        return true;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (!try_placement(session, member, middle, tokens, room, home, err))
            return false;
        if (home->tokens)
            low = middle;
        else
            high = middle;
    }
    return try_placement(session, member, low, tokens, room, home, err);
}

bool plan_home(struct session *session, const struct member *member,
               size_t tokens, size_t longest, struct plan_home *home,
               struct error *err) {
    if (!plan_prepare(session, member, err))
        return false;
    for (size_t i = 0; i < session->stations_count; i++) {
        const struct station *station = &session->stations[i];
        if (station->lost)
            continue;
        if (!plan_on_station(session, member, i, tokens, longest,
                             memory_live(station->device->account), home, err))
            return false;
        if (home->tokens)
            return true;
    }
    return plan_refuse(session, member, longest, err);
}

/* The smallest room on the station that would do: everything but one text's
 * workspace streams, or on the CPU all of it stays. */
static uint64_t smallest(struct session *session, const struct member *member,
                         size_t station, size_t longest) {
    const struct device *device = session->stations[station].device;
    struct weights_placement placement = {
        .resident = device->shared ? member->charged.layers : 0,
        .shape = &member->charged};
    struct weights_need need;
    struct encoder_need space;
    if (!weights_measure(&member->spec, member->files, device, &placement,
                         &need, NULL) ||
        !workspace(session, member, station, !device->shared, longest, longest,
                   &space))
        return UINT64_MAX;
    if (!device->shared)
        return need.charge_bytes + space.charge;
    uint64_t scratch = scratch_bytes(session);
    uint64_t pass = need.charge_bytes + need.host_bytes +
                    most(need.loading_bytes, space.charge + 2 * scratch);
    /* Afterwards the outputs are written, all files side by side. */
    enum { LINE_FILES = 6, TERM_FILES = 3 };
    const struct run_options *options = session->options;
    uint64_t arrays = options->models_count + 1;
    uint64_t files = 3 * options->sparse_count + 2 * options->multi_count +
                     LINE_FILES +
                     (options->exports & EXPORT_TERMS ? TERM_FILES : 0);
    return most(pass, files * file_writer_bytes() +
                          arrays * file_writer_large_bytes(UINT64_MAX));
}

/* What makes room on STATION: a higher ceiling or, where the free memory is
 * what lacks, more of that or a smaller margin. */
static void say_remedy(char text[256], const struct station *station,
                       uint64_t would_do) {
    const char *name = station_name(station);
    uint64_t free_bytes = 0;
    if (station->device->account->ceiling < would_do) {
        snprintf(text, 256,
                 "--ceiling %s=%" PRIu64 " with that much free would do", name,
                 would_do);
        return;
    }
    device_bytes_free(station->device, &free_bytes, NULL);
    snprintf(text, 256,
             "of the %" PRIu64 " bytes that are free on %s a margin of "
             "%" PRIu64 " stays so: free some, or lower --margin %s",
             free_bytes, name, station->margin, name);
}

bool plan_refuse(struct session *session, const struct member *member,
                 size_t longest, struct error *err) {
    char text[640] = "", remedy[256];
    uint64_t lacking_least = UINT64_MAX, would_do = 0;
    const struct station *where = &session->stations[0];
    for (size_t i = 0; i < session->stations_count; i++) {
        const struct station *station = &session->stations[i];
        uint64_t need = smallest(session, member, i, longest);
        uint64_t live = memory_live(station->device->account);
        uint64_t room = plan_room(station);
        uint64_t left = room > live ? room - live : 0;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used,
                 "%s%s needs %" PRIu64 " bytes at least and has %" PRIu64,
                 i ? ", " : "", station_name(station), need, left);
        uint64_t lacking = need > left ? need - left : 0;
        /* A card that has room lacks it on the host: the CPU's entry. */
        if (lacking && lacking < lacking_least) {
            lacking_least = lacking;
            would_do = live + need;
            where = station;
        }
    }
    say_remedy(remedy, where, would_do);
    return error_set(err, ERROR_MEMORY, "%s does not fit anywhere: %s; %s",
                     member->key, text, remedy);
}

/* ---- describing --------------------------------------------------------- */

json_t *plan_describe(const struct pass_plan *plan) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "base_bytes",
                     (json_int_t)plan->base_bytes, "weights_bytes",
                     (json_int_t)plan->weights_bytes, "workspace_bytes",
                     (json_int_t)plan->workspace_bytes, "staging_bytes",
                     (json_int_t)plan->staging_bytes, "scratch_bytes",
                     (json_int_t)plan->scratch_bytes, "drift_bytes",
                     (json_int_t)plan->drift_bytes, "private_bytes",
                     (json_int_t)plan->private_bytes, "mapped_bytes",
                     (json_int_t)plan->mapped_bytes);
}

json_t *plan_describe_home(const struct plan_home *home) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "weights_bytes",
                     (json_int_t)home->weights_bytes, "workspace_bytes",
                     (json_int_t)home->workspace_bytes, "budget_tokens",
                     (json_int_t)home->tokens, "layers_resident",
                     (json_int_t)home->placement.resident, "layers",
                     (json_int_t)home->member->charged.layers, "peak_bytes",
                     (json_int_t)home->peak_bytes);
}
