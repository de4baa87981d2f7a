#define _GNU_SOURCE /* qsort_r */
#include "run/pass.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "run/truncated.h"

enum {
    WINDOW_TEXTS = 65536,            /* sorted by length together ... */
    WINDOW_TOKENS = 2 * 1024 * 1024, /* ... unless their ids are this many */
    BLOCK_TEXTS = 1024,              /* tokenized together ... */
    BLOCK_BYTES = 4 * 1024 * 1024,   /* ... unless they are this long */
    BATCH_TEXTS = 1024,
    SYNC_MS = 5000,
};

/* Distinct texts between the reader and the store. */
struct window {
    struct tokens tokens;
    size_t *starts;   /* [WINDOW_TEXTS + 1] in tokens.ids */
    uint8_t *digests; /* [WINDOW_TEXTS, 32] */
    uint32_t *order;  /* [WINDOW_TEXTS], longest first */
    bool *was_cut;    /* [WINDOW_TEXTS] */
    size_t count;
    /* the block that is being read */
    struct strbuf text;
    size_t *text_ends; /* [BLOCK_TEXTS] in text */
    struct str *texts; /* [BLOCK_TEXTS] */
    size_t *cut;       /* [BLOCK_TEXTS] */
    struct strbuf ids; /* chunk ids of the block, a NUL behind each */
    size_t block_count;
    /* the batch that is being encoded */
    uint32_t *batch_ids;    /* [budget.batch_tokens] */
    uint32_t *batch_starts; /* [BATCH_TEXTS + 1] */
    uint8_t *batch_digests; /* [BATCH_TEXTS, 32] */
    uint8_t *cut_digests;   /* [BATCH_TEXTS, 32], those that were cut */
    size_t cut_count;
    float *vectors; /* [BATCH_TEXTS, width] */
};

/* ---- memory ------------------------------------------------------------- */

static bool window_open(struct window *w, const struct pass *pass,
                        struct error *err) {
    struct memory *memory = &pass->session->memory;
    size_t width = pass->member->spec.width;
    *w = (struct window){.tokens = tokens_make(memory),
                         .text = strbuf_make(memory),
                         .ids = strbuf_make(memory)};
    uint64_t texts = pass->report.texts;
    size_t size = texts < WINDOW_TEXTS ? (size_t)texts : WINDOW_TEXTS;
    size_t batch_tokens = pass->engine->budget.batch_tokens;
    w->starts = memory_alloc(memory, size + 1, sizeof *w->starts, err);
    w->digests = memory_alloc(memory, size, SHA256_BYTES, err);
    w->order = memory_alloc(memory, size, sizeof *w->order, err);
    w->was_cut = memory_alloc(memory, size, sizeof *w->was_cut, err);
    w->cut_digests = memory_alloc(memory, BATCH_TEXTS, SHA256_BYTES, err);
    w->text_ends = memory_alloc(memory, BLOCK_TEXTS, sizeof *w->text_ends, err);
    w->texts = memory_alloc(memory, BLOCK_TEXTS, sizeof *w->texts, err);
    w->cut = memory_alloc(memory, BLOCK_TEXTS, sizeof *w->cut, err);
    w->batch_ids =
        memory_alloc(memory, batch_tokens, sizeof *w->batch_ids, err);
    w->batch_starts =
        memory_alloc(memory, BATCH_TEXTS + 1, sizeof *w->batch_starts, err);
    w->batch_digests = memory_alloc(memory, BATCH_TEXTS, SHA256_BYTES, err);
    w->vectors =
        memory_alloc(memory, BATCH_TEXTS, width * sizeof *w->vectors, err);
    return w->starts && w->digests && w->order && w->was_cut &&
           w->cut_digests && w->text_ends && w->texts && w->cut &&
           w->batch_ids && w->batch_starts && w->batch_digests && w->vectors;
}

static void window_close(struct window *w, struct memory *memory) {
    tokens_free(&w->tokens);
    strbuf_free(&w->text);
    strbuf_free(&w->ids);
    memory_free(memory, w->starts);
    memory_free(memory, w->digests);
    memory_free(memory, w->order);
    memory_free(memory, w->was_cut);
    memory_free(memory, w->cut_digests);
    memory_free(memory, w->text_ends);
    memory_free(memory, w->texts);
    memory_free(memory, w->cut);
    memory_free(memory, w->batch_ids);
    memory_free(memory, w->batch_starts);
    memory_free(memory, w->batch_digests);
    memory_free(memory, w->vectors);
}

uint64_t pass_staging_bytes(const struct model_spec *spec,
                            const struct encoder_budget *budget) {
    uint64_t window = WINDOW_TEXTS * (sizeof(size_t) + SHA256_BYTES +
                                      sizeof(uint32_t) + sizeof(bool));
    /* Growing by half keeps the old array until the new one is filled. */
    uint64_t ids = (WINDOW_TOKENS + (uint64_t)BLOCK_TEXTS * spec->max_length) *
                   sizeof(uint32_t) * 5 / 2;
    uint64_t block = (uint64_t)BLOCK_BYTES * 4 +
                     BLOCK_TEXTS * (2 * sizeof(size_t) + sizeof(struct str));
    uint64_t batch = budget->batch_tokens * sizeof(uint32_t) +
                     BATCH_TEXTS * (sizeof(uint32_t) + 2 * SHA256_BYTES +
                                    spec->width * sizeof(float));
    return window + ids + block + batch;
}

/* ---- reports ------------------------------------------------------------ */

static void tell_progress(const struct pass *pass) {
    const struct pass_report *report = &pass->report;
    double seconds = report->encode_ms / 1000;
    double rate = seconds > 0 ? (double)report->tokens / seconds : 0;
    uint64_t done = report->reused + report->computed + report->failed;
    double per_text =
        report->computed ? report->duration_ms / 1000 / (double)report->computed
                         : -1;
    struct progress progress = {
        .collection = pass->intake->collection->name,
        .stage = "embed",
        .model = pass->member->key,
        .pass = pass->number,
        .passes = pass->count,
        .batch = report->batches,
        .done = done,
        .total = report->texts,
        .tokens = report->tokens,
        .tokens_per_second = rate,
        .seconds_left =
            per_text < 0 ? -1 : per_text * (double)(report->texts - done),
        .memory_live = memory_live(&pass->session->memory),
        .memory_ceiling = pass->session->memory.ceiling,
    };
    event_progress(pass->sink, &progress);
}

static void tell_truncated(const struct pass *pass, const char *chunk_id,
                           size_t length) {
    event_emit(pass->sink, "chunk_truncated",
               json_pack("{s:s, s:o, s:I}", "model", pass->member->key, "chunk",
                         json_stringn(chunk_id, length), "limit",
                         (json_int_t)pass->member->spec.max_length));
}

/* A text without a sound vector is left out of every output and named. */
static void list_failed(struct pass *pass, const uint8_t *digest,
                        const char *reason) {
    char hex[2 * SHA256_BYTES + 1];
    hash_hex(digest, SHA256_BYTES, hex);
    pass->report.failed++;
    if (json_array_size(pass->report.failed_chunks) < FAILED_LISTED)
        json_array_append_new(
            pass->report.failed_chunks,
            json_pack("{s:s, s:s}", "text_sha256", hex, "reason", reason));
    event_emit(pass->sink, "vector_failed",
               json_pack("{s:s, s:s, s:s}", "model", pass->member->key,
                         "text_sha256", hex, "reason", reason));
}

/* ---- reading a window --------------------------------------------------- */

static bool tokenize_block(struct pass *pass, struct window *w,
                           struct error *err) {
    if (!w->block_count)
        return true;
    for (size_t i = 0; i < w->block_count; i++) {
        size_t begin = i ? w->text_ends[i - 1] : 0;
        w->texts[i] =
            (struct str){w->text.data + begin, w->text_ends[i] - begin};
    }
    size_t first = w->count - w->block_count;
    if (!engine_tokenize(pass->engine, w->texts, w->block_count, TOKENIZER_CUT,
                         &w->tokens, w->starts + first, w->cut, err))
        return false;
    const char *id = w->ids.data;
    for (size_t i = 0; i < w->block_count; i++) {
        w->was_cut[first + i] = w->cut[i] > 0;
        if (w->cut[i])
            tell_truncated(pass, id, strlen(id));
        id += strlen(id) + 1;
    }
    w->block_count = 0;
    strbuf_clear(&w->text);
    strbuf_clear(&w->ids);
    return true;
}

static bool add_text(struct pass *pass, struct window *w,
                     const struct chunk *chunk, struct error *err) {
    memcpy(w->digests + w->count * SHA256_BYTES, chunk->digest, SHA256_BYTES);
    strbuf_add(&w->text, chunk->text);
    strbuf_add(&w->ids, chunk->chunk_id);
    strbuf_add_char(&w->ids, '\0');
    w->text_ends[w->block_count++] = w->text.size;
    w->count++;
    if (!strbuf_ok(&w->text, err) || !strbuf_ok(&w->ids, err))
        return false;
    return (w->block_count < BLOCK_TEXTS && w->text.size < BLOCK_BYTES) ||
           tokenize_block(pass, w, err);
}

/* Fill the window with texts that the store lacks. *END at the last point. */
static bool read_window(struct pass *pass, struct chunk_reader *reader,
                        struct window *w, bool *end, struct error *err) {
    w->count = 0;
    w->tokens.count = 0;
    while (w->count < WINDOW_TEXTS && w->count < pass->report.texts &&
           w->tokens.count < WINDOW_TOKENS) {
        struct chunk chunk;
        enum chunk_step step = chunk_reader_next(reader, true, &chunk, err);
        if (step == CHUNK_ERROR)
            return false;
        *end = step == CHUNK_END;
        if (*end)
            break;
        bool found;
        uint64_t row;
        if (!store_find(pass->store, chunk.digest, &found, &row, err))
            return false;
        if (found)
            pass->report.reused++;
        else if (!add_text(pass, w, &chunk, err))
            return false;
        if (event_interrupted(pass->sink))
            return error_set(err, ERROR_INTERRUPTED, "interrupted");
    }
    return tokenize_block(pass, w, err);
}

/* ---- batches ------------------------------------------------------------ */

static size_t text_tokens(const struct window *w, uint32_t text) {
    return w->starts[text + 1] - w->starts[text];
}

static int longer_first(const void *a, const void *b, void *window) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    size_t lx = text_tokens(window, x), ly = text_tokens(window, y);
    if (lx != ly)
        return lx < ly ? 1 : -1;
    return (x > y) - (x < y);
}

/* A heap sort of our own would be one more thing to read; qsort_r is in glibc
 * and musl. Ties go by the order of reading. */
static void sort_window(struct window *w) {
    for (size_t i = 0; i < w->count; i++)
        w->order[i] = (uint32_t)i;
    qsort_r(w->order, w->count, sizeof *w->order, longer_first, w);
}

/* Copy the texts from order[first] on that fit into one batch; how many. */
static size_t fill_batch(struct window *w, size_t first, size_t budget) {
    size_t texts = 0, tokens = 0;
    w->batch_starts[0] = 0;
    w->cut_count = 0;
    while (first + texts < w->count && texts < BATCH_TEXTS) {
        uint32_t text = w->order[first + texts];
        size_t size = text_tokens(w, text);
        if (texts && tokens + size > budget)
            break;
        if (size) /* without tokens there may be no array of them */
            memcpy(w->batch_ids + tokens, w->tokens.ids + w->starts[text],
                   size * sizeof *w->batch_ids);
        memcpy(w->batch_digests + texts * SHA256_BYTES,
               w->digests + text * SHA256_BYTES, SHA256_BYTES);
        if (w->was_cut[text])
            memcpy(w->cut_digests + w->cut_count++ * SHA256_BYTES,
                   w->digests + text * SHA256_BYTES, SHA256_BYTES);
        tokens += size;
        w->batch_starts[++texts] = (uint32_t)tokens;
    }
    return texts;
}

/* Keep the sound rows of a batch, closed up; how many. */
static size_t keep_sound(struct pass *pass, struct window *w, size_t texts) {
    size_t width = pass->member->spec.width, kept = 0;
    for (size_t i = 0; i < texts; i++) {
        const char *reason;
        uint8_t *digest = w->batch_digests + i * SHA256_BYTES;
        bool empty = w->batch_starts[i + 1] == w->batch_starts[i];
        if (empty)
            reason = "its text has no token for this model";
        if (empty ||
            !vector_is_sound(pass->member, w->vectors + i * width, &reason)) {
            list_failed(pass, digest, reason);
            continue;
        }
        if (kept < i) {
            memcpy(w->vectors + kept * width, w->vectors + i * width,
                   width * sizeof *w->vectors);
            memcpy(w->batch_digests + kept * SHA256_BYTES, digest,
                   SHA256_BYTES);
        }
        kept++;
    }
    return kept;
}

static bool run_batch(struct pass *pass, struct window *w, size_t texts,
                      struct error *err) {
    int64_t begin = clock_now_ns();
    if (!engine_encode(pass->engine, w->batch_ids, w->batch_starts, texts,
                       w->vectors, err))
        return false;
    double ms = (double)(clock_now_ns() - begin) / 1e6;
    size_t sound = keep_sound(pass, w, texts);
    if (w->cut_count &&
        !truncated_add(pass->truncated, w->cut_digests, w->cut_count, err))
        return false;
    if (!store_append(pass->store, w->batch_digests, w->vectors, sound, err))
        return false;
    struct pass_report *report = &pass->report;
    report->encode_ms += ms;
    report->tokens += w->batch_starts[texts];
    report->computed += sound;
    event_emit(pass->sink, "batch_completed",
               json_pack("{s:s, s:i, s:I, s:I, s:I, s:f, s:I}", "model",
                         pass->member->key, "pass", (int)pass->number, "batch",
                         (json_int_t)report->batches, "texts",
                         (json_int_t)texts, "tokens",
                         (json_int_t)w->batch_starts[texts], "duration_ms", ms,
                         "memory_bytes",
                         (json_int_t)memory_live(&pass->session->memory)));
    report->batches++;
    return true;
}

static bool encode_window(struct pass *pass, struct window *w, int64_t begin_ns,
                          struct error *err) {
    sort_window(w);
    int64_t synced_ms = clock_now_ms();
    for (size_t first = 0; first < w->count;) {
        size_t texts = fill_batch(w, first, pass->engine->budget.batch_tokens);
        if (!run_batch(pass, w, texts, err))
            return false;
        first += texts;
        pass->report.duration_ms = (double)(clock_now_ns() - begin_ns) / 1e6;
        tell_progress(pass);
        if (clock_now_ms() - synced_ms > SYNC_MS) {
            if (!store_sync(pass->store, err))
                return false;
            synced_ms = clock_now_ms();
        }
        if (event_interrupted(pass->sink))
            return error_set(err, ERROR_INTERRUPTED, "interrupted");
    }
    return true;
}

/* ---- the pass ----------------------------------------------------------- */

bool pass_missing(struct pass *pass, uint64_t *texts, struct error *err) {
    struct chunk_reader *reader = chunk_reader_open(pass->intake, err);
    uint64_t unique = pass->intake->counts.unique, have = 0, point;
    uint8_t digest[SHA256_BYTES];
    enum chunk_step step = reader ? CHUNK_OK : CHUNK_ERROR;
    /* An empty store lacks them all: no need to ask. */
    while (step == CHUNK_OK && store_rows(pass->store) > 0) {
        step = chunk_reader_digest(reader, true, &point, digest, err);
        bool found = false;
        uint64_t row;
        if (step == CHUNK_OK &&
            !store_find(pass->store, digest, &found, &row, err))
            step = CHUNK_ERROR;
        have += found;
    }
    chunk_reader_close(reader);
    *texts = unique - have;
    return step != CHUNK_ERROR;
}

bool pass_run(struct pass *pass, struct error *err) {
    int64_t begin_ns = clock_now_ns();
    pass->report = (struct pass_report){
        .texts = pass->intake->counts.unique,
        .failed_chunks = json_array(),
        .truncated_chunks = json_array(),
    };
    struct window w;
    struct chunk_reader *reader = NULL;
    bool fine = window_open(&w, pass, err) &&
                (reader = chunk_reader_open(pass->intake, err));
    bool end = pass->report.texts == 0;
    tell_progress(pass);
    while (fine && !end)
        fine = read_window(pass, reader, &w, &end, err) &&
               encode_window(pass, &w, begin_ns, err);
    fine = store_sync(pass->store, fine ? err : NULL) && fine;
    pass->report.duration_ms = (double)(clock_now_ns() - begin_ns) / 1e6;
    chunk_reader_close(reader);
    window_close(&w, &pass->session->memory);
    return fine;
}

bool pass_count_truncated(struct pass *pass, const char *scratch,
                          struct error *err) {
    if (!pass->report.truncated_chunks)
        pass->report.truncated_chunks = json_array();
    return truncated_count(&pass->truncated, 1, true, pass->intake, scratch,
                           &pass->report.truncated,
                           pass->report.truncated_chunks, err);
}

void pass_free_report(struct pass *pass) {
    json_decref(pass->report.failed_chunks);
    json_decref(pass->report.truncated_chunks);
    pass->report = (struct pass_report){0};
}
