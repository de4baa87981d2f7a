/* rerank.c - which way a model scores, and scores of pairs in batches. */

#include "run/rerank.h"

#include <math.h>
#include <string.h>

#include "run/rerank_parts.h"

/* ---- texts as tokens ---------------------------------------------------- */

bool rerank_rows_open(struct rerank_rows *rows, struct memory *memory,
                      size_t count, struct error *err) {
    *rows = (struct rerank_rows){.tokens = tokens_make(memory), .count = count};
    rows->starts = memory_zalloc(memory, count + 1, sizeof *rows->starts, err);
    rows->seconds = memory_zalloc(memory, count, sizeof *rows->seconds, err);
    return rows->starts && rows->seconds;
}

void rerank_rows_close(struct rerank_rows *rows) {
    memory_free(rows->tokens.memory, rows->starts);
    memory_free(rows->tokens.memory, rows->seconds);
    tokens_free(&rows->tokens);
}

size_t rerank_rows_longest(const struct rerank_rows *rows) {
    size_t longest = 0;
    for (size_t i = 0; i < rows->count; i++) {
        size_t size = rows->starts[i + 1] - rows->starts[i];
        longest = size > longest ? size : longest;
    }
    return longest;
}

size_t rerank_rows_end(const struct rerank_rows *rows, size_t first,
                       size_t tokens) {
    size_t end = first + 1;
    while (end < rows->count &&
           rows->starts[end + 1] - rows->starts[first] <= tokens)
        end++;
    return end;
}

bool rerank_tokens(struct reranker *reranker, struct str text, size_t count,
                   struct tokens *out, struct error *err) {
    struct engine *engine = reranker->engine;
    struct tokenized what;
    return tokenizer_encode(engine->tokenizer, engine->scratch[0], text, count,
                            TOKENIZER_CUT, out, &what, err);
}

bool rerank_ready(struct reranker *reranker, const struct rerank_rows *rows,
                  struct error *err) {
    for (size_t i = 0; i < rows->count; i++)
        if (rows->starts[i] == rows->starts[i + 1])
            return error_set(err, ERROR_INPUT,
                             "%s: an empty question and an empty text have no "
                             "score",
                             reranker->member.key);
    return engine_check_ids(&reranker->member, rows->tokens.ids,
                            rows->tokens.count, err) &&
           engine_bring(reranker->engine, rerank_rows_longest(rows), err);
}

double rerank_cosine(const float *a, const float *b, size_t width) {
    double dot = 0, one = 0, other = 0;
    for (size_t i = 0; i < width; i++) {
        dot += (double)a[i] * b[i];
        one += (double)a[i] * a[i];
        other += (double)b[i] * b[i];
    }
    return dot / sqrt(one * other);
}

/* ---- pairs -------------------------------------------------------------- */

/* A batch as the encoder takes it. */
struct pair_batch {
    uint32_t *starts, *second;
    float *scores;
};

static bool encode_pairs(struct reranker *reranker,
                         const struct rerank_rows *rows, size_t first,
                         size_t end, const struct pair_batch *to,
                         struct error *err) {
    for (size_t i = first; i <= end; i++)
        to->starts[i - first] =
            (uint32_t)(rows->starts[i] - rows->starts[first]);
    for (size_t i = first; i < end; i++)
        to->second[i - first] = (uint32_t)rows->seconds[i];
    struct encoder_batch batch = {.ids = rows->tokens.ids + rows->starts[first],
                                  .starts = to->starts,
                                  .texts = end - first,
                                  .second = to->second};
    struct encoder_output out = {.scores = to->scores};
    return encoder_encode(reranker->engine->resident->encoder, &batch, &out,
                          err);
}

static bool take_scores(const struct reranker *reranker, const float *from,
                        size_t count, double *scores, struct error *err) {
    for (size_t i = 0; i < count; i++) {
        scores[i] = (double)from[i];
        if (!isfinite(scores[i]))
            return error_set(err, ERROR_VECTOR,
                             "%s: a score that is not finite came out",
                             reranker->member.key);
    }
    return true;
}

static bool score_rows(struct reranker *reranker,
                       const struct rerank_rows *rows, double *scores,
                       struct error *err) {
    struct memory *memory = &reranker->session->memory;
    size_t count = rows->count;
    if (!rerank_ready(reranker, rows, err))
        return false;
    struct pair_batch to = {
        .starts = memory_alloc(memory, count + 1, sizeof *to.starts, err),
        .second = memory_alloc(memory, count, sizeof *to.second, err),
        .scores = memory_alloc(memory, count, sizeof *to.scores, err)};
    bool fine = to.starts && to.second && to.scores;
    for (size_t i = 0, end; fine && i < count; i = end) {
        end = rerank_rows_end(rows, i, reranker->engine->batch_tokens);
        fine = encode_pairs(reranker, rows, i, end, &to, err) &&
               take_scores(reranker, to.scores, end - i, scores + i, err);
    }
    memory_free(memory, to.starts);
    memory_free(memory, to.second);
    memory_free(memory, to.scores);
    return fine;
}

/* As the tokenizer joins two texts. */
static bool pair_rows(struct reranker *reranker, struct str question,
                      const struct str *texts, struct rerank_rows *rows,
                      struct error *err) {
    struct engine *engine = reranker->engine;
    struct memory *memory = &reranker->session->memory;
    struct tokenizer_pair *pairs =
        memory_alloc(memory, rows->count, sizeof *pairs, err);
    for (size_t i = 0; pairs && i < rows->count; i++)
        pairs[i] = (struct tokenizer_pair){question, texts[i]};
    bool fine =
        pairs &&
        tokenizer_encode_pairs(
            engine->tokenizer, engine->scratch, reranker->session->pool, pairs,
            rows->count, reranker->member.spec.max_length, TOKENIZER_CUT,
            &rows->tokens, rows->starts, rows->seconds, NULL, err);
    memory_free(memory, pairs);
    return fine;
}

/* How many of the SIZE tokens of a text the row that is read stands behind. */
static size_t before_pads(const struct reranker *reranker, const uint32_t *ids,
                          size_t size) {
    while (size > 1 && ids[size - 1] == reranker->member.spec.label_pad)
        size--;
    return size;
}

/* Nothing behind the row that is read counts where tokens only look back: it is
 * cut off. */
static bool cut_pads(const struct reranker *reranker, struct rerank_rows *rows,
                     struct error *err) {
    const struct model_spec *spec = &reranker->member.spec;
    uint32_t *ids = rows->tokens.ids;
    size_t kept = 0;
    for (size_t i = 0, at = 0; i < rows->count; i++) {
        size_t whole = rows->starts[i + 1] - at;
        size_t size = before_pads(reranker, ids + at, whole);
        if (size < whole && spec->reach[0].ahead)
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: a text ends with the token %zu, pad_token_id "
                             "of its config.json, which is not supported where "
                             "tokens look ahead: use another reranker",
                             reranker->member.key, spec->label_pad);
        if (size > 0)
            memmove(ids + kept, ids + at, size * sizeof *ids);
        at = rows->starts[i + 1];
        kept += size;
        rows->starts[i + 1] = kept;
        if (rows->seconds[i] > size)
            rows->seconds[i] = size;
    }
    rows->tokens.count = kept;
    return true;
}

static bool is_chat(const struct reranker *reranker) {
    return reranker->member.files->rerank.pair.query != NULL;
}

static bool score_pairs(struct reranker *reranker, struct str question,
                        const struct str *texts, size_t count, double *scores,
                        struct error *err) {
    struct rerank_rows rows;
    bool fine =
        rerank_rows_open(&rows, &reranker->session->memory, count, err) &&
        (is_chat(reranker)
             ? rerank_chat_rows(reranker, question, texts, &rows, err)
             : pair_rows(reranker, question, texts, &rows, err)) &&
        (reranker->member.files->rerank.kind != RERANK_CLASSIFIER ||
         cut_pads(reranker, &rows, err)) &&
        score_rows(reranker, &rows, scores, err);
    rerank_rows_close(&rows);
    return fine;
}

/* ---- which way ---------------------------------------------------------- */

static bool check_labels(const struct reranker *reranker, struct error *err) {
    size_t labels = reranker->member.spec.labels;
    return labels == 1 ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s gives %zu scores for a text, and texts can be ranked "
                     "by one only: use another reranker",
                     reranker->member.key, labels);
}

static bool open_way(struct reranker *reranker, struct error *err) {
    const struct model_files *files = reranker->member.files;
    if (files->use == MODEL_DENSE)
        return rerank_dense_open(reranker, err);
    if (files->use != MODEL_RERANK)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s is neither a reranker nor a dense model",
                         reranker->member.key);
    if (files->rerank.kind == RERANK_LISTWISE)
        return rerank_list_open(reranker, err);
    return check_labels(reranker, err) &&
           (!is_chat(reranker) || rerank_chat_open(reranker, err));
}

struct reranker *reranker_open(struct session *session,
                               const struct member *member, struct error *err) {
    if (member->error.code) {
        *err = member->error;
        return NULL;
    }
    struct reranker *reranker =
        memory_zalloc(&session->memory, 1, sizeof *reranker, err);
    if (!reranker)
        return NULL;
    reranker->session = session;
    reranker->member = *member;
    reranker->engine = engine_load_tokenizer(session, &reranker->member, err);
    if (reranker->engine) /* no windows: texts are cut, as upstream does */
        reranker->engine->frame = (struct long_frame){0};
    if (reranker->engine && open_way(reranker, err))
        return reranker;
    reranker_close(reranker);
    return NULL;
}

bool reranker_score(struct reranker *reranker, struct str question,
                    const struct str *texts, size_t count, double *scores,
                    struct error *err) {
    const struct model_files *files = reranker->member.files;
    if (!count)
        return true;
    if (files->use == MODEL_DENSE)
        return rerank_dense_score(reranker, question, texts, count, scores,
                                  err);
    if (files->rerank.kind == RERANK_LISTWISE)
        return rerank_list_score(reranker, question, texts, count, scores, err);
    return score_pairs(reranker, question, texts, count, scores, err);
}

void reranker_close(struct reranker *reranker) {
    if (!reranker)
        return;
    struct memory *memory = &reranker->session->memory;
    engine_free(reranker->engine);
    memory_free(memory, reranker->tail);
    memory_free(memory, reranker);
}
