/* spec_config.c - members of config.json, read one way. */

#include <stdio.h>
#include <string.h>

#include "model/spec_parts.h"

static bool absent(const struct config_source *from, const char *key) {
    const json_t *value = json_object_get(from->config, key);
    return !value || json_is_null(value);
}

bool config_size(const struct config_source *from, const char *key, size_t *out,
                 struct error *err) {
    if (!absent(from, key) &&
        !json_member_size(from->config, key, from->path, out, err))
        return false;
    if (!*out)
        return error_set(err, ERROR_INPUT,
                         "%s: \"%s\" is %s; a whole number above 0 belongs "
                         "there",
                         from->path, key, absent(from, key) ? "missing" : "0");
    return config_at_most(from, key, *out, SIZE_LIMIT, err);
}

bool config_at_most(const struct config_source *from, const char *key,
                    size_t value, size_t most, struct error *err) {
    return value <= most ||
           error_set(err, ERROR_INPUT,
                     "%s: \"%s\" is %zu, which is too large; %zu at most",
                     from->path, key, value, most);
}

bool config_flag(const struct config_source *from, const char *key, bool *out,
                 struct error *err) {
    return absent(from, key) ||
           json_member_bool(from->config, key, from->path, out, err);
}

bool config_real(const struct config_source *from, const char *key, double *out,
                 struct error *err) {
    return absent(from, key) ||
           json_member_real(from->config, key, from->path, out, err);
}

bool config_word(const struct config_source *from, const char *key,
                 const char **out, struct error *err) {
    return absent(from, key) ||
           json_member_string(from->config, key, from->path, out, err);
}

static void value_text(const json_t *value, char text[64]) {
    if (json_is_string(value))
        snprintf(text, 64, "%s", json_string_value(value));
    else if (json_is_boolean(value))
        snprintf(text, 64, "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_number(value))
        snprintf(text, 64, "%.9g", json_number_value(value));
    else
        snprintf(text, 64, "a list or an object");
}

bool config_only(const struct config_source *from, const char *key,
                 const char *wanted, struct error *err) {
    char text[64];
    if (absent(from, key))
        return true;
    value_text(json_object_get(from->config, key), text);
    return strcmp(text, wanted) == 0 ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: %s %s is not supported; only %s is", from->path, key,
                     text, wanted);
}

bool config_trait(const struct config_source *from, const char *key,
                  bool fallback, enum trait trait, struct model_spec *spec,
                  struct error *err) {
    bool has = fallback;
    if (!config_flag(from, key, &has, err))
        return false;
    if (has)
        spec->traits |= trait;
    return true;
}

bool config_types(const struct config_source *from, size_t fallback,
                  struct model_spec *spec, struct error *err) {
    const char *key = "type_vocab_size";
    spec->types = fallback;
    if (!json_member_size(from->config, key, from->path, &spec->types, err) ||
        !config_at_most(from, key, spec->types, SIZE_LIMIT, err))
        return false;
    spec->traits |= spec->types ? TRAIT_TYPES : 0;
    return true;
}

bool config_heads(const struct config_source *from, struct model_spec *spec,
                  struct error *err) {
    const char *word = "num_key_value_heads";
    bool null = json_is_null(json_object_get(from->config, word));
    size_t keys = null ? spec->heads : spec->kv_heads, dim = spec->head_dim;
    if (!config_size(from, word, &keys, err))
        return false;
    spec->kv_heads = keys;
    if (absent(from, "head_dim"))
        return true;
    if (!config_size(from, "head_dim", &dim, err))
        return false;
    spec->head_dim = dim;
    return true;
}

static bool add_layer_type(const struct config_source *from, const json_t *type,
                           size_t layer, struct model_spec *spec,
                           struct error *err) {
    const char *word = json_string_value(type);
    if (word && strcmp(word, "sliding_attention") == 0)
        layer_set_add(&spec->local, layer);
    else if (!word || strcmp(word, "full_attention") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: layer_types \"%s\" is not supported; "
                         "full_attention and sliding_attention are",
                         from->path, word ? word : "(not a string)");
    return true;
}

bool config_layer_types(const struct config_source *from,
                        struct model_spec *spec, bool *found,
                        struct error *err) {
    const json_t *types = json_object_get(from->config, "layer_types");
    *found = types && !json_is_null(types);
    if (!*found)
        return true;
    if (json_array_size(types) != spec->layers)
        return error_set(err, ERROR_INPUT,
                         "%s: layer_types is not a list of %zu entries, one "
                         "for each layer",
                         from->path, spec->layers);
    for (size_t i = 0; i < spec->layers; i++)
        if (!add_layer_type(from, json_array_get(types, i), i, spec, err))
            return false;
    return true;
}

bool config_object(const struct config_source *from, const char *key,
                   const json_t **object, struct error *err) {
    const json_t *found = json_object_get(from->config, key);
    if (found && !json_is_object(found) && !json_is_null(found))
        return error_set(err, ERROR_INPUT, "%s: %s is not an object",
                         from->path, key);
    *object = json_object_size(found) ? found : NULL;
    return true;
}
