/* strict_device.h - a device that is as unlike the CPU as a card is, though the
 * CPU computes: what code over device.h gets wrong on cards shows here.
 *
 * Its blocks lie at addresses where nothing can be read or written; the verbs
 * know where the numbers are, and fail for a pointer that is in no block, or
 * that has fewer bytes behind it than the verb needs. Narrow numbers are not
 * floats: either f16, or the floats with some bits turned over, which gives the
 * CPU's results bit for bit as long as nobody takes one type for the other.
 * What device_gate gives is scaled, and a matrix that is not said to be behind
 * a gate does not undo it. Results come at device_finish, copies of layers at
 * device_upload_wait, and only from memory that is pinned. A lane's room must
 * be as device_group left it when a verb needs it. Narrow rows whose one reader
 * was told are read by it, once, and by nobody else.
 *
 *     r->device = strict_open(r->device, STRICT_APART);   // owns the CPU
 */

#ifndef TESTS_MODEL_STRICT_DEVICE_H
#define TESTS_MODEL_STRICT_DEVICE_H

#include "model/strict_memory.h"

/* ---- verbs -------------------------------------------------------------- */

static inline struct norm strict_norm_of(const struct strict *s,
                                         const struct norm *norm) {
    struct norm real = *norm;
    real.scale = strict_floats(s, norm->scale, norm->width);
    real.shift = strict_floats(s, norm->shift, norm->width);
    return real;
}

static inline struct linear strict_linear_of(const struct strict *s,
                                             const struct linear *linear) {
    struct linear real = *linear;
    real.weights =
        strict_at(s, linear->weights,
                  device_linear_bytes(s->cpu, linear->in, linear->out));
    assert_non_null(real.weights);
    real.bias = strict_floats(s, linear->bias, linear->out);
    return real;
}

static inline void strict_embed(struct lane *lane,
                                const struct embedding *embedding,
                                const uint32_t *ids,
                                const struct sequences *sequences, float *y) {
    struct strict *s = strict_of(lane->device);
    struct embedding e = *embedding;
    size_t width = e.width;
    const uint32_t *room = strict_room(s);
    strict_check_group(s, sequences);
    assert_memory_equal(ids, room, s->rows * sizeof *ids);
    float *words = strict_widen(s, e.words, e.vocab * width, 1);
    float *position =
        e.position ? strict_widen(s, e.position, e.positions * width, 1) : NULL;
    float *type = e.type ? strict_widen(s, e.type, e.types * width, 1) : NULL;
    e.words = words;
    e.position = position;
    e.type = type;
    device_embed(strict_cpu(s), &e, room, sequences,
                 strict_floats(s, y, s->rows * width));
    free(words);
    free(position);
    free(type);
}

static inline const struct narrow *strict_narrow(struct lane *lane,
                                                 const float *x, size_t count,
                                                 struct narrow *room) {
    struct strict *s = strict_of(lane->device);
    assert_true(s->submitted);
    strict_tell(s, room, 0, false);
    strict_write(s, strict_floats(s, x, count), count,
                 strict_at(s, room, count * s->device.narrow_bytes));
    return room;
}

static inline void strict_norm(struct lane *lane, const struct norm *norm,
                               const float *x, size_t rows,
                               const float *residual, float *y,
                               struct narrow *z) {
    struct strict *s = strict_of(lane->device);
    struct norm real = strict_norm_of(s, norm);
    size_t count = rows * norm->width;
    float *sum = malloc(count * sizeof *sum);
    assert_true(y || z);
    device_norm(strict_cpu(s), &real, strict_floats(s, x, count), rows,
                strict_floats(s, residual, count), sum, NULL);
    if (y)
        memcpy(strict_floats(s, y, count), sum, count * sizeof *sum);
    if (z)
        strict_tell(s, z, norm->feeds, false);
    if (z)
        strict_narrow_to(s, sum, count, z);
    else
        free(sum);
}

static inline void strict_norm_heads(struct lane *lane, const struct norm *norm,
                                     struct narrow *x, size_t rows,
                                     size_t stride, size_t times) {
    struct strict *s = strict_of(lane->device);
    struct norm real = strict_norm_of(s, norm);
    size_t count = (rows - 1) * stride + times * norm->width;
    float *wide = strict_widen(s, x, count, 1);
    device_norm_heads(strict_cpu(s), &real, strict_as_narrow(wide), rows,
                      stride, times);
    strict_narrow_to(s, wide, count, x);
}

static inline size_t strict_row(const struct attention *a) {
    return (a->heads + 2 * a->kv_heads) * a->head_dim;
}

static inline struct rotary strict_rotary_of(const struct strict *s,
                                             const struct rotary *rotary) {
    struct rotary real = *rotary;
    size_t numbers = rotary->positions * rotary->dims / 2;
    real.cosine = strict_floats(s, rotary->cosine, numbers);
    real.sine = strict_floats(s, rotary->sine, numbers);
    return real;
}

static inline void strict_rotate(struct lane *lane,
                                 const struct attention *attention,
                                 const struct sequences *sequences,
                                 struct narrow *qkv) {
    struct strict *s = strict_of(lane->device);
    struct attention real = *attention;
    real.rotary = strict_rotary_of(s, &attention->rotary);
    strict_check_group(s, sequences);
    size_t count = s->rows * strict_row(attention);
    float *wide = strict_widen(s, qkv, count, 1);
    device_rotate(strict_cpu(s), &real, sequences, strict_as_narrow(wide));
    strict_narrow_to(s, wide, count, qkv);
}

static inline void strict_gate(struct lane *lane, enum activation activation,
                               const struct narrow *x, size_t rows,
                               size_t width, struct narrow *y) {
    struct strict *s = strict_of(lane->device);
    size_t count = rows * width, feeds = strict_told(s, x, width, true);
    float *in = strict_widen(s, x, 2 * count, 1);
    float *out = malloc(count * sizeof *out);
    device_gate(strict_cpu(s), activation, strict_as_narrow(in), rows, width,
                strict_as_narrow(out));
    for (size_t i = 0; i < count; i++)
        out[i] *= STRICT_GATE;
    strict_tell(s, y, feeds, false);
    strict_narrow_to(s, out, count, y);
    free(in);
}

static inline size_t strict_experts_bytes(const struct device *device,
                                          const struct experts *experts,
                                          size_t rows) {
    return device_experts_bytes(strict_of(device)->cpu, experts, rows);
}

static inline void strict_experts(struct lane *lane,
                                  const struct experts *experts,
                                  const struct narrow *x, size_t rows,
                                  const float *residual, void *scratch,
                                  float *y) {
    struct strict *s = strict_of(lane->device);
    struct experts real = *experts;
    struct linear up[EXPERTS_MAX], down[EXPERTS_MAX];
    size_t out = experts->down[0].out;
    for (size_t e = 0; e < experts->count; e++) {
        up[e] = strict_linear_of(s, &experts->up[e]);
        down[e] = strict_linear_of(s, &experts->down[e]);
        assert_false(up[e].behind_gate || down[e].behind_gate);
    }
    real.router = strict_linear_of(s, &experts->router);
    real.up = up;
    real.down = down;
    real.shift = strict_floats(s, experts->shift, out);
    float *in = strict_widen(s, x, rows * experts->router.in, 1);
    device_experts(
        strict_cpu(s), &real, strict_as_narrow(in), rows,
        strict_floats(s, residual, rows * out),
        strict_at(s, scratch, device_experts_bytes(s->cpu, &real, rows)),
        strict_floats(s, y, rows * out));
    free(in);
}

static inline void strict_linear(struct lane *lane, const struct linear *linear,
                                 const struct narrow *x, size_t rows,
                                 enum activation activation,
                                 const float *residual, float *y) {
    struct strict *s = strict_of(lane->device);
    struct linear real = strict_linear_of(s, linear);
    float times = linear->behind_gate ? 1 / STRICT_GATE : 1;
    strict_told(s, x, linear->out, false);
    float *in = strict_widen(s, x, rows * linear->in, times);
    device_linear(strict_cpu(s), &real, strict_as_narrow(in), rows, activation,
                  strict_floats(s, residual, rows * linear->out),
                  strict_floats(s, y, rows * linear->out));
    free(in);
}

static inline void strict_linear_narrow(struct lane *lane,
                                        const struct linear *linear,
                                        const struct narrow *x, size_t rows,
                                        enum activation activation,
                                        struct narrow *y) {
    struct strict *s = strict_of(lane->device);
    struct linear real = strict_linear_of(s, linear);
    assert_false(linear->behind_gate);
    strict_told(s, x, linear->out, false);
    float *in = strict_widen(s, x, rows * linear->in, 1);
    float *out = malloc(rows * linear->out * sizeof *out);
    device_linear(strict_cpu(s), &real, strict_as_narrow(in), rows, activation,
                  NULL, out);
    strict_tell(s, y, linear->feeds, linear->before_gate);
    strict_narrow_to(s, out, rows * linear->out, y);
    free(in);
}

/* Of the kind that does not depend on weights. */
static inline bool strict_same_kind(const struct attention *a,
                                    const struct attention *b) {
    return a->heads == b->heads && a->kv_heads == b->kv_heads &&
           a->head_dim == b->head_dim && a->behind == b->behind &&
           a->ahead == b->ahead && a->reach == b->reach &&
           !a->distances == !b->distances && !a->slopes == !b->slopes &&
           a->relative.rows == b->relative.rows &&
           a->relative.reach == b->relative.reach &&
           a->rotary.dims == b->rotary.dims &&
           a->rotary.interleaved == b->rotary.interleaved;
}

static inline bool strict_prepare(struct device *device,
                                  const struct attention *attention,
                                  struct error *err) {
    struct strict *s = strict_of(device);
    (void)err;
    assert_true(s->prepared_count < 2);
    s->prepared[s->prepared_count++] = *attention;
    return true;
}

static inline size_t strict_attention_bytes(const struct device *device,
                                            const struct attention *attention,
                                            size_t longest) {
    return device_attention_bytes(strict_of(device)->cpu, attention, longest);
}

static inline size_t strict_longest(const struct sequences *sequences) {
    size_t longest = 1;
    for (size_t t = 0; t < sequences->texts; t++) {
        size_t rows =
            sequences_row(sequences, t + 1) - sequences_row(sequences, t);
        longest = rows > longest ? rows : longest;
    }
    return longest;
}

static inline void strict_attention(struct lane *lane,
                                    const struct attention *attention,
                                    const struct sequences *sequences,
                                    const struct narrow *qkv, void *scratch,
                                    struct narrow *context) {
    struct strict *s = strict_of(lane->device);
    struct attention a = *attention;
    struct relative *r = &a.relative;
    size_t kind = 0, out = s->rows * a.heads * a.head_dim;
    while (kind < s->prepared_count &&
           !strict_same_kind(attention, &s->prepared[kind]))
        kind++;
    assert_true(kind < s->prepared_count);
    strict_check_group(s, sequences);
    a.distances = strict_floats(s, a.distances, a.heads * (2 * a.reach + 1));
    a.slopes = strict_floats(s, a.slopes, a.heads);
    r->row = strict_at(s, r->row, (2 * r->reach + 1) * sizeof *r->row);
    float *table = strict_widen(s, r->table, r->rows * strict_row(&a), 1);
    r->table = strict_as_narrow(table);
    a.rotary = strict_rotary_of(s, &a.rotary);
    float *in = strict_widen(s, qkv, s->rows * strict_row(&a), 1);
    float *to = malloc(out * sizeof *to);
    for (size_t i = 0; i < out; i++)
        to[i] = NAN; /* rows that are not meant show it to whoever reads them */
    size_t bytes =
        device_attention_bytes(s->cpu, &a, strict_longest(sequences));
    device_attention(strict_cpu(s), &a, sequences, strict_as_narrow(in),
                     strict_at(s, scratch, bytes), strict_as_narrow(to));
    strict_tell(s, context, 0, false);
    strict_narrow_to(s, to, out, context);
    free(in);
    free(table);
}

static inline void strict_pick(struct lane *lane,
                               const struct sequences *sequences,
                               const struct narrow *x, size_t width,
                               struct narrow *y) {
    struct strict *s = strict_of(lane->device);
    size_t out = sequences->texts * width;
    float *to = malloc(out * sizeof *to);
    strict_check_group(s, sequences);
    float *in = strict_widen(s, x, s->rows * width, 1);
    device_pick(strict_cpu(s), sequences, strict_as_narrow(in), width,
                strict_as_narrow(to));
    strict_tell(s, y, 0, false);
    strict_narrow_to(s, to, out, y);
    free(in);
}

static inline void strict_pool(struct lane *lane, enum pooling pooling,
                               const struct sequences *sequences,
                               const float *x, size_t width, float *y,
                               size_t stride) {
    struct strict *s = strict_of(lane->device);
    strict_check_group(s, sequences);
    device_pool(strict_cpu(s), pooling, sequences,
                strict_floats(s, x, s->rows * width), width,
                strict_floats(s, y, (sequences->texts - 1) * stride + width),
                stride);
}

static inline void strict_normalize(struct lane *lane, float *x, size_t rows,
                                    size_t width) {
    struct strict *s = strict_of(lane->device);
    device_normalize(strict_cpu(s), strict_floats(s, x, rows * width), rows,
                     width);
}

static inline void strict_accumulate(struct lane *lane, enum accumulate how,
                                     const float *x, size_t rows, size_t width,
                                     bool first, float *y, float *lost) {
    struct strict *s = strict_of(lane->device);
    device_accumulate(strict_cpu(s), how, strict_floats(s, x, rows * width),
                      rows, width, first, strict_floats(s, y, width),
                      lost ? strict_floats(s, lost, width) : NULL);
}

static const struct device_verbs STRICT_VERBS = {
    .kind = "strict",
    .close = strict_close,
    .lane = strict_lane,
    .widen = strict_lane_widen,
    .alloc = strict_alloc,
    .release = strict_release,
    .bytes_free = strict_bytes_free,
    .put = strict_put,
    .pin = strict_pin,
    .unpin = strict_unpin,
    .upload = strict_upload,
    .upload_wait = strict_upload_wait,
    .download = strict_download,
    .prepare = strict_prepare,
    .table_put = strict_table_put,
    .linear_bytes = strict_linear_bytes,
    .linear_pack = strict_linear_pack,
    .submit = strict_submit,
    .lane_bytes = strict_lane_bytes,
    .lane_use = strict_lane_use,
    .group = strict_group,
    .attention_bytes = strict_attention_bytes,
    .embed = strict_embed,
    .narrow = strict_narrow,
    .norm = strict_norm,
    .norm_heads = strict_norm_heads,
    .rotate = strict_rotate,
    .gate = strict_gate,
    .experts_bytes = strict_experts_bytes,
    .experts = strict_experts,
    .linear = strict_linear,
    .linear_narrow = strict_linear_narrow,
    .attention = strict_attention,
    .pick = strict_pick,
    .pool = strict_pool,
    .normalize = strict_normalize,
    .accumulate = strict_accumulate,
    .finish = strict_finish,
};

/* CPU is closed with it. */
static inline struct device *strict_open(struct device *cpu,
                                         enum strict_kind kind) {
    struct strict *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->cpu = cpu;
    s->kind = kind;
    s->device =
        (struct device){.verbs = &STRICT_VERBS,
                        .lanes = 1,
                        .name = "strict",
                        .storage_bytes = kind == STRICT_F16 ? 2 : 4,
                        .type = kind == STRICT_F16 ? NUMBER_F16 : NUMBER_F32,
                        .narrow_bytes = kind == STRICT_F16 ? 2 : 4,
                        .group_tokens = 64,
                        .block_multiple = STRICT_MULTIPLE,
                        .account = &s->account};
    s->lane = (struct lane){.device = &s->device, .number = 0};
    return &s->device;
}

#endif
