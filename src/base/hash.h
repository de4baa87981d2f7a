/* hash.h - digests: SHA-256 and SHA-1 by libcrypto, XXH3 for tables. */

#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { SHA256_BYTES = 32, SHA1_BYTES = 20 };

/* XXH3-64: for hash tables and for telling a torn write from a whole one;
 * not for anything that an adversary may choose. */
uint64_t hash_bytes(const void *data, size_t size);

void hash_sha256(struct str data, uint8_t digest[SHA256_BYTES]);
void hash_sha1(struct str data, uint8_t digest[SHA1_BYTES]);

/* SHA-256 over pieces. End it once; ending frees it. */
struct sha256;
struct sha256 *sha256_begin(void); /* NULL when libcrypto has no memory */
void sha256_add(struct sha256 *sha, const void *data, size_t size);
void sha256_end(struct sha256 *sha, uint8_t digest[SHA256_BYTES]);

/* SHA-256 of a file's content, read in pieces. */
bool hash_file_sha256(const char *path, uint8_t digest[SHA256_BYTES],
                      struct error *err);

/* The same for git's name of a file: SHA-1 of "blob SIZE\0" and its content. */
bool hash_file_git_blob(const char *path, uint8_t digest[SHA1_BYTES],
                        struct error *err);

/* 2 x COUNT lower-case digits and a NUL into TEXT. */
void hash_hex(const uint8_t *bytes, size_t count, char *text);

/* RFC 4122 version 5: SHA-1 of NAMESPACE and NAME. */
void uuid5(const uint8_t space[16], struct str name, uint8_t uuid[16]);
/* The same of a name that is in COUNT parts, one behind the other. */
void uuid5_of(const uint8_t space[16], const struct str *parts, size_t count,
              uint8_t uuid[16]);
extern const uint8_t UUID_DNS[16];

/* 8-4-4-4-12 digits and a NUL. */
void uuid_text(const uint8_t uuid[16], char text[37]);

#endif
