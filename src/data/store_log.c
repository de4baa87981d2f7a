#include "data/store_log.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "data/store_hash.h"

/* One a batch, written in one piece after the batch's bytes. */
struct record {
    char magic[8];
    uint64_t first_row;
    uint64_t count;
    uint64_t rows_hash;
    uint64_t keys_hash;
    uint64_t own_hash; /* of all above */
};

_Static_assert(sizeof(struct record) == 48, "records lie back to back");

enum { PAIR_BYTES = sizeof(uint32_t) + sizeof(float) };

static const char MAGIC[8] = {'E', 'N', 'S', 'B', 'A', 'T', 'C', 'H'};

static uint64_t record_hash(const struct record *record) {
    return hash_bytes(record, offsetof(struct record, own_hash));
}

bool store_log_init(struct store_log *log, struct arena *arena,
                    const char *folder, enum row_kind kind, size_t width,
                    struct error *err) {
    static const char *const files[ROW_KINDS][2] = {{"rows.f32", "digests"},
                                                    {"rows.sparse", "keys"},
                                                    {"rows.multi", "keys"}};
    *log = (struct store_log){.rows = {.fd = -1},
                              .keys = {.fd = -1},
                              .journal = {.fd = -1},
                              .kind = kind,
                              .row_bytes = PAIR_BYTES,
                              .key_bytes = SHA256_BYTES};
    if (kind != ROW_DENSE)
        log->key_bytes += sizeof log->bytes;
    log->rows.path = arena_printf(arena, err, "%s/%s", folder, files[kind][0]);
    log->keys.path = arena_printf(arena, err, "%s/%s", folder, files[kind][1]);
    log->journal.path = arena_printf(arena, err, "%s/journal", folder);
    if (width == 0 || (kind != ROW_SPARSE &&
                       !size_multiply(width, sizeof(float), &log->row_bytes)))
        return error_set(err, ERROR_USAGE, "%s cannot hold rows of %zu floats",
                         folder, width);
    return log->rows.path && log->keys.path && log->journal.path;
}

static bool open_file(struct store_log_file *file, struct error *err) {
    file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    return file->fd >= 0 || error_errno(err, "open %s", file->path);
}

static bool fd_size(const struct store_log_file *file, uint64_t *bytes,
                    struct error *err) {
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return error_errno(err, "stat %s", file->path);
    *bytes = (uint64_t)status.st_size;
    return true;
}

static bool cut(const struct store_log_file *file, uint64_t bytes,
                struct error *err) {
    return ftruncate(file->fd, (off_t)bytes) == 0 ||
           error_errno(err, "cut %s", file->path);
}

static bool cut_all(const struct store_log *log, struct error *err) {
    return cut(&log->rows, log->bytes, err) &&
           cut(&log->keys, log->count * log->key_bytes, err) &&
           cut(&log->journal, log->records * sizeof(struct record), err);
}

/* Bytes of the rows up to ROW, which the file of keys has. */
static bool read_end(const struct store_log *log, uint64_t row, uint64_t *end,
                     struct error *err) {
    if (log->kind == ROW_DENSE) {
        if (__builtin_mul_overflow(row + 1, (uint64_t)log->row_bytes, end))
            *end = UINT64_MAX;
        return true;
    }
    return file_pread(log->keys.fd, end, sizeof *end,
                      row * log->key_bytes + SHA256_BYTES, log->keys.path, err);
}

struct sizes {
    uint64_t rows, keys, journal; /* bytes */
};

static bool sizes_read(const struct store_log *log, struct sizes *sizes,
                       struct error *err) {
    return fd_size(&log->rows, &sizes->rows, err) &&
           fd_size(&log->keys, &sizes->keys, err) &&
           fd_size(&log->journal, &sizes->journal, err);
}

/* Whether RECORD is the next one and the file of keys is long enough for it. */
static bool record_fits(const struct store_log *log, const struct sizes *sizes,
                        const struct record *record) {
    return memcmp(record->magic, MAGIC, sizeof MAGIC) == 0 &&
           record->own_hash == record_hash(record) &&
           record->first_row == log->count && record->count > 0 &&
           record->count <= sizes->keys / log->key_bytes - log->count;
}

/* Keys first: the last of them says how many bytes of rows there are. */
static bool record_holds(const struct store_log *log, const struct sizes *sizes,
                         const struct record *record, void *piece, bool *holds,
                         uint64_t *end, struct error *err) {
    uint64_t rows_hash, keys_hash;
    *holds = false;
    if (!store_hash_file(log->keys.fd, log->count * log->key_bytes,
                         record->count * log->key_bytes, log->keys.path, piece,
                         &keys_hash, err) ||
        !read_end(log, log->count + record->count - 1, end, err))
        return false;
    if (keys_hash != record->keys_hash || *end < log->bytes ||
        *end > sizes->rows)
        return true;
    if (!store_hash_file(log->rows.fd, log->bytes, *end - log->bytes,
                         log->rows.path, piece, &rows_hash, err))
        return false;
    *holds = rows_hash == record->rows_hash;
    return true;
}

static bool replay(struct store_log *log, const struct sizes *sizes,
                   void *piece, struct error *err) {
    log->count = log->bytes = log->records = 0;
    uint64_t whole = sizes->journal / sizeof(struct record);
    while (log->records < whole) {
        struct record record;
        bool holds;
        uint64_t end;
        if (!file_pread(log->journal.fd, &record, sizeof record,
                        log->records * sizeof record, log->journal.path, err))
            return false;
        if (!record_fits(log, sizes, &record))
            return true;
        if (!record_holds(log, sizes, &record, piece, &holds, &end, err))
            return false;
        if (!holds)
            return true;
        log->count += record.count;
        log->bytes = end;
        log->records++;
    }
    return true;
}

static uint64_t divide_up(uint64_t a, uint64_t b) {
    return a / b + (a % b != 0);
}

/* Rows of which anything is there. Ragged ones without a key count as one. */
static uint64_t rows_begun(const struct store_log *log,
                           const struct sizes *sizes) {
    uint64_t by_keys = divide_up(sizes->keys, log->key_bytes);
    uint64_t by_rows = log->kind == ROW_DENSE
                           ? divide_up(sizes->rows, log->row_bytes)
                           : log->count + (sizes->rows > log->bytes);
    return by_rows > by_keys ? by_rows : by_keys;
}

bool store_log_open(struct store_log *log, void *piece, uint64_t *lost,
                    struct error *err) {
    struct sizes sizes = {0};
    if (open_file(&log->rows, err) && open_file(&log->keys, err) &&
        open_file(&log->journal, err) && sizes_read(log, &sizes, err) &&
        replay(log, &sizes, piece, err) && cut_all(log, err)) {
        *lost = rows_begun(log, &sizes) - log->count;
        return true;
    }
    store_log_close(log);
    return false;
}

static void close_file(struct store_log_file *file) {
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

void store_log_close(struct store_log *log) {
    close_file(&log->rows);
    close_file(&log->keys);
    close_file(&log->journal);
    log->count = log->bytes = log->records = 0;
}

/* The journal first: without it nothing vouches for the rest. */
bool store_log_remove(struct store_log *log, struct error *err) {
    store_log_close(log);
    return file_remove(log->journal.path, err) &&
           file_remove(log->keys.path, err) && file_remove(log->rows.path, err);
}

/* Bytes on their way to the end of a file, with their checksum. */
struct stream {
    const struct store_log_file *file;
    uint64_t at; /* in the file, of the piece */
    uint8_t *piece;
    size_t used;
    uint64_t hash;
};

static bool stream_flush(struct stream *stream, struct error *err) {
    size_t size = stream->used;
    uint64_t at = stream->at;
    if (size == 0)
        return true;
    stream->hash = store_hash_piece(stream->hash, stream->piece, size);
    stream->at += size;
    stream->used = 0;
    return file_pwrite(stream->file->fd, stream->piece, size, at,
                       stream->file->path, err);
}

static bool stream_add(struct stream *stream, const void *data, size_t size,
                       struct error *err) {
    const uint8_t *from = data;
    while (size > 0) {
        size_t room = STORE_PIECE_BYTES - stream->used;
        size_t part = size < room ? size : room;
        memcpy(stream->piece + stream->used, from, part);
        stream->used += part;
        from += part;
        size -= part;
        if (stream->used == STORE_PIECE_BYTES && !stream_flush(stream, err))
            return false;
    }
    return true;
}

static bool add_row(struct stream *stream, const struct store_log *log,
                    const struct row *row, struct error *err) {
    if (log->kind != ROW_SPARSE)
        return stream_add(stream, row->values, row->count * log->row_bytes,
                          err);
    return stream_add(stream, row->indices, row->count * sizeof *row->indices,
                      err) &&
           stream_add(stream, row->values, row->count * sizeof *row->values,
                      err);
}

static bool write_rows(const struct store_log *log,
                       const struct row_batch *batch, void *piece,
                       uint64_t *hash, struct error *err) {
    struct stream stream = {&log->rows, log->bytes, piece, 0, 0};
    for (size_t i = 0; i < batch->count; i++) {
        struct row row = row_of_batch(batch, i);
        if (!add_row(&stream, log, &row, err))
            return false;
    }
    bool fine = stream_flush(&stream, err);
    *hash = stream.hash;
    return fine;
}

/* *END is where the last row ends. */
static bool write_keys(const struct store_log *log, const uint8_t *digests,
                       const struct row_batch *batch, void *piece,
                       uint64_t *hash, uint64_t *end, struct error *err) {
    struct stream stream = {&log->keys, log->count * log->key_bytes, piece, 0,
                            0};
    *end = log->bytes;
    for (size_t i = 0; i < batch->count; i++) {
        *end += row_of_batch(batch, i).count * log->row_bytes;
        if (!stream_add(&stream, digests + i * SHA256_BYTES, SHA256_BYTES,
                        err) ||
            !stream_add(&stream, end, log->key_bytes - SHA256_BYTES, err))
            return false;
    }
    bool fine = stream_flush(&stream, err);
    *hash = stream.hash;
    return fine;
}

static bool write_record(const struct store_log *log, struct record *record,
                         struct error *err) {
    memcpy(record->magic, MAGIC, sizeof MAGIC);
    record->own_hash = record_hash(record);
    return file_pwrite(log->journal.fd, record, sizeof *record,
                       log->records * sizeof *record, log->journal.path, err);
}

bool store_log_append(struct store_log *log, const uint8_t *digests,
                      const struct row_batch *batch, void *piece,
                      struct error *err) {
    assert(batch->kind == log->kind);
    struct record record = {.first_row = log->count, .count = batch->count};
    uint64_t end;
    if (!write_rows(log, batch, piece, &record.rows_hash, err) ||
        !write_keys(log, digests, batch, piece, &record.keys_hash, &end, err) ||
        !write_record(log, &record, err)) {
        cut_all(log, NULL); /* a full disk gets its bytes back */
        return false;
    }
    log->count += batch->count;
    log->bytes = end;
    log->records++;
    return true;
}

bool store_log_read(const struct store_log *log, uint64_t row, float *out,
                    struct error *err) {
    assert(row < log->count && log->kind == ROW_DENSE);
    return file_pread(log->rows.fd, out, log->row_bytes, row * log->row_bytes,
                      log->rows.path, err);
}

/* [*begin, *end) of the row in the file of rows. */
static bool find_row(const struct store_log *log, uint64_t row, uint64_t *begin,
                     uint64_t *end, struct error *err) {
    *begin = 0;
    if ((row && !read_end(log, row - 1, begin, err)) ||
        !read_end(log, row, end, err))
        return false;
    return (*begin <= *end && *end <= log->bytes &&
            (*end - *begin) % log->row_bytes == 0) ||
           error_set(err, ERROR_INPUT,
                     "%s was changed while it was in use; run again, and it "
                     "is checked anew",
                     log->keys.path);
}

bool store_log_read_ragged(const struct store_log *log, uint64_t row,
                           struct row_buffer *buffer, struct row *out,
                           struct error *err) {
    assert(row < log->count && log->kind != ROW_DENSE);
    uint64_t begin, end;
    if (!find_row(log, row, &begin, &end, err) ||
        !row_buffer_reserve(buffer, end - begin, err) ||
        !file_pread(log->rows.fd, buffer->bytes, end - begin, begin,
                    log->rows.path, err))
        return false;
    out->count = (end - begin) / log->row_bytes;
    out->indices = log->kind == ROW_SPARSE ? buffer->bytes : NULL;
    out->values = log->kind == ROW_SPARSE
                      ? (const float *)buffer->bytes + out->count
                      : buffer->bytes;
    return true;
}

bool store_log_sync(const struct store_log *log, struct error *err) {
    return file_sync_data(log->rows.fd, log->rows.path, err) &&
           file_sync_data(log->keys.fd, log->keys.path, err) &&
           file_sync_data(log->journal.fd, log->journal.path, err);
}
