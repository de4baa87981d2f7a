/* search.h - answers to a question from the exported files of a run, without
 * a server: the same models with their query prompts, the same fusion, every
 * row compared.
 *
 *     struct search_request request = {.folder = "out", .question = "...",
 *                                      .top = 10, ...};
 *     struct search_result result;
 *     if (!search_run(&request, sink, &result, err)) ...
 *     result.hits[0].text ...
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
#include "run/session.h"

struct search_request {
    const char *folder; /* the --out of a run, or one collection in it */
    const char *question;
    size_t top;                     /* >= 1 */
    const char *const *collections; /* names; NULL: all */
    size_t collections_count;
    /* Where the models are found and computed: places, hub, devices, ceilings,
     * leases, isa, threads. Borrowed; the rest of it is not looked at. */
    const struct run_options *machine;
};

struct search_hit {
    const char *collection;
    const char *chunk_id; /* "" where points.jsonl was not exported */
    const char *text;     /* "" where neither it nor texts.jsonl was */
    const char *source;   /* metadata's source_file, or "" */
    double score;         /* cosine, or dot product if the model says so */
    uint64_t row;
};

struct search_result {
    struct memory memory;
    struct arena arena;      /* owner of the strings and hits */
    struct search_hit *hits; /* best first */
    size_t count;
    size_t collections; /* searched */
    uint64_t rows;      /* compared */
    double load_ms, encode_ms, scan_ms;
};

bool search_run(const struct search_request *request, const struct sink *sink,
                struct search_result *result, struct error *err);
void search_result_free(struct search_result *result);

#endif
