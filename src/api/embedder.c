/* embedder.c - making, configuring and listening to an embedder. */

#include "api/embedder.h"

#include <stdlib.h>
#include <string.h>

#include "run/dtype.h"

_Static_assert((int)ENS_BAD_VECTOR == (int)ERROR_VECTOR,
               "ens_code is error_code by another name");
_Static_assert(sizeof(((ens_error *)0)->message) ==
                   sizeof(((struct error *)0)->message),
               "messages have the same room");

const char *ens_version(void) {
    return ENS_VERSION;
}

bool embedder_fail(ens_error *error, const struct error *cause) {
    if (error) {
        error->code = (ens_code)cause->code;
        memcpy(error->message, cause->message, sizeof error->message);
    }
    return false;
}

void ens_config_init(ens_config *config) {
    *config = (ens_config){.size = sizeof *config, .exports = ENS_EXPORT_ALL};
}

/* ---- listening ---------------------------------------------------------- */

static void on_log(void *context, enum log_level level, const char *message) {
    const ens_embedder *e = context;
    if (e->callbacks.log)
        e->callbacks.log(e->callbacks.context, (ens_level)level, message);
}

static void on_progress(void *context, const struct progress *p) {
    const ens_embedder *e = context;
    if (!e->callbacks.progress)
        return;
    ens_progress progress = {.collection = p->collection,
                             .stage = p->stage,
                             .model = p->model,
                             .pass = p->pass,
                             .passes = p->passes,
                             .done = p->done,
                             .total = p->total,
                             .tokens_per_second = p->tokens_per_second,
                             .seconds_left = p->seconds_left,
                             .memory_live = p->memory_live,
                             .memory_ceiling = p->memory_ceiling};
    e->callbacks.progress(e->callbacks.context, &progress);
}

/* Room for one more event; without it the history ends here. */
static bool grow_history(ens_embedder *e) {
    if (e->events_count < e->events_capacity)
        return true;
    size_t capacity = e->events_capacity ? 2 * e->events_capacity : 64;
    char **events =
        memory_resize(&e->memory, e->events, capacity, sizeof *events, NULL);
    if (!events)
        return false;
    e->events = events;
    e->events_capacity = capacity;
    return true;
}

static void on_event(void *context, const char *type, const json_t *fields) {
    ens_embedder *e = context;
    json_t *object = json_pack("{s:s}", "type", type);
    json_object_update(object, (json_t *)(uintptr_t)fields);
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!text)
        return;
    if (e->callbacks.event)
        e->callbacks.event(e->callbacks.context, type, text);
    if (e->events_count < ENS_EVENTS_KEPT && grow_history(e))
        e->events[e->events_count++] = text;
    else
        free(text);
}

static bool on_interrupted(void *context) {
    const ens_embedder *e = context;
    return e->callbacks.interrupted &&
           e->callbacks.interrupted(e->callbacks.context);
}

static void make_sink(ens_embedder *e) {
    e->sink = (struct sink){.context = e,
                            .log = on_log,
                            .progress = on_progress,
                            .event = on_event,
                            .interrupted = on_interrupted};
}

void ens_set_callbacks(ens_embedder *embedder, const ens_callbacks *callbacks) {
    embedder->callbacks = *callbacks;
}

size_t ens_event_count(const ens_embedder *embedder) {
    return embedder->events_count;
}

const char *ens_event(const ens_embedder *embedder, size_t index) {
    return index < embedder->events_count ? embedder->events[index] : NULL;
}

/* ---- configuring -------------------------------------------------------- */

static const char *copy(ens_embedder *e, const char *text, struct error *err) {
    return text ? arena_copy(&e->arena, str_from(text), err) : NULL;
}

static bool copy_models(ens_embedder *e, const ens_config *config,
                        struct error *err) {
    struct model_request *models =
        arena_alloc(&e->arena, config->models_count, sizeof *models, err);
    if (!models)
        return false;
    for (size_t i = 0; i < config->models_count; i++) {
        const ens_model *model = &config->models[i];
        if (!model->reference || model->weight < 0)
            return error_set(err, ERROR_USAGE, "model %zu has %s", i,
                             model->reference ? "a weight below 0"
                                              : "no reference");
        models[i] = (struct model_request){
            .reference = copy(e, model->reference, err),
            .revision = copy(e, model->revision, err),
            .name = copy(e, model->name, err),
            .prompt = copy(e, model->prompt, err),
            .weight = model->weight > 0 ? model->weight : 1,
            .dim = model->dim,
            .budget = model->batch_tokens};
    }
    e->options.models = models;
    e->options.models_count = config->models_count;
    return true;
}

static bool copy_collections(ens_embedder *e, const ens_config *config,
                             struct error *err) {
    if (!config->collections_count)
        return true;
    const char **names =
        arena_alloc(&e->arena, config->collections_count, sizeof *names, err);
    for (size_t i = 0; names && i < config->collections_count; i++)
        names[i] = copy(e, config->collections[i], err);
    e->options.chunk.collections = names;
    e->options.chunk.collections_count = config->collections_count;
    return names != NULL;
}

/* OTHERS, and the CPU's bytes where they are not 0. */
static bool copy_limits(ens_embedder *e, const ens_limit *others, size_t count,
                        uint64_t cpu_bytes, const struct device_bytes **list,
                        size_t *list_count, struct error *err) {
    struct device_bytes *copies =
        arena_alloc(&e->arena, count + 1, sizeof *copies, err);
    if (!copies)
        return false;
    *list = copies;
    if (cpu_bytes)
        copies[(*list_count)++] =
            (struct device_bytes){DEVICE_CPU.name, cpu_bytes};
    for (size_t i = 0; i < count; i++) {
        if (!others[i].device || !others[i].bytes)
            return error_set(err, ERROR_USAGE,
                             "limit %zu has no device or no bytes", i);
        copies[(*list_count)++] = (struct device_bytes){
            copy(e, others[i].device, err), others[i].bytes};
    }
    return true;
}

/* Values that a caller in another language may get wrong: none is guessed. */
static bool check_choices(const ens_config *config, struct error *err) {
    unsigned known = ENS_EXPORT_ALL | ENS_EXPORT_TERMS;
    if ((int)config->fuse < 0 || config->fuse > ENS_FUSE_CONCAT)
        return error_set(err, ERROR_USAGE, "config.fuse: %d is no ens_fuse",
                         (int)config->fuse);
    if ((int)config->mode < 0 || config->mode > ENS_MODE_EXCLUSIVE)
        return error_set(err, ERROR_USAGE, "config.mode: %d is no ens_mode",
                         (int)config->mode);
    return !(config->exports & ~known) ||
           error_set(err, ERROR_USAGE,
                     "config.exports: %u is no sum of ENS_EXPORT_ bits",
                     config->exports);
}

static enum run_mode mode_of(ens_mode mode) {
    switch (mode) {
    case ENS_MODE_SIMULTANEOUS:
        return MODE_SIMULTANEOUS;
    case ENS_MODE_SEQUENTIAL:
        return MODE_SEQUENTIAL;
    case ENS_MODE_EXCLUSIVE:
        return MODE_EXCLUSIVE;
    default:
        return MODE_AUTO;
    }
}

static bool copy_folders(ens_embedder *e, const char *const *folders,
                         struct error *err) {
    size_t count = 0;
    while (folders && folders[count])
        count++;
    const char **copies =
        arena_alloc(&e->arena, count + 1, sizeof *copies, err);
    for (size_t i = 0; copies && i < count; i++)
        copies[i] = copy(e, folders[i], err);
    if (copies)
        copies[count] = NULL;
    e->options.library_folders = copies;
    return copies;
}

static bool copy_devices(ens_embedder *e, const ens_config *config,
                         struct error *err) {
    struct run_options *o = &e->options;
    o->devices = copy(e, config->devices, err);
    o->kernel_cache = copy(e, config->kernel_cache, err);
    if (!copy_folders(e, config->library_folders, err) ||
        (config->dtype &&
         !dtype_parse(config->dtype, "config.dtype", &o->type, err)))
        return false;
    o->mode = mode_of(config->mode);
    o->warm = config->warm;
    o->lock_dir = copy(e, config->lock_dir, err);
    o->lease_wait_ms = config->lease_at_once ? 0 : -1;
    return copy_limits(e, config->ceilings, config->ceilings_count,
                       config->ceiling_bytes, &o->ceilings, &o->ceilings_count,
                       err) &&
           copy_limits(e, config->margins, config->margins_count, 0,
                       &o->margins, &o->margins_count, err);
}

static bool configure(ens_embedder *e, const ens_config *config,
                      struct error *err) {
    if (config->size != sizeof *config)
        return error_set(err, ERROR_USAGE,
                         "the configuration was not made by ens_config_init");
    e->options = (struct run_options){
        .input_fd = -1,
        .chunk = {.as = copy(e, config->as, err),
                  .collapse_whitespace = config->collapse_whitespace,
                  .trim_chars = config->trim_chars},
        .out = copy(e, config->out, err),
        .places = {.cache = copy(e, config->model_cache, err)},
        .isa = copy(e, config->isa, err),
        .threads = config->threads,
        .dim = config->dim,
        .fuse = config->fuse == ENS_FUSE_CONCAT ? FUSE_CONCAT : FUSE_MEAN,
        .prompt = copy(e, config->prompt, err),
        .prompt_text = copy(e, config->prompt_text, err),
        .restart = config->restart,
        .text_field = copy(e, config->text_field, err)};
    e->exports = config->exports;
    return check_choices(config, err) && copy_models(e, config, err) &&
           copy_collections(e, config, err) && copy_devices(e, config, err);
}

ens_embedder *ens_create(const ens_config *config, ens_error *error) {
    struct error err = {0};
    ens_embedder *e = calloc(1, sizeof *e); /* its memory is inside */
    if (!e) {
        error_set(&err, ERROR_MEMORY, "the system has no memory left");
        embedder_fail(error, &err);
        return NULL;
    }
    e->arena = arena_make(&e->memory);
    make_sink(e);
    if (configure(e, config, &err))
        return e;
    embedder_fail(error, &err);
    ens_destroy(e);
    return NULL;
}

void ens_destroy(ens_embedder *e) {
    if (!e)
        return;
    engine_free(e->engine);
    if (e->open) {
        roster_free(&e->roster);
        session_close(&e->session);
    }
    search_result_free(&e->search);
    memory_free(&e->memory, e->hits);
    for (size_t i = 0; i < e->events_count; i++)
        free(e->events[i]);
    memory_free(&e->memory, e->events);
    free(e->summary);
    arena_free(&e->arena);
    free(e);
}
