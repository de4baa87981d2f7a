#include "run/artefact_lines.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "base/pool.h"
#include "data/json_scan.h"
#include "run/artefact_set.h"

enum {
    MAKERS_MAX = 32,
    SHARE_POINTS = 64,               /* of a maker at once, at most */
    SHARE_BYTES = 256 * 1024,        /* and of their chunks */
    FLOATS_BYTES = 256 * 1024,       /* of a maker's points' vectors */
    BUFFER_KEPT_BYTES = 1024 * 1024, /* a larger one is given back */
    LARGE_TIMES = 16,
};

/* One thread's lines of its share of the points, [begin, end) of those that
 * wait, one behind the other. */
struct line_maker {
    struct chunk_reader *reader;
    size_t begin, end;
    struct strbuf points, texts, metadata;
    size_t point_ends[SHARE_POINTS]; /* in POINTS */
    struct error err;
};

/* ---- opening ------------------------------------------------------------ */

static bool open_file(struct lines *l, struct file_writer *file, unsigned bit,
                      const char *name, struct error *err) {
    char path[PATH_MAX];
    return !(l->exports & bit) ||
           (artefact_path(path, l->a, name, err) &&
            file_writer_open(file, path, &l->a->session->memory, err));
}

static bool open_files(struct lines *l, struct error *err) {
    return open_file(l, &l->points, EXPORT_POINTS, "points.jsonl", err) &&
           open_file(l, &l->offsets, EXPORT_POINTS, ".ensembed/points.offsets",
                     err) &&
           open_file(l, &l->texts, EXPORT_TEXTS, "texts.jsonl", err) &&
           open_file(l, &l->metadata, EXPORT_METADATA, "metadata.jsonl", err);
}

static void free_buffers(struct line_maker *maker) {
    strbuf_free(&maker->points);
    strbuf_free(&maker->texts);
    strbuf_free(&maker->metadata);
}

static void close_makers(struct lines *l) {
    struct memory *memory = &l->a->session->memory;
    for (size_t i = 0; i < l->makers_count; i++) {
        chunk_reader_close(l->makers[i].reader);
        free_buffers(&l->makers[i]);
    }
    memory_free(memory, l->makers);
    memory_free(memory, l->waiting);
    memory_free(memory, l->vectors);
    memory_free(memory, l->floats);
    l->makers = NULL;
    l->waiting = NULL;
    l->vectors = NULL;
    l->floats = NULL;
    l->makers_count = l->room = 0;
}

static size_t share_points(size_t floats) {
    size_t most = FLOATS_BYTES / (floats * sizeof(float));
    return most < 1 ? 1 : most > SHARE_POINTS ? SHARE_POINTS : most;
}

/* As many as there are threads and room for; one alone would gain nothing. */
static void open_makers(struct lines *l) {
    const struct session *session = l->a->session;
    struct memory *memory = &l->a->session->memory;
    size_t wanted = session->pool ? pool_threads(session->pool) : 1;
    if (wanted < 2 || !l->vectors_a_point || !l->exports)
        return;
    if (wanted > MAKERS_MAX)
        wanted = MAKERS_MAX;
    l->makers = memory_zalloc(memory, wanted, sizeof *l->makers, NULL);
    while (l->makers && l->makers_count < wanted) {
        struct line_maker *maker = &l->makers[l->makers_count];
        maker->reader = chunk_reader_open(l->a->intake, NULL);
        if (!maker->reader)
            break;
        maker->points = maker->texts = maker->metadata = strbuf_make(memory);
        l->makers_count++;
    }
    l->room = l->makers_count * share_points(l->floats_a_point);
    if (l->makers_count > 1) {
        l->waiting = memory_alloc(memory, l->room, sizeof *l->waiting, NULL);
        l->vectors = memory_alloc(
            memory, l->room, l->vectors_a_point * sizeof *l->vectors, NULL);
        l->floats = memory_alloc(memory, l->room,
                                 l->floats_a_point * sizeof *l->floats, NULL);
    }
    if (!l->waiting || !l->vectors || !l->floats)
        close_makers(l);
}

bool lines_open(struct lines *l, const struct artefacts *a, unsigned exports,
                const char *text_field, size_t vectors, size_t floats,
                struct error *err) {
    struct memory *memory = &a->session->memory;
    struct file_writer closed = {.memory = memory, .fd = -1};
    *l = (struct lines){
        .a = a,
        .exports = exports & (EXPORT_POINTS | EXPORT_TEXTS | EXPORT_METADATA),
        .text_field = text_field,
        .points = closed,
        .offsets = closed,
        .texts = closed,
        .metadata = closed,
        .line = strbuf_make(memory),
        .vectors_a_point = vectors,
        .floats_a_point = floats};
    return open_files(l, err);
}

void lines_close(struct lines *l) {
    if (!l->a)
        return;
    close_makers(l);
    strbuf_free(&l->line);
    file_writer_close(&l->points);
    file_writer_close(&l->offsets);
    file_writer_close(&l->texts);
    file_writer_close(&l->metadata);
}

/* ---- one line of each file ---------------------------------------------- */

static void text_line(struct strbuf *out, const struct chunk *chunk) {
    strbuf_add_json(out, chunk->text);
    strbuf_add_char(out, '\n');
}

static void metadata_line(struct strbuf *out, const struct chunk *chunk) {
    json_compact(out, chunk->metadata);
    strbuf_add_char(out, '\n');
}

static bool put(struct file_writer *file, const struct strbuf *lines,
                struct error *err) {
    return strbuf_ok(lines, err) &&
           (!lines->size ||
            file_writer_add(file, lines->data, lines->size, err));
}

static bool put_offset(struct lines *l, uint64_t offset, struct error *err) {
    return file_writer_add(&l->offsets, &offset, sizeof offset, err);
}

bool lines_add_chunk(struct lines *l, const struct chunk *chunk,
                     const struct named_vector *vectors, size_t count,
                     struct error *err) {
    bool fine = true;
    if (l->exports & EXPORT_POINTS)
        fine =
            put_offset(l, l->points.written, err) &&
            point_write(&l->points, &l->line, chunk, l->a->intake->collection,
                        l->text_field, vectors, count, err);
    if (fine && (l->exports & EXPORT_TEXTS)) {
        strbuf_clear(&l->line);
        text_line(&l->line, chunk);
        fine = put(&l->texts, &l->line, err);
    }
    if (fine && (l->exports & EXPORT_METADATA)) {
        strbuf_clear(&l->line);
        metadata_line(&l->line, chunk);
        fine = put(&l->metadata, &l->line, err);
    }
    return fine || point_has_no_room(chunk, err);
}

/* ---- many at once ------------------------------------------------------- */

static bool decode(struct line_maker *maker, uint64_t point,
                   struct chunk *chunk, struct error *err) {
    chunk_reader_seek(maker->reader, point);
    return chunk_reader_next(maker->reader, false, chunk, err) == CHUNK_OK;
}

static bool make_lines(struct lines *l, struct line_maker *maker,
                       struct error *err) {
    for (size_t i = maker->begin; i < maker->end; i++) {
        struct chunk chunk;
        if (!decode(maker, l->waiting[i], &chunk, err))
            return false;
        if (l->exports & EXPORT_POINTS)
            point_line(&maker->points, &chunk, l->a->intake->collection,
                       l->text_field, l->vectors + i * l->vectors_a_point,
                       l->vectors_a_point);
        maker->point_ends[i - maker->begin] = maker->points.size;
        if (l->exports & EXPORT_TEXTS)
            text_line(&maker->texts, &chunk);
        if (l->exports & EXPORT_METADATA)
            metadata_line(&maker->metadata, &chunk);
    }
    return strbuf_ok(&maker->points, err) && strbuf_ok(&maker->texts, err) &&
           strbuf_ok(&maker->metadata, err);
}

static void empty(struct strbuf *lines) {
    if (lines->capacity > BUFFER_KEPT_BYTES || lines->failed)
        strbuf_free(lines);
    else
        strbuf_clear(lines);
}

static void make_share(void *context, unsigned thread) {
    struct lines *l = context;
    if (thread >= l->makers_count)
        return;
    struct line_maker *maker = &l->makers[thread];
    maker->begin = l->count * thread / l->makers_count;
    maker->end = l->count * (thread + 1) / l->makers_count;
    empty(&maker->points);
    empty(&maker->texts);
    empty(&maker->metadata);
    maker->err = (struct error){0};
    make_lines(l, maker, &maker->err);
}

static bool put_share(struct lines *l, const struct line_maker *maker,
                      struct error *err) {
    uint64_t begin = l->points.written;
    size_t before = 0;
    if (l->exports & EXPORT_POINTS)
        for (size_t i = 0; i < maker->end - maker->begin; i++) {
            if (!put_offset(l, begin + before, err))
                return false;
            before = maker->point_ends[i];
        }
    return (!(l->exports & EXPORT_POINTS) ||
            put(&l->points, &maker->points, err)) &&
           (!(l->exports & EXPORT_TEXTS) ||
            put(&l->texts, &maker->texts, err)) &&
           (!(l->exports & EXPORT_METADATA) ||
            put(&l->metadata, &maker->metadata, err));
}

/* With one reader and no buffers there is room again for a line at a time. No
 * point waits from then on. */
static bool one_by_one(struct lines *l, struct error *err) {
    for (size_t i = 0; i < l->makers_count; i++)
        free_buffers(&l->makers[i]);
    for (size_t i = 1; i < l->makers_count; i++) {
        chunk_reader_close(l->makers[i].reader);
        l->makers[i].reader = NULL;
    }
    bool fine = true;
    for (size_t i = 0; fine && i < l->count; i++) {
        struct chunk chunk;
        fine = decode(&l->makers[0], l->waiting[i], &chunk, err) &&
               lines_add_chunk(l, &chunk, l->vectors + i * l->vectors_a_point,
                               l->vectors_a_point, err);
    }
    close_makers(l);
    return fine;
}

/* Nothing is written before all lines are there, so that they can be made
 * again. */
static bool flush(struct lines *l, struct error *err) {
    pool_run(l->a->session->pool, make_share, l);
    for (size_t i = 0; i < l->makers_count; i++) {
        const struct error *wrong = &l->makers[i].err;
        if (wrong->code == ERROR_MEMORY)
            return one_by_one(l, err);
        if (wrong->code != ERROR_NONE)
            return error_set(err, wrong->code, "%s", wrong->message);
    }
    for (size_t i = 0; i < l->makers_count; i++)
        if (!put_share(l, &l->makers[i], err))
            return false;
    return true;
}

bool lines_flush(struct lines *l, struct error *err) {
    bool fine = !l->count || flush(l, err);
    l->count = 0;
    l->bytes = 0;
    return fine;
}

/* A large chunk is held several times over while its lines are made. */
static bool has_room(struct memory *memory, uint64_t bytes) {
    struct reservation trial = {0};
    bool room = memory_reserve(memory, LARGE_TIMES * bytes, &trial, NULL);
    memory_unreserve(&trial);
    return room;
}

bool lines_may_wait(struct lines *l, uint64_t bytes, bool *waits,
                    struct error *err) {
    if (!l->asked)
        open_makers(l);
    l->asked = true;
    *waits = l->makers_count && bytes <= SHARE_BYTES;
    if (*waits || !l->makers_count)
        return true;
    if (!lines_flush(l, err))
        return false;
    if (!has_room(&l->a->session->memory, bytes))
        close_makers(l);
    return true;
}

bool lines_add(struct lines *l, uint64_t point, uint64_t bytes,
               const struct named_vector *vectors, size_t count,
               struct error *err) {
    assert(count == l->vectors_a_point && l->count < l->room);
    float *floats = l->floats + l->count * l->floats_a_point;
    struct named_vector *kept = l->vectors + l->count * count;
    for (size_t i = 0; i < count; i++) {
        kept[i] = vectors[i];
        kept[i].values = floats;
        memcpy(floats, vectors[i].values, vectors[i].width * sizeof *floats);
        floats += vectors[i].width;
    }
    l->waiting[l->count++] = point;
    l->bytes += bytes;
    bool full =
        l->count == l->room || l->bytes >= l->makers_count * SHARE_BYTES;
    return !full || lines_flush(l, err);
}

/* ---- the end ------------------------------------------------------------ */

bool lines_commit(struct lines *l, struct error *err) {
    assert(!l->count);
    return (!(l->exports & EXPORT_POINTS) ||
            (file_writer_commit(&l->offsets, err) &&
             file_writer_commit(&l->points, err))) &&
           (!(l->exports & EXPORT_TEXTS) ||
            file_writer_commit(&l->texts, err)) &&
           (!(l->exports & EXPORT_METADATA) ||
            file_writer_commit(&l->metadata, err));
}
