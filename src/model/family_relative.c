/* family_relative.c - encoders with relative positions: T5, DeBERTa, JinaBERT;
 * and those whose layers have adapters (LoRA). */

#include "model/family_parts.h"

/* ---- T5: the encoder's half --------------------------------------------- */

#define T5_ATTENTION "encoder.block.%zu.layer.0."
#define T5_FEED      "encoder.block.%zu.layer.1."
static const struct tensor_rule t5_rules[] = {
    RULE("encoder.embed_tokens.weight", USE_TABLE, DIM_VOCAB, DIM_HIDDEN,
         MODEL(embedding.words), 0, .old_name = "shared.weight"),
    /* the first block's serves all */
    TABLE("encoder.block.0.layer.0.SelfAttention.relative_attention_bias."
          "weight",
          USE_DISTANCES, DIM_BUCKETS, DIM_HEADS, MODEL(distances), 0),
    SCALE(T5_ATTENTION "layer_norm", DIM_HIDDEN, LAYER(before_attention), 0),
    WEIGHT(T5_ATTENTION "SelfAttention.q", DIM_QUERY, DIM_HIDDEN, LAYER(qkv), 0,
           0),
    WEIGHT(T5_ATTENTION "SelfAttention.k", DIM_KEY, DIM_HIDDEN, LAYER(qkv), 1,
           0),
    WEIGHT(T5_ATTENTION "SelfAttention.v", DIM_KEY, DIM_HIDDEN, LAYER(qkv), 2,
           0),
    WEIGHT(T5_ATTENTION "SelfAttention.o", DIM_HIDDEN, DIM_QUERY,
           LAYER(attention_out), 0, 0),
    SCALE(T5_FEED "layer_norm", DIM_HIDDEN, LAYER(before_feed), 0),
    WEIGHT(T5_FEED "DenseReluDense.wi", DIM_INTER, DIM_HIDDEN, LAYER(up), 0,
           TRAIT_PLAIN),
    WEIGHT(T5_FEED "DenseReluDense.wi_0", DIM_INTER, DIM_HIDDEN, LAYER(up), 0,
           TRAIT_GATED),
    WEIGHT(T5_FEED "DenseReluDense.wi_1", DIM_INTER, DIM_HIDDEN, LAYER(up), 1,
           TRAIT_GATED),
    WEIGHT(T5_FEED "DenseReluDense.wo", DIM_HIDDEN, DIM_INTER, LAYER(down), 0,
           0),
    SCALE("encoder.final_layer_norm", DIM_HIDDEN, MODEL(final_norm), 0),
};
static const char *const t5_prefixes[] = {"", "transformer.", NULL};
/* Where both copies of the words are there, the encoder reads its own. */
static const char *const t5_ignored[] = {"shared.", "decoder.", "lm_head.",
                                         "classification_head.", NULL};
static const struct config_words t5_words = {
    "d_model", "num_layers", "num_heads", "d_ff", NULL, "layer_norm_epsilon"};

/* ---- DeBERTa v2 and v3 -------------------------------------------------- */

#define DEBERTA_LAYER "encoder.layer.%zu."
static const struct tensor_rule deberta_rules[] = {
    TABLE("embeddings.word_embeddings.weight", USE_TABLE, DIM_VOCAB,
          DIM_EMBEDDING, MODEL(embedding.words), 0),
    TABLE("embeddings.position_embeddings.weight", USE_TABLE, DIM_POSITIONS,
          DIM_EMBEDDING, MODEL(embedding.position), TRAIT_POSITIONS),
    TABLE("embeddings.token_type_embeddings.weight", USE_TYPES, DIM_TYPES,
          DIM_EMBEDDING, MODEL(embedding.type), TRAIT_TYPES),
    NORM("embeddings.LayerNorm", DIM_EMBEDDING, MODEL(embedding_norm)),
    TABLE("encoder.rel_embeddings.weight", USE_RELATIVE, DIM_RELATIVE,
          DIM_HIDDEN, MODEL(relative), TRAIT_RELATIVE),
    NORM_NAMED("encoder.LayerNorm", NULL, NULL, DIM_HIDDEN,
               MODEL(relative_norm), TRAIT_RELATIVE_NORM),
    QKV(DEBERTA_LAYER "attention.self.query_proj",
        DEBERTA_LAYER "attention.self.key_proj",
        DEBERTA_LAYER "attention.self.value_proj"),
    /* Where share_att_key is false. Their rows lie as those of Q, K and V do;
     * nothing reads the values. */
    PART(DEBERTA_LAYER "attention.self.pos_query_proj", DIM_QUERY, DIM_HIDDEN,
         LAYER(relative), 0, TRAIT_RELATIVE_OWN, 0),
    PART(DEBERTA_LAYER "attention.self.pos_key_proj", DIM_KEY, DIM_HIDDEN,
         LAYER(relative), 1, TRAIT_RELATIVE_OWN, 0),
    PART(DEBERTA_LAYER "attention.self.value_proj", DIM_KEY, DIM_HIDDEN,
         LAYER(relative), 2, TRAIT_RELATIVE_OWN, 0),
    MATRIX(DEBERTA_LAYER "attention.output.dense", DIM_HIDDEN, DIM_HIDDEN,
           LAYER(attention_out)),
    NORM(DEBERTA_LAYER "attention.output.LayerNorm", DIM_HIDDEN,
         LAYER(behind_attention)),
    MATRIX(DEBERTA_LAYER "intermediate.dense", DIM_INTER, DIM_HIDDEN,
           LAYER(up)),
    MATRIX(DEBERTA_LAYER "output.dense", DIM_HIDDEN, DIM_INTER, LAYER(down)),
    NORM(DEBERTA_LAYER "output.LayerNorm", DIM_HIDDEN, LAYER(behind_feed)),
    HEAD_MATRIX("pooler.dense", DIM_HIDDEN, DIM_HIDDEN, MODEL(head.inside),
                TRAIT_CLASSIFIER),
    HEAD_MATRIX("classifier", DIM_LABELS, DIM_HIDDEN, MODEL(head.labels),
                TRAIT_CLASSIFIER),
};
static const char *const deberta_prefixes[] = {"", "deberta.", NULL};
/* Tables of positions may have been saved where they are not used. */
static const char *const deberta_ignored[] = {"embeddings.position_ids",
                                              "embeddings.position_embeddings.",
                                              "encoder.rel_embeddings.",
                                              "encoder.LayerNorm.",
                                              "pooler.",
                                              "classifier.",
                                              "cls.",
                                              "lm_predictions.",
                                              "mask_predictions.",
                                              "qa_outputs.",
                                              NULL};

/* ---- JinaBERT v2 -------------------------------------------------------- */

/* BERT without a table of positions. */
#define JINA2_LAYER "encoder.layer.%zu."
#define JINA2_BODY                                                             \
    TABLE("embeddings.word_embeddings.weight", USE_TABLE, DIM_VOCAB,           \
          DIM_EMBEDDING, MODEL(embedding.words), 0),                           \
        TABLE("embeddings.token_type_embeddings.weight", USE_TYPES, DIM_TYPES, \
              DIM_EMBEDDING, MODEL(embedding.type), 0),                        \
        NORM("embeddings.LayerNorm", DIM_EMBEDDING, MODEL(embedding_norm)),    \
        QKV(JINA2_LAYER "attention.self.query",                                \
            JINA2_LAYER "attention.self.key",                                  \
            JINA2_LAYER "attention.self.value"),                               \
        MATRIX(JINA2_LAYER "attention.output.dense", DIM_HIDDEN, DIM_HIDDEN,   \
               LAYER(attention_out)),                                          \
        NORM(JINA2_LAYER "attention.output.LayerNorm", DIM_HIDDEN,             \
             LAYER(behind_attention)),                                         \
        PART("pooler.dense", DIM_HIDDEN, DIM_HIDDEN, MODEL(head.inside), 0,    \
             TRAIT_CLASSIFIER, 0),                                             \
        HEAD_MATRIX("classifier", DIM_LABELS, DIM_HIDDEN, MODEL(head.labels),  \
                    TRAIT_CLASSIFIER)

static const struct tensor_rule jina2_rules[] = {
    JINA2_BODY,
    WEIGHT(JINA2_LAYER "mlp.gated_layers", DIM_INTER_TWICE, DIM_HIDDEN,
           LAYER(up), 0, 0),
    MATRIX(JINA2_LAYER "mlp.wo", DIM_HIDDEN, DIM_INTER, LAYER(down)),
    NORM(JINA2_LAYER "mlp.layernorm", DIM_HIDDEN, LAYER(behind_feed)),
};
/* Queries and keys are normed over all their heads; what is gated comes before
 * its gate. */
static const struct tensor_rule jina2_code_rules[] = {
    JINA2_BODY,
    NORM(JINA2_LAYER "attention.self.layer_norm_q", DIM_QUERY,
         LAYER(query_norm)),
    NORM(JINA2_LAYER "attention.self.layer_norm_k", DIM_KEY, LAYER(key_norm)),
    NORM(JINA2_LAYER "layer_norm_1", DIM_HIDDEN, LAYER(twice_behind_attention)),
    RULE(JINA2_LAYER "mlp.up_gated_layer.weight", USE_MATRIX, DIM_INTER_TWICE,
         DIM_HIDDEN, LAYER(up), 0, .halves_swapped = true),
    MATRIX(JINA2_LAYER "mlp.down_layer", DIM_HIDDEN, DIM_INTER, LAYER(down)),
    NORM(JINA2_LAYER "layer_norm_2", DIM_HIDDEN, LAYER(behind_feed)),
};
static const char *const jina2_prefixes[] = {"", "bert.", NULL};
static const char *const jina2_ignored[] = {
    "embeddings.position_ids", "pooler.", "cls.", "classifier.", NULL};

/* ---- jina-embeddings-v3 ------------------------------------------------- */

/* transformers' names, and those of the implementation on the hub, which has
 * Q, K and V in one tensor. A table of positions is there only in the latter,
 * and not in this model but in others that use it. */
#define JINA3_QKV(letter, part)                                                \
    PIECE("layers.%zu.self_attn." letter "_proj",                              \
          "encoder.layers.%zu.self_attn." letter "_proj",                      \
          "encoder.layers.%zu.mixer.Wqkv", false, DIM_KEY, DIM_HIDDEN,         \
          LAYER(qkv), part, 0, 0)
#define JINA3_MATRIX(new, old, height, across, to)                             \
    RULE("layers.%zu." new ".weight", USE_MATRIX, height, across, to, 0,       \
         .old_name = "encoder.layers.%zu." old ".weight"),                     \
        RULE("layers.%zu." new ".bias", USE_BIAS, height, DIM_NONE, to, 0,     \
             .old_name = "encoder.layers.%zu." old ".bias")
#define JINA3_NORM(name, old, target)                                          \
    NORM_NAMED("layers.%zu." name, "encoder.layers.%zu." old ".weight",        \
               "encoder.layers.%zu." old ".bias", DIM_HIDDEN, target, 0)
static const struct tensor_rule jina3_rules[] = {
    TABLE("embeddings.word_embeddings.weight", USE_TABLE, DIM_VOCAB,
          DIM_EMBEDDING, MODEL(embedding.words), 0),
    TABLE("embeddings.position_embeddings.weight", USE_TABLE, DIM_POSITIONS,
          DIM_EMBEDDING, MODEL(embedding.position), TRAIT_POSITIONS),
    TABLE("embeddings.token_type_embeddings.weight", USE_TYPES, DIM_TYPES,
          DIM_EMBEDDING, MODEL(embedding.type), TRAIT_TYPES),
    NORM_NAMED("embeddings.LayerNorm", "emb_ln.weight", "emb_ln.bias",
               DIM_EMBEDDING, MODEL(embedding_norm), 0),
    JINA3_QKV("q", 0),
    JINA3_QKV("k", 1),
    JINA3_QKV("v", 2),
    JINA3_MATRIX("self_attn.o_proj", "mixer.out_proj", DIM_HIDDEN, DIM_QUERY,
                 LAYER(attention_out)),
    JINA3_NORM("post_attention_layernorm", "norm1", LAYER(behind_attention)),
    JINA3_MATRIX("mlp.fc1", "mlp.fc1", DIM_INTER, DIM_HIDDEN, LAYER(up)),
    JINA3_MATRIX("mlp.fc2", "mlp.fc2", DIM_HIDDEN, DIM_INTER, LAYER(down)),
    JINA3_NORM("post_mlp_layernorm", "norm2", LAYER(behind_feed)),
    CLASSIFIER_OF_TWO,
};
static const char *const jina3_prefixes[] = {"", "roberta.", "model.", NULL};
static const char *const jina3_ignored[] = {"embeddings.position_ids",
                                            "pooler.",
                                            "lm_head.",
                                            "classifier.",
                                            "rotary_emb.",
                                            NULL};

#define LIKE_JINA2                                                             \
    .length = 512, .prefixes = jina2_prefixes, .ignored = jina2_ignored,       \
    .words = &bert_words, .read = read_jina2, .label_inside = "tanh"
#define LIKE_JINA3                                                             \
    RULES(jina3_rules), .prefixes = jina3_prefixes, .ignored = jina3_ignored,  \
                        .words = &bert_words, .activation = "gelu",            \
                        .label_inside = "tanh", .epsilon = 1e-5f

const struct family families_relative[] = {
    {.model_type = "t5",
     .title = "T5 encoder",
     .examples = "sentence-transformers/sentence-t5-base, "
                 "sentence-transformers/gtr-t5-base",
     RULES(t5_rules),
     .prefixes = t5_prefixes,
     .ignored = t5_ignored,
     .words = &t5_words,
     .read = read_t5,
     .epsilon = 1e-6f,
     .norms = NORM_BEFORE,
     .rms = true},
    {.model_type = "deberta-v2",
     .length = 512,
     .title = "DeBERTa-v3",
     .examples = "microsoft/deberta-v3-base, "
                 "mixedbread-ai/mxbai-rerank-base-v1",
     RULES(deberta_rules),
     .prefixes = deberta_prefixes,
     .ignored = deberta_ignored,
     .words = &bert_words,
     .read = read_deberta,
     .activation = "gelu",
     .epsilon = 1e-7f},
    {.model_type = "bert",
     .is = is_jina2,
     .title = "JinaBERT v2",
     .examples = "jinaai/jina-embeddings-v2-base-en, "
                 "jinaai/jina-embeddings-v2-base-de",
     RULES(jina2_rules),
     LIKE_JINA2},
    {.model_type = "bert",
     .is = is_jina2_code,
     .title = "JinaBERT v2 for code",
     .examples = "jinaai/jina-embeddings-v2-base-code",
     RULES(jina2_code_rules),
     .norms = NORM_TWICE,
     LIKE_JINA2},
    {.model_type = "xlm-roberta",
     .length = 514,
     .is = is_jina3_hub,
     .title = "jina-embeddings-v3, as on the hub",
     .examples = "jinaai/jina-embeddings-v3, "
                 "jinaai/jina-reranker-v2-base-multilingual",
     .read = read_jina3_hub,
     .positions = POSITIONS_PAST_PAD,
     LIKE_JINA3},
    {.model_type = "jina_embeddings_v3",
     .length = 8194,
     .title = "jina-embeddings-v3, as in transformers",
     .examples = "jinaai/jina-embeddings-v3-hf",
     .read = read_jina3,
     LIKE_JINA3},
};
const size_t families_relative_count =
    sizeof families_relative / sizeof *families_relative;
