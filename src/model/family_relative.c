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
};
const size_t families_relative_count =
    sizeof families_relative / sizeof *families_relative;
