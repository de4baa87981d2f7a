/* copier.h - one thread that copies bytes while others compute, as a card's
 * copy engine does. It is started by the first copy.
 */

#ifndef DEVICE_SIM_COPIER_H
#define DEVICE_SIM_COPIER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct copier {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    bool started, stop;
    void *to;         /* NULL: nothing to do */
    const void *from; /* borrowed until copier_wait */
    size_t bytes;
};

void copier_open(struct copier *copier);
/* Waits for the copy that is under way. */
void copier_close(struct copier *copier);

/* Begin a copy, after the one before it. Where the system has no thread left
 * the copy is made at once. */
void copier_copy(struct copier *copier, void *to, const void *from,
                 size_t bytes);
void copier_wait(struct copier *copier);

#endif
