/* tasks.c - the LoRA sets of a model: jina-embeddings-v3's lora_adaptations
 * (inside its weights) and jina-embeddings-v4's task_names (in adapters/),
 * with the instruction that belongs to each: the prompt of the same name. */

#include "hub/reading.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { TASKS_MAX = 64 };

static bool has_prompt(const struct reading *r, const char *name) {
    for (size_t i = 0; i < r->files.prompts_count; i++)
        if (strcmp(r->files.prompts[i].name, name) == 0)
            return true;
    return false;
}

static bool read_names(struct reading *r, const char *key, struct error *err) {
    const json_t *list = json_object_get(r->config, key);
    size_t count = json_array_size(list);
    if (!list || json_is_null(list))
        return true;
    struct model_task *tasks =
        arena_alloc(&r->arena, count + 1, sizeof *tasks, err);
    if (!tasks)
        return false;
    bool fine = json_is_array(list) && count <= TASKS_MAX;
    for (size_t i = 0; fine && i < count; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        fine = name != NULL;
        if (fine && !reading_keep(r, name, &tasks[i].name, err))
            return false;
        if (fine && has_prompt(r, name))
            tasks[i].prompt = tasks[i].name;
    }
    r->files.tasks = tasks;
    r->files.tasks_count = count;
    return fine || error_set(err, ERROR_INPUT, "%s: %s is not a list of names",
                             r->files.config_path, key);
}

/* Where the transformer's own file names one. */
static bool read_default(struct reading *r, struct error *err) {
    static const char *const PLACES[] = {"config_args", "config_kwargs",
                                         "model_args", "model_kwargs"};
    const char *name = NULL;
    for (size_t i = 0; i < 4 && !name; i++)
        if (!json_member_string(json_object_get(r->limits, PLACES[i]),
                                "default_task", r->limits_path, &name, err))
            return false;
    if (!name && !json_member_string(r->limits, "default_task", r->limits_path,
                                     &name, err))
        return false;
    bool known = !name;
    for (size_t i = 0; i < r->files.tasks_count; i++)
        known = known || strcmp(r->files.tasks[i].name, name) == 0;
    if (!known)
        return error_set(err, ERROR_INPUT,
                         "%s: default_task is %s, which is not among the "
                         "model's tasks",
                         r->limits_path, name);
    return reading_keep(r, name, &r->files.default_task, err);
}

static bool read_adapter(struct reading *r, struct error *err) {
    const char *path =
        reading_path(r, "adapters", "adapter_model.safetensors", err);
    const char *config =
        reading_path(r, "adapters", "adapter_config.json", err);
    if (!path || !config)
        return false;
    if (file_may_exist(path) && file_may_exist(config)) {
        r->files.adapter_path = path;
        r->files.adapter_config_path = config;
    }
    return true;
}

bool tasks_read(struct reading *r, struct error *err) {
    return read_names(r, "lora_adaptations", err) &&
           (r->files.tasks_count || read_names(r, "task_names", err)) &&
           read_default(r, err) && read_adapter(r, err);
}
