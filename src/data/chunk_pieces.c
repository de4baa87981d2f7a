#include "data/chunk_pieces.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/pool.h"
#include "data/chunk_text.h"
#include "data/json_scan.h"

enum {
    THREADS_MAX = 8,
    PIECES_A_THREAD = 2,      /* so that they end at about the same time */
    PIECE_BYTES = 256 * 1024, /* a longer one is not sound */
    LINES_BYTES = 16 * 1024,  /* of lines, and the rest of the last one */
    KEPT_BYTES = 128 * 1024,  /* ids, and metadata that was put together */
    PIECE_CHUNKS = 1536,      /* with more of them it is not sound */
    ROOM_TIMES = 8,           /* below the ceiling, of what pieces take */
};

/* ---- memory ------------------------------------------------------------- */

static uint64_t bytes_of(size_t room) {
    uint64_t one =
        memory_block_bytes(PIECE_BYTES) + memory_block_bytes(KEPT_BYTES) +
        memory_block_bytes(PIECE_CHUNKS * sizeof(struct piece_chunk));
    return room * one + memory_block_bytes(room * sizeof(struct chunk_piece));
}

static bool has_room(struct memory *memory, size_t room) {
    struct reservation trial = {0};
    bool has =
        memory_reserve(memory, ROOM_TIMES * bytes_of(room), &trial, NULL);
    memory_unreserve(&trial);
    return has;
}

static bool open_piece(struct chunk_piece *piece, struct memory *memory) {
    piece->parts = chunk_parts_make(memory);
    piece->bytes = memory_alloc(memory, PIECE_BYTES, 1, NULL);
    piece->kept = memory_alloc(memory, KEPT_BYTES, 1, NULL);
    piece->chunks =
        memory_alloc(memory, PIECE_CHUNKS, sizeof *piece->chunks, NULL);
    return piece->bytes && piece->kept && piece->chunks;
}

static size_t room_for(const struct pool *pool) {
    unsigned threads = pool ? pool_threads(pool) : 1;
    return PIECES_A_THREAD * (threads < THREADS_MAX ? threads : THREADS_MAX);
}

void chunk_pieces_open(struct chunk_pieces *p, const struct intake *intake) {
    struct memory *memory = intake->memory;
    size_t wanted = room_for(intake->options.pool);
    *p = (struct chunk_pieces){.intake = intake};
    if (!has_room(memory, wanted))
        return;
    p->list = memory_zalloc(memory, wanted, sizeof *p->list, NULL);
    while (p->list && p->room < wanted)
        if (!open_piece(&p->list[p->room++], memory)) {
            chunk_pieces_close(p);
            return;
        }
}

void chunk_pieces_close(struct chunk_pieces *p) {
    if (!p->intake)
        return;
    struct memory *memory = p->intake->memory;
    for (size_t i = 0; i < p->room; i++) {
        struct chunk_piece *piece = &p->list[i];
        chunk_parts_free(&piece->parts);
        memory_free(memory, piece->bytes);
        memory_free(memory, piece->kept);
        memory_free(memory, piece->chunks);
    }
    memory_free(memory, p->list);
    *p = (struct chunk_pieces){0};
}

/* ---- one chunk ---------------------------------------------------------- */

/* A copy of BYTES that stays with the piece. */
static bool keep(struct chunk_piece *piece, struct str bytes, struct str *out) {
    char *to = piece->kept + piece->kept_bytes;
    if (bytes.size > KEPT_BYTES - piece->kept_bytes)
        return false;
    if (bytes.size)
        memcpy(to, bytes.data, bytes.size);
    piece->kept_bytes += bytes.size;
    *out = (struct str){to, bytes.size};
    return true;
}

/* The parts of the chunk, decoded where it lies. Metadata that came lies there
 * too and stays. */
static bool take_parts(struct chunk_piece *piece, struct piece_chunk *chunk,
                       const struct chunk_options *options, char *bytes,
                       size_t size) {
    struct chunk_parts *parts = &piece->parts;
    if (!chunk_decode_at(parts, bytes, size, options, NULL))
        return false;
    memcpy(chunk->digest, parts->digest, SHA256_BYTES);
    memcpy(chunk->original_digest, parts->original_digest, SHA256_BYTES);
    chunk->surrogates = parts->surrogates;
    chunk->text_bytes = parts->text.size;
    chunk->made_bytes = parts->made_bytes;
    chunk->own_id = parts->own_id;
    chunk->blank = text_is_blank(parts->text);
    chunk->metadata = parts->metadata;
    return keep(piece, strbuf_str(&parts->chunk_id), &chunk->chunk_id) &&
           (!parts->made_bytes ||
            keep(piece, parts->metadata, &chunk->metadata));
}

/* The value that EVENT begins. */
static bool take_value(struct chunk_piece *piece, struct json_scan *scan,
                       enum json_event event,
                       const struct chunk_options *options) {
    if ((event != SCAN_OBJECT && event != SCAN_STRING) ||
        piece->count == PIECE_CHUNKS)
        return false;
    struct piece_chunk *chunk = &piece->chunks[piece->count++];
    uint64_t begin = scan->begin;
    chunk->place =
        (struct chunk_place){.begin = piece->begin + begin,
                             .line = scan->line,
                             .line_begin = piece->begin + scan->line_begin};
    if (!json_scan_skip(scan, event))
        return false;
    chunk->place.end = piece->begin + scan->end;
    piece->strings += event == SCAN_STRING;
    return take_parts(piece, chunk, options, piece->bytes + begin,
                      (size_t)(scan->end - begin));
}

/* ---- one piece ---------------------------------------------------------- */

/* Decoding overwrites texts, which the scan has passed by then. */
static bool take_document(struct chunk_piece *piece, struct json_scan *scan,
                          const struct chunk_options *options) {
    if (json_scan_next(scan) != SCAN_ARRAY)
        return false;
    enum json_event event;
    while ((event = json_scan_next(scan)) != SCAN_ARRAY_END)
        if (!take_value(piece, scan, event, options))
            return false;
    return json_scan_next(scan) == SCAN_END;
}

static bool take_lines(struct chunk_piece *piece, struct json_scan *scan,
                       const struct chunk_options *options) {
    scan->lines = true;
    while (json_scan_line(scan))
        if (!take_value(piece, scan, json_scan_next(scan), options) ||
            json_scan_next(scan) != SCAN_END)
            return false;
    piece->line_ends = scan->line - 1;
    return scan->fault == SCAN_FINE;
}

static bool read_piece(struct chunk_piece *piece, const char *path) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool fine =
        fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        (piece->lines || (uint64_t)status.st_size == piece->end) &&
        file_pread(fd, piece->bytes, (size_t)(piece->end - piece->begin),
                   piece->begin, path, NULL);
    if (fd >= 0)
        close(fd);
    return fine;
}

/* A BOM is one at the beginning of a file only. */
static bool begins_with_bom(struct str bytes) {
    return str_starts(bytes, STR("\xEF\xBB\xBF"));
}

static bool take_piece(struct chunk_piece *piece, const struct intake *intake) {
    struct str bytes = {piece->bytes, (size_t)(piece->end - piece->begin)};
    struct json_scan scan;
    piece->count = piece->kept_bytes = 0;
    piece->strings = piece->line_ends = 0;
    if (bytes.size > PIECE_BYTES ||
        !read_piece(piece, intake->collection->files[piece->file].path) ||
        (piece->begin && begins_with_bom(bytes)))
        return false;
    json_scan_memory(&scan, bytes);
    return piece->lines ? take_lines(piece, &scan, &intake->options)
                        : take_document(piece, &scan, &intake->options);
}

static void take_pieces(void *context, size_t begin, size_t end,
                        unsigned thread) {
    struct chunk_pieces *p = context;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        p->list[i].sound = take_piece(&p->list[i], p->intake);
}

/* ---- a round ------------------------------------------------------------ */

/* Behind the first line end at or behind AT - 1. */
static uint64_t line_end(int fd, uint64_t at, uint64_t size) {
    char some[4096];
    for (at--; at < size;) {
        ssize_t got = pread(fd, some, sizeof some, (off_t)at);
        if (got <= 0)
            return size;
        const char *found = memchr(some, '\n', (size_t)got);
        if (found)
            return at + (uint64_t)(found - some) + 1;
        at += (uint64_t)got;
    }
    return size;
}

static void add_pieces(struct chunk_pieces *p,
                       const struct piece_where *where) {
    uint64_t at = where->begin;
    if (!where->lines && where->size > PIECE_BYTES)
        return;
    while (at < where->size && p->count < p->room) {
        struct chunk_piece *piece = &p->list[p->count++];
        bool whole = !where->lines || where->size - at <= LINES_BYTES;
        piece->file = where->file;
        piece->lines = where->lines;
        piece->begin = at;
        piece->end = whole ? where->size
                           : line_end(where->fd, at + LINES_BYTES, where->size);
        at = piece->end;
    }
}

/* The files behind the one that the caller is at. */
static void add_file(struct chunk_pieces *p, uint32_t number) {
    const struct chunk_file *file = &p->intake->collection->files[number];
    struct piece_where where = {
        .file = number,
        .lines = file->lines,
        .fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status;
    if (where.fd < 0)
        return;
    if (fstat(where.fd, &status) == 0 && S_ISREG(status.st_mode)) {
        where.size = (uint64_t)status.st_size;
        add_pieces(p, &where);
    }
    close(where.fd);
}

static void begin_round(struct chunk_pieces *p,
                        const struct piece_where *where) {
    struct pool *pool = p->intake->options.pool;
    size_t files = p->intake->collection->files_count;
    p->count = p->next = 0;
    add_pieces(p, where);
    if (!p->count)
        return;
    for (uint32_t i = where->file + 1; i < files && p->count < p->room; i++)
        add_file(p, i);
    if (pool)
        pool_each(pool, p->count, 1, take_pieces, p);
    else
        take_pieces(p, 0, p->count, 0);
}

static bool is_there(const struct chunk_pieces *p,
                     const struct piece_where *where) {
    const struct chunk_piece *piece = &p->list[p->next];
    return p->next < p->count && piece->file == where->file &&
           piece->begin == where->begin && piece->lines == where->lines;
}

const struct chunk_piece *chunk_pieces_get(struct chunk_pieces *p,
                                           const struct piece_where *where) {
    if (!p->room)
        return NULL;
    /* Those of files that could not be opened any more, or have changed. */
    while (p->next < p->count && p->list[p->next].file < where->file)
        p->next++;
    if (!where->lines && where->size > PIECE_BYTES)
        return NULL; /* the pieces behind it stay */
    if (!is_there(p, where))
        begin_round(p, where);
    return is_there(p, where) ? &p->list[p->next++] : NULL;
}
