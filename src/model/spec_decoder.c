/* spec_decoder.c - what config.json says of models that were decoders, besides
 * sizes: Qwen2, Qwen3, Llama, Mistral, Gemma3. What a missing member means is
 * what transformers' configuration classes say. */

#include <math.h>
#include <string.h>

#include "model/spec_parts.h"

/* Tokens that sliding layers see, themselves and those before them counted;
 * 0: as many as there are. */
static bool read_window(const struct config_source *from, size_t *window,
                        struct error *err) {
    if (json_is_null(json_object_get(from->config, "sliding_window"))) {
        *window = 0;
        return true;
    }
    return config_size(from, "sliding_window", window, err);
}

/* A decoder whose config says that it is none looks both ways, and then
 * upstream's window is that many tokens to each side. */
static struct reach reach_of(bool causal, size_t window) {
    if (!causal)
        return (struct reach){window ? window : SIZE_MAX,
                              window ? window : SIZE_MAX};
    return (struct reach){window ? window - 1 : SIZE_MAX, 0};
}

static bool read_reach(const struct config_source *from, size_t window,
                       struct model_spec *spec, struct error *err) {
    bool causal = true;
    if (json_is_null(json_object_get(from->config, "is_causal")))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: is_causal null is not supported: upstream takes "
                         "it for either, batch by batch; say true or false",
                         from->path);
    if (!config_flag(from, "is_causal", &causal, err))
        return false;
    spec->reach[0] = reach_of(causal, 0);
    spec->reach[1] = reach_of(causal, window);
    return true;
}

static bool check_whole(const struct config_source *from,
                        const struct model_spec *spec, struct error *err) {
    const struct rotary_spec *local = &spec->rotary[1];
    return config_rotary_whole(from, &spec->rotary[0], spec->head_dim, err) &&
           (!local->dims || /* not there yet, or none */
            config_rotary_whole(from, local, spec->head_dim, err));
}

/* Key heads and head_dim where the config says none; 0: those of queries, and
 * hidden / heads. */
static bool read_heads(const struct config_source *from, size_t keys,
                       size_t head_dim, struct model_spec *spec,
                       struct error *err) {
    if (keys)
        spec->kv_heads = keys;
    spec->head_dim = head_dim;
    if (!config_heads(from, spec, err))
        return false;
    if (!spec->head_dim)
        spec->head_dim = spec->hidden / spec->heads;
    return spec->head_dim > 0 ||
           error_set(
               err, ERROR_INPUT,
               "%s: num_attention_heads %zu is more than hidden_size %zu, "
               "and there is no head_dim",
               from->path, spec->heads, spec->hidden);
}

/* One kind of rotary positions for all layers. */
static bool read_common(const struct config_source *from, size_t keys,
                        size_t head_dim, struct model_spec *spec,
                        struct error *err) {
    spec->traits |= TRAIT_GATED;
    if (!config_only(from, "use_bidirectional_attention", "false", err) ||
        !read_heads(from, keys, head_dim, spec, err) ||
        !config_rotary(from, NULL, spec->head_dim, 1e4, &spec->rotary[0], err))
        return false;
    spec->rotary[1] = spec->rotary[0];
    return check_whole(from, spec, err);
}

static bool read_biases(const struct config_source *from,
                        struct model_spec *spec, struct error *err) {
    return config_trait(from, "attention_bias", false,
                        TRAIT_QKV_BIAS | TRAIT_OUT_BIAS, spec, err);
}

/* ---- Qwen --------------------------------------------------------------- */

/* Layers from max_window_layers on slide (FIRST, where the config does not say
 * it), or those that layer_types names. */
static bool read_sliding(const struct config_source *from, size_t first,
                         struct model_spec *spec, struct error *err) {
    bool slides = false, listed;
    size_t window = 4096;
    if (!config_flag(from, "use_sliding_window", &slides, err) ||
        !read_window(from, &window, err) ||
        !config_layer_types(from, spec, &listed, err) ||
        !json_member_size(from->config, "max_window_layers", from->path, &first,
                          err))
        return false;
    slides = slides && window;
    for (size_t i = 0; i < spec->layers; i++) {
        if (!listed && slides && i >= first)
            layer_set_add(&spec->local, i);
        if (!slides && layer_set_has(&spec->local, i))
            return error_set(err, ERROR_INPUT,
                             "%s: layer_types has sliding_attention, but "
                             "use_sliding_window and sliding_window give none",
                             from->path);
    }
    return read_reach(from, window, spec, err);
}

bool read_qwen2(const struct config_source *from, struct model_spec *spec,
                struct error *err) {
    spec->traits |= TRAIT_QKV_BIAS;
    return read_common(from, 32, 0, spec, err) &&
           read_sliding(from, 28, spec, err);
}

bool read_qwen3(const struct config_source *from, struct model_spec *spec,
                struct error *err) {
    spec->traits |= TRAIT_QK_NORM;
    return read_biases(from, spec, err) &&
           read_common(from, 32, 128, spec, err) &&
           read_sliding(from, 28, spec, err);
}

/* Of Qwen2.5-VL the text: its three positions of each token (of time, height
 * and width, "mrope") are one and the same there, and turn as any others. */
static bool read_text_rotary(const struct config_source *from,
                             struct model_spec *spec, struct error *err) {
    const json_t *old, *all;
    double theta = 1e6;
    if (!config_object(from, "rope_scaling", &old, err) ||
        !config_object(from, "rope_parameters", &all, err))
        return false;
    struct config_source parameters = {.config = old ? old : all,
                                       .path = from->path};
    const char *type = "default";
    if (!config_real(from, "rope_theta", &theta, err) ||
        !config_word(&parameters, "type", &type, err) ||
        !config_word(&parameters, "rope_type", &type, err))
        return false;
    if (strcmp(type, "mrope") != 0)
        return config_rotary(from, NULL, spec->head_dim, theta,
                             &spec->rotary[0], err);
    return config_real(&parameters, "rope_theta", &theta, err) &&
           config_rotary_object(from, NULL, spec->head_dim, theta,
                                &spec->rotary[0], err);
}

bool read_qwen25_vl(const struct config_source *from, struct model_spec *spec,
                    struct error *err) {
    const char *type = "";
    spec->traits |= TRAIT_GATED | TRAIT_QKV_BIAS;
    if (!config_word(from, "model_type", &type, err) ||
        (strcmp(type, "qwen2_5_vl") != 0 &&
         !config_only(from, "model_type", "qwen2_5_vl_text", err)) ||
        !config_only(from, "use_bidirectional_attention", "false", err) ||
        !read_heads(from, 8, 0, spec, err) ||
        !read_text_rotary(from, spec, err) || !check_whole(from, spec, err))
        return false;
    spec->rotary[1] = spec->rotary[0];
    return read_sliding(from, 80, spec, err);
}

/* ---- Llama, Mistral ----------------------------------------------------- */

bool read_llama(const struct config_source *from, struct model_spec *spec,
                struct error *err) {
    return read_biases(from, spec, err) &&
           config_trait(from, "mlp_bias", false, TRAIT_FEED_BIAS, spec, err) &&
           read_common(from, 0, 0, spec, err) && read_reach(from, 0, spec, err);
}

/* NVIDIA's class of that name hides nothing from a token, whatever is_causal
 * says. */
bool read_llama_bidirec(const struct config_source *from,
                        struct model_spec *spec, struct error *err) {
    if (!read_llama(from, spec, err))
        return false;
    spec->reach[0] = spec->reach[1] = reach_of(false, 0);
    return true;
}

/* All layers slide, or none does. */
bool read_mistral(const struct config_source *from, struct model_spec *spec,
                  struct error *err) {
    size_t window = 4096;
    if (!read_common(from, 8, 0, spec, err) ||
        !read_window(from, &window, err) ||
        !read_reach(from, window, spec, err))
        return false;
    spec->reach[0] = spec->reach[1];
    return true;
}

/* ---- Gemma3 ------------------------------------------------------------- */

/* Every sliding_window_pattern-th layer sees all, or layer_types says which. */
static bool read_pattern(const struct config_source *from,
                         struct model_spec *spec, struct error *err) {
    bool listed;
    size_t pattern = 6;
    if (!config_size(from, "sliding_window_pattern", &pattern, err) ||
        !config_layer_types(from, spec, &listed, err))
        return false;
    for (size_t i = 0; !listed && i < spec->layers; i++)
        if ((i + 1) % pattern != 0)
            layer_set_add(&spec->local, i);
    return true;
}

/* A window that looks both ways is halved, its middle counted, and transformers
 * writes one of 1 as 0; where is_causal says that again, upstream takes the
 * greater of the two. */
static bool read_gemma_reach(const struct config_source *from,
                             struct model_spec *spec, struct error *err) {
    bool both = false;
    size_t window = 4096;
    const char *key = "sliding_window";
    if (!config_flag(from, "use_bidirectional_attention", &both, err) ||
        !(both ? json_member_size(from->config, key, from->path, &window, err)
               : config_size(from, key, &window, err)) ||
        !config_at_most(from, key, window, SIZE_LIMIT, err))
        return false;
    if (both)
        window = window / 2 + 1;
    if (!read_reach(from, window, spec, err))
        return false;
    if (both && spec->reach[0].ahead == 0) {
        spec->reach[0] = reach_of(false, 0);
        spec->reach[1] = (struct reach){window - 1, window - 1};
    }
    return true;
}

/* Sliding layers turn by another theta, and nothing scales them. */
static bool read_gemma_rotary(const struct config_source *from,
                              struct model_spec *spec, struct error *err) {
    const json_t *own = json_object_get(
        json_object_get(from->config, "rope_parameters"), "sliding_attention");
    double theta = 1e6, local_theta = 1e4;
    if (json_object_size(json_object_get(from->config, "rope_parameters")) &&
        !json_is_object(own))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: rope_parameters without full_attention and "
                         "sliding_attention are not supported",
                         from->path);
    return config_real(from, "rope_theta", &theta, err) &&
           config_real(from, "rope_local_base_freq", &local_theta, err) &&
           config_rotary(from, "full_attention", spec->head_dim, theta,
                         &spec->rotary[0], err) &&
           config_rotary_object(from, own, spec->head_dim, local_theta,
                                &spec->rotary[1], err) &&
           check_whole(from, spec, err);
}

static bool read_gemma_scales(const struct config_source *from,
                              struct model_spec *spec, struct error *err) {
    double scalar = 256;
    if (!config_real(from, "query_pre_attn_scalar", &scalar, err))
        return false;
    if (!(scalar > 0) || !isfinite(scalar))
        return error_set(err, ERROR_INPUT,
                         "%s: query_pre_attn_scalar is %g; a number above 0 "
                         "belongs there",
                         from->path, scalar);
    spec->attention_scale = (float)(1 / sqrt(scalar));
    spec->embedding_scale = (float)sqrt((double)spec->hidden);
    return true;
}

bool read_gemma3(const struct config_source *from, struct model_spec *spec,
                 struct error *err) {
    spec->traits |= TRAIT_GATED | TRAIT_QK_NORM;
    return config_only(from, "attn_logit_softcapping", "null", err) &&
           read_biases(from, spec, err) &&
           read_heads(from, 4, 256, spec, err) &&
           read_pattern(from, spec, err) && read_gemma_reach(from, spec, err) &&
           read_gemma_rotary(from, spec, err) &&
           read_gemma_scales(from, spec, err);
}
