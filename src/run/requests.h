/* requests.h - the models that a run's options name, each once: one that is
 * named for several heads is one request with all of them.
 *
 *     struct model_request *requests;
 *     size_t count;
 *     requests_merge(options, memory, &requests, &count, err);
 *     ... requests[0 .. models_count) are the dense ones, in their order ...
 *     memory_free(memory, requests);
 *
 * Two names mean one model if they are the same folder or the same hub id (by
 * a registry key too) at the same revision, and the later one asks for no
 * other name, prompt or task.
 */

#ifndef RUN_REQUESTS_H
#define RUN_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"
#include "run/session.h"

/* Strings are the options'. ERROR_USAGE: none at all, or a key that means
 * nothing for its head (weight, dim of a sparse one). */
bool requests_merge(const struct run_options *options, struct memory *memory,
                    struct model_request **requests, size_t *count,
                    struct error *err);

/* Make REQUEST that of a reranker: a model that scores pairs, or a dense one
 * that the registry knows to rerank by its cosine. */
void request_set_rerank(struct model_request *request);

/* BM25 is a formula, known to users as the model Qdrant/bm25. */
#define BM25_KEY "qdrant-bm25"
bool request_is_bm25(const struct model_request *request);

#endif
