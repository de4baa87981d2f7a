/* search.h - answers to a question from the exported files of a run, without
 * a server: the same models with their query prompts, the same fusion, every
 * row compared; by dense vectors, sparse ones (BM25 with Qdrant's inverse
 * document frequency among them) and multivectors, joined by their ranks.
 *
 *     struct search_request request = {.folder = "out", .question = "...",
 *                                      .top = 10, ...};
 *     struct search_result result;
 *     if (!search_run(&request, sink, &result, err)) ...
 *     result.hits[0].text.data ...
 *     search_result_free(&result);
 */

#ifndef RUN_SEARCH_H
#define RUN_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/event.h"
#include "base/str.h"
#include "run/session.h"

struct search_request {
    const char *folder; /* the --out of a run, or one collection in it */
    const char *question;
    size_t top;                     /* >= 1 */
    const char *const *collections; /* names; NULL: all */
    size_t collections_count;
    const char *const *by; /* "dense", "sparse", "multi", or the name of one of
                              these vectors; NULL: all that there are */
    size_t by_count;
    /* Who puts the best CANDIDATES (0: 100) in their last order: RERANK, else
     * the model that the run recorded, else nobody. */
    const struct model_request *rerank; /* NULL: none is named */
    bool no_rerank;
    size_t candidates;
    /* Where the models are found and computed: places, hub, devices, ceilings,
     * leases, isa, threads. Borrowed; the rest of it is not looked at. */
    const struct run_options *machine;
};

/* Where one source has a hit, and what it says of it. */
struct search_rank {
    const char *source; /* "dense", "KEY-sparse", "KEY-multi" */
    size_t rank;        /* from 1 */
    double score;
};

struct search_hit {
    const char *collection;
    /* These three have a NUL at the end, and may have others within. */
    struct str chunk_id; /* "" where points.jsonl was not exported */
    struct str text;     /* "" where neither it nor texts.jsonl was */
    struct str source;   /* metadata's source_file, or "" */
    double score; /* by one source: cosine, or dot product if the model says
                     so, or a sparse dot product, or MaxSim; by several: of
                     reciprocal rank fusion (search_join.c); or the
                     reranker's */
    uint64_t row;
    const struct search_rank *ranks; /* [ranks_count] */
    size_t ranks_count;
};

struct search_result {
    struct memory memory;
    struct arena arena;      /* owner of the strings and hits */
    struct search_hit *hits; /* best first */
    size_t count;
    size_t collections;   /* searched */
    const char **earlier; /* [earlier_count] names of those that are of a run
                             before the last: their chunks are gone */
    size_t earlier_count;
    uint64_t rows;           /* compared */
    const char *reranked_by; /* KEY, or NULL */
    double load_ms, encode_ms, scan_ms, rerank_ms;
};

/* ERROR_BUSY: a run wrote the files meanwhile. */
bool search_run(const struct search_request *request, const struct sink *sink,
                struct search_result *result, struct error *err);
void search_result_free(struct search_result *result);

#endif
