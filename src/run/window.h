/* window.h - the texts of a pass that are tokenized and not yet encoded, and
 * the one queue from which all devices take their batches.
 *
 * Texts are sorted by length, longest first. A piece is a range of that order:
 * a device cuts as much as its budget allows, and gives back what it could not
 * do. Every text is in exactly one place: waiting, in a piece that somebody
 * holds, or done.
 *
 *     struct window w;
 *     struct window_size size = window_size_for(...);
 *     window_open(&w, memory, &size, err);
 *     window_add(&w, digest, prompt, text, chunk_id, err) ...
 *     ... the ids of the block's texts to w.tokens ...; window_end_block(&w);
 *     window_sort(&w);
 *     struct piece piece;
 *     while (window_cut(&w, budget, texts, false, &piece))
 *         ... encode; or window_return(&w, piece) ...
 *
 * Not thread-safe: the crew holds its lock around cut and return.
 */

#ifndef RUN_WINDOW_H
#define RUN_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/str.h"
#include "data/chunks.h"
#include "run/long_text.h"
#include "text/tokenizer.h"

enum {
    WINDOW_TEXTS = 65536,            /* sorted by length together ... */
    WINDOW_TOKENS = 2 * 1024 * 1024, /* ... unless their ids are this many */
    BLOCK_TEXTS = 1024,              /* tokenized together ... */
    BLOCK_BYTES = 1024 * 1024,       /* ... unless they are this long */
    WINDOW_RETURNED = 512, /* pieces that may be given back at a time: a few a
                              device are enough */
};

/* What a window must have room for. */
struct window_size {
    size_t texts;      /* most distinct texts at a time */
    size_t tokens;     /* most ids at a time */
    size_t text_bytes; /* most bytes of a block's texts, with their prompts */
    size_t id_bytes; /* most bytes of a block's chunk ids, a NUL behind each */
};

/* A range of the order of lengths. */
struct piece {
    size_t first, count;
    bool suspect; /* a device gave nonsense for it: for trusted ones only */
    unsigned by;  /* which (1-based); 0: it is not to be judged by this piece */
};

struct window {
    struct memory *memory;
    struct window_size size;
    void *block; /* owned: all arrays below */
    struct tokens tokens;
    size_t *starts;   /* [texts + 1] in tokens.ids */
    uint8_t *digests; /* [texts, 32] */
    uint32_t *order;  /* [texts], longest first */
    bool *was_cut;    /* [texts] */
    size_t count;
    struct long_frame frame; /* of texts longer than the limit; 0: none are */
    /* the block of texts that is being read */
    char *text;
    size_t text_size;
    size_t *text_ends; /* [BLOCK_TEXTS] in text */
    struct str *texts; /* [BLOCK_TEXTS] */
    size_t *cut;       /* [BLOCK_TEXTS] */
    char *ids;         /* chunk ids of the block, a NUL behind each */
    size_t ids_size;
    size_t block_count;
    /* the queue */
    size_t next;            /* of order: not yet cut */
    struct piece *returned; /* [WINDOW_RETURNED] */
    size_t returned_count;
    size_t held;    /* texts in pieces that somebody holds */
    size_t waiting; /* texts that nobody holds and that are not done */
    uint64_t waiting_tokens;
};

/* Sizes for a collection with COUNTS, for a model of MAX_LENGTH tokens a text
 * that adds SPECIALS to each and a prompt of PROMPT bytes. No text is assumed
 * to have more tokens than bytes: where a tokenizer makes more, the ids grow.
 */
struct window_size window_size_for(const struct intake_counts *counts,
                                   size_t max_length, size_t specials,
                                   size_t prompt);
/* Bytes that window_open takes, as memory counts them. */
uint64_t window_bytes(const struct window_size *size);

bool window_open(struct window *window, struct memory *memory,
                 const struct window_size *size, struct error *err);
void window_close(struct window *window); /* {0} is fine */

void window_clear(struct window *window); /* for the next texts */
/* Room for another text (TEXT_SIZE bytes with its prompt) in the block? */
bool window_block_has_room(const struct window *window, size_t text_size,
                           size_t id_size);
/* TEXT with PROMPT before it. A text longer than the plan's longest is
 * ERROR_INPUT: the file changed. */
bool window_add(struct window *window, const uint8_t digest[SHA256_BYTES],
                struct str prompt, struct str text, struct str chunk_id,
                struct error *err);
/* The block's texts have their ids; the next block may begin. */
void window_end_block(struct window *window);
bool window_is_full(const struct window *window);

/* All texts are in: sort them; the queue begins. */
void window_sort(struct window *window);

static inline size_t window_text_tokens(const struct window *window,
                                        uint32_t text) {
    return window->starts[text + 1] - window->starts[text];
}

/* Tokens that the text at PLACE of the order takes of a batch: of a long one a
 * window. */
size_t window_cost(const struct window *window, size_t place);

/* Tokens of the longest text that waits, as it costs (suspect ones only if
 * SUSPECT); 0: none does. */
size_t window_longest(const struct window *window, bool suspect);

/* Take a piece of at most TOKENS and TEXTS, or one long text; false if nothing
 * waits, or only texts that are longer than TOKENS. SUSPECT: pieces given back
 * as suspect may be taken too. */
bool window_cut(struct window *window, size_t tokens, size_t texts,
                bool suspect, struct piece *piece);
/* Nothing of the piece was done. */
void window_return(struct window *window, struct piece piece);
/* Suspect pieces are suspect no more: there is nobody else to ask. */
void window_trust(struct window *window);
/* All of it was done. */
void window_finish(struct window *window, struct piece piece);

#endif
