#include "text/bm25_words.h"

#include "base/utf8.h"
#include "text/bm25_tables.h"

enum {
    CAPITAL_I_DOT = 0x130, /* its lower case is i and a dot, no word's letter */
    CAPITAL_SIGMA = 0x3A3,
    SIGMA = 0x3C3,
    FINAL_SIGMA = 0x3C2,
};

static bool in_ranges(const struct bm25_range *ranges, size_t count,
                      uint32_t code) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges[middle].last < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && ranges[low].first <= code;
}

static bool is_word(uint32_t code) {
    if (code < 128)
        return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
               (code >= '0' && code <= '9') || code == '_';
    return in_ranges(BM25_WORD, BM25_WORD_COUNT, code);
}

static bool is_cased(uint32_t code) {
    return in_ranges(BM25_CASED, BM25_CASED_COUNT, code);
}

static bool is_ignored(uint32_t code) {
    return in_ranges(BM25_IGNORED, BM25_IGNORED_COUNT, code);
}

static uint32_t lower(uint32_t code) {
    if (code < 128)
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    size_t low = 0, high = BM25_LOWER_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (BM25_LOWER[middle].last < code)
            low = middle + 1;
        else
            high = middle;
    }
    const struct bm25_lower *run = &BM25_LOWER[low];
    bool has = low < BM25_LOWER_COUNT && run->first <= code &&
               (code - run->first) % run->step == 0;
    return has ? (uint32_t)((int32_t)code + run->delta) : code;
}

/* Whether a capital sigma at [begin, end) of RUN, which is all one word, is
 * written as a final one: a cased letter before it, none after it; ignored ones
 * do not count. */
static bool is_final(struct str run, size_t begin, size_t end) {
    bool before = false;
    for (size_t at = 0; at < begin;) {
        uint32_t code = utf8_next(run, &at);
        if (!is_ignored(code))
            before = is_cased(code);
    }
    while (before && end < run.size) {
        uint32_t code = utf8_next(run, &end);
        if (!is_ignored(code))
            return !is_cased(code);
    }
    return before;
}

/* The next run of words' letters; false when there is none. */
static bool find_run(struct bm25_cursor *cursor) {
    struct str text = cursor->text;
    size_t at = cursor->after, begin = at;
    while (at < text.size && !is_word(utf8_next(text, &at)))
        begin = at;
    size_t end = at;
    while (at < text.size && is_word(utf8_next(text, &at)))
        end = at;
    cursor->run = (struct str){text.data + begin, end - begin};
    cursor->at = 0;
    cursor->after = at;
    return begin < end;
}

static void add_code(struct strbuf *word, uint32_t code) {
    char bytes[UTF8_MAX_BYTES];
    size_t size = utf8_put(code, bytes);
    strbuf_add(word, (struct str){bytes, size});
}

bool bm25_next_word(struct bm25_cursor *cursor, struct strbuf *word,
                    size_t *characters) {
    strbuf_clear(word);
    *characters = 0;
    if (cursor->at == cursor->run.size && !find_run(cursor))
        return false;
    struct str run = cursor->run;
    while (cursor->at < run.size) {
        size_t begin = cursor->at;
        uint32_t code = utf8_next(run, &cursor->at);
        ++*characters;
        if (code == CAPITAL_SIGMA)
            code = is_final(run, begin, cursor->at) ? FINAL_SIGMA : SIGMA;
        add_code(word, code == CAPITAL_I_DOT ? 'i' : lower(code));
        if (code == CAPITAL_I_DOT)
            break;
    }
    return true;
}
