/* report_frame.h - what the charts of report.html have around their curves:
 * grid, time axis, and marks where something was decided.
 *
 * A drawing is stretched to the page's width and its text is HTML laid over
 * it, so that letters stay as large on a phone as on a wall. Coordinates are
 * parts of 1000 across (report_across) and of 100 down. A chart is
 *
 *     frame_begin(out, "memory", "Memory over time on ", name);
 *     ... frame_grid, frame_level, paths, frame_marks: within the drawing ...
 *     strbuf_add(out, STR("</svg>"));
 *     ... frame_grid_bytes, frame_mark_signs, labels: over it ...
 *     strbuf_add(out, STR("</div>\n"));
 */

#ifndef RUN_REPORT_FRAME_H
#define RUN_REPORT_FRAME_H

#include "run/report_parts.h"

/* A value's place from the top, 0 to 100. */
double frame_down(double value, double top);

/* KIND is the drawing's class; who cannot see it hears SAYS and ABOUT. */
void frame_begin(struct strbuf *out, const char *kind, const char *says,
                 const char *about);

/* A line from end to end, Y from the top. */
void frame_level(struct strbuf *out, const char *class, double y);

/* Bytes from line to line of a grid below TOP, so that there are at most MOST;
 * the lines, and what is written at them. */
double frame_step(double top, int most);
void frame_grid(struct strbuf *out, double step, double top);
void frame_grid_bytes(struct strbuf *out, double step, double top);

/* The time axis below a figure's charts. */
void frame_times(const struct report *report);

/* Where something was decided about DEVICE: lines, and signs that say what. */
void frame_marks(const struct report *report, const char *device);
void frame_mark_signs(const struct report *report, const char *device);

#endif
