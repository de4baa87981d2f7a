#include "run/recorder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "run/lookup.h"

static const struct {
    const char *type;
    enum recorded_kind kind;
} kinds[] = {
    {"budget_shrunk", RECORDED_MITIGATIONS},
    {"budget_grown", RECORDED_MITIGATIONS},
    {"batch_split", RECORDED_MITIGATIONS},
    {"companion_moved", RECORDED_MITIGATIONS},
    {"companion_paused", RECORDED_MITIGATIONS},
    {"companion_resumed", RECORDED_MITIGATIONS},
    {"layers_streamed", RECORDED_MITIGATIONS},
    {"layers_restored", RECORDED_MITIGATIONS},
    {"model_moved", RECORDED_MITIGATIONS},
    {"cpu_fallback", RECORDED_MITIGATIONS},
    {"device_left_out", RECORDED_MITIGATIONS},
    {"device_lost", RECORDED_MITIGATIONS},
    {"batch_recomputed", RECORDED_MITIGATIONS},
    {"lease_waiting", RECORDED_LEASES},
    {"lease_acquired", RECORDED_LEASES},
    {"lease_released", RECORDED_LEASES},
    {"mode_chosen", RECORDED_PASSES},
    {"ensemble_pass_started", RECORDED_PASSES},
    {"ensemble_pass_completed", RECORDED_PASSES},
    {"ensemble_pass_failed", RECORDED_PASSES},
    {"model_loaded", RECORDED_MODELS},
    {"model_unloaded", RECORDED_MODELS},
    {"cache", RECORDED_CACHE},
    {"retrying", RECORDED_RETRIES},
    {"vector_failed", RECORDED_FAILURES},
};

static const struct {
    const char *name;
    size_t most;
} lists[] = {
#define RECORDED_LIST(kind, name, most) {name, most},
    RECORDED_KINDS(RECORDED_LIST)
#undef RECORDED_LIST
};

/* RECORDED_KINDS_COUNT: it goes to no list. */
static enum recorded_kind kind_of(const char *type) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return kinds[i].kind;
    return RECORDED_KINDS_COUNT;
}

bool recorder_is_mitigation(const char *type) {
    return kind_of(type) == RECORDED_MITIGATIONS;
}

struct recorder *recorder_create(struct memory *memory, struct error *err) {
    struct recorder *recorder = memory_zalloc(memory, 1, sizeof *recorder, err);
    if (!recorder)
        return NULL;
    recorder->memory = memory;
    recorder->batches = memory_alloc(memory, RECORDED_BATCHES_MAX,
                                     sizeof *recorder->batches, err);
    for (int i = 0; i < RECORDED_KINDS_COUNT; i++)
        recorder->lists[i] = json_array();
    if (recorder->batches)
        return recorder;
    recorder_free(recorder);
    return NULL;
}

void recorder_free(struct recorder *recorder) {
    if (!recorder)
        return;
    for (int i = 0; i < RECORDED_KINDS_COUNT; i++)
        json_decref(recorder->lists[i]);
    memory_free(recorder->memory, recorder->batches);
    memory_free(recorder->memory, recorder);
}

static void keep(struct recorder *recorder, enum recorded_kind kind,
                 json_t *entry) {
    json_t *list = recorder->lists[kind];
    if (!entry || json_array_size(list) >= lists[kind].most) {
        recorder->overflow[kind]++;
        json_decref(entry);
    } else {
        json_array_append_new(list, entry);
    }
}

static json_t *entry_of(int64_t t_ms, const char *type, const json_t *fields) {
    json_t *entry =
        json_pack("{s:I, s:s}", "t_ms", (json_int_t)t_ms, "type", type);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)fields, key, value) {
        if (!json_object_get(entry, key))
            json_object_set(entry, key, value);
    }
    return entry;
}

/* ---- batches ------------------------------------------------------------ */

/* The last series stands for all that found no place. */
static unsigned series_of(struct recorder *recorder, const json_t *fields) {
    struct recorded_series wanted;
    snprintf(wanted.model, sizeof wanted.model, "%s",
             lookup_text(fields, "model"));
    snprintf(wanted.device, sizeof wanted.device, "%s",
             lookup_text(fields, "device"));
    size_t i = 0;
    while (i < recorder->series_count &&
           (strcmp(recorder->series[i].model, wanted.model) != 0 ||
            strcmp(recorder->series[i].device, wanted.device) != 0))
        i++;
    if (i == recorder->series_count) {
        if (i == RECORDED_SERIES_MAX)
            return RECORDED_SERIES_MAX - 1;
        if (i == RECORDED_SERIES_MAX - 1)
            wanted = (struct recorded_series){"others", ""};
        recorder->series[recorder->series_count++] = wanted;
    }
    return (unsigned)i;
}

double recorded_ms_per_token(double duration_ms, uint64_t tokens) {
    return duration_ms / (double)(tokens ? tokens : 1);
}

/* Neighbours of one series become one; a series of an odd count keeps its last
 * alone. At most half and one a series are left. */
static void merge_batches(struct recorder *recorder) {
    size_t open[RECORDED_SERIES_MAX];
    memset(open, 0xff, sizeof open);
    size_t kept = 0;
    for (size_t i = 0; i < recorder->batches_count; i++) {
        struct recorded_batch batch = recorder->batches[i];
        size_t at = open[batch.series];
        if (at == SIZE_MAX) {
            open[batch.series] = kept;
            recorder->batches[kept++] = batch;
            continue;
        }
        struct recorded_batch *into = &recorder->batches[at];
        into->batches += batch.batches;
        into->texts += batch.texts;
        into->tokens += batch.tokens;
        into->duration_ms += batch.duration_ms;
        open[batch.series] = SIZE_MAX;
    }
    recorder->batches_count = kept;
}

static void keep_slow(struct recorder *recorder,
                      const struct recorded_slow *slow) {
    double speed = recorded_ms_per_token(slow->duration_ms, slow->tokens);
    size_t at = recorder->slowest_count;
    while (at > 0 &&
           speed > recorded_ms_per_token(recorder->slowest[at - 1].duration_ms,
                                         recorder->slowest[at - 1].tokens))
        at--;
    if (at == RECORDED_SLOWEST_MAX)
        return;
    if (recorder->slowest_count < RECORDED_SLOWEST_MAX)
        recorder->slowest_count++;
    memmove(&recorder->slowest[at + 1], &recorder->slowest[at],
            (recorder->slowest_count - 1 - at) * sizeof *slow);
    recorder->slowest[at] = *slow;
}

static void add_batch(struct recorder *recorder, int64_t t_ms,
                      const json_t *fields) {
    unsigned series = series_of(recorder, fields);
    struct recorded_slow slow = {
        .t_ms = t_ms,
        .series = series,
        .pass = (unsigned)lookup_count(fields, "pass"),
        .batch = lookup_count(fields, "batch"),
        .texts = lookup_count(fields, "texts"),
        .tokens = lookup_count(fields, "tokens"),
        .budget_tokens = lookup_count(fields, "budget_tokens"),
        .duration_ms = fmax(0, lookup_real(fields, "duration_ms")),
        .free_after_bytes = lookup_count(fields, "free_after_bytes")};
    keep_slow(recorder, &slow);
    if (recorder->batches_count == RECORDED_BATCHES_MAX)
        merge_batches(recorder);
    recorder->batches[recorder->batches_count++] = (struct recorded_batch){
        t_ms, series, 1, slow.texts, slow.tokens, slow.duration_ms};
    recorder->batches_seen++;
}

/* ---- what comes in and goes out ----------------------------------------- */

void recorder_event(struct recorder *recorder, int64_t t_ms, const char *type,
                    const json_t *fields) {
    tally_add(&recorder->types, type);
    enum recorded_kind kind = kind_of(type);
    if (kind < RECORDED_KINDS_COUNT)
        keep(recorder, kind, entry_of(t_ms, type, fields));
    else if (strcmp(type, "batch_completed") == 0)
        add_batch(recorder, t_ms, fields);
}

void recorder_log(struct recorder *recorder, int64_t t_ms, enum log_level level,
                  const char *message) {
    if (level < LOG_WARNING)
        return;
    keep(recorder, RECORDED_WARNINGS,
         json_pack("{s:I, s:s, s:o}", "t_ms", (json_int_t)t_ms, "level",
                   level == LOG_WARNING ? "warning" : "error", "message",
                   json_any_text(message)));
}

json_t *recorder_list(const struct recorder *recorder,
                      enum recorded_kind kind) {
    return json_copy(recorder->lists[kind]);
}

json_t *recorder_overflow(const struct recorder *recorder) {
    json_t *object = json_object();
    for (int i = 0; i < RECORDED_KINDS_COUNT; i++)
        if (recorder->overflow[i])
            json_object_set_new(
                object, lists[i].name,
                json_integer((json_int_t)recorder->overflow[i]));
    return object;
}
