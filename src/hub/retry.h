/* retry.h - how often and how long to wait for a server that may come back.
 *
 * The wait doubles from attempt to attempt up to a cap. Half of it is chance,
 * so that many machines that failed together do not come back together. A
 * server that says when to come back (Retry-After) is obeyed, up to a limit:
 * who would have to wait longer is told so and may go.
 *
 *     struct retry retry = retry_begin(&rules);
 *     while (!attempt(...)) {
 *         int64_t wait_ms;
 *         if (!retry_next(&retry, asked_ms, random, &wait_ms))
 *             give up
 *         sleep
 *     }
 *
 * No clock and no randomness of its own: both are arguments.
 */

#ifndef HUB_RETRY_H
#define HUB_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry_rules {
    unsigned attempts; /* at most, the first one included; 0: default */
    int64_t first_ms;  /* longest wait after the first one; 0: default */
    int64_t cap_ms;    /* longest wait ever, without being asked; 0: default */
    int64_t asked_ms;  /* longest wait that a server may ask for; 0: default */
};

enum {
    RETRY_ATTEMPTS = 6,
    RETRY_FIRST_MS = 500,
    RETRY_CAP_MS = 30 * 1000,
    RETRY_ASKED_MS = 5 * 60 * 1000,
};

struct retry {
    struct retry_rules rules; /* without zeros */
    unsigned failed;          /* attempts in a row */
};

struct retry retry_begin(const struct retry_rules *rules);

/* An attempt failed. True: wait *WAIT_MS and try again. ASKED_MS is what the
 * server asked for, < 0: nothing; RANDOM is any number. */
bool retry_next(struct retry *retry, int64_t asked_ms, uint64_t random,
                int64_t *wait_ms);

/* An attempt got somewhere before it failed: count from the first again. */
void retry_progressed(struct retry *retry);

#endif
