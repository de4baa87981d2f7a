/* spec_relative.c - what config.json says of T5, DeBERTa and JinaBERT besides
 * sizes. */

#include <stdio.h>
#include <string.h>

#include "model/spec_parts.h"

/* ---- T5 ----------------------------------------------------------------- */

/* "relu", "gated-gelu" ... Configs that transformers has saved say the same
 * again in dense_act_fn and is_gated_act, and those win there. T5 means the
 * tanh form by "gated-gelu". */
static bool read_t5_feed(const struct config_source *from,
                         struct model_spec *spec, struct error *err) {
    const char *feed = "relu";
    if (!config_word(from, "feed_forward_proj", &feed, err))
        return false;
    bool gated = strncmp(feed, "gated-", 6) == 0;
    const char *act = gated ? feed + 6 : feed;
    if (strcmp(feed, "gated-gelu") == 0)
        act = "gelu_new";
    if (!config_word(from, "dense_act_fn", &act, err) ||
        !config_flag(from, "is_gated_act", &gated, err))
        return false;
    spec->traits |= gated ? TRAIT_GATED : TRAIT_PLAIN;
    return activation_named(act, &spec->activation) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: feed_forward_proj \"%s\" is not supported",
                     from->path, act);
}

static bool read_t5_distances(const struct config_source *from,
                              struct model_spec *spec, struct error *err) {
    spec->buckets_used = spec->buckets;
    if (!config_size(from, "relative_attention_max_distance",
                     &spec->distance_reach, err))
        return false;
    return (spec->buckets >= 4 && spec->distance_reach > spec->buckets / 4) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: relative_attention_max_distance %zu with %zu "
                     "relative_attention_num_buckets is not supported",
                     from->path, spec->distance_reach, spec->buckets);
}

bool read_t5(const struct config_source *from, struct model_spec *spec,
             struct error *err) {
    spec->head_dim = 64;
    spec->attention_scale = 1;
    return config_only(from, "is_decoder", "false", err) &&
           config_size(from, "d_kv", &spec->head_dim, err) &&
           read_t5_feed(from, spec, err) && read_t5_distances(from, spec, err);
}
