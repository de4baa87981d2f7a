#include "model/multi_rows.h"

#include <string.h>

static bool stays(const struct multi_rule *rule, const uint32_t *ids,
                  size_t token) {
    if (token == 0 && rule->drop_first)
        return false;
    for (size_t i = 0; i < rule->skip_count; i++)
        if (rule->skip[i] == ids[token])
            return false;
    return true;
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
