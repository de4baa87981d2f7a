#include "data/topk.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "data/row_sums.h"

enum {
    GRAIN_ROWS = 2048, /* a thread fetches */
    CALL_ROWS = 8,     /* are summed by a call: the scores of many would let
                          the memory wait */
};

/* Of a row whose squares leave what a float can hold, or nearly. */
static float cosine_of_odd_row(const float *row, const float *query,
                               size_t width) {
    double dot = 0, square = 0;
    for (size_t i = 0; i < width; i++) {
        dot += (double)row[i] * (double)query[i];
        square += (double)row[i] * (double)row[i];
    }
    return square == 0 ? 0 : (float)(dot / sqrt(square));
}

static float cosine(const float *row, const float *query, size_t width,
                    float dot, float square) {
    if (square > 1e-30f && square < 1e30f)
        return dot / sqrtf(square);
    return cosine_of_odd_row(row, query, width);
}

/* A total order, so that the best K are the same however rows were dealt out:
 * higher score, then lower row. */
static bool better(const struct hit *a, const struct hit *b) {
    if (a->score > b->score || a->score < b->score)
        return a->score > b->score;
    return a->row < b->row;
}

static int by_rank(const void *a, const void *b) {
    return better(a, b) ? -1 : better(b, a) ? 1 : 0;
}

/* The best hits that one thread saw; the worst of them on top. */
struct heap {
    struct hit *hits; /* [k] */
    size_t count;
    uint64_t damaged; /* the first row without a finite score, or NONE */
};

static const uint64_t NONE = UINT64_MAX;

static void sift_up(struct heap *heap, size_t at) {
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!better(&heap->hits[parent], &heap->hits[at]))
            return;
        struct hit moved = heap->hits[parent];
        heap->hits[parent] = heap->hits[at];
        heap->hits[at] = moved;
        at = parent;
    }
}

static void sift_down(struct heap *heap) {
    for (size_t at = 0;;) {
        size_t worst = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < heap->count &&
                better(&heap->hits[worst], &heap->hits[child]))
                worst = child;
        if (worst == at)
            return;
        struct hit moved = heap->hits[worst];
        heap->hits[worst] = heap->hits[at];
        heap->hits[at] = moved;
        at = worst;
    }
}

static void heap_offer(struct heap *heap, size_t k, struct hit hit) {
    if (!isfinite(hit.score)) {
        if (hit.row < heap->damaged)
            heap->damaged = hit.row;
        return;
    }
    if (heap->count == k && hit.score < heap->hits[0].score)
        return; /* as nearly all do */
    if (heap->count < k) {
        heap->hits[heap->count] = hit;
        sift_up(heap, heap->count++);
    } else if (better(&hit, &heap->hits[0])) {
        heap->hits[0] = hit;
        sift_down(heap);
    }
}

struct scan {
    const struct row_sums *sums;
    enum topk_score score;
    const float *rows; /* [count, width] */
    const float *query;
    size_t width;
    size_t k;
    struct heap *heaps; /* [threads] */
};

/* SCORES [count], count at most CALL_ROWS. */
static void score_rows(const struct scan *scan, const float *rows, size_t count,
                       float *scores) {
    size_t width = scan->width;
    const float *query = scan->query;
    if (scan->score == TOPK_DOT) {
        scan->sums->dots(rows, count, width, query, scores);
        return;
    }
    float squares[CALL_ROWS];
    scan->sums->dots_and_squares(rows, count, width, query, scores, squares);
    for (size_t i = 0; i < count; i++)
        scores[i] =
            cosine(rows + i * width, query, width, scores[i], squares[i]);
}

static void scan_rows(void *context, size_t begin, size_t end,
                      unsigned thread) {
    const struct scan *scan = context;
    struct heap *heap = &scan->heaps[thread];
    float scores[CALL_ROWS];
    for (size_t count; begin < end; begin += count) {
        count = end - begin < CALL_ROWS ? end - begin : CALL_ROWS;
        score_rows(scan, scan->rows + begin * scan->width, count, scores);
        for (size_t i = 0; i < count; i++)
            heap_offer(heap, scan->k,
                       (struct hit){.row = begin + i, .score = scores[i]});
    }
}

/* All heaps' hits next to each other, in order, the first K copied out. */
static size_t merge(const struct heap *heaps, unsigned threads, struct hit *all,
                    size_t k, struct hit *hits) {
    size_t count = 0;
    for (unsigned t = 0; t < threads; t++) {
        memmove(all + count, heaps[t].hits, heaps[t].count * sizeof *all);
        count += heaps[t].count;
    }
    qsort(all, count, sizeof *all, by_rank);
    size_t found = count < k ? count : k;
    memcpy(hits, all, found * sizeof *hits);
    return found;
}

bool topk_not_finite(const char *name, uint64_t row, struct error *err) {
    return error_set(err, ERROR_INPUT,
                     "%s: row %" PRIu64 " (from 0) has numbers that are not "
                     "finite; delete the file and run again",
                     name, row);
}

static bool all_finite(const char *name, const struct heap *heaps,
                       unsigned threads, struct error *err) {
    uint64_t damaged = NONE;
    for (unsigned t = 0; t < threads; t++)
        if (heaps[t].damaged < damaged)
            damaged = heaps[t].damaged;
    return damaged == NONE || topk_not_finite(name, damaged, err);
}

bool topk_scan(struct memory *memory, struct pool *pool, enum topk_score score,
               const char *name, const float *rows, uint64_t count,
               size_t width, const float *query, size_t k, struct hit *hits,
               size_t *found, struct error *err) {
    *found = 0;
    if (k > count)
        k = (size_t)count;
    if (k == 0)
        return true;
    unsigned threads = pool_threads(pool);
    struct heap *heaps = memory_zalloc(memory, threads, sizeof *heaps, err);
    size_t all_count;
    if (!size_multiply(threads, k, &all_count))
        all_count = SIZE_MAX;
    struct hit *all =
        heaps ? memory_alloc(memory, all_count, sizeof *all, err) : NULL;
    bool fine = all;
    if (fine) {
        for (unsigned t = 0; t < threads; t++)
            heaps[t] = (struct heap){.hits = all + t * k, .damaged = NONE};
        struct scan scan = {
            row_sums_usable(0), score, rows, query, width, k, heaps};
        pool_each(pool, (size_t)count, GRAIN_ROWS, scan_rows, &scan);
        fine = all_finite(name, heaps, threads, err);
        *found = fine ? merge(heaps, threads, all, k, hits) : 0;
    }
    memory_free(memory, all);
    memory_free(memory, heaps);
    return fine;
}
