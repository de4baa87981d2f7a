/* test_spec.c - what a config.json means for each family: what it leaves out,
 * and what is refused and by which name. Which tensors must then be there is
 * test_weights_check.c's. */

#include <math.h>

#include "model/fixture.h"

static bool is_word(const json_t *value, const char *word) {
    return json_is_string(value) && strcmp(json_string_value(value), word) == 0;
}

/* FOLDER's config with the members of CHANGES (JSON) in it; null takes one
 * away. */
static bool read_changed(struct rig *r, const char *folder, const char *changes,
                         struct error *err) {
    rig_open_device(r, "cpu", 1, NULL);
    rig_read(r, folder);
    json_t *config = json_deep_copy(r->files->config);
    json_t *other = json_loads(changes, 0, NULL);
    const char *key;
    json_t *value;
    assert_non_null(other);
    json_object_foreach(other, key, value) {
        if (json_is_null(value))
            json_object_del(config, key);
        else /* "null" is a null */
            json_object_set(config, key,
                            is_word(value, "null") ? json_null() : value);
    }
    json_decref(other);
    r->deep.config = config;
    return model_spec_read(&r->deep, &r->spec, err);
}

#define TEXT_SIZES                                                             \
    "\"hidden_size\": 24, \"num_hidden_layers\": 2, \"num_attention_heads\": " \
    "3, \"num_key_value_heads\": 1, \"intermediate_size\": 20, "               \
    "\"vocab_size\": "                                                         \
    "511"

static void options_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *folder, *changes, *word;
        enum error_code code;
    } cases[] = {
        {"layer_norm", "{\"hidden_size\": 32}", "16 features, but 32 come in",
         ERROR_INPUT},
        {"layer_norm", "{\"hidden_size\": 8}", "16 features, but 8 come in",
         ERROR_INPUT},
        {"mpnet", "{\"relative_attention_num_buckets\": 16}",
         "relative_attention_num_buckets", ERROR_UNSUPPORTED},
        {"t5", "{\"feed_forward_proj\": \"gated-mish\"}", "mish",
         ERROR_UNSUPPORTED},
        {"t5", "{\"is_decoder\": true}", "is_decoder", ERROR_UNSUPPORTED},
        {"t5", "{\"relative_attention_max_distance\": 8}",
         "relative_attention_max_distance", ERROR_UNSUPPORTED},
        {"t5", "{\"d_kv\": 131072}", "attention heads of 131072 numbers",
         ERROR_UNSUPPORTED},
        {"t5", "{\"d_kv\": 8193}", "8192 at most", ERROR_UNSUPPORTED},
        {"jina3",
         "{\"rope_parameters\": {\"rope_type\": \"dynamic\", \"factor\": 2}}",
         "dynamic", ERROR_UNSUPPORTED},
        {"jina3", "{\"partial_rotary_factor\": 0.5}", "4 of a head's 8 numbers",
         ERROR_UNSUPPORTED},
        {"jina3_lora", "{\"position_embedding_type\": \"alibi\"}", "alibi",
         ERROR_UNSUPPORTED},
        {"jina3_lora", "{\"rotary_emb_interleaved\": true}",
         "rotary_emb_interleaved", ERROR_UNSUPPORTED},
        {"jina3_lora", "{\"rotary_emb_dim\": 4}", "rotary_emb_dim",
         ERROR_UNSUPPORTED},
        {"jina3_lora", "{\"lora_rank\": 0}", "lora_rank", ERROR_INPUT},
        {"jina2", "{\"feed_forward_type\": \"original\"}", "original",
         ERROR_UNSUPPORTED},
        {"jina2", "{\"position_embedding_type\": \"absolute\"}", "absolute",
         ERROR_UNSUPPORTED},
        {"jina2_code", "{\"hidden_act\": \"relu\"}", "hidden_act",
         ERROR_UNSUPPORTED},
        {"deberta", "{\"pos_att_type\": \"c2p\"}", "pos_att_type",
         ERROR_UNSUPPORTED},
        {"deberta", "{\"pos_att_type\": [\"p2c\"]}", "pos_att_type",
         ERROR_UNSUPPORTED},
        {"deberta", "{\"pos_att_type\": [\"p2c\", \"p2p\"]}", "pos_att_type",
         ERROR_UNSUPPORTED},
        {"deberta", "{\"conv_kernel_size\": 3}", "conv_kernel_size",
         ERROR_UNSUPPORTED},
        {"deberta", "{\"norm_rel_ebd\": \"batch\"}", "norm_rel_ebd",
         ERROR_UNSUPPORTED},
        {"deberta", "{\"position_buckets\": 33}", "position_buckets",
         ERROR_UNSUPPORTED},
        {"deberta", "{\"max_relative_positions\": 17}",
         "max_relative_positions", ERROR_UNSUPPORTED},
        {"deberta",
         "{\"position_buckets\": 4098, \"max_relative_positions\": 70000}",
         "position_buckets", ERROR_UNSUPPORTED},
        {"deberta",
         "{\"position_buckets\": 0, \"max_relative_positions\": 4097}",
         "max_relative_positions", ERROR_UNSUPPORTED},
        {"deberta", "{\"max_relative_positions\": 1e300}",
         "\"max_relative_positions\" is 1e+300, which is too large",
         ERROR_INPUT},
        {"deberta", "{\"embedding_size\": 8}", "embedding_size",
         ERROR_UNSUPPORTED},
        {"albert", "{\"inner_group_num\": 2}", "inner_group_num",
         ERROR_UNSUPPORTED},
        {"albert", "{\"num_hidden_groups\": 513}",
         "513, which is too large; 512 at most", ERROR_INPUT},
        {"albert", "{\"num_hidden_groups\": 0}", "num_hidden_groups",
         ERROR_INPUT},
        {"albert", "{\"embedding_size\": 0}",
         "\"embedding_size\" is 0; a whole", ERROR_INPUT},
        {"roberta", "{\"is_decoder\": true}", "is_decoder", ERROR_UNSUPPORTED},
        {"electra", "{\"add_cross_attention\": true}", "add_cross_attention",
         ERROR_UNSUPPORTED},
        {"electra", "{\"position_embedding_type\": \"relative_key\"}",
         "relative_key", ERROR_UNSUPPORTED},
        {"roberta", "{\"pad_token_id\": 161}", "pad_token_id", ERROR_INPUT},
        {"roberta", "{\"pad_token_id\": 4294967297}", "pad_token_id",
         ERROR_INPUT},
        {"roberta", "{\"pad_token_id\": \"1\"}", "pad_token_id", ERROR_INPUT},
        {"mpnet", "{\"max_position_embeddings\": 2}", "max_position_embeddings",
         ERROR_INPUT},
        {"xlm_roberta", "{\"type_vocab_size\": 0}", "type_vocab_size",
         ERROR_INPUT},
        {"distilbert", "{\"dim\": null}", "\"dim\" is missing; a whole",
         ERROR_INPUT},
        {"distilbert", "{\"dim\": 31}", "dim", ERROR_INPUT},
        {"distilbert", "{\"activation\": \"mish\"}", "activation",
         ERROR_UNSUPPORTED},
        {"mpnet", "{\"hidden_act\": \"quick_gelu\"}",
         "quick_gelu\" is not supported; gelu", ERROR_UNSUPPORTED},
        {"distilbert", "{\"n_layers\": 5000}", "\"n_layers\" is 5000",
         ERROR_INPUT},
        {"camembert", "{\"layer_norm_eps\": 2}",
         "\"layer_norm_eps\" is 2; a number", ERROR_INPUT},
        {"qwen2", "{\"partial_rotary_factor\": 0.5}", "partial_rotary_factor",
         ERROR_UNSUPPORTED},
        {"gemma3",
         "{\"rope_parameters\": {\"full_attention\": {},"
         "\"sliding_attention\": {\"partial_rotary_factor\": 0.7}}}",
         "partial_rotary_factor", ERROR_UNSUPPORTED},
        {"qwen3", "{\"use_bidirectional_attention\": true}",
         "use_bidirectional_attention", ERROR_UNSUPPORTED},
        {"qwen2_sliding", "{\"use_sliding_window\": false}",
         "use_sliding_window", ERROR_INPUT},
        {"qwen2_sliding", "{\"sliding_window\": 0}", "sliding_window",
         ERROR_INPUT},
        {"qwen2_sliding", "{\"layer_types\": [\"full_attention\"]}",
         "layer_types", ERROR_INPUT},
        {"qwen2_sliding",
         "{\"layer_types\": [\"chunked_attention\", \"full_attention\", "
         "\"full_attention\"]}",
         "chunked_attention", ERROR_UNSUPPORTED},
        {"llama_both_ways", "{\"is_causal\": \"null\"}", "is_causal null",
         ERROR_UNSUPPORTED},
        {"qwen2_both_ways", "{\"is_causal\": \"no\"}", "is_causal",
         ERROR_INPUT},
        {"qwen3", "{\"num_key_value_heads\": 4}", "num_key_value_heads 4",
         ERROR_INPUT},
        {"qwen3", "{\"head_dim\": 9}", "even", ERROR_UNSUPPORTED},
        {"llama", "{\"head_dim\": 512}", "256", ERROR_UNSUPPORTED},
        {"llama_both_ways", "{\"mlp_bias\": 1}", "mlp_bias", ERROR_INPUT},
        {"mistral", "{\"hidden_act\": \"relu2\"}", "relu2", ERROR_UNSUPPORTED},
        {"gemma3", "{\"attn_logit_softcapping\": 50.0}",
         "attn_logit_softcapping", ERROR_UNSUPPORTED},
        {"qwen25_vl",
         "{\"text_config\": {\"model_type\": \"qwen2_vl_text\", " TEXT_SIZES
         "}}",
         "qwen2_vl_text", ERROR_UNSUPPORTED},
        {"qwen25_vl",
         "{\"text_config\": {\"rope_scaling\": 3, " TEXT_SIZES "}}",
         "rope_scaling", ERROR_INPUT},
        {"qwen25_vl", "{\"text_config\": null}", "hidden_size", ERROR_INPUT},
        {"gemma3", "{\"query_pre_attn_scalar\": 0}", "query_pre_attn_scalar",
         ERROR_INPUT},
        {"gemma3", "{\"rope_parameters\": {\"rope_theta\": 5}}",
         "sliding_attention", ERROR_UNSUPPORTED},
        {"embeddinggemma", "{\"sliding_window_pattern\": 0}",
         "sliding_window_pattern", ERROR_INPUT},
        {"modernbert", "{\"head_dim\": 4}", "head_dim", ERROR_UNSUPPORTED},
        {"modernbert", "{\"sliding_window\": 16}", "sliding_window",
         ERROR_UNSUPPORTED},
        {"modernbert", "{\"local_attention\": 0}", "local_attention",
         ERROR_INPUT},
        {"modernbert", "{\"global_attn_every_n_layers\": 0}",
         "global_attn_every_n_layers", ERROR_INPUT},
        {"modernbert", "{\"partial_rotary_factor\": 0.7}",
         "partial_rotary_factor", ERROR_UNSUPPORTED},
        {"modernbert",
         "{\"rope_scaling\": {\"rope_type\": \"dynamic\", \"factor\": 2}}",
         "dynamic", ERROR_UNSUPPORTED},
        {"modernbert_biased", "{\"num_hidden_layers\": 3}", "layer_types",
         ERROR_INPUT},
        {"eurobert", "{\"num_key_value_heads\": 3}", "num_key_value_heads 3",
         ERROR_INPUT},
        {"eurobert", "{\"attention_bias\": \"yes\"}", "attention_bias",
         ERROR_INPUT},
        {"gte",
         "{\"rope_parameters\": {\"rope_type\": \"ntk\", \"factor\": 2}}",
         "ntk", ERROR_UNSUPPORTED},
        {"gte_new", "{\"layer_norm_type\": \"rms_norm\"}", "rms_norm",
         ERROR_UNSUPPORTED},
        {"gte_new", "{\"logn_attention_scale\": true}", "logn_attention_scale",
         ERROR_UNSUPPORTED},
        {"gte_new", "{\"position_embedding_type\": \"absolute\"}", "absolute",
         ERROR_UNSUPPORTED},
        {"gte_new", "{\"type_vocab_size\": -1}", "type_vocab_size",
         ERROR_INPUT},
        {"gte_new",
         "{\"rope_scaling\": {\"type\": \"ntk\", \"factor\": 2, \"mixed_b\": "
         "0.6}}",
         "mixed_b", ERROR_UNSUPPORTED},
        {"gte_new", "{\"rope_scaling\": {\"type\": \"ntk\"}}", "factor",
         ERROR_INPUT},
        {"gte_new",
         "{\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}",
         "dynamic", ERROR_UNSUPPORTED},
        {"nomic_bert", "{\"hidden_act\": \"mish\"}", "mish", ERROR_UNSUPPORTED},
        {"nomic_bert", "{\"num_key_value_heads\": 1}", "num_key_value_heads",
         ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"activation_function\": \"gelu_fast\"}", "gelu_fast",
         ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"prenorm\": true}", "prenorm", ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"parallel_block\": true}", "parallel_block",
         ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"causal\": true}", "causal", ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"use_rms_norm\": true}", "use_rms_norm",
         ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"norm_mlp\": true}", "norm_mlp", ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"num_heads_kv\": 1}", "num_heads_kv",
         ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"rotary_head_dim\": true}", "rotary_head_dim",
         ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"rotary_emb_fraction\": 0.0}", "rotary_emb_fraction",
         ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"rotary_emb_scale_base\": 512}",
         "rotary_emb_scale_base", ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"rotary_scaling_factor\": 2}", "rotary_scaling_factor",
         ERROR_UNSUPPORTED},
        {"nomic_hub", "{\"rope_parameters\": {\"rope_theta\": 7}}",
         "rotary_emb_base", ERROR_INPUT},
        {"nomic_moe", "{\"num_experts\": 65}", "65", ERROR_UNSUPPORTED},
        {"nomic_moe", "{\"moe_top_k\": 9}", "9 of 8", ERROR_UNSUPPORTED},
        {"nomic_moe", "{\"activation_function\": \"swiglu\"}", "gate",
         ERROR_UNSUPPORTED},
        {"nomic_moe", "{\"num_shared_experts\": 1}", "num_shared_experts",
         ERROR_UNSUPPORTED},
        {"nomic_moe", "{\"expert_choice_router\": true}",
         "expert_choice_router", ERROR_UNSUPPORTED},
        {"nomic_moe", "{\"moe_normalize_expert_weights\": true}",
         "moe_normalize_expert_weights", ERROR_UNSUPPORTED},
        {"nomic_moe", "{\"ffn_div\": 2}", "ffn_div", ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        struct error err = {0};
        if (read_changed(&r, cases[i].folder, cases[i].changes, &err) ||
            err.code != cases[i].code || !strstr(err.message, cases[i].word) ||
            !strstr(err.message, "config.json"))
            fail_msg("%s with %s: %s", cases[i].folder, cases[i].changes,
                     err.message);
        rig_close(&r);
    }
}

static struct model_spec changed(const char *folder, const char *changes) {
    struct rig r;
    struct error err = {0};
    if (!read_changed(&r, folder, changes, &err))
        fail_msg("%s with %s: %s", folder, changes, err.message);
    struct model_spec spec = r.spec;
    rig_close(&r);
    return spec;
}

/* As in transformers' configuration classes. */
static void what_a_config_leaves_out(void **state) {
    (void)state;
    struct model_spec s = changed("albert", "{}");
    assert_int_equal(s.activation, ACTIVATION_GELU_TANH);
    assert_int_equal(s.layers, 1);
    assert_int_equal(s.depth, 4);
    /* one function by many names, and another that looks like it */
    s = changed("albert", "{\"hidden_act\": \"gelu_fast\"}");
    assert_int_equal(s.activation, ACTIVATION_GELU_TANH);
    s = changed("albert", "{\"hidden_act\": \"gelu_python\"}");
    assert_int_equal(s.activation, ACTIVATION_GELU);
    s = changed("albert", "{\"embedding_size\": null}");
    assert_int_equal(s.embedding, 128);
    s = changed("electra_small", "{\"embedding_size\": null}");
    assert_int_equal(s.embedding, 128);
    assert_true(s.traits & TRAIT_PROJECTS);
    assert_false(changed("electra", "{}").traits & TRAIT_PROJECTS);
    s = changed("roberta", "{\"pad_token_id\": null, "
                           "\"type_vocab_size\": null}");
    assert_int_equal(s.position_first, 2);
    assert_int_equal(s.types, 2);
    assert_int_equal(s.max_length, 160);
    s = changed("roberta_pad", "{}");
    assert_int_equal(s.position_first, 3);
    assert_int_equal(s.pad, 2);
    assert_int_equal(changed("mpnet_lm", "{}").pad, 1);
    assert_int_equal(
        changed("mpnet", "{\"relative_attention_num_buckets\": null}").buckets,
        32);
    assert_int_equal(changed("bf16", "{}").types, 2);
    assert_false(changed("bf16", "{}").pad_has_no_position);
    s = changed("distilbert", "{\"dim\": null, \"hidden_size\": 60}");
    assert_int_equal(s.hidden, 60);
    assert_int_equal(s.head_dim, 12);
    assert_true(s.norm_epsilon < 1e-11f); /* the file says 0.05 */
    /* BERT's words count before the family's own: DistilBertConfig and T5Config
     * of transformers 5 have an attribute_map */
    s = changed("distilbert", "{\"num_attention_heads\": 4, \"hidden_size\": "
                              "80, \"num_hidden_layers\": 1}");
    assert_int_equal(s.heads, 4);
    assert_int_equal(s.hidden, 80);
    assert_int_equal(s.layers, 1);
    s = changed("t5", "{\"num_attention_heads\": 7, \"head_dim\": 9}");
    assert_int_equal(s.heads, 7);
    assert_int_equal(s.head_dim, 9);
    /* DisentangledSelfAttention divides by the root of the terms that are
     * named, and adds no more than are computed */
    s = changed("deberta", "{\"relative_attention\": null}");
    assert_int_equal(s.relative_rows, 0);
    assert_float_equal(s.attention_scale, 1 / sqrtf(3 * 8), 1e-7f);
    s = changed("deberta", "{\"pos_att_type\": null}");
    assert_int_equal(s.relative_rows, 0);
    assert_float_equal(s.attention_scale, 1 / sqrtf(8), 1e-7f);
    /* as JinaEmbeddingsV3Attention takes it, and the model's rotary positions
     */
    s = changed("jina3", "{\"head_dim\": 6}");
    assert_int_equal(s.head_dim, 6);
    assert_int_equal(s.rotary[0].dims, 6);
    /* fewer positions than the limit that is written beside them */
    assert_int_equal(
        changed("roberta", "{\"max_position_embeddings\": 102}").max_length,
        100);
}

/* What a query of the layer sees behind it and ahead of it. */
static void sees(const struct model_spec *s, size_t layer, size_t behind,
                 size_t ahead) {
    const struct reach *reach = &s->reach[layer_set_has(&s->local, layer)];
    assert_int_equal(reach->behind, behind);
    assert_int_equal(reach->ahead, ahead);
}

/* transformers' masks: kv > q - window; |q - kv| <= window where is_causal
 * turns a mask around, and < window, halved and 1 more, in Gemma3's own. */
static void decoders_see_what_upstream_lets_them(void **state) {
    (void)state;
    struct model_spec s = changed("qwen2", "{}");
    sees(&s, 0, SIZE_MAX, 0);
    sees(&s, 2, SIZE_MAX, 0);
    s = changed("qwen2", "{\"use_sliding_window\": true}");
    sees(&s, 0, SIZE_MAX, 0);
    sees(&s, 1, 6, 0);
    s = changed("qwen2", "{\"use_sliding_window\": true, "
                         "\"max_window_layers\": 0, \"is_causal\": false}");
    sees(&s, 0, 7, 7);
    s = changed("qwen2_both_ways", "{\"max_window_layers\": null}");
    sees(&s, 2, SIZE_MAX, SIZE_MAX);
    s = changed("mistral", "{\"sliding_window\": null}");
    sees(&s, 0, 4095, 0);
    s = changed("mistral_whole", "{}");
    sees(&s, 0, SIZE_MAX, 0);
    s = changed("mistral", "{\"is_causal\": false}");
    sees(&s, 0, 40, 40);
    s = changed("embeddinggemma", "{}");
    sees(&s, 0, 22, 22);
    sees(&s, 2, SIZE_MAX, SIZE_MAX);
    s = changed("embeddinggemma", "{\"sliding_window\": 0}");
    sees(&s, 0, 0, 0); /* Gemma3TextConfig: 0 // 2 + 1, the token itself */
    s = changed("embeddinggemma", "{\"use_bidirectional_attention\": null}");
    sees(&s, 1, 43, 0);
    sees(&s, 2, SIZE_MAX, 0);
    s = changed("embeddinggemma", "{\"is_causal\": false}");
    sees(&s, 1, 23, 23);
    s = changed("embeddinggemma", "{\"sliding_window_pattern\": null}");
    sees(&s, 4, 22, 22);
}

static void windows_and_thetas_of_modernbert(void **state) {
    (void)state;
    struct model_spec s = changed("modernbert", "{}");
    sees(&s, 3, SIZE_MAX, SIZE_MAX);
    sees(&s, 4, 8, 8);
    s = changed("modernbert", "{\"global_attn_every_n_layers\": null, "
                              "\"local_attention\": null, "
                              "\"global_rope_theta\": null, "
                              "\"local_rope_theta\": null}");
    sees(&s, 2, 64, 64);
    sees(&s, 3, SIZE_MAX, SIZE_MAX);
    assert_true(changed("modernbert", "{\"norm_eps\": null}").norm_epsilon ==
                1e-5f);
    assert_true(s.rotary[0].inverse[1] == 1 / powf(16e4f, 2.0f / 6));
    assert_true(s.rotary[1].inverse[1] == 1 / powf(1e4f, 2.0f / 6));
    s = changed("modernbert", "{\"sliding_window\": 8}");
    sees(&s, 1, 8, 8);
}

/* Of two words for one thing each spelling has its own default. */
static void what_modern_encoders_leave_out(void **state) {
    (void)state;
    struct model_spec s = changed("gte", "{\"rope_parameters\": null, "
                                         "\"type_vocab_size\": null}");
    assert_true(s.rotary[0].inverse[1] == 1 / powf(16e4f, 2.0f / 8));
    assert_int_equal(s.types, 1);
    s = changed("gte_new", "{\"rope_scaling\": null, \"rope_theta\": null}");
    assert_true(s.rotary[0].inverse[1] == 1 / powf(1e4f, 2.0f / 8));
    assert_int_equal(changed("gte", "{}").traits & TRAIT_TYPES, 0);
    s = changed("nomic_bert", "{\"rope_parameters\": null, "
                              "\"layer_norm_eps\": null, "
                              "\"type_vocab_size\": null, "
                              "\"head_dim\": null}");
    assert_true(s.rotary[0].inverse[1] == 1 / powf(1e3f, 2.0f / 8));
    assert_true(s.norm_epsilon == 1e-12f);
    assert_int_equal(s.types, 2);
    assert_int_equal(s.head_dim, 8);
    s = changed("nomic_moe", "{\"layer_norm_epsilon\": null, "
                             "\"rotary_emb_base\": null, "
                             "\"qkv_proj_bias\": null, "
                             "\"mlp_fc1_bias\": null, "
                             "\"moe_every_n_layers\": 3}");
    assert_true(s.norm_epsilon == 1e-5f);
    assert_true(s.rotary[0].inverse[1] == 1 / powf(1e3f, 2.0f / 4));
    assert_true(s.traits & TRAIT_QKV_BIAS && s.traits & TRAIT_FEED_BIAS);
    assert_int_equal(s.experts_at.bits[0], 2);
    s = changed("eurobert", "{\"head_dim\": null, "
                            "\"num_key_value_heads\": null, "
                            "\"rms_norm_eps\": null}");
    assert_int_equal(s.head_dim, 4);
    assert_int_equal(s.kv_heads, 4);
    assert_true(s.norm_epsilon == 1e-5f);
}

static void what_a_decoder_leaves_out(void **state) {
    (void)state;
    struct model_spec s = changed("qwen3", "{\"rms_norm_eps\": null, "
                                           "\"head_dim\": null}");
    assert_true(s.norm_epsilon == 1e-6f);
    assert_int_equal(s.head_dim, 128);
    assert_int_equal(s.activation, ACTIVATION_SILU);
    s = changed("llama", "{\"num_key_value_heads\": null}");
    assert_int_equal(s.kv_heads, 4);
    s = changed("llama", "{\"rope_scaling\": null, \"rope_theta\": null}");
    assert_true(s.rotary[0].inverse[1] == 1 / powf(1e4f, 2.0f / 6));
    s = changed("gemma3", "{\"query_pre_attn_scalar\": null, "
                          "\"rope_parameters\": null, \"head_dim\": null}");
    assert_int_equal(s.head_dim, 256);
    assert_true(s.attention_scale == 0.0625f);
    assert_true(s.embedding_scale == 4);
    assert_true(s.rotary[0].inverse[64] == 1e-3f);
    assert_true(s.rotary[1].inverse[64] == 1e-2f);
    assert_int_equal(s.activation, ACTIVATION_GELU_TANH);
    assert_true(s.family->norms == NORM_AROUND);
}

/* Python's int(i / (depth / groups)). */
static void shared_layers_take_turns_as_upstream(void **state) {
    (void)state;
    static const struct {
        size_t depth, layers;
        const char *steps;
    } cases[] = {
        {4, 1, "0000"},        {7, 3, "0001122"}, {12, 5, "000112223344"},
        {10, 4, "0001122233"}, {6, 6, "012345"},  {9, 7, "001233456"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_spec spec = {.depth = cases[i].depth,
                                  .layers = cases[i].layers};
        for (size_t step = 0; step < spec.depth; step++)
            assert_int_equal(model_spec_layer(&spec, step),
                             (size_t)(cases[i].steps[step] - '0'));
    }
}

/* FOLDER's limit where its tokenizer says TOKENS, and its config POSITIONS, or
 * none for 0. */
static size_t limit_of(const char *folder, int positions, size_t tokens) {
    struct rig r;
    struct error err = {0};
    rig_open_device(&r, "cpu", 1, NULL);
    rig_read(&r, folder);
    r.deep.config = json_deep_copy(r.files->config);
    json_t *config = (json_t *)r.deep.config;
    json_object_del(config, "max_position_embeddings");
    if (positions)
        json_object_set_new(config, "max_position_embeddings",
                            json_integer(positions));
    r.deep.max_length = tokens;
    r.deep.positions_unsaid = !positions;
    if (!model_spec_read(&r.deep, &r.spec, &err))
        fail_msg("%s: %s", folder, err.message);
    size_t limit = r.spec.max_length;
    rig_close(&r); /* the configuration too */
    return limit;
}

/* The configuration classes' own numbers, of transformers 5 and, for "new" and
 * JinaBERT, of the authors' code; less what comes before the first position. */
static void positions_that_a_config_leaves_out(void **state) {
    (void)state;
    static const struct {
        const char *folder;
        size_t limit;
    } cases[] = {
        {"mean", 512},          {"distilbert", 512},
        {"mpnet", 510},         {"electra", 512},
        {"roberta", 510},       {"xlm_roberta", 510},
        {"camembert", 510},     {"albert", 512},
        {"deberta_plain", 512}, {"jina2", 512},
        {"jina3", 8194},        {"modernbert", 8192},
        {"gte", 8192},          {"gte_new", 2048},
        {"nomic_bert", 2048},   {"qwen2", 32768},
        {"qwen3", 32768},       {"llama", 2048},
        {"mistral", 131072},    {"embeddinggemma", 131072},
        {"eurobert", 8192},     {"t5", MODEL_LENGTH_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *folder = cases[i].folder;
        size_t limit = limit_of(folder, 0, 1 << 30);
        if (limit != cases[i].limit)
            fail_msg("%s: %zu tokens", folder, limit);
        assert_int_equal(limit_of(folder, 0, 0), cases[i].limit);
        assert_int_equal(limit_of(folder, 0, 100), 100);
    }
}

static void positions_without_an_end(void **state) {
    (void)state;
    static const char *const folders[] = {"llama", "qwen2", "modernbert"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        assert_int_equal(limit_of(folders[i], -1, 0), MODEL_LENGTH_MAX);
        assert_int_equal(limit_of(folders[i], -1, 100000), 100000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_that_a_config_leaves_out),
        cmocka_unit_test(positions_without_an_end),
        cmocka_unit_test(options_are_refused_by_name),
        cmocka_unit_test(what_a_config_leaves_out),
        cmocka_unit_test(decoders_see_what_upstream_lets_them),
        cmocka_unit_test(what_a_decoder_leaves_out),
        cmocka_unit_test(windows_and_thetas_of_modernbert),
        cmocka_unit_test(what_modern_encoders_leave_out),
        cmocka_unit_test(shared_layers_take_turns_as_upstream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
