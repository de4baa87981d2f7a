/* OpenSSL's newer interface looks an algorithm up by its name behind a lock,
 * for each digest anew. For a text of a few hundred bytes that is more than the
 * digest, and threads wait for one another there. What has one digest a chunk
 * uses the functions below that, which OpenSSL 3 calls deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/hash.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/sha.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

const uint8_t UUID_DNS[16] = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                              0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

uint64_t hash_bytes(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}

void hash_sha256(struct str data, uint8_t digest[SHA256_BYTES]) {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, data.data, data.size);
    SHA256_Final(digest, &context);
}

void hash_sha1(struct str data, uint8_t digest[SHA1_BYTES]) {
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, data.data, data.size);
    SHA1_Final(digest, &context);
}

/* The library's own context: its type is incomplete, ours is only its name. */
struct sha256 *sha256_begin(void) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    return (struct sha256 *)context;
}

void sha256_add(struct sha256 *sha, const void *data, size_t size) {
    EVP_DigestUpdate((EVP_MD_CTX *)sha, data, size);
}

void sha256_end(struct sha256 *sha, uint8_t digest[SHA256_BYTES]) {
    EVP_DigestFinal_ex((EVP_MD_CTX *)sha, digest, NULL);
    EVP_MD_CTX_free((EVP_MD_CTX *)sha);
}

/* CONTEXT over what is left of FD. */
static bool add_file(EVP_MD_CTX *context, int fd, const char *path,
                     struct error *err) {
    char piece[16 * 1024];
    ssize_t got;
    while ((got = read(fd, piece, sizeof piece)) > 0)
        EVP_DigestUpdate(context, piece, (size_t)got);
    return got == 0 || error_errno(err, "read %s", path);
}

/* GIT: as git names the content. */
static bool hash_file(const char *path, const EVP_MD *kind, bool git,
                      uint8_t *digest, struct error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        error_errno(err, "open %s", path);
        if (fd >= 0)
            close(fd);
        return false;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool fine = context && EVP_DigestInit_ex(context, kind, NULL) == 1;
    if (!fine)
        error_set(err, ERROR_MEMORY, "no memory for a digest");
    char head[40];
    int size =
        snprintf(head, sizeof head, "blob %lld", (long long)status.st_size);
    if (fine && git)
        EVP_DigestUpdate(context, head, (size_t)size + 1); /* with the NUL */
    fine = fine && add_file(context, fd, path, err) &&
           EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    close(fd);
    return fine;
}

bool hash_file_sha256(const char *path, uint8_t digest[SHA256_BYTES],
                      struct error *err) {
    return hash_file(path, EVP_sha256(), false, digest, err);
}

bool hash_file_git_blob(const char *path, uint8_t digest[SHA1_BYTES],
                        struct error *err) {
    return hash_file(path, EVP_sha1(), true, digest, err);
}

void hash_hex(const uint8_t *bytes, size_t count, char *text) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * count] = '\0';
}

void uuid5(const uint8_t space[16], struct str name, uint8_t uuid[16]) {
    uuid5_of(space, &name, 1, uuid);
}

void uuid5_of(const uint8_t space[16], const struct str *parts, size_t count,
              uint8_t uuid[16]) {
    uint8_t digest[SHA1_BYTES];
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, space, 16);
    for (size_t i = 0; i < count; i++)
        SHA1_Update(&context, parts[i].data, parts[i].size);
    SHA1_Final(digest, &context);
    memcpy(uuid, digest, 16);
    uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x50);
    uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80);
}

void uuid_text(const uint8_t uuid[16], char text[37]) {
    char hex[33];
    hash_hex(uuid, 16, hex);
    static const int group_ends[] = {8, 12, 16, 20, 32};
    size_t at = 0, group = 0;
    for (int i = 0; i < 32; i++) {
        if (i == group_ends[group]) {
            text[at++] = '-';
            group++;
        }
        text[at++] = hex[i];
    }
    text[at] = '\0';
}
