/* load.c - tokenizer.json, checked part by part. */

#include <string.h>

#include "base/json.h"
#include "text/part.h"
#include "text/tokenizer_parts.h"

/* Four times the largest vocabulary that is known: a larger id is a broken
 * file, and would cost memory by its size alone. */
enum { IDS_MAX = 1 << 22 };

/* A Sequence of one part is that part. */
static const char *type_of(const json_t *part, const char *members) {
    const json_t *list = json_object_get(part, members);
    const char *type = json_string_value(json_object_get(part, "type"));
    if (type && strcmp(type, "Sequence") == 0 && json_array_size(list) == 1)
        return type_of(json_array_get(list, 0), "");
    return type ? type : "";
}

/* Whether all parts are BERT's, which can be run through windows. */
static bool is_bert(const json_t *root) {
    const json_t *normalizer = json_object_get(root, "normalizer");
    const json_t *pretokenizer = json_object_get(root, "pre_tokenizer");
    const char *model = type_of(json_object_get(root, "model"), "");
    bool fine =
        !normalizer || json_is_null(normalizer) ||
        strcmp(type_of(normalizer, "normalizers"), "BertNormalizer") == 0;
    return fine && (!*model || strcmp(model, "WordPiece") == 0) &&
           strcmp(type_of(pretokenizer, "pretokenizers"), "BertPreTokenizer") ==
               0;
}

/* LOWER: with a Lowercase before the file's own. It changes nothing but the
 * case, so it may as well come last, where ours is; strip_accents: null still
 * follows the file. */
static bool load_bert(struct tokenizer *tokenizer, const json_t *root,
                      bool lower, const char *name, struct error *err) {
    struct normalizer *normalizer = &tokenizer->normalizer;
    struct part part;
    if (!part_open(&part, root, "normalizer", "normalizers", name, err))
        return false;
    bool fine = true;
    if (part.json) {
        fine = part_bool(&part, "clean_text", &normalizer->clean_text, err) &&
               part_bool(&part, "handle_chinese_chars",
                         &normalizer->handle_chinese_chars, err) &&
               part_bool(&part, "lowercase", &normalizer->lowercase, err);
        normalizer->strip_accents = normalizer->lowercase; /* what null means */
        fine = fine && json_member_bool(part.json, "strip_accents", name,
                                        &normalizer->strip_accents, err);
    }
    normalizer->lowercase |= lower;
    normalize_prepare(normalizer);
    pretokenize_prepare(&tokenizer->pretokenizer);
    return fine;
}

static bool load_steps(struct tokenizer *tokenizer, const json_t *root,
                       bool lower, const char *name, struct error *err) {
    if (is_bert(root))
        return load_bert(tokenizer, root, lower, name, err);
    struct stages *stages = stages_create(tokenizer->memory, err);
    tokenizer->stages = stages;
    return stages &&
           normalizers_load(&stages->normalizers,
                            json_object_get(root, "normalizer"), lower, name,
                            tokenizer->memory, &tokenizer->arena, err) &&
           pretokenizers_load(&stages->pretokenizers,
                              json_object_get(root, "pre_tokenizer"), name,
                              tokenizer->memory, &tokenizer->arena, err);
}

/* The largest id of the vocabulary, plus one. */
static bool vocab_ids(const json_t *vocab, const char *name, size_t *end,
                      struct error *err) {
    *end = 0;
    for (void *i = json_object_iter((json_t *)vocab); i;
         i = json_object_iter_next((json_t *)vocab, i)) {
        uint32_t id;
        if (!part_id(json_object_iter_value(i), IDS_MAX,
                     json_object_iter_key(i), name, &id, err))
            return false;
        *end = id >= *end ? (size_t)id + 1 : *end;
    }
    return true;
}

/* TEXT under ID; an id that two tokens claim has no right answer. */
static bool name_id(struct tokenizer *tokenizer, struct str text, uint32_t id,
                    const char *name, struct error *err) {
    struct str *place = &tokenizer->tokens[id];
    if (place->data)
        return error_set(err, ERROR_INPUT,
                         "%s: the tokens \"%.64s\" and \"%.64s\" have the same "
                         "id %u",
                         name, place->data, text.data, id);
    const char *copy = arena_copy(&tokenizer->arena, text, err);
    *place = (struct str){copy, copy ? text.size : 0};
    return copy;
}

static bool load_vocab(struct tokenizer *tokenizer, const json_t *vocab,
                       const char *name, struct error *err) {
    for (void *i = json_object_iter((json_t *)vocab); i;
         i = json_object_iter_next((json_t *)vocab, i)) {
        /* A key with a NUL in it is none for jansson. */
        struct str text = str_from(json_object_iter_key(i));
        uint32_t id = (uint32_t)json_integer_value(json_object_iter_value(i));
        if (!name_id(tokenizer, text, id, name, err) ||
            !trie_put(&tokenizer->wordpiece.vocab, text, id, err))
            return false;
    }
    return true;
}

static bool load_wordpiece(struct wordpiece *wordpiece, const struct part *part,
                           struct error *err) {
    struct str unknown, prefix;
    size_t chars = SIZE_MAX;
    if (!part_text(part, "unk_token", &unknown, err) ||
        !part_text(part, "continuing_subword_prefix", &prefix, err) ||
        !json_member_size(part->json, "max_input_chars_per_word", part->name,
                          &chars, err))
        return false;
    if (chars == SIZE_MAX)
        return error_set(err, ERROR_INPUT,
                         "%s: the model has no \"max_input_chars_per_word\"",
                         part->name);
    wordpiece->chars_max = chars;
    wordpiece->continues =
        trie_walk(&wordpiece->vocab, prefix, &wordpiece->continuing);
    if (trie_get(&wordpiece->vocab, unknown, &wordpiece->unknown))
        return true;
    return error_set(err, ERROR_INPUT,
                     "%s: the unknown token \"%.64s\" is not in the vocabulary",
                     part->name, unknown.data);
}

static bool load_wordlevel(struct wordpiece *words, const struct part *part,
                           struct error *err) {
    struct str unknown;
    if (!part_text(part, "unk_token", &unknown, err))
        return false;
    if (!trie_get(&words->vocab, unknown, &words->unknown))
        words->unknown = TRIE_NONE;
    return true;
}

/* Room for the names of END ids and of ADDED tokens. */
static bool make_names(struct tokenizer *tokenizer, size_t end, size_t added,
                       size_t count, struct error *err) {
    tokenizer->tokens = memory_zalloc(tokenizer->memory, end + added,
                                      sizeof *tokenizer->tokens, err);
    tokenizer->vocab_size = end;
    tokenizer->vocab_count = count;
    return tokenizer->tokens;
}

/* A vocabulary that is a table of ids. */
static bool load_table(struct tokenizer *tokenizer, const struct part *part,
                       size_t added, struct error *err) {
    const json_t *vocab = json_object_get(part->json, "vocab");
    if (!json_is_object(vocab))
        return error_set(err, ERROR_INPUT,
                         "%s: the model's \"vocab\" is not an object",
                         part->name);
    size_t end;
    return vocab_ids(vocab, part->name, &end, err) &&
           make_names(tokenizer, end, added, json_object_size(vocab), err) &&
           load_vocab(tokenizer, vocab, part->name, err);
}

/* One that is a list of pieces and scores. */
static bool load_list(struct tokenizer *tokenizer, const struct part *part,
                      size_t added, struct error *err) {
    const json_t *vocab = json_object_get(part->json, "vocab");
    size_t count = json_array_size(vocab);
    if (!json_is_array(vocab) || count > IDS_MAX)
        return error_set(err, ERROR_INPUT,
                         "%s: the model's \"vocab\" is not a list of at most "
                         "%d pieces",
                         part->name, IDS_MAX);
    if (!make_names(tokenizer, count, added, count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *text = json_array_get(json_array_get(vocab, i), 0);
        struct str piece = {json_string_value(text), json_string_length(text)};
        if (!json_is_string(text))
            return error_set(err, ERROR_INPUT,
                             "%s: piece %zu of the model's \"vocab\" is not a "
                             "text and a score",
                             part->name, i);
        if (!name_id(tokenizer, piece, (uint32_t)i, part->name, err) ||
            !trie_put(&tokenizer->wordpiece.vocab, piece, (uint32_t)i, err))
            return false;
    }
    return true;
}

static bool load_model(struct tokenizer *tokenizer, const json_t *root,
                       size_t added, bool exact, const char *name,
                       struct error *err) {
    struct stages *stages = tokenizer->stages;
    struct trie *vocab = &tokenizer->wordpiece.vocab;
    struct part part;
    if (!part_open(&part, root, "model", NULL, name, err))
        return false;
    if (part.json && (!*part.type || strcmp(part.type, "WordPiece") == 0))
        return load_table(tokenizer, &part, added, err) &&
               load_wordpiece(&tokenizer->wordpiece, &part, err);
    if (part.json && strcmp(part.type, "BPE") == 0) {
        stages->model = STAGES_BPE;
        return load_table(tokenizer, &part, added, err) &&
               bpe_load(&stages->bpe, &part, vocab, &tokenizer->arena, err);
    }
    if (part.json && strcmp(part.type, "Unigram") == 0) {
        stages->model = STAGES_UNIGRAM;
        return load_list(tokenizer, &part, added, err) &&
               unigram_load(&stages->unigram, &part, vocab,
                            tokenizer->vocab_count, exact, err);
    }
    if (part.json && strcmp(part.type, "WordLevel") == 0 && stages) {
        stages->model = STAGES_WORDLEVEL;
        return load_table(tokenizer, &part, added, err) &&
               load_wordlevel(&tokenizer->wordpiece, &part, err);
    }
    return part_unsupported(&part, "WordPiece, WordLevel, BPE and Unigram are",
                            err);
}

/* Hugging Face does not read an added token's id: it is the vocabulary's, or
 * else the next one behind the vocabulary and what was added before. */
static bool added_id(struct tokenizer *tokenizer, struct added_token *token,
                     uint32_t *next, const char *name, struct error *err) {
    bool known =
        trie_get(&tokenizer->wordpiece.vocab, token->content, &token->id);
    if (!known)
        token->id = *next;
    if (token->id >= *next)
        *next = token->id + 1;
    if (token->id >= tokenizer->vocab_size)
        tokenizer->vocab_size = (size_t)token->id + 1;
    return known || name_id(tokenizer, token->content, token->id, name, err);
}

static bool read_added(struct tokenizer *tokenizer, const json_t *json,
                       struct added_token *token, const char *name,
                       struct error *err) {
    struct part part = {json, "added token", name, ""};
    if (!part_text(&part, "content", &token->content, err) ||
        !part_bool(&part, "single_word", &token->single_word, err) ||
        !part_bool(&part, "lstrip", &token->lstrip, err) ||
        !part_bool(&part, "rstrip", &token->rstrip, err) ||
        !part_bool(&part, "normalized", &token->normalized, err) ||
        !part_bool(&part, "special", &token->special, err))
        return false;
    token->named = json_is_true(json_object_get(json, "named")); /* ours */
    token->mask = json_is_true(json_object_get(json, "mask"));
    token->end = json_is_true(json_object_get(json, "end"));
    const char *copy = arena_copy(&tokenizer->arena, token->content, err);
    token->content.data = copy;
    return copy;
}

/* Put TOKEN's pattern into its set. */
static bool index_added(struct tokenizer *tokenizer, uint32_t index,
                        const char *name, struct error *err) {
    const struct added_token *token = &tokenizer->added[index];
    struct added_set *set =
        token->normalized ? &tokenizer->normalized : &tokenizer->raw;
    struct strbuf buf = strbuf_make(tokenizer->memory);
    struct str pattern = token->content;
    bool fine = true;
    if (token->normalized) {
        fine = tokenizer_normalize(tokenizer, token->content, &buf, err);
        pattern = strbuf_str(&buf);
    }
    uint32_t other;
    if (fine && !pattern.size)
        fine = error_set(err, ERROR_UNSUPPORTED,
                         "%s: nothing is left of the added token \"%.64s\" "
                         "when it is normalized",
                         name, token->content.data);
    if (fine && pattern.size > ADDED_BYTES_MAX)
        fine = error_set(err, ERROR_UNSUPPORTED,
                         "%s: the added token \"%.64s...\" is longer than %d "
                         "bytes",
                         name, token->content.data, ADDED_BYTES_MAX);
    if (fine && trie_get(&set->patterns, pattern, &other))
        fine = error_set(err, ERROR_UNSUPPORTED,
                         "%s: the added tokens \"%.64s\" and \"%.64s\" are "
                         "the same text",
                         name, tokenizer->added[other].content.data,
                         token->content.data);
    fine = fine && added_set_put(set, pattern, index, err);
    strbuf_free(&buf);
    return fine;
}

static bool load_added(struct tokenizer *tokenizer, const json_t *list,
                       const char *name, struct error *err) {
    size_t count = json_array_size(list);
    uint32_t next = (uint32_t)tokenizer->vocab_count;
    tokenizer->added = arena_alloc(&tokenizer->arena, count + 1,
                                   sizeof *tokenizer->added, err);
    if (!tokenizer->added)
        return false;
    tokenizer->raw = added_set_make(tokenizer->memory, tokenizer->added);
    tokenizer->normalized = added_set_make(tokenizer->memory, tokenizer->added);
    for (size_t i = 0; i < count; i++) {
        struct added_token *token = &tokenizer->added[tokenizer->added_count];
        if (!read_added(tokenizer, json_array_get(list, i), token, name, err))
            return false;
        if (!token->content.size)
            continue; /* as Hugging Face does */
        if (!added_id(tokenizer, token, &next, name, err) ||
            !index_added(tokenizer, (uint32_t)tokenizer->added_count++, name,
                         err))
            return false;
    }
    return true;
}

bool tokenizer_load(struct tokenizer *tokenizer, const json_t *root,
                    const struct load_options *options, const char *name,
                    struct error *err) {
    tokenizer->pads_left = json_is_true(json_object_get(root, "pads_left"));
    const json_t *added = json_object_get(root, "added_tokens");
    if (!json_is_object(root))
        return error_set(err, ERROR_INPUT,
                         "%s: not a tokenizer.json: no JSON object", name);
    if (added && !json_is_null(added) && !json_is_array(added))
        return error_set(err, ERROR_INPUT, "%s: \"added_tokens\" is not a list",
                         name);
    if (json_array_size(added) > IDS_MAX)
        return error_set(err, ERROR_INPUT,
                         "%s: \"added_tokens\" has more than %d entries", name,
                         IDS_MAX);
    struct template_terms terms = {.vocab = 0,
                                   .names = options->made ? tokenizer : NULL,
                                   .no_types = options->no_types,
                                   .name = name,
                                   .arena = &tokenizer->arena};
    if (!load_steps(tokenizer, root, options->lower, name, err) ||
        !load_model(tokenizer, root, json_array_size(added), options->made,
                    name, err) ||
        !load_added(tokenizer, added, name, err))
        return false;
    terms.vocab = tokenizer->vocab_size;
    return options->bare ||
           template_load(&tokenizer->template, root, &terms, err);
}
