/* spec_relative.c - what config.json says of T5, DeBERTa and JinaBERT besides
 * sizes. */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/spec_parts.h"

/* There is no table of positions. */
static void drop_positions(struct model_spec *spec) {
    spec->positions = 0;
    spec->position_first = 0;
    spec->pad_has_no_position = false;
}

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
    return activation_read(from->path, "feed_forward_proj", act,
                           &spec->activation, err);
}

static bool read_t5_distances(const struct config_source *from,
                              struct model_spec *spec, struct error *err) {
    spec->buckets_used = spec->buckets;
    if (!config_size(from, "relative_attention_max_distance",
                     &spec->distance_reach, err))
        return false;
    return (spec->buckets >= 4 && spec->distance_reach > spec->buckets / 4) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: relative_attention_max_distance %zu with "
                     "relative_attention_num_buckets %zu is not supported; a "
                     "distance above a quarter of 4 or more buckets is",
                     from->path, spec->distance_reach, spec->buckets);
}

bool read_t5(const struct config_source *from, struct model_spec *spec,
             struct error *err) {
    spec->head_dim = 64;
    spec->attention_scale = 1;
    return config_only(from, "is_decoder", "false", err) &&
           config_size(from, "d_kv", &spec->head_dim, err) &&
           config_size(from, "head_dim", &spec->head_dim, err) &&
           read_t5_feed(from, spec, err) && read_t5_distances(from, spec, err);
}

/* ---- DeBERTa ------------------------------------------------------------ */

/* Terms of a score beside the words' own: of keys by positions (c2p), of
 * positions by keys (p2c), or both, in a list or with '|' between them. */
static bool read_terms(const struct config_source *from, size_t *count,
                       struct error *err) {
    static const char *const both[] = {"c2p|p2c", "p2c|c2p"};
    const json_t *terms = json_object_get(from->config, "pos_att_type");
    const char *text = json_string_value(terms);
    bool keys = text && (!strcmp(text, both[0]) || !strcmp(text, both[1]));
    bool queries = keys, others = text && !keys;
    for (size_t i = 0; i < json_array_size(terms); i++) {
        const char *term = json_string_value(json_array_get(terms, i));
        bool by_keys = term && strcmp(term, "c2p") == 0;
        bool by_queries = term && strcmp(term, "p2c") == 0;
        keys = keys || by_keys;
        queries = queries || by_queries;
        others = others || !(by_keys || by_queries);
    }
    *count = (size_t)keys + (size_t)queries;
    return (!others && keys == queries) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: pos_att_type is supported only where it has both "
                     "c2p and p2c, or nothing",
                     from->path);
}

/* A number that is "none" below 1, or missing. */
static bool read_count(const struct config_source *from, const char *key,
                       size_t none, size_t *out, struct error *err) {
    double number = -1;
    if (!config_real(from, key, &number, err))
        return false;
    if (number > SIZE_LIMIT)
        return error_set(err, ERROR_INPUT,
                         "%s: \"%s\" is %g, which is too large; %d at most",
                         from->path, key, number, SIZE_LIMIT);
    *out = number < 1 ? none : (size_t)number;
    return true;
}

/* Distances up to the reach have rows of their own, or share buckets. */
static bool read_relative(const struct config_source *from,
                          struct model_spec *spec, struct error *err) {
    if (!read_count(from, "max_relative_positions", spec->positions,
                    &spec->relative_reach, err) ||
        !read_count(from, "position_buckets", 0, &spec->relative_buckets, err))
        return false;
    size_t buckets = spec->relative_buckets;
    spec->relative_rows = 2 * (buckets ? buckets : spec->relative_reach);
    return (buckets % 2 == 0 && spec->relative_reach > buckets / 2 + 1 &&
            spec->relative_rows <= RELATIVE_MAX) ||
           error_set(
               err, ERROR_UNSUPPORTED,
               "%s: position_buckets %zu with max_relative_positions %zu "
               "is not supported; buckets have to be even and at most %d "
               "(without buckets: the positions), positions more than half of "
               "the buckets and 1",
               from->path, buckets, spec->relative_reach, RELATIVE_MAX / 2);
}

static bool read_relative_norm(const struct config_source *from,
                               struct model_spec *spec, struct error *err) {
    const char *norm = "none";
    if (!config_word(from, "norm_rel_ebd", &norm, err))
        return false;
    if (strcmp(norm, "layer_norm") == 0)
        spec->traits |= TRAIT_RELATIVE_NORM;
    return spec->traits & TRAIT_RELATIVE_NORM || strcmp(norm, "none") == 0 ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: norm_rel_ebd \"%s\" is not supported; layer_norm and "
                     "none are",
                     from->path, norm);
}

static bool only_size(const struct config_source *from, const char *key,
                      size_t size, struct error *err) {
    char text[32];
    snprintf(text, sizeof text, "%zu", size);
    return config_only(from, key, text, err);
}

static bool refuse_variants(const struct config_source *from,
                            const struct model_spec *spec, struct error *err) {
    return config_only(from, "conv_kernel_size", "0", err) &&
           only_size(from, "embedding_size", spec->hidden, err) &&
           only_size(from, "pooler_hidden_size", spec->hidden, err) &&
           only_size(from, "attention_head_size", spec->hidden / spec->heads,
                     err);
}

/* Positions count in scores where relative_attention is true and there is a
 * term of them. Version 3 projects their rows by the words' matrices
 * (share_att_key), and a config that does not say so has others for them. */
static bool read_attention(const struct config_source *from,
                           struct model_spec *spec, struct error *err) {
    bool relative = false, shared = false;
    size_t terms, head = spec->hidden / spec->heads;
    if (!config_flag(from, "relative_attention", &relative, err) ||
        !config_flag(from, "share_att_key", &shared, err) ||
        !read_terms(from, &terms, err))
        return false;
    /* a score's parts' variances add up, whether they are there or not */
    spec->attention_scale = 1 / sqrtf((float)(1 + terms) * (float)head);
    if (!read_relative(from, spec, err))
        return false;
    if (!relative || !terms) {
        spec->relative_rows = 0;
        return true;
    }
    spec->traits |= TRAIT_RELATIVE | (shared ? 0 : TRAIT_RELATIVE_OWN);
    return read_relative_norm(from, spec, err);
}

static bool read_pooler(const struct config_source *from,
                        struct model_spec *spec, struct error *err) {
    const char *act = "gelu";
    if (!config_word(from, "pooler_hidden_act", &act, err))
        return false;
    return activation_named(act, &spec->label_inside) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: pooler_hidden_act \"%s\" is not supported",
                     from->path, act);
}

bool read_deberta(const struct config_source *from, struct model_spec *spec,
                  struct error *err) {
    if (!refuse_variants(from, spec, err) || !read_attention(from, spec, err) ||
        !read_pooler(from, spec, err) || !config_types(from, 0, spec, err) ||
        !config_trait(from, "position_biased_input", true, TRAIT_POSITIONS,
                      spec, err))
        return false;
    if (!(spec->traits & TRAIT_POSITIONS))
        drop_positions(spec);
    return true;
}

/* ---- JinaBERT v2 -------------------------------------------------------- */

/* Is WORD part of a class that the config names for itself ("OWNER/REPO--FILE.
 * CLASS", without the first half where a model was saved again) or of the model
 * that it was made of? */
static bool implemented_by(const json_t *config, const char *word) {
    const json_t *map = json_object_get(config, "auto_map");
    const char *from =
        json_string_value(json_object_get(config, "_name_or_path"));
    bool found = from && strstr(from, word);
    for (void *at = json_object_iter((json_t *)map); at && !found;
         at = json_object_iter_next((json_t *)map, at)) {
        const char *class = json_string_value(json_object_iter_value(at));
        found = class && strstr(class, word);
    }
    return found;
}

static bool has_positions(const json_t *config, const char *word) {
    const char *text =
        json_string_value(json_object_get(config, "position_embedding_type"));
    return text && strcmp(text, word) == 0;
}

bool is_jina2_code(const json_t *config) {
    return implemented_by(config, "jina-bert-v2-qk-post-norm") ||
           implemented_by(config, "jina-embeddings-v2-base-code");
}

bool is_jina2(const json_t *config) {
    return !is_jina2_code(config) &&
           (has_positions(config, "alibi") ||
            implemented_by(config, "jina-bert-implementation"));
}

/* Gates come first in one of the two, and last in the other: the families'
 * rules know. The activation is the feed_forward_type's. */
bool read_jina2(const struct config_source *from, struct model_spec *spec,
                struct error *err) {
    const char *feed = "original", *positions = "absolute";
    spec->alibi = true;
    if (!config_word(from, "feed_forward_type", &feed, err) ||
        !config_word(from, "position_embedding_type", &positions, err))
        return false;
    if (strcmp(positions, "alibi") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: position_embedding_type \"%s\" is not supported "
                         "for JinaBERT; only alibi is",
                         from->path, positions);
    if (strcmp(feed, "geglu") != 0 && strcmp(feed, "reglu") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: feed_forward_type \"%s\" is not supported; geglu "
                         "and reglu are",
                         from->path, feed);
    spec->traits |= TRAIT_GATED;
    spec->activation = *feed == 'g' ? ACTIVATION_GELU : ACTIVATION_RELU;
    return config_only(from, "hidden_act", "gelu", err) &&
           config_only(from, "is_decoder", "false", err) &&
           config_only(from, "add_cross_attention", "false", err);
}

/* ---- jina-embeddings-v3 ------------------------------------------------- */

bool is_jina3_hub(const json_t *config) {
    return has_positions(config, "rotary") ||
           json_is_array(json_object_get(config, "lora_adaptations")) ||
           implemented_by(config, "XLMRobertaFlashConfig") ||
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

bool read_jina3(const struct config_source *from, struct model_spec *spec,
                struct error *err) {
    size_t dims = spec->hidden / spec->heads;
    drop_positions(spec);
    if (!config_size(from, "head_dim", &dims, err))
        return false;
    spec->head_dim = dims;
    if (!config_types(from, 1, spec, err) ||
        !config_rotary(from, NULL, dims, 20000, &spec->rotary[0], err))
        return false;
    return config_rotary_whole(from, &spec->rotary[0], dims, err);
}

/* What the hub's implementation has besides, and no published model uses. */
static bool refuse_rest(const struct config_source *from,
                        const struct model_spec *spec, struct error *err) {
    return only_size(from, "rotary_emb_dim", spec->hidden / spec->heads, err) &&
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
