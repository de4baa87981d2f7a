/* cpu_rows.c - the verbs whose rows, texts or columns are independent and
 * cheap, and how the threads of a wide lane share them. */

#include "device/cpu/cpu.h"

#include <assert.h>
#include <string.h>

struct shared_rows {
    const struct kernels *kernels;
    const struct sequences *sequences;
    const struct embedding *embedding;
    const struct norm *norm;
    const struct rotary *rotary;
    enum activation activation;
    enum pooling pooling;
    enum accumulate accumulate;
    const uint32_t *ids;
    const float *x, *residual;
    float *y;
    float *copy; /* of y, or NULL */
    float *lost; /* of the sums in y, or NULL */
    size_t width, stride, times;
};

void cpu_share_rows(struct lane *lane, size_t flops, size_t count,
                    void (*task)(void *context, size_t begin, size_t end,
                                 unsigned thread),
                    void *context) {
    size_t pieces = 4 * (size_t)lane->device->lanes;
    if (cpu_shares(lane, flops))
        pool_each(cpu_of(lane)->pool, count, (count + pieces - 1) / pieces,
                  task, context);
    else if (count)
        task(context, 0, count, lane->number);
}

static void embed_task(void *context, size_t begin, size_t end,
                       unsigned thread) {
    (void)thread;
    const struct shared_rows *s = context;
    const struct sequences *texts = s->sequences;
    for (size_t t = begin; t < end; t++) {
        size_t row = sequences_row(texts, t);
        s->kernels->embed(
            s->embedding, s->ids + row, sequences_row(texts, t + 1) - row,
            texts->second ? texts->second[t] : SIZE_MAX, s->y + row * s->width);
    }
}

void cpu_embed(struct lane *lane, const struct embedding *embedding,
               const uint32_t *ids, const struct sequences *sequences,
               float *y) {
    struct shared_rows s = {.kernels = cpu_of(lane)->kernels,
                            .sequences = sequences,
                            .embedding = embedding,
                            .ids = ids,
                            .width = embedding->width,
                            .y = y};
    cpu_share_rows(lane, 8 * sequences_rows(sequences) * embedding->width,
                   sequences->texts, embed_task, &s);
}

static void norm_task(void *context, size_t begin, size_t end,
                      unsigned thread) {
    (void)thread;
    const struct shared_rows *s = context;
    size_t from = begin * s->width;
    s->kernels->norm(s->norm, s->x + from, end - begin,
                     s->residual ? s->residual + from : NULL, s->width,
                     s->y + from);
    if (s->copy)
        memcpy(s->copy + from, s->y + from,
               (end - begin) * s->width * sizeof *s->y);
}

void cpu_norm(struct lane *lane, const struct norm *norm, const float *x,
              size_t rows, const float *residual, float *y, struct narrow *z) {
    float *too = cpu_floats_out(z);
    struct shared_rows s = {.kernels = cpu_of(lane)->kernels,
                            .norm = norm,
                            .x = x,
                            .residual = residual,
                            .y = y ? y : too,
                            .copy = y && too != y ? too : NULL,
                            .width = norm->width};
    cpu_share_rows(lane, 16 * rows * norm->width, rows, norm_task, &s);
}

static void norm_heads_task(void *context, size_t begin, size_t end,
                            unsigned thread) {
    (void)thread;
    const struct shared_rows *s = context;
    for (size_t r = begin; r < end; r++) {
        float *row = s->y + r * s->stride;
        s->kernels->norm(s->norm, row, s->times, NULL, s->norm->width, row);
    }
}

void cpu_norm_heads(struct lane *lane, const struct norm *norm,
                    struct narrow *x, size_t rows, size_t stride,
                    size_t times) {
    struct shared_rows s = {.kernels = cpu_of(lane)->kernels,
                            .norm = norm,
                            .y = cpu_floats_out(x),
                            .stride = stride,
                            .times = times};
    cpu_share_rows(lane, 16 * rows * times * norm->width, rows, norm_heads_task,
                   &s);
}

/* The text of ROW: the last that begins at or before it. */
static size_t text_of(const struct sequences *sequences, size_t row) {
    size_t first = 0, end = sequences->texts;
    while (end - first > 1) {
        size_t middle = first + (end - first) / 2;
        if (sequences_row(sequences, middle) <= row)
            first = middle;
        else
            end = middle;
    }
    return first;
}

static void rotate_task(void *context, size_t begin, size_t end,
                        unsigned thread) {
    (void)thread;
    const struct shared_rows *s = context;
    const struct sequences *texts = s->sequences;
    size_t text = text_of(texts, begin);
    for (size_t row = begin; row < end; row++) {
        while (row >= sequences_row(texts, text + 1))
            text++;
        s->kernels->rotate(s->rotary, row - sequences_row(texts, text),
                           s->times, s->width, s->y + row * s->stride);
    }
}

void cpu_rotate(struct lane *lane, const struct attention *attention,
                const struct sequences *sequences, struct narrow *qkv) {
    size_t turned = attention->heads + attention->kv_heads;
    struct shared_rows s = {.kernels = cpu_of(lane)->kernels,
                            .sequences = sequences,
                            .rotary = &attention->rotary,
                            .y = cpu_floats_out(qkv),
                            .times = turned,
                            .width = attention->head_dim,
                            .stride = (turned + attention->kv_heads) *
                                      attention->head_dim};
    size_t rows = sequences_rows(sequences);
    cpu_share_rows(lane, 4 * rows * turned * attention->rotary.dims, rows,
                   rotate_task, &s);
}

static void gate_task(void *context, size_t begin, size_t end,
                      unsigned thread) {
    (void)thread;
    const struct shared_rows *s = context;
    s->kernels->gate(s->activation, s->x + begin * 2 * s->width, end - begin,
                     s->width, s->y + begin * s->width);
}

void cpu_gate(struct lane *lane, enum activation activation,
              const struct narrow *x, size_t rows, size_t width,
              struct narrow *y) {
    struct shared_rows s = {.kernels = cpu_of(lane)->kernels,
                            .activation = activation,
                            .x = cpu_floats(x),
                            .y = cpu_floats_out(y),
                            .width = width};
    cpu_share_rows(lane, 16 * rows * width, rows, gate_task, &s);
}

static void pool_task(void *context, size_t begin, size_t end,
                      unsigned thread) {
    (void)thread;
    const struct shared_rows *s = context;
    for (size_t t = begin; t < end; t++) {
        size_t row = sequences_row(s->sequences, t);
        size_t rows = sequences_row(s->sequences, t + 1) - row;
        size_t skip = s->sequences->skip;
        if (skip >= rows && s->pooling == POOLING_CLS)
            skip = 0;
        if (skip < rows)
            s->kernels->pool(s->pooling, s->x + row * s->width, skip, rows,
                             s->width, s->y + t * s->stride);
        else
            memset(s->y + t * s->stride, 0, s->width * sizeof *s->y);
    }
}

/* A row a text is too little to be shared. */
void cpu_pick(struct lane *lane, const struct sequences *sequences,
              const struct narrow *x, size_t width, struct narrow *y) {
    const float *from = cpu_floats(x);
    float *to = cpu_floats_out(y);
    (void)lane;
    assert(sequences->meant != ROWS_ALL);
    for (size_t t = 0; t < sequences->texts; t++) {
        size_t row = sequences->meant == ROWS_FIRST
                         ? sequences_row(sequences, t)
                         : sequences_row(sequences, t + 1) - 1;
        memcpy(to + t * width, from + row * width, width * sizeof *to);
    }
}

void cpu_pool(struct lane *lane, enum pooling pooling,
              const struct sequences *sequences, const float *x, size_t width,
              float *y, size_t stride) {
    struct shared_rows s = {.kernels = cpu_of(lane)->kernels,
                            .sequences = sequences,
                            .pooling = pooling,
                            .x = x,
                            .y = y,
                            .width = width,
                            .stride = stride};
    cpu_share_rows(lane, 8 * sequences_rows(sequences) * width,
                   sequences->texts, pool_task, &s);
}

static void normalize_task(void *context, size_t begin, size_t end,
                           unsigned thread) {
    (void)thread;
    const struct shared_rows *s = context;
    s->kernels->normalize(s->y + begin * s->width, end - begin, s->width);
}

void cpu_normalize(struct lane *lane, float *x, size_t rows, size_t width) {
    struct shared_rows s = {
        .kernels = cpu_of(lane)->kernels, .y = x, .width = width};
    cpu_share_rows(lane, 16 * rows * width, rows, normalize_task, &s);
}

/* By columns, some lines of the cache at a time: rows are added in their
 * order. */
enum { LOT = 64 };

static void accumulate_task(void *context, size_t begin, size_t end,
                            unsigned thread) {
    (void)thread;
    const struct shared_rows *s = context;
    size_t first = begin * LOT, last = end * LOT;
    if (last > s->width)
        last = s->width;
    s->kernels->accumulate(s->accumulate, s->x + first, s->times, s->width,
                           last - first, s->y + first,
                           s->lost ? s->lost + first : NULL);
}

void cpu_accumulate(struct lane *lane, enum accumulate how, const float *x,
                    size_t rows, size_t width, bool first, float *y,
                    float *lost) {
    struct shared_rows s = {.kernels = cpu_of(lane)->kernels,
                            .accumulate = how,
                            .x = x,
                            .y = y,
                            .lost = lost,
                            .times = rows,
                            .width = width};
    if (first)
        memset(y, 0, width * sizeof *y);
    if (first && lost)
        memset(lost, 0, width * sizeof *lost);
    cpu_share_rows(lane, 16 * rows * width, (width + LOT - 1) / LOT,
                   accumulate_task, &s);
}
