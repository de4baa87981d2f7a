/* sampler.h - a thread that reads memory and CPU while the run works: every
 * 10 ms at first, so that a short run is seen too, then ever more seldom, down
 * to every 250 ms.
 *
 * It knows no device: the caller's READ fills in the devices. What the process
 * itself takes it reads from the kernel. It never dies from a failed reading,
 * and stopping does not wait for the next one.
 *
 *     struct sampler sampler;
 *     struct sampler_setup setup = {.memory = memory, .devices = 2,
 *                                   .begin_ns = telemetry.begin_ns,
 *                                   .read = read_devices, .context = session};
 *     if (!sampler_start(&sampler, &setup, err)) ...
 *     sampler_lap(&sampler);                  // a collection begins
 *     json_t *performance = sampler_describe_lap(&sampler);   // and ends
 *     sampler_stop(&sampler);
 *     report_write(..., sampler_series(&sampler), ...);
 *     sampler_close(&sampler);
 *
 * All functions but start, stop and close may be called from any thread while
 * it runs. READ is called by one thread at a time, but from different ones: it
 * must not touch what a device's own thread holds without a lock.
 */

#ifndef RUN_SAMPLER_H
#define RUN_SAMPLER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/memory.h"
#include "run/samples.h"

enum { SAMPLER_INTERVAL_MS = 250, SAMPLER_FIRST_MS = 10 };

struct sampler_setup {
    struct memory *memory;
    size_t devices;   /* at most SAMPLE_DEVICES_MAX */
    int interval_ms;  /* the longest; 0: SAMPLER_INTERVAL_MS */
    int64_t begin_ns; /* clock_now_ns() when t_ms was 0; 0: now */
    /* Fill DEVICES, [count], zeroed. One that cannot be read stays as it is.
     * NULL: only the process is read. */
    void (*read)(void *context, struct sample_device *devices, size_t count);
    void *context;
};

struct sampler {
    struct sampler_setup setup;
    pthread_t thread;
    bool started; /* the locks exist */
    bool running; /* the thread exists */
    bool stopping;
    pthread_mutex_t reading; /* one reading at a time */
    int64_t cpu_ns, wall_ns; /* of the last reading; under `reading` */
    pthread_mutex_t lock;    /* of what stands below and of stopping */
    pthread_cond_t wake;
    struct samples series;
};

/* Takes the first sample before it returns. */
bool sampler_start(struct sampler *sampler, const struct sampler_setup *setup,
                   struct error *err);
/* Takes the last sample. A sampler that is not running is fine. */
void sampler_stop(struct sampler *sampler);
void sampler_close(struct sampler *sampler); /* stops; {0} is fine */

/* A sample at this moment: at the end of a pass, say. */
void sampler_now(struct sampler *sampler);

/* Begin the lap's aggregates anew, with a sample before and one after it. */
void sampler_lap(struct sampler *sampler);

/* The aggregates since the last lap began, to a sample at this moment: see
 * samples_describe. The caller owns the reference. */
json_t *sampler_describe_lap(struct sampler *sampler);

/* The last sample; false while there is none. */
bool sampler_latest(struct sampler *sampler, struct sample *out);

/* All points, once stopped; borrowed until close. NULL if never started. */
const struct samples *sampler_series(const struct sampler *sampler);

#endif
