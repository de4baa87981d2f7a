/* folder_class.h - which of transformers' tokenizer classes reads a folder. */

#ifndef TEXT_FOLDER_CLASS_H
#define TEXT_FOLDER_CLASS_H

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "text/folder.h"

enum class_kind {
    CLASS_BACKEND, /* TokenizersBackend: tokenizer.json as it stands */
    CLASS_BERT,
    CLASS_MPNET,
    CLASS_ROBERTA,
    CLASS_GPT2,
    CLASS_QWEN2,
    CLASS_XLM_ROBERTA,
    CLASS_CAMEMBERT,
    CLASS_ALBERT,
    CLASS_DEBERTA_V2,
    CLASS_T5,
    CLASS_LLAMA,
    CLASS_GEMMA,
};

enum class_model { MODEL_ANY, MODEL_WORDPIECE, MODEL_BPE, MODEL_UNIGRAM };

struct class_info {
    const char *name; /* "BertTokenizer" */
    enum class_kind kind;
    enum class_model model;
    const char *vocab;  /* its file where there is no tokenizer.json, or NULL */
    const char *merges; /* the same */
    bool types;         /* its models are given token types */
};

/* The class, or NULL and ERR. SETTINGS is tokenizer_config.json, an object;
 * BYTE_LEVEL: tokenizer.json has the word "ByteLevel" in quotes. */
const struct class_info *class_of(const struct tokenizer_folder *folder,
                                  const json_t *settings, bool byte_level,
                                  struct error *err);

#endif
