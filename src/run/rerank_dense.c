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

static bool add_rows(struct reranker *reranker, const char *what,
                     const struct str *texts, size_t count, size_t first,
                     struct rerank_rows *rows, struct error *err) {
    return use_prompt(reranker, what, err) &&
           engine_tokenize(reranker->engine, texts, count, &rows->tokens,
                           rows->starts + first, err);
}

static bool check_vector(const struct reranker *reranker, float *vector,
                         struct error *err) {
    const char *reason;
    if (!vector_is_sound(&reranker->member, vector, &reason))
        return error_set(err, ERROR_VECTOR, "%s: a text's vector is bad: %s",
                         reranker->member.key, reason);
    member_cut(&reranker->member, vector);
    return true;
}

/* Rows FIRST to END, which have the same prompt. */
static bool encode_rows(struct reranker *reranker,
                        const struct rerank_rows *rows, size_t first,
                        size_t end, uint32_t *starts, float *vectors,
                        struct error *err) {
    struct engine *engine = reranker->engine;
    size_t width = reranker->member.spec.width;
    for (size_t i = first, next; i < end; i = next) {
        next = rerank_rows_end(rows, i, engine->batch_tokens);
        next = next < end ? next : end;
        for (size_t k = i; k <= next; k++)
            starts[k - i] = (uint32_t)(rows->starts[k] - rows->starts[i]);
        if (!engine_encode(engine, rows->tokens.ids + rows->starts[i], starts,
                           next - i, vectors + i * width, err))
            return false;
    }
    for (size_t i = first; i < end; i++)
        if (!check_vector(reranker, vectors + i * width, err))
            return false;
    return true;
}

/* Row 0 is the question. */
static bool score_rows(struct reranker *reranker,
                       const struct rerank_rows *rows, uint32_t *starts,
                       float *vectors, double *scores, struct error *err) {
    size_t width = reranker->member.spec.width;
    if (!use_prompt(reranker, "query", err) ||
        !encode_rows(reranker, rows, 0, 1, starts, vectors, err) ||
        !use_prompt(reranker, "document", err) ||
        !encode_rows(reranker, rows, 1, rows->count, starts, vectors, err))
        return false;
    for (size_t i = 1; i < rows->count; i++)
        scores[i - 1] =
            similarity(&reranker->member, vectors, vectors + i * width);
    return true;
}

bool rerank_dense_score(struct reranker *reranker, struct str question,
                        const struct str *texts, size_t count, double *scores,
                        struct error *err) {
    struct memory *memory = &reranker->session->memory;
    size_t bytes = reranker->member.spec.width * sizeof(float);
    struct rerank_rows rows;
    float *vectors = memory_alloc(memory, count + 1, bytes, err);
    uint32_t *starts = memory_alloc(memory, count + 2, sizeof *starts, err);
    bool fine = rerank_rows_open(&rows, memory, count + 1, err) && vectors &&
                starts &&
                add_rows(reranker, "query", &question, 1, 0, &rows, err) &&
                add_rows(reranker, "document", texts, count, 1, &rows, err) &&
                rerank_ready(reranker, &rows, err) &&
                score_rows(reranker, &rows, starts, vectors, scores, err);
    rerank_rows_close(&rows);
    memory_free(memory, vectors);
    memory_free(memory, starts);
    return fine;
}
