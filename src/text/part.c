/* part.c - see part.h. */

#include "text/part.h"

#include <string.h>

#include "base/json.h"

enum { SEQUENCE_DEPTH = 8 };

static bool read_type(struct part *part, struct error *err) {
    part->type = "";
    if (json_is_null(part->json))
        part->json = NULL;
    if (!part->json)
        return true;
    if (!json_is_object(part->json))
        return error_set(err, ERROR_INPUT, "%s: \"%s\" is not an object",
                         part->name, part->what);
    return json_member_string(part->json, "type", part->name, &part->type, err);
}

bool part_open(struct part *part, const json_t *root, const char *what,
               const char *members, const char *name, struct error *err) {
    *part = (struct part){json_object_get(root, what), what, name, ""};
    if (!read_type(part, err))
        return false;
    while (part->json && members && strcmp(part->type, "Sequence") == 0) {
        const json_t *list = json_object_get(part->json, members);
        if (!json_is_array(list))
            return error_set(err, ERROR_INPUT,
                             "%s: the %s \"Sequence\" has no list \"%s\"", name,
                             what, members);
        if (json_array_size(list) != 1)
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: the %s \"Sequence\" has %zu parts, and only "
                             "one is supported: use a model with a plain BERT "
                             "tokenizer",
                             name, what, json_array_size(list));
        part->json = json_array_get(list, 0);
        if (!read_type(part, err))
            return false;
    }
    return true;
}

bool part_unsupported(const struct part *part, const char *supported,
                      struct error *err) {
    if (!part->json)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: there is no %s; only %s supported: use another "
                         "model",
                         part->name, part->what, supported);
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: the %s \"%.64s\" is not supported, only %s: use "
                     "another model",
                     part->name, part->what, part->type, supported);
}

static bool each(const struct part_steps *steps, const json_t *json, int depth,
                 struct error *err) {
    struct part part = {json, steps->what, steps->name, ""};
    if (!json_is_object(json))
        return error_set(err, ERROR_INPUT, "%s: a %s is not an object",
                         steps->name, steps->what);
    if (!read_type(&part, err))
        return false;
    if (strcmp(part.type, "Sequence") != 0)
        return steps->step(steps->context, &part, err);
    const json_t *list = json_object_get(json, steps->members);
    if (depth >= SEQUENCE_DEPTH)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: the %s has Sequences too deep in one another",
                         steps->name, steps->what);
    if (!json_is_array(list))
        return error_set(err, ERROR_INPUT,
                         "%s: the %s \"Sequence\" has no list \"%s\"",
                         steps->name, steps->what, steps->members);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!each(steps, json_array_get(list, i), depth + 1, err))
            return false;
    return true;
}

bool part_each(const struct part_steps *steps, const json_t *json,
               struct error *err) {
    return each(steps, json, 0, err);
}

bool part_pattern(const struct part *part, struct memory *memory,
                  struct pattern **pattern, struct error *err) {
    const json_t *json = json_object_get(part->json, "pattern");
    const json_t *string = json_object_get(json, "String");
    const json_t *regex = json_object_get(json, "Regex");
    const json_t *either = string ? string : regex;
    struct str text = {json_string_value(either), json_string_length(either)};
    if (!json_is_string(either))
        return error_set(err, ERROR_INPUT,
                         "%s: the %s \"%.64s\" has no \"pattern\" that is a "
                         "String or a Regex",
                         part->name, part->what, part->type);
    /* Nothing is found everywhere: a matter for PCRE2. */
    *pattern = string && text.size
                   ? pattern_string(memory, text, err)
                   : pattern_regex(memory, text, part->name, err);
    return *pattern;
}

static bool missing(const struct part *part, const char *key,
                    struct error *err) {
    return error_set(err, ERROR_INPUT, "%s: the %s has no \"%s\"", part->name,
                     part->what, key);
}

bool part_bool(const struct part *part, const char *key, bool *out,
               struct error *err) {
    const json_t *value = json_object_get(part->json, key);
    if (!value || json_is_null(value))
        return missing(part, key, err);
    return json_member_bool(part->json, key, part->name, out, err);
}

bool part_text(const struct part *part, const char *key, struct str *out,
               struct error *err) {
    const json_t *value = json_object_get(part->json, key);
    if (!json_is_string(value))
        return missing(part, key, err);
    *out = (struct str){json_string_value(value), json_string_length(value)};
    return true;
}

bool part_text_or_none(const struct part *part, const char *key,
                       struct str *out, struct error *err) {
    const json_t *value = json_object_get(part->json, key);
    *out = (struct str){NULL, 0};
    if (!value || json_is_null(value))
        return true;
    if (part_text(part, key, out, NULL))
        return true;
    return error_set(err, ERROR_INPUT, "%s: the %s's \"%s\" is not a text",
                     part->name, part->what, key);
}

bool part_id(const json_t *value, size_t limit, const char *of,
             const char *name, uint32_t *id, struct error *err) {
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (number < 0 || (uint64_t)number >= limit)
        return error_set(err, ERROR_INPUT,
                         "%s: the id of %.64s is not a whole number from 0 to "
                         "%zu",
                         name, of, limit ? limit - 1 : 0);
    *id = (uint32_t)number;
    return true;
}
