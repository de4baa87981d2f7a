/* search_parts.h - between the files that make search_run: which collections
 * (search.c), the question as each model sees it (search_question.c), the rows
 * that come nearest by each source (search_scan.c), rankings joined and scored
 * again (search_join.c), and the chunks behind the rows (search_chunks.c).
 */

#ifndef RUN_SEARCH_PARTS_H
#define RUN_SEARCH_PARTS_H

#include <jansson.h>

#include "base/file.h"
#include "data/topk.h"
#include "run/question.h"
#include "run/search.h"

enum { SEARCH_MODELS_MAX = 64, SEARCH_JSON_MAX = 16 << 20 };

/* One collection that can be searched. */
struct shelf {
    const char *folder;
    const char *name;
    json_t *stats;
    struct file_version version; /* of stats.json, before it was read */
    const char *gone; /* where its chunks were, if they are gone; or NULL */
};

/* A row that a source ranked. */
struct placed {
    size_t shelf;
    uint64_t row;
    double score;
};

/* The best rows by one source, of all shelves: best first. */
struct ranking {
    const char *source; /* "dense", "KEY-sparse", "KEY-multi" */
    enum row_kind kind;
    struct placed *hits; /* [2 * depth] */
    size_t count;
};
enum { RANKINGS_MAX = 3 * SEARCH_MODELS_MAX };

/* What one model of the shelf at hand says of the question. */
struct asked_model {
    const json_t *model; /* of stats.json, borrowed */
    const char *key;
    const char *bm25; /* the language of the formula; NULL: a model */
    struct question question;
};

struct searching {
    const struct search_request *request;
    const struct sink *sink; /* borrowed */
    struct search_result *result;
    struct shelf *shelves;
    size_t shelves_count;
    size_t wanted; /* hits of all sources together: what a reranker looks at */
    size_t depth;  /* rows that each source gives, at most */
    struct session session;
    struct run_options options;
    struct model_request dense[SEARCH_MODELS_MAX], sparse[SEARCH_MODELS_MAX],
        multi[SEARCH_MODELS_MAX];
    json_t *answered; /* the models that all below is of, borrowed */
    struct asked_model models[SEARCH_MODELS_MAX];
    size_t models_count;
    float *query; /* the fused one, or the only dense model's */
    size_t query_width;
    struct ranking rankings[RANKINGS_MAX];
    size_t rankings_count;
    bool reranks;
    struct model_request rerank;
};

/* Is SOURCE (its kind's name, or its own) asked for? */
bool search_wants(const struct search_request *request, const char *source,
                  enum row_kind kind);

/* ---- search_question.c -------------------------------------------------- */

/* Ask the models of this collection, those that are wanted. Collections made
 * by the same models share the answers. */
bool search_ask(struct searching *s, const struct shelf *shelf,
                struct error *err);
void search_forget(struct searching *s);
/* Is the model's vector of this head a source that is asked for? All dense
 * models make one source together. */
bool search_head_wanted(const struct searching *s, const char *key,
                        enum row_kind head);
/* Does a model of stats.json have vectors of this kind there? */
bool search_model_gives(const json_t *model, enum row_kind head);

/* ---- search_scan.c ------------------------------------------------------ */

/* Add the shelf's nearest rows to the rankings. */
bool search_scan(struct searching *s, size_t shelf, struct error *err);

/* ---- search_join.c ------------------------------------------------------ */

/* The rankings as one, into result->hits. */
bool search_join(struct searching *s, struct error *err);

/* ---- search_rerank.c ---------------------------------------------------- */

/* Which reranker, if any: before anything is compared. */
bool search_reranker(struct searching *s, struct error *err);
/* The hits, whose texts are known, by its scores; the best of them stay. */
bool search_rerank(struct searching *s, struct error *err);

/* ---- search_chunks.c ---------------------------------------------------- */

/* Text, id and source of a hit; empty where the run exported neither points nor
 * texts. */
bool search_describe(struct searching *s, const struct shelf *shelf,
                     struct search_hit *hit, struct error *err);

#endif
