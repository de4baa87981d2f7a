#include "cli/suggest.h"

#include <stddef.h>
#include <string.h>

enum { LENGTH_MAX = 40 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours (optimal string alignment). */
static size_t distance(const char *a, size_t a_size, const char *b,
                       size_t b_size) {
    size_t rows[3][LENGTH_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_size; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            now[j] = smaller(smaller(last[j], now[j - 1]) + 1,
                             last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = smaller(now[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[b_size];
}

const char *suggest(const char *word, const char *const *names) {
    const char *best = NULL;
    size_t size = strlen(word);
    /* A third of the letters may be wrong, two at least. */
    size_t least = smaller(size / 3, 4) + 1;
    least = least < 3 ? 3 : least;
    for (; size <= LENGTH_MAX && *names; names++) {
        size_t name_size = strlen(*names);
        if (name_size > LENGTH_MAX)
            continue;
        size_t d = distance(word, size, *names, name_size);
        if (d < least && d < name_size && d < size) {
            least = d;
            best = *names;
        }
    }
    return best;
}
