/* report_parts.h - the parts of report.html, for run/report.c alone. */

#ifndef RUN_REPORT_PARTS_H
#define RUN_REPORT_PARTS_H

#include <stdint.h>

#include <jansson.h>

#include "base/str.h"
#include "run/recorder.h"
#include "run/samples.h"

struct report {
    struct strbuf *out;
    const json_t *summary;           /* may be NULL or anything */
    const struct recorder *recorder; /* or NULL */
    const struct samples *series;    /* or NULL */
    json_t *mitigations, *leases;    /* lists, from recorder or summary */
    double end_ms;                   /* of the charts' time */
};

/* report_page.c: one after the other. */
extern const char report_head[], report_style[], report_chart_style[];

/* Which of the six colours a model has. */
enum { REPORT_COLOURS = 6 };
unsigned report_colour(const struct report *report, const char *model);

const char *report_mitigation_type(const json_t *mitigation);

/* Was it done because memory (or a device) was lacking? Relief is not, nor a
 * smaller budget because the longer texts are done. */
bool report_mitigation_presses(const json_t *mitigation);

/* What a mitigation changed, as text: "16,384 → 8,192 tokens". */
void report_mitigation_numbers(const struct report *report,
                               const json_t *mitigation);

/* A moment's place in a chart, 0 to 1000. */
double report_across(const struct report *report, double t_ms);

/* report_lanes.c: the passes on DEVICE, below its chart. */
void report_lanes(const struct report *report, const char *device);

/* report_memory.c: the chart of device D of the series. */
void report_memory(const struct report *report, size_t d);

/* report_chart.c: memory, speed and passes over time, a figure a device. */
void report_charts(const struct report *report);

/* report_top.c: the answer in one sentence, and the numbers. */
void report_verdict(const struct report *report);
void report_tiles(const struct report *report);
void report_time(const struct report *report);

/* report_drift.c: passes in a narrow type against f32. */
void report_drift(const struct report *report);

/* report_cells.c: cells of members that may not be there. */
void report_cell_count(struct strbuf *out, const json_t *of, const char *path);
void report_cell_bytes(struct strbuf *out, const json_t *of, const char *path);
void report_cell_ms(struct strbuf *out, const json_t *of, const char *path);
void report_cell_text(struct strbuf *out, const json_t *of, const char *path);

/* report_tables.c */
void report_collections(const struct report *report);
void report_passes(const struct report *report);
void report_slowest(const struct report *report);

/* report_trouble.c */
void report_mitigations(const struct report *report);
void report_leases(const struct report *report);
void report_trouble(const struct report *report); /* failed, truncated */
void report_hub(const struct report *report);     /* cache, retries */
void report_warnings(const struct report *report);
void report_left_out(const struct report *report); /* by this report */

#endif
