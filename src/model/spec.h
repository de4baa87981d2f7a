/* spec.h - what a model is, in numbers: its config.json read against the table
 * of families, and the modules that make a sentence vector of its rows.
 *
 * The words for sizes are the same everywhere: hidden (width of a token),
 * inter (width inside the feed-forward block), heads, head_dim, vocab, width
 * (of the sentence vector).
 */

#ifndef MODEL_SPEC_H
#define MODEL_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "device/operands.h"
#include "hub/model_files.h"
#include "model/family.h"

/* A layer that the family's table does not have: a module behind the pooling,
 * or the linear of a head, in files of its own or beside the encoder. */
enum module_what { MODULE_LINEAR, MODULE_NORM, MODULE_UNIT };
struct module_spec {
    enum module_what what;
    size_t in, out;
    bool bias;
    enum activation activation;         /* of a linear */
    const struct tensor_source *source; /* borrowed from the model's files */
};

/* Rotary positions: pair p of row i is turned by i * inverse[p]. What the
 * config's theta and scaling make of that is in INVERSE and FACTOR already
 * (computed as transformers' ROPE_INIT_FUNCTIONS do, in float). */
enum { ROTARY_PAIRS = 128 };
struct rotary_spec {
    size_t dims; /* even, <= head_dim; 0: none */
    bool interleaved;
    float factor;                /* on cosine and sine; 1 for most */
    float inverse[ROTARY_PAIRS]; /* [dims / 2] */
};

/* What a query sees: device.h's struct attention. */
struct reach {
    size_t behind, ahead;
};

/* The relative biases of T5 and MPNet, unless a config says otherwise: so many
 * buckets, the last of which begins before that distance. */
enum { DISTANCE_BUCKETS = 32, DISTANCE_REACH = 128 };

#define TASK_NONE SIZE_MAX

enum { LAYERS_LIMIT = 512 }; /* no model has more */
struct layer_set {
    uint64_t bits[LAYERS_LIMIT / 64];
};

static inline bool layer_set_has(const struct layer_set *set, size_t layer) {
    return set->bits[layer / 64] >> layer % 64 & 1;
}

static inline void layer_set_add(struct layer_set *set, size_t layer) {
    set->bits[layer / 64] |= (uint64_t)1 << layer % 64;
}

/* What one forward pass can give of a text. */
enum head {
    HEAD_DENSE = 1,
    HEAD_SPARSE = 2, /* lexical weights, or SPLADE */
    HEAD_MULTI = 4,  /* a vector a token */
    HEAD_SCORE = 8,  /* of a pair of texts */
};

/* Tokens of a text where nothing sets a limit. */
enum { MODEL_LENGTH_MAX = 1 << 20 };

struct model_spec {
    const struct family *family;
    size_t hidden, layers, heads, kv_heads, head_dim, inter;
    size_t depth; /* times that a text goes through a layer: layers, or more
                     where they are shared, or fewer where some are spare */
    size_t vocab, positions, types, buckets; /* 0: the family has none */
    size_t task_types;     /* rows of ERNIE's table of tasks; 0: none */
    size_t embedding;      /* width of the tables */
    size_t folded_rows;    /* of the file's table, where those of VOCAB are made
                              of it (weights_folded.c); 0: it is theirs */
    unsigned traits;       /* enum trait: what of its family's it has */
    size_t position_first; /* of a text's first token */
    bool pad_has_no_position;
    uint32_t pad;
    float norm_epsilon;
    enum activation activation;

    /* what only some families have; see family.h and device.h */
    float embedding_scale;        /* 1 for most */
    float attention_scale;        /* 1 / sqrt(head_dim) for most */
    struct reach reach[2];        /* of global layers, of local ones */
    struct rotary_spec rotary[2]; /* likewise */
    struct layer_set local;       /* layers that are */
    struct layer_set experts_at;  /* layers that have experts */
    size_t experts, experts_chosen;
    bool alibi;
    size_t distance_reach;   /* relative biases: farther counts as that far */
    size_t buckets_used;     /* of `buckets`, by distances: half a direction */
    size_t relative_reach;   /* DeBERTa: likewise; 2 at least */
    size_t relative_rows;    /* of its table; 0: none */
    size_t relative_buckets; /* 0: a row for each distance */

    /* adapters: see weights_lora.c */
    size_t lora_rank; /* 0: there are none */
    size_t lora_tasks;
    float lora_scale;
    size_t task; /* which of the files' tasks is merged into the weights (its
                    index there), or TASK_NONE. model_spec_read takes the
                    default; a caller that was asked for another sets it */

    size_t max_length; /* tokens a text may have, special ones included */

    unsigned gives; /* HEAD_*: what is loaded and can be asked of a pass */
    enum pooling pooling[POOLING_MODES_MAX]; /* concatenated in this order */
    size_t pooling_count;
    bool pooling_include_prompt;
    struct module_spec sentence[SENTENCE_MAX]; /* behind it, in order */
    size_t sentence_count;
    bool normalize; /* the vectors that come out have length 1 */
    size_t width;   /* of the vector that comes out */

    enum sparse_kind sparse;
    struct module_spec lexical;  /* of a row, one number */
    enum accumulate splade;      /* over a text's rows */
    enum activation word_inside; /* behind the first matrix of that head */
    bool splade_log;             /* log(1 + x) of what came together ... */
    bool splade_log_twice;       /* ... and once more */

    struct module_spec token[DENSE_MAX]; /* on each row, for multivectors */
    size_t token_count;
    bool token_normalize;
    size_t multi_width; /* of a token's vector; 0: none */

    size_t labels;                    /* scores a text; 0: none */
    enum pooling label_pooling;       /* the row that it reads */
    size_t label_pad;                 /* POOLING_LAST: rows of this id at a
                                         text's end are passed over (but for
                                         the first); SIZE_MAX: of none */
    enum activation label_inside;     /* behind its first matrix */
    enum activation label_activation; /* over the scores */
    size_t yes_id, no_id; /* TRAIT_YES_NO: rows of the words; NO_ID SIZE_MAX:
                             none is taken away */
};

/* False and ERROR_UNSUPPORTED (an architecture, an option of it: by name),
 * ERROR_INPUT (numbers that cannot be). */
bool model_spec_read(const struct model_files *files, struct model_spec *spec,
                     struct error *err);

/* Besides what the model is used for (files->use), one pass is to give HEAD as
 * well: bge-m3's sparse or multi. ERROR_UNSUPPORTED if its files have no such
 * head. */
bool model_spec_add_head(const struct model_files *files, enum head head,
                         struct model_spec *spec, struct error *err);

/* The layers of SPEC that lie in files of their own or beside the encoder, NULL
 * behind the last. */
const struct module_spec *model_spec_module(const struct model_spec *spec,
                                            size_t i);

/* Only the family and its sizes, of a config.json at PATH, whose model need
 * not be one that we can compute otherwise. */
bool model_spec_read_sizes(const json_t *config, const char *path,
                           struct model_spec *spec, struct error *err);

/* Does RULE's tensor belong to such a model, in LAYER (any, for those that are
 * in no layer)? */
bool model_spec_has(const struct model_spec *spec,
                    const struct tensor_rule *rule, size_t layer);

/* Numbers of a token's queries, keys and values. */
static inline size_t model_spec_qkv(const struct model_spec *spec) {
    return (spec->heads + 2 * spec->kv_heads) * spec->head_dim;
}

/* The layer that a text goes through at STEP < depth. */
size_t model_spec_layer(const struct model_spec *spec, size_t step);

/* Width of the pooled vector before any Dense module. */
size_t model_spec_pooled_width(const struct model_spec *spec);

/* The widest row that pooling and the Dense modules pass through. */
size_t model_spec_head_width(const struct model_spec *spec);

#endif
