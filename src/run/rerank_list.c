/* rerank_list.c - many documents and a question in one text. FACTS:
 * JinaForRanking.rerank of jinaai/jina-reranker-v3's modeling.py: texts are cut
 * and made text again, documents go into blocks, each block gives a vector a
 * document and one of the question; the question's are averaged, each weighted
 * with its block's best (1 + cosine) / 2, and scores are cosines with that. */

#include <math.h>
#include <string.h>

#include "hub/rerank_text.h"
#include "run/rerank_parts.h"

/* What stands around the documents is not counted when blocks are made. */
enum { WORDS_AROUND = 4096 };

bool rerank_list_open(struct reranker *reranker, struct error *err) {
    const struct rerank_files *files = &reranker->member.files->rerank;
    const struct tokenizer *tokenizer = reranker->engine->tokenizer;
    reranker->member.spec.max_length += WORDS_AROUND;
    return (tokenizer_id(tokenizer, str_from(files->document_token),
                         &reranker->document_id) &&
            tokenizer_id(tokenizer, str_from(files->query_token),
                         &reranker->query_id)) ||
           error_set(err, ERROR_INPUT,
                     "%s: its tokenizer lacks %s or %s, at which a list's "
                     "vectors are",
                     reranker->member.files->folder, files->document_token,
                     files->query_token);
}

/* ---- what goes into a block --------------------------------------------- */

struct list {
    struct str question;
    size_t question_tokens;
    struct str *texts; /* [count] as they are read */
    size_t *sizes;     /* [count] their tokens */
    char **owned;      /* [count + 1] bytes of those that were cut, else NULL */
    size_t *firsts;    /* [blocks + 1] first document of each block */
    size_t count, blocks;
    size_t width;
    float *vectors;       /* [count, width] of the documents */
    float *block_vectors; /* [blocks, width] of the question */
    double *query;        /* [width] */
};

static bool open_list(struct reranker *reranker, size_t count,
                      struct list *list, struct error *err) {
    struct memory *memory = &reranker->session->memory;
    size_t width = reranker->member.spec.multi_width;
    *list = (struct list){.count = count, .width = width};
    list->texts = memory_zalloc(memory, count, sizeof *list->texts, err);
    list->sizes = memory_zalloc(memory, count, sizeof *list->sizes, err);
    list->owned = memory_zalloc(memory, count + 1, sizeof *list->owned, err);
    list->firsts = memory_zalloc(memory, count + 1, sizeof *list->firsts, err);
    list->vectors =
        memory_zalloc(memory, count, width * sizeof *list->vectors, err);
    list->query = memory_zalloc(memory, width, sizeof *list->query, err);
    return list->texts && list->sizes && list->owned && list->firsts &&
           list->vectors && list->query;
}

static void close_list(struct reranker *reranker, struct list *list) {
    struct memory *memory = &reranker->session->memory;
    for (size_t i = 0; list->owned && i <= list->count; i++)
        memory_free(memory, list->owned[i]);
    memory_free(memory, list->texts);
    memory_free(memory, list->sizes);
    memory_free(memory, list->owned);
    memory_free(memory, list->firsts);
    memory_free(memory, list->vectors);
    memory_free(memory, list->block_vectors);
    memory_free(memory, list->query);
}

/* *CUT is TEXT, or where it has MOST tokens or more what these say. */
static bool cut_text(struct reranker *reranker, struct str text, size_t most,
                     struct str *cut, size_t *size, char **owned,
                     struct error *err) {
    struct memory *memory = &reranker->session->memory;
    struct tokens tokens = tokens_make(memory);
    struct strbuf decoded = strbuf_make(memory);
    bool fine = rerank_tokens(reranker, text, most, &tokens, err);
    *cut = text;
    *size = tokens.count;
    if (fine && tokens.count >= most) {
        fine = rerank_decode(reranker, tokens.ids, tokens.count, &decoded, err);
        *cut = strbuf_str(&decoded);
        *owned = decoded.data;
    } else {
        strbuf_free(&decoded);
    }
    tokens_free(&tokens);
    return fine;
}

static bool cut_texts(struct reranker *reranker, struct str question,
                      const struct str *texts, struct list *list,
                      struct error *err) {
    for (size_t i = 0; i < list->count; i++)
        if (!cut_text(reranker, texts[i], RERANK_LIST_DOCUMENT_TOKENS,
                      &list->texts[i], &list->sizes[i], &list->owned[i], err))
            return false;
    return cut_text(reranker, question, RERANK_LIST_QUERY_TOKENS,
                    &list->question, &list->question_tokens,
                    &list->owned[list->count], err);
}

/* A block is full when a document of the greatest size might not fit. */
static void make_blocks(const struct reranker *reranker, struct list *list) {
    double room = (double)(reranker->member.spec.max_length - WORDS_AROUND) -
                  2 * (double)list->question_tokens;
    double left = room;
    for (size_t i = 0; i < list->count; i++) {
        left -= (double)list->sizes[i];
        size_t some = i + 1 - list->firsts[list->blocks];
        if (some < RERANK_LIST_MAX &&
            left > (double)RERANK_LIST_DOCUMENT_TOKENS && i + 1 < list->count)
            continue;
        list->firsts[++list->blocks] = i + 1;
        left = room;
    }
}

static bool block_rows(struct reranker *reranker, const struct list *list,
                       struct rerank_rows *rows, struct error *err) {
    struct strbuf text = strbuf_make(&reranker->session->memory);
    bool fine = true;
    for (size_t b = 0; fine && b < list->blocks; b++) {
        size_t first = list->firsts[b];
        strbuf_clear(&text);
        rerank_list_text(&reranker->member.files->rerank, NULL, list->question,
                         list->texts + first, list->firsts[b + 1] - first,
                         &text);
        fine =
            strbuf_ok(&text, err) &&
            rerank_tokens(reranker, strbuf_str(&text), 0, &rows->tokens, err);
        rows->starts[b + 1] = rows->tokens.count;
        size_t size = rows->tokens.count - rows->starts[b];
        if (fine && size > reranker->member.spec.max_length)
            fine = error_set(err, ERROR_UNSUPPORTED,
                             "%s: a question with its texts has %zu tokens, "
                             "more than the model takes: give shorter ones",
                             reranker->member.key, size);
    }
    strbuf_free(&text);
    return fine;
}

/* ---- vectors ------------------------------------------------------------ */

/* The rows behind the block's tokens. */
static bool take_vectors(const struct reranker *reranker, struct list *list,
                         size_t block, const uint32_t *ids, size_t count,
                         const float *rows, struct error *err) {
    size_t first = list->firsts[block], width = list->width, queries = 0;
    size_t documents = 0, most = list->firsts[block + 1] - first;
    for (size_t i = 0; i < count; i++) {
        const float *row = rows + i * width;
        if (ids[i] == reranker->document_id && documents++ < most)
            memcpy(list->vectors + (first + documents - 1) * width, row,
                   width * sizeof *row);
        if (ids[i] == reranker->query_id && queries++ < 1)
            memcpy(list->block_vectors + block * width, row,
                   width * sizeof *row);
    }
    return (documents == most && queries == 1) ||
           error_set(err, ERROR_INPUT,
                     "%s: its tokenizer finds %zu and %zu of a list's own "
                     "tokens in a text that has %zu and 1",
                     reranker->member.files->folder, documents, queries, most);
}

static bool encode_blocks(struct reranker *reranker, struct list *list,
                          const struct rerank_rows *rows, struct error *err) {
    struct memory *memory = &reranker->session->memory;
    size_t bytes = list->width * sizeof(float);
    list->block_vectors = memory_zalloc(memory, list->blocks, bytes, err);
    if (!list->block_vectors || !rerank_ready(reranker, rows, err))
        return false;
    float *multi = memory_alloc(memory, rerank_rows_longest(rows), bytes, err);
    bool fine = multi != NULL;
    for (size_t b = 0; fine && b < list->blocks; b++) {
        const uint32_t *ids = rows->tokens.ids + rows->starts[b];
        size_t size = rows->starts[b + 1] - rows->starts[b];
        uint32_t starts[2] = {0, (uint32_t)size};
        struct encoder_batch batch = {.ids = ids, .starts = starts, .texts = 1};
        struct encoder_output out = {.multi = multi};
        fine = encoder_encode(reranker->engine->resident->encoder, &batch, &out,
                              err) &&
               take_vectors(reranker, list, b, ids, size, multi, err);
    }
    memory_free(memory, multi);
    return fine;
}

/* ---- scores ------------------------------------------------------------- */

static double block_weight(const struct list *list, size_t block) {
    const float *query = list->block_vectors + block * list->width;
    double best = -INFINITY;
    for (size_t i = list->firsts[block]; i < list->firsts[block + 1]; i++)
        best = fmax(best,
                    (1 + rerank_cosine(query, list->vectors + i * list->width,
                                       list->width)) /
                        2);
    return best;
}

static void average_query(struct list *list) {
    double weights = 0;
    for (size_t b = 0; b < list->blocks; b++) {
        double weight = block_weight(list, b);
        weights += weight;
        for (size_t k = 0; k < list->width; k++)
            list->query[k] +=
                weight * (double)list->block_vectors[b * list->width + k];
    }
    for (size_t k = 0; k < list->width; k++)
        list->query[k] /= weights;
}

static double cosine(const double *a, const float *b, size_t width) {
    double dot = 0, one = 0, other = 0;
    for (size_t i = 0; i < width; i++) {
        dot += a[i] * (double)b[i];
        one += a[i] * a[i];
        other += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(one * other);
}

static bool take_scores(const struct reranker *reranker, struct list *list,
                        double *scores, struct error *err) {
    average_query(list);
    for (size_t i = 0; i < list->count; i++) {
        scores[i] =
            cosine(list->query, list->vectors + i * list->width, list->width);
        if (!isfinite(scores[i]))
            return error_set(err, ERROR_VECTOR,
                             "%s: a score that is not finite came out",
                             reranker->member.key);
    }
    return true;
}

bool rerank_list_score(struct reranker *reranker, struct str question,
                       const struct str *texts, size_t count, double *scores,
                       struct error *err) {
    struct list list;
    struct rerank_rows rows = {0};
    bool fine = open_list(reranker, count, &list, err) &&
                cut_texts(reranker, question, texts, &list, err);
    if (fine) {
        make_blocks(reranker, &list);
        fine = rerank_rows_open(&rows, &reranker->session->memory, list.blocks,
                                err) &&
               block_rows(reranker, &list, &rows, err) &&
               encode_blocks(reranker, &list, &rows, err) &&
               take_scores(reranker, &list, scores, err);
        rerank_rows_close(&rows);
    }
    close_list(reranker, &list);
    return fine;
}
