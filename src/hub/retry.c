#include "hub/retry.h"

struct retry retry_begin(const struct retry_rules *rules) {
    struct retry_rules r = *rules;
    r.attempts = r.attempts ? r.attempts : RETRY_ATTEMPTS;
    r.first_ms = r.first_ms ? r.first_ms : RETRY_FIRST_MS;
    r.cap_ms = r.cap_ms ? r.cap_ms : RETRY_CAP_MS;
    r.asked_ms = r.asked_ms ? r.asked_ms : RETRY_ASKED_MS;
    return (struct retry){.rules = r};
}

/* The longest wait after FAILED attempts: doubles, and never overflows. */
static int64_t longest(const struct retry *retry) {
    int64_t wait = retry->rules.first_ms;
    for (unsigned i = 1; i < retry->failed && wait < retry->rules.cap_ms; i++)
        wait = wait > INT64_MAX / 2 ? INT64_MAX : wait * 2;
    return wait < retry->rules.cap_ms ? wait : retry->rules.cap_ms;
}

bool retry_next(struct retry *retry, int64_t asked_ms, uint64_t random,
                int64_t *wait_ms) {
    retry->failed++;
    if (retry->failed >= retry->rules.attempts ||
        asked_ms > retry->rules.asked_ms)
        return false;
    int64_t most = longest(retry), half = most / 2;
    int64_t wait = most - (int64_t)(random % (uint64_t)(half + 1));
    *wait_ms = wait > asked_ms ? wait : asked_ms;
    return true;
}

void retry_progressed(struct retry *retry) {
    retry->failed = 0;
}
