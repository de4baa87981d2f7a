/* plan_command_passes.c - the passes of a collection: which models go where,
 * and what each pass takes, as the run itself would place them. */

#include "run/plan_command_parts.h"

#include "run/crew.h"
#include "run/drift.h"
#include "run/estimate.h"
#include "run/pass.h"
#include "run/pass_bm25.h"

static json_t *describe_homes(const struct planning *p,
                              const struct plan_team *team,
                              const struct member *member) {
    json_t *list = json_array();
    for (size_t i = 0; i < team->homes_count; i++) {
        const struct plan_home *home = &team->homes[i];
        if (home->member != member)
            continue;
        const struct station *s = &p->session->stations[home->station];
        bool all = home->placement.resident >= member->charged.layers;
        json_t *entry = plan_describe_home(home);
        json_object_set_new(entry, "device", json_string(station_name(s)));
        json_object_set_new(entry, "host_bytes",
                            json_integer((json_int_t)home->host_bytes));
        json_object_set_new(
            entry, "why",
            json_string(s->spare ? "no device that was asked for has room"
                        : all    ? "it fits there whole"
                                 : "not all layers fit: the others stream"));
        json_array_append_new(list, entry);
    }
    return list;
}

static bool estimate_pass(struct planning *p, size_t i,
                          const struct plan_team *team, json_t *entry,
                          struct error *err) {
    uint64_t tokens, texts = p->intake->counts.unique;
    double rate = 0;
    if (!estimate_tokens(p->engines[i], p->intake, &tokens, err))
        return false;
    for (size_t k = 0; k < team->homes_count; k++)
        if (team->homes[k].member == planning_member(p, i))
            rate += p->rates[team->homes[k].station];
    double length = texts ? (double)tokens / (double)texts : 0;
    double flops =
        estimate_flops(planning_member(p, i), length) * (double)tokens;
    json_object_set_new(
        entry, "estimate",
        json_pack("{s:I, s:f, s:o, s:s}", "tokens", (json_int_t)tokens,
                  "flops_per_token",
                  estimate_flops(planning_member(p, i), length), "seconds",
                  rate > 0 ? json_real(flops / rate) : json_null(), "how",
                  "tokens of the first 1000 texts, times the arithmetic of a "
                  "token, over the rate of a matrix product measured for 20 "
                  "ms on each device"));
    return true;
}

/* STAGING counts as taken from here on, as it would be when models are placed;
 * end_plan ends that. */
static bool begin_plan(const struct planning *p, uint64_t staging,
                       struct pass_plan *plan, struct error *err) {
    struct memory *memory = &p->session->memory;
    *plan = (struct pass_plan){.base_bytes = memory_live(memory),
                               .staging_bytes = staging,
                               .scratch_bytes =
                                   pass_scratch_bytes(p->session, p->intake)};
    return memory_charge(memory, staging, NULL, err);
}

/* As if no row was there yet. LIVE: when the pass is over. */
static uint64_t drift_of(const struct planning *p, size_t i, uint64_t live) {
    return drift_bytes(p->session, planning_member(p, i),
                       p->intake->counts.unique, p->longest[i], live);
}

static void end_plan(const struct planning *p, const struct pass_plan *plan) {
    memory_discharge(&p->session->memory, plan->staging_bytes);
}

static bool describe_pass(struct planning *p, size_t i,
                          const struct plan_team *team,
                          const struct pass_plan *plan, json_t *list,
                          struct error *err) {
    const struct session *session = p->session;
    json_t *budgets = NULL;
    json_t *entry =
        json_pack("{s:s, s:b, s:o, s:o, s:o, s:I, s:I}", "model",
                  planning_member(p, i)->key, "fits", true, "heads",
                  member_heads_list(planning_member(p, i)), "homes",
                  describe_homes(p, team, planning_member(p, i)), "memory",
                  plan_describe(plan), "process_base_bytes",
                  (json_int_t)session->base.resident, "planned_resident_bytes",
                  (json_int_t)(session->base.resident + plan->private_bytes +
                               plan->mapped_bytes));
    json_array_append_new(list, entry);
    if (!plan_budgets(p->session, p->roster, p->longest, planning_member(p, i),
                      &budgets, err))
        return false;
    json_object_set_new(entry, "budgets", budgets);
    return estimate_pass(p, i, team, entry, err);
}

static json_t *refused(const struct member *member, const struct error *why) {
    return json_pack("{s:s, s:b, s:s}", "model", member->key, "fits", false,
                     "reason", why->message);
}

static bool plan_alone(struct planning *p, size_t i, json_t *list,
                       struct error *err) {
    const struct member *member = planning_member(p, i);
    struct plan_team team = {0};
    struct error refusal = {0};
    struct pass_plan plan;
    bool begun =
        begin_plan(p, pass_staging_bytes(p->intake, member, p->engines[i]),
                   &plan, &refusal);
    bool fits = begun && plan_exclusive(p->session, member, p->longest[i],
                                        &team, &refusal);
    plan.drift_bytes = begun ? drift_of(p, i, plan.base_bytes) : 0;
    pass_blame_longest(p->session, p->intake, &refusal);
    bool fine = fits || refusal.code == ERROR_MEMORY ||
                error_set(err, refusal.code, "%s", refusal.message);
    if (!fits)
        json_array_append_new(list, refused(member, &refusal));
    else
        fine = plan_pass(p->session, MODE_EXCLUSIVE, &team, &plan, err) &&
               describe_pass(p, i, &team, &plan, list, err);
    if (begun)
        end_plan(p, &plan);
    plan_team_free(p->session, &team);
    return fine;
}

static bool has_home(const struct plan_team *team,
                     const struct member *member) {
    for (size_t i = 0; i < team->homes_count; i++)
        if (team->homes[i].member == member && team->homes[i].tokens)
            return true;
    return false;
}

/* Formulas come first, as in a run; what they take they give back. */
static void plan_formulas(const struct planning *p, json_t *list) {
    for (size_t i = 0; i < p->roster->count; i++) {
        const struct member *member = planning_member(p, i);
        struct pass_plan plan = {.base_bytes = memory_live(&p->session->memory),
                                 .staging_bytes = pass_bm25_bytes(p->intake)};
        if (!member->bm25)
            continue;
        plan.private_bytes = plan.base_bytes + plan.staging_bytes;
        json_array_append_new(
            list,
            json_pack(
                "{s:s, s:b, s:o, s:[], s:o, s:I, s:I}", "model", member->key,
                "fits", true, "heads", member_heads_list(member), "homes",
                "memory", plan_describe(&plan), "process_base_bytes",
                (json_int_t)p->session->base.resident, "planned_resident_bytes",
                (json_int_t)(p->session->base.resident + plan.private_bytes)));
    }
}

static bool plan_together(struct planning *p, json_t *list, struct error *err) {
    struct plan_team team = {0};
    struct pass_plan plan;
    uint64_t staging = 0;
    for (size_t i = 0; i < p->roster->count; i++)
        if (p->engines[i])
            staging += pass_staging_bytes(p->intake, planning_member(p, i),
                                          p->engines[i]);
    if (!begin_plan(p, staging, &plan, err)) {
        pass_blame_longest(p->session, p->intake, err);
        return false;
    }
    for (size_t i = 0; i < p->roster->count; i++) {
        uint64_t bytes = p->engines[i] ? drift_of(p, i, plan.base_bytes) : 0;
        if (bytes > plan.drift_bytes)
            plan.drift_bytes = bytes;
    }
    bool fine =
        (p->mode == MODE_SEQUENTIAL
             ? plan_sequential(p->session, p->roster, p->longest, &team, err)
             : plan_simultaneous(p->session, p->roster, p->longest, &team,
                                 err)) &&
        plan_pass(p->session, p->mode, &team, &plan, err);
    for (size_t i = 0; fine && i < p->roster->count; i++) {
        struct error refusal = {0};
        if (!p->engines[i])
            continue;
        if (has_home(&team, planning_member(p, i))) {
            fine = describe_pass(p, i, &team, &plan, list, err);
            continue;
        }
        plan_refuse(p->session, planning_member(p, i), p->longest[i], &refusal);
        json_array_append_new(list, refused(planning_member(p, i), &refusal));
    }
    end_plan(p, &plan);
    plan_team_free(p->session, &team);
    return fine;
}

bool planning_passes(struct planning *p, json_t *list, struct error *err) {
    for (size_t i = 0; i < p->roster->count; i++)
        p->longest[i] =
            p->engines[i]
                ? pass_longest(p->intake, planning_member(p, i), p->engines[i])
                : 0;
    plan_formulas(p, list);
    if (!roster_models(p->roster))
        return true;
    if (p->mode != MODE_EXCLUSIVE)
        return plan_together(p, list, err);
    for (size_t i = 0; i < p->roster->count; i++)
        if (p->engines[i] && !plan_alone(p, i, list, err))
            return false;
    return true;
}

/* Of texts that will be compared with f32. */
static uint64_t samples_bytes(const struct planning *p) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < p->roster->count; i++)
        if (p->engines[i] && drift_is_due(p->session, planning_member(p, i)))
            bytes += drift_sample_bytes(
                drift_texts(p->intake->counts.unique),
                pass_longest(p->intake, planning_member(p, i), p->engines[i]));
    return bytes;
}

uint64_t planning_common_bytes(const struct planning *p) {
    struct crew_size size =
        crew_size_for(p->session, p->roster, p->engines, p->intake);
    uint64_t stores = 0;
    for (size_t i = 0; i < p->roster->count; i++)
        for (enum row_kind h = 0; h < ROW_KINDS; h++)
            stores += !planning_member(p, i)->error.code &&
                      member_has(planning_member(p, i), h);
    uint64_t crew =
        roster_models(p->roster) ? crew_bytes(p->session, &size) : 0;
    return crew + samples_bytes(p) +
           stores * (store_bytes_open() +
                     store_bytes_index(p->intake->counts.unique));
}
