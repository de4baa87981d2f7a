/* search.c - the scan of `ensembed search` over an array, beside the rate at
 * which the same threads read the same bytes.
 *
 *     bench_search make FILE ROWS WIDTH     random unit vectors, and some
 *                                           questions in FILE.questions.npy
 *     bench_search FILE [--threads N] [--rounds N] [--cold] [--json]
 *
 * In each round, one behind the other, so that what else the machine does meets
 * all alike:
 *
 *     read       a plain sum of all bytes of the mapped rows: the roof
 *     top 10     of the rows that are mapped already
 *     top 100    likewise
 *     cosine     top 10, rows of any length: their own squares are summed too
 *     new map    top 10 as one `ensembed search` does it: the file is opened,
 *                mapped, scanned and let go of. Its pages are in the page cache
 *     cold       (--cold) the same after the page cache was told to forget the
 *                file: what the disk gives
 *
 * Printed are the best and the median of the milliseconds, and the median of
 * the shares of the same round's `read`. */

#define _GNU_SOURCE /* mincore */

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/doubles.h"
#include "base/read_rate.h"
#include "data/npy.h"
#include "data/topk.h"
#define BENCH_NAME "bench_search"
#include "room.h"

enum { QUESTIONS = 8, ROUNDS_MOST = 101, TOP = 100 };

enum timed { READ, TOP_10, TOP_100, COSINE, NEW_MAP, COLD, TIMED };
static const char *const names[TIMED] = {"read",   "top 10",  "top 100",
                                         "cosine", "new map", "cold"};

struct bench {
    struct memory memory;
    struct pool *pool;
    const char *path;
    struct npy_map rows, questions;
    int rounds;
    bool cold;
    double ms[TIMED][ROUNDS_MOST];
    struct hit hits[QUESTIONS][TOP];
    size_t found; /* of each question's TOP */
};

/* ---- make --------------------------------------------------------------- */

/* Sums of uniform numbers: near enough to any direction alike. */
static void random_unit(uint64_t *state, float *row, size_t width) {
    double square = 0;
    for (size_t i = 0; i < width; i++) {
        int64_t sum = 0;
        for (int k = 0; k < 2; k++) {
            *state = *state * 6364136223846793005u + 1442695040888963407u;
            sum += (int32_t)(*state >> 32);
            sum += (int16_t)(*state >> 16) * (int64_t)65536;
        }
        row[i] = (float)sum;
        square += (double)row[i] * (double)row[i];
    }
    for (size_t i = 0; i < width; i++)
        row[i] = (float)((double)row[i] / sqrt(square));
}

static void make_array(const char *path, uint64_t seed, uint64_t rows,
                       size_t width) {
    struct memory memory = {0};
    struct error err;
    struct npy_writer out;
    float *row = memory_alloc(&memory, width, sizeof *row, &err);
    if (!row || !npy_writer_open(&out, path, rows, width, &memory, &err))
        stop(err.message);
    bool fine = true;
    for (uint64_t i = 0; fine && i < rows; i++) {
        random_unit(&seed, row, width);
        fine = npy_writer_add(&out, row, 1, &err);
    }
    if (!fine || !npy_writer_commit(&out, &err))
        stop(err.message);
    npy_writer_close(&out);
    memory_free(&memory, row);
}

static char *questions_path(const char *path) {
    static char text[4096];
    snprintf(text, sizeof text, "%s.questions.npy", path);
    return text;
}

/* ---- one round ---------------------------------------------------------- */

static double since(int64_t begin) {
    return (double)(clock_now_ns() - begin) / 1e6;
}

static size_t scan(struct bench *b, const struct npy_map *rows, int question,
                   enum topk_score score, size_t top, struct hit *hits) {
    struct error err;
    size_t width = rows->width, found;
    if (!topk_scan(&b->memory, b->pool, score, b->path, rows->data, rows->rows,
                   width, b->questions.data + (size_t)question * width, top,
                   hits, &found, &err))
        stop(err.message);
    return found;
}

static double scan_new_map(struct bench *b, int question) {
    struct error err;
    struct npy_map rows;
    struct hit hits[TOP];
    int64_t begin = clock_now_ns();
    if (!npy_map_open(&rows, b->path, &err))
        stop(err.message);
    file_map_read_through(&rows.map);
    scan(b, &rows, question, TOPK_DOT, 10, hits);
    npy_map_close(&rows);
    return since(begin);
}

/* The share of the file that is in the page cache. */
static double cached(const struct bench *b) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = b->rows.map.size, pages = (size + page - 1) / page, in = 0;
    unsigned char *seen = malloc(pages);
    void *data = (void *)(uintptr_t)b->rows.map.data;
    if (!seen || mincore(data, size, seen) != 0)
        stop("mincore failed");
    for (size_t i = 0; i < pages; i++)
        in += seen[i] & 1;
    free(seen);
    return (double)in / (double)pages;
}

/* A page that is mapped stays in the cache. */
static void forget(struct bench *b) {
    file_map_forget(&b->rows.map, 0, b->rows.map.size);
    int fd = open(b->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        stop("the page cache cannot be told to forget the file");
    close(fd);
    double left = cached(b);
    if (left > 0.01)
        fprintf(stderr, "cold: %.0f %% of the file stayed in the page cache\n",
                100 * left);
}

static double read_all(struct bench *b) {
    struct read_rate rate;
    size_t bytes = b->rows.rows * b->rows.width * sizeof(float);
    read_rate_measure(b->pool, b->rows.data, bytes, 1, &rate);
    return (double)bytes / rate.best * 1e3;
}

static void round_of_all(struct bench *b, int round) {
    struct hit hits[TOP];
    int question = round % QUESTIONS;
    if (b->cold) {
        forget(b);
        b->ms[COLD][round] = scan_new_map(b, question);
    }
    b->ms[NEW_MAP][round] = scan_new_map(b, question);
    b->ms[READ][round] = read_all(b);
    int64_t begin = clock_now_ns();
    scan(b, &b->rows, question, TOPK_DOT, 10, hits);
    b->ms[TOP_10][round] = since(begin);
    begin = clock_now_ns();
    b->found = scan(b, &b->rows, question, TOPK_DOT, TOP, b->hits[question]);
    b->ms[TOP_100][round] = since(begin);
    begin = clock_now_ns();
    scan(b, &b->rows, question, TOPK_COSINE, 10, hits);
    b->ms[COSINE][round] = since(begin);
}

/* ---- what is printed ---------------------------------------------------- */

static double at_rank(const double *values, int count, int rank) {
    double sorted[ROUNDS_MOST];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    doubles_sort(sorted, (size_t)count);
    return sorted[rank];
}

static json_t *describe(const struct bench *b, enum timed what) {
    double shares[ROUNDS_MOST];
    double bytes = (double)(b->rows.rows * b->rows.width * sizeof(float));
    for (int i = 0; i < b->rounds; i++)
        shares[i] = b->ms[READ][i] / b->ms[what][i];
    double best = at_rank(b->ms[what], b->rounds, 0);
    double median = at_rank(b->ms[what], b->rounds, b->rounds / 2);
    return json_pack(
        "{s:s, s:f, s:f, s:f, s:f}", "what", names[what], "best_ms", best,
        "median_ms", median, "median_gb_per_second", bytes / median / 1e6,
        "share_of_read", at_rank(shares, b->rounds, b->rounds / 2));
}

static json_t *describe_hits(const struct bench *b) {
    json_t *answers = json_array();
    for (int q = 0; q < QUESTIONS && q < b->rounds; q++) {
        json_t *answer = json_array();
        for (size_t i = 0; i < b->found; i++)
            json_array_append_new(
                answer, json_pack("[I, f]", (json_int_t)b->hits[q][i].row,
                                  (double)b->hits[q][i].score));
        json_array_append_new(answers, answer);
    }
    return answers;
}

static void print_all(const struct bench *b, bool json) {
    json_t *times = json_array();
    for (int what = 0; what < TIMED; what++)
        if (what != COLD || b->cold)
            json_array_append_new(times, describe(b, (enum timed)what));
    if (json) {
        json_t *all = json_pack("{s:I, s:I, s:i, s:i, s:o, s:o}", "rows",
                                (json_int_t)b->rows.rows, "width",
                                (json_int_t)b->rows.width, "threads",
                                (int)pool_threads(b->pool), "rounds", b->rounds,
                                "times", times, "answers", describe_hits(b));
        json_dumpf(all, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(all);
        return;
    }
    printf("%" PRIu64 " rows of %zu, %u threads, %d rounds\n", b->rows.rows,
           b->rows.width, pool_threads(b->pool), b->rounds);
    size_t i;
    json_t *time;
    json_array_foreach(times, i, time) {
        const char *what;
        double best, median, rate, share;
        json_unpack(time, "{s:s, s:F, s:F, s:F, s:F}", "what", &what, "best_ms",
                    &best, "median_ms", &median, "median_gb_per_second", &rate,
                    "share_of_read", &share);
        printf(
            "%-8s best %7.1f ms, median %7.1f ms, %5.1f GB/s, %.2f of read\n",
            what, best, median, rate, share);
    }
    json_decref(times);
}

/* ---- the command line --------------------------------------------------- */

static int make(const char *path, const char *rows, const char *width) {
    uint64_t count = strtoull(rows, NULL, 10);
    size_t columns = strtoul(width, NULL, 10);
    if (!count || !columns)
        stop("rows and width are numbers above 0");
    make_array(path, 1, count, columns);
    make_array(questions_path(path), 2, QUESTIONS, columns);
    return 0;
}

static void open_all(struct bench *b, unsigned threads) {
    struct error err;
    b->pool = pool_create(&b->memory, threads, &err);
    if (!b->pool || !npy_map_open(&b->rows, b->path, &err) ||
        !npy_map_open(&b->questions, questions_path(b->path), &err))
        stop(err.message);
    if (b->questions.width != b->rows.width || b->questions.rows != QUESTIONS)
        stop("the questions are not this file's; make both again");
    file_map_read_through(&b->rows.map);
    read_all(b);
}

static int number(int count, char **words, int *at, int most) {
    int value = *at + 1 < count ? atoi(words[++*at]) : 0;
    if (value < 1 || value > most)
        stop("--threads and --rounds want a number from 1");
    return value;
}

int main(int count, char **words) {
    static struct bench bench;
    struct bench *b = &bench;
    if (count == 5 && strcmp(words[1], "make") == 0)
        return make(words[2], words[3], words[4]);
    if (count < 2)
        stop("FILE [--threads N] [--rounds N] [--cold] [--json], or "
             "make FILE ROWS WIDTH");
    int threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    bool json = false;
    b->path = words[1];
    b->rounds = 9;
    for (int i = 2; i < count; i++) {
        if (strcmp(words[i], "--json") == 0)
            json = true;
        else if (strcmp(words[i], "--cold") == 0)
            b->cold = true;
        else if (strcmp(words[i], "--threads") == 0)
            threads = number(count, words, &i, 1024);
        else if (strcmp(words[i], "--rounds") == 0)
            b->rounds = number(count, words, &i, ROUNDS_MOST);
        else
            stop(words[i]);
    }
    open_all(b, (unsigned)threads);
    for (int round = 0; round < b->rounds; round++)
        round_of_all(b, round);
    print_all(b, json);
    npy_map_close(&b->rows);
    npy_map_close(&b->questions);
    pool_free(b->pool);
    return 0;
}
