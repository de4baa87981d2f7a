#define _GNU_SOURCE /* qsort_r */
#include "run/window.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/layout.h"

enum {
    BLOCK_ID_BYTES = 256 * 1024, /* a block ends there too */
    ID_MORE_BYTES = 12 + 1,      /* "#", a number and NUL */
};

/* ---- memory ------------------------------------------------------------- */

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

struct window_size window_size_for(const struct intake_counts *counts,
                                   size_t max_length, size_t specials,
                                   size_t prompt) {
    uint64_t at_once = least(counts->unique, WINDOW_TEXTS);
    uint64_t in_block = least(counts->unique, BLOCK_TEXTS);
    uint64_t all = counts->text_bytes + counts->unique * (specials + prompt);
    uint64_t text_bytes =
        least(counts->text_bytes, BLOCK_BYTES + counts->text_bytes_longest) +
        in_block * prompt;
    uint64_t block = least(BLOCK_TEXTS * (uint64_t)max_length,
                           text_bytes + in_block * specials);
    uint64_t ids = counts->id_bytes + counts->points * ID_MORE_BYTES;
    uint64_t id_most = counts->id_bytes_longest + ID_MORE_BYTES;
    return (struct window_size){
        .texts = (size_t)at_once,
        .tokens = (size_t)least(least(all, WINDOW_TOKENS + block),
                                at_once * max_length),
        .text_bytes = (size_t)text_bytes,
        .id_bytes = (size_t)least(least(ids, in_block * id_most),
                                  BLOCK_ID_BYTES + id_most),
    };
}

/* Runs twice: first with an empty layout, to measure. */
static void place(struct layout *l, struct window *w) {
    size_t texts = w->size.texts;
    w->starts = layout_take(l, texts + 1, sizeof *w->starts);
    w->digests = layout_take(l, texts, SHA256_BYTES);
    w->order = layout_take(l, texts, sizeof *w->order);
    w->was_cut = layout_take(l, texts, sizeof *w->was_cut);
    w->text = layout_take(l, w->size.text_bytes, 1);
    w->ids = layout_take(l, w->size.id_bytes, 1);
    w->text_ends = layout_take(l, BLOCK_TEXTS, sizeof *w->text_ends);
    w->texts = layout_take(l, BLOCK_TEXTS, sizeof *w->texts);
    w->cut = layout_take(l, BLOCK_TEXTS, sizeof *w->cut);
    w->returned = layout_take(l, WINDOW_RETURNED, sizeof *w->returned);
}

uint64_t window_bytes(const struct window_size *size) {
    struct window w = {.size = *size};
    struct layout measure = {0};
    place(&measure, &w);
    return memory_block_bytes(measure.bytes) +
           memory_block_bytes(size->tokens * sizeof(uint32_t));
}

bool window_open(struct window *window, struct memory *memory,
                 const struct window_size *size, struct error *err) {
    *window = (struct window){
        .memory = memory, .size = *size, .tokens = tokens_make(memory)};
    struct layout measure = {0};
    place(&measure, window);
    if (measure.overflow)
        return error_set(err, ERROR_MEMORY,
                         "a window of %zu texts cannot be addressed",
                         size->texts);
    window->block = memory_alloc(memory, 1, measure.bytes, err);
    if (!window->block)
        return false;
    struct layout real = {.base = window->block};
    place(&real, window);
    window->tokens.ids =
        memory_alloc(memory, size->tokens, sizeof(uint32_t), err);
    window->tokens.capacity = window->tokens.ids ? size->tokens : 0;
    return window->tokens.ids != NULL;
}

void window_close(struct window *window) {
    if (!window->memory)
        return;
    tokens_free(&window->tokens);
    memory_free(window->memory, window->block);
    *window = (struct window){0};
}

/* ---- filling ------------------------------------------------------------ */

void window_end_block(struct window *window) {
    window->text_size = window->block_count = window->ids_size = 0;
}

void window_clear(struct window *window) {
    window->count = window->tokens.count = 0;
    window_end_block(window);
    window->next = window->returned_count = 0;
    window->held = window->waiting = 0;
    window->waiting_tokens = 0;
}

bool window_block_has_room(const struct window *window, size_t text_size,
                           size_t id_size) {
    return window->block_count < BLOCK_TEXTS &&
           (window->block_count == 0 ||
            window->text_size + text_size <= BLOCK_BYTES) &&
           text_size <= window->size.text_bytes - window->text_size &&
           id_size < window->size.id_bytes - window->ids_size;
}

bool window_is_full(const struct window *window) {
    return window->count >= window->size.texts ||
           window->tokens.count >= WINDOW_TOKENS;
}

static void put(char *to, size_t *at, struct str text) {
    if (text.size)
        memcpy(to + *at, text.data, text.size);
    *at += text.size;
}

bool window_add(struct window *window, const uint8_t digest[SHA256_BYTES],
                struct str prompt, struct str text, struct str chunk_id,
                struct error *err) {
    if (!window_block_has_room(window, prompt.size + text.size, chunk_id.size))
        return error_set(err, ERROR_INPUT,
                         "chunk %.*s is longer than it was when its file was "
                         "read first: the file changed; run again",
                         (int)least(chunk_id.size, 200), chunk_id.data);
    memcpy(window->digests + window->count * SHA256_BYTES, digest,
           SHA256_BYTES);
    put(window->text, &window->text_size, prompt);
    put(window->text, &window->text_size, text);
    window->text_ends[window->block_count++] = window->text_size;
    window->count++;
    put(window->ids, &window->ids_size, chunk_id);
    window->ids[window->ids_size++] = '\0';
    return true;
}

static int longer_first(const void *a, const void *b, void *window) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    size_t lx = window_text_tokens(window, x);
    size_t ly = window_text_tokens(window, y);
    if (lx != ly)
        return lx < ly ? 1 : -1;
    return (x > y) - (x < y);
}

/* A heap sort of our own would be one more thing to read; qsort_r is in glibc
 * and musl. Ties go by the order of reading. */
void window_sort(struct window *window) {
    for (size_t i = 0; i < window->count; i++)
        window->order[i] = (uint32_t)i;
    qsort_r(window->order, window->count, sizeof *window->order, longer_first,
            window);
    window->waiting = window->count;
    window->waiting_tokens = window->tokens.count;
}

/* ---- the queue ---------------------------------------------------------- */

static size_t tokens_at(const struct window *window, size_t place) {
    return window_text_tokens(window, window->order[place]);
}

size_t window_cost(const struct window *window, size_t place) {
    size_t tokens = tokens_at(window, place);
    return long_is(&window->frame, tokens) ? window->frame.limit : tokens;
}

static uint64_t piece_tokens(const struct window *window, struct piece piece) {
    uint64_t tokens = 0;
    for (size_t i = 0; i < piece.count; i++)
        tokens += tokens_at(window, piece.first + i);
    return tokens;
}

/* A text without any token counts as one: it waits as well. */
static size_t longer(const struct window *window, size_t place,
                     size_t longest) {
    size_t tokens = window_cost(window, place);
    tokens = tokens ? tokens : 1;
    return tokens > longest ? tokens : longest;
}

size_t window_longest(const struct window *window, bool suspect) {
    size_t longest = 0;
    if (window->next < window->count)
        longest = longer(window, window->next, longest);
    for (size_t i = 0; i < window->returned_count; i++)
        if (suspect || !window->returned[i].suspect)
            longest = longer(window, window->returned[i].first, longest);
    return longest;
}

/* How many of the AVAILABLE texts from FIRST on fit. A long one is alone. */
static size_t fitting(const struct window *window, size_t first,
                      size_t available, size_t tokens, size_t texts) {
    size_t count = 0, used = 0;
    while (count < available && count < texts) {
        size_t size = window_cost(window, first + count);
        bool alone = long_is(&window->frame, tokens_at(window, first + count));
        if (used + size > tokens || (alone && count))
            break;
        used += size;
        count++;
        if (alone)
            break;
    }
    return count;
}

static void take(struct window *window, struct piece piece) {
    window->waiting -= piece.count;
    window->held += piece.count;
    window->waiting_tokens -= piece_tokens(window, piece);
}

/* From a piece that was given back; what is left of it stays there. */
static bool cut_returned(struct window *window, size_t at, size_t tokens,
                         size_t texts, struct piece *piece) {
    struct piece *from = &window->returned[at];
    size_t count = fitting(window, from->first, from->count, tokens, texts);
    if (!count)
        return false;
    *piece = (struct piece){from->first, count, from->suspect, from->by};
    from->by = 0; /* its giver is judged by the first part */
    from->first += count;
    from->count -= count;
    if (!from->count)
        window->returned[at] = window->returned[--window->returned_count];
    take(window, *piece);
    return true;
}

bool window_cut(struct window *window, size_t tokens, size_t texts,
                bool suspect, struct piece *piece) {
    for (size_t i = 0; i < window->returned_count; i++)
        if ((suspect || !window->returned[i].suspect) &&
            cut_returned(window, i, tokens, texts, piece))
            return true;
    size_t count = fitting(window, window->next, window->count - window->next,
                           tokens, texts);
    if (!count)
        return false;
    *piece = (struct piece){.first = window->next, .count = count};
    window->next += count;
    take(window, *piece);
    return true;
}

/* Neighbours become one piece again: however often pieces come back, they are
 * few. Suspect ones stay as they are, for each is judged. */
static bool join(struct piece *piece, const struct piece *other) {
    bool behind = other->first + other->count == piece->first;
    if (piece->suspect || other->suspect ||
        (!behind && piece->first + piece->count != other->first))
        return false;
    if (behind)
        piece->first = other->first;
    piece->count += other->count;
    return true;
}

void window_return(struct window *window, struct piece piece) {
    window->held -= piece.count;
    window->waiting += piece.count;
    window->waiting_tokens += piece_tokens(window, piece);
    for (size_t i = 0; i < window->returned_count;) {
        if (!join(&piece, &window->returned[i++]))
            continue;
        window->returned[i - 1] = window->returned[--window->returned_count];
        i = 0; /* what it touches now may touch another */
    }
    assert(window->returned_count < WINDOW_RETURNED);
    window->returned[window->returned_count++] = piece;
}

void window_finish(struct window *window, struct piece piece) {
    window->held -= piece.count;
}

void window_trust(struct window *window) {
    for (size_t i = 0; i < window->returned_count; i++)
        window->returned[i].suspect = false;
}
