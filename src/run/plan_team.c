/* plan_team.c - who is where: the modes, as places of models on stations. */

#include <string.h>

#include "run/plan.h"

static size_t stations_asked_for(struct session *session) {
    size_t count = 0;
    for (size_t i = 0; i < session->stations_count; i++)
        count += !session->stations[i].spare && !session->stations[i].lost;
    return count;
}

static bool open_team(struct session *session, size_t most,
                      struct plan_team *team, struct error *err) {
    struct memory *memory = &session->memory;
    *team = (struct plan_team){0};
    team->homes = memory_zalloc(memory, most, sizeof *team->homes, err);
    return team->homes != NULL;
}

void plan_team_free(struct session *session, struct plan_team *team) {
    memory_free(&session->memory, team->homes);
    *team = (struct plan_team){0};
}

const struct plan_home *plan_team_home(const struct plan_team *team,
                                       size_t station,
                                       const struct member *member) {
    for (size_t i = 0; i < team->homes_count; i++)
        if (team->homes[i].station == station &&
            team->homes[i].member == member)
            return &team->homes[i];
    return NULL;
}

/* What is live on a station besides models and workspace of ours; with WARM
 * the models that are there for others than MEMBER count as well. */
static uint64_t bytes_kept(struct session *session, size_t station,
                           const struct member *member, bool warm) {
    const struct station *s = &session->stations[station];
    uint64_t ours = 0;
    if (s->block)
        ours = s->device->charges_shapes
                   ? s->block_charge
                   : device_block_bytes(s->device, s->block_bytes);
    for (size_t i = 0; i < s->residents_count; i++) {
        const struct resident *r = s->residents[i];
        if (!warm || r->member == member)
            ours += r->need.charge_bytes +
                    (s->device->shared ? r->need.host_bytes : 0);
    }
    uint64_t live = memory_live(s->device->account);
    return live > ours ? live - ours : 0;
}

static bool place_alone(struct session *session, const struct member *member,
                        size_t longest, bool warm, struct plan_team *team,
                        struct error *err) {
    team->homes_count = 0;
    for (size_t i = 0; i < session->stations_count; i++) {
        const struct station *station = &session->stations[i];
        struct plan_home home;
        if (station->lost || (station->spare && team->homes_count))
            continue;
        if (!plan_on_station(session, member, i, 0, longest,
                             bytes_kept(session, i, member, warm), &home, err))
            return false;
        if (home.tokens)
            team->homes[team->homes_count++] = home;
    }
    return true;
}

static bool as_good(const struct plan_team *a, const struct plan_team *b) {
    bool good = a->homes_count == b->homes_count;
    for (size_t i = 0; good && i < a->homes_count; i++)
        good = a->homes[i].tokens == b->homes[i].tokens &&
               a->homes[i].placement.resident == b->homes[i].placement.resident;
    return good;
}

bool plan_exclusive(struct session *session, const struct member *member,
                    size_t longest, struct plan_team *team, struct error *err) {
    struct plan_team beside;
    if (!plan_prepare(session, member, err) ||
        !open_team(session, session->stations_count, team, err) ||
        !place_alone(session, member, longest, false, team, err))
        return false;
    if (!team->homes_count)
        return plan_refuse(session, member, longest, err);
    if (!session->options->warm)
        return true;
    bool fine = open_team(session, session->stations_count, &beside, err) &&
                place_alone(session, member, longest, true, &beside, err);
    team->keeps_others = fine && as_good(team, &beside);
    plan_team_free(session, &beside);
    return fine;
}

/* ---- several models ----------------------------------------------------- */

static uint64_t smallest_workspace(struct session *session,
                                   const struct member *member, size_t station,
                                   size_t longest) {
    const struct device *device = session->stations[station].device;
    struct encoder_budget budget =
        encoder_budget_make(&member->spec, false, device, longest, longest);
    struct encoder_need need;
    if (!encoder_workspace(&member->spec, &member->charged, device, &budget,
                           &need, NULL))
        return UINT64_MAX / 4;
    return need.charge;
}

static bool takes_part(const struct roster *roster, const size_t *longest,
                       size_t i) {
    return !roster->members[i].error.code && longest[i] > 0;
}

/* What a model takes of a station while models take turns. */
struct part {
    bool takes_part, stays;
    uint64_t weights;
};

static uint64_t largest_weights(const struct part *parts, size_t count,
                                size_t but) {
    uint64_t most = 0;
    for (size_t i = 0; i < count; i++)
        if (parts[i].takes_part && !parts[i].stays && i != but &&
            parts[i].weights > most)
            most = parts[i].weights;
    return most;
}

/* Which weights stay on a station while models take turns: the primary's
 * first, then the others' as long as the largest of the rest and the largest
 * workspace still fit beside them. BYTES: all that stays. */
static bool find_parts(struct session *session, const struct roster *roster,
                       const size_t *longest, size_t station,
                       struct part *parts, uint64_t *bytes, struct error *err) {
    const struct station *s = &session->stations[station];
    uint64_t room = plan_room(s), space = 0;
    *bytes = bytes_kept(session, station, NULL, false);
    for (size_t i = 0; i < roster->count; i++) {
        const struct member *member = &roster->members[i];
        parts[i] = (struct part){.takes_part = takes_part(roster, longest, i)};
        if (!parts[i].takes_part)
            continue;
        if (!station_whole_bytes(s, member, &parts[i].weights, err))
            return false;
        uint64_t work =
            smallest_workspace(session, member, station, longest[i]);
        if (work > space)
            space = work;
    }
    for (size_t i = 0; i < roster->count; i++) {
        uint64_t rest = largest_weights(parts, roster->count, i);
        parts[i].stays = parts[i].takes_part &&
                         *bytes + parts[i].weights + rest + space <= room;
        if (parts[i].stays)
            *bytes += parts[i].weights;
    }
    return true;
}

static bool sequential_on(struct session *session, const struct roster *roster,
                          const size_t *longest, size_t station,
                          struct part *parts, struct plan_team *team,
                          struct error *err) {
    uint64_t bytes;
    if (!find_parts(session, roster, longest, station, parts, &bytes, err))
        return false;
    for (size_t i = 0; i < roster->count; i++) {
        uint64_t own = parts[i].stays ? parts[i].weights : 0;
        struct plan_home home;
        if (!parts[i].takes_part)
            continue;
        if (!plan_on_station(session, &roster->members[i], station, 0,
                             longest[i], bytes - own, &home, err))
            return false;
        if (!home.tokens)
            continue;
        home.stays = parts[i].stays;
        team->homes[team->homes_count++] = home;
        team->rotates = team->rotates || !parts[i].stays;
    }
    return true;
}

static bool prepare_all(struct session *session, const struct roster *roster,
                        const size_t *longest, struct error *err) {
    for (size_t i = 0; i < roster->count; i++)
        if (takes_part(roster, longest, i) && !roster->members[i].bm25 &&
            !plan_prepare(session, &roster->members[i], err))
            return false;
    return true;
}

static bool has_home(const struct plan_team *team,
                     const struct member *member) {
    for (size_t i = 0; i < team->homes_count; i++)
        if (team->homes[i].member == member)
            return true;
    return false;
}

bool plan_sequential(struct session *session, const struct roster *roster,
                     const size_t *longest, struct plan_team *team,
                     struct error *err) {
    struct memory *memory = &session->memory;
    if (!prepare_all(session, roster, longest, err) ||
        !open_team(session, session->stations_count * roster->count, team, err))
        return false;
    struct part *parts =
        memory_zalloc(memory, roster->count, sizeof *parts, err);
    bool fine = parts != NULL, missing = false;
    for (size_t s = 0; fine && s < session->stations_count; s++) {
        const struct station *station = &session->stations[s];
        if (!station->lost && (!station->spare || missing))
            fine = sequential_on(session, roster, longest, s, parts, team, err);
        missing = false;
        for (size_t i = 0; i < roster->count; i++)
            missing = missing || (takes_part(roster, longest, i) &&
                                  !has_home(team, &roster->members[i]));
    }
    memory_free(memory, parts);
    return fine;
}

/* ---- simultaneous ------------------------------------------------------- */

struct placing {
    struct session *session;
    struct plan_team *team;
    const size_t *longest;
};

/* Bytes on a station that the team's homes there take, the largest workspace
 * once. */
static uint64_t taken_on(const struct placing *p, size_t station,
                         uint64_t *space) {
    uint64_t bytes = bytes_kept(p->session, station, NULL, false);
    *space = 0;
    for (size_t i = 0; i < p->team->homes_count; i++) {
        const struct plan_home *home = &p->team->homes[i];
        if (home->station != station)
            continue;
        bytes += home->weights_bytes;
        uint64_t least = smallest_workspace(p->session, home->member, station,
                                            home->longest);
        if (least > *space)
            *space = least;
    }
    return bytes;
}

static bool place_on(struct placing *p, const struct member *member, size_t i,
                     size_t station, bool *placed, struct error *err) {
    uint64_t space, weights;
    uint64_t taken = taken_on(p, station, &space);
    const struct station *s = &p->session->stations[station];
    *placed = false;
    if (s->lost || !station_whole_bytes(s, member, &weights, err))
        return s->lost;
    uint64_t own =
        smallest_workspace(p->session, member, station, p->longest[i]);
    if (own > space)
        space = own;
    if (taken + weights + space > plan_room(s))
        return true;
    *placed = true;
    p->team->homes[p->team->homes_count++] =
        (struct plan_home){.station = station,
                           .member = member,
                           .longest = p->longest[i],
                           .weights_bytes = weights};
    return true;
}

/* The primary looks at the stations in their order, companions from the second
 * on; the CPU that was not asked for comes last by its place. */
static bool place_member(struct placing *p, const struct member *member,
                         size_t i, bool primary, struct error *err) {
    size_t count = p->session->stations_count;
    size_t cards = stations_asked_for(p->session);
    size_t first = !primary && cards > 1 ? 1 : 0;
    bool placed = false;
    for (size_t k = 0; k < cards && !placed; k++)
        if (!place_on(p, member, i, (first + k) % cards, &placed, err))
            return false;
    for (size_t s = cards; s < count && !placed; s++)
        if (!place_on(p, member, i, s, &placed, err))
            return false;
    return true;
}

bool plan_simultaneous(struct session *session, const struct roster *roster,
                       const size_t *longest, struct plan_team *team,
                       struct error *err) {
    struct placing p = {session, team, longest};
    bool primary = true;
    if (!prepare_all(session, roster, longest, err) ||
        !open_team(session, roster->count, team, err))
        return false;
    for (size_t i = 0; i < roster->count; i++) {
        if (!takes_part(roster, longest, i))
            continue;
        if (!place_member(&p, &roster->members[i], i, primary, err))
            return false;
        primary = false;
    }
    for (size_t i = 0; i < team->homes_count; i++) {
        uint64_t space;
        struct plan_home *home = &team->homes[i];
        uint64_t others =
            taken_on(&p, home->station, &space) - home->weights_bytes;
        if (!plan_on_station(session, home->member, home->station, 0,
                             home->longest, others, home, err))
            return false;
    }
    return true;
}

/* ---- which mode --------------------------------------------------------- */

/* Whether all models fit beside each other on the devices that were asked for.
 * Before their texts are known: with the longest that they take. */
static bool all_fit(struct session *session, const struct roster *roster) {
    struct memory *memory = &session->memory;
    struct plan_team team = {0};
    size_t asked = 0;
    size_t *longest =
        memory_alloc(memory, roster->count, sizeof *longest, NULL);
    for (size_t i = 0; longest && i < roster->count; i++)
        longest[i] = roster->members[i].spec.max_length;
    bool fine =
        longest && plan_simultaneous(session, roster, longest, &team, NULL);
    for (size_t i = 0; i < team.homes_count; i++)
        asked += !session->stations[team.homes[i].station].spare &&
                 team.homes[i].tokens > 0;
    plan_team_free(session, &team);
    memory_free(memory, longest);
    return fine && asked == roster_models(roster);
}

enum run_mode plan_mode(struct session *session, const struct roster *roster,
                        size_t collections, const char **reason) {
    if (!roster_models(roster)) {
        *reason = "no model computes on a device";
        return MODE_EXCLUSIVE;
    }
    if (roster_models(roster) < 2) {
        *reason = "there is one model: it has every device to itself";
        return MODE_EXCLUSIVE;
    }
    if (collections < 2) {
        *reason = "one collection: each model is loaded once, and alone it has "
                  "the largest batches on every device";
        return MODE_EXCLUSIVE;
    }
    if (all_fit(session, roster)) {
        *reason = "several collections, and all models fit on the devices "
                  "together: none is loaded twice";
        return MODE_SIMULTANEOUS;
    }
    *reason = "the models do not fit on the devices together: one at a time "
              "has each device to itself";
    return MODE_EXCLUSIVE;
}
