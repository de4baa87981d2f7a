/* scene.h - a run that was made up: three models over two cards, one after
 * another, while another process takes memory of the first card for a while.
 * For the tests of what records and shows a run. */

#ifndef TESTS_RUN_SCENE_H
#define TESTS_RUN_SCENE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "run/samples.h"

#define SCENE_SUMMARY "tests/fixtures/report/summary.json"

#define GIB           ((int64_t)1 << 30)
#define SCENE_TOTAL   INT64_C(15828320256)
#define SCENE_CEILING INT64_C(11871240192)
#define SCENE_MARGIN  (GIB / 2)

typedef void scene_emit(void *context, int64_t t_ms, const char *type,
                        json_t *fields);

/* One event of each type of docs/events.md, with every field. */
static const char *const scene_each[][2] = {
    {"run_started",
     "{'program':'ensembed','date':'2026-11-21T12:34:56Z','device':{}}"},
    {"collection_started", "{'collection':'c'}"},
    {"chunk_problem",
     "{'collection':'c','file':'f','line':1,'column':2,'code':'blank',"
     "'message':'m','failed':false}"},
    {"chunks_read",
     "{'collection':'c','files':1,'found':5,'unique':3,'duplicate':1,"
     "'blank':1}"},
    {"mode_chosen", "{'collection':'c','mode':'exclusive','reason':'r'}"},
    {"ensemble_pass_started",
     "{'collection':'c','model':'m','pass':1,'mode':'exclusive','device':'d',"
     "'weight':1.0,'texts_missing':3,'budget_tokens':4096}"},
    {"model_loaded",
     "{'model':'m','device':'d','load_ms':2.5,'weights_bytes':7,"
     "'layers_resident':12,'layers':12}"},
    {"model_unloaded", "{'model':'m','device':'d'}"},
    {"ensemble_rotation",
     "{'collection':'c','model':'m','pass':1,'window':2,'device':'d'}"},
    {"batch_completed",
     "{'collection':'c','model':'m','pass':1,'batch':0,'device':'d','texts':2,"
     "'tokens':9,'budget_tokens':4096,'duration_ms':1.5,"
     "'free_before_bytes':9,'free_after_bytes':8,'live_bytes':7}"},
    {"chunk_truncated", "{'model':'m','chunk':'c1','limit':512}"},
    {"vector_failed",
     "{'model':'m','text_sha256':'"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',"
     "'reason':'zero'}"},
    {"budget_shrunk",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':1,"
     "'margin_bytes':2,'from_tokens':4096,'to_tokens':2048}"},
    {"budget_grown",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':9,"
     "'margin_bytes':2,'from_tokens':2048,'to_tokens':4096}"},
    {"batch_split",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':1,"
     "'margin_bytes':2,'texts':4,'tokens':99}"},
    {"companion_moved",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':1,"
     "'margin_bytes':2,'to_device':'e'}"},
    {"companion_paused",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':1,"
     "'margin_bytes':2}"},
    {"companion_resumed",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':9,"
     "'margin_bytes':2}"},
    {"layers_streamed",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':1,"
     "'margin_bytes':2,'layers_resident':3,'layers':12}"},
    {"layers_restored",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':9,"
     "'margin_bytes':2,'layers_resident':12,'layers':12}"},
    {"model_moved",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':1,"
     "'margin_bytes':2,'to_device':'e'}"},
    {"cpu_fallback",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':1,"
     "'margin_bytes':2,'to_device':'cpu'}"},
    {"device_left_out",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':1,"
     "'margin_bytes':2,'to_device':'cpu'}"},
    {"device_lost",
     "{'device':'d','reason':'r','free_bytes':0,'margin_bytes':2}"},
    {"batch_recomputed",
     "{'device':'d','model':'m','reason':'r','pass':1,'free_bytes':9,"
     "'margin_bytes':2,'texts':4}"},
    {"lease_waiting", "{'device':'d','holder':'process 7'}"},
    {"lease_acquired",
     "{'device':'d','model':'m','free_bytes':9,'waited_ms':0.5}"},
    {"lease_released",
     "{'device':'d','model':'m','bytes_before':9,'bytes_after':7,"
     "'bytes_left_behind':2,'duration_ms':8.5,'peak_bytes':6,"
     "'budget_tokens':4096}"},
    {"ensemble_pass_completed",
     "{'collection':'c','model':'m','pass':1,'mode':'exclusive','device':'d',"
     "'weight':1.0,'duration_ms':9.5,'load_ms':2.5,'computed':3,'reused':0,"
     "'tokens':99,'budget_tokens':4096,'planned_peak_bytes':9,"
     "'measured_peak_bytes':8}"},
    {"ensemble_pass_failed",
     "{'collection':'c','model':'m','pass':1,'mode':'exclusive','device':'d',"
     "'weight':1.0,'duration_ms':9.5,'load_ms':2.5,'computed':0,'reused':0,"
     "'tokens':0,'budget_tokens':4096,'planned_peak_bytes':9,"
     "'measured_peak_bytes':8,'error':'e'}"},
    {"drift_measured",
     "{'collection':'c','model':'m','pass':1,'dtype':'int8','texts':32,"
     "'bound':0.99,'duration_ms':9.5,'heads':{'dense':{'lowest_cosine':0.5,"
     "'median_cosine':0.75}}}"},
    {"drift_not_measured",
     "{'collection':'c','model':'m','pass':1,'dtype':'bf16','skipped':'r'}"},
    {"cache", "{'model':'m','commit':null,'status':'hit'}"},
    {"retrying",
     "{'model':'m','file':'f','attempt':1,'of':5,'cause':'429','wait_ms':100}"},
    {"memory_sample",
     "{'devices':[{'device':'d','total_bytes':9,'free_bytes':8,"
     "'live_bytes':7,'ceiling_bytes':6}],'process_bytes':5,"
     "'cpu_percent':99.5}"},
    {"collection_ended", "{'collection':'c','status':'completed','reason':null,"
                         "'duration_ms':9.5}"},
    {"run_ended", "{'duration_ms':9.5,'status':'none'}"},
};

enum { SCENE_EACH = sizeof scene_each / sizeof *scene_each };

/* FIELDS in JSON with ' for ". */
static inline json_t *scene_fields(const char *fields) {
    char text[1024];
    snprintf(text, sizeof text, "%s", fields);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    json_t *object = json_loads(text, 0, NULL);
    if (!object)
        fprintf(stderr, "scene: not JSON: %s\n", text);
    return object;
}

struct scene_pass {
    const char *model;
    int64_t begin_ms, load_ms, end_ms;
    int64_t weights_bytes, batch_bytes; /* on each card */
    int budget, batch_tokens;
};

static const struct scene_pass scene_passes[] = {
    {"jina-code-embeddings-1.5b", 1500, 3480, 64100, INT64_C(3090000000),
     INT64_C(4600000000), 16384, 2050},
    {"bge-m3", 64900, 1210, 93420, INT64_C(1136000000), INT64_C(3970000000),
     32768, 2625},
    {"qwen3-embedding-0.6b", 94100, 1330, 123440, INT64_C(1192000000),
     INT64_C(4060000000), 32768, 2600},
};

static const char *const scene_devices[] = {"sim:t4-0", "sim:t4-1"};

enum {
    SCENE_PRESSURE_BEGIN_MS = 30000,
    SCENE_PRESSURE_END_MS = 46000,
    SCENE_END_MS = 126433
};

static inline void scene_pass_begins(const struct scene_pass *pass, int number,
                                     scene_emit *emit, void *context) {
    emit(context, pass->begin_ms, "ensemble_pass_started",
         json_pack("{s:s,s:s,s:i,s:s,s:s,s:f,s:i,s:i}", "collection", "Docling",
                   "model", pass->model, "pass", number, "mode", "exclusive",
                   "device", "sim:t4-0,sim:t4-1", "weight", 1.0,
                   "texts_missing", 604, "budget_tokens", pass->budget));
    for (int d = 0; d < 2; d++) {
        emit(context, pass->begin_ms + 5, "lease_acquired",
             json_pack("{s:s,s:s,s:I,s:i}", "device", scene_devices[d], "model",
                       pass->model, "free_bytes",
                       (json_int_t)(SCENE_TOTAL - 300000000), "budget_tokens",
                       pass->budget));
        emit(context, pass->begin_ms + pass->load_ms, "model_loaded",
             json_pack("{s:s,s:s,s:f,s:I,s:i,s:i}", "model", pass->model,
                       "device", scene_devices[d], "load_ms",
                       (double)pass->load_ms, "weights_bytes",
                       (json_int_t)pass->weights_bytes, "layers_resident", 28,
                       "layers", 28));
    }
}

static inline void scene_pass_ends(const struct scene_pass *pass, int number,
                                   scene_emit *emit, void *context) {
    int64_t peak = pass->weights_bytes + pass->batch_bytes;
    for (int d = 0; d < 2; d++)
        emit(context, pass->end_ms, "lease_released",
             json_pack("{s:s,s:s,s:I,s:I,s:I,s:f,s:I,s:i}", "device",
                       scene_devices[d], "model", pass->model, "bytes_before",
                       (json_int_t)(SCENE_TOTAL - 300000000), "bytes_after",
                       (json_int_t)(SCENE_TOTAL - 300000000 -
                                    (number == 2 && d == 1 ? 41943040 : 0)),
                       "bytes_left_behind",
                       (json_int_t)(number == 2 && d == 1 ? 41943040 : 0),
                       "duration_ms", (double)(pass->end_ms - pass->begin_ms),
                       "peak_bytes", (json_int_t)peak, "budget_tokens",
                       pass->budget));
    emit(context, pass->end_ms, "ensemble_pass_completed",
         json_pack("{s:s,s:s,s:i,s:s,s:s,s:f,s:f,s:f,s:i,s:i,s:i,s:i,s:I,s:I}",
                   "collection", "Docling", "model", pass->model, "pass",
                   number, "mode", "exclusive", "device", "sim:t4-0,sim:t4-1",
                   "weight", 1.0, "duration_ms",
                   (double)(pass->end_ms - pass->begin_ms - pass->load_ms),
                   "load_ms", (double)pass->load_ms, "computed", 604, "reused",
                   0, "tokens", 250000, "budget_tokens", pass->budget,
                   "planned_peak_bytes", (json_int_t)(peak + 100000000),
                   "measured_peak_bytes", (json_int_t)peak));
}

static inline void scene_budget(const char *type, int64_t t_ms, int from,
                                int to, int64_t free_bytes, scene_emit *emit,
                                void *context) {
    emit(context, t_ms, type,
         json_pack("{s:s,s:s,s:s,s:i,s:I,s:I,s:i,s:i}", "device", "sim:t4-0",
                   "model", scene_passes[0].model, "reason",
                   free_bytes < SCENE_MARGIN ? "free memory is under the margin"
                                             : "the pressure is over",
                   "pass", 1, "free_bytes", (json_int_t)free_bytes,
                   "margin_bytes", (json_int_t)SCENE_MARGIN, "from_tokens",
                   from, "to_tokens", to));
}

/* Batches get slower while the budget is small. */
static inline int64_t scene_batch_ms(const struct scene_pass *pass, int device,
                                     int64_t t_ms) {
    int64_t ms = (pass->budget > 20000 ? 560 : 1010) + (t_ms * 7919) % 170;
    bool pressed = t_ms > SCENE_PRESSURE_BEGIN_MS &&
                   t_ms < SCENE_PRESSURE_END_MS && device == 0;
    return pressed ? ms * 2 : ms;
}

static inline void scene_batches(const struct scene_pass *pass, int number,
                                 int device, scene_emit *emit, void *context) {
    int64_t t_ms = pass->begin_ms + pass->load_ms;
    for (int batch = 0; t_ms < pass->end_ms - 1500; batch++) {
        int64_t ms = scene_batch_ms(pass, device, t_ms);
        t_ms += ms;
        emit(context, t_ms, "batch_completed",
             json_pack("{s:s,s:s,s:i,s:i,s:s,s:i,s:i,s:i,s:f,s:I,s:I,s:I}",
                       "collection", "Docling", "model", pass->model, "pass",
                       number, "batch", batch, "device", scene_devices[device],
                       "texts", 5, "tokens", pass->batch_tokens,
                       "budget_tokens", pass->budget, "duration_ms", (double)ms,
                       "free_before_bytes", (json_int_t)(4 * GIB),
                       "free_after_bytes", (json_int_t)(4 * GIB), "live_bytes",
                       (json_int_t)(pass->weights_bytes + pass->batch_bytes)));
    }
}

static inline void scene_play(scene_emit *emit, void *context) {
    emit(context, 0, "run_started", NULL);
    emit(context, 40, "collection_started",
         json_pack("{s:s}", "collection", "Docling"));
    emit(context, 300, "cache",
         json_pack("{s:s,s:s,s:s}", "model", "bge-m3", "commit",
                   "2222222222222222222222222222222222222222", "status",
                   "hit"));
    emit(context, 400, "retrying",
         json_pack("{s:i,s:i,s:s,s:i,s:s}", "attempt", 1, "of", 5, "cause",
                   "429 <Too Many Requests>", "wait_ms", 700, "model",
                   "bge-m3"));
    emit(context, 1400, "mode_chosen",
         json_pack("{s:s,s:s,s:s}", "collection", "Docling", "mode",
                   "exclusive", "reason",
                   "the three models do not fit on one device together"));
    for (int i = 0; i < 3; i++) {
        scene_pass_begins(&scene_passes[i], i + 1, emit, context);
        for (int d = 0; d < 2; d++)
            scene_batches(&scene_passes[i], i + 1, d, emit, context);
        if (i == 0) {
            scene_budget("budget_shrunk", 31210, 16384, 8192, 401 << 20, emit,
                         context);
            scene_budget("budget_shrunk", 33650, 8192, 4096, 470 << 20, emit,
                         context);
            scene_budget("budget_grown", 48230, 4096, 8192, 7 * GIB, emit,
                         context);
            scene_budget("budget_grown", 51010, 8192, 16384, 7 * GIB, emit,
                         context);
        }
        scene_pass_ends(&scene_passes[i], i + 1, emit, context);
    }
    emit(context, SCENE_END_MS, "run_ended",
         json_pack("{s:f,s:s}", "duration_ms", (double)SCENE_END_MS, "status",
                   "bad_vector"));
}

static inline int64_t scene_live(int64_t t_ms, int device) {
    for (int i = 0; i < 3; i++) {
        const struct scene_pass *pass = &scene_passes[i];
        if (t_ms < pass->begin_ms || t_ms > pass->end_ms)
            continue;
        if (t_ms < pass->begin_ms + pass->load_ms)
            return pass->weights_bytes * (t_ms - pass->begin_ms) /
                   pass->load_ms;
        bool pressed = i == 0 && device == 0 && t_ms > 31210 && t_ms < 51010;
        return pass->weights_bytes + pass->batch_bytes / (pressed ? 4 : 1);
    }
    return 0;
}

static inline void scene_samples(struct samples *series) {
    for (int64_t t_ms = 0; t_ms < SCENE_END_MS; t_ms += 250) {
        struct sample sample = {.t_ms = t_ms,
                                .cpu_percent =
                                    t_ms ? 180 + (double)(t_ms / 250 % 20) : -1,
                                .cpu_ms = 250,
                                .process_bytes = (uint64_t)(GIB + t_ms * 6000)};
        for (int d = 0; d < 2; d++) {
            bool pressed = d == 0 && t_ms > SCENE_PRESSURE_BEGIN_MS &&
                           t_ms < SCENE_PRESSURE_END_MS;
            int64_t live = scene_live(t_ms, d);
            struct sample_device *device = &sample.devices[d];
            strcpy(device->name, scene_devices[d]);
            device->total_bytes = (uint64_t)SCENE_TOTAL;
            device->live_bytes = (uint64_t)live;
            device->free_bytes = (uint64_t)(SCENE_TOTAL - live - 300000000 -
                                            (pressed ? 6 * GIB : 0));
            device->ceiling_bytes = (uint64_t)SCENE_CEILING;
            device->margin_bytes = (uint64_t)SCENE_MARGIN;
        }
        samples_add(series, &sample);
    }
}

/* A file of this process, or NAME in the folder that the test was given. */
static inline const char *scene_path(const char *name) {
    static char path[512];
    const char *folder = getenv("SCENE_FOLDER");
    if (folder)
        snprintf(path, sizeof path, "%s/%s", folder, name);
    else
        snprintf(path, sizeof path, "/tmp/ensembed-%ld-%s", (long)getpid(),
                 name);
    return path;
}

static inline void scene_remove(const char *name) {
    if (getenv("SCENE_FOLDER"))
        return; /* somebody wants to look at it */
    unlink(scene_path(name));
}

#endif
