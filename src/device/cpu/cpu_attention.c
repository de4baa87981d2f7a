/* cpu_attention.c - which thread attends to which head of which text.
 *
 * The scratch holds packed keys and values in slots, one for each head of a
 * text that is worked on at the same time. */

#include "device/cpu/cpu.h"

#include <stdatomic.h>

/* For short texts there are as many slots as heads, so that threads can share
 * the heads; for long texts one slot, and threads share the query rows. */
enum { SLOTS_BYTES = 2 << 20, QUERY_ROWS = 48 };

static size_t round_up(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t cpu_attention_bytes(const struct device *device,
                           const struct attention *attention, size_t longest) {
    const struct cpu_device *cpu = (const struct cpu_device *)device;
    size_t slot = cpu->kernels->attention_bytes(attention->head_dim, longest);
    size_t all;
    if (!size_multiply(slot, attention->heads, &all))
        return SIZE_MAX;
    return larger(slot, smaller(all, SLOTS_BYTES));
}

struct shared_attention {
    struct cpu_device *cpu;
    const struct attention *attention;
    const struct sequences *sequences;
    const float *qkv;
    float *context;
    char *scratch;
    size_t slot_bytes, slots;
    size_t units; /* a unit is a head of a text */
    _Atomic size_t next;
    struct attention_job job; /* while threads share one unit */
};

static struct attention_job job_of(const struct shared_attention *s,
                                   size_t unit, size_t slot) {
    const struct attention *a = s->attention;
    size_t text = unit / a->heads, row = s->sequences->starts[text];
    size_t width = a->heads * a->head_dim;
    return (struct attention_job){
        .heads = a->heads,
        .head_dim = a->head_dim,
        .head = unit % a->heads,
        .scale = a->scale,
        .distances = a->distances
                         ? a->distances + unit % a->heads * (2 * a->reach + 1)
                         : NULL,
        .reach = a->reach,
        .rows = s->sequences->starts[text + 1] - row,
        .qkv = s->qkv + row * 3 * width,
        .scratch = (float *)(void *)(s->scratch + slot * s->slot_bytes),
        .context = s->context + row * width,
    };
}

static void attend(const struct shared_attention *s, size_t unit, size_t slot,
                   unsigned thread) {
    const struct kernels *kernels = s->cpu->kernels;
    struct attention_job job = job_of(s, unit, slot);
    kernels->attention_pack(&job, 0, job.rows);
    kernels->attention_rows(&job, 0, job.rows, s->cpu->lanes[thread].buffer);
}

/* A thread that has no slot leaves the units to the others. */
static void units_task(void *context, unsigned thread) {
    struct shared_attention *s = context;
    if (thread >= s->slots)
        return;
    for (size_t u; (u = atomic_fetch_add(&s->next, 1)) < s->units;)
        attend(s, u, thread, thread);
}

static void pack_task(void *context, size_t begin, size_t end,
                      unsigned thread) {
    (void)thread;
    const struct shared_attention *s = context;
    s->cpu->kernels->attention_pack(&s->job, begin, end);
}

static void rows_task(void *context, size_t begin, size_t end,
                      unsigned thread) {
    const struct shared_attention *s = context;
    s->cpu->kernels->attention_rows(&s->job, begin, end,
                                    s->cpu->lanes[thread].buffer);
}

static void share_by_rows(struct shared_attention *s) {
    size_t grain = round_up(QUERY_ROWS, s->cpu->kernels->panel_columns);
    for (size_t unit = 0; unit < s->units; unit++) {
        s->job = job_of(s, unit, 0);
        pool_each(s->cpu->pool, s->job.rows, grain, pack_task, s);
        pool_each(s->cpu->pool, s->job.rows, grain, rows_task, s);
    }
}

/* Multiply-adds of both products, softmax counted with them. */
static size_t attention_flops(const struct shared_attention *s) {
    size_t flops = 0;
    for (size_t t = 0; t < s->sequences->texts; t++) {
        size_t rows = s->sequences->starts[t + 1] - s->sequences->starts[t];
        flops += rows * rows;
    }
    return flops * s->attention->heads * (4 * s->attention->head_dim + 64);
}

static size_t longest_text(const struct sequences *sequences) {
    size_t longest = 1;
    for (size_t t = 0; t < sequences->texts; t++)
        longest =
            larger(longest, sequences->starts[t + 1] - sequences->starts[t]);
    return longest;
}

void cpu_attention(struct lane *lane, const struct attention *attention,
                   const struct sequences *sequences, const float *qkv,
                   void *scratch, float *context) {
    struct cpu_device *cpu = cpu_of(lane);
    size_t longest = longest_text(sequences);
    size_t bytes = cpu_attention_bytes(lane->device, attention, longest);
    struct shared_attention s = {
        .cpu = cpu,
        .attention = attention,
        .sequences = sequences,
        .qkv = qkv,
        .context = context,
        .scratch = scratch,
        .slot_bytes =
            cpu->kernels->attention_bytes(attention->head_dim, longest),
        .units = sequences->texts * attention->heads,
    };
    s.slots = bytes / s.slot_bytes;
    if (!cpu_shares(lane, attention_flops(&s)))
        for (size_t unit = 0; unit < s.units; unit++)
            attend(&s, unit, 0, lane->number);
    else if (s.slots >= smaller(lane->device->lanes, s.units))
        pool_run(cpu->pool, units_task, &s);
    else
        share_by_rows(&s);
}
