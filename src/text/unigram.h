/* unigram.h - Unigram: of all ways to cut a word into pieces of the
 * vocabulary, the one with the highest sum of scores (Viterbi).
 *
 * A character that no piece of its own covers may be unknown, at a penalty;
 * unknown characters in a row are one token, or the bytes of it.
 */

#ifndef TEXT_UNIGRAM_H
#define TEXT_UNIGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"
#include "text/part.h"
#include "text/tokenizer.h"
#include "text/trie.h"

#define UNIGRAM_NONE UINT32_MAX

struct unigram {
    struct memory *memory;    /* borrowed */
    const struct trie *vocab; /* borrowed; value: the id */
    double *scores;           /* [count], by id, owned */
    double unknown_score;
    uint32_t unknown; /* UNIGRAM_NONE: an unknown character is an error */
    bool byte_fallback;
    uint32_t bytes[256]; /* of "<0x..>", UNIGRAM_NONE where there is none */
};

/* 16 bytes a byte of the longest word. */
struct unigram_scratch {
    struct memory *memory;      /* borrowed */
    struct unigram_node *nodes; /* [capacity], owned */
    size_t capacity;
};

/* From the part "model", whose vocabulary of COUNT pieces is in VOCAB. EXACT:
 * the scores are as they are written, not as `tokenizers` reads them. */
bool unigram_load(struct unigram *unigram, const struct part *part,
                  const struct trie *vocab, size_t count, bool exact,
                  struct error *err);
void unigram_free(struct unigram *unigram);
void unigram_scratch_free(struct unigram_scratch *scratch);

/* The ids of WORD (valid UTF-8) appended to OUT. */
bool unigram_word(const struct unigram *unigram,
                  struct unigram_scratch *scratch, struct str word,
                  struct tokens *out, struct error *err);

#endif
