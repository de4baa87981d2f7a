/* report_chart.c - memory, speed and passes over time.
 *
 * The drawing is stretched to the page's width and its text is HTML laid over
 * it, so that letters stay as large on a phone as on a wall. Coordinates are
 * parts of 1000 across and of 100 down.
 */

#include <stdio.h>
#include <string.h>

#include "run/lookup.h"
#include "run/report_html.h"
#include "run/report_parts.h"

enum { MARKS_MAX = 200 };

/* A value's place from the top, 0 to 100. */
static double down(double value, double top) {
    double part = top > 0 ? value / top : 0;
    return 100 - 100 * (part < 0 ? 0 : part > 1 ? 1 : part);
}

static void chart_begin(struct strbuf *out, const char *kind, const char *says,
                        const char *about) {
    strbuf_printf(out,
                  "<div class=\"chart %s\"><svg viewBox=\"0 0 1000 100\" "
                  "preserveAspectRatio=none role=img aria-label=\"%s",
                  kind, says);
    html_text(out, about);
    strbuf_add(out, STR("\">"));
}

static void level_line(struct strbuf *out, const char *class, double y) {
    strbuf_printf(out, "<path class=%s d=\"M0 %.2fH1000\"/>", class, y);
}

/* ---- grid --------------------------------------------------------------- */

/* The power of two, times a unit, that gives at most MOST lines. */
static double step_bytes(double top, int most) {
    double step = 1;
    while (top / step > most)
        step *= 2;
    return step;
}

/* Lines up to 92 % of the top: higher up, labels would collide. */
static int lines_of(double step, double top) {
    return (int)(0.92 * top / step);
}

static void grid_lines(struct strbuf *out, double step, double top) {
    for (int i = 1; i <= lines_of(step, top); i++)
        level_line(out, "grid", down(step * i, top));
}

/* 4 GiB, 1.5 GiB: a step's multiples have few digits. */
static void text_round_bytes(char text[HTML_NUMBER_BYTES], double bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, HTML_NUMBER_BYTES, "%.4g %s", bytes, units[unit]);
}

static void grid_bytes(struct strbuf *out, double step, double top) {
    for (int i = 1; i <= lines_of(step, top); i++) {
        char text[HTML_NUMBER_BYTES];
        text_round_bytes(text, step * i);
        strbuf_printf(out, "<span class=y style=\"top:%.2f%%\">%s</span>",
                      down(step * i, top), text);
    }
}

static double step_ms(double end_ms) {
    static const double steps[] = {
        1,    2,    5,    10,    20,    50,    100,    200,    500,   1e3,
        2e3,  5e3,  1e4,  2e4,   3e4,   6e4,   12e4,   3e5,    6e5,   12e5,
        18e5, 36e5, 72e5, 144e5, 432e5, 864e5, 1728e5, 4320e5, 8640e5};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (end_ms / steps[i] <= 6)
            return steps[i];
    return end_ms / 5;
}

/* 30 s, 1 min 30 s, 2 h: a step's multiples need no fractions. */
static void text_round_ms(char text[HTML_NUMBER_BYTES], double ms) {
    unsigned long long seconds = (unsigned long long)(ms / 1000 + 0.5);
    if (ms < 1000)
        snprintf(text, HTML_NUMBER_BYTES, "%.0f ms", ms);
    else if (seconds < 60)
        snprintf(text, HTML_NUMBER_BYTES, "%llu s", seconds);
    else if (seconds % 60)
        snprintf(text, HTML_NUMBER_BYTES, "%llu min %llu s", seconds / 60,
                 seconds % 60);
    else if (seconds % 3600)
        snprintf(text, HTML_NUMBER_BYTES, "%llu min", seconds / 60);
    else
        snprintf(text, HTML_NUMBER_BYTES, "%llu h", seconds / 3600);
}

static void time_axis(const struct report *report) {
    struct strbuf *out = report->out;
    double step = step_ms(report->end_ms);
    char text[HTML_NUMBER_BYTES];
    strbuf_add(out, STR("<div class=times><span class=first style=left:0>0"
                        "</span>"));
    for (int i = 1; step * i < 0.9 * report->end_ms; i++) {
        text_round_ms(text, step * i);
        strbuf_printf(out, "<span style=left:%.2f%%>%s</span>",
                      report_across(report, step * i) / 10, text);
    }
    text_ms(text, report->end_ms);
    strbuf_printf(out, "<span class=last style=left:100%%>%s</span></div>\n",
                  text);
}

/* ---- marks of mitigations ----------------------------------------------- */

static bool is_marked(const json_t *mitigation, const char *device) {
    return strcmp(lookup_text(mitigation, "device"), device) == 0 &&
           lookup_has(mitigation, "t_ms");
}

static void mark_lines(const struct report *report, const char *device) {
    size_t i, drawn = 0;
    json_t *mitigation;
    json_array_foreach(report->mitigations, i, mitigation) {
        if (is_marked(mitigation, device) && drawn++ < MARKS_MAX)
            strbuf_printf(
                report->out, "<path class=act d=\"M%.2f 0V100\"/>",
                report_across(report, lookup_real(mitigation, "t_ms")));
    }
}

static void mark_signs(const struct report *report, const char *device) {
    struct strbuf *out = report->out;
    size_t i, drawn = 0;
    json_t *mitigation;
    json_array_foreach(report->mitigations, i, mitigation) {
        if (!is_marked(mitigation, device) || drawn++ >= MARKS_MAX)
            continue;
        double t_ms = lookup_real(mitigation, "t_ms");
        char text[HTML_NUMBER_BYTES];
        text_ms(text, t_ms);
        strbuf_printf(out, "<span class=act style=left:%.2f%% title=\"%s: ",
                      report_across(report, t_ms) / 10, text);
        html_text(out, report_mitigation_type(mitigation));
        strbuf_add_char(out, ' ');
        report_mitigation_numbers(report, mitigation);
        strbuf_add(out, STR(" &ndash; "));
        html_text(out, lookup_text(mitigation, "reason"));
        strbuf_add(out, STR("\">&#9660;</span>"));
    }
}

/* ---- memory of a device ------------------------------------------------- */

struct memory_scale {
    double top;
    bool others; /* what others hold is drawn: a card, not a whole machine */
    bool ceiling, margin; /* their lines are within the chart */
};

static double used_of(const struct sample_device *device,
                      const struct sample_level *level) {
    return device->total_bytes > level->free_min_bytes
               ? (double)(device->total_bytes - level->free_min_bytes)
               : 0;
}

/* A ceiling far above what was used would press all of it into one line. */
enum { FAR_ABOVE = 12 };

static struct memory_scale scale_of(const struct sample_device *device,
                                    const struct sample_level *worst) {
    double ceiling = (double)device->ceiling_bytes;
    double total = (double)device->total_bytes;
    double peak = (double)worst->live_max_bytes;
    struct memory_scale scale = {.top = 1.15 * (peak > 0 ? peak : 1)};
    scale.others = ceiling > 0 && total <= 2 * ceiling;
    double shown = scale.others ? used_of(device, worst) : peak;
    if (ceiling <= 0 || (shown > 0 && ceiling > FAR_ABOVE * shown)) {
        scale.others = false;
        return scale;
    }
    scale.ceiling = true;
    scale.margin = scale.others && device->margin_bytes > 0;
    scale.top = 1.08 * (ceiling > peak ? ceiling : peak);
    if (scale.others && total > scale.top)
        scale.top = total;
    return scale;
}

/* Points of one curve; a gap where nothing could be read is bridged. */
static void curve(const struct report *report, size_t d, double top, bool used,
                  bool backwards) {
    const struct samples *series = report->series;
    for (size_t i = 0; i < series->count; i++) {
        size_t p = backwards ? series->count - 1 - i : i;
        const struct sample_level *level = samples_level(series, p, d);
        if (!level->known)
            continue;
        double value = used ? used_of(&series->latest.devices[d], level)
                            : (double)level->live_max_bytes;
        strbuf_printf(report->out, "L%.1f %.2f",
                      report_across(report, (double)series->points[p].t_ms),
                      down(value, top));
    }
}

/* Where the device was first or last read: a lost one is read no more. */
static double known_x(const struct report *report, size_t d, bool last) {
    const struct samples *series = report->series;
    for (size_t i = 0; i < series->count; i++) {
        size_t p = last ? series->count - 1 - i : i;
        if (samples_level(series, p, d)->known)
            return report_across(report, (double)series->points[p].t_ms);
    }
    return 0;
}

static void memory_curves(const struct report *report, size_t d,
                          const struct memory_scale *scale) {
    struct strbuf *out = report->out;
    if (scale->others) {
        strbuf_printf(out, "<path class=others d=\"M%.1f 100",
                      known_x(report, d, false));
        curve(report, d, scale->top, true, false);
        curve(report, d, scale->top, false, true);
        strbuf_add(out, STR("Z\"/>"));
    }
    strbuf_printf(out, "<path class=area d=\"M%.1f 100",
                  known_x(report, d, false));
    curve(report, d, scale->top, false, false);
    strbuf_printf(out, "L%.1f 100Z\"/><path class=live d=\"M%.1f 100",
                  known_x(report, d, true), known_x(report, d, false));
    curve(report, d, scale->top, false, false);
    strbuf_add(out, STR("\"/>"));
}

static size_t peak_point(const struct samples *series, size_t d) {
    size_t best = 0;
    for (size_t p = 1; p < series->count; p++)
        if (samples_level(series, p, d)->live_max_bytes >
            samples_level(series, best, d)->live_max_bytes)
            best = p;
    return best;
}

static void peak_label(const struct report *report, double t_ms, double value,
                       double top) {
    char text[HTML_NUMBER_BYTES];
    double x = report_across(report, t_ms) / 10, y = down(value, top);
    text_bytes(text, (uint64_t)value);
    strbuf_printf(report->out,
                  "<span class=\"peak%s\" style=\"left:max(%s,%.2f%%);"
                  "top:%.2f%%\">peak %s</span>",
                  x < 16   ? " l"
                  : x > 84 ? " r"
                           : "",
                  x < 16 ? "66px" : "0px", x, y < 14 ? 14 : y, text);
}

/* Ceiling and margin at the right, each at its line. */
static void limit_labels(struct strbuf *out, const struct sample_device *device,
                         const struct memory_scale *scale) {
    char text[HTML_NUMBER_BYTES];
    text_bytes(text, device->ceiling_bytes);
    if (scale->ceiling)
        strbuf_printf(out,
                      "<span class=\"right limit\" style=\"top:%.2f%%\">"
                      "ceiling %s</span>",
                      down((double)device->ceiling_bytes, scale->top), text);
    if (!scale->margin)
        return;
    text_bytes(text, device->margin_bytes);
    strbuf_printf(
        out,
        "<span class=\"right limit under\" style=\"top:%.2f%%\">less than %s "
        "free above this line</span>",
        down((double)(device->total_bytes - device->margin_bytes), scale->top),
        text);
}

static void memory_chart(const struct report *report, size_t d) {
    struct strbuf *out = report->out;
    const struct samples *series = report->series;
    const struct sample_device *device = &series->latest.devices[d];
    double peak = (double)series->run.devices[d].live_max_bytes;
    struct memory_scale scale = scale_of(device, &series->run.devices[d]);
    double step = step_bytes(scale.top, 5);
    chart_begin(out, "memory", "Memory over time on ", device->name);
    grid_lines(out, step, scale.top);
    memory_curves(report, d, &scale);
    if (scale.ceiling)
        level_line(out, "limit",
                   down((double)device->ceiling_bytes, scale.top));
    if (scale.margin && device->margin_bytes < device->total_bytes)
        level_line(out, "margin",
                   down((double)(device->total_bytes - device->margin_bytes),
                        scale.top));
    mark_lines(report, device->name);
    strbuf_add(out, STR("</svg>"));
    grid_bytes(out, step, scale.top);
    limit_labels(out, device, &scale);
    peak_label(report, (double)series->points[peak_point(series, d)].t_ms, peak,
               scale.top);
    mark_signs(report, device->name);
    strbuf_add(out, STR("</div>\n"));
}

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
                          down(speed_of(batch), top));
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
                  down(most, top), text);
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
    chart_begin(out, "speed", "Tokens a second of each batch on ", device);
    level_line(out, "grid", down(most, top));
    mark_lines(report, device);
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
        memory_chart(report, d);
    speed_chart(report, name);
    report_lanes(report, name);
    time_axis(report);
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
                      down(value, top));
        verb = "L";
    }
}

static void process_figure(const struct report *report) {
    const struct samples *series = report->series;
    struct strbuf *out = report->out;
    double top = 1.25 * (double)series->run.process_max,
           step = step_bytes(top, 3);
    double cpu_top =
        series->run.cpu_max > 80 ? 1.25 * series->run.cpu_max : 100;
    char text[HTML_NUMBER_BYTES];
    strbuf_add(out, STR("<figure><figcaption>This process</figcaption>\n"));
    chart_begin(out, "small", "Resident memory of the process", "");
    grid_lines(out, step, top);
    strbuf_add(out, STR("<path class=live d=\""));
    process_curve(report, false, top);
    strbuf_add(out, STR("\"/></svg>"));
    grid_bytes(out, step, top);
    text_bytes(text, series->run.process_max);
    strbuf_printf(out,
                  "<span class=what>resident memory, at most %s</span>"
                  "</div>\n",
                  text);
    chart_begin(out, "speed", "CPU of the process", "");
    level_line(out, "grid",
               down(cpu_top > 100 ? series->run.cpu_max : 50, cpu_top));
    strbuf_add(out, STR("<path class=live d=\""));
    process_curve(report, true, cpu_top);
    strbuf_printf(out,
                  "\"/></svg><span class=what>CPU, at most %.0f&nbsp;%% "
                  "(100&nbsp;%% is one core)</span></div>\n",
                  series->run.cpu_max);
    time_axis(report);
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
