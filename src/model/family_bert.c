/* family_bert.c - BERT and what differs from it in names and numbers. */

#include "model/family_parts.h"

#define WORDS                                                                  \
    TABLE("embeddings.word_embeddings.weight", USE_TABLE, DIM_VOCAB,           \
          DIM_EMBEDDING, MODEL(embedding.words), 0)
#define POSITIONS                                                              \
    TABLE("embeddings.position_embeddings.weight", USE_TABLE, DIM_POSITIONS,   \
          DIM_EMBEDDING, MODEL(embedding.position), 0)
#define TYPES                                                                  \
    TABLE("embeddings.token_type_embeddings.weight", USE_TYPES, DIM_TYPES,     \
          DIM_EMBEDDING, MODEL(embedding.type), 0)
#define EMBEDDING_NORM                                                         \
    NORM("embeddings.LayerNorm", DIM_EMBEDDING, MODEL(embedding_norm))

#define WORDS_NAME "embeddings.word_embeddings.weight"

/* Heads: the one that guesses words, and the one that gives scores. BERT's
 * classifier reads the pooler's rows, which stand beside the encoder. */
#define BERT_HEADS                                                             \
    HEAD_MATRIX("cls.predictions.transform.dense", DIM_EMBEDDING, DIM_HIDDEN,  \
                MODEL(head.transform), TRAIT_MLM),                             \
        HEAD_NORM("cls.predictions.transform.LayerNorm", DIM_EMBEDDING,        \
                  MODEL(head.transform_norm), TRAIT_MLM),                      \
        DECODER("cls.predictions.decoder", "cls.predictions.bias",             \
                WORDS_NAME),                                                   \
        PART("pooler.dense", DIM_HIDDEN, DIM_HIDDEN, MODEL(head.inside), 0,    \
             TRAIT_CLASSIFIER, 0),                                             \
        HEAD_MATRIX("classifier", DIM_LABELS, DIM_HIDDEN, MODEL(head.labels),  \
                    TRAIT_CLASSIFIER)
#define ROBERTA_HEADS                                                          \
    HEAD_MATRIX("lm_head.dense", DIM_EMBEDDING, DIM_HIDDEN,                    \
                MODEL(head.transform), TRAIT_MLM),                             \
        HEAD_NORM("lm_head.layer_norm", DIM_EMBEDDING,                         \
                  MODEL(head.transform_norm), TRAIT_MLM),                      \
        DECODER("lm_head.decoder", "lm_head.bias", WORDS_NAME),                \
        CLASSIFIER_OF_TWO
#define DISTILBERT_HEADS                                                       \
    HEAD_MATRIX("vocab_transform", DIM_EMBEDDING, DIM_HIDDEN,                  \
                MODEL(head.transform), TRAIT_MLM),                             \
        HEAD_NORM("vocab_layer_norm", DIM_EMBEDDING,                           \
                  MODEL(head.transform_norm), TRAIT_MLM),                      \
        DECODER("vocab_projector", "vocab_projector.bias", WORDS_NAME),        \
        HEAD_MATRIX("pre_classifier", DIM_HIDDEN, DIM_HIDDEN,                  \
                    MODEL(head.inside), TRAIT_CLASSIFIER),                     \
        HEAD_MATRIX("classifier", DIM_LABELS, DIM_HIDDEN, MODEL(head.labels),  \
                    TRAIT_CLASSIFIER)

/* Names as transformers 5 writes them. The first rule of a family is its word
 * table: prefixes are told by it. */
#define BERT_BODY                                                              \
    WORDS, POSITIONS, TYPES, EMBEDDING_NORM,                                   \
        PART("embeddings_project", DIM_HIDDEN, DIM_EMBEDDING,                  \
             MODEL(projection), 0, TRAIT_PROJECTS, 0),                         \
        QKV("encoder.layer.%zu.attention.self.query",                          \
            "encoder.layer.%zu.attention.self.key",                            \
            "encoder.layer.%zu.attention.self.value"),                         \
        MATRIX("encoder.layer.%zu.attention.output.dense", DIM_HIDDEN,         \
               DIM_HIDDEN, LAYER(attention_out)),                              \
        NORM("encoder.layer.%zu.attention.output.LayerNorm", DIM_HIDDEN,       \
             LAYER(behind_attention)),                                         \
        MATRIX("encoder.layer.%zu.intermediate.dense", DIM_INTER, DIM_HIDDEN,  \
               LAYER(up)),                                                     \
        MATRIX("encoder.layer.%zu.output.dense", DIM_HIDDEN, DIM_INTER,        \
               LAYER(down)),                                                   \
        NORM("encoder.layer.%zu.output.LayerNorm", DIM_HIDDEN,                 \
             LAYER(behind_feed))

static const struct tensor_rule bert_rules[] = {BERT_BODY, BERT_HEADS};
static const struct tensor_rule ernie_rules[] = {
    BERT_BODY,
    TABLE("embeddings.task_type_embeddings.weight", USE_TASK_TYPES,
          DIM_TASK_TYPES, DIM_EMBEDDING, MODEL(embedding.type),
          TRAIT_TASK_TYPES),
    BERT_HEADS,
};
static const struct tensor_rule roberta_rules[] = {BERT_BODY, ROBERTA_HEADS};
static const struct tensor_rule electra_rules[] = {BERT_BODY,
                                                   CLASSIFIER_OF_TWO};

static const struct tensor_rule distilbert_rules[] = {
    WORDS,
    POSITIONS,
    EMBEDDING_NORM,
    QKV("transformer.layer.%zu.attention.q_lin",
        "transformer.layer.%zu.attention.k_lin",
        "transformer.layer.%zu.attention.v_lin"),
    MATRIX("transformer.layer.%zu.attention.out_lin", DIM_HIDDEN, DIM_HIDDEN,
           LAYER(attention_out)),
    NORM("transformer.layer.%zu.sa_layer_norm", DIM_HIDDEN,
         LAYER(behind_attention)),
    MATRIX("transformer.layer.%zu.ffn.lin1", DIM_INTER, DIM_HIDDEN, LAYER(up)),
    MATRIX("transformer.layer.%zu.ffn.lin2", DIM_HIDDEN, DIM_INTER,
           LAYER(down)),
    NORM("transformer.layer.%zu.output_layer_norm", DIM_HIDDEN,
         LAYER(behind_feed)),
    DISTILBERT_HEADS,
};

static const struct tensor_rule mpnet_rules[] = {
    WORDS,
    POSITIONS,
    EMBEDDING_NORM,
    TABLE("encoder.relative_attention_bias.weight", USE_DISTANCES, DIM_BUCKETS,
          DIM_HEADS, MODEL(distances), 0),
    QKV("encoder.layer.%zu.attention.attn.q",
        "encoder.layer.%zu.attention.attn.k",
        "encoder.layer.%zu.attention.attn.v"),
    MATRIX("encoder.layer.%zu.attention.attn.o", DIM_HIDDEN, DIM_HIDDEN,
           LAYER(attention_out)),
    NORM("encoder.layer.%zu.attention.LayerNorm", DIM_HIDDEN,
         LAYER(behind_attention)),
    MATRIX("encoder.layer.%zu.intermediate.dense", DIM_INTER, DIM_HIDDEN,
           LAYER(up)),
    MATRIX("encoder.layer.%zu.output.dense", DIM_HIDDEN, DIM_INTER,
           LAYER(down)),
    NORM("encoder.layer.%zu.output.LayerNorm", DIM_HIDDEN, LAYER(behind_feed)),
    ROBERTA_HEADS,
};

#define ALBERT_LAYER "encoder.albert_layer_groups.%zu.albert_layers.0."
static const struct tensor_rule albert_rules[] = {
    WORDS,
    POSITIONS,
    TYPES,
    EMBEDDING_NORM,
    PART("encoder.embedding_hidden_mapping_in", DIM_HIDDEN, DIM_EMBEDDING,
         MODEL(projection), 0, TRAIT_PROJECTS, 0),
    QKV(ALBERT_LAYER "attention.query", ALBERT_LAYER "attention.key",
        ALBERT_LAYER "attention.value"),
    MATRIX(ALBERT_LAYER "attention.dense", DIM_HIDDEN, DIM_HIDDEN,
           LAYER(attention_out)),
    NORM(ALBERT_LAYER "attention.LayerNorm", DIM_HIDDEN,
         LAYER(behind_attention)),
    MATRIX(ALBERT_LAYER "ffn", DIM_INTER, DIM_HIDDEN, LAYER(up)),
    MATRIX(ALBERT_LAYER "ffn_output", DIM_HIDDEN, DIM_INTER, LAYER(down)),
    NORM(ALBERT_LAYER "full_layer_layer_norm", DIM_HIDDEN, LAYER(behind_feed)),
    PART("pooler", DIM_HIDDEN, DIM_HIDDEN, MODEL(head.inside), 0,
         TRAIT_CLASSIFIER, 0),
    HEAD_MATRIX("classifier", DIM_LABELS, DIM_HIDDEN, MODEL(head.labels),
                TRAIT_CLASSIFIER),
};

static const char *const bert_prefixes[] = {"", "bert.", NULL};
static const char *const ernie_prefixes[] = {"", "ernie.", NULL};
static const char *const distilbert_prefixes[] = {"", "distilbert.", NULL};
static const char *const mpnet_prefixes[] = {"", "mpnet.", NULL};
static const char *const electra_prefixes[] = {"", "electra.", NULL};
static const char *const roberta_prefixes[] = {"", "roberta.", NULL};
static const char *const albert_prefixes[] = {"", "albert.", NULL};

/* position_ids is a constant of older files; poolers and the heads behind them
 * (next sentence, masked or replaced tokens, classes) are not part of a
 * sentence vector. */
static const char *const bert_ignored[] = {"embeddings.position_ids", "pooler.",
                                           "cls.", NULL};
static const char *const ernie_ignored[] = {"embeddings.position_ids",
                                            "embeddings.task_type_embeddings.",
                                            "pooler.", "cls.", NULL};
static const char *const distilbert_ignored[] = {"embeddings.position_ids",
                                                 "vocab_transform.",
                                                 "vocab_layer_norm.",
                                                 "vocab_projector.",
                                                 "pre_classifier.",
                                                 "classifier.",
                                                 "qa_outputs.",
                                                 NULL};
static const char *const lm_head_ignored[] = {"embeddings.position_ids",
                                              "pooler.",
                                              "lm_head.",
                                              "classifier.",
                                              "qa_outputs.",
                                              NULL};
static const char *const electra_ignored[] = {"embeddings.position_ids",
                                              "discriminator_predictions.",
                                              "generator_predictions.",
                                              "generator_lm_head.",
                                              "classifier.",
                                              "qa_outputs.",
                                              NULL};
static const char *const albert_ignored[] = {"embeddings.position_ids",
                                             "pooler.",
                                             "predictions.",
                                             "sop_classifier.",
                                             "classifier.",
                                             "qa_outputs.",
                                             NULL};

const struct config_words bert_words = {
    "hidden_size",       "num_hidden_layers", "num_attention_heads",
    "intermediate_size", "hidden_act",        "layer_norm_eps"};
static const struct config_words distilbert_words = {
    "dim", "n_layers", "n_heads", "hidden_dim", "activation", NULL};

#define LIKE_ROBERTA                                                           \
    RULES(roberta_rules), .prefixes = roberta_prefixes,                        \
                          .ignored = lm_head_ignored, .words = &bert_words,    \
                          .read = read_bert, .word_inside = "gelu",            \
                          .label_inside = "tanh", .activation = "gelu",        \
                          .positions = POSITIONS_PAST_PAD, .length = 512

const struct family families_bert[] = {
    {.model_type = "bert",
     .length = 512,
     .title = "BERT",
     .examples = "sentence-transformers/all-MiniLM-L6-v2, "
                 "BAAI/bge-base-en-v1.5",
     RULES(bert_rules),
     .prefixes = bert_prefixes,
     .ignored = bert_ignored,
     .words = &bert_words,
     .read = read_bert,
     .label_inside = "tanh",
     .activation = "gelu"},
    {.model_type = "ernie",
     .length = 512,
     .title = "ERNIE",
     .examples = "shibing624/text2vec-base-chinese-paraphrase",
     RULES(ernie_rules),
     .prefixes = ernie_prefixes,
     .ignored = ernie_ignored,
     .words = &bert_words,
     .read = read_ernie,
     .label_inside = "tanh",
     .activation = "gelu"},
    {.model_type = "distilbert",
     .length = 512,
     .title = "DistilBERT",
     .examples = "sentence-transformers/msmarco-distilbert-base-tas-b",
     RULES(distilbert_rules),
     .prefixes = distilbert_prefixes,
     .ignored = distilbert_ignored,
     .words = &distilbert_words,
     .read = read_bert,
     .label_inside = "relu",
     .activation = "gelu",
     .fixed_epsilon = true},
    {.model_type = "mpnet",
     .length = 512,
     .title = "MPNet",
     .examples = "sentence-transformers/all-mpnet-base-v2",
     RULES(mpnet_rules),
     .prefixes = mpnet_prefixes,
     .ignored = lm_head_ignored,
     .words = &bert_words,
     .read = read_bert,
     .word_inside = "gelu",
     .label_inside = "tanh",
     .activation = "gelu",
     .positions = POSITIONS_PAST_1},
    {.model_type = "electra",
     .length = 512,
     .title = "ELECTRA",
     .examples = "google/electra-small-discriminator",
     RULES(electra_rules),
     .prefixes = electra_prefixes,
     .ignored = electra_ignored,
     .words = &bert_words,
     .read = read_bert,
     .label_inside = "gelu",
     .activation = "gelu",
     .embedding_size = 128},
    {.model_type = "roberta",
     .title = "RoBERTa",
     .examples = "sentence-transformers/all-distilroberta-v1",
     LIKE_ROBERTA},
    {.model_type = "xlm-roberta",
     .title = "XLM-RoBERTa",
     .examples = "BAAI/bge-m3, intfloat/multilingual-e5-base, "
                 "Snowflake/snowflake-arctic-embed-l-v2.0",
     LIKE_ROBERTA},
    {.model_type = "camembert",
     .title = "CamemBERT",
     .examples = "dangvantuan/sentence-camembert-base",
     LIKE_ROBERTA},
    {.model_type = "albert",
     .length = 512,
     .title = "ALBERT",
     .examples = "sentence-transformers/paraphrase-albert-small-v2",
     RULES(albert_rules),
     .prefixes = albert_prefixes,
     .ignored = albert_ignored,
     .words = &bert_words,
     .read = read_bert,
     .label_inside = "tanh",
     .activation = "gelu_new",
     .embedding_size = 128,
     .always_projects = true,
     .shares_layers = true},
};

const size_t families_bert_count = sizeof families_bert / sizeof *families_bert;
