/* estimate.h - what can only be guessed before a run: bytes on disk and time,
 * from the first chunks and a short measurement.
 *
 *     struct disk_estimate disk;
 *     estimate_disk(session, roster, intake, exports, &disk, err);
 *     ... disk.points_bytes ...
 */

#ifndef RUN_ESTIMATE_H
#define RUN_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

#include "data/chunks.h"
#include "run/engine.h"
#include "run/roster.h"
#include "run/session.h"

enum { ESTIMATE_CHUNKS = 1000 }; /* looked at */

struct disk_estimate {
    uint64_t sampled; /* chunks that were looked at */
    uint64_t arrays_bytes, points_bytes, texts_bytes, metadata_bytes;
    uint64_t lookup_bytes; /* below .ensembed: what finds points and rows, and
                              is not the rows' own */
};

static inline uint64_t disk_estimate_bytes(const struct disk_estimate *disk) {
    return disk->arrays_bytes + disk->points_bytes + disk->texts_bytes +
           disk->metadata_bytes + disk->lookup_bytes;
}

/* BYTES of the first SEEN things are so many of ALL. */
static inline uint64_t estimate_scaled(uint64_t bytes, uint64_t seen,
                                       uint64_t all) {
    return seen ? (uint64_t)((double)bytes / (double)seen * (double)all) : 0;
}

/* Arrays of dense vectors exactly (but for headers), sparse vectors and
 * multivectors by the mean text (estimate_row_bytes); the line files and the
 * chunks' own term weights from the first chunks: their lines are put together
 * as a run does it, with vectors of random numbers, and their mean size is
 * taken for all. What EXPORTS leaves away is 0. */
bool estimate_disk(struct session *session, const struct roster *roster,
                   const struct intake *intake, unsigned exports,
                   struct disk_estimate *disk, struct error *err);

/* Disk that a row of the head takes: exactly for dense ones, else about, by the
 * mean text. */
uint64_t estimate_row_bytes(const struct member *member, enum row_kind head,
                            const struct intake_counts *counts);
/* What its store takes besides, to find it. */
uint64_t estimate_key_bytes(enum row_kind head);

/* Tokens of all distinct texts for the engine's model, from the first ones. */
bool estimate_tokens(struct engine *engine, const struct intake *intake,
                     uint64_t *tokens, struct error *err);

/* Additions and multiplications of a token: two for each number that it meets
 * in the layers (each time it goes through one) and in a decoder back to words,
 * and four for each other token that it sees in attention, LENGTH tokens a
 * text. */
double estimate_flops(const struct member *member, double length);

/* Additions and multiplications a second, of a matrix product that takes some
 * 20 ms, by all threads of the device; 0: it has no room for the matrices. */
double estimate_rate(struct device *device);
/* What that takes of the device's account for a while, on the CPU. */
uint64_t estimate_rate_bytes(struct device *device);

#endif
