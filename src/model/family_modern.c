/* family_modern.c - encoders with rotary positions: ModernBERT, NomicBERT, GTE,
 * EuroBERT. */

#include "model/family_parts.h"

/* A norm, with a shift if the config says so. */
#define PLAIN_NORM(name, target, traits)                                       \
    RULE(name ".weight", USE_NORM_SCALE, DIM_HIDDEN, DIM_NONE, target, traits, \
         .part = 0),                                                           \
        RULE(name ".bias", USE_NORM_SHIFT, DIM_HIDDEN, DIM_NONE, target,       \
             (traits) | TRAIT_NORM_BIAS, .part = 0)
/* One that nomic-ai's or Alibaba's code calls OLD. */
#define RENAMED_NORM(name, old, target)                                        \
    NORM_NAMED(name, old ".weight", old ".bias", DIM_HIDDEN, target, 0)
#define TYPES_IF_ANY                                                           \
    TABLE("embeddings.token_type_embeddings.weight", USE_TYPES, DIM_TYPES,     \
          DIM_HIDDEN, MODEL(embedding.type), TRAIT_TYPES)

/* One head's first layers serve both heads. */
#define MODERN_HEAD(trait, matrix, norm)                                       \
    RULE("head.dense.weight", USE_MATRIX, DIM_HIDDEN, DIM_HIDDEN,              \
         MODEL(head.matrix), trait, .bare = true),                             \
        RULE("head.dense.bias", USE_BIAS, DIM_HIDDEN, DIM_NONE,                \
             MODEL(head.matrix), (trait) | TRAIT_HEAD_BIAS, .bare = true),     \
        RULE("head.norm.weight", USE_NORM_SCALE, DIM_HIDDEN, DIM_NONE,         \
             MODEL(head.norm), trait, .bare = true),                           \
        RULE("head.norm.bias", USE_NORM_SHIFT, DIM_HIDDEN, DIM_NONE,           \
             MODEL(head.norm), (trait) | TRAIT_NORM_BIAS, .bare = true)
static const struct tensor_rule modernbert_rules[] = {
    TABLE("embeddings.tok_embeddings.weight", USE_TABLE, DIM_VOCAB, DIM_HIDDEN,
          MODEL(embedding.words), 0),
    PLAIN_NORM("embeddings.norm", MODEL(embedding_norm), 0),
    PLAIN_NORM("layers.%zu.attn_norm", LAYER(before_attention),
               TRAIT_LAYER_NORM),
    PART("layers.%zu.attn.Wqkv", DIM_QKV, DIM_HIDDEN, LAYER(qkv), 0, 0,
         TRAIT_QKV_BIAS),
    PART("layers.%zu.attn.Wo", DIM_HIDDEN, DIM_HIDDEN, LAYER(attention_out), 0,
         0, TRAIT_OUT_BIAS),
    PLAIN_NORM("layers.%zu.mlp_norm", LAYER(before_feed), 0),
    PART("layers.%zu.mlp.Wi", DIM_INTER_TWICE, DIM_HIDDEN, LAYER(up), 0, 0,
         TRAIT_FEED_BIAS),
    PART("layers.%zu.mlp.Wo", DIM_HIDDEN, DIM_INTER, LAYER(down), 0, 0,
         TRAIT_FEED_BIAS),
    PLAIN_NORM("final_norm", MODEL(final_norm), 0),
    MODERN_HEAD(TRAIT_MLM, transform, transform_norm),
    TABLE("embeddings.tok_embeddings.weight", USE_MATRIX, DIM_VOCAB, DIM_HIDDEN,
          MODEL(head.decoder), TRAIT_MLM | TRAIT_TIED),
    RULE("decoder.weight", USE_MATRIX, DIM_VOCAB, DIM_HIDDEN,
         MODEL(head.decoder), TRAIT_MLM | TRAIT_UNTIED, .bare = true),
    RULE("decoder.bias", USE_BIAS, DIM_VOCAB, DIM_NONE, MODEL(head.decoder),
         TRAIT_MLM | TRAIT_DECODER_BIAS, .bare = true),
    MODERN_HEAD(TRAIT_CLASSIFIER, inside, inside_norm),
    HEAD_MATRIX("classifier", DIM_LABELS, DIM_HIDDEN, MODEL(head.labels),
                TRAIT_CLASSIFIER),
};

static const struct tensor_rule eurobert_rules[] = {
    TABLE("embed_tokens.weight", USE_TABLE, DIM_VOCAB, DIM_HIDDEN,
          MODEL(embedding.words), 0),
    SCALE("layers.%zu.input_layernorm", DIM_HIDDEN, LAYER(before_attention), 0),
    PART("layers.%zu.self_attn.q_proj", DIM_QUERY, DIM_HIDDEN, LAYER(qkv), 0, 0,
         TRAIT_QKV_BIAS),
    PART("layers.%zu.self_attn.k_proj", DIM_KEY, DIM_HIDDEN, LAYER(qkv), 1, 0,
         TRAIT_QKV_BIAS),
    PART("layers.%zu.self_attn.v_proj", DIM_KEY, DIM_HIDDEN, LAYER(qkv), 2, 0,
         TRAIT_QKV_BIAS),
    PART("layers.%zu.self_attn.o_proj", DIM_HIDDEN, DIM_QUERY,
         LAYER(attention_out), 0, 0, TRAIT_OUT_BIAS),
    SCALE("layers.%zu.post_attention_layernorm", DIM_HIDDEN, LAYER(before_feed),
          0),
    PART("layers.%zu.mlp.gate_proj", DIM_INTER, DIM_HIDDEN, LAYER(up), 0, 0,
         TRAIT_FEED_BIAS),
    PART("layers.%zu.mlp.up_proj", DIM_INTER, DIM_HIDDEN, LAYER(up), 1, 0,
         TRAIT_FEED_BIAS),
    PART("layers.%zu.mlp.down_proj", DIM_HIDDEN, DIM_INTER, LAYER(down), 0, 0,
         TRAIT_FEED_BIAS),
    SCALE("norm", DIM_HIDDEN, MODEL(final_norm), 0),
};

/* transformers' names; nomic-ai's and Alibaba's own are the old ones. */
#define RENAMED(name, old, rows, columns, target, number, traits, biased)      \
    RULE(name ".weight", USE_MATRIX, rows, columns, target, traits,            \
         .old_name = old ".weight", .part = (number)),                         \
        RULE(name ".bias", USE_BIAS, rows, DIM_NONE, target,                   \
             (traits) | (biased), .old_name = old ".bias", .part = (number))
#define NOMIC_ATTENTION(letter, dim, number)                                   \
    PIECE("layers.%zu.self_attn." letter "_proj",                              \
          "encoder.layers.%zu.attn." letter "_proj",                           \
          "encoder.layers.%zu.attn.Wqkv", false, dim, DIM_HIDDEN, LAYER(qkv),  \
          number, 0, TRAIT_QKV_BIAS)
#define NOMIC_GATE(name, old, number)                                          \
    RENAMED("layers.%zu.mlp." name, "encoder.layers.%zu.mlp." old, DIM_INTER,  \
            DIM_HIDDEN, LAYER(up), number, TRAIT_GATED | TRAIT_LAYER_DENSE,    \
            TRAIT_FEED_BIAS)
#define NOMIC_EXPERTS(name, use, rows, columns, target)                        \
    TABLE("encoder.layers.%zu.mlp." name, use, rows, columns,                  \
          LAYER(experts.target), TRAIT_LAYER_EXPERTS)
static const struct tensor_rule nomic_rules[] = {
    TABLE("embeddings.word_embeddings.weight", USE_TABLE, DIM_VOCAB, DIM_HIDDEN,
          MODEL(embedding.words), 0),
    TYPES_IF_ANY,
    RENAMED_NORM("embeddings.LayerNorm", "emb_ln", MODEL(embedding_norm)),
    NOMIC_ATTENTION("q", DIM_QUERY, 0),
    NOMIC_ATTENTION("k", DIM_KEY, 1),
    NOMIC_ATTENTION("v", DIM_KEY, 2),
    RENAMED("layers.%zu.self_attn.o_proj", "encoder.layers.%zu.attn.out_proj",
            DIM_HIDDEN, DIM_QUERY, LAYER(attention_out), 0, 0, TRAIT_OUT_BIAS),
    RENAMED_NORM("layers.%zu.post_attention_layernorm",
                 "encoder.layers.%zu.norm1", LAYER(behind_attention)),
    NOMIC_GATE("gate_proj", "fc12", 0),
    NOMIC_GATE("up_proj", "fc11", 1),
    PART("encoder.layers.%zu.mlp.fc1", DIM_INTER, DIM_HIDDEN, LAYER(up), 0,
         TRAIT_PLAIN | TRAIT_LAYER_DENSE, TRAIT_FEED_BIAS),
    RENAMED("layers.%zu.mlp.down_proj", "encoder.layers.%zu.mlp.fc2",
            DIM_HIDDEN, DIM_INTER, LAYER(down), 0, TRAIT_LAYER_DENSE,
            TRAIT_DOWN_BIAS),
    NOMIC_EXPERTS("router.layer.weight", USE_MATRIX, DIM_EXPERTS, DIM_HIDDEN,
                  router),
    NOMIC_EXPERTS("experts.mlp.w1", USE_EXPERTS, DIM_EXPERTS_INTER, DIM_HIDDEN,
                  up),
    NOMIC_EXPERTS("experts.mlp.w2", USE_EXPERTS_TURNED, DIM_EXPERTS_INTER,
                  DIM_HIDDEN, down),
    NOMIC_EXPERTS("experts.bias", USE_VECTOR, DIM_HIDDEN, DIM_NONE, shift),
    RENAMED_NORM("layers.%zu.post_mlp_layernorm", "encoder.layers.%zu.norm2",
                 LAYER(behind_feed)),
};

#define GTE_ATTENTION(letter, dim, number)                                     \
    PIECE("layers.%zu.self_attn." letter "_proj",                              \
          "encoder.layer.%zu.attention." letter "_proj",                       \
          "encoder.layer.%zu.attention.qkv_proj", false, dim, DIM_HIDDEN,      \
          LAYER(qkv), number, 0, 0)
#define GTE_GATE(name, number)                                                 \
    PIECE_WEIGHT("layers.%zu.mlp." name, "encoder.layer.%zu.mlp." name,        \
                 "encoder.layer.%zu.mlp.up_gate_proj", true, DIM_INTER,        \
                 DIM_HIDDEN, LAYER(up), number, 0)
static const struct tensor_rule gte_rules[] = {
    TABLE("embeddings.word_embeddings.weight", USE_TABLE, DIM_VOCAB, DIM_HIDDEN,
          MODEL(embedding.words), 0),
    TYPES_IF_ANY,
    NORM("embeddings.LayerNorm", DIM_HIDDEN, MODEL(embedding_norm)),
    GTE_ATTENTION("q", DIM_QUERY, 0),
    GTE_ATTENTION("k", DIM_KEY, 1),
    GTE_ATTENTION("v", DIM_KEY, 2),
    RENAMED("layers.%zu.self_attn.o_proj", "encoder.layer.%zu.attention.o_proj",
            DIM_HIDDEN, DIM_QUERY, LAYER(attention_out), 0, 0, 0),
    RENAMED_NORM("layers.%zu.post_attention_layernorm",
                 "encoder.layer.%zu.attn_ln", LAYER(behind_attention)),
    GTE_GATE("gate_proj", 0),
    GTE_GATE("up_proj", 1),
    RENAMED("layers.%zu.mlp.down_proj", "encoder.layer.%zu.mlp.down_proj",
            DIM_HIDDEN, DIM_INTER, LAYER(down), 0, 0, 0),
    RENAMED_NORM("layers.%zu.post_mlp_layernorm", "encoder.layer.%zu.mlp_ln",
                 LAYER(behind_feed)),
    HEAD_MATRIX("lm_head.dense", DIM_EMBEDDING, DIM_HIDDEN,
                MODEL(head.transform), TRAIT_MLM),
    RULE("lm_head.layer_norm.weight", USE_NORM_SCALE, DIM_EMBEDDING, DIM_NONE,
         MODEL(head.transform_norm), TRAIT_MLM, .bare = true,
         .old_name = "lm_head.norm.weight"),
    RULE("lm_head.layer_norm.bias", USE_NORM_SHIFT, DIM_EMBEDDING, DIM_NONE,
         MODEL(head.transform_norm), TRAIT_MLM, .bare = true,
         .old_name = "lm_head.norm.bias"),
    DECODER("lm_head.decoder", "lm_head.decoder.bias",
            "embeddings.word_embeddings.weight"),
    PART("pooler.dense", DIM_HIDDEN, DIM_HIDDEN, MODEL(head.inside), 0,
         TRAIT_CLASSIFIER, 0),
    HEAD_MATRIX("classifier", DIM_LABELS, DIM_HIDDEN, MODEL(head.labels),
                TRAIT_CLASSIFIER),
};

static const char *const model_prefixes[] = {"", "model.", NULL};
static const char *const nomic_prefixes[] = {"", "nomic_bert.", "bert.", NULL};
static const char *const gte_prefixes[] = {"", "gte.", "new.", NULL};

static const char *const modernbert_ignored[] = {"head.", "decoder.",
                                                 "classifier.", NULL};
static const char *const eurobert_ignored[] = {"lm_head.", "dense.",
                                               "classifier.", NULL};
static const char *const nomic_ignored[] = {"pooler.", "cls.", "classifier.",
                                            NULL};
static const char *const gte_ignored[] = {"pooler.", "lm_head.", "classifier.",
                                          NULL};

static const struct config_words modernbert_words = {
    "hidden_size",       "num_hidden_layers", "num_attention_heads",
    "intermediate_size", "hidden_activation", "norm_eps"};
static const struct config_words eurobert_words = {
    "hidden_size",       "num_hidden_layers", "num_attention_heads",
    "intermediate_size", "hidden_act",        "rms_norm_eps"};
static const struct config_words nomic_words = {
    "n_embd", "n_layer", "n_head", "n_inner", NULL, "layer_norm_epsilon"};

#define LIKE_GTE                                                               \
    RULES(gte_rules), .prefixes = gte_prefixes, .ignored = gte_ignored,        \
                      .words = &bert_words, .activation = "gelu",              \
                      .word_inside = "gelu", .label_inside = "tanh"

const struct family families_modern[] = {
    {.model_type = "modernbert",
     .length = 8192,
     .title = "ModernBERT",
     .examples = "Alibaba-NLP/gte-modernbert-base, "
                 "nomic-ai/modernbert-embed-base",
     RULES(modernbert_rules),
     .prefixes = model_prefixes,
     .ignored = modernbert_ignored,
     .words = &modernbert_words,
     .activation = "gelu",
     .epsilon = 1e-5f,
     .norms = NORM_BEFORE,
     .read = read_modernbert},
    {.model_type = "nomic_bert",
     .length = 2048,
     .title = "NomicBERT",
     .examples = "nomic-ai/nomic-embed-text-v1.5, nomic-ai/CodeRankEmbed, "
                 "nomic-ai/nomic-embed-text-v2-moe",
     RULES(nomic_rules),
     .prefixes = nomic_prefixes,
     .ignored = nomic_ignored,
     .words = &nomic_words,
     .read = read_nomic},
    {.model_type = "gte",
     .length = 8192,
     .title = "GTE",
     .examples = "Snowflake/snowflake-arctic-embed-m-v2.0",
     .read = read_gte,
     LIKE_GTE},
    {.model_type = "new",
     .length = 2048,
     .title = "GTE",
     .examples = "Alibaba-NLP/gte-base-en-v1.5, "
                 "Alibaba-NLP/gte-multilingual-base",
     .read = read_gte_new,
     LIKE_GTE},
    {.model_type = "eurobert",
     .length = 8192,
     .title = "EuroBERT",
     .examples = "EuroBERT/EuroBERT-210m",
     RULES(eurobert_rules),
     .prefixes = model_prefixes,
     .ignored = eurobert_ignored,
     .words = &eurobert_words,
     .activation = "silu",
     .epsilon = 1e-5f,
     .norms = NORM_BEFORE,
     .rms = true,
     .read = read_eurobert},
};
const size_t families_modern_count =
    sizeof families_modern / sizeof *families_modern;
