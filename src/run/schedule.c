#include "run/schedule.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "run/decision.h"
#include "run/pass_bm25.h"
#include "run/stations.h"

bool schedule_ends_with(enum error_code code) {
    return code == ERROR_INTERRUPTED || code == ERROR_FULL ||
           code == ERROR_BUSY || code == ERROR_DEVICE;
}

const char *run_mode_name(enum run_mode mode) {
    static const char *const names[] = {"auto", "simultaneous", "sequential",
                                        "exclusive"};
    return names[mode];
}

static bool is_usable(const struct schedule *s, size_t i) {
    return !s->roster->members[i].error.code;
}

static bool lacks_rows(const struct schedule *s, size_t i) {
    return is_usable(s, i) && s->turns[i].missing > 0 &&
           !s->turns[i].failure.code;
}

/* For the stations; formulas have a loop of their own. */
static bool has_work(const struct schedule *s, size_t i) {
    return lacks_rows(s, i) && !s->roster->members[i].bm25;
}

/* ---- what the crew calls ------------------------------------------------ */

static bool on_store(void *context, const struct batch *batch,
                     struct error *err) {
    const struct schedule *s = context;
    struct turn *turn = batch->job->context;
    struct turn_use *use =
        &turn->by_station[batch->station - s->session->stations];
    use->texts += batch->texts;
    use->tokens += batch->tokens;
    use->batches++;
    use->busy_ms += batch->ms;
    if (batch->budget > use->tokens_high)
        use->tokens_high = batch->budget;
    return pass_store(&turn->pass, batch, err);
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

static const struct shift_verbs VERBS = {.store = on_store,
                                         .decided = on_decided};

/* ---- models on stations ------------------------------------------------- */

/* Models that the team did not count with go. Peaks begin behind them. How many
 * bytes of host memory that gave back. */
static uint64_t put_away_others(struct schedule *s,
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

static bool bring(struct schedule *s, struct turn *turn,
                  const struct plan_home *home, struct error *err) {
    struct station *station = &s->session->stations[home->station];
    struct resident *resident = station_resident(station, home->member);
    if (resident && resident->placement.resident != home->placement.resident) {
        stations_put_away(s->sink, station, resident);
        resident = NULL;
    }
    if (!resident) {
        resident = station_load(station, home->member, &home->placement, err);
        if (!resident)
            return false;
        turn_loaded(turn, resident);
    }
    resident->tokens = home->tokens;
    resident->leaving = false;
    return true;
}

static void tell_place(struct schedule *s, struct turn *turn,
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
static void tell_places(struct schedule *s, struct turn *turn,
                        const struct plan_team *team) {
    for (size_t i = 0; i < s->session->stations_count; i++) {
        const struct station *station = &s->session->stations[i];
        bool home = plan_team_home(team, i, turn->pass.member) != NULL;
        if (home && station->spare)
            tell_place(s, turn, station, "cpu_fallback",
                       "no device that was asked for has room for it");
        if (!home && !station->spare && !station->lost &&
            s->mode != MODE_SIMULTANEOUS)
            tell_place(s, turn, station, "device_left_out",
                       "it has no room for the model");
    }
}

/* Workspaces before the first batch, so that what is planned is taken before
 * there is work that could be lost. Where it cannot be, the first batch tries
 * again, and finds a way. */
static void lay_out_turn(struct schedule *s, const struct turn *turn,
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

/* A turn's model on all of its stations; false if it is on none. */
static bool bring_turn(struct schedule *s, struct turn *turn,
                       const struct plan_team *team, struct error *err) {
    struct error failure = {0};
    size_t brought = 0;
    for (size_t i = 0; i < team->homes_count; i++)
        if (team->homes[i].member == turn->pass.member &&
            !s->session->stations[team->homes[i].station].lost)
            brought += bring(s, turn, &team->homes[i], &failure);
    if (brought)
        return true;
    /* Where it was to be is lost or full by now: wherever it fits. */
    struct plan_home home;
    return plan_home(s->session, turn->pass.member, 0, turn->longest, &home,
                     err) &&
           bring(s, turn, &home, err);
}

/* Turns that are not done, or never began, when all ends: why they are not. */
static void end_turns(struct schedule *s, const struct error *failure) {
    for (size_t i = 0; i < s->roster->count; i++) {
        struct turn *turn = &s->turns[i];
        if (lacks_rows(s, i) && (turn->open || !turn->ran))
            turn_close(turn, &s->team, failure);
    }
}

/* While models stay warm on a card it stays ours. */
static void release_all(struct schedule *s, struct turn *turn) {
    if (!s->session->options->warm && turn)
        stations_release(s->session, turn->leases);
}

/* ---- exclusive ---------------------------------------------------------- */

static bool run_windows(struct schedule *s, struct turn *turn,
                        struct error *err) {
    struct shift shift = {
        .jobs = &turn->job, .jobs_count = 1, .verbs = &VERBS, .context = s};
    while (pass_read(&turn->pass, err)) {
        if (!turn->pass.window.count)
            return true;
        if (!crew_work(s->crew, &shift, err))
            return false;
        if (turn->job.failure.code)
            return error_set(err, turn->job.failure.code, "%s",
                             turn->job.failure.message);
    }
    return false;
}

/* Where there are several models: what each mode would allow this one. */
static bool compare_modes(struct schedule *s, struct turn *turn,
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

static bool exclusive_turn(struct schedule *s, struct turn *turn,
                           struct error *err) {
    const struct member *member = turn->pass.member;
    struct plan_team *team = &turn->team;
    if (!stations_lease(s->session, s->sink, member->key, err) ||
        !turn_prepare_store(turn, err) || !turn_prepare(turn, err) ||
        !plan_exclusive(s->session, member, turn->longest, team, err) ||
        !compare_modes(s, turn, err))
        return false;
    struct pass_plan plan = {
        .base_bytes = turn->base_bytes - put_away_others(s, team),
        .staging_bytes =
            pass_staging_bytes(s->intake, member, turn->pass.engine),
        .scratch_bytes = pass_scratch_bytes(s->session, s->intake)};
    if (!plan_pass(s->session, s->mode, team, &plan, err))
        return false;
    turn_open(turn, team, &plan);
    tell_places(s, turn, team);
    if (!bring_turn(s, turn, team, err))
        return false;
    lay_out_turn(s, turn, team);
    stations_start(s->session);
    return run_windows(s, turn, err);
}

static bool run_exclusive(struct schedule *s, struct error *err) {
    for (size_t i = 0; i < s->roster->count; i++) {
        struct turn *turn = &s->turns[i];
        struct error failure = {0};
        if (!has_work(s, i))
            continue;
        exclusive_turn(s, turn, &failure);
        turn_close(turn, &turn->team, &failure);
        stations_leave(s->session, s->sink);
        release_all(s, turn);
        plan_team_free(s->session, &turn->team);
        if (schedule_ends_with(turn->failure.code)) {
            *err = turn->failure;
            end_turns(s, err);
            return false;
        }
    }
    return true;
}

/* ---- sequential and simultaneous ---------------------------------------- */

static void holder_names(const struct schedule *s, char text[128]) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < s->roster->count; i++) {
        if (!has_work(s, i))
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
        if (has_work(s, i) && !turn_prepare_store(&s->turns[i], &failure) &&
            !fail_turn(s, &s->turns[i], &failure, err))
            return false;
    }
    for (size_t i = 0; i < s->roster->count; i++) {
        struct turn *turn = &s->turns[i];
        struct error failure = {0};
        if (!has_work(s, i))
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
        tell_places(s, turn, &s->team);
        if (!compare_modes(s, turn, &failure)) {
            if (!fail_turn(s, turn, &failure, err))
                return false;
            continue;
        }
        bool now = s->mode == MODE_SIMULTANEOUS || stays(&s->team, turn);
        if (now && !bring_turn(s, turn, &s->team, &failure) &&
            !fail_turn(s, turn, &failure, err))
            return false;
    }
    stations_start(s->session);
    return true;
}

static bool is_going(const struct schedule *s, size_t i) {
    return is_usable(s, i) && s->turns[i].open;
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
    struct shift shift = {
        .jobs = &turn->job, .jobs_count = 1, .verbs = &VERBS, .context = s};
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
    if (!bring_turn(s, turn, &s->team, err))
        return false;
    lay_out_turn(s, turn, &s->team);
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
            !now.tokens || !bring(s, turn, &now, NULL))
            continue;
        leave_elsewhere(s, station, member);
        turn->job.paused = false;
        tell_place(s, turn, station, "model_moved",
                   "there is room again where it belongs");
    }
}

/* All models read a window each, and work on them at once. */
static bool simultaneous_round(struct schedule *s, struct job *jobs,
                               bool *going, struct error *err) {
    struct shift shift = {.jobs = jobs, .verbs = &VERBS, .context = s};
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

static bool run_together(struct schedule *s, struct error *err) {
    char holder[128];
    struct turn *first = NULL;
    holder_names(s, holder);
    for (size_t i = 0; i < s->roster->count && !first; i++)
        first = has_work(s, i) ? &s->turns[i] : NULL;
    struct error failure = {0};
    struct pass_plan plan = {0};
    bool fine = stations_lease(s->session, s->sink, holder, &failure) &&
                prepare_turns(s, &plan, &failure) && plan_together(s, &failure);
    if (fine) {
        plan.base_bytes -= put_away_others(s, &s->team);
        fine = plan_pass(s->session, s->mode, &s->team, &plan, &failure) &&
               open_turns(s, &plan, &failure) && rounds(s, &failure);
    }
    end_turns(s, &failure);
    stations_leave(s->session, s->sink);
    release_all(s, first);
    if (!fine)
        *err = failure;
    return fine;
}

/* ---- formulas ----------------------------------------------------------- */

static bool formula_turn(struct schedule *s, struct turn *turn,
                         struct error *err) {
    struct memory *memory = &s->session->memory;
    memory_restart_peak(memory);
    struct pass_plan plan = {.base_bytes = memory_live(memory)};
    if (!turn_prepare_store(turn, err))
        return false;
    plan.staging_bytes =
        memory_live(memory) - plan.base_bytes + pass_bm25_bytes(s->intake);
    plan.private_bytes = plan.base_bytes + plan.staging_bytes;
    turn_open_formula(turn, &plan);
    return pass_bm25(&turn->pass, err);
}

static bool run_formulas(struct schedule *s, struct error *err) {
    for (size_t i = 0; i < s->roster->count; i++) {
        struct turn *turn = &s->turns[i];
        struct error failure = {0};
        if (!lacks_rows(s, i) || !s->roster->members[i].bm25)
            continue;
        formula_turn(s, turn, &failure);
        turn_close(turn, &s->team, &failure);
        if (schedule_ends_with(failure.code)) {
            *err = failure;
            end_turns(s, err);
            return false;
        }
    }
    return true;
}

/* ---- the schedule ------------------------------------------------------- */

static void set_turn(struct schedule *s, size_t i) {
    struct turn *turn = &s->turns[i];
    turn->use = json_array();
    turn->leases = json_array();
    turn->mitigations = json_array();
    turn->planned = s->planned + i * s->session->stations_count;
    turn->by_station = s->use + i * s->session->stations_count;
    turn->pass = (struct pass){.session = s->session,
                               .sink = s->sink,
                               .member = &s->roster->members[i],
                               .intake = s->intake,
                               .stores = s->stores[i],
                               .folder = s->folder,
                               .planned = turn->planned,
                               .number = (unsigned)i + 1,
                               .count = (unsigned)s->roster->count};
    turn->pass.report.texts = s->intake->counts.unique;
}

/* Lists beside a store without rows are of rows that have gone. */
static bool drop_old_lists(const struct pass *pass, struct error *err) {
    char path[PATH_MAX];
    for (enum row_kind h = 0; h < ROW_KINDS; h++) {
        const struct store *store = pass->stores.of[h];
        if (store && store_rows(store) == 0 &&
            (!pass_list_path(pass->folder, pass->member, h, "truncated", path,
                             err) ||
             !file_remove(path, err) ||
             !pass_list_path(pass->folder, pass->member, h, "elsewhere", path,
                             err) ||
             !file_remove(path, err)))
            return false;
    }
    return true;
}

/* What is there of it, and what is missing. */
static bool look_at_turn(struct schedule *s, size_t i, struct error *err) {
    struct turn *turn = &s->turns[i];
    const struct member *member = turn->pass.member;
    if (member->error.code)
        return true;
    if (!drop_old_lists(&turn->pass, err))
        return false;
    if (!pass_missing(&turn->pass, &turn->missing, err))
        return false;
    turn->pass.report.reused = turn->pass.report.texts - turn->missing;
    return true;
}

static bool look_at_turns(struct schedule *s, struct error *err) {
    size_t i = 0;
    while (i < s->roster->count && look_at_turn(s, i, err))
        i++;
    if (i == s->roster->count)
        return true;
    s->turns[i].failure = *err;
    end_turns(s, err);
    for (i++; i < s->roster->count; i++) /* not even looked at */
        s->turns[i].failure = *err;
    return false;
}

/* The tokenizer of a model that has something to do; one that does not load is
 * that model's failure. */
static void set_engine(struct schedule *s, size_t i) {
    struct turn *turn = &s->turns[i];
    if (!has_work(s, i))
        return;
    if (!s->engines[i])
        s->engines[i] = engine_load_tokenizer(s->session, turn->pass.member,
                                              &turn->failure);
    turn->pass.engine = s->engines[i];
    if (turn->pass.engine)
        turn->longest =
            pass_longest(s->intake, turn->pass.member, turn->pass.engine);
}

static bool open_schedule(struct schedule *s, struct error *err) {
    struct memory *memory = &s->session->memory;
    size_t cells = s->roster->count * s->session->stations_count;
    s->turns = memory_zalloc(memory, s->roster->count, sizeof *s->turns, err);
    s->planned = memory_zalloc(memory, cells, sizeof *s->planned, err);
    s->use = memory_zalloc(memory, cells, sizeof *s->use, err);
    if (!s->turns || !s->planned || !s->use)
        return false;
    for (size_t i = 0; i < s->roster->count; i++)
        set_turn(s, i);
    if (!look_at_turns(s, err))
        return false;
    for (size_t i = 0; i < s->roster->count; i++)
        set_engine(s, i);
    return true;
}

static void choose_mode(struct schedule *s) {
    s->mode = s->session->options->mode;
    s->reason = "it was asked for";
    if (s->mode == MODE_AUTO)
        s->mode = plan_mode(s->session, s->roster, s->collections, &s->reason);
    for (size_t i = 0; i < s->roster->count; i++)
        s->turns[i].mode = run_mode_name(s->mode);
    event_emit(s->sink, "mode_chosen",
               json_pack("{s:s, s:s, s:s}", "collection",
                         s->intake->collection->name, "mode",
                         run_mode_name(s->mode), "reason", s->reason));
}

static bool run_models(struct schedule *s, struct error *err) {
    struct crew_size size =
        crew_size_for(s->session, s->roster, s->engines, s->intake);
    s->crew = crew_open(s->session, &size, err);
    if (!s->crew)
        end_turns(s, err);
    bool fine = s->crew && (s->mode == MODE_EXCLUSIVE ? run_exclusive(s, err)
                                                      : run_together(s, err));
    crew_close(s->crew);
    s->crew = NULL;
    plan_team_free(s->session, &s->team);
    return fine;
}

bool schedule_run(struct schedule *s, struct error *err) {
    bool any = false;
    if (!open_schedule(s, err))
        return false;
    for (size_t i = 0; i < s->roster->count; i++)
        any = any || has_work(s, i);
    choose_mode(s);
    bool fine = run_formulas(s, err) && (!any || run_models(s, err));
    for (size_t i = 0; i < s->roster->count; i++)
        if (is_usable(s, i) && !s->turns[i].failure.code &&
            !pass_count_lists(&s->turns[i].pass, s->scratch, fine ? err : NULL))
            fine = false;
    return fine;
}

void schedule_free(struct schedule *s) {
    if (!s->session)
        return;
    struct memory *memory = &s->session->memory;
    for (size_t i = 0; s->turns && i < s->roster->count; i++)
        turn_free(&s->turns[i]);
    memory_free(memory, s->turns);
    memory_free(memory, s->planned);
    memory_free(memory, s->use);
    *s = (struct schedule){0};
}
