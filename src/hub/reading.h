/* reading.h - a model_files while it is made. Inside hub/ only.
 *
 * model_files.c finds the folder and calls the parts in this order:
 * modules_list (what modules are there), *_need (which files that takes),
 * whole_check, then the *_read of each.
 */

#ifndef HUB_READING_H
#define HUB_READING_H

#include "base/arena.h"
#include "hub/cache.h"
#include "hub/model_files.h"
#include "hub/whole.h"

enum { CONFIG_BYTES_MAX = 16 << 20, MODULES_MAX = 16 };

enum module_kind {
    MODULE_TRANSFORMER,
    MODULE_POOLING,
    MODULE_DENSE,
    MODULE_LAYER_NORM,
    MODULE_NORMALIZE,
    MODULE_DROPOUT, /* does nothing once the model is trained */
    MODULE_SPLADE,
    MODULE_MASK,
    MODULE_LOGIT_SCORE,
    MODULE_ROUTER,
    MODULE_STATIC,
    MODULE_TABLE, /* StaticEmbedding: in the transformer's place */
};

struct module {
    enum module_kind kind;
    const char *path; /* inside the folder, "" or "1_Pooling" */
    const char *type; /* the class, for messages */
};

struct reading {
    struct model_files files; /* what the caller gets; must come first */
    struct memory *memory;
    struct arena arena; /* owns all strings and arrays of FILES */
    json_t *config;     /* owned; files.config */
    struct snapshot snapshot;
    struct whole whole;
    struct module modules[MODULES_MAX]; /* the first is the transformer, or the
                                           table in its place */
    size_t modules_count;
    const char *route;       /* borrowed: the task by which a Router chooses */
    const char *static_path; /* the module that a Router has for queries */
    bool has_modules;        /* modules.json is there, and counts for USE */
    /* config_sentence_transformers.json, owned; NULL where there is none or it
     * does not count */
    json_t *sentence;
    const char *sentence_path; /* for messages */
    json_t *limits; /* sentence_bert_config.json, owned; NULL: none */
    const char *limits_path;
    bool chat; /* texts go through the tokenizer's chat template */
};

/* DIR/NAME, or NAME if DIR is "". NULL and ERR without memory. */
const char *reading_join(struct reading *r, const char *dir, const char *name,
                         struct error *err);
/* The same, absolute. */
const char *reading_path(struct reading *r, const char *dir, const char *name,
                         struct error *err);
/* The JSON object in DIR/NAME; *PATH for messages. The caller drops it. A
 * file that is not there is *OBJECT NULL and fine. */
bool reading_object(struct reading *r, const char *dir, const char *name,
                    json_t **object, const char **path, struct error *err);
/* The same of DIR/tokenizer_config.json, whose numbers may be too large: all of
 * them are real ones. */
bool reading_tokenizer_config(struct reading *r, const char *dir,
                              json_t **object, const char **path,
                              struct error *err);
/* TEXT in the arena; NULL stays NULL. */
bool reading_keep(struct reading *r, const char *text, const char **kept,
                  struct error *err);

/* Is the file in the model's own folder, or should it be? */
bool reading_knows(struct reading *r, const char *name);
/* A member of OBJECT that must have its default VALUE, or be missing: there is
 * no code for another. */
bool reading_must_be(const json_t *object, const char *key, const char *value,
                     const char *name, struct error *err);
/* One of config.json's architectures ends with END. */
bool reading_architecture(const struct reading *r, struct str end);
/* Of torch's class TYPE the last word; DEFAULT for NULL, and for a class that
 * is not torch's: the library takes its default there, and warns. */
bool reading_activation(struct reading *r, const char *type,
                        const char *otherwise, const char **activation,
                        struct error *err);

/* modules.c */
bool modules_list(struct reading *r, struct error *err);
/* The folder of the transformer's own files inside the model's. */
const char *modules_transformer(const struct reading *r);
/* A StaticEmbedding stands in the transformer's place. */
bool modules_table(const struct reading *r);
bool modules_need(struct reading *r, struct error *err);

/* sentence.c: the modules that make one vector a text, and linear layers. */
bool sentence_read(struct reading *r, struct error *err);
/* The linear layer of MODULE (a Dense), which works on INPUT unless it says
 * otherwise, and must do so. */
bool dense_read(struct reading *r, const struct module *module,
                const char *input, struct tensor_source *dense,
                struct error *err);
/* PATH (inside the folder) as the one file of SOURCE. */
bool source_set_file(struct reading *r, struct tensor_source *source,
                     const char *path, struct error *err);
/* The weights of a module: safetensors where there are any. */
const char *module_weights(struct reading *r, const char *dir,
                           struct error *err);

/* head_sparse.c, head_multi.c, head_rerank.c. Each _need also says which files
 * a dense model's further heads take. */
bool sparse_need(struct reading *r, struct error *err);
bool sparse_read(struct reading *r, struct error *err);
bool multi_need(struct reading *r, struct error *err);
bool multi_read(struct reading *r, struct error *err);
bool rerank_need(struct reading *r, struct error *err);
bool rerank_read(struct reading *r, struct error *err);

/* chat_pair.c: a chat template that holds a query and a document. */
bool chat_pair_read(struct reading *r, struct pair_template *pair,
                    struct error *err);

/* weights.c: model.safetensors, or the shards of its index. */
bool weights_need(struct reading *r, struct error *err);

/* model_files.c: of one file; see model_files_digest. */
bool model_files_digest_file(const char *path, char hex[65], struct error *err);

/* table.c: what a StaticEmbedding's tensors say in the place of a config.json,
 * and its tokenizer.json of limits. */
bool table_read(struct reading *r, struct error *err);

/* limits.c: sentence_bert_config.json and tokenizer_config.json. */
bool limits_need(struct reading *r, struct error *err);
bool limits_read(struct reading *r, struct error *err);
/* What the tokenizer_config.json of DIR says; 0: nothing. */
bool limits_of_tokenizer(struct reading *r, const char *dir, size_t *tokens,
                         struct error *err);

/* prompts.c: config_sentence_transformers.json; tasks.c. */
bool prompts_read(struct reading *r, struct error *err);
bool tasks_read(struct reading *r, struct error *err);

#endif
