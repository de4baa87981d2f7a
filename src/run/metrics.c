#define _XOPEN_SOURCE 700 /* strptime */

#include "run/metrics.h"

#include <stdio.h>

#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/str.h"
#include "run/lookup.h"

enum kind { GAUGE, COUNTER };

/* A number of the summary: of a collection, a pass, a device of a pass, or a
 * lease of a pass. */
struct family {
    const char *name, *help;
    enum kind kind;
    const char *path;  /* of the number */
    double scale;      /* from the summary's unit to the metric's */
    const char *label; /* one more label, as name="value", or NULL */
};

#define MS 1e-3

static const struct family collection_families[] = {
    {"ensembed_chunks_total", "Chunks of a collection by what became of them.",
     COUNTER, "chunks.found", 1, "state=\"found\""},
    {"ensembed_chunks_total", NULL, COUNTER, "chunks.embedded", 1,
     "state=\"embedded\""},
    {"ensembed_chunks_total", NULL, COUNTER, "chunks.duplicate", 1,
     "state=\"duplicate\""},
    {"ensembed_chunks_total", NULL, COUNTER, "chunks.blank", 1,
     "state=\"blank\""},
    {"ensembed_chunks_total", NULL, COUNTER, "chunks.truncated", 1,
     "state=\"truncated\""},
    {"ensembed_chunks_total", NULL, COUNTER, "chunks.failed", 1,
     "state=\"failed\""},
    {"ensembed_collection_duration_seconds",
     "Time that a collection took, loading and writing included.", GAUGE,
     "performance.duration_ms", MS, NULL},
};

static const struct family pass_families[] = {
    {"ensembed_pass_duration_seconds",
     "Time of a model over a collection, without loading.", GAUGE,
     "duration_ms", MS, NULL},
    {"ensembed_pass_load_seconds", "Time to load the model for the pass.",
     GAUGE, "load_ms", MS, NULL},
    {"ensembed_pass_tokens_total", "Tokens encoded in a pass.", COUNTER,
     "tokens", 1, NULL},
    {"ensembed_pass_batches_total", "Batches of a pass.", COUNTER, "batches", 1,
     NULL},
    {"ensembed_pass_texts_total",
     "Distinct texts of a pass: computed, of these on another device than "
     "planned, taken from the store, failed.",
     COUNTER, "computed", 1, "state=\"computed\""},
    {"ensembed_pass_texts_total", NULL, COUNTER, "elsewhere", 1,
     "state=\"elsewhere\""},
    {"ensembed_pass_texts_total", NULL, COUNTER, "reused", 1,
     "state=\"reused\""},
    {"ensembed_pass_texts_total", NULL, COUNTER, "failed", 1,
     "state=\"failed\""},
    {"ensembed_pass_budget_tokens", "Most tokens in a batch of the pass.",
     GAUGE, "budget_tokens", 1, NULL},
    {"ensembed_pass_peak_bytes",
     "Most private memory of the process in a pass: as planned and as "
     "measured.",
     GAUGE, "memory.planned.private_bytes", 1, "kind=\"planned\""},
    {"ensembed_pass_peak_bytes", NULL, GAUGE, "memory.private_peak_bytes", 1,
     "kind=\"measured\""},
};

static const struct family device_families[] = {
    {"ensembed_pass_device_tokens_total", "Tokens of a pass by device.",
     COUNTER, "tokens", 1, NULL},
    {"ensembed_pass_device_peak_bytes", "Most memory of a pass by device.",
     GAUGE, "plan.peak_bytes", 1, "kind=\"planned\""},
    {"ensembed_pass_device_peak_bytes", NULL, GAUGE, "measured_peak_bytes", 1,
     "kind=\"measured\""},
};

static const struct family lease_families[] = {
    {"ensembed_lease_duration_seconds", "Time that a lease was held.", GAUGE,
     "duration_ms", MS, NULL},
    {"ensembed_lease_left_behind_bytes",
     "Memory that was free before a lease and not after it.", GAUGE,
     "bytes_left_behind", 1, NULL},
    {"ensembed_lease_peak_bytes", "Most memory held under a lease.", GAUGE,
     "peak_bytes", 1, NULL},
};

static const struct family memory_families[] = {
    {"ensembed_device_live_max_bytes",
     "Most memory that this program held on a device in a collection.", GAUGE,
     "live_max_bytes", 1, NULL},
    {"ensembed_device_free_min_bytes",
     "Least memory that was free on a device in a collection.", GAUGE,
     "free_min_bytes", 1, NULL},
    {"ensembed_device_ceiling_bytes",
     "The ceiling that this program keeps on a device.", GAUGE, "ceiling_bytes",
     1, NULL},
};

/* ---- text --------------------------------------------------------------- */

static void head(struct strbuf *out, const char *name, enum kind kind,
                 const char *help) {
    strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                  kind == COUNTER ? "counter" : "gauge");
}

/* NAME="VALUE", with what a label value must escape. */
static void label(struct strbuf *out, const char *name, const char *value) {
    if (out->size && out->data[out->size - 1] != '{')
        strbuf_add_char(out, ',');
    strbuf_printf(out, "%s=\"", name);
    for (const char *c = value; *c; c++) {
        if (*c == '\n')
            strbuf_add(out, STR("\\n"));
        else if (*c == '\\' || *c == '"')
            strbuf_add(out, (struct str){(char[]){'\\', *c}, 2});
        else
            strbuf_add_char(out, *c);
    }
    strbuf_add_char(out, '"');
}

static void value(struct strbuf *out, const struct family *family,
                  const json_t *number) {
    if (family->label)
        strbuf_printf(out, ",%s", family->label);
    if (json_is_integer(number) && family->scale == 1)
        strbuf_printf(out, "} %lld\n", (long long)json_integer_value(number));
    else
        strbuf_printf(out, "} %.12g\n",
                      json_number_value(number) * family->scale);
}

/* ---- walking the summary ------------------------------------------------ */

struct place {
    const json_t *collection, *pass, *part; /* the last two may be NULL */
};

static void label_place(struct strbuf *out, const struct place *at) {
    label(out, "collection", lookup_text(at->collection, "collection"));
    if (at->pass) {
        char number[24];
        snprintf(number, sizeof number, "%llu",
                 (unsigned long long)lookup_count(at->pass, "pass"));
        label(out, "model", lookup_text(at->pass, "model"));
        label(out, "pass", number);
    }
    const char *device = lookup_text(at->part ? at->part : at->pass, "device");
    if (at->pass || at->part)
        label(out, "device", device);
}

static void sample(struct strbuf *out, const struct family *family,
                   const struct place *at) {
    const json_t *from = at->part   ? at->part
                         : at->pass ? at->pass
                                    : at->collection;
    const json_t *number = lookup(from, family->path);
    if (!json_is_number(number))
        return;
    strbuf_printf(out, "%s{", family->name);
    label_place(out, at);
    value(out, family, number);
}

/* No object, or one whose labels a later entry has too: a series must not come
 * twice in a file. */
static bool is_passed_over(json_t *list, size_t i, const char *label_a,
                           const char *label_b) {
    const json_t *entry = json_array_get(list, i);
    if (!json_is_object(entry))
        return true;
    for (size_t j = i + 1; j < json_array_size(list); j++) {
        const json_t *later = json_array_get(list, j);
        if (strcmp(lookup_text(entry, label_a), lookup_text(later, label_a)) ==
                0 &&
            lookup_count(entry, label_b) == lookup_count(later, label_b))
            return true;
    }
    return false;
}

enum level { OF_COLLECTION, OF_PASS, OF_DEVICE, OF_LEASE, OF_MEMORY };

static void parts(struct strbuf *out, const struct family *family,
                  struct place at, json_t *list) {
    size_t i;
    json_t *part;
    json_array_foreach(list, i, part) {
        at.part = part;
        if (!is_passed_over(list, i, "device", ""))
            sample(out, family, &at);
    }
}

static void passes(struct strbuf *out, const struct family *family,
                   enum level level, struct place at) {
    size_t i;
    json_t *pass;
    json_t *list = lookup_list(at.collection, "passes");
    json_array_foreach(list, i, pass) {
        at.pass = pass;
        if (is_passed_over(list, i, "model", "pass"))
            continue;
        if (level == OF_PASS)
            sample(out, family, &at);
        else
            parts(out, family, at,
                  lookup_list(pass, level == OF_DEVICE ? "devices" : "leases"));
    }
}

static void families(struct strbuf *out, const json_t *summary,
                     const struct family *list, size_t count,
                     enum level level) {
    for (size_t f = 0; f < count; f++) {
        if (list[f].help)
            head(out, list[f].name, list[f].kind, list[f].help);
        size_t i;
        json_t *collection;
        json_array_foreach(lookup_list(summary, "collections"), i, collection) {
            struct place at = {.collection = collection};
            if (!json_is_object(collection)) /* their names differ */
                continue;
            if (level == OF_COLLECTION)
                sample(out, &list[f], &at);
            else if (level == OF_MEMORY)
                parts(out, &list[f], at,
                      lookup_list(collection, "performance.devices"));
            else
                passes(out, &list[f], level, at);
        }
    }
}

/* ---- the run as a whole ------------------------------------------------- */

static void status_of_run(struct strbuf *out, const json_t *summary) {
    head(out, "ensembed_run_status", GAUGE,
         "1; the label says how the run ended, none: nothing failed.");
    strbuf_add(out, STR("ensembed_run_status{"));
    label(out, "program", lookup_text(summary, "program"));
    label(out, "status", lookup_run_status(summary));
    strbuf_add(out, STR("} 1\n"));
}

static void status_of_collections(struct strbuf *out, const json_t *summary) {
    head(out, "ensembed_collection_status", GAUGE,
         "1; the label says how the collection ended.");
    size_t i;
    json_t *collection;
    json_array_foreach(lookup_list(summary, "collections"), i, collection) {
        if (!json_is_object(collection))
            continue;
        strbuf_add(out, STR("ensembed_collection_status{"));
        label(out, "collection", lookup_text(collection, "collection"));
        label(out, "status", lookup_text(collection, "status"));
        strbuf_add(out, STR("} 1\n"));
    }
}

static void whole_run(struct strbuf *out, const json_t *summary) {
    struct tm date;
    memset(&date, 0, sizeof date);
    if (strptime(lookup_text(summary, "date"), "%Y-%m-%dT%H:%M:%SZ", &date)) {
        head(out, "ensembed_run_timestamp_seconds", GAUGE,
             "When the summary was written, since 1970.");
        strbuf_printf(out, "ensembed_run_timestamp_seconds %lld\n",
                      (long long)timegm(&date));
    }
    head(out, "ensembed_run_duration_seconds", GAUGE, "Time of the run.");
    strbuf_printf(out, "ensembed_run_duration_seconds %.12g\n",
                  lookup_real(summary, "duration_ms") * MS);
    head(out, "ensembed_events_dropped_total", COUNTER,
         "Events that found no room in events.jsonl.");
    strbuf_printf(out, "ensembed_events_dropped_total %llu\n",
                  (unsigned long long)lookup_count(summary, "events_dropped"));
}

static void events(struct strbuf *out, const struct recorder *recorder) {
    const struct tally *types = &recorder->types;
    head(out, "ensembed_events_total", COUNTER, "Events of the run by type.");
    for (size_t i = 0; i < types->count; i++) {
        strbuf_add(out, STR("ensembed_events_total{"));
        label(out, "type", types->entries[i].name);
        strbuf_printf(out, "} %llu\n",
                      (unsigned long long)types->entries[i].times);
    }
    head(out, "ensembed_mitigations_total", COUNTER,
         "What was done under memory pressure, by action.");
    for (size_t i = 0; i < types->count; i++) {
        if (!recorder_is_mitigation(types->entries[i].name))
            continue;
        strbuf_add(out, STR("ensembed_mitigations_total{"));
        label(out, "action", types->entries[i].name);
        strbuf_printf(out, "} %llu\n",
                      (unsigned long long)types->entries[i].times);
    }
    head(out, "ensembed_retries_total", COUNTER,
         "Requests to the hub that were tried again.");
    strbuf_printf(out, "ensembed_retries_total %llu\n",
                  (unsigned long long)tally_of(types, "retrying"));
}

#define COUNT(list) (sizeof(list) / sizeof *(list))

bool metrics_write(const char *path, const json_t *summary,
                   const struct recorder *recorder, struct memory *memory,
                   struct error *err) {
    struct strbuf out = strbuf_make(memory);
    status_of_run(&out, summary);
    whole_run(&out, summary);
    status_of_collections(&out, summary);
    families(&out, summary, collection_families, COUNT(collection_families),
             OF_COLLECTION);
    families(&out, summary, pass_families, COUNT(pass_families), OF_PASS);
    families(&out, summary, device_families, COUNT(device_families), OF_DEVICE);
    families(&out, summary, lease_families, COUNT(lease_families), OF_LEASE);
    families(&out, summary, memory_families, COUNT(memory_families), OF_MEMORY);
    if (recorder)
        events(&out, recorder);
    bool fine =
        strbuf_ok(&out, err) && file_write(path, strbuf_str(&out), memory, err);
    strbuf_free(&out);
    return fine;
}
