/* test_sampler.c - the series and the thread that fills it. The oracle of the
 * series is the definition: the whole list of samples, kept beside it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/lookup.h"
#include "run/sampler.h"

enum { MANY = 10007 };

static uint64_t dice(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static struct sample random_sample(uint64_t *state, int64_t t_ms) {
    struct sample sample = {.t_ms = t_ms,
                            .cpu_percent = (double)(dice(state) % 200),
                            .process_bytes = 1 + dice(state)};
    for (int d = 0; d < 2; d++) {
        if (dice(state) % 10 == 0)
            continue; /* this reading failed */
        sample.devices[d] = (struct sample_device){.total_bytes = 1 << 20,
                                                   .free_bytes = dice(state),
                                                   .live_bytes = dice(state)};
        strcpy(sample.devices[d].name, d ? "b" : "a");
    }
    return sample;
}

/* What a device says of its peak: the most that there ever was, between the
 * samples too; after a while it is counted anew. */
static void add_peak(struct sample *sample, uint64_t *state, uint64_t *peak) {
    struct sample_device *device = &sample->devices[1];
    if (dice(state) % 50 == 0)
        *peak = 0;
    uint64_t between = dice(state) % 7 ? 0 : dice(state) * 2;
    *peak = between > *peak ? between : *peak;
    *peak = device->live_bytes > *peak ? device->live_bytes : *peak;
    if (device->total_bytes)
        device->peak_bytes = *peak;
}

/* Of the samples FIRST to LAST - 1 of all. A peak that is not what it was at
 * the last reading was reached since then. */
static void the_worst_of_all_samples(const struct sample *all, size_t first,
                                     size_t last, size_t d,
                                     struct sample_level *level) {
    uint64_t before = 0;
    *level = (struct sample_level){.free_min_bytes = UINT64_MAX};
    for (size_t i = 0; i < last; i++) {
        const struct sample_device *device = &all[i].devices[d];
        if (!device->total_bytes)
            continue;
        bool fresh = device->peak_bytes != before;
        before = device->peak_bytes;
        if (i < first)
            continue;
        level->known = true;
        if (device->live_bytes > level->live_max_bytes)
            level->live_max_bytes = device->live_bytes;
        if (fresh && device->peak_bytes > level->live_max_bytes)
            level->live_max_bytes = device->peak_bytes;
        if (device->free_bytes < level->free_min_bytes)
            level->free_min_bytes = device->free_bytes;
    }
}

static void assert_level(const struct sample_level *is,
                         const struct sample_level *should) {
    assert_int_equal(is->known, should->known);
    if (!should->known)
        return;
    assert_int_equal(is->live_max_bytes, should->live_max_bytes);
    assert_int_equal(is->free_min_bytes, should->free_min_bytes);
}

static void thinning_keeps_every_peak(void **state) {
    (void)state;
    static struct sample all[MANY];
    struct memory memory = {0};
    struct samples series;
    uint64_t seed = 7, peak = 0;
    assert_true(samples_open(&series, &memory, 2, NULL));
    for (size_t i = 0; i < MANY; i++) {
        all[i] = random_sample(&seed, (int64_t)i * 250);
        add_peak(&all[i], &seed, &peak);
        samples_add(&series, &all[i]);
        assert_true(series.count <= SAMPLES_MAX);
    }
    assert_true(series.count > SAMPLES_MAX / 4);
    size_t at = 0;
    for (size_t p = 0; p < series.count; p++) {
        const struct sample_point *point = &series.points[p];
        assert_int_equal(point->t_ms, all[at].t_ms);
        assert_true(at + point->samples <= MANY);
        uint64_t process = 0;
        double cpu = 0;
        for (size_t i = at; i < at + point->samples; i++) {
            process =
                all[i].process_bytes > process ? all[i].process_bytes : process;
            cpu = all[i].cpu_percent > cpu ? all[i].cpu_percent : cpu;
        }
        assert_int_equal(point->process_bytes, process);
        assert_true(point->cpu_percent == cpu);
        for (size_t d = 0; d < 2; d++) {
            struct sample_level should;
            the_worst_of_all_samples(all, at, at + point->samples, d, &should);
            assert_level(samples_level(&series, p, d), &should);
        }
        at += point->samples;
    }
    assert_int_equal(at, MANY); /* each sample is in one point */
    for (size_t d = 0; d < 2; d++) {
        struct sample_level should;
        the_worst_of_all_samples(all, 0, MANY, d, &should);
        assert_level(&series.run.devices[d], &should);
    }
    samples_close(&series);
    assert_int_equal(memory_live(&memory), 0);
}

static void laps_begin_anew(void **state) {
    (void)state;
    struct memory memory = {0};
    struct samples series;
    assert_true(samples_open(&series, &memory, 1, NULL));
    struct sample sample = {.t_ms = 100,
                            .cpu_percent = 90,
                            .cpu_ms = 100,
                            .process_bytes = 50,
                            .devices = {{"a", 100, 10, 70, 80, 90, 5}}};
    samples_add(&series, &sample);
    samples_lap(&series);
    sample = (struct sample){.t_ms = 200,
                             .cpu_percent = 30,
                             .cpu_ms = 100,
                             .process_bytes = 20,
                             .devices = {{"a", 100, 40, 60, 80, 90, 5}}};
    samples_add(&series, &sample);
    sample.t_ms = 500; /* three times as long: it weighs three times as much */
    sample.cpu_percent = 70;
    sample.cpu_ms = 300;
    sample.process_bytes = 40;
    samples_add(&series, &sample);
    sample.t_ms = 501;
    sample.cpu_percent = -1; /* not known: not in the mean */
    sample.process_bytes = 0;
    sample.devices[0].total_bytes = 0;
    samples_add(&series, &sample);
    json_t *lap = samples_describe(&series, &series.lap, 250);
    json_t *should =
        json_pack("{s:i,s:i,s:{s:f,s:f},s:{s:i,s:i},s:[{s:s,s:i,s:i,s:i,s:i}]}",
                  "samples", 3, "interval_ms", 250, "cpu_percent", "mean", 60.0,
                  "max", 70.0, "process_bytes", "mean", 35, "max", 40,
                  "devices", "device", "a", "total_bytes", 100, "ceiling_bytes",
                  90, "free_min_bytes", 40, "live_max_bytes", 60);
    assert_true(json_equal(lap, should));
    json_t *run = samples_describe(&series, &series.run, 250);
    assert_int_equal(lookup_count(run, "samples"), 4);
    /* Before the first sample nobody looked: it weighs next to nothing. */
    assert_int_equal(lookup_count(run, "process_bytes.mean"),
                     (20 * 100 + 40 * 300) / 400);
    assert_int_equal(
        lookup_count(json_array_get(lookup_list(run, "devices"), 0),
                     "live_max_bytes"),
        80);
    json_decref(lap);
    json_decref(run);
    json_decref(should);
    samples_close(&series);
}

/* A card of which every third reading fails. */
struct card {
    unsigned readings;
    bool busy;
};

static void read_card(void *context, struct sample_device *devices,
                      size_t count) {
    struct card *card = context;
    assert_int_equal(count, 1);
    assert_false(card->busy); /* one reading at a time */
    card->busy = true;
    if (card->readings++ % 3 != 1) {
        strcpy(devices[0].name, "card");
        devices[0].total_bytes = 1000;
        devices[0].live_bytes = card->readings;
        devices[0].free_bytes = 1000 - card->readings;
    }
    card->busy = false;
}

static void the_thread_reads_until_it_is_stopped(void **state) {
    (void)state;
    struct memory memory = {0};
    struct card card = {0};
    struct sampler_setup setup = {.memory = &memory,
                                  .devices = 1,
                                  .interval_ms = 1,
                                  .read = read_card,
                                  .context = &card};
    struct sampler sampler;
    struct sample latest;
    assert_true(sampler_start(&sampler, &setup, NULL));
    assert_true(sampler_latest(&sampler, &latest));
    assert_true(latest.process_bytes > 0);
    for (int i = 0; i < 50; i++) { /* others ask while it works */
        sampler_lap(&sampler);
        json_t *lap = sampler_describe_lap(&sampler);
        assert_true(lookup_count(lap, "samples") >= 1);
        json_decref(lap);
    }
    do {
        clock_sleep_ms(1);
        assert_true(sampler_latest(&sampler, &latest));
    } while (latest.devices[0].live_bytes < 100);
    sampler_stop(&sampler);
    unsigned readings = card.readings;
    clock_sleep_ms(5);
    assert_int_equal(card.readings, readings);
    const struct samples *series = sampler_series(&sampler);
    assert_int_equal(series->run.samples, readings);
    uint64_t most = readings - ((readings - 1) % 3 == 1); /* last good one */
    assert_int_equal(series->run.devices[0].live_max_bytes, most);
    sampler_close(&sampler);
    assert_int_equal(memory_live(&memory), 0);
}

enum { DAY_MS = 24 * 3600 * 1000 };

/* A run that has gone on for so long that its next sample is a day away. */
static int64_t long_ago(void) {
    return clock_now_ns() - (int64_t)DAY_MS * 1000000 * 1000;
}

/* A card that held 500 for a moment between two samples. */
static void read_peaked(void *context, struct sample_device *devices,
                        size_t count) {
    (void)count;
    const uint64_t *peak = context;
    strcpy(devices[0].name, "card");
    devices[0].total_bytes = 1000;
    devices[0].live_bytes = 3;
    devices[0].peak_bytes = *peak;
}

static uint64_t most_of_lap(struct sampler *sampler) {
    json_t *lap = sampler_describe_lap(sampler);
    uint64_t most = lookup_count(json_array_get(lookup_list(lap, "devices"), 0),
                                 "live_max_bytes");
    json_decref(lap);
    return most;
}

static void a_peak_belongs_to_its_lap(void **state) {
    (void)state;
    struct memory memory = {0};
    uint64_t peak = 3;
    struct sampler_setup setup = {.memory = &memory,
                                  .devices = 1,
                                  .interval_ms = DAY_MS,
                                  .begin_ns = long_ago(),
                                  .read = read_peaked,
                                  .context = &peak};
    struct sampler sampler;
    struct sample latest;
    assert_true(sampler_start(&sampler, &setup, NULL));
    assert_true(sampler_latest(&sampler, &latest)); /* one is there at once */
    assert_int_equal(latest.devices[0].live_bytes, 3);
    assert_int_equal(most_of_lap(&sampler), 3);
    peak = 500;
    assert_int_equal(most_of_lap(&sampler), 500);
    peak = 700;
    sampler_lap(&sampler);
    assert_int_equal(most_of_lap(&sampler), 3);
    sampler_stop(&sampler);
    assert_int_equal(sampler_series(&sampler)->run.devices[0].live_max_bytes,
                     700);
    sampler_close(&sampler);
}

/* Stopping must not wait for the next sample: this one is a day away, and a
 * test that hangs fails by its timeout. */
static void stopping_is_prompt(void **state) {
    (void)state;
    struct memory memory = {0};
    struct sampler_setup setup = {
        .memory = &memory, .interval_ms = DAY_MS, .begin_ns = long_ago()};
    struct sampler sampler;
    assert_true(sampler_start(&sampler, &setup, NULL));
    clock_sleep_ms(50); /* until the thread waits */
    sampler_stop(&sampler);
    assert_int_equal(sampler_series(&sampler)->run.samples, 2);
    sampler_close(&sampler);
    sampler_close(&sampler);
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    struct memory memory = {.ceiling = 1000};
    struct sampler sampler = {0};
    struct sample sample;
    struct error err = {0};
    assert_false(sampler_latest(&sampler, &sample));
    assert_null(sampler_series(&sampler));
    struct sampler_setup setup = {.memory = &memory, .devices = 17};
    assert_false(sampler_start(&sampler, &setup, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    setup.devices = 1;
    assert_false(sampler_start(&sampler, &setup, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_int_equal(memory_live(&memory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thinning_keeps_every_peak),
        cmocka_unit_test(laps_begin_anew),
        cmocka_unit_test(the_thread_reads_until_it_is_stopped),
        cmocka_unit_test(a_peak_belongs_to_its_lap),
        cmocka_unit_test(stopping_is_prompt),
        cmocka_unit_test(what_is_wrong_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
