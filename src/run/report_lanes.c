/* report_lanes.c - when which model was at work on a device. */

#include <string.h>

#include "run/lookup.h"
#include "run/report_html.h"
#include "run/report_parts.h"

enum { LANES_MAX = 6, DRAWN_PASSES_MAX = 512 };

struct drawn_pass {
    const char *model; /* borrowed */
    double begin_ms, end_ms, load_ms;
    unsigned lane;
    bool failed;
};

/* Is DEVICE one of the names in the list "a,b,c"? */
static bool names_device(const char *list, const char *device) {
    size_t size = strlen(device);
    for (const char *at = list; (at = strstr(at, device)) != NULL; at++)
        if ((at == list || at[-1] == ',') &&
            (at[size] == ',' || at[size] == '\0'))
            return true;
    return false;
}

static bool same_pass(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"collection", "model", "pass"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *x = lookup(a, keys[i]), *y = lookup(b, keys[i]);
        if (!x || !y || !json_equal(x, y))
            return false;
    }
    return true;
}

/* The event that ends the pass that LIST[AT] began, or NULL. */
static const json_t *end_of(json_t *list, size_t at) {
    const json_t *begin = json_array_get(list, at);
    for (size_t i = at + 1; i < json_array_size(list); i++) {
        const json_t *event = json_array_get(list, i);
        const char *type = lookup_text(event, "type");
        if (strncmp(type, "ensemble_pass_", 14) == 0 && same_pass(begin, event))
            return event;
    }
    return NULL;
}

static struct drawn_pass draw_pass(const struct report *report, json_t *list,
                                   size_t at) {
    const json_t *begin = json_array_get(list, at), *end = end_of(list, at);
    const char *type = lookup_text(end, "type");
    return (struct drawn_pass){
        .model = lookup_text(begin, "model"),
        .begin_ms = lookup_real(begin, "t_ms"),
        .end_ms = end ? lookup_real(end, "t_ms") : report->end_ms,
        .load_ms = lookup_real(end, "load_ms"),
        .failed = strcmp(type, "ensemble_pass_failed") == 0};
}

/* Passes that overlap go to different lanes. */
static unsigned choose_lane(double lanes_ms[LANES_MAX],
                            const struct drawn_pass *pass) {
    unsigned lane = 0;
    while (lane + 1 < LANES_MAX && lanes_ms[lane] > pass->begin_ms)
        lane++;
    lanes_ms[lane] = pass->end_ms;
    return lane;
}

static size_t collect_passes(const struct report *report, const char *device,
                             struct drawn_pass *passes) {
    json_t *list = report->recorder->lists[RECORDED_PASSES], *event;
    double lanes_ms[LANES_MAX] = {0};
    size_t i, count = 0;
    json_array_foreach(list, i, event) {
        if (strcmp(lookup_text(event, "type"), "ensemble_pass_started") != 0 ||
            !names_device(lookup_text(event, "device"), device) ||
            count == DRAWN_PASSES_MAX)
            continue;
        passes[count] = draw_pass(report, list, i);
        passes[count].lane = choose_lane(lanes_ms, &passes[count]);
        count++;
    }
    return count;
}

static void lane_piece(const struct report *report,
                       const struct drawn_pass *pass) {
    struct strbuf *out = report->out;
    char text[HTML_NUMBER_BYTES];
    double x = report_across(report, pass->begin_ms) / 10;
    double width = report_across(report, pass->end_ms) / 10 - x;
    double ms = pass->end_ms - pass->begin_ms;
    text_ms(text, ms);
    strbuf_printf(out,
                  "<i style=\"--c:var(--m%u);left:%.2f%%;width:%.2f%%\" "
                  "title=\"",
                  report_colour(report, pass->model), x,
                  width < 0.15 ? 0.15 : width);
    html_text(out, pass->model);
    strbuf_printf(out, ": %s", text);
    text_ms(text, pass->load_ms);
    strbuf_printf(out, ", of that loading %s\">", text);
    if (pass->load_ms > 0 && pass->load_ms < ms)
        strbuf_printf(out, "<i style=\"width:%.2f%%\"></i>",
                      100 * pass->load_ms / ms);
    html_text(out, pass->model);
    strbuf_add(out, pass->failed ? STR(" &ndash; failed</i>") : STR("</i>"));
}

void report_lanes(const struct report *report, const char *device) {
    struct drawn_pass passes[DRAWN_PASSES_MAX];
    if (!report->recorder)
        return;
    size_t count = collect_passes(report, device, passes);
    for (unsigned lane = 0; lane < LANES_MAX; lane++) {
        bool begun = false;
        for (size_t i = 0; i < count; i++) {
            if (passes[i].lane != lane)
                continue;
            if (!begun)
                strbuf_add(report->out, STR("<div class=lane>"));
            begun = true;
            lane_piece(report, &passes[i]);
        }
        if (begun)
            strbuf_add(report->out, STR("</div>\n"));
    }
}
