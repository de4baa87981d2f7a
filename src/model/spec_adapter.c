/* spec_adapter.c - what adapter_config.json says of adapters (LoRA) that lie in
 * a file of their own, as peft writes it. weights_lora.c merges them. */

#include <math.h>

#include "model/spec_parts.h"

enum { CONFIG_BYTES_MAX = 1 << 20 };

/* Nothing, or nothing in it. */
static bool config_empty(const struct config_source *from, const char *key,
                         struct error *err) {
    const json_t *value = json_object_get(from->config, key);
    return !value || json_is_null(value) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: %s with something in it is not supported; only an "
                     "empty one is",
                     from->path, key);
}

/* What would change how adapters are added, and is not done here. */
static bool check_kind(const struct config_source *from, struct error *err) {
    return config_only(from, "peft_type", "LORA", err) &&
           config_only(from, "bias", "none", err) &&
           config_only(from, "use_dora", "false", err) &&
           config_only(from, "lora_bias", "false", err) &&
           config_only(from, "fan_in_fan_out", "false", err) &&
           config_empty(from, "rank_pattern", err) &&
           config_empty(from, "alpha_pattern", err) &&
           config_empty(from, "modules_to_save", err) &&
           config_empty(from, "layer_replication", err);
}

static bool read_scale(const struct config_source *from,
                       struct model_spec *spec, struct error *err) {
    size_t rank = 0;
    double alpha = 8; /* peft's default */
    bool root = false;
    if (!config_size(from, "r", &rank, err) ||
        !config_real(from, "lora_alpha", &alpha, err) ||
        !config_flag(from, "use_rslora", &root, err))
        return false;
    double by = root ? sqrt((double)rank) : (double)rank;
    spec->lora_rank = rank;
    spec->lora_scale = (float)(alpha / by);
    return isfinite(alpha) ||
           error_set(err, ERROR_INPUT,
                     "%s: lora_alpha is %g; a finite number belongs there",
                     from->path, alpha);
}

bool read_adapter_file(const struct model_files *files, struct model_spec *spec,
                       struct error *err) {
    const json_t *tasks = json_object_get(files->config, "task_names");
    if (!files->adapter_path)
        return json_array_size(tasks) == 0 ||
               error_set(err, ERROR_MISSING,
                         "%s has task_names, but their adapters are not in %s"
                         "/adapters; get the model's files again",
                         files->config_path, files->folder);
    json_t *config =
        json_read_file(files->adapter_config_path, CONFIG_BYTES_MAX, err);
    struct config_source from = {.config = config,
                                 .path = files->adapter_config_path};
    bool fine = config && (json_is_object(config) ||
                           error_set(err, ERROR_INPUT,
                                     "%s is not a JSON object", from.path));
    fine = fine && check_kind(&from, err) && read_scale(&from, spec, err);
    json_decref(config);
    spec->lora_tasks = files->tasks_count;
    return fine;
}
