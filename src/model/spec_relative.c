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

/* ---- jina-embeddings-v3 ------------------------------------------------- */

/* Is WORD part of a class that the config names for itself, "OWNER/REPO--FILE.
 * CLASS"? */
static bool implemented_by(const json_t *config, const char *word) {
    const char *key;
    json_t *value;
    json_object_foreach(
        json_object_get(config, "auto_map"), key,
        value) if (json_is_string(value) &&
                   strstr(json_string_value(value), word)) return true;
    return false;
}

static bool says(const json_t *config, const char *key, const char *word) {
    const char *text = json_string_value(json_object_get(config, key));
    return text && strcmp(text, word) == 0;
}

bool is_jina3_hub(const json_t *config) {
    return says(config, "position_embedding_type", "rotary") ||
           json_is_array(json_object_get(config, "lora_adaptations")) ||
           implemented_by(config, "xlm-roberta-flash-implementation");
}

/* One set of adapters a task; files without trained ones have none. */
static bool read_adapters(const struct config_source *from,
                          struct model_spec *spec, struct error *err) {
    size_t rank = 4;
    double alpha = 1;
    bool trained = false;
    if (!config_size(from, "lora_rank", &rank, err) ||
        !config_real(from, "lora_alpha", &alpha, err) ||
        !config_flag(from, "load_trained_adapters", &trained, err))
        return false;
    spec->lora_tasks =
        json_array_size(json_object_get(from->config, "lora_adaptations"));
    if (!trained || !spec->lora_tasks)
        return true;
    spec->lora_rank = rank;
    spec->lora_scale = (float)(alpha / (double)rank);
    return true;
}

/* Positions are turned; there is no table of them. */
static void drop_positions(struct model_spec *spec) {
    spec->positions = 0;
    spec->position_first = 0;
    spec->pad_has_no_position = false;
}

bool read_jina3(const struct config_source *from, struct model_spec *spec,
                struct error *err) {
    drop_positions(spec);
    return config_types(from, 1, spec, err) &&
           config_rotary(from, NULL, spec->hidden / spec->heads, 20000,
                         &spec->rotary[0], err);
}

/* What the hub's implementation has besides, and no published model uses. */
static bool refuse_rest(const struct config_source *from,
                        const struct model_spec *spec, struct error *err) {
    char dims[32];
    snprintf(dims, sizeof dims, "%zu", spec->hidden / spec->heads);
    return config_only(from, "rotary_emb_dim", dims, err) &&
           config_only(from, "rotary_emb_interleaved", "false", err) &&
           config_only(from, "rotary_emb_scale_base", "null", err) &&
           config_only(from, "pad_vocab_size_multiple", "1", err) &&
           config_only(from, "last_layer_subset", "false", err) &&
           config_only(from, "use_reg_tokens", "false", err);
}

bool read_jina3_hub(const struct config_source *from, struct model_spec *spec,
                    struct error *err) {
    const char *positions = "rotary";
    double theta = 10000;
    if (!config_word(from, "position_embedding_type", &positions, err) ||
        !config_real(from, "rotary_emb_base", &theta, err) ||
        !config_types(from, 1, spec, err) || !read_adapters(from, spec, err) ||
        !refuse_rest(from, spec, err))
        return false;
    if (strcmp(positions, "rotary") == 0) {
        drop_positions(spec);
        return config_rotary_object(from, NULL, spec->hidden / spec->heads,
                                    theta, &spec->rotary[0], err);
    }
    spec->traits |= TRAIT_POSITIONS;
    return strcmp(positions, "absolute") == 0 ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: position_embedding_type \"%s\" is not supported; "
                     "rotary and absolute are",
                     from->path, positions);
}
