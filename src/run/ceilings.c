#include "run/ceilings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CPU_PERCENT = 80, LIST_BYTES = 512 };
static const uint64_t MARGIN_MOST = 512 * 1024 * 1024;

uint64_t margin_default(uint64_t total) {
    uint64_t part = total / 16;
    return part < MARGIN_MOST ? part : MARGIN_MOST;
}

uint64_t ceiling_default(bool shared, uint64_t total, uint64_t free_bytes,
                         uint64_t margin) {
    uint64_t most = total / 4 * 3;
    uint64_t left = free_bytes > margin ? free_bytes - margin : 0;
    uint64_t bytes = left < most ? left : most;
    if (shared)
        bytes = free_bytes / 100 * CPU_PERCENT;
    return bytes ? bytes : 1;
}

uint64_t ceilings_find(const struct device_bytes *list, size_t count,
                       const char *device, uint64_t otherwise) {
    for (size_t i = count; i > 0; i--)
        if (!strcmp(list[i - 1].device, device))
            return list[i - 1].bytes;
    return otherwise;
}

void ceiling_warn(const struct run_options *options, const char *device,
                  uint64_t total, const struct sink *sink) {
    uint64_t ceiling =
        ceilings_find(options->ceilings, options->ceilings_count, device, 0);
    if (ceiling > total)
        event_log(sink, LOG_WARNING,
                  "the ceiling of %s, %" PRIu64
                  " bytes, is above all that it has (%" PRIu64
                  ") and holds nothing back",
                  device, ceiling, total);
}

static bool in_use(const struct device_list *devices, const char *name) {
    if (!strcmp(name, DEVICE_CPU.name))
        return true;
    for (size_t i = 0; i < devices->count; i++)
        if (!strcmp(devices->items[i].name, name))
            return true;
    return false;
}

/* "sim:a, sim:b and cpu" */
static void list_names(const struct device_list *devices,
                       char text[LIST_BYTES]) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < devices->count && used < LIST_BYTES; i++)
        if (strcmp(devices->items[i].name, DEVICE_CPU.name) != 0)
            used += (size_t)snprintf(text + used, LIST_BYTES - used, "%s%s",
                                     used ? ", " : "", devices->items[i].name);
    if (used < LIST_BYTES)
        snprintf(text + used, LIST_BYTES - used, "%s%s", used ? " and " : "",
                 DEVICE_CPU.name);
}

static bool check_names(const char *option, const struct device_bytes *list,
                        size_t count, const struct device_list *devices,
                        struct error *err) {
    char names[LIST_BYTES];
    for (size_t i = 0; i < count; i++) {
        if (in_use(devices, list[i].device))
            continue;
        list_names(devices, names);
        return error_set(err, ERROR_USAGE,
                         "%s: no device of this run is called '%s'; it has "
                         "%s (--device names them)",
                         option, list[i].device, names);
    }
    return true;
}

bool ceilings_check(const struct run_options *options,
                    const struct device_list *devices, struct error *err) {
    return check_names("--ceiling", options->ceilings, options->ceilings_count,
                       devices, err) &&
           check_names("--margin", options->margins, options->margins_count,
                       devices, err);
}
