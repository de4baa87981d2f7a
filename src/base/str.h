/* str.h - text by pointer and length, and a buffer that grows.
 *
 * `struct str` borrows bytes that need no NUL at the end. `struct strbuf` owns
 * its bytes. A strbuf remembers its first failure, so that a text is put
 * together without a check at every piece and asked once at the end:
 *
 *     struct strbuf buf = strbuf_make(memory);
 *     strbuf_printf(&buf, "%s/%s", folder, name);
 *     strbuf_add(&buf, STR(".json"));
 *     if (!strbuf_ok(&buf, err)) ...
 *     strbuf_free(&buf);
 *
 * A strbuf is used by one thread at a time.
 */

#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

struct str {
    const char *data; /* borrowed; [size] bytes, may hold NUL */
    size_t size;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})

/* For printf's "%.*s". */
#define STR_ARG(s) (int)((s).size < 4096 ? (s).size : 4096), (s).data

static inline struct str str_from(const char *text) {
    return (struct str){text, strlen(text)};
}

bool str_equal(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

struct strbuf {
    struct memory *memory; /* borrowed */
    char *data;            /* NUL after the last byte; NULL while empty */
    size_t size;           /* bytes, without that NUL */
    size_t capacity;
    bool failed; /* memory ran out: the content is not whole */
};

struct strbuf strbuf_make(struct memory *memory);
void strbuf_free(struct strbuf *buf);
void strbuf_clear(struct strbuf *buf); /* keeps the memory */

/* Room for EXTRA more bytes. */
bool strbuf_reserve(struct strbuf *buf, size_t extra);
void strbuf_add(struct strbuf *buf, struct str text);
void strbuf_add_char(struct strbuf *buf, char c);
void strbuf_printf(struct strbuf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* False and ERROR_MEMORY if any addition failed. */
bool strbuf_ok(const struct strbuf *buf, struct error *err);
struct str strbuf_str(const struct strbuf *buf);

/* TEXT as a JSON string with its quotes. Bytes from 0x80 on are copied as they
 * are, so valid UTF-8 stays what it was. */
void strbuf_add_json(struct strbuf *buf, struct str text);

#endif
