/* stages.h - a text through a tokenizer that is not BERT's, held whole.
 *
 * BERT's parts can be run through windows (encode.c). The others need the whole
 * of a text: normal forms and patterns look ahead as far as they like. A
 * scratch keeps, for its longest text of n bytes, about 2 n for each change of
 * the text, n for patterns, 16 bytes a piece, and for the longest piece 16
 * bytes a byte (Unigram) or 52 (BPE); and 1 MiB of words that it has seen, so
 * that a word which comes again costs one look.
 */

#ifndef TEXT_STAGES_H
#define TEXT_STAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "text/bpe.h"
#include "text/normalizers.h"
#include "text/pretokenizers.h"
#include "text/unigram.h"

struct tokenizer;
struct stages_scratch;

enum stages_model {
    STAGES_WORDPIECE,
    STAGES_WORDLEVEL, /* of the WordPiece: its vocabulary and unknown token */
    STAGES_BPE,
    STAGES_UNIGRAM
};

struct stages {
    struct normalizers normalizers;
    struct pretokenizers pretokenizers;
    enum stages_model model;
    struct bpe bpe;
    struct unigram unigram;
};

/* Where the ids go, and how many are wanted. */
struct stages_room {
    struct tokens *out;
    size_t begin; /* of the content in OUT */
    size_t most;  /* content tokens that fit */
    size_t cut;   /* those that did not */
    bool count;   /* go on to count them */
};

struct stages *stages_create(struct memory *memory, struct error *err);
void stages_free(struct stages *stages,
                 struct memory *memory); /* NULL is fine */

struct stages_scratch *stages_scratch_create(struct memory *memory,
                                             struct error *err);
void stages_scratch_free(struct stages_scratch *scratch); /* NULL is fine */

/* The normalised form of a short text, appended to OUT. */
bool stages_normalize(const struct stages *stages, struct str text,
                      struct strbuf *out, struct error *err);

/* The ids of TEXT (any bytes; what is not UTF-8 is U+FFFD). */
bool stages_encode(const struct tokenizer *tokenizer,
                   struct stages_scratch *scratch, struct str text,
                   struct stages_room *room, struct error *err);

#endif
