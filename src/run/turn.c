#include "run/turn.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "run/decision.h"
#include "run/dtype.h"
#include "run/station.h"

enum { MITIGATIONS_LISTED = 500 };

/* ---- events ------------------------------------------------------------- */

static void emit_started(const struct turn *turn) {
    const struct pass *pass = &turn->pass;
    event_emit(pass->sink, "ensemble_pass_started",
               json_pack("{s:s, s:s, s:o, s:i, s:s, s:s, s:f, s:I, s:I}",
                         "collection", pass->intake->collection->name, "model",
                         pass->member->key, "heads",
                         member_heads_list(pass->member), "pass",
                         (int)pass->number, "mode", turn->mode, "device",
                         turn->devices, "weight", pass->member->request->weight,
                         "texts_missing", (json_int_t)turn->missing,
                         "budget_tokens", (json_int_t)turn->tokens));
}

static void emit_ended(const struct turn *turn) {
    const struct pass *pass = &turn->pass;
    const struct pass_report *report = &pass->report;
    json_t *fields = json_pack(
        "{s:s, s:s, s:o, s:i, s:s, s:s, s:f, s:f, s:f, s:I, s:I, s:I, s:I, "
        "s:I, s:I}",
        "collection", pass->intake->collection->name, "model",
        pass->member->key, "heads", member_heads_list(pass->member), "pass",
        (int)pass->number, "mode", turn->mode, "device", turn->devices,
        "weight", pass->member->request->weight, "duration_ms",
        report->duration_ms, "load_ms", turn->load_ms, "computed",
        (json_int_t)report->computed, "reused", (json_int_t)report->reused,
        "tokens", (json_int_t)report->tokens, "budget_tokens",
        (json_int_t)turn->tokens, "planned_peak_bytes",
        (json_int_t)turn->plan.private_bytes, "measured_peak_bytes",
        (json_int_t)turn->peak_bytes);
    if (turn->failure.code)
        json_object_set_new(fields, "error",
                            json_string(turn->failure.message));
    event_emit(pass->sink,
               turn->failure.code ? "ensemble_pass_failed"
                                  : "ensemble_pass_completed",
               fields);
}

void turn_loaded(struct turn *turn, const struct resident *resident) {
    turn->load_ms += resident->load_ms;
    event_emit(
        turn->pass.sink, "model_loaded",
        json_pack("{s:s, s:s, s:f, s:I, s:I, s:I}", "model",
                  turn->pass.member->key, "device",
                  station_name(resident->station), "load_ms", resident->load_ms,
                  "weights_bytes", (json_int_t)resident->need.charge_bytes,
                  "layers_resident", (json_int_t)resident->placement.resident,
                  "layers", (json_int_t)turn->pass.member->charged.layers));
}

void turn_decided(struct turn *turn, const struct sink *sink,
                  const struct station *station, const char *collection,
                  const char *type, json_t *fields) {
    json_object_set_new(fields, "collection", json_string(collection));
    json_object_set_new(fields, "device", json_string(station_name(station)));
    if (turn) {
        json_object_set_new(fields, "model",
                            json_string(turn->pass.member->key));
        json_object_set_new(fields, "pass",
                            json_integer((json_int_t)turn->pass.number));
        if (json_array_size(turn->mitigations) < MITIGATIONS_LISTED) {
            json_t *entry = json_copy(fields);
            json_object_set_new(entry, "action", json_string(type));
            json_array_append_new(turn->mitigations, entry);
        }
    }
    decision_log(sink, type, fields);
    event_emit(sink, type, fields);
}

/* ---- where it was planned, what came of it ------------------------------ */

static void name_devices(struct turn *turn, const struct plan_team *team) {
    const struct session *session = turn->pass.session;
    size_t used = 0;
    turn->devices[0] = '\0';
    turn->tokens = 0;
    for (size_t i = 0; i < team->homes_count; i++) {
        const struct plan_home *home = &team->homes[i];
        if (home->member != turn->pass.member)
            continue;
        /* The CPU that nobody asked for is a fallback, and its rows are named.
         */
        turn->planned[home->station] = !session->stations[home->station].spare;
        if (home->tokens > turn->tokens)
            turn->tokens = home->tokens;
        int size = snprintf(turn->devices + used, sizeof turn->devices - used,
                            "%s%s", used ? "," : "",
                            station_name(&session->stations[home->station]));
        if (size > 0 && (size_t)size < sizeof turn->devices - used)
            used += (size_t)size;
    }
}

/* What each station did since station_begin. */
static void describe_use(struct turn *turn, const struct plan_team *team) {
    const struct session *session = turn->pass.session;
    for (size_t i = 0; i < session->stations_count; i++) {
        const struct station *s = &session->stations[i];
        const struct turn_use *use = &turn->by_station[i];
        if (!turn->planned[i] && !use->texts)
            continue;
        const struct plan_home *home =
            plan_team_home(team, i, turn->pass.member);
        double busy_ms = use->busy_ms;
        json_t *entry = json_pack(
            "{s:s, s:b, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I}", "device",
            station_name(s), "planned", turn->planned[i], "texts",
            (json_int_t)use->texts, "tokens", (json_int_t)use->tokens,
            "batches", (json_int_t)use->batches, "busy_ms", busy_ms,
            "tokens_per_second",
            busy_ms > 0 ? (double)use->tokens * 1000 / busy_ms : 0.0,
            "budget_tokens", (json_int_t)use->tokens_high, "ceiling_bytes",
            (json_int_t)s->device->account->ceiling, "margin_bytes",
            (json_int_t)s->margin, "measured_peak_bytes",
            (json_int_t)memory_peak(s->device->account));
        uint64_t overhead = station_overhead(s);
        json_object_set_new(entry, "dtype",
                            json_string(dtype_name(dtype_of(s->device))));
        if (overhead)
            json_object_set_new(entry, "overhead_bytes",
                                json_integer((json_int_t)overhead));
        if (home)
            json_object_set_new(entry, "plan", plan_describe_home(home));
        json_array_append_new(turn->use, entry);
    }
}

/* ---- opening and closing ------------------------------------------------ */

bool turn_prepare_store(struct turn *turn, struct error *err) {
    return pass_prepare_stores(&turn->pass, turn->missing, err);
}

bool turn_prepare(struct turn *turn, struct error *err) {
    struct pass *pass = &turn->pass;
    turn->prepared = true;
    turn->base_bytes = memory_live(&pass->session->memory);
    return pass_open(pass, err);
}

void turn_open(struct turn *turn, const struct plan_team *team,
               const struct pass_plan *plan) {
    struct pass *pass = &turn->pass;
    name_devices(turn, team);
    turn->plan = *plan;
    emit_started(turn);
    turn->open = turn->ran = true;
    turn->job = (struct job){.member = pass->member,
                             .window = &pass->window,
                             .heads = pass->heads,
                             .rules = &pass->engine->rules,
                             .frame = &pass->engine->frame,
                             .prompt_tokens = pass->engine->prompt_tokens,
                             .longest = turn->longest,
                             .any_sound = pass_rows(pass) > 0,
                             .pass = pass->number,
                             .context = turn};
}

void turn_open_formula(struct turn *turn, const struct pass_plan *plan) {
    snprintf(turn->devices, sizeof turn->devices, "cpu");
    turn->plan = *plan;
    emit_started(turn);
    turn->open = turn->ran = true;
}

/* Not a row of all that the collection's files would need: that is no set that
 * lacks some chunks, and must not take the place of an earlier one. */
static void judge_rows(struct turn *turn) {
    const struct pass_report *report = &turn->pass.report;
    if (turn->job.nonsense && !turn->job.any_sound) {
        job_is_nonsense(&turn->job);
        turn->failure = turn->job.failure;
    } else if (report->failed && !report->computed && !report->reused) {
        const json_t *first = json_array_get(report->failed_chunks, 0);
        error_set(&turn->failure, ERROR_VECTOR,
                  "%s: no text of %s has a sound vector (of the first one: "
                  "%s); see that the model's tokenizer is its own, and the "
                  "texts are what was meant",
                  turn->pass.member->key, turn->pass.intake->collection->name,
                  json_string_value(json_object_get(first, "reason")));
    }
}

void turn_close(struct turn *turn, const struct plan_team *team,
                const struct error *failure) {
    struct error late = {0};
    if (!turn->failure.code && !failure->code)
        judge_rows(turn);
    if (failure->code && !turn->failure.code)
        turn->failure = *failure;
    if (turn->prepared && !pass_close(&turn->pass, &late) &&
        !turn->failure.code)
        turn->failure = late;
    turn->prepared = false;
    if (!turn->open)
        return;
    turn->open = false;
    turn->peak_bytes = memory_peak(&turn->pass.session->memory);
    describe_use(turn, team);
    emit_ended(turn);
}

void turn_compare(struct turn *turn) {
    struct pass *pass = &turn->pass;
    struct memory *memory = &pass->session->memory;
    struct phases *phases = &pass->session->phases;
    enum phase before = phases_enter(phases, PHASE_DRIFT);
    bool fine = turn->ran && !turn->failure.code;
    if (fine && pass->sample.count) {
        memory_restart_peak(memory);
        turn->drift = drift_measure(pass, turn->plan.drift_bytes);
        if (memory_peak(memory) > turn->peak_bytes)
            turn->peak_bytes = memory_peak(memory);
    }
    if (fine)
        drift_tell(pass, &turn->drift);
    drift_sample_close(&pass->sample);
    phases_enter(phases, before);
}

void turn_free(struct turn *turn) {
    drift_sample_close(&turn->pass.sample);
    json_decref(turn->use);
    json_decref(turn->leases);
    json_decref(turn->mitigations);
    json_decref(turn->budgets);
    pass_free_report(&turn->pass);
}
