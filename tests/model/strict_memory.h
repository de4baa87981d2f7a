/* strict_memory.h - where the numbers of strict_device.h are, what its narrow
 * ones look like, and what comes and goes: blocks, copies, groups, results.
 */

#ifndef TESTS_MODEL_STRICT_MEMORY_H
#define TESTS_MODEL_STRICT_MEMORY_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "device/device.h"

enum strict_kind { STRICT_APART, STRICT_F16 };

enum { STRICT_BLOCKS = 8, STRICT_PAGE = 4096, STRICT_MULTIPLE = 512 };

#define STRICT_GATE 0.015625f /* 1 / 64 */

/* NUMBERS are at the address of the device, minus what was added to hide them.
 */
struct strict_block {
    char *numbers, *shown;
    size_t bytes, mapped;
    uint64_t charge;
};

struct strict_download {
    float *numbers, *to;
    size_t count;
    struct strict_download *next;
};

struct strict {
    struct device device; /* first */
    struct device *cpu;   /* owned */
    struct memory account;
    enum strict_kind kind;
    struct strict_block blocks[STRICT_BLOCKS];
    struct attention prepared[2];
    size_t prepared_count;
    char *pinned;
    size_t pinned_bytes;
    void *upload_to;
    const void *upload_from;
    size_t upload_bytes;
    size_t uploads, groups; /* ever */
    /* its lane */
    struct lane lane;
    bool submitted;
    uint32_t *room; /* (device) ids, then where texts begin */
    size_t room_rows, rows;
    struct strict_download *downloads;
    /* narrow rows whose one reader was told (struct linear's `feeds`) */
    const void *told, *spent; /* NULL: none; they have been read */
    size_t told_out;          /* outputs of the reader */
    bool told_gate;           /* it is a gate, and then that matrix */
    size_t told_reads;        /* ever */
};

static inline struct strict *strict_of(const struct device *device) {
    return (struct strict *)(uintptr_t)device;
}

static inline struct lane *strict_cpu(struct strict *s) {
    assert_true(s->submitted);
    return device_lane(s->cpu, 0);
}

/* ---- where numbers are -------------------------------------------------- */

static inline const struct strict_block *strict_block_of(const struct strict *s,
                                                         const void *p) {
    for (int i = 0; i < STRICT_BLOCKS; i++) {
        const struct strict_block *b = &s->blocks[i];
        if (b->shown && (const char *)p >= b->shown &&
            (const char *)p < b->shown + b->mapped)
            return b;
    }
    return NULL;
}

/* The BYTES at the device's address P; NULL for NULL. */
static inline void *strict_at(const struct strict *s, const void *p,
                              size_t bytes) {
    if (!p)
        return NULL;
    const struct strict_block *b = strict_block_of(s, p);
    if (!b)
        fail_msg("%p is in no block of the device", p);
    size_t begin = (size_t)((const char *)p - b->shown);
    if (begin > b->bytes || bytes > b->bytes - begin)
        fail_msg("%zu bytes at %zu of a block of %zu", bytes, begin, b->bytes);
    return b->numbers + begin;
}

static inline float *strict_floats(const struct strict *s, const float *p,
                                   size_t count) {
    return strict_at(s, p, count * sizeof *p);
}

/* Likewise, or host memory: of a layer that streams. */
static inline void *strict_spot(const struct strict *s, void *p, size_t bytes) {
    return strict_block_of(s, p) ? strict_at(s, p, bytes) : p;
}

/* ---- narrow numbers ----------------------------------------------------- */

static inline uint32_t strict_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float strict_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* To the nearest, of two the even one (IEEE 754). Small ones are multiples of
 * 2^-24, which adding and taking away 2^-1 rounds to. */
static inline uint16_t strict_half(float x) {
    uint32_t bits = strict_bits(x), sign = bits >> 16 & 0x8000;
    uint32_t size = bits & 0x7fffffff;
    if (size > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (size < 0x38800000) {
        volatile float sum = strict_float(size) + 0.5f;
        return (uint16_t)(sign | (strict_bits(sum) - strict_bits(0.5f)));
    }
    size += 0xfff + (size >> 13 & 1);
    if (size >= 0x47800000)
        return (uint16_t)(sign | 0x7c00);
    return (uint16_t)(sign | ((size - 0x38000000) >> 13));
}

static inline float strict_from_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, size = half & 0x7fff;
    if (size >= 0x7c00)
        return strict_float(sign | 0x7f800000 | (size & 0x3ff) << 13);
    float x = size < 0x400 ? (float)size / 16777216.0f
                           : strict_float((size << 13) + 0x38000000);
    return sign ? -x : x;
}

/* TO is written: its one reader has OUT outputs; 0: any may read it. */
static inline void strict_tell(struct strict *s, const void *to, size_t out,
                               bool gate) {
    if (s->told == to)
        s->told = NULL;
    if (s->spent == to)
        s->spent = NULL;
    if (!out)
        return;
    s->told = to;
    s->told_out = out;
    s->told_gate = gate;
}

/* X is read by a matrix of OUT outputs, or a gate: what was told of it holds.
 */
static inline size_t strict_told(struct strict *s, const void *x, size_t out,
                                 bool gate) {
    assert_true(!s->spent || x != s->spent);
    if (x != s->told)
        return 0;
    assert_int_equal(gate, s->told_gate);
    if (!gate)
        assert_int_equal(out, s->told_out);
    s->told = NULL;
    s->spent = x;
    s->told_reads++;
    return s->told_out;
}

static inline void strict_write(const struct strict *s, const float *from,
                                size_t count, void *to) {
    for (size_t i = 0; i < count; i++)
        if (s->kind == STRICT_F16)
            ((uint16_t *)to)[i] = strict_half(from[i]);
        else
            ((uint32_t *)to)[i] = strict_bits(from[i]) ^ 0x5a5a5a5a;
}

/* COUNT narrow numbers at P as floats, TIMES each; the caller frees. */
static inline float *strict_widen(const struct strict *s, const void *p,
                                  size_t count, float times) {
    const void *from = strict_at(s, p, count * s->device.narrow_bytes);
    assert_true(!s->told || p != s->told);
    float *x = malloc(count ? count * sizeof *x : 1);
    for (size_t i = 0; x && from && i < count; i++)
        x[i] = times *
               (s->kind == STRICT_F16
                    ? strict_from_half(((const uint16_t *)from)[i])
                    : strict_float(((const uint32_t *)from)[i] ^ 0x5a5a5a5a));
    return x;
}

/* X, which is freed, to P. */
static inline void strict_narrow_to(const struct strict *s, float *x,
                                    size_t count, const struct narrow *p) {
    strict_write(s, x, count, strict_at(s, p, count * s->device.narrow_bytes));
    free(x);
}

static inline struct narrow *strict_as_narrow(float *x) {
    return (struct narrow *)(void *)x; /* as the CPU takes them */
}

/* ---- the device --------------------------------------------------------- */

static inline void strict_close(struct device *device) {
    struct strict *s = strict_of(device);
    assert_null(s->pinned);
    assert_null(s->downloads);
    assert_int_equal(memory_live(&s->account), 0);
    device_close(s->cpu);
    free(s);
}

static inline struct lane *strict_lane(struct device *device, unsigned number) {
    assert_int_equal(number, 0);
    return &strict_of(device)->lane;
}

static inline void strict_lane_widen(struct lane *lane, bool wide) {
    (void)lane;
    (void)wide;
}

static inline void *strict_alloc(struct device *device, size_t bytes,
                                 uint64_t charge, struct reservation *from,
                                 struct error *err) {
    struct strict *s = strict_of(device);
    struct strict_block *b = s->blocks;
    assert_int_equal(charge, device_block_bytes(device, bytes));
    while (b->shown)
        assert_true(++b < s->blocks + STRICT_BLOCKS);
    size_t mapped = bytes / STRICT_PAGE * STRICT_PAGE + STRICT_PAGE;
    char *all =
        mmap(NULL, 2 * mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(all != MAP_FAILED);
    assert_int_equal(mprotect(all, mapped, PROT_READ | PROT_WRITE), 0);
    memset(all, 0xff, mapped);
    if (!memory_charge(&s->account, charge, from, err))
        fail_msg("the account has a ceiling");
    *b = (struct strict_block){all, all + mapped, bytes, mapped, charge};
    return b->shown;
}

static inline void strict_release(struct device *device, void *block) {
    struct strict *s = strict_of(device);
    struct strict_block *b = s->blocks;
    while (b->shown != block)
        assert_true(++b < s->blocks + STRICT_BLOCKS);
    memory_discharge(&s->account, b->charge);
    assert_int_equal(munmap(b->numbers, 2 * b->mapped), 0);
    *b = (struct strict_block){0};
}

static inline bool strict_bytes_free(struct device *device, uint64_t *bytes,
                                     struct error *err) {
    return device_bytes_free(strict_of(device)->cpu, bytes, err);
}

static inline void strict_put(struct device *device, void *to, const void *from,
                              size_t bytes) {
    memcpy(strict_spot(strict_of(device), to, bytes), from, bytes);
}

static inline void strict_pin(struct device *device, void *host, size_t bytes) {
    struct strict *s = strict_of(device);
    assert_null(s->pinned);
    assert_null(strict_block_of(s, host));
    s->pinned = host;
    s->pinned_bytes = bytes;
}

static inline void strict_unpin(struct device *device, void *host) {
    struct strict *s = strict_of(device);
    assert_ptr_equal(s->pinned, host);
    s->pinned = NULL;
}

static inline void strict_upload(struct device *device, void *to,
                                 const void *from, size_t bytes) {
    struct strict *s = strict_of(device);
    assert_null(s->upload_to);
    assert_true((const char *)from >= s->pinned &&
                (const char *)from + bytes <= s->pinned + s->pinned_bytes);
    memset(strict_at(s, to, bytes), 0xff, bytes);
    s->upload_to = to;
    s->upload_from = from;
    s->upload_bytes = bytes;
    s->uploads++;
}

static inline bool strict_upload_wait(struct device *device,
                                      struct error *err) {
    struct strict *s = strict_of(device);
    (void)err;
    if (s->upload_to)
        memcpy(strict_at(s, s->upload_to, s->upload_bytes), s->upload_from,
               s->upload_bytes);
    s->upload_to = NULL;
    return true;
}

static inline void strict_table_put(struct device *device, const float *rows,
                                    size_t columns, size_t row_begin,
                                    size_t row_count, void *table) {
    struct strict *s = strict_of(device);
    size_t row = columns * device->narrow_bytes;
    char *to = strict_spot(s, table, (row_begin + row_count) * row);
    strict_write(s, rows, row_count * columns, to + row_begin * row);
}

static inline size_t strict_linear_bytes(const struct device *device, size_t in,
                                         size_t out) {
    return device_linear_bytes(strict_of(device)->cpu, in, out);
}

static inline void strict_linear_pack(struct device *device,
                                      const float *weights, size_t in,
                                      size_t out, size_t row_begin,
                                      size_t row_count, void *packed) {
    struct strict *s = strict_of(device);
    device_linear_pack(
        s->cpu, weights, in, out, row_begin, row_count,
        strict_spot(s, packed, device_linear_bytes(s->cpu, in, out)));
}

/* ---- groups ------------------------------------------------------------- */

static inline bool strict_submit(struct lane *lane, struct error *err) {
    struct strict *s = strict_of(lane->device);
    assert_false(s->submitted);
    s->submitted = true;
    return device_submit(device_lane(s->cpu, 0), err);
}

static inline bool strict_finish(struct lane *lane, struct error *err) {
    struct strict *s = strict_of(lane->device);
    for (struct strict_download *d; (d = s->downloads);) {
        memcpy(d->to, d->numbers, d->count * sizeof *d->to);
        s->downloads = d->next;
        free(d->numbers);
        free(d);
    }
    s->submitted = false;
    return device_finish(device_lane(s->cpu, 0), err);
}

static inline void strict_download(struct lane *lane, const float *from,
                                   size_t count, float *to) {
    struct strict *s = strict_of(lane->device);
    struct strict_download *d = malloc(sizeof *d);
    assert_true(d && s->submitted);
    assert_null(strict_block_of(s, to));
    *d = (struct strict_download){malloc(count * sizeof *to), to, count,
                                  s->downloads};
    assert_non_null(d->numbers);
    memcpy(d->numbers, strict_floats(s, from, count), count * sizeof *to);
    s->downloads = d;
}

static inline size_t strict_lane_bytes(const struct device *device,
                                       size_t rows) {
    (void)device;
    return (2 * rows + 1) * sizeof(uint32_t);
}

static inline void strict_lane_use(struct lane *lane, void *room, size_t rows) {
    struct strict *s = strict_of(lane->device);
    s->room = room;
    s->room_rows = rows;
}

static inline uint32_t *strict_room(const struct strict *s) {
    return strict_at(s, s->room, strict_lane_bytes(&s->device, s->room_rows));
}

static inline void strict_group(struct lane *lane,
                                const struct sequences *sequences,
                                const uint32_t *ids) {
    struct strict *s = strict_of(lane->device);
    uint32_t *room = strict_room(s);
    assert_true(s->submitted);
    s->rows = sequences_rows(sequences);
    assert_true(s->rows <= s->room_rows && sequences->texts <= s->rows);
    for (size_t i = 0; ids && i < s->rows; i++)
        room[i] = ids[i];
    for (size_t t = 0; t <= sequences->texts; t++)
        room[s->rows + t] = (uint32_t)sequences_row(sequences, t);
    s->groups++;
}

/* Is it what the lane's group said? */
static inline void strict_check_group(const struct strict *s,
                                      const struct sequences *sequences) {
    const uint32_t *starts = strict_room(s) + s->rows;
    for (size_t t = 0; t <= sequences->texts; t++)
        assert_int_equal(sequences_row(sequences, t), starts[t]);
    assert_int_equal(sequences_rows(sequences), s->rows);
}

#endif
