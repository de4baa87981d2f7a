#define _GNU_SOURCE /* qsort_r */
#include "text/bm25.h"

#include <inttypes.h>
#include <libstemmer.h>
#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "text/bm25_languages.h"
#include "text/bm25_words.h"

/* A stem of the text: where it is, its index, and how many came before. */
struct stem {
    size_t begin, size;
    uint32_t index;
    uint32_t order;
};

struct bm25 {
    struct memory *memory;
    struct bm25_options options;
    const struct bm25_language *language;
    struct sb_stemmer *stemmer;
    struct strbuf stopwords; /* whose words the map has as keys */
    struct map stops;
    struct strbuf word;
    struct strbuf text; /* the stems, one behind the other */
    struct stem *stems;
    size_t count, capacity;
};

const struct bm25_options BM25_DEFAULTS = {
    .language = "english", .k = 1.2, .b = 0.75, .avg_len = 256, .longest = 40};

const char *bm25_language(size_t i) {
    const struct bm25_language *language = bm25_language_at(i);
    return language ? language->name : NULL;
}

/* ---- opening ------------------------------------------------------------ */

static bool refuse_language(const char *name, struct memory *memory,
                            struct error *err) {
    const char *why = bm25_language_refused(name);
    struct strbuf ours = strbuf_make(memory);
    for (size_t i = 0; bm25_language(i); i++)
        strbuf_printf(&ours, i ? ", %s" : "%s", bm25_language(i));
    if (strbuf_ok(&ours, err))
        error_set(err, ERROR_UNSUPPORTED,
                  "BM25 in %s is not supported%s%s; there are %s", name,
                  why ? ": " : "", why ? why : "", ours.data);
    strbuf_free(&ours);
    return false;
}

static bool find_language(struct bm25 *bm25, struct error *err) {
    const char *name = bm25->options.language;
    for (size_t i = 0; (bm25->language = bm25_language_at(i)); i++)
        if (!strcmp(bm25->language->name, name))
            return true;
    return refuse_language(name, bm25->memory, err);
}

static bool check_numbers(const struct bm25_options *o, struct error *err) {
    if (isfinite(o->k) && o->k >= 0 && o->b >= 0 && o->b <= 1 &&
        isfinite(o->avg_len) && o->avg_len > 0)
        return true;
    return error_set(err, ERROR_USAGE,
                     "BM25 cannot have k %g, b %g and an average length of %g; "
                     "k is at least 0, b from 0 to 1, the length above 0",
                     o->k, o->b, o->avg_len);
}

static bool put_stopwords(struct bm25 *bm25, struct error *err) {
    struct str list = bm25->options.stopwords;
    if (!list.data && bm25->language->stopwords)
        list = str_from(bm25->language->stopwords);
    if (!list.data)
        return error_set(err, ERROR_USAGE,
                         "BM25 in %s needs its list of stopwords: give it as "
                         "stopwords=FILE (the hub's Qdrant/bm25 has a %s.txt)",
                         bm25->language->name, bm25->language->name);
    strbuf_add(&bm25->stopwords, list);
    if (!strbuf_ok(&bm25->stopwords, err))
        return false;
    list = strbuf_str(&bm25->stopwords);
    for (size_t at = 0; at < list.size;) {
        size_t begin = at;
        while (at < list.size && list.data[at] != '\n' && list.data[at] != '\r')
            at++;
        struct str word = {list.data + begin, at - begin};
        if (word.size && !map_put(&bm25->stops, word, 1, err))
            return false;
        at++;
    }
    return true;
}

static bool open_parts(struct bm25 *bm25, struct error *err) {
    if (!find_language(bm25, err) || !check_numbers(&bm25->options, err) ||
        !put_stopwords(bm25, err))
        return false;
    bm25->stemmer = sb_stemmer_new(bm25->language->name, "UTF_8");
    return bm25->stemmer ||
           error_set(err, ERROR_UNSUPPORTED,
                     "this machine's libstemmer has no stemmer for %s; install "
                     "libstemmer 2.2",
                     bm25->language->name);
}

struct bm25 *bm25_open(struct memory *memory,
                       const struct bm25_options *options, struct error *err) {
    struct bm25 *bm25 = memory_zalloc(memory, 1, sizeof *bm25, err);
    if (!bm25)
        return NULL;
    bm25->memory = memory;
    bm25->options = *options;
    bm25->stopwords = strbuf_make(memory);
    bm25->stops = map_make(memory);
    bm25->word = strbuf_make(memory);
    bm25->text = strbuf_make(memory);
    if (open_parts(bm25, err))
        return bm25;
    bm25_close(bm25);
    return NULL;
}

void bm25_close(struct bm25 *bm25) {
    if (!bm25)
        return;
    if (bm25->stemmer)
        sb_stemmer_delete(bm25->stemmer);
    map_free(&bm25->stops);
    strbuf_free(&bm25->stopwords);
    strbuf_free(&bm25->word);
    strbuf_free(&bm25->text);
    memory_free(bm25->memory, bm25->stems);
    memory_free(bm25->memory, bm25);
}

/* ---- stems -------------------------------------------------------------- */

static inline uint32_t rotate(uint32_t x, unsigned by) {
    return x << by | x >> (32 - by);
}

static uint32_t mixed(uint32_t block) {
    return rotate(block * 0xCC9E2D51u, 15) * 0x1B873593u;
}

/* MurmurHash3_x86_32 with seed 0, by its author's description. */
static uint32_t murmur3(struct str text) {
    uint32_t hash = 0, block = 0;
    size_t at = 0;
    for (; at + 4 <= text.size; at += 4) {
        memcpy(&block, text.data + at, 4);
        hash = rotate(hash ^ mixed(block), 13) * 5 + 0xE6546B64u;
    }
    block = 0;
    for (size_t i = text.size; i > at; i--)
        block = block << 8 | (uint8_t)text.data[i - 1];
    if (at < text.size)
        hash ^= mixed(block);
    hash ^= (uint32_t)text.size;
    hash = (hash ^ hash >> 16) * 0x85EBCA6Bu;
    hash = (hash ^ hash >> 13) * 0xC2B2AE35u;
    return hash ^ hash >> 16;
}

/* |x| of the hash as a signed number. */
static uint32_t index_of(struct str stem) {
    uint32_t hash = murmur3(stem);
    return hash >> 31 ? -hash : hash;
}

/* Both letters that change places have two bytes. */
static void swap_letters(const struct bm25_language *language, char *text,
                         size_t size) {
    for (size_t i = 0; language->hidden && i + 1 < size; i++) {
        const char *to =
            !memcmp(text + i, language->hidden, 2)     ? language->stranger
            : !memcmp(text + i, language->stranger, 2) ? language->hidden
                                                       : NULL;
        if (to)
            memcpy(text + i, to, 2);
    }
}

static bool add_stem(struct bm25 *bm25, struct str stem, struct error *err) {
    if (bm25->count == bm25->capacity) {
        size_t capacity = bm25->capacity ? 2 * bm25->capacity : 256;
        struct stem *more = memory_resize(bm25->memory, bm25->stems, capacity,
                                          sizeof *more, err);
        if (!more)
            return false;
        bm25->stems = more;
        bm25->capacity = capacity;
    }
    size_t begin = bm25->text.size;
    strbuf_add(&bm25->text, stem);
    if (!strbuf_ok(&bm25->text, err))
        return false;
    swap_letters(bm25->language, bm25->text.data + begin, stem.size);
    stem.data = bm25->text.data + begin;
    bm25->stems[bm25->count] =
        (struct stem){begin, stem.size, index_of(stem), (uint32_t)bm25->count};
    bm25->count++;
    return true;
}

/* What stays of a word: a word that is only "_", a stopword and one that is too
 * long do not. */
static bool add_word(struct bm25 *bm25, size_t characters, struct error *err) {
    struct str word = strbuf_str(&bm25->word);
    uint64_t unused;
    if (str_equal(word, STR("_")) || map_get(&bm25->stops, word, &unused) ||
        characters > bm25->options.longest)
        return true;
    swap_letters(bm25->language, bm25->word.data, word.size);
    const sb_symbol *stem = sb_stemmer_stem(
        bm25->stemmer, (const sb_symbol *)word.data, (int)word.size);
    if (!stem)
        return error_set(err, ERROR_MEMORY, "no memory for the stemmer");
    struct str made = {(const char *)stem,
                       (size_t)sb_stemmer_length(bm25->stemmer)};
    if (bm25->language->trim)
        made.size = bm25->language->trim(word, made);
    return made.size == 0 || add_stem(bm25, made, err);
}

static bool find_stems(struct bm25 *bm25, struct str text, struct error *err) {
    struct bm25_cursor cursor = {.text = text};
    size_t characters;
    bm25->count = 0;
    strbuf_clear(&bm25->text);
    while (bm25_next_word(&cursor, &bm25->word, &characters))
        if (!strbuf_ok(&bm25->word, err) || !add_word(bm25, characters, err))
            return false;
    if (bm25->count > UINT32_MAX)
        return error_set(err, ERROR_INPUT, "a text of %zu words is too long",
                         bm25->count);
    return strbuf_ok(&bm25->word, err);
}

/* ---- pairs -------------------------------------------------------------- */

void bm25_pairs_free(struct bm25_pairs *pairs) {
    if (pairs->memory) {
        memory_free(pairs->memory, pairs->indices);
        memory_free(pairs->memory, pairs->values);
    }
    *pairs = (struct bm25_pairs){.memory = pairs->memory};
}

static bool reserve_pairs(struct bm25_pairs *pairs, size_t count,
                          struct error *err) {
    pairs->count = 0;
    if (count <= pairs->capacity)
        return true;
    bm25_pairs_free(pairs);
    pairs->indices =
        memory_alloc(pairs->memory, count, sizeof *pairs->indices, err);
    pairs->values =
        memory_alloc(pairs->memory, count, sizeof *pairs->values, err);
    if (!pairs->indices || !pairs->values) {
        bm25_pairs_free(pairs);
        return false;
    }
    pairs->capacity = count;
    return true;
}

static int compare_texts(const struct stem *a, const struct stem *b,
                         const char *text) {
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    return memcmp(text + a->begin, text + b->begin, a->size);
}

/* By index, then equal stems together, in the order of the text. */
static int compare_stems(const void *one, const void *other, void *text) {
    const struct stem *a = one, *b = other;
    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    int by_text = compare_texts(a, b, text);
    return by_text ? by_text : a->order < b->order ? -1 : a->order > b->order;
}

static double weight(const struct bm25 *bm25, size_t occurrences) {
    const struct bm25_options *o = &bm25->options;
    double f = (double)occurrences, n = (double)bm25->count;
    return f * (o->k + 1) / (f + o->k * (1 - o->b + o->b * n / o->avg_len));
}

/* Of two stems with one index the one that comes later in the text counts, as
 * in fastembed: its first occurrence is later. */
static void fill_pairs(const struct bm25 *bm25, bool document,
                       struct bm25_pairs *pairs) {
    uint32_t order = 0; /* of the pair that was filled last */
    for (size_t i = 0; i < bm25->count;) {
        const struct stem *stem = &bm25->stems[i];
        size_t same = 1;
        while (i + same < bm25->count && stem[same].index == stem->index &&
               !compare_texts(stem, stem + same, bm25->text.data))
            same++;
        i += same;
        bool shared =
            pairs->count && pairs->indices[pairs->count - 1] == stem->index;
        if (shared && stem->order < order)
            continue;
        size_t at = shared ? pairs->count - 1 : pairs->count++;
        pairs->indices[at] = stem->index;
        pairs->values[at] = document ? (float)weight(bm25, same) : 1;
        order = stem->order;
    }
}

static bool make_pairs(struct bm25 *bm25, struct str text, bool document,
                       struct bm25_pairs *pairs, struct error *err) {
    if (!find_stems(bm25, text, err) || !reserve_pairs(pairs, bm25->count, err))
        return false;
    if (bm25->count)
        qsort_r(bm25->stems, bm25->count, sizeof *bm25->stems, compare_stems,
                bm25->text.data);
    fill_pairs(bm25, document, pairs);
    return true;
}

bool bm25_document(struct bm25 *bm25, struct str text, struct bm25_pairs *pairs,
                   struct error *err) {
    return make_pairs(bm25, text, true, pairs, err);
}

bool bm25_query(struct bm25 *bm25, struct str text, struct bm25_pairs *pairs,
                struct error *err) {
    return make_pairs(bm25, text, false, pairs, err);
}
