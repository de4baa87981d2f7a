#include "run/pass_bm25.h"

#include <string.h>

#include "base/clock.h"
#include "base/layout.h"
#include "run/pass_parts.h"
#include "text/bm25.h"

enum {
    ROWS = 1024, /* of a block */
    PAIRS = 128 * 1024,
    TABLES_BYTES = 128 * 1024, /* of the formula: its stopwords */
    WORD_BYTES = 16            /* of its words and pairs, a byte of text */
};

struct formula {
    struct pass *pass;
    struct bm25 *bm25;
    struct bm25_pairs pairs; /* of the text at hand */
    void *block;             /* owned: the arrays below */
    uint8_t *digests;        /* [ROWS, 32] */
    struct row_span *spans;  /* [ROWS] */
    uint32_t *indices;       /* [PAIRS] */
    float *values;           /* [PAIRS] */
    size_t rows, used;
};

/* Runs twice: first with an empty layout, to measure. */
static void place(struct layout *l, struct formula *f) {
    f->digests = layout_take(l, ROWS, SHA256_BYTES);
    f->spans = layout_take(l, ROWS, sizeof *f->spans);
    f->indices = layout_take(l, PAIRS, sizeof *f->indices);
    f->values = layout_take(l, PAIRS, sizeof *f->values);
}

uint64_t pass_bm25_bytes(const struct intake *intake) {
    struct formula f;
    struct layout measure = {0};
    place(&measure, &f);
    return memory_block_bytes(measure.bytes) + chunk_reader_bytes(intake) +
           TABLES_BYTES + WORD_BYTES * intake->counts.text_bytes_longest;
}

static bool open_formula(struct formula *f, struct error *err) {
    struct memory *memory = &f->pass->session->memory;
    struct layout measure = {0};
    place(&measure, f);
    f->pairs = (struct bm25_pairs){.memory = memory};
    f->bm25 = bm25_open(memory, &f->pass->member->formula, err);
    f->block = memory_alloc(memory, 1, measure.bytes, f->bm25 ? err : NULL);
    struct layout real = {.base = f->block};
    if (f->block)
        place(&real, f);
    return f->bm25 && f->block;
}

static void close_formula(struct formula *f) {
    bm25_close(f->bm25);
    bm25_pairs_free(&f->pairs);
    memory_free(&f->pass->session->memory, f->block);
}

static bool store_rows_of(struct formula *f, const struct row_batch *batch,
                          const uint8_t *digests, struct error *err) {
    struct pass *pass = f->pass;
    struct pass_report *report = &pass->report;
    struct phases *phases = &pass->session->phases;
    enum phase before = phases_enter(phases, PHASE_STORE);
    bool fine =
        store_append_rows(pass->stores.of[ROW_SPARSE], digests, batch, err);
    phases_enter(phases, before);
    if (!fine)
        return false;
    report->computed += batch->count;
    report->batches += batch->count > 0;
    report->encode_ms = report->duration_ms =
        (double)(clock_now_ns() - pass->began_ns) / 1e6;
    pass_tell_progress(pass);
    return pass_sync(pass, err);
}

static bool flush(struct formula *f, struct error *err) {
    struct row_batch batch = {.kind = ROW_SPARSE,
                              .width = (size_t)BM25_COLUMNS,
                              .count = f->rows,
                              .spans = f->spans,
                              .indices = f->indices,
                              .values = f->values};
    f->rows = f->used = 0;
    return store_rows_of(f, &batch, f->digests, err);
}

/* More pairs than a block holds: such a row goes by itself. */
static bool add_alone(struct formula *f, const uint8_t *digest,
                      struct error *err) {
    struct row_span span = {0, f->pairs.count};
    struct row_batch batch = {.kind = ROW_SPARSE,
                              .width = (size_t)BM25_COLUMNS,
                              .count = 1,
                              .spans = &span,
                              .indices = f->pairs.indices,
                              .values = f->pairs.values};
    return store_rows_of(f, &batch, digest, err);
}

static bool add_row(struct formula *f, const uint8_t *digest,
                    struct error *err) {
    size_t count = f->pairs.count;
    f->pass->report.tokens += count;
    f->pass->report.empty += count == 0;
    if (count > PAIRS)
        return add_alone(f, digest, err);
    if ((f->rows == ROWS || f->used + count > PAIRS) && !flush(f, err))
        return false;
    memcpy(f->digests + f->rows * SHA256_BYTES, digest, SHA256_BYTES);
    f->spans[f->rows++] = (struct row_span){f->used, count};
    if (count) {
        memcpy(f->indices + f->used, f->pairs.indices,
               count * sizeof *f->indices);
        memcpy(f->values + f->used, f->pairs.values, count * sizeof *f->values);
    }
    f->used += count;
    return true;
}

/* *END: there are no more. */
static bool do_text(struct formula *f, bool *end, struct error *err) {
    struct pass *pass = f->pass;
    struct chunk chunk;
    unsigned lacking;
    enum chunk_step step = chunk_reader_next(pass->reader, true, &chunk, err);
    *end = step != CHUNK_OK;
    if (*end)
        return step == CHUNK_END;
    if (event_interrupted(pass->sink))
        return error_set(err, ERROR_INTERRUPTED, "interrupted");
    if (!pass_lacking(pass, chunk.digest, &lacking, err))
        return false;
    pass->report.reused += !lacking;
    return !lacking || (bm25_document(f->bm25, chunk.text, &f->pairs, err) &&
                        add_row(f, chunk.digest, err));
}

static bool do_texts(struct formula *f, struct error *err) {
    bool end = f->pass->report.texts == 0;
    while (!end)
        if (!do_text(f, &end, err)) {
            flush(f, NULL); /* what is done is kept */
            return false;
        }
    return flush(f, err);
}

bool pass_bm25(struct pass *pass, struct error *err) {
    struct formula f = {.pass = pass};
    pass_begin(pass);
    pass->reader = chunk_reader_open(pass->intake, err);
    struct phases *phases = &pass->session->phases;
    enum phase before = phases_enter(phases, PHASE_ENCODE);
    bool fine = pass->reader && open_formula(&f, err) && do_texts(&f, err);
    phases_enter(phases, before);
    struct error late = {0};
    if (!pass_close(pass, &late) && fine)
        fine = error_set(err, late.code, "%s", late.message);
    close_formula(&f);
    return fine;
}
