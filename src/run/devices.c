#include "run/devices.h"

#include "base/memory.h"
#include "base/pool.h"
#include "device/device.h"
#include "run/ceilings.h"
#include "run/lease.h"

/* While devices are looked at. */
struct survey {
    const struct run_options *options;
    const struct sink *sink;
    struct memory memory;
    struct pool *pool;
    struct device_list devices;
    json_t *list;
};

static json_t *describe(const struct survey *s, const struct device *device,
                        const struct device_facts *facts) {
    const struct run_options *options = s->options;
    char holder[256];
    uint64_t ours = device->shared ? 0 : memory_live(device->account);
    uint64_t usual = margin_default(facts->bytes_total);
    uint64_t margin = ceilings_find(options->margins, options->margins_count,
                                    device->name, usual);
    uint64_t ceiling =
        ceilings_find(options->ceilings, options->ceilings_count, device->name,
                      ceiling_default(device->shared, facts->bytes_total,
                                      facts->bytes_free + ours, usual));
    ceiling_warn(options, device->name, facts->bytes_total, s->sink);
    bool held =
        !device->shared &&
        lease_holder(options->lock_dir, device_identity(device), holder);
    return json_pack(
        "{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:s?}", "device", device->name,
        "model", facts->model, "shared", device->shared, "bytes_total",
        (json_int_t)facts->bytes_total, "bytes_free",
        (json_int_t)facts->bytes_free, "ceiling_bytes", (json_int_t)ceiling,
        "margin_bytes", (json_int_t)margin, "holder", held ? holder : NULL);
}

static bool add_device(struct survey *s, const struct device_name *name,
                       struct error *err) {
    struct device_options options = {.memory = &s->memory,
                                     .pool = s->pool,
                                     .isa = s->options->isa,
                                     .kernel_cache = s->options->kernel_cache,
                                     .library_folders =
                                         s->options->library_folders};
    struct device_facts facts;
    struct device *device = device_open(name, &options, err);
    bool fine = device && device_facts(device, &facts, err);
    if (fine)
        json_array_append_new(s->list, describe(s, device, &facts));
    device_close(device);
    return fine;
}

static bool survey(struct survey *s, struct error *err) {
    const struct run_options *options = s->options;
    char why[DEVICE_WHY_BYTES] = "";
    s->pool = pool_create(&s->memory, 1, err);
    if (!s->pool ||
        !(options->devices
              ? device_list_parse(&s->memory, options->devices,
                                  options->library_folders, &s->devices, err)
              : device_list_default(&s->memory, options->library_folders,
                                    &s->devices, why, err)) ||
        !ceilings_check(s->options, &s->devices, err))
        return false;
    if (*why)
        event_log(s->sink, LOG_WARNING, "%s", why);
    for (size_t i = 0; i < s->devices.count; i++)
        if (!add_device(s, &s->devices.items[i], err))
            return false;
    return true;
}

bool devices_describe(const struct run_options *options,
                      const struct sink *sink, json_t **list,
                      struct error *err) {
    struct survey s = {.options = options, .sink = sink, .list = json_array()};
    bool fine = survey(&s, err);
    device_list_free(&s.memory, &s.devices);
    pool_free(s.pool);
    if (fine)
        *list = s.list;
    else
        json_decref(s.list);
    return fine;
}
