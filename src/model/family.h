/* family.h - the table of model families: one row a family, saying which
 * tensors it has under which names and in what shapes.
 *
 * Adding a family is adding a row here (and, where its layer computes something
 * new, a line in encoder.c and a verb in device/). CONTRIBUTING.md walks
 * through it.
 */

#ifndef MODEL_FAMILY_H
#define MODEL_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

/* Sizes that a shape is written in; the numbers come from model_spec. */
enum dim {
    DIM_NONE,
    DIM_HIDDEN,
    DIM_INTER,
    DIM_VOCAB,
    DIM_POSITIONS,
    DIM_TYPES,
    DIM_EMBEDDING, /* width of the tables: hidden, where nothing projects */
    DIM_HEADS,
    DIM_BUCKETS, /* of distances */
};

enum tensor_use {
    USE_TABLE,      /* rows are looked up: stays as it is */
    USE_FIRST_ROW,  /* only row 0 is used */
    USE_MATRIX,     /* [out, in], packed for the device */
    USE_BIAS,       /* [out] of the matrix at the same target */
    USE_NORM_SCALE, /* [width] */
    USE_NORM_SHIFT, /* [width] */
    USE_DISTANCES,  /* [buckets, heads], spread over distances: see
                       weights.h */
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
    unsigned part; /* of a joined matrix: its rows come behind the parts
                      before it (0 Q, 1 K, 2 V) */
    bool projects; /* only where the embedding's rows are projected */
};

/* config.json's words for sizes. */
struct config_words {
    const char *hidden, *layers, *heads, *inter, *activation;
};

/* Which row of the position table a text's first token has. */
enum position_start {
    POSITIONS_FROM_0,
    POSITIONS_PAST_PAD, /* pad_token_id + 1; a pad token that a text spells
                           has the row before that, and takes no number */
    POSITIONS_PAST_1,   /* likewise, where padding is 1 whatever the config */
};

struct family {
    const char *model_type; /* config.json's word */
    const char *title;      /* for reports */
    const struct tensor_rule *rules;
    size_t rules_count;
    const char *const *prefixes; /* what may stand before every name; the
                                    first that fits is taken. NULL at the end */
    const char *const *ignored;  /* beginnings of names (behind the prefix or
                                    without one) that a sentence vector does
                                    not need. NULL at the end */
    const char *examples;        /* ids of such models, for docs/models.md */
    const struct config_words *words;
    const char *activation; /* what a config that says none means */
    enum position_start positions;
    size_t embedding_size; /* what a config without "embedding_size" means; 0:
                              tables are as wide as the rest */
    bool always_projects;  /* through a matrix even if the widths are equal */
    bool fixed_epsilon;    /* 1e-12 whatever the config says */
    bool shares_layers;    /* num_hidden_groups of them, used several times */
};

/* NULL if there is none. */
const struct family *family_find(const char *model_type);
const struct family *family_at(size_t i); /* NULL after the last */

/* Does a tensor of it have this size? */
bool family_has(const struct family *family, enum dim dim);

#endif
