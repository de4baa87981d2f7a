/* question.h - a question as the heads of one model see it: a vector, weights
 * of words, a vector a token.
 *
 *     struct question q = {.memory = memory};
 *     question_ask(engine, text, &q, err);       a model, all heads it is for
 *     question_terms("english", text, &q, err);            BM25
 *     ... q.dense, q.indices and q.values, q.vectors ...
 *     question_free(&q);
 *
 * As sentence-transformers encodes queries: the query's prompt or marker before
 * the text, ColBERT's filled up with mask tokens to their length, inference-
 * free SPLADE by the weights of the text's ids.
 */

#ifndef RUN_QUESTION_H
#define RUN_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"
#include "run/engine.h"

struct question {
    struct memory *memory; /* borrowed */
    float *dense;          /* [member->width], cut; NULL: not such a model */
    uint32_t *indices;     /* [pairs], ascending */
    float *values;         /* [pairs] */
    size_t pairs;
    float *vectors; /* [vectors_count, width] */
    size_t vectors_count, width;
};

bool question_ask(struct engine *engine, struct str text, struct question *out,
                  struct error *err);
/* LANGUAGE is the documents'. Stopwords need not be known: no document has
 * them.
 */
bool question_terms(const char *language, struct str text, struct question *out,
                    struct error *err);
void question_free(struct question *question); /* {0} is fine */

#endif
