#include "run/bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/layout.h"

enum { ROUND_NS = 400 * 1000 * 1000, QUERY_TOKENS = 8, QUERY_RUNS = 21 };

struct gemm_job {
    struct session *session;
    struct linear linears[4];
    size_t rows, widest;
    float *x, *y; /* [lanes, rows, widest] */
};

static void gemm_round(void *context, unsigned thread) {
    struct gemm_job *job = context;
    struct lane *lane = device_lane(job->session->device, thread);
    float *x = job->x + thread * job->rows * job->widest;
    float *y = job->y + thread * job->rows * job->widest;
    for (int i = 0; i < 4; i++)
        device_linear(lane, &job->linears[i],
                      device_narrow(lane, x, job->rows * job->widest, NULL),
                      job->rows, ACTIVATION_NONE, NULL, y);
}

/* Every page is written: memory that nobody touched reads as one zero page. */
static void fill(float *values, size_t count) {
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / 16777216.0f - 0.5f;
    }
}

static bool prepare_gemm(struct gemm_job *job, size_t hidden, size_t inter,
                         void **block, struct error *err) {
    struct session *session = job->session;
    size_t shapes[4][2] = {{hidden, 3 * hidden},
                           {hidden, hidden},
                           {hidden, inter},
                           {inter, hidden}};
    size_t plain = hidden * (3 * hidden > inter ? 3 * hidden : inter);
    job->widest = 3 * hidden > inter ? 3 * hidden : inter;
    *block = NULL;
    for (int round = 0; round < 2; round++) {
        struct layout layout = {.base = *block};
        size_t lanes = session->device->lanes;
        job->x = layout_take(&layout, lanes * job->rows,
                             job->widest * sizeof(float));
        job->y = layout_take(&layout, lanes * job->rows,
                             job->widest * sizeof(float));
        float *weights = layout_take(&layout, plain, sizeof(float));
        void *packed[4];
        for (int i = 0; i < 4; i++)
            packed[i] =
                layout_take(&layout, 1,
                            device_linear_bytes(session->device, shapes[i][0],
                                                shapes[i][1]));
        if (!round) {
            *block = memory_alloc(&session->memory, layout.bytes, 1, err);
            if (!*block)
                return false;
            continue;
        }
        fill(weights, plain);
        fill(job->x, lanes * job->rows * job->widest);
        fill(job->y, lanes * job->rows * job->widest);
        for (int i = 0; i < 4; i++) {
            device_linear_pack(session->device, weights, shapes[i][0],
                               shapes[i][1], 0, shapes[i][1], packed[i]);
            job->linears[i] = (struct linear){
                .in = shapes[i][0], .out = shapes[i][1], .weights = packed[i]};
        }
    }
    return true;
}

bool bench_gemm(struct session *session, size_t hidden, size_t inter,
                size_t rows, double *gflops, struct error *err) {
    struct gemm_job job = {.session = session, .rows = rows};
    void *block;
    bool fine = prepare_gemm(&job, hidden, inter, &block, err);
    if (fine) {
        double flops = 2.0 * (double)rows * session->device->lanes *
                       (double)hidden *
                       (4.0 * (double)hidden + 2.0 * (double)inter);
        pool_run(session->pool, gemm_round, &job);
        int64_t begin = clock_now_ns(), now;
        double rounds = 0;
        do {
            pool_run(session->pool, gemm_round, &job);
            rounds++;
            now = clock_now_ns();
        } while (now - begin < ROUND_NS);
        *gflops = flops * rounds / (double)(now - begin);
    }
    memory_free(&session->memory, block);
    return fine;
}

/* ---- a whole model ------------------------------------------------------ */

struct generated {
    uint32_t *ids, *starts;
    float *vectors;
    size_t texts;
};

static bool generate(struct engine *engine, size_t text_tokens,
                     struct generated *g, struct error *err) {
    struct memory *memory = &engine->session->memory;
    size_t budget = engine->batch_tokens;
    g->texts = budget / text_tokens;
    g->ids = memory_alloc(memory, budget, sizeof *g->ids, err);
    g->starts = memory_alloc(memory, g->texts + 1, sizeof *g->starts, err);
    g->vectors = memory_alloc(memory, g->texts,
                              engine->member->spec.width * sizeof(float), err);
    if (!g->ids || !g->starts || !g->vectors)
        return false;
    uint32_t state = 7;
    for (size_t i = 0; i < g->texts * text_tokens; i++) {
        state = state * 1664525u + 1013904223u;
        g->ids[i] = (uint32_t)((state >> 4) % engine->member->spec.vocab);
    }
    for (size_t i = 0; i <= g->texts; i++)
        g->starts[i] = (uint32_t)(i * text_tokens);
    return true;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool time_query(struct engine *engine, const struct generated *g,
                       double *ms, struct error *err) {
    double times[QUERY_RUNS];
    uint32_t starts[2] = {0, QUERY_TOKENS};
    for (int i = 0; i < QUERY_RUNS; i++) {
        int64_t begin = clock_now_ns();
        if (!engine_encode(engine, g->ids, starts, 1, g->vectors, err))
            return false;
        times[i] = (double)(clock_now_ns() - begin) / 1e6;
    }
    qsort(times, QUERY_RUNS, sizeof *times, by_value);
    *ms = times[QUERY_RUNS / 2];
    return true;
}

bool bench_engine(struct engine *engine, size_t text_tokens,
                  struct bench_model *result, struct error *err) {
    const struct model_spec *spec = &engine->member->spec;
    if (text_tokens > spec->max_length)
        text_tokens = spec->max_length;
    struct generated g = {0};
    bool fine = generate(engine, text_tokens, &g, err) &&
                engine_encode(engine, g.ids, g.starts, g.texts, g.vectors, err);
    *result =
        (struct bench_model){.texts = g.texts, .tokens = g.texts * text_tokens};
    double rounds = 0;
    int64_t begin = clock_now_ns(), now = begin;
    while (fine && now - begin < 2 * (int64_t)ROUND_NS) {
        fine = engine_encode(engine, g.ids, g.starts, g.texts, g.vectors, err);
        rounds++;
        now = clock_now_ns();
    }
    if (fine) {
        double seconds = (double)(now - begin) / 1e9;
        double per_token =
            2.0 * (double)spec->depth * (double)spec->hidden *
            (4.0 * (double)spec->hidden + 2.0 * (double)spec->inter);
        result->tokens_per_second = (double)result->tokens * rounds / seconds;
        result->gflops = result->tokens_per_second * per_token / 1e9;
        fine = time_query(engine, &g, &result->one_query_ms, err);
    }
    struct memory *memory = &engine->session->memory;
    memory_free(memory, g.ids);
    memory_free(memory, g.starts);
    memory_free(memory, g.vectors);
    return fine;
}
