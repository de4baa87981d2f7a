/* folder.h - a tokenizer as transformers makes it of a model's folder.
 *
 * tokenizer.json is not all: AutoTokenizer.from_pretrained (transformers 5.23,
 * models/auto/tokenization_auto.py) chooses a class by tokenizer_config.json
 * and config.json, and most classes take from tokenizer.json only the
 * vocabulary, the merges, the post_processor and the precompiled charsmap; all
 * other parts are the class's own (models/CLASS/tokenization_CLASS.py). Folders
 * of old have no tokenizer.json, and the class reads vocab.txt, vocab.json with
 * merges.txt, or sentencepiece's model. What is done here is the same: the
 * parts become one tokenizer.json in memory.
 *
 *     struct tokenizer_file files[] = {{"tokenizer.json", text}, ...};
 *     struct tokenizer_folder folder = {.path = path, .model_type = "bert",
 *                                       .files = files, .count = 2};
 *     struct tokenizer *t = tokenizer_create_folder(memory, &folder, err);
 *
 * docs/tokenizers.md lists the classes, and what each key of the files does.
 */

#ifndef TEXT_FOLDER_H
#define TEXT_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"
#include "text/tokenizer.h"

struct tokenizer_file {
    const char *name;   /* "tokenizer_config.json" */
    struct str content; /* borrowed until the tokenizer is made */
};

struct tokenizer_folder {
    const char *path;            /* for messages */
    const char *model_type;      /* of config.json; NULL: it has none */
    const char *tokenizer_class; /* the same */
    const struct tokenizer_file *files;
    size_t count;
    bool
        lower; /* sentence-transformers' do_lower_case: Lowercase comes first */
    bool bare; /* no special tokens go around a text */
    const struct str *specials; /* [specials_count]: special tokens besides, or
                                   instead of those with the same text */
    size_t specials_count;
};

/* NULL and ERROR_MISSING (no file that the class reads, by name), ERROR_INPUT,
 * ERROR_UNSUPPORTED (a class or a setting, by name) or ERROR_MEMORY. Files of
 * other names are left alone. */
struct tokenizer *tokenizer_create_folder(struct memory *memory,
                                          const struct tokenizer_folder *folder,
                                          struct error *err);

#endif
