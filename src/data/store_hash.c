#include "data/store_hash.h"

#include "base/file.h"
#include "base/hash.h"

uint64_t store_hash_piece(uint64_t hash, const void *piece, size_t size) {
    uint64_t link[2] = {hash, hash_bytes(piece, size)};
    return hash_bytes(link, sizeof link);
}

bool store_hash_file(int fd, uint64_t offset, uint64_t size, const char *path,
                     void *piece, uint64_t *hash, struct error *err) {
    *hash = 0;
    while (size > 0) {
        size_t part =
            size < STORE_PIECE_BYTES ? (size_t)size : STORE_PIECE_BYTES;
        if (!file_pread(fd, piece, part, offset, path, err))
            return false;
        *hash = store_hash_piece(*hash, piece, part);
        offset += part;
        size -= part;
    }
    return true;
}
