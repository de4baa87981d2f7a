/* template.h - the special tokens around a text, or around two texts in one
 * row, as TemplateProcessing, BertProcessing and RobertaProcessing write them,
 * alone or in a Sequence with others that add nothing. */

#ifndef TEXT_TEMPLATE_H
#define TEXT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"

struct ids {
    const uint32_t *list; /* [count], owned by the arena */
    size_t count;
};

/* before A between B after. The token types are 0, and from the id number
 * between_first of BETWEEN on 1 (if types; it may be between.count: B's). */
struct template_pair {
    struct ids before, between, after;
    bool types;
    size_t between_first;
    const char *refused; /* why two texts cannot be joined; NULL: they can */
};

struct template {
    struct ids before, after; /* of a single text */
    struct template_pair pair;
};

struct tokenizer;

struct template_terms {
    size_t vocab; /* ids are below this */
    /* Special tokens without "ids" have theirs by name; NULL: refused. */
    const struct tokenizer *names;
    bool no_types;    /* token types do not matter */
    const char *name; /* the file, for messages */
    struct arena *arena;
};

/* ROOT is tokenizer.json; a file without post_processor has an empty template,
 * and B's token type is 1. */
bool template_load(struct template *made, const json_t *root,
                   const struct template_terms *terms, struct error *err);

#endif
