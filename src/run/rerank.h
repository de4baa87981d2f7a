/* rerank.h - how well texts answer a question, by a model that reads them
 * together.
 *
 *     struct reranker *r = reranker_open(session, roster.reranker, err);
 *     double scores[2];
 *     reranker_score(r, STR("what is a list"), texts, 2, scores, err);
 *     ... the higher, the better ...
 *     reranker_close(r);
 *
 * Which scores: those of CrossEncoder of sentence-transformers 6 (a classifier
 * over pairs with its activation; the logit of "yes" less that of "no" behind a
 * chat), those of jina-reranker-v3's own modeling.py (many documents in one
 * text), or, for a dense model, its similarity of the question with its query
 * prompt to the text with its document prompt. Scores of different models
 * cannot be compared.
 *
 * Texts longer than the model takes are cut as upstream cuts them. Scores do
 * not depend on how texts are batched; a listwise model's depend on the texts
 * that are scored with it, as they are meant to. One thread drives a reranker.
 */

#ifndef RUN_RERANK_H
#define RUN_RERANK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"
#include "run/roster.h"
#include "run/session.h"

/* In OUT: the model that the last run named, as member_describe says it. */
#define RERANKER_FILE ".ensembed/reranker.json"

struct reranker;

/* MEMBER was opened with use MODEL_RERANK, or MODEL_DENSE; one that is not
 * usable gives its own error. Both are borrowed. Reads the tokenizer; the
 * weights come with the first scores. ERROR_UNSUPPORTED, by name: a classifier
 * of several labels (CrossEncoder.rank refuses it as well), a dense model with
 * a task for each side. */
struct reranker *reranker_open(struct session *session,
                               const struct member *member, struct error *err);

/* SCORES [count], one for each of TEXTS. Takes a lease on its device with the
 * first call, and keeps it. */
bool reranker_score(struct reranker *reranker, struct str question,
                    const struct str *texts, size_t count, double *scores,
                    struct error *err);
void reranker_close(struct reranker *reranker); /* NULL is fine */

#endif
