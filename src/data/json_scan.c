#include "data/json_scan.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

enum expect {
    EXPECT_VALUE,
    EXPECT_FIRST_ELEMENT, /* or ']' */
    EXPECT_FIRST_KEY,     /* or '}' */
    EXPECT_KEY,
    EXPECT_COMMA, /* or the end of the object or array */
    EXPECT_END,
};

enum { NOTHING = -1 }; /* instead of a byte: the document ends here */

static void scan_begin(struct json_scan *scan) {
    *scan = (struct json_scan){.fd = -1, .line = 1, .window = ""};
    scan->at = scan->stop = scan->window;
}

static uint64_t offset_of(const struct json_scan *scan, const char *at) {
    return scan->window_offset + (uint64_t)(at - scan->window);
}

/* ---- the window ---- */

static ssize_t read_some(struct json_scan *scan, char *to, size_t size) {
    ssize_t got;
    do
        got = pread(scan->fd, to, size, (off_t)scan->file_at);
    while (got < 0 && errno == EINTR);
    return got;
}

static void stop_with(struct json_scan *scan, enum json_fault fault) {
    scan->fault = fault;
    scan->fault_at = offset_of(scan, scan->stop);
    scan->file_at = scan->file_end;
}

/* Keep what is not used yet and read more behind it; false when there is no
 * more. */
static bool refill(struct json_scan *scan) {
    if (scan->file_at >= scan->file_end)
        return false;
    size_t kept = (size_t)(scan->stop - scan->at);
    scan->window_offset = offset_of(scan, scan->at);
    if (kept)
        memmove(scan->buffer, scan->at, kept);
    scan->window = scan->at = scan->buffer;
    scan->stop = scan->buffer + kept;
    if (scan->poll && !scan->poll(scan->poll_context, scan->file_at)) {
        stop_with(scan, SCAN_STOPPED);
        return false;
    }
    size_t room = scan->capacity - kept;
    if (room > scan->file_end - scan->file_at)
        room = (size_t)(scan->file_end - scan->file_at);
    ssize_t got = read_some(scan, scan->buffer + kept, room);
    if (got < 0) {
        error_errno(&scan->io, "read %s", scan->path);
        stop_with(scan, SCAN_UNREADABLE);
        return false;
    }
    if (got == 0)
        scan->file_end = scan->file_at;
    scan->file_at += (uint64_t)got;
    scan->stop += got;
    return got > 0;
}

/* COUNT bytes from scan->at on are in the window, or all that there are. */
static inline void look_ahead(struct json_scan *scan, size_t count) {
    while ((size_t)(scan->stop - scan->at) < count && refill(scan))
        ;
}

static inline int peek(struct json_scan *scan) {
    if (scan->at == scan->stop && !refill(scan))
        return NOTHING;
    return (unsigned char)*scan->at;
}

static void skip_bom(struct json_scan *scan) {
    look_ahead(scan, 3);
    if (scan->stop - scan->at >= 3 && !memcmp(scan->at, "\xEF\xBB\xBF", 3))
        scan->at += 3;
    scan->line_begin = offset_of(scan, scan->at);
}

void json_scan_file(struct json_scan *scan, int fd, const char *path,
                    uint64_t begin, uint64_t end, char *buffer,
                    size_t capacity) {
    scan_begin(scan);
    scan->fd = fd;
    scan->path = path;
    scan->buffer = buffer;
    scan->capacity = capacity;
    scan->file_at = scan->window_offset = scan->line_begin = begin;
    scan->file_end = end;
    if (begin == 0)
        skip_bom(scan);
}

void json_scan_memory(struct json_scan *scan, struct str bytes) {
    scan_begin(scan);
    if (bytes.size) {
        scan->window = scan->at = bytes.data;
        scan->stop = bytes.data + bytes.size;
    }
    skip_bom(scan);
}

/* ---- faults ---- */

static bool not_utf8(const struct json_scan *scan) {
    struct str left = {scan->at, (size_t)(scan->stop - scan->at)};
    size_t moved = 0;
    return (unsigned char)*scan->at >= 0x80 &&
           utf8_next(left, &moved) == UTF8_REPLACEMENT && moved == 1;
}

/* Nothing that may follow stands at scan->at. Always false. */
static bool broken(struct json_scan *scan, const char *reason) {
    if (scan->fault != SCAN_FINE)
        return false;
    look_ahead(scan, UTF8_MAX_BYTES);
    if (scan->fault != SCAN_FINE)
        return false;
    scan->reason = reason;
    scan->fault_at = offset_of(scan, scan->at);
    if (scan->at == scan->stop || (scan->lines && *scan->at == '\n'))
        scan->fault = SCAN_CUT_OFF;
    else
        scan->fault = not_utf8(scan) ? SCAN_NOT_UTF8 : SCAN_BROKEN;
    return false;
}

/* ---- tokens ---- */

static inline bool eight_spaces(const char *at) {
    return !memcmp(at, "        ", 8);
}

/* Over the spaces, tabs and CRs of the window. */
static inline void skip_blanks(struct json_scan *scan) {
    const char *at = scan->at, *stop = scan->stop;
    while (at < stop && (*at == ' ' || *at == '\t' || *at == '\r')) {
        at++;
        while (stop - at >= 8 && eight_spaces(at))
            at += 8;
    }
    scan->at = at;
}

/* The next byte that is not whitespace; it stays where it is. */
static inline int skip_space(struct json_scan *scan) {
    for (;;) {
        skip_blanks(scan);
        int c = peek(scan);
        if (c == '\n') {
            if (scan->lines)
                return NOTHING;
            scan->line++;
            scan->line_begin = offset_of(scan, scan->at + 1);
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return c;
        }
        scan->at++;
    }
}

/* The high bit of each byte of the eight at P that is not plain string content
 * (quote, backslash, control, not ASCII). Exact up to the lowest bit set. */
static inline uint64_t special_bytes(const char *p) {
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t v;
    memcpy(&v, p, sizeof v);
    v = le64toh(v);
    uint64_t quote = v ^ (ones * '"'), backslash = v ^ (ones * '\\');
    return (((quote - ones) | (backslash - ones) | (v - ones * 0x20)) & ~v &
            high) |
           (v & high);
}

static inline bool is_tail(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Bytes of the character of 2 to 4 bytes at AT; 0 if it is none, or cut by the
 * end of the window. */
static inline size_t character_size(const char *at, const char *stop) {
    unsigned char first = (unsigned char)at[0];
    size_t left = (size_t)(stop - at);
    if (first < 0xE0)
        return left >= 2 && first >= 0xC2 && is_tail(at[1]) ? 2 : 0;
    unsigned char second = left >= 2 ? (unsigned char)at[1] : 0;
    if (first < 0xF0) {
        if (left < 3 || !is_tail(at[1]) || !is_tail(at[2]) ||
            (first == 0xE0 && second < 0xA0) ||
            (first == 0xED && second > 0x9F))
            return 0;
        return 3;
    }
    if (left < 4 || first > 0xF4 || !is_tail(at[1]) || !is_tail(at[2]) ||
        !is_tail(at[3]) || (first == 0xF0 && second < 0x90) ||
        (first == 0xF4 && second > 0x8F))
        return 0;
    return 4;
}

/* From scan->at over plain bytes and whole characters to the first byte of the
 * window that asks for a closer look. */
static inline void skip_plain(struct json_scan *scan) {
    const char *at = scan->at, *stop = scan->stop;
    while (at < stop) {
        if (stop - at >= 8) {
            uint64_t special = special_bytes(at);
            if (!special) {
                at += 8;
                continue;
            }
            at += __builtin_ctzll(special) >> 3;
        }
        unsigned char c = (unsigned char)*at;
        if (c < 0x20 || c == '"' || c == '\\')
            break;
        size_t size = c < 0x80 ? 1 : character_size(at, stop);
        if (size == 0)
            break;
        at += size;
        /* Such characters come in runs. */
        while (at < stop && (unsigned char)*at >= 0x80 &&
               (size = character_size(at, stop)) > 0)
            at += size;
    }
    scan->at = at;
}

static bool skip_hex(struct json_scan *scan) {
    for (int i = 0; i < 4; i++) {
        if (scan->at == scan->stop || !isxdigit((unsigned char)*scan->at))
            return broken(scan, "expected four hex digits after \\u");
        scan->at++;
    }
    return true;
}

static bool skip_escape(struct json_scan *scan) {
    look_ahead(scan, 6);
    scan->at++;
    if (scan->at == scan->stop || !strchr("\"\\/bfnrtu", *scan->at) ||
        *scan->at == '\0')
        return broken(scan, "unknown escape in a string");
    return *scan->at++ != 'u' || skip_hex(scan);
}

/* Does the file end inside the character at scan->at? */
static bool cut_in_two(const struct json_scan *scan) {
    unsigned char first = (unsigned char)*scan->at;
    ptrdiff_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || scan->stop - scan->at >= length)
        return false;
    for (const char *at = scan->at + 1; at < scan->stop; at++)
        if (((unsigned char)*at & 0xC0) != 0x80)
            return false;
    return true;
}

/* A byte >= 0x80 where skip_plain stopped: more of the file may help. */
static bool skip_character(struct json_scan *scan) {
    look_ahead(scan, UTF8_MAX_BYTES);
    size_t size = character_size(scan->at, scan->stop);
    if (size == 0 && cut_in_two(scan))
        scan->at = scan->stop;
    if (size == 0)
        return broken(scan, "inside a string");
    scan->at += size;
    return true;
}

static bool skip_string(struct json_scan *scan) {
    scan->at++;
    for (;;) {
        skip_plain(scan);
        int c = peek(scan);
        if (c == '"') {
            scan->at++;
            return true;
        }
        bool fine = true;
        if (c == '\\')
            fine = skip_escape(scan);
        else if (c == NOTHING || (c == '\n' && scan->lines))
            fine = broken(scan, "inside a string");
        else if (c < 0x20)
            fine = broken(scan, "control characters in a string must be "
                                "escaped");
        else if (c >= 0x80)
            fine = skip_character(scan);
        if (!fine)
            return false;
    }
}

static bool skip_digits(struct json_scan *scan) {
    int c = peek(scan);
    if (c < '0' || c > '9')
        return broken(scan, "expected a digit");
    do {
        scan->at++;
        c = peek(scan);
    } while (c >= '0' && c <= '9');
    return true;
}

static bool skip_number(struct json_scan *scan) {
    if (*scan->at == '-')
        scan->at++;
    if (peek(scan) == '0')
        scan->at++;
    else if (!skip_digits(scan))
        return false;
    if (peek(scan) == '.') {
        scan->at++;
        if (!skip_digits(scan))
            return false;
    }
    int c = peek(scan);
    if (c != 'e' && c != 'E')
        return true;
    scan->at++;
    c = peek(scan);
    if (c == '+' || c == '-')
        scan->at++;
    return skip_digits(scan);
}

static bool skip_word(struct json_scan *scan, const char *word) {
    look_ahead(scan, strlen(word));
    for (; *word; word++) {
        if (scan->at == scan->stop || *scan->at != *word)
            return broken(scan, "expected a value");
        scan->at++;
    }
    return true;
}

/* ---- structure ---- */

static bool in_object(const struct json_scan *scan) {
    unsigned level = scan->depth - 1;
    return scan->nesting[level / 64] >> (level % 64) & 1;
}

static int expect_after_value(const struct json_scan *scan) {
    return scan->depth ? EXPECT_COMMA : EXPECT_END;
}

static bool push(struct json_scan *scan, bool object) {
    if (scan->depth == JSON_DEPTH_MAX)
        return broken(scan, "nested deeper than 1000 levels");
    unsigned level = scan->depth++;
    uint64_t bit = (uint64_t)1 << (level % 64);
    if (object)
        scan->nesting[level / 64] |= bit;
    else
        scan->nesting[level / 64] &= ~bit;
    scan->at++;
    scan->expect = object ? EXPECT_FIRST_KEY : EXPECT_FIRST_ELEMENT;
    return true;
}

static enum json_event pop(struct json_scan *scan) {
    bool object = in_object(scan);
    scan->at++;
    scan->depth--;
    scan->expect = expect_after_value(scan);
    return object ? SCAN_OBJECT_END : SCAN_ARRAY_END;
}

static enum json_event scalar(struct json_scan *scan, bool fine,
                              enum json_event event) {
    scan->expect = expect_after_value(scan);
    return fine ? event : SCAN_ERROR;
}

static enum json_event value(struct json_scan *scan, int c) {
    switch (c) {
    case '{':
        return push(scan, true) ? SCAN_OBJECT : SCAN_ERROR;
    case '[':
        return push(scan, false) ? SCAN_ARRAY : SCAN_ERROR;
    case '"':
        return scalar(scan, skip_string(scan), SCAN_STRING);
    case 't':
        return scalar(scan, skip_word(scan, "true"), SCAN_TRUE);
    case 'f':
        return scalar(scan, skip_word(scan, "false"), SCAN_FALSE);
    case 'n':
        return scalar(scan, skip_word(scan, "null"), SCAN_NULL);
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return scalar(scan, skip_number(scan), SCAN_NUMBER);
        broken(scan, "expected a value");
        return SCAN_ERROR;
    }
}

static enum json_event key(struct json_scan *scan, int c) {
    if (c != '"') {
        broken(scan, scan->expect == EXPECT_FIRST_KEY
                         ? "expected a name in double quotes or '}'"
                         : "expected a name in double quotes");
        return SCAN_ERROR;
    }
    if (!skip_string(scan))
        return SCAN_ERROR;
    scan->end = offset_of(scan, scan->at);
    if (skip_space(scan) != ':') {
        broken(scan, "expected ':' after a name");
        return SCAN_ERROR;
    }
    scan->at++;
    scan->expect = EXPECT_VALUE;
    return SCAN_KEY;
}

/* At scan->at is C, the first byte after a value and whitespace. */
static enum json_event after_value(struct json_scan *scan, int c) {
    bool object = in_object(scan);
    if (c == (object ? '}' : ']'))
        return pop(scan);
    if (c != ',') {
        broken(scan, object ? "expected ',' or '}'" : "expected ',' or ']'");
        return SCAN_ERROR;
    }
    scan->at++;
    scan->expect = object ? EXPECT_KEY : EXPECT_VALUE;
    c = skip_space(scan);
    scan->begin = offset_of(scan, scan->at);
    return object ? key(scan, c) : value(scan, c);
}

static enum json_event step(struct json_scan *scan) {
    int c = skip_space(scan);
    scan->begin = offset_of(scan, scan->at);
    switch (scan->expect) {
    case EXPECT_FIRST_ELEMENT:
        return c == ']' ? pop(scan) : value(scan, c);
    case EXPECT_FIRST_KEY:
        return c == '}' ? pop(scan) : key(scan, c);
    case EXPECT_KEY:
        return key(scan, c);
    case EXPECT_COMMA:
        return after_value(scan, c);
    case EXPECT_END:
        if (c == NOTHING && scan->fault == SCAN_FINE)
            return SCAN_END;
        broken(scan, "more after the end of the document");
        return SCAN_ERROR;
    default:
        return value(scan, c);
    }
}

enum json_event json_scan_next(struct json_scan *scan) {
    if (scan->fault != SCAN_FINE)
        return SCAN_ERROR;
    enum json_event event = step(scan);
    if (event != SCAN_KEY)
        scan->end = offset_of(scan, scan->at);
    return event;
}

bool json_scan_skip(struct json_scan *scan, enum json_event event) {
    if (event != SCAN_OBJECT && event != SCAN_ARRAY)
        return event != SCAN_ERROR;
    for (unsigned outside = scan->depth - 1; scan->depth > outside;)
        if (json_scan_next(scan) == SCAN_ERROR)
            return false;
    return true;
}

/* ---- lines ---- */

/* Behind the next LF, or the end of the file. */
static void skip_line(struct json_scan *scan) {
    do {
        size_t left = (size_t)(scan->stop - scan->at);
        const char *found = left ? memchr(scan->at, '\n', left) : NULL;
        if (found) {
            scan->at = found + 1;
            scan->line++;
            scan->line_begin = offset_of(scan, scan->at);
            return;
        }
        scan->at = scan->stop;
    } while (refill(scan));
}

bool json_scan_line(struct json_scan *scan) {
    if (scan->fault == SCAN_UNREADABLE || scan->fault == SCAN_STOPPED)
        return false;
    scan->fault = SCAN_FINE;
    scan->depth = 0;
    scan->expect = EXPECT_VALUE;
    if (scan->line_open)
        skip_line(scan);
    scan->line_open = true;
    while (skip_space(scan) == NOTHING) {
        if (scan->at == scan->stop) /* also when it cannot be read */
            return false;
        skip_line(scan);
    }
    return true;
}

/* ---- positions ---- */

static uint64_t count_characters(const char *data, size_t size) {
    uint64_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)data[i] & 0xC0) != 0x80;
    return count;
}

bool json_scan_holds(const struct json_scan *scan, uint64_t begin, uint64_t end,
                     const char **held) {
    if (begin < scan->window_offset || end > offset_of(scan, scan->stop))
        return false;
    *held = scan->window + (begin - scan->window_offset);
    return true;
}

uint64_t json_scan_column(struct json_scan *scan, uint64_t line_begin,
                          uint64_t at) {
    if (scan->fd < 0)
        return 1 + count_characters(scan->window + line_begin,
                                    (size_t)(at - line_begin));
    bool onward = scan->mark_column > 0 && at >= scan->mark_at &&
                  scan->mark_line_begin == line_begin;
    uint64_t from = onward ? scan->mark_at : line_begin;
    uint64_t column = onward ? scan->mark_column : 1;
    char piece[16384];
    while (from < at) {
        size_t want =
            at - from < sizeof piece ? (size_t)(at - from) : sizeof piece;
        ssize_t got = pread(scan->fd, piece, want, (off_t)from);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return 0;
        column += count_characters(piece, (size_t)got);
        from += (uint64_t)got;
    }
    scan->mark_at = at;
    scan->mark_line_begin = line_begin;
    scan->mark_column = column;
    return column;
}

static void add_found(const struct json_scan *scan, struct strbuf *out) {
    unsigned char c = (unsigned char)*scan->at;
    if (scan->fault == SCAN_NOT_UTF8)
        strbuf_printf(out, "byte 0x%02X is not UTF-8", c);
    else if (c > 0x20 && c < 0x7F)
        strbuf_printf(out, "%s, found %c", scan->reason, c);
    else
        strbuf_printf(out, "%s, found byte 0x%02X", scan->reason, c);
}

bool json_scan_has_more(const struct json_scan *scan) {
    return scan->fault == SCAN_BROKEN && scan->expect == EXPECT_END;
}

void json_scan_explain(struct json_scan *scan, struct strbuf *out,
                       uint64_t *line, uint64_t *column) {
    *line = scan->line;
    *column = json_scan_column(scan, scan->line_begin, scan->fault_at);
    if (scan->fault == SCAN_UNREADABLE) {
        strbuf_printf(out, "%s", scan->io.message);
        return;
    }
    if (scan->fault == SCAN_CUT_OFF)
        strbuf_printf(out, "the %s ends too soon (%s)",
                      scan->lines ? "line" : "file", scan->reason);
    else if (scan->fault == SCAN_STOPPED)
        strbuf_add(out, STR("stopped"));
    else
        add_found(scan, out);
}
