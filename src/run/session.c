#define _GNU_SOURCE /* sched_getaffinity */
#include "run/session.h"

#include <sched.h>
#include <stdio.h>

enum { CEILING_PERCENT = 80 };

/* CPUs by the cgroup's quota, v2 or v1; 0: no quota. */
static unsigned quota_cpus(void) {
    long long quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file) {
        if (fscanf(file, "%lld %lld", &quota, &period) != 2)
            quota = 0; /* "max" */
        fclose(file);
    } else if ((file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re"))) {
        if (fscanf(file, "%lld", &quota) != 1)
            quota = 0;
        fclose(file);
        period = 100000; /* the kernel's default */
    }
    if (quota <= 0 || period <= 0)
        return 0;
    return (unsigned)((quota + period - 1) / period);
}

unsigned session_threads_default(void) {
    cpu_set_t set;
    unsigned cpus = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cpus = (unsigned)CPU_COUNT(&set);
    unsigned quota = quota_cpus();
    if (quota && quota < cpus)
        cpus = quota;
    return cpus ? cpus : 1;
}

bool session_open(struct session *session, const struct run_options *options,
                  const struct sink *sink, struct error *err) {
    *session = (struct session){
        .options = options, .sink = sink, .base = process_memory_now()};
    unsigned threads =
        options->threads ? options->threads : session_threads_default();
    session->pool = pool_create(&session->memory, threads, err);
    if (!session->pool)
        return false;
    struct device_options device = {
        .memory = &session->memory, .pool = session->pool, .isa = options->isa};
    session->device = device_open(&DEVICE_CPU, &device, err);
    if (!session->device ||
        !device_facts(session->device, &session->facts, err)) {
        session_close(session);
        return false;
    }
    session->memory.ceiling =
        options->ceiling ? options->ceiling
                         : session->facts.bytes_free / 100 * CEILING_PERCENT;
    return true;
}

void session_close(struct session *session) {
    device_close(session->device);
    pool_free(session->pool);
    session->device = NULL;
    session->pool = NULL;
}
