/* chunk_reader.c - walks the records of an intake; see chunks.h. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "data/chunk_decode.h"
#include "data/chunk_record.h"

enum {
    AHEAD_BYTES = 64 * 1024,
    AHEAD_GAP = 4 * 1024, /* between chunks that are read one after another */
};

struct chunk_reader {
    const struct intake *intake; /* borrowed */
    int records_fd;
    int fd;        /* of the chunk file that is open; -1: none */
    uint32_t file; /* its number */
    char *ahead;   /* [AHEAD_BYTES] bytes of it, read before they are needed */
    uint64_t ahead_begin, ahead_end;   /* where they lie; equal: none */
    uint64_t read_end;                 /* of the chunk that was read last */
    uint64_t next;                     /* point that comes next */
    uint64_t block_begin, block_end;   /* points in block */
    struct chunk_record *block;        /* [RECORDS_A_BLOCK] */
    const struct chunk_record *record; /* of the point given last */
    struct chunk_parts parts;
    uint8_t space[16]; /* of points' ids */
};

struct chunk_reader *chunk_reader_open_for(const struct intake *intake,
                                           uint64_t most, struct error *err) {
    struct memory *memory = intake->memory;
    struct chunk_reader *reader = memory_zalloc(memory, 1, sizeof *reader, err);
    if (!reader)
        return NULL;
    reader->intake = intake;
    reader->parts = chunk_parts_make(memory);
    reader->fd = -1;
    chunk_uuid_space(reader->space);
    reader->records_fd = open(intake->records, O_RDONLY | O_CLOEXEC);
    if (reader->records_fd < 0)
        error_errno(err, "open %s", intake->records);
    else
        reader->block =
            memory_alloc(memory, RECORDS_A_BLOCK, sizeof *reader->block, err);
    if (reader->block)
        reader->ahead = memory_alloc(memory, AHEAD_BYTES, 1, err);
    if (reader->ahead && chunk_parts_reserve(&reader->parts, intake, most, err))
        return reader;
    chunk_reader_close(reader);
    return NULL;
}

struct chunk_reader *chunk_reader_open(const struct intake *intake,
                                       struct error *err) {
    return chunk_reader_open_for(intake, UINT64_MAX, err);
}

uint64_t chunk_reader_bytes_for(const struct intake *intake, uint64_t most) {
    return memory_block_bytes(sizeof(struct chunk_reader)) +
           memory_block_bytes(RECORDS_A_BLOCK * sizeof(struct chunk_record)) +
           memory_block_bytes(AHEAD_BYTES) + chunk_parts_bytes(intake, most);
}

uint64_t chunk_reader_bytes(const struct intake *intake) {
    return chunk_reader_bytes_for(intake, UINT64_MAX);
}

void chunk_reader_close(struct chunk_reader *reader) {
    if (!reader)
        return;
    if (reader->records_fd >= 0)
        close(reader->records_fd);
    if (reader->fd >= 0)
        close(reader->fd);
    memory_free(reader->intake->memory, reader->block);
    memory_free(reader->intake->memory, reader->ahead);
    chunk_parts_free(&reader->parts);
    memory_free(reader->intake->memory, reader);
}

static bool load_block(struct chunk_reader *reader, struct error *err) {
    uint64_t left = reader->intake->counts.points - reader->next;
    uint64_t count = left < RECORDS_A_BLOCK ? left : RECORDS_A_BLOCK;
    reader->block_begin = reader->next;
    reader->block_end = reader->next + count;
    return file_pread(reader->records_fd, reader->block,
                      (size_t)count * sizeof *reader->block,
                      reader->next * sizeof *reader->block,
                      reader->intake->records, err);
}

static enum chunk_step advance(struct chunk_reader *reader, struct error *err) {
    if (reader->next == reader->intake->counts.points)
        return CHUNK_END;
    if (reader->next >= reader->block_end && !load_block(reader, err))
        return CHUNK_ERROR;
    reader->record = &reader->block[reader->next - reader->block_begin];
    reader->next++;
    return CHUNK_OK;
}

static bool changed(struct error *err, const char *file) {
    return error_set(err, ERROR_INPUT,
                     "%s changed while it was being read: run again when it "
                     "is at rest",
                     file);
}

static bool open_file(struct chunk_reader *reader, uint32_t number,
                      struct error *err) {
    if (reader->fd >= 0 && reader->file == number)
        return true;
    if (reader->fd >= 0)
        close(reader->fd);
    reader->file = number;
    reader->ahead_begin = reader->ahead_end = reader->read_end = 0;
    const struct chunk_file *file = &reader->intake->collection->files[number];
    /* Without waiting: a pipe may stand in its place by now. */
    reader->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (reader->fd < 0)
        return error_errno(err, "open %s", file->path);
    struct stat status;
    if (fstat(reader->fd, &status) != 0)
        return error_errno(err, "stat %s", file->path);
    return S_ISREG(status.st_mode) || changed(err, file->path);
}

static void read_ahead(struct chunk_reader *reader, uint64_t begin) {
    ssize_t got = pread(reader->fd, reader->ahead, AHEAD_BYTES, (off_t)begin);
    reader->ahead_begin = begin;
    reader->ahead_end = begin + (got > 0 ? (uint64_t)got : 0);
}

static bool is_held(const struct chunk_reader *reader, uint64_t begin,
                    uint64_t end) {
    return begin >= reader->ahead_begin && end <= reader->ahead_end;
}

/* The chunk's bytes. Most readers want one chunk after another: many of them
 * cost one call then. Whoever picks a few reads those few. */
static bool load(struct chunk_reader *reader, const char *path,
                 struct error *err) {
    uint64_t begin = reader->record->offset;
    uint64_t end = begin + reader->record->size;
    bool follows =
        begin >= reader->read_end && begin - reader->read_end <= AHEAD_GAP;
    reader->read_end = end;
    if (!is_held(reader, begin, end) && follows &&
        end - begin <= AHEAD_BYTES / 2)
        read_ahead(reader, begin);
    if (!is_held(reader, begin, end)) /* what cannot be read says why here */
        return chunk_load(&reader->parts, reader->fd, begin, end - begin, path,
                          err);
    struct str bytes = {reader->ahead + (begin - reader->ahead_begin),
                        (size_t)(end - begin)};
    return chunk_take(&reader->parts, bytes, err);
}

/* The chunk's bytes, decoded, and its text's digest compared. */
static bool decode(struct chunk_reader *reader, const char *path,
                   struct error *err) {
    const struct chunk_record *record = reader->record;
    struct chunk_parts *parts = &reader->parts;
    struct error cause = {0};
    if (!load(reader, path, &cause)) {
        if (cause.code == ERROR_INPUT) /* the file ends before the chunk */
            return changed(err, path);
        return error_set(err, cause.code, "%s", cause.message);
    }
    if (!chunk_decode(parts, &reader->intake->options, err))
        return parts->wrong ? changed(err, path) : false;
    return !memcmp(parts->digest, record->digest, SHA256_BYTES) ||
           changed(err, path);
}

static bool make_id(struct chunk_reader *reader, const char *relative,
                    struct error *err) {
    const struct chunk_record *record = reader->record;
    struct chunk_parts *parts = &reader->parts;
    if (parts->own_id != (record->occurrence == 0))
        return changed(err, relative);
    if (record->occurrence) {
        chunk_id_base(parts, relative);
        strbuf_printf(&parts->chunk_id, "\x1f%u", record->occurrence);
    }
    if (record->repeat)
        strbuf_printf(&parts->chunk_id, "#%u", record->repeat);
    return strbuf_ok(&parts->chunk_id, err);
}

bool chunk_reader_decode(struct chunk_reader *reader, struct chunk *chunk,
                         struct error *err) {
    const struct intake *intake = reader->intake;
    const struct chunk_record *record = reader->record;
    const struct chunk_file *file = &intake->collection->files[record->file];
    struct chunk_parts *parts = &reader->parts;
    if (!open_file(reader, record->file, err) ||
        !decode(reader, file->path, err) ||
        !make_id(reader, file->relative, err))
        return false;
    *chunk = (struct chunk){.point = reader->next - 1,
                            .text = parts->text,
                            .original = parts->original,
                            .metadata = parts->metadata,
                            .chunk_id = strbuf_str(&parts->chunk_id),
                            .duplicate = record->flags & RECORD_DUPLICATE,
                            .file = file->relative};
    memcpy(chunk->digest, record->digest, sizeof chunk->digest);
    chunk_uuid(reader->space, intake->collection->name, chunk->chunk_id,
               chunk->id);
    return true;
}

void chunk_reader_seek(struct chunk_reader *reader, uint64_t point) {
    assert(point < reader->intake->counts.points);
    if (point < reader->block_begin)
        reader->block_begin = reader->block_end = 0;
    reader->next = point;
}

uint64_t chunk_reader_size(const struct chunk_reader *reader) {
    return reader->record->size;
}

static enum chunk_step next_point(struct chunk_reader *reader, bool unique_only,
                                  struct error *err) {
    enum chunk_step step;
    do
        step = advance(reader, err);
    while (step == CHUNK_OK && unique_only &&
           reader->record->flags & RECORD_DUPLICATE);
    return step;
}

enum chunk_step chunk_reader_next(struct chunk_reader *reader, bool unique_only,
                                  struct chunk *chunk, struct error *err) {
    enum chunk_step step = next_point(reader, unique_only, err);
    if (step == CHUNK_OK && !chunk_reader_decode(reader, chunk, err))
        return CHUNK_ERROR;
    return step;
}

enum chunk_step chunk_reader_digest(struct chunk_reader *reader,
                                    bool unique_only, uint64_t *point,
                                    uint8_t digest[SHA256_BYTES],
                                    struct error *err) {
    enum chunk_step step = next_point(reader, unique_only, err);
    if (step == CHUNK_OK) {
        *point = reader->next - 1;
        memcpy(digest, reader->record->digest, SHA256_BYTES);
    }
    return step;
}
