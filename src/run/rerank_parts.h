/* rerank_parts.h - what the ways of reranking share: rerank.c (which way, and
 * batches of pairs), rerank_chat.c (a pair as one text), rerank_list.c (many
 * documents in one text), rerank_dense.c (similarity of two vectors). */

#ifndef RUN_RERANK_PARTS_H
#define RUN_RERANK_PARTS_H

#include "run/engine.h"
#include "run/rerank.h"

struct reranker {
    struct session *session; /* borrowed */
    struct member member;    /* a copy, with ids of words and limits that only
                                the tokenizer could tell; owns nothing */
    struct engine *engine;
    uint32_t *tail; /* [tail_count] the tokens that end each chat */
    size_t tail_count;
    uint32_t query_id, document_id; /* of a list's own tokens */
};

/* Texts as tokens: text i has tokens.ids[starts[i] .. starts[i + 1]), those
 * from its seconds[i]-th on with type 1. */
struct rerank_rows {
    struct tokens tokens;
    size_t *starts;  /* [count + 1] */
    size_t *seconds; /* [count] */
    size_t count;
};

bool rerank_rows_open(struct rerank_rows *rows, struct memory *memory,
                      size_t count, struct error *err);
void rerank_rows_close(struct rerank_rows *rows);
size_t rerank_rows_longest(const struct rerank_rows *rows);
/* The texts from FIRST to there go into one batch of TOKENS. */
size_t rerank_rows_end(const struct rerank_rows *rows, size_t first,
                       size_t tokens);

/* Are all ids the model's, and no text without any? Then brings the model. */
bool rerank_ready(struct reranker *reranker, const struct rerank_rows *rows,
                  struct error *err);

/* The first COUNT tokens of all that TEXT, or what is made of it, has, with
 * special ones that its tokenizer adds; 0: all. Appended to OUT. */
bool rerank_tokens(struct reranker *reranker, struct str text, size_t count,
                   struct tokens *out, struct error *err);

/* A chat's texts as ROWS, which are as many as the texts. */
bool rerank_chat_open(struct reranker *reranker, struct error *err);
bool rerank_chat_rows(struct reranker *reranker, struct str question,
                      const struct str *texts, struct rerank_rows *rows,
                      struct error *err);

bool rerank_list_open(struct reranker *reranker, struct error *err);
bool rerank_list_score(struct reranker *reranker, struct str question,
                       const struct str *texts, size_t count, double *scores,
                       struct error *err);

bool rerank_dense_open(struct reranker *reranker, struct error *err);
bool rerank_dense_score(struct reranker *reranker, struct str question,
                        const struct str *texts, size_t count, double *scores,
                        struct error *err);

/* What the tokenizer's decoder makes of IDS, behind OUT: only where that is
 * sure, else ERROR_UNSUPPORTED. */
bool rerank_decode(struct reranker *reranker, const uint32_t *ids, size_t count,
                   struct strbuf *out, struct error *err);

/* NaN where one is zero. */
double rerank_cosine(const float *a, const float *b, size_t width);

#endif
