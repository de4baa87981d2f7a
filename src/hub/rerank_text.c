/* rerank_text.c - see rerank_text.h. */

#include "hub/rerank_text.h"

#include <string.h>

static void add(struct strbuf *out, const char *text) {
    strbuf_add(out, str_from(text));
}

void rerank_pair_text(const struct pair_template *pair, const char *instruction,
                      struct str query, struct str document,
                      struct strbuf *out) {
    if (pair->head) {
        add(out, pair->head);
        add(out, instruction ? instruction : pair->instruction);
    }
    add(out, pair->query);
    strbuf_add(out, query);
    add(out, pair->document);
    strbuf_add(out, document);
    add(out, pair->tail);
}

/* Many documents. Their model was trained with these words. */

static const char LIST_HEAD[] =
    "<|im_start|>system\n"
    "You are a search relevance expert who can determine a ranking of the "
    "passages based on how relevant they are to the query. If the query is a "
    "question, how relevant a passage is depends on how well it answers the "
    "question. If not, try to analyze the intent of the query and assess how "
    "well each passage satisfies the intent. If an instruction is provided, "
    "you should follow the instruction when determining the ranking."
    "<|im_end|>\n<|im_start|>user\n";
static const char LIST_TAIL[] =
    "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";

/* TEXT without TOKEN, in TEXT's place. */
static void remove_token(struct strbuf *text, size_t begin, const char *token) {
    size_t size = strlen(token), kept = begin;
    for (size_t at = begin; at < text->size;) {
        if (text->size - at >= size &&
            memcmp(text->data + at, token, size) == 0)
            at += size;
        else
            text->data[kept++] = text->data[at++];
    }
    text->size = kept;
    if (text->data)
        text->data[kept] = '\0';
}

/* Until none is left: upstream goes through once, and fails on a text that has
 * one where two halves close up. */
static void add_clean(const struct rerank_files *rerank, struct str text,
                      struct strbuf *out) {
    size_t begin = out->size, before;
    strbuf_add(out, text);
    do {
        before = out->size;
        remove_token(out, begin, rerank->query_token);
        remove_token(out, begin, rerank->document_token);
    } while (out->size < before);
}

void rerank_list_text(const struct rerank_files *rerank,
                      const char *instruction, struct str query,
                      const struct str *documents, size_t count,
                      struct strbuf *out) {
    add(out, LIST_HEAD);
    strbuf_printf(out,
                  "I will provide you with %zu passages, each indicated by a "
                  "numerical identifier. Rank the passages based on their "
                  "relevance to query: ",
                  count);
    add_clean(rerank, query, out);
    add(out, "\n");
    if (instruction && *instruction)
        strbuf_printf(out, "<instruct>\n%s\n</instruct>\n", instruction);
    for (size_t i = 0; i < count; i++) {
        strbuf_printf(out, "<passage id=\"%zu\">\n", i);
        add_clean(rerank, documents[i], out);
        strbuf_printf(out, "%s\n</passage>\n", rerank->document_token);
    }
    add(out, "<query>\n");
    add_clean(rerank, query, out);
    strbuf_printf(out, "%s\n</query>", rerank->query_token);
    add(out, LIST_TAIL);
}
