/* size_text.h - a number of bytes as people write it. */

#ifndef BASE_SIZE_TEXT_H
#define BASE_SIZE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Bytes: "1073741824", "1.5GiB", "12GB", "512 MiB". Units are B, KB, MB, GB,
 * TB (powers of 1,000) and KiB, MiB, GiB, TiB (of 1,024) in any case; at most
 * three decimals; not 0. ERROR_USAGE, with WHERE as the place, for anything
 * else. */
bool size_text_parse(const char *text, const char *where, uint64_t *bytes,
                     struct error *err);

#endif
