/* chunk_record.h - what intake_scan writes of each point and a chunk_reader
 * reads: one record of fixed size in a scratch file, in the machine's own
 * layout, since the file lives no longer than the process. */

#ifndef DATA_CHUNK_RECORD_H
#define DATA_CHUNK_RECORD_H

#include <stdint.h>

#include "base/hash.h"

enum chunk_flags { RECORD_DUPLICATE = 1 };

struct chunk_record {
    uint8_t digest[SHA256_BYTES]; /* of the text as embedded */
    uint64_t offset;              /* of the chunk's first byte in its file */
    uint32_t size;                /* bytes of the chunk; CHUNK_BYTES_MAX */
    uint32_t file;                /* number in the collection */
    uint32_t repeat;     /* 0, or the number behind '#' of a repeated id */
    uint32_t occurrence; /* of this text among the chunks without an id of
                            their own in this file; 0: it has one */
    uint32_t flags;
    uint32_t unused;
};

_Static_assert(sizeof(struct chunk_record) == 64, "records do not vary");

enum {
    RECORDS_A_BLOCK = 1024,
    CHUNK_BYTES_MAX = 1 << 30, /* larger chunks are refused */
};

#endif
