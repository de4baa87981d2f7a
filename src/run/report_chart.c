/* report_chart.c - a figure a device: memory, speed and passes over time, and
 * one of the process.
 */

#include <string.h>

#include "run/report_frame.h"
#include "run/report_html.h"

/* ---- speed -------------------------------------------------------------- */

static double speed_of(const struct recorded_batch *batch) {
    return batch->duration_ms > 0
               ? (double)batch->tokens * 1000 / batch->duration_ms
               : 0;
}

static bool is_on(const struct recorder *recorder,
                  const struct recorded_batch *batch, const char *device) {
    return strcmp(recorder->series[batch->series].device, device) == 0;
}

static void dots(const struct report *report, unsigned series, double top) {
    const struct recorder *recorder = report->recorder;
    struct strbuf *out = report->out;
    strbuf_printf(out, "<path class=dots style=\"--c:var(--m%u)\" d=\"",
                  report_colour(report, recorder->series[series].model));
    for (size_t i = 0; i < recorder->batches_count; i++) {
        const struct recorded_batch *batch = &recorder->batches[i];
        if (batch->series == series)
            strbuf_printf(out, "M%.1f %.2fh0",
                          report_across(report, (double)batch->t_ms),
                          frame_down(speed_of(batch), top));
    }
    strbuf_add(out, STR("\"/>"));
}

static void speed_labels(struct strbuf *out, double most, double top,
                         uint32_t merged) {
    char text[HTML_NUMBER_BYTES];
    text_count(text, (uint64_t)most);
    strbuf_printf(out,
                  "<span class=\"y under\" style=\"top:%.2f%%\">%s tokens/s"
                  "</span><span class=what>",
                  frame_down(most, top), text);
    if (merged > 1)
        strbuf_printf(out, "a dot: up to %u batches</span>", merged);
    else
        strbuf_add(out, STR("a dot: a batch</span>"));
}

static void speed_chart(const struct report *report, const char *device) {
    const struct recorder *recorder = report->recorder;
    struct strbuf *out = report->out;
    double most = 0;
    uint32_t merged = 0;
    for (size_t i = 0; recorder && i < recorder->batches_count; i++) {
        const struct recorded_batch *batch = &recorder->batches[i];
        if (!is_on(recorder, batch, device))
            continue;
        most = speed_of(batch) > most ? speed_of(batch) : most;
        merged = batch->batches > merged ? batch->batches : merged;
    }
    if (!merged)
        return;
    double top = 1.15 * most;
    frame_begin(out, "speed", "Tokens a second of each batch on ", device);
    frame_level(out, "grid", frame_down(most, top));
    frame_marks(report, device);
    for (unsigned s = 0; s < recorder->series_count; s++)
        if (strcmp(recorder->series[s].device, device) == 0)
            dots(report, s, top);
    strbuf_add(out, STR("</svg>"));
    speed_labels(out, most, top, merged);
    strbuf_add(out, STR("</div>\n"));
}

/* ---- figures ------------------------------------------------------------ */

static void ceiling_caption(struct strbuf *out, double peak, double ceiling) {
    char most[HTML_NUMBER_BYTES], all[HTML_NUMBER_BYTES];
    bool little = peak > 0 && peak < ceiling / 100;
    text_bytes(most, (uint64_t)peak);
    text_bytes(all, (uint64_t)ceiling);
    strbuf_printf(out,
                  " <span class=soft>&middot; at most %s of its ceiling of %s, "
                  "%s%.0f&nbsp;%%</span>",
                  most, all, little ? "less than " : "",
                  little ? 1 : 100 * peak / ceiling);
}

static void device_caption(const struct report *report, size_t d,
                           const char *name) {
    struct strbuf *out = report->out;
    strbuf_add(out, STR("<figcaption>"));
    html_text(out, name);
    if (report->series && d < report->series->devices) {
        const struct sample_device *device = &report->series->latest.devices[d];
        double peak = (double)report->series->run.devices[d].live_max_bytes;
        if (device->ceiling_bytes)
            ceiling_caption(out, peak, (double)device->ceiling_bytes);
    }
    strbuf_add(out, STR("</figcaption>\n"));
}

static void device_figure(const struct report *report, size_t d,
                          const char *name) {
    strbuf_add(report->out, STR("<figure>"));
    device_caption(report, d, name);
    if (report->series && d < report->series->devices)
        report_memory(report, d);
    speed_chart(report, name);
    report_lanes(report, name);
    frame_times(report);
    strbuf_add(report->out, STR("</figure>\n"));
}

static void process_curve(const struct report *report, bool cpu, double top) {
    const struct samples *series = report->series;
    const char *verb = "M";
    for (size_t p = 0; p < series->count; p++) {
        const struct sample_point *point = &series->points[p];
        double value = cpu ? point->cpu_percent : (double)point->process_bytes;
        if (value < 0)
            continue;
        strbuf_printf(report->out, "%s%.1f %.2f", verb,
                      report_across(report, (double)point->t_ms),
                      frame_down(value, top));
        verb = "L";
    }
}

static void process_figure(const struct report *report) {
    const struct samples *series = report->series;
    struct strbuf *out = report->out;
    double top = 1.25 * (double)series->run.process_max,
           step = frame_step(top, 3);
    double cpu_top =
        series->run.cpu_max > 80 ? 1.25 * series->run.cpu_max : 100;
    char text[HTML_NUMBER_BYTES];
    strbuf_add(out, STR("<figure><figcaption>This process</figcaption>\n"));
    frame_begin(out, "small", "Resident memory of the process", "");
    frame_grid(out, step, top);
    strbuf_add(out, STR("<path class=live d=\""));
    process_curve(report, false, top);
    strbuf_add(out, STR("\"/></svg>"));
    frame_grid_bytes(out, step, top);
    text_bytes(text, series->run.process_max);
    strbuf_printf(out,
                  "<span class=what>resident memory, at most %s</span>"
                  "</div>\n",
                  text);
    frame_begin(out, "speed", "CPU of the process", "");
    frame_level(out, "grid",
                frame_down(cpu_top > 100 ? series->run.cpu_max : 50, cpu_top));
    strbuf_add(out, STR("<path class=live d=\""));
    process_curve(report, true, cpu_top);
    strbuf_printf(out,
                  "\"/></svg><span class=what>CPU, at most %.0f&nbsp;%% "
                  "(100&nbsp;%% is one core)</span></div>\n",
                  series->run.cpu_max);
    frame_times(report);
    strbuf_add(out, STR("</figure>\n"));
}

/* Devices that batches ran on but no sample names. */
static void unsampled_figures(const struct report *report) {
    const struct recorder *recorder = report->recorder;
    for (size_t s = 0; recorder && s < recorder->series_count; s++) {
        const char *name = recorder->series[s].device;
        bool drawn = *name == '\0';
        for (size_t i = 0; i < s; i++)
            drawn |= strcmp(recorder->series[i].device, name) == 0;
        for (size_t d = 0; report->series && d < report->series->devices; d++)
            drawn |= strcmp(report->series->latest.devices[d].name, name) == 0;
        if (!drawn)
            device_figure(report, SIZE_MAX, name);
    }
}

static void keys(struct strbuf *out) {
    strbuf_add(
        out,
        STR("<div class=keys><span class=key><i style=\"--c:var(--live)\"></i>"
            "held by this run</span><span class=key><i style=\"--c:"
            "var(--others)\"></i>held by others</span><span>&#9660; a "
            "decision; "
            "point at it</span><span>a dark foot: "
            "loading</span></div>\n"));
}

void report_charts(const struct report *report) {
    const struct samples *series = report->series;
    bool sampled = series && series->count;
    if (report->end_ms <= 0 ||
        (!sampled && !(report->recorder && report->recorder->batches_count)))
        return;
    strbuf_add(report->out, STR("<h2>Memory and speed over time</h2>\n"));
    keys(report->out);
    for (size_t d = 0; sampled && d < series->devices; d++)
        if (series->run.devices[d].known)
            device_figure(report, d, series->latest.devices[d].name);
    unsampled_figures(report);
    if (sampled && series->run.process_max)
        process_figure(report);
}
