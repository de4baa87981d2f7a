#include "base/utf8.h"

#include <string.h>

/* Length of the valid sequence at P with LEFT bytes, its code in *CODE; 0 if
 * there is none. The table of well-formed sequences is Unicode's 3-7. */
static size_t sequence(const unsigned char *p, size_t left, uint32_t *code) {
    unsigned char first = p[0];
    if (first < 0x80) {
        *code = first;
        return 1;
    }
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || left < length)
        return 0;
    unsigned char low = 0x80, high = 0xBF;
    if (first == 0xE0)
        low = 0xA0;
    else if (first == 0xED)
        high = 0x9F;
    else if (first == 0xF0)
        low = 0x90;
    else if (first == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    uint32_t value = first & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (p[i] & 0x3Fu);
    }
    *code = value;
    return length;
}

uint32_t utf8_next(struct str text, size_t *at) {
    uint32_t code = UTF8_REPLACEMENT;
    size_t length = sequence((const unsigned char *)text.data + *at,
                             text.size - *at, &code);
    *at += length ? length : 1;
    return code;
}

size_t utf8_put(uint32_t code, char out[UTF8_MAX_BYTES]) {
    unsigned char *p = (unsigned char *)out;
    if (code < 0x80) {
        p[0] = (unsigned char)code;
        return 1;
    }
    if (code < 0x800) {
        p[0] = (unsigned char)(0xC0 | code >> 6);
        p[1] = (unsigned char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        p[0] = (unsigned char)(0xE0 | code >> 12);
        p[1] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
        p[2] = (unsigned char)(0x80 | (code & 0x3F));
        return 3;
    }
    p[0] = (unsigned char)(0xF0 | code >> 18);
    p[1] = (unsigned char)(0x80 | (code >> 12 & 0x3F));
    p[2] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
    p[3] = (unsigned char)(0x80 | (code & 0x3F));
    return 4;
}

size_t utf8_valid_prefix(struct str text) {
    const unsigned char *p = (const unsigned char *)text.data;
    size_t at = 0;
    while (at < text.size) {
        uint64_t eight;
        if (text.size - at >= 8 &&
            (memcpy(&eight, p + at, 8), !(eight & 0x8080808080808080u))) {
            at += 8;
            continue;
        }
        uint32_t code;
        size_t length = sequence(p + at, text.size - at, &code);
        if (!length)
            return at;
        at += length;
    }
    return at;
}

size_t utf8_control(struct str text, size_t at) {
    const unsigned char *c = (const unsigned char *)text.data + at;
    if (*c == 0xC2 && at + 1 < text.size && c[1] >= 0x80 && c[1] < 0xA0)
        return 2;
    return *c < 0x20 || *c == 0x7F;
}

bool utf8_check(struct str text, const char *what, struct error *err) {
    size_t valid = utf8_valid_prefix(text);
    return valid == text.size ||
           error_set(err, ERROR_USAGE,
                     "byte %zu of the %s, 0x%02X, is not UTF-8; convert it, or "
                     "say it where the locale is UTF-8",
                     valid + 1, what,
                     (unsigned)(unsigned char)text.data[valid]);
}
