#include "hub/repo_tree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"

enum {
    FILES_MAX = 200000,
    PATH_BYTES_MAX = 1024,
    PART_BYTES_MAX = 255,
    TREE_BYTES_MAX = 64 << 20,
    TREE_VERSION = 1,
};
static const json_int_t SIZE_MOST = (json_int_t)1 << 53;

struct repo_tree repo_tree_make(struct arena *arena) {
    return (struct repo_tree){.arena = arena};
}

uint64_t repo_file_bytes(const struct repo_file *file) {
    return file->lfs_sha256 ? file->lfs_size : file->size;
}

/* ---- checks -------------------------------------------------------------- */

static bool part_safe(struct str part) {
    return part.size > 0 && part.size <= PART_BYTES_MAX &&
           !str_equal(part, STR(".")) && !str_equal(part, STR(".."));
}

bool repo_path_safe(const char *path, size_t size) {
    if (size == 0 || size > PATH_BYTES_MAX)
        return false;
    size_t begin = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && ((unsigned char)path[i] < ' ' || path[i] == 0x7F ||
                         path[i] == '\\'))
            return false;
        if (i < size && path[i] != '/')
            continue;
        if (!part_safe((struct str){path + begin, i - begin}))
            return false;
        begin = i + 1;
    }
    return true;
}

static bool is_hex(const char *text, size_t size) {
    return text && strlen(text) == size &&
           strspn(text, "0123456789abcdef") == size;
}

/* A string of exactly DIGITS hex digits, copied; NULL if it is anything else.
 */
static const char *hex_of(struct arena *arena, const json_t *value,
                          size_t digits, struct error *err) {
    const char *text = json_string_value(value);
    if (!is_hex(text, digits) || json_string_length(value) != digits)
        return NULL;
    return arena_copy(arena, str_from(text), err);
}

static bool size_of(const json_t *value, uint64_t *size) {
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > SIZE_MOST)
        return false;
    *size = (uint64_t)number;
    return true;
}

/* ---- one file ------------------------------------------------------------ */

static bool read_path(struct repo_tree *tree, const char *text, size_t size,
                      const char *name, struct repo_file *file,
                      struct error *err) {
    char shown[128];
    if (text && repo_path_safe(text, size)) {
        file->path = arena_copy(tree->arena, (struct str){text, size}, err);
        return file->path != NULL;
    }
    snprintf(shown, sizeof shown, "%s", text ? text : "nothing");
    for (char *c = shown; *c; c++)
        *c = (unsigned char)*c < ' ' ? '?' : *c;
    return error_set(err, ERROR_INPUT,
                     "%s names a file '%s', and that is no path inside of a "
                     "repository: nothing of it is taken",
                     name, shown);
}

static bool bad_file(const struct repo_file *file, const char *name,
                     const char *what, struct error *err) {
    return error_set(err, ERROR_INPUT,
                     "%s gives %s no usable %s: nothing of it is taken", name,
                     file->path, what);
}

/* An optional 64 digits under KEY; anything else than a string is none. */
static bool read_xet(struct repo_tree *tree, const json_t *object,
                     const char *key, const char *name, struct repo_file *file,
                     struct error *err) {
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value))
        return true;
    file->xet_hash = hex_of(tree->arena, value, 64, err);
    return file->xet_hash || bad_file(file, name, key, err);
}

static bool push(struct repo_tree *tree, const struct repo_file *file,
                 const char *name, struct error *err) {
    if (tree->count == FILES_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "%s has more than %d files",
                         name, FILES_MAX);
    if (tree->count == tree->room) {
        size_t room = tree->room ? tree->room * 2 : 64;
        struct repo_file *files =
            arena_alloc(tree->arena, room, sizeof *files, err);
        if (!files)
            return false;
        if (tree->count)
            memcpy(files, tree->files, tree->count * sizeof *files);
        tree->files = files;
        tree->room = room;
    }
    tree->files[tree->count++] = *file;
    return true;
}

static bool read_listed(struct repo_tree *tree, const json_t *row,
                        const char *name, struct error *err) {
    struct repo_file file = {0};
    const json_t *path = json_object_get(row, "path");
    const json_t *lfs = json_object_get(row, "lfs");
    if (!read_path(tree, json_string_value(path), json_string_length(path),
                   name, &file, err))
        return false;
    if (!size_of(json_object_get(row, "size"), &file.size))
        return bad_file(&file, name, "size", err);
    file.blob_id = hex_of(tree->arena, json_object_get(row, "oid"), 40, err);
    if (!file.blob_id)
        return bad_file(&file, name, "oid", err);
    if (json_is_object(lfs)) {
        file.lfs_sha256 =
            hex_of(tree->arena, json_object_get(lfs, "oid"), 64, err);
        if (!file.lfs_sha256 ||
            !size_of(json_object_get(lfs, "size"), &file.lfs_size))
            return bad_file(&file, name, "digest and size", err);
    }
    return read_xet(tree, row, "xetHash", name, &file, err) &&
           push(tree, &file, name, err);
}

bool repo_tree_add_page(struct repo_tree *tree, const json_t *page,
                        const char *name, struct error *err) {
    if (!json_is_array(page))
        return error_set(err, ERROR_INPUT, "%s is not a list of files", name);
    for (size_t i = 0; i < json_array_size(page); i++) {
        const json_t *row = json_array_get(page, i);
        const char *type = json_string_value(json_object_get(row, "type"));
        if (!type)
            return error_set(err, ERROR_INPUT, "%s has an entry without a type",
                             name);
        if (strcmp(type, "file") == 0 && !read_listed(tree, row, name, err))
            return false;
    }
    return true;
}

/* ---- together ------------------------------------------------------------ */

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct repo_file *)a)->path,
                  ((const struct repo_file *)b)->path);
}

const struct repo_file *repo_tree_find(const struct repo_tree *tree,
                                       const char *path) {
    struct repo_file key = {.path = path};
    return tree->count ? bsearch(&key, tree->files, tree->count,
                                 sizeof *tree->files, by_path)
                       : NULL;
}

/* Is a folder of PATH itself a file of the list? */
static bool inside_file(const struct repo_tree *tree, const char *path) {
    char folder[PATH_BYTES_MAX + 1];
    for (const char *slash = strchr(path, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        memcpy(folder, path, (size_t)(slash - path));
        folder[slash - path] = '\0';
        if (repo_tree_find(tree, folder))
            return true;
    }
    return false;
}

bool repo_tree_finish(struct repo_tree *tree, const char *name,
                      struct error *err) {
    if (tree->count)
        qsort(tree->files, tree->count, sizeof *tree->files, by_path);
    for (size_t i = 0; i < tree->count; i++) {
        const char *path = tree->files[i].path;
        bool twice = i && strcmp(tree->files[i - 1].path, path) == 0;
        if (twice || inside_file(tree, path))
            return error_set(err, ERROR_INPUT,
                             "%s names %s %s: nothing of it is taken", name,
                             path, twice ? "twice" : "inside of a file");
    }
    return true;
}

/* ---- the cache's list ---------------------------------------------------- */

static bool read_kept(struct repo_tree *tree, const char *path,
                      const json_t *row) {
    struct repo_file file = {0};
    const json_t *sha256 = json_object_get(row, "lfs_sha256");
    if (!read_path(tree, path, strlen(path), "", &file, NULL) ||
        !size_of(json_object_get(row, "size"), &file.size))
        return false;
    file.blob_id =
        hex_of(tree->arena, json_object_get(row, "blob_id"), 40, NULL);
    if (sha256 && !json_is_null(sha256)) {
        file.lfs_sha256 = hex_of(tree->arena, sha256, 64, NULL);
        if (!file.lfs_sha256 ||
            !size_of(json_object_get(row, "lfs_size"), &file.lfs_size))
            return false;
    }
    return file.blob_id && read_xet(tree, row, "xet_hash", "", &file, NULL) &&
           push(tree, &file, "", NULL);
}

bool repo_tree_load(struct repo_tree *tree, const char *path) {
    json_t *document =
        file_exists(path) ? json_read_file(path, TREE_BYTES_MAX, NULL) : NULL;
    const json_t *version = json_object_get(document, "format_version");
    json_t *files = json_object_get(document, "files"), *row;
    bool fine = json_is_integer(version) &&
                json_integer_value(version) == TREE_VERSION &&
                json_is_object(files);
    const char *key;
    json_object_foreach(files, key, row) {
        fine = fine && read_kept(tree, key, row);
    }
    json_decref(document);
    fine = fine && repo_tree_finish(tree, "", NULL);
    if (!fine)
        tree->count = 0;
    return fine;
}

/* A JSON string of ASCII only: \u with small digits, in pairs above U+FFFF. */
static void add_ascii(struct strbuf *out, const char *text) {
    struct str rest = str_from(text);
    strbuf_add_char(out, '"');
    for (size_t at = 0; at < rest.size;) {
        uint32_t code = utf8_next(rest, &at);
        if (code == '"')
            strbuf_add(out, STR("\\\""));
        else if (code <= 0x7F)
            strbuf_add_char(out, (char)code);
        else if (code <= 0xFFFF)
            strbuf_printf(out, "\\u%04x", code);
        else
            strbuf_printf(out, "\\u%04x\\u%04x",
                          0xD800 + ((code - 0x10000) >> 10),
                          0xDC00 + ((code - 0x10000) & 0x3FF));
    }
    strbuf_add_char(out, '"');
}

static void add_file(struct strbuf *out, const struct repo_file *file) {
    strbuf_add(out, STR("\n  "));
    add_ascii(out, file->path);
    strbuf_printf(out, ": {\n   \"size\": %" PRIu64 ",\n   \"blob_id\": \"%s\"",
                  file->size, file->blob_id);
    if (file->lfs_sha256)
        strbuf_printf(out,
                      ",\n   \"lfs_sha256\": \"%s\",\n   \"lfs_size\": "
                      "%" PRIu64,
                      file->lfs_sha256, file->lfs_size);
    if (file->xet_hash)
        strbuf_printf(out, ",\n   \"xet_hash\": \"%s\"", file->xet_hash);
    strbuf_add(out, STR("\n  }"));
}

void repo_tree_text(const struct repo_tree *tree, struct strbuf *out) {
    strbuf_printf(out, "{\n \"format_version\": %d,\n \"files\": {",
                  TREE_VERSION);
    for (size_t i = 0; i < tree->count; i++) {
        if (i)
            strbuf_add_char(out, ',');
        add_file(out, &tree->files[i]);
    }
    strbuf_add(out, tree->count ? STR("\n }\n}") : STR("}\n}"));
}
