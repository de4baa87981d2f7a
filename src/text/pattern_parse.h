/* pattern_parse.h - a regular expression of Oniguruma as sets of code points
 * and the marks between them: for pattern.c. */

#ifndef TEXT_PATTERN_PARSE_H
#define TEXT_PATTERN_PARSE_H

#include "base/str.h"
#include "text/code_set.h"

enum { PATTERN_SETS_MAX = 512, PATTERN_ITEMS_MAX = 8192, PATTERN_DEPTH = 64 };

/* What PCRE2 reads: marks as they are ("(?:", "+?"), or one code point of a
 * set. */
struct pattern_item {
    int set;        /* index into sets; -1: marks */
    char marks[16]; /* NUL at the end */
};

struct parsed {
    struct memory *memory;      /* borrowed */
    struct code_set *sets;      /* [set_count], owned */
    struct pattern_item *items; /* [item_count], owned */
    size_t set_count;
    size_t item_count;
};

/* False and ERROR_UNSUPPORTED with the part that we do not have. PARSED is to
 * be freed in any case. */
bool pattern_parse(struct parsed *parsed, struct memory *memory,
                   struct str regex, const char *name, struct error *err);
void parsed_free(struct parsed *parsed);

#endif
