/* option_table.h - one row an option, one row a command.
 *
 * Parsing, --help, the names in the environment and in the config file, the
 * man page and shell completion all walk these two tables. To add an option:
 * a member in struct options, a row here. An option enters when it works.
 */

#ifndef CLI_OPTION_TABLE_H
#define CLI_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "cli/options.h"

/* What a value is, and so what its target in struct options is. */
enum option_type {
    OPTION_FLAG,   /* bool; --NAME sets it, --no-NAME clears it */
    OPTION_LEVEL,  /* enum (int); --NAME sets it to `least` */
    OPTION_TEXT,   /* const char * */
    OPTION_PATH,   /* const char *, a file or folder */
    OPTION_NUMBER, /* size_t in [least, most] */
    OPTION_CHOICE, /* const char *, one of `choices` */
    OPTION_ENUM,   /* int, the index in `choices` */
    OPTION_SET,    /* unsigned, a bit for each of `choices`, comma-separated */
    OPTION_TEXTS,  /* struct text_list, repeatable */
    OPTION_MODEL,  /* struct model_list, repeatable */
    OPTION_BYTES,  /* struct device_bytes_list, repeatable */
    OPTION_LONG,   /* struct long_texts */
};

#define COMMAND_BIT(command) (1u << (command))

struct option_row {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum option_type type;
    const char *argument;       /* as help shows it; NULL: takes none */
    unsigned commands;          /* COMMAND_BITs that take it */
    unsigned required;          /* COMMAND_BITs that cannot do without */
    size_t target;              /* offset in struct options */
    uint64_t least, most;       /* of a number */
    const char *const *choices; /* NULL at the end */
    const char *initial;        /* default, parsed like a value; or NULL */
    const char *otherwise;      /* default in words, where initial is NULL */
    const char *help;           /* one sentence without a full stop */
    bool line_only;             /* not in the environment or the config file */
};

struct command_row {
    const char *name;
    const char *words;   /* positional arguments as help shows them, or "" */
    size_t least, most;  /* how many of them */
    const char *missing; /* said when there are fewer */
    const char *help;    /* one line */
    const char *more;    /* paragraphs for its own help and the man page */
    const char *example; /* one command line */
};

enum {
    OPTION_ROWS_MAX = 64, /* with the end */
    OPTION_NAME_MAX = 64, /* bytes of a name, in the environment too */
};
extern const struct option_row option_rows[]; /* name NULL at the end */
extern const struct command_row command_rows[COMMAND_COUNT];

/* NULL if there is none. */
const struct option_row *option_find(struct str name);
const struct option_row *option_find_letter(char letter);
/* The option of COMMAND whose name is the nearest to WORD, "no-..." too if WORD
 * begins so; NULL: none is near. */
const char *option_near(const char *word, enum command command,
                        char name[OPTION_NAME_MAX]);
/* COMMAND_COUNT if there is none. */
enum command command_find(const char *name);

/* Does COMMAND take the option? */
bool option_applies(const struct option_row *row, enum command command);
/* Is the option repeatable? */
bool option_is_list(const struct option_row *row);
/* Is it one that needs no value? */
bool option_is_flag(const struct option_row *row);
/* Is it a flag that is on by default, so that help shows --no-NAME? */
bool option_is_on(const struct option_row *row);

/* In the environment: "trim-chars" is ENSEMBED_TRIM_CHARS. */
void option_environment_name(const struct option_row *row,
                             char name[OPTION_NAME_MAX]);

#endif
