/* pace.c */

#include "run/pace.h"

#include <stdint.h>

void pace_add(struct pace *pace, size_t tokens, double ms) {
    pace->tokens = pace->tokens / 2 + (double)tokens;
    pace->ms = pace->ms / 2 + ms;
}

size_t pace_tokens(const struct pace *pace, size_t least) {
    if (!(pace->ms > 0))
        return pace->tokens > 0 ? SIZE_MAX : least;
    double tokens = pace->tokens / pace->ms * PACE_BATCH_MS;
    if (tokens >= (double)(SIZE_MAX / 2))
        return SIZE_MAX;
    return tokens > (double)least ? (size_t)tokens : least;
}
