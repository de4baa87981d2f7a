/* tokenizer.c - the tokenizer and its scratch as objects; what they do with a
 * text is in encode.c. */

#include "text/tokenizer.h"

#include <string.h>

#include "base/json.h"
#include "text/tokenizer_parts.h"

struct tokens tokens_make(struct memory *memory) {
    return (struct tokens){.memory = memory};
}

void tokens_free(struct tokens *tokens) {
    memory_free(tokens->memory, tokens->ids);
    *tokens = tokens_make(tokens->memory);
}

bool tokens_reserve(struct tokens *tokens, size_t extra, struct error *err) {
    if (tokens->capacity - tokens->count >= extra)
        return true;
    size_t need, capacity = tokens->capacity + tokens->capacity / 2;
    if (__builtin_add_overflow(tokens->count, extra, &need))
        return error_set(err, ERROR_MEMORY, "%zu tokens cannot be addressed",
                         extra);
    capacity = capacity < need + 64 ? need + 64 : capacity;
    uint32_t *ids =
        memory_resize(tokens->memory, tokens->ids, capacity, sizeof *ids, err);
    if (!ids)
        return false;
    tokens->ids = ids;
    tokens->capacity = capacity;
    return true;
}

bool tokens_add(struct tokens *tokens, struct ids ids, struct error *err) {
    if (!tokens_reserve(tokens, ids.count, err))
        return false;
    if (ids.count)
        memcpy(tokens->ids + tokens->count, ids.list,
               ids.count * sizeof *ids.list);
    tokens->count += ids.count;
    return true;
}

struct tokenizer *tokenizer_of(struct memory *memory, const json_t *root,
                               const struct load_options *options,
                               const char *name, struct error *err) {
    struct tokenizer *tokenizer =
        memory_zalloc(memory, 1, sizeof *tokenizer, err);
    if (!tokenizer)
        return NULL;
    tokenizer->memory = memory;
    tokenizer->arena = arena_make(memory);
    tokenizer->wordpiece.vocab = trie_make(memory);
    tokenizer->raw = added_set_make(memory, NULL);
    tokenizer->normalized = added_set_make(memory, NULL);
    if (tokenizer_load(tokenizer, root, options, name, err))
        return tokenizer;
    tokenizer_free(tokenizer);
    return NULL;
}

struct tokenizer *tokenizer_create(struct memory *memory, struct str json,
                                   const char *name, struct error *err) {
    struct load_options options = {0};
    json_t *root = json_parse(json, name, err);
    struct tokenizer *tokenizer =
        root ? tokenizer_of(memory, root, &options, name, err) : NULL;
    json_decref(root);
    return tokenizer;
}

void tokenizer_free(struct tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    stages_free(tokenizer->stages, tokenizer->memory);
    trie_free(&tokenizer->wordpiece.vocab);
    added_set_free(&tokenizer->raw);
    added_set_free(&tokenizer->normalized);
    memory_free(tokenizer->memory, tokenizer->tokens);
    arena_free(&tokenizer->arena);
    memory_free(tokenizer->memory, tokenizer);
}

struct tokenizer_scratch *tokenizer_scratch_create(
    const struct tokenizer *tokenizer, struct memory *memory,
    struct error *err) {
    struct tokenizer_scratch *scratch =
        memory_zalloc(memory, 1, sizeof *scratch, err);
    if (!scratch)
        return NULL;
    scratch->memory = memory;
    scratch->marks.memory = memory;
    scratch->text = strbuf_make(memory);
    scratch->tokens = tokens_make(memory);
    if (!tokenizer->stages ||
        (scratch->stages = stages_scratch_create(memory, err)))
        return scratch;
    tokenizer_scratch_free(scratch);
    return NULL;
}

/* Normalising rarely makes a window of text more than four times as long. */
bool tokenizer_scratch_reserve(const struct tokenizer *tokenizer,
                               struct tokenizer_scratch *scratch, size_t limit,
                               struct error *err) {
    enum { UTF8_MOST = 4 };
    size_t word = tokenizer->wordpiece.chars_max;
    word = word < WINDOW_BYTES / UTF8_MOST ? word * UTF8_MOST : WINDOW_BYTES;
    size_t specials = tokenizer_special_count(tokenizer);
    return tokens_reserve(&scratch->tokens, limit + specials + word, err) &&
           (strbuf_reserve(&scratch->text, 4 * WINDOW_BYTES) ||
            error_set(err, ERROR_MEMORY, "no memory to tokenize texts"));
}

void tokenizer_scratch_free(struct tokenizer_scratch *scratch) {
    if (!scratch)
        return;
    stages_scratch_free(scratch->stages);
    memory_free(scratch->memory, scratch->marks.codes);
    strbuf_free(&scratch->text);
    tokens_free(&scratch->tokens);
    memory_free(scratch->memory, scratch);
}

size_t tokenizer_vocab_size(const struct tokenizer *tokenizer) {
    return tokenizer->vocab_size;
}

struct str tokenizer_token(const struct tokenizer *tokenizer, uint32_t id) {
    if (id >= tokenizer->vocab_size || !tokenizer->tokens[id].data)
        return STR("");
    return tokenizer->tokens[id];
}

bool tokenizer_id(const struct tokenizer *tokenizer, struct str token,
                  uint32_t *id) {
    if (trie_get(&tokenizer->wordpiece.vocab, token, id))
        return true;
    for (size_t i = 0; i < tokenizer->added_count; i++) {
        if (str_equal(tokenizer->added[i].content, token)) {
            *id = tokenizer->added[i].id;
            return true;
        }
    }
    return false;
}

bool tokenizer_is_named(const struct tokenizer *tokenizer, uint32_t id) {
    for (size_t i = 0; i < tokenizer->added_count; i++)
        if (tokenizer->added[i].id == id && tokenizer->added[i].named)
            return true;
    return false;
}

bool tokenizer_fill_id(const struct tokenizer *tokenizer, uint32_t *id) {
    const struct added_token *found = NULL;
    for (size_t i = 0; i < tokenizer->added_count; i++) {
        const struct added_token *token = &tokenizer->added[i];
        if (token->mask || (token->end && !found))
            found = token;
        if (token->mask)
            break;
    }
    if (found)
        *id = found->id;
    return found != NULL;
}

bool tokenizer_pads_left(const struct tokenizer *tokenizer) {
    return tokenizer->pads_left;
}

size_t tokenizer_special_count(const struct tokenizer *tokenizer) {
    return tokenizer->template.before.count + tokenizer->template.after.count;
}

size_t tokenizer_special_before(const struct tokenizer *tokenizer) {
    return tokenizer->template.before.count;
}

size_t tokenizer_pair_special_count(const struct tokenizer *tokenizer) {
    const struct template_pair *pair = &tokenizer->template.pair;
    return pair->before.count + pair->between.count + pair->after.count;
}

bool tokenizer_normalize(const struct tokenizer *tokenizer, struct str text,
                         struct strbuf *out, struct error *err) {
    if (tokenizer->stages)
        return stages_normalize(tokenizer->stages, text, out, err);
    struct normalize_marks marks = {.memory = out->memory};
    normalize_add(&tokenizer->normalizer, &marks, text, out);
    normalize_end(&marks, out);
    memory_free(marks.memory, marks.codes);
    return strbuf_ok(out, err);
}
