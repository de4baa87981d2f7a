/* pretokenizers.h - the "pre_tokenizer" of a tokenizer.json, one step after
 * another: BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits,
 * Metaspace, ByteLevel, Split, CharDelimiterSplit, FixedLength, UnicodeScripts,
 * and Sequences of them.
 *
 *     pretokenizers_load(&steps, json, name, memory, arena, err);
 *     pretokenizers_run(&steps, &scratch, text, at_zero, &words, err);
 *     for each of words.splits: words.text[begin .. end)
 *
 * A text is held whole, twice at the most, and 16 bytes for each piece.
 */

#ifndef TEXT_PRETOKENIZERS_H
#define TEXT_PRETOKENIZERS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/arena.h"
#include "text/pattern.h"
#include "text/pretokenize.h"
#include "text/splits.h"

enum { PRETOKENIZERS_MAX = 32 };

struct pretokenizer_step {
    enum pretokenizer_kind {
        PRETOKENIZER_BERT,
        PRETOKENIZER_WHITESPACE,
        PRETOKENIZER_WHITESPACE_SPLIT,
        PRETOKENIZER_PUNCTUATION,
        PRETOKENIZER_DIGITS,
        PRETOKENIZER_METASPACE,
        PRETOKENIZER_BYTE_LEVEL,
        PRETOKENIZER_SPLIT, /* and CharDelimiterSplit */
        PRETOKENIZER_FIXED_LENGTH,
        PRETOKENIZER_UNICODE_SCRIPTS,
    } kind;
    struct pretokenizer bert;
    enum behavior behavior;
    bool invert;             /* Split */
    struct pattern *pattern; /* Split, ByteLevel's own or NULL; owned */
    struct str replacement;  /* Metaspace; the arena's */
    enum { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER } prepend;
    bool split;        /* Metaspace */
    bool prefix_space; /* ByteLevel */
    size_t length;     /* FixedLength, in characters */
};

struct pretokenizers {
    struct memory *memory;
    struct pretokenizer_step *steps; /* [count], the arena's */
    size_t count;
};

struct pretokenizers_scratch {
    struct memory *memory; /* borrowed */
    struct strbuf buffers[2];
    struct splits splits[2];
    struct pattern_scratch pattern;
};

struct words {
    struct str text;             /* borrowed from the scratch, or the text */
    const struct splits *splits; /* borrowed from the scratch */
};

/* JSON may be NULL: no steps, the text is one word. */
bool pretokenizers_load(struct pretokenizers *pretokenizers, const json_t *json,
                        const char *name, struct memory *memory,
                        struct arena *arena, struct error *err);
void pretokenizers_free(struct pretokenizers *pretokenizers);

struct pretokenizers_scratch pretokenizers_scratch_make(struct memory *memory);
void pretokenizers_scratch_free(struct pretokenizers_scratch *scratch);

/* TEXT is valid UTF-8. AT_ZERO: so many of its bytes stand where the whole text
 * begins; a piece that begins in them is a first one, of which there may be
 * several where a normalizer put characters before the text's own. */
bool pretokenizers_run(const struct pretokenizers *pretokenizers,
                       struct pretokenizers_scratch *scratch, struct str text,
                       size_t at_zero, struct words *out, struct error *err);

#endif
