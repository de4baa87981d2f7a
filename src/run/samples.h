/* samples.h - memory and CPU over time, in bounded memory.
 *
 * A series holds at most SAMPLES_MAX points. When it is full, neighbours are
 * merged two by two and each point stands for twice as many samples from then
 * on, so a run of any length fits. A merged point keeps the worst of its
 * samples (most live, least free, most CPU), and the totals are taken over
 * every sample, so no peak is lost by thinning. Nor between two samples where
 * the device tells its own peak: when that has changed, it was since the last.
 *
 *     struct samples series;
 *     if (!samples_open(&series, memory, devices, err)) ...
 *     samples_add(&series, &sample);
 *     samples_close(&series);
 *
 * Not safe from several threads; run/sampler guards one.
 */

#ifndef RUN_SAMPLES_H
#define RUN_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/memory.h"

enum { SAMPLES_MAX = 1024, SAMPLE_DEVICES_MAX = 16, SAMPLE_NAME_BYTES = 64 };

/* One device at one moment. total_bytes 0: it could not be read. */
struct sample_device {
    char name[SAMPLE_NAME_BYTES];
    uint64_t total_bytes;
    uint64_t free_bytes;    /* as the device sees it: others count too */
    uint64_t live_bytes;    /* what this process holds there */
    uint64_t peak_bytes;    /* the most that it held there, ever or since it was
                               counted anew; 0: not known */
    uint64_t ceiling_bytes; /* live never passes it; 0: none */
    uint64_t margin_bytes;  /* less free than this is pressure; 0: none */
};

struct sample {
    int64_t t_ms;
    double cpu_percent;     /* 100 is one core busy; < 0: not known yet */
    double cpu_ms;          /* the time that it is the mean of */
    uint64_t process_bytes; /* resident; 0: not known */
    struct sample_device devices[SAMPLE_DEVICES_MAX];
};

/* What a point keeps of a device. known is false if no sample was read. */
struct sample_level {
    uint64_t live_max_bytes, free_min_bytes;
    bool known;
};

struct sample_point {
    int64_t t_ms;           /* of its first sample */
    double cpu_percent;     /* the most; < 0: not known */
    uint64_t process_bytes; /* the most */
    uint32_t samples;
};

/* Over every sample since the last samples_lap (or the beginning). Means are
 * over time, as samples need not be evenly apart. */
struct sample_totals {
    uint64_t samples;
    double cpu_sum, cpu_ms, cpu_max;
    double process_sum, process_ms;
    uint64_t process_max;
    struct sample_level devices[SAMPLE_DEVICES_MAX];
};

struct samples {
    struct memory *memory; /* borrowed */
    size_t devices;
    size_t count;                /* points */
    uint32_t per_point;          /* samples that a whole point stands for */
    struct sample_point *points; /* owned, [SAMPLES_MAX] */
    struct sample_level *levels; /* owned, [SAMPLES_MAX, devices] */
    struct sample latest;        /* each device's last good reading */
    uint64_t peaks[SAMPLE_DEVICES_MAX]; /* peak_bytes at the last reading */
    struct sample_totals run, lap;
};

/* DEVICES at most SAMPLE_DEVICES_MAX; all memory is taken here. */
bool samples_open(struct samples *series, struct memory *memory, size_t devices,
                  struct error *err);
void samples_close(struct samples *series); /* {0} is fine */

/* Samples come in the order of their time. */
void samples_add(struct samples *series, const struct sample *sample);

/* Begin the lap's totals anew; the points stay. */
void samples_lap(struct samples *series);

/* Of device D at point P. */
const struct sample_level *samples_level(const struct samples *series, size_t p,
                                         size_t d);

/* For a summary: {"samples", "interval_ms" (the longest), "cpu_percent":
 * {"mean", "max"}, "process_bytes": {"mean", "max"}, "devices": [{"device",
 * "total_bytes", "ceiling_bytes", "free_min_bytes", "live_max_bytes"}]}. A
 * device that was never read is left out. */
json_t *samples_describe(const struct samples *series,
                         const struct sample_totals *totals, int interval_ms);

#endif
