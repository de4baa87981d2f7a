#include "run/schedule_parts.h"

#include <string.h>

#include "base/file.h"
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

/* ---- exclusive ---------------------------------------------------------- */

static bool run_windows(struct schedule *s, struct turn *turn,
                        struct error *err) {
    struct shift shift = {.jobs = &turn->job,
                          .jobs_count = 1,
                          .verbs = &SCHEDULE_VERBS,
                          .context = s};
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

static bool exclusive_turn(struct schedule *s, struct turn *turn,
                           struct error *err) {
    const struct member *member = turn->pass.member;
    struct plan_team *team = &turn->team;
    if (!stations_lease(s->session, s->sink, member->key, err) ||
        !turn_prepare_store(turn, err) || !turn_prepare(turn, err) ||
        !plan_exclusive(s->session, member, turn->longest, team, err) ||
        !schedule_compare_modes(s, turn, err))
        return false;
    struct pass_plan plan = {
        .base_bytes = turn->base_bytes - schedule_put_away_others(s, team),
        .staging_bytes =
            pass_staging_bytes(s->intake, member, turn->pass.engine),
        .scratch_bytes = pass_scratch_bytes(s->session, s->intake)};
    plan.drift_bytes = drift_bytes(s->session, member, turn->missing,
                                   turn->longest, plan.base_bytes);
    if (!plan_pass(s->session, s->mode, team, &plan, err))
        return false;
    turn_open(turn, team, &plan);
    schedule_tell_places(s, turn, team);
    if (!schedule_bring_turn(s, turn, team, err))
        return false;
    schedule_lay_out(s, turn, team);
    stations_start(s->session);
    return run_windows(s, turn, err);
}

static bool run_exclusive(struct schedule *s, struct error *err) {
    for (size_t i = 0; i < s->roster->count; i++) {
        struct turn *turn = &s->turns[i];
        struct error failure = {0};
        if (!schedule_has_work(s, i))
            continue;
        exclusive_turn(s, turn, &failure);
        turn_close(turn, &turn->team, &failure);
        stations_leave(s->session, s->sink);
        schedule_release(s, turn);
        plan_team_free(s->session, &turn->team);
        turn_compare(turn);
        if (schedule_ends_with(turn->failure.code)) {
            *err = turn->failure;
            schedule_end_turns(s, err);
            return false;
        }
    }
    return true;
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
        if (!schedule_lacks_rows(s, i) || !s->roster->members[i].bm25)
            continue;
        formula_turn(s, turn, &failure);
        turn_close(turn, &s->team, &failure);
        if (schedule_ends_with(failure.code)) {
            *err = failure;
            schedule_end_turns(s, err);
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
    static const char *const names[] = {"truncated", "elsewhere",
                                        "other_dtype"};
    char path[PATH_MAX];
    for (enum row_kind h = 0; h < ROW_KINDS; h++) {
        const struct store *store = pass->stores.of[h];
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (store && store_rows(store) == 0 &&
                (!member_store_path(path, pass->folder, pass->member, h,
                                    names[k], err) ||
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
    schedule_end_turns(s, err);
    for (i++; i < s->roster->count; i++) /* not even looked at */
        s->turns[i].failure = *err;
    return false;
}

/* Of the texts that will be compared with f32. */
static void open_sample(struct schedule *s, struct turn *turn) {
    struct error why = {0};
    if (drift_is_due(s->session, turn->pass.member) &&
        !(session_reference(s->session, &why) &&
          drift_sample_open(&turn->pass.sample, &s->session->memory,
                            drift_texts(turn->missing), turn->longest, &why)))
        turn->drift = drift_skip(turn->pass.member, &why);
}

/* The tokenizer of a model that has something to do; one that does not load is
 * that model's failure. */
static void set_engine(struct schedule *s, size_t i) {
    struct turn *turn = &s->turns[i];
    if (!schedule_has_work(s, i))
        return;
    if (!s->engines[i])
        s->engines[i] = engine_load_tokenizer(s->session, turn->pass.member,
                                              &turn->failure);
    turn->pass.engine = s->engines[i];
    if (!turn->pass.engine)
        return;
    turn->longest =
        pass_longest(s->intake, turn->pass.member, turn->pass.engine);
    open_sample(s, turn);
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
        schedule_end_turns(s, err);
    bool fine =
        s->crew && (s->mode == MODE_EXCLUSIVE ? run_exclusive(s, err)
                                              : schedule_run_together(s, err));
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
        any = any || schedule_has_work(s, i);
    choose_mode(s);
    bool fine = run_formulas(s, err) && (!any || run_models(s, err));
    for (size_t i = 0; i < s->roster->count; i++)
        if (schedule_can_use(s, i) && !s->turns[i].failure.code &&
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
