/* utf8.h - between bytes and code points. */

#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { UTF8_REPLACEMENT = 0xFFFD, UTF8_MAX_BYTES = 4 };

/* The code point at TEXT[*at], and *at moved behind it. Bytes that are not
 * UTF-8 (overlong, surrogate, cut off) give U+FFFD and move one byte. The
 * caller makes sure that *at < text.size. */
uint32_t utf8_next(struct str text, size_t *at);

/* CODE as 1 to 4 bytes into OUT, the count returned. */
size_t utf8_put(uint32_t code, char out[UTF8_MAX_BYTES]);

/* Bytes of the longest valid prefix: text.size when all of it is valid. */
size_t utf8_valid_prefix(struct str text);

/* Bytes of the control character at TEXT[at], 1 or (C2 80 to C2 9F) 2; 0 where
 * it is none. The caller makes sure that at < text.size. */
size_t utf8_control(struct str text, size_t at);

/* Is TEXT, which somebody said, UTF-8? If not, ERR is ERROR_USAGE and names it
 * as WHAT. Tokenizers pass over bytes that are no text, and the vector would be
 * another text's. */
bool utf8_check(struct str text, const char *what, struct error *err);

#endif
