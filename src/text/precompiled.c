/* precompiled.c - see precompiled.h. */

#include "text/precompiled.h"

#include <string.h>

#include "base/utf8.h"
#include "text/unicode_sets.h"

enum {
    GRAPHEME_BYTES = 6, /* from here on: one character after another */
    JOINER = 0x200D
};

static int base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* SIZE bytes at most come out; false if it is no base64. */
static bool base64_read(struct str text, uint8_t *out, size_t *size) {
    uint32_t bits = 0;
    unsigned held = 0;
    *size = 0;
    if (text.size % 4)
        return false;
    for (size_t i = 0; i < 2 && text.size; i++)
        text.size -= text.data[text.size - 1] == '=';
    for (size_t i = 0; i < text.size; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        out[(*size)++] = (uint8_t)(bits >> held);
    }
    return true;
}

static uint32_t little(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
           (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static bool unit_at(const struct precompiled *map, size_t at, uint32_t *unit) {
    if (at >= map->unit_count)
        return false;
    *unit = map->units[at];
    return true;
}

static size_t unit_offset(uint32_t unit) {
    return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* What replaces TEXT; false: the map has no beginning of it. */
static bool find(const struct precompiled *map, struct str text,
                 struct str *to) {
    size_t at = 0;
    uint32_t unit, value;
    if (!unit_at(map, 0, &unit))
        return false;
    at ^= unit_offset(unit);
    for (size_t i = 0; i < text.size && text.data[i]; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        at ^= byte;
        if (!unit_at(map, at, &unit) || (unit & (1u << 31 | 0xFF)) != byte)
            return false;
        at ^= unit_offset(unit);
        if (!(unit >> 8 & 1))
            continue;
        if (!unit_at(map, at, &value))
            return false;
        value &= ~(1u << 31);
        if (value >= map->strings.size ||
            (map->strings.data[value] & 0xC0) == 0x80)
            return false;
        const char *begin = map->strings.data + value;
        *to = (struct str){begin, strnlen(begin, map->strings.size - value)};
        return true;
    }
    return false;
}

bool precompiled_load(struct precompiled *map, struct str base64,
                      const char *name, struct arena *arena,
                      struct error *err) {
    uint8_t *bytes = arena_alloc(arena, base64.size / 4 + 1, 3, err);
    size_t size = 0;
    if (!bytes)
        return false;
    bool fine = base64_read(base64, bytes, &size) && size >= 4;
    size_t units = fine ? little(bytes) : 0;
    if (!fine || units % 4 || units > size - 4)
        return error_set(err, ERROR_INPUT,
                         "%s: \"precompiled_charsmap\" is broken", name);
    uint32_t *list = arena_alloc(arena, units / 4 + 1, sizeof *list, err);
    if (!list)
        return false;
    for (size_t i = 0; i < units / 4; i++)
        list[i] = little(bytes + 4 + i * 4);
    map->units = list;
    map->unit_count = units / 4;
    map->strings =
        (struct str){(const char *)bytes + 4 + units, size - 4 - units};
    if (utf8_valid_prefix(map->strings) != map->strings.size)
        return error_set(err, ERROR_INPUT,
                         "%s: \"precompiled_charsmap\" holds what is not UTF-8",
                         name);
    for (unsigned code = 0; code < 128; code++) {
        char byte = (char)code;
        struct str to;
        map->plain[code] = !find(map, (struct str){&byte, 1}, &to);
    }
    return true;
}

/* Whether the code points with these sets, one behind the other, are in one
 * grapheme, so far as it matters below six bytes. CR and LF are controls. */
static bool together(uint32_t before, uint32_t set) {
    if (before & SET_CONTROL)
        return false;
    return (set & SET_JOINS) ||
           ((before & SET_PREPEND) && !(set & SET_CONTROL));
}

/* The end of the grapheme that begins at AT. */
static size_t grapheme_end(struct str text, size_t at) {
    uint32_t code = utf8_next(text, &at), before = unicode_set(code);
    if (code == '\r' && at < text.size && text.data[at] == '\n')
        return at + 1;
    bool picture = before & SET_PICTURE, ready = false;
    while (at < text.size) {
        size_t next = at;
        code = utf8_next(text, &next);
        uint32_t set = unicode_set(code);
        if (!together(before, set) && !(ready && (set & SET_PICTURE)))
            break;
        ready = picture && code == JOINER;
        picture = (set & SET_PICTURE) ||
                  (picture && (set & SET_JOINS) && !(set & SET_SPACING));
        before = set;
        at = next;
    }
    return at;
}

static bool put_found(const struct precompiled *map, struct str text,
                      struct strbuf *out) {
    struct str to;
    if (!find(map, text, &to))
        return false;
    strbuf_add(out, to);
    return true;
}

static void put_grapheme(const struct precompiled *map, struct str text,
                         struct strbuf *out) {
    if (text.size < GRAPHEME_BYTES && put_found(map, text, out))
        return;
    for (size_t at = 0; at < text.size;) {
        size_t begin = at;
        utf8_next(text, &at);
        struct str code = {text.data + begin, at - begin};
        if (!put_found(map, code, out))
            strbuf_add(out, code);
    }
}

/* The end of ASCII that stays as it is and that nothing joins. */
static size_t plain_end(const struct precompiled *map, struct str text,
                        size_t at) {
    size_t end = at;
    while (end < text.size && (uint8_t)text.data[end] < 0x80 &&
           map->plain[(uint8_t)text.data[end]])
        end++;
    /* The last one may be joined by what follows. */
    return end < text.size && end > at ? end - 1 : end;
}

void precompiled_put(const struct precompiled *map, struct str text,
                     struct strbuf *out) {
    for (size_t at = 0; at < text.size && !out->failed;) {
        size_t end = plain_end(map, text, at);
        strbuf_add(out, (struct str){text.data + at, end - at});
        if (end >= text.size)
            break;
        at = end;
        end = grapheme_end(text, at);
        put_grapheme(map, (struct str){text.data + at, end - at}, out);
        at = end;
    }
}
