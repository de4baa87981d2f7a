/* trial.h - whole runs of small models on simulated cards, for tests: texts,
 * devices and a script in, events and files out. Needs cmocka's headers.
 *
 *     struct trial t;
 *     trial_run(&t, &(struct trial_terms){.models = "mean,cls",
 *                                         .devices = "sim:a=4MB", ...});
 *     ... t.events, t.summary, trial_same(&t, &other) ...
 *     trial_end(&t);
 */

#ifndef TESTS_RUN_TRIAL_H
#define TESTS_RUN_TRIAL_H

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "run/ceilings.h"
#include "run/pipeline.h"

#define TRIAL_MODELS "tests/fixtures/models/"

enum { TRIAL_MODELS_MOST = 4, TRIAL_LIMITS_MOST = 4, TRIAL_STILL_SECONDS = 60 };

struct trial_terms {
    const char *models;  /* names of fixtures or folders, joined by commas */
    size_t heads;        /* the first so many give sparse and ColBERT vectors
                            too */
    size_t budget;       /* of each; 0: default */
    const char *account; /* config.json that the cards charge, or NULL */
    const char *devices;
    const char *script; /* its text, or NULL */
    enum run_mode mode;
    struct device_bytes ceilings[TRIAL_LIMITS_MOST];
    struct device_bytes margins[TRIAL_LIMITS_MOST];
    size_t texts;       /* made up; 0: 300 */
    size_t words;       /* most of a text; 0: 24 */
    size_t collections; /* 0: one */
    bool warm;
    size_t dim;
    const char *const *library_folders; /* of cards, or NULL */
    /* Also told of each event, with a NULL context; or NULL. */
    void (*on_event)(void *context, const char *type, const json_t *fields);
    const char
        *out; /* the folder of an earlier trial, to go on there; or NULL */
};

struct trial {
    char folder[64]; /* with `chunks` and `out` in it */
    json_t *events;  /* [{type, ...}] but for memory_sample and
                        chunk_truncated */
    json_t *summary; /* NULL if the run did not begin */
    struct error worst;
    void (*on_event)(void *context, const char *type, const json_t *fields);
    bool keeps_folder; /* it is another trial's */
};

/* ---- a run that stands still --------------------------------------------- */

/* Only what a signal's handler may call; the test's other threads wait for
 * what does not come. */
static inline void trial_stands_still(int number) {
    static const char text[] = "trial.h: the run told of nothing for "
                               "60 s: some device waits for what never comes\n";
    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(EXIT_FAILURE);
}

/* It has told something, or is going to begin. */
static inline void trial_goes_on(void) {
    signal(SIGALRM, trial_stands_still);
    alarm(TRIAL_STILL_SECONDS);
}

/* ---- making ------------------------------------------------------------- */

static inline unsigned trial_random(unsigned *state) {
    *state = *state * 1103515245u + 12345u;
    return *state >> 16 & 0x7fff;
}

static inline void trial_write(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        fail_msg("cannot write %s", path);
}

/* Distinct texts of 1 to WORDS words. */
static inline void trial_write_texts(const char *path, size_t texts,
                                     size_t words, unsigned seed) {
    static const char *const list[] = {"memory", "device", "batch", "lease",
                                       "store",  "vector", "plan",  "queue"};
    FILE *f = fopen(path, "w");
    if (!f)
        fail_msg("cannot write %s", path);
    for (size_t i = 0; i < texts; i++) {
        size_t count = 1 + trial_random(&seed) % words;
        fprintf(f, "{\"text\": \"%zu", i);
        for (size_t k = 1; k < count; k++)
            fprintf(f, " %s", list[trial_random(&seed) % 8]);
        fprintf(f, "\"}\n");
    }
    assert_int_equal(fclose(f), 0);
}

static inline void trial_note(void *context, const char *type,
                              const json_t *fields) {
    struct trial *trial = context;
    if (trial->on_event)
        trial->on_event(NULL, type, fields);
    if (!strcmp(type, "memory_sample") || !strcmp(type, "chunk_truncated"))
        return;
    trial_goes_on();
    json_t *event = fields ? json_deep_copy(fields) : json_object();
    json_object_set_new(event, "type", json_string(type));
    json_array_append_new(trial->events, event);
}

static inline size_t trial_models(const struct trial_terms *terms,
                                  struct model_request *requests,
                                  char paths[TRIAL_MODELS_MOST][256]) {
    char list[512];
    size_t count = 0;
    snprintf(list, sizeof list, "%s", terms->models);
    for (char *at = list, *name; (name = strsep(&at, ",")); count++) {
        assert_true(count < TRIAL_MODELS_MOST);
        snprintf(paths[count], sizeof paths[count], "%s%s",
                 strchr(name, '/') ? "" : TRIAL_MODELS, name);
        requests[count] = (struct model_request){.reference = paths[count],
                                                 .weight = 1,
                                                 .budget = terms->budget,
                                                 .account = terms->account};
    }
    return count;
}

static inline size_t trial_limits(const struct device_bytes *limits) {
    size_t count = 0;
    while (count < TRIAL_LIMITS_MOST && limits[count].device)
        count++;
    return count;
}

static inline void trial_prepare(struct trial *trial,
                                 const struct trial_terms *terms,
                                 char path[128]) {
    size_t collections = terms->collections ? terms->collections : 1;
    *trial = (struct trial){.events = json_array()};
    trial->keeps_folder = terms->out != NULL;
    trial->on_event = terms->on_event;
    if (terms->out) {
        snprintf(trial->folder, sizeof trial->folder, "%s", terms->out);
        return;
    }
    strcpy(trial->folder, "/tmp/ensembed-trial-XXXXXX");
    assert_non_null(mkdtemp(trial->folder));
    snprintf(path, 128, "%s/chunks", trial->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < collections; i++) {
        snprintf(path, 128, "%s/chunks/c%zu", trial->folder, i);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(path, 128, "%s/chunks/c%zu/c%zu.jsonl", trial->folder, i, i);
        trial_write_texts(path, terms->texts ? terms->texts : 300,
                          terms->words ? terms->words : 24, (unsigned)i + 1);
    }
}

static inline void trial_run(struct trial *trial,
                             const struct trial_terms *terms) {
    char paths[TRIAL_MODELS_MOST][256], path[128], chunks[128], out[128];
    struct model_request requests[TRIAL_MODELS_MOST];
    struct error err = {0};
    struct run_result result = {0};
    size_t count = trial_models(terms, requests, paths);
    trial_prepare(trial, terms, path);
    snprintf(chunks, sizeof chunks, "%s/chunks", trial->folder);
    snprintf(out, sizeof out, "%s/out", trial->folder);
    snprintf(path, sizeof path, "%s/script.jsonl", trial->folder);
    if (terms->script)
        trial_write(path, terms->script);
    struct sink sink = {.context = trial, .event = trial_note};
    struct run_options options = {
        .chunks = chunks,
        .out = out,
        .models = requests,
        .models_count = count,
        .sparse = requests,
        .sparse_count = terms->heads,
        .multi = requests,
        .multi_count = terms->heads,
        .threads = 2,
        .devices = terms->devices,
        .ceilings = terms->ceilings,
        .ceilings_count = trial_limits(terms->ceilings),
        .margins = terms->margins,
        .margins_count = trial_limits(terms->margins),
        .mode = terms->mode,
        .warm = terms->warm,
        .lease_wait_ms = -1,
        .sim_script = terms->script ? path : NULL,
        .dim = terms->dim,
        .library_folders = terms->library_folders,
        .fuse = FUSE_CONCAT,
    };
    trial_goes_on();
    bool began = pipeline_run(&options, &sink, &result, &err);
    alarm(0);
    if (!began) {
        trial->worst = err;
        return;
    }
    trial->worst = result.worst;
    trial->summary = json_incref(result.summary);
    run_result_free(&result);
}

/* Must end with everything embedded. */
static inline void trial_run_well(struct trial *trial,
                                  const struct trial_terms *terms) {
    trial_run(trial, terms);
    if (trial->worst.code)
        fail_msg("%s", trial->worst.message);
}

static inline void trial_end(struct trial *trial) {
    char command[96];
    json_decref(trial->events);
    json_decref(trial->summary);
    if (trial->keeps_folder || !trial->folder[0])
        return;
    snprintf(command, sizeof command, "rm -rf %s", trial->folder);
    assert_int_equal(system(command), 0);
}

/* ---- asking ------------------------------------------------------------- */

static inline bool trial_text_is(const json_t *object, const char *key,
                                 const char *text) {
    const char *value = json_string_value(json_object_get(object, key));
    return value && !strcmp(value, text);
}

static inline json_int_t trial_number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("no %s", key);
    return json_integer_value(value);
}

/* The first event of TYPE from place FROM on; its place, or SIZE_MAX. */
static inline size_t trial_find(const struct trial *trial, const char *type,
                                size_t from) {
    for (size_t i = from; i < json_array_size(trial->events); i++)
        if (trial_text_is(json_array_get(trial->events, i), "type", type))
            return i;
    return SIZE_MAX;
}

static inline size_t trial_count(const struct trial *trial, const char *type) {
    size_t count = 0;
    for (size_t i = trial_find(trial, type, 0); i != SIZE_MAX;
         i = trial_find(trial, type, i + 1))
        count++;
    return count;
}

/* What happened but for batches, for the reader of a test that failed. */
static inline void trial_print(const struct trial *trial) {
    for (size_t i = 0; i < json_array_size(trial->events); i++) {
        const json_t *event = json_array_get(trial->events, i);
        char *text = trial_text_is(event, "type", "batch_completed")
                         ? NULL
                         : json_dumps(event, JSON_COMPACT);
        if (text)
            fprintf(stderr, "%s\n", text);
        free(text);
    }
}

/* The event of TYPE, which must be there behind *FROM. */
static inline const json_t *trial_next(const struct trial *trial,
                                       const char *type, size_t *from) {
    size_t at = trial_find(trial, type, *from);
    if (at == SIZE_MAX) {
        trial_print(trial);
        fail_msg("no %s from event %zu on", type, *from);
    }
    *from = at + 1;
    return json_array_get(trial->events, at);
}

static inline const json_t *trial_pass(const struct trial *trial,
                                       size_t collection, size_t pass) {
    return json_array_get(
        json_object_get(
            json_array_get(json_object_get(trial->summary, "collections"),
                           collection),
            "passes"),
        pass);
}

static inline const json_t *trial_device(const json_t *pass, const char *name) {
    const json_t *devices = json_object_get(pass, "devices");
    for (size_t i = 0; i < json_array_size(devices); i++)
        if (trial_text_is(json_array_get(devices, i), "device", name))
            return json_array_get(devices, i);
    return NULL;
}

/* ---- comparing ---------------------------------------------------------- */

static inline void trial_same_file(const char *a, const char *b) {
    struct error err = {0};
    struct file_map x, y;
    if (!file_map_open(&x, a, &err) || !file_map_open(&y, b, &err))
        fail_msg("%s", err.message);
    if (x.size != y.size || (x.size && memcmp(x.data, y.data, x.size) != 0))
        fail_msg("%s and %s differ", a, b);
    file_map_close(&x);
    file_map_close(&y);
}

/* Every artefact of A is in B, byte for byte. */
static inline void trial_same(const struct trial *a, const struct trial *b) {
    char folder[96], x[400], y[400];
    size_t files = 0;
    for (size_t c = 0;; c++) {
        snprintf(folder, sizeof folder, "%s/out/c%zu", a->folder, c);
        DIR *dir = opendir(folder);
        if (!dir && c > 0)
            break;
        assert_non_null(dir);
        for (struct dirent *e; (e = readdir(dir));) {
            /* stats.json names the run's own times. */
            if (e->d_name[0] == '.' || !strcmp(e->d_name, "stats.json"))
                continue;
            snprintf(x, sizeof x, "%s/%s", folder, e->d_name);
            snprintf(y, sizeof y, "%s/out/c%zu/%s", b->folder, c, e->d_name);
            trial_same_file(x, y);
            files++;
        }
        closedir(dir);
    }
    assert_true(files >= 4);
}

/* Each text of each pass was in exactly one batch. */
static inline void trial_nothing_lost(const struct trial *trial, size_t models,
                                      size_t texts) {
    uint64_t embedded = 0;
    for (size_t i = trial_find(trial, "batch_completed", 0); i != SIZE_MAX;
         i = trial_find(trial, "batch_completed", i + 1))
        embedded +=
            (uint64_t)trial_number(json_array_get(trial->events, i), "texts");
    if (embedded != models * texts) {
        trial_print(trial);
        fail_msg("%llu texts were embedded instead of %zu",
                 (unsigned long long)embedded, models * texts);
    }
}

#endif
