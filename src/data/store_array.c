#include "data/store_array.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "data/npy.h"
#include "data/store_hash.h"

/* The header from the file that is open, not from whatever has its name. */
static bool read_header(struct store_array *array, uint64_t bytes, size_t width,
                        void *piece, struct error *err) {
    size_t head = bytes < STORE_PIECE_BYTES ? (size_t)bytes : STORE_PIECE_BYTES;
    struct npy_header header;
    if (!file_pread(array->fd, piece, head, 0, array->path, err) ||
        !npy_header_read((struct str){piece, head}, bytes, array->path, &header,
                         err))
        return false;
    if (header.width != width)
        return error_set(err, ERROR_INPUT,
                         "%s has rows of %zu floats, not of %zu", array->path,
                         header.width, width);
    array->offset = header.offset;
    array->count = header.rows;
    array->row_bytes = width * sizeof(float);
    return true;
}

/* TO as seen from FOLDER: both made absolute, what they share dropped, a ".."
 * for each folder that is left of FOLDER. */
static char *relative_path(struct arena *arena, const char *folder,
                           const char *to, struct error *err) {
    char *folder_full = realpath(folder, NULL);
    char *to_full = folder_full ? realpath(to, NULL) : NULL;
    char *relative = NULL;
    if (!folder_full || !to_full) {
        error_errno(err, "resolve %s", folder_full ? to : folder);
    } else {
        size_t i = 0, same = 0; /* both begin alike up to a '/' at SAME */
        for (; folder_full[i] && folder_full[i] == to_full[i]; i++)
            if (folder_full[i] == '/')
                same = i;
        if (!folder_full[i] && to_full[i] == '/')
            same = i;
        struct strbuf text = strbuf_make(arena->memory);
        for (const char *at = folder_full + same; at && at[0] && at[1];
             at = strchr(at + 1, '/'))
            strbuf_add(&text, STR("../"));
        strbuf_add(&text, str_from(to_full + same + 1));
        if (strbuf_ok(&text, err))
            relative = arena_copy(arena, strbuf_str(&text), err);
        strbuf_free(&text);
    }
    free(folder_full);
    free(to_full);
    return relative;
}

static json_t *describe(const char *relative, uint64_t bytes, uint64_t rows,
                        uint64_t hash, uint64_t digests_hash,
                        struct error *err) {
    char text[2][17];
    uint64_t hashes[2] = {hash, digests_hash};
    for (int h = 0; h < 2; h++) {
        uint8_t digits[8];
        for (int i = 0; i < 8; i++)
            digits[i] = (uint8_t)(hashes[h] >> (56 - 8 * i));
        hash_hex(digits, sizeof digits, text[h]);
    }
    json_t *member =
        json_pack("{s:s, s:I, s:I, s:s, s:s}", "path", relative, "bytes",
                  (json_int_t)bytes, "rows", (json_int_t)rows, "hash", text[0],
                  "digests_hash", text[1]);
    if (!member)
        error_set(err, ERROR_INPUT,
                  "%s: the path cannot stand in store.json (not UTF-8)",
                  relative);
    return member;
}

static bool open_and_describe(struct store_array *array, struct arena *arena,
                              const char *folder, size_t width, void *piece,
                              json_t **member, struct error *err) {
    uint64_t bytes = 0, digests_bytes = 0, hash, digests_hash;
    if (!file_open_sized(array->path, &array->fd, &bytes, err) ||
        !file_open_sized(array->digests_path, &array->digests_fd,
                         &digests_bytes, err) ||
        !read_header(array, bytes, width, piece, err))
        return false;
    if (digests_bytes / SHA256_BYTES != array->count ||
        digests_bytes % SHA256_BYTES != 0)
        return error_set(err, ERROR_INPUT,
                         "%s has %" PRIu64 " rows and %s has %" PRIu64
                         " bytes of digests, which are for other rows",
                         array->path, array->count, array->digests_path,
                         digests_bytes);
    if (!store_hash_file(array->fd, 0, bytes, array->path, piece, &hash, err) ||
        !store_hash_file(array->digests_fd, 0, digests_bytes,
                         array->digests_path, piece, &digests_hash, err))
        return false;
    char *relative = relative_path(arena, folder, array->path, err);
    *member = relative ? describe(relative, bytes, array->count, hash,
                                  digests_hash, err)
                       : NULL;
    return *member != NULL;
}

bool store_array_open(struct store_array *array, struct arena *arena,
                      const char *folder, const char *path,
                      const char *digests_path, size_t width, void *piece,
                      json_t **member, struct error *err) {
    *array = (struct store_array){.fd = -1, .digests_fd = -1};
    array->path = arena_copy(arena, str_from(path), err);
    array->digests_path = arena_copy(arena, str_from(digests_path), err);
    if (array->path && array->digests_path &&
        open_and_describe(array, arena, folder, width, piece, member, err))
        return true;
    store_array_close(array);
    return false;
}

const char *store_array_path(const json_t *member, struct arena *arena,
                             const char *folder, struct error *err) {
    const char *relative = json_string_value(json_object_get(member, "path"));
    if (relative && relative[0] != '/')
        return arena_printf(arena, err, "%s/%s", folder, relative);
    error_set(err, ERROR_INPUT, "%s/store.json names no array", folder);
    return NULL;
}

void store_array_close(struct store_array *array) {
    if (array->fd >= 0)
        close(array->fd);
    if (array->digests_fd >= 0)
        close(array->digests_fd);
    *array = (struct store_array){.fd = -1, .digests_fd = -1};
}

bool store_array_read(const struct store_array *array, uint64_t row, float *out,
                      struct error *err) {
    assert(row < array->count);
    return file_pread(array->fd, out, array->row_bytes,
                      array->offset + row * array->row_bytes, array->path, err);
}

bool store_array_digest(const struct store_array *array, uint64_t row,
                        uint8_t digest[SHA256_BYTES], struct error *err) {
    return file_pread(array->digests_fd, digest, SHA256_BYTES,
                      row * SHA256_BYTES, array->digests_path, err);
}
