/* spec_modern.c - what config.json says of the encoders with rotary positions:
 * ModernBERT, NomicBERT, GTE, EuroBERT.
 *
 * Sources: transformers' modeling and configuration files of modernbert,
 * nomic_bert, gte and eurobert; modeling_hf_nomic_bert.py of
 * nomic-ai/nomic-bert-2048 and of nomic-embed-text-v2-moe; modeling.py of
 * Alibaba-NLP/new-impl.
 */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/spec_parts.h"

/* KEY must say VALUE, or nothing. */
static bool only_size(const struct config_source *from, const char *key,
                      size_t value, struct error *err) {
    char text[32];
    snprintf(text, sizeof text, "%zu", value);
    return config_only(from, key, text, err);
}

static size_t even_head(const struct model_spec *spec) {
    return spec->hidden / spec->heads;
}

static bool read_whole_rotary(const struct config_source *from,
                              const char *kind, size_t dims, double theta,
                              struct rotary_spec *rotary, struct error *err) {
    return config_rotary(from, kind, dims, theta, rotary, err) &&
           config_rotary_whole(from, rotary, dims, err);
}

/* ---- ModernBERT --------------------------------------------------------- */

/* Every third layer is global unless the config says more. */
static bool read_local_layers(const struct config_source *from,
                              struct model_spec *spec, struct error *err) {
    size_t every = 3;
    bool found;
    if (!config_layer_types(from, spec, &found, err) ||
        !config_size(from, "global_attn_every_n_layers", &every, err))
        return false;
    for (size_t i = 0; !found && i < spec->layers; i++)
        if (i % every != 0)
            layer_set_add(&spec->local, i);
    return true;
}

/* The window is as long as "local_attention", half of it each way. */
static bool read_window(const struct config_source *from,
                        struct model_spec *spec, struct error *err) {
    size_t window = 128;
    if (!config_size(from, "local_attention", &window, err) ||
        !only_size(from, "sliding_window", window / 2, err))
        return false;
    spec->reach[1] = (struct reach){window / 2, window / 2};
    return true;
}

static bool read_two_rotaries(const struct config_source *from,
                              struct model_spec *spec, struct error *err) {
    double global = 160000, local = 10000;
    return config_real(from, "global_rope_theta", &global, err) &&
           config_real(from, "local_rope_theta", &local, err) &&
           read_whole_rotary(from, "full_attention", even_head(spec), global,
                             &spec->rotary[0], err) &&
           read_whole_rotary(from, "sliding_attention", even_head(spec), local,
                             &spec->rotary[1], err);
}

/* Of the heads that guess words and give scores. */
static bool read_modern_heads(const struct config_source *from,
                              struct model_spec *spec, struct error *err) {
    const char *pooling = "cls", *inside = "gelu";
    if (!config_trait(from, "classifier_bias", false, TRAIT_HEAD_BIAS, spec,
                      err) ||
        !config_trait(from, "decoder_bias", true, TRAIT_DECODER_BIAS, spec,
                      err) ||
        !config_word(from, "classifier_pooling", &pooling, err) ||
        !config_word(from, "classifier_activation", &inside, err))
        return false;
    spec->label_pooling =
        strcmp(pooling, "mean") == 0 ? POOLING_MEAN : POOLING_CLS;
    if (strcmp(pooling, "mean") != 0 && strcmp(pooling, "cls") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: classifier_pooling \"%s\" is not supported; cls "
                         "and mean are",
                         from->path, pooling);
    if (!activation_read(from->path, "classifier_activation", inside,
                         &spec->word_inside, err))
        return false;
    spec->label_inside = spec->word_inside;
    return true;
}

bool read_modernbert(const struct config_source *from, struct model_spec *spec,
                     struct error *err) {
    spec->traits |= TRAIT_GATED;
    return only_size(from, "head_dim", even_head(spec), err) &&
           read_local_layers(from, spec, err) && read_window(from, spec, err) &&
           read_two_rotaries(from, spec, err) &&
           config_trait(from, "norm_bias", false, TRAIT_NORM_BIAS, spec, err) &&
           config_trait(from, "attention_bias", false,
                        TRAIT_QKV_BIAS | TRAIT_OUT_BIAS, spec, err) &&
           config_trait(from, "mlp_bias", false, TRAIT_FEED_BIAS, spec, err) &&
           read_modern_heads(from, spec, err);
}

/* ---- EuroBERT ----------------------------------------------------------- */

bool read_eurobert(const struct config_source *from, struct model_spec *spec,
                   struct error *err) {
    spec->traits |= TRAIT_GATED;
    if (!config_heads(from, spec, err) ||
        !config_trait(from, "attention_bias", false,
                      TRAIT_QKV_BIAS | TRAIT_OUT_BIAS, spec, err) ||
        !config_trait(from, "mlp_bias", false, TRAIT_FEED_BIAS, spec, err))
        return false;
    size_t dims = spec->head_dim ? spec->head_dim : even_head(spec);
    return read_whole_rotary(from, NULL, dims, 10000, &spec->rotary[0], err);
}

/* ---- GTE ---------------------------------------------------------------- */

/* "ntk" of Alibaba's code: the base grows by the factor, and all waves by the
 * factor^(2 / dims). It does so at any length, where the factor is above 1. */
static bool read_ntk(const struct config_source *from,
                     const struct config_source *scaling, size_t dims,
                     double theta, struct rotary_spec *rotary,
                     struct error *err) {
    double factor = 0;
    if (!config_real(from, "rope_theta", &theta, err) ||
        !config_real(scaling, "factor", &factor, err))
        return false;
    if (json_is_number(json_object_get(scaling->config, "mixed_b")))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: rope_scaling's mixed_b is not supported; only "
                         "null is",
                         from->path);
    if (!(theta > 0) || !isfinite(theta) || !(factor > 0) || !isfinite(factor))
        return error_set(err, ERROR_INPUT,
                         "%s: rope_scaling \"ntk\" needs a rope_theta and a "
                         "factor above 0",
                         from->path);
    if (dims % 2 != 0 || dims > 2 * ROTARY_PAIRS)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: rotary positions over %zu numbers of a head are "
                         "not supported; even numbers up to %d are",
                         from->path, dims, 2 * ROTARY_PAIRS);
    factor = factor > 1 ? factor : 1;
    float base = (float)(theta * factor);
    float stretch = (float)pow(factor, 2.0 / (double)dims);
    rotary->dims = dims;
    rotary->factor = 1;
    for (size_t p = 0; p < dims / 2; p++)
        rotary->inverse[p] =
            1.0f / powf(base, (float)(2 * p) / (float)dims) / stretch;
    return true;
}

static bool read_gte_rotary(const struct config_source *from, double theta,
                            struct model_spec *spec, struct error *err) {
    struct config_source scaling = {
        .config = json_object_get(from->config, "rope_scaling"),
        .path = from->path};
    const char *type = "";
    if (json_is_object(scaling.config) &&
        !config_word(&scaling, "type", &type, err))
        return false;
    return strcmp(type, "ntk") == 0
               ? read_ntk(from, &scaling, even_head(spec), theta,
                          &spec->rotary[0], err)
               : read_whole_rotary(from, NULL, even_head(spec), theta,
                                   &spec->rotary[0], err);
}

static bool read_gte_with(const struct config_source *from, double theta,
                          struct model_spec *spec, struct error *err) {
    spec->traits |= TRAIT_GATED;
    return config_types(from, 1, spec, err) &&
           config_only(from, "position_embedding_type", "rope", err) &&
           config_only(from, "layer_norm_type", "layer_norm", err) &&
           config_only(from, "logn_attention_scale", "false", err) &&
           only_size(from, "head_dim", even_head(spec), err) &&
           read_gte_rotary(from, theta, spec, err);
}

bool read_gte(const struct config_source *from, struct model_spec *spec,
              struct error *err) {
    return read_gte_with(from, 160000, spec, err);
}

bool read_gte_new(const struct config_source *from, struct model_spec *spec,
                  struct error *err) {
    return read_gte_with(from, 10000, spec, err);
}

/* ---- NomicBERT ---------------------------------------------------------- */

/* Rounded up, as upstream rounds. */
static size_t multiple(size_t size, size_t of) {
    return (size + of - 1) / of * of;
}

/* The hub's own word for the activation says whether there is a gate. */
static bool read_nomic_activation(const struct config_source *from,
                                  struct model_spec *spec, struct error *err) {
    const char *word = "gelu_new";
    if (!config_word(from, "activation_function", &word, err))
        return false;
    static const struct {
        const char *word;
        bool gated;
        enum activation activation;
    } table[] = {{"swiglu", true, ACTIVATION_SILU},
                 {"geglu", true, ACTIVATION_GELU},
                 {"glu", true, ACTIVATION_SIGMOID},
                 {"gelu", false, ACTIVATION_GELU}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].word, word) == 0) {
            spec->activation = table[i].activation;
            spec->traits |= table[i].gated ? TRAIT_GATED : TRAIT_PLAIN;
            return true;
        }
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: activation_function \"%s\" is not supported; "
                     "swiglu, geglu, glu and gelu are",
                     from->path, word);
}

/* "moe_every_n_layers": of so many the second has experts. */
static bool read_nomic_experts(const struct config_source *from,
                               struct model_spec *spec, struct error *err) {
    size_t every = 0, chosen = 1;
    if (!json_member_size(from->config, "moe_every_n_layers", from->path,
                          &every, err))
        return false;
    if (!every)
        return true;
    spec->experts = 8;
    if (!config_size(from, "num_experts", &spec->experts, err) ||
        !config_size(from, "moe_top_k", &chosen, err) ||
        !config_only(from, "num_shared_experts", "0", err) ||
        !config_only(from, "expert_choice_router", "false", err) ||
        !config_only(from, "moe_normalize_expert_weights", "false", err) ||
        !config_only(from, "ffn_div", "1", err))
        return false;
    if (spec->experts > EXPERTS_MAX || chosen > spec->experts ||
        spec->traits & TRAIT_GATED)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: %zu of %zu experts%s are not supported; up to "
                         "%d, without a gate, are",
                         from->path, chosen, spec->experts,
                         spec->traits & TRAIT_GATED ? " with a gate" : "",
                         EXPERTS_MAX);
    spec->experts_chosen = chosen;
    for (size_t i = 0; i < spec->layers; i++)
        if (i % every == 1)
            layer_set_add(&spec->experts_at, i);
    return true;
}

static bool refuse_nomic_options(const struct config_source *from,
                                 struct error *err) {
    return config_only(from, "prenorm", "false", err) &&
           config_only(from, "parallel_block", "false", err) &&
           config_only(from, "causal", "false", err) &&
           config_only(from, "norm_mlp", "false", err) &&
           config_only(from, "use_rms_norm", "false", err) &&
           config_only(from, "rotary_head_dim", "false", err) &&
           config_only(from, "rotary_emb_scale_base", "null", err) &&
           config_only(from, "rotary_scaling_factor", "null", err) &&
           config_only(from, "num_heads_kv", "null", err);
}

/* Upstream turns by rotary_emb_base alone. Newer files repeat it in
 * transformers' words, which then must not say something else. */
static bool read_nomic_rotary(const struct config_source *from,
                              struct model_spec *spec, struct error *err) {
    double theta = 1000, part = 0;
    struct rotary_spec *rotary = &spec->rotary[0], again;
    if (!config_real(from, "rotary_emb_base", &theta, err) ||
        !config_real(from, "rotary_emb_fraction", &part, err) ||
        !config_flag(from, "rotary_emb_interleaved", &rotary->interleaved, err))
        return false;
    if (!(part > 0 && part <= 1))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: rotary_emb_fraction %g is not supported; more "
                         "than 0 and up to 1 is",
                         from->path, part);
    size_t dims = (size_t)((double)even_head(spec) * part);
    if (!config_rotary_object(from, NULL, dims, theta, rotary, err) ||
        !config_rotary(from, NULL, dims, theta, &again, err))
        return false;
    return memcmp(again.inverse, rotary->inverse,
                  dims / 2 * sizeof *again.inverse) == 0 ||
           error_set(err, ERROR_INPUT,
                     "%s: rotary_emb_base is %g, and the rope parameters say "
                     "something else; make them agree",
                     from->path, theta);
}

/* The spelling of nomic-ai's own code (of GPT-2's). */
static bool read_nomic_own(const struct config_source *from,
                           struct model_spec *spec, struct error *err) {
    size_t pad = 1;
    if (!json_is_number(json_object_get(from->config, "layer_norm_epsilon")))
        spec->norm_epsilon = 1e-5f;
    if (!config_size(from, "pad_vocab_size_multiple", &pad, err) ||
        !config_types(from, 2, spec, err) ||
        !read_nomic_activation(from, spec, err) ||
        !read_nomic_experts(from, spec, err) ||
        !refuse_nomic_options(from, err) || !read_nomic_rotary(from, spec, err))
        return false;
    spec->vocab = multiple(spec->vocab, pad);
    if (spec->traits & TRAIT_GATED)
        spec->inter = multiple(spec->inter, 256);
    return config_trait(from, "qkv_proj_bias", true,
                        TRAIT_QKV_BIAS | TRAIT_OUT_BIAS, spec, err) &&
           config_trait(from, "mlp_fc1_bias", true, TRAIT_FEED_BIAS, spec,
                        err) &&
           config_trait(from, "mlp_fc2_bias", true, TRAIT_DOWN_BIAS, spec, err);
}

bool read_nomic(const struct config_source *from, struct model_spec *spec,
                struct error *err) {
    if (json_object_get(from->config, "n_embd"))
        return read_nomic_own(from, spec, err);
    const char *act = "silu";
    spec->traits |= TRAIT_GATED;
    if (!config_word(from, "hidden_act", &act, err))
        return false;
    if (!activation_read(from->path, "hidden_act", act, &spec->activation,
                         err) ||
        !config_types(from, 2, spec, err) || !config_heads(from, spec, err) ||
        !only_size(from, "num_key_value_heads", spec->heads, err))
        return false;
    size_t dims = spec->head_dim ? spec->head_dim : even_head(spec);
    return read_whole_rotary(from, NULL, dims, 1000, &spec->rotary[0], err);
}
