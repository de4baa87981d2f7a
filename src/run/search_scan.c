/* search_scan.c - the rows of a collection that come nearest to the question,
 * by each of its sources. */

#include "run/search_parts.h"

#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "data/csr.h"
#include "data/multi.h"
#include "data/npy.h"
#include "run/artefact_ragged.h"

enum { BLOCK_ROWS = 4096 }; /* at a time */

/* Of the models with dense vectors the first, and how many there are. */
static const json_t *first_dense(const json_t *models, size_t *count) {
    const json_t *first = NULL;
    *count = 0;
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *model = json_array_get(models, i);
        if (!search_model_gives(model, ROW_DENSE))
            continue;
        first = first ? first : model;
        ++*count;
    }
    return first;
}

/* Are the rows unit vectors, or compared by dot product anyway? */
static bool by_dot(const struct shelf *shelf, bool *dot, struct error *err) {
    size_t count;
    const json_t *models = json_object_get(shelf->stats, "models");
    const json_t *model = first_dense(models, &count);
    const char *similarity =
        json_string_value(json_object_get(model, "similarity"));
    bool unit = count > 1 || json_is_true(json_object_get(model, "normalized"));
    bool is_dot = similarity && !strcmp(similarity, "dot");
    bool cosine = !similarity || !strcmp(similarity, "cosine");
    *dot = unit || is_dot;
    /* Among unit vectors the nearest by distance have the largest cosine. */
    return *dot || cosine ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: its model compares by %s distance, which search does "
                     "not do for vectors that are not of length 1",
                     shelf->folder, similarity);
}

static void make_unit(float *row, size_t width) {
    double sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += (double)row[i] * row[i];
    double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (size_t i = 0; i < width; i++)
        row[i] = (float)(row[i] * scale);
}

static int better_first(const void *a, const void *b) {
    const struct hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* ---- dense rows --------------------------------------------------------- */

static bool scan_dense(struct searching *s, const struct shelf *shelf,
                       struct hit *hits, size_t *found, struct error *err) {
    char path[PATH_MAX];
    struct npy_map npy;
    bool dot;
    snprintf(path, sizeof path, "%s/embeddings.npy", shelf->folder);
    if (!file_exists(path))
        return error_set(err, ERROR_MISSING,
                         "%s is not there: a run writes it when all its models "
                         "succeed and --export has npy; run again",
                         path);
    if (!by_dot(shelf, &dot, err) || !npy_map_open(&npy, path, err))
        return false;
    bool fine = npy.width == s->query_width ||
                error_set(err, ERROR_INPUT,
                          "%s has rows of %zu numbers, the models give %zu",
                          path, npy.width, s->query_width);
    if (fine && !dot)
        make_unit(s->query, npy.width);
    if (fine)
        file_map_read_through(&npy.map);
    fine = fine &&
           topk_scan(&s->result->memory, s->session.pool,
                     dot ? TOPK_DOT : TOPK_COSINE, path, npy.data, npy.rows,
                     npy.width, s->query, s->depth, hits, found, err);
    s->result->rows += npy.rows;
    npy_map_close(&npy);
    return fine;
}

/* ---- sparse and multi rows ---------------------------------------------- */

/* Rows that are scored one by one, by all threads. */
struct scorer {
    const char *path; /* of the rows' numbers */
    const struct question *question;
    const float *weights; /* [pairs] of the question, IDF in them */
    const struct csr_map *csr;
    const struct multi_map *multi;
    uint64_t first;
    float *scores; /* [BLOCK_ROWS] */
    _Atomic bool failed;
    struct error error; /* the first thread's that failed */
};

static bool score_row(const struct scorer *c, uint64_t row, float *score,
                      struct error *err) {
    const struct question *q = c->question;
    if (c->csr) {
        struct csr_row pairs;
        if (!csr_map_row(c->csr, row, &pairs, err))
            return false;
        *score = (float)csr_row_dot(&pairs, q->indices, c->weights, q->pairs);
    } else {
        const float *vectors;
        size_t count;
        if (!multi_map_row(c->multi, row, &vectors, &count, err))
            return false;
        *score = (float)multi_max_sim(q->vectors, q->vectors_count, vectors,
                                      count, q->width);
    }
    return isfinite(*score) || topk_not_finite(c->path, row, err);
}

static void score_rows(void *context, size_t begin, size_t end,
                       unsigned thread) {
    struct scorer *c = context;
    struct error err = {0};
    (void)thread;
    for (size_t i = begin; i < end; i++)
        if (!score_row(c, c->first + i, &c->scores[i], &err)) {
            if (!atomic_exchange(&c->failed, true))
                c->error = err;
            return;
        }
}

/* The best rows of a block among the best so far: HITS [2 * depth]. A row that
 * shares nothing with a sparse question is no answer. */
static void keep_best(const struct scorer *c, size_t rows, size_t depth,
                      struct hit *hits, size_t *kept) {
    for (size_t i = 0; i < rows; i++) {
        if (c->csr && !(c->scores[i] > 0))
            continue;
        hits[(*kept)++] = (struct hit){c->first + i, c->scores[i]};
        if (*kept < 2 * depth)
            continue;
        qsort(hits, *kept, sizeof *hits, better_first);
        *kept = depth;
    }
}

static bool scan_scored(struct searching *s, struct scorer *c, uint64_t rows,
                        struct hit *hits, size_t *found, struct error *err) {
    size_t kept = 0;
    c->scores =
        memory_alloc(&s->result->memory, BLOCK_ROWS, sizeof *c->scores, err);
    bool fine = c->scores != NULL;
    for (c->first = 0; fine && c->first < rows; c->first += BLOCK_ROWS) {
        uint64_t left = rows - c->first;
        size_t some = left < BLOCK_ROWS ? (size_t)left : BLOCK_ROWS;
        pool_each(s->session.pool, some, 64, score_rows, c);
        if (c->failed && err)
            *err = c->error;
        fine = !c->failed;
        if (fine)
            keep_best(c, some, s->depth, hits, &kept);
    }
    if (kept)
        qsort(hits, kept, sizeof *hits, better_first);
    *found = kept < s->depth ? kept : s->depth;
    s->result->rows += rows;
    memory_free(&s->result->memory, c->scores);
    return fine;
}

/* Qdrant's inverse document frequency ("modifier": "idf"): with n of N points
 * having the word, ln(1 + (N - n + 0.5) / (n + 0.5)). */
static bool add_idf(const struct csr_map *csr, const struct question *q,
                    float *weights, struct memory *memory, struct error *err) {
    uint64_t *have = memory_zalloc(memory, q->pairs + 1, sizeof *have, err);
    bool fine = have;
    for (uint64_t row = 0; fine && row < csr->rows; row++) {
        struct csr_row pairs;
        fine = csr_map_row(csr, row, &pairs, err);
        for (size_t i = 0, w = 0; fine && i < pairs.count && w < q->pairs;) {
            uint64_t index = csr_index(&pairs, i);
            have[w] += index == q->indices[w];
            i += index <= q->indices[w];
            w += index >= q->indices[w];
        }
    }
    for (size_t w = 0; fine && w < q->pairs; w++) {
        double n = (double)have[w], all = (double)csr->rows;
        weights[w] = (float)((double)q->values[w] *
                             log(1 + (all - n + 0.5) / (n + 0.5)));
    }
    memory_free(memory, have);
    return fine;
}

static bool scan_sparse(struct searching *s, const struct asked_model *asked,
                        const char *path, struct hit *hits, size_t *found,
                        struct error *err) {
    const struct question *q = &asked->question;
    struct csr_map csr;
    struct memory *memory = &s->result->memory;
    if (!csr_map_open(&csr, path, memory, err))
        return false;
    float *weights = memory_alloc(memory, q->pairs + 1, sizeof *weights, err);
    if (weights && q->pairs)
        memcpy(weights, q->values, q->pairs * sizeof *weights);
    struct scorer scorer = {
        .path = path, .question = q, .weights = weights, .csr = &csr};
    bool fine = weights &&
                (!asked->bm25 || add_idf(&csr, q, weights, memory, err)) &&
                scan_scored(s, &scorer, csr.rows, hits, found, err);
    memory_free(memory, weights);
    csr_map_close(&csr);
    return fine;
}

static bool scan_multi(struct searching *s, const struct asked_model *asked,
                       const char *path, const char *offsets, struct hit *hits,
                       size_t *found, struct error *err) {
    const struct question *q = &asked->question;
    struct multi_map multi;
    if (!multi_map_open(&multi, path, offsets, err))
        return false;
    struct scorer scorer = {.path = path, .question = q, .multi = &multi};
    bool fine = multi.vectors.width == q->width ||
                error_set(err, ERROR_INPUT,
                          "%s has vectors of %zu numbers, the model gives %zu",
                          path, multi.vectors.width, q->width);
    fine = fine && scan_scored(s, &scorer, multi.points, hits, found, err);
    multi_map_close(&multi);
    return fine;
}

/* ---- into the rankings -------------------------------------------------- */

static int higher_first(const void *a, const void *b) {
    const struct placed *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    if (x->shelf != y->shelf)
        return x->shelf < y->shelf ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static struct ranking *ranking_of(struct searching *s, const char *source,
                                  enum row_kind kind, struct error *err) {
    for (size_t i = 0; i < s->rankings_count; i++)
        if (strcmp(s->rankings[i].source, source) == 0)
            return &s->rankings[i];
    struct arena *arena = &s->result->arena;
    struct ranking *made = &s->rankings[s->rankings_count];
    if (s->rankings_count == RANKINGS_MAX) {
        error_set(err, ERROR_INPUT, "more than %d sources of vectors",
                  RANKINGS_MAX);
        return NULL;
    }
    *made = (struct ranking){
        .source = arena_copy(arena, str_from(source), err),
        .kind = kind,
        .hits = arena_alloc(arena, 2 * s->depth, sizeof *made->hits, err)};
    if (!made->source || !made->hits)
        return NULL;
    s->rankings_count++;
    return made;
}

static bool merge(struct searching *s, size_t shelf, const char *source,
                  enum row_kind kind, const struct hit *hits, size_t count,
                  struct error *err) {
    struct ranking *ranking = ranking_of(s, source, kind, err);
    for (size_t i = 0; ranking && i < count; i++)
        ranking->hits[ranking->count++] =
            (struct placed){shelf, hits[i].row, (double)hits[i].score};
    if (!ranking)
        return false;
    qsort(ranking->hits, ranking->count, sizeof *ranking->hits, higher_first);
    if (ranking->count > s->depth)
        ranking->count = s->depth;
    return true;
}

/* One model's sparse or multi rows. */
static bool scan_model(struct searching *s, size_t number,
                       const struct asked_model *asked, enum row_kind kind,
                       struct hit *hits, struct error *err) {
    const struct shelf *shelf = &s->shelves[number];
    char names[RAGGED_FILES_MAX][NAME_MAX + 1];
    char paths[RAGGED_FILES_MAX][PATH_MAX], source[VECTOR_NAME_MAX];
    size_t found = 0, count = ragged_file_names(asked->key, kind, names);
    snprintf(source, sizeof source, "%.200s-%s", asked->key,
             row_kind_name(kind));
    for (size_t i = 0; i < count; i++)
        if (!path_join(paths[i], shelf->folder, names[i], err))
            return false;
    bool fine =
        kind == ROW_SPARSE
            ? scan_sparse(s, asked, paths[0], hits, &found, err)
            : scan_multi(s, asked, paths[0], paths[1], hits, &found, err);
    return fine && merge(s, number, source, kind, hits, found, err);
}

bool search_scan(struct searching *s, size_t number, struct error *err) {
    const struct shelf *shelf = &s->shelves[number];
    struct memory *memory = &s->result->memory;
    struct hit *hits = memory_alloc(memory, 2 * s->depth, sizeof *hits, err);
    int64_t begin = clock_now_ns();
    size_t found = 0;
    bool fine = hits != NULL;
    if (fine && s->query && search_wants(s->request, "dense", ROW_DENSE))
        fine = scan_dense(s, shelf, hits, &found, err) &&
               merge(s, number, "dense", ROW_DENSE, hits, found, err);
    for (size_t i = 0; fine && i < s->models_count; i++) {
        const struct asked_model *asked = &s->models[i];
        if (asked->question.indices &&
            search_head_wanted(s, asked->key, ROW_SPARSE))
            fine = scan_model(s, number, asked, ROW_SPARSE, hits, err);
        if (fine && asked->question.vectors &&
            search_head_wanted(s, asked->key, ROW_MULTI))
            fine = scan_model(s, number, asked, ROW_MULTI, hits, err);
    }
    s->result->scan_ms += (double)(clock_now_ns() - begin) / 1e6;
    s->result->collections++;
    memory_free(memory, hits);
    return fine;
}
