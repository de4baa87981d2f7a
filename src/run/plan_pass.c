/* plan_pass.c - the most that a pass holds at a time: its steps, gone through
 * with numbers instead of memory. */

#include <string.h>

#include "run/plan.h"

/* As it would be by now. */
struct ledger {
    struct session *session;
    struct plan_team *team;
    uint64_t live, peak; /* host memory */
    uint64_t *account;   /* [stations] live there */
    uint64_t *most;      /* [stations] */
    uint64_t *block;     /* [stations] workspace, as we hold it */
    uint64_t *charge;    /* [stations] and as the account counts it */
    bool *here;          /* [homes]: loaded */
};

static void look(struct ledger *l, uint64_t besides) {
    if (l->live + besides > l->peak)
        l->peak = l->live + besides;
    for (size_t i = 0; i < l->session->stations_count; i++)
        if (l->account[i] > l->most[i])
            l->most[i] = l->account[i];
}

static const struct plan_home *home_at(const struct ledger *l, size_t i) {
    return &l->team->homes[i];
}

static void clear(struct ledger *l, size_t station) {
    l->live -= l->block[station];
    l->account[station] -= l->charge[station];
    l->block[station] = l->charge[station] = 0;
}

static void unload(struct ledger *l, size_t i) {
    const struct plan_home *home = home_at(l, i);
    if (!l->here[i])
        return;
    l->here[i] = false;
    l->live -= home->weights_held + home->host_bytes;
    l->account[home->station] -= home->weights_bytes;
}

static void load(struct ledger *l, size_t i) {
    const struct plan_home *home = home_at(l, i);
    if (l->here[i])
        return;
    l->here[i] = true;
    l->live += home->weights_held + home->host_bytes;
    l->account[home->station] += home->weights_bytes;
    look(l, home->loading_bytes);
}

static void lay_out(struct ledger *l, size_t i) {
    const struct plan_home *home = home_at(l, i);
    clear(l, home->station);
    l->block[home->station] = home->workspace_held;
    l->charge[home->station] = home->workspace_bytes;
    l->live += home->workspace_held;
    l->account[home->station] += home->workspace_bytes;
    look(l, 0);
}

/* What is on a station already stays, or goes for another placement. */
static void find_residents(struct ledger *l) {
    for (size_t i = 0; i < l->team->homes_count; i++) {
        const struct plan_home *home = home_at(l, i);
        const struct station *s = &l->session->stations[home->station];
        const struct resident *r = station_resident(s, home->member);
        if (!r)
            continue;
        l->here[i] = r->placement.resident == home->placement.resident;
        if (l->here[i])
            continue;
        l->live -= plan_resident_held(r);
        l->account[home->station] -=
            r->need.charge_bytes + (s->device->shared ? r->need.host_bytes : 0);
    }
}

/* Rotating models on the stations of MEMBER go, as the schedule does it. */
static void make_room(struct ledger *l, const struct member *member) {
    for (size_t i = 0; i < l->team->homes_count; i++) {
        const struct plan_home *own = home_at(l, i);
        if (own->member != member)
            continue;
        if (!l->here[i])
            clear(l, own->station);
        for (size_t k = 0; k < l->team->homes_count; k++)
            if (k != i && home_at(l, k)->station == own->station &&
                !home_at(l, k)->stays)
                unload(l, k);
    }
}

/* MEMBER's turn: on all its stations. */
static void take_turn(struct ledger *l, const struct member *member,
                      uint64_t scratch) {
    if (l->team->rotates)
        make_room(l, member);
    for (size_t i = 0; i < l->team->homes_count; i++)
        if (home_at(l, i)->member == member)
            load(l, i);
    for (size_t i = 0; i < l->team->homes_count; i++)
        if (home_at(l, i)->member == member)
            lay_out(l, i);
    look(l, scratch);
}

static bool is_first_of_member(const struct ledger *l, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (home_at(l, k)->member == home_at(l, i)->member)
            return false;
    return true;
}

/* On all of its homes it stays. */
static bool member_stays(const struct ledger *l, const struct member *member) {
    for (size_t i = 0; i < l->team->homes_count; i++)
        if (home_at(l, i)->member == member && !home_at(l, i)->stays)
            return false;
    return true;
}

/* Models that stay come first. One round is like the next. */
static void take_turns(struct ledger *l, uint64_t scratch) {
    for (size_t i = 0; i < l->team->homes_count; i++)
        if (!l->team->rotates || member_stays(l, home_at(l, i)->member))
            load(l, i);
    for (size_t i = 0; i < l->team->homes_count; i++)
        if (is_first_of_member(l, i))
            take_turn(l, home_at(l, i)->member, scratch);
}

/* They share a workspace: the largest of them, here and as it is accounted. */
static void work_at_once(struct ledger *l, uint64_t scratch) {
    for (size_t i = 0; i < l->team->homes_count; i++)
        load(l, i);
    for (size_t i = 0; i < l->team->homes_count; i++) {
        const struct plan_home *home = home_at(l, i);
        uint64_t *block = &l->block[home->station];
        uint64_t *charge = &l->charge[home->station];
        if (home->workspace_held > *block) {
            l->live += home->workspace_held - *block;
            *block = home->workspace_held;
        }
        if (home->workspace_bytes > *charge) {
            l->account[home->station] += home->workspace_bytes - *charge;
            *charge = home->workspace_bytes;
        }
    }
    look(l, scratch);
}

static void sum_up(const struct ledger *l, struct pass_plan *plan) {
    plan->private_bytes = l->peak;
    for (size_t i = 0; i < l->team->homes_count; i++) {
        struct plan_home *home = &l->team->homes[i];
        const struct device *device =
            l->session->stations[home->station].device;
        plan->weights_bytes += home->weights_held + home->host_bytes;
        plan->mapped_bytes += home->mapped_bytes;
        home->peak_bytes = device->shared ? l->peak : l->most[home->station];
    }
    for (size_t i = 0; i < l->session->stations_count; i++)
        plan->workspace_bytes += l->block[i];
}

/* What comes behind the pass, when its windows and workspaces are gone, and its
 * models as well unless they stay warm. */
static void plan_drift(const struct ledger *l, struct pass_plan *plan) {
    uint64_t live = plan->base_bytes;
    if (l->session->options->warm) {
        live = l->live - plan->staging_bytes;
        for (size_t i = 0; i < l->session->stations_count; i++)
            live -= l->block[i];
    }
    if (live + plan->drift_bytes > plan_host_room(l->session))
        plan->drift_bytes = 0;
    if (plan->drift_bytes && live + plan->drift_bytes > plan->private_bytes)
        plan->private_bytes = live + plan->drift_bytes;
}

static void go_through(struct ledger *l, enum run_mode mode,
                       struct pass_plan *plan) {
    l->live = plan->base_bytes + plan->staging_bytes;
    for (size_t i = 0; i < l->session->stations_count; i++)
        l->account[i] = memory_live(l->session->stations[i].device->account);
    find_residents(l);
    look(l, plan->scratch_bytes);
    if (mode == MODE_SIMULTANEOUS)
        work_at_once(l, plan->scratch_bytes);
    else
        take_turns(l, plan->scratch_bytes);
    sum_up(l, plan);
    plan_drift(l, plan);
}

bool plan_pass(struct session *session, enum run_mode mode,
               struct plan_team *team, struct pass_plan *plan,
               struct error *err) {
    struct memory memory = {0}; /* not part of what is planned */
    size_t stations = session->stations_count;
    struct ledger l = {.session = session, .team = team};
    uint64_t *numbers =
        memory_zalloc(&memory, 4 * stations, sizeof *numbers, err);
    l.here = memory_zalloc(&memory, team->homes_count + 1, 1, err);
    bool fine = numbers && l.here;
    if (fine) {
        l.account = numbers;
        l.most = numbers + stations;
        l.block = numbers + 2 * stations;
        l.charge = numbers + 3 * stations;
        go_through(&l, mode, plan);
    }
    memory_free(&memory, numbers);
    memory_free(&memory, l.here);
    return fine;
}
