/* store_log.h - rows and their keys appended a batch at a time, under a
 * journal.
 *
 * Three files that only grow: rows, keys and journal. A key is the text's
 * digest, and behind it where the row ends if rows differ in size; where it
 * begins is where the one before it ends. A batch is in the log when its
 * journal record is whole; the record holds checksums over the batch's rows
 * and keys and over itself. Opening checks every record
 * against the bytes that it vouches for and cuts off what does not hold, from
 * the first bad record on.
 *
 * One process at a time: the store's lock sees to that.
 */

#ifndef DATA_STORE_LOG_H
#define DATA_STORE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "data/rows.h"

struct store_log_file {
    int fd;
    char *path; /* borrowed from the store's arena */
};

struct store_log {
    struct store_log_file rows, keys, journal;
    enum row_kind kind;
    size_t row_bytes; /* of a dense row, of one of a multi row's vectors, of one
                         of a sparse row's pairs */
    size_t key_bytes;
    uint64_t count;   /* rows that the journal vouches for */
    uint64_t bytes;   /* of those rows */
    uint64_t records; /* journal records: batches */
};

/* The names of the three files; nothing is opened. */
bool store_log_init(struct store_log *log, struct arena *arena,
                    const char *folder, enum row_kind kind, size_t width,
                    struct error *err);

/* Open the files, made if absent, and check them. *LOST is the number of rows
 * that were there in part or wrong, and are gone. PIECE: store_hash.h. */
bool store_log_open(struct store_log *log, void *piece, uint64_t *lost,
                    struct error *err);
void store_log_close(struct store_log *log); /* closed is fine */

/* Close the files if need be and remove them; absent is fine. */
bool store_log_remove(struct store_log *log, struct error *err);

/* A batch of rows of the log's kind, and their digests [count, 32]. On failure
 * the log is as it was. */
bool store_log_append(struct store_log *log, const uint8_t *digests,
                      const struct row_batch *batch, void *piece,
                      struct error *err);
/* A dense row. */
bool store_log_read(const struct store_log *log, uint64_t row, float *out,
                    struct error *err);
/* A sparse or multi row. */
bool store_log_read_ragged(const struct store_log *log, uint64_t row,
                           struct row_buffer *buffer, struct row *out,
                           struct error *err);
bool store_log_sync(const struct store_log *log, struct error *err);

#endif
