#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

bool str_equal(struct str a, struct str b) {
    return a.size == b.size && (a.size == 0 || !memcmp(a.data, b.data, a.size));
}

bool str_starts(struct str s, struct str prefix) {
    return s.size >= prefix.size &&
           str_equal((struct str){s.data, prefix.size}, prefix);
}

bool str_ends(struct str s, struct str suffix) {
    return s.size >= suffix.size &&
           str_equal((struct str){s.data + s.size - suffix.size, suffix.size},
                     suffix);
}

struct strbuf strbuf_make(struct memory *memory) {
    return (struct strbuf){.memory = memory};
}

void strbuf_free(struct strbuf *buf) {
    memory_free(buf->memory, buf->data);
    *buf = strbuf_make(buf->memory);
}

void strbuf_clear(struct strbuf *buf) {
    buf->size = 0;
    buf->failed = false;
    if (buf->data)
        buf->data[0] = '\0';
}

bool strbuf_reserve(struct strbuf *buf, size_t extra) {
    if (buf->failed || extra > SIZE_MAX / 4 || buf->size > SIZE_MAX / 4) {
        buf->failed = true;
        return false;
    }
    size_t needed = buf->size + extra + 1;
    if (needed <= buf->capacity)
        return true;
    size_t capacity = buf->capacity + buf->capacity / 2;
    if (capacity < needed)
        capacity = needed < 64 ? 64 : needed;
    char *data = memory_resize(buf->memory, buf->data, capacity, 1, NULL);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void strbuf_add(struct strbuf *buf, struct str text) {
    if (!strbuf_reserve(buf, text.size))
        return;
    if (text.size)
        memcpy(buf->data + buf->size, text.data, text.size);
    buf->size += text.size;
    buf->data[buf->size] = '\0';
}

void strbuf_add_char(struct strbuf *buf, char c) {
    strbuf_add(buf, (struct str){&c, 1});
}

void strbuf_printf(struct strbuf *buf, const char *format, ...) {
    va_list measure, print;
    va_start(measure, format);
    va_copy(print, measure);
    int length = vsnprintf(NULL, 0, format, measure);
    va_end(measure);
    if (length >= 0 && strbuf_reserve(buf, (size_t)length)) {
        vsnprintf(buf->data + buf->size, (size_t)length + 1, format, print);
        buf->size += (size_t)length;
    } else {
        buf->failed = true;
    }
    va_end(print);
}

bool strbuf_ok(const struct strbuf *buf, struct error *err) {
    if (!buf->failed)
        return true;
    return error_set(err, ERROR_MEMORY,
                     "no memory for a text of more than %zu bytes; raise "
                     "--ceiling, or let the machine have more",
                     buf->size);
}

struct str strbuf_str(const struct strbuf *buf) {
    return (struct str){buf->data ? buf->data : "", buf->size};
}

void strbuf_add_json(struct strbuf *buf, struct str text) {
    static const char hex[] = "0123456789abcdef";
    strbuf_add_char(buf, '"');
    size_t begin = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        strbuf_add(buf, (struct str){text.data + begin, i - begin});
        begin = i + 1;
        switch (c) {
        case '"':
            strbuf_add(buf, STR("\\\""));
            break;
        case '\\':
            strbuf_add(buf, STR("\\\\"));
            break;
        case '\n':
            strbuf_add(buf, STR("\\n"));
            break;
        case '\r':
            strbuf_add(buf, STR("\\r"));
            break;
        case '\t':
            strbuf_add(buf, STR("\\t"));
            break;
        default:
            strbuf_add(buf, (struct str){(char[]){'\\', 'u', '0', '0',
                                                  hex[c >> 4], hex[c & 15]},
                                         6});
        }
    }
    strbuf_add(buf, (struct str){text.data + begin, text.size - begin});
    strbuf_add_char(buf, '"');
}
