#include "device/cuda/cuda_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* More than any module of ours; what is larger is no file of ours. */
static const size_t IMAGE_BYTES_MAX = (size_t)64 << 20;

enum { KEY_DIGITS = 16 };

static bool set_path(char path[PATH_MAX], const char *folder, const char *name,
                     const struct cuda_key *key) {
    char digits[2 * KEY_DIGITS + 1];
    hash_hex(key->digest, KEY_DIGITS, digits);
    int size = snprintf(path, PATH_MAX, "%s/%s-%s.cubin", folder, name, digits);
    return size > 0 && size < PATH_MAX;
}

static void set_seal(const struct cuda_key *key, const void *data, size_t bytes,
                     uint8_t seal[SHA256_BYTES]) {
    struct sha256 *sha = sha256_begin();
    memset(seal, 0, SHA256_BYTES);
    if (!sha)
        return;
    sha256_add(sha, key->digest, sizeof key->digest);
    sha256_add(sha, data, bytes);
    sha256_end(sha, seal);
}

bool cuda_cache_read(const char *folder, const char *name,
                     const struct cuda_key *key, struct memory *memory,
                     void **data, size_t *bytes) {
    char path[PATH_MAX];
    struct file_map map;
    uint8_t seal[SHA256_BYTES];
    if (!set_path(path, folder, name, key) || !file_exists(path) ||
        !file_map_open(&map, path, NULL))
        return false;
    bool fine = map.size > sizeof seal && map.size <= IMAGE_BYTES_MAX;
    *data = NULL;
    if (fine) {
        *bytes = map.size - sizeof seal;
        *data = memory_alloc(memory, *bytes, 1, NULL);
        fine = *data != NULL;
    }
    if (fine) { /* looked at where nobody else can change it any more */
        memcpy(*data, map.data + sizeof seal, *bytes);
        set_seal(key, *data, *bytes, seal);
        fine = memcmp(seal, map.data, sizeof seal) == 0;
    }
    if (!fine) {
        memory_free(memory, *data);
        *data = NULL;
    }
    file_map_close(&map);
    return fine;
}

static bool write_all(int fd, const void *data, size_t bytes) {
    const char *at = data;
    while (bytes) {
        ssize_t wrote = write(fd, at, bytes);
        if (wrote <= 0)
            return false;
        at += wrote;
        bytes -= (size_t)wrote;
    }
    return true;
}

void cuda_cache_write(const char *folder, const char *name,
                      const struct cuda_key *key, const void *data,
                      size_t bytes) {
    char path[PATH_MAX], part[PATH_MAX];
    uint8_t seal[SHA256_BYTES];
    if (!set_path(path, folder, name, key) || !folder_make(folder, NULL))
        return;
    int size = snprintf(part, sizeof part, "%s/%s-XXXXXX", folder, name);
    int fd = size > 0 && size < PATH_MAX ? mkstemp(part) : -1;
    if (fd < 0)
        return;
    set_seal(key, data, bytes, seal);
    bool fine = write_all(fd, seal, sizeof seal) && write_all(fd, data, bytes);
    if (close(fd) != 0 || !fine || rename(part, path) != 0)
        unlink(part);
}
