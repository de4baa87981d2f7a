/* help.h - what the option table says, as text for people, for man(1) and for
 * shells. All of it goes into a strbuf; the caller prints it.
 */

#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "base/str.h"
#include "cli/options.h"

/* The answer to --help, --version, and `ensembed help` with its options. */
void help_answer(struct strbuf *out, const struct options *options);

/* The whole man page, section 1, for man(7) macros. */
void man_write(struct strbuf *out);

/* A completion script; SHELL is "bash", "zsh" or "fish". */
void completion_write(struct strbuf *out, const char *shell);

#endif
