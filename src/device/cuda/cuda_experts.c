/* cuda_experts.c - a block of experts: the router says which rows each of them
 * gets; these are listed on the card, gathered, go through it, and are added
 * where they came from. With 2 of 8 experts that is a quarter of what all rows
 * through all of them would be.
 *
 * How many rows an expert has decides the products' shapes, which the host
 * describes, so the counts come back to it: one small copy a block, waited for.
 *
 * There is room for an expert that all rows choose, so no choice can ask for
 * more memory than was planned. A row's sum is taken in the order of the
 * experts, and each of its products is one of cuda_linear's, whose algorithm
 * does not follow the number of rows as far as cuBLASLt accepts it. */

#include "device/cuda/cuda_parts.h"

#include <assert.h>

struct expert_work {
    float *scores, *weights; /* [rows, count] */
    uint32_t *list;          /* [count, rows] */
    uint32_t *counts;        /* [count] */
    struct narrow *gathered; /* [rows, in] */
    struct narrow *inner;    /* [rows, inter] */
    float *outer;            /* [rows, out] */
};

static size_t place(struct layout *layout, const struct cuda_device *cuda,
                    const struct experts *e, size_t rows,
                    struct expert_work *w) {
    size_t number = sizeof(float), narrow = cuda->device.narrow_bytes;
    w->scores = layout_take(layout, rows, e->count * number);
    w->weights = layout_take(layout, rows, e->count * number);
    w->list = layout_take(layout, rows, e->count * sizeof *w->list);
    w->counts = layout_take(layout, e->count, sizeof *w->counts);
    w->gathered = layout_take(layout, rows, e->up[0].in * narrow);
    w->inner = layout_take(layout, rows, e->up[0].out * narrow);
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

/* Which rows are whose. */
static void route(struct lane *base, const struct experts *e,
                  const struct narrow *x, size_t rows,
                  const struct expert_work *w) {
    struct cuda_lane *lane = cuda_lane_of(base);
    cuda_linear(base, &e->router, x, rows, ACTIVATION_NONE, NULL, w->scores);
    LAUNCH(lane, route_rows, cuda_blocks(rows, ROW_THREADS), 1,
           .scores = w->scores, .weights = w->weights, .rows = (unsigned)rows,
           .count = (unsigned)e->count, .chosen = (unsigned)e->chosen);
    LAUNCH(lane, list_rows, e->count, 1, .weights = w->weights, .list = w->list,
           .counts = w->counts, .rows = (unsigned)rows,
           .count = (unsigned)e->count);
}

/* Waits for all that the lane was given. */
static bool read_counts(struct cuda_lane *lane, const struct experts *e,
                        const struct expert_work *w) {
    struct cuda_device *cuda = lane->cuda;
    return cuda_enter(cuda) &&
           CU(cuda, cuMemcpyDtoHAsync, lane->counts, cuda_address(w->counts),
              e->count * sizeof *w->counts, lane->stream) &&
           CU(cuda, cuStreamSynchronize, lane->stream);
}

/* The rows that LIST names, which may be none. */
static void run_expert(struct lane *base, const struct experts *e,
                       const struct narrow *x, const struct expert_work *w,
                       const uint32_t *list, size_t rows, size_t expert,
                       float *y) {
    struct cuda_lane *lane = cuda_lane_of(base);
    const struct linear *up = &e->up[expert], *down = &e->down[expert];
    size_t blocks = cuda_blocks(rows, ROW_WARPS);
    if (cuda_fp8_takes(lane->cuda, up->in, up->out))
        cuda_fp8_gather(lane, x, list, rows, up->in, w->gathered);
    else
        LAUNCH(lane, gather_rows, blocks, 1, .x = x, .y = w->gathered,
               .list = list, .rows = (unsigned)rows, .width = (unsigned)up->in);
    cuda_linear_narrow(base, up, w->gathered, rows, e->activation, w->inner);
    cuda_linear(base, down, w->inner, rows, ACTIVATION_NONE, NULL, w->outer);
    LAUNCH(lane, add_expert, blocks, 1, .x = w->outer, .weights = w->weights,
           .list = list, .y = y, .rows = (unsigned)rows,
           .width = (unsigned)down->out, .count = (unsigned)e->count,
           .expert = (unsigned)expert);
}

void cuda_experts(struct lane *base, const struct experts *e,
                  const struct narrow *x, size_t rows, const float *residual,
                  void *scratch, float *y) {
    struct cuda_lane *lane = cuda_lane_of(base);
    struct layout layout = {.base = scratch};
    struct expert_work w;
    assert(e->count <= EXPERTS_MAX && e->chosen <= e->count);
    if (!rows)
        return;
    place(&layout, lane->cuda, e, rows, &w);
    route(base, e, x, rows, &w);
    LAUNCH(lane, begin_experts, cuda_blocks(rows, ROW_WARPS), 1,
           .residual = residual, .shift = e->shift, .y = y,
           .rows = (unsigned)rows, .width = (unsigned)e->down[0].out);
    if (!read_counts(lane, e, &w))
        return;
    for (size_t i = 0; i < e->count; i++)
        run_expert(base, e, x, &w, w.list + i * rows, lane->counts[i], i, y);
}
