/* option_value.h - from the text of a value to a checked member of struct
 * options.
 *
 * WHERE is what the message calls the place: "--threads", "ENSEMBED_THREADS"
 * or "settings.json: \"threads\"". All failures are ERROR_USAGE (or
 * ERROR_MEMORY) and one sentence that says what a right value looks like.
 */

#ifndef CLI_OPTION_VALUE_H
#define CLI_OPTION_VALUE_H

#include "cli/option_table.h"

/* Set the row's member from VALUE; a list grows by one. Strings are borrowed
 * from VALUE or taken from the arena of OPTIONS. */
bool option_value_set(struct options *options, const struct option_row *row,
                      const char *value, const char *where, struct error *err);

/* Empty the row's list. */
void option_value_clear(struct options *options, const struct option_row *row);

/* Append TEXT to a list of the arena. */
bool text_list_add(struct text_list *list, const char *text,
                   struct arena *arena, struct error *err);

/* A whole number in [least, most], digits only. */
bool value_number(const char *text, uint64_t least, uint64_t most,
                  const char *where, uint64_t *number, struct error *err);

/* MODEL[@REVISION][:key=value,...]. A reference that is an existing folder as
 * a whole has no revision, whatever stands in its name. */
bool value_model(const char *text, const char *where, struct arena *arena,
                 struct model_option *model, struct error *err);

#endif
