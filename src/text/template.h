/* template.h - the special tokens around a single text, as TemplateProcessing,
 * BertProcessing and RobertaProcessing write them, alone or in a Sequence
 * with others that add nothing. */

#ifndef TEXT_TEMPLATE_H
#define TEXT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"

struct template {
    uint32_t *before; /* [before_count], owned by the arena */
    size_t before_count;
    uint32_t *after; /* [after_count], owned by the arena */
    size_t after_count;
};

/* ROOT is tokenizer.json, NAME its path; a file without post_processor has an
 * empty template. Ids must be below VOCAB. */
bool template_load(struct template *made, const json_t *root, size_t vocab,
                   const char *name, struct arena *arena, struct error *err);

#endif
