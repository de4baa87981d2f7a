/* fixture.h - a model on a device for a test: a folder of
 * tests/fixtures/models, or one of as many layers as wanted, with random
 * weights; verbs that a test can spoil; and every call of malloc counted (the
 * binary is linked with --wrap). */

#ifndef TESTS_MODEL_FIXTURE_H
#define TESTS_MODEL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/device.h"
#include "model/encoder.h"
#include "model/shape.h"
#include "model/spec.h"
#include "model/weights_parts.h"

#define MODELS "tests/fixtures/models/"
#define SHAPES "tests/fixtures/shapes/"

struct rig {
    struct memory memory; /* what the tests count */
    struct memory files_memory;
    struct pool *pool;
    struct device_script *script;
    struct device *device;
    struct model_files *files;
    struct model_files deep; /* files, or with another config and weights */
    struct model_spec spec;
    char path[64]; /* of the weights that were made; "" if none */
    const char *paths[1];
};

/* SCRIPT: what happens to simulated cards, or NULL. */
static inline void rig_open_device(struct rig *r, const char *device,
                                   unsigned threads, const char *script) {
    struct error err = {0};
    struct device_list list = {0};
    *r = (struct rig){0};
    r->pool = pool_create(&r->memory, threads, &err);
    if (!r->pool || !device_list_parse(&r->memory, device, NULL, &list, &err))
        fail_msg("%s", err.message);
    if (script)
        r->script =
            device_script_read(&r->memory, str_from(script), "script", &err);
    if (script && !r->script)
        fail_msg("%s", err.message);
    struct device_options options = {
        .memory = &r->memory, .pool = r->pool, .script = r->script};
    r->device = device_open(&list.items[0], &options, &err);
    device_list_free(&r->memory, &list);
    if (!r->device)
        fail_msg("%s: %s", device, err.message);
}

static inline void rig_read(struct rig *r, const char *folder) {
    char path[256];
    struct error err = {0};
    snprintf(path, sizeof path, MODELS "%s", folder);
    r->files =
        model_files_open(&r->files_memory, path, NULL, MODEL_DENSE, NULL, &err);
    if (!r->files || !model_spec_read(r->files, &r->spec, &err))
        fail_msg("%s", err.message);
    if (r->spec.lora_rank) /* some task, so that all is done that can be */
        r->spec.task = 1;
    r->deep = *r->files;
}

/* In [-1, 1), from a fixed sequence. */
static inline float random_float(void) {
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

/* One entry of a safetensors header; the sum of bytes so far in *END. */
static inline void describe_tensor(json_t *header,
                                   const struct model_spec *spec,
                                   const struct tensor_rule *rule, size_t layer,
                                   size_t *end) {
    char name[256];
    const char *slot = strstr(rule->name, "%zu");
    if (slot)
        snprintf(name, sizeof name, "%.*s%zu%s", (int)(slot - rule->name),
                 rule->name, layer, slot + 3);
    else
        snprintf(name, sizeof name, "%s", rule->name);
    size_t rows = dim_size(spec, rule->rows),
           columns = dim_size(spec, rule->columns);
    size_t begin = *end;
    *end += rows * columns * sizeof(float);
    json_t *shape = json_pack("[I]", (json_int_t)rows);
    if (rule->columns != DIM_NONE)
        json_array_append_new(shape, json_integer((json_int_t)columns));
    json_object_set_new(header, name,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32",
                                  "shape", shape, "data_offsets",
                                  (json_int_t)begin, (json_int_t)*end));
}

static inline void write_weights(const struct model_spec *spec,
                                 const char *path) {
    json_t *header = json_object();
    size_t bytes = 0;
    for (size_t i = 0; i < spec->family->rules_count; i++) {
        const struct tensor_rule *rule = &spec->family->rules[i];
        size_t times = in_layer(rule) ? spec->layers : 1;
        for (size_t layer = 0; layer < times; layer++)
            if (model_spec_has(spec, rule, layer))
                describe_tensor(header, spec, rule, layer, &bytes);
    }
    char *text = json_dumps(header, JSON_COMPACT);
    uint64_t size = strlen(text);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(&size, sizeof size, 1, file);
    fwrite(text, 1, size, file);
    for (size_t i = 0; i < bytes / sizeof(float); i++) {
        float value = random_float() * 0.5f;
        fwrite(&value, sizeof value, 1, file);
    }
    assert_int_equal(fclose(file), 0);
    free(text);
    json_decref(header);
}

/* The folder's model with LAYERS layers, whose weights are made up. */
static inline void rig_deepen(struct rig *r, size_t layers) {
    struct error err = {0};
    json_t *config = json_deep_copy(r->files->config);
    json_object_set_new(config, "num_hidden_layers",
                        json_integer((json_int_t)layers));
    r->deep.config = config;
    if (!model_spec_read(&r->deep, &r->spec, &err))
        fail_msg("%s", err.message);
    snprintf(r->path, sizeof r->path, "/tmp/ensembed-test-XXXXXX");
    int fd = mkstemp(r->path);
    assert_true(fd >= 0);
    close(fd);
    write_weights(&r->spec, r->path);
    r->paths[0] = r->path;
    r->deep.weights = r->paths;
    r->deep.weights_count = 1;
}

/* LAYERS 0: the folder as it is. */
static inline void rig_open(struct rig *r, const char *device, unsigned threads,
                            const char *folder, size_t layers) {
    rig_open_device(r, device, threads, NULL);
    rig_read(r, folder);
    if (layers)
        rig_deepen(r, layers);
}

static inline void rig_close(struct rig *r) {
    if (r->path[0])
        unlink(r->path);
    if (r->deep.config != r->files->config)
        json_decref((json_t *)(uintptr_t)r->deep.config);
    model_files_free(r->files);
    assert_int_equal(memory_live(r->device->account),
                     r->device->account == &r->memory ? memory_live(&r->memory)
                                                      : 0);
    device_close(r->device);
    device_script_free(r->script);
    pool_free(r->pool);
    assert_int_equal(memory_live(&r->memory), 0);
    assert_int_equal(memory_live(&r->files_memory), 0);
}

/* In the place of a number of resident layers. */
static const size_t FROM_FILE = SIZE_MAX - 1;

static inline struct weights_placement rig_placement(size_t resident) {
    return (struct weights_placement){.resident = resident,
                                      .from_file = resident == FROM_FILE};
}

static inline struct weights *rig_load(struct rig *r, size_t resident) {
    struct error err = {0};
    struct weights_placement placement = rig_placement(resident);
    struct weights *w = weights_load(&r->memory, &r->spec, &r->deep, r->device,
                                     &placement, NULL, &err);
    if (!w)
        fail_msg("%s", err.message);
    return w;
}

/* ---- a device whose verbs a test spoils --------------------------------- */

/* One device at a time. */
static struct spoilt {
    struct device_verbs verbs;
    const struct device_verbs *real;
    /* the copy under way */
    void *to;
    const void *from;
    size_t bytes, copies;
    size_t fail_copy; /* the copy that fails, from 1 */
    _Atomic size_t submits, finishes, vain, vain_ever;
    size_t fail_submit; /* this submit and all after it, from 1 */
    enum error_code fail_code;
} spoilt;

/* As late as a copy can be, and no sooner harmless. */
static inline void late_upload(struct device *device, void *to,
                               const void *from, size_t bytes) {
    (void)device;
    assert_null(spoilt.to);
    memset(to, 0xff, bytes);
    spoilt.to = to;
    spoilt.from = from;
    spoilt.bytes = bytes;
    spoilt.copies++;
}

static inline bool late_upload_wait(struct device *device, struct error *err) {
    (void)device;
    if (spoilt.to && spoilt.fail_copy && spoilt.copies == spoilt.fail_copy) {
        spoilt.to = NULL;
        return error_set(err, ERROR_DEVICE, "the copy failed");
    }
    if (spoilt.to)
        memcpy(spoilt.to, spoilt.from, spoilt.bytes);
    spoilt.to = NULL;
    return true;
}

static inline bool refusing_submit(struct lane *lane, struct error *err) {
    size_t number = ++spoilt.submits;
    if (spoilt.fail_submit && number >= spoilt.fail_submit) {
        spoilt.vain++;
        spoilt.vain_ever++;
        return error_set(err, spoilt.fail_code, "submit refused");
    }
    return spoilt.real->submit(lane, err);
}

static inline bool counting_finish(struct lane *lane, struct error *err) {
    spoilt.finishes++;
    return spoilt.real->finish(lane, err);
}

static inline void spoil(struct device *device) {
    memset(&spoilt, 0, sizeof spoilt);
    spoilt.real = device->verbs;
    spoilt.verbs = *device->verbs;
    spoilt.verbs.upload = late_upload;
    spoilt.verbs.upload_wait = late_upload_wait;
    spoilt.verbs.submit = refusing_submit;
    spoilt.verbs.finish = counting_finish;
    device->verbs = &spoilt.verbs;
}

/* ---- malloc, counted ---------------------------------------------------- */

static _Atomic size_t malloc_calls;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);

void *__wrap_malloc(size_t size) {
    malloc_calls++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    malloc_calls++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size) {
    malloc_calls++;
    return __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    malloc_calls++;
    return __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size) {
    malloc_calls++;
    return __real_posix_memalign(block, alignment, size);
}

#endif
