#include "model/multi_rows.h"

#include <string.h>

/* Halving: a list may have thousands of words, and every token asks. */
static bool skips(const struct multi_rule *rule, uint32_t id) {
    size_t begin = 0, end = rule->skip_count;
    while (begin < end) {
        size_t middle = (begin + end) / 2;
        if (rule->skip[middle] == id)
            return true;
        if (rule->skip[middle] < id)
            begin = middle + 1;
        else
            end = middle;
    }
    return false;
}

static bool stays(const struct multi_rule *rule, const uint32_t *ids,
                  size_t token) {
    if (token == 0 && rule->drop_first)
        return false;
    return !skips(rule, ids[token]);
}

size_t multi_keep(const struct multi_rule *rule, const uint32_t *ids,
                  size_t tokens, float *rows, size_t width) {
    size_t kept = 0;
    for (size_t i = 0; i < tokens; i++) {
        if (!stays(rule, ids, i))
            continue;
        if (kept < i)
            memmove(rows + kept * width, rows + i * width,
                    width * sizeof *rows);
        kept++;
    }
    return kept;
}
