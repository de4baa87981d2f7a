#include "run/estimate.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "data/points.h"
#include "model/shape.h"

/* ---- disk --------------------------------------------------------------- */

struct sample {
    struct session *session;
    const struct intake *intake;
    struct named_vector *vectors;
    size_t vectors_count;
    struct strbuf line;
    uint64_t points, texts, metadata; /* bytes of the lines so far */
};

/* Numbers as a unit vector has them: their digits are what counts. */
static void fill_randomly(float *values, size_t width) {
    uint64_t state = 1;
    for (size_t i = 0; i < width; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        values[i] = ((float)(state >> 40) / 8388608.0f - 1.0f) /
                    sqrtf((float)width / 3.0f);
    }
}

static size_t widest(const struct roster *roster) {
    size_t width = roster->fused_width;
    for (size_t i = 0; i < roster->count; i++)
        if (!roster->members[i].error.code && roster->members[i].width > width)
            width = roster->members[i].width;
    return width ? width : 1;
}

static void name_vectors(struct sample *s, const struct roster *roster,
                         const float *values) {
    for (size_t i = 0; i < roster->count; i++)
        if (!roster->members[i].error.code &&
            member_has(&roster->members[i], ROW_DENSE))
            s->vectors[s->vectors_count++] =
                (struct named_vector){.name = roster->members[i].key,
                                      .values = values,
                                      .width = roster->members[i].width};
    if (roster->fused_width)
        s->vectors[s->vectors_count++] = (struct named_vector){
            .name = "fused", .values = values, .width = roster->fused_width};
}

static bool add_chunk(struct sample *s, const struct chunk *chunk,
                      struct error *err) {
    const struct run_options *options = s->session->options;
    strbuf_clear(&s->line);
    point_line(&s->line, chunk, s->intake->collection,
               options->text_field ? options->text_field : "text", s->vectors,
               s->vectors_count);
    s->points += s->line.size;
    /* A few characters of a text are escaped. */
    s->texts += chunk->original.size + chunk->original.size / 32 + 3;
    s->metadata += chunk->metadata.size + 1;
    return strbuf_ok(&s->line, err);
}

static bool look_at_chunks(struct sample *s, uint64_t *seen,
                           struct error *err) {
    struct chunk_reader *reader = chunk_reader_open(s->intake, err);
    struct chunk chunk;
    enum chunk_step step = reader ? CHUNK_OK : CHUNK_ERROR;
    for (*seen = 0; *seen < ESTIMATE_CHUNKS && step == CHUNK_OK;) {
        step = chunk_reader_next(reader, false, &chunk, err);
        if (step == CHUNK_OK && !add_chunk(s, &chunk, err))
            step = CHUNK_ERROR;
        *seen += step == CHUNK_OK;
    }
    chunk_reader_close(reader);
    return step != CHUNK_ERROR;
}

static uint64_t scaled(uint64_t bytes, uint64_t seen, uint64_t all) {
    return seen ? (uint64_t)((double)bytes / (double)seen * (double)all) : 0;
}

static void scale(const struct sample *s, unsigned exports,
                  struct disk_estimate *disk) {
    uint64_t points = s->intake->counts.points, floats = 0;
    for (size_t i = 0; i < s->vectors_count; i++)
        floats += s->vectors[i].width;
    if (exports & EXPORT_NPY)
        disk->arrays_bytes = points * floats * sizeof(float);
    if (exports & EXPORT_POINTS)
        disk->points_bytes = scaled(s->points, disk->sampled, points);
    if (exports & EXPORT_TEXTS)
        disk->texts_bytes = scaled(s->texts, disk->sampled, points);
    if (exports & EXPORT_METADATA)
        disk->metadata_bytes = scaled(s->metadata, disk->sampled, points);
}

/* Sparse vectors and multivectors, by their rows in the stores: as arrays they
 * take about as much (and half of that besides, while a sparse one is written),
 * as text in points.jsonl three times as much. */
static void add_ragged(const struct roster *roster,
                       const struct intake_counts *counts, unsigned exports,
                       struct disk_estimate *disk) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < roster->count; i++)
        for (enum row_kind h = ROW_SPARSE; h < ROW_KINDS; h++)
            if (!roster->members[i].error.code &&
                member_has(&roster->members[i], h))
                bytes += estimate_row_bytes(&roster->members[i], h, counts);
    bytes *= counts->points;
    disk->arrays_bytes += exports & EXPORT_NPY ? bytes + bytes / 2 : 0;
    disk->points_bytes += exports & EXPORT_POINTS ? 3 * bytes : 0;
}

bool estimate_disk(struct session *session, const struct roster *roster,
                   const struct intake *intake, unsigned exports,
                   struct disk_estimate *disk, struct error *err) {
    struct memory *memory = &session->memory;
    struct sample s = {
        .session = session, .intake = intake, .line = strbuf_make(memory)};
    size_t width = widest(roster);
    float *values = memory_alloc(memory, width, sizeof *values, err);
    s.vectors = memory_alloc(memory, roster->count + 1, sizeof *s.vectors, err);
    bool fine = values && s.vectors;
    *disk = (struct disk_estimate){0};
    if (fine) {
        fill_randomly(values, width);
        name_vectors(&s, roster, values);
        fine = look_at_chunks(&s, &disk->sampled, err);
        scale(&s, exports, disk);
        add_ragged(roster, &intake->counts, exports, disk);
    }
    memory_free(memory, values);
    memory_free(memory, s.vectors);
    strbuf_free(&s.line);
    return fine;
}

/* A token is some four bytes of text; half of the tokens are different. SPLADE
 * adds terms that the text does not have. */
uint64_t estimate_row_bytes(const struct member *member, enum row_kind head,
                            const struct intake_counts *counts) {
    enum { TOKEN_BYTES = 4, SPLADE_PAIRS = 256, PAIR_BYTES = 8 };
    uint64_t width = member_head_width(member, head);
    if (head == ROW_DENSE)
        return width * sizeof(float);
    uint64_t tokens =
        counts->unique ? counts->text_bytes / counts->unique / TOKEN_BYTES + 1
                       : 1;
    if (!member->bm25 && tokens > member->spec.max_length)
        tokens = member->spec.max_length;
    if (head == ROW_MULTI)
        return tokens * width * sizeof(float);
    uint64_t added = !member->bm25 && member->spec.sparse != SPARSE_LEXICAL
                         ? SPLADE_PAIRS
                         : 0;
    return (tokens / 2 + added) * PAIR_BYTES;
}

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
            !engine_tokenize(engine, &chunk.text, 1, TOKENIZER_CUT, &out,
                             starts, NULL, err))
            step = CHUNK_ERROR;
        sum += out.count;
        seen += step == CHUNK_OK;
    }
    tokens_free(&out);
    chunk_reader_close(reader);
    *tokens = scaled(sum, seen, intake->counts.unique);
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
