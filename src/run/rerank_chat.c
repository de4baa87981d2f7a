/* rerank_chat.c - a question and a text as one chat. FACTS: Transformer of
 * sentence-transformers 6 (_process_chat_messages and what it calls): the chat
 * is tokenized without further special tokens and cut on the right; over the
 * end of one that reaches the limit go the tokens that end every chat. */

#include <string.h>

#include "hub/rerank_text.h"
#include "run/rerank_parts.h"

/* Appended to OUT, at most LIMIT tokens (0: all). */
static bool chat_tokens(struct reranker *reranker, struct str question,
                        struct str text, size_t limit, struct tokens *out,
                        struct error *err) {
    const struct tokenizer *tokenizer = reranker->engine->tokenizer;
    size_t specials = tokenizer_special_count(tokenizer);
    size_t before = tokenizer_special_before(tokenizer), first = out->count;
    struct strbuf chat = strbuf_make(&reranker->session->memory);
    rerank_pair_text(&reranker->member.files->rerank.pair, NULL, question, text,
                     &chat);
    bool fine = strbuf_ok(&chat, err) &&
                rerank_tokens(reranker, strbuf_str(&chat),
                              limit ? limit + specials : 0, out, err);
    strbuf_free(&chat);
    if (!fine)
        return false;
    memmove(out->ids + first, out->ids + first + before,
            (out->count - first - before) * sizeof *out->ids);
    out->count -= specials;
    return true;
}

/* Upstream tells the end by what two chats have in common. */
static bool find_tail(struct reranker *reranker, struct error *err) {
    struct memory *memory = &reranker->session->memory;
    struct tokens a = tokens_make(memory), b = tokens_make(memory);
    struct str one = STR("0"), other = STR("1 2 3 4");
    bool fine = chat_tokens(reranker, one, one, 0, &a, err) &&
                chat_tokens(reranker, other, other, 0, &b, err);
    size_t count = 0, least = a.count < b.count ? a.count : b.count;
    while (fine && count < least &&
           a.ids[a.count - 1 - count] == b.ids[b.count - 1 - count])
        count++;
    if (fine && count && count < least) {
        reranker->tail = memory_alloc(memory, count, sizeof *a.ids, err);
        fine = reranker->tail != NULL;
        if (fine)
            memcpy(reranker->tail, a.ids + a.count - count,
                   count * sizeof *a.ids);
        reranker->tail_count = fine ? count : 0;
    }
    tokens_free(&a);
    tokens_free(&b);
    return fine;
}

static bool find_word(struct reranker *reranker, const char *name, size_t *id,
                      struct error *err) {
    uint32_t found;
    if (!name)
        return true;
    if (!tokenizer_id(reranker->engine->tokenizer, str_from(name), &found) ||
        found >= reranker->member.spec.vocab)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: its tokenizer has no token \"%s\", by which a "
                         "language model scores: use another reranker",
                         reranker->member.files->folder, name);
    *id = found;
    return true;
}

bool rerank_chat_open(struct reranker *reranker, struct error *err) {
    const struct rerank_files *files = &reranker->member.files->rerank;
    struct model_spec *spec = &reranker->member.spec;
    bool fine = true;
    if (files->kind == RERANK_YES_NO)
        fine = find_word(reranker, files->yes_token, &spec->yes_id, err) &&
               (files->no_none ||
                find_word(reranker, files->no_token, &spec->no_id, err));
    return fine && find_tail(reranker, err);
}

static void end_well(const struct reranker *reranker, uint32_t *ids,
                     size_t count) {
    size_t tail = reranker->tail_count;
    size_t keep = tail < count ? tail : count;
    memcpy(ids + count - keep, reranker->tail + tail - keep,
           keep * sizeof *ids);
}

bool rerank_chat_rows(struct reranker *reranker, struct str question,
                      const struct str *texts, struct rerank_rows *rows,
                      struct error *err) {
    size_t limit = reranker->member.spec.max_length;
    struct tokens *tokens = &rows->tokens;
    for (size_t i = 0; i < rows->count; i++) {
        size_t first = tokens->count;
        if (!chat_tokens(reranker, question, texts[i], limit, tokens, err))
            return false;
        size_t count = tokens->count - first;
        if (count >= limit && reranker->tail)
            end_well(reranker, tokens->ids + first, count);
        rows->seconds[i] = count;
        rows->starts[i + 1] = tokens->count;
    }
    return true;
}
