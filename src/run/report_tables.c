/* report_tables.c - what was done: collections, passes, batches. */

#include <inttypes.h>
#include <string.h>

#include "run/lookup.h"
#include "run/report_html.h"
#include "run/report_parts.h"

static void cell_status(struct strbuf *out, const char *status) {
    const char *mark = strcmp(status, "completed") == 0         ? "good"
                       : strcmp(status, "failed") == 0          ? "bad"
                       : strcmp(status, "skipped_missing") == 0 ? "bad"
                                                                : "wait";
    strbuf_printf(out, "<td><span class=\"status %s\">", mark);
    html_text(out, status);
    strbuf_add(out, STR("</span></td>"));
}

/* ---- collections -------------------------------------------------------- */

static void collection_row(struct strbuf *out, const json_t *collection) {
    static const char *const counts[] = {"found", "embedded",  "duplicate",
                                         "blank", "truncated", "failed"};
    html_row(out);
    report_cell_text(out, collection, "collection");
    cell_status(out, lookup_text(collection, "status"));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char path[32] = "chunks.";
        strcat(path, counts[i]);
        report_cell_count(out, collection, path);
    }
    report_cell_ms(out, collection, "performance.duration_ms");
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
    report_cell_bytes(out, pass, plan);
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
    report_cell_text(out, collection, "collection");
    report_cell_count(out, pass, "pass");
    cell_model(report, lookup_text(pass, "model"));
    cell_heads(out, pass);
    cell_status(out, lookup_text(pass, "status"));
    report_cell_text(out, pass, "mode");
    cell_devices(out, pass);
    cell_texts(out, pass);
    report_cell_count(out, pass, "tokens");
    report_cell_ms(out, pass, "load_ms");
    report_cell_ms(out, pass, "duration_ms");
    report_cell_count(out, pass, "tokens_per_second");
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
        report_cell_text(out, collection, "collection");
        cell_model(report, lookup_text(pass, "model"));
        report_cell_text(out, device, "device");
        report_cell_count(out, budgets, "exclusive");
        report_cell_count(out, budgets, "sequential");
        report_cell_count(out, budgets, "simultaneous");
        report_cell_count(out, device, "budget_tokens");
        report_cell_bytes(out, device, "plan.peak_bytes");
        report_cell_bytes(out, device, "measured_peak_bytes");
        report_cell_bytes(out, device, "ceiling_bytes");
        report_cell_count(out, device, "texts");
        report_cell_ms(out, device, "busy_ms");
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
