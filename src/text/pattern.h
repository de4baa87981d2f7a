/* pattern.h - the patterns of Split and Replace: a plain string, or a regular
 * expression in the dialect of Oniguruma, which is what `tokenizers` runs.
 *
 * PCRE2 runs it, but never sees a character: all sets of the pattern ([..],
 * \p{..}, \s, letters) cut the code points into a few classes, the text is
 * read as one byte a code point, its class, and the pattern is written in
 * bytes. So what a set means is ours (the generated tables), no set costs more
 * than a look into a table, and the dialects cannot differ there. Where they
 * differ in the rest, the pattern is rewritten ("^" and "$" mean lines, {,n})
 * or refused by name; what we do not know is refused.
 *
 *     struct pattern *p = pattern_regex(memory, STR("\\s+"), name, err);
 *     struct pattern_scratch s = {.memory = memory};
 *     pattern_find(p, &s, text, put, context, err);
 *
 * A pattern is shared by threads, a scratch is not. A text takes 1 byte a code
 * point, and as much as PCRE2 needs (bounded: a pattern that needs more on some
 * text is ERROR_UNSUPPORTED then).
 */

#ifndef TEXT_PATTERN_H
#define TEXT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"

struct pattern;

struct pattern_scratch {
    struct memory *memory; /* borrowed */
    struct strbuf classes;
    void *match; /* PCRE2's, owned */
    void *stack;
    void *context;
};

/* NAME is the file, for messages. NULL: ERROR_UNSUPPORTED (what, by name) or
 * ERROR_MEMORY. */
struct pattern *pattern_regex(struct memory *memory, struct str regex,
                              const char *name, struct error *err);
struct pattern *pattern_string(struct memory *memory, struct str string,
                               struct error *err);
void pattern_free(struct pattern *pattern); /* NULL is fine */
void pattern_scratch_free(struct pattern_scratch *scratch);

/* Calls PUT for what matches in TEXT (valid UTF-8) and for what lies between,
 * from left to right; matches may be empty. */
typedef void pattern_put(void *context, size_t begin, size_t end, bool match);
bool pattern_find(const struct pattern *pattern,
                  struct pattern_scratch *scratch, struct str text,
                  pattern_put *put, void *context, struct error *err);

#endif
