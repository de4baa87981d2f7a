#include "model/family.h"

#include <stddef.h>
#include <string.h>

#include "model/weights.h"

#define LAYER(field) offsetof(struct layer_weights, field)
#define MODEL(field) offsetof(struct weights, field)

/* Names as transformers 5 writes them; LayerNorm's older words gamma and beta
 * are still in bert-base-uncased. */
static const struct tensor_rule bert_rules[] = {
    {"embeddings.word_embeddings.weight", NULL, USE_TABLE, DIM_VOCAB,
     DIM_HIDDEN, MODEL(embedding.words), 0},
    {"embeddings.position_embeddings.weight", NULL, USE_TABLE, DIM_POSITIONS,
     DIM_HIDDEN, MODEL(embedding.position), 0},
    {"embeddings.token_type_embeddings.weight", NULL, USE_FIRST_ROW, DIM_TYPES,
     DIM_HIDDEN, MODEL(embedding.type), 0},
    {"embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma",
     USE_NORM_SCALE, DIM_HIDDEN, DIM_NONE, MODEL(embedding_norm), 0},
    {"embeddings.LayerNorm.bias", "embeddings.LayerNorm.beta", USE_NORM_SHIFT,
     DIM_HIDDEN, DIM_NONE, MODEL(embedding_norm), 0},

    {"encoder.layer.%zu.attention.self.query.weight", NULL, USE_MATRIX,
     DIM_HIDDEN, DIM_HIDDEN, LAYER(qkv), 0},
    {"encoder.layer.%zu.attention.self.query.bias", NULL, USE_BIAS, DIM_HIDDEN,
     DIM_NONE, LAYER(qkv), 0},
    {"encoder.layer.%zu.attention.self.key.weight", NULL, USE_MATRIX,
     DIM_HIDDEN, DIM_HIDDEN, LAYER(qkv), 1},
    {"encoder.layer.%zu.attention.self.key.bias", NULL, USE_BIAS, DIM_HIDDEN,
     DIM_NONE, LAYER(qkv), 1},
    {"encoder.layer.%zu.attention.self.value.weight", NULL, USE_MATRIX,
     DIM_HIDDEN, DIM_HIDDEN, LAYER(qkv), 2},
    {"encoder.layer.%zu.attention.self.value.bias", NULL, USE_BIAS, DIM_HIDDEN,
     DIM_NONE, LAYER(qkv), 2},
    {"encoder.layer.%zu.attention.output.dense.weight", NULL, USE_MATRIX,
     DIM_HIDDEN, DIM_HIDDEN, LAYER(attention_out), 0},
    {"encoder.layer.%zu.attention.output.dense.bias", NULL, USE_BIAS,
     DIM_HIDDEN, DIM_NONE, LAYER(attention_out), 0},
    {"encoder.layer.%zu.attention.output.LayerNorm.weight",
     "encoder.layer.%zu.attention.output.LayerNorm.gamma", USE_NORM_SCALE,
     DIM_HIDDEN, DIM_NONE, LAYER(attention_norm), 0},
    {"encoder.layer.%zu.attention.output.LayerNorm.bias",
     "encoder.layer.%zu.attention.output.LayerNorm.beta", USE_NORM_SHIFT,
     DIM_HIDDEN, DIM_NONE, LAYER(attention_norm), 0},
    {"encoder.layer.%zu.intermediate.dense.weight", NULL, USE_MATRIX, DIM_INTER,
     DIM_HIDDEN, LAYER(up), 0},
    {"encoder.layer.%zu.intermediate.dense.bias", NULL, USE_BIAS, DIM_INTER,
     DIM_NONE, LAYER(up), 0},
    {"encoder.layer.%zu.output.dense.weight", NULL, USE_MATRIX, DIM_HIDDEN,
     DIM_INTER, LAYER(down), 0},
    {"encoder.layer.%zu.output.dense.bias", NULL, USE_BIAS, DIM_HIDDEN,
     DIM_NONE, LAYER(down), 0},
    {"encoder.layer.%zu.output.LayerNorm.weight",
     "encoder.layer.%zu.output.LayerNorm.gamma", USE_NORM_SCALE, DIM_HIDDEN,
     DIM_NONE, LAYER(output_norm), 0},
    {"encoder.layer.%zu.output.LayerNorm.bias",
     "encoder.layer.%zu.output.LayerNorm.beta", USE_NORM_SHIFT, DIM_HIDDEN,
     DIM_NONE, LAYER(output_norm), 0},
};

static const char *const bert_prefixes[] = {"", "bert.", NULL};

/* position_ids is a constant of older files; the pooler and the heads behind
 * it (next sentence, masked tokens) are not part of a sentence vector. */
static const char *const bert_ignored[] = {"embeddings.position_ids", "pooler.",
                                           "cls.", NULL};

static const struct family families[] = {
    {"bert", "BERT", bert_rules, sizeof bert_rules / sizeof *bert_rules,
     bert_prefixes, bert_ignored},
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
