/* attention.c - what attention costs beside the matrix product in the same run.
 *
 *     bench_attention [--dtype f32|bf16|int8] [--isa NAME] [--threads N]
 *                     [--tokens T] [--head-dim D]
 *
 * A row is the fastest of several passes over texts of T tokens (as many as
 * fill 512, at least one) of 384 / D heads, in GFLOP/s of the two products
 * Q K^T and P V; causal attention has about half of them. With --dtype both the
 * yardstick and attention are what a run of that type has; attention knows no
 * int8, so beside int8 there is nothing that the yardstick predicts.
 *
 *     one     one thread
 *     shared  all threads share the text (one long text, one query)
 *     gemm    shared, of the products of a layer that is 384 wide, 384 rows a
 *             thread: in turn with it
 *     x gemm  how often the time that gemm predicts went by, with all threads
 *             and with one
 *     score, values, rest
 *             shares of one thread's time: what device_linear takes for the
 *             same two products, and what is left, softmax and packing */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pool.h"
#define BENCH_NAME "bench_attention"
#include "room.h"

enum {
    WIDTH = 384,
    GEMM_ROWS = 384,
    GROUP = 512, /* tokens of a row, where texts are shorter */
    KEYS = 512,  /* most columns of the scores' product */
    TURNS = 3,
    TURN_MS = 60
};

struct bench {
    struct memory memory;
    struct pool *pool;
    struct device *device;
    struct lane *lane;
    struct linear up, down; /* of the yardstick */
    float *x, *y, *z;
    /* of the row that is measured */
    struct attention attention;
    struct sequences sequences;
    struct linear score, values;
    size_t tokens, rows, keys;
    float *qkv, *context, *products;
    void *scratch;
};

static struct linear packed(struct bench *b, size_t in, size_t out) {
    void *weights = take(&b->memory, device_linear_bytes(b->device, in, out));
    float *plain = noise(&b->memory, in * out, 2);
    device_linear_pack(b->device, plain, in, out, 0, out, weights);
    memory_free(&b->memory, plain);
    return (struct linear){.in = in, .out = out, .weights = weights};
}

static void unpack(struct bench *b, struct linear *linear) {
    memory_free(&b->memory, (void *)(uintptr_t)linear->weights);
}

/* ---- what is timed ------------------------------------------------------ */

static void run_gemm(struct bench *b) {
    size_t rows = GEMM_ROWS * pool_threads(b->pool);
    device_linear(b->lane, &b->up, narrow_of(b->x), rows, ACTIVATION_NONE, NULL,
                  b->y);
    device_linear(b->lane, &b->down, narrow_of(b->y), rows, ACTIVATION_NONE,
                  NULL, b->z);
}

static void run_attention(struct bench *b) {
    device_attention(b->lane, &b->attention, &b->sequences, narrow_of(b->qkv),
                     b->scratch, narrow_of(b->context));
}

static void run_score(struct bench *b) {
    device_linear(b->lane, &b->score, narrow_of(b->qkv), b->rows,
                  ACTIVATION_NONE, NULL, b->products);
}

static void run_values(struct bench *b) {
    device_linear(b->lane, &b->values, narrow_of(b->products), b->rows,
                  ACTIVATION_NONE, NULL, b->context);
}

/* Nanoseconds of the fastest pass of a turn, or what was faster BEFORE. */
static double fastest(struct bench *b, void (*pass)(struct bench *b),
                      double before) {
    int64_t begin = clock_now_ns(), now = begin;
    do {
        int64_t last = now;
        pass(b);
        now = clock_now_ns();
        double here = (double)(now - last);
        before = before > 0 && before < here ? before : here;
    } while (now - begin < TURN_MS * 1000000LL);
    return before;
}

/* ---- a row -------------------------------------------------------------- */

struct times {
    double gemm, gemm_one, all, one, score, values;
};

static struct times measure(struct bench *b) {
    struct times t = {0};
    for (int turn = 0; turn < TURNS; turn++) {
        t.gemm_one = fastest(b, run_gemm, t.gemm_one);
        t.one = fastest(b, run_attention, t.one);
        t.score = fastest(b, run_score, t.score);
        t.values = fastest(b, run_values, t.values);
        lane_widen(b->lane, true);
        t.gemm = fastest(b, run_gemm, t.gemm);
        t.all = fastest(b, run_attention, t.all);
        lane_widen(b->lane, false);
    }
    return t;
}

static double products_flops(const struct bench *b, bool causal) {
    double tokens = (double)b->tokens;
    double pairs = causal ? tokens * (tokens + 1) / 2 : tokens * tokens;
    return 4 * pairs * WIDTH * (double)b->sequences.texts;
}

static void print_row(struct bench *b, size_t head_dim, bool causal,
                      const char *isa) {
    double gemm_flops =
        4.0 * GEMM_ROWS * pool_threads(b->pool) * WIDTH * 4 * WIDTH;
    b->attention.ahead = causal ? 0 : SIZE_MAX;
    struct times t = measure(b);
    double flops = products_flops(b, causal), gemm = gemm_flops / t.gemm;
    /* One head's products of so many rows and keys, of all that there are. */
    double times = flops / (4.0 * (double)(b->keys * b->rows * head_dim));
    printf("%-8s %6zu x%-3zu %4zu %-6s %7.1f %7.1f %7.1f %6.2f %6.2f", isa,
           b->tokens, b->sequences.texts, head_dim, causal ? "causal" : "",
           flops / t.one, flops / t.all, gemm, t.all * gemm / flops,
           t.one / flops * gemm_flops / t.gemm_one);
    double score = 100 * t.score * times / t.one;
    double values = 100 * t.values * times / t.one;
    printf(" %5.0f %% %5.0f %% %5.0f %%\n", score, values,
           100 - score - values);
    fflush(stdout);
}

static void bench_length(struct bench *b, size_t tokens, size_t head_dim,
                         const char *isa) {
    size_t texts = tokens < GROUP ? GROUP / tokens : 1;
    uint32_t starts[GROUP + 1];
    for (size_t i = 0; i <= texts; i++)
        starts[i] = (uint32_t)(i * tokens);
    b->tokens = tokens;
    b->rows = tokens < GEMM_ROWS ? tokens : GEMM_ROWS;
    b->keys = tokens < KEYS ? tokens : KEYS;
    b->sequences = (struct sequences){.texts = texts, .starts = starts};
    b->attention = (struct attention){.heads = WIDTH / head_dim,
                                      .kv_heads = WIDTH / head_dim,
                                      .head_dim = head_dim,
                                      .scale = 0.1f,
                                      .behind = SIZE_MAX};
    b->qkv = noise(&b->memory, texts * tokens * 3 * WIDTH, 2);
    b->context = noise(&b->memory, texts * tokens * WIDTH, 2);
    b->products = noise(&b->memory, b->rows * b->keys, 2);
    b->score = packed(b, head_dim, b->keys);
    b->values = packed(b, b->keys, head_dim);
    b->scratch = take(&b->memory,
                      device_attention_bytes(b->device, &b->attention, tokens));
    print_row(b, head_dim, false, isa);
    print_row(b, head_dim, true, isa);
    memory_free(&b->memory, b->qkv);
    memory_free(&b->memory, b->context);
    memory_free(&b->memory, b->products);
    memory_free(&b->memory, b->scratch);
    unpack(b, &b->score);
    unpack(b, &b->values);
}

static void bench_all(struct bench *b, size_t only_tokens, size_t only_dim,
                      const char *isa) {
    static const size_t LENGTHS[] = {50, 160, 512, 2048, 8192};
    static const size_t DIMS[] = {32, 64, 128};
    size_t rows = GEMM_ROWS * pool_threads(b->pool);
    b->up = packed(b, WIDTH, 4 * WIDTH);
    b->down = packed(b, 4 * WIDTH, WIDTH);
    b->x = noise(&b->memory, rows * WIDTH, 2);
    b->y = noise(&b->memory, rows * 4 * WIDTH, 2);
    b->z = noise(&b->memory, rows * WIDTH, 2);
    printf("isa      tokens texts  dim            one  shared    gemm  x gemm"
           "    one   score  values    rest\n");
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++)
        for (size_t j = 0; j < sizeof DIMS / sizeof *DIMS; j++)
            if ((!only_tokens || only_tokens == LENGTHS[i]) &&
                (!only_dim || only_dim == DIMS[j]))
                bench_length(b, LENGTHS[i], DIMS[j], isa);
    memory_free(&b->memory, b->x);
    memory_free(&b->memory, b->y);
    memory_free(&b->memory, b->z);
    unpack(b, &b->up);
    unpack(b, &b->down);
}

int main(int count, char **arguments) {
    struct bench b = {0};
    struct error err;
    const char *isa = NULL;
    size_t tokens = 0, head_dim = 0;
    enum number_type type = NUMBER_F32;
    unsigned threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 1; i + 1 < count; i += 2) {
        const char *value = arguments[i + 1];
        if (strcmp(arguments[i], "--isa") == 0)
            isa = value;
        else if (strcmp(arguments[i], "--dtype") == 0)
            type = type_named(value);
        else if (strcmp(arguments[i], "--threads") == 0)
            threads = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(arguments[i], "--tokens") == 0)
            tokens = strtoul(value, NULL, 10);
        else if (strcmp(arguments[i], "--head-dim") == 0)
            head_dim = strtoul(value, NULL, 10);
        else
            stop("see the head of bench/attention.c for its options");
    }
    if (!(b.pool = pool_create(&b.memory, threads, &err)))
        stop(err.message);
    struct device_options options = {
        .memory = &b.memory, .pool = b.pool, .isa = isa, .type = type};
    struct device_facts facts;
    if (!(b.device = device_open(&DEVICE_CPU, &options, &err)) ||
        !device_facts(b.device, &facts, &err))
        stop(err.message);
    b.lane = device_lane(b.device, 0);
    printf("%s, %u threads\n", facts.model, threads);
    bench_all(&b, tokens, head_dim, facts.isa);
    device_close(b.device);
    pool_free(b.pool);
    return 0;
}
