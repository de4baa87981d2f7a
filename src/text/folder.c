/* folder.c - see folder.h. */

#include "text/folder.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "text/folder_parts.h"
#include "text/tokenizer_parts.h"

const struct str *making_file(const struct making *m, const char *name) {
    for (size_t i = 0; name && i < m->folder->count; i++)
        if (strcmp(m->folder->files[i].name, name) == 0)
            return &m->folder->files[i].content;
    return NULL;
}

/* The usual value for "no limit" is 1e30 written as an integer, which is too
 * large for one: all numbers are read as real ones. */
bool making_json(const struct making *m, const char *name, json_t **json,
                 struct error *err) {
    const struct str *file = making_file(m, name);
    char path[PATH_MAX];
    *json = NULL;
    if (!file)
        return true;
    if (!path_join(path, m->folder->path, name, err))
        return false;
    *json = json_parse_as(*file, JSON_DECODE_INT_AS_REAL, path, err);
    if (!*json || json_is_object(*json))
        return *json != NULL;
    json_decref(*json);
    *json = NULL;
    return error_set(err, ERROR_INPUT, "%s: expected a JSON object", path);
}

bool making_bool(const struct making *m, const char *key, bool *value,
                 struct error *err) {
    return json_member_bool(m->settings, key, m->folder->path, value, err);
}

/* Settings that change ids in ways that there is no code for. */
static bool check_settings(const struct making *m, struct error *err) {
    bool splits = false, mends = false;
    const char *side = "right";
    const json_t *truncation = json_object_get(m->source, "truncation");
    if (!making_bool(m, "split_special_tokens", &splits, err) ||
        !making_bool(m, "fix_mistral_regex", &mends, err) ||
        !json_member_string(truncation, "direction", m->folder->path, &side,
                            err) ||
        !json_member_string(m->settings, "truncation_side", m->folder->path,
                            &side, err))
        return false;
    const json_t *versions =
        json_object_get(m->settings, "fast_tokenizer_files");
    const char *key = splits  ? "split_special_tokens"
                      : mends ? "fix_mistral_regex"
                      : strcmp(side, "right") != 0 && strcmp(side, "Right") != 0
                          ? "truncation_side left"
                      : json_array_size(versions) > 1 ? "fast_tokenizer_files"
                                                      : NULL;
    return !key || error_set(err, ERROR_UNSUPPORTED,
                             "%s: its tokenizer has the setting %s, which is "
                             "not supported: use another model",
                             m->folder->path, key);
}

bool making_pads_left(const struct making *m) {
    const json_t *padding = json_object_get(m->source, "padding");
    const char *side =
        json_string_value(json_object_get(m->settings, "padding_side"));
    side =
        side ? side : json_string_value(json_object_get(padding, "direction"));
    if (side)
        return strcmp(side, "left") == 0 || strcmp(side, "Left") == 0;
    return m->class->kind == CLASS_LLAMA || m->class->kind == CLASS_GEMMA;
}

/* Whether the model is given token types. */
static bool has_types(const struct making *m) {
    const json_t *names = json_object_get(m->settings, "model_input_names");
    if (!json_is_array(names))
        return m->class->types;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name && strcmp(name, "token_type_ids") == 0)
            return true;
    }
    return false;
}

static bool contains(struct str text, struct str word) {
    const char *at = text.data, *end = text.data + text.size;
    while (
        (size_t)(end - at) >= word.size &&
        (at = memchr(at, word.data[0], (size_t)(end - at) - word.size + 1))) {
        if (memcmp(at, word.data, word.size) == 0)
            return true;
        at++;
    }
    return false;
}

static bool open_files(struct making *m, struct error *err) {
    const struct str *source = making_file(m, "tokenizer.json");
    if (!making_json(m, "tokenizer_config.json", &m->settings, err))
        return false;
    if (!m->settings && !(m->settings = json_object()))
        return error_set(err, ERROR_MEMORY, "no memory for a tokenizer");
    if (source && !(m->source = json_parse(*source, m->name, err)))
        return false;
    if (source && !json_is_object(m->source))
        return error_set(err, ERROR_INPUT,
                         "%s: not a tokenizer.json: no JSON object", m->name);
    m->class = class_of(m->folder, m->settings,
                        source && contains(*source, STR("\"ByteLevel\"")), err);
    return m->class && check_settings(m, err);
}

static void close_files(struct making *m) {
    json_t *all[] = {m->settings, m->source,     m->vocab, m->merges,
                     m->charsmap, m->additional, m->model, m->normalizer,
                     m->given,    m->added};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        json_decref(all[i]);
}

struct tokenizer *tokenizer_create_folder(struct memory *memory,
                                          const struct tokenizer_folder *folder,
                                          struct error *err) {
    struct making m = {.folder = folder, .memory = memory};
    struct tokenizer *tokenizer = NULL;
    json_t *document = NULL;
    snprintf(m.name, sizeof m.name, "%s%s", folder->path,
             making_file(&m, "tokenizer.json") ? "/tokenizer.json" : "");
    if (open_files(&m, err) && making_collect_tokens(&m, err) &&
        making_read_vocab(&m, err) && (document = making_document(&m, err))) {
        bool as_it_stands = m.source && m.class->kind == CLASS_BACKEND;
        struct load_options options = {.lower = folder->lower,
                                       .made = !as_it_stands,
                                       .bare = folder->bare,
                                       .no_types = !has_types(&m)};
        tokenizer = tokenizer_of(memory, document, &options, m.name, err);
    }
    json_decref(document);
    close_files(&m);
    return tokenizer;
}
