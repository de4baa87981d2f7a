#include "device/sim/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { DELAY_MS_MAX = 60000 };

/* A line that is being read. */
struct line {
    const char *origin;
    size_t number; /* from 1 */
    json_t *object;
    struct error *err;
};

static bool wrong(const struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* error_set with the place before the message. */
static bool wrong(const struct line *line, const char *format, ...) {
    struct error what = {0};
    va_list arguments;
    va_start(arguments, format);
    error_vset(&what, ERROR_INPUT, format, arguments);
    va_end(arguments);
    return error_set(line->err, ERROR_INPUT, "%s:%zu: %s", line->origin,
                     line->number, what.message);
}

/* What an action may be called, and the least at_submit that it can have. */
struct word {
    const char *word;
    enum script_kind kind;
    uint64_t least;
};

static const struct word VERBS[] = {
    {"take_bytes", SCRIPT_TAKE, 0},
    {"give_bytes", SCRIPT_GIVE, 0},
    {"delay_ms", SCRIPT_DELAY, 0},
};
static const struct word FAILURES[] = {
    {"alloc", SCRIPT_ALLOC, 1},
    {"nan", SCRIPT_NAN, 1},
    {"lost", SCRIPT_LOST, 0},
};
enum { WORDS = 3 };

static const struct word *find(const struct word words[WORDS],
                               const char *name) {
    for (size_t i = 0; name && i < WORDS; i++)
        if (strcmp(words[i].word, name) == 0)
            return &words[i];
    return NULL;
}

static bool whole_number(const struct line *line, const char *key,
                         uint64_t *number) {
    const json_t *value = json_object_get(line->object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return wrong(line, "\"%s\" is not a whole number from 0 on", key);
    *number = (uint64_t)json_integer_value(value);
    return true;
}

static bool known_members(const struct line *line) {
    static const char *const KEYS[] = {"device", "at_submit", "fail", "count"};
    const char *key;
    json_t *value;
    json_object_foreach(line->object, key, value) {
        bool known = find(VERBS, key) != NULL;
        for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
            known = known || strcmp(key, KEYS[i]) == 0;
        if (!known)
            return wrong(line,
                         "there is no member \"%s\"; there are device, "
                         "at_submit, take_bytes, give_bytes, fail, count and "
                         "delay_ms",
                         key);
    }
    return true;
}

static bool read_device(const struct line *line, struct script_action *action) {
    const json_t *value = json_object_get(line->object, "device");
    const char *name = json_string_value(value);
    if (!name || strlen(name) != json_string_length(value) ||
        !device_name_is_sim(name))
        return wrong(line, "\"device\" is not the name of a simulated card, "
                           "such as \"sim:t4-0\"");
    snprintf(action->device, sizeof action->device, "%s", name);
    return true;
}

static bool read_failure(const struct line *line, const struct word **word,
                         struct script_action *action) {
    const char *name = json_string_value(json_object_get(line->object, "fail"));
    *word = find(FAILURES, name);
    if (!*word)
        return wrong(line, "\"fail\" is not \"alloc\", \"lost\" or \"nan\"");
    action->value = 1;
    if (!json_object_get(line->object, "count"))
        return true;
    if ((*word)->kind == SCRIPT_LOST)
        return wrong(line, "\"count\" stands with \"alloc\" and \"nan\" only; "
                           "a lost device stays lost");
    if (!whole_number(line, "count", &action->value))
        return false;
    if (action->value == 0)
        return wrong(line, "\"count\" is 0; it is at least 1");
    return true;
}

static bool read_verb(const struct line *line, const struct word *word,
                      struct script_action *action) {
    if (json_object_get(line->object, "count"))
        return wrong(line, "\"count\" stands with \"fail\" only");
    if (!whole_number(line, word->word, &action->value))
        return false;
    if (word->kind == SCRIPT_DELAY && action->value > DELAY_MS_MAX)
        return wrong(line, "\"delay_ms\" is more than %d", DELAY_MS_MAX);
    return true;
}

/* Exactly one of take_bytes, give_bytes, delay_ms and fail. */
static bool read_what(const struct line *line, struct script_action *action) {
    const struct word *word = NULL;
    size_t actions = json_object_get(line->object, "fail") ? 1 : 0;
    for (size_t i = 0; i < WORDS; i++)
        if (json_object_get(line->object, VERBS[i].word)) {
            word = &VERBS[i];
            actions++;
        }
    if (actions != 1)
        return wrong(line,
                     "a line holds one of take_bytes, give_bytes, fail "
                     "and delay_ms; this one holds %zu",
                     actions);
    if (word ? !read_verb(line, word, action)
             : !read_failure(line, &word, action))
        return false;
    action->kind = word->kind;
    if (action->at_submit < word->least)
        return wrong(line, "\"%s\" needs an \"at_submit\" of at least 1",
                     word->word);
    return true;
}

static bool read_action(const struct line *line, struct script_action *action) {
    if (!json_is_object(line->object))
        return wrong(line, "not a JSON object");
    return known_members(line) && read_device(line, action) &&
           whole_number(line, "at_submit", &action->at_submit) &&
           read_what(line, action);
}

/* After those that are due before it or together with it. */
static bool insert(struct device_script *script,
                   const struct script_action *action, struct error *err) {
    if (script->count == script->capacity) {
        size_t capacity = script->capacity ? 2 * script->capacity : 16;
        void *more = memory_resize(script->memory, script->actions, capacity,
                                   sizeof *script->actions, err);
        if (!more)
            return false;
        script->actions = more;
        script->capacity = capacity;
    }
    size_t at = script->count;
    while (at > 0 && script->actions[at - 1].at_submit > action->at_submit)
        at--;
    memmove(script->actions + at + 1, script->actions + at,
            (script->count - at) * sizeof *action);
    script->actions[at] = *action;
    script->count++;
    return true;
}

static bool is_blank(struct str text) {
    for (size_t i = 0; i < text.size; i++)
        if (!strchr(" \t\r", text.data[i]) || !text.data[i])
            return false;
    return true;
}

static bool read_line(struct device_script *script, struct line *line,
                      struct str text) {
    if (is_blank(text))
        return true;
    json_error_t cause;
    line->object = json_loadb(
        text.data, text.size,
        JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &cause);
    if (!line->object)
        return wrong(line, "not valid JSON at column %d: %s", cause.column,
                     cause.text);
    struct script_action action = {0};
    bool fine =
        read_action(line, &action) && insert(script, &action, line->err);
    json_decref(line->object);
    return fine;
}

static bool read_lines(struct device_script *script, struct str text,
                       const char *origin, struct error *err) {
    struct line line = {.origin = origin, .err = err};
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = (struct str){text.data + 3, text.size - 3};
    while (text.size) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t)(end - text.data) : text.size;
        line.number++;
        if (!read_line(script, &line, (struct str){text.data, size}))
            return false;
        size += end ? 1 : 0;
        text = (struct str){text.data + size, text.size - size};
    }
    return true;
}

struct device_script *device_script_read(struct memory *memory, struct str text,
                                         const char *origin,
                                         struct error *err) {
    struct device_script *script =
        memory_zalloc(memory, 1, sizeof *script, err);
    if (!script)
        return NULL;
    script->memory = memory;
    if (!read_lines(script, text, origin, err)) {
        device_script_free(script);
        return NULL;
    }
    return script;
}

void device_script_free(struct device_script *script) {
    if (!script)
        return;
    memory_free(script->memory, script->actions);
    memory_free(script->memory, script);
}
