/* model_files.h - a model as sentence-transformers would read it: which files
 * it has, whether they are whole, and what they say.
 *
 * No network. What is missing is named before anything is loaded.
 *
 *     struct hub_places places = {.cache = "/home/me/.cache/huggingface/hub"};
 *     struct model_files *m = model_files_open(memory,
 * "BAAI/bge-small-en-v1.5", NULL, &places, err);
 *
 * FACTS of the formats: sentence-transformers 6 (modules.json and the modules'
 * own configs, in their old and new spellings), huggingface_hub 1 (cache).
 */

#ifndef HUB_MODEL_FILES_H
#define HUB_MODEL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/memory.h"

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

struct dense_files {
    size_t in, out;
    bool bias;
    const char *activation;     /* last word of its class, "Tanh", "Identity" */
    const char *const *weights; /* safetensors paths */
    size_t weights_count;
    const char *config; /* path, for messages */
};

struct model_prompt {
    const char *name;
    const char *text;
};

enum { DENSE_MAX = 8 };

struct model_files {
    const char *id;       /* hub id, or NULL for a folder outside of a cache */
    const char *key;      /* for file and vector names (DESIGN 4), no `name=` */
    const char *folder;   /* absolute path of the snapshot or folder */
    const char *commit;   /* 40 hex digits, or NULL where none is known */
    const char *revision; /* what was asked for: "main" by default */

    const char *config_path;
    const json_t *config; /* config.json, an object */
    const char *tokenizer_path;
    const char *const *weights; /* safetensors, shards in order */
    size_t weights_count;

    size_t max_length;  /* tokens, special ones included; 0: not said */
    bool do_lower_case; /* of sentence_bert_config.json: a Lowercase goes before
                           tokenizer.json's own normalizer (so special tokens
                           in a text are still found as they are spelt) */

    enum pooling_mode pooling[POOLING_MODES_MAX]; /* concatenated in order */
    size_t pooling_count;
    bool pooling_include_prompt;
    struct dense_files dense[DENSE_MAX]; /* applied in order */
    size_t dense_count;
    bool normalize;

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
                                     const char *revision,
                                     const struct hub_places *places,
                                     struct error *err);
void model_files_free(struct model_files *files); /* NULL is fine */

/* The hub id that REFERENCE means: itself, or that of a registry key. NULL for
 * a folder and for what is no id. */
const char *model_hub_id(const char *reference);

/* SHA-256 as hex of what decides the vectors: all weight files, and
 * tokenizer.json. A blob of the cache that is named by its SHA-256 is not read
 * again. */
bool model_files_digest(const struct model_files *files, char weights[65],
                        char tokenizer[65], struct error *err);

/* The text that goes before each text: NULL for none. WHAT is "document" (as
 * encode_document), "query" (as encode_query) or "" (as encode); a NAME (not
 * NULL) overrides it and must exist. */
bool model_files_prompt(const struct model_files *files, const char *what,
                        const char *name, const char **text, struct error *err);

#endif
