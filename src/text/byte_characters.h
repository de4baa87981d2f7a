/* byte_characters.h - the characters that stand for bytes in byte-level
 * vocabularies. */

#ifndef TEXT_BYTE_CHARACTERS_H
#define TEXT_BYTE_CHARACTERS_H

#include <stdint.h>

#include "base/str.h"
#include "base/utf8.h"

/* The character that stands for BYTE: itself if it can be seen, else one of
 * those from U+0100 on, in order. */
static inline uint32_t byte_character(unsigned byte) {
    if (byte <= 0x20)
        return 0x100 + byte;
    if (byte >= 0x7F && byte <= 0xA0)
        return 0x121 + byte - 0x7F;
    return byte == 0xAD ? 0x143 : byte;
}

/* Those of TEXT appended to OUT, which has room for two bytes a byte. */
static inline void byte_characters_put(struct str text, struct strbuf *out) {
    for (size_t k = 0; k < text.size; k++) {
        uint8_t byte = (uint8_t)text.data[k];
        if (byte > 0x20 && byte < 0x7F)
            out->data[out->size++] = (char)byte;
        else
            out->size += utf8_put(byte_character(byte), out->data + out->size);
    }
}

#endif
