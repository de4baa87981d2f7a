/* chunk_text.h - what is done to a chunk's text before it is embedded: by
 * default nothing. Whitespace is what Unicode calls White_Space. */

#ifndef DATA_CHUNK_TEXT_H
#define DATA_CHUNK_TEXT_H

#include <stdbool.h>

#include "base/str.h"
#include "data/chunks.h"

/* Nothing but whitespace, or nothing at all. */
bool text_is_blank(struct str text);

bool text_options_on(const struct chunk_options *options);
/* TEXT with OPTIONS applied, appended to OUT: first the whitespace, then the
 * length. */
void text_apply_options(struct str text, const struct chunk_options *options,
                        struct strbuf *out);

/* TEXT with U+FFFD for what is not UTF-8, appended to OUT: file names are
 * bytes, but what we write is text. */
void text_clean(struct str text, struct strbuf *out);

#endif
