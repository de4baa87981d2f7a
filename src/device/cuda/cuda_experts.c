/* cuda_experts.c - a block of experts. Every expert takes all rows, and the
 * router's weight of those that are not its own is 0: a row's sum is taken in
 * the order of the experts whatever the other rows are, and no count has to
 * come back to the host. */

#include "device/cuda/cuda_parts.h"

#include <assert.h>

struct expert_work {
    float *scores, *weights; /* [rows, count] */
    struct narrow *inner;    /* [rows, inter] */
    float *outer;            /* [rows, out] */
};

static size_t place(struct layout *layout, const struct cuda_device *cuda,
                    const struct experts *e, size_t rows,
                    struct expert_work *w) {
    size_t number = sizeof(float);
    w->scores = layout_take(layout, rows, e->count * number);
    w->weights = layout_take(layout, rows, e->count * number);
    w->inner =
        layout_take(layout, rows, e->up[0].out * cuda->device.narrow_bytes);
    w->outer = layout_take(layout, rows, e->down[0].out * number);
    return layout->overflow ? SIZE_MAX : layout->bytes;
}

size_t cuda_experts_bytes(const struct device *device,
                          const struct experts *experts, size_t rows) {
    struct layout measure = {0};
    struct expert_work work;
    return place(&measure, (const struct cuda_device *)device, experts, rows,
                 &work);
}

static void add_expert(struct lane *base, const struct experts *e,
                       const struct narrow *x, size_t rows,
                       const float *residual, const struct expert_work *w,
                       size_t expert, float *y) {
    struct cuda_lane *lane = cuda_lane_of(base);
    size_t width = e->down[expert].out;
    cuda_linear_narrow(base, &e->up[expert], x, rows, e->activation, w->inner);
    cuda_linear(base, &e->down[expert], w->inner, rows, ACTIVATION_NONE, NULL,
                w->outer);
    LAUNCH(lane, add_expert, cuda_blocks(rows, ROW_WARPS), 1, .x = w->outer,
           .weights = w->weights, .residual = residual, .shift = e->shift,
           .y = y, .rows = (unsigned)rows, .width = (unsigned)width,
           .count = (unsigned)e->count, .expert = (unsigned)expert,
           .first = expert == 0);
}

void cuda_experts(struct lane *base, const struct experts *e,
                  const struct narrow *x, size_t rows, const float *residual,
                  void *scratch, float *y) {
    struct cuda_lane *lane = cuda_lane_of(base);
    struct layout layout = {.base = scratch};
    struct expert_work w;
    assert(e->count <= EXPERTS_MAX && e->chosen <= e->count);
    place(&layout, lane->cuda, e, rows, &w);
    cuda_linear(base, &e->router, x, rows, ACTIVATION_NONE, NULL, w.scores);
    LAUNCH(lane, route_rows, cuda_blocks(rows, ROW_THREADS), 1,
           .scores = w.scores, .weights = w.weights, .rows = (unsigned)rows,
           .count = (unsigned)e->count, .chosen = (unsigned)e->chosen);
    for (size_t i = 0; i < e->count; i++)
        add_expert(base, e, x, rows, residual, &w, i, y);
}
