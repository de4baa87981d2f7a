/* completion.c - scripts for bash, zsh and fish from the tables. They hold
 * only names, so they need not run ensembed to complete. */

#include "cli/help.h"
#include "cli/option_table.h"

static bool takes(const struct option_row *row, size_t command) {
    return option_applies(row, (enum command)command);
}

static void words(struct strbuf *out, const char *const *list) {
    for (size_t i = 0; list[i]; i++)
        strbuf_printf(out, "%s%s", i ? " " : "", list[i]);
}

static void command_words(struct strbuf *out) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        strbuf_printf(out, "%s%s", i ? " " : "", command_rows[i].name);
}

/* TEXT inside of single quotes. */
static void quoted(struct strbuf *out, const char *text) {
    for (; *text; text++)
        if (*text == '\'')
            strbuf_add(out, STR("'\\''"));
        else
            strbuf_add_char(out, *text);
}

/* ---- bash ---------------------------------------------------------------- */

static void bash_values(struct strbuf *out) {
    strbuf_add(out, STR("    case $before in\n"));
    for (const struct option_row *row = option_rows; row->name; row++) {
        if (!row->argument)
            continue;
        strbuf_printf(out, "    --%s", row->name);
        if (row->letter)
            strbuf_printf(out, " | -%c", row->letter);
        strbuf_add(out, STR(") "));
        if (row->choices) {
            strbuf_add(out, STR("COMPREPLY=($(compgen -W '"));
            words(out, row->choices);
            strbuf_add(out, STR("' -- \"$word\"))"));
        } else if (row->type == OPTION_PATH || row->type == OPTION_MODEL) {
            strbuf_add(out, STR("COMPREPLY=($(compgen -f -- \"$word\"))"));
        } else {
            strbuf_add(out, STR("COMPREPLY=()"));
        }
        strbuf_add(out, STR("; return ;;\n"));
    }
    strbuf_add(out, STR("    esac\n"));
}

static void bash_options(struct strbuf *out) {
    strbuf_add(out, STR("    case ${COMP_WORDS[1]} in\n"));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        strbuf_printf(out, "    %s) options='", command_rows[i].name);
        const char *space = "";
        for (const struct option_row *row = option_rows; row->name; row++)
            if (takes(row, i)) {
                strbuf_printf(out, "%s--%s%s", space,
                              option_is_on(row) ? "no-" : "", row->name);
                space = " ";
            }
        strbuf_add(out, STR("' ;;\n"));
    }
    strbuf_add(out, STR("    esac\n"));
}

static void bash(struct strbuf *out) {
    strbuf_add(out, STR("_ensembed() {\n"
                        "    local word=${COMP_WORDS[COMP_CWORD]}\n"
                        "    local before=${COMP_WORDS[COMP_CWORD - 1]}\n"
                        "    local options=''\n"
                        "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                        "        COMPREPLY=($(compgen -W '"));
    command_words(out);
    strbuf_add(out, STR(" --help --version' -- \"$word\"))\n"
                        "        return\n    fi\n"));
    bash_values(out);
    bash_options(out);
    strbuf_add(out, STR("    case $word in\n"
                        "    -*) COMPREPLY=($(compgen -W \"$options\" -- "
                        "\"$word\")) ;;\n"
                        "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
                        "    esac\n}\n"
                        "complete -o filenames -F _ensembed ensembed\n"));
}

/* ---- zsh ----------------------------------------------------------------- */

/* A description inside of [...] of _arguments. */
static void zsh_text(struct strbuf *out, const char *text) {
    for (; *text; text++) {
        if (strchr("[]:\\", *text))
            strbuf_add_char(out, '\\');
        if (*text == '\'')
            strbuf_add(out, STR("'\\''"));
        else
            strbuf_add_char(out, *text);
    }
}

static void zsh_option(struct strbuf *out, const struct option_row *row) {
    strbuf_printf(
        out, "            '%s--%s%s%s[", option_is_list(row) ? "*" : "",
        option_is_on(row) ? "no-" : "", row->name, row->argument ? "=" : "");
    zsh_text(out, row->help);
    strbuf_add_char(out, ']');
    if (row->argument) {
        strbuf_add_char(out, ':');
        zsh_text(out, row->argument);
        strbuf_add_char(out, ':');
        if (row->choices) {
            strbuf_add_char(out, '(');
            words(out, row->choices);
            strbuf_add_char(out, ')');
        } else if (row->type == OPTION_PATH || row->type == OPTION_MODEL) {
            strbuf_add(out, STR("_files"));
        }
    }
    strbuf_add(out, STR("' \\\n"));
}

static void zsh(struct strbuf *out) {
    strbuf_add(out, STR("#compdef ensembed\n"
                        "_ensembed() {\n"
                        "    if (( CURRENT == 2 )); then\n"
                        "        compadd -- "));
    command_words(out);
    strbuf_add(out, STR(" --help --version\n        return\n    fi\n"
                        "    local command=$words[2]\n"
                        "    shift words\n    (( CURRENT-- ))\n"
                        "    case $command in\n"));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        strbuf_printf(out, "        %s) _arguments \\\n", command_rows[i].name);
        for (const struct option_row *row = option_rows; row->name; row++)
            if (takes(row, i))
                zsh_option(out, row);
        strbuf_add(out, STR("            '*:file:_files' ;;\n"));
    }
    strbuf_add(out, STR("    esac\n}\n_ensembed \"$@\"\n"));
}

/* ---- fish ---------------------------------------------------------------- */

static void fish_option(struct strbuf *out, const struct option_row *row) {
    strbuf_add(out,
               STR("complete -c ensembed -n '__fish_seen_subcommand_from"));
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (takes(row, i))
            strbuf_printf(out, " %s", command_rows[i].name);
    strbuf_printf(out, "' -l %s%s", option_is_on(row) ? "no-" : "", row->name);
    if (row->letter)
        strbuf_printf(out, " -s %c", row->letter);
    if (row->choices) {
        strbuf_add(out, STR(" -x -a '"));
        words(out, row->choices);
        strbuf_add_char(out, '\'');
    } else if (row->argument) {
        bool file = row->type == OPTION_PATH || row->type == OPTION_MODEL;
        strbuf_add(out, file ? STR(" -r -F") : STR(" -x"));
    }
    strbuf_add(out, STR(" -d '"));
    quoted(out, row->help);
    strbuf_add(out, STR("'\n"));
}

static void fish(struct strbuf *out) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        strbuf_printf(out,
                      "complete -c ensembed -f -n __fish_use_subcommand -a %s "
                      "-d '",
                      command_rows[i].name);
        quoted(out, command_rows[i].help);
        strbuf_add(out, STR("'\n"));
    }
    for (const struct option_row *row = option_rows; row->name; row++)
        fish_option(out, row);
}

void completion_write(struct strbuf *out, const char *shell) {
    if (strcmp(shell, "zsh") == 0)
        zsh(out);
    else if (strcmp(shell, "fish") == 0)
        fish(out);
    else
        bash(out);
}
