/* precompiled.h - the Precompiled normalizer: sentencepiece's map from
 * beginnings of text to what replaces them, a double-array trie and a list of
 * strings in base64.
 *
 * `tokenizers` asks it for graphemes below six bytes, else for single
 * characters, and takes the shortest beginning that the map has; so do we.
 */

#ifndef TEXT_PRECOMPILED_H
#define TEXT_PRECOMPILED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct precompiled {
    const uint32_t *units; /* [unit_count], owned by the arena */
    size_t unit_count;
    struct str strings; /* a NUL behind each */
    bool plain[128];    /* ASCII that the map leaves alone */
};

/* BASE64 is the member "precompiled_charsmap" of the file NAME. */
bool precompiled_load(struct precompiled *map, struct str base64,
                      const char *name, struct arena *arena, struct error *err);

/* The normalised form of TEXT (valid UTF-8) appended to OUT. */
void precompiled_put(const struct precompiled *map, struct str text,
                     struct strbuf *out);

#endif
