/* bpe.h - BPE: the characters of a word, of which the pair that was learnt
 * first is merged, again and again.
 *
 * The order of merges, the unknown token and the bytes of what the vocabulary
 * does not have are as in `tokenizers`, its oddities included: bytes that stand
 * for a character overtake an unknown one that waits to be fused.
 */

#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"
#include "text/part.h"
#include "text/tokenizer.h"
#include "text/trie.h"

#define BPE_NONE UINT32_MAX

struct bpe_merge {
    uint32_t left, right; /* BPE_NONE: this place in the table is free */
    uint32_t rank;        /* lowest first */
    uint32_t made;
};

struct bpe {
    struct memory *memory;    /* borrowed */
    const struct trie *vocab; /* borrowed */
    struct bpe_merge *merges; /* [capacity], owned */
    size_t capacity;          /* a power of two */
    struct str prefix;        /* of each character but the first; arena's */
    struct str suffix;        /* of the last character */
    uint32_t unknown;         /* BPE_NONE: what is unknown is dropped */
    bool fuse_unknown;
    bool ignore_merges; /* a word of the vocabulary is one token */
    bool byte_fallback;
    uint32_t bytes[256]; /* of "<0x..>", BPE_NONE where there is none */
};

/* A word on its way: a list of symbols and a heap of merges. 56 bytes a
 * character of the longest word. */
struct bpe_scratch {
    struct memory *memory;      /* borrowed */
    struct bpe_symbol *symbols; /* [symbol_capacity], owned */
    size_t symbol_capacity;
    struct bpe_entry *heap; /* [heap_capacity], owned */
    size_t heap_count, heap_capacity;
};

/* From the part "model", whose vocabulary is in VOCAB. */
bool bpe_load(struct bpe *bpe, const struct part *part,
              const struct trie *vocab, struct arena *arena, struct error *err);
void bpe_free(struct bpe *bpe);
void bpe_scratch_free(struct bpe_scratch *scratch);

/* The ids of WORD (valid UTF-8) appended to OUT; n log n in its length. */
bool bpe_word(const struct bpe *bpe, struct bpe_scratch *scratch,
              struct str word, struct tokens *out, struct error *err);

#endif
