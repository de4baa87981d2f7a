/* suggest.h - the name that was meant, for messages about misspelt ones. */

#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

/* The one of NAMES (NULL at the end) that is nearest to WORD by insertions,
 * deletions, changes and swaps of neighbours, or NULL if none is near. The
 * first of equals wins; NAMES and WORD may be of any length. */
const char *suggest(const char *word, const char *const *names);

#endif
