#include "run/bench.h"

#include <string.h>

#include "base/clock.h"
#include "base/doubles.h"
#include "base/layout.h"
#include "base/read_rate.h"

enum {
    ROUND_NS = 400 * 1000 * 1000,
    CARD_TIMES = 8, /* layers' products in a submit */
    QUERY_RUNS = 101,
    READ_ROUNDS = 31,
    MEMORY_BYTES = 512 * 1024 * 1024 /* more than any cache */
};

struct gemm_job {
    struct session *session;
    struct linear linears[4];
    size_t rows, widest;
    struct narrow *x, *y; /* (device) [lanes, rows, widest] */
    _Atomic bool failed;
};

static struct narrow *rows_of(const struct gemm_job *job, struct narrow *rows,
                              unsigned lane) {
    size_t bytes = job->session->device->narrow_bytes;
    return (struct narrow *)((char *)rows +
                             lane * job->rows * job->widest * bytes);
}

/* A layer's four products, as often as one submit should hold: a card waits at
 * the end of each. */
static void gemm_round(void *context, unsigned thread) {
    struct gemm_job *job = context;
    const struct device *device = job->session->device;
    if (thread >= device->lanes)
        return;
    struct lane *lane = device_lane(job->session->device, thread);
    bool fine = device_submit(lane, NULL);
    for (int times = device->host_memory ? 1 : CARD_TIMES; times-- > 0;)
        for (int i = 0; i < 4; i++)
            device_linear_narrow(lane, &job->linears[i],
                                 rows_of(job, job->x, thread), job->rows,
                                 ACTIVATION_NONE, rows_of(job, job->y, thread));
    if (!device_finish(lane, NULL) || !fine)
        job->failed = true;
}

static void gemm_all_lanes(struct gemm_job *job) {
    if (job->session->device->lanes == 1)
        gemm_round(job, 0);
    else
        pool_run(job->session->pool, gemm_round, job);
}

static void fill(float *values, size_t count) {
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / 16777216.0f - 0.5f;
    }
}

/* Runs twice: first with an empty layout, to measure. */
static void place_gemm(struct gemm_job *job, const struct device *device,
                       size_t hidden, size_t inter, struct layout *layout) {
    size_t shapes[4][2] = {{hidden, 3 * hidden},
                           {hidden, hidden},
                           {hidden, inter},
                           {inter, hidden}};
    size_t rows = device->lanes * job->rows;
    job->widest = 3 * hidden > inter ? 3 * hidden : inter;
    job->x = layout_take(layout, rows, job->widest * device->narrow_bytes);
    job->y = layout_take(layout, rows, job->widest * device->narrow_bytes);
    for (int i = 0; i < 4; i++) {
        size_t in = shapes[i][0], out = shapes[i][1];
        job->linears[i] = (struct linear){
            .in = in,
            .out = out,
            .weights =
                layout_take(layout, 1, device_linear_bytes(device, in, out))};
    }
}

/* Every page is written: memory that nobody touched reads as one zero page. */
static bool fill_gemm(struct gemm_job *job, struct error *err) {
    struct session *session = job->session;
    struct device *device = session->device;
    size_t most = job->linears[0].in * job->widest;
    float *numbers = memory_alloc(&session->memory, most, sizeof(float), err);
    if (!numbers)
        return false;
    fill(numbers, most);
    for (int i = 0; i < 4; i++)
        device_linear_pack(device, numbers, job->linears[i].in,
                           job->linears[i].out, 0, job->linears[i].out,
                           (void *)job->linears[i].weights);
    size_t rows = device->lanes * job->rows, some = job->linears[0].in;
    for (size_t row = 0; row < rows; row += some) {
        size_t count = rows - row < some ? rows - row : some;
        device_table_put(device, numbers, job->widest, row, count, job->x);
        device_table_put(device, numbers, job->widest, row, count, job->y);
    }
    memory_free(&session->memory, numbers);
    return device_upload_wait(device, err);
}

static bool time_gemm(struct gemm_job *job, double flops, double *gflops,
                      struct error *err) {
    struct device *device = job->session->device;
    flops *= device->host_memory ? 1 : CARD_TIMES;
    gemm_all_lanes(job);
    int64_t begin = clock_now_ns(), now;
    double rounds = 0;
    do {
        gemm_all_lanes(job);
        rounds++;
        now = clock_now_ns();
    } while (!job->failed && now - begin < ROUND_NS);
    *gflops = flops * rounds / (double)(now - begin);
    return !job->failed ||
           error_set(err, ERROR_DEVICE, "%s gave up in a matrix product",
                     device->name);
}

bool bench_gemm(struct session *session, size_t hidden, size_t inter,
                size_t rows, double *gflops, struct error *err) {
    struct device *device = session->device;
    struct gemm_job job = {.session = session, .rows = rows};
    struct layout measure = {0};
    place_gemm(&job, device, hidden, inter, &measure);
    void *block =
        device_alloc(device, measure.bytes,
                     device_block_bytes(device, measure.bytes), NULL, err);
    struct layout real = {.base = block};
    double flops = 2.0 * (double)rows * device->lanes * (double)hidden *
                   (4.0 * (double)hidden + 2.0 * (double)inter);
    if (block)
        place_gemm(&job, device, hidden, inter, &real);
    bool fine =
        block && fill_gemm(&job, err) && time_gemm(&job, flops, gflops, err);
    device_release(device, block);
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

static void forget(struct engine *engine, const struct generated *g) {
    struct memory *memory = &engine->session->memory;
    memory_free(memory, g->ids);
    memory_free(memory, g->starts);
    memory_free(memory, g->vectors);
}

/* Of the layers' matrix products alone. */
static double flops_per_token(const struct model_spec *spec) {
    size_t attention = model_spec_qkv(spec) + spec->heads * spec->head_dim;
    size_t feed = spec->inter * (spec->traits & TRAIT_GATED ? 3 : 2);
    return 2.0 * (double)spec->depth * (double)spec->hidden *
           (double)(attention + feed);
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
        double per_token = flops_per_token(spec);
        result->tokens_per_second = (double)result->tokens * rounds / seconds;
        result->gflops = result->tokens_per_second * per_token / 1e9;
    }
    forget(engine, &g);
    return fine;
}

/* ---- one query ---------------------------------------------------------- */

static bool time_query(struct engine *engine, const struct generated *g,
                       double *ms, struct error *err) {
    double times[QUERY_RUNS];
    for (int i = 0; i < QUERY_RUNS; i++) {
        int64_t begin = clock_now_ns();
        if (!engine_encode(engine, g->ids, g->starts, 1, g->vectors, err))
            return false;
        times[i] = (double)(clock_now_ns() - begin) / 1e6;
    }
    doubles_sort(times, QUERY_RUNS);
    *ms = times[QUERY_RUNS / 2];
    return true;
}

/* Of all matrices that a text's rows are multiplied by; of experts, those that
 * a row goes through. */
static size_t weights_bytes(const struct engine *engine) {
    const struct device *device = engine->resident->station->device;
    const struct weights *weights = engine->resident->weights;
    const struct model_spec *spec = &engine->member->spec;
    size_t bytes = 0;
    for (size_t i = 0; i < weights->layers_count; i++) {
        const struct layer_weights *w = &weights->layers[i];
        const struct linear *all[] = {&w->qkv, &w->attention_out, &w->up,
                                      &w->down};
        for (size_t l = 0; l < sizeof all / sizeof *all; l++)
            if (all[l]->out)
                bytes += device_linear_bytes(device, all[l]->in, all[l]->out);
        if (layer_set_has(&spec->experts_at, i))
            bytes += spec->experts_chosen *
                     (device_linear_bytes(device, spec->hidden, spec->inter) +
                      device_linear_bytes(device, spec->inter, spec->hidden));
    }
    return spec->layers ? bytes / spec->layers * spec->depth : 0;
}

static bool read_bytes(struct session *session, size_t bytes, double *rate,
                       struct error *err) {
    float *numbers = memory_alloc(&session->memory, bytes, 1, err);
    if (!numbers)
        return err->code == ERROR_MEMORY; /* under this ceiling not measured */
    fill(numbers, bytes / sizeof *numbers);
    struct read_rate measured;
    read_rate_measure(session->pool, numbers, bytes, READ_ROUNDS, &measured);
    *rate = measured.best;
    memory_free(&session->memory, numbers);
    return true;
}

bool bench_read(struct engine *engine, struct bench_read *read,
                struct error *err) {
    size_t bytes = weights_bytes(engine);
    *read = (struct bench_read){.weights_bytes = (double)bytes};
    return !engine->resident->station->device->host_memory ||
           (read_bytes(engine->session, MEMORY_BYTES, &read->memory, err) &&
            read_bytes(engine->session, bytes, &read->again, err));
}

bool bench_query(struct engine *engine, size_t tokens,
                 struct bench_query *result, struct error *err) {
    const struct model_spec *spec = &engine->member->spec;
    struct generated g = {0};
    if (tokens > spec->max_length)
        tokens = spec->max_length;
    *result = (struct bench_query){
        .tokens = tokens,
        .flops = flops_per_token(spec) * (double)tokens,
    };
    bool fine = generate(engine, tokens, &g, err) &&
                time_query(engine, &g, &result->ms, err);
    forget(engine, &g);
    return fine;
}
