#include "run/lease_note.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/utf8.h"

enum { NOTE_BYTES_MAX = 1024, MODEL_BYTES_SHOWN = 120 };

void lease_note_write(int fd, const char *model) {
    char date[21], text[NOTE_BYTES_MAX];
    clock_date(date);
    json_t *note =
        json_pack("{s:I, s:s, s:s, s:s}", "pid", (json_int_t)getpid(), "model",
                  model, "program", "ensembed", "since", date);
    size_t size = note ? json_dumpb(note, text, sizeof text - 1, 0) : 0;
    json_decref(note);
    if (!size || size >= sizeof text)
        return;
    text[size++] = '\n';
    /* Emptied first: a longer note of the last holder leaves no tail. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, size, 0) < 0)
        lease_note_clear(fd);
}

void lease_note_clear(int fd) {
    if (ftruncate(fd, 0) != 0) {
        /* opened to read only: the note is of whoever could write it */
    }
}

/* MODEL without what could move a terminal's cursor, cut between characters. */
static void printable(const char *model, char out[MODEL_BYTES_SHOWN + 1]) {
    size_t at = 0, used = 0;
    struct str text = str_from(model);
    while (at < text.size) {
        char bytes[UTF8_MAX_BYTES];
        uint32_t code = utf8_next(text, &at);
        bool control = code < 0x20 || (code >= 0x7F && code < 0xA0) ||
                       (code >= 0x200B && code <= 0x200F) ||
                       (code >= 0x2028 && code <= 0x202E) ||
                       (code >= 0x2066 && code <= 0x2069);
        size_t size = utf8_put(control ? '?' : code, bytes);
        if (used + size > MODEL_BYTES_SHOWN)
            break;
        memcpy(out + used, bytes, size);
        used += size;
    }
    out[used] = '\0';
}

/* How long ago the note was written; 0 where the clocks disagree. */
static int64_t age_seconds(int fd) {
    struct stat facts;
    time_t now = time(NULL);
    bool known = fstat(fd, &facts) == 0 && facts.st_mtime <= now;
    return known ? (int64_t)(now - facts.st_mtime) : 0;
}

void lease_note_read(int fd, char text[LEASE_HOLDER_BYTES]) {
    char bytes[NOTE_BYTES_MAX], model[MODEL_BYTES_SHOWN + 1];
    ssize_t size = pread(fd, bytes, sizeof bytes, 0);
    json_t *note = size > 0 ? json_loadb(bytes, (size_t)size, 0, NULL) : NULL;
    const json_t *pid = json_object_get(note, "pid");
    const char *name = json_string_value(json_object_get(note, "model"));
    if (json_is_integer(pid) && json_integer_value(pid) > 0 && name) {
        printable(name, model);
        snprintf(text, LEASE_HOLDER_BYTES,
                 "pid %" JSON_INTEGER_FORMAT ", %s, for %" PRId64 " s",
                 json_integer_value(pid), model, age_seconds(fd));
    } else {
        snprintf(text, LEASE_HOLDER_BYTES, "another process");
    }
    json_decref(note);
}
