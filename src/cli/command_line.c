#include "cli/command_line.h"

#include <stdio.h>
#include <string.h>

#include "cli/option_value.h"
#include "cli/suggest.h"

struct reader {
    struct options *options;
    struct error *err;
    struct saying *first, **last;
};

/* ---- the command -------------------------------------------------------- */

bool command_unknown(const char *word, struct error *err) {
    const char *names[COMMAND_COUNT + 1] = {NULL};
    char all[256] = "";
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        size_t used = strlen(all);
        names[i] = command_rows[i].name;
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "",
                 names[i]);
    }
    const char *near = word ? suggest(word, names) : NULL;
    if (!word)
        return error_set(err, ERROR_USAGE,
                         "say a command (%s); `ensembed help` explains them",
                         all);
    if (near)
        return error_set(err, ERROR_USAGE,
                         "unknown command '%s'; did you mean '%s'?", word,
                         near);
    return error_set(err, ERROR_USAGE, "unknown command '%s'; there are %s",
                     word, all);
}

/* --help and --version are answered whatever else the line says. */
static bool asks_help(struct options *options, int argc, char *const *argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        options->help |=
            strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
        options->version |= strcmp(argv[i], "--version") == 0;
    }
    return options->help || options->version;
}

bool command_line_begin(struct options *options, int argc, char *const *argv,
                        struct error *err) {
    const char *word = argc > 1 ? argv[1] : NULL;
    bool asks = asks_help(options, argc, argv);
    options->command = word ? command_find(word) : COMMAND_COUNT;
    if (options->command != COMMAND_COUNT) {
        options->topic = asks ? word : NULL;
        return true;
    }
    if (asks && word[0] == '-') {
        options->command = COMMAND_HELP;
        return true;
    }
    if (word && word[0] == '-' && word[1])
        return error_set(err, ERROR_USAGE,
                         "'%s' stands before the command; write `ensembed "
                         "COMMAND %s ...`",
                         word, word);
    return command_unknown(word, err);
}

/* ---- its options -------------------------------------------------------- */

static bool unknown_option(const char *word, enum command command,
                           struct error *err) {
    char buffer[OPTION_NAME_MAX];
    const char *of = command_rows[command].name;
    const char *near = option_near(word, command, buffer);
    if (near)
        return error_set(err, ERROR_USAGE,
                         "unknown option --%s; did you mean --%s?", word, near);
    return error_set(err, ERROR_USAGE,
                     "unknown option --%s; `ensembed help %s` lists them", word,
                     of);
}

static bool wrong_command(const struct option_row *row, enum command command,
                          struct error *err) {
    char all[256] = "";
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        size_t used = strlen(all);
        if (option_applies(row, (enum command)i))
            snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "",
                     command_rows[i].name);
    }
    return error_set(err, ERROR_USAGE,
                     "`ensembed %s` takes no --%s; it is an option of: %s",
                     command_rows[command].name, row->name, all);
}

static bool say(struct reader *reader, const struct option_row *row,
                const char *value, const char *where) {
    struct saying *saying =
        arena_alloc(&reader->options->arena, 1, sizeof *saying, reader->err);
    if (!saying)
        return false;
    *saying = (struct saying){row, value, where, NULL};
    *reader->last = saying;
    reader->last = &saying->next;
    return true;
}

/* A value that is itself an option was more likely forgotten than meant. */
static bool value_is_option(const char *value) {
    size_t size = strcspn(value, "=");
    return strncmp(value, "--", 2) == 0 &&
           option_find((struct str){value + 2, size - 2});
}

/* argv[*at] is the option; its value is GLUED to it, or the next argument. */
static bool take_value(struct reader *reader, const struct option_row *row,
                       const char *glued, int argc, char *const *argv, int *at,
                       const char *where) {
    if (option_is_flag(row) && glued)
        return error_set(reader->err, ERROR_USAGE,
                         "%s takes no value ('%s' was given)", where, glued);
    if (option_is_flag(row))
        return say(reader, row, "1", where);
    if (!glued && (*at + 1 >= argc || value_is_option(argv[*at + 1])))
        return error_set(reader->err, ERROR_USAGE, "%s needs a value: %s %s",
                         where, where, row->argument);
    return say(reader, row, glued ? glued : argv[++*at], where);
}

static bool parse_long(struct reader *reader, int argc, char *const *argv,
                       int *at) {
    enum command command = reader->options->command;
    const char *word = argv[*at] + 2;
    const char *equals = strchr(word, '=');
    struct str name = {word, equals ? (size_t)(equals - word) : strlen(word)};
    char *where = arena_printf(&reader->options->arena, reader->err, "--%.*s",
                               STR_ARG(name));
    if (!where)
        return false;

    const struct option_row *row = option_find(name);
    bool negated = !row && str_starts(name, STR("no-"));
    if (negated)
        row = option_find((struct str){name.data + 3, name.size - 3});
    if (!row || (negated && !option_is_flag(row)))
        return unknown_option(where + 2, command, reader->err);
    if (!option_applies(row, command))
        return wrong_command(row, command, reader->err);
    if (negated && !equals)
        return say(reader, row, "0", where);
    return take_value(reader, row, equals ? equals + 1 : NULL, argc, argv, at,
                      where);
}

/* "-k3", "-k 3", "-qk3": letters of flags may be followed by more letters. */
static bool parse_letters(struct reader *reader, int argc, char *const *argv,
                          int *at) {
    enum command command = reader->options->command;
    for (const char *c = argv[*at] + 1; *c; c++) {
        const struct option_row *row = option_find_letter(*c);
        if (!row)
            return error_set(reader->err, ERROR_USAGE,
                             "unknown option -%c; `ensembed help %s` lists "
                             "them",
                             *c, command_rows[command].name);
        if (!option_applies(row, command))
            return wrong_command(row, command, reader->err);
        char *where =
            arena_printf(&reader->options->arena, reader->err, "-%c", *c);
        if (!where)
            return false;
        if (!option_is_flag(row))
            return take_value(reader, row, c[1] ? c + 1 : NULL, argc, argv, at,
                              where);
        if (!say(reader, row, "1", where))
            return false;
    }
    return true;
}

bool command_line_read(struct options *options, int argc, char *const *argv,
                       const struct saying **first, struct error *err) {
    struct reader reader = {.options = options, .err = err};
    bool words_only = false;
    reader.last = &reader.first;
    for (int at = 2; at < argc; at++) {
        const char *word = argv[at];
        bool fine;
        if (!words_only && strcmp(word, "--") == 0) {
            words_only = true;
            continue;
        }
        if (words_only || word[0] != '-' || !word[1])
            fine = text_list_add(&options->words, word, &options->arena, err);
        else if (word[1] == '-')
            fine = parse_long(&reader, argc, argv, &at);
        else
            fine = parse_letters(&reader, argc, argv, &at);
        if (!fine)
            return false;
    }
    *first = reader.first;
    return true;
}
