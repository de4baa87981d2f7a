/* report_tables.c - the lists of the report. */

#include <inttypes.h>
#include <string.h>

#include "run/lookup.h"
#include "run/report_html.h"
#include "run/report_parts.h"

/* Cells for members that may not be there. */
static void cell_count(struct strbuf *out, const json_t *of, const char *path) {
    if (lookup_has(of, path))
        html_cell_count(out, lookup_count(of, path));
    else
        html_cell_none(out);
}

static void cell_bytes(struct strbuf *out, const json_t *of, const char *path) {
    if (lookup_has(of, path))
        html_cell_bytes(out, lookup_count(of, path));
    else
        html_cell_none(out);
}

static void cell_ms(struct strbuf *out, const json_t *of, const char *path) {
    if (lookup_has(of, path))
        html_cell_ms(out, lookup_real(of, path));
    else
        html_cell_none(out);
}

static void cell_text(struct strbuf *out, const json_t *of, const char *path) {
    html_cell_text(out, lookup_text(of, path));
}

static void cell_status(struct strbuf *out, const char *status) {
    const char *mark = strcmp(status, "completed") == 0         ? "good"
                       : strcmp(status, "failed") == 0          ? "bad"
                       : strcmp(status, "skipped_missing") == 0 ? "bad"
                                                                : "wait";
    strbuf_printf(out, "<td><span class=\"status %s\">", mark);
    html_text(out, status);
    strbuf_add(out, STR("</span></td>"));
}

/* A long table shows its first rows and folds the others. */
enum { ROWS_SHOWN = 40 };

/* ---- collections -------------------------------------------------------- */

static void collection_row(struct strbuf *out, const json_t *collection) {
    static const char *const counts[] = {"found", "embedded",  "duplicate",
                                         "blank", "truncated", "failed"};
    html_row(out);
    cell_text(out, collection, "collection");
    cell_status(out, lookup_text(collection, "status"));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char path[32] = "chunks.";
        strcat(path, counts[i]);
        cell_count(out, collection, path);
    }
    cell_ms(out, collection, "performance.duration_ms");
    const char *reason = lookup_text(collection, "error.message");
    strbuf_add(out, STR("<td class=w>"));
    html_text(out, *reason ? reason : lookup_text(collection, "reason"));
    const char *mode = lookup_text(collection, "mode.name");
    if (*mode) {
        strbuf_add(out, *reason ? STR("<br>mode ") : STR("mode "));
        html_text(out, mode);
        strbuf_add(out, STR(": "));
        html_text(out, lookup_text(collection, "mode.reason"));
    }
    strbuf_add(out, STR("</td>"));
    html_row_end(out);
}

void report_collections(const struct report *report) {
    json_t *list = lookup_list(report->summary, "collections"), *collection;
    if (!json_array_size(list))
        return;
    size_t i;
    strbuf_add(report->out, STR("<h2>Collections</h2>\n"));
    html_table(report->out,
               "Collection|Status|#Found|#Embedded|#Duplicates|#Blank|"
               "#Truncated|#Failed|#Time|Reason");
    json_array_foreach(list, i, collection) {
        collection_row(report->out, collection);
    }
    html_table_end(report->out);
}

/* ---- passes ------------------------------------------------------------- */

/* What the pass gave of each text. */
static void cell_heads(struct strbuf *out, const json_t *pass) {
    json_t *list = lookup_list(pass, "heads"), *head;
    size_t i;
    strbuf_add(out, STR("<td>"));
    json_array_foreach(list, i, head) {
        if (i)
            strbuf_add(out, STR(", "));
        html_text(out, json_string_value(head));
    }
    strbuf_add(out, STR("</td>"));
}

/* Each device of a pass with its part of the tokens; else its names. */
static void cell_devices(struct strbuf *out, const json_t *pass) {
    json_t *devices = lookup_list(pass, "devices"), *device;
    double all = lookup_real(pass, "tokens");
    size_t i;
    strbuf_add(out, STR("<td>"));
    if (!json_array_size(devices))
        html_text(out, lookup_text(pass, "device"));
    json_array_foreach(devices, i, device) {
        char tokens[HTML_NUMBER_BYTES];
        text_count(tokens, lookup_count(device, "tokens"));
        if (i)
            strbuf_add(out, STR("<br>"));
        html_text(out, lookup_text(device, "device"));
        if (all > 0)
            strbuf_printf(out,
                          " <span class=soft title=\"%s tokens\">"
                          "%.0f&nbsp;%%</span>",
                          tokens, 100 * lookup_real(device, "tokens") / all);
    }
    strbuf_add(out, STR("</td>"));
}

static void cell_texts(struct strbuf *out, const json_t *pass) {
    strbuf_add(out, STR("<td class=n>"));
    html_count(out, lookup_count(pass, "computed"));
    if (lookup_count(pass, "reused")) {
        strbuf_add(out, STR("<br><span class=soft>"));
        html_count(out, lookup_count(pass, "reused"));
        strbuf_add(out, STR(" reused</span>"));
    }
    if (lookup_count(pass, "elsewhere")) {
        strbuf_add(out, STR("<br><span title=\"on another device than "
                            "planned: the summary names them\">"));
        html_count(out, lookup_count(pass, "elsewhere"));
        strbuf_add(out, STR(" elsewhere</span>"));
    }
    strbuf_add(out, STR("</td>"));
}

/* The plan's figure, and the measured one with its share of it. */
static void cells_peaks(struct strbuf *out, const json_t *pass) {
    static const char plan[] = "memory.planned.private_bytes";
    static const char real[] = "memory.private_peak_bytes";
    cell_bytes(out, pass, plan);
    if (!lookup_has(pass, real)) {
        html_cell_none(out);
        return;
    }
    strbuf_add(out, STR("<td class=n>"));
    html_bytes(out, lookup_count(pass, real));
    if (lookup_count(pass, plan))
        strbuf_printf(out, " <span class=soft>%.0f&nbsp;%%</span>",
                      100 * lookup_real(pass, real) / lookup_real(pass, plan));
    strbuf_add(out, STR("</td>"));
}

static void cell_model(const struct report *report, const char *model) {
    strbuf_printf(report->out,
                  "<td><span class=key><i style=\"--c:var(--m%u)\"></i>",
                  report_colour(report, model));
    html_text(report->out, model);
    strbuf_add(report->out, STR("</span></td>"));
}

static void pass_row(const struct report *report, const json_t *collection,
                     const json_t *pass) {
    struct strbuf *out = report->out;
    html_row(out);
    cell_text(out, collection, "collection");
    cell_count(out, pass, "pass");
    cell_model(report, lookup_text(pass, "model"));
    cell_heads(out, pass);
    cell_status(out, lookup_text(pass, "status"));
    cell_text(out, pass, "mode");
    cell_devices(out, pass);
    cell_texts(out, pass);
    cell_count(out, pass, "tokens");
    cell_ms(out, pass, "load_ms");
    cell_ms(out, pass, "duration_ms");
    cell_count(out, pass, "tokens_per_second");
    cells_peaks(out, pass);
    html_row_end(out);
}

/* A pass's budgets by mode: a list with an entry a device. */
static const json_t *budgets_of(const json_t *pass, const char *device) {
    size_t i;
    json_t *entry;
    json_array_foreach(lookup_list(pass, "budgets"), i, entry) {
        if (strcmp(lookup_text(entry, "device"), device) == 0)
            return entry;
    }
    return NULL;
}

static void budget_rows(const struct report *report, const json_t *collection,
                        const json_t *pass) {
    struct strbuf *out = report->out;
    size_t i;
    json_t *device;
    json_array_foreach(lookup_list(pass, "devices"), i, device) {
        const json_t *budgets = budgets_of(pass, lookup_text(device, "device"));
        html_row(out);
        cell_text(out, collection, "collection");
        cell_model(report, lookup_text(pass, "model"));
        cell_text(out, device, "device");
        cell_count(out, budgets, "exclusive");
        cell_count(out, budgets, "sequential");
        cell_count(out, budgets, "simultaneous");
        cell_count(out, device, "budget_tokens");
        cell_bytes(out, device, "plan.peak_bytes");
        cell_bytes(out, device, "measured_peak_bytes");
        cell_bytes(out, device, "ceiling_bytes");
        cell_count(out, device, "texts");
        cell_ms(out, device, "busy_ms");
        html_row_end(out);
    }
}

typedef void each_pass(const struct report *report, const json_t *collection,
                       const json_t *pass);

static void for_passes(const struct report *report, each_pass *each) {
    size_t i, j;
    json_t *collection, *pass;
    json_array_foreach(lookup_list(report->summary, "collections"), i,
                       collection) {
        json_array_foreach(lookup_list(collection, "passes"), j, pass) {
            each(report, collection, pass);
        }
    }
}

void report_passes(const struct report *report) {
    struct strbuf *out = report->out;
    size_t before = out->size;
    strbuf_add(out, STR("<h2>Passes</h2>\n<p class=soft>One model over one "
                        "collection. Peaks: this process's own memory on the "
                        "host, as planned before the pass and as measured; "
                        "that of each device stands below.</p>"));
    html_table(out, "Collection|#Pass|Model|Gives|Status|Mode|Devices, "
                    "tokens|#Texts|#Tokens|#Load|#Time|#Tokens/s|#Planned "
                    "peak|#Measured, of plan");
    size_t head = out->size;
    for_passes(report, pass_row);
    if (out->size == head) {
        html_rewind(out, before);
        return;
    }
    html_table_end(out);

    before = out->size;
    strbuf_add(out, STR("<h3>By device</h3>\n<p class=soft>The most tokens "
                        "that one batch may have in each mode, and the most "
                        "that it had here; memory as planned and measured."
                        "</p>"));
    html_table(out, "Collection|Model|Device|#Exclusive|#Sequential|"
                    "#Simultaneous|#Used|#Planned peak|#Measured|#Ceiling|"
                    "#Texts|#Busy");
    head = out->size;
    for_passes(report, budget_rows);
    if (out->size == head)
        html_rewind(out, before);
    else
        html_table_end(out);
}

/* ---- batches ------------------------------------------------------------ */

void report_slowest(const struct report *report) {
    const struct recorder *recorder = report->recorder;
    struct strbuf *out = report->out;
    if (!recorder || !recorder->slowest_count)
        return;
    strbuf_add(out, STR("<h2>Slowest batches</h2>\n<p class=soft>By time a "
                        "token, of "));
    html_count(out, recorder->batches_seen);
    strbuf_add(out,
               STR(" batches. Small batches are always slow a token.</p>"));
    html_table(out, "#At|Model|Device|#Pass|#Batch|#Texts|#Tokens|#Budget|"
                    "#Time|#ms a token|#Free after");
    for (size_t i = 0; i < recorder->slowest_count; i++) {
        const struct recorded_slow *slow = &recorder->slowest[i];
        const struct recorded_series *series = &recorder->series[slow->series];
        html_row(out);
        html_cell_ms(out, (double)slow->t_ms);
        cell_model(report, series->model);
        html_cell_text(out, series->device);
        html_cell_count(out, slow->pass);
        html_cell_count(out, slow->batch);
        html_cell_count(out, slow->texts);
        html_cell_count(out, slow->tokens);
        html_cell_count(out, slow->budget_tokens);
        html_cell_ms(out, slow->duration_ms);
        strbuf_printf(out, "<td class=n>%.3f</td>",
                      recorded_ms_per_token(slow->duration_ms, slow->tokens));
        html_cell_bytes(out, slow->free_after_bytes);
        html_row_end(out);
    }
    html_table_end(out);
}

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
    cell_ms(out, mitigation, "t_ms");
    html_cell_text(out, report_mitigation_type(mitigation));
    cell_text(out, mitigation, "device");
    cell_text(out, mitigation, "model");
    strbuf_add(out, STR("<td>"));
    report_mitigation_numbers(report, mitigation);
    strbuf_add(out, STR("</td>"));
    cell_bytes(out, mitigation, "free_bytes");
    cell_bytes(out, mitigation, "margin_bytes");
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
    cell_bytes(out, lease, "bytes_left_behind");
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
        cell_ms(out, lease, "t_ms");
        cell_text(out, lease, "device");
        cell_text(out, lease, "model");
        cell_ms(out, lease, "duration_ms");
        cell_count(out, lease, "budget_tokens");
        cell_bytes(out, lease, "peak_bytes");
        cell_bytes(out, lease, "bytes_before");
        cell_bytes(out, lease, "bytes_after");
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
    cell_ms(out, event, "t_ms");
    cell_text(out, event, "model");
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
        cell_ms(out, entry, "t_ms");
        cell_text(out, entry, "level");
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
