#include "run/watch.h"

#include <limits.h>
#include <stdio.h>

#include "base/file.h"
#include "run/metrics.h"
#include "run/recorder.h"
#include "run/report.h"
#include "run/station.h"

static void read_devices(void *context, struct sample_device *devices,
                         size_t count) {
    const struct session *session = context;
    for (size_t i = 0; i < count && i < session->stations_count; i++) {
        const struct station *station = &session->stations[i];
        struct sample_device *d = &devices[i];
        snprintf(d->name, sizeof d->name, "%s", station_name(station));
        if (!device_bytes_free(station->device, &d->free_bytes, NULL))
            continue;
        d->total_bytes = station->bytes_total;
        d->live_bytes = memory_live(station->device->account);
        d->peak_bytes = memory_peak(station->device->account);
        d->ceiling_bytes = station->device->account->ceiling;
        d->margin_bytes = station->margin;
    }
}

bool watch_start(struct watch *watch, struct session *session,
                 struct telemetry *telemetry, struct error *err) {
    *watch = (struct watch){0};
    size_t devices = session->stations_count;
    struct sampler_setup setup = {
        .memory = &session->memory,
        .devices = devices < SAMPLE_DEVICES_MAX ? devices : SAMPLE_DEVICES_MAX,
        .begin_ns = telemetry->begin_ns,
        .read = read_devices,
        .context = session};
    watch->recorder = recorder_create(&session->memory, err);
    if (!watch->recorder || !sampler_start(&watch->sampler, &setup, err))
        return false;
    telemetry->recorder = watch->recorder;
    telemetry->sampler = &watch->sampler;
    return true;
}

bool watch_write(struct watch *watch, struct session *session,
                 const json_t *summary, struct error *err) {
    char metrics[PATH_MAX], report[PATH_MAX];
    const char *out = session->options->out;
    sampler_stop(&watch->sampler);
    return path_join(metrics, out, "metrics.prom", err) &&
           path_join(report, out, "report.html", err) &&
           metrics_write(metrics, summary, watch->recorder, &session->memory,
                         err) &&
           report_write(report, summary, watch->recorder,
                        sampler_series(&watch->sampler), &session->memory, err);
}

void watch_end(struct watch *watch) {
    sampler_close(&watch->sampler);
    recorder_free(watch->recorder);
    *watch = (struct watch){0};
}
