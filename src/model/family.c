#include "model/family.h"

#include <stddef.h>
#include <string.h>

#include "model/weights.h"

#define LAYER(field) offsetof(struct layer_weights, field)
#define MODEL(field) offsetof(struct weights, field)

/* A rule and its place. MATRIX and NORM are two tensors each; OLD_NORM's had
 * the words gamma and beta once, and bert-base-uncased still has them. */
#define TABLE(name, use, rows, columns, target)                                \
    { name, NULL, use, rows, columns, target, 0, false }
#define PART(name, rows, columns, target, part, projects)                      \
    {name ".weight", NULL, USE_MATRIX, rows, columns, target, part, projects}, \
    {                                                                          \
        name ".bias", NULL, USE_BIAS, rows, DIM_NONE, target, part, projects   \
    }
#define MATRIX(name, rows, columns, target)                                    \
    PART(name, rows, columns, target, 0, false)
#define NORM_NAMED(name, old_scale, old_shift, width, target)                  \
    {name ".weight", old_scale, USE_NORM_SCALE, width, DIM_NONE,               \
     target,         0,         false},                                        \
    {                                                                          \
        name ".bias", old_shift, USE_NORM_SHIFT, width, DIM_NONE, target, 0,   \
            false                                                              \
    }
#define NORM(name, width, target) NORM_NAMED(name, NULL, NULL, width, target)
#define OLD_NORM(name, width, target)                                          \
    NORM_NAMED(name, name ".gamma", name ".beta", width, target)
#define QKV(query, key, value)                                                 \
    PART(query, DIM_HIDDEN, DIM_HIDDEN, LAYER(qkv), 0, false),                 \
        PART(key, DIM_HIDDEN, DIM_HIDDEN, LAYER(qkv), 1, false),               \
        PART(value, DIM_HIDDEN, DIM_HIDDEN, LAYER(qkv), 2, false)

#define WORDS                                                                  \
    TABLE("embeddings.word_embeddings.weight", USE_TABLE, DIM_VOCAB,           \
          DIM_EMBEDDING, MODEL(embedding.words))
#define POSITIONS                                                              \
    TABLE("embeddings.position_embeddings.weight", USE_TABLE, DIM_POSITIONS,   \
          DIM_EMBEDDING, MODEL(embedding.position))
#define TYPES                                                                  \
    TABLE("embeddings.token_type_embeddings.weight", USE_FIRST_ROW, DIM_TYPES, \
          DIM_EMBEDDING, MODEL(embedding.type))
#define EMBEDDING_NORM                                                         \
    OLD_NORM("embeddings.LayerNorm", DIM_EMBEDDING, MODEL(embedding_norm))

/* Names as transformers 5 writes them. The first rule of a family is its word
 * table: prefixes are told by it. */
static const struct tensor_rule bert_rules[] = {
    WORDS,
    POSITIONS,
    TYPES,
    EMBEDDING_NORM,
    PART("embeddings_project", DIM_HIDDEN, DIM_EMBEDDING, MODEL(projection), 0,
         true),
    QKV("encoder.layer.%zu.attention.self.query",
        "encoder.layer.%zu.attention.self.key",
        "encoder.layer.%zu.attention.self.value"),
    MATRIX("encoder.layer.%zu.attention.output.dense", DIM_HIDDEN, DIM_HIDDEN,
           LAYER(attention_out)),
    OLD_NORM("encoder.layer.%zu.attention.output.LayerNorm", DIM_HIDDEN,
             LAYER(attention_norm)),
    MATRIX("encoder.layer.%zu.intermediate.dense", DIM_INTER, DIM_HIDDEN,
           LAYER(up)),
    MATRIX("encoder.layer.%zu.output.dense", DIM_HIDDEN, DIM_INTER,
           LAYER(down)),
    OLD_NORM("encoder.layer.%zu.output.LayerNorm", DIM_HIDDEN,
             LAYER(output_norm)),
};

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
         LAYER(attention_norm)),
    MATRIX("transformer.layer.%zu.ffn.lin1", DIM_INTER, DIM_HIDDEN, LAYER(up)),
    MATRIX("transformer.layer.%zu.ffn.lin2", DIM_HIDDEN, DIM_INTER,
           LAYER(down)),
    NORM("transformer.layer.%zu.output_layer_norm", DIM_HIDDEN,
         LAYER(output_norm)),
};

static const struct tensor_rule mpnet_rules[] = {
    WORDS,
    POSITIONS,
    EMBEDDING_NORM,
    TABLE("encoder.relative_attention_bias.weight", USE_DISTANCES, DIM_BUCKETS,
          DIM_HEADS, MODEL(distances)),
    QKV("encoder.layer.%zu.attention.attn.q",
        "encoder.layer.%zu.attention.attn.k",
        "encoder.layer.%zu.attention.attn.v"),
    MATRIX("encoder.layer.%zu.attention.attn.o", DIM_HIDDEN, DIM_HIDDEN,
           LAYER(attention_out)),
    OLD_NORM("encoder.layer.%zu.attention.LayerNorm", DIM_HIDDEN,
             LAYER(attention_norm)),
    MATRIX("encoder.layer.%zu.intermediate.dense", DIM_INTER, DIM_HIDDEN,
           LAYER(up)),
    MATRIX("encoder.layer.%zu.output.dense", DIM_HIDDEN, DIM_INTER,
           LAYER(down)),
    OLD_NORM("encoder.layer.%zu.output.LayerNorm", DIM_HIDDEN,
             LAYER(output_norm)),
};

#define ALBERT_LAYER "encoder.albert_layer_groups.%zu.albert_layers.0."
static const struct tensor_rule albert_rules[] = {
    WORDS,
    POSITIONS,
    TYPES,
    EMBEDDING_NORM,
    PART("encoder.embedding_hidden_mapping_in", DIM_HIDDEN, DIM_EMBEDDING,
         MODEL(projection), 0, true),
    QKV(ALBERT_LAYER "attention.query", ALBERT_LAYER "attention.key",
        ALBERT_LAYER "attention.value"),
    MATRIX(ALBERT_LAYER "attention.dense", DIM_HIDDEN, DIM_HIDDEN,
           LAYER(attention_out)),
    OLD_NORM(ALBERT_LAYER "attention.LayerNorm", DIM_HIDDEN,
             LAYER(attention_norm)),
    MATRIX(ALBERT_LAYER "ffn", DIM_INTER, DIM_HIDDEN, LAYER(up)),
    MATRIX(ALBERT_LAYER "ffn_output", DIM_HIDDEN, DIM_INTER, LAYER(down)),
    NORM(ALBERT_LAYER "full_layer_layer_norm", DIM_HIDDEN, LAYER(output_norm)),
};

#define RULES(table)                                                           \
    .rules = (table), .rules_count = sizeof(table) / sizeof *(table)

static const char *const bert_prefixes[] = {"", "bert.", NULL};
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

static const struct config_words bert_words = {
    "hidden_size", "num_hidden_layers", "num_attention_heads",
    "intermediate_size", "hidden_act"};
static const struct config_words distilbert_words = {
    "dim", "n_layers", "n_heads", "hidden_dim", "activation"};

static const struct family families[] = {
    {.model_type = "bert",
     .title = "BERT",
     .examples = "sentence-transformers/all-MiniLM-L6-v2, "
                 "BAAI/bge-base-en-v1.5",
     RULES(bert_rules),
     .prefixes = bert_prefixes,
     .ignored = bert_ignored,
     .words = &bert_words,
     .activation = "gelu"},
    {.model_type = "distilbert",
     .title = "DistilBERT",
     .examples = "sentence-transformers/msmarco-distilbert-base-tas-b",
     RULES(distilbert_rules),
     .prefixes = distilbert_prefixes,
     .ignored = distilbert_ignored,
     .words = &distilbert_words,
     .activation = "gelu",
     .fixed_epsilon = true},
    {.model_type = "mpnet",
     .title = "MPNet",
     .examples = "sentence-transformers/all-mpnet-base-v2",
     RULES(mpnet_rules),
     .prefixes = mpnet_prefixes,
     .ignored = lm_head_ignored,
     .words = &bert_words,
     .activation = "gelu",
     .positions = POSITIONS_PAST_1},
    {.model_type = "electra",
     .title = "ELECTRA",
     .examples = "google/electra-small-discriminator",
     RULES(bert_rules),
     .prefixes = electra_prefixes,
     .ignored = electra_ignored,
     .words = &bert_words,
     .activation = "gelu",
     .embedding_size = 128},
    {.model_type = "roberta",
     .title = "RoBERTa",
     .examples = "sentence-transformers/all-distilroberta-v1",
     RULES(bert_rules),
     .prefixes = roberta_prefixes,
     .ignored = lm_head_ignored,
     .words = &bert_words,
     .activation = "gelu",
     .positions = POSITIONS_PAST_PAD},
    {.model_type = "xlm-roberta",
     .title = "XLM-RoBERTa",
     .examples = "BAAI/bge-m3, intfloat/multilingual-e5-base",
     RULES(bert_rules),
     .prefixes = roberta_prefixes,
     .ignored = lm_head_ignored,
     .words = &bert_words,
     .activation = "gelu",
     .positions = POSITIONS_PAST_PAD},
    {.model_type = "camembert",
     .title = "CamemBERT",
     .examples = "dangvantuan/sentence-camembert-base",
     RULES(bert_rules),
     .prefixes = roberta_prefixes,
     .ignored = lm_head_ignored,
     .words = &bert_words,
     .activation = "gelu",
     .positions = POSITIONS_PAST_PAD},
    {.model_type = "albert",
     .title = "ALBERT",
     .examples = "sentence-transformers/paraphrase-albert-small-v2",
     RULES(albert_rules),
     .prefixes = albert_prefixes,
     .ignored = albert_ignored,
     .words = &bert_words,
     .activation = "gelu_new",
     .embedding_size = 128,
     .always_projects = true,
     .shares_layers = true},
};

const struct family *family_at(size_t i) {
    return i < sizeof families / sizeof *families ? &families[i] : NULL;
}

const struct family *family_find(const char *model_type) {
    for (size_t i = 0; family_at(i); i++)
        if (!strcmp(family_at(i)->model_type, model_type))
            return family_at(i);
    return NULL;
}

bool family_has(const struct family *family, enum dim dim) {
    for (size_t i = 0; i < family->rules_count; i++)
        if (family->rules[i].rows == dim || family->rules[i].columns == dim)
            return true;
    return false;
}
