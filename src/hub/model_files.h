/* model_files.h - a model as sentence-transformers would read it: which files
 * it has, whether they are whole, and what they say.
 *
 * No network. What is missing is named before anything is loaded.
 *
 *     struct hub_places places = {.cache = "/home/me/.cache/huggingface/hub"};
 *     struct model_files *m = model_files_open(
 *         memory, "BAAI/bge-small-en-v1.5", NULL, MODEL_DENSE, &places, err);
 *
 * One folder can be used in several ways, and what its files mean depends on
 * the way: a BERT with an MLM head is a mean-pooled dense model to
 * SentenceTransformer and a SPLADE model to SparseEncoder. So the caller says
 * what the model is for, and gets what that class would have made of it.
 *
 * FACTS of the formats: sentence-transformers 6 (modules.json and the modules'
 * own configs, in their old and new spellings; the defaults of its four
 * classes), FlagEmbedding 1.4 (bge-m3's heads), PyLate 1.6 and colbert-ai 0.2
 * (late interaction), huggingface_hub 1 (cache).
 */

#ifndef HUB_MODEL_FILES_H
#define HUB_MODEL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/memory.h"
#include "hub/tokenizer_files.h"

/* Where models may lie. The cli reads the environment into this. */
struct hub_places {
    const char *cache; /* HF_HUB_CACHE, or HF_HOME/hub; may not exist */
};

/* The module kinds of modules.json that make a sentence vector. */
enum pooling_mode {
    POOL_CLS,
    POOL_LAST,
    POOL_MEAN,
    POOL_MEAN_SQRT,
    POOL_WEIGHTED_MEAN,
    POOL_MAX,
};
enum { POOLING_MODES_MAX = 6 };

/* What the model is for; SentenceTransformer, SparseEncoder,
 * MultiVectorEncoder and CrossEncoder of sentence-transformers. */
enum model_use { MODEL_DENSE, MODEL_SPARSE, MODEL_MULTI, MODEL_RERANK };

/* A linear layer that lies in files of its own (2_Dense/model.safetensors,
 * colbert_linear.pt), or beside the encoder in the model's own files: then
 * PATHS is the model's WEIGHTS. For tensors_open (tensors.h). */
struct tensor_source {
    const char *const *paths;
    size_t paths_count;
    const char *weight;     /* name of the [out, in] tensor */
    const char *bias;       /* name of the [out] tensor; NULL: none */
    bool residual;          /* what comes in is added to what goes out, */
    const char *shortcut;   /* through this [out, in] tensor; NULL: as it is */
    size_t in, out;         /* 0: what the tensor's shape says */
    const char *activation; /* last word of torch's class: "Tanh", "Identity" */
    const char *config;     /* path, for messages */
};

/* The modules behind the pooling, in their order. */
enum sentence_kind { SENTENCE_DENSE, SENTENCE_LAYER_NORM, SENTENCE_NORMALIZE };

struct sentence_module {
    enum sentence_kind kind;
    struct tensor_source source; /* Dense: as above. LayerNorm: WEIGHT and BIAS
                                    are [out], epsilon 1e-5 as torch has it.
                                    Normalize: unused */
};
enum { SENTENCE_MAX = 8, DENSE_MAX = 8, MULTI_SKIPLIST_MAX = 4096 };

/* Sparse vectors over the vocabulary. */
enum sparse_kind {
    SPARSE_NONE,
    SPARSE_SPLADE,  /* log1p(relu(MLM logits)), pooled over all tokens of the
                       text, special ones too */
    SPARSE_LEXICAL, /* relu(linear(hidden state)), the largest for each token id
                       of the text; ids of special tokens count for nothing
                       (FlagEmbedding: cls, eos, pad, unk), nor does a 0 */
    SPARSE_STATIC,  /* documents as SPLADE; a query is the STATIC_WEIGHTS of the
                       different ids that it has, without special tokens */
};

struct sparse_files {
    enum sparse_kind kind;
    bool sum;          /* SPLADE: pooled by sum, not by maximum */
    bool log_twice;    /* SPLADE: log1p(log1p(relu(x))), "log1p_relu" */
    size_t width;      /* as the files say; 0: not said, the vocabulary's */
    size_t active_max; /* only the so many largest values stay; 0: all */
    struct tensor_source linear; /* LEXICAL: [1, hidden] */
    /* STATIC: one weight an id, in a tensor file. Its folder's tokenizer is the
     * model's, but for a limit. */
    struct tensor_source static_weights;
    size_t static_max_length; /* without special tokens; 0: none */
};

/* One vector a token, scored by MaxSim. Prompts are as for the other models:
 * model_files_prompt gives the text that goes before a query or a document. */
struct multi_files {
    bool exists;
    struct tensor_source dense[DENSE_MAX]; /* on every token, in order */
    size_t dense_count;
    bool normalize;  /* rows to length 1 */
    bool drop_first; /* the first row (CLS) is not part of the result: bge-m3 */

    /* Markers that begin the prompts of older models ("[unused0]", "[Q] "):
     * where the vocabulary or the added tokens have one, it is a special token
     * in one piece; else it is text. NULL: none. */
    const char *query_marker, *document_marker;

    /* Tokens with special ones: the limit instead of max_length, past it too;
     * 0: that. QUERY_LENGTH does not count where queries are cut to
     * EXPAND_LENGTH. */
    size_t query_length, document_length;

    /* Queries are filled up with a token to EXPAND_LENGTH; the added rows are
     * part of the result. 0: they are not. */
    size_t expand_length;
    bool expand_cuts;         /* longer queries are cut to it ("fixed"), else
                                 ("min") to QUERY_LENGTH */
    bool expand_attends;      /* the others attend to the added tokens; else
                                 they only attend to the others */
    const char *expand_token; /* NULL: the mask token, else the end of text */
    bool fills_left, fills_right; /* padding_side where the transformer's file
                                     gives one: before the tokenizer's files */

    /* Words (whole vocabulary entries) whose rows are left out; those that the
     * vocabulary does not have count for nothing. */
    const char *const *skiplist;
    size_t skiplist_count; /* MULTI_SKIPLIST_MAX at most */
    bool skip_in_documents, skip_in_queries;
};

/* Scores of a query with a document. */
enum rerank_kind {
    RERANK_NONE,
    RERANK_CLASSIFIER, /* the family's classification head over a pair */
    RERANK_YES_NO,     /* logit of a token of yes less that of a token of no, at
                          the last position of a chat */
    RERANK_LISTWISE,   /* a query and many documents in one text */
};

/* A pair as text: HEAD instruction QUERY query DOCUMENT document TAIL, the
 * capital words being what is here. HEAD and INSTRUCTION are NULL where there
 * is no instruction. rerank_text.h puts it together. */
struct pair_template {
    const char *head, *query, *document, *tail;
    const char *instruction; /* where the user gives none */
};

struct rerank_files {
    enum rerank_kind kind;
    size_t labels;          /* CLASSIFIER: scores a pair */
    const char *activation; /* over the scores: "Sigmoid", "Identity" */
    /* YES_NO: tokens by their name, or (name NULL) by their id. NO_NONE: the
     * score is the yes token's logit alone. */
    const char *yes_token, *no_token;
    size_t yes_id, no_id;
    bool no_none;
    /* YES_NO always, CLASSIFIER where pair.query is not NULL: the pair is this
     * one text, without further special tokens */
    struct pair_template pair;
    /* LISTWISE: the hidden states at these tokens go through the layers, and
     * a document's score is the cosine of its vector with the query's. */
    const char *query_token, *document_token;
    struct tensor_source dense[DENSE_MAX];
    size_t dense_count;
};

/* A set of LoRA weights in the model (jina-embeddings-v3: one of
 * lora_adaptations), chosen with --task. */
struct model_task {
    const char *name;
    const char *prompt; /* name of the prompt that belongs to it, or NULL */
};

struct model_prompt {
    const char *name;
    const char *text;
};

struct model_files {
    enum model_use use;
    const char *id;       /* hub id, or NULL for a folder outside of a cache */
    const char *key;      /* for file and vector names; without `name=` */
    const char *folder;   /* absolute path of the snapshot or folder */
    const char *commit;   /* 40 hex digits, or NULL where none is known */
    const char *revision; /* what was asked for: "main" by default */
    bool routed; /* a Router chose what follows, and other tasks have others */

    const char *config_path;
    const json_t *config;         /* config.json, an object; of a
                                     StaticEmbedding what table.c makes */
    const char *tokenizer_folder; /* absolute */
    const struct tokenizer_path *tokenizer_files;
    size_t tokenizer_files_count;
    bool tokenizer_bare;        /* no special tokens go around a text */
    const char *const *weights; /* for tensors_open; shards in order */
    size_t weights_count;

    size_t max_length;     /* tokens, special ones included; 0: not said */
    bool positions_unsaid; /* it is the tokenizer's own, or 0, and config.json
                              says no number of positions: what a model of its
                              kind has then is a limit too */
    bool do_lower_case; /* of sentence_bert_config.json: a Lowercase goes before
                           tokenizer.json's own normalizer (so special tokens
                           in a text are still found as they are spelt) */

    /* MODEL_DENSE: one vector a text. Empty for the others. */
    enum pooling_mode pooling[POOLING_MODES_MAX]; /* concatenated in order */
    size_t pooling_count;
    bool pooling_include_prompt;
    struct sentence_module sentence[SENTENCE_MAX]; /* behind it, in order */
    size_t sentence_count;

    /* The other heads: that of USE, and for MODEL_DENSE those that the same
     * pass can give too (bge-m3's), for the caller to take or leave. */
    struct sparse_files sparse;
    struct multi_files multi;
    struct rerank_files rerank;

    const struct model_task *tasks; /* empty: the model has no tasks */
    size_t tasks_count;
    const char *default_task; /* a name among TASKS, or NULL: none of them */
    /* Adapters in a file of their own (jina-embeddings-v4: all tasks in one),
     * and its adapter_config.json; NULL: in WEIGHTS, or none. */
    const char *adapter_path, *adapter_config_path;

    /* "query" and "document" always, empty where the files say nothing */
    const struct model_prompt *prompts;
    size_t prompts_count;
    const char *default_prompt; /* a name among prompts, or NULL */
    const char *similarity;     /* "cosine" if not said */
    size_t truncate_dim;        /* 0: not said */
    const size_t *matryoshka;   /* widths that the model declares, by its files
                                   (truncate_dim counts) or the registry, or
                                   NULL */
    size_t matryoshka_count;
};

/* REFERENCE is an existing folder with config.json or modules.json, a registry
 * key (case-insensitive) or a hub id. REVISION is a branch, tag or commit;
 * NULL is main. NULL and ERROR_MISSING (names what is not there, and the
 * remedy), ERROR_INPUT (a file that is broken) or ERROR_UNSUPPORTED (a module,
 * by name). The caller frees. */
struct model_files *model_files_open(struct memory *memory,
                                     const char *reference,
                                     const char *revision, enum model_use use,
                                     const struct hub_places *places,
                                     struct error *err);
/* The same of a model that may have a Router, for texts of this TASK of
 * sentence-transformers: "query", "document", or "" for none, which is what
 * model_files_open opens. Borrowed while it opens. */
struct model_files *model_files_open_for(struct memory *memory,
                                         const char *reference,
                                         const char *revision,
                                         enum model_use use, const char *task,
                                         const struct hub_places *places,
                                         struct error *err);
void model_files_free(struct model_files *files); /* NULL is fine */

/* The hub id that REFERENCE means: itself, or that of a registry key. NULL for
 * a folder and for what is no id. */
const char *model_hub_id(const char *reference);

/* SHA-256 as hex of what decides the vectors: all weight files (those of the
 * heads of USE too), and
 * tokenizer.json. A blob of the cache that is named by its SHA-256 is not read
 * again. */
bool model_files_digest(const struct model_files *files, char weights[65],
                        char tokenizer[65], struct error *err);

/* The weights of a head alone, as if the files had been opened for USE: of
 * MODEL_DENSE that gives the others too. */
bool model_files_digest_weights(const struct model_files *files,
                                enum model_use use, char weights[65],
                                struct error *err);

/* The text that goes before each text: NULL for none. WHAT is "document" (as
 * encode_document), "query" (as encode_query) or "" (as encode); a NAME (not
 * NULL) overrides it and must exist. */
bool model_files_prompt(const struct model_files *files, const char *what,
                        const char *name, const char **text, struct error *err);

/* The task NAME and its prompt's text (NULL for none). NULL as NAME is the
 * default task; *TASK NULL where the model has no tasks and none is asked for.
 * ERROR_USAGE for a name that is not among them. */
bool model_files_task(const struct model_files *files, const char *name,
                      const struct model_task **task, const char **prompt,
                      struct error *err);

/* "a, b, c", cut to BYTES; "no tasks" where it has none. For messages. */
void model_files_task_names(const struct model_files *files, char *list,
                            size_t bytes);

#endif
