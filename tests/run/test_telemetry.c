/* test_telemetry.c - events.jsonl holds what happened: line by line, and when
 * there is no room for all of it, what matters. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/lookup.h"
#include "run/scene.h"
#include "run/telemetry.h"

struct seen {
    struct tally types;
    uint64_t logs, progress;
};

static void see_event(void *context, const char *type, const json_t *fields) {
    assert_true(json_is_object(fields));
    tally_add(&((struct seen *)context)->types, type);
}

static void see_log(void *context, enum log_level level, const char *message) {
    (void)level;
    (void)message;
    ((struct seen *)context)->logs++;
}

static void see_progress(void *context, const struct progress *progress) {
    (void)progress;
    ((struct seen *)context)->progress++;
}

/* The types in PATH, and that each line is an event. */
static struct tally read_back(const char *path) {
    struct tally types = {0};
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    static char line[65536];
    int64_t before_ms = 0;
    while (fgets(line, sizeof line, file)) {
        json_t *event = json_loads(line, 0, NULL);
        assert_non_null(event);
        assert_int_equal(lookup_count(event, "v"), 1);
        assert_int_equal(strlen(lookup_text(event, "run")), 32);
        int64_t t_ms = (int64_t)lookup_count(event, "t_ms");
        assert_true(t_ms >= before_ms);
        before_ms = t_ms;
        tally_add(&types, lookup_text(event, "type"));
        json_decref(event);
    }
    fclose(file);
    return types;
}

static void every_event_goes_everywhere(void **state) {
    (void)state;
    struct memory memory = {0};
    struct seen seen = {0};
    struct sink outer = {.context = &seen, .event = see_event, .log = see_log};
    struct telemetry telemetry;
    const char *path = scene_path("events.jsonl");
    unlink(path);
    assert_true(telemetry_open(&telemetry, path, clock_now_ns(), &outer, NULL));
    telemetry.recorder = recorder_create(&memory, NULL);
    for (int i = 0; i < SCENE_EACH; i++)
        event_emit(&telemetry.sink, scene_each[i][0],
                   scene_fields(scene_each[i][1]));
    event_log(&telemetry.sink, LOG_WARNING, "careful");
    telemetry_close(&telemetry);
    struct tally written = read_back(path);
    assert_int_equal(written.count, SCENE_EACH);
    for (int i = 0; i < SCENE_EACH; i++) {
        const char *type = scene_each[i][0];
        assert_int_equal(tally_of(&written, type), 1);
        assert_int_equal(tally_of(&seen.types, type), 1);
        assert_int_equal(tally_of(&telemetry.recorder->types, type), 1);
    }
    assert_int_equal(seen.logs, 1);
    assert_int_equal(
        json_array_size(telemetry.recorder->lists[RECORDED_WARNINGS]), 1);
    recorder_free(telemetry.recorder);
    scene_remove("events.jsonl");
}

/* What was before the file is in it at its own time, and in the recorder; who
 * heard of it then does not hear it twice. */
static void what_was_before_is_told_once(void **state) {
    (void)state;
    enum { AGO_MS = 5000 };
    struct memory memory = {0};
    struct seen seen = {0};
    struct sink outer = {.context = &seen, .event = see_event, .log = see_log};
    struct telemetry telemetry;
    struct kept_events kept;
    const char *path = scene_path("early.jsonl");
    unlink(path);
    kept_events_begin(&kept, &outer);
    event_emit(&kept.sink, "retrying", json_pack("{s:s}", "cause", "502"));
    event_log(&kept.sink, LOG_WARNING, "a ceiling above the roof");
    event_log(&kept.sink, LOG_INFO, "by the way");
    clock_sleep_ms(20);
    int64_t begin_ns = clock_now_ns() - AGO_MS * 1000000LL;
    assert_true(telemetry_open(&telemetry, path, begin_ns, &outer, NULL));
    telemetry.recorder = recorder_create(&memory, NULL);
    telemetry_catch_up(&telemetry, &kept);
    kept_events_free(&kept);
    event_emit(&telemetry.sink, "run_started", NULL);
    telemetry_close(&telemetry);
    struct tally written = read_back(path);
    assert_int_equal(tally_of(&written, "retrying"), 1);
    assert_int_equal(tally_of(&seen.types, "retrying"), 1);
    assert_int_equal(seen.logs, 2);
    assert_true(telemetry_now_ms(&telemetry) >= AGO_MS);
    struct recorder *recorder = telemetry.recorder;
    assert_int_equal(tally_of(&recorder->types, "retrying"), 1);
    json_t *retries = recorder->lists[RECORDED_RETRIES];
    json_t *warnings = recorder->lists[RECORDED_WARNINGS];
    assert_int_equal(json_array_size(retries), 1);
    assert_int_equal(json_array_size(warnings), 1);
    json_t *warning = json_array_get(warnings, 0);
    assert_string_equal(lookup_text(warning, "message"),
                        "a ceiling above the roof");
    assert_string_equal(lookup_text(warning, "level"), "warning");
    uint64_t at_ms = lookup_count(json_array_get(retries, 0), "t_ms");
    assert_true(at_ms > AGO_MS / 2 && at_ms <= AGO_MS - 20);
    recorder_free(recorder);
    scene_remove("early.jsonl");
}

static void emit_times(struct telemetry *telemetry, const char *type,
                       int times) {
    for (int i = 0; i < times; i++)
        event_emit(&telemetry->sink, type, json_pack("{s:i}", "batch", i));
}

/* Batches fill the file first, then mitigations; the ends still find room. */
static void what_matters_finds_room(void **state) {
    (void)state;
    struct telemetry telemetry;
    const char *path = scene_path("many.jsonl");
    unlink(path);
    assert_true(telemetry_open(&telemetry, path, clock_now_ns(), NULL, NULL));
    emit_times(&telemetry, "run_started", 1);
    emit_times(&telemetry, "batch_completed", 25000);
    emit_times(&telemetry, "chunk_truncated", 100);
    emit_times(&telemetry, "chunk_problem", 100);
    emit_times(&telemetry, "budget_shrunk", 4000);
    emit_times(&telemetry, "lease_released", 10);
    emit_times(&telemetry, "ensemble_pass_completed", 500);
    emit_times(&telemetry, "collection_ended", 3);
    emit_times(&telemetry, "run_ended", 1);
    telemetry_close(&telemetry);
    struct tally written = read_back(path);
    assert_int_equal(tally_of(&written, "run_started"), 1);
    assert_int_equal(tally_of(&written, "batch_completed"), 16000 - 1);
    assert_int_equal(tally_of(&written, "chunk_truncated"), 0);
    assert_int_equal(tally_of(&written, "budget_shrunk"), 3000);
    assert_int_equal(tally_of(&written, "lease_released"), 0);
    assert_int_equal(tally_of(&written, "ensemble_pass_completed"), 500);
    assert_int_equal(tally_of(&written, "collection_ended"), 3);
    assert_int_equal(tally_of(&written, "run_ended"), 1);
    json_t *dropped = telemetry_dropped(&telemetry);
    json_t *should = json_pack("{s:i,s:i,s:i,s:i,s:i}", "batch_completed", 9001,
                               "chunk_truncated", 100, "chunk_problem", 100,
                               "budget_shrunk", 1000, "lease_released", 10);
    assert_true(json_equal(dropped, should));
    assert_int_equal(telemetry.dropped, 9001 + 100 + 100 + 1000 + 10);
    json_decref(dropped);
    json_decref(should);
    scene_remove("many.jsonl");
}

static void the_file_never_passes_its_limit(void **state) {
    (void)state;
    struct telemetry telemetry;
    const char *path = scene_path("many.jsonl");
    unlink(path);
    assert_true(telemetry_open(&telemetry, path, clock_now_ns(), NULL, NULL));
    emit_times(&telemetry, "run_ended", EVENTS_MAX + 7);
    telemetry_close(&telemetry);
    struct tally written = read_back(path);
    assert_int_equal(tally_of(&written, "run_ended"), EVENTS_MAX);
    assert_int_equal(telemetry.dropped, 7);
    scene_remove("many.jsonl");
}

/* As a disk that has room for COUNT bytes more in PATH. */
static void leave_room(const char *path, rlim_t count) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = count == RLIM_INFINITY ? limit.rlim_max
                                            : (rlim_t)status.st_size + count;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_leaves_no_half_line(void **state) {
    (void)state;
    struct telemetry telemetry;
    const char *path = scene_path("full.jsonl");
    signal(SIGXFSZ, SIG_IGN);
    assert_true(telemetry_open(&telemetry, path, clock_now_ns(), NULL, NULL));
    emit_times(&telemetry, "run_started", 1);
    leave_room(path, 40);
    emit_times(&telemetry, "batch_completed", 3);
    leave_room(path, RLIM_INFINITY);
    emit_times(&telemetry, "run_ended", 1);
    telemetry_close(&telemetry);
    struct tally types = read_back(path);
    assert_int_equal(tally_of(&types, "run_started"), 1);
    assert_int_equal(tally_of(&types, "batch_completed"), 0);
    assert_int_equal(tally_of(&types, "run_ended"), 1);
    assert_int_equal(telemetry.dropped, 3);
    scene_remove("full.jsonl");
}

static void read_card(void *context, struct sample_device *devices,
                      size_t count) {
    (void)context;
    for (size_t d = 0; d < count; d++) {
        snprintf(devices[d].name, sizeof devices[d].name, "card %zu", d);
        devices[d].total_bytes = 100;
    }
}

static void samples_come_between_the_events(void **state) {
    (void)state;
    struct memory memory = {0};
    struct seen seen = {0};
    struct sink outer = {
        .context = &seen, .event = see_event, .progress = see_progress};
    struct sampler sampler;
    struct sampler_setup setup = {
        .memory = &memory, .devices = 2, .read = read_card};
    struct telemetry telemetry;
    assert_true(telemetry_open(&telemetry, NULL, clock_now_ns(), &outer, NULL));
    assert_true(sampler_start(&sampler, &setup, NULL));
    telemetry.recorder = recorder_create(&memory, NULL);
    telemetry.sampler = &sampler;
    event_emit(&telemetry.sink, "run_started", NULL);
    assert_int_equal(tally_of(&seen.types, "memory_sample"), 1);
    event_emit(&telemetry.sink, "collection_started", NULL);
    assert_int_equal(tally_of(&seen.types, "memory_sample"), 1);
    /* A second, then two, then four: as if the time had come each time. */
    int64_t period_ms = telemetry.sample_period_ms;
    struct progress progress = {0};
    for (int i = 1; i < 2 * SAMPLES_PER_PERIOD; i++) {
        telemetry.sample_at_ms = 0;
        event_progress(&telemetry.sink, &progress);
    }
    assert_int_equal(tally_of(&seen.types, "memory_sample"),
                     2 * SAMPLES_PER_PERIOD);
    assert_int_equal(seen.progress, 2 * SAMPLES_PER_PERIOD - 1);
    assert_int_equal(telemetry.sample_period_ms, 4 * period_ms);
    /* Decisions and loads are looked at themselves. */
    sampler_stop(&sampler);
    uint64_t before = sampler_series(&sampler)->run.samples;
    emit_times(&telemetry, "batch_completed", 5);
    assert_int_equal(sampler_series(&sampler)->run.samples, before);
    emit_times(&telemetry, "budget_shrunk", 1);
    emit_times(&telemetry, "model_loaded", 1);
    emit_times(&telemetry, "ensemble_pass_completed", 1);
    assert_int_equal(sampler_series(&sampler)->run.samples, before + 3);
    sampler_close(&sampler);
    recorder_free(telemetry.recorder);
    telemetry_close(&telemetry);
    assert_int_equal(memory_live(&memory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_goes_everywhere),
        cmocka_unit_test(what_was_before_is_told_once),
        cmocka_unit_test(what_matters_finds_room),
        cmocka_unit_test(the_file_never_passes_its_limit),
        cmocka_unit_test(a_full_disk_leaves_no_half_line),
        cmocka_unit_test(samples_come_between_the_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
