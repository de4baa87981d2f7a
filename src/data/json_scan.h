/* json_scan.h - our own JSON reader: finds where things lie, keeps nothing.
 *
 * Chunk files are foreign, may be far larger than memory, and hold numbers and
 * escapes that other readers change or refuse (1e400, a lone surrogate). This
 * one walks a file (or bytes in memory) through a window of fixed size, checks
 * every byte against RFC 8259, and says of each token where it begins and
 * ends. What it finds is carried on as the bytes that came.
 *
 *     struct json_scan scan;
 *     json_scan_file(&scan, fd, path, 0, size, buffer, sizeof buffer);
 *     if (json_scan_next(&scan) == SCAN_ARRAY)
 *         while ((event = json_scan_next(&scan)) != SCAN_ARRAY_END) {
 *             begin = scan.begin;
 *             if (!json_scan_skip(&scan, event)) ... scan.fault ...
 *             ... the element is the bytes [begin, scan.end) ...
 *         }
 *
 * Strict: no comments, no NaN, no trailing comma, no control characters in
 * strings, valid UTF-8. A BOM at the start is skipped. Numbers may have any
 * size. A lone surrogate escape is let through here and becomes U+FFFD where
 * the string is decoded. Nesting is a stack of bits: 1,000 levels at most.
 *
 * Positions: lines end in LF, columns count characters from 1. A fault lies at
 * the first byte that no JSON document could have there; where the document
 * ends too soon, behind its last byte.
 */

#ifndef DATA_JSON_SCAN_H
#define DATA_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum {
    JSON_DEPTH_MAX = 1000,
    JSON_BUFFER_MIN = 16, /* the longest thing that is looked at as a whole */
};

enum json_event {
    SCAN_ERROR, /* see fault */
    SCAN_END,   /* of the document (in lines mode: of the line) */
    SCAN_OBJECT,
    SCAN_OBJECT_END,
    SCAN_ARRAY,
    SCAN_ARRAY_END,
    SCAN_KEY, /* its colon is passed as well; the range is the string's */
    SCAN_STRING,
    SCAN_NUMBER,
    SCAN_TRUE,
    SCAN_FALSE,
    SCAN_NULL,
};

enum json_fault {
    SCAN_FINE,
    SCAN_BROKEN,     /* not JSON */
    SCAN_CUT_OFF,    /* ends too soon */
    SCAN_NOT_UTF8,   /* bytes that are no text */
    SCAN_UNREADABLE, /* the system refused; see io */
    SCAN_STOPPED,    /* poll said so */
};

struct json_scan {
    /* The token that json_scan_next gave last: [begin, end) in the file,
     * strings with their quotes. */
    uint64_t begin, end;
    uint64_t line;       /* 1-based, of the next byte */
    uint64_t line_begin; /* offset of that line's first byte */
    unsigned depth;      /* open objects and arrays */
    bool lines;          /* LF ends a document: set it before the first call */

    /* Why SCAN_ERROR came. */
    enum json_fault fault;
    uint64_t fault_at;  /* offset */
    const char *reason; /* "expected a value" */
    struct error io;

    /* Asked at each refill of the window, if set; false stops the scan. */
    bool (*poll)(void *context, uint64_t offset);
    void *poll_context;

    /* The rest is json_scan.c's. */
    int fd; /* -1: memory */
    const char *path;
    char *buffer;
    size_t capacity;
    uint64_t file_at, file_end; /* still to be read */
    const char *window, *at, *stop;
    uint64_t window_offset;
    int expect;
    bool line_open; /* lines mode: the rest of a line may be left */
    uint64_t nesting[(JSON_DEPTH_MAX + 63) / 64]; /* bit set: an object */
    uint64_t mark_at, mark_line_begin, mark_column;
};

/* The bytes [begin, end) of an open file, through BUFFER (borrowed, at least
 * JSON_BUFFER_MIN bytes). FD, PATH and BUFFER must outlive the scan. */
void json_scan_file(struct json_scan *scan, int fd, const char *path,
                    uint64_t begin, uint64_t end, char *buffer,
                    size_t capacity);
/* Bytes in memory (borrowed). */
void json_scan_memory(struct json_scan *scan, struct str bytes);

enum json_event json_scan_next(struct json_scan *scan);
/* Walk over the rest of the value that EVENT began: to the end of an object or
 * array, nothing for others. Then scan.end is the value's end. */
bool json_scan_skip(struct json_scan *scan, enum json_event event);

/* Lines mode. Go to the next line that is not blank and expect a document
 * there; false at the end of the file, or when it cannot be read (fault). Call
 * it after SCAN_END and after a fault alike: a bad line costs that line. */
bool json_scan_line(struct json_scan *scan);

/* The column of offset AT in the line that begins at LINE_BEGIN. Asking in
 * rising order costs one more reading of the file, however often. 0 when the
 * bytes cannot be read any more. */
uint64_t json_scan_column(struct json_scan *scan, uint64_t line_begin,
                          uint64_t at);

/* Whether the scan still holds the bytes [BEGIN, END) of the file: then *HELD
 * is them, until the scan goes on. What a walk has just passed is there, if it
 * is not longer than the window. */
bool json_scan_holds(const struct json_scan *scan, uint64_t begin, uint64_t end,
                     const char **held);

/* Whether the fault is another value behind the document's. */
bool json_scan_has_more(const struct json_scan *scan);

/* The fault as words, appended to OUT: "expected ',' or ']', found '}'". LINE
 * and COLUMN are where. */
void json_scan_explain(struct json_scan *scan, struct strbuf *out,
                       uint64_t *line, uint64_t *column);

/* ---- values in memory, each a struct str of bytes as they came ---- */

struct json_item {
    struct str key; /* without its quotes, still escaped; "" in an array */
    struct str value;
    enum json_event kind; /* SCAN_OBJECT, SCAN_STRING, ... */
};

/* Members of an object or elements of an array, in order; false at the end and
 * at a fault (iter.scan.fault, never for bytes that were checked before).
 *
 *     struct json_iter iter;
 *     json_iter_begin(&iter, bytes);
 *     while (json_iter_next(&iter, &item)) ... */
struct json_iter {
    struct json_scan scan;
    struct str bytes;
    enum json_event root;
};
void json_iter_begin(struct json_iter *iter, struct str bytes);
bool json_iter_next(struct json_iter *iter, struct json_item *item);

/* The last member of OBJECT named KEY (as Python's json: the last one counts);
 * ITEM is {0} with kind SCAN_ERROR where there is none. */
bool json_find(struct str object, const char *key, struct json_item *item);
/* Is KEY, still escaped, the name NAME? */
bool json_key_is(struct str key, const char *name);

/* A string's content without its quotes (still escaped) as UTF-8 into OUT,
 * which has room for raw.size bytes and may be raw's own place. The bytes
 * written are returned; lone surrogates become U+FFFD and add to *LONE. */
size_t json_decode(struct str raw, char *out, uint64_t *lone);
/* The same for a value with its quotes, appended to OUT. */
void json_decode_add(struct str value, struct strbuf *out);

/* Turn each lone surrogate escape in checked JSON into \ufffd, in place: same
 * length, and readable by those who refuse lone ones. Their count. */
uint64_t json_mend_surrogates(char *data, size_t size);

/* Checked JSON without the whitespace between its tokens, so on one line;
 * every other byte as it came. */
void json_compact(struct strbuf *out, struct str json);

#endif
