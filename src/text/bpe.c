/* bpe.c - see bpe.h. */

#include "text/bpe.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "text/tokenizer_parts.h"

struct bpe_symbol {
    uint32_t id;
    int32_t before, next; /* -1: none */
    bool gone;
};

struct bpe_entry {
    uint32_t rank;
    uint32_t at; /* the left symbol */
    uint32_t made;
};

static size_t place_of(const struct bpe *bpe, uint32_t left, uint32_t right) {
    uint64_t key = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    size_t mask = bpe->capacity - 1, at = (size_t)(key >> 32) & mask;
    while (bpe->merges[at].left != BPE_NONE &&
           (bpe->merges[at].left != left || bpe->merges[at].right != right))
        at = (at + 1) & mask;
    return at;
}

static const struct bpe_merge *find_merge(const struct bpe *bpe, uint32_t left,
                                          uint32_t right) {
    const struct bpe_merge *merge = &bpe->merges[place_of(bpe, left, right)];
    return merge->left == BPE_NONE ? NULL : merge;
}

void bpe_free(struct bpe *bpe) {
    memory_free(bpe->memory, bpe->merges);
    bpe->merges = NULL;
}

void bpe_scratch_free(struct bpe_scratch *scratch) {
    memory_free(scratch->memory, scratch->symbols);
    memory_free(scratch->memory, scratch->heap);
    *scratch = (struct bpe_scratch){.memory = scratch->memory};
}

/* The two halves of a merge, a list of two or a text with one space. */
static bool read_pair(const json_t *json, struct str *left, struct str *right) {
    if (json_is_array(json) && json_array_size(json) == 2) {
        const json_t *a = json_array_get(json, 0), *b = json_array_get(json, 1);
        *left = (struct str){json_string_value(a), json_string_length(a)};
        *right = (struct str){json_string_value(b), json_string_length(b)};
        return json_is_string(a) && json_is_string(b);
    }
    if (!json_is_string(json))
        return false;
    struct str text = {json_string_value(json), json_string_length(json)};
    const char *space = memchr(text.data, ' ', text.size);
    if (!space)
        return false;
    *left = (struct str){text.data, (size_t)(space - text.data)};
    *right = (struct str){space + 1, text.size - left->size - 1};
    return !memchr(right->data, ' ', right->size);
}

struct merging {
    struct bpe *bpe;
    const struct part *part;
    struct strbuf joined;
    struct error *err;
};

static bool add_merge(struct merging *merging, const json_t *json,
                      uint32_t rank) {
    struct bpe *bpe = merging->bpe;
    struct str left, right;
    struct bpe_merge merge = {.rank = rank};
    if (!read_pair(json, &left, &right) || right.size < bpe->prefix.size)
        return error_set(merging->err, ERROR_INPUT,
                         "%s: merge %u of the model is not two tokens",
                         merging->part->name, rank);
    strbuf_clear(&merging->joined);
    strbuf_add(&merging->joined, left);
    strbuf_add(&merging->joined, (struct str){right.data + bpe->prefix.size,
                                              right.size - bpe->prefix.size});
    if (!strbuf_ok(&merging->joined, merging->err))
        return false;
    if (!trie_get(bpe->vocab, left, &merge.left) ||
        !trie_get(bpe->vocab, right, &merge.right) ||
        !trie_get(bpe->vocab, strbuf_str(&merging->joined), &merge.made))
        return error_set(merging->err, ERROR_INPUT,
                         "%s: merge %u of the model (\"%.*s\" and \"%.*s\") is "
                         "not in the vocabulary",
                         merging->part->name, rank, STR_ARG(left),
                         STR_ARG(right));
    bpe->merges[place_of(bpe, merge.left, merge.right)] = merge;
    return true;
}

/* Lists of texts may begin with a line "#version ..", which has no rank. */
static bool is_version(const json_t *json) {
    return json_is_string(json) &&
           strncmp(json_string_value(json), "#version", 8) == 0;
}

static bool load_merges(struct bpe *bpe, const struct part *part,
                        struct error *err) {
    const json_t *list = json_object_get(part->json, "merges");
    if (!json_is_array(list) || json_array_size(list) > 1 << 24)
        return error_set(err, ERROR_INPUT,
                         "%s: the model's \"merges\" is not a list",
                         part->name);
    bpe->capacity = 64;
    while (bpe->capacity < json_array_size(list) * 2)
        bpe->capacity *= 2;
    bpe->merges =
        memory_alloc(bpe->memory, bpe->capacity, sizeof *bpe->merges, err);
    if (!bpe->merges)
        return false;
    memset(bpe->merges, 0xFF, bpe->capacity * sizeof *bpe->merges);
    struct merging merging = {.bpe = bpe,
                              .part = part,
                              .err = err,
                              .joined = strbuf_make(bpe->memory)};
    bool fine = true;
    uint32_t rank = 0;
    for (size_t i = 0; fine && i < json_array_size(list); i++)
        if (!is_version(json_array_get(list, i)))
            fine = add_merge(&merging, json_array_get(list, i), rank++);
    strbuf_free(&merging.joined);
    return fine;
}

static bool load_unknown(struct bpe *bpe, const struct part *part,
                         struct error *err) {
    struct str unknown;
    bpe->unknown = BPE_NONE;
    if (!part_text_or_none(part, "unk_token", &unknown, err))
        return false;
    if (!unknown.data || trie_get(bpe->vocab, unknown, &bpe->unknown))
        return true;
    return error_set(err, ERROR_INPUT,
                     "%s: the unknown token \"%.64s\" is not in the vocabulary",
                     part->name, unknown.data);
}

static void load_bytes(struct bpe *bpe) {
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        int size = snprintf(name, sizeof name, "<0x%02X>", byte);
        if (!trie_get(bpe->vocab, (struct str){name, (size_t)size},
                      &bpe->bytes[byte]))
            bpe->bytes[byte] = BPE_NONE;
    }
}

static bool load_affix(const struct part *part, const char *key,
                       struct arena *arena, struct str *affix,
                       struct error *err) {
    if (!part_text_or_none(part, key, affix, err))
        return false;
    affix->data = arena_copy(arena, affix->data ? *affix : STR(""), err);
    return affix->data;
}

bool bpe_load(struct bpe *bpe, const struct part *part,
              const struct trie *vocab, struct arena *arena,
              struct error *err) {
    double dropout = 0;
    bpe->vocab = vocab;
    if (!json_member_real(part->json, "dropout", part->name, &dropout, err) ||
        !json_member_bool(part->json, "fuse_unk", part->name,
                          &bpe->fuse_unknown, err) ||
        !json_member_bool(part->json, "ignore_merges", part->name,
                          &bpe->ignore_merges, err) ||
        !json_member_bool(part->json, "byte_fallback", part->name,
                          &bpe->byte_fallback, err) ||
        !load_affix(part, "continuing_subword_prefix", arena, &bpe->prefix,
                    err) ||
        !load_affix(part, "end_of_word_suffix", arena, &bpe->suffix, err))
        return false;
    if (dropout != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: the model has \"dropout\", which gives other ids "
                         "each time: set it to null",
                         part->name);
    load_bytes(bpe);
    return load_unknown(bpe, part, err) && load_merges(bpe, part, err);
}

/* Words that are symbols now. */
struct building {
    const struct bpe *bpe;
    struct bpe_symbol *symbols;
    size_t count;
    bool waiting; /* an unknown token that may be fused with the next */
};

static void add_symbol(struct building *building, uint32_t id) {
    int32_t at = (int32_t)building->count;
    building->symbols[building->count++] =
        (struct bpe_symbol){id, at - 1, at + 1, false};
}

static void end_unknown(struct building *building) {
    if (building->waiting)
        add_symbol(building, building->bpe->unknown);
    building->waiting = false;
}

static bool add_bytes(struct building *building, struct str piece) {
    const uint32_t *ids = building->bpe->bytes;
    for (size_t i = 0; i < piece.size; i++)
        if (ids[(uint8_t)piece.data[i]] == BPE_NONE)
            return false;
    for (size_t i = 0; i < piece.size; i++)
        add_symbol(building, ids[(uint8_t)piece.data[i]]);
    return true;
}

static void add_piece(struct building *building, struct str piece) {
    const struct bpe *bpe = building->bpe;
    uint32_t id;
    if (trie_get(bpe->vocab, piece, &id)) {
        end_unknown(building);
        add_symbol(building, id);
        return;
    }
    if (bpe->byte_fallback && add_bytes(building, piece))
        return;
    if (bpe->unknown == BPE_NONE)
        return;
    if (!bpe->fuse_unknown)
        end_unknown(building);
    building->waiting = true;
}

/* The characters of WORD as symbols, with prefix and suffix. */
static bool add_characters(struct building *building, struct memory *memory,
                           struct str word, struct error *err) {
    const struct bpe *bpe = building->bpe;
    bool affixes = bpe->prefix.size || bpe->suffix.size;
    struct strbuf buf = strbuf_make(memory);
    for (size_t at = 0; at < word.size && !buf.failed;) {
        size_t begin = at;
        utf8_next(word, &at);
        struct str piece = {word.data + begin, at - begin};
        if (affixes) {
            strbuf_clear(&buf);
            if (begin)
                strbuf_add(&buf, bpe->prefix);
            strbuf_add(&buf, piece);
            if (at == word.size)
                strbuf_add(&buf, bpe->suffix);
            piece = strbuf_str(&buf);
        }
        if (!buf.failed)
            add_piece(building, piece);
    }
    end_unknown(building);
    if (building->count)
        building->symbols[building->count - 1].next = -1;
    bool fine = strbuf_ok(&buf, err);
    strbuf_free(&buf);
    return fine;
}

static bool before(const struct bpe_entry *a, const struct bpe_entry *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

/* There is room for one more. */
static void heap_push(struct bpe_scratch *scratch, struct bpe_entry entry) {
    struct bpe_entry *heap = scratch->heap;
    size_t at = scratch->heap_count++;
    while (at && before(&entry, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = entry;
}

static struct bpe_entry heap_pop(struct bpe_scratch *scratch) {
    struct bpe_entry *heap = scratch->heap, top = heap[0];
    struct bpe_entry last = heap[--scratch->heap_count];
    size_t count = scratch->heap_count, at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        child += child + 1 < count && before(&heap[child + 1], &heap[child]);
        if (!before(&heap[child], &last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static void push_pair(const struct bpe *bpe, struct bpe_scratch *scratch,
                      int32_t left, int32_t right) {
    if (left < 0 || right < 0)
        return;
    const struct bpe_merge *merge =
        find_merge(bpe, scratch->symbols[left].id, scratch->symbols[right].id);
    if (merge)
        heap_push(scratch,
                  (struct bpe_entry){merge->rank, (uint32_t)left, merge->made});
}

static void merge_all(const struct bpe *bpe, struct bpe_scratch *scratch,
                      size_t count) {
    struct bpe_symbol *symbols = scratch->symbols;
    scratch->heap_count = 0;
    for (size_t i = 0; i + 1 < count; i++)
        push_pair(bpe, scratch, (int32_t)i, (int32_t)i + 1);
    while (scratch->heap_count) {
        struct bpe_entry top = heap_pop(scratch);
        struct bpe_symbol *left = &symbols[top.at];
        if (left->gone || left->next < 0)
            continue;
        struct bpe_symbol *right = &symbols[left->next];
        const struct bpe_merge *merge = find_merge(bpe, left->id, right->id);
        if (!merge || merge->made != top.made)
            continue; /* the pair is another one by now */
        left->id = top.made;
        left->next = right->next;
        right->gone = true;
        if (right->next >= 0)
            symbols[right->next].before = (int32_t)top.at;
        push_pair(bpe, scratch, left->before, (int32_t)top.at);
        push_pair(bpe, scratch, (int32_t)top.at, left->next);
    }
}

/* Symbols for COUNT, and entries: one a pair, and two more a merge. */
static bool make_room(struct bpe_scratch *scratch, size_t count,
                      struct error *err) {
    if (count > INT32_MAX / 4)
        return error_set(err, ERROR_UNSUPPORTED,
                         "a word of %zu bytes is too long for BPE: cut the "
                         "text",
                         count);
    if (scratch->symbol_capacity < count) {
        struct bpe_symbol *symbols = memory_resize(
            scratch->memory, scratch->symbols, count, sizeof *symbols, err);
        if (!symbols)
            return false;
        scratch->symbols = symbols;
        scratch->symbol_capacity = count;
    }
    if (scratch->heap_capacity < count * 3) {
        struct bpe_entry *heap = memory_resize(scratch->memory, scratch->heap,
                                               count * 3, sizeof *heap, err);
        if (!heap)
            return false;
        scratch->heap = heap;
        scratch->heap_capacity = count * 3;
    }
    return true;
}

bool bpe_word(const struct bpe *bpe, struct bpe_scratch *scratch,
              struct str word, struct tokens *out, struct error *err) {
    uint32_t id;
    if (bpe->ignore_merges && trie_get(bpe->vocab, word, &id)) {
        if (!tokens_reserve(out, 1, err))
            return false;
        out->ids[out->count++] = id;
        return true;
    }
    size_t affix = bpe->prefix.size + bpe->suffix.size, room;
    if (!size_multiply(word.size, affix + 1, &room) ||
        !make_room(scratch, room + 64, err))
        return error_set(err, ERROR_MEMORY, "no memory for a word of %zu bytes",
                         word.size);
    struct building building = {.bpe = bpe, .symbols = scratch->symbols};
    if (!add_characters(&building, scratch->memory, word, err) ||
        !tokens_reserve(out, building.count, err))
        return false;
    merge_all(bpe, scratch, building.count);
    for (size_t i = 0; i < building.count; i++)
        if (!scratch->symbols[i].gone)
            out->ids[out->count++] = scratch->symbols[i].id;
    return true;
}
