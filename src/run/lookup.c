#include "run/lookup.h"

#include <math.h>
#include <string.h>

const json_t *lookup(const json_t *root, const char *path) {
    while (root) {
        char key[64];
        size_t size = strcspn(path, ".");
        if (size >= sizeof key)
            return NULL;
        memcpy(key, path, size);
        key[size] = '\0';
        root = json_object_get(root, key);
        if (path[size] == '\0')
            return root;
        path += size + 1;
    }
    return NULL;
}

bool lookup_has(const json_t *root, const char *path) {
    return json_is_number(lookup(root, path));
}

double lookup_real(const json_t *root, const char *path) {
    const json_t *value = lookup(root, path);
    double number = json_is_number(value) ? json_number_value(value) : 0;
    return isfinite(number) ? number : 0;
}

uint64_t lookup_count(const json_t *root, const char *path) {
    const json_t *value = lookup(root, path);
    if (json_is_integer(value))
        return json_integer_value(value) > 0
                   ? (uint64_t)json_integer_value(value)
                   : 0;
    double number = lookup_real(root, path);
    return number > 0 && number < 1e18 ? (uint64_t)number : 0;
}

const char *lookup_text(const json_t *root, const char *path) {
    const char *text = json_string_value(lookup(root, path));
    return text ? text : "";
}

json_t *lookup_list(const json_t *root, const char *path) {
    const json_t *list = lookup(root, path);
    return json_is_array(list) ? (json_t *)(uintptr_t)list : NULL;
}

bool lookup_goes_on(const char *code) {
    return strcmp(code, "interrupted") == 0 || strcmp(code, "disk_full") == 0 ||
           strcmp(code, "busy") == 0;
}

/* FIRST, or the code of LIST's first entry that failed. Stops at one that ends
 * a run. */
static const char *first_code(json_t *list, const char *first) {
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry) {
        const char *code = lookup_text(entry, "error.code");
        if (lookup_goes_on(code))
            return code;
        if (*code && strcmp(first, "none") == 0)
            first = code;
    }
    return first;
}

const char *lookup_run_status(const json_t *summary) {
    const char *status = lookup_text(summary, "status");
    if (*status)
        return status;
    const char *first = first_code(lookup_list(summary, "models"), "none");
    return first_code(lookup_list(summary, "collections"), first);
}
