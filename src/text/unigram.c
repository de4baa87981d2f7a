/* unigram.c - see unigram.h. */

#include "text/unigram.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "text/tokenizer_parts.h"

static const double UNKNOWN_PENALTY = 10.0;

/* The best way to get to a place in the word. */
struct unigram_node {
    double score;
    uint32_t begin; /* of the last piece; NOWHERE: no way leads here */
    uint32_t id;
};

#define NOWHERE UINT32_MAX

/* The value that `tokenizers` reads where a file says NUMBER: its reader of
 * JSON rounds twice, and pieces that tie are decided by that. It takes the
 * digits as a whole number, then a power of ten: exact as long as both are, and
 * one unit off for one number of eight with 17 digits. */
static double score_of(double number) {
    char text[40], digits[40];
    int size = 0, exponent = 0;
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, number);
        if (strtod(text, NULL) == number)
            break;
    }
    const char *c = text + (text[0] == '-');
    for (; *c && *c != 'e'; c++) {
        if (*c != '.')
            digits[size++] = *c;
    }
    if (*c != 'e')
        return number; /* not finite */
    while (size > 1 && digits[size - 1] == '0')
        size--;
    digits[size] = 0;
    exponent = atoi(c + 1) - (size - 1);
    double whole = (double)strtoull(digits, NULL, 10);
    char power[16];
    snprintf(power, sizeof power, "1e%d", abs(exponent));
    double ten = strtod(power, NULL);
    if (!isfinite(ten))
        return number;
    whole = exponent < 0 ? whole / ten : whole * ten;
    return text[0] == '-' ? -whole : whole;
}

void unigram_free(struct unigram *unigram) {
    memory_free(unigram->memory, unigram->scores);
    unigram->scores = NULL;
}

void unigram_scratch_free(struct unigram_scratch *scratch) {
    memory_free(scratch->memory, scratch->nodes);
    *scratch = (struct unigram_scratch){.memory = scratch->memory};
}

static bool load_scores(struct unigram *unigram, const struct part *part,
                        const json_t *list, bool exact, struct error *err) {
    double least = INFINITY;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *score = json_array_get(json_array_get(list, i), 1);
        if (!json_is_number(score))
            return error_set(err, ERROR_INPUT,
                             "%s: piece %zu of the model's \"vocab\" has no "
                             "score",
                             part->name, i);
        double number = json_number_value(score);
        unigram->scores[i] = exact ? number : score_of(number);
        least = unigram->scores[i] < least ? unigram->scores[i] : least;
    }
    unigram->unknown_score = least - UNKNOWN_PENALTY;
    return true;
}

static void load_bytes(struct unigram *unigram) {
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        int size = snprintf(name, sizeof name, "<0x%02X>", byte);
        if (!trie_get(unigram->vocab, (struct str){name, (size_t)size},
                      &unigram->bytes[byte]))
            unigram->bytes[byte] = UNIGRAM_NONE;
    }
}

bool unigram_load(struct unigram *unigram, const struct part *part,
                  const struct trie *vocab, size_t count, bool exact,
                  struct error *err) {
    size_t unknown = SIZE_MAX;
    unigram->vocab = vocab;
    if (!json_member_size(part->json, "unk_id", part->name, &unknown, err) ||
        !json_member_bool(part->json, "byte_fallback", part->name,
                          &unigram->byte_fallback, err))
        return false;
    if (unknown != SIZE_MAX && unknown >= count)
        return error_set(err, ERROR_INPUT,
                         "%s: the model's \"unk_id\" %zu is not in its "
                         "vocabulary of %zu pieces",
                         part->name, unknown, count);
    unigram->unknown = unknown == SIZE_MAX ? UNIGRAM_NONE : (uint32_t)unknown;
    unigram->scores =
        memory_alloc(unigram->memory, count, sizeof *unigram->scores, err);
    load_bytes(unigram);
    return unigram->scores &&
           load_scores(unigram, part, json_object_get(part->json, "vocab"),
                       exact, err);
}

static void offer(struct unigram_node *node, double score, size_t begin,
                  uint32_t id) {
    if (node->begin == NOWHERE || score > node->score)
        *node = (struct unigram_node){score, (uint32_t)begin, id};
}

/* All pieces that begin at AT; true if one of them is LENGTH bytes long. */
static bool offer_pieces(const struct unigram *unigram,
                         struct unigram_node *nodes, struct str word, size_t at,
                         size_t length) {
    double till_here = nodes[at].score;
    bool single = false;
    uint32_t node = TRIE_ROOT;
    const struct trie_edge *edge;
    for (size_t end = at;
         end < word.size &&
         (edge = trie_step(unigram->vocab, node, (uint8_t)word.data[end]));
         node = edge->node) {
        end++;
        if (edge->value == TRIE_NONE)
            continue;
        offer(&nodes[end], unigram->scores[edge->value] + till_here, at,
              edge->value);
        single |= end - at == length;
    }
    return single;
}

static bool find_ways(const struct unigram *unigram, struct unigram_node *nodes,
                      struct str word, struct error *err) {
    for (size_t i = 0; i <= word.size; i++)
        nodes[i] = (struct unigram_node){0, NOWHERE, 0};
    for (size_t at = 0, next = 0; at < word.size; at = next) {
        utf8_next(word, &next);
        if (offer_pieces(unigram, nodes, word, at, next - at))
            continue;
        bool better =
            nodes[next].begin == NOWHERE ||
            unigram->unknown_score + nodes[at].score > nodes[next].score;
        if (!better)
            continue;
        if (unigram->unknown == UNIGRAM_NONE)
            return error_set(err, ERROR_INPUT,
                             "the tokenizer has no token for \"%.*s\" and no "
                             "unknown token (\"unk_id\"): use another model",
                             (int)(next - at), word.data + at);
        offer(&nodes[next], unigram->unknown_score + nodes[at].score, at,
              unigram->unknown);
    }
    return true;
}

/* Ids are put from the last to the first. */
static bool put_piece(const struct unigram *unigram, struct str piece,
                      struct tokens *out, struct error *err) {
    uint32_t id;
    if (!tokens_reserve(out, piece.size, err))
        return false;
    bool known = trie_get(unigram->vocab, piece, &id), bytes = !known;
    bytes = bytes && unigram->byte_fallback;
    for (size_t i = 0; bytes && i < piece.size; i++)
        bytes = unigram->bytes[(uint8_t)piece.data[i]] != UNIGRAM_NONE;
    if (!bytes)
        out->ids[out->count++] = known ? id : unigram->unknown;
    for (size_t i = piece.size; bytes && i-- > 0;)
        out->ids[out->count++] = unigram->bytes[(uint8_t)piece.data[i]];
    return true;
}

static void turn_round(uint32_t *ids, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        uint32_t id = ids[i];
        ids[i] = ids[count - 1 - i];
        ids[count - 1 - i] = id;
    }
}

static bool put_way(const struct unigram *unigram,
                    const struct unigram_node *nodes, struct str word,
                    struct tokens *out, struct error *err) {
    size_t first = out->count;
    for (size_t end = word.size, begin; end > 0; end = begin) {
        begin = nodes[end].begin;
        bool unknown = nodes[end].id == unigram->unknown;
        while (unknown && begin > 0 && nodes[begin].id == unigram->unknown)
            begin = nodes[begin].begin;
        if (!put_piece(unigram, (struct str){word.data + begin, end - begin},
                       out, err))
            return false;
    }
    turn_round(out->ids + first, out->count - first);
    return true;
}

bool unigram_word(const struct unigram *unigram,
                  struct unigram_scratch *scratch, struct str word,
                  struct tokens *out, struct error *err) {
    if (!word.size)
        return true;
    if (word.size >= NOWHERE)
        return error_set(err, ERROR_UNSUPPORTED,
                         "a word of %zu bytes is too long: cut the text",
                         word.size);
    if (scratch->capacity <= word.size) {
        size_t capacity = word.size + word.size / 2 + 64;
        struct unigram_node *nodes = memory_resize(
            scratch->memory, scratch->nodes, capacity, sizeof *nodes, err);
        if (!nodes)
            return false;
        scratch->nodes = nodes;
        scratch->capacity = capacity;
    }
    return find_ways(unigram, scratch->nodes, word, err) &&
           put_way(unigram, scratch->nodes, word, out, err);
}
