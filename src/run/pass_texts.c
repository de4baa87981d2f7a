#include "run/pass_texts.h"

#include <assert.h>
#include <string.h>

enum {
    READERS_MAX = 8,
    SHARE_POINTS = 256,        /* of a reader at once, at most */
    SHARE_BYTES = 256 * 1024,  /* and of their chunks */
    BUFFER_BYTES = 288 * 1024, /* their texts and ids */
};

/* One thread's share, [begin, end) of the list; its texts and ids lie in
 * BUFFER. What finds no room there, because the share has long texts or ids, is
 * decoded when it is asked for. */
struct text_reader {
    struct chunk_reader *reader;
    char *buffer; /* [BUFFER_BYTES] */
    size_t used;
    size_t begin, decoded, end;
    struct error err;
};

static size_t readers_for(const struct pool *pool) {
    unsigned threads = pool ? pool_threads(pool) : 1;
    return threads < 2 ? 0 : threads > READERS_MAX ? READERS_MAX : threads;
}

uint64_t pass_texts_bytes(const struct intake *intake,
                          const struct pool *pool) {
    size_t count = readers_for(pool);
    if (!count)
        return 0;
    return memory_block_bytes(count * sizeof(struct text_reader)) +
           memory_block_bytes(count * SHARE_POINTS * sizeof(struct pass_text)) +
           count * (memory_block_bytes(BUFFER_BYTES) +
                    chunk_reader_bytes_for(intake, SHARE_BYTES));
}

bool pass_texts_open(struct pass_texts *t, const struct intake *intake,
                     struct pool *pool, struct error *err) {
    struct memory *memory = intake->memory;
    size_t wanted = readers_for(pool);
    *t = (struct pass_texts){.intake = intake, .pool = pool};
    if (!wanted)
        return true;
    t->readers = memory_zalloc(memory, wanted, sizeof *t->readers, err);
    t->list = memory_alloc(memory, wanted * SHARE_POINTS, sizeof *t->list, err);
    while (t->readers && t->list && t->readers_count < wanted) {
        struct text_reader *r = &t->readers[t->readers_count++];
        r->reader = chunk_reader_open_for(intake, SHARE_BYTES, err);
        if (r->reader)
            r->buffer = memory_alloc(memory, BUFFER_BYTES, 1, err);
        if (!r->buffer)
            break;
        t->room += SHARE_POINTS;
    }
    if (t->room == wanted * SHARE_POINTS)
        return true;
    pass_texts_close(t);
    return false;
}

void pass_texts_close(struct pass_texts *t) {
    if (!t->intake)
        return;
    struct memory *memory = t->intake->memory;
    for (size_t i = 0; i < t->readers_count; i++) {
        chunk_reader_close(t->readers[i].reader);
        memory_free(memory, t->readers[i].buffer);
    }
    memory_free(memory, t->readers);
    memory_free(memory, t->list);
    *t = (struct pass_texts){0};
}

bool pass_texts_has_room(const struct pass_texts *t, uint64_t bytes) {
    return !pass_texts_left(t) && t->count < t->room && bytes <= SHARE_BYTES &&
           t->bytes + bytes <= t->readers_count * SHARE_BYTES;
}

void pass_texts_want(struct pass_texts *t, uint64_t point, uint64_t bytes) {
    assert(t->count < t->room);
    t->list[t->count++].point = point;
    t->bytes += bytes;
}

static struct str keep(struct text_reader *r, struct str bytes) {
    char *to = r->buffer + r->used;
    if (bytes.size)
        memcpy(to, bytes.data, bytes.size);
    r->used += bytes.size;
    return (struct str){to, bytes.size};
}

/* A text and its id that are decoded stay until the next round; where there is
 * no room for them: false. */
static bool keep_chunk(struct text_reader *r, const struct chunk *chunk,
                       struct pass_text *text) {
    if (chunk->text.size + chunk->chunk_id.size > BUFFER_BYTES - r->used)
        return false;
    memcpy(text->digest, chunk->digest, SHA256_BYTES);
    text->text = keep(r, chunk->text);
    text->chunk_id = keep(r, chunk->chunk_id);
    return true;
}

static bool decode(struct text_reader *r, uint64_t point, struct chunk *chunk,
                   struct error *err) {
    chunk_reader_seek(r->reader, point);
    return chunk_reader_next(r->reader, false, chunk, err) == CHUNK_OK;
}

static void decode_share(void *context, unsigned thread) {
    struct pass_texts *t = context;
    if (thread >= t->readers_count)
        return;
    struct text_reader *r = &t->readers[thread];
    r->begin = r->decoded = t->count * thread / t->readers_count;
    r->end = t->count * (thread + 1) / t->readers_count;
    r->used = 0;
    r->err = (struct error){0};
    while (r->decoded < r->end) {
        struct pass_text *text = &t->list[r->decoded];
        struct chunk chunk;
        if (!decode(r, text->point, &chunk, &r->err) ||
            !keep_chunk(r, &chunk, text))
            return;
        r->decoded++;
    }
}

void pass_texts_decode(struct pass_texts *t) {
    if (t->count)
        pool_run(t->pool, decode_share, t);
    t->ready = t->count;
}

static struct text_reader *reader_of(struct pass_texts *t, size_t i) {
    struct text_reader *r = t->readers;
    while (i >= r->end)
        r++;
    return r;
}

/* Its thread had no room for it, or failed at it or at one before. */
static bool decode_late(struct text_reader *r, struct pass_text *text,
                        struct error *err) {
    struct chunk chunk;
    if (r->err.code)
        return error_set(err, r->err.code, "%s", r->err.message);
    if (!decode(r, text->point, &chunk, err))
        return false;
    memcpy(text->digest, chunk.digest, SHA256_BYTES);
    text->text = chunk.text;
    text->chunk_id = chunk.chunk_id;
    return true;
}

bool pass_texts_next(struct pass_texts *t, struct pass_text *text,
                     struct error *err) {
    size_t i = t->next++;
    struct text_reader *r = reader_of(t, i);
    if (i >= r->decoded && !decode_late(r, &t->list[i], err))
        return false;
    *text = t->list[i];
    if (!pass_texts_left(t)) {
        t->next = t->ready = t->count = 0;
        t->bytes = 0;
    }
    return true;
}
