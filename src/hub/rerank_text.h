/* rerank_text.h - the texts that rerankers read which are not simply a pair.
 *
 *     struct strbuf text = strbuf_make(memory);
 *     rerank_pair_text(&files->rerank.pair, NULL, query, document, &text);
 *     ids of the text, with the special tokens in it found, and no others added
 *
 * FACTS: a chat template's own words (YES_NO); for LISTWISE modeling.py of
 * jinaai/jina-reranker-v3: format_docs_prompts_func and rerank. What the
 * caller does of it: a document is cut to 2,048 tokens and a query to 512
 * before they come here (and made text again); 125 documents at most go into
 * one text, fewer where 2 queries, the documents so far and one more of 2,048
 * would be more than the model takes.
 */

#ifndef HUB_RERANK_TEXT_H
#define HUB_RERANK_TEXT_H

#include "base/str.h"
#include "hub/model_files.h"

enum {
    RERANK_LIST_MAX = 125,
    RERANK_LIST_DOCUMENT_TOKENS = 2048,
    RERANK_LIST_QUERY_TOKENS = 512,
};

/* A query and a document in PAIR's places, behind OUT. INSTRUCTION NULL is
 * the pair's own; it is not used where PAIR has none. */
void rerank_pair_text(const struct pair_template *pair, const char *instruction,
                      struct str query, struct str document,
                      struct strbuf *out);

/* COUNT documents and a query in one text, behind OUT: token DOCUMENT_TOKEN of
 * RERANK behind each document in their order, then QUERY_TOKEN behind the
 * query. These tokens are taken out of the texts first. INSTRUCTION NULL:
 * none. */
void rerank_list_text(const struct rerank_files *rerank,
                      const char *instruction, struct str query,
                      const struct str *documents, size_t count,
                      struct strbuf *out);

#endif
