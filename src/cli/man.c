/* man.c - the man page from the tables. */

#include "cli/help.h"
#include "cli/option_table.h"

/* TEXT so that roff shows it as it is: '-' as the minus that can be copied,
 * and nothing taken for a request. */
static void roff(struct strbuf *out, const char *text) {
    for (const char *c = text; *c; c++) {
        if (c == text && (*c == '.' || *c == '\''))
            strbuf_add(out, STR("\\&"));
        if (*c == '\\')
            strbuf_add(out, STR("\\e"));
        else if (*c == '-')
            strbuf_add(out, STR("\\-"));
        else
            strbuf_add_char(out, *c);
    }
}

static void option_entry(struct strbuf *out, const struct option_row *row) {
    strbuf_add(out, STR(".TP\n"));
    if (row->letter)
        strbuf_printf(out, "\\fB\\-%c\\fR, ", row->letter);
    strbuf_add(out, STR("\\fB"));
    roff(out, option_is_on(row) ? "--no-" : "--");
    roff(out, row->name);
    strbuf_add(out, STR("\\fR"));
    if (row->argument) {
        strbuf_add(out, STR(" \\fI"));
        roff(out, row->argument);
        strbuf_add(out, STR("\\fR"));
    }
    strbuf_add_char(out, '\n');
    roff(out, row->help);
    for (size_t i = 0; row->choices && row->choices[i]; i++)
        strbuf_printf(out, "%s%s", i ? ", " : ": ", row->choices[i]);
    strbuf_add(out, STR(".\n"));
    const char *initial = row->argument ? row->initial : NULL;
    if (initial || row->otherwise) {
        strbuf_add(out, STR("Default: "));
        roff(out, initial ? initial : row->otherwise);
        strbuf_add(out, STR(".\n"));
    }
}

static void commands_of(struct strbuf *out, const struct option_row *row) {
    const char *comma = "Commands: ";
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (option_applies(row, (enum command)i)) {
            strbuf_printf(out, "%s%s", comma, command_rows[i].name);
            comma = ", ";
        }
    strbuf_add(out, STR(".\n"));
}

static void command_entry(struct strbuf *out, const struct command_row *row) {
    strbuf_printf(out, ".SS ensembed %s ", row->name);
    roff(out, row->words);
    strbuf_add_char(out, '\n');
    roff(out, row->help);
    strbuf_add(out, STR(".\n"));
    if (*row->more) {
        roff(out, row->more);
        strbuf_add_char(out, '\n');
    }
    strbuf_add(out, STR(".P\n.nf\n    "));
    roff(out, row->example);
    strbuf_add(out, STR("\n.fi\n"));
}

static void environment_section(struct strbuf *out) {
    strbuf_add(out,
               STR(".SH ENVIRONMENT\n"
                   "An option can be set in the environment and in the file "
                   "that \\fB\\-\\-config\\fR names (a JSON object with the "
                   "long names). The command line beats the environment, which "
                   "beats the file. Lists are separated by newlines or, where "
                   "there is none, by commas.\n.P\n"));
    const char *comma = "";
    for (const struct option_row *row = option_rows; row->name; row++) {
        char name[OPTION_NAME_MAX];
        if (row->line_only)
            continue;
        option_environment_name(row, name);
        strbuf_printf(out, "%s%s", comma, name);
        comma = ",\n";
    }
    strbuf_add(out, STR(".\n.P\nModels are looked for in HF_HUB_CACHE, else "
                        "HUGGINGFACE_HUB_CACHE, else hub in HF_HOME, else "
                        "huggingface/hub in XDG_CACHE_HOME, else "
                        "~/.cache/huggingface/hub. NO_COLOR is honoured.\n"));
}

void man_write(struct strbuf *out) {
    strbuf_add(out,
               STR(".TH ENSEMBED 1 \"\" \"ensembed " ENS_VERSION "\"\n"
                   ".SH NAME\n"
                   "ensembed \\- embed collections of text chunks with one or "
                   "several models\n"
                   ".SH SYNOPSIS\n\\fBensembed\\fR \\fICOMMAND\\fR "
                   "[\\fIOPTIONS\\fR]\n.SH COMMANDS\n"));
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        command_entry(out, &command_rows[i]);
    strbuf_add(out, STR(".SH OPTIONS\n"));
    for (const struct option_row *row = option_rows; row->name; row++) {
        option_entry(out, row);
        commands_of(out, row);
    }
    environment_section(out);
    strbuf_add(out,
               STR(".SH EXIT STATUS\n"
                   ".TP\n0\nAll was done; blank chunks and collections that "
                   "were skipped because they exist count as done.\n"
                   ".TP\n1\nA file, line, chunk, model or collection failed or "
                   "was missing, or nothing was found.\n"
                   ".TP\n2\nWhat was asked for cannot be: wrong usage, or rows "
                   "in the output folder that were made otherwise.\n"
                   ".TP\n75\nInterrupted, busy or disk full: the same command "
                   "goes on later.\n"));
}
