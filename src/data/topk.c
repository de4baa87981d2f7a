#include "data/topk.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16, GRAIN_ROWS = 2048 }; /* columns; rows a thread fetches */

/* The sum over the lanes in one order, whoever computes it. */
static float lanes_sum(const float lanes[LANES]) {
    float half[LANES / 2];
    for (int i = 0; i < LANES / 2; i++)
        half[i] = lanes[i] + lanes[i + LANES / 2];
    return ((half[0] + half[4]) + (half[2] + half[6])) +
           ((half[1] + half[5]) + (half[3] + half[7]));
}

typedef float lane4 __attribute__((vector_size(16)));

struct sums {
    float dot, square; /* of the row with the query, and with itself */
};

/* Column i adds to lane i mod LANES: independent sums that the compiler keeps
 * in vector registers, and an order that nothing changes. SQUARE is a constant
 * where this is called. */
static inline struct sums row_sums(const float *restrict row,
                                   const float *restrict query, size_t width,
                                   bool square) {
    lane4 dots[LANES / 4] = {0}, squares[LANES / 4] = {0};
    size_t i = 0;
    for (; i + LANES <= width; i += LANES)
        for (size_t v = 0; v < LANES / 4; v++) {
            lane4 x, y;
            memcpy(&x, row + i + 4 * v, sizeof x);
            memcpy(&y, query + i + 4 * v, sizeof y);
            dots[v] += x * y;
            if (square)
                squares[v] += x * x;
        }
    float dot[LANES], own[LANES];
    memcpy(dot, dots, sizeof dot);
    memcpy(own, squares, sizeof own);
    for (size_t lane = 0; i < width; i++, lane++) {
        dot[lane] += row[i] * query[i];
        own[lane] += row[i] * row[i];
    }
    return (struct sums){lanes_sum(dot), square ? lanes_sum(own) : 0};
}

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

static float cosine(const float *row, const float *query, size_t width) {
    struct sums sums = row_sums(row, query, width, true);
    if (sums.square > 1e-30f && sums.square < 1e30f)
        return sums.dot / sqrtf(sums.square);
    return cosine_of_odd_row(row, query, width);
}

/* A total order, so that the best K are the same however rows were dealt out:
 * higher score, then lower row; what is not a number comes last. */
static bool better(const struct hit *a, const struct hit *b) {
    bool a_nan = isnan(a->score), b_nan = isnan(b->score);
    if (a_nan != b_nan)
        return b_nan;
    if (!a_nan && (a->score > b->score || a->score < b->score))
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
};

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
    enum topk_score score;
    const float *rows; /* [count, width] */
    const float *query;
    size_t width;
    size_t k;
    struct heap *heaps; /* [threads] */
};

static void scan_rows(void *context, size_t begin, size_t end,
                      unsigned thread) {
    struct scan *scan = context;
    struct heap *heap = &scan->heaps[thread];
    size_t width = scan->width;
    const float *row = scan->rows + begin * width, *query = scan->query;
    for (size_t i = begin; i < end; i++, row += width) {
        float score = scan->score == TOPK_COSINE
                          ? cosine(row, query, width)
                          : row_sums(row, query, width, false).dot;
        heap_offer(heap, scan->k, (struct hit){.row = i, .score = score});
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

bool topk_scan(struct memory *memory, struct pool *pool, enum topk_score score,
               const float *rows, uint64_t count, size_t width,
               const float *query, size_t k, struct hit *hits, size_t *found,
               struct error *err) {
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
    if (all) {
        for (unsigned t = 0; t < threads; t++)
            heaps[t].hits = all + t * k;
        struct scan scan = {score, rows, query, width, k, heaps};
        pool_each(pool, (size_t)count, GRAIN_ROWS, scan_rows, &scan);
        *found = merge(heaps, threads, all, k, hits);
    }
    memory_free(memory, all);
    memory_free(memory, heaps);
    return all != NULL;
}
