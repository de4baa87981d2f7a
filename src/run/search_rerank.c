/* search_rerank.c - the best hits in the order of a reranker. */

#include "run/search_parts.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "run/requests.h"
#include "run/rerank.h"

/* What the last run recorded in OUT, which is searched, or is above the
 * collection that is. */
static bool recorded(struct searching *s, struct model_request *request,
                     bool *found, struct error *err) {
    const char *folder = s->request->folder, *reference = NULL, *id = NULL;
    const char *commit = NULL, *key = NULL;
    bool alone = s->shelves_count && !strcmp(s->shelves[0].folder, folder);
    char path[PATH_MAX];
    *found = false;
    if (!path_join(path, folder, alone ? "../" RERANKER_FILE : RERANKER_FILE,
                   err))
        return false;
    if (!file_exists(path))
        return true;
    json_t *rerank = json_read_file(path, SEARCH_JSON_MAX, err);
    bool fine =
        rerank &&
        json_member_string(rerank, "reference", path, &reference, err) &&
        json_member_string(rerank, "key", path, &key, err) &&
        json_member_string(rerank, "id", path, &id, err) &&
        json_member_string(rerank, "commit", path, &commit, err);
    struct arena *arena = &s->result->arena;
    if (fine && reference) {
        *found = true;
        *request = (struct model_request){
            .reference = arena_copy(arena, str_from(reference), err),
            .name = key ? arena_copy(arena, str_from(key), err) : NULL,
            .revision =
                id && commit ? arena_copy(arena, str_from(commit), err) : NULL,
            .weight = 1};
        fine = request->reference && (!key || request->name);
    }
    json_decref(rerank);
    return fine;
}

bool search_reranker(struct searching *s, struct error *err) {
    const struct search_request *request = s->request;
    bool found = request->rerank != NULL;
    if (request->no_rerank)
        return true;
    if (found)
        s->rerank = *request->rerank;
    else if (!recorded(s, &s->rerank, &found, err))
        return false;
    s->reranks = found;
    request_set_rerank(&s->rerank);
    return true;
}

static bool hint(struct searching *s, struct error *err) {
    struct error why = *err;
    if (s->request->rerank)
        return false;
    return error_set(err, why.code,
                     "%s; it is the run's --rerank: search with --no-rerank, "
                     "or with another --rerank",
                     why.message);
}

static int by_score(const void *a, const void *b) {
    const struct search_hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    int names = strcmp(x->collection, y->collection);
    return names ? names : (x->row > y->row) - (x->row < y->row);
}

static bool list_texts(const struct searching *s, struct str *texts,
                       struct error *err) {
    const struct search_result *result = s->result;
    for (size_t i = 0; i < result->count; i++) {
        texts[i] = result->hits[i].text;
        if (!texts[i].size)
            return error_set(
                err, ERROR_MISSING,
                "%s: a reranker reads texts, and neither "
                "points.jsonl nor texts.jsonl has those of %s; run "
                "again with --export points, or search with "
                "--no-rerank",
                s->request->folder, result->hits[i].collection);
    }
    return true;
}

static bool score(struct searching *s, const struct member *member,
                  const struct str *texts, double *scores, struct error *err) {
    struct search_result *result = s->result;
    int64_t begin = clock_now_ns();
    struct reranker *reranker = reranker_open(&s->session, member, err);
    bool fine =
        reranker && reranker_score(reranker, str_from(s->request->question),
                                   texts, result->count, scores, err);
    reranker_close(reranker);
    result->rerank_ms = (double)(clock_now_ns() - begin) / 1e6;
    if (!fine)
        return hint(s, err);
    for (size_t i = 0; i < result->count; i++)
        result->hits[i].score = scores[i];
    qsort(result->hits, result->count, sizeof *result->hits, by_score);
    result->reranked_by =
        arena_copy(&result->arena, str_from(member->key), err);
    return result->reranked_by != NULL;
}

bool search_rerank(struct searching *s, struct error *err) {
    struct search_result *result = s->result;
    struct memory *memory = &result->memory;
    if (!s->reranks || !result->count)
        return true;
    struct member member = {0};
    struct str *texts = memory_alloc(memory, result->count, sizeof *texts, err);
    double *scores = memory_alloc(memory, result->count, sizeof *scores, err);
    bool fine =
        texts && scores && list_texts(s, texts, err) &&
        member_open(&member, &s->rerank, &s->session, "query", false, err);
    if (fine && member.error.code) {
        *err = member.error;
        fine = hint(s, err);
    }
    fine = fine && score(s, &member, texts, scores, err);
    member_close(&member, &s->session.memory);
    memory_free(memory, texts);
    memory_free(memory, scores);
    if (result->count > s->request->top)
        result->count = s->request->top;
    return fine;
}
