/* schedule_together.c - the modes in which models share the devices: they take
 * turns, a window of texts each (sequential), or work at once (simultaneous).
 */

#include <stdio.h>

#include "run/schedule_parts.h"
#include "run/stations.h"

static void holder_names(const struct schedule *s, char text[128]) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < s->roster->count; i++) {
        if (!schedule_has_work(s, i))
            continue;
        int size = snprintf(text + used, 128 - used, "%s%s", used ? "+" : "",
                            s->roster->members[i].key);
        if (size > 0 && (size_t)size < 128 - used)
            used += (size_t)size;
    }
}

static bool plan_together(struct schedule *s, struct error *err) {
    size_t *longest = memory_zalloc(&s->session->memory, s->roster->count,
                                    sizeof *longest, err);
    for (size_t i = 0; longest && i < s->roster->count; i++)
        longest[i] = s->turns[i].prepared ? s->turns[i].longest : 0;
    bool fine = longest && (s->mode == MODE_SEQUENTIAL
                                ? plan_sequential(s->session, s->roster,
                                                  longest, &s->team, err)
                                : plan_simultaneous(s->session, s->roster,
                                                    longest, &s->team, err));
    memory_free(&s->session->memory, longest);
    return fine;
}

/* The failure of one turn costs that turn only, unless it ends them all. */
static bool fail_turn(struct schedule *s, struct turn *turn,
                      const struct error *failure, struct error *err) {
    turn_close(turn, &s->team, failure);
    if (!schedule_ends_with(failure->code))
        return true;
    *err = *failure;
    return false;
}

/* All but models and workspaces, of each turn: what is planned then has the
 * rest of the memory. */
static bool prepare_turns(struct schedule *s, struct pass_plan *plan,
                          struct error *err) {
    bool first = true;
    plan->scratch_bytes = pass_scratch_bytes(s->session, s->intake);
    for (size_t i = 0; i < s->roster->count; i++) {
        struct error failure = {0};
        if (schedule_has_work(s, i) &&
            !turn_prepare_store(&s->turns[i], &failure) &&
            !fail_turn(s, &s->turns[i], &failure, err))
            return false;
    }
    for (size_t i = 0; i < s->roster->count; i++) {
        struct turn *turn = &s->turns[i];
        struct error failure = {0};
        if (!schedule_has_work(s, i))
            continue;
        if (!turn_prepare(turn, &failure)) {
            if (!fail_turn(s, turn, &failure, err))
                return false;
            continue;
        }
        if (first)
            plan->base_bytes = turn->base_bytes;
        first = false;
        plan->staging_bytes +=
            pass_staging_bytes(s->intake, turn->pass.member, turn->pass.engine);
    }
    return true;
}

/* They are compared one behind the other, when all are done: the largest. */
static void plan_drifts(const struct schedule *s, struct pass_plan *plan) {
    for (size_t i = 0; i < s->roster->count; i++) {
        const struct turn *turn = &s->turns[i];
        uint64_t bytes =
            turn->prepared
                ? drift_bytes(s->session, turn->pass.member, turn->missing,
                              turn->longest, plan->base_bytes)
                : 0;
        if (bytes > plan->drift_bytes)
            plan->drift_bytes = bytes;
    }
}

/* Does the turn's model stay where it is to the end? */
static bool stays(const struct plan_team *team, const struct turn *turn) {
    bool any = false, all = true;
    for (size_t i = 0; i < team->homes_count; i++) {
        const struct plan_home *home = &team->homes[i];
        if (home->member != turn->pass.member)
            continue;
        any = true;
        all = all && (home->stays || !team->rotates);
    }
    return any && all;
}

static bool open_turns(struct schedule *s, const struct pass_plan *plan,
                       struct error *err) {
    for (size_t i = 0; i < s->roster->count; i++) {
        struct turn *turn = &s->turns[i];
        struct error failure = {0};
        if (!turn->prepared)
            continue;
        turn_open(turn, &s->team, plan);
        schedule_tell_places(s, turn, &s->team);
        if (!schedule_compare_modes(s, turn, &failure)) {
            if (!fail_turn(s, turn, &failure, err))
                return false;
            continue;
        }
        bool now = s->mode == MODE_SIMULTANEOUS || stays(&s->team, turn);
        if (now && !schedule_bring_turn(s, turn, &s->team, &failure) &&
            !fail_turn(s, turn, &failure, err))
            return false;
    }
    stations_start(s->session);
    return true;
}

static bool is_going(const struct schedule *s, size_t i) {
    return schedule_can_use(s, i) && s->turns[i].open;
}

/* Room for a turn's model: those that take turns with it go. */
static void make_room(struct schedule *s, const struct turn *turn) {
    if (!s->team.rotates)
        return;
    for (size_t i = 0; i < s->session->stations_count; i++) {
        struct station *station = &s->session->stations[i];
        const struct plan_home *own =
            plan_team_home(&s->team, i, turn->pass.member);
        if (!own)
            continue;
        if (!station_resident(station, turn->pass.member))
            station_clear(station);
        for (size_t k = station->residents_count; k-- > 0;) {
            const struct plan_home *home =
                plan_team_home(&s->team, i, station->residents[k]->member);
            if (home != own && (!home || !home->stays))
                stations_put_away(s->sink, station, station->residents[k]);
        }
    }
}

static bool sequential_window(struct schedule *s, struct turn *turn,
                              unsigned window, struct error *err) {
    struct shift shift = {.jobs = &turn->job,
                          .jobs_count = 1,
                          .verbs = &SCHEDULE_VERBS,
                          .context = s};
    if (!pass_read(&turn->pass, err))
        return false;
    if (!turn->pass.window.count) {
        struct error none = {0};
        turn_close(turn, &s->team, &none);
        return true;
    }
    event_emit(s->sink, "ensemble_rotation",
               json_pack("{s:s, s:s, s:i, s:i, s:s}", "collection",
                         s->intake->collection->name, "model",
                         turn->pass.member->key, "pass", (int)turn->pass.number,
                         "window", (int)window, "device", turn->devices));
    make_room(s, turn);
    if (!schedule_bring_turn(s, turn, &s->team, err))
        return false;
    schedule_lay_out(s, turn, &s->team);
    stations_start(s->session);
    if (!crew_work(s->crew, &shift, err))
        return false;
    return !turn->job.failure.code ||
           error_set(err, turn->job.failure.code, "%s",
                     turn->job.failure.message);
}

static bool sequential_round(struct schedule *s, unsigned window, bool *going,
                             struct error *err) {
    *going = false;
    for (size_t i = 0; i < s->roster->count; i++) {
        struct turn *turn = &s->turns[i];
        struct error failure = {0};
        if (!is_going(s, i))
            continue;
        if (!sequential_window(s, turn, window, &failure) &&
            !fail_turn(s, turn, &failure, err))
            return false;
        *going = *going || turn->open;
    }
    return true;
}

static void leave_elsewhere(struct schedule *s, const struct station *home,
                            const struct member *member) {
    for (size_t i = 0; i < s->session->stations_count; i++) {
        struct station *station = &s->session->stations[i];
        struct resident *resident = station_resident(station, member);
        if (resident && station != home)
            stations_put_away(s->sink, station, resident);
    }
}

/* A model that pressure drove away, and that had nothing to do when it ended,
 * is taken back before its next window if there is room now. */
static void come_home(struct schedule *s, struct turn *turn) {
    const struct member *member = turn->pass.member;
    for (size_t i = 0; i < s->team.homes_count; i++) {
        const struct plan_home *home = &s->team.homes[i];
        struct station *station = &s->session->stations[home->station];
        struct plan_home now;
        if (home->member != member || station->lost ||
            station->given_up_count || station_resident(station, member))
            continue;
        if (!plan_on_station(
                s->session, member, home->station, home->tokens, home->longest,
                memory_live(station->device->account), &now, NULL) ||
            !now.tokens || !schedule_bring(s, turn, &now, NULL))
            continue;
        leave_elsewhere(s, station, member);
        turn->job.paused = false;
        schedule_tell_place(s, turn, station, "model_moved",
                            "there is room again where it belongs");
    }
}

/* All models read a window each, and work on them at once. */
static bool simultaneous_round(struct schedule *s, struct job *jobs,
                               bool *going, struct error *err) {
    struct shift shift = {.jobs = jobs, .verbs = &SCHEDULE_VERBS, .context = s};
    for (size_t i = 0; i < s->roster->count; i++) {
        struct turn *turn = &s->turns[i];
        struct error failure = {0};
        if (!is_going(s, i))
            continue;
        if (!pass_read(&turn->pass, &failure)) {
            if (!fail_turn(s, turn, &failure, err))
                return false;
        } else if (!turn->pass.window.count) {
            turn_close(turn, &s->team, &failure);
        } else {
            come_home(s, turn);
            jobs[shift.jobs_count++] = turn->job;
        }
    }
    *going = shift.jobs_count > 0;
    if (!*going || !crew_work(s->crew, &shift, err))
        return !*going;
    for (size_t k = 0; k < shift.jobs_count; k++) {
        struct turn *turn = jobs[k].context;
        turn->job = jobs[k];
        if (jobs[k].failure.code && !fail_turn(s, turn, &jobs[k].failure, err))
            return false;
    }
    return true;
}

static bool rounds(struct schedule *s, struct error *err) {
    struct memory *memory = &s->session->memory;
    struct job *jobs =
        memory_zalloc(memory, s->roster->count, sizeof *jobs, err);
    bool going = jobs != NULL, fine = going;
    for (unsigned window = 1; fine && going; window++)
        fine = s->mode == MODE_SEQUENTIAL
                   ? sequential_round(s, window, &going, err)
                   : simultaneous_round(s, jobs, &going, err);
    memory_free(memory, jobs);
    return fine;
}

bool schedule_run_together(struct schedule *s, struct error *err) {
    char holder[128];
    struct turn *first = NULL;
    holder_names(s, holder);
    for (size_t i = 0; i < s->roster->count && !first; i++)
        first = schedule_has_work(s, i) ? &s->turns[i] : NULL;
    struct error failure = {0};
    struct pass_plan plan = {0};
    bool fine = stations_lease(s->session, s->sink, holder, &failure) &&
                prepare_turns(s, &plan, &failure) && plan_together(s, &failure);
    if (fine) {
        plan.base_bytes -= schedule_put_away_others(s, &s->team);
        plan_drifts(s, &plan);
        fine = plan_pass(s->session, s->mode, &s->team, &plan, &failure) &&
               open_turns(s, &plan, &failure) && rounds(s, &failure);
    }
    schedule_end_turns(s, &failure);
    stations_leave(s->session, s->sink);
    schedule_release(s, first);
    for (size_t i = 0; i < s->roster->count; i++)
        turn_compare(&s->turns[i]);
    if (!fine)
        *err = failure;
    return fine;
}
