/* family_decoder.c - models that were decoders: RMS norms, rotary positions,
 * shared keys, gates. */

#include "model/family_parts.h"

#define DECODER_LAYER "layers.%zu."
#define RMS(name, width, target, traits)                                       \
    SCALE(DECODER_LAYER name, width, LAYER(target), traits)
#define DECODER_TABLES                                                         \
    TABLE("embed_tokens.weight", USE_TABLE, DIM_VOCAB, DIM_HIDDEN,             \
          MODEL(embedding.words), 0),                                          \
        SCALE("norm", DIM_HIDDEN, MODEL(final_norm), 0)
#define DECODER_ATTENTION                                                      \
    PART(DECODER_LAYER "self_attn.q_proj", DIM_QUERY, DIM_HIDDEN, LAYER(qkv),  \
         0, 0, TRAIT_QKV_BIAS),                                                \
        PART(DECODER_LAYER "self_attn.k_proj", DIM_KEY, DIM_HIDDEN,            \
             LAYER(qkv), 1, 0, TRAIT_QKV_BIAS),                                \
        PART(DECODER_LAYER "self_attn.v_proj", DIM_KEY, DIM_HIDDEN,            \
             LAYER(qkv), 2, 0, TRAIT_QKV_BIAS),                                \
        RMS("self_attn.q_norm", DIM_HEAD, query_norm, TRAIT_QK_NORM),          \
        RMS("self_attn.k_norm", DIM_HEAD, key_norm, TRAIT_QK_NORM),            \
        PART(DECODER_LAYER "self_attn.o_proj", DIM_HIDDEN, DIM_QUERY,          \
             LAYER(attention_out), 0, 0, TRAIT_OUT_BIAS)
#define DECODER_FEED                                                           \
    PART(DECODER_LAYER "mlp.gate_proj", DIM_INTER, DIM_HIDDEN, LAYER(up), 0,   \
         0, TRAIT_FEED_BIAS),                                                  \
        PART(DECODER_LAYER "mlp.up_proj", DIM_INTER, DIM_HIDDEN, LAYER(up), 1, \
             0, TRAIT_FEED_BIAS),                                              \
        PART(DECODER_LAYER "mlp.down_proj", DIM_HIDDEN, DIM_INTER,             \
             LAYER(down), 0, 0, TRAIT_FEED_BIAS)

/* Qwen2, Qwen3, Llama and Mistral: which of the biases and norms there are is
 * what tells them apart. */
static const struct tensor_rule decoder_rules[] = {
    DECODER_TABLES,
    RMS("input_layernorm", DIM_HIDDEN, before_attention, 0),
    DECODER_ATTENTION,
    RMS("post_attention_layernorm", DIM_HIDDEN, before_feed, 0),
    DECODER_FEED,
    RULE("score.weight", USE_MATRIX, DIM_LABELS, DIM_HIDDEN, MODEL(head.labels),
         TRAIT_CLASSIFIER, .bare = true),
    YES_NO("embed_tokens.weight", "lm_head.weight"),
};

static const struct tensor_rule gemma3_rules[] = {
    DECODER_TABLES,
    RMS("input_layernorm", DIM_HIDDEN, before_attention, 0),
    DECODER_ATTENTION,
    RMS("post_attention_layernorm", DIM_HIDDEN, behind_attention, 0),
    RMS("pre_feedforward_layernorm", DIM_HIDDEN, before_feed, 0),
    DECODER_FEED,
    RMS("post_feedforward_layernorm", DIM_HIDDEN, behind_feed, 0),
};

static const char *const decoder_prefixes[] = {"", "model.", NULL};

/* What guesses the next word, and a constant of older files. */
static const char *const decoder_ignored[] = {"lm_head.", "score.",
                                              "*.rotary_emb.inv_freq", NULL};

/* Multimodal files in transformers' older and newer spelling. */
static const char *const text_prefixes[] = {
    "", "model.", "model.language_model.", "language_model.model.", NULL};

/* jina-embeddings-v4's other vectors, one a token, have a projector. */
static const char *const vision_ignored[] = {
    "lm_head.",
    "language_model.lm_head.",
    "visual.",
    "model.visual.",
    "vision_tower.",
    "multi_modal_projector.",
    "multi_vector_projector.",
    "base_model.model.multi_vector_projector.",
    NULL};

static const struct config_words decoder_words = {
    "hidden_size",       "num_hidden_layers", "num_attention_heads",
    "intermediate_size", "hidden_act",        "rms_norm_eps"};
static const struct config_words gemma_words = {
    "hidden_size",       "num_hidden_layers", "num_attention_heads",
    "intermediate_size", "hidden_activation", "rms_norm_eps"};

#define LIKE_LLAMA                                                             \
    RULES(decoder_rules), .prefixes = decoder_prefixes,                        \
                          .ignored = decoder_ignored, .words = &decoder_words, \
                          .activation = "silu", .epsilon = 1e-6f,              \
                          .norms = NORM_BEFORE, .rms = true, .untied = true,   \
                          .label_pooling = POOLING_LAST

const struct family families_decoder[] = {
    {.model_type = "qwen2",
     .length = 32768,
     .title = "Qwen2",
     .examples = "jinaai/jina-code-embeddings-1.5b, "
                 "Alibaba-NLP/gte-Qwen2-1.5B-instruct",
     .read = read_qwen2,
     LIKE_LLAMA},
    {.model_type = "qwen3",
     .length = 32768,
     .title = "Qwen3",
     .examples = "Qwen/Qwen3-Embedding-0.6B",
     .read = read_qwen3,
     LIKE_LLAMA},
    {.model_type = "llama",
     .length = 2048,
     .title = "Llama",
     .examples = "Llama 2 and 3 that were tuned for it",
     .read = read_llama,
     LIKE_LLAMA},
    {.model_type = "llama_bidirec",
     .length = 2048,
     .title = "Llama that looks both ways",
     .examples = "nvidia/llama-3.2-nv-embedqa-1b-v2, "
                 "nvidia/llama-embed-nemotron-8b",
     .read = read_llama_bidirec,
     LIKE_LLAMA},
    {.model_type = "mistral",
     .length = 131072,
     .title = "Mistral",
     .examples = "intfloat/e5-mistral-7b-instruct, "
                 "Salesforce/SFR-Embedding-Mistral",
     .read = read_mistral,
     LIKE_LLAMA},
    {.model_type = "qwen2_5_vl",
     .title = "Qwen2.5-VL, its text",
     .examples = "jinaai/jina-embeddings-v4",
     .inside = "text_config",
     RULES(decoder_rules),
     .prefixes = text_prefixes,
     .ignored = vision_ignored,
     .words = &decoder_words,
     .read = read_qwen25_vl,
     .activation = "silu",
     .epsilon = 1e-5f,
     .norms = NORM_BEFORE,
     .rms = true},
    {.model_type = "gemma3_text",
     .length = 131072,
     .title = "Gemma3",
     .examples = "google/embeddinggemma-300m",
     RULES(gemma3_rules),
     .prefixes = decoder_prefixes,
     .ignored = decoder_ignored,
     .words = &gemma_words,
     .read = read_gemma3,
     .activation = "gelu_pytorch_tanh",
     .epsilon = 1e-6f,
     .norms = NORM_AROUND,
     .rms = true,
     .scale_plus_one = true},
};

const size_t families_decoder_count =
    sizeof families_decoder / sizeof *families_decoder;
