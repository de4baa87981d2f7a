/* store.h - the rows of one head of one model's pass over one collection, on
 * disk as they are made, keyed by the SHA-256 of the text.
 *
 * A run that dies goes on here. Rows are appended a batch at a time: the row
 * data, then the digests, then one journal record with a checksum over both.
 * What the journal does not vouch for is cut off at the next opening, so a
 * torn write costs a batch and never gives a wrong row.
 *
 *     FOLDER/store.json   format version, kind of row, fingerprint, width, isa
 *     FOLDER/rows.f32     [rows, width], absent while retired
 *     FOLDER/digests      [rows, 32]
 *     FOLDER/journal      one fixed-size record a batch
 *
 *     struct store *s = store_open(memory, &request, err);
 *     store_find(s, digest, &found, &row, err);
 *     store_append(s, digests, rows, count, err);
 *     store_read(s, row, vector, err);
 *     store_close(s);
 *
 * Sparse and multi rows (data/rows.h) differ from text to text in size. Their
 * files are rows.sparse or rows.multi, with one row's bytes behind the other's
 * (sparse: indices u32, then values f32; multi: the vectors), and keys [rows,
 * 40] in the place of digests: digest, and where the row ends (u64). All else
 * is the same, but such a store is never retired.
 *
 * When the artefacts are complete and one of them holds the rows at their own
 * width, the row data is a second copy: store_retire lets it go and keeps
 * digest -> row of that array. A later opening finds the array again, checks
 * it and takes the rows from it; one that is gone or changed is warned of, and
 * its rows are computed again. Rows that are to outlive the array (it is about
 * to be replaced, or rows are to be added) go back into the log first:
 * store_materialise, which store_append does by itself.
 *
 *     FOLDER/array.digests  [points, 32], only while retired
 *     FOLDER/index          scratch: digest -> row
 *     FOLDER/lock
 *
 * The fingerprint says what made the rows. A store of another fingerprint is
 * refused with what differs. One process and one thread at a time; a second
 * process gets ERROR_BUSY (flock on FOLDER/lock, which dies with its holder).
 */

#ifndef DATA_STORE_H
#define DATA_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/event.h"
#include "base/hash.h"
#include "base/memory.h"
#include "data/rows.h"

struct store;

struct store_request {
    const char *folder; /* OUT/COLLECTION/.ensembed/KEY/HEAD; made if absent.
                           HEAD is row_kind_name(kind) */
    enum row_kind kind; /* 0: dense */
    const json_t *fingerprint; /* flat object of strings, numbers, booleans;
                                  borrowed */
    const char *isa; /* recorded with the rows, not part of the fingerprint */
    size_t width;    /* >= 1. Dense: floats a row; multi: floats a vector;
                        sparse: indices are below it (2^31 + 1 for BM25's) */
    bool restart;    /* forget what is there */
    const struct sink *sink; /* warnings: an array that changed since ... */
};

/* NULL and ERROR_CONFLICT when the folder holds rows of another fingerprint:
 * the message lists each member that differs with both values, and the ways
 * out (--restart, another --out, :name=). */
struct store *store_open(struct memory *memory,
                         const struct store_request *request,
                         struct error *err);
void store_close(struct store *store); /* NULL is fine */

/* Rows that can be read: [0, store_rows). An array that holds them has one for
 * each point, so texts that occur twice count twice there; otherwise each
 * counts once. */
uint64_t store_rows(const struct store *store);

/* The row of a text, if it is there. The first call fills the index. Row
 * numbers hold until the store changes its place: store_retire, and
 * store_materialise or the first store_append on a retired store. */
bool store_find(struct store *store, const uint8_t digest[SHA256_BYTES],
                bool *found, uint64_t *row, struct error *err);

/* COUNT rows [count, width] for COUNT digests [count, 32], none of them in the
 * store; or a batch of the store's own kind, whose rows are sound (rows.h).
 * When it returns, they survive this process. After a failure the store is
 * whole and can be used; the batch may or may not be in it. store_sync, called
 * every few seconds and at the end of a pass, makes them survive the machine.
 */
bool store_append(struct store *store, const uint8_t *digests,
                  const float *rows, size_t count, struct error *err);
bool store_append_rows(struct store *store, const uint8_t *digests,
                       const struct row_batch *batch, struct error *err);
bool store_sync(struct store *store, struct error *err);

/* What the first store_append would do, done now, and an index with room for
 * MORE rows: then store_find and store_append of as many take no memory. */
bool store_prepare(struct store *store, uint64_t more, struct error *err);
/* Memory of a store that is open, and of its index for ROWS besides. */
uint64_t store_bytes_open(void);
uint64_t store_bytes_index(uint64_t rows);

bool store_read(struct store *store, uint64_t row, float *out,
                struct error *err);
/* A row of any kind. *OUT borrows from BUFFER, until its next use. */
bool store_read_row(struct store *store, uint64_t row,
                    struct row_buffer *buffer, struct row *out,
                    struct error *err);

/* Dense stores only. ARRAY (path of a complete .npy, f32 [points, width]) holds
 * our rows: row i belongs to the text DIGESTS[i] ([points, 32], read from the
 * file at path DIGESTS_PATH, on the same disk, which the store takes over by
 * renaming it). Drops the row data, and with it the rows of texts that ARRAY
 * does not have. A store that is retired already may be retired again. */
bool store_retire(struct store *store, const char *array,
                  const char *digests_path, struct error *err);
bool store_is_retired(const struct store *store);

/* Bring the rows of a retired store back into its own files, each text once.
 * Call it before the array's file is replaced; otherwise a process that dies
 * between the replacing and store_retire costs the rows. Nothing to do in a
 * store that is not retired. */
bool store_materialise(struct store *store, struct error *err);

#endif
