/* stages.c - see stages.h. */

#include "text/stages.h"

#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer_parts.h"

enum { SEEN_COUNT = 1 << 14, SEEN_BYTES = 36, SEEN_IDS = 6 };

/* A word and its ids. */
struct seen {
    uint8_t size;  /* 0: free */
    uint8_t count; /* of ids */
    char bytes[SEEN_BYTES + 2];
    uint32_t ids[SEEN_IDS];
};
_Static_assert(sizeof(struct seen) == 64, "one line of the cache");

struct stages_scratch {
    struct memory *memory; /* borrowed */
    struct seen *seen;     /* [SEEN_COUNT], owned */
    struct strbuf valid;   /* a text whose bytes were not UTF-8 */
    struct normalizers_scratch normalizers;
    struct pretokenizers_scratch pretokenizers;
    struct bpe_scratch bpe;
    struct unigram_scratch unigram;
};

struct stages *stages_create(struct memory *memory, struct error *err) {
    struct stages *stages = memory_zalloc(memory, 1, sizeof *stages, err);
    if (!stages)
        return NULL;
    stages->normalizers.memory = stages->pretokenizers.memory = memory;
    stages->bpe.memory = stages->unigram.memory = memory;
    return stages;
}

void stages_free(struct stages *stages, struct memory *memory) {
    if (!stages)
        return;
    normalizers_free(&stages->normalizers);
    pretokenizers_free(&stages->pretokenizers);
    bpe_free(&stages->bpe);
    unigram_free(&stages->unigram);
    memory_free(memory, stages);
}

struct stages_scratch *stages_scratch_create(struct memory *memory,
                                             struct error *err) {
    struct stages_scratch *scratch =
        memory_zalloc(memory, 1, sizeof *scratch, err);
    if (!scratch)
        return NULL;
    *scratch = (struct stages_scratch){
        .memory = memory,
        .valid = strbuf_make(memory),
        .normalizers = normalizers_scratch_make(memory),
        .pretokenizers = pretokenizers_scratch_make(memory),
        .bpe.memory = memory,
        .unigram.memory = memory};
    scratch->seen =
        memory_zalloc(memory, SEEN_COUNT, sizeof *scratch->seen, err);
    if (scratch->seen)
        return scratch;
    stages_scratch_free(scratch);
    return NULL;
}

void stages_scratch_free(struct stages_scratch *scratch) {
    if (!scratch)
        return;
    normalizers_scratch_free(&scratch->normalizers);
    pretokenizers_scratch_free(&scratch->pretokenizers);
    bpe_scratch_free(&scratch->bpe);
    unigram_scratch_free(&scratch->unigram);
    strbuf_free(&scratch->valid);
    memory_free(scratch->memory, scratch->seen);
    memory_free(scratch->memory, scratch);
}

bool stages_normalize(const struct stages *stages, struct str text,
                      struct strbuf *out, struct error *err) {
    struct normalizers_scratch scratch = normalizers_scratch_make(out->memory);
    struct normalized normalized;
    bool fine =
        normalizers_run(&stages->normalizers, &scratch, text, &normalized, err);
    if (fine)
        strbuf_add(out, normalized.text);
    normalizers_scratch_free(&scratch);
    return fine && strbuf_ok(out, err);
}

/* One text on its way. */
struct walk {
    const struct tokenizer *tokenizer;
    struct stages_scratch *scratch;
    struct stages_room *room;
    struct error *err;
};

static bool is_full(const struct walk *walk) {
    return walk->room->cut && !walk->room->count;
}

static void trim(struct walk *walk) {
    struct stages_room *room = walk->room;
    size_t content = room->out->count - room->begin;
    if (content > room->most) {
        room->cut += content - room->most;
        room->out->count = room->begin + room->most;
    }
}

static bool put_id(struct walk *walk, uint32_t id) {
    struct tokens *out = walk->room->out;
    if (!tokens_reserve(out, 1, walk->err))
        return false;
    out->ids[out->count++] = id;
    trim(walk);
    return true;
}

/* WordLevel: a word is a token or unknown. */
static bool put_whole_word(struct walk *walk, struct str word) {
    const struct wordpiece *words = &walk->tokenizer->wordpiece;
    uint32_t id = words->unknown;
    if (!trie_get(&words->vocab, word, &id) && id == TRIE_NONE)
        return error_set(walk->err, ERROR_INPUT,
                         "the tokenizer has no token for \"%.*s\", and its "
                         "\"unk_token\" is not in the vocabulary: use another "
                         "model",
                         (int)(word.size < 64 ? word.size : 64), word.data);
    return tokens_add(walk->room->out, (struct ids){&id, 1}, walk->err);
}

static bool put_pieces(struct walk *walk, struct str word) {
    const struct stages *stages = walk->tokenizer->stages;
    struct stages_scratch *scratch = walk->scratch;
    struct tokens *out = walk->room->out;
    if (stages->model == STAGES_BPE)
        return bpe_word(&stages->bpe, &scratch->bpe, word, out, walk->err);
    if (stages->model == STAGES_UNIGRAM)
        return unigram_word(&stages->unigram, &scratch->unigram, word, out,
                            walk->err);
    if (stages->model == STAGES_WORDLEVEL)
        return put_whole_word(walk, word);
    if (!tokens_reserve(out, word.size, walk->err))
        return false;
    out->count +=
        wordpiece_cut(&walk->tokenizer->wordpiece, word, out->ids + out->count);
    return true;
}

static uint64_t hash(struct str word) {
    uint64_t sum = word.size;
    size_t i = 0;
    for (uint64_t part; i + 8 <= word.size; i += 8) {
        memcpy(&part, word.data + i, 8);
        sum = (sum ^ part) * 0x9E3779B97F4A7C15u;
        sum ^= sum >> 29;
    }
    for (; i < word.size; i++)
        sum = (sum ^ (uint8_t)word.data[i]) * 0x9E3779B97F4A7C15u;
    return sum ^ sum >> 32;
}

static bool put_word(struct walk *walk, struct str word) {
    struct tokens *out = walk->room->out;
    size_t before = out->count;
    struct seen *seen = NULL;
    if (word.size <= SEEN_BYTES) {
        seen = &walk->scratch->seen[hash(word) % SEEN_COUNT];
        if (seen->size == word.size &&
            memcmp(seen->bytes, word.data, word.size) == 0) {
            if (!tokens_reserve(out, SEEN_IDS, walk->err))
                return false;
            memcpy(out->ids + before, seen->ids, sizeof seen->ids);
            out->count += seen->count;
            trim(walk);
            return true;
        }
    }
    if (!put_pieces(walk, word))
        return false;
    size_t count = out->count - before;
    if (seen && count <= SEEN_IDS) {
        seen->size = (uint8_t)word.size;
        seen->count = (uint8_t)count;
        memcpy(seen->bytes, word.data, word.size);
        if (count)
            memcpy(seen->ids, out->ids + before, count * sizeof *seen->ids);
    }
    trim(walk);
    return true;
}

/* What lies between added tokens. */
static bool put_text(struct walk *walk, struct str text, size_t at_zero) {
    struct words words;
    if (!text.size)
        return true;
    if (!pretokenizers_run(&walk->tokenizer->stages->pretokenizers,
                           &walk->scratch->pretokenizers, text, at_zero, &words,
                           walk->err))
        return false;
    for (size_t i = 0; i < words.splits->count && !is_full(walk); i++) {
        struct split split = words.splits->list[i];
        struct str word = {words.text.data + split.begin,
                           split.end - split.begin};
        if (!put_word(walk, word))
            return false;
    }
    return true;
}

/* TEXT at the added tokens of SET, and PUT for what lies between, with how many
 * of its bytes are among the AT_ZERO first of TEXT: those that stand where the
 * whole text begins. */
static bool at_tokens(struct walk *walk, const struct added_set *set,
                      struct str text, size_t at_zero,
                      bool (*put)(struct walk *, struct str, size_t)) {
    size_t at = 0, done = 0;
    struct added_match match;
    while (!is_full(walk) && added_find(set, text, &at, text.size, &match)) {
        size_t begin = match.begin, end = match.end;
        if (match.token->lstrip)
            begin =
                added_space_before(text, begin, done < begin ? done : begin);
        if (match.token->rstrip)
            end = added_space_after(text, end);
        if (done < begin &&
            !put(walk, (struct str){text.data + done, begin - done},
                 done < at_zero ? at_zero - done : 0))
            return false;
        if (!is_full(walk) && !put_id(walk, match.token->id))
            return false;
        done = end;
    }
    if (done >= text.size || is_full(walk))
        return true;
    return put(walk, (struct str){text.data + done, text.size - done},
               done < at_zero ? at_zero - done : 0);
}

static bool put_raw(struct walk *walk, struct str text, size_t at_zero) {
    struct normalized normalized;
    return normalizers_run(&walk->tokenizer->stages->normalizers,
                           &walk->scratch->normalizers, text, &normalized,
                           walk->err) &&
           at_tokens(walk, &walk->tokenizer->normalized, normalized.text,
                     at_zero ? normalized.at_zero : 0, put_text);
}

/* TEXT with U+FFFD for each byte that is not UTF-8. */
static bool make_valid(struct strbuf *valid, struct str *text,
                       struct error *err) {
    size_t fine = utf8_valid_prefix(*text);
    if (fine == text->size)
        return true;
    strbuf_clear(valid);
    strbuf_add(valid, (struct str){text->data, fine});
    for (size_t at = fine; at < text->size && !valid->failed;) {
        char bytes[UTF8_MAX_BYTES];
        size_t size = utf8_put(utf8_next(*text, &at), bytes);
        strbuf_add(valid, (struct str){bytes, size});
    }
    *text = strbuf_str(valid);
    return strbuf_ok(valid, err);
}

bool stages_encode(const struct tokenizer *tokenizer,
                   struct stages_scratch *scratch, struct str text,
                   struct stages_room *room, struct error *err) {
    struct walk walk = {tokenizer, scratch, room, err};
    return make_valid(&scratch->valid, &text, err) &&
           at_tokens(&walk, &tokenizer->raw, text, 1, put_raw);
}
