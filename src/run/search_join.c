/* search_join.c - the rankings of several sources as one: reciprocal rank
 * fusion (Cormack, Clarke and Buettcher 2009), where a row's score is the sum
 * over the sources that have it of 1 / (60 + its rank there), ranks from 1. */

#include "run/search_parts.h"

#include <stdlib.h>
#include <string.h>

enum { RRF_K = 60 };

/* A row with what the sources say of it. */
struct joined {
    size_t shelf;
    uint64_t row;
    double score;
    struct search_rank *ranks; /* [rankings_count] */
    size_t ranks_count;
};

static int by_place(const void *a, const void *b) {
    const struct joined *x = a, *y = b;
    if (x->shelf != y->shelf)
        return x->shelf < y->shelf ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Entries of one row in the order of the rankings: a sort may turn equal ones
 * round, and sums in another order are other sums. */
static int by_place_and_ranking(const void *a, const void *b) {
    const struct joined *x = a, *y = b;
    int order = by_place(a, b);
    return order ? order : (x->ranks > y->ranks) - (x->ranks < y->ranks);
}

/* Best first; of equal ones as the collections are called, then by row. */
static int by_score(const void *a, const void *b) {
    const struct joined *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return by_place(a, b);
}

/* One entry for each row of each ranking, in the order of places. */
static size_t list_all(const struct searching *s, struct joined *all,
                       struct search_rank *ranks) {
    size_t count = 0;
    for (size_t r = 0; r < s->rankings_count; r++) {
        const struct ranking *ranking = &s->rankings[r];
        for (size_t i = 0; i < ranking->count; i++) {
            ranks[count] = (struct search_rank){ranking->source, i + 1,
                                                ranking->hits[i].score};
            all[count] = (struct joined){.shelf = ranking->hits[i].shelf,
                                         .row = ranking->hits[i].row,
                                         .score = ranking->hits[i].score,
                                         .ranks = &ranks[count],
                                         .ranks_count = 1};
            count++;
        }
    }
    return count;
}

/* Entries of one row become one; MERGED [count] gets their ranks. */
static size_t join_rows(struct joined *all, size_t count,
                        struct search_rank *merged) {
    size_t rows = 0, used = 0;
    qsort(all, count, sizeof *all, by_place_and_ranking);
    for (size_t i = 0; i < count;) {
        struct joined row = all[i];
        row.ranks = merged + used;
        row.ranks_count = 0;
        row.score = 0;
        for (; i < count && by_place(&all[i], &row) == 0; i++) {
            row.ranks[row.ranks_count++] = all[i].ranks[0];
            row.score += 1 / (double)(RRF_K + all[i].ranks[0].rank);
        }
        used += row.ranks_count;
        all[rows++] = row;
    }
    return rows;
}

static void give_hits(struct searching *s, const struct joined *all,
                      size_t count) {
    struct search_result *result = s->result;
    for (size_t i = 0; i < count; i++)
        result->hits[i] =
            (struct search_hit){.collection = s->shelves[all[i].shelf].name,
                                .score = all[i].score,
                                .row = all[i].row,
                                .ranks = all[i].ranks,
                                .ranks_count = all[i].ranks_count};
    result->count = count;
}

bool search_join(struct searching *s, struct error *err) {
    struct search_result *result = s->result;
    size_t most = s->rankings_count * s->depth + 1;
    struct arena *arena = &result->arena;
    struct joined *all = memory_alloc(&result->memory, most, sizeof *all, err);
    struct search_rank *ranks = arena_alloc(arena, most, sizeof *ranks, err);
    struct search_rank *merged = arena_alloc(arena, most, sizeof *merged, err);
    result->hits = arena_alloc(arena, most, sizeof *result->hits, err);
    bool fine = all && ranks && merged && result->hits;
    if (fine) {
        size_t count = list_all(s, all, ranks);
        if (s->rankings_count > 1)
            count = join_rows(all, count, merged);
        qsort(all, count, sizeof *all, by_score);
        give_hits(s, all, count < s->wanted ? count : s->wanted);
    }
    memory_free(&result->memory, all);
    return fine;
}
