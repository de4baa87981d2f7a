/* recorder.h - what the report draws: a bounded memory of a run's events.
 *
 * Telemetry gives it every event and warning. Lists keep their first entries
 * and count the others; batches are merged two by two when there are too many,
 * so that the chart covers the whole run; the slowest are kept one by one.
 *
 *     struct recorder *recorder = recorder_create(memory, err);
 *     telemetry.recorder = recorder;
 *     ...
 *     json_t *list = recorder_list(recorder, RECORDED_MITIGATIONS);
 *     report_write(path, summary, recorder, series, memory, err);
 *     recorder_free(recorder);
 *
 * All memory but the lists' JSON is taken at its creation. Used by one thread.
 */

#ifndef RUN_RECORDER_H
#define RUN_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/event.h"
#include "base/memory.h"
#include "run/tally.h"

enum {
    RECORDED_BATCHES_MAX = 2048,
    RECORDED_SLOWEST_MAX = 20,
    RECORDED_SERIES_MAX = 32, /* pairs of model and device */
    RECORDED_NAME_BYTES = 128
};

/* X(KIND, name in reports, most entries) */
#define RECORDED_KINDS(X)                                                      \
    X(RECORDED_MITIGATIONS, "mitigations", 1000)                               \
    X(RECORDED_LEASES, "leases", 500)                                          \
    X(RECORDED_PASSES, "passes", 1000)                                         \
    X(RECORDED_MODELS, "models", 500)                                          \
    X(RECORDED_CACHE, "cache", 200)                                            \
    X(RECORDED_RETRIES, "retries", 200)                                        \
    X(RECORDED_FAILURES, "failures", 200)                                      \
    X(RECORDED_WARNINGS, "warnings", 200)

enum recorded_kind {
#define RECORDED_ENUM(kind, name, most) kind,
    RECORDED_KINDS(RECORDED_ENUM)
#undef RECORDED_ENUM
        RECORDED_KINDS_COUNT
};

/* One batch, or several neighbours of one series after merging. */
struct recorded_batch {
    int64_t t_ms;    /* when the first of them ended */
    unsigned series; /* index into recorder.series */
    uint32_t batches;
    uint64_t texts, tokens;
    double duration_ms; /* the sum */
};

struct recorded_series {
    char model[RECORDED_NAME_BYTES], device[RECORDED_NAME_BYTES];
};

struct recorded_slow {
    int64_t t_ms;
    unsigned series, pass;
    uint64_t batch, texts, tokens, budget_tokens;
    double duration_ms;
    uint64_t free_after_bytes;
};

struct recorder {
    struct memory *memory; /* borrowed */
    struct tally types;    /* every event, by type */
    /* [{"t_ms", "type", fields}]; warnings: {"t_ms", "level", "message"} */
    json_t *lists[RECORDED_KINDS_COUNT];
    uint64_t overflow[RECORDED_KINDS_COUNT];
    struct recorded_series series[RECORDED_SERIES_MAX];
    size_t series_count;
    struct recorded_batch *batches; /* owned, [RECORDED_BATCHES_MAX] */
    size_t batches_count;
    uint64_t batches_seen;
    struct recorded_slow slowest[RECORDED_SLOWEST_MAX]; /* slowest first */
    size_t slowest_count;
};

struct recorder *recorder_create(struct memory *memory, struct error *err);
void recorder_free(struct recorder *recorder); /* NULL is fine */

/* FIELDS is borrowed for the call. Members may be absent or of another type.
 */
void recorder_event(struct recorder *recorder, int64_t t_ms, const char *type,
                    const json_t *fields);
/* Warnings and errors are kept. */
void recorder_log(struct recorder *recorder, int64_t t_ms, enum log_level level,
                  const char *message);

/* What stands in the list by now. The caller owns the array. */
json_t *recorder_list(const struct recorder *recorder, enum recorded_kind kind);

/* {LIST: entries that found no room}, only those that overflowed. */
json_t *recorder_overflow(const struct recorder *recorder);

/* Is TYPE a decision under pressure (docs/events.md)? */
bool recorder_is_mitigation(const char *type);

double recorded_ms_per_token(double duration_ms, uint64_t tokens);

#endif
