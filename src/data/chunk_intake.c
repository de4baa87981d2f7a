/* chunk_intake.c - reads every file of a collection once; see chunks.h. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "data/chunk_decode.h"
#include "data/chunk_pieces.h"
#include "data/chunk_place.h"
#include "data/chunk_points.h"
#include "data/chunk_problems.h"
#include "data/chunk_record.h"
#include "data/chunk_text.h"
#include "data/json_scan.h"

enum {
    READ_BYTES = 256 * 1024,
    LARGE_BYTES = 1024 * 1024, /* of a chunk: pieces give way to it */
};

/* The intake as it was given out, and what hangs on it. */
struct whole_intake {
    struct intake public;
    struct arena arena;
};

struct scanning {
    struct intake *intake;
    const struct sink *sink;
    struct chunk_problems problems;
    struct chunk_points points;
    struct chunk_pieces pieces;
    struct chunk_parts parts;
    char *buffer;
    size_t buffer_bytes;
    uint64_t bytes_before, bytes_total; /* of the files, for progress */

    /* The file that is being read. */
    const struct chunk_file *file;
    uint32_t file_number;
    int fd;
    uint64_t size;
    unsigned walk, walks; /* this reading of it, of how many */
    bool failed;          /* the rest of it cannot be used */
    uint64_t found;       /* chunks in it */
    uint64_t bare;        /* strings among them */
    uint64_t surrogates;
    struct json_scan scan;
};

/* ---- problems ---- */

static bool problem_at(struct scanning *s, uint64_t line, uint64_t column,
                       const char *code, bool failed, const char *message,
                       struct error *err) {
    struct chunk_problem problem = {.file = s->file->relative,
                                    .line = line,
                                    .column = column,
                                    .code = code,
                                    .message = message,
                                    .failed = failed};
    return problems_add(&s->problems, &problem, err);
}

static bool problem_of_file(struct scanning *s, const char *code, bool failed,
                            const char *message, struct error *err) {
    if (failed && !s->failed) {
        s->intake->counts.files_failed++;
        s->failed = true;
    }
    return problem_at(s, 0, 0, code, failed, message, err);
}

static bool problem_of_chunk(struct scanning *s,
                             const struct chunk_place *place, const char *code,
                             bool failed, const char *message,
                             struct error *err) {
    uint64_t column =
        problems_wanted(&s->problems)
            ? json_scan_column(&s->scan, place->line_begin, place->begin)
            : 0;
    if (failed)
        s->intake->counts.failed++;
    return problem_at(s, place->line, column, code, failed, message, err);
}

static bool stopped(const struct scanning *s, struct error *err) {
    return error_set(err, ERROR_INTERRUPTED,
                     "stopped while reading %s; run the same command to begin "
                     "the reading again",
                     problem_file(s->file->relative));
}

/* What s->scan met, as a problem of the file or the line; an interruption as
 * an error. */
static bool problem_of_scan(struct scanning *s, struct error *err) {
    if (s->scan.fault == SCAN_STOPPED)
        return stopped(s, err);
    uint64_t line, column;
    struct strbuf words = strbuf_make(s->intake->memory);
    json_scan_explain(&s->scan, &words, &line, &column);
    strbuf_printf(&words, "; %s",
                  problem_remedy(&s->scan, s->fd, s->file->lines));
    bool fine = strbuf_ok(&words, err);
    if (s->file->lines && s->scan.fault != SCAN_UNREADABLE) {
        s->intake->counts.lines_failed++;
    } else if (!s->failed) {
        s->intake->counts.files_failed++;
        s->failed = true;
    }
    fine = fine && problem_at(s, line, column,
                              problem_code(s->scan.fault, s->file->lines), true,
                              words.data, err);
    strbuf_free(&words);
    return fine;
}

/* ---- one chunk ---- */

static bool count_chunk(struct scanning *s) {
    s->found++;
    s->intake->counts.found++;
    return true;
}

static bool too_long(struct scanning *s, const struct chunk_place *place,
                     const char *why, struct error *err) {
    return problem_of_chunk(s, place, "chunk_too_long", true, why, err);
}

/* PARTS could not be filled: whose fault is it? */
static bool not_loaded(struct scanning *s, const struct chunk_place *place,
                       const struct error *cause, struct error *err) {
    if (cause->code == ERROR_MEMORY)
        return too_long(s, place,
                        "the chunk does not fit below the memory ceiling and "
                        "is left out; raise the ceiling or split it",
                        err);
    s->intake->counts.failed++;
    return problem_of_file(s, "unreadable_file", true, cause->message, err);
}

static bool add_point(struct scanning *s, const struct chunk_place *place,
                      struct error *err) {
    struct chunk_record record = {.offset = place->begin,
                                  .size = (uint32_t)(place->end - place->begin),
                                  .file = s->file_number};
    if (!chunk_points_add(&s->points, &s->parts, &record, s->file->relative,
                          err))
        return false;
    if (!record.repeat)
        return true;
    struct strbuf words = strbuf_make(s->intake->memory);
    strbuf_add(&words, STR("the chunk's id was used before; it is now "));
    strbuf_add(&words, strbuf_str(&s->parts.chunk_id));
    bool fine =
        strbuf_ok(&words, err) &&
        problem_of_chunk(s, place, "repeated_id", false, words.data, err);
    strbuf_free(&words);
    return fine;
}

/* The chunk's bytes: the scan has just passed them. */
static bool load(struct scanning *s, const struct chunk_place *place,
                 struct error *err) {
    uint64_t size = place->end - place->begin;
    const char *held;
    return json_scan_holds(&s->scan, place->begin, place->end, &held)
               ? chunk_take(&s->parts, (struct str){held, (size_t)size}, err)
               : chunk_load(&s->parts, s->fd, place->begin, size, s->file->path,
                            err);
}

static bool is_blank(struct scanning *s, const struct chunk_place *place,
                     struct error *err) {
    s->intake->counts.blank++;
    return problem_of_chunk(s, place, "blank_chunk", false,
                            "the chunk's text is blank and is passed over",
                            err);
}

static bool take_chunk(struct scanning *s, const struct chunk_place *place,
                       struct error *err) {
    uint64_t size = place->end - place->begin;
    struct error cause = {0};
    count_chunk(s);
    if (size > LARGE_BYTES)
        chunk_pieces_close(&s->pieces);
    if (size > CHUNK_BYTES_MAX)
        return too_long(s, place,
                        "the chunk is larger than 1 GiB and is left out; split "
                        "it",
                        err);
    if (!load(s, place, &cause))
        return not_loaded(s, place, &cause, err);
    bool decoded = chunk_decode(&s->parts, &s->intake->options, &cause);
    s->surrogates += s->parts.surrogates;
    if (!decoded && s->parts.wrong)
        return problem_of_chunk(s, place, "bad_chunk", true, s->parts.wrong,
                                err);
    if (!decoded)
        return not_loaded(s, place, &cause, err);
    return text_is_blank(s->parts.text) ? is_blank(s, place, err)
                                        : add_point(s, place, err);
}

static bool take_element(struct scanning *s, enum json_event kind,
                         const struct chunk_place *place, struct error *err) {
    if (kind == SCAN_OBJECT || kind == SCAN_STRING) {
        s->bare += kind == SCAN_STRING;
        return take_chunk(s, place, err);
    }
    count_chunk(s);
    return problem_of_chunk(s, place, "bad_shape", true,
                            "neither an object nor a string: no chunk", err);
}

/* ---- progress ---- */

static void tell_progress(const struct scanning *s, uint64_t done) {
    struct progress progress = {.collection = s->intake->collection->name,
                                .stage = "read",
                                .done = done,
                                .total = s->bytes_total,
                                .seconds_left = -1,
                                .memory_live = memory_live(s->intake->memory),
                                .memory_ceiling = s->intake->memory->ceiling};
    event_progress(s->sink, &progress);
}

static bool poll_progress(void *context, uint64_t offset) {
    const struct scanning *s = context;
    uint64_t done = (s->size * s->walk + offset) / s->walks;
    tell_progress(s, s->bytes_before + done);
    return !event_interrupted(s->sink);
}

static void begin_walk(struct scanning *s, uint64_t begin, uint64_t end) {
    json_scan_file(&s->scan, s->fd, s->file->path, begin, end, s->buffer,
                   s->buffer_bytes);
    s->scan.poll = poll_progress;
    s->scan.poll_context = s;
}

/* ---- pieces that all threads have read ---- */

/* Its parts, as if it had just been decoded. */
static bool add_decoded(struct scanning *s, const struct piece_chunk *chunk,
                        const struct chunk_place *place, struct error *err) {
    struct chunk_parts *parts = &s->parts;
    strbuf_clear(&parts->chunk_id);
    strbuf_add(&parts->chunk_id, chunk->chunk_id);
    memcpy(parts->digest, chunk->digest, SHA256_BYTES);
    memcpy(parts->original_digest, chunk->original_digest, SHA256_BYTES);
    parts->text = (struct str){"", chunk->text_bytes};
    parts->metadata = chunk->metadata;
    parts->made_bytes = chunk->made_bytes;
    parts->own_id = chunk->own_id;
    return strbuf_ok(&parts->chunk_id, err) && add_point(s, place, err);
}

/* PIECE, which is sound and begins in line LINE of its file. */
static bool take_piece(struct scanning *s, const struct chunk_piece *piece,
                       uint64_t line, struct error *err) {
    s->scan = (struct json_scan){.fd = s->fd}; /* it will count columns */
    s->walk = 0;
    s->walks = 1;
    if (!poll_progress(s, piece->end))
        return stopped(s, err);
    s->bare += piece->strings;
    for (size_t i = 0; i < piece->count; i++) {
        const struct piece_chunk *chunk = &piece->chunks[i];
        struct chunk_place place = chunk->place;
        place.line += line - 1;
        count_chunk(s);
        s->surrogates += chunk->surrogates;
        if (!(chunk->blank ? is_blank(s, &place, err)
                           : add_decoded(s, chunk, &place, err)))
            return false;
    }
    return true;
}

static const struct chunk_piece *piece_at(struct scanning *s, uint64_t begin,
                                          bool lines) {
    struct piece_where where = {.file = s->file_number,
                                .fd = s->fd,
                                .lines = lines,
                                .begin = begin,
                                .size = s->size};
    return chunk_pieces_get(&s->pieces, &where);
}

/* ---- JSON documents ---- */

static bool read_list(struct scanning *s, const struct chunk_place *list,
                      struct error *err) {
    begin_walk(s, list->begin, list->end);
    s->scan.line = list->line;
    s->scan.line_begin = list->line_begin;
    enum json_event event = json_scan_next(&s->scan);
    while (event != SCAN_ERROR && !s->failed) {
        struct chunk_place place;
        event = json_scan_next(&s->scan);
        if (event == SCAN_ARRAY_END)
            return true;
        if (chunk_place_find(&s->scan, event, &place) &&
            !take_element(s, event, &place, err))
            return false;
        if (s->scan.fault != SCAN_FINE)
            event = SCAN_ERROR;
    }
    /* It was whole a moment ago. */
    return s->failed || (s->scan.fault == SCAN_STOPPED
                             ? problem_of_scan(s, err)
                             : problem_of_file(s, "unreadable_file", true,
                                               "the file changed while it was "
                                               "being read; run again when it "
                                               "is at rest",
                                               err));
}

static bool read_document(struct scanning *s, struct error *err) {
    struct chunk_shape shape;
    if (s->size == 0)
        return problem_of_file(s, "broken_file", true,
                               "the file is empty; get it again whole", err);
    const struct chunk_piece *piece = piece_at(s, 0, false);
    if (piece && piece->sound && piece->end == s->size)
        return take_piece(s, piece, 1, err);
    s->walks = 2;
    s->walk = 0;
    begin_walk(s, 0, s->size);
    if (!chunk_shape_find(&s->scan, s->fd, &shape))
        return problem_of_scan(s, err);
    s->walk = 1;
    if (shape.kind == SHAPE_LIST)
        return read_list(s, &shape.place, err);
    if (shape.kind == SHAPE_ONE)
        return take_element(s, shape.event, &shape.place, err);
    return problem_of_file(s, "bad_shape", true,
                           "neither a list nor an object nor a string: no "
                           "chunks in it",
                           err);
}

/* ---- JSON Lines ---- */

static bool read_line(struct scanning *s, struct error *err) {
    struct chunk_place place;
    enum json_event event = json_scan_next(&s->scan);
    if (!chunk_place_find(&s->scan, event, &place) ||
        json_scan_next(&s->scan) != SCAN_END)
        return problem_of_scan(s, err);
    if (event == SCAN_OBJECT || event == SCAN_STRING)
        return take_chunk(s, &place, err);
    s->intake->counts.lines_failed++;
    return problem_at(s, place.line, 1, "bad_shape", true,
                      "a line holds one chunk, an object or a string; this "
                      "one is left out",
                      err);
}

/* [BEGIN, END) of the file, of which LINE is the first line. */
static bool read_range(struct scanning *s, uint64_t begin, uint64_t end,
                       uint64_t line, struct error *err) {
    s->walks = 1;
    s->walk = 0;
    begin_walk(s, begin, end);
    s->scan.line = line;
    s->scan.lines = true;
    while (!s->failed && json_scan_line(&s->scan))
        if (!read_line(s, err))
            return false;
    return s->failed || s->scan.fault == SCAN_FINE || problem_of_scan(s, err);
}

static bool read_lines(struct scanning *s, struct error *err) {
    uint64_t at = 0, line = 1;
    while (!s->failed && at < s->size) {
        if (!s->pieces.intake) /* given back for a large chunk */
            chunk_pieces_open(&s->pieces, s->intake);
        const struct chunk_piece *piece = piece_at(s, at, true);
        uint64_t end = piece ? piece->end : s->size;
        bool sound = piece && piece->sound;
        if (!(sound ? take_piece(s, piece, line, err)
                    : read_range(s, at, end, line, err)))
            return false;
        line = sound ? line + piece->line_ends : s->scan.line;
        at = end;
    }
    return true;
}

/* Standard input may be a document: no chunk's line begins with '['. */
static bool is_array(const struct scanning *s) {
    struct json_scan scan;
    char start[4096];
    json_scan_file(&scan, s->fd, s->file->path, 0, s->size, start,
                   sizeof start);
    return json_scan_next(&scan) == SCAN_ARRAY;
}

/* ---- files ---- */

static bool end_file(struct scanning *s, struct error *err) {
    char words[160];
    if (s->found == 0 && !s->failed &&
        !problem_of_file(s, "no_chunks", false, "no chunks in it", err))
        return false;
    if (s->surrogates) {
        s->intake->counts.surrogates += s->surrogates;
        snprintf(words, sizeof words,
                 "%llu lone surrogate escapes became U+FFFD",
                 (unsigned long long)s->surrogates);
        if (!problem_of_file(s, "lone_surrogate", false, words, err))
            return false;
    }
    if (s->bare == 0 || s->file->lines)
        return true;
    snprintf(words, sizeof words,
             "%llu of its chunks are bare strings, taken as texts without "
             "metadata",
             (unsigned long long)s->bare);
    return problem_of_file(s, "bare_string", false, words, err);
}

/* 0: a folder that cannot be read, or nothing that has a size. */
static uint64_t bytes_of_file(const struct chunk_file *file) {
    struct stat status;
    bool has = stat(file->path, &status) == 0 && S_ISREG(status.st_mode);
    return has ? (uint64_t)status.st_size : 0;
}

static bool open_file(struct scanning *s, struct error *err, bool *fine) {
    struct error cause = {0};
    struct stat status;
    *fine = true;
    s->fd = open(s->file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool known = s->fd >= 0 && fstat(s->fd, &status) == 0;
    if (known && S_ISREG(status.st_mode)) {
        s->size = (uint64_t)status.st_size;
        s->intake->counts.bytes += s->size;
        return true;
    }
    if (known)
        error_set(&cause, ERROR_INPUT, "it is not a file");
    else
        error_errno(&cause, "open it");
    s->size = bytes_of_file(s->file); /* passed over, for progress */
    *fine = problem_of_file(s, "unreadable_file", true, cause.message, err);
    return false;
}

static bool read_file(struct scanning *s, uint32_t number, struct error *err) {
    bool fine;
    s->file = &s->intake->collection->files[number];
    s->file_number = number;
    s->failed = false;
    s->found = s->bare = s->surrogates = s->size = 0;
    s->intake->counts.files++;
    if (!s->pieces.intake)
        chunk_pieces_open(&s->pieces, s->intake);
    if (open_file(s, err, &fine)) {
        bool lines =
            s->file->lines && !(!strcmp(s->file->relative, "-") && is_array(s));
        fine = (lines ? read_lines(s, err) : read_document(s, err)) &&
               end_file(s, err);
    }
    s->bytes_before += s->size;
    if (s->fd >= 0)
        close(s->fd);
    return fine;
}

static bool read_files(struct scanning *s, struct error *err) {
    const struct collection *c = s->intake->collection;
    for (size_t i = 0; i < c->files_count; i++) {
        if (event_interrupted(s->sink))
            return error_set(err, ERROR_INTERRUPTED,
                             "stopped while reading the chunks of %s; run the "
                             "same command to begin the reading again",
                             c->name);
        if (!read_file(s, (uint32_t)i, err))
            return false;
    }
    /* The last files may have been passed over before their end. */
    tell_progress(s, s->bytes_before);
    return chunk_points_finish(&s->points, err);
}

static uint64_t bytes_of_files(const struct collection *collection) {
    uint64_t sum = 0;
    for (size_t i = 0; i < collection->files_count; i++)
        sum += bytes_of_file(&collection->files[i]);
    return sum;
}

/* ---- the intake ---- */

static struct intake *make_intake(struct memory *memory,
                                  const struct collection *collection,
                                  const struct chunk_options *options,
                                  struct error *err) {
    struct whole_intake *whole = memory_zalloc(memory, 1, sizeof *whole, err);
    if (!whole)
        return NULL;
    whole->arena = arena_make(memory);
    whole->public = (struct intake){.memory = memory,
                                    .collection = collection,
                                    .options = *options,
                                    .arena = &whole->arena};
    /* Names that the listing has used; they may go before the intake does. */
    whole->public.options.as = NULL;
    whole->public.options.collections = NULL;
    whole->public.options.collections_count = 0;
    return &whole->public;
}

static bool scan_all(struct scanning *s, const char *scratch,
                     struct error *err) {
    struct intake *intake = s->intake;
    size_t wanted = intake->options.read_bytes;
    s->buffer_bytes = wanted == 0                ? READ_BYTES
                      : wanted < JSON_BUFFER_MIN ? JSON_BUFFER_MIN
                                                 : wanted;
    s->buffer = memory_alloc(intake->memory, s->buffer_bytes, 1, err);
    s->bytes_total = bytes_of_files(intake->collection);
    bool fine = chunk_points_open(&s->points, intake, scratch, err) &&
                s->buffer && read_files(s, err);
    chunk_points_close(&s->points);
    chunk_pieces_close(&s->pieces);
    problems_end(&s->problems);
    intake->problems = s->problems.kept;
    intake->problems_count = s->problems.count;
    intake->problems_total = s->problems.total;
    chunk_parts_free(&s->parts);
    memory_free(intake->memory, s->buffer);
    return fine;
}

struct intake *intake_scan(struct memory *memory,
                           const struct collection *collection,
                           const struct chunk_options *options,
                           const char *scratch, const struct sink *sink,
                           struct error *err) {
    struct intake *intake = make_intake(memory, collection, options, err);
    struct scanning *s = memory_zalloc(memory, 1, sizeof *s, err);
    bool fine = intake && s;
    if (fine) {
        s->intake = intake;
        s->sink = sink;
        s->parts = chunk_parts_make(memory);
        s->problems.sink = sink;
        s->problems.collection = collection->name;
        s->problems.arena = intake->arena;
        fine = scan_all(s, scratch, err);
    }
    memory_free(memory, s);
    if (fine)
        return intake;
    intake_free(intake);
    return NULL;
}

void intake_free(struct intake *intake) {
    struct whole_intake *whole = (struct whole_intake *)(void *)intake;
    if (!whole)
        return;
    struct memory *memory = intake->memory;
    if (intake->records)
        unlink(intake->records);
    arena_free(&whole->arena);
    memory_free(memory, whole);
}
