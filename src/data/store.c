/* store.c - see store.h. The files are store_log's, store.json store_record's,
 * an exported array store_array's; here is what ties them together.
 *
 * What is on disk at any moment, and what an opening makes of it:
 *
 *     no store.json                  nothing: leftovers are removed
 *     store.json without an array    the log; array.digests is a leftover
 *     store.json with an array       the array; the log is a leftover
 *
 * store.json is replaced in one step, so each change of place is: make the
 * new place whole, replace store.json, remove the old place.
 */

#include "data/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/disk_index.h"
#include "base/file.h"
#include "data/store_array.h"
#include "data/store_hash.h"
#include "data/store_log.h"
#include "data/store_record.h"

struct store {
    struct memory *memory;
    const struct sink *sink; /* borrowed */
    struct arena arena;      /* owner of all paths */
    const char *folder, *record_path, *digests_path, *index_path, *isa;
    enum row_kind kind;
    size_t width;
    void *piece; /* [STORE_PIECE_BYTES] */
    int lock_fd;
    json_t *record;  /* what store.json says or is to say */
    bool record_due; /* store.json has to be written before the next row */
    bool retired;    /* rows are in the array, else in the log */
    struct store_log log;
    struct store_array array;
    struct disk_index index; /* digest -> row, the first where there are two */
    uint64_t rows_expected;  /* the index has room for them from the start */
    bool indexed;            /* the index is open and has all rows */
};

static bool lock_take(struct store *store, struct error *err) {
    const char *path =
        arena_printf(&store->arena, err, "%s/lock", store->folder);
    if (!path)
        return false;
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (store->lock_fd < 0)
        return error_errno(err, "open %s", path);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno != EWOULDBLOCK)
        return error_errno(err, "lock %s", path);
    return error_set(err, ERROR_BUSY,
                     "%s is in use by another run of ensembed; wait for its "
                     "end or give another --out",
                     store->folder);
}

static void warn_lost(const struct store *store, uint64_t rows) {
    if (rows)
        event_log(store->sink, LOG_WARNING,
                  "%s: %" PRIu64 " rows at the end were not whole (the run "
                  "before was stopped while it wrote them); they are computed "
                  "again",
                  store->folder, rows);
}

static bool open_log(struct store *store, struct error *err) {
    uint64_t lost;
    if (!store_log_open(&store->log, store->piece, &lost, err))
        return false;
    warn_lost(store, lost);
    return true;
}

/* No rows, whatever was here. store.json goes first: without it the rest
 * counts for nothing. */
static bool wipe(struct store *store, struct error *err) {
    return file_remove(store->record_path, err) &&
           store_log_remove(&store->log, err) &&
           file_remove(store->digests_path, err);
}

static bool same_array(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"bytes", "rows", "hash", "digests_hash"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        if (!json_equal(json_object_get(a, keys[k]),
                        json_object_get(b, keys[k])))
            return false;
    return true;
}

static bool check_array(struct store *store, const json_t *member,
                        struct error *err) {
    const char *path =
        store_array_path(member, &store->arena, store->folder, err);
    json_t *now;
    if (!path || !store_array_open(&store->array, &store->arena, store->folder,
                                   path, store->digests_path, store->width,
                                   store->piece, &now, err))
        return false;
    bool same = same_array(member, now);
    json_decref(now);
    if (same)
        return true;
    store_array_close(&store->array);
    return error_set(err, ERROR_INPUT,
                     "%s was changed after the run that "
                     "wrote it",
                     path);
}

/* An array that is gone or changed costs its rows, not the run. store.json
 * keeps naming it until there are new rows. */
static bool open_array(struct store *store, const json_t *member,
                       struct error *err) {
    struct error cause;
    if (!store_log_remove(&store->log, err))
        return false;
    if (check_array(store, member, &cause)) {
        store->retired = true;
        return true;
    }
    if (cause.code == ERROR_MEMORY)
        return error_set(err, cause.code, "%s", cause.message);
    event_log(store->sink, LOG_WARNING,
              "%s: the rows that were kept in the array of an earlier run "
              "cannot be taken from it, and all are computed again: %s",
              store->folder, cause.message);
    json_object_del(store->record, "array");
    store->record_due = true;
    return open_log(store, err);
}

static bool open_rows(struct store *store, const struct store_request *request,
                      struct error *err) {
    if (request->restart && !wipe(store, err))
        return false;
    if (!store_record_read(store->record_path, &store->record, err))
        return false;
    if (!store->record) {
        store->record = store_record_make(request->fingerprint, request->kind,
                                          request->width, err);
        store->record_due = true;
        return store->record && wipe(store, err) && open_log(store, err);
    }
    if (!store_record_match(store->record, request->fingerprint, request->kind,
                            request->width, store->folder, store->memory, err))
        return false;
    const json_t *member = json_object_get(store->record, "array");
    if (member)
        return open_array(store, member, err);
    return file_remove(store->digests_path, err) && open_log(store, err);
}

static bool make_paths(struct store *store, const struct store_request *request,
                       struct error *err) {
    struct arena *arena = &store->arena;
    store->folder = arena_copy(arena, str_from(request->folder), err);
    store->isa = arena_copy(
        arena, str_from(request->isa ? request->isa : "unknown"), err);
    if (!store->folder || !store->isa)
        return false;
    store->record_path =
        arena_printf(arena, err, "%s/store.json", store->folder);
    store->digests_path =
        arena_printf(arena, err, "%s/array.digests", store->folder);
    store->index_path = arena_printf(arena, err, "%s/index", store->folder);
    return store->record_path && store->digests_path && store->index_path &&
           store_log_init(&store->log, arena, store->folder, store->kind,
                          store->width, err);
}

struct store *store_open(struct memory *memory,
                         const struct store_request *request,
                         struct error *err) {
    struct store *store = memory_zalloc(memory, 1, sizeof *store, err);
    if (!store)
        return NULL;
    store->memory = memory;
    store->sink = request->sink;
    store->arena = arena_make(memory);
    store->kind = request->kind;
    store->width = request->width;
    store->lock_fd = -1;
    store->log = (struct store_log){
        .rows = {.fd = -1}, .keys = {.fd = -1}, .journal = {.fd = -1}};
    store->array = (struct store_array){.fd = -1, .digests_fd = -1};
    store->index = (struct disk_index){.memory = memory, .fd = -1};
    store->piece = memory_alloc(memory, STORE_PIECE_BYTES, 1, err);
    if (store->piece && folder_make(request->folder, err) &&
        make_paths(store, request, err) && lock_take(store, err) &&
        open_rows(store, request, err))
        return store;
    store_close(store);
    return NULL;
}

static void index_drop(struct store *store) {
    disk_index_close(&store->index);
    store->indexed = false;
}

void store_close(struct store *store) {
    if (!store)
        return;
    index_drop(store);
    store_array_close(&store->array);
    store_log_close(&store->log);
    json_decref(store->record);
    if (store->lock_fd >= 0)
        close(store->lock_fd); /* which drops the lock */
    memory_free(store->memory, store->piece);
    arena_free(&store->arena);
    memory_free(store->memory, store);
}

uint64_t store_rows(const struct store *store) {
    return store->retired ? store->array.count : store->log.count;
}

bool store_is_retired(const struct store *store) {
    return store->retired;
}

/* Texts that occur twice have one row in the log and two in an array. */
static bool index_add_new(struct store *store, const uint8_t *digest,
                          uint64_t row, struct error *err) {
    bool found;
    uint64_t there;
    return disk_index_find(&store->index, digest, &found, &there, err) &&
           (found || disk_index_put(&store->index, digest, row, err));
}

static bool index_fill(struct store *store, struct error *err) {
    int fd = store->retired ? store->array.digests_fd : store->log.keys.fd;
    size_t key_bytes = store->retired ? SHA256_BYTES : store->log.key_bytes;
    size_t at_once = STORE_PIECE_BYTES / key_bytes;
    uint64_t rows = store_rows(store);
    const uint8_t *keys = store->piece;
    for (uint64_t row = 0; row < rows; row++) {
        size_t in_piece = (size_t)(row % at_once);
        uint64_t left = rows - row;
        size_t count = left < at_once ? (size_t)left : at_once;
        if (in_piece == 0 && !file_pread(fd, store->piece, count * key_bytes,
                                         row * key_bytes, store->folder, err))
            return false;
        if (!index_add_new(store, keys + in_piece * key_bytes, row, err))
            return false;
        if (event_interrupted(store->sink))
            return error_set(err, ERROR_INTERRUPTED, "interrupted");
    }
    return true;
}

/* Made when it is first asked for: a store that is opened to be retired or
 * only appended to needs none. */
static bool index_ready(struct store *store, struct error *err) {
    if (store->indexed)
        return true;
    uint64_t rows = store_rows(store);
    uint64_t room = store->rows_expected > rows ? store->rows_expected : rows;
    if (disk_index_open_for(&store->index, store->index_path, room,
                            store->memory, err) &&
        index_fill(store, err)) {
        store->indexed = true;
        return true;
    }
    index_drop(store);
    return false;
}

bool store_find(struct store *store, const uint8_t digest[SHA256_BYTES],
                bool *found, uint64_t *row, struct error *err) {
    return index_ready(store, err) &&
           disk_index_find(&store->index, digest, found, row, err);
}

/* store.json says who makes rows before they are there. */
static bool record_ready(struct store *store, struct error *err) {
    bool news;
    if (!store_record_add_isa(store->record, store->isa, &news, err))
        return false;
    store->record_due |= news;
    if (!store->record_due)
        return true;
    if (!store_record_write(store->record_path, store->record, store->memory,
                            err))
        return false;
    store->record_due = false;
    return true;
}

uint64_t store_bytes_open(void) {
    return memory_block_bytes(sizeof(struct store)) +
           memory_block_bytes(STORE_PIECE_BYTES);
}

uint64_t store_bytes_index(uint64_t rows) {
    return disk_index_bytes(rows);
}

bool store_prepare(struct store *store, uint64_t more, struct error *err) {
    if (!store_materialise(store, err) || !record_ready(store, err))
        return false;
    store->rows_expected = store->log.count + more;
    if (store->indexed &&
        !disk_index_has_room(&store->index, store->rows_expected))
        index_drop(store);
    return index_ready(store, err);
}

bool store_append(struct store *store, const uint8_t *digests,
                  const float *rows, size_t count, struct error *err) {
    struct row_batch batch = {
        .width = store->width, .count = count, .values = rows};
    return store_append_rows(store, digests, &batch, err);
}

bool store_append_rows(struct store *store, const uint8_t *digests,
                       const struct row_batch *batch, struct error *err) {
    assert(batch->kind == store->kind && batch->width == store->width);
    if (batch->count == 0)
        return true;
    if (!store_materialise(store, err) || !record_ready(store, err))
        return false;
    uint64_t first = store->log.count;
    if (!store_log_append(&store->log, digests, batch, store->piece, err))
        return false;
    for (size_t i = 0; store->indexed && i < batch->count; i++) {
        if (disk_index_put(&store->index, digests + i * SHA256_BYTES, first + i,
                           err))
            continue;
        index_drop(store); /* the rows are kept; the next find fills it anew */
        return false;
    }
    return true;
}

bool store_sync(struct store *store, struct error *err) {
    return store->retired || (store_log_sync(&store->log, err) &&
                              folder_sync(store->folder, err));
}

bool store_read(struct store *store, uint64_t row, float *out,
                struct error *err) {
    return store->retired ? store_array_read(&store->array, row, out, err)
                          : store_log_read(&store->log, row, out, err);
}

bool store_read_row(struct store *store, uint64_t row,
                    struct row_buffer *buffer, struct row *out,
                    struct error *err) {
    if (store->kind != ROW_DENSE)
        return store_log_read_ragged(&store->log, row, buffer, out, err);
    if (!row_buffer_reserve(buffer, store->log.row_bytes, err) ||
        !store_read(store, row, buffer->bytes, err))
        return false;
    *out = (struct row){.count = 1, .values = buffer->bytes};
    return true;
}

/* From the moment store.json names it, the array is the store. */
static bool record_array(struct store *store, json_t *member,
                         struct error *err) {
    json_t *before = json_incref(json_object_get(store->record, "array"));
    bool fine = json_object_set(store->record, "array", member) == 0 ||
                error_set(err, ERROR_MEMORY, "no memory for a store's record");
    fine = fine && store_record_write(store->record_path, store->record,
                                      store->memory, err);
    if (fine)
        store->record_due = false;
    else if (before)
        json_object_set(store->record, "array", before);
    else
        json_object_del(store->record, "array");
    json_decref(before);
    return fine;
}

bool store_retire(struct store *store, const char *array,
                  const char *digests_path, struct error *err) {
    assert(store->kind == ROW_DENSE);
    struct store_array next;
    json_t *member;
    if (!store_array_open(&next, &store->arena, store->folder, array,
                          digests_path, store->width, store->piece, &member,
                          err))
        return false;
    bool fine = file_sync(next.digests_fd, digests_path, err) &&
                file_rename(digests_path, store->digests_path, err) &&
                record_array(store, member, err);
    json_decref(member);
    if (!fine) {
        store_array_close(&next);
        return false;
    }
    index_drop(store);
    store_array_close(&store->array);
    store->array = next;
    store->array.digests_path = store->digests_path;
    store->retired = true;
    return store_log_remove(&store->log, err);
}

/* Rows on their way from the array to the log. */
struct batch {
    float *rows;      /* [capacity, width] */
    uint8_t *digests; /* [capacity, 32] */
    size_t count, capacity;
};

static bool batch_flush(struct store *store, struct batch *batch,
                        struct error *err) {
    struct row_batch rows = {
        .width = store->width, .count = batch->count, .values = batch->rows};
    batch->count = 0;
    return rows.count == 0 || store_log_append(&store->log, batch->digests,
                                               &rows, store->piece, err);
}

/* Each text's first row of the array, in order. */
static bool copy_rows(struct store *store, struct batch *batch,
                      struct error *err) {
    for (uint64_t row = 0; row < store->array.count; row++) {
        uint8_t *digest = batch->digests + batch->count * SHA256_BYTES;
        bool found;
        uint64_t first;
        if (!store_array_digest(&store->array, row, digest, err) ||
            !store_find(store, digest, &found, &first, err))
            return false;
        if (first != row)
            continue;
        if (!store_array_read(&store->array, row,
                              batch->rows + batch->count * store->width, err))
            return false;
        batch->count++;
        if (batch->count == batch->capacity && !batch_flush(store, batch, err))
            return false;
    }
    return batch_flush(store, batch, err);
}

static bool copy_to_log(struct store *store, struct error *err) {
    uint64_t lost;
    struct batch batch = {.capacity =
                              1 + STORE_PIECE_BYTES / store->log.row_bytes};
    batch.rows =
        memory_alloc(store->memory, batch.capacity, store->log.row_bytes, err);
    batch.digests =
        memory_alloc(store->memory, batch.capacity, SHA256_BYTES, err);
    bool fine =
        batch.rows && batch.digests && store_log_remove(&store->log, err) &&
        store_log_open(&store->log, store->piece, &lost, err) &&
        copy_rows(store, &batch, err) && store_log_sync(&store->log, err) &&
        folder_sync(store->folder, err);
    memory_free(store->memory, batch.rows);
    memory_free(store->memory, batch.digests);
    if (!fine)
        store_log_remove(&store->log, NULL);
    return fine;
}

/* From the moment store.json names no array, the log is the store. */
static bool record_log(struct store *store, struct error *err) {
    json_t *member = json_incref(json_object_get(store->record, "array"));
    json_object_del(store->record, "array");
    bool fine = store_record_write(store->record_path, store->record,
                                   store->memory, err);
    if (!fine)
        json_object_set(store->record, "array", member);
    json_decref(member);
    return fine;
}

bool store_materialise(struct store *store, struct error *err) {
    if (!store->retired)
        return true;
    if (!copy_to_log(store, err))
        return false;
    if (!record_log(store, err)) {
        /* Not removed: store.json may have changed although its folder could
         * not be synced. */
        store_log_close(&store->log);
        return false;
    }
    index_drop(store); /* the rows have new numbers */
    store_array_close(&store->array);
    store->retired = false;
    return file_remove(store->digests_path, err);
}
