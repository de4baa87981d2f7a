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
    uint64_t digests_hash;
    uint64_t own_hash; /* of all above */
};

_Static_assert(sizeof(struct record) == 48, "records lie back to back");

static const char MAGIC[8] = {'E', 'N', 'S', 'B', 'A', 'T', 'C', 'H'};

static uint64_t record_hash(const struct record *record) {
    return hash_bytes(record, offsetof(struct record, own_hash));
}

bool store_log_init(struct store_log *log, struct arena *arena,
                    const char *folder, size_t width, struct error *err) {
    *log = (struct store_log){
        .rows = {.fd = -1}, .digests = {.fd = -1}, .journal = {.fd = -1}};
    log->rows.path = arena_printf(arena, err, "%s/rows.f32", folder);
    log->digests.path = arena_printf(arena, err, "%s/digests", folder);
    log->journal.path = arena_printf(arena, err, "%s/journal", folder);
    if (width == 0 || !size_multiply(width, sizeof(float), &log->row_bytes))
        return error_set(err, ERROR_USAGE, "%s cannot hold rows of %zu floats",
                         folder, width);
    return log->rows.path && log->digests.path && log->journal.path;
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
    return cut(&log->rows, log->count * log->row_bytes, err) &&
           cut(&log->digests, log->count * SHA256_BYTES, err) &&
           cut(&log->journal, log->records * sizeof(struct record), err);
}

struct sizes {
    uint64_t rows, digests, journal; /* bytes */
};

static bool sizes_read(const struct store_log *log, struct sizes *sizes,
                       struct error *err) {
    return fd_size(&log->rows, &sizes->rows, err) &&
           fd_size(&log->digests, &sizes->digests, err) &&
           fd_size(&log->journal, &sizes->journal, err);
}

/* Whether RECORD is the next one and both files are long enough for it. */
static bool record_fits(const struct store_log *log, const struct sizes *sizes,
                        const struct record *record) {
    return memcmp(record->magic, MAGIC, sizeof MAGIC) == 0 &&
           record->own_hash == record_hash(record) &&
           record->first_row == log->count && record->count > 0 &&
           record->count <= sizes->rows / log->row_bytes - log->count &&
           record->count <= sizes->digests / SHA256_BYTES - log->count;
}

static bool record_holds(const struct store_log *log,
                         const struct record *record, void *piece, bool *holds,
                         struct error *err) {
    uint64_t rows_hash, digests_hash;
    if (!store_hash_file(log->rows.fd, log->count * log->row_bytes,
                         record->count * log->row_bytes, log->rows.path, piece,
                         &rows_hash, err) ||
        !store_hash_file(log->digests.fd, log->count * SHA256_BYTES,
                         record->count * SHA256_BYTES, log->digests.path, piece,
                         &digests_hash, err))
        return false;
    *holds =
        rows_hash == record->rows_hash && digests_hash == record->digests_hash;
    return true;
}

static bool replay(struct store_log *log, const struct sizes *sizes,
                   void *piece, struct error *err) {
    log->count = log->records = 0;
    uint64_t whole = sizes->journal / sizeof(struct record);
    while (log->records < whole) {
        struct record record;
        bool holds = false;
        if (!file_pread(log->journal.fd, &record, sizeof record,
                        log->records * sizeof record, log->journal.path, err))
            return false;
        if (!record_fits(log, sizes, &record))
            return true;
        if (!record_holds(log, &record, piece, &holds, err))
            return false;
        if (!holds)
            return true;
        log->count += record.count;
        log->records++;
    }
    return true;
}

/* Rows of which anything is there. */
static uint64_t rows_begun(const struct store_log *log,
                           const struct sizes *sizes) {
    uint64_t by_rows =
        sizes->rows / log->row_bytes + (sizes->rows % log->row_bytes != 0);
    uint64_t by_digests =
        sizes->digests / SHA256_BYTES + (sizes->digests % SHA256_BYTES != 0);
    return by_rows > by_digests ? by_rows : by_digests;
}

bool store_log_open(struct store_log *log, void *piece, uint64_t *lost,
                    struct error *err) {
    struct sizes sizes;
    if (open_file(&log->rows, err) && open_file(&log->digests, err) &&
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
    close_file(&log->digests);
    close_file(&log->journal);
    log->count = log->records = 0;
}

/* The journal first: without it nothing vouches for the rest. */
bool store_log_remove(struct store_log *log, struct error *err) {
    store_log_close(log);
    return file_remove(log->journal.path, err) &&
           file_remove(log->digests.path, err) &&
           file_remove(log->rows.path, err);
}

bool store_log_append(struct store_log *log, const uint8_t *digests,
                      const float *rows, size_t count, struct error *err) {
    size_t rows_bytes, digests_bytes;
    if (!size_multiply(count, log->row_bytes, &rows_bytes) ||
        !size_multiply(count, SHA256_BYTES, &digests_bytes))
        return error_set(err, ERROR_MEMORY, "a batch of %zu rows is too large",
                         count);
    struct record record = {.first_row = log->count,
                            .count = count,
                            .rows_hash = store_hash(rows, rows_bytes),
                            .digests_hash = store_hash(digests, digests_bytes)};
    memcpy(record.magic, MAGIC, sizeof MAGIC);
    record.own_hash = record_hash(&record);
    if (!file_pwrite(log->rows.fd, rows, rows_bytes,
                     log->count * log->row_bytes, log->rows.path, err) ||
        !file_pwrite(log->digests.fd, digests, digests_bytes,
                     log->count * SHA256_BYTES, log->digests.path, err) ||
        !file_pwrite(log->journal.fd, &record, sizeof record,
                     log->records * sizeof record, log->journal.path, err)) {
        cut_all(log, NULL); /* a full disk gets its bytes back */
        return false;
    }
    log->count += count;
    log->records++;
    return true;
}

bool store_log_read(const struct store_log *log, uint64_t row, float *out,
                    struct error *err) {
    assert(row < log->count);
    return file_pread(log->rows.fd, out, log->row_bytes, row * log->row_bytes,
                      log->rows.path, err);
}

static bool sync_file(const struct store_log_file *file, struct error *err) {
    return fdatasync(file->fd) == 0 || error_errno(err, "sync %s", file->path);
}

bool store_log_sync(const struct store_log *log, struct error *err) {
    return sync_file(&log->rows, err) && sync_file(&log->digests, err) &&
           sync_file(&log->journal, err);
}
