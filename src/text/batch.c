/* batch.c - many texts over the threads of a pool.
 *
 * A thread keeps the ids of its texts in its own scratch, whatever texts it
 * gets; they are put together in the order of the texts when all are done.
 */

#include <string.h>

#include "text/tokenizer_parts.h"

enum { TEXTS_AT_ONCE = 8 };

/* Where one text's ids are until they are put together. */
struct piece {
    size_t begin; /* in its thread's tokens */
    size_t count;
    unsigned thread;
};

struct failure {
    bool failed;
    size_t text; /* the first that failed on this thread */
    struct error err;
};

struct job {
    const struct tokenizer *tokenizer;
    struct tokenizer_scratch **scratch;
    const struct str *texts;
    size_t limit;
    enum tokenizer_count counting;
    struct piece *pieces;     /* [count] */
    struct failure *failures; /* [threads] */
    size_t *cut;              /* [count] or NULL */
};

static void encode_some(void *context, size_t begin, size_t end,
                        unsigned thread) {
    struct job *job = context;
    struct failure *failure = &job->failures[thread];
    struct tokens *tokens = &job->scratch[thread]->tokens;
    for (size_t i = begin; i < end && !failure->failed; i++) {
        struct tokenized what = {0};
        size_t at = tokens->count;
        failure->text = i;
        failure->failed = !tokenizer_encode(
            job->tokenizer, job->scratch[thread], job->texts[i], job->limit,
            job->counting, tokens, &what, &failure->err);
        job->pieces[i] = (struct piece){at, what.count, thread};
        if (job->cut)
            job->cut[i] = what.cut;
    }
}

/* The failure of the first text that failed, so far as one can know. */
static bool report(const struct failure *failures, unsigned threads,
                   struct error *err) {
    const struct failure *first = NULL;
    for (unsigned i = 0; i < threads; i++)
        if (failures[i].failed && (!first || failures[i].text < first->text))
            first = &failures[i];
    return !first || error_set(err, first->err.code, "%s", first->err.message);
}

static bool gather(const struct job *job, size_t count, struct tokens *out,
                   size_t *starts, struct error *err) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += job->pieces[i].count;
    if (!tokens_reserve(out, total, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct piece *piece = &job->pieces[i];
        const struct tokens *from = &job->scratch[piece->thread]->tokens;
        starts[i] = out->count;
        if (piece->count)
            memcpy(out->ids + out->count, from->ids + piece->begin,
                   piece->count * sizeof *out->ids);
        out->count += piece->count;
    }
    starts[count] = out->count;
    return true;
}

bool tokenizer_encode_batch(const struct tokenizer *tokenizer,
                            struct tokenizer_scratch **scratch,
                            struct pool *pool, const struct str *texts,
                            size_t count, size_t limit,
                            enum tokenizer_count counting, struct tokens *out,
                            size_t *starts, size_t *cut, struct error *err) {
    struct memory *memory = out->memory;
    unsigned threads = pool_threads(pool);
    struct job job = {.tokenizer = tokenizer,
                      .scratch = scratch,
                      .texts = texts,
                      .limit = limit,
                      .counting = counting,
                      .cut = cut};
    job.pieces = memory_alloc(memory, count, sizeof *job.pieces, err);
    job.failures =
        job.pieces ? memory_zalloc(memory, threads, sizeof *job.failures, err)
                   : NULL;
    bool fine = job.failures;
    if (fine) {
        for (unsigned i = 0; i < threads; i++)
            scratch[i]->tokens.count = 0;
        pool_each(pool, count, TEXTS_AT_ONCE, encode_some, &job);
        fine = report(job.failures, threads, err) &&
               gather(&job, count, out, starts, err);
    }
    memory_free(memory, job.failures);
    memory_free(memory, job.pieces);
    return fine;
}
