#include "data/store_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

enum {
    VERSION = 1,
    RECORD_BYTES_MAX = 1 << 20,
    VALUE_BYTES_SHOWN = 80,    /* of each value in a message */
    DETAILS_BYTES_SHOWN = 450, /* after that only names are listed */
};

static bool no_memory(struct error *err) {
    return error_set(err, ERROR_MEMORY, "no memory for a store's record");
}

/* Stores of dense rows are older than the member. */
static const char *kind_value(enum row_kind kind) {
    return kind == ROW_DENSE ? NULL : row_kind_name(kind);
}

json_t *store_record_make(const json_t *fingerprint, enum row_kind kind,
                          size_t width, struct error *err) {
    json_t *record =
        json_pack("{s:i, s:s*, s:I, s:[], s:o}", "version", VERSION, "kind",
                  kind_value(kind), "width", (json_int_t)width, "isa",
                  "fingerprint", json_deep_copy(fingerprint));
    if (!record)
        no_memory(err);
    return record;
}

static bool record_is_ours(const json_t *record) {
    const json_t *array = json_object_get(record, "array");
    return json_is_integer(json_object_get(record, "width")) &&
           json_is_array(json_object_get(record, "isa")) &&
           json_is_object(json_object_get(record, "fingerprint")) &&
           (!array || json_is_object(array));
}

bool store_record_read(const char *path, json_t **out, struct error *err) {
    *out = NULL;
    if (!file_may_exist(path))
        return true;
    struct error cause;
    json_t *record = json_read_file(path, RECORD_BYTES_MAX, &cause);
    if (!record && cause.code != ERROR_INPUT) {
        return error_set(err, cause.code, "%s", cause.message);
    }
    json_t *version = json_object_get(record, "version");
    if (json_is_integer(version) && json_integer_value(version) != VERSION)
        error_set(err, ERROR_CONFLICT,
                  "%s was written by another version of ensembed (format "
                  "%lld, this one has %d); give --restart to compute the rows "
                  "anew, or another --out",
                  path, (long long)json_integer_value(version), VERSION);
    else if (!version || !record_is_ours(record))
        error_set(err, ERROR_CONFLICT,
                  "%s is damaged, so nothing says what made the rows beside "
                  "it; give --restart to compute them anew",
                  path);
    else
        *out = record;
    if (!*out)
        json_decref(record);
    return *out != NULL;
}

bool store_record_write(const char *path, const json_t *record,
                        struct memory *memory, struct error *err) {
    return json_write_file(path, record, 0, memory, err);
}

/* VALUE as JSON, cut where it is long; NULL is "absent". */
static void add_value(struct strbuf *out, const json_t *value) {
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    if (!text) {
        strbuf_add(out, STR("absent"));
        return;
    }
    struct str shown = str_from(text);
    if (shown.size > VALUE_BYTES_SHOWN) {
        shown.size = VALUE_BYTES_SHOWN;
        shown.size = utf8_valid_prefix(shown);
        strbuf_add(out, shown);
        strbuf_add(out, STR("..."));
    } else {
        strbuf_add(out, shown);
    }
    free(text);
}

static void add_difference(struct strbuf *out, const char *key,
                           const json_t *there, const json_t *here) {
    strbuf_add(out, out->size ? STR("; ") : STR(""));
    strbuf_add(out, str_from(key));
    if (out->size > DETAILS_BYTES_SHOWN)
        return;
    strbuf_add(out, STR(" is "));
    add_value(out, there);
    strbuf_add(out, STR(" there and "));
    add_value(out, here);
    strbuf_add(out, STR(" now"));
}

static void compare(struct strbuf *out, const json_t *there,
                    const json_t *here) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)there, key, value) {
        const json_t *other = json_object_get(here, key);
        if (!json_equal(value, other))
            add_difference(out, key, value, other);
    }
    json_object_foreach((json_t *)(uintptr_t)here, key, value) {
        if (!json_object_get(there, key))
            add_difference(out, key, NULL, value);
    }
}

bool store_record_match(const json_t *record, const json_t *fingerprint,
                        enum row_kind kind, size_t width, const char *folder,
                        struct memory *memory, struct error *err) {
    struct strbuf differences = strbuf_make(memory);
    compare(&differences, json_object_get(record, "fingerprint"), fingerprint);
    const json_t *width_there = json_object_get(record, "width");
    json_t *width_here = json_integer((json_int_t)width);
    if (!json_equal(width_there, width_here))
        add_difference(&differences, "width", width_there, width_here);
    json_decref(width_here);
    const json_t *kind_there = json_object_get(record, "kind");
    json_t *kind_here = kind ? json_string(kind_value(kind)) : NULL;
    if (kind_there != kind_here && !json_equal(kind_there, kind_here))
        add_difference(&differences, "kind", kind_there, kind_here);
    json_decref(kind_here);
    bool fine = strbuf_ok(&differences, err);
    if (fine && differences.size)
        fine = error_set(
            err, ERROR_CONFLICT,
            "the rows kept in %.300s were made otherwise: %.*s; give "
            "--restart to compute them anew, another --out, or a :name= to "
            "keep both",
            folder, STR_ARG(strbuf_str(&differences)));
    strbuf_free(&differences);
    return fine;
}

bool store_record_add_isa(json_t *record, const char *isa, bool *news,
                          struct error *err) {
    json_t *list = json_object_get(record, "isa");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *known = json_string_value(json_array_get(list, i));
        if (known && !strcmp(known, isa)) {
            *news = false;
            return true;
        }
    }
    *news = true;
    return json_array_append_new(list, json_string(isa)) == 0 || no_memory(err);
}
