#include "run/ladder.h"

#include "run/decision.h"
#include "run/plan.h"
#include "run/stations.h"

/* ---- telling ------------------------------------------------------------ */

static void decided(struct ladder *ladder, const struct job *job,
                    const struct station *station, const char *type,
                    const char *reason, json_t *fields) {
    json_t *all = decision_fields(station, reason, station_bytes_free(station));
    json_object_update_new(all, fields);
    ladder->shift->verbs->decided(ladder->shift->context, job, station, type,
                                  all);
}

static void went_to(struct ladder *ladder, const struct job *job,
                    const struct station *station, const struct station *to,
                    const char *type, const char *reason) {
    decided(ladder, job, station, type, reason,
            json_pack("{s:s}", "to_device", station_name(to)));
}

/* Down: to another device, or to the CPU, which has a name of its own. */
static void gave_way(struct ladder *ladder, const struct job *job,
                     const struct station *station, const struct station *to,
                     const char *type, const char *reason) {
    went_to(ladder, job, station, to,
            to->device->shared ? "cpu_fallback" : type, reason);
}

static struct job *job_of(struct ladder *ladder, const struct member *member) {
    for (size_t i = 0; i < ladder->shift->jobs_count; i++)
        if (ladder->shift->jobs[i].member == member)
            return &ladder->shift->jobs[i];
    return NULL;
}

static bool job_is_done(const struct job *job) {
    return !job || job->failure.code ||
           (!job->window->waiting && !job->window->held);
}

static void note_given(struct station *station, struct given_up what) {
    if (station->given_up_count >= GIVEN_UP_MOST)
        return;
    if (!station_whole_bytes(station, what.member, &what.whole_bytes, NULL))
        what.whole_bytes = UINT64_MAX; /* it never comes back */
    station->given_up[station->given_up_count++] = what;
}

/* ---- loading ------------------------------------------------------------ */

/* Load JOB's model on STATION if there is measured room for it there. */
static struct resident *load_on(struct ladder *ladder, struct station *station,
                                const struct job *job) {
    struct session *session = ladder->session;
    struct plan_home home;
    size_t number = (size_t)(station - session->stations);
    if (station->lost ||
        !plan_on_station(session, job->member, number, 0, job->longest,
                         memory_live(station->device->account), &home, NULL) ||
        !home.tokens)
        return NULL;
    bool first = station->residents_count == 0;
    struct resident *resident =
        station_load(station, job->member, &home.placement, NULL);
    if (!resident)
        return NULL;
    resident->tokens = home.tokens;
    if (first)
        controller_restart(&station->controller, home.tokens, station->margin);
    return resident;
}

/* The first station after FROM, in the order of preference, that has room; the
 * CPU that nobody asked for is the last in that order. */
static struct station *move_from(struct ladder *ladder,
                                 const struct station *from,
                                 const struct job *job) {
    struct session *session = ladder->session;
    for (size_t i = 0; i < session->stations_count; i++) {
        struct station *station = &session->stations[i];
        struct resident *resident = station_resident(station, job->member);
        if (station == from || station->lost)
            continue;
        if (!resident && !load_on(ladder, station, job))
            continue;
        if (resident) /* one that is about to leave stays */
            resident->leaving = false;
        return station;
    }
    return NULL;
}

/* ---- down --------------------------------------------------------------- */

static bool put_away_idle(struct ladder *ladder, struct station *station,
                          const struct member *needed) {
    for (size_t i = 0; i < station->residents_count; i++) {
        struct resident *resident = station->residents[i];
        const struct job *job = job_of(ladder, resident->member);
        if (resident->member == needed || !job_is_done(job))
            continue;
        json_t *fields = json_pack("{s:s}", "model", resident->member->key);
        station_unload(station, resident);
        decided(ladder, job, station, "model_unloaded",
                "nobody needs it now, and memory is short", fields);
        return true;
    }
    return false;
}

static bool move_companion(struct ladder *ladder, struct station *station,
                           const struct member *needed) {
    for (size_t i = station->residents_count; i-- > 0;) {
        struct resident *resident = station->residents[i];
        struct job *job = job_of(ladder, resident->member);
        if (resident->member == needed || !job || resident->leaving)
            continue;
        station_unload(station, resident);
        struct station *to = move_from(ladder, station, job);
        note_given(station, (struct given_up){.what = GAVE_COMPANION,
                                              .member = job->member,
                                              .to = to});
        job->paused = !to;
        if (to)
            gave_way(ladder, job, station, to, "companion_moved",
                     "memory is short where it was");
        else
            decided(ladder, job, station, "companion_paused",
                    "memory is short, and no other device has room for it",
                    NULL);
        return true;
    }
    return false;
}

/* Fewer layers stay: as many as leave the margin free, measured when all of
 * the model's memory is given back, for others may have waited for it. */
static bool stream_layers(struct ladder *ladder, struct station *station,
                          const struct job *job) {
    struct resident *resident = station_resident(station, job->member);
    size_t all = job->member->charged.layers;
    if (!resident || station->device->shared || !resident->placement.resident)
        return false;
    size_t before = resident->placement.resident;
    size_t tokens = resident->tokens;
    size_t number = (size_t)(station - ladder->session->stations);
    struct plan_home home;
    station_clear(station);
    station_unload(station, resident);
    if (!plan_on_station(ladder->session, job->member, number,
                         station->controller.tokens, job->longest,
                         memory_live(station->device->account), &home, NULL) ||
        !home.tokens)
        return false; /* the next step moves the model, which is nowhere now */
    if (home.placement.resident >= before)
        home.placement.resident = before - 1;
    resident = station_load(station, job->member, &home.placement, NULL);
    if (!resident)
        return false;
    resident->tokens = tokens;
    if (before >= all)
        note_given(station, (struct given_up){.what = GAVE_LAYERS,
                                              .member = job->member});
    decided(ladder, job, station, "layers_streamed",
            "memory is short at the smallest batch",
            json_pack("{s:I, s:I}", "layers_resident",
                      (json_int_t)home.placement.resident, "layers",
                      (json_int_t)all));
    return true;
}

static bool move_model(struct ladder *ladder, struct station *station,
                       struct job *job) {
    struct resident *resident = station_resident(station, job->member);
    struct station *to = move_from(ladder, station, job);
    if (!to)
        return false;
    station_clear(station);
    if (resident)
        station_unload(station, resident);
    note_given(
        station,
        (struct given_up){.what = GAVE_MODEL, .member = job->member, .to = to});
    gave_way(ladder, job, station, to, "model_moved",
             job->member->charged.layers /* a table of words has none */
                 ? "memory is short even with streamed layers"
                 : "memory is short at the smallest batch");
    return true;
}

bool ladder_relieve(struct ladder *ladder, struct station *station,
                    struct job *job) {
    return put_away_idle(ladder, station, job->member) ||
           move_companion(ladder, station, job->member) ||
           stream_layers(ladder, station, job) ||
           move_model(ladder, station, job);
}

/* ---- up ----------------------------------------------------------------- */

uint64_t ladder_restore_bytes(const struct station *station) {
    if (!station->given_up_count || station->lost)
        return 0;
    const struct given_up *last =
        &station->given_up[station->given_up_count - 1];
    const struct resident *resident = station_resident(station, last->member);
    uint64_t has = resident ? resident->need.charge_bytes : 0;
    return last->whole_bytes > has ? last->whole_bytes - has : 1;
}

static void leave_other(struct station *to, const struct member *member) {
    struct resident *resident = to ? station_resident(to, member) : NULL;
    /* In exclusive mode the other station had the model before, and keeps it.
     */
    if (resident && to->spare)
        resident->leaving = true;
}

static void restore_layers(struct ladder *ladder, struct station *station,
                           struct job *job) {
    struct resident *resident = station_resident(station, job->member);
    struct weights_placement placement = {.resident =
                                              job->member->charged.layers,
                                          .shape = &job->member->charged};
    if (!resident || resident->placement.resident >= placement.resident)
        return; /* it came back whole */
    size_t tokens = resident->tokens;
    struct weights_placement before = resident->placement;
    station_clear(station);
    station_unload(station, resident);
    resident = station_load(station, job->member, &placement, NULL);
    bool fine = resident != NULL;
    if (!fine)
        resident = station_load(station, job->member, &before, NULL);
    if (resident)
        resident->tokens = tokens;
    if (fine)
        decided(ladder, job, station, "layers_restored",
                "the pressure has ended",
                json_pack("{s:I, s:I}", "layers_resident",
                          (json_int_t)placement.resident, "layers",
                          (json_int_t)placement.resident));
}

void ladder_restore(struct ladder *ladder, struct station *station) {
    if (!station->given_up_count)
        return;
    struct given_up last = station->given_up[--station->given_up_count];
    struct job *job = job_of(ladder, last.member);
    if (job_is_done(job))
        return;
    if (last.what == GAVE_LAYERS) {
        restore_layers(ladder, station, job);
        return;
    }
    if (!station_resident(station, last.member) &&
        !load_on(ladder, station, job)) {
        station->given_up[station->given_up_count++] = last;
        return;
    }
    bool paused = job->paused;
    job->paused = false;
    leave_other(last.to, last.member);
    went_to(ladder, job, station, station,
            paused ? "companion_resumed" : "model_moved",
            "the pressure has ended");
}

/* ---- failures ----------------------------------------------------------- */

void ladder_lost(struct ladder *ladder, struct station *station) {
    if (station->lost)
        return;
    station->lost = true;
    station->given_up_count = 0;
    decided(ladder, NULL, station, "device_lost", station->why_lost, NULL);
    for (size_t i = 0; i < ladder->shift->jobs_count; i++) {
        struct job *job = &ladder->shift->jobs[i];
        struct resident *resident = station_resident(station, job->member);
        if (!resident)
            continue;
        station_unload(station, resident);
        if (job_is_done(job) || job->paused ||
            stations_serve(ladder->session, job->member))
            continue;
        struct station *to = move_from(ladder, station, job);
        if (to)
            gave_way(ladder, job, station, to, "model_moved",
                     "its device is lost");
        else
            error_set(&job->failure, ERROR_DEVICE,
                      "%s: %s is lost (%s), and no other device has room for "
                      "the model; run the same command again when there is one",
                      job->member->key, station_name(station),
                      station->why_lost);
    }
    station_unload_all(station);
}

bool ladder_find_home(struct ladder *ladder, struct job *job) {
    struct session *session = ladder->session;
    bool was_paused = job->paused;
    struct station *to = move_from(ladder, NULL, job);
    for (size_t i = 0; !to && i < session->stations_count; i++) {
        struct station *station = &session->stations[i];
        station_clear(station);
        while (put_away_idle(ladder, station, job->member)) {
        }
        if (load_on(ladder, station, job))
            to = station;
    }
    if (!to)
        return false;
    job->paused = false;
    went_to(ladder, job, to, to,
            was_paused ? "companion_resumed" : "model_moved",
            was_paused ? "the other models are done with these texts"
                       : "it was nowhere");
    return true;
}

bool ladder_trusted_home(struct ladder *ladder, struct job *job) {
    struct session *session = ladder->session;
    for (size_t i = 0; i < session->stations_count; i++) {
        struct station *station = &session->stations[i];
        if (!station->device->shared)
            continue;
        struct resident *resident = station_resident(station, job->member);
        if (resident) {
            resident->leaving = false;
            return true;
        }
        if (!load_on(ladder, station, job))
            return false;
        went_to(ladder, job, station, station, "cpu_fallback",
                "another device gave vectors that are not sound");
        return true;
    }
    return false;
}
