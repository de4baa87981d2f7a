/* command_line.h - what the arguments of the program say, in two steps: which
 * command, then its options and words. For options.c.
 *
 *     command_line_begin(&options, argc, argv, err)     // command, --help
 *     command_line_read(&options, argc, argv, &first, err)
 *     for (const struct saying *s = first; s; s = s->next)
 *         ... s->row is to be set to s->value ...
 *
 * The values are not looked at: lower levels (the environment, the config file)
 * come first.
 */

#ifndef CLI_COMMAND_LINE_H
#define CLI_COMMAND_LINE_H

#include <stdbool.h>

#include "base/error.h"
#include "cli/option_table.h"

/* One option as it was said. */
struct saying {
    const struct option_row *row;
    const char *value; /* "1" and "0" of a flag */
    const char *where; /* "--threads" or "-t", for messages */
    struct saying *next;
};

/* options->command, and whether help or the version is asked for, which are
 * answered whatever else the line says. */
bool command_line_begin(struct options *options, int argc, char *const *argv,
                        struct error *err);

/* What stands behind the command: options->words, and the options in order,
 * which live in the options' arena. */
bool command_line_read(struct options *options, int argc, char *const *argv,
                       const struct saying **first, struct error *err);

/* False: WORD is no command, and which one may be meant; NULL: none was said.
 */
bool command_unknown(const char *word, struct error *err);

#endif
