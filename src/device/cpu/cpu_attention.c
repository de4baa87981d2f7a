/* cpu_attention.c - which thread attends to which heads of which text.
 *
 * The work is cut into units: the query heads of a text that read the same
 * keys. The scratch holds packed keys and values in slots, one for each unit
 * that is worked on at the same time. */

#include "device/cpu/cpu.h"

#include <assert.h>
#include <stdatomic.h>

/* For short texts there are as many slots as heads, so that threads can share
 * the units; for long texts one slot, and threads share the query rows. */
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
    size_t slot = cpu->attention->bytes(attention, longest);
    size_t all;
    if (!size_multiply(slot, attention->kv_heads, &all))
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
    size_t group; /* query heads of a unit */
    size_t longest;
    size_t slot_bytes, slots;
    size_t units;
    _Atomic size_t next;
    /* While threads share the rows of a few units: */
    size_t first;                /* of them, in slot 0 */
    size_t grain;                /* rows in a piece */
    size_t pieces, table_pieces; /* of a unit's rows, of the table */
};

/* The rows of the relative table that occur between rows of a text. */
static void find_table_rows(struct attention_job *job) {
    const struct relative *relative = &job->attention->relative;
    size_t far = smaller(job->rows - 1, relative->reach);
    size_t least = SIZE_MAX, most = 0;
    for (size_t d = relative->reach - far; d <= relative->reach + far; d++) {
        least = smaller(least, relative->row[d]);
        most = larger(most, relative->row[d]);
    }
    job->table_begin = least;
    job->table_count = most - least + 1;
}

static struct attention_job job_of(const struct shared_attention *s,
                                   size_t unit, size_t slot) {
    const struct attention *a = s->attention;
    size_t text = unit / a->kv_heads, row = sequences_row(s->sequences, text);
    struct attention_job job = {
        .attention = a,
        .kv_head = unit % a->kv_heads,
        .rows = sequences_row(s->sequences, text + 1) - row,
        .keys = s->sequences->keys ? s->sequences->keys[text] : SIZE_MAX,
        .qkv = s->qkv + row * (a->heads + 2 * a->kv_heads) * a->head_dim,
        .scratch = (float *)(void *)(s->scratch + slot * s->slot_bytes),
        .context = s->context + row * a->heads * a->head_dim,
    };
    if (a->relative.rows && job.rows)
        find_table_rows(&job);
    return job;
}

/* Those of the text's rows [*begin, *end) whose context is read. */
static void keep_meant(const struct shared_attention *s, size_t rows,
                       size_t *begin, size_t *end) {
    if (s->sequences->meant == ROWS_FIRST)
        *end = smaller(*end, 1);
    else if (s->sequences->meant == ROWS_LAST)
        *begin = larger(*begin, rows - 1);
}

static void attend(const struct shared_attention *s, size_t unit, size_t slot,
                   unsigned thread) {
    const struct attention_kernels *kernels = s->cpu->attention;
    struct attention_job job = job_of(s, unit, slot);
    float *buffer = s->cpu->lanes[thread].buffer;
    size_t begin = 0, end = job.rows;
    if (!job.rows)
        return;
    keep_meant(s, job.rows, &begin, &end);
    kernels->pack(&job, 0, job.rows, buffer);
    if (job.table_count)
        kernels->pack_table(&job, 0, job.table_count);
    for (size_t h = 0; h < s->group; h++)
        kernels->rows(&job, job.kv_head * s->group + h, begin, end, buffer);
}

/* A thread that has no slot leaves the units to the others. */
static void units_task(void *context, unsigned thread) {
    struct shared_attention *s = context;
    if (thread >= s->slots)
        return;
    for (size_t u; (u = atomic_fetch_add(&s->next, 1)) < s->units;)
        attend(s, u, thread, thread);
}

/* Piece PIECE of COUNT rows: [*begin, *end), which may be none. */
static bool piece_of(const struct shared_attention *s, size_t piece,
                     size_t count, size_t *begin, size_t *end) {
    *begin = piece * s->grain;
    *end = smaller(count, *begin + s->grain);
    return *begin < count;
}

static void pack_task(void *context, size_t first, size_t last,
                      unsigned thread) {
    const struct shared_attention *s = context;
    const struct attention_kernels *kernels = s->cpu->attention;
    size_t each = s->pieces + s->table_pieces, begin, end;
    for (size_t i = first; i < last; i++) {
        size_t slot = i / each, piece = i % each;
        struct attention_job job = job_of(s, s->first + slot, slot);
        if (piece >= s->pieces) {
            if (piece_of(s, piece - s->pieces, job.table_count, &begin, &end))
                kernels->pack_table(&job, begin, end);
        } else if (piece_of(s, piece, job.rows, &begin, &end)) {
            kernels->pack(&job, begin, end, s->cpu->lanes[thread].buffer);
        }
    }
}

static void rows_task(void *context, size_t first, size_t last,
                      unsigned thread) {
    const struct shared_attention *s = context;
    size_t each = s->pieces * s->group, begin, end;
    for (size_t i = first; i < last; i++) {
        size_t slot = i / each, head = i % each / s->pieces;
        struct attention_job job = job_of(s, s->first + slot, slot);
        if (!piece_of(s, i % s->pieces, job.rows, &begin, &end))
            continue;
        keep_meant(s, job.rows, &begin, &end);
        if (begin < end)
            s->cpu->attention->rows(&job, job.kv_head * s->group + head, begin,
                                    end, s->cpu->lanes[thread].buffer);
    }
}

/* As many units at a time as there are slots: all packed, then all attended. */
static void share_by_rows(struct shared_attention *s) {
    size_t count;
    s->grain = round_up(QUERY_ROWS, s->cpu->attention->panel_rows);
    s->pieces = (s->longest + s->grain - 1) / s->grain;
    s->table_pieces = (s->attention->relative.rows + s->grain - 1) / s->grain;
    for (s->first = 0; s->first < s->units; s->first += count) {
        count = smaller(s->slots, s->units - s->first);
        pool_each(s->cpu->pool, count * (s->pieces + s->table_pieces), 1,
                  pack_task, s);
        pool_each(s->cpu->pool, count * s->group * s->pieces, 1, rows_task, s);
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
                   const struct sequences *sequences, const struct narrow *qkv,
                   void *scratch, struct narrow *context) {
    struct cpu_device *cpu = cpu_of(lane);
    size_t longest = longest_text(sequences);
    size_t bytes = cpu_attention_bytes(lane->device, attention, longest);
    struct shared_attention s = {
        .cpu = cpu,
        .attention = attention,
        .sequences = sequences,
        .qkv = cpu_floats(qkv),
        .context = cpu_floats_out(context),
        .scratch = scratch,
        .group = attention->heads / attention->kv_heads,
        .longest = longest,
        .slot_bytes = cpu->attention->bytes(attention, longest),
        .units = sequences->texts * attention->kv_heads,
    };
    size_t threads = lane->device->lanes;
    assert(attention->heads % attention->kv_heads == 0);
    assert(attention->relative.rows <= RELATIVE_MAX);
    s.slots = bytes / s.slot_bytes;
    if (!cpu_shares(lane, attention_flops(&s)))
        for (size_t unit = 0; unit < s.units; unit++)
            attend(&s, unit, 0, lane->number);
    else if (smaller(s.slots, s.units) >= threads)
        pool_run(cpu->pool, units_task, &s);
    else
        share_by_rows(&s);
}
