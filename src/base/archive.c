/* archive.c - see archive.h. */

#include "base/archive.h"

#include <stdint.h>
#include <string.h>

#include "base/zip_format.h"

enum { FLAG_ENCRYPTED = 1 };

struct reader {
    const char *path, *remedy;
    struct str bytes;
    size_t at, end, count; /* of the central directory */
};

static uint64_t number(const char *at, unsigned width) {
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)(unsigned char)at[i] << (8 * i);
    return value;
}

/* SIZE bytes at AT are there. */
static bool holds(const struct reader *r, uint64_t at, uint64_t size) {
    return at <= r->bytes.size && size <= r->bytes.size - at;
}

static bool is_signature(const struct reader *r, uint64_t at,
                         uint32_t signature) {
    return holds(r, at, 4) && number(r->bytes.data + at, 4) == signature;
}

static bool broken(const struct reader *r, const char *what,
                   struct error *err) {
    return error_set(err, ERROR_INPUT,
                     "%s: a zip archive with a broken %s: cut off or damaged, "
                     "%s",
                     r->path, what, r->remedy);
}

/* The end record: the last place where its comment ends with the file. */
static bool find_end(const struct reader *r, size_t *at) {
    size_t size = r->bytes.size;
    size_t last = size < ZIP_END_BYTES + ZIP_COMMENT_MAX
                      ? 0
                      : size - ZIP_END_BYTES - ZIP_COMMENT_MAX;
    if (size < ZIP_END_BYTES)
        return false;
    for (*at = size - ZIP_END_BYTES;; (*at)--) {
        if (is_signature(r, *at, ZIP_END) &&
            number(r->bytes.data + *at + 20, 2) == size - *at - ZIP_END_BYTES)
            return true;
        if (*at == last)
            return false;
    }
}

/* Where the directory is, by the record at END: begin, bytes and count. */
static bool read_end64(const struct reader *r, size_t end, uint64_t *begin,
                       uint64_t *bytes, uint64_t *count) {
    if (end < ZIP64_LOCATOR_BYTES ||
        !is_signature(r, end - ZIP64_LOCATOR_BYTES, ZIP64_LOCATOR))
        return false;
    uint64_t at = number(r->bytes.data + end - ZIP64_LOCATOR_BYTES + 8, 8);
    if (!holds(r, at, ZIP64_END_BYTES) || !is_signature(r, at, ZIP64_END))
        return false;
    const char *record = r->bytes.data + at;
    *count = number(record + 32, 8);
    *bytes = number(record + 40, 8);
    *begin = number(record + 48, 8);
    return true;
}

static bool find_directory(struct reader *r, struct error *err) {
    size_t end;
    if (!find_end(r, &end))
        return broken(r, "end", err);
    const char *record = r->bytes.data + end;
    uint64_t count = number(record + 10, 2), bytes = number(record + 12, 4),
             begin = number(record + 16, 4);
    if ((count == 0xFFFF || bytes == ZIP_LARGE || begin == ZIP_LARGE) &&
        !read_end64(r, end, &begin, &bytes, &count))
        return broken(r, "zip64 end", err);
    if (!holds(r, begin, bytes) || count > bytes / ZIP_CENTRAL_BYTES)
        return broken(r, "central directory", err);
    r->at = (size_t)begin;
    r->end = (size_t)(begin + bytes);
    r->count = (size_t)count;
    return true;
}

/* The sizes and the place that did not fit 32 bits, in this order, those that
 * did left out. */
static bool read_extra(const char *extra, size_t size, uint64_t *whole,
                       uint64_t *stored, uint64_t *local) {
    uint64_t *const fields[] = {whole, stored, local};
    size_t at = 0;
    while (size - at >= 4 && number(extra + at, 2) != ZIP64_FIELD) {
        size_t skip = 4 + (size_t)number(extra + at + 2, 2);
        if (skip > size - at)
            return false;
        at += skip;
    }
    bool found = size - at >= 4;
    size_t left = found ? (size_t)number(extra + at + 2, 2) : 0;
    if (found && left > size - at - 4)
        return false;
    at += 4;
    for (size_t i = 0; i < 3; i++) {
        if (*fields[i] != ZIP_LARGE)
            continue;
        if (left < 8)
            return false;
        *fields[i] = number(extra + at, 8);
        at += 8;
        left -= 8;
    }
    return true;
}

static bool find_content(const struct reader *r, struct archive_entry *entry,
                         uint64_t local, uint64_t size, struct error *err) {
    if (!holds(r, local, ZIP_LOCAL_BYTES) || !is_signature(r, local, ZIP_LOCAL))
        return broken(r, "local header", err);
    const char *header = r->bytes.data + local;
    uint64_t begin = local + ZIP_LOCAL_BYTES + number(header + 26, 2) +
                     number(header + 28, 2);
    if (!holds(r, begin, size))
        return broken(r, "local header", err);
    entry->content = (struct str){r->bytes.data + begin, (size_t)size};
    return true;
}

static bool check_method(const struct reader *r, const char *record,
                         struct str name, struct error *err) {
    if (number(record + 8, 2) & FLAG_ENCRYPTED)
        return error_set(err, ERROR_UNSUPPORTED, "%s: %.*s is encrypted: %s",
                         r->path, STR_ARG(name), r->remedy);
    return number(record + 10, 2) == 0 ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: %.*s is compressed, expected stored as it is: %s",
                     r->path, STR_ARG(name), r->remedy);
}

static bool read_entry(struct reader *r, struct archive_entry *entry,
                       struct error *err) {
    if (r->end - r->at < ZIP_CENTRAL_BYTES ||
        !is_signature(r, r->at, ZIP_CENTRAL))
        return broken(r, "central directory", err);
    const char *record = r->bytes.data + r->at;
    uint64_t stored = number(record + 20, 4), whole = number(record + 24, 4),
             local = number(record + 42, 4);
    size_t name = (size_t)number(record + 28, 2);
    size_t extra = (size_t)number(record + 30, 2);
    size_t rest = name + extra + (size_t)number(record + 32, 2);
    if (rest > r->end - r->at - ZIP_CENTRAL_BYTES)
        return broken(r, "central directory", err);
    entry->name = (struct str){record + ZIP_CENTRAL_BYTES, name};
    if (!read_extra(record + ZIP_CENTRAL_BYTES + name, extra, &whole, &stored,
                    &local))
        return broken(r, "zip64 field", err);
    r->at += ZIP_CENTRAL_BYTES + rest;
    if (!check_method(r, record, entry->name, err))
        return false;
    return whole == stored ? find_content(r, entry, local, stored, err)
                           : broken(r, "central directory", err);
}

static bool read_entries(struct archive *zip, struct reader *r,
                         struct error *err) {
    uint64_t other;
    zip->entries =
        memory_alloc(zip->memory, r->count, sizeof *zip->entries, err);
    if (!zip->entries)
        return false;
    for (; zip->count < r->count; zip->count++) {
        struct archive_entry *entry = &zip->entries[zip->count];
        if (!read_entry(r, entry, err))
            return false;
        if (map_get(&zip->names, entry->name, &other))
            return error_set(err, ERROR_INPUT, "%s: %.*s is in it twice",
                             r->path, STR_ARG(entry->name));
        if (!map_put(&zip->names, entry->name, zip->count, err))
            return false;
    }
    return true;
}

bool archive_read(struct archive *zip, struct memory *memory, const char *path,
                  struct str bytes, const char *remedy, struct error *err) {
    struct reader reader = {.path = path, .remedy = remedy, .bytes = bytes};
    *zip = (struct archive){.memory = memory, .names = map_make(memory)};
    if (find_directory(&reader, err) && read_entries(zip, &reader, err))
        return true;
    archive_free(zip);
    return false;
}

void archive_free(struct archive *zip) {
    if (!zip->memory)
        return;
    map_free(&zip->names);
    memory_free(zip->memory, zip->entries);
    zip->entries = NULL;
    zip->count = 0;
}

bool archive_find(const struct archive *zip, struct str name,
                  struct str *content) {
    uint64_t i;
    if (!map_get(&zip->names, name, &i))
        return false;
    *content = zip->entries[i].content;
    return true;
}
