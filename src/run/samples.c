#include "run/samples.h"

#include <string.h>

bool samples_open(struct samples *series, struct memory *memory, size_t devices,
                  struct error *err) {
    *series =
        (struct samples){.memory = memory, .devices = devices, .per_point = 1};
    series->latest.cpu_percent = -1;
    if (devices > SAMPLE_DEVICES_MAX)
        return error_set(err, ERROR_USAGE,
                         "%zu devices are more than the %d that can be watched",
                         devices, SAMPLE_DEVICES_MAX);
    series->points =
        memory_zalloc(memory, SAMPLES_MAX, sizeof *series->points, err);
    series->levels = memory_zalloc(memory, SAMPLES_MAX * devices,
                                   sizeof *series->levels, err);
    if (series->points && series->levels)
        return true;
    samples_close(series);
    return false;
}

void samples_close(struct samples *series) {
    if (series->memory) {
        memory_free(series->memory, series->points);
        memory_free(series->memory, series->levels);
    }
    *series = (struct samples){0};
}

const struct sample_level *samples_level(const struct samples *series, size_t p,
                                         size_t d) {
    return &series->levels[p * series->devices + d];
}

static void worsen(struct sample_level *level,
                   const struct sample_level *other) {
    if (!other->known)
        return;
    if (!level->known || other->live_max_bytes > level->live_max_bytes)
        level->live_max_bytes = other->live_max_bytes;
    if (!level->known || other->free_min_bytes < level->free_min_bytes)
        level->free_min_bytes = other->free_min_bytes;
    level->known = true;
}

static struct sample_level level_of(const struct samples *series,
                                    const struct sample *sample, size_t d) {
    const struct sample_device *device = &sample->devices[d];
    struct sample_level level = {.live_max_bytes = device->live_bytes,
                                 .free_min_bytes = device->free_bytes,
                                 .known = device->total_bytes > 0};
    if (device->peak_bytes != series->peaks[d] &&
        device->peak_bytes > level.live_max_bytes)
        level.live_max_bytes = device->peak_bytes;
    return level;
}

static void merge_point(struct samples *series, size_t into, size_t from) {
    struct sample_point *a = &series->points[into];
    const struct sample_point *b = &series->points[from];
    if (b->cpu_percent > a->cpu_percent)
        a->cpu_percent = b->cpu_percent;
    if (b->process_bytes > a->process_bytes)
        a->process_bytes = b->process_bytes;
    a->samples += b->samples;
    for (size_t d = 0; d < series->devices; d++)
        worsen(&series->levels[into * series->devices + d],
               samples_level(series, from, d));
}

/* Two points become one, and a new point takes twice as many samples. */
static void halve(struct samples *series) {
    size_t width = series->devices;
    for (size_t p = 0; p < SAMPLES_MAX; p += 2) {
        merge_point(series, p, p + 1);
        series->points[p / 2] = series->points[p];
        memmove(&series->levels[p / 2 * width], &series->levels[p * width],
                width * sizeof *series->levels);
    }
    series->count = SAMPLES_MAX / 2;
    series->per_point *= 2;
}

static void add_totals(const struct samples *series,
                       struct sample_totals *totals,
                       const struct sample *sample) {
    /* A first sample must count, if for little: how the process was before it,
     * nobody saw. */
    int64_t since_ms = series->count ? series->latest.t_ms : sample->t_ms;
    double passed_ms = 1e-3 + (double)(sample->t_ms - since_ms);
    totals->samples++;
    if (sample->cpu_percent >= 0) {
        totals->cpu_ms += sample->cpu_ms;
        totals->cpu_sum += sample->cpu_percent * sample->cpu_ms;
        if (sample->cpu_percent > totals->cpu_max)
            totals->cpu_max = sample->cpu_percent;
    }
    if (sample->process_bytes) {
        totals->process_ms += passed_ms;
        totals->process_sum += (double)sample->process_bytes * passed_ms;
        if (sample->process_bytes > totals->process_max)
            totals->process_max = sample->process_bytes;
    }
    for (size_t d = 0; d < series->devices; d++) {
        struct sample_level level = level_of(series, sample, d);
        worsen(&totals->devices[d], &level);
    }
}

static void add_point(struct samples *series, const struct sample *sample) {
    if (series->count == SAMPLES_MAX)
        halve(series);
    size_t p = series->count++;
    series->points[p] = (struct sample_point){sample->t_ms, sample->cpu_percent,
                                              sample->process_bytes, 1};
    for (size_t d = 0; d < series->devices; d++)
        series->levels[p * series->devices + d] = level_of(series, sample, d);
}

/* SAMPLE into the last point, which still stands for too few: as a point of
 * its own behind it, merged at once. There is room: a point that is not whole
 * only exists after the first halving. */
static void extend_point(struct samples *series, const struct sample *sample) {
    add_point(series, sample);
    merge_point(series, series->count - 2, series->count - 1);
    series->count--;
}

static void remember_latest(struct samples *series,
                            const struct sample *sample) {
    struct sample *latest = &series->latest;
    latest->t_ms = sample->t_ms;
    latest->cpu_percent = sample->cpu_percent;
    latest->process_bytes = sample->process_bytes;
    for (size_t d = 0; d < series->devices; d++)
        if (sample->devices[d].total_bytes) {
            latest->devices[d] = sample->devices[d];
            series->peaks[d] = sample->devices[d].peak_bytes;
        }
}

void samples_add(struct samples *series, const struct sample *sample) {
    add_totals(series, &series->run, sample);
    add_totals(series, &series->lap, sample);
    bool whole = !series->count ||
                 series->points[series->count - 1].samples >= series->per_point;
    if (whole || series->count == SAMPLES_MAX)
        add_point(series, sample);
    else
        extend_point(series, sample);
    remember_latest(series, sample);
}

void samples_lap(struct samples *series) {
    series->lap = (struct sample_totals){0};
}

static double mean(double sum, double ms) {
    return ms > 0 ? sum / ms : 0;
}

json_t *samples_describe(const struct samples *series,
                         const struct sample_totals *totals, int interval_ms) {
    json_t *devices = json_array();
    for (size_t d = 0; d < series->devices; d++) {
        const struct sample_device *device = &series->latest.devices[d];
        const struct sample_level *level = &totals->devices[d];
        if (level->known)
            json_array_append_new(
                devices,
                json_pack("{s:s, s:I, s:I, s:I, s:I}", "device", device->name,
                          "total_bytes", (json_int_t)device->total_bytes,
                          "ceiling_bytes", (json_int_t)device->ceiling_bytes,
                          "free_min_bytes", (json_int_t)level->free_min_bytes,
                          "live_max_bytes", (json_int_t)level->live_max_bytes));
    }
    return json_pack(
        "{s:I, s:i, s:{s:f, s:f}, s:{s:I, s:I}, s:o}", "samples",
        (json_int_t)totals->samples, "interval_ms", interval_ms, "cpu_percent",
        "mean", mean(totals->cpu_sum, totals->cpu_ms), "max", totals->cpu_max,
        "process_bytes", "mean",
        (json_int_t)(mean(totals->process_sum, totals->process_ms) + 0.5),
        "max", (json_int_t)totals->process_max, "devices", devices);
}
