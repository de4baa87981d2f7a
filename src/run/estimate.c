/* estimate.c - time: tokens, and how fast they go. */

#include "run/estimate.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "model/shape.h"

/* ---- time --------------------------------------------------------------- */

bool estimate_tokens(struct engine *engine, const struct intake *intake,
                     uint64_t *tokens, struct error *err) {
    struct chunk_reader *reader = chunk_reader_open(intake, err);
    struct tokens out = tokens_make(&engine->session->memory);
    struct chunk chunk;
    enum chunk_step step = reader ? CHUNK_OK : CHUNK_ERROR;
    uint64_t seen = 0, sum = 0;
    size_t starts[2];
    while (seen < ESTIMATE_CHUNKS && step == CHUNK_OK) {
        step = chunk_reader_next(reader, true, &chunk, err);
        out.count = 0;
        if (step == CHUNK_OK &&
            !engine_tokenize(engine, &chunk.text, 1, &out, starts, err))
            step = CHUNK_ERROR;
        sum += out.count;
        seen += step == CHUNK_OK;
    }
    tokens_free(&out);
    chunk_reader_close(reader);
    *tokens = estimate_scaled(sum, seen, intake->counts.unique);
    return step != CHUNK_ERROR;
}

/* Tokens that one sees in a text of LENGTH. */
static double tokens_seen(const struct reach *reach, double length) {
    double behind = fmin((double)reach->behind, length);
    double ahead = fmin((double)reach->ahead, length);
    return fmin(behind + ahead + 1, length);
}

/* Numbers of experts that a token does not pass through, in a layer. */
static double idle_numbers(const struct model_spec *spec, size_t layer) {
    return layer_set_has(&spec->experts_at, layer)
               ? 2 * (double)(spec->experts - spec->experts_chosen) *
                     (double)spec->hidden * (double)spec->inter
               : 0;
}

double estimate_flops(const struct member *member, double length) {
    const struct model_spec *spec = &member->spec;
    struct shape shape;
    double sum = 0;
    shape_of_spec(spec, &shape);
    for (size_t i = 0; i < spec->depth; i++) {
        size_t layer = model_spec_layer(spec, i);
        const struct reach *reach =
            &spec->reach[layer_set_has(&spec->local, layer)];
        sum += 2 * ((double)shape.layer_count - idle_numbers(spec, layer));
        sum += 4 * tokens_seen(reach, length) *
               (double)(spec->heads * spec->head_dim);
    }
    if (spec->traits & TRAIT_MLM)
        sum +=
            2 * (double)spec->embedding * (double)(spec->vocab + spec->hidden);
    return sum;
}

/* A card needs a larger product, and many in flight. */
struct trial {
    struct device *device;
    size_t side, rows, times;
    size_t packed, narrow; /* bytes of the matrix and of X, rounded */
    char *block;           /* the matrix, X, Y */
};
enum { MEASURE_NS = 20 * 1000 * 1000, TIMES_MOST = 256 };

static size_t rounded(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t trial_bytes(const struct trial *t) {
    return t->packed + t->narrow + t->rows * t->side * sizeof(float);
}

static struct trial trial_of(struct device *device) {
    struct trial t = {.device = device, .side = 512, .rows = 256, .times = 1};
    if (!device->host_memory) {
        t.side = 1024;
        t.rows = 512;
    }
    t.packed = rounded(device_linear_bytes(device, t.side, t.side));
    t.narrow = rounded(t.rows * t.side * device->narrow_bytes);
    return t;
}

static bool clear_block(const struct trial *t) {
    static const char zeros[16384];
    for (size_t at = 0, all = t->packed + t->narrow; at < all;
         at += sizeof zeros)
        device_put(t->device, t->block + at, zeros,
                   all - at < sizeof zeros ? all - at : sizeof zeros);
    return device_upload_wait(t->device, NULL);
}

static bool multiply(const struct trial *t, struct lane *lane) {
    struct linear linear = {.in = t->side, .out = t->side, .weights = t->block};
    const struct narrow *x =
        (const struct narrow *)(const void *)(t->block + t->packed);
    float *y = (float *)(void *)(t->block + t->packed + t->narrow);
    for (size_t i = 0; i < t->times; i++)
        device_linear(lane, &linear, x, t->rows, ACTIVATION_NONE, NULL, y);
    return device_finish(lane, NULL);
}

/* Waiting for a card costs more than a product: more of them at a time, until
 * it is a small part. */
static double measure(struct trial *t) {
    struct lane *lane = device_lane(t->device, 0);
    double each = 2.0 * (double)t->side * (double)t->side * (double)t->rows;
    double done = 0;
    lane_widen(lane, true);
    bool fine = clear_block(t) && multiply(t, lane);
    int64_t begin = clock_now_ns(), now = begin;
    while (fine && now - begin < MEASURE_NS) {
        int64_t round = now;
        fine = multiply(t, lane);
        done += fine ? each * (double)t->times : 0;
        now = clock_now_ns();
        if (now - round < MEASURE_NS / 20 && t->times < TIMES_MOST)
            t->times *= 2;
    }
    lane_widen(lane, false);
    return now > begin ? done * 1e9 / (double)(now - begin) : 0;
}

uint64_t estimate_rate_bytes(struct device *device) {
    struct trial t = trial_of(device);
    return device_block_bytes(device, trial_bytes(&t));
}

double estimate_rate(struct device *device) {
    struct trial t = trial_of(device);
    size_t bytes = trial_bytes(&t);
    t.block = device_alloc(
        device, bytes,
        device->charges_shapes ? 0 : device_block_bytes(device, bytes), NULL,
        NULL);
    double rate = t.block ? measure(&t) : 0;
    device_release(device, t.block);
    return rate;
}
