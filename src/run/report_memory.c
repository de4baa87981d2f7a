/* report_memory.c - the memory of a device over time. */

#include <string.h>

#include "run/report_frame.h"
#include "run/report_html.h"

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
                      frame_down(value, top));
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
    double x = report_across(report, t_ms) / 10, y = frame_down(value, top);
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
                      frame_down((double)device->ceiling_bytes, scale->top),
                      text);
    if (!scale->margin)
        return;
    text_bytes(text, device->margin_bytes);
    strbuf_printf(
        out,
        "<span class=\"right limit under\" style=\"top:%.2f%%\">less than %s "
        "free above this line</span>",
        frame_down((double)(device->total_bytes - device->margin_bytes),
                   scale->top),
        text);
}

void report_memory(const struct report *report, size_t d) {
    struct strbuf *out = report->out;
    const struct samples *series = report->series;
    const struct sample_device *device = &series->latest.devices[d];
    double peak = (double)series->run.devices[d].live_max_bytes;
    struct memory_scale scale = scale_of(device, &series->run.devices[d]);
    double step = frame_step(scale.top, 5);
    frame_begin(out, "memory", "Memory over time on ", device->name);
    frame_grid(out, step, scale.top);
    memory_curves(report, d, &scale);
    if (scale.ceiling)
        frame_level(out, "limit",
                    frame_down((double)device->ceiling_bytes, scale.top));
    if (scale.margin && device->margin_bytes < device->total_bytes)
        frame_level(
            out, "margin",
            frame_down((double)(device->total_bytes - device->margin_bytes),
                       scale.top));
    frame_marks(report, device->name);
    strbuf_add(out, STR("</svg>"));
    frame_grid_bytes(out, step, scale.top);
    limit_labels(out, device, &scale);
    peak_label(report, (double)series->points[peak_point(series, d)].t_ms, peak,
               scale.top);
    frame_mark_signs(report, device->name);
    strbuf_add(out, STR("</div>\n"));
}
