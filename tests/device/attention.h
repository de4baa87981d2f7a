/* attention.h - attention's definition in double, for whoever computes it: the
 * device of a fixture, or other kernels in its place. */

#ifndef TESTS_DEVICE_ATTENTION_H
#define TESTS_DEVICE_ATTENTION_H

#include "device/cpu/cpu.h"
#include "device/fixture.h"

enum { PAST = 1 << 16 };
#define NONE SIZE_MAX
#define ALL  SIZE_MAX

#define MEAN_ROUNDED 7e-4

/* What is attended to, and what is added. */
struct form {
    size_t heads, kv_heads, dim;
    size_t behind, ahead;
    size_t reach; /* of distances; NONE */
    bool slopes;
    size_t table, far; /* rows of the relative table, its reach; 0: none */
    bool few_keys;     /* only the first rows of a text are seen */
};

struct batch {
    struct attention attention;
    struct sequences sequences;
    uint32_t *starts, *table_row, *keys;
    bool rounds; /* operands are bf16 */
    size_t rows, longest, stride;
    size_t width; /* of a row of the context */
    float *qkv, *context, *distances, *slopes, *table;
    char *scratch;
    size_t scratch_bytes; /* PAST more follow, which nobody may touch */
};

static struct form plain(size_t heads, size_t dim) {
    return (struct form){.heads = heads,
                         .kv_heads = heads,
                         .dim = dim,
                         .behind = ALL,
                         .ahead = ALL,
                         .reach = NONE};
}

static float *floats_times(size_t count, float factor) {
    float *values = floats(count);
    for (size_t i = 0; i < count; i++)
        values[i] *= factor;
    return values;
}

/* Rows of the table, a log-like walk: near distances have their own, far ones
 * share; some rows at the ends are never used. */
static uint32_t *table_rows(size_t table, size_t far) {
    uint32_t *rows = calloc(2 * far + 1, sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i <= 2 * far; i++) {
        double d = (double)i - (double)far, near = (double)table / 4;
        double at =
            fabs(d) <= near ? d : copysign(near + log(fabs(d) - near), d);
        at = fmin(fmax(at + (double)table / 2, 0), (double)table - 1);
        rows[i] = (uint32_t)at;
    }
    return rows;
}

static void add_what_is_added(struct batch *b, const struct form *form) {
    struct attention *a = &b->attention;
    if (form->reach != NONE) {
        size_t count = form->heads * (2 * form->reach + 1);
        a->distances = b->distances = floats_times(count, 4.0f);
        a->reach = form->reach;
    }
    if (form->slopes)
        a->slopes = b->slopes = floats_times(form->heads, 0.3f);
    if (form->table) {
        b->table = floats_times(form->table * b->stride, 3.0f);
        b->table_row = table_rows(form->table, form->far);
        a->relative = (struct relative){.rows = form->table,
                                        .table = narrow_of(b->table),
                                        .row = b->table_row,
                                        .reach = form->far};
    }
}

/* Whether this device's attention rounds its operands to bf16: the name of its
 * instructions says so. */
static bool rounds(struct fixture *f) {
    struct device_facts facts;
    struct error err;
    const struct cpu_device *cpu = (const struct cpu_device *)f->device;
    if (cpu->attention != &cpu->kernels->attention)
        return true;
    assert_true(device_facts(f->device, &facts, &err));
    assert_null(strstr(facts.isa, "bf16"));
    return false;
}

/* The innermost steps of the definition, which only read what the test wrote:
 * unchecked, as under sanitizers they would take far longer than the kernels.
 */
#define UNCHECKED                                                              \
    __attribute__((no_sanitize("address"), no_sanitize("undefined"),           \
                   no_sanitize("thread")))

/* To the nearest bf16, ties to even, if ROUNDS. */
UNCHECKED static float rounded(float x, bool rounds) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (rounds)
        bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void take_scratch(struct fixture *f, struct batch *b) {
    size_t bytes = device_attention_bytes(f->device, &b->attention, b->longest);
    b->scratch_bytes = bytes;
    b->scratch = aligned_alloc(64, (bytes + PAST + 63) / 64 * 64);
    assert_non_null(b->scratch);
    memset(b->scratch, 0xff, bytes + PAST); /* NaN */
}

static struct batch batch_of(struct fixture *f, const uint32_t *lengths,
                             size_t texts, const struct form *form) {
    struct batch b = {.rounds = rounds(f),
                      .width = form->heads * form->dim,
                      .stride = (form->heads + 2 * form->kv_heads) * form->dim};
    b.attention = (struct attention){.heads = form->heads,
                                     .kv_heads = form->kv_heads,
                                     .head_dim = form->dim,
                                     .scale = 1.0f / sqrtf((float)form->dim),
                                     .behind = form->behind,
                                     .ahead = form->ahead};
    b.starts = calloc(texts + 1, sizeof *b.starts);
    assert_non_null(b.starts);
    for (size_t t = 0; t < texts; t++) {
        b.starts[t + 1] = b.starts[t] + lengths[t];
        b.longest = lengths[t] > b.longest ? lengths[t] : b.longest;
    }
    b.sequences = (struct sequences){.texts = texts, .starts = b.starts};
    b.rows = sequences_rows(&b.sequences);
    /* So large that some keys matter more than others. */
    b.qkv = floats_times(b.rows * b.stride, 3.0f);
    b.context = floats(b.rows * b.width);
    add_what_is_added(&b, form);
    take_scratch(f, &b);
    return b;
}

/* From one key to all of them. */
static void take_few_keys(struct batch *b) {
    b->keys = calloc(b->sequences.texts, sizeof *b->keys);
    assert_non_null(b->keys);
    for (size_t t = 0; t < b->sequences.texts; t++)
        b->keys[t] = 1 + (b->starts[t + 1] - b->starts[t]) * (uint32_t)t /
                             (uint32_t)(b->sequences.texts + 1);
    b->sequences.keys = b->keys;
}

static void batch_free(struct batch *b) {
    for (size_t i = 0; i < PAST; i++)
        assert_int_equal((uint8_t)b->scratch[b->scratch_bytes + i], 0xff);
    free(b->starts);
    free(b->keys);
    free(b->qkv);
    free(b->context);
    free(b->scratch);
    free(b->distances);
    free(b->slopes);
    free(b->table);
    free(b->table_row);
}

static void run(struct fixture *f, struct batch *b) {
    device_attention(device_lane(f->device, 0), &b->attention, &b->sequences,
                     narrow_of(b->qkv), b->scratch, narrow_of(b->context));
}

/* Q (0), K (1) or V (2) that query head HEAD reads, in a row that is laid out
 * as those of QKV are. */
static const float *part_of(const struct batch *b, const float *row,
                            size_t which, size_t head) {
    const struct attention *a = &b->attention;
    size_t kv = head / (a->heads / a->kv_heads);
    size_t at = which == 0 ? head : a->heads + (which - 1) * a->kv_heads + kv;
    return row + at * a->head_dim;
}

static const float *vector_of(const struct batch *b, size_t row, size_t which,
                              size_t head) {
    return part_of(b, b->qkv + row * b->stride, which, head);
}

/* A sum and the sum of its magnitudes, by which its rounding is bounded. */
struct sum {
    double value, size;
};

UNCHECKED static void add(struct sum *sum, double value) {
    sum->value += value;
    sum->size += fabs(value);
}

/* Of a query, which is scaled, and a key. */
UNCHECKED static void add_dot(struct sum *sum, const struct batch *b,
                              const float *query, const float *key) {
    const struct attention *a = &b->attention;
    for (size_t i = 0; i < a->head_dim; i++)
        add(sum, b->rounds
                     ? (double)rounded(query[i] * a->scale, true) *
                           (double)rounded(key[i], true)
                     : (double)query[i] * (double)key[i] * (double)a->scale);
}

UNCHECKED static void add_weighted(double *out, double weight,
                                   const float *value, size_t dim,
                                   bool rounds) {
    for (size_t i = 0; i < dim; i++)
        out[i] += weight * (double)rounded(value[i], rounds);
}

/* KEYS: of the text, which begins at BEGIN. A row that would see none sees the
 * first of its window. */
static bool sees(const struct attention *a, size_t begin, size_t keys,
                 size_t query, size_t key) {
    size_t inside = query - begin;
    size_t first = inside > a->behind ? inside - a->behind : 0;
    if (first >= keys)
        return key == begin + first;
    return key - begin < keys &&
           (key <= query ? query - key <= a->behind : key - query <= a->ahead);
}

/* D taken as at most REACH either way, counted from -REACH. */
static size_t table_place(double d, size_t reach) {
    return (size_t)(fmin(fmax(d, -(double)reach), (double)reach) +
                    (double)reach);
}

/* The definition of a score. */
static struct sum score_of(const struct batch *b, size_t head, size_t query,
                           size_t key) {
    const struct attention *a = &b->attention;
    const float *q = vector_of(b, query, 0, head);
    const float *k = vector_of(b, key, 1, head);
    double d = (double)query - (double)key;
    struct sum s = {0};
    add_dot(&s, b, q, k);
    if (a->relative.rows) {
        size_t i = a->relative.row[table_place(d, a->relative.reach)];
        const float *row = b->table + i * b->stride;
        add_dot(&s, b, q, part_of(b, row, 1, head));
        add_dot(&s, b, part_of(b, row, 0, head), k);
    }
    if (a->distances)
        add(&s, (double)a->distances[head * (2 * a->reach + 1) +
                                     table_place(-d, a->reach)]);
    if (a->slopes)
        add(&s, -(double)a->slopes[head] * fabs(d));
    return s;
}

/* The definition for one row and head; *SIZE gets the greatest magnitude of a
 * score's sum. */
static void reference_row(const struct batch *b, size_t begin, size_t end,
                          size_t keys, size_t row, size_t head, double *out,
                          double *size) {
    size_t dim = b->attention.head_dim, count = end - begin;
    double *weights = calloc(count, sizeof *weights);
    double most = -INFINITY, mass = 0;
    assert_non_null(weights);
    *size = 0;
    for (size_t k = 0; k < count; k++) {
        if (!sees(&b->attention, begin, keys, row, begin + k))
            continue;
        struct sum s = score_of(b, head, row, begin + k);
        weights[k] = s.value;
        most = fmax(most, s.value);
        *size = fmax(*size, s.size);
    }
    for (size_t k = 0; k < count; k++)
        if (sees(&b->attention, begin, keys, row, begin + k))
            mass += weights[k] = exp(weights[k] - most);
    memset(out, 0, dim * sizeof *out);
    for (size_t k = 0; k < count; k++)
        if (weights[k] != 0)
            add_weighted(out, weights[k] / mass,
                         vector_of(b, begin + k, 2, head), dim, b->rounds);
    free(weights);
}

/* Each score errs by at most (3 dim + 8) roundings of its magnitudes, which
 * changes weights by that factor, twice (the mass too); the sums over keys err
 * by a rounding a key, and values are at most 3. In the mean the errors must
 * cancel to far less. Of bf16 the products themselves are exact; weights are
 * within 1.1e-4 of what they should be (so is the mass) and rounded to 8 bits,
 * which is 2^-8 of each. */
static void check_reference(struct fixture *f, const uint32_t *lengths,
                            size_t texts, struct form form) {
    struct batch b = batch_of(f, lengths, texts, &form);
    if (form.few_keys)
        take_few_keys(&b);
    size_t dim = form.dim, terms = (form.table ? 3 * dim : dim) + 4;
    double *expected = malloc(dim * sizeof *expected), total = 0, size;
    assert_non_null(expected);
    run(f, &b);
    for (size_t t = 0; t < texts; t++)
        for (size_t row = b.starts[t]; row < b.starts[t + 1]; row++)
            for (size_t h = 0; h < form.heads; h++) {
                reference_row(&b, b.starts[t], b.starts[t + 1],
                              b.keys ? b.keys[t] : SIZE_MAX, row, h, expected,
                              &size);
                const float *y = b.context + row * b.width + h * dim;
                double bound =
                    3 * ROUNDING *
                    (2 * (double)terms * size + 2 * (double)lengths[t] + 20);
                if (b.rounds)
                    bound += 3 * (0x1p-8 + 2.2e-4);
                for (size_t i = 0; i < dim; i++) {
                    assert_near((double)y[i], expected[i], bound, "attention",
                                row * b.width + h * dim + i);
                    total += fabs((double)y[i] - expected[i]);
                }
            }
    total /= (double)(b.rows * b.width);
    assert_true(total < (b.rounds ? MEAN_ROUNDED : 3e-6));
    free(expected);
    batch_free(&b);
}

/* Text T of a batch, alone. */
static void check_alone(struct fixture *f, struct batch *b,
                        const struct form *form, size_t t) {
    size_t begin = b->starts[t], rows = b->starts[t + 1] - begin;
    uint32_t length = (uint32_t)rows;
    struct batch alone = batch_of(f, &length, 1, form);
    alone.attention = b->attention;
    memcpy(alone.qkv, b->qkv + begin * b->stride,
           rows * b->stride * sizeof *alone.qkv);
    run(f, &alone);
    assert_same_bits(alone.context, b->context + begin * b->width,
                     rows * b->width, "a text alone and among others");
    batch_free(&alone);
}

static void check_wide(struct fixture *f, struct batch *b) {
    size_t count = b->rows * b->width;
    float *narrow = floats(count);
    memcpy(narrow, b->context, count * sizeof *narrow);
    memset(b->context, 0, count * sizeof *narrow);
    lane_widen(device_lane(f->device, 0), true);
    run(f, b);
    lane_widen(device_lane(f->device, 0), false);
    assert_same_bits(narrow, b->context, count, "all threads");
    free(narrow);
}

/* The first or the last row of each text has the bits that it has among all,
 * and nobody has computed another. */
static void check_meant(struct fixture *f, struct batch *b,
                        enum rows_meant meant) {
    size_t count = b->rows * b->width;
    float *all = floats(count);
    memcpy(all, b->context, count * sizeof *all);
    memset(b->context, 0xff, count * sizeof *all);
    b->sequences.meant = meant;
    run(f, b);
    b->sequences.meant = ROWS_ALL;
    for (size_t t = 0; t < b->sequences.texts; t++)
        for (size_t row = b->starts[t]; row < b->starts[t + 1]; row++) {
            bool is_meant = row == (meant == ROWS_FIRST ? b->starts[t]
                                                        : b->starts[t + 1] - 1);
            if (is_meant)
                assert_same_bits(all + row * b->width,
                                 b->context + row * b->width, b->width,
                                 "a row alone and among others");
            else
                assert_true(isnan(b->context[row * b->width]));
        }
    memcpy(b->context, all, count * sizeof *all);
    free(all);
}

static void check_company(struct fixture *f, const uint32_t *lengths,
                          size_t texts, struct form form) {
    struct batch b = batch_of(f, lengths, texts, &form);
    run(f, &b);
    for (size_t t = 0; t < texts; t++)
        if (lengths[t])
            check_alone(f, &b, &form, t);
    check_wide(f, &b);
    for (int wide = 0; wide < 2; wide++) {
        lane_widen(device_lane(f->device, 0), wide);
        check_meant(f, &b, ROWS_FIRST);
        check_meant(f, &b, ROWS_LAST);
    }
    lane_widen(device_lane(f->device, 0), false);
    batch_free(&b);
}

#endif
