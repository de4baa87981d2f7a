/* tokenizer_files.h - the files that a model's tokenizer is made of.
 *
 * tokenizer.json where there is one; beside it, or in its place, what
 * transformers reads: settings, special and added tokens, and the vocabularies
 * of old. All that are there are listed: which of them count, the tokenizer
 * knows (text/folder.h).
 */

#ifndef HUB_TOKENIZER_FILES_H
#define HUB_TOKENIZER_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { TOKENIZER_FILES_MAX = 16 };

struct tokenizer_path {
    const char *name; /* "vocab.txt" */
    const char *path; /* absolute */
};

struct model_files;
struct reading;

/* What has to be there, before the model is known to be whole. */
bool tokenizer_files_need(struct reading *r, struct error *err);
/* The list, once it is. */
bool tokenizer_files_read(struct reading *r, struct error *err);

/* SHA-256 as hex of all files of the list: of one, its own. */
bool tokenizer_files_digest(const struct model_files *files, char hex[65],
                            struct error *err);

#endif
