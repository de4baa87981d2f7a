/* cuda_rows.c - the verbs that are a launch of a kernel of rows.cu. */

#include "device/cuda/cuda_parts.h"

#include <assert.h>

/* Blocks of a kernel that has a warp a row, or eight numbers a thread. */
static size_t by_rows(size_t rows) {
    return cuda_blocks(rows, ROW_WARPS);
}

static size_t by_numbers(size_t count) {
    return cuda_blocks(count, ROW_THREADS * NUMBERS_AT_ONCE);
}

const struct narrow *cuda_narrow(struct lane *base, const float *x,
                                 size_t count, struct narrow *room) {
    struct cuda_lane *lane = cuda_lane_of(base);
    cuda_fp8_forget(lane, room);
    LAUNCH(lane, narrow_numbers, by_numbers(count), 1, .x = x, .y = room,
           .count = count);
    return room;
}

void cuda_norm(struct lane *base, const struct norm *norm, const float *x,
               size_t rows, const float *residual, float *y, struct narrow *z) {
    struct cuda_lane *lane = cuda_lane_of(base);
    size_t blocks = norm->width <= WARP_WIDTH ? by_rows(rows) : rows;
    if (cuda_fp8_norm(lane, norm, x, rows, residual, y, z))
        return;
    LAUNCH(lane, norm_rows, blocks, 1, .x = x, .residual = residual,
           .scale = norm->scale, .shift = norm->shift, .y = y, .z = z,
           .rows = (unsigned)rows, .width = (unsigned)norm->width,
           .epsilon = norm->epsilon, .rms = norm->rms);
}

void cuda_norm_heads(struct lane *base, const struct norm *norm,
                     struct narrow *x, size_t rows, size_t stride,
                     size_t times) {
    struct cuda_lane *lane = cuda_lane_of(base);
    LAUNCH(lane, norm_heads, by_rows(rows * times), 1, .x = x,
           .scale = norm->scale, .shift = norm->shift, .rows = (unsigned)rows,
           .stride = (unsigned)stride, .times = (unsigned)times,
           .width = (unsigned)norm->width, .epsilon = norm->epsilon,
           .rms = norm->rms);
}

void cuda_gate(struct lane *base, enum activation activation,
               const struct narrow *x, size_t rows, size_t width,
               struct narrow *y) {
    struct cuda_lane *lane = cuda_lane_of(base);
    if (cuda_fp8_gate(lane, activation, x, rows, width, y))
        return;
    LAUNCH(lane, gate_rows, rows, 1, .x = x, .y = y, .rows = (unsigned)rows,
           .width = (unsigned)width, .activation = activation,
           .scale = lane->cuda->gate_scale);
}

/* The last row is the one before the next text's first. */
void cuda_pick(struct lane *base, const struct sequences *sequences,
               const struct narrow *x, size_t width, struct narrow *y) {
    struct cuda_lane *lane = cuda_lane_of(base);
    size_t texts = sequences->texts;
    bool last = sequences->meant == ROWS_LAST;
    const char *from = (const char *)x;
    assert(sequences->meant != ROWS_ALL);
    if (last)
        from -= width * base->device->narrow_bytes;
    cuda_fp8_forget(lane, y);
    LAUNCH(lane, gather_rows, by_rows(texts), 1, .x = from, .y = y,
           .list = lane->on_card.starts + last, .rows = (unsigned)texts,
           .width = (unsigned)width);
}

void cuda_pool(struct lane *base, enum pooling pooling,
               const struct sequences *sequences, const float *x, size_t width,
               float *y, size_t stride) {
    struct cuda_lane *lane = cuda_lane_of(base);
    LAUNCH(lane, pool_rows, sequences->texts, cuda_blocks(width, ROW_THREADS),
           .x = x, .y = y, .starts = lane->on_card.starts,
           .texts = (unsigned)sequences->texts,
           .skip = (unsigned)sequences->skip, .pooling = pooling,
           .width = (unsigned)width, .stride = stride);
}

void cuda_normalize(struct lane *base, float *x, size_t rows, size_t width) {
    struct cuda_lane *lane = cuda_lane_of(base);
    LAUNCH(lane, normalize_rows, by_rows(rows), 1, .x = x,
           .rows = (unsigned)rows, .width = (unsigned)width);
}

void cuda_accumulate(struct lane *base, enum accumulate how, const float *x,
                     size_t rows, size_t width, bool first, float *y,
                     float *lost) {
    struct cuda_lane *lane = cuda_lane_of(base);
    LAUNCH(lane, accumulate_rows, cuda_blocks(width, ROW_THREADS), 1, .x = x,
           .y = y, .lost = lost, .rows = (unsigned)rows,
           .width = (unsigned)width, .how = how, .first = first);
}
