#include "run/report.h"

#include <string.h>

#include "base/file.h"
#include "run/lookup.h"
#include "run/report_parts.h"

unsigned report_colour(const struct report *report, const char *model) {
    size_t i, count = 0;
    json_t *entry;
    json_array_foreach(lookup_list(report->summary, "models"), i, entry) {
        if (strcmp(lookup_text(entry, "key"), model) == 0)
            return (unsigned)(i % REPORT_COLOURS);
        count++;
    }
    const struct recorder *recorder = report->recorder;
    for (i = 0; recorder && i < recorder->series_count; i++)
        if (strcmp(recorder->series[i].model, model) == 0)
            return (unsigned)((count + i) % REPORT_COLOURS);
    return REPORT_COLOURS - 1;
}

double report_across(const struct report *report, double t_ms) {
    double part = t_ms / report->end_ms;
    return 1000 * (part < 0 ? 0 : part > 1 ? 1 : part);
}

/* A list of all passes' KEY, for a report without a recorder. */
static json_t *gather(const json_t *summary, const char *key) {
    json_t *all = json_array(), *collection, *pass;
    size_t i, j;
    json_array_foreach(lookup_list(summary, "collections"), i, collection) {
        json_array_foreach(lookup_list(collection, "passes"), j, pass) {
            json_t *list = lookup_list(pass, key);
            if (list)
                json_array_extend(all, list);
        }
    }
    return all;
}

static double end_of_time(const struct report *report) {
    const struct recorder *recorder = report->recorder;
    double end_ms = lookup_real(report->summary, "duration_ms");
    if (report->series && report->series->count &&
        (double)report->series->latest.t_ms > end_ms)
        end_ms = (double)report->series->latest.t_ms;
    if (recorder && recorder->batches_count) {
        double last_ms =
            (double)recorder->batches[recorder->batches_count - 1].t_ms;
        end_ms = last_ms > end_ms ? last_ms : end_ms;
    }
    return end_ms;
}

static void fill(const struct report *report) {
    struct strbuf *out = report->out;
    strbuf_add(out, str_from(report_head));
    strbuf_add(out, str_from(report_style));
    strbuf_add(out, str_from(report_chart_style));
    report_verdict(report);
    report_tiles(report);
    report_charts(report);
    report_mitigations(report);
    report_time(report);
    report_collections(report);
    report_passes(report);
    report_drift(report);
    report_leases(report);
    report_slowest(report);
    report_trouble(report);
    report_warnings(report);
    report_hub(report);
    report_left_out(report);
    strbuf_add(out, STR("<footer>All numbers stand in summary.json and "
                        "events.jsonl beside this page.</footer>\n"
                        "</body>\n</html>\n"));
}

bool report_write(const char *path, const json_t *summary,
                  const struct recorder *recorder, const struct samples *series,
                  struct memory *memory, struct error *err) {
    struct strbuf out = strbuf_make(memory);
    struct report report = {.out = &out,
                            .summary = summary,
                            .recorder = recorder,
                            .series = series};
    if (recorder) {
        report.mitigations = recorder_list(recorder, RECORDED_MITIGATIONS);
        report.leases = recorder_list(recorder, RECORDED_LEASES);
    } else {
        report.mitigations = gather(summary, "mitigations");
        report.leases = gather(summary, "leases");
    }
    report.end_ms = end_of_time(&report);
    fill(&report);
    bool fine =
        strbuf_ok(&out, err) && file_write(path, strbuf_str(&out), memory, err);
    json_decref(report.mitigations);
    json_decref(report.leases);
    strbuf_free(&out);
    return fine;
}
