#include "run/digest_list.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk_index.h"
#include "base/file.h"

enum { PIECE_DIGESTS = 256 };

bool digest_list_add(const char *path, const uint8_t *digests, size_t count,
                     struct error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    struct stat status;
    if (fd < 0)
        return error_errno(err, "open %s", path);
    bool fine = fstat(fd, &status) == 0 || error_errno(err, "stat %s", path);
    /* What a kill left of a digest is written over. */
    uint64_t whole = fine ? (uint64_t)status.st_size / SHA256_BYTES : 0;
    fine = fine && file_pwrite(fd, digests, count * SHA256_BYTES,
                               whole * SHA256_BYTES, path, err);
    close(fd);
    return fine;
}

static bool add_all(struct disk_index *index, const uint8_t *digests,
                    size_t count, struct error *err) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *digest = digests + i * SHA256_BYTES;
        bool found;
        uint64_t value;
        if (!disk_index_find(index, digest, &found, &value, err) ||
            (!found && !disk_index_put(index, digest, 0, err)))
            return false;
    }
    return true;
}

/* In pieces: the list grows with the corpus, what is held does not. */
static bool load_pieces(struct disk_index *index, int fd, uint64_t digests,
                        const char *path, struct error *err) {
    uint8_t piece[PIECE_DIGESTS * SHA256_BYTES];
    for (uint64_t at = 0; at < digests; at += PIECE_DIGESTS) {
        uint64_t left = digests - at;
        size_t count = left < PIECE_DIGESTS ? (size_t)left : PIECE_DIGESTS;
        if (!file_pread(fd, piece, count * SHA256_BYTES, at * SHA256_BYTES,
                        path, err) ||
            !add_all(index, piece, count, err))
            return false;
    }
    return true;
}

static bool load(struct disk_index *index, const char *path,
                 struct error *err) {
    uint64_t bytes;
    int fd;
    if (!file_may_exist(path))
        return true;
    bool fine = file_open_sized(path, &fd, &bytes, err) &&
                load_pieces(index, fd, bytes / SHA256_BYTES, path, err);
    if (fd >= 0)
        close(fd);
    return fine;
}

static bool list(struct chunk_reader *reader, json_t *ids, struct error *err) {
    struct chunk chunk;
    if (!ids || json_array_size(ids) >= DIGEST_LIST_NAMED)
        return true;
    if (!chunk_reader_decode(reader, &chunk, err))
        return false;
    json_array_append_new(
        ids, json_stringn(chunk.chunk_id.data, chunk.chunk_id.size));
    return true;
}

static bool count_points(struct disk_index *index, bool unique_only,
                         const struct intake *intake, uint64_t *count,
                         json_t *ids, struct error *err) {
    struct chunk_reader *reader = chunk_reader_open(intake, err);
    enum chunk_step step = reader ? CHUNK_OK : CHUNK_ERROR;
    uint8_t digest[SHA256_BYTES];
    uint64_t point, value;
    while (step == CHUNK_OK) {
        step = chunk_reader_digest(reader, unique_only, &point, digest, err);
        bool found = false;
        if (step == CHUNK_OK &&
            (!disk_index_find(index, digest, &found, &value, err) ||
             (found && !list(reader, ids, err))))
            step = CHUNK_ERROR;
        *count += found;
    }
    chunk_reader_close(reader);
    return step == CHUNK_END;
}

bool digest_list_count(const char *const *paths, size_t paths_count,
                       bool unique_only, const struct intake *intake,
                       const char *scratch, uint64_t *count, json_t *ids,
                       struct error *err) {
    *count = 0;
    char table[PATH_MAX];
    struct disk_index index;
    if (snprintf(table, sizeof table, "%s/digest_list.index", scratch) >=
        PATH_MAX)
        return error_set(err, ERROR_USAGE, "path too long: %s", scratch);
    if (!disk_index_open(&index, table, intake->memory, err))
        return false;
    bool fine = true;
    for (size_t i = 0; fine && i < paths_count; i++)
        fine = load(&index, paths[i], err);
    fine = fine && (!index.count ||
                    count_points(&index, unique_only, intake, count, ids, err));
    disk_index_close(&index);
    return fine;
}
