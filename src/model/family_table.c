/* family_table.c - models that are a table of words and nothing else. Nobody's
 * config.json says so: hub/table.c makes one of the tensors' shapes. */

#include "model/family_parts.h"

/* As sentence-transformers calls it, and as model2vec does; what may stand
 * beside the latter is read in weights_folded.c. */
static const struct tensor_rule static_rules[] = {
    RULE("embedding.weight", USE_TABLE, DIM_VOCAB, DIM_EMBEDDING,
         MODEL(embedding.words), 0, .old_name = "embeddings"),
};

static const char *const no_prefixes[] = {"", NULL};
static const char *const none_ignored[] = {NULL};

const struct family families_table[] = {
    {.model_type = "StaticEmbedding",
     .title = "StaticEmbedding",
     .examples = "minishlab/potion-base-8M, "
                 "sentence-transformers/static-retrieval-mrl-en-v1",
     RULES(static_rules),
     .prefixes = no_prefixes,
     .ignored = none_ignored,
     .words = &bert_words,
     .read = read_table,
     .no_layers = true},
};

const size_t families_table_count =
    sizeof families_table / sizeof *families_table;
