/* tokenizer_parts.h - what a tokenizer and a scratch are made of: for the files
 * of this folder. */

#ifndef TEXT_TOKENIZER_PARTS_H
#define TEXT_TOKENIZER_PARTS_H

#include "base/arena.h"
#include "text/added_tokens.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/stages.h"
#include "text/template.h"
#include "text/tokenizer.h"
#include "text/wordpiece.h"

enum { WINDOW_BYTES = 8192 }; /* of raw text that is worked on at a time */

struct tokenizer {
    struct memory *memory; /* borrowed */
    struct arena arena;    /* texts of tokens, the template */
    struct stages *stages; /* owned; NULL: BERT's parts, the next two */
    struct normalizer normalizer;
    struct pretokenizer pretokenizer;
    struct wordpiece wordpiece;
    struct template template;
    struct added_token *added; /* [added_count], owned by the arena */
    size_t added_count;
    bool pads_left;              /* tokenizer_pads_left() */
    struct added_set raw;        /* looked for in the text as it came */
    struct added_set normalized; /* looked for in normalised text */
    struct str *tokens;          /* [vocab_size], owned; size 0: nobody's */
    size_t vocab_size;           /* the largest id, plus one */
    size_t vocab_count;          /* tokens of the model's own vocabulary */
};

struct tokenizer_scratch {
    struct memory *memory; /* borrowed */
    struct normalize_marks marks;
    struct strbuf text;            /* normalised and not cut into words yet */
    struct tokens tokens;          /* of this thread's texts in a batch */
    struct stages_scratch *stages; /* owned; NULL: BERT's parts */
};

/* Room for EXTRA more ids. */
bool tokens_reserve(struct tokens *tokens, size_t extra, struct error *err);
bool tokens_add(struct tokens *tokens, struct ids ids, struct error *err);

/* How many content tokens fit into LIMIT (0: any number) beside SPECIALS. */
bool tokenizer_room(size_t limit, size_t specials, size_t *most,
                    struct error *err);
/* The tokens of TEXT alone, MOST of them, appended to OUT; CUT as in struct
 * tokenized. On failure OUT is as it was. */
bool tokenizer_content(const struct tokenizer *tokenizer,
                       struct tokenizer_scratch *scratch, struct str text,
                       size_t most, bool count, struct tokens *out, size_t *cut,
                       struct error *err);

struct load_options {
    bool lower;    /* a Lowercase first */
    bool made;     /* the document was made in memory: special tokens of the
                      template may have no ids but names, and scores are exact */
    bool no_types; /* the model is given no token types */
    bool bare;     /* the template is not used: texts as they are */
};

/* Fills an empty TOKENIZER, of which memory and arena are set, from a
 * tokenizer.json. What was made before a failure is the caller's to free. */
bool tokenizer_load(struct tokenizer *tokenizer, const json_t *root,
                    const struct load_options *options, const char *name,
                    struct error *err);
/* A new tokenizer of a document; NULL and ERR. */
struct tokenizer *tokenizer_of(struct memory *memory, const json_t *root,
                               const struct load_options *options,
                               const char *name, struct error *err);

/* The normalised form of a short text, appended to OUT. */
bool tokenizer_normalize(const struct tokenizer *tokenizer, struct str text,
                         struct strbuf *out, struct error *err);

#endif
