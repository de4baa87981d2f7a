/* options.c - the four levels at which an option can be said, merged. */

#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "cli/command_line.h"
#include "cli/hub_environment.h"
#include "cli/option_table.h"
#include "cli/option_value.h"
#include "cli/places.h"

enum { CONFIG_BYTES_MAX = 1 << 20, WHERE_MAX = 256 };

enum level { LEVEL_DEFAULT, LEVEL_CONFIG, LEVEL_ENVIRONMENT, LEVEL_LINE };

struct parser {
    struct options *options;
    struct arena *arena;
    struct error *err;
    enum level said[OPTION_ROWS_MAX]; /* by row: where its value is from */
};

static size_t row_index(const struct option_row *row) {
    return (size_t)(row - option_rows);
}

/* Set a value said on LEVEL. The first item of a list on a higher level drops
 * what lower levels put there. */
static bool assign(struct parser *parser, const struct option_row *row,
                   const char *value, enum level level, const char *where) {
    enum level *said = &parser->said[row_index(row)];
    if (option_is_list(row) && *said != level)
        option_value_clear(parser->options, row);
    *said = level;
    return option_value_set(parser->options, row, value, where, parser->err);
}

static bool defaults(struct parser *parser) {
    parser->options->verbosity = VERBOSITY_NORMAL;
    parser->options->lease_wait_seconds = LEASE_WAIT_FOR_EVER;
    for (const struct option_row *row = option_rows; row->name; row++)
        if (row->initial &&
            !assign(parser, row, row->initial, LEVEL_DEFAULT, row->name))
            return false;
    return true;
}

/* ---- the environment ----------------------------------------------------- */

/* Is a comma before AT inside of one model, before another key=value? */
static bool is_model_key(const char *at) {
    size_t letters = strspn(at, "abcdefghijklmnopqrstuvwxyz");
    return letters > 0 && at[letters] == '=';
}

/* Lists are split at newlines or, where there is none, at commas. */
static bool assign_list(struct parser *parser, const struct option_row *row,
                        const char *value, const char *where) {
    char *rest = arena_copy(parser->arena, str_from(value), parser->err);
    char separator = strchr(value, '\n') ? '\n' : ',';
    while (rest) {
        char *end = strchr(rest, separator);
        while (end && separator == ',' && row->type == OPTION_MODEL &&
               is_model_key(end + 1))
            end = strchr(end + 1, separator);
        char *next = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        if (*rest && !assign(parser, row, rest, LEVEL_ENVIRONMENT, where))
            return false;
        rest = next;
        if (!rest)
            return true;
    }
    return false;
}

static bool apply_environment(struct parser *parser, char *const *environment) {
    for (const struct option_row *row = option_rows; row->name; row++) {
        char name[OPTION_NAME_MAX];
        option_environment_name(row, name);
        const char *value = environment_get(environment, name);
        if (!value || row->line_only ||
            !option_applies(row, parser->options->command))
            continue;
        bool fine = option_is_list(row)
                        ? assign_list(parser, row, value, name)
                        : assign(parser, row, value, LEVEL_ENVIRONMENT, name);
        if (!fine)
            return false;
    }
    return true;
}

static bool known_variable(const char *name, size_t size) {
    for (const struct option_row *row = option_rows; row->name; row++) {
        char known[OPTION_NAME_MAX];
        option_environment_name(row, known);
        if (!row->line_only && strlen(known) == size &&
            memcmp(known, name, size) == 0)
            return true;
    }
    return false;
}

/* A misspelt variable changes nothing and says nothing: worth a sentence. */
static bool warn_unknown(struct parser *parser, char *const *environment) {
    for (; environment && *environment; environment++) {
        size_t size = strcspn(*environment, "=");
        if (strncmp(*environment, "ENSEMBED_", 9) != 0 ||
            known_variable(*environment, size))
            continue;
        char *text = arena_printf(parser->arena, parser->err,
                                  "%.*s in the environment is no option of "
                                  "ensembed and has no effect",
                                  (int)size, *environment);
        if (!text || !text_list_add(&parser->options->warnings, text,
                                    parser->arena, parser->err))
            return false;
    }
    return true;
}

/* ---- the config file ----------------------------------------------------- */

/* A JSON scalar as the text that the command line would have; NULL: another
 * type. */
static const char *json_text(struct parser *parser, const json_t *value) {
    if (json_is_string(value))
        return arena_copy(parser->arena, str_from(json_string_value(value)),
                          parser->err);
    if (json_is_integer(value))
        return arena_printf(parser->arena, parser->err, "%" JSON_INTEGER_FORMAT,
                            json_integer_value(value));
    if (json_is_real(value))
        return arena_printf(parser->arena, parser->err, "%.17g",
                            json_real_value(value));
    if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    return NULL;
}

static bool bad_type(struct parser *parser, const struct option_row *row,
                     const char *where) {
    return error_set(parser->err, ERROR_USAGE, "%s must be %s", where,
                     option_is_list(row)   ? "a string or an array of strings"
                     : option_is_flag(row) ? "true or false"
                                           : "a string or a number");
}

static bool config_member(struct parser *parser, const struct option_row *row,
                          const json_t *value, const char *where) {
    if (!json_is_array(value)) {
        const char *text = json_text(parser, value);
        return text ? assign(parser, row, text, LEVEL_CONFIG, where)
                    : bad_type(parser, row, where);
    }
    struct strbuf joined = strbuf_make(parser->arena->memory);
    bool fine = option_is_list(row) || row->type == OPTION_SET;
    for (size_t i = 0; fine && i < json_array_size(value); i++) {
        const char *text = json_text(parser, json_array_get(value, i));
        fine = text != NULL;
        if (fine && option_is_list(row) &&
            !assign(parser, row, text, LEVEL_CONFIG, where)) {
            strbuf_free(&joined);
            return false;
        }
        strbuf_printf(&joined, "%s%s", i ? "," : "", text ? text : "");
    }
    if (!fine) {
        strbuf_free(&joined);
        return bad_type(parser, row, where);
    }
    if (row->type == OPTION_SET) {
        const char *text =
            arena_copy(parser->arena, strbuf_str(&joined), parser->err);
        fine = text && assign(parser, row, text, LEVEL_CONFIG, where);
    }
    strbuf_free(&joined);
    return fine;
}

static bool unknown_member(const char *key, const char *path,
                           enum command command, struct error *err) {
    char buffer[OPTION_NAME_MAX];
    const char *near = option_near(key, command, buffer);
    if (option_find(str_from(key)))
        return error_set(err, ERROR_USAGE,
                         "%s: \"%s\" is an option of the command line only",
                         path, key);
    if (near)
        return error_set(err, ERROR_USAGE,
                         "%s: \"%s\" is no option; did you mean \"%s\"?", path,
                         key, near);
    return error_set(err, ERROR_USAGE,
                     "%s: \"%s\" is no option; members are the long names that "
                     "`ensembed help %s` lists, without the dashes",
                     path, key, command_rows[command].name);
}

/* One file serves all commands: an option of another command is passed over. */
static bool apply_config_object(struct parser *parser, json_t *object,
                                const char *path) {
    enum command command = parser->options->command;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        char where[WHERE_MAX];
        const struct option_row *row = option_find(str_from(key));
        if (!row || row->line_only || strcmp(key, "config") == 0)
            return unknown_member(key, path, command, parser->err);
        if (json_is_null(value) || !option_applies(row, command))
            continue;
        snprintf(where, sizeof where, "%s: \"%s\"", path, key);
        if (!config_member(parser, row, value, where))
            return false;
    }
    return true;
}

static bool apply_config(struct parser *parser, const char *path) {
    struct error cause = {0};
    json_t *object = json_read_file(path, CONFIG_BYTES_MAX, &cause);
    if (!object)
        return error_set(parser->err,
                         cause.code == ERROR_MEMORY ? ERROR_MEMORY
                                                    : ERROR_USAGE,
                         "--config: %s", cause.message);
    bool fine = json_is_object(object)
                    ? apply_config_object(parser, object, path)
                    : error_set(parser->err, ERROR_USAGE,
                                "--config: %s holds no JSON object", path);
    json_decref(object);
    return fine;
}

/* ---- all levels ---------------------------------------------------------- */

static const char *config_path(const struct saying *first,
                               char *const *environment) {
    const char *path = environment_get(environment, "ENSEMBED_CONFIG");
    for (const struct saying *s = first; s; s = s->next)
        if (strcmp(s->row->name, "config") == 0)
            path = s->value;
    return path;
}

static bool merge(struct parser *parser, char *const *environment,
                  const struct saying *first) {
    const char *path = config_path(first, environment);
    bool reads = parser->options->command != COMMAND_HELP;
    if (reads && path && !apply_config(parser, path))
        return false;
    if (reads && (!apply_environment(parser, environment) ||
                  !warn_unknown(parser, environment)))
        return false;
    for (const struct saying *s = first; s; s = s->next)
        if (!assign(parser, s->row, s->value, LEVEL_LINE, s->where))
            return false;
    return true;
}

/* Two options that exclude each other: the one said on the higher level
 * stands, on the same level they are refused. True: DROP the other. */
static bool exclude(struct parser *parser, const char *a, const char *b,
                    bool both, const char **drop) {
    const struct option_row *row_a = option_find(str_from(a));
    const struct option_row *row_b = option_find(str_from(b));
    enum level level_a = parser->said[row_index(row_a)];
    enum level level_b = parser->said[row_index(row_b)];
    *drop = !both ? NULL : level_a < level_b ? a : b;
    if (both && level_a == level_b)
        return error_set(parser->err, ERROR_USAGE,
                         "--%s and --%s exclude each other; say one of them", a,
                         b);
    return true;
}

static bool check_exclusive(struct parser *parser) {
    struct options *o = parser->options;
    const char *drop = NULL;
    if (!exclude(parser, "prompt", "prompt-text", o->prompt && o->prompt_text,
                 &drop))
        return false;
    if (drop)
        *(strcmp(drop, "prompt") == 0 ? &o->prompt : &o->prompt_text) = NULL;
    if (!exclude(parser, "restart", "skip-existing",
                 o->restart && o->skip_existing, &drop))
        return false;
    if (drop)
        *(strcmp(drop, "restart") == 0 ? &o->restart : &o->skip_existing) =
            false;
    if (!exclude(parser, "offline", "refresh", o->offline && o->refresh, &drop))
        return false;
    if (drop)
        *(strcmp(drop, "offline") == 0 ? &o->offline : &o->refresh) = false;
    return true;
}

/* HF_HUB_OFFLINE is of the environment's level, below ENSEMBED_OFFLINE. */
static bool go_offline(struct parser *parser) {
    const struct option_row *row = option_find(STR("offline"));
    enum level *said = &parser->said[row_index(row)];
    if (*said < LEVEL_ENVIRONMENT && parser->options->hub_offline) {
        parser->options->offline = true;
        *said = LEVEL_ENVIRONMENT;
    }
    return true;
}

/* Looking for folders is for commands that may use a card. */
static bool find_libraries(struct parser *parser, char *const *environment) {
    struct options *options = parser->options;
    if (!option_applies(option_find(STR("cuda-libs")), options->command))
        return true;
    options->library_folders = cuda_library_folders(
        environment, &options->cuda_libs, parser->arena, parser->err);
    return options->library_folders;
}

static bool check_words(const struct options *options, struct error *err) {
    const struct command_row *command = &command_rows[options->command];
    if (options->words.count < command->least)
        return error_set(err, ERROR_USAGE, "ensembed %s %s: %s", command->name,
                         command->words, command->missing);
    if (options->words.count > command->most)
        return error_set(err, ERROR_USAGE,
                         "'%s' is one word too many for `ensembed %s%s%s`; "
                         "text with spaces stands in quotes",
                         options->words.items[command->most], command->name,
                         *command->words ? " " : "", command->words);
    bool place = options->command == COMMAND_RUN ||
                 options->command == COMMAND_PLAN ||
                 options->command == COMMAND_SEARCH;
    return !place || *options->words.items[0] ||
           error_set(err, ERROR_USAGE,
                     "ensembed %s %s: the first of them is empty; is a "
                     "variable of the shell not set?",
                     command->name, command->words);
}

/* Texts are held to what they must be in files. */
static bool check_texts(const struct options *options, struct error *err) {
    bool asks = options->command == COMMAND_SEARCH;
    bool fine = !options->prompt_text ||
                utf8_check(str_from(options->prompt_text), "prompt", err);
    if (!asks && options->command != COMMAND_EMBED &&
        options->command != COMMAND_TOKENIZE)
        return fine;
    for (size_t i = asks; fine && i < options->words.count; i++)
        fine = utf8_check(str_from(options->words.items[i]),
                          asks ? "question" : "text", err);
    return fine;
}

/* A run may have sparse or ColBERT vectors only. */
static bool stands_for_model(const struct options *options,
                             const struct option_row *row) {
    return row->target == offsetof(struct options, models) &&
           options->sparse.count + options->colbert.count > 0;
}

static bool check_required(const struct parser *parser) {
    const struct options *options = parser->options;
    for (const struct option_row *row = option_rows; row->name; row++)
        if ((row->required & COMMAND_BIT(options->command)) &&
            parser->said[row_index(row)] == LEVEL_DEFAULT &&
            !stands_for_model(options, row))
            return error_set(
                parser->err, ERROR_USAGE, "`ensembed %s` needs --%s %s",
                command_rows[options->command].name, row->name, row->argument);
    if (options->command == COMMAND_TOKENIZE && options->models.count > 1)
        return error_set(parser->err, ERROR_USAGE,
                         "`ensembed tokenize` takes one --model, not %zu",
                         options->models.count);
    if (options->rerank.count > 1)
        return error_set(parser->err, ERROR_USAGE,
                         "there can be one --rerank, not %zu",
                         options->rerank.count);
    return true;
}

/* The chunks' own terms are a vector: without a file for vectors all would be
 * computed and nothing of them written. */
static bool check_exports(const struct options *options, struct error *err) {
    unsigned vectors = OPTION_EXPORT_NPY | OPTION_EXPORT_POINTS;
    return !(options->exports & OPTION_EXPORT_TERMS) ||
           (options->exports & vectors) ||
           error_set(err, ERROR_USAGE,
                     "--export terms is a vector of points.jsonl and of an "
                     "array, and none is asked for; say points,terms or "
                     "npy,terms");
}

static bool help_topic(struct options *options, struct error *err) {
    if (options->command != COMMAND_HELP || !options->words.count)
        return true;
    options->topic = options->words.items[0];
    return command_find(options->topic) != COMMAND_COUNT ||
           command_unknown(options->topic, err);
}

bool options_parse(int argc, char *const *argv, char *const *environment,
                   struct memory *memory, struct options *options,
                   struct error *err) {
    *options = (struct options){.arena = arena_make(memory)};
    struct parser parser = {
        .options = options, .arena = &options->arena, .err = err};
    const struct saying *first;
    terminal_traits(environment, options);
    if (!defaults(&parser) || !command_line_begin(options, argc, argv, err))
        return false;
    if (options->help || options->version)
        return true;
    options->hub_cache = hub_cache_path(environment, &options->arena, err);
    options->kernel_cache =
        kernel_cache_path(environment, &options->arena, err);
    return options->hub_cache && options->kernel_cache &&
           hub_environment(environment, options, err) &&
           command_line_read(options, argc, argv, &first, err) &&
           merge(&parser, environment, first) &&
           find_libraries(&parser, environment) && go_offline(&parser) &&
           check_words(options, err) && check_texts(options, err) &&
           check_exports(options, err) && check_required(&parser) &&
           check_exclusive(&parser) && help_topic(options, err);
}

void options_free(struct options *options) {
    arena_free(&options->arena);
    *options = (struct options){0};
}
