#include "cli/help.h"

#include "cli/option_table.h"

enum { LINE_WIDTH = 80, OPTION_COLUMN = 26 };

/* TEXT in lines of at most LINE_WIDTH, each after INDENT blanks. The cursor
 * stands at COLUMN of the first line. */
static void wrap(struct strbuf *out, size_t column, size_t indent,
                 const char *text) {
    while (*text) {
        size_t size = strcspn(text, " ");
        if (column > indent && column + 1 + size > LINE_WIDTH) {
            strbuf_add_char(out, '\n');
            column = 0;
        } else if (column > indent) {
            strbuf_add_char(out, ' ');
            column++;
        }
        for (; column < indent; column++)
            strbuf_add_char(out, ' ');
        strbuf_add(out, (struct str){text, size});
        column += size;
        text += size + (text[size] == ' ');
    }
    strbuf_add_char(out, '\n');
}

static void option_head(struct strbuf *out, const struct option_row *row) {
    if (row->letter)
        strbuf_printf(out, "  -%c, ", row->letter);
    else
        strbuf_add(out, STR("      "));
    strbuf_printf(out, "--%s%s", option_is_on(row) ? "no-" : "", row->name);
    if (row->argument)
        strbuf_printf(out, " %s", row->argument);
}

/* The help sentence with its choices and default. */
static void option_text(struct strbuf *text, const struct option_row *row) {
    strbuf_add(text, str_from(row->help));
    for (size_t i = 0; row->choices && row->choices[i]; i++)
        strbuf_printf(text, "%s%s", i ? ", " : ": ", row->choices[i]);
    if (option_is_list(row) && row->type != OPTION_TEXTS && row->most != 1)
        strbuf_add(text, STR("; may be said several times"));
    if (row->argument && row->initial)
        strbuf_printf(text, " (default %s)", row->initial);
    else if (row->otherwise)
        strbuf_printf(text, " (default: %s)", row->otherwise);
}

static void option_help(struct strbuf *out, const struct option_row *row) {
    struct strbuf text = strbuf_make(out->memory);
    size_t begin = out->size;
    option_head(out, row);
    option_text(&text, row);
    size_t column = out->size - begin;
    if (column + 2 > OPTION_COLUMN) {
        strbuf_add_char(out, '\n');
        column = 0;
    }
    wrap(out, column, OPTION_COLUMN, text.data ? text.data : "");
    out->failed |= text.failed;
    strbuf_free(&text);
}

static void overview(struct strbuf *out) {
    strbuf_add(out, STR("ensembed embeds collections of text chunks with one "
                        "or several models.\n\n"
                        "usage: ensembed COMMAND [OPTIONS]\n\ncommands:\n"));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        strbuf_printf(out, "  %-10s", command_rows[i].name);
        wrap(out, 12, 13, command_rows[i].help);
    }
    strbuf_add(
        out,
        STR("\n`ensembed help COMMAND` shows the options of a command.\n"
            "Exit status: 0 all done, 1 something failed or was missing, 2 "
            "wrong usage,\n"
            "75 interrupted, busy or disk full: the same command goes on "
            "later.\n"));
}

static void command_help(struct strbuf *out, enum command command) {
    const struct command_row *row = &command_rows[command];
    strbuf_printf(out, "%s.\n\nusage: ensembed %s%s%s [OPTIONS]\n\n", row->help,
                  row->name, *row->words ? " " : "", row->words);
    if (*row->more) {
        wrap(out, 0, 0, row->more);
        strbuf_add_char(out, '\n');
    }
    strbuf_add(out, STR("options:\n"));
    for (const struct option_row *option = option_rows; option->name; option++)
        if (option_applies(option, command))
            option_help(out, option);
    strbuf_printf(out, "\nexample:\n  %s\n", row->example);
    if (command != COMMAND_HELP)
        strbuf_add(
            out,
            STR("\nAn option can also be set in the environment (--text-field "
                "as\nENSEMBED_TEXT_FIELD) and in the --config file; the "
                "command line beats the\nenvironment, which beats the "
                "file.\n"));
}

void help_answer(struct strbuf *out, const struct options *options) {
    if (options->version)
        strbuf_add(out, STR("ensembed " ENS_VERSION "\n"));
    else if (options->man)
        man_write(out);
    else if (options->completion)
        completion_write(out, options->completion);
    else if (options->topic)
        command_help(out, command_find(options->topic));
    else
        overview(out);
}
