#include "run/requests.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/model_files.h"
#include "hub/registry.h"
#include "run/heads.h"

bool request_is_bm25(const struct model_request *request) {
    return request->heads == head_bit(ROW_SPARSE) &&
           (!strcasecmp(request->reference, BM25_KEY) ||
            !strcasecmp(request->reference, "Qdrant/bm25"));
}

void request_set_rerank(struct model_request *request) {
    const struct registry_entry *entry =
        request->reference ? registry_find_key(request->reference) : NULL;
    bool dense = entry && entry->kind == REGISTRY_BI_ENCODER;
    request->use = dense ? MODEL_DENSE : MODEL_RERANK;
    request->heads = dense ? head_bit(ROW_DENSE) : 0;
}

/* Is BM25 told anything? */
static bool tells_bm25(const struct model_request *request) {
    const struct bm25_request *told = &request->bm25;
    return told->language || told->stopwords || told->k.said || told->b.said ||
           told->avg_len.said;
}

/* NULL is the same as FALLBACK. */
static bool same_text(const char *a, const char *b, const char *fallback) {
    return !strcmp(a ? a : fallback, b ? b : fallback);
}

static bool same_reference(const char *a, const char *b) {
    const char *id_a = model_hub_id(a), *id_b = model_hub_id(b);
    if (!strcmp(a, b))
        return true;
    if (id_a || id_b)
        return id_a && id_b && !strcmp(id_a, id_b);
    char *path_a = realpath(a, NULL), *path_b = realpath(b, NULL);
    bool same = path_a && path_b && !strcmp(path_a, path_b);
    free(path_a);
    free(path_b);
    return same;
}

/* May LATER be computed by the pass of FIRST? */
static bool shares(const struct model_request *first,
                   const struct model_request *later) {
    return same_reference(first->reference, later->reference) &&
           same_text(first->revision, later->revision, "main") &&
           (!later->name || same_text(first->name, later->name, "")) &&
           (!later->prompt || same_text(first->prompt, later->prompt, "")) &&
           (!later->task || same_text(first->task, later->task, ""));
}

struct merging {
    struct model_request *list;
    size_t count;
};

static void add(struct merging *m, const struct model_request *request,
                enum row_kind head) {
    for (size_t i = 0; head != ROW_DENSE && i < m->count; i++)
        if (!(m->list[i].heads & head_bit(head)) &&
            shares(&m->list[i], request)) {
            m->list[i].heads |= head_bit(head);
            return;
        }
    m->list[m->count] = *request;
    m->list[m->count++].heads = head_bit(head);
}

/* What a model that gives several heads is read as is the dense one: only its
 * files say how the others come with it. */
static enum model_use use_for(unsigned heads) {
    return heads == head_bit(ROW_SPARSE)  ? MODEL_SPARSE
           : heads == head_bit(ROW_MULTI) ? MODEL_MULTI
                                          : MODEL_DENSE;
}

static bool add_heads(struct merging *m, const struct model_request *requests,
                      size_t count, enum row_kind head, struct error *err) {
    for (size_t i = 0; i < count; i++) {
        if (requests[i].dim || requests[i].weight != 1)
            return error_set(err, ERROR_USAGE,
                             "%s: the keys weight and dim are for dense "
                             "vectors; leave them away from its --%s",
                             requests[i].reference,
                             head == ROW_SPARSE ? "sparse" : "colbert");
        add(m, &requests[i], head);
    }
    return true;
}

bool requests_merge(const struct run_options *options, struct memory *memory,
                    struct model_request **requests, size_t *count,
                    struct error *err) {
    struct merging m = {0};
    size_t most =
        options->models_count + options->sparse_count + options->multi_count;
    *requests = NULL;
    *count = 0;
    if (!most)
        return error_set(err, ERROR_USAGE, "no model: name one with --model");
    m.list = memory_zalloc(memory, most, sizeof *m.list, err);
    if (!m.list)
        return false;
    for (size_t i = 0; i < options->models_count; i++)
        add(&m, &options->models[i], ROW_DENSE);
    *requests = m.list;
    bool fine =
        add_heads(&m, options->sparse, options->sparse_count, ROW_SPARSE,
                  err) &&
        add_heads(&m, options->multi, options->multi_count, ROW_MULTI, err);
    for (size_t i = 0; fine && i < m.count; i++) {
        m.list[i].use = use_for(m.list[i].heads);
        fine = !tells_bm25(&m.list[i]) || request_is_bm25(&m.list[i]) ||
               error_set(err, ERROR_USAGE,
                         "%s: the keys language, stopwords, k, b and length "
                         "are for --sparse " BM25_KEY,
                         m.list[i].reference);
    }
    *count = m.count;
    return fine;
}
