/* cuda_fixture.h - a card beside the CPU, and numbers on both.
 *
 * The card is a fake one (tests/device/cuda/fake_cuda.h) unless the environment
 * has ENS_REAL_CARD: then it is cuda:0, and NVIDIA's libraries are looked for
 * in that folder too (tools/gpu_check sets it, and with ENS_REAL_CARD_CACHE
 * where compiled kernels are kept). What only a fake can do is skipped there.
 */

#ifndef TESTS_DEVICE_CUDA_FIXTURE_H
#define TESTS_DEVICE_CUDA_FIXTURE_H

#include "device/cuda/cuda_parts.h"
#include "device/cuda/fake_fixture.h"
#include "device/fixture.h"

enum { BLOCK_BYTES = 24 << 20 };

struct rig {
    struct memory memory;
    struct pool *pool;
    struct device *cpu, *card;
    struct lane *on_cpu, *on_card;
    char *block; /* on the card */
    size_t used;
    enum number_type type;
    double unit; /* the greatest relative error of a narrow number */
};

static inline struct device *card_open(struct memory *memory, struct pool *pool,
                                       const char *name, enum number_type type,
                                       struct error *err) {
    const char *folders[] = {fake_folders()[0], NULL};
    struct device_options options = {.memory = memory,
                                     .pool = pool,
                                     .type = type,
                                     .library_folders = folders};
    struct device_name device = {.storage_bytes = 2};
    if (is_real()) {
        folders[0] = getenv("ENS_REAL_CARD");
        options.kernel_cache = getenv("ENS_REAL_CARD_CACHE");
    }
    snprintf(device.name, sizeof device.name, "%s", name);
    return device_open(&device, &options, err);
}

/* CARDS (fake_cuda.h): NAME is not opened in TYPE, and REASON is said. */
static inline void card_refused(const char *cards, const char *name,
                                enum number_type type, enum error_code code,
                                const char *reason) {
    struct memory memory = {0};
    struct error err = {0};
    cards_are(cards);
    struct pool *pool = pool_create(&memory, 1, &err);
    assert_null(card_open(&memory, pool, name, type, &err));
    if (err.code != code || !strstr(err.message, reason))
        fail_msg("%s: code %d: %s", cards, (int)err.code, err.message);
    pool_free(pool);
    assert_int_equal(memory_live(&memory), 0);
    assert_nothing_is_live(0);
}

/* A real card may be too old for bf16. */
static inline bool can_do(enum number_type type) {
    struct memory memory = {0};
    struct error err = {0};
    struct pool *pool = pool_create(&memory, 1, &err);
    struct device *card = card_open(&memory, pool, "cuda:0", type, &err);
    if (!card && err.code != ERROR_USAGE)
        fail_msg("%s", err.message);
    device_close(card);
    pool_free(pool);
    return card;
}

/* ---- the rig ------------------------------------------------------------ */

static const char *const T4 = "card name=Tesla_T4 capability=7.5\n";
/* Lazy: whoever forgets to wait reads nonsense. */
static const char *const A100 =
    "mode lazy\ncard name=A100 capability=8.0 memory=40G\n";

static const char *const H200 = "card name=H200 capability=9.0 memory=141G\n";

static inline void rig_open(struct rig *r, const char *cards,
                            enum number_type type) {
    struct error err = {0};
    cards_are(cards);
    *r = (struct rig){.type = type};
    r->unit = type == NUMBER_F32   ? 0x1p-24
              : type == NUMBER_F16 ? 0x1p-11
                                   : 0x1p-8;
    r->pool = pool_create(&r->memory, 2, &err);
    struct device_options options = {.memory = &r->memory, .pool = r->pool};
    r->cpu = r->pool ? device_open(&DEVICE_CPU, &options, &err) : NULL;
    r->card =
        r->cpu ? card_open(&r->memory, r->pool, "cuda:0", type, &err) : NULL;
    if (r->card)
        r->block = device_alloc(r->card, BLOCK_BYTES, 0, NULL, &err);
    if (!r->block)
        fail_msg("%s", err.message);
    r->on_cpu = device_lane(r->cpu, 0);
    r->on_card = device_lane(r->card, 0);
}

static inline void rig_close(struct rig *r) {
    device_release(r->card, r->block);
    device_close(r->card);
    device_close(r->cpu);
    pool_free(r->pool);
    assert_int_equal(memory_live(&r->memory), 0);
    assert_nothing_is_live(0);
}

static inline void on_each_type(void (*test)(struct rig *r)) {
    static const struct {
        const char *const *cards;
        enum number_type type;
    } TYPES[] = {{&T4, NUMBER_F16},
                 {&A100, NUMBER_BF16},
                 {&T4, NUMBER_F32},
                 {&H200, NUMBER_F16}};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        struct rig r;
        if (is_real() && !can_do(TYPES[i].type))
            continue;
        rig_open(&r, *TYPES[i].cards, TYPES[i].type);
        test(&r);
        rig_close(&r);
    }
}

/* ---- numbers there and back --------------------------------------------- */

static inline void *card_room(struct rig *r, size_t bytes) {
    void *room = r->block + r->used;
    r->used += (bytes + 63) / 64 * 64;
    if (r->used > BLOCK_BYTES)
        fail_msg("the block is too small");
    return room;
}

static inline void finish(struct rig *r) {
    struct error err = {0};
    if (!device_finish(r->on_card, &err))
        fail_msg("%s", err.message);
}

static inline void submit(struct rig *r) {
    struct error err = {0};
    if (!device_submit(r->on_card, &err))
        fail_msg("%s", err.message);
}

static inline float *card_floats(struct rig *r, const float *host,
                                 size_t count) {
    float *room = card_room(r, count * sizeof *room);
    device_put(r->card, room, host, count * sizeof *room);
    submit(r);
    return room;
}

static inline float widened(enum number_type type, const void *numbers,
                            size_t i) {
    uint16_t bits;
    if (type == NUMBER_F32)
        return ((const float *)numbers)[i];
    memcpy(&bits, (const char *)numbers + 2 * i, sizeof bits);
    if (type == NUMBER_BF16) {
        uint32_t all = (uint32_t)bits << 16;
        float x;
        memcpy(&x, &all, sizeof x);
        return x;
    }
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                  : exponent == 0 ? ldexp(fraction, -24)
                                  : ldexp(1024 + fraction, exponent - 25);
    return (float)(bits & 0x8000 ? -size : size);
}

/* HOST is rounded too: both sides have the same numbers. */
static inline struct narrow *card_narrow(struct rig *r, float *host,
                                         size_t count) {
    struct narrow *room = card_room(r, count * r->card->narrow_bytes);
    void *numbers = malloc(count * r->card->narrow_bytes + 1);
    if (r->type == NUMBER_F32)
        memcpy(numbers, host, count * sizeof *host);
    else if (r->type == NUMBER_F16)
        cuda_narrow_f16(host, count, numbers);
    else
        cuda_narrow_bf16(host, count, numbers);
    for (size_t i = 0; i < count; i++)
        host[i] = widened(r->type, numbers, i);
    device_put(r->card, room, numbers, count * r->card->narrow_bytes);
    free(numbers);
    submit(r);
    return room;
}

static inline float *read_floats(struct rig *r, const float *from,
                                 size_t count) {
    float *host = floats(count);
    device_download(r->on_card, from, count, host);
    finish(r);
    return host;
}

static inline float *read_narrow(struct rig *r, const struct narrow *from,
                                 size_t count) {
    size_t words = (count * r->card->narrow_bytes + 3) / 4;
    float *raw = read_floats(r, (const float *)(const void *)from, words);
    float *host = floats(count);
    for (size_t i = 0; i < count; i++)
        host[i] = widened(r->type, raw, i);
    free(raw);
    return host;
}

static inline void assert_close(const float *got, const float *want,
                                size_t count, double absolute, double relative,
                                const char *what) {
    for (size_t i = 0; i < count; i++)
        assert_near((double)got[i], (double)want[i],
                    absolute + relative * fabs((double)want[i]), what, i);
}

/* The same, and GOT is the card's and freed. */
static inline void assert_floats(struct rig *r, const float *card,
                                 const float *want, size_t count,
                                 double absolute, double relative,
                                 const char *what) {
    float *got = read_floats(r, card, count);
    assert_close(got, want, count, absolute, relative, what);
    free(got);
}

static inline void assert_narrow(struct rig *r, const struct narrow *card,
                                 const float *want, size_t count,
                                 double absolute, double relative,
                                 const char *what) {
    float *got = read_narrow(r, card, count);
    assert_close(got, want, count, absolute, relative + r->unit, what);
    free(got);
}

/* ---- groups ------------------------------------------------------------- */

struct texts {
    struct sequences sequences;
    uint32_t starts[64];
    uint32_t *ids;
};

/* Texts of these lengths, 0 at the end; the group begins. */
static inline void begin_group(struct rig *r, struct texts *t,
                               const size_t *lengths, uint32_t vocab) {
    *t = (struct texts){.starts = {0}};
    size_t texts = 0;
    for (; lengths[texts]; texts++)
        t->starts[texts + 1] = t->starts[texts] + (uint32_t)lengths[texts];
    size_t rows = t->starts[texts];
    t->sequences = (struct sequences){.texts = texts, .starts = t->starts};
    t->ids = malloc(rows * sizeof *t->ids);
    for (size_t i = 0; i < rows; i++)
        t->ids[i] = (uint32_t)((double)(random_float() + 1) / 2 * vocab);
    device_lane_use(r->on_card, card_room(r, device_lane_bytes(r->card, rows)),
                    rows);
    submit(r);
    device_group(r->on_card, &t->sequences, t->ids);
    device_group(r->on_cpu, &t->sequences, t->ids);
}

#endif
