#include "run/pass.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "run/pass_parts.h"
#include "run/station.h"

enum {
    SYNC_MS = 5000,
    AHEAD_TEXTS = 256, /* read before finished batches are looked at again */
    LONG_BYTES = 1024 * 1024, /* of a text: it is what takes the memory */
};

/* ---- reports ------------------------------------------------------------ */

void pass_tell_progress(const struct pass *pass) {
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

/* ---- sizes -------------------------------------------------------------- */

static struct str prompt_of(const struct member *member) {
    return str_from(member->prompt ? member->prompt : "");
}

size_t pass_tokens_longest(const struct intake *intake,
                           const struct member *member,
                           const struct engine *engine) {
    return (size_t)intake->counts.text_bytes_longest +
           tokenizer_special_count(engine->tokenizer) + prompt_of(member).size;
}

size_t pass_longest(const struct intake *intake, const struct member *member,
                    const struct engine *engine) {
    size_t tokens = pass_tokens_longest(intake, member, engine);
    size_t most = member->spec.max_length;
    return tokens < most ? tokens : most;
}

static struct window_size size_of_window(const struct intake *intake,
                                         const struct member *member,
                                         const struct engine *engine) {
    size_t most = engine->frame.limit
                      ? pass_tokens_longest(intake, member, engine)
                      : member->spec.max_length;
    return window_size_for(&intake->counts, most,
                           tokenizer_special_count(engine->tokenizer),
                           prompt_of(member).size);
}

/* Cards compute without the threads that tokenize. A collection of one window
 * has nothing to read ahead. */
static bool doubles(const struct intake *intake, const struct engine *engine) {
    uint64_t tokens = intake->counts.text_bytes;
    return session_has_cards(engine->session) &&
           (intake->counts.unique > WINDOW_TEXTS || tokens > WINDOW_TOKENS);
}

uint64_t pass_staging_bytes(const struct intake *intake,
                            const struct member *member,
                            const struct engine *engine) {
    struct window_size size = size_of_window(intake, member, engine);
    uint64_t windows = doubles(intake, engine) ? 2 : 1;
    return windows * window_bytes(&size) + chunk_reader_bytes(intake) +
           pass_texts_bytes(intake, engine->session->pool);
}

uint64_t pass_scratch_bytes(const struct session *session,
                            const struct intake *intake) {
    uint64_t texts = intake->counts.unique;
    uint64_t bytes = tokenizer_batch_bytes(
        session->pool, texts < BLOCK_TEXTS ? (size_t)texts : BLOCK_TEXTS);
    /* Where texts are not cut, each thread's ids grow with the longest. */
    if (session->options->long_texts.windows)
        bytes += pool_threads(session->pool) * 2 *
                 intake->counts.text_bytes_longest * sizeof(uint32_t);
    return bytes;
}

void pass_blame_longest(const struct session *session,
                        const struct intake *intake, struct error *err) {
    uint64_t longest = intake->counts.text_bytes_longest;
    if (err->code == ERROR_MEMORY && session->options->long_texts.windows &&
        longest >= LONG_BYTES)
        error_set(err, ERROR_MEMORY,
                  "%s; the longest text, chunk %s of %" PRIu64
                  " bytes, takes room for all of it with --long window: split "
                  "it, or cut it (--long cut)",
                  err->message, intake->longest_id, longest);
}

/* ---- reading a window --------------------------------------------------- */

static struct window *filled(struct pass *pass) {
    return pass->doubles ? &pass->next : &pass->window;
}

static bool tokenize_block(struct pass *pass, struct error *err) {
    struct window *w = filled(pass);
    if (!w->block_count)
        return true;
    for (size_t i = 0; i < w->block_count; i++) {
        size_t begin = i ? w->text_ends[i - 1] : 0;
        w->texts[i] = (struct str){w->text + begin, w->text_ends[i] - begin};
    }
    size_t first = w->count - w->block_count;
    struct phases *phases = &pass->session->phases;
    enum phase before = phases_enter(phases, PHASE_TOKENIZE);
    bool fine = engine_tokenize_prompted(pass->engine, w->texts, w->block_count,
                                         TOKENIZER_CUT, &w->tokens,
                                         w->starts + first, w->cut, err);
    phases_enter(phases, before);
    if (!fine)
        return false;
    const char *id = w->ids;
    for (size_t i = 0; i < w->block_count; i++) {
        w->was_cut[first + i] = w->cut[i] > 0;
        if (w->cut[i])
            tell_truncated(pass, id, strlen(id));
        id += strlen(id) + 1;
    }
    window_end_block(w);
    return true;
}

static bool add_text(struct pass *pass, const struct pass_text *text,
                     struct error *err) {
    struct window *w = filled(pass);
    struct str prompt = prompt_of(pass->member);
    if (!window_block_has_room(w, prompt.size + text->text.size,
                               text->chunk_id.size) &&
        !tokenize_block(pass, err))
        return false;
    return window_add(w, text->digest, prompt, text->text, text->chunk_id, err);
}

/* Go to the next point whose text a store lacks; pass->held: there is one. */
static bool find_point(struct pass *pass, struct error *err) {
    uint8_t digest[SHA256_BYTES];
    while (!pass->held) {
        enum chunk_step step =
            chunk_reader_digest(pass->reader, true, &pass->point, digest, err);
        unsigned lacking;
        if (step != CHUNK_OK)
            return step == CHUNK_END;
        if (!pass_lacking(pass, digest, &lacking, err))
            return false;
        pass->held = lacking;
        pass->report.reused += !lacking;
        if (event_interrupted(pass->sink))
            return error_set(err, ERROR_INTERRUPTED, "interrupted");
    }
    return true;
}

/* Texts for all threads, as many as there is room for. The point behind them is
 * held. */
static bool decode_texts(struct pass *pass, struct error *err) {
    struct pass_texts *texts = &pass->texts;
    for (;;) {
        if (!find_point(pass, err))
            return false;
        uint64_t size = pass->held ? chunk_reader_size(pass->reader) : 0;
        if (!pass->held || !pass_texts_has_room(texts, size))
            break;
        pass_texts_want(texts, pass->point, size);
        pass->held = false;
    }
    pass_texts_decode(texts);
    return true;
}

static bool decode_held(struct pass *pass, struct pass_text *text,
                        struct error *err) {
    struct chunk chunk;
    pass->held = false;
    if (!chunk_reader_decode(pass->reader, &chunk, err))
        return false;
    *text = (struct pass_text){.text = chunk.text, .chunk_id = chunk.chunk_id};
    memcpy(text->digest, chunk.digest, SHA256_BYTES);
    return true;
}

/* The next text that the store lacks goes into the window. */
static bool read_text(struct pass *pass, struct error *err) {
    struct pass_text text;
    if (!pass_texts_left(&pass->texts) && !decode_texts(pass, err))
        return false;
    bool left = pass_texts_left(&pass->texts);
    pass->end = !left && !pass->held;
    return pass->end || ((left ? pass_texts_next(&pass->texts, &text, err)
                               : decode_held(pass, &text, err)) &&
                         add_text(pass, &text, err));
}

/* Up to TEXTS of the window that is filled, tokenized. */
static bool read_texts(struct pass *pass, size_t texts, struct error *err) {
    struct window *w = filled(pass);
    size_t before = w->count;
    while (!pass->end && !window_is_full(w) && w->count - before < texts) {
        if (!read_text(pass, err))
            return false;
        if (event_interrupted(pass->sink))
            return error_set(err, ERROR_INTERRUPTED, "interrupted");
    }
    return tokenize_block(pass, err);
}

static bool read_some(struct pass *pass, size_t texts, struct error *err) {
    struct phases *phases = &pass->session->phases;
    enum phase before = phases_enter(phases, PHASE_READ);
    bool fine = read_texts(pass, texts, err);
    phases_enter(phases, before);
    return fine;
}

static void swap_windows(struct pass *pass) {
    struct window done = pass->window;
    pass->window = pass->next;
    pass->next = done;
    window_clear(&pass->next);
}

bool pass_read(struct pass *pass, struct error *err) {
    int64_t begin_ns = clock_now_ns();
    if (!pass->doubles)
        window_clear(&pass->window);
    if (pass->ahead_failure.code)
        return error_set(err, pass->ahead_failure.code, "%s",
                         pass->ahead_failure.message);
    /* In the steps of reading ahead: a window's texts do not depend on how far
     * that came. */
    do {
        if (!read_some(pass, pass->doubles ? AHEAD_TEXTS : SIZE_MAX, err))
            return false;
    } while (!pass->end && !window_is_full(filled(pass)));
    if (pass->doubles)
        swap_windows(pass);
    window_sort(&pass->window);
    pass->report.reading_ms += (double)(clock_now_ns() - begin_ns) / 1e6;
    return true;
}

bool pass_read_ahead(struct pass *pass) {
    size_t before = pass->next.count;
    if (!pass->doubles || !pass->reader || pass->end ||
        pass->ahead_failure.code || window_is_full(&pass->next))
        return false;
    if (!read_some(pass, AHEAD_TEXTS, &pass->ahead_failure))
        return false;
    pass->report.read_ahead += pass->next.count - before;
    return true;
}

/* ---- batches ------------------------------------------------------------ */

static void tell_batch(const struct pass *pass, const struct batch *batch) {
    event_emit(
        pass->sink, "batch_completed",
        json_pack("{s:s, s:s, s:i, s:I, s:s, s:I, s:I, s:I, s:f, s:I, s:I, "
                  "s:I}",
                  "collection", pass->intake->collection->name, "model",
                  pass->member->key, "pass", (int)pass->number, "batch",
                  (json_int_t)pass->report.batches, "device",
                  station_name(batch->station), "texts",
                  (json_int_t)batch->texts, "tokens", (json_int_t)batch->tokens,
                  "budget_tokens", (json_int_t)batch->budget, "duration_ms",
                  batch->ms, "free_before_bytes",
                  (json_int_t)batch->free_before, "free_after_bytes",
                  (json_int_t)batch->free_after, "live_bytes",
                  (json_int_t)batch->live));
}

static bool sync_stores(struct pass *pass, struct error *err) {
    struct phases *phases = &pass->session->phases;
    enum phase before = phases_enter(phases, PHASE_SYNC);
    bool fine = true;
    for (enum row_kind h = 0; fine && h < ROW_KINDS; h++)
        fine = !pass->stores.of[h] || store_sync(pass->stores.of[h], err);
    phases_enter(phases, before);
    return fine;
}

bool pass_sync(struct pass *pass, struct error *err) {
    int64_t now_ms = clock_now_ms();
    if (now_ms - pass->synced_ms <= SYNC_MS)
        return true;
    pass->synced_ms = now_ms;
    return sync_stores(pass, err);
}

bool pass_store(struct pass *pass, const struct batch *batch,
                struct error *err) {
    struct pass_report *report = &pass->report;
    uint64_t failed = report->failed;
    if (!pass_store_rows(pass, batch, err))
        return false;
    drift_take(&pass->sample, batch);
    report->encode_ms += batch->ms;
    report->tokens += batch->tokens;
    report->computed += batch->texts - (report->failed - failed);
    tell_batch(pass, batch);
    report->batches++;
    report->duration_ms = (double)(clock_now_ns() - pass->began_ns) / 1e6;
    pass_tell_progress(pass);
    return pass_sync(pass, err);
}

/* ---- the pass ----------------------------------------------------------- */

void pass_begin(struct pass *pass) {
    pass->began_ns = clock_now_ns();
    pass->synced_ms = clock_now_ms();
    pass->report = (struct pass_report){
        .texts = pass->intake->counts.unique,
        .failed_chunks = json_array(),
        .truncated_chunks = json_array(),
    };
}

bool pass_open(struct pass *pass, struct error *err) {
    struct window_size size =
        size_of_window(pass->intake, pass->member, pass->engine);
    pass_begin(pass);
    pass->end = pass->report.texts == 0;
    if (!window_open(&pass->window, &pass->session->memory, &size, err))
        return false;
    pass->doubles = doubles(pass->intake, pass->engine);
    if (pass->doubles &&
        !window_open(&pass->next, &pass->session->memory, &size, err))
        return false;
    pass->window.frame = pass->next.frame = pass->engine->frame;
    pass->reader = chunk_reader_open(pass->intake, err);
    pass_tell_progress(pass);
    return pass->reader && pass_texts_open(&pass->texts, pass->intake,
                                           pass->session->pool, err);
}

bool pass_close(struct pass *pass, struct error *err) {
    bool fine = sync_stores(pass, err);
    pass->report.duration_ms = (double)(clock_now_ns() - pass->began_ns) / 1e6;
    chunk_reader_close(pass->reader);
    pass->reader = NULL;
    pass_texts_close(&pass->texts);
    window_close(&pass->window);
    window_close(&pass->next);
    return fine;
}

void pass_free_report(struct pass *pass) {
    json_decref(pass->report.failed_chunks);
    json_decref(pass->report.truncated_chunks);
    json_decref(pass->report.elsewhere_chunks);
    json_decref(pass->report.other_dtype_chunks);
    pass->report = (struct pass_report){0};
}
