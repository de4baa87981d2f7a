/* schedule_places.c - models on stations, for a turn: see schedule_parts.h. */

#include "run/decision.h"
#include "run/schedule_parts.h"
#include "run/stations.h"

bool schedule_can_use(const struct schedule *s, size_t i) {
    return !s->roster->members[i].error.code;
}

bool schedule_lacks_rows(const struct schedule *s, size_t i) {
    return schedule_can_use(s, i) && s->turns[i].missing > 0 &&
           !s->turns[i].failure.code;
}

bool schedule_has_work(const struct schedule *s, size_t i) {
    return schedule_lacks_rows(s, i) && !s->roster->members[i].bm25;
}

/* ---- what the crew calls ------------------------------------------------ */

static bool on_store(void *context, const struct batch *batch,
                     struct error *err) {
    const struct schedule *s = context;
    struct phases *phases = &s->session->phases;
    struct turn *turn = batch->job->context;
    struct turn_use *use =
        &turn->by_station[batch->station - s->session->stations];
    use->texts += batch->texts;
    use->tokens += batch->tokens;
    use->batches++;
    use->busy_ms += batch->ms;
    if (batch->budget > use->tokens_high)
        use->tokens_high = batch->budget;
    enum phase before = phases_enter(phases, PHASE_STORE);
    bool fine = pass_store(&turn->pass, batch, err);
    phases_enter(phases, before);
    return fine;
}

static void on_decided(void *context, const struct job *job,
                       const struct station *station, const char *type,
                       json_t *fields) {
    struct schedule *s = context;
    struct turn *turn = job ? job->context : NULL;
    for (size_t i = 0; !turn && i < s->roster->count; i++)
        if (s->turns[i].open)
            turn = &s->turns[i];
    turn_decided(turn, s->sink, station, s->intake->collection->name, type,
                 fields);
}

static bool on_ahead(void *context) {
    struct schedule *s = context;
    for (size_t i = 0; i < s->roster->count; i++)
        if (s->turns[i].open && pass_read_ahead(&s->turns[i].pass))
            return true;
    return false;
}

const struct shift_verbs SCHEDULE_VERBS = {
    .store = on_store, .ahead = on_ahead, .decided = on_decided};

/* ---- models on stations ------------------------------------------------- */

uint64_t schedule_put_away_others(struct schedule *s,
                                  const struct plan_team *team) {
    uint64_t before = memory_live(&s->session->memory);
    for (size_t i = 0; i < s->session->stations_count; i++) {
        struct station *station = &s->session->stations[i];
        for (size_t k = station->residents_count; k-- > 0;)
            if (!plan_team_home(team, i, station->residents[k]->member) &&
                !team->keeps_others)
                stations_put_away(s->sink, station, station->residents[k]);
        memory_restart_peak(station->device->account);
    }
    memory_restart_peak(&s->session->memory);
    return before - memory_live(&s->session->memory);
}

/* A device that fails while a model is loaded is lost; the others go on. */
static bool lose_if_broken(struct station *station, const struct error *err) {
    if (err && err->code == ERROR_DEVICE && !station->lost) {
        station_unload_all(station);
        station_lose(station, err->message);
    }
    return false;
}

bool schedule_bring(struct schedule *s, struct turn *turn,
                    const struct plan_home *home, struct error *err) {
    struct station *station = &s->session->stations[home->station];
    struct resident *resident = station_resident(station, home->member);
    if (resident && resident->placement.resident != home->placement.resident) {
        stations_put_away(s->sink, station, resident);
        resident = NULL;
    }
    if (!resident) {
        struct phases *phases = &s->session->phases;
        enum phase before = phases_enter(phases, PHASE_LOAD);
        resident = station_load(station, home->member, &home->placement, err);
        phases_enter(phases, before);
        if (!resident)
            return lose_if_broken(station, err);
        turn_loaded(turn, resident);
    }
    resident->tokens = home->tokens;
    resident->leaving = false;
    return true;
}

void schedule_tell_place(struct schedule *s, struct turn *turn,
                         const struct station *station, const char *type,
                         const char *reason) {
    json_t *fields =
        decision_fields(station, reason, station_bytes_free(station));
    json_object_set_new(fields, "to_device",
                        json_string(station_name(station)));
    turn_decided(turn, s->sink, station, s->intake->collection->name, type,
                 fields);
}

/* Who asked for a device must hear that it is not used. */
void schedule_tell_places(struct schedule *s, struct turn *turn,
                          const struct plan_team *team) {
    for (size_t i = 0; i < s->session->stations_count; i++) {
        const struct station *station = &s->session->stations[i];
        bool home = plan_team_home(team, i, turn->pass.member) != NULL;
        if (home && station->spare)
            schedule_tell_place(s, turn, station, "cpu_fallback",
                                "no device that was asked for has room for it");
        if (!home && !station->spare && !station->lost &&
            s->mode != MODE_SIMULTANEOUS)
            schedule_tell_place(s, turn, station, "device_left_out",
                                "it has no room for the model");
    }
}

/* Workspaces before the first batch, so that what is planned is taken before
 * there is work that could be lost. Where it cannot be, the first batch tries
 * again, and finds a way. */
void schedule_lay_out(struct schedule *s, const struct turn *turn,
                      const struct plan_team *team) {
    for (size_t i = 0; i < team->homes_count; i++) {
        const struct plan_home *home = &team->homes[i];
        struct station *station = &s->session->stations[home->station];
        struct resident *resident = station_resident(station, home->member);
        struct error ignored = {0};
        if (home->member == turn->pass.member && resident && !station->lost)
            station_lay_out(station, resident, home->tokens, home->longest,
                            &ignored);
    }
}

bool schedule_bring_turn(struct schedule *s, struct turn *turn,
                         const struct plan_team *team, struct error *err) {
    struct error failure = {0};
    size_t brought = 0;
    for (size_t i = 0; i < team->homes_count; i++)
        if (team->homes[i].member == turn->pass.member &&
            !s->session->stations[team->homes[i].station].lost)
            brought += schedule_bring(s, turn, &team->homes[i], &failure);
    if (brought)
        return true;
    /* Where it was to be is lost or full by now: wherever it fits. */
    struct plan_home home;
    return plan_home(s->session, turn->pass.member, 0, turn->longest, &home,
                     err) &&
           schedule_bring(s, turn, &home, err);
}

void schedule_end_turns(struct schedule *s, const struct error *failure) {
    for (size_t i = 0; i < s->roster->count; i++) {
        struct turn *turn = &s->turns[i];
        if (schedule_lacks_rows(s, i) && (turn->open || !turn->ran))
            turn_close(turn, &s->team, failure);
    }
}

/* While models stay warm on a card it stays ours. */
void schedule_release(struct schedule *s, struct turn *turn) {
    if (!s->session->options->warm && turn)
        stations_release(s->session, turn->leases);
}

bool schedule_compare_modes(struct schedule *s, struct turn *turn,
                            struct error *err) {
    if (roster_models(s->roster) < 2)
        return true;
    size_t *longest = memory_zalloc(&s->session->memory, s->roster->count,
                                    sizeof *longest, err);
    for (size_t i = 0; longest && i < s->roster->count; i++)
        longest[i] = s->turns[i].longest;
    bool fine = longest && plan_budgets(s->session, s->roster, longest,
                                        turn->pass.member, &turn->budgets, err);
    memory_free(&s->session->memory, longest);
    return fine;
}
