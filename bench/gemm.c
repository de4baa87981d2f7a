/* gemm.c - the rate of our matrix product, beside oneDNN's in the same run.
 *
 *     bench_gemm [--dtype f32|int8|bf16] [--isa NAME] [--threads N] [--width W]
 *                [--rows R] [--ops]
 *
 * The rates take turns, so that what else the machine does meets all alike. A
 * row is the best of many passes over an encoder layer's four products
 * (QKV, O, up, down; wider than 2,048 only the first two), in GFLOP/s:
 *
 *     one     one thread
 *     shared  all threads share the rows (the layout of one query)
 *     own     each thread has that many rows of its own (throughput)
 *     f32     own, of floats (with another --dtype)
 *     onednn  all threads share the rows; weights packed beforehand, and x in
 *             int8 or bf16 too, which ours makes of floats each time
 *     ratio   the best of ours with all threads / oneDNN's
 *
 * --ops times the other operations at MiniLM's shapes on one thread, and says
 * what part of the layer's products they cost. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pool.h"
#define BENCH_NAME "bench_gemm"
#include "room.h"

#ifdef BENCH_DNNL
#include <dnnl.h>
#if defined(_OPENMP)
#include <omp.h>
#endif
#endif

enum { LAYERS = 4, TURNS = 6, TURN_MS = 30 };

struct bench {
    struct memory memory;
    struct pool *pool;
    struct device *device;
    struct device *floats; /* the same with f32, NULL: it is that */
    enum number_type type;
    size_t rows, width, layers;
    size_t rows_most;
    struct linear linear[LAYERS], linear_f32[LAYERS];
    float *plain[LAYERS];
    float *x, *y; /* [threads x rows_most, 4 width] */
    double flops;
    bool own;
};

static struct linear packed(struct bench *b, struct device *device,
                            const float *plain, size_t in, size_t out) {
    void *weights = take(&b->memory, device_linear_bytes(device, in, out));
    device_linear_pack(device, plain, in, out, 0, out, weights);
    return (struct linear){.in = in,
                           .out = out,
                           .weights = weights,
                           .bias = noise(&b->memory, out, 0.5f)};
}

static void unpack(struct bench *b, const struct linear *linear) {
    memory_free(&b->memory, (void *)(uintptr_t)linear->weights);
    memory_free(&b->memory, (void *)(uintptr_t)linear->bias);
}

static void prepare(struct bench *b) {
    size_t w = b->width;
    size_t shapes[LAYERS][2] = {{w, 3 * w}, {w, w}, {w, 4 * w}, {4 * w, w}};
    b->layers = w > 2048 ? 2 : LAYERS;
    for (size_t i = 0; i < b->layers; i++) {
        size_t in = shapes[i][0], out = shapes[i][1];
        b->plain[i] = noise(&b->memory, in * out, 0.5f);
        b->linear[i] = packed(b, b->device, b->plain[i], in, out);
        if (b->floats)
            b->linear_f32[i] = packed(b, b->floats, b->plain[i], in, out);
    }
    size_t all = b->rows_most * pool_threads(b->pool) * 4 * w;
    b->x = noise(&b->memory, all, 0.5f);
    b->y = noise(&b->memory, all, 0.5f);
}

static void release(struct bench *b) {
    for (size_t i = 0; i < b->layers; i++) {
        memory_free(&b->memory, b->plain[i]);
        unpack(b, &b->linear[i]);
        if (b->floats)
            unpack(b, &b->linear_f32[i]);
    }
    memory_free(&b->memory, b->x);
    memory_free(&b->memory, b->y);
}

static void chain(struct bench *b, unsigned lane) {
    size_t first = b->rows_most * lane * 4 * b->width;
    for (size_t i = 0; i < b->layers; i++)
        device_linear(device_lane(b->device, lane), &b->linear[i],
                      narrow_of(b->x + first), b->rows, ACTIVATION_NONE, NULL,
                      b->y + first);
}

static void run_lane(void *context, unsigned thread) {
    struct bench *b = context;
    int times = b->rows < 64 ? 8 : 1; /* waking the pool is not the subject */
    for (int i = 0; i < times; i++)
        chain(b, thread);
}

static void run_own(struct bench *b) {
    pool_run(b->pool, run_lane, b);
}

static void swap_floats(struct bench *b) {
    struct device *device = b->device;
    b->device = b->floats;
    b->floats = device;
    for (size_t i = 0; i < b->layers; i++) {
        struct linear linear = b->linear[i];
        b->linear[i] = b->linear_f32[i];
        b->linear_f32[i] = linear;
    }
}

static void run_lane_0(struct bench *b) {
    chain(b, 0);
}

/* GFLOP/s of the fastest pass that does TIMES chains. */
static double rate(struct bench *b, void (*pass)(struct bench *b),
                   double times) {
    double best = 0;
    int64_t begin = clock_now_ns(), now = begin;
    pass(b);
    do {
        int64_t before = clock_now_ns();
        pass(b);
        now = clock_now_ns();
        double here = b->flops * times / (double)(now - before);
        best = here > best ? here : best;
    } while (now - begin < TURN_MS * 1000000LL);
    return best;
}

#if defined(BENCH_DNNL) && DNNL_VERSION_MAJOR == 2
/* Inner product with weights in the layout that oneDNN chooses. */
struct yardstick {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive[LAYERS];
    dnnl_memory_t memory[LAYERS][4];
};

static struct yardstick yard;

static dnnl_memory_t yard_memory(const dnnl_memory_desc_t *desc, void *data) {
    dnnl_memory_t memory;
    if (dnnl_memory_create(&memory, desc, yard.engine, data) != dnnl_success)
        stop("oneDNN has no memory");
    return memory;
}

/* DATA as another description has it. */
static dnnl_memory_t yard_moved(const dnnl_memory_desc_t *plain, void *data,
                                const dnnl_memory_desc_t *wanted) {
    dnnl_memory_t from = yard_memory(plain, data);
    dnnl_memory_t to = yard_memory(wanted, DNNL_MEMORY_ALLOCATE);
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t move;
    if (dnnl_reorder_primitive_desc_create(&desc, plain, yard.engine, wanted,
                                           yard.engine, NULL) != dnnl_success ||
        dnnl_primitive_create(&move, desc) != dnnl_success)
        stop("oneDNN cannot make these numbers");
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_primitive_execute(move, yard.stream, 2, arguments);
    dnnl_stream_wait(yard.stream);
    dnnl_primitive_destroy(move);
    dnnl_primitive_desc_destroy(desc);
    dnnl_memory_destroy(from);
    return to;
}

static void yard_prepare_layer(struct bench *b, size_t i) {
    dnnl_dim_t rows = (dnnl_dim_t)b->rows, in = (dnnl_dim_t)b->linear[i].in,
               out = (dnnl_dim_t)b->linear[i].out;
    dnnl_dims_t x_dims = {rows, in}, w_dims = {out, in}, b_dims = {out},
                y_dims = {rows, out};
    dnnl_data_type_t x_type = b->type == NUMBER_INT8   ? dnnl_u8
                              : b->type == NUMBER_BF16 ? dnnl_bf16
                                                       : dnnl_f32;
    dnnl_data_type_t w_type = x_type == dnnl_u8 ? dnnl_s8 : x_type;
    dnnl_memory_desc_t x, x_plain, w, w_plain, bias, y;
    dnnl_memory_desc_init_by_tag(&x, 2, x_dims, x_type, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&x_plain, 2, x_dims, dnnl_f32, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&w, 2, w_dims, w_type, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&w_plain, 2, w_dims, dnnl_f32, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&bias, 1, b_dims, dnnl_f32, dnnl_a);
    dnnl_memory_desc_init_by_tag(&y, 2, y_dims, dnnl_f32, dnnl_ab);
    dnnl_inner_product_desc_t desc;
    dnnl_primitive_desc_t chosen;
    dnnl_inner_product_forward_desc_init(&desc, dnnl_forward_inference, &x, &w,
                                         &bias, &y);
    if (dnnl_primitive_desc_create(&chosen, &desc, NULL, yard.engine, NULL) !=
            dnnl_success ||
        dnnl_primitive_create(&yard.primitive[i], chosen) != dnnl_success)
        stop("oneDNN has no inner product for this shape");
    dnnl_memory_t *m = yard.memory[i];
    m[0] = yard_moved(&x_plain, b->x, &x);
    m[1] = yard_moved(
        &w_plain, b->plain[i],
        dnnl_primitive_desc_query_md(chosen, dnnl_query_weights_md, 0));
    m[2] = yard_memory(&bias, (void *)(uintptr_t)b->linear[i].bias);
    m[3] = yard_memory(&y, b->y);
    dnnl_primitive_desc_destroy(chosen);
}

static void yard_run(struct bench *b) {
    for (size_t i = 0; i < b->layers; i++) {
        dnnl_memory_t *m = yard.memory[i];
        dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, m[0]},
                                       {DNNL_ARG_WEIGHTS, m[1]},
                                       {DNNL_ARG_BIAS, m[2]},
                                       {DNNL_ARG_DST, m[3]}};
        dnnl_primitive_execute(yard.primitive[i], yard.stream, 4, arguments);
    }
    dnnl_stream_wait(yard.stream);
}

static void yard_prepare(struct bench *b) {
    if (!yard.engine &&
        (dnnl_engine_create(&yard.engine, dnnl_cpu, 0) != dnnl_success ||
         dnnl_stream_create(&yard.stream, yard.engine,
                            dnnl_stream_default_flags) != dnnl_success))
        stop("oneDNN does not start");
#if defined(_OPENMP)
    omp_set_num_threads((int)pool_threads(b->pool));
#endif
    for (size_t i = 0; i < b->layers; i++)
        yard_prepare_layer(b, i);
}

static void yard_release(struct bench *b) {
    for (size_t i = 0; i < b->layers; i++) {
        dnnl_primitive_destroy(yard.primitive[i]);
        for (size_t j = 0; j < 4; j++)
            dnnl_memory_destroy(yard.memory[i][j]);
    }
}
#elif defined(BENCH_DNNL)
/* Version 3 changed how primitives are made; its sgemm stayed. */
static void yard_run(struct bench *b) {
    for (size_t i = 0; i < b->layers; i++) {
        dnnl_dim_t in = (dnnl_dim_t)b->linear[i].in,
                   out = (dnnl_dim_t)b->linear[i].out;
        dnnl_sgemm('N', 'T', (dnnl_dim_t)b->rows, out, in, 1, b->x, in,
                   b->plain[i], in, 0, b->y, out);
    }
}

static void yard_prepare(struct bench *b) {
    (void)b;
}

static void yard_release(struct bench *b) {
    (void)b;
}
#endif

/* 0 where oneDNN is not installed. */
static double yard_rate(struct bench *b) {
#ifdef BENCH_DNNL
    double best = rate(b, yard_run, 1);
    clock_sleep_ms(20); /* its threads spin before they sleep */
    return best;
#else
    (void)b;
    return 0;
#endif
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

static void print_row(struct bench *b, size_t rows, const char *isa) {
    unsigned threads = pool_threads(b->pool);
    struct lane *lane = device_lane(b->device, 0);
    b->rows = rows;
    b->flops = 0;
    for (size_t i = 0; i < b->layers; i++)
        b->flops += 2.0 * (double)(rows * b->linear[i].in * b->linear[i].out);
    double one = 0, shared = 0, own = 0, floats = 0, theirs = 0;
    double times = (rows < 64 ? 8.0 : 1.0) * threads;
#ifdef BENCH_DNNL
    yard_prepare(b);
#endif
    for (int turn = 0; turn < TURNS; turn++) {
        one = larger(one, rate(b, run_lane_0, 1));
        lane_widen(lane, true);
        shared = larger(shared, rate(b, run_lane_0, 1));
        lane_widen(lane, false);
        own = larger(own, rate(b, run_own, times));
        if (b->floats) {
            swap_floats(b);
            floats = larger(floats, rate(b, run_own, times));
            swap_floats(b);
        }
        theirs = larger(theirs, yard_rate(b));
    }
#ifdef BENCH_DNNL
    yard_release(b);
#endif
    double ours = larger(shared, own);
    printf("%-11s %5zu %5zu %7.1f %7.1f %7.1f", isa, b->width, rows, one,
           shared, own);
    if (b->floats)
        printf(" %7.1f", floats);
    if (theirs > 0)
        printf(" %7.1f %6.2f", theirs, ours / theirs);
    printf("\n");
    fflush(stdout);
}

static void bench_products(struct bench *b, size_t only_width, size_t only_rows,
                           const char *isa) {
    const size_t widths[] = {384, 768, 1024, 4096};
    const size_t rows[] = {1, 6, 16, 64, 384};
    printf("isa         width  rows     one  shared     own %s onednn  ratio\n",
           b->floats ? "    f32" : "");
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        if (only_width && only_width != widths[w])
            continue;
        b->width = widths[w];
        b->rows_most = only_rows > 384 ? only_rows : 384;
        prepare(b);
        if (only_rows)
            print_row(b, only_rows, isa);
        for (size_t r = 0; !only_rows && r < sizeof rows / sizeof *rows; r++)
            print_row(b, rows[r], isa);
        release(b);
    }
}

/* The operations around the products, MiniLM's shapes: 512 rows, which are
 * texts of 160 rows for attention. */
struct ops {
    struct bench *b;
    struct lane *lane;
    struct attention attention;
    struct sequences sequences;
    struct norm norm;
    float *y;
    void *scratch;
};

static void op_up(struct ops *o, enum activation activation) {
    device_linear(o->lane, &o->b->linear[2], narrow_of(o->b->x), o->b->rows,
                  activation, NULL, o->y);
}

static void op_up_plain(struct ops *o) {
    op_up(o, ACTIVATION_NONE);
}

static void op_up_gelu(struct ops *o) {
    op_up(o, ACTIVATION_GELU);
}

static void op_norm(struct ops *o) {
    device_norm(o->lane, &o->norm, o->b->x, o->b->rows, NULL, o->y, NULL);
}

static void op_attention(struct ops *o) {
    device_attention(o->lane, &o->attention, &o->sequences, narrow_of(o->b->x),
                     o->scratch, narrow_of(o->y));
}

static void op_chain(struct ops *o) {
    chain(o->b, 0);
}

static double fastest_us(struct ops *o, void (*op)(struct ops *o)) {
    double best = 1e12;
    for (int i = 0; i < 50; i++) {
        int64_t before = clock_now_ns();
        op(o);
        double us = (double)(clock_now_ns() - before) * 1e-3;
        best = us < best ? us : best;
    }
    return best;
}

static void bench_ops(struct bench *b) {
    static const uint32_t STARTS[] = {0, 160, 320, 480, 512};
    b->width = 384;
    b->rows = b->rows_most = 512;
    prepare(b);
    struct ops o = {
        .b = b,
        .lane = device_lane(b->device, 0),
        .attention = {.heads = 12,
                      .kv_heads = 12,
                      .head_dim = 32,
                      .scale = 0.17677669f,
                      .behind = SIZE_MAX,
                      .ahead = SIZE_MAX},
        .sequences = {.texts = 4, .starts = STARTS},
        .norm = {384, b->linear[0].bias, b->linear[3].bias, 1e-12f, false},
        .y = b->y};
    o.scratch =
        take(&b->memory, device_attention_bytes(b->device, &o.attention, 160));
    double products = fastest_us(&o, op_chain);
    double gelu = fastest_us(&o, op_up_gelu) - fastest_us(&o, op_up_plain);
    double norm = fastest_us(&o, op_norm);
    double attention = fastest_us(&o, op_attention);
    printf("layer's products  %8.0f us\n", products);
    printf("gelu [512, 1536]  %8.0f us  %4.1f %%\n", gelu,
           100 * gelu / products);
    printf("attention, L=160  %8.0f us  %4.1f %%\n", attention,
           100 * attention / products);
    printf("norm, twice       %8.0f us  %4.1f %%\n", 2 * norm,
           200 * norm / products);
    memory_free(&b->memory, o.scratch);
    release(b);
}

int main(int count, char **arguments) {
    struct bench b = {.type = NUMBER_F32};
    struct error err;
    const char *isa = NULL;
    size_t width = 0, rows = 0;
    unsigned threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    bool ops = false;
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(arguments[i], "--ops") == 0)
            ops = true;
        else if (strcmp(arguments[i], "--dtype") == 0)
            b.type = type_named(value), i++;
        else if (strcmp(arguments[i], "--isa") == 0)
            isa = value, i++;
        else if (strcmp(arguments[i], "--threads") == 0)
            threads = (unsigned)strtoul(value, NULL, 10), i++;
        else if (strcmp(arguments[i], "--width") == 0)
            width = strtoul(value, NULL, 10), i++;
        else if (strcmp(arguments[i], "--rows") == 0)
            rows = strtoul(value, NULL, 10), i++;
        else
            stop("see the head of bench/gemm.c for its options");
    }
    if (!(b.pool = pool_create(&b.memory, threads, &err)))
        stop(err.message);
    struct device_options options = {
        .memory = &b.memory, .pool = b.pool, .isa = isa, .type = b.type};
    struct device_facts facts;
    if (!(b.device = device_open(&DEVICE_CPU, &options, &err)) ||
        !device_facts(b.device, &facts, &err))
        stop(err.message);
    options.type = NUMBER_F32;
    options.isa = NULL;
    if (b.type != NUMBER_F32 &&
        !(b.floats = device_open(&DEVICE_CPU, &options, &err)))
        stop(err.message);
    printf("%s, %u threads\n", facts.model, threads);
    if (ops)
        bench_ops(&b);
    else
        bench_products(&b, width, rows, facts.isa);
    device_close(b.device);
    device_close(b.floats);
    pool_free(b.pool);
    return 0;
}
