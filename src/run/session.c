#define _GNU_SOURCE /* sched_getaffinity */
#include "run/session.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "run/ceilings.h"
#include "run/dtype.h"
#include "run/station.h"

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

/* Threads that this process may use: its affinity, and the cgroup's quota
 * rounded up. */
static unsigned threads_default(void) {
    cpu_set_t set;
    unsigned cpus = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cpus = (unsigned)CPU_COUNT(&set);
    unsigned quota = quota_cpus();
    if (quota && quota < cpus)
        cpus = quota;
    return cpus ? cpus : 1;
}

static bool read_script(struct session *session, struct error *err) {
    const char *path = session->options->sim_script;
    struct file_map map;
    if (!path)
        return true;
    if (!file_map_open(&map, path, err))
        return false;
    session->script = device_script_read(
        &session->memory, (struct str){map.data, map.size}, path, err);
    file_map_close(&map);
    return session->script != NULL;
}

/* Who expects a card that is not used hears of it. */
static void tell_unused(struct session *session, const char *why) {
    snprintf(session->why_cpu, sizeof session->why_cpu, "%s%.700s",
             session->list.count && session->list.items[0].arch
                 ? ""
                 : "everything is computed on the CPU: ",
             why);
    event_log(session->sink, LOG_WARNING, "%s", session->why_cpu);
}

static bool has_cpu(const struct device_list *list) {
    for (size_t i = 0; i < list->count; i++)
        if (device_name_is_cpu(&list->items[i]))
            return true;
    return false;
}

static void leave_out(struct device_list *list, size_t i) {
    list->count--;
    for (; i < list->count; i++)
        list->items[i] = list->items[i + 1];
}

/* A card that nobody named and that does not open is left out, and told of. */
static bool open_or_leave_out(struct session *session, size_t i,
                              struct error *err) {
    struct device_list *list = &session->list;
    struct error cause = {0};
    struct station *station = &session->stations[session->stations_count];
    bool named = session->options->devices || !list->items[i].arch;
    if (station_open(station, session, &list->items[i], false, &cause)) {
        session->stations_count++;
        return true;
    }
    if (named || cause.code == ERROR_INTERRUPTED)
        return error_set(err, cause.code, "%s", cause.message);
    leave_out(list, i);
    tell_unused(session, cause.message);
    return true;
}

/* The devices that were asked for, and the CPU behind them. */
static bool open_stations(struct session *session, struct error *err) {
    struct device_list *list = &session->list;
    session->stations = memory_zalloc(&session->memory, list->count + 1,
                                      sizeof *session->stations, err);
    if (!session->stations)
        return false;
    while (session->stations_count < list->count)
        if (!open_or_leave_out(session, session->stations_count, err))
            return false;
    if (!has_cpu(list)) {
        bool spare = list->count > 0;
        if (!station_open(&session->stations[session->stations_count], session,
                          &DEVICE_CPU, spare, err))
            return false;
        session->stations_count++;
    }
    for (size_t i = 0; i < session->stations_count; i++)
        ceiling_warn(session->options, station_name(&session->stations[i]),
                     session->stations[i].bytes_total, session->sink);
    session->device = session->stations[0].device;
    return device_facts(session->device, &session->facts, err);
}

static bool choose_devices(struct session *session, struct error *err) {
    const struct run_options *options = session->options;
    char why[DEVICE_WHY_BYTES];
    if (options->devices)
        return device_list_parse(&session->memory, options->devices,
                                 options->library_folders, &session->list, err);
    if (!device_list_default(&session->memory, options->library_folders,
                             &session->list, why, err))
        return false;
    if (options->one_device)
        session->list.count = 1;
    if (*why)
        tell_unused(session, why);
    return true;
}

static bool choose_type(struct session *session, struct error *err) {
    if (!dtype_asked(session->options, &session->type_asked, err) ||
        !dtype_check(session->type_asked, &session->list, err))
        return false;
    session->type = session->type_asked ? session->type_asked
                                        : dtype_default(&session->list);
    return true;
}

bool session_set_type(struct session *session, enum number_type type,
                      struct error *err) {
    session->type = type;
    for (size_t i = 0; i < session->list.count; i++) {
        const struct device_name *name = &session->list.items[i];
        struct station *station = &session->stations[i];
        if (dtype_of(station->device) == dtype_in(&session->list, name, type))
            continue;
        station_close(station);
        if (!station_open(station, session, name, false, err))
            return false;
    }
    session->device = session->stations[0].device;
    return device_facts(session->device, &session->facts, err);
}

bool session_open(struct session *session, const struct run_options *options,
                  const struct sink *sink, struct error *err) {
    *session = (struct session){
        .options = options, .sink = sink, .base = process_memory_now()};
    phases_begin(&session->phases);
    unsigned threads = options->threads ? options->threads : threads_default();
    session->pool = pool_create(&session->memory, threads, err);
    if (session->pool && read_script(session, err) &&
        choose_devices(session, err) && choose_type(session, err) &&
        ceilings_check(options, &session->list, err) &&
        open_stations(session, err))
        return true;
    session_close(session);
    return false;
}

static struct device *open_reference(struct session *session,
                                     struct error *err) {
    char isa[32] = "";
    const char *asked = session->options->isa;
    if (asked)
        snprintf(isa, sizeof isa, "%.*s", (int)strcspn(asked, "+"), asked);
    struct device_options options = {.memory = &session->memory,
                                     .pool = session->pool,
                                     .isa = asked ? isa : NULL,
                                     .type = NUMBER_F32};
    return device_open(&DEVICE_CPU, &options, err);
}

bool session_has_cards(const struct session *session) {
    for (size_t i = 0; i < session->stations_count; i++)
        if (!session->stations[i].device->shared)
            return true;
    return false;
}

struct device *session_reference(struct session *session, struct error *err) {
    for (size_t i = 0; i < session->stations_count; i++) {
        struct device *device = session->stations[i].device;
        if (device->shared && dtype_of(device) == NUMBER_F32)
            return device;
    }
    if (!session->reference)
        session->reference = open_reference(session, err);
    return session->reference;
}

struct lease_terms session_lease_terms(const struct session *session) {
    const struct run_options *options = session->options;
    return (struct lease_terms){.lock_dir = options->lock_dir,
                                .wait_ms = options->lease_wait_ms,
                                .sink = session->sink};
}

void session_close(struct session *session) {
    for (size_t i = 0; i < session->stations_count; i++)
        station_close(&session->stations[i]);
    memory_free(&session->memory, session->stations);
    device_close(session->reference);
    device_script_free(session->script);
    device_list_free(&session->memory, &session->list);
    pool_free(session->pool);
    session->stations = NULL;
    session->stations_count = 0;
    session->device = session->reference = NULL;
    session->script = NULL;
    session->pool = NULL;
}
