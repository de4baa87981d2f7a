/* report_frame.c - what charts have around their curves: see report_frame.h. */

#include "run/report_frame.h"

#include <stdio.h>
#include <string.h>

#include "run/lookup.h"
#include "run/report_html.h"

enum { MARKS_MAX = 200 };

double frame_down(double value, double top) {
    double part = top > 0 ? value / top : 0;
    return 100 - 100 * (part < 0 ? 0 : part > 1 ? 1 : part);
}

void frame_begin(struct strbuf *out, const char *kind, const char *says,
                 const char *about) {
    strbuf_printf(out,
                  "<div class=\"chart %s\"><svg viewBox=\"0 0 1000 100\" "
                  "preserveAspectRatio=none role=img aria-label=\"%s",
                  kind, says);
    html_text(out, about);
    strbuf_add(out, STR("\">"));
}

void frame_level(struct strbuf *out, const char *class, double y) {
    strbuf_printf(out, "<path class=%s d=\"M0 %.2fH1000\"/>", class, y);
}

/* ---- grid --------------------------------------------------------------- */

/* The power of two, times a unit, that gives at most MOST lines. */
double frame_step(double top, int most) {
    double step = 1;
    while (top / step > most)
        step *= 2;
    return step;
}

/* Lines up to 92 % of the top: higher up, labels would collide. */
static int lines_of(double step, double top) {
    return (int)(0.92 * top / step);
}

void frame_grid(struct strbuf *out, double step, double top) {
    for (int i = 1; i <= lines_of(step, top); i++)
        frame_level(out, "grid", frame_down(step * i, top));
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

void frame_grid_bytes(struct strbuf *out, double step, double top) {
    for (int i = 1; i <= lines_of(step, top); i++) {
        char text[HTML_NUMBER_BYTES];
        text_round_bytes(text, step * i);
        strbuf_printf(out, "<span class=y style=\"top:%.2f%%\">%s</span>",
                      frame_down(step * i, top), text);
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

void frame_times(const struct report *report) {
    struct strbuf *out = report->out;
    double step = step_ms(report->end_ms);
    char text[HTML_NUMBER_BYTES];
    strbuf_add(out, STR("<div class=times><span class=first style=left:0>0"
                        "</span>"));
    /* Nearer to the end its label and the last one would touch on a phone. */
    for (int i = 1; step * i < 0.84 * report->end_ms; i++) {
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

void frame_marks(const struct report *report, const char *device) {
    size_t i, drawn = 0;
    json_t *mitigation;
    json_array_foreach(report->mitigations, i, mitigation) {
        if (is_marked(mitigation, device) && drawn++ < MARKS_MAX)
            strbuf_printf(
                report->out, "<path class=act d=\"M%.2f 0V100\"/>",
                report_across(report, lookup_real(mitigation, "t_ms")));
    }
}

void frame_mark_signs(const struct report *report, const char *device) {
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
