/* spec_bert.c - what config.json says of BERT and its relatives besides sizes.
 */

#include "model/spec_parts.h"

bool read_bert(const struct config_source *from, struct model_spec *spec,
               struct error *err) {
    (void)spec;
    return config_only(from, "position_embedding_type", "absolute", err) &&
           config_only(from, "is_decoder", "false", err) &&
           config_only(from, "add_cross_attention", "false", err);
}

bool read_ernie(const struct config_source *from, struct model_spec *spec,
                struct error *err) {
    bool tasks = false;
    if (!read_bert(from, spec, err) ||
        !config_flag(from, "use_task_id", &tasks, err))
        return false;
    if (!tasks)
        return true;
    spec->traits |= TRAIT_TASK_TYPES;
    spec->task_types = 3; /* transformers' default */
    return config_size(from, "task_type_vocab_size", &spec->task_types, err);
}
