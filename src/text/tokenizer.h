/* tokenizer.h - from text to the ids that a model was trained on.
 *
 * Exactly those that Hugging Face `tokenizers` gives for the same
 * tokenizer.json, on every text. What the file asks for and we do not have is
 * refused by its name, never approximated. The files beside this one carry
 * tokenizer.json's own words: normalize, pretokenize, wordpiece, template.
 *
 *     struct tokenizer *t = tokenizer_create(memory, json, path, err);
 *     struct tokens tokens = tokens_make(memory);
 *     struct tokenizer_scratch *s = tokenizer_scratch_create(t, memory, err);
 *     struct tokenized what;
 *     if (tokenizer_encode(t, s, text, 256, TOKENIZER_CUT, &tokens, &what,
 *                          err))
 *         ... tokens.ids[0 .. tokens.count) ...
 *
 * A tokenizer is immutable after creation and shared by threads; a scratch
 * belongs to one thread.
 */

#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/str.h"

struct tokenizer;
struct tokenizer_scratch;

/* Ids of one text, or of several one after another. */
struct tokens {
    struct memory *memory; /* borrowed */
    uint32_t *ids;         /* [count], owned */
    size_t count;
    size_t capacity;
};

struct tokens tokens_make(struct memory *memory);
void tokens_free(struct tokens *tokens);

/* JSON is a whole tokenizer.json; NAME is its path, for messages. The bytes
 * are not needed afterwards. An added token that the vocabulary does not have
 * gets the next free id, whatever the file says, as in `tokenizers`. NULL and
 * ERROR_INPUT (broken), ERROR_UNSUPPORTED (a part that we do not have, by name)
 * or ERROR_MEMORY. truncation and padding inside the file are ignored: the
 * caller says the limit. */
struct tokenizer *tokenizer_create(struct memory *memory, struct str json,
                                   const char *name, struct error *err);
void tokenizer_free(struct tokenizer *tokenizer); /* NULL is fine */

struct tokenizer_scratch *tokenizer_scratch_create(
    const struct tokenizer *tokenizer, struct memory *memory,
    struct error *err);
/* Room for any text that is cut at LIMIT tokens, but for long runs of combining
 * marks: encoding takes no more memory then. */
bool tokenizer_scratch_reserve(const struct tokenizer *tokenizer,
                               struct tokenizer_scratch *scratch, size_t limit,
                               struct error *err);
void tokenizer_scratch_free(struct tokenizer_scratch *scratch);

enum tokenizer_count {
    TOKENIZER_CUT,   /* stop as soon as the limit is sure to be passed */
    TOKENIZER_COUNT, /* go to the end and say how many tokens were cut */
};

/* What one text gave. */
struct tokenized {
    size_t count;  /* ids, the special ones of the template included */
    size_t cut;    /* content tokens that the limit cost; with TOKENIZER_CUT
                      any number > 0 stands for "some" */
    size_t second; /* the id from which on the token type is 1; count where
                      all are 0, as those of a single text are */
};

/* Append the ids of TEXT to OUT: at most LIMIT of them with the template's
 * special tokens (0: no limit; less than they are: ERROR_USAGE), cut on the
 * right. TEXT is UTF-8; each invalid byte counts as U+FFFD. The scratch needs a
 * few windows of 8 KiB however large the text is, and more only for a run of
 * combining marks that is longer. On failure OUT is as it was. */
bool tokenizer_encode(const struct tokenizer *tokenizer,
                      struct tokenizer_scratch *scratch, struct str text,
                      size_t limit, enum tokenizer_count count,
                      struct tokens *out, struct tokenized *what,
                      struct error *err);

/* Append the ids of two texts in one row, as the file's post_processor joins
 * them (a cross-encoder's query and document). LIMIT counts for both together
 * and cuts the longer text first ("longest_first" of `tokenizers`): what
 * sentence-transformers' CrossEncoder does. WHAT's second says where token type
 * 1 begins. ERROR_UNSUPPORTED, with the reason, where the file's template for
 * two is not special tokens around A and then B, or where its token types are
 * not 0 up to a place behind A and 1 from there on. */
bool tokenizer_encode_pair(const struct tokenizer *tokenizer,
                           struct tokenizer_scratch *scratch, struct str a,
                           struct str b, size_t limit,
                           enum tokenizer_count count, struct tokens *out,
                           struct tokenized *what, struct error *err);

/* COUNT texts over the threads of POOL, in order: text i has the ids
 * OUT->ids[starts[i] .. starts[i + 1]) (starts is [count + 1], in OUT's own
 * numbering, so starts[0] is OUT's count before the call). CUT is [count] and
 * may be NULL. SCRATCH is [pool_threads(pool)]. The ids do not depend on the
 * number of threads. */
bool tokenizer_encode_batch(const struct tokenizer *tokenizer,
                            struct tokenizer_scratch **scratch,
                            struct pool *pool, const struct str *texts,
                            size_t count, size_t limit,
                            enum tokenizer_count counting, struct tokens *out,
                            size_t *starts, size_t *cut, struct error *err);

struct tokenizer_pair {
    struct str a, b;
};

/* The same for COUNT pairs; SECONDS and CUT are [count] and may be NULL. A
 * second counts from its own row's start. A scratch needs the room of two texts
 * that are cut at LIMIT: reserve twice that. */
bool tokenizer_encode_pairs(const struct tokenizer *tokenizer,
                            struct tokenizer_scratch **scratch,
                            struct pool *pool,
                            const struct tokenizer_pair *pairs, size_t count,
                            size_t limit, enum tokenizer_count counting,
                            struct tokens *out, size_t *starts, size_t *seconds,
                            size_t *cut, struct error *err);

/* What tokenizer_encode_batch or _pairs takes while it works on COUNT texts
 * besides OUT and the scratch, as memory counts it. OUT grows to a token a byte
 * and the special ones of each text (LIMIT at most) while it works. */
uint64_t tokenizer_batch_bytes(const struct pool *pool, size_t count);

/* Ids run from 0 to below this, added tokens included. */
size_t tokenizer_vocab_size(const struct tokenizer *tokenizer);
/* The token's own text; size 0 for an id that nobody has. Borrowed. */
struct str tokenizer_token(const struct tokenizer *tokenizer, uint32_t id);
/* False if there is no such token. */
bool tokenizer_id(const struct tokenizer *tokenizer, struct str token,
                  uint32_t *id);
/* Whether it is one of transformers' all_special_ids: a token that the files
 * name for a use (eos_token ...) or list as an extra one. False for all of a
 * tokenizer that was not made of a folder. */
bool tokenizer_is_named(const struct tokenizer *tokenizer, uint32_t id);
/* The token that the files name for what is hidden (mask_token), else the one
 * for a text's end (eos_token). False if they name neither. */
bool tokenizer_fill_id(const struct tokenizer *tokenizer, uint32_t *id);
/* Whether a text that is filled up to a length is filled up in front, by the
 * files or the tokenizer's class. False of one that was not made of a folder.
 */
bool tokenizer_pads_left(const struct tokenizer *tokenizer);
/* How many special tokens the template adds to a single text. */
size_t tokenizer_special_count(const struct tokenizer *tokenizer);
/* Those of them that stand before the text. */
size_t tokenizer_special_before(const struct tokenizer *tokenizer);
/* The same for two texts. */
size_t tokenizer_pair_special_count(const struct tokenizer *tokenizer);

#endif
