/* cpu_experts.c - a block of experts: the router says which tokens each of
 * them gets; these are gathered, go through it, and are added where they came
 * from. A token's sum is taken in the order of the experts, and each product
 * is the linear kernel's, so its bits do not depend on the other tokens. */

#include "device/cpu/cpu.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/layout.h"

struct expert_work {
    const struct kernels *kernels;
    const struct experts *experts;
    const float *x, *residual;
    float *y;
    float *chance;    /* [rows, count] the router's rows, then p */
    uint64_t *chosen; /* [rows] bit e: expert e has the token */
    uint32_t *list;   /* [rows] the tokens of one expert */
    float *gathered;  /* [rows, in] */
    float *inner;     /* [rows, inter] */
    float *outer;     /* [rows, out] */
    float *sums;      /* [rows, out] */
    size_t expert;    /* whose turn it is */
};

static size_t place(struct layout *layout, const struct experts *e, size_t rows,
                    struct expert_work *w) {
    size_t number = sizeof(float);
    w->chosen = layout_take(layout, rows, sizeof *w->chosen);
    w->list = layout_take(layout, rows, sizeof *w->list);
    w->chance = layout_take(layout, rows, e->count * number);
    w->gathered = layout_take(layout, rows, e->router.in * number);
    w->inner = layout_take(layout, rows, e->up[0].out * number);
    w->outer = layout_take(layout, rows, e->down[0].out * number);
    w->sums = layout_take(layout, rows, e->down[0].out * number);
    return layout->bytes;
}

size_t cpu_experts_bytes(const struct device *device,
                         const struct experts *experts, size_t rows) {
    (void)device;
    struct layout measure = {0};
    struct expert_work work;
    return place(&measure, experts, rows, &work);
}

static void softmax(float *row, size_t count) {
    float most = row[0], mass = 0;
    for (size_t e = 1; e < count; e++)
        most = row[e] > most ? row[e] : most;
    for (size_t e = 0; e < count; e++)
        mass += row[e] = expf(row[e] - most);
    for (size_t e = 0; e < count; e++)
        row[e] /= mass;
}

/* The greatest, the first of equal ones. With a NaN all of them are NaN, and
 * the first few are as good as any. */
static uint64_t choose(const float *row, size_t count, size_t wanted) {
    uint64_t chosen = 0;
    for (size_t i = 0; i < wanted; i++) {
        size_t best = count;
        for (size_t e = 0; e < count; e++)
            if (!(chosen >> e & 1) && (best == count || row[e] > row[best]))
                best = e;
        chosen |= (uint64_t)1 << best;
    }
    return chosen;
}

static void route_task(void *context, size_t begin, size_t end,
                       unsigned thread) {
    (void)thread;
    const struct expert_work *w = context;
    size_t count = w->experts->count;
    for (size_t r = begin; r < end; r++) {
        softmax(w->chance + r * count, count);
        w->chosen[r] = choose(w->chance + r * count, count, w->experts->chosen);
    }
}

static void gather_task(void *context, size_t begin, size_t end,
                        unsigned thread) {
    (void)thread;
    const struct expert_work *w = context;
    size_t in = w->experts->router.in;
    for (size_t i = begin; i < end; i++)
        memcpy(w->gathered + i * in, w->x + w->list[i] * in, in * sizeof *w->x);
}

static void add_task(void *context, size_t begin, size_t end, unsigned thread) {
    (void)thread;
    const struct expert_work *w = context;
    size_t out = w->experts->down[0].out, count = w->experts->count;
    for (size_t i = begin; i < end; i++) {
        size_t row = w->list[i];
        w->kernels->add_times(w->outer + i * out,
                              w->chance[row * count + w->expert], out,
                              w->sums + row * out);
    }
}

static void finish_task(void *context, size_t begin, size_t end,
                        unsigned thread) {
    (void)thread;
    const struct expert_work *w = context;
    size_t out = w->experts->down[0].out;
    for (size_t r = begin; r < end; r++) {
        float *sum = w->sums + r * out;
        if (w->experts->shift)
            w->kernels->add_times(w->experts->shift, 1, out, sum);
        if (w->residual)
            w->kernels->add_times(w->residual + r * out, 1, out, sum);
        memcpy(w->y + r * out, sum, out * sizeof *sum);
    }
}

static size_t list_tokens(const struct expert_work *w, size_t rows) {
    size_t count = 0;
    for (size_t r = 0; r < rows; r++)
        if (w->chosen[r] >> w->expert & 1)
            w->list[count++] = (uint32_t)r;
    return count;
}

static void run_expert(struct lane *lane, struct expert_work *w, size_t rows) {
    const struct experts *e = w->experts;
    const struct linear *up = &e->up[w->expert], *down = &e->down[w->expert];
    size_t count = list_tokens(w, rows);
    if (!count)
        return;
    cpu_share_rows(lane, count * up->in, count, gather_task, w);
    cpu_product(lane, up, w->gathered, count, e->activation, NULL, w->inner);
    cpu_product(lane, down, w->inner, count, ACTIVATION_NONE, NULL, w->outer);
    cpu_share_rows(lane, 2 * count * down->out, count, add_task, w);
}

void cpu_experts(struct lane *lane, const struct experts *experts,
                 const struct narrow *x, size_t rows, const float *residual,
                 void *scratch, float *y) {
    struct layout layout = {.base = scratch};
    struct expert_work w = {.kernels = cpu_of(lane)->kernels,
                            .experts = experts,
                            .x = cpu_floats(x),
                            .residual = residual,
                            .y = y};
    size_t out = experts->down[0].out;
    assert(experts->count <= EXPERTS_MAX && experts->chosen <= experts->count);
    place(&layout, experts, rows, &w);
    cpu_product(lane, &experts->router, w.x, rows, ACTIVATION_NONE, NULL,
                w.chance);
    cpu_share_rows(lane, 32 * rows * experts->count, rows, route_task, &w);
    memset(w.sums, 0, rows * out * sizeof *w.sums);
    for (w.expert = 0; w.expert < experts->count; w.expert++)
        run_expert(lane, &w, rows);
    cpu_share_rows(lane, 4 * rows * out, rows, finish_task, &w);
}
