/* chunk_pieces.h - pieces of a collection's files, read, checked and decoded by
 * all threads at once. For chunk_intake.c.
 *
 * A piece is a whole JSON document whose root is a list, or some lines of JSON
 * Lines. Threads take them as they get free; the caller asks for them one after
 * another, in the files' order, and numbers their chunks:
 *
 *     chunk_pieces_open(&p, intake);
 *     const struct chunk_piece *piece = chunk_pieces_get(&p, &where);
 *     if (piece && piece->sound) ... piece->chunks[0 .. count) ...
 *     chunk_pieces_close(&p);
 *
 * A piece in which anything is not as it should be (a fault, something that is
 * no chunk) is not sound, and a document that is large or shaped otherwise is
 * no piece at all: the caller reads those by itself and says what is wrong, so
 * that there is one place that does. What a sound piece says is what the caller
 * would have found. Without room below the ceiling there are no pieces.
 */

#ifndef DATA_CHUNK_PIECES_H
#define DATA_CHUNK_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/chunk_decode.h"
#include "data/chunk_place.h"
#include "data/chunks.h"

struct piece_chunk {
    struct chunk_place
        place; /* of lines: as if the piece's first were line 1 */
    uint8_t digest[SHA256_BYTES], original_digest[SHA256_BYTES];
    struct str chunk_id, metadata; /* as chunk_parts has them */
    uint64_t surrogates;
    size_t text_bytes, made_bytes;
    bool own_id, blank;
};

struct chunk_piece {
    uint32_t file;       /* its number in the collection */
    bool lines;          /* JSON Lines */
    uint64_t begin, end; /* in the file */
    bool sound;
    struct piece_chunk *chunks;
    size_t count;
    uint64_t strings;   /* chunks that are bare strings */
    uint64_t line_ends; /* in the piece */
    /* The rest is chunk_pieces.c's. */
    char *bytes, *kept;
    size_t kept_bytes;
    struct chunk_parts parts;
};

struct chunk_pieces {
    const struct intake *intake; /* borrowed; NULL: closed */
    struct chunk_piece *list;    /* [room] */
    size_t room;                 /* 0: there are no pieces */
    size_t count, next;          /* of the round at hand */
};

void chunk_pieces_open(struct chunk_pieces *pieces,
                       const struct intake *intake);
void chunk_pieces_close(struct chunk_pieces *pieces); /* {0} is fine */

/* Where the caller is: at BEGIN of a file of SIZE bytes, open as FD. */
struct piece_where {
    uint32_t file;
    int fd;
    bool lines;
    uint64_t begin, size;
};

/* The piece there; it holds until the next call. NULL: there is none, the rest
 * of the file is the caller's. */
const struct chunk_piece *chunk_pieces_get(struct chunk_pieces *pieces,
                                           const struct piece_where *where);

#endif
