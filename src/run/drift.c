/* drift.c - the f32 side of the comparison: its memory, its encoder, cosines.
 */

#include "run/drift.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/doubles.h"
#include "base/layout.h"
#include "run/crew.h"
#include "run/dtype.h"
#include "run/estimate.h"
#include "run/pass.h"
#include "run/plan.h"

/* Of a card's pass, in milliseconds. */
static const double SHARE_OF_PASS = 0.05, ALWAYS_MS = 1000;
/* Reading and packing the layers takes as long as so many tokens, about. */
enum { READING_TOKENS = 100 };

/* Texts are encoded whole. */
static const struct long_frame NO_WINDOWS = {0};

/* ---- cosines ------------------------------------------------------------ */

static double of_sums(double ab, double aa, double bb) {
    if (aa == 0 && bb == 0)
        return 1;
    double cosine = aa == 0 || bb == 0 ? 0 : ab / (sqrt(aa) * sqrt(bb));
    return cosine > 1 ? 1 : cosine;
}

static double cosine_of_floats(const float *a, const float *b, size_t count) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return of_sums(ab, aa, bb);
}

static double squares(const struct row *row) {
    double sum = 0;
    for (size_t i = 0; i < row->count; i++)
        sum += (double)row->values[i] * row->values[i];
    return sum;
}

/* Their indices ascend. */
static double cosine_of_pairs(const struct row *a, const struct row *b) {
    double ab = 0;
    for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
        uint32_t left = a->indices[i], right = b->indices[k];
        if (left == right)
            ab += (double)a->values[i] * b->values[k];
        i += left <= right;
        k += right <= left;
    }
    return of_sums(ab, squares(a), squares(b));
}

double drift_cosine(enum row_kind head, size_t width, const struct row *a,
                    const struct row *b) {
    if (head == ROW_SPARSE)
        return cosine_of_pairs(a, b);
    return a->count == b->count
               ? cosine_of_floats(a->values, b->values, a->count * width)
               : 0;
}

double drift_median(double *values, size_t count) {
    doubles_sort(values, count);
    size_t half = count / 2;
    return count % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/* ---- the f32 side ------------------------------------------------------- */

/* What it is made for. */
struct side_size {
    size_t texts, tokens, longest; /* in a batch; of a text */
};

/* Buffers of a batch, besides the encoder's workspace. */
struct desk {
    struct window window; /* only what batch_encode looks at */
    struct batch batch;
    double *cosines[ROW_KINDS]; /* [texts] */
};

struct side {
    struct session *session;
    const struct member *member;
    struct device *device; /* borrowed */
    struct weights *weights;
    struct encoder *encoder;
    void *workspace, *block; /* owned; of the desk */
    struct row_buffer stored;
    struct desk desk;
    struct side_size size;
};

static const struct weights_placement FROM_FILE = {.from_file = true};

static struct rows_size rows_size(const struct member *member,
                                  const struct side_size *size) {
    struct rows_size rows = {0};
    rows_size_add(&rows, member, size->texts, size->tokens, &NO_WINDOWS,
                  size->longest);
    rows.texts = size->texts;
    return rows;
}

/* Runs twice: first with an empty layout, to measure. */
static void place(struct layout *l, const struct member *member,
                  const struct side_size *size, struct desk *desk) {
    struct rows_size rows = rows_size(member, size);
    struct batch *b = &desk->batch;
    b->ids = layout_take(l, size->tokens, sizeof *b->ids);
    b->starts = layout_take(l, size->texts + 1, sizeof *b->starts);
    desk->window.order =
        layout_take(l, size->texts, sizeof *desk->window.order);
    desk->window.starts =
        layout_take(l, size->texts + 1, sizeof *desk->window.starts);
    for (int h = 0; h < ROW_KINDS; h++)
        desk->cosines[h] =
            layout_take(l, DRIFT_TEXTS_MOST, sizeof *desk->cosines[h]);
    rows_place(l, &rows, &b->rows);
}

/* The largest row that a store may give. */
static size_t stored_bytes(const struct member *member,
                           const struct side_size *size) {
    const struct model_spec *spec = &member->spec;
    size_t dense = member_has(member, ROW_DENSE) ? spec->width : 0;
    size_t sparse = !member_has(member, ROW_SPARSE)  ? 0
                    : spec->sparse == SPARSE_LEXICAL ? 2 * size->longest
                                                     : 2 * spec->vocab;
    size_t multi =
        member_has(member, ROW_MULTI) ? size->longest * spec->multi_width : 0;
    size_t most = dense > sparse ? dense : sparse;
    return (multi > most ? multi : most) * sizeof(float);
}

/* For TEXTS of up to LONGEST tokens, in batches of TOKENS. */
static struct side_size side_size(const struct member *member, size_t texts,
                                  size_t longest, size_t tokens) {
    if (tokens < longest)
        tokens = longest;
    return (struct side_size){.texts = rows_texts_most(member, texts),
                              .tokens = rows_tokens_most(member, tokens),
                              .longest = longest};
}

static struct encoder_budget budget_of(const struct side *side) {
    return encoder_budget_make(&side->member->spec, true, side->device,
                               side->size.tokens, side->size.longest);
}

static bool measure(const struct side *side, uint64_t *bytes,
                    struct error *err) {
    const struct member *member = side->member;
    struct encoder_budget budget = budget_of(side);
    struct weights_need weights;
    struct encoder_need space;
    struct layout desk = {0};
    struct desk nowhere = {0};
    if (!weights_measure(&member->spec, member->files, side->device, &FROM_FILE,
                         &weights, err) ||
        !encoder_workspace(&member->spec, NULL, side->device, &budget, &space,
                           err))
        return false;
    place(&desk, member, &side->size, &nowhere);
    if (desk.overflow)
        return error_set(err, ERROR_MEMORY, "the sizes overflow");
    uint64_t work = encoder_own_bytes(side->device) + space.charge +
                    memory_block_bytes(desk.bytes) +
                    memory_block_bytes(stored_bytes(member, &side->size));
    *bytes = weights.charge_bytes + weights.host_bytes +
             (work > weights.loading_bytes ? work : weights.loading_bytes);
    return true;
}

static bool open_side(struct side *side, struct error *err) {
    const struct member *member = side->member;
    struct memory *memory = &side->session->memory;
    struct encoder_budget budget = budget_of(side);
    struct encoder_need space;
    struct layout sizes = {0}, real = {0};
    side->weights = weights_load(memory, &member->spec, member->files,
                                 side->device, &FROM_FILE, NULL, err);
    if (!side->weights)
        return false;
    side->encoder = encoder_create(memory, &member->spec, side->weights,
                                   side->device, side->session->pool, err);
    if (!side->encoder || !encoder_workspace(&member->spec, NULL, side->device,
                                             &budget, &space, err))
        return false;
    side->workspace =
        device_alloc(side->device, space.bytes, space.charge, NULL, err);
    place(&sizes, member, &side->size, &side->desk);
    side->block = memory_alloc(memory, 1, sizes.bytes, err);
    side->stored.memory = memory;
    if (!side->workspace || !side->block ||
        !row_buffer_reserve(&side->stored, stored_bytes(member, &side->size),
                            err))
        return false;
    real.base = side->block;
    place(&real, member, &side->size, &side->desk);
    encoder_lay_out(side->encoder, &budget, side->workspace);
    return true;
}

static void close_side(struct side *side) {
    if (side->stored.memory)
        row_buffer_free(&side->stored);
    memory_free(&side->session->memory, side->block);
    device_release(side->device, side->workspace);
    encoder_free(side->encoder);
    weights_free(side->weights);
}

/* ---- what is planned ---------------------------------------------------- */

bool drift_is_due(const struct session *session, const struct member *member) {
    enum number_type type = member->bm25 ? NUMBER_F32 : member_type(member);
    if (type == NUMBER_DEFAULT || type == NUMBER_F32)
        return false;
    for (size_t i = 0; i < session->stations_count; i++)
        if (dtype_of(session->stations[i].device) == type)
            return true;
    return false;
}

/* The size that needs at most ROOM: batches of TOKENS, or of one text. *BYTES:
 * what the last that was tried needs. */
static bool choose_size(struct side *side, size_t texts, size_t longest,
                        size_t tokens, uint64_t room, uint64_t *bytes,
                        struct error *err) {
    side->size = side_size(side->member, texts, longest, tokens);
    if (!measure(side, bytes, err))
        return false;
    if (*bytes <= room)
        return true;
    side->size = side_size(side->member, texts, longest, longest);
    return measure(side, bytes, err) && *bytes <= room;
}

uint64_t drift_bytes(struct session *session, const struct member *member,
                     uint64_t computing, size_t longest, uint64_t live) {
    struct side side = {.session = session, .member = member};
    uint64_t bytes, rate = 0, room = plan_host_room(session);
    size_t texts = drift_texts(computing), tokens = DRIFT_TOKENS;
    if (!drift_is_due(session, member) || !texts || room < live)
        return 0;
    if (longest < tokens / texts)
        tokens = texts * longest;
    room -= live;
    side.device = session_reference(session, NULL);
    if (side.device && session_has_cards(session))
        rate = estimate_rate_bytes(side.device);
    if (!side.device || rate > room ||
        !choose_size(&side, texts, longest, tokens, room, &bytes, NULL))
        return 0;
    return bytes > rate ? bytes : rate;
}

/* ---- comparing ---------------------------------------------------------- */

struct comparing {
    const struct pass *pass;
    const struct drift_sample *sample;
    size_t order[DRIFT_TEXTS_MOST]; /* of the sample: by digest */
    size_t texts;                   /* that are compared: the first ones */
    size_t counts[ROW_KINDS];       /* cosines that are there */
    struct job job;
    struct side side;
};

static void order_by_digest(struct comparing *c) {
    const uint8_t *digests = c->sample->digests;
    for (size_t i = 0; i < c->sample->count; i++) {
        size_t at = i;
        for (; at > 0 && memcmp(digests + c->order[at - 1] * SHA256_BYTES,
                                digests + i * SHA256_BYTES, SHA256_BYTES) > 0;
             at--)
            c->order[at] = c->order[at - 1];
        c->order[at] = i;
    }
}

/* As many texts from FIRST on as a batch takes, to the desk. */
static void fill(struct comparing *c, size_t first) {
    struct desk *desk = &c->side.desk;
    struct batch *batch = &desk->batch;
    const struct drift_sample *sample = c->sample;
    size_t tokens = 0;
    batch->texts = 0;
    batch->starts[0] = 0;
    for (size_t i = first; i < c->texts && batch->texts < c->side.size.texts;
         i++) {
        size_t size = sample->sizes[c->order[i]];
        if (tokens + size > c->side.size.tokens)
            break;
        memcpy(batch->ids + tokens, sample->ids + c->order[i] * sample->room,
               size * sizeof *batch->ids);
        desk->window.order[batch->texts] = (uint32_t)batch->texts;
        desk->window.starts[batch->texts] = tokens;
        tokens += size;
        batch->starts[++batch->texts] = (uint32_t)tokens;
        desk->window.starts[batch->texts] = tokens;
    }
    batch->tokens = tokens;
}

static struct row row_of(const struct comparing *c, enum row_kind head,
                         size_t text) {
    const struct batch *batch = &c->side.desk.batch;
    struct row_batch all = rows_by_head(&batch->rows, c->side.member, head);
    all.count = batch->texts;
    return row_of_batch(&all, text);
}

/* Text I of the batch, which began with text FIRST of the sample. */
static bool compare_text(struct comparing *c, size_t first, size_t i,
                         struct error *err) {
    const struct member *member = c->side.member;
    const uint8_t *digest =
        c->sample->digests + c->order[first + i] * SHA256_BYTES;
    if (c->side.desk.batch.rows.why[i])
        return true; /* f32 has no sound row of it: nothing to compare with */
    for (enum row_kind h = 0; h < ROW_KINDS; h++) {
        struct store *store = c->pass->stores.of[h];
        bool found;
        uint64_t number;
        struct row stored;
        if (!(c->pass->heads & head_bit(h)))
            continue;
        if (!store_find(store, digest, &found, &number, err) ||
            (found &&
             !store_read_row(store, number, &c->side.stored, &stored, err)))
            return false;
        struct row exact = row_of(c, h, i);
        if (found)
            c->side.desk.cosines[h][c->counts[h]++] =
                drift_cosine(h, member_head_width(member, h), &stored, &exact);
    }
    return true;
}

static bool compare_texts(struct comparing *c, struct error *err) {
    struct desk *desk = &c->side.desk;
    struct engine *engine = c->pass->engine;
    c->job = (struct job){.member = c->side.member,
                          .window = &desk->window,
                          .heads = c->pass->heads,
                          .rules = &engine->rules,
                          .frame = &NO_WINDOWS,
                          .prompt_tokens = engine->prompt_tokens};
    desk->batch.job = &c->job;
    for (size_t first = 0; first < c->texts; first += desk->batch.texts) {
        fill(c, first);
        if (event_interrupted(c->pass->sink))
            return error_set(err, ERROR_INTERRUPTED, "the run was interrupted");
        if (!batch_encode(c->side.encoder, &desk->batch, c->side.size.tokens,
                          err))
            return false;
        for (size_t i = 0; i < desk->batch.texts; i++)
            if (!compare_text(c, first, i, err))
                return false;
    }
    return true;
}

/* Where cards computed: the texts that the CPU can take in its share of the
 * pass. */
static bool choose_affordable(struct comparing *c, struct error *err) {
    const struct pass *pass = c->pass;
    double pass_ms = pass->report.duration_ms;
    double most = pass_ms * SHARE_OF_PASS, sum = 0;
    if (!session_has_cards(pass->session))
        return true;
    double rate = estimate_rate(c->side.device);
    if (rate <= 0)
        return error_set(err, ERROR_MEMORY,
                         "no memory was left to see how fast the CPU is, which "
                         "would compare beside the cards");
    if (most < ALWAYS_MS)
        most = ALWAYS_MS;
    for (size_t i = 0; i < c->texts; i++) {
        double tokens = (double)c->sample->sizes[c->order[i]];
        sum += 1000 / rate * (tokens + READING_TOKENS) *
               estimate_flops(c->side.member, tokens);
        if (sum <= most)
            continue;
        c->texts = i;
        return i > 0 ||
               error_set(err, ERROR_UNSUPPORTED,
                         "a single text would take the CPU about %.0f s in "
                         "f32, more than 5 %% of the pass; embed a few texts "
                         "with --dtype f32 to compare",
                         sum / 1000);
    }
    return true;
}

/* Only as much as the texts at hand need. */
static bool has_room(struct comparing *c, uint64_t planned, struct error *err) {
    struct side *side = &c->side;
    size_t tokens = 0, longest = 0;
    uint64_t bytes = 0, live = memory_live(&side->session->memory);
    uint64_t room = plan_host_room(side->session);
    for (size_t i = 0; i < c->texts; i++) {
        size_t size = c->sample->sizes[c->order[i]];
        tokens += size;
        longest = size > longest ? size : longest;
    }
    if (tokens > DRIFT_TOKENS)
        tokens = DRIFT_TOKENS;
    room = room > live ? room - live : 0;
    room = room < planned ? room : planned;
    if (choose_size(side, c->texts, longest, tokens, room, &bytes, err))
        return true;
    return !err->code &&
           error_set(err, ERROR_MEMORY,
                     "a layer at a time in f32 needs %" PRIu64
                     " bytes of memory beside what the run holds, and there "
                     "was no room for them under the CPU's ceiling (--ceiling "
                     "cpu=BYTES)",
                     bytes);
}

static bool run(struct comparing *c, uint64_t planned, struct error *err) {
    c->side.device = session_reference(c->side.session, err);
    order_by_digest(c);
    c->texts = c->sample->count;
    return c->side.device && (!planned || choose_affordable(c, err)) &&
           has_room(c, planned, err) && open_side(&c->side, err) &&
           compare_texts(c, err);
}

struct drift drift_measure(const struct pass *pass, uint64_t planned) {
    struct drift drift = {0};
    struct error why = {0};
    struct comparing c = {
        .pass = pass,
        .sample = &pass->sample,
        .side = {.session = pass->session, .member = pass->member}};
    if (!pass->sample.count)
        return drift;
    int64_t begin_ns = clock_now_ns();
    drift.type = member_type(pass->member);
    if (!run(&c, planned, &why))
        snprintf(drift.skipped, sizeof drift.skipped, "%.300s", why.message);
    for (enum row_kind h = 0; !why.code && h < ROW_KINDS; h++) {
        size_t count = c.counts[h];
        if (!count)
            continue;
        drift.heads |= head_bit(h);
        drift.of[h].median = drift_median(c.side.desk.cosines[h], count);
        drift.of[h].lowest = c.side.desk.cosines[h][0];
        drift.texts = count > drift.texts ? count : drift.texts;
    }
    if (!why.code && !drift.heads)
        snprintf(drift.skipped, sizeof drift.skipped,
                 "none of the sample's texts has a sound vector in f32");
    close_side(&c.side);
    drift.ms = (double)(clock_now_ns() - begin_ns) / 1e6;
    return drift;
}
