/* chunk_decode.h - one chunk's bytes to its parts. */

#ifndef DATA_CHUNK_DECODE_H
#define DATA_CHUNK_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/str.h"
#include "data/chunks.h"

/* Room that is used again for chunk after chunk. */
struct chunk_parts {
    struct strbuf bytes;    /* the chunk as it came, then decoded in place */
    struct strbuf applied;  /* the text with options */
    struct strbuf made;     /* the metadata of a chunk that has none */
    struct strbuf chunk_id; /* its own, "" where it has none */

    struct str original, text; /* as it came; with options */
    struct str metadata;
    uint8_t digest[SHA256_BYTES];          /* of text */
    uint8_t original_digest[SHA256_BYTES]; /* of original */
    size_t made_bytes; /* of metadata that was put together; 0: it came */
    bool own_id;
    uint64_t surrogates; /* lone ones that were mended */
    const char *wrong;   /* why it is no chunk, when decoding says so */
};

struct chunk_parts chunk_parts_make(struct memory *memory);
/* Room for any chunk of INTAKE that has MOST bytes at most, up to a size that
 * is kept. */
bool chunk_parts_reserve(struct chunk_parts *parts, const struct intake *intake,
                         uint64_t most, struct error *err);
/* Bytes of the parts at most, as memory counts them. */
uint64_t chunk_parts_bytes(const struct intake *intake, uint64_t most);
void chunk_parts_free(struct chunk_parts *parts);

/* The parts of the checked JSON object or string in parts->bytes, which this
 * overwrites. False with parts->wrong set when it is no chunk, false with
 * parts->wrong NULL when there is no memory (ERR). */
bool chunk_decode(struct chunk_parts *parts,
                  const struct chunk_options *options, struct error *err);
/* The same of SIZE bytes at BYTES, which are borrowed for as long as the parts
 * are used. */
bool chunk_decode_at(struct chunk_parts *parts, char *bytes, size_t size,
                     const struct chunk_options *options, struct error *err);

/* A copy of BYTES, which came from elsewhere, to parts->bytes. A large room
 * that the chunks before needed is given back first. */
bool chunk_take(struct chunk_parts *parts, struct str bytes, struct error *err);
/* The same for SIZE bytes at OFFSET of FD. */
bool chunk_load(struct chunk_parts *parts, int fd, uint64_t offset,
                uint64_t size, const char *path, struct error *err);

/* Put the id of a chunk that has none of its own together: RELATIVE path,
 * \x1f, first 16 hex digits of the SHA-256 of the original text. */
void chunk_id_base(struct chunk_parts *parts, const char *relative);

/* UUIDv5(SPACE, COLLECTION \x1f CHUNK_ID), where SPACE is UUIDv5(DNS,
 * "ensembed"). */
void chunk_uuid_space(uint8_t space[16]);
void chunk_uuid(const uint8_t space[16], const char *collection,
                struct str chunk_id, uint8_t id[16]);

#endif
