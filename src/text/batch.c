/* batch.c - many texts over the threads of a pool.
 *
 * Each text has a place in the output that is large enough for any ids that it
 * may have; when all are done, the places are closed up. So a thread needs room
 * for one text only, whatever texts it gets.
 */

#include <string.h>

#include "text/tokenizer_parts.h"

enum { TEXTS_AT_ONCE = 8 };

/* Where one text's ids go, and how many came. */
struct piece {
    size_t begin; /* in OUT, of a place with ROOM ids */
    size_t room;
    size_t count; /* may be more than ROOM: then they are not there */
};

struct failure {
    bool failed;
    size_t text; /* the first that failed on this thread */
    struct error err;
};

struct job {
    const struct tokenizer *tokenizer;
    struct tokenizer_scratch **scratch;
    const struct str *texts;            /* [count], or NULL: pairs */
    const struct tokenizer_pair *pairs; /* [count] */
    size_t limit;
    enum tokenizer_count counting;
    uint32_t *ids;            /* OUT's */
    struct piece *pieces;     /* [count] */
    struct failure *failures; /* [threads] */
    size_t *cut;              /* [count] or NULL */
    size_t *seconds;          /* the same */
};

static bool encode_one(const struct job *job, size_t i,
                       struct tokenizer_scratch *scratch, struct tokens *tokens,
                       struct tokenized *what, struct error *err) {
    return job->texts
               ? tokenizer_encode(job->tokenizer, scratch, job->texts[i],
                                  job->limit, job->counting, tokens, what, err)
               : tokenizer_encode_pair(job->tokenizer, scratch, job->pairs[i].a,
                                       job->pairs[i].b, job->limit,
                                       job->counting, tokens, what, err);
}

static void encode_some(void *context, size_t begin, size_t end,
                        unsigned thread) {
    struct job *job = context;
    struct failure *failure = &job->failures[thread];
    struct tokens *tokens = &job->scratch[thread]->tokens;
    for (size_t i = begin; i < end && !failure->failed; i++) {
        struct piece *piece = &job->pieces[i];
        struct tokenized what = {0};
        failure->text = i;
        tokens->count = 0;
        failure->failed = !encode_one(job, i, job->scratch[thread], tokens,
                                      &what, &failure->err);
        piece->count = what.count;
        if (what.count && what.count <= piece->room)
            memcpy(job->ids + piece->begin, tokens->ids,
                   what.count * sizeof *tokens->ids);
        if (job->cut)
            job->cut[i] = what.cut;
        if (job->seconds)
            job->seconds[i] = what.second;
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

static size_t text_bytes(const struct job *job, size_t i) {
    return job->texts ? job->texts[i].size
                      : job->pairs[i].a.size + job->pairs[i].b.size;
}

/* A place for each text behind what OUT has: of a token a byte and the special
 * ones, or (MEASURED) of what came. */
static bool make_places(struct job *job, size_t count, bool measured,
                        struct tokens *out, struct error *err) {
    size_t specials = job->texts ? tokenizer_special_count(job->tokenizer)
                                 : tokenizer_pair_special_count(job->tokenizer);
    size_t at = out->count;
    for (size_t i = 0; i < count; i++) {
        struct piece *piece = &job->pieces[i];
        size_t most = text_bytes(job, i) + specials;
        piece->room = measured                          ? piece->count
                      : job->limit && job->limit < most ? job->limit
                                                        : most;
        piece->begin = at;
        if (__builtin_add_overflow(at, piece->room, &at))
            return error_set(err, ERROR_MEMORY,
                             "the ids of %zu texts cannot be addressed", count);
    }
    if (!tokens_reserve(out, at - out->count, err))
        return false;
    job->ids = out->ids;
    return true;
}

static bool all_have_room(const struct job *job, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (job->pieces[i].count > job->pieces[i].room)
            return false;
    return true;
}

static void close_up(const struct job *job, size_t count, struct tokens *out,
                     size_t *starts) {
    for (size_t i = 0; i < count; i++) {
        const struct piece *piece = &job->pieces[i];
        starts[i] = out->count;
        if (piece->count)
            memmove(out->ids + out->count, out->ids + piece->begin,
                    piece->count * sizeof *out->ids);
        out->count += piece->count;
    }
    starts[count] = out->count;
}

/* A tokenizer that makes more tokens than bytes is asked once more, when it is
 * known how many. */
static bool encode_all(struct job *job, struct pool *pool, size_t count,
                       struct tokens *out, size_t *starts, struct error *err) {
    for (int again = 0; again < 2; again++) {
        if (!make_places(job, count, again, out, err))
            return false;
        pool_each(pool, count, TEXTS_AT_ONCE, encode_some, job);
        if (!report(job->failures, pool_threads(pool), err))
            return false;
        if (all_have_room(job, count))
            break;
    }
    close_up(job, count, out, starts);
    return true;
}

uint64_t tokenizer_batch_bytes(const struct pool *pool, size_t count) {
    return memory_block_bytes(count * sizeof(struct piece)) +
           memory_block_bytes(pool_threads(pool) * sizeof(struct failure));
}

static bool run(struct job *job, struct pool *pool, size_t count,
                struct tokens *out, size_t *starts, struct error *err) {
    struct memory *memory = out->memory;
    unsigned threads = pool_threads(pool);
    job->pieces = memory_alloc(memory, count, sizeof *job->pieces, err);
    job->failures =
        job->pieces ? memory_zalloc(memory, threads, sizeof *job->failures, err)
                    : NULL;
    bool fine = job->failures;
    fine = fine && encode_all(job, pool, count, out, starts, err);
    memory_free(memory, job->failures);
    memory_free(memory, job->pieces);
    return fine;
}

bool tokenizer_encode_batch(const struct tokenizer *tokenizer,
                            struct tokenizer_scratch **scratch,
                            struct pool *pool, const struct str *texts,
                            size_t count, size_t limit,
                            enum tokenizer_count counting, struct tokens *out,
                            size_t *starts, size_t *cut, struct error *err) {
    struct job job = {.tokenizer = tokenizer,
                      .scratch = scratch,
                      .texts = texts,
                      .limit = limit,
                      .counting = counting,
                      .cut = cut};
    return run(&job, pool, count, out, starts, err);
}

bool tokenizer_encode_pairs(const struct tokenizer *tokenizer,
                            struct tokenizer_scratch **scratch,
                            struct pool *pool,
                            const struct tokenizer_pair *pairs, size_t count,
                            size_t limit, enum tokenizer_count counting,
                            struct tokens *out, size_t *starts, size_t *seconds,
                            size_t *cut, struct error *err) {
    struct job job = {.tokenizer = tokenizer,
                      .scratch = scratch,
                      .pairs = pairs,
                      .limit = limit,
                      .counting = counting,
                      .cut = cut,
                      .seconds = seconds};
    return run(&job, pool, count, out, starts, err);
}
