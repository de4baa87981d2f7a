#include "run/pass.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "run/truncated.h"

enum { SYNC_MS = 5000 };

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

/* ---- sizes -------------------------------------------------------------- */

static struct str prompt_of(const struct member *member) {
    return str_from(member->prompt ? member->prompt : "");
}

size_t pass_longest(const struct intake *intake, const struct member *member,
                    const struct engine *engine) {
    uint64_t bytes = intake->counts.text_bytes_longest +
                     tokenizer_special_count(engine->tokenizer) +
                     prompt_of(member).size;
    size_t most = member->spec.max_length;
    return bytes < most ? (size_t)bytes : most;
}

struct window_size pass_window_size(const struct intake *intake,
                                    const struct member *member,
                                    const struct engine *engine) {
    return window_size_for(&intake->counts, member->spec.max_length,
                           tokenizer_special_count(engine->tokenizer),
                           prompt_of(member).size);
}

uint64_t pass_staging_bytes(const struct intake *intake,
                            const struct member *member,
                            const struct engine *engine) {
    struct window_size size = pass_window_size(intake, member, engine);
    return window_bytes(&size) + chunk_reader_bytes(intake);
}

uint64_t pass_scratch_bytes(const struct session *session,
                            const struct intake *intake) {
    uint64_t texts = intake->counts.unique;
    return tokenizer_batch_bytes(
        session->pool, texts < BLOCK_TEXTS ? (size_t)texts : BLOCK_TEXTS);
}

/* ---- reading a window --------------------------------------------------- */

static bool tokenize_block(struct pass *pass, struct error *err) {
    struct window *w = &pass->window;
    if (!w->block_count)
        return true;
    for (size_t i = 0; i < w->block_count; i++) {
        size_t begin = i ? w->text_ends[i - 1] : 0;
        w->texts[i] = (struct str){w->text + begin, w->text_ends[i] - begin};
    }
    size_t first = w->count - w->block_count;
    if (!engine_tokenize_prompted(pass->engine, w->texts, w->block_count,
                                  TOKENIZER_CUT, &w->tokens, w->starts + first,
                                  w->cut, err))
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

static bool add_text(struct pass *pass, const struct chunk *chunk,
                     struct error *err) {
    struct window *w = &pass->window;
    struct str prompt = prompt_of(pass->member);
    if (!window_block_has_room(w, prompt.size + chunk->text.size,
                               chunk->chunk_id.size) &&
        !tokenize_block(pass, err))
        return false;
    return window_add(w, chunk->digest, prompt, chunk->text, chunk->chunk_id,
                      err);
}

/* The next text that the store lacks goes into the window. */
static bool read_text(struct pass *pass, struct error *err) {
    struct chunk chunk;
    enum chunk_step step = chunk_reader_next(pass->reader, true, &chunk, err);
    if (step == CHUNK_ERROR)
        return false;
    pass->end = step == CHUNK_END;
    if (pass->end)
        return true;
    bool found;
    uint64_t row;
    if (!store_find(pass->store, chunk.digest, &found, &row, err))
        return false;
    pass->report.reused += found;
    return found || add_text(pass, &chunk, err);
}

bool pass_read(struct pass *pass, struct error *err) {
    struct window *w = &pass->window;
    window_clear(w);
    while (!pass->end && !window_is_full(w)) {
        if (!read_text(pass, err))
            return false;
        if (event_interrupted(pass->sink))
            return error_set(err, ERROR_INTERRUPTED, "interrupted");
    }
    if (!tokenize_block(pass, err))
        return false;
    window_sort(w);
    return true;
}

/* ---- batches ------------------------------------------------------------ */

/* Keep the sound rows of a batch, closed up; how many. */
static size_t keep_sound(struct pass *pass, const struct batch *batch) {
    size_t width = pass->member->spec.width, kept = 0;
    for (size_t i = 0; i < batch->texts; i++) {
        const char *reason;
        const uint8_t *digest = batch->digests + i * SHA256_BYTES;
        bool empty = batch->starts[i + 1] == batch->starts[i];
        if (empty)
            reason = "its text has no token for this model";
        if (empty || !vector_is_sound(pass->member, batch->vectors + i * width,
                                      &reason)) {
            list_failed(pass, digest, reason);
            continue;
        }
        if (kept < i) {
            memcpy(batch->vectors + kept * width, batch->vectors + i * width,
                   width * sizeof *batch->vectors);
            memcpy(batch->digests + kept * SHA256_BYTES, digest, SHA256_BYTES);
        }
        kept++;
    }
    return kept;
}

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

static bool sync_now_and_then(struct pass *pass, struct error *err) {
    int64_t now_ms = clock_now_ms();
    if (now_ms - pass->synced_ms <= SYNC_MS)
        return true;
    pass->synced_ms = now_ms;
    return store_sync(pass->store, err);
}

bool pass_store(struct pass *pass, const struct batch *batch,
                struct error *err) {
    struct pass_report *report = &pass->report;
    size_t station = (size_t)(batch->station - pass->session->stations);
    size_t sound = keep_sound(pass, batch);
    if (batch->cut_count && !truncated_add(pass->truncated, batch->cut_digests,
                                           batch->cut_count, err))
        return false;
    if (!pass->planned[station] &&
        !truncated_add(pass->elsewhere, batch->digests, sound, err))
        return false;
    if (!store_append(pass->store, batch->digests, batch->vectors, sound, err))
        return false;
    report->encode_ms += batch->ms;
    report->tokens += batch->tokens;
    report->computed += sound;
    tell_batch(pass, batch);
    report->batches++;
    report->duration_ms = (double)(clock_now_ns() - pass->began_ns) / 1e6;
    tell_progress(pass);
    return sync_now_and_then(pass, err);
}

bool pass_list_path(const char *folder, const struct member *member,
                    const char *name, char path[PATH_MAX], struct error *err) {
    return snprintf(path, PATH_MAX, "%s/%s/dense/%s", folder, member->key,
                    name) < PATH_MAX ||
           error_set(err, ERROR_USAGE, "path too long: %s", folder);
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
        if (step == CHUNK_OK && event_interrupted(pass->sink)) {
            error_set(err, ERROR_INTERRUPTED, "interrupted");
            step = CHUNK_ERROR;
        }
    }
    chunk_reader_close(reader);
    *texts = unique - have;
    return step != CHUNK_ERROR;
}

bool pass_open(struct pass *pass, struct error *err) {
    struct window_size size =
        pass_window_size(pass->intake, pass->member, pass->engine);
    pass->began_ns = clock_now_ns();
    pass->synced_ms = clock_now_ms();
    pass->report = (struct pass_report){
        .texts = pass->intake->counts.unique,
        .failed_chunks = json_array(),
        .truncated_chunks = json_array(),
    };
    pass->end = pass->report.texts == 0;
    if (!window_open(&pass->window, &pass->session->memory, &size, err))
        return false;
    pass->reader = chunk_reader_open(pass->intake, err);
    tell_progress(pass);
    return pass->reader != NULL;
}

bool pass_close(struct pass *pass, struct error *err) {
    bool fine = store_sync(pass->store, err);
    pass->report.duration_ms = (double)(clock_now_ns() - pass->began_ns) / 1e6;
    chunk_reader_close(pass->reader);
    pass->reader = NULL;
    window_close(&pass->window);
    return fine;
}

static bool count_list(struct pass *pass, const char *path, const char *scratch,
                       uint64_t *count, json_t **ids, struct error *err) {
    if (!*ids)
        *ids = json_array();
    return truncated_count(&path, 1, true, pass->intake, scratch, count, *ids,
                           err);
}

bool pass_count_lists(struct pass *pass, const char *scratch,
                      struct error *err) {
    struct pass_report *report = &pass->report;
    return count_list(pass, pass->truncated, scratch, &report->truncated,
                      &report->truncated_chunks, err) &&
           count_list(pass, pass->elsewhere, scratch, &report->elsewhere,
                      &report->elsewhere_chunks, err);
}

void pass_free_report(struct pass *pass) {
    json_decref(pass->report.failed_chunks);
    json_decref(pass->report.truncated_chunks);
    json_decref(pass->report.elsewhere_chunks);
    pass->report = (struct pass_report){0};
}
