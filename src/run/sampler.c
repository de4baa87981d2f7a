#include "run/sampler.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/thread.h"

static int64_t cpu_now_ns(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return -1;
    return ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) *
               1000000000 +
           ((int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* Two readings that are almost one say nothing about CPU. */
enum { CPU_WINDOW_NS = 8 * 1000 * 1000 };

static void read_cpu(struct sampler *sampler, int64_t wall_ns,
                     struct sample *sample) {
    int64_t cpu_ns = cpu_now_ns(), passed = wall_ns - sampler->wall_ns;
    sample->cpu_percent = -1;
    if (cpu_ns < 0 || (sampler->wall_ns && passed < CPU_WINDOW_NS))
        return;
    if (sampler->wall_ns) {
        sample->cpu_ms = (double)passed / 1e6;
        sample->cpu_percent =
            100 * (double)(cpu_ns - sampler->cpu_ns) / (double)passed;
    }
    sampler->cpu_ns = cpu_ns;
    sampler->wall_ns = wall_ns;
}

/* Reading a device may take long, so it is not done under the lock that the
 * run waits for when it asks. */
void sampler_now(struct sampler *sampler) {
    const struct sampler_setup *setup = &sampler->setup;
    if (!sampler->started)
        return;
    struct sample sample = {0};
    pthread_mutex_lock(&sampler->reading);
    if (setup->read)
        setup->read(setup->context, sample.devices, setup->devices);
    for (size_t d = 0; d < setup->devices; d++)
        sample.devices[d].name[SAMPLE_NAME_BYTES - 1] = '\0';
    int64_t now_ns = clock_now_ns();
    sample.t_ms = (now_ns - setup->begin_ns) / 1000000;
    read_cpu(sampler, now_ns, &sample);
    sample.process_bytes = process_memory_now().resident;
    pthread_mutex_lock(&sampler->lock);
    samples_add(&sampler->series, &sample);
    pthread_mutex_unlock(&sampler->lock);
    pthread_mutex_unlock(&sampler->reading);
}

/* A two-hundredth of the time so far: a picture of any run has some hundred
 * points, and the reading costs little of a long one. */
static int next_wait_ms(const struct sampler *sampler) {
    int64_t wait_ms =
        (clock_now_ns() - sampler->setup.begin_ns) / 1000000 / 200;
    if (wait_ms < SAMPLER_FIRST_MS)
        wait_ms = SAMPLER_FIRST_MS;
    if (wait_ms > sampler->setup.interval_ms)
        wait_ms = sampler->setup.interval_ms;
    return (int)wait_ms;
}

/* True when it is time for a sample, false when it is time to end. */
static bool wait_for_time(struct sampler *sampler) {
    struct timespec until = clock_in_ms(next_wait_ms(sampler));
    pthread_mutex_lock(&sampler->lock);
    int waited = 0;
    while (!sampler->stopping && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&sampler->wake, &sampler->lock, &until);
    bool go_on = !sampler->stopping;
    pthread_mutex_unlock(&sampler->lock);
    return go_on;
}

static void *work(void *argument) {
    struct sampler *sampler = argument;
    while (wait_for_time(sampler))
        sampler_now(sampler);
    return NULL;
}

static void open_locks(struct sampler *sampler) {
    clock_condition(&sampler->wake);
    pthread_mutex_init(&sampler->lock, NULL);
    pthread_mutex_init(&sampler->reading, NULL);
    sampler->started = true;
}

/* Signals are for the caller's thread, which waits for them. */
static int start_thread(struct sampler *sampler) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = thread_start(&sampler->thread, work, sampler);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

bool sampler_start(struct sampler *sampler, const struct sampler_setup *setup,
                   struct error *err) {
    *sampler = (struct sampler){.setup = *setup};
    if (!sampler->setup.interval_ms)
        sampler->setup.interval_ms = SAMPLER_INTERVAL_MS;
    if (!sampler->setup.begin_ns)
        sampler->setup.begin_ns = clock_now_ns();
    if (!samples_open(&sampler->series, setup->memory, setup->devices, err))
        return false;
    open_locks(sampler);
    sampler_now(sampler);
    int failed = start_thread(sampler);
    sampler->running = !failed;
    if (!failed)
        return true;
    sampler_close(sampler);
    return error_set(err, ERROR_IO,
                     "cannot start the thread that samples memory: %s; allow "
                     "more (ulimit -u, -v)",
                     strerror(failed));
}

void sampler_stop(struct sampler *sampler) {
    if (!sampler->running)
        return;
    pthread_mutex_lock(&sampler->lock);
    sampler->stopping = true;
    pthread_cond_signal(&sampler->wake);
    pthread_mutex_unlock(&sampler->lock);
    pthread_join(sampler->thread, NULL);
    sampler->running = false;
    sampler_now(sampler);
}

void sampler_close(struct sampler *sampler) {
    sampler_stop(sampler);
    if (sampler->started) {
        pthread_cond_destroy(&sampler->wake);
        pthread_mutex_destroy(&sampler->lock);
        pthread_mutex_destroy(&sampler->reading);
    }
    samples_close(&sampler->series);
    *sampler = (struct sampler){0};
}

/* The lap that ends has the sample before, the one that begins the one after:
 * a peak is in the lap in which it was. */
void sampler_lap(struct sampler *sampler) {
    if (!sampler->started)
        return;
    sampler_now(sampler);
    pthread_mutex_lock(&sampler->lock);
    samples_lap(&sampler->series);
    pthread_mutex_unlock(&sampler->lock);
    sampler_now(sampler);
}

static json_t *describe(struct sampler *sampler,
                        const struct sample_totals *totals) {
    if (!sampler->started)
        return json_object();
    pthread_mutex_lock(&sampler->lock);
    json_t *object =
        samples_describe(&sampler->series, totals, sampler->setup.interval_ms);
    pthread_mutex_unlock(&sampler->lock);
    return object;
}

json_t *sampler_describe_lap(struct sampler *sampler) {
    sampler_now(sampler);
    return describe(sampler, &sampler->series.lap);
}

bool sampler_latest(struct sampler *sampler, struct sample *out) {
    if (!sampler->started)
        return false;
    pthread_mutex_lock(&sampler->lock);
    *out = sampler->series.latest;
    pthread_mutex_unlock(&sampler->lock);
    return true;
}

const struct samples *sampler_series(const struct sampler *sampler) {
    return sampler->started ? &sampler->series : NULL;
}
