/* folder_tokens.c - special and added tokens, as transformers 5.23 collects
 * them: PreTrainedTokenizerBase._from_pretrained before the class is called,
 * TokenizersBackend.__init__ after it.
 *
 * A token is an entry of "added_tokens" without its id, or a text where no file
 * says more: then it is special and not normalized. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/folder_parts.h"

static const char *const NAMED[] = {
    "bos_token", "eos_token", "unk_token",  "sep_token",
    "pad_token", "cls_token", "mask_token",
};
enum { NAMED_COUNT = sizeof NAMED / sizeof *NAMED };

static bool is_named(const char *key) {
    for (size_t i = 0; i < NAMED_COUNT; i++)
        if (strcmp(NAMED[i], key) == 0)
            return true;
    return false;
}

static const char *content_of(const json_t *token) {
    return json_string_value(
        json_is_object(token) ? json_object_get(token, "content") : token);
}

static bool no_memory(struct error *err) {
    return error_set(err, ERROR_MEMORY, "no memory for a tokenizer's tokens");
}

/* A flag of a token; null is as good as missing. */
static bool read_flag(const struct making *m, const json_t *json,
                      const char *key, bool *flag, struct error *err) {
    return json_member_bool(json, key, m->folder->path, flag, err);
}

/* AddedToken(**JSON), with SPECIAL where nothing is said; normalized is what
 * special is not. */
static json_t *make_token(const struct making *m, const json_t *json,
                          bool special, struct error *err) {
    const json_t *content = json_object_get(json, "content");
    bool single_word = false, lstrip = false, rstrip = false;
    if (!json_is_string(content) ||
        strlen(json_string_value(content)) != json_string_length(content)) {
        error_set(
            err, ERROR_INPUT,
            "%s: an added token of its tokenizer files has no \"content\" "
            "that is a text without NUL",
            m->folder->path);
        return NULL;
    }
    if (!read_flag(m, json, "special", &special, err))
        return NULL;
    bool normalized = !special;
    if (!read_flag(m, json, "single_word", &single_word, err) ||
        !read_flag(m, json, "lstrip", &lstrip, err) ||
        !read_flag(m, json, "rstrip", &rstrip, err) ||
        !read_flag(m, json, "normalized", &normalized, err))
        return NULL;
    json_t *token =
        json_pack("{s:O,s:b,s:b,s:b,s:b,s:b}", "content", content,
                  "single_word", single_word, "lstrip", lstrip, "rstrip",
                  rstrip, "normalized", normalized, "special", special);
    if (!token)
        no_memory(err);
    return token;
}

/* VALUE as a token: an object with "content" is one, a text stays one. */
static json_t *token_of(const struct making *m, const json_t *value,
                        bool special, struct error *err) {
    if (json_is_object(value))
        return make_token(m, value, special, err);
    if (json_is_string(value) &&
        strlen(json_string_value(value)) == json_string_length(value))
        return json_incref((json_t *)value);
    error_set(
        err, ERROR_INPUT,
        "%s: a special token of its tokenizer files is neither a text nor "
        "an added token",
        m->folder->path);
    return NULL;
}

/* Tokens of a list as tokens. */
static json_t *token_list(const struct making *m, const json_t *list,
                          bool special, struct error *err) {
    json_t *made = json_array();
    for (size_t i = 0; made && i < json_array_size(list); i++) {
        json_t *token = token_of(m, json_array_get(list, i), special, err);
        if (!token || json_array_append_new(made, token) != 0) {
            json_decref(made);
            return NULL;
        }
    }
    if (!made)
        no_memory(err);
    return made;
}

/* Before the class is called. */

/* The settings whose keys end with "_token", as tokens. */
static bool read_tokens(struct making *m, struct error *err) {
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(m->settings, next, key, value) {
        size_t size = strlen(key);
        if (size < 6 || strcmp(key + size - 6, "_token") != 0 ||
            (!json_is_string(value) && !json_is_object(value)))
            continue;
        json_t *token = token_of(m, value, false, err);
        if (!token || json_object_set_new(m->settings, key, token) != 0)
            return token ? no_memory(err) : false;
    }
    return true;
}

static bool is_empty(const json_t *value) {
    return !value || json_is_null(value) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

/* "additional_special_tokens" is the old name of "extra_special_tokens". */
static bool rename_extra(struct making *m) {
    json_t *old = json_object_get(m->settings, "additional_special_tokens");
    const json_t *extra = json_object_get(m->settings, "extra_special_tokens");
    if (!old || !is_empty(extra))
        return true;
    return json_object_set(m->settings, "extra_special_tokens", old) == 0 &&
           json_object_del(m->settings, "additional_special_tokens") == 0;
}

/* Extra tokens with names are named tokens. */
static bool spread_extra(struct making *m, struct error *err) {
    json_t *extra = json_object_get(m->settings, "extra_special_tokens");
    const char *key;
    json_t *value;
    if (!json_is_object(extra))
        return true;
    json_incref(extra);
    bool fine = json_object_del(m->settings, "extra_special_tokens") == 0;
    json_object_foreach(extra, key, value) {
        json_t *token = fine ? token_of(m, value, false, err) : NULL;
        fine = token &&
               (is_named(key) || json_object_set(m->settings, key, token) == 0);
        json_decref(token);
    }
    json_decref(extra);
    return fine || (err && err->code) || no_memory(err);
}

static bool give(struct making *m, const char *id, json_t *token,
                 struct error *err) {
    return token &&
           (json_object_set_new(m->given, id, token) == 0 || no_memory(err));
}

static bool read_decoder(struct making *m, const json_t *decoder,
                         struct error *err) {
    const char *id;
    json_t *value;
    json_object_foreach((json_t *)decoder, id, value) {
        if (!give(m, id, make_token(m, value, false, err), err))
            return false;
    }
    return true;
}

/* special_tokens_map.json over the settings. */
static bool read_special_map(struct making *m, struct error *err) {
    json_t *map;
    const char *key;
    json_t *value;
    if (!making_json(m, "special_tokens_map.json", &map, err))
        return false;
    bool fine = true;
    json_object_foreach(map, key, value) {
        json_t *put = NULL;
        if (json_is_object(value) && strcmp(key, "extra_special_tokens") != 0) {
            json_object_del(value, "special");
            put = make_token(m, value, true, err);
        } else if (json_is_array(value)) {
            put = token_list(m, value, true, err);
        } else {
            put = json_incref(value);
        }
        fine = put && json_object_set_new(m->settings, key, put) == 0;
        if (!fine)
            break;
    }
    json_decref(map);
    return fine || (err && err->code ? false : no_memory(err));
}

/* Whether CONTENT is a special token by the settings. */
static bool is_special(const struct making *m, const char *content) {
    const json_t *extra = json_object_get(m->settings, "extra_special_tokens");
    for (size_t i = 0; i < NAMED_COUNT; i++) {
        const char *named = content_of(json_object_get(m->settings, NAMED[i]));
        if (named && strcmp(named, content) == 0)
            return true;
    }
    for (size_t i = 0; i < json_array_size(extra); i++) {
        const char *one = content_of(json_array_get(extra, i));
        if (one && strcmp(one, content) == 0)
            return true;
    }
    return false;
}

static bool give_number(struct making *m, const json_t *number, json_t *token,
                        struct error *err) {
    char id[32];
    double value = json_number_value(number);
    if (!json_is_number(number) || !(value >= 0 && value < 1e9)) {
        json_decref(token);
        return error_set(err, ERROR_INPUT,
                         "%s: the id of an added token is not a whole number",
                         m->folder->path);
    }
    snprintf(id, sizeof id, "%.0f", value);
    return give(m, id, token, err);
}

static bool read_added_file(struct making *m, struct error *err) {
    json_t *file;
    const char *content;
    json_t *id;
    if (!making_json(m, "added_tokens.json", &file, err))
        return false;
    bool fine = true;
    json_object_foreach(file, content, id) {
        if (!fine)
            break;
        bool special = is_special(m, content);
        json_t *token =
            json_pack("{s:s,s:b,s:b,s:b,s:b,s:b}", "content", content,
                      "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized",
                      !special, "special", special);
        fine = give_number(m, id, token, err);
    }
    json_decref(file);
    return fine;
}

static bool read_source_tokens(struct making *m, struct error *err) {
    const json_t *list = json_object_get(m->source, "added_tokens");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        json_t *token = make_token(m, entry, false, err);
        if (!token || !give_number(m, json_object_get(entry, "id"), token, err))
            return false;
    }
    return true;
}

/* A named token is what the files list under its text. */
static bool resolve_named(struct making *m) {
    for (size_t i = 0; i < NAMED_COUNT; i++) {
        const char *named = content_of(json_object_get(m->settings, NAMED[i]));
        const char *id;
        json_t *token, *found = NULL;
        json_object_foreach(m->given, id, token) {
            if (named && strcmp(content_of(token), named) == 0)
                found = token;
        }
        if (found && json_object_set(m->settings, NAMED[i], found) != 0)
            return false;
    }
    return true;
}

bool making_collect_tokens(struct making *m, struct error *err) {
    const json_t *decoder =
        json_object_get(m->settings, "added_tokens_decoder");
    if (!(m->given = json_object()) || !rename_extra(m))
        return no_memory(err);
    if (!read_tokens(m, err) || !spread_extra(m, err))
        return false;
    if (decoder) {
        if (!read_decoder(m, decoder, err))
            return false;
    } else if (!read_special_map(m, err) || !spread_extra(m, err) ||
               !read_added_file(m, err) || !read_source_tokens(m, err)) {
        return false;
    }
    json_t *additional =
        json_object_get(m->settings, "additional_special_tokens");
    m->additional = json_is_array(additional) ? json_incref(additional) : NULL;
    return resolve_named(m) || no_memory(err);
}

const char *making_token(const struct making *m, const char *key,
                         const char *if_none) {
    const json_t *token = json_object_get(m->settings, key);
    return token ? content_of(token) : if_none;
}

/* After the class made its model. */

struct numbered {
    long id;
    json_t *token;
};

static int by_id(const void *a, const void *b) {
    const struct numbered *one = a, *other = b;
    return (one->id > other->id) - (one->id < other->id);
}

/* The given tokens in the order of their ids: a new list. */
static json_t *sorted_given(const struct making *m, struct error *err) {
    size_t count = json_object_size(m->given), i = 0;
    struct numbered *list =
        memory_alloc(m->memory, count + 1, sizeof *list, err);
    json_t *sorted = json_array();
    const char *id;
    json_t *token;
    if (list && sorted) {
        json_object_foreach(m->given, id, token) {
            list[i++] = (struct numbered){strtol(id, NULL, 10), token};
        }
        qsort(list, count, sizeof *list, by_id);
    }
    bool fine = list && sorted;
    for (i = 0; fine && i < count; i++)
        fine = json_array_append(sorted, list[i].token) == 0;
    memory_free(m->memory, list);
    if (fine)
        return sorted;
    json_decref(sorted);
    return NULL;
}

static bool list_has(const json_t *list, const char *content) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *one = content_of(json_array_get(list, i));
        if (one && strcmp(one, content) == 0)
            return true;
    }
    return false;
}

static bool list_holds(const json_t *list, const json_t *token) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_equal(json_array_get(list, i), token))
            return true;
    return false;
}

/* A token that is not among those KNOWN goes behind LIST. */
static bool want(json_t *list, const json_t *known, json_t *token) {
    const char *content = content_of(token);
    return !content || !*content || json_object_get(known, content) ||
           list_holds(list, token) || json_array_append(list, token) == 0;
}

/* TOKEN into "added_tokens", in the place of the one with its text. */
static bool put(struct making *m, json_t *places, const json_t *token) {
    const char *content = content_of(token);
    const json_t *place = json_object_get(places, content);
    json_t *entry = json_is_object(token)
                        ? json_deep_copy(token)
                        : json_pack("{s:s,s:b,s:b,s:b,s:b,s:b}", "content",
                                    content, "single_word", 0, "lstrip", 0,
                                    "rstrip", 0, "normalized", 0, "special", 1);
    if (place)
        return json_array_set_new(m->added, (size_t)json_integer_value(place),
                                  entry) == 0;
    json_int_t at = (json_int_t)json_array_size(m->added);
    return json_object_set_new(places, content, json_integer(at)) == 0 &&
           json_array_append_new(m->added, entry) == 0;
}

static bool put_all(struct making *m, json_t *places, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *content = content_of(json_array_get(list, i));
        if (content && *content && !put(m, places, json_array_get(list, i)))
            return false;
    }
    return true;
}

/* Extra tokens: the class's own list counts where no file has another. */
static const json_t *extra_tokens(const struct making *m) {
    const json_t *extra = json_object_get(m->settings, "extra_special_tokens");
    return extra ? extra : m->additional;
}

/* All that is to be added behind START, in order; PLACES knows START. */
static json_t *wanted(struct making *m, json_t *places, struct error *err) {
    json_t *list = sorted_given(m, err), *known = json_copy(places);
    const char *key;
    json_t *value;
    bool fine = list && known;
    for (size_t i = 0; fine && i < json_array_size(list); i++)
        fine = json_object_set_new(known, content_of(json_array_get(list, i)),
                                   json_true()) == 0;
    for (size_t i = 0; fine && i < NAMED_COUNT; i++) {
        json_t *token = json_object_get(m->settings, NAMED[i]);
        fine = !token || want(list, known, token);
    }
    json_object_foreach(m->settings, key, value) {
        size_t size = strlen(key);
        if (fine && size > 6 && strcmp(key + size - 6, "_token") == 0 &&
            !is_named(key) && content_of(value))
            fine = want(list, known, value);
    }
    const json_t *extra = extra_tokens(m);
    for (size_t i = 0; fine && i < json_array_size(extra); i++)
        fine = want(list, known, json_array_get(extra, i));
    json_decref(known);
    if (fine)
        return list;
    json_decref(list);
    return NULL;
}

/* Is CONTENT named by a setting or an extra token? */
static bool is_one_of_all(const struct making *m, const char *content) {
    bool named = list_has(extra_tokens(m), content);
    const char *key;
    json_t *value;
    json_object_foreach(m->settings, key, value) {
        size_t size = strlen(key);
        const char *token = content_of(value);
        named |= token && size > 6 && strcmp(key + size - 6, "_token") == 0 &&
                 strcmp(token, content) == 0;
    }
    return named;
}

/* Qwen2Tokenizer adds its special tokens once more, without their flags. */
static bool put_plain(struct making *m, json_t *places) {
    for (size_t i = 0; i < json_array_size(m->added); i++) {
        json_t *entry = json_array_get(m->added, i);
        const char *content = content_of(entry);
        bool special = is_one_of_all(m, content);
        json_t *plain = special ? json_string(content) : NULL;
        bool fine = !special || (plain && put(m, places, plain));
        json_decref(plain);
        if (!fine)
            return false;
    }
    return true;
}

static bool put_more(struct making *m, json_t *places) {
    bool fine = true;
    for (size_t i = 0; fine && i < m->folder->specials_count; i++) {
        struct str text = m->folder->specials[i];
        json_t *token = json_stringn(text.data, text.size);
        fine = token && put(m, places, token);
        json_decref(token);
    }
    return fine;
}

static bool is_setting(const struct making *m, const char *key,
                       const char *content) {
    const char *token = content_of(json_object_get(m->settings, key));
    return token && content && strcmp(token, content) == 0;
}

/* As tokenizer_is_named() and tokenizer_fill_id() tell them. */
static bool mark_named(struct making *m) {
    for (size_t i = 0; i < json_array_size(m->added); i++) {
        json_t *entry = json_array_get(m->added, i);
        const char *content = content_of(entry);
        json_t *named = json_boolean(content && is_one_of_all(m, content));
        json_t *mask = json_boolean(is_setting(m, "mask_token", content));
        json_t *end = json_boolean(is_setting(m, "eos_token", content));
        if (json_object_set_new(entry, "named", named) != 0 ||
            json_object_set_new(entry, "mask", mask) != 0 ||
            json_object_set_new(entry, "end", end) != 0)
            return false;
    }
    return true;
}

bool making_add_tokens(struct making *m, struct error *err) {
    const json_t *start = json_object_get(m->source, "added_tokens");
    json_t *places = json_object(), *list = NULL;
    m->added = json_array();
    bool fine = places && m->added;
    if (fine && m->class->kind == CLASS_BACKEND)
        fine = put_all(m, places, start);
    fine = fine && (list = wanted(m, places, err)) && put_all(m, places, list);
    if (fine && m->class->kind == CLASS_QWEN2)
        fine = put_plain(m, places);
    fine = fine && put_more(m, places) && mark_named(m);
    json_decref(places);
    json_decref(list);
    return fine || (err && err->code ? false : no_memory(err));
}
