/* rerank_dense.c - a dense model as a reranker: how similar the question, with
 * the prompt of queries, is to each text, with that of documents. */

#include <math.h>
#include <string.h>

#include "run/rerank_parts.h"

bool rerank_dense_open(struct reranker *reranker, struct error *err) {
    const struct model_files *files = reranker->member.files;
    if (files->tasks_count)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s has adapters for queries and for documents, and "
                         "cannot be a reranker here: use a model without tasks",
                         reranker->member.key);
    return !strcmp(files->similarity, "cosine") ||
           !strcmp(files->similarity, "dot") ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s compares vectors by \"%s\"; only cosine and dot can "
                     "rank texts here",
                     reranker->member.key, files->similarity);
}

static bool use_prompt(struct reranker *reranker, const char *what,
                       struct error *err) {
    const char *prompt;
    return model_files_prompt(reranker->member.files, what, NULL, &prompt,
                              err) &&
           engine_use_prompt(reranker->engine, prompt, err);
}

static double similarity(const struct member *member, const float *a,
                         const float *b) {
    double dot = 0;
    if (strcmp(member->files->similarity, "dot") != 0)
        return rerank_cosine(a, b, member->width);
    for (size_t i = 0; i < member->width; i++)
        dot += (double)a[i] * b[i];
    return dot;
}

/* A text at a time: a vector does not depend on what it is batched with, and
 * the model is the same for all. */
static bool score_texts(struct reranker *reranker, struct str question,
                        const struct str *texts, size_t count, float *query,
                        float *vector, double *scores, struct error *err) {
    struct engine *engine = reranker->engine;
    if (!use_prompt(reranker, "query", err) ||
        !engine_embed_text(engine, question, query, err) ||
        !use_prompt(reranker, "document", err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!engine_embed_text(engine, texts[i], vector, err))
            return false;
        scores[i] = similarity(&reranker->member, query, vector);
    }
    return true;
}

bool rerank_dense_score(struct reranker *reranker, struct str question,
                        const struct str *texts, size_t count, double *scores,
                        struct error *err) {
    const struct member *member = &reranker->member;
    struct memory *memory = &reranker->session->memory;
    if (!engine_bring(reranker->engine, 0, member->spec.max_length, err))
        return false;
    float *vectors =
        memory_alloc(memory, 2 * member->spec.width, sizeof *vectors, err);
    bool fine =
        vectors && score_texts(reranker, question, texts, count, vectors,
                               vectors + member->spec.width, scores, err);
    memory_free(memory, vectors);
    return fine;
}
