/* chunk_points.h - numbers the points of a collection as they are found: who
 * has which id, whose text was there before, one record each. */

#ifndef DATA_CHUNK_POINTS_H
#define DATA_CHUNK_POINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/disk_index.h"
#include "base/error.h"
#include "base/hash.h"
#include "data/chunk_decode.h"
#include "data/chunk_record.h"
#include "data/chunks.h"

/* The first chunk of a text. */
struct chunk_first {
    uint32_t file; /* its number in the collection */
    bool own_id;
};

struct chunk_points {
    struct intake *intake; /* borrowed: counts and digest are filled in */
    struct disk_index ids, texts;
    struct chunk_first first; /* with the text of the chunk that is added */
    struct sha256 *digest;    /* of everything that is exported */
    int fd;                   /* of the records */
    struct chunk_record *block;
    size_t block_count;
    uint64_t written; /* records in the file */
};

bool chunk_points_open(struct chunk_points *points, struct intake *intake,
                       const char *scratch, struct error *err);

/* The chunk in PARTS is the next point; RECORD has its offset, size and file,
 * RELATIVE is the file's. The record's other fields are filled in. */
bool chunk_points_add(struct chunk_points *points, struct chunk_parts *parts,
                      struct chunk_record *record, const char *relative,
                      struct error *err);
/* Write what is left, and set intake->digest. */
bool chunk_points_finish(struct chunk_points *points, struct error *err);
void chunk_points_close(struct chunk_points *points);

#endif
