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
    MODULE_NORMALIZE,
    MODULE_DROPOUT, /* does nothing once the model is trained */
};

struct module {
    enum module_kind kind;
    const char *path; /* inside the folder, "" or "1_Pooling" */
};

struct reading {
    struct model_files files; /* what the caller gets; must come first */
    struct memory *memory;
    struct arena arena; /* owns all strings and arrays of FILES */
    json_t *config;     /* owned; files.config */
    struct snapshot snapshot;
    struct whole whole;
    struct module modules[MODULES_MAX];
    size_t modules_count;
    bool has_modules; /* modules.json is there */
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
/* TEXT in the arena; NULL stays NULL. */
bool reading_keep(struct reading *r, const char *text, const char **kept,
                  struct error *err);

/* modules.c */
bool modules_list(struct reading *r, struct error *err);
/* The folder of the transformer's own files inside the model's. */
const char *modules_transformer(const struct reading *r);
bool modules_need(struct reading *r, struct error *err);
bool modules_read(struct reading *r, struct error *err);

/* weights.c: model.safetensors, or the shards of its index. */
bool weights_need(struct reading *r, struct error *err);

/* limits.c: sentence_bert_config.json and tokenizer_config.json. */
bool limits_need(struct reading *r, struct error *err);
bool limits_read(struct reading *r, struct error *err);

/* prompts.c: config_sentence_transformers.json. */
bool prompts_read(struct reading *r, struct error *err);

#endif
