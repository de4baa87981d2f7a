#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"

json_t *json_parse_as(struct str text, size_t flags, const char *name,
                      struct error *err) {
    json_error_t cause;
    errno = 0; /* malloc says there why it fails, and jansson nowhere */
    json_t *document = json_loadb(text.data, text.size, flags, &cause);
    if (!document && errno == ENOMEM)
        error_set(err, ERROR_MEMORY,
                  "%s: no memory to read it; let the machine, or this process "
                  "(ulimit -v), have more",
                  name);
    else if (!document)
        error_set(err, ERROR_INPUT,
                  "%s: not valid JSON at line %d column %d: %s", name,
                  cause.line, cause.column, cause.text);
    return document;
}

json_t *json_parse(struct str text, const char *name, struct error *err) {
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = (struct str){text.data + 3, text.size - 3};
    /* NUL in a string is legal JSON, and jansson wants to be told. */
    return json_parse_as(text, JSON_ALLOW_NUL | JSON_DECODE_ANY, name, err);
}

json_t *json_read_file(const char *path, size_t max_bytes, struct error *err) {
    struct file_map map;
    if (!file_map_open(&map, path, err))
        return NULL;
    json_t *document = NULL;
    if (map.size > max_bytes)
        error_set(err, ERROR_INPUT, "%s: %zu bytes, expected at most %zu", path,
                  map.size, max_bytes);
    else
        document = json_parse((struct str){map.data, map.size}, path, err);
    file_map_close(&map);
    return document;
}

bool json_write_file(const char *path, const json_t *document, size_t digits,
                     struct memory *memory, struct error *err) {
    char *text =
        json_dumps(document, JSON_INDENT(1) | JSON_REAL_PRECISION(digits));
    bool fine =
        text ? file_write(path, str_from(text), memory, err)
             : error_set(err, ERROR_MEMORY, "%s: no memory to write it", path);
    free(text);
    return fine;
}

/* The member, or NULL when it is missing, null, or (then *FINE is false) of a
 * type that KIND does not name. */
static const json_t *member(const json_t *object, const char *key,
                            const char *name, const char *kind,
                            bool (*is)(const json_t *), bool *fine,
                            struct error *err) {
    const json_t *value = json_object_get(object, key);
    *fine = true;
    if (!value || json_is_null(value))
        return NULL;
    if (is(value))
        return value;
    *fine =
        error_set(err, ERROR_INPUT, "%s: \"%s\" is not %s", name, key, kind);
    return NULL;
}

static bool is_string(const json_t *value) {
    return json_is_string(value) &&
           strlen(json_string_value(value)) == json_string_length(value);
}

static bool is_size(const json_t *value) {
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool is_number(const json_t *value) {
    return json_is_number(value);
}

static bool is_bool(const json_t *value) {
    return json_is_boolean(value);
}

bool json_member_string(const json_t *object, const char *key, const char *name,
                        const char **out, struct error *err) {
    bool fine;
    const json_t *value =
        member(object, key, name, "a string", is_string, &fine, err);
    if (value)
        *out = json_string_value(value);
    return fine;
}

bool json_member_size(const json_t *object, const char *key, const char *name,
                      size_t *out, struct error *err) {
    bool fine;
    const json_t *value =
        member(object, key, name, "a whole number >= 0", is_size, &fine, err);
    if (value)
        *out = (size_t)json_integer_value(value);
    return fine;
}

bool json_member_real(const json_t *object, const char *key, const char *name,
                      double *out, struct error *err) {
    bool fine;
    const json_t *value =
        member(object, key, name, "a number", is_number, &fine, err);
    if (value)
        *out = json_number_value(value);
    return fine;
}

bool json_member_bool(const json_t *object, const char *key, const char *name,
                      bool *out, struct error *err) {
    bool fine;
    const json_t *value =
        member(object, key, name, "true or false", is_bool, &fine, err);
    if (value)
        *out = json_is_true(value);
    return fine;
}

json_t *json_any_text(const char *text) {
    if (!text)
        return json_null();
    json_t *plain = json_string(text);
    struct str bytes = str_from(text);
    /* U+FFFD is three bytes, what it stands for at least one. */
    char *clean = plain ? NULL : malloc(3 * bytes.size);
    if (!clean)
        return plain;
    size_t size = 0;
    for (size_t at = 0; at < bytes.size;)
        size += utf8_put(utf8_next(bytes, &at), clean + size);
    plain = json_stringn(clean, size);
    free(clean);
    return plain;
}
