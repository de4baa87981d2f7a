/* attention_batch.h - a batch for the attention kernels, and its definition in
 * double, for test_attention_kernels.c and test_attention_places.c. */

#ifndef TESTS_DEVICE_CUDA_ATTENTION_BATCH_H
#define TESTS_DEVICE_CUDA_ATTENTION_BATCH_H

#include "device/fixture.h"

#include "device/cuda/emulate_kernels.h"
#include "device/cuda/kernels/params.h"

/* Which kernel, and for which card. */
struct kind {
    const char *name;
    bool plain; /* attend_plain, else attend */
    unsigned narrow, arch;
};
static const struct kind KINDS[] = {
    {"f16 on sm_75", false, 1, 75},  {"f16 on sm_80", false, 1, 80},
    {"bf16 on sm_80", false, 2, 80}, {"plain f32", true, 0, 75},
    {"plain f16", true, 1, 75},      {"plain bf16", true, 2, 80},
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

#define ALL 0xffffffffu

/* What is attended to, and what is added. */
struct form {
    unsigned heads, kv_heads, dim;
    unsigned features, behind, ahead, reach;
    unsigned table, far; /* rows of the relative table, its reach */
    bool odd_address;    /* rows are not aligned to 16 bytes */
    unsigned rotary_dims, interleaved, turns_keys; /* with FEATURE_ROTARY */
};

/* CANARY bytes stand on both sides of the context. */
enum { CANARY = 64, CANARY_BYTE = 0xa5 };

struct batch {
    const struct kind *kind;
    struct form form;
    size_t texts, rows, stride, width;
    unsigned *starts, *keys, *table_row;
    float *qkv, *table; /* as the kernel's numbers are, exactly */
    float *distances, *slopes, *context;
    float *cosine, *sine; /* [rows, rotary_dims / 2] */
    void *narrow_qkv, *narrow_table;
    unsigned char *narrow_context; /* with canaries */
    struct attention_tile *tiles;
    size_t tiles_count;
};

static inline struct form plain_form(unsigned heads, unsigned dim) {
    return (struct form){.heads = heads,
                         .kv_heads = heads,
                         .dim = dim,
                         .behind = ALL,
                         .ahead = ALL,
                         .reach = 9,
                         .table = 33,
                         .far = 40};
}

static inline void *memory(size_t bytes) {
    void *place = malloc(bytes ? bytes : 1);
    assert_non_null(place);
    return place;
}

/* COUNT numbers of the kernel's type, in [-factor, factor), and in *NARROW the
 * same as it stores them, ODD one number past an aligned address. */
static inline float *numbers(const struct kind *kind, size_t count,
                             float factor, bool odd, void **narrow) {
    float *values = floats(count);
    size_t one = emulate_narrow_bytes(kind->narrow);
    for (size_t i = 0; i < count; i++)
        values[i] *= factor;
    char *place = memory((count + odd) * one);
    *narrow = place;
    emulate_round(kind->narrow, values, count, place + odd * one);
    emulate_widen(kind->narrow, place + odd * one, count, values);
    return values;
}

/* Near distances have a row of their own, far ones share. */
static inline unsigned *table_rows(unsigned table, unsigned far) {
    unsigned *rows = memory((2 * far + 1) * sizeof *rows);
    for (unsigned i = 0; i <= 2 * far; i++) {
        double d = (double)i - far, near = (double)table / 4;
        double at =
            fabs(d) <= near ? d : copysign(near + log(fabs(d) - near), d);
        rows[i] = (unsigned)fmin(fmax(at + table / 2, 0), (double)table - 1);
    }
    return rows;
}

static inline void make_tiles(struct batch *b) {
    size_t most = b->rows / TILE_QUERIES + b->texts;
    b->tiles = memory(most * sizeof *b->tiles);
    for (unsigned t = 0; t < b->texts; t++)
        for (unsigned row = 0; row < b->starts[t + 1] - b->starts[t];
             row += TILE_QUERIES)
            b->tiles[b->tiles_count++] =
                (struct attention_tile){.text = t, .row = row};
}

static inline void make_features(struct batch *b) {
    const struct form *form = &b->form;
    size_t reach = 2 * form->reach + 1;
    b->distances = floats(form->heads * reach);
    for (size_t i = 0; i < form->heads * reach; i++)
        b->distances[i] *= 4;
    b->slopes = floats(form->heads);
    for (size_t i = 0; i < form->heads; i++)
        b->slopes[i] *= 0.3f;
    size_t pairs = b->rows * form->rotary_dims / 2;
    b->cosine = floats(pairs);
    b->sine = floats(pairs);
    b->keys = memory(b->texts * sizeof *b->keys);
    for (unsigned t = 0; t < b->texts; t++) /* from one to nearly all */
        b->keys[t] = 1 + (b->starts[t + 1] - b->starts[t]) * t /
                             ((unsigned)b->texts + 1);
    if (form->features & FEATURE_RELATIVE) {
        b->table = numbers(b->kind, form->table * b->stride, 3, false,
                           &b->narrow_table);
        b->table_row = table_rows(form->table, form->far);
    }
}

static inline struct batch batch_of(const struct kind *kind,
                                    const unsigned *lengths, size_t texts,
                                    const struct form *form) {
    struct batch b = {.kind = kind, .form = *form, .texts = texts};
    b.stride = (form->heads + 2 * form->kv_heads) * form->dim;
    b.width = form->heads * form->dim;
    b.starts = memory((texts + 1) * sizeof *b.starts);
    b.starts[0] = 0;
    for (size_t t = 0; t < texts; t++)
        b.starts[t + 1] = b.starts[t] + lengths[t];
    b.rows = b.starts[texts];
    /* So large that some keys matter more than others. */
    b.qkv =
        numbers(kind, b.rows * b.stride, 3, form->odd_address, &b.narrow_qkv);
    size_t bytes = b.rows * b.width * emulate_narrow_bytes(kind->narrow);
    b.narrow_context = memory(bytes + 2 * CANARY);
    memset(b.narrow_context, CANARY_BYTE, bytes + 2 * CANARY);
    b.context = memory(b.rows * b.width * sizeof *b.context);
    make_tiles(&b);
    make_features(&b);
    return b;
}

static inline size_t context_bytes(const struct batch *b) {
    return b->rows * b->width * emulate_narrow_bytes(b->kind->narrow);
}

static inline void check_canaries(const struct batch *b) {
    for (size_t i = 0; i < CANARY; i++)
        if (b->narrow_context[i] != CANARY_BYTE ||
            b->narrow_context[CANARY + context_bytes(b) + i] != CANARY_BYTE)
            fail_msg("%s wrote outside of the context", b->kind->name);
}

static inline void batch_free(struct batch *b) {
    check_canaries(b);
    free(b->starts);
    free(b->keys);
    free(b->table_row);
    free(b->qkv);
    free(b->table);
    free(b->distances);
    free(b->slopes);
    free(b->cosine);
    free(b->sine);
    free(b->context);
    free(b->narrow_qkv);
    free(b->narrow_table);
    free(b->narrow_context);
    free(b->tiles);
}

/* What HEAD_DIM a kernel is compiled for. */
static inline unsigned padded(unsigned dim) {
    static const unsigned DIMS[] = {32, 64, 96, 128, 192, 256};
    for (size_t i = 0; i < 6; i++)
        if (dim <= DIMS[i])
            return DIMS[i];
    return 0;
}

/* qkv as it stands in b->qkv. */
static inline void put_qkv(struct batch *b) {
    size_t one = emulate_narrow_bytes(b->kind->narrow);
    emulate_round(b->kind->narrow, b->qkv, b->rows * b->stride,
                  (char *)b->narrow_qkv + b->form.odd_address * one);
}

static inline struct attend_params params_of(const struct batch *b) {
    const struct form *form = &b->form;
    size_t one = emulate_narrow_bytes(b->kind->narrow);
    struct attend_params p = {
        .qkv = (char *)b->narrow_qkv + form->odd_address * one,
        .context = b->narrow_context + CANARY,
        .starts = b->starts,
        .keys = form->features & FEATURE_KEYS ? b->keys : NULL,
        .tiles = b->tiles,
        .heads = form->heads,
        .kv_heads = form->kv_heads,
        .head_dim = form->dim,
        .scale = 1.0f / sqrtf((float)form->dim),
        .behind = form->behind,
        .ahead = form->ahead,
        .distances = form->features & FEATURE_DISTANCES ? b->distances : NULL,
        .reach = form->reach,
        .slopes = form->features & FEATURE_SLOPES ? b->slopes : NULL,
        .turns_keys = form->turns_keys,
    };
    if (form->features & FEATURE_ROTARY) {
        p.cosine = b->cosine;
        p.sine = b->sine;
        p.rotary_dims = form->rotary_dims;
        p.interleaved = form->interleaved;
    } else {
        p.relative_reach = form->far;
        p.relative_rows = form->table;
        p.relative = b->narrow_table;
        p.relative_row = b->table_row;
    }
    return p;
}

static inline void launch(struct batch *b) {
    unsigned dim = b->kind->plain ? 0 : padded(b->form.dim);
    bool uneven = b->form.odd_address || b->form.dim % 8;
    struct emulate_choice choice = {
        .file = b->kind->plain ? "attention_plain" : "attention",
        .narrow = b->kind->narrow,
        .arch = b->kind->arch,
        .head_dim = dim,
        .features = b->form.features | (dim && uneven ? FEATURE_UNEVEN : 0)};
    struct attend_params p = params_of(b);
    const char *wrong = emulate_kernel_launch(
        &choice, b->kind->plain ? "attend_plain" : "attend",
        (unsigned)b->tiles_count, b->form.heads, ATTEND_THREADS,
        dim ? (size_t)ATTEND_SHARED_BYTES(dim, b->form.features) : 0, &p,
        sizeof p);
    if (wrong)
        fail_msg("%s: %s", b->kind->name, wrong);
}

/* The kernel's result, in b->context. */
static inline void run(struct batch *b) {
    launch(b);
    emulate_widen(b->kind->narrow, b->narrow_context + CANARY,
                  b->rows * b->width, b->context);
}

/* ---- the definition ----------------------------------------------------- */

/* Q (0), K (1) or V (2) that query head HEAD reads, in a row that is laid out
 * as those of qkv are. */
static inline const float *part_of(const struct batch *b, const float *row,
                                   unsigned which, unsigned head) {
    const struct form *form = &b->form;
    unsigned kv = head / (form->heads / form->kv_heads);
    unsigned at =
        which == 0 ? head : form->heads + (which - 1) * form->kv_heads + kv;
    return row + at * form->dim;
}

static inline const float *vector_of(const struct batch *b, size_t row,
                                     unsigned which, unsigned head) {
    return part_of(b, b->qkv + row * b->stride, which, head);
}

/* A sum and the sum of its magnitudes, by which its rounding is bounded. */
struct sum {
    double value, size;
};

static inline void add(struct sum *sum, double value) {
    sum->value += value;
    sum->size += fabs(value);
}

static inline void add_dot(struct sum *sum, const float *a, const float *b,
                           unsigned count, double scale) {
    for (unsigned i = 0; i < count; i++)
        add(sum, (double)a[i] * (double)b[i] * scale);
}

/* Rows of text T, counted in it. A row that would see no key sees the first of
 * its window. */
static inline bool sees(const struct batch *b, unsigned t, size_t query,
                        size_t key) {
    const struct form *form = &b->form;
    bool window = form->features & FEATURE_WINDOW;
    size_t behind = window ? form->behind : ALL,
           ahead = window ? form->ahead : ALL;
    size_t first = query > behind ? query - behind : 0;
    size_t keys = form->features & FEATURE_KEYS ? b->keys[t] : ALL;
    if (first >= keys)
        return key == first;
    return key < keys &&
           (key <= query ? query - key <= behind : key - query <= ahead);
}

/* D taken as at most REACH either way, counted from -REACH. */
static inline size_t within(double d, unsigned reach) {
    return (size_t)(fmin(fmax(d, -(double)reach), (double)reach) + reach);
}

/* The definition of a score; rows are those of the batch. */
static inline struct sum score_of(const struct batch *b, unsigned head,
                                  size_t query, size_t key) {
    const struct form *form = &b->form;
    const float *q = vector_of(b, query, 0, head);
    const float *k = vector_of(b, key, 1, head);
    double d = (double)query - (double)key;
    double scale = (double)(1.0f / sqrtf((float)form->dim));
    struct sum s = {0};
    add_dot(&s, q, k, form->dim, scale);
    if (form->features & FEATURE_RELATIVE) {
        const float *row =
            b->table + b->table_row[within(d, form->far)] * b->stride;
        add_dot(&s, q, part_of(b, row, 1, head), form->dim, scale);
        add_dot(&s, k, part_of(b, row, 0, head), form->dim, scale);
    }
    if (form->features & FEATURE_DISTANCES)
        add(&s, (double)b->distances[head * (2 * form->reach + 1) +
                                     within(-d, form->reach)]);
    if (form->features & FEATURE_SLOPES)
        add(&s, -(double)b->slopes[head] * fabs(d));
    return s;
}

/* One row and head of the context: value.value is a number of it, value.size
 * the same of the values' magnitudes; *SCORES gets the greatest magnitude of a
 * score's sum. */
static inline void reference_row(const struct batch *b, unsigned t,
                                 size_t query, unsigned head,
                                 struct sum *values, double *scores) {
    size_t begin = b->starts[t], count = b->starts[t + 1] - begin;
    double *weights = memory(count * sizeof *weights);
    double most = -INFINITY, mass = 0;
    *scores = 0;
    for (size_t k = 0; k < count; k++) {
        weights[k] = -INFINITY;
        if (!sees(b, t, query, k))
            continue;
        struct sum s = score_of(b, head, begin + query, begin + k);
        weights[k] = s.value;
        most = fmax(most, s.value);
        *scores = fmax(*scores, s.size);
    }
    for (size_t k = 0; k < count; k++)
        mass += weights[k] = exp(weights[k] - most);
    memset(values, 0, b->form.dim * sizeof *values);
    for (size_t k = 0; k < count; k++)
        for (unsigned i = 0; weights[k] > 0 && i < b->form.dim; i++)
            add(values + i, weights[k] / mass *
                                (double)vector_of(b, begin + k, 2, head)[i]);
    free(weights);
}

#endif
