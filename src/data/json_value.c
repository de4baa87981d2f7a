/* json_value.c - values in memory: members, strings; see json_scan.h. */

#include <string.h>

#include "base/utf8.h"
#include "data/json_scan.h"

void json_iter_begin(struct json_iter *iter, struct str bytes) {
    iter->bytes = bytes;
    json_scan_memory(&iter->scan, bytes);
    iter->root = json_scan_next(&iter->scan);
}

bool json_iter_next(struct json_iter *iter, struct json_item *item) {
    *item = (struct json_item){.key = STR("")};
    if (iter->root != SCAN_OBJECT && iter->root != SCAN_ARRAY)
        return false;
    enum json_event event = json_scan_next(&iter->scan);
    if (event == SCAN_KEY) {
        uint64_t begin = iter->scan.begin + 1, end = iter->scan.end - 1;
        item->key =
            (struct str){iter->bytes.data + begin, (size_t)(end - begin)};
        event = json_scan_next(&iter->scan);
    }
    if (event == SCAN_ERROR || event == SCAN_END || event == SCAN_OBJECT_END ||
        event == SCAN_ARRAY_END) {
        iter->root = SCAN_END;
        return false;
    }
    uint64_t begin = iter->scan.begin;
    if (!json_scan_skip(&iter->scan, event)) {
        iter->root = SCAN_END;
        return false;
    }
    item->kind = event;
    item->value = (struct str){iter->bytes.data + begin,
                               (size_t)(iter->scan.end - begin)};
    return true;
}

bool json_find(struct str object, const char *key, struct json_item *found) {
    struct json_iter iter;
    struct json_item item;
    *found = (struct json_item){.kind = SCAN_ERROR};
    json_iter_begin(&iter, object);
    if (iter.root != SCAN_OBJECT)
        return false;
    while (json_iter_next(&iter, &item))
        if (json_key_is(item.key, key))
            *found = item;
    return found->kind != SCAN_ERROR;
}

bool json_key_is(struct str key, const char *name) {
    size_t size = strlen(name);
    if (key.size == size)
        return !memcmp(key.data, name, size);
    char plain[256];
    if (key.size < size || key.size > sizeof plain || key.size > 6 * size ||
        !memchr(key.data, '\\', key.size))
        return false;
    uint64_t lone = 0;
    return json_decode(key, plain, &lone) == size && !memcmp(plain, name, size);
}

static unsigned hex_digit(char c) {
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* The code unit of a backslash, u and four digits at RAW[AT]; 0 where there is
 * no such escape. */
static uint32_t unit_at(struct str raw, size_t at) {
    if (raw.size < 6 || at > raw.size - 6 || raw.data[at] != '\\' ||
        raw.data[at + 1] != 'u')
        return 0;
    uint32_t unit = 0;
    for (size_t i = 2; i < 6; i++)
        unit = unit << 4 | hex_digit(raw.data[at + i]);
    return unit;
}

static bool is_high(uint32_t unit) {
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(uint32_t unit) {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* The code point of the escape(s) at RAW[*AT], and *AT moved behind. */
static uint32_t decode_unit(struct str raw, size_t *at, uint64_t *lone) {
    uint32_t unit = unit_at(raw, *at);
    *at += 6;
    if (!is_high(unit) && !is_low(unit))
        return unit;
    uint32_t low = is_high(unit) ? unit_at(raw, *at) : 0;
    if (is_low(low)) {
        *at += 6;
        return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    ++*lone;
    return UTF8_REPLACEMENT;
}

static char decode_letter(char c) {
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c; /* quote, backslash, slash */
    }
}

size_t json_decode(struct str raw, char *out, uint64_t *lone) {
    size_t at = 0, wrote = 0;
    while (at < raw.size) {
        const char *found = memchr(raw.data + at, '\\', raw.size - at);
        size_t run = found ? (size_t)(found - raw.data) - at : raw.size - at;
        memmove(out + wrote, raw.data + at, run);
        wrote += run;
        at += run;
        if (!found || at + 1 >= raw.size)
            break;
        if (raw.data[at + 1] != 'u') {
            out[wrote++] = decode_letter(raw.data[at + 1]);
            at += 2;
            continue;
        }
        /* Read before it is written over: out may be raw's own place. */
        uint32_t code = decode_unit(raw, &at, lone);
        wrote += utf8_put(code, out + wrote);
    }
    return wrote;
}

void json_decode_add(struct str value, struct strbuf *out) {
    if (value.size < 2 || !strbuf_reserve(out, value.size))
        return;
    uint64_t lone = 0;
    struct str raw = {value.data + 1, value.size - 2};
    out->size += json_decode(raw, out->data + out->size, &lone);
    out->data[out->size] = '\0';
}

uint64_t json_mend_surrogates(char *data, size_t size) {
    struct str raw = {data, size};
    uint64_t mended = 0;
    for (size_t at = 0; at < size;) {
        const char *found = memchr(data + at, '\\', size - at);
        if (!found)
            break;
        at = (size_t)(found - data);
        uint32_t unit = unit_at(raw, at);
        if (is_high(unit) && is_low(unit_at(raw, at + 6))) {
            at += 12;
            continue;
        }
        if (is_high(unit) || is_low(unit)) {
            memcpy(data + at + 2, "fffd", 4);
            mended++;
        }
        at += 2;
    }
    return mended;
}

/* Behind the string that begins at JSON[AT]. */
static size_t string_end(struct str json, size_t at) {
    for (at++; at < json.size && json.data[at] != '"'; at++)
        if (json.data[at] == '\\')
            at++;
    return at < json.size ? at + 1 : json.size;
}

void json_compact(struct strbuf *out, struct str json) {
    size_t begin = 0, at = 0;
    while (at < json.size) {
        char c = json.data[at];
        if (c == '"') {
            at = string_end(json, at);
            continue;
        }
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            strbuf_add(out, (struct str){json.data + begin, at - begin});
            begin = at + 1;
        }
        at++;
    }
    strbuf_add(out, (struct str){json.data + begin, json.size - begin});
}
