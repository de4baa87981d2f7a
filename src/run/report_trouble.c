/* report_trouble.c - what did not go as planned: decisions on the way, leases,
 * what failed, warnings. */

#include <inttypes.h>
#include <string.h>

#include "run/lookup.h"
#include "run/report_html.h"
#include "run/report_parts.h"

/* A long table shows its first rows and folds the others. */
enum { ROWS_SHOWN = 40 };

/* ---- pressure and leases ------------------------------------------------ */

/* BEGIN: where in OUT the first of several begins. */
static void from_to(struct strbuf *out, size_t begin, const json_t *of,
                    const char *from, const char *to, const char *between,
                    const char *unit) {
    if (!lookup_has(of, from))
        return;
    if (out->size > begin)
        strbuf_add(out, STR(", "));
    html_count(out, lookup_count(of, from));
    if (lookup_has(of, to)) {
        strbuf_add(out, str_from(between));
        html_count(out, lookup_count(of, to));
    }
    strbuf_add(out, str_from(unit));
}

const char *report_mitigation_type(const json_t *mitigation) {
    const char *type = lookup_text(mitigation, "type"); /* of an event */
    return *type ? type : lookup_text(mitigation, "action");
}

bool report_mitigation_presses(const json_t *mitigation) {
    static const char *const relief[] = {"budget_grown", "companion_resumed",
                                         "layers_restored"};
    const char *type = report_mitigation_type(mitigation);
    for (size_t i = 0; i < sizeof relief / sizeof *relief; i++)
        if (strcmp(type, relief[i]) == 0)
            return false;
    return strcmp(type, "budget_shrunk") != 0 ||
           lookup_count(mitigation, "free_bytes") <
               lookup_count(mitigation, "margin_bytes");
}

void report_mitigation_numbers(const struct report *report,
                               const json_t *mitigation) {
    struct strbuf *out = report->out;
    size_t begin = out->size;
    const char *to = lookup_text(mitigation, "to_device");
    from_to(out, begin, mitigation, "from_tokens", "to_tokens",
            " \xe2\x86\x92 ", " tokens");
    from_to(out, begin, mitigation, "texts", "tokens", " texts, ",
            lookup_has(mitigation, "tokens") ? " tokens" : " texts");
    from_to(out, begin, mitigation, "layers_resident", "layers", " of ",
            " layers resident");
    if (*to) {
        strbuf_add(out, out->size > begin ? STR(", to ") : STR("to "));
        html_text(out, to);
    }
}

static void mitigation_row(const struct report *report,
                           const json_t *mitigation) {
    struct strbuf *out = report->out;
    html_row(out);
    report_cell_ms(out, mitigation, "t_ms");
    html_cell_text(out, report_mitigation_type(mitigation));
    report_cell_text(out, mitigation, "device");
    report_cell_text(out, mitigation, "model");
    strbuf_add(out, STR("<td>"));
    report_mitigation_numbers(report, mitigation);
    strbuf_add(out, STR("</td>"));
    report_cell_bytes(out, mitigation, "free_bytes");
    report_cell_bytes(out, mitigation, "margin_bytes");
    strbuf_add(out, STR("<td class=w>"));
    html_text(out, lookup_text(mitigation, "reason"));
    strbuf_add(out, STR("</td>"));
    html_row_end(out);
}

static const char mitigation_columns[] =
    "#At|Action|Device|Model|What|#Free|#Margin|Reason";

void report_mitigations(const struct report *report) {
    struct strbuf *out = report->out;
    size_t count = json_array_size(report->mitigations);
    strbuf_add(out, STR("<h2>Decisions on the way</h2>\n"));
    if (!count) {
        strbuf_add(out, STR("<p>None: the plan held.</p>\n"));
        return;
    }
    html_table(out, mitigation_columns);
    for (size_t i = 0; i < count && i < ROWS_SHOWN; i++)
        mitigation_row(report, json_array_get(report->mitigations, i));
    html_table_end(out);
    if (count <= ROWS_SHOWN)
        return;
    strbuf_printf(out, "<details><summary>%zu more</summary>\n",
                  count - ROWS_SHOWN);
    html_table(out, mitigation_columns);
    for (size_t i = ROWS_SHOWN; i < count; i++)
        mitigation_row(report, json_array_get(report->mitigations, i));
    html_table_end(out);
    strbuf_add(out, STR("</details>\n"));
}

static void cell_left_behind(struct strbuf *out, const json_t *lease) {
    if (json_real_value(lookup(lease, "bytes_left_behind")) < 0 ||
        json_integer_value(lookup(lease, "bytes_left_behind")) < 0) {
        strbuf_add(out, STR("<td class=n>none</td>")); /* others gave back */
        return;
    }
    report_cell_bytes(out, lease, "bytes_left_behind");
}

static bool is_released(const json_t *lease) {
    return lookup_has(lease, "bytes_before");
}

void report_leases(const struct report *report) {
    struct strbuf *out = report->out;
    json_t *lease;
    size_t i, released = 0;
    json_array_foreach(report->leases, i, lease) {
        released += is_released(lease);
    }
    if (!released)
        return;
    strbuf_add(out, STR("<h2>Leases</h2>\n<p class=soft>Exclusive use of a "
                        "device for a pass: free memory before and after, and "
                        "what the pass left behind.</p>"));
    html_table(out, "#Released at|Device|Model|#Held|#Budget|#Peak|#Free "
                    "before|#Free after|#Left behind");
    json_array_foreach(report->leases, i, lease) {
        if (!is_released(lease))
            continue;
        html_row(out);
        report_cell_ms(out, lease, "t_ms");
        report_cell_text(out, lease, "device");
        report_cell_text(out, lease, "model");
        report_cell_ms(out, lease, "duration_ms");
        report_cell_count(out, lease, "budget_tokens");
        report_cell_bytes(out, lease, "peak_bytes");
        report_cell_bytes(out, lease, "bytes_before");
        report_cell_bytes(out, lease, "bytes_after");
        cell_left_behind(out, lease);
        html_row_end(out);
    }
    html_table_end(out);
}

/* ---- what went wrong ---------------------------------------------------- */

static void item(struct strbuf *out, const char *where, const char *what) {
    strbuf_add(out, STR("<li>"));
    if (*where) {
        strbuf_add(out, STR("<code>"));
        html_text(out, where);
        strbuf_add(out, STR("</code> "));
    }
    html_text(out, what);
    strbuf_add(out, STR("</li>\n"));
}

static void problem_items(struct strbuf *out, const json_t *collection) {
    size_t i;
    json_t *problem;
    json_array_foreach(lookup_list(collection, "problems"), i, problem) {
        strbuf_add(out, STR("<li><code>"));
        html_text(out, lookup_text(problem, "file"));
        if (lookup_count(problem, "line"))
            strbuf_printf(out, ":%" PRIu64 ":%" PRIu64,
                          lookup_count(problem, "line"),
                          lookup_count(problem, "column"));
        strbuf_add(out, STR("</code> "));
        html_text(out, lookup_text(problem, "message"));
        strbuf_add(out, STR("</li>\n"));
    }
    json_array_foreach(lookup_list(collection, "left_out"), i, problem) {
        if (json_is_string(problem))
            item(out, json_string_value(problem),
                 "has no vector and is in no output");
    }
}

static void pass_items(struct strbuf *out, const json_t *collection) {
    size_t i, j;
    json_t *pass, *entry;
    json_array_foreach(lookup_list(collection, "passes"), i, pass) {
        const char *model = lookup_text(pass, "model");
        if (*lookup_text(pass, "error.message"))
            item(out, model, lookup_text(pass, "error.message"));
        json_array_foreach(lookup_list(pass, "failed_chunks"), j, entry) {
            const char *chunk = lookup_text(entry, "chunk");
            item(out, *chunk ? chunk : lookup_text(entry, "text_sha256"),
                 lookup_text(entry, "reason"));
        }
    }
}

static void truncated_items(struct strbuf *out, const json_t *collection) {
    size_t i, j;
    json_t *pass, *entry;
    json_array_foreach(lookup_list(collection, "passes"), i, pass) {
        json_array_foreach(lookup_list(pass, "truncated_chunks"), j, entry) {
            if (json_is_string(entry))
                item(out, json_string_value(entry), lookup_text(pass, "model"));
        }
    }
}

/* A list a collection, under one title that only stands if there is any. */
static void lists(const struct report *report, const char *title,
                  void (*items)(struct strbuf *out, const json_t *collection),
                  void (*more)(struct strbuf *out, const json_t *collection)) {
    struct strbuf *out = report->out;
    size_t i;
    json_t *collection;
    bool titled = false;
    json_array_foreach(lookup_list(report->summary, "collections"), i,
                       collection) {
        size_t before = out->size;
        if (!titled)
            strbuf_printf(out, "<h2>%s</h2>\n", title);
        strbuf_add(out, STR("<h3>"));
        html_text(out, lookup_text(collection, "collection"));
        strbuf_add(out, STR("</h3>\n<ul>\n"));
        size_t head = out->size;
        items(out, collection);
        if (more)
            more(out, collection);
        if (out->size == head) {
            html_rewind(out, before);
            continue;
        }
        strbuf_add(out, STR("</ul>\n"));
        titled = true;
    }
}

void report_trouble(const struct report *report) {
    lists(report, "What failed", problem_items, pass_items);
    lists(report, "Truncated chunks, with the model whose limit they pass",
          truncated_items, NULL);
}

/* ---- hub and warnings --------------------------------------------------- */

static void hub_row(struct strbuf *out, const json_t *event) {
    html_row(out);
    report_cell_ms(out, event, "t_ms");
    report_cell_text(out, event, "model");
    const char *cause = lookup_text(event, "cause");
    strbuf_add(out, STR("<td>"));
    html_text(out, *cause ? "retrying" : lookup_text(event, "status"));
    strbuf_add(out, STR("</td><td class=w>"));
    if (*cause) {
        char wait[HTML_NUMBER_BYTES];
        text_ms(wait, lookup_real(event, "wait_ms"));
        strbuf_printf(out, "attempt %" PRIu64 " of %" PRIu64 ", waiting %s: ",
                      lookup_count(event, "attempt"), lookup_count(event, "of"),
                      wait);
        html_text(out, cause);
    } else {
        strbuf_add(out, STR("<code>"));
        html_text(out, lookup_text(event, "commit"));
        strbuf_add(out, STR("</code>"));
    }
    strbuf_add(out, STR("</td>"));
    html_row_end(out);
}

void report_hub(const struct report *report) {
    static const enum recorded_kind kinds[] = {RECORDED_CACHE,
                                               RECORDED_RETRIES};
    const struct recorder *recorder = report->recorder;
    if (!recorder || !(json_array_size(recorder->lists[RECORDED_CACHE]) +
                       json_array_size(recorder->lists[RECORDED_RETRIES])))
        return;
    strbuf_add(report->out, STR("<h2>Model files</h2>\n"));
    html_table(report->out, "#At|Model|Status|Commit or cause");
    for (size_t k = 0; k < 2; k++) {
        size_t i;
        json_t *event;
        json_array_foreach(recorder->lists[kinds[k]], i, event) {
            hub_row(report->out, event);
        }
    }
    html_table_end(report->out);
}

void report_warnings(const struct report *report) {
    struct strbuf *out = report->out;
    const struct recorder *recorder = report->recorder;
    if (!recorder || !json_array_size(recorder->lists[RECORDED_WARNINGS]))
        return;
    size_t i;
    json_t *entry;
    strbuf_add(out, STR("<h2>Warnings and errors</h2>\n"));
    html_table(out, "#At|Level|Message");
    json_array_foreach(recorder->lists[RECORDED_WARNINGS], i, entry) {
        html_row(out);
        report_cell_ms(out, entry, "t_ms");
        report_cell_text(out, entry, "level");
        strbuf_add(out, STR("<td class=w>"));
        html_text(out, lookup_text(entry, "message"));
        strbuf_add(out, STR("</td>"));
        html_row_end(out);
    }
    html_table_end(out);
}

/* What found no room: a report must not look whole when it is not. */
void report_left_out(const struct report *report) {
    struct strbuf *out = report->out;
    uint64_t dropped = lookup_count(report->summary, "events_dropped");
    json_t *overflow =
        report->recorder ? recorder_overflow(report->recorder) : json_object();
    const char *name;
    json_t *count;
    if (dropped || json_object_size(overflow))
        strbuf_add(out, STR("<h2>Not listed here</h2>\n<ul>\n"));
    json_object_foreach(overflow, name, count) {
        strbuf_add(out, STR("<li>"));
        html_count(out, (uint64_t)json_integer_value(count));
        strbuf_printf(out, " more %s</li>\n", name);
    }
    if (dropped) {
        strbuf_add(out, STR("<li>"));
        html_count(out, dropped);
        strbuf_add(out, STR(" events that found no room in events.jsonl"
                            "</li>\n"));
    }
    if (dropped || json_object_size(overflow))
        strbuf_add(out, STR("</ul>\n"));
    json_decref(overflow);
}
