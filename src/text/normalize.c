/* normalize.c - see normalize.h. */

#include "text/normalize.h"

#include "base/utf8.h"
#include "text/unicode_tables.h"

/* One code point: each of what strip_accents leaves of it, each of what
 * lowercase makes of that, and the two spaces around it. */
enum {
    BYTES_MAX = UNICODE_MAPPED_MAX * UNICODE_MAPPED_MAX * UTF8_MAX_BYTES + 2
};

void normalize_prepare(struct normalizer *normalizer) {
    for (uint32_t code = 0; code < 128; code++) {
        uint16_t flags = unicode_flags(code);
        uint32_t lower[UNICODE_MAPPED_MAX] = {code};
        if (normalizer->lowercase && (flags & UNICODE_LOWER))
            unicode_lower(code, lower);
        normalizer->ascii[code] = (uint8_t)lower[0];
        if (normalizer->clean_text && (flags & UNICODE_SPACE))
            normalizer->ascii[code] = ' ';
        if (normalizer->clean_text && (flags & UNICODE_DROP))
            normalizer->ascii[code] = NORMALIZE_DROP;
    }
}

static void put(struct strbuf *out, uint32_t code) {
    out->size += utf8_put(code, out->data + out->size);
}

static void put_lower(const struct normalizer *normalizer, uint32_t code,
                      struct strbuf *out) {
    if (!normalizer->lowercase || !(unicode_flags(code) & UNICODE_LOWER)) {
        put(out, code);
        return;
    }
    uint32_t lower[UNICODE_MAPPED_MAX];
    size_t count = unicode_lower(code, lower);
    for (size_t i = 0; i < count; i++)
        put(out, lower[i]);
}

/* Out with the marks that wait, lowest class first, and room for one more code
 * point. There are few classes and a run may be as long as a hostile text: a
 * pass a class, not a sort. */
static void flush(struct normalize_marks *marks, struct strbuf *out) {
    if (!marks->count ||
        !strbuf_reserve(out, marks->count * UTF8_MAX_BYTES + BYTES_MAX))
        return;
    for (unsigned rank = 1; rank <= UNICODE_CLASS_MAX; rank++)
        for (size_t i = 0; i < marks->count; i++)
            if (unicode_class(marks->codes[i]) == rank)
                put(out, marks->codes[i]);
    marks->count = 0;
}

static void hold(struct normalize_marks *marks, uint32_t code,
                 struct strbuf *out) {
    if (marks->count == marks->capacity) {
        size_t capacity = marks->capacity ? marks->capacity * 2 : 16;
        uint32_t *codes = memory_resize(marks->memory, marks->codes, capacity,
                                        sizeof *codes, NULL);
        if (!codes) {
            out->failed = true;
            return;
        }
        marks->codes = codes;
        marks->capacity = capacity;
    }
    marks->codes[marks->count++] = code;
}

/* A code point that strip_accents changes or that moves. */
static void put_marked(const struct normalizer *normalizer,
                       struct normalize_marks *marks, uint32_t code,
                       uint16_t flags, struct strbuf *out) {
    uint32_t left[UNICODE_MAPPED_MAX] = {code};
    size_t count = flags & UNICODE_STRIP ? unicode_strip(code, left) : 1;
    for (size_t i = 0; i < count; i++) {
        if (unicode_class(left[i])) {
            hold(marks, left[i], out);
            continue;
        }
        flush(marks, out);
        put_lower(normalizer, left[i], out);
    }
    if (flags & UNICODE_BARRIER)
        flush(marks, out);
}

static void put_code(const struct normalizer *normalizer,
                     struct normalize_marks *marks, uint32_t code,
                     struct strbuf *out) {
    uint16_t flags = unicode_flags(code);
    if (normalizer->clean_text && (flags & UNICODE_DROP))
        return;
    if (normalizer->clean_text && (flags & UNICODE_SPACE)) {
        code = ' ';
        flags = unicode_flags(code);
    }
    bool chinese = normalizer->handle_chinese_chars && (flags & UNICODE_CJK);
    bool marked = flags & (UNICODE_STRIP | UNICODE_MARK);
    if (marks->count && (chinese || !marked))
        flush(marks, out);
    if (chinese)
        put(out, ' ');
    if (normalizer->strip_accents && marked)
        put_marked(normalizer, marks, code, flags, out);
    else
        put_lower(normalizer, code, out);
    if (chinese) {
        flush(marks, out);
        put(out, ' ');
    }
}

/* Copies ASCII from *AT on as far as it goes. */
static void put_ascii(const struct normalizer *normalizer, struct str text,
                      size_t *at, struct strbuf *out) {
    const uint8_t *from = (const uint8_t *)text.data;
    uint8_t *to = (uint8_t *)out->data + out->size;
    size_t i = *at;
    for (; i < text.size && from[i] < 0x80; i++) {
        *to = normalizer->ascii[from[i]];
        to += *to != NORMALIZE_DROP;
    }
    *at = i;
    out->size = (size_t)((char *)to - out->data);
}

static bool is_ascii(struct str text, size_t at) {
    return (uint8_t)text.data[at] < 0x80;
}

void normalize_add(const struct normalizer *normalizer,
                   struct normalize_marks *marks, struct str text,
                   struct strbuf *out) {
    size_t at = 0;
    while (at < text.size && !out->failed) {
        bool ascii = is_ascii(text, at) && !marks->count;
        size_t need = ascii ? text.size - at + 1 : 2 * BYTES_MAX;
        if (out->capacity - out->size <= need && !strbuf_reserve(out, need))
            return;
        if (ascii)
            put_ascii(normalizer, text, &at, out);
        else
            put_code(normalizer, marks, utf8_next(text, &at), out);
    }
}

void normalize_end(struct normalize_marks *marks, struct strbuf *out) {
    flush(marks, out);
}
