/* folder_parts.h - a tokenizer on its way from a folder: for the folder_ files
 * only. */

#ifndef TEXT_FOLDER_PARTS_H
#define TEXT_FOLDER_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "text/folder.h"
#include "text/folder_class.h"

struct making {
    const struct tokenizer_folder *folder;
    struct memory *memory;
    const struct class_info *class;
    char name[1024]; /* of the main file, for messages */

    /* All owned. What the class is called with: tokenizer_config.json, and
     * special_tokens_map.json over it. */
    json_t *settings;
    json_t *source; /* tokenizer.json; NULL: there is none */

    json_t *vocab;      /* an object of ids, or a list of [piece, score] */
    json_t *merges;     /* a list of [left, right], or NULL */
    json_t *charsmap;   /* a string, or NULL */
    json_t *additional; /* additional_special_tokens as the class is given it */
    json_t *model;      /* the model as it is, of a folder without a class */
    json_t *normalizer; /* the same */

    json_t *given; /* tokens that the files list, by id: entries of
                      "added_tokens" */
    json_t *added; /* what becomes "added_tokens" */
};

/* The content of file NAME; NULL: it is not there. */
const struct str *making_file(const struct making *m, const char *name);
/* It as JSON, numbers as real ones; *JSON NULL and true: it is not there. */
bool making_json(const struct making *m, const char *name, json_t **json,
                 struct error *err);

/* A setting that is true or false, IF_NONE where it is not there. */
bool making_bool(const struct making *m, const char *key, bool *value,
                 struct error *err);
/* Whether the class pads before a text: by its settings, by tokenizer.json, or
 * by itself. */
bool making_pads_left(const struct making *m);
/* The text of a special token ("cls_token"); IF_NONE where no file says it. */
const char *making_token(const struct making *m, const char *key,
                         const char *if_none);

/* folder_tokens.c: special and added tokens, before the class is called and
 * after its model was made. */
bool making_collect_tokens(struct making *m, struct error *err);
bool making_add_tokens(struct making *m, struct error *err);

/* folder_vocab.c: vocabulary, merges, charsmap of tokenizer.json or of the
 * older files. */
bool making_read_vocab(struct making *m, struct error *err);

/* folder_spm.c: the same of a sentencepiece model. */
bool making_read_spm(struct making *m, struct str model, const char *name,
                     struct error *err);

/* folder_recipes.c: the whole tokenizer.json, with the names of special tokens
 * in its template in place of ids. A new reference, or NULL and ERR. */
json_t *making_document(struct making *m, struct error *err);

#endif
