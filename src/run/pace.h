/* pace.h - how many tokens a model does in the seconds that a batch may take
 * on a device, by what it did so far.
 *
 * Whoever interrupts a run waits for the batch in flight, a kill loses it, and
 * nothing is seen to move until it is done: with a large model on a CPU a batch
 * by memory alone would be minutes. What a batch has does not change a vector.
 *
 *     struct pace pace = {0};
 *     size_t tokens = pace_tokens(&pace, least);   // least, before any batch
 *     pace_add(&pace, tokens, ms);
 *
 * Numbers in, a number out: no clock, one thread.
 */

#ifndef RUN_PACE_H
#define RUN_PACE_H

#include <stddef.h>

enum { PACE_BATCH_MS = 10000 };

struct pace { /* a batch weighs twice as much as the one before it */
    double tokens, ms;
};

void pace_add(struct pace *pace, size_t tokens, double ms);

/* LEAST: below it a batch would be much slower by the token, for lanes wait for
 * each other at its end; so it has that many however long they take. Nothing is
 * known before the first. */
size_t pace_tokens(const struct pace *pace, size_t least);

#endif
