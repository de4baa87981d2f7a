/* report_top.c - what a person sees in the first five seconds. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "run/lookup.h"
#include "run/report_html.h"
#include "run/report_parts.h"

struct totals {
    size_t collections, failed, existing;
    size_t models_failed;
    uint64_t found, embedded, blank, lost, passes_failed;
    uint64_t tokens, computed, reused;
    double pass_ms, load_ms;
};

static void add_passes(struct totals *totals, const json_t *collection) {
    size_t i;
    json_t *pass;
    json_array_foreach(lookup_list(collection, "passes"), i, pass) {
        totals->tokens += lookup_count(pass, "tokens");
        totals->computed += lookup_count(pass, "computed");
        totals->reused += lookup_count(pass, "reused");
        totals->pass_ms += lookup_real(pass, "duration_ms");
        totals->load_ms += lookup_real(pass, "load_ms");
        totals->passes_failed +=
            strcmp(lookup_text(pass, "status"), "failed") == 0;
    }
}

static struct totals add_up(const json_t *summary) {
    struct totals totals = {0};
    size_t i;
    json_t *collection, *model;
    json_array_foreach(lookup_list(summary, "models"), i, model) {
        totals.models_failed += *lookup_text(model, "error.code") != '\0';
    }
    json_array_foreach(lookup_list(summary, "collections"), i, collection) {
        const char *status = lookup_text(collection, "status");
        totals.collections++;
        totals.failed += strcmp(status, "failed") == 0 ||
                         strcmp(status, "skipped_missing") == 0;
        totals.existing += strcmp(status, "skipped_existing") == 0;
        totals.found += lookup_count(collection, "chunks.found");
        totals.embedded += lookup_count(collection, "chunks.embedded");
        totals.blank += lookup_count(collection, "chunks.blank");
        totals.lost += lookup_count(collection, "chunks.failed");
        add_passes(&totals, collection);
    }
    return totals;
}

/* ---- the sentence ------------------------------------------------------- */

static const char *plural(uint64_t count) {
    return count == 1 ? "" : "s";
}

/* It begins the sentence, or goes on in it. */
static void say_embedded(struct strbuf *out, const struct totals *totals,
                         bool begins) {
    bool all = totals->embedded == totals->found;
    if (!totals->found) {
        strbuf_printf(out, "%co chunks were found", begins ? 'N' : 'n');
        return;
    }
    if (all && totals->found == 1) {
        strbuf_printf(out, "%che only chunk is embedded", begins ? 'T' : 't');
        return;
    }
    if (all)
        strbuf_add(out, begins ? STR("All ") : STR("all "));
    html_count(out, totals->embedded);
    if (!all) {
        strbuf_add(out, STR(" of "));
        html_count(out, totals->found);
    }
    strbuf_printf(out, " chunk%s are embedded", plural(totals->found));
}

static void say_blank(struct strbuf *out, const struct totals *totals) {
    if (!totals->blank)
        return;
    strbuf_add(out, STR("; "));
    html_count(out, totals->blank);
    strbuf_add(out,
               totals->blank == 1 ? STR(" was blank") : STR(" were blank"));
}

static void say_failed(struct strbuf *out, const struct totals *totals) {
    size_t before = out->size;
    if (totals->failed)
        strbuf_printf(out, "%zu of %zu collection%s failed; ", totals->failed,
                      totals->collections, plural(totals->collections));
    else if (totals->passes_failed)
        strbuf_printf(out, "%" PRIu64 " model pass%s failed; ",
                      totals->passes_failed,
                      totals->passes_failed == 1 ? "" : "es");
    if (totals->models_failed)
        strbuf_printf(out, "%zu model%s could not be used; ",
                      totals->models_failed, plural(totals->models_failed));
    say_embedded(out, totals, out->size == before);
    say_blank(out, totals);
    strbuf_add_char(out, '.');
}

static void say_interrupted(struct strbuf *out, const char *status,
                            const struct totals *totals) {
    strbuf_add(out, strcmp(status, "disk_full") == 0 ? STR("The disk is full: ")
                    : strcmp(status, "busy") == 0
                        ? STR("Another run is at work there: ")
                        : STR("Interrupted: "));
    html_count(out, totals->computed + totals->reused);
    strbuf_printf(out, " text%s so far, and nothing of it is lost.",
                  plural(totals->computed + totals->reused));
}

static const char *mark_of(const char *status, const struct totals *totals) {
    if (lookup_goes_on(status))
        return "wait";
    bool fine = !totals->failed && !totals->passes_failed && !totals->lost &&
                strcmp(status, "none") == 0;
    bool some = totals->found || totals->existing;
    return fine && some ? "good" : "bad";
}

static void say_errors(struct strbuf *out, json_t *list, const char *name) {
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry) {
        const char *reason = lookup_text(entry, "error.message");
        if (!*reason)
            continue;
        strbuf_add(out, STR("<li><b>"));
        html_text(out, lookup_text(entry, name));
        strbuf_add(out, STR("</b>: "));
        html_text(out, reason);
        strbuf_add(out, STR("</li>"));
    }
}

static void say_why(const struct report *report) {
    struct strbuf *out = report->out;
    strbuf_add(out, STR("<ul>"));
    size_t begin = out->size;
    say_errors(out, lookup_list(report->summary, "models"), "key");
    say_errors(out, lookup_list(report->summary, "collections"), "collection");
    const char *message = lookup_text(report->summary, "message");
    if (out->size == begin && *message) {
        strbuf_add(out, STR("<li>"));
        html_text(out, message);
        strbuf_add(out, STR("</li>"));
    }
    strbuf_add(out, STR("</ul>"));
}

static void say_how_to_go_on(const struct report *report, const char *status) {
    struct strbuf *out = report->out;
    const char *without =
        json_is_true(lookup(report->summary, "restart"))
            ? " without <code>--restart</code>"
            : ""; /* with it all of it would be computed once more */
    say_why(report);
    strbuf_printf(out,
                  lookup_goes_on(status)
                      ? "<p>The same command%s goes on where this one "
                        "stopped:</p>"
                      : "<p>What is sound is kept. Mend what is named here and "
                        "run the same command again%s: it computes only what "
                        "is missing.</p>",
                  without);
}

static void say_machine(const struct report *report) {
    static const char *const facts[] = {"program", "date", "device.name",
                                        "device.model", "device.isa"};
    struct strbuf *out = report->out;
    char ms[HTML_NUMBER_BYTES];
    strbuf_add(out, STR("<p class=soft>"));
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const char *text = lookup_text(report->summary, facts[i]);
        if (*text) {
            html_text(out, text);
            strbuf_add(out, STR(" &middot; "));
        }
    }
    uint64_t threads = lookup_count(report->summary, "device.threads");
    if (threads)
        strbuf_printf(out, "%" PRIu64 " thread%s &middot; ", threads,
                      plural(threads));
    text_ms(ms, lookup_real(report->summary, "duration_ms"));
    strbuf_printf(out, "%s</p>\n", ms);
}

void report_verdict(const struct report *report) {
    struct strbuf *out = report->out;
    struct totals totals = add_up(report->summary);
    const char *status = lookup_run_status(report->summary);
    const char *mark = mark_of(status, &totals);
    strbuf_printf(out, "<header class=\"mark %s\"><h1>", mark);
    if (lookup_goes_on(status))
        say_interrupted(out, status, &totals);
    else if (!totals.collections)
        strbuf_add(out, STR("No collection was worked on."));
    else if (totals.existing == totals.collections)
        strbuf_add(out, STR("Nothing had to be done."));
    else
        say_failed(out, &totals);
    strbuf_add(out, STR("</h1>\n"));
    say_machine(report);
    if (strcmp(mark, "good") != 0)
        say_how_to_go_on(report, status);
    const char *command = lookup_text(report->summary, "command");
    if (*command) {
        strbuf_add(out, STR("<code class=command>"));
        html_text(out, command);
        strbuf_add(out, STR("</code>"));
    }
    strbuf_add(out, STR("</header>\n"));
}

/* ---- tiles -------------------------------------------------------------- */

static void tile_begin(struct strbuf *out) {
    strbuf_add(out, STR("<div class=tile><b>"));
}

static void tile_end(struct strbuf *out, const char *what) {
    strbuf_printf(out, "</b><span class=soft>%s</span></div>\n", what);
}

/* The device that came closest to its ceiling. */
static void memory_tile(const struct report *report) {
    const struct samples *series = report->series;
    struct strbuf *out = report->out;
    size_t worst = SAMPLE_DEVICES_MAX;
    double most = 0;
    for (size_t d = 0; series && d < series->devices; d++) {
        const struct sample_device *device = &series->latest.devices[d];
        double share = device->ceiling_bytes
                           ? (double)series->run.devices[d].live_max_bytes /
                                 (double)device->ceiling_bytes
                           : 0;
        if (series->run.devices[d].known &&
            (worst == SAMPLE_DEVICES_MAX || share > most)) {
            most = share;
            worst = d;
        }
    }
    if (worst == SAMPLE_DEVICES_MAX)
        return;
    tile_begin(out);
    html_bytes(out, series->run.devices[worst].live_max_bytes);
    strbuf_add(out, STR("</b><span class=soft>most memory, on "));
    html_text(out, series->latest.devices[worst].name);
    if (most > 0)
        strbuf_printf(out, " (%s%.0f&nbsp;%% of its ceiling)",
                      most < 0.01 ? "under " : "",
                      most < 0.01 ? 1 : 100 * most);
    strbuf_add(out, STR("</span></div>\n"));
}

static uint64_t overflow_of(const struct report *report,
                            enum recorded_kind kind) {
    return report->recorder ? report->recorder->overflow[kind] : 0;
}

/* What overflowed is not known by kind; it is counted in full. */
static uint64_t pressing(const struct report *report) {
    uint64_t count = overflow_of(report, RECORDED_MITIGATIONS);
    size_t i;
    json_t *mitigation;
    json_array_foreach(report->mitigations, i, mitigation) {
        count += report_mitigation_presses(mitigation);
    }
    return count;
}

void report_tiles(const struct report *report) {
    struct strbuf *out = report->out;
    struct totals totals = add_up(report->summary);
    strbuf_add(out, STR("<div class=tiles>\n"));
    tile_begin(out);
    html_count(out, totals.embedded);
    tile_end(out, "chunks embedded");
    tile_begin(out);
    html_ms(out, lookup_real(report->summary, "duration_ms"));
    tile_end(out, "from start to end");
    double all_ms = lookup_real(report->summary, "duration_ms");
    if (totals.tokens && all_ms > 0) {
        tile_begin(out);
        html_count(out, (uint64_t)((double)totals.tokens * 1000 / all_ms));
        tile_end(out, "tokens/s, loading and writing included");
    }
    memory_tile(report);
    tile_begin(out);
    html_count(out, pressing(report));
    tile_end(out, "actions under pressure");
    if (report->recorder) {
        tile_begin(out);
        html_count(out,
                   json_array_size(report->recorder->lists[RECORDED_WARNINGS]) +
                       overflow_of(report, RECORDED_WARNINGS));
        tile_end(out, "warnings and errors");
    }
    strbuf_add(out, STR("</div>\n"));
}

/* ---- where the time went ------------------------------------------------ */

static void bar_part(struct strbuf *out, double ms, double all_ms,
                     const char *colour) {
    strbuf_printf(out, "<i style=\"--c:var(--%s);width:%.2f%%\"></i>", colour,
                  100 * ms / all_ms);
}

static void bar_key(struct strbuf *out, double ms, const char *colour,
                    const char *what) {
    strbuf_printf(out, "<span class=key><i style=\"--c:var(--%s)\"></i>%s ",
                  colour, what);
    html_ms(out, ms);
    strbuf_add(out, STR("</span>"));
}

/* Only where passes follow one another: their times then add up. Loading is a
 * part of a pass. */
void report_time(const struct report *report) {
    struct strbuf *out = report->out;
    struct totals totals = add_up(report->summary);
    double all_ms = lookup_real(report->summary, "duration_ms");
    double rest_ms = all_ms - totals.pass_ms;
    double embed_ms = totals.pass_ms - totals.load_ms;
    if (all_ms <= 0 || embed_ms <= 0 || rest_ms < 0)
        return;
    strbuf_add(out, STR("<h2>Where the time went</h2>\n<div class=bar>"));
    bar_part(out, totals.load_ms, all_ms, "m1");
    bar_part(out, embed_ms, all_ms, "live");
    bar_part(out, rest_ms, all_ms, "others");
    strbuf_add(out, STR("</div>\n<div class=keys>"));
    bar_key(out, totals.load_ms, "m1", "loading models");
    bar_key(out, embed_ms, "live", "embedding");
    bar_key(out, rest_ms, "others", "reading, writing, waiting");
    strbuf_add(out, STR("</div>\n"));
}
