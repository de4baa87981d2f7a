/* plan_budgets.c - what a model's batches could be in each mode, side by side.
 */

#include "run/plan.h"

struct budgets {
    struct session *session;
    const struct roster *roster;
    const size_t *longest;
    const struct member *member;
    json_t *list; /* an entry a station, as long as it is filled */
};

/* 0: MODE has no place for it on the station. */
static size_t tokens_in(const struct plan_team *team, size_t station,
                        const struct member *member) {
    const struct plan_home *home = plan_team_home(team, station, member);
    return home ? home->tokens : 0;
}

static bool plan_mode_team(const struct budgets *b, enum run_mode mode,
                           struct plan_team *team, struct error *err) {
    size_t i = (size_t)(b->member - b->roster->members);
    if (mode == MODE_EXCLUSIVE)
        return plan_exclusive(b->session, b->member, b->longest[i], team, err);
    if (mode == MODE_SEQUENTIAL)
        return plan_sequential(b->session, b->roster, b->longest, team, err);
    return plan_simultaneous(b->session, b->roster, b->longest, team, err);
}

/* A mode that the model does not fit in is no failure here. */
static bool add_mode(const struct budgets *b, enum run_mode mode,
                     const char *name, struct error *err) {
    struct plan_team team = {0};
    struct error refusal = {0};
    bool fine = plan_mode_team(b, mode, &team, &refusal);
    for (size_t i = 0; i < b->session->stations_count; i++) {
        size_t tokens = fine ? tokens_in(&team, i, b->member) : 0;
        json_object_set_new(json_array_get(b->list, i), name,
                            tokens ? json_integer((json_int_t)tokens)
                                   : json_null());
    }
    plan_team_free(b->session, &team);
    return fine || refusal.code == ERROR_MEMORY ||
           error_set(err, refusal.code, "%s", refusal.message);
}

/* The CPU that was not asked for, where no mode falls back on it. */
static bool is_idle(const struct station *station, const json_t *entry) {
    return station->spare &&
           json_is_null(json_object_get(entry, "exclusive")) &&
           json_is_null(json_object_get(entry, "sequential")) &&
           json_is_null(json_object_get(entry, "simultaneous"));
}

bool plan_budgets(struct session *session, const struct roster *roster,
                  const size_t *longest, const struct member *member,
                  json_t **out, struct error *err) {
    struct budgets b = {session, roster, longest, member, json_array()};
    for (size_t i = 0; i < session->stations_count; i++)
        json_array_append_new(
            b.list,
            json_pack("{s:s}", "device", station_name(&session->stations[i])));
    if (!add_mode(&b, MODE_EXCLUSIVE, "exclusive", err) ||
        !add_mode(&b, MODE_SEQUENTIAL, "sequential", err) ||
        !add_mode(&b, MODE_SIMULTANEOUS, "simultaneous", err)) {
        json_decref(b.list);
        return false;
    }
    for (size_t i = session->stations_count; i-- > 0;)
        if (is_idle(&session->stations[i], json_array_get(b.list, i)))
            json_array_remove(b.list, i);
    *out = b.list;
    return true;
}
