/* zip_find.c - a member of an archive that is mapped and not trusted. */

#include <string.h>

#include "data/zip.h"
#include "data/zip_format.h"

/* SIZE bytes at AT as a number, lowest first; the caller has checked them. */
static uint64_t number(struct str file, uint64_t at, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)(uint8_t)file.data[at + i] << 8 * i;
    return value;
}

static bool has(struct str file, uint64_t at, uint64_t size) {
    return at <= file.size && size <= file.size - at;
}

static bool damaged(const char *path, struct error *err) {
    return error_set(err, ERROR_INPUT,
                     "%s is not a whole .npz file; make the file again", path);
}

/* The end record is last, but for a comment. */
static bool find_end(struct str file, uint64_t *at) {
    for (uint64_t back = ZIP_END_BYTES;
         back <= file.size && back <= ZIP_END_BYTES + ZIP_COMMENT_MAX; back++) {
        *at = file.size - back;
        if (number(file, *at, 4) == ZIP_END &&
            number(file, *at + 20, 2) == back - ZIP_END_BYTES)
            return true;
    }
    return false;
}

struct directory {
    uint64_t at, count;
};

static bool find_directory(struct str file, struct directory *directory) {
    uint64_t end;
    if (!find_end(file, &end))
        return false;
    directory->count = number(file, end + 10, 2);
    directory->at = number(file, end + 16, 4);
    if (directory->at != ZIP_LARGE)
        return true;
    if (end < ZIP64_LOCATOR_BYTES ||
        number(file, end - ZIP64_LOCATOR_BYTES, 4) != ZIP64_LOCATOR)
        return false;
    uint64_t end64 = number(file, end - ZIP64_LOCATOR_BYTES + 8, 8);
    if (!has(file, end64, ZIP64_END_BYTES) ||
        number(file, end64, 4) != ZIP64_END)
        return false;
    directory->count = number(file, end64 + 32, 8);
    directory->at = number(file, end64 + 48, 8);
    return true;
}

/* What the directory says of one member. */
struct entry {
    struct str name;
    unsigned flags, method;
    uint64_t stored, size, header_at;
};

/* Numbers that did not fit, from the zip64 field in EXTRA. */
static bool read_large(struct str extra, struct entry *entry) {
    uint64_t *const wanted[] = {&entry->size, &entry->stored,
                                &entry->header_at};
    for (uint64_t at = 0; has(extra, at, 4);) {
        uint64_t kind = number(extra, at, 2), size = number(extra, at + 2, 2);
        at += 4;
        if (!has(extra, at, size))
            return false;
        if (kind == ZIP64_FIELD) {
            uint64_t end = at + size;
            for (size_t w = 0; w < 3; w++) {
                if (*wanted[w] != ZIP_LARGE)
                    continue;
                if (end - at < 8)
                    return false;
                *wanted[w] = number(extra, at, 8);
                at += 8;
            }
            return true;
        }
        at += size;
    }
    return entry->size != ZIP_LARGE && entry->stored != ZIP_LARGE &&
           entry->header_at != ZIP_LARGE;
}

/* The entry at *AT, which is moved behind it. */
static bool read_entry(struct str file, uint64_t *at, struct entry *entry) {
    if (!has(file, *at, ZIP_CENTRAL_BYTES) ||
        number(file, *at, 4) != ZIP_CENTRAL)
        return false;
    uint64_t name = number(file, *at + 28, 2);
    uint64_t extra = number(file, *at + 30, 2);
    uint64_t comment = number(file, *at + 32, 2);
    uint64_t text = *at + ZIP_CENTRAL_BYTES;
    if (!has(file, text, name + extra + comment))
        return false;
    *entry = (struct entry){
        .name = {file.data + text, (size_t)name},
        .flags = (unsigned)number(file, *at + 8, 2),
        .method = (unsigned)number(file, *at + 10, 2),
        .stored = number(file, *at + 20, 4),
        .size = number(file, *at + 24, 4),
        .header_at = number(file, *at + 42, 4),
    };
    *at = text + name + extra + comment;
    return read_large((struct str){file.data + text + name, (size_t)extra},
                      entry);
}

static bool member_bytes(struct str file, const struct entry *entry,
                         const char *path, struct str *out, struct error *err) {
    if (entry->method != 0 || entry->flags & 1)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s is %s; write it with compressed=False", path,
                         entry->method ? "compressed" : "encrypted");
    uint64_t at = entry->header_at;
    if (!has(file, at, ZIP_LOCAL_BYTES) || number(file, at, 4) != ZIP_LOCAL)
        return damaged(path, err);
    uint64_t data = at + ZIP_LOCAL_BYTES + number(file, at + 26, 2) +
                    number(file, at + 28, 2);
    if (entry->stored != entry->size || !has(file, data, entry->size))
        return damaged(path, err);
    *out = (struct str){file.data + data, (size_t)entry->size};
    return true;
}

bool zip_find(struct str file, const char *name, const char *path,
              struct str *out, struct error *err) {
    struct directory directory;
    if (!find_directory(file, &directory))
        return damaged(path, err);
    for (uint64_t i = 0, at = directory.at; i < directory.count; i++) {
        struct entry entry;
        if (!read_entry(file, &at, &entry))
            return damaged(path, err);
        if (str_equal(entry.name, str_from(name)))
            return member_bytes(file, &entry, path, out, err);
    }
    return error_set(err, ERROR_INPUT,
                     "%s has no array %s; it is not a sparse matrix as SciPy "
                     "saves it",
                     path, name);
}
