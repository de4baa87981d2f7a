/* family.h - the table of model families: one row a family, saying which
 * tensors it has under which names and in what shapes.
 *
 * Adding a family is adding a row here (and, where its layer computes something
 * new, a line in transformer.c and a verb in device/). CONTRIBUTING.md walks
 * through it.
 */

#ifndef MODEL_FAMILY_H
#define MODEL_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

#include "device/operands.h"

#include <jansson.h>

/* Sizes that a shape is written in; the numbers come from model_spec. */
enum dim {
    DIM_NONE,
    DIM_HIDDEN,
    DIM_INTER,
    DIM_INTER_TWICE, /* gate and up in one matrix */
    DIM_VOCAB,
    DIM_POSITIONS,
    DIM_TYPES,
    DIM_TASK_TYPES, /* ERNIE's */
    DIM_EMBEDDING,  /* width of the tables: hidden, where nothing projects */
    DIM_HEADS,
    DIM_HEAD,     /* head_dim */
    DIM_QUERY,    /* heads * head_dim */
    DIM_KEY,      /* kv_heads * head_dim */
    DIM_QKV,      /* all three in one matrix */
    DIM_BUCKETS,  /* of distances */
    DIM_RELATIVE, /* rows of the table of relative positions */
    DIM_EXPERTS,
    DIM_EXPERTS_INTER, /* experts * inter: one matrix an expert, stacked */
    DIM_LABELS,        /* of a classifier */
};

/* What a model of a family may have or not, by its config (spec.h) or by the
 * layer. A rule with such a word holds only where all of them are true. */
enum trait {
    TRAIT_PROJECTS = 1 << 0, /* rows of the tables are projected */
    TRAIT_QKV_BIAS = 1 << 1,
    TRAIT_OUT_BIAS = 1 << 2,  /* behind attention */
    TRAIT_FEED_BIAS = 1 << 3, /* of the feed-forward block */
    TRAIT_NORM_BIAS = 1 << 4,
    TRAIT_QK_NORM = 1 << 5,
    TRAIT_TYPES = 1 << 6,         /* a table of token types */
    TRAIT_POSITIONS = 1 << 7,     /* a table of positions */
    TRAIT_GATED = 1 << 8,         /* the feed-forward block has a gate */
    TRAIT_PLAIN = 1 << 9,         /* it has none */
    TRAIT_UNTIED = 1 << 10,       /* its decoder has a table of its own ... */
    TRAIT_TIED = 1 << 13,         /* ... or the words' */
    TRAIT_DOWN_BIAS = 1 << 14,    /* of the feed-forward block's last matrix, in
                                     families where it is asked for by itself */
    TRAIT_MLM = 1 << 11,          /* the head that guesses words is wanted */
    TRAIT_CLASSIFIER = 1 << 12,   /* the head that gives scores is wanted */
    TRAIT_YES_NO = 1 << 20,       /* scores by two words' logits are wanted */
    TRAIT_HEAD_BIAS = 1 << 21,    /* of a head's first matrix, in ModernBERT */
    TRAIT_DECODER_BIAS = 1 << 22, /* of the decoder, likewise */
    TRAIT_RELATIVE_NORM = 1 << 15, /* rows of relative positions are normed */
    TRAIT_RELATIVE = 1 << 23,      /* there are such rows */
    TRAIT_RELATIVE_OWN = 1 << 24,  /* ... and matrices for them in each layer */
    TRAIT_TASK_TYPES = 1 << 25,    /* a table of ERNIE's tasks */
    /* these differ from layer to layer */
    TRAIT_LAYER_NORM = 1 << 16, /* the norm before attention is there (all
                                   layers but ModernBERT's first) */
    TRAIT_LAYER_EXPERTS = 1 << 17,
    TRAIT_LAYER_DENSE = 1 << 18, /* no experts */
};

enum tensor_use {
    USE_TABLE,      /* rows are looked up: stays as it is */
    USE_TYPES,      /* rows 0 and 1 are used, where there are two */
    USE_TASK_TYPES, /* row 0 is added to those of USE_TYPES: every text's task
                       is the first */
    USE_MATRIX,     /* [out, in], packed for the device */
    USE_BIAS,       /* [out] of the matrix at the same target */
    USE_VECTOR,     /* [out], for itself: the target is a float pointer */
    USE_NORM_SCALE, /* [width] */
    USE_NORM_SHIFT, /* [width] */
    USE_DISTANCES,  /* [buckets, heads], spread over distances: see
                       weights.h */
    USE_RELATIVE,   /* DeBERTa's table: normed when it is loaded */
    USE_EXPERTS,    /* [experts * out, in]: the target is an array of linears */
    USE_WORD_ROWS,  /* [vocab, in] of which only a row of yes less a row of no
                       is used: a matrix of one row */
    USE_EXPERTS_TURNED, /* [experts * in, out], each turned when loaded */
};

/* One tensor of the model. Where it goes: a struct linear, norm or embedding
 * at TARGET bytes in struct weights, or in struct layer_weights when the name
 * has a %zu for the layer. */
struct tensor_rule {
    const char *name;
    const char *old_name; /* an older spelling, or NULL */
    enum tensor_use use;
    enum dim rows; /* of the shape; a vector has only rows */
    enum dim columns;
    size_t target;
    unsigned part;       /* of a joined matrix: its rows come behind the parts
                            before it (0 Q, 1 K, 2 V; 0 gate, 1 up) */
    unsigned traits;     /* TRAIT_*: only where all of these hold */
    bool bare;           /* a head's: no prefix goes before its name */
    bool halves_swapped; /* its second half of rows goes before its first (a
                            file that has up before gate) */
    const char *whole;   /* in files where one tensor holds all the parts, one
                            behind the other: its name. Or NULL */
    bool whole_reversed; /* there the last part comes first */
};

/* config.json's words for sizes. */
struct config_words {
    const char *hidden, *layers, *heads, *inter, *activation;
    const char *epsilon; /* of the norms */
};

/* Where norms stand around a block (attention, feed-forward). */
enum norm_order {
    NORM_BEHIND, /* x = norm(x + block(x)): BERT */
    NORM_BEFORE, /* x = x + block(norm(x)); one more behind the last layer */
    NORM_AROUND, /* x = x + norm(block(norm(x))); likewise */
    NORM_TWICE,  /* as NORM_BEHIND, but for attention, behind which there are
                    two: x = norm(x + norm(x + attention(x))) */
};

struct model_spec;
struct config_source;
struct error;

/* Which row of the position table a text's first token has. */
enum position_start {
    POSITIONS_FROM_0,
    POSITIONS_PAST_PAD, /* pad_token_id + 1; a pad token that a text spells
                           has the row before that, and takes no number */
    POSITIONS_PAST_1,   /* likewise, where padding is 1 whatever the config */
};

struct family {
    const char *model_type; /* config.json's word */
    /* Of several families with one word: is CONFIG (an object) this one's?
     * NULL: it is if it is nobody else's. */
    bool (*is)(const json_t *config);
    const char *title; /* for reports */
    const struct tensor_rule *rules;
    size_t rules_count;
    const char *const *prefixes; /* what may stand before every name; the
                                    first that fits is taken. NULL at the end */
    const char *const *ignored;  /* beginnings of names (behind the prefix or
                                    without one) that a sentence vector does
                                    not need, or ends, behind a '*'. NULL at
                                    the end */
    const char *examples;        /* ids of such models, for docs/models.md */
    const char *inside; /* the object in config.json that has the sizes, where
                           there is one of this name ("text_config"); NULL:
                           config.json itself */
    const struct config_words *words;
    const char *activation; /* what a config that says none means; NULL: `read`
                               sets the spec's */
    enum position_start positions;
    size_t length; /* what a config without "max_position_embeddings" means; 0:
                      such a model has no such limit */
    size_t embedding_size; /* what a config without "embedding_size" means; 0:
                              tables are as wide as the rest */
    bool always_projects;  /* through a matrix even if the widths are equal */
    const char *label_inside; /* activation behind a classifier's first matrix;
                                 NULL: it has only one */
    const char *word_inside;  /* activation behind the first matrix of the head
                                 that guesses words; NULL: the model's own */
    enum pooling label_pooling; /* the row that a classifier reads */
    float epsilon; /* what a config that says none means; 0: 1e-12 */
    bool untied; /* its decoder has its own table where a config says nothing */
    bool fixed_epsilon; /* 1e-12 whatever the config says */
    bool shares_layers; /* num_hidden_groups of them, used several times or
                           not at all */
    bool no_layers;     /* the tables alone: rows go to the heads as they are */
    enum norm_order norms;
    bool rms;            /* norms do not take the mean away ... */
    bool scale_plus_one; /* ... and their scales are stored less 1 (Gemma) */
    /* What else config.json says of such models; NULL: nothing. Sets what it
     * finds in SPEC, whose common sizes are read (spec_parts.h has helpers),
     * and refuses by name what we do not have. */
    bool (*read)(const struct config_source *from, struct model_spec *spec,
                 struct error *err);
};

/* NULL if there is none. */
const struct family *family_of(const char *model_type, const json_t *config);
/* The same where nothing is known but the word. */
const struct family *family_find(const char *model_type);
const struct family *family_at(size_t i); /* NULL after the last */

/* Does a tensor of it have this size? */
bool family_has(const struct family *family, enum dim dim);

#endif
