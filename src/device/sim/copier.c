#include "device/sim/copier.h"

#include <string.h>

#include "base/thread.h"

void copier_open(struct copier *copier) {
    *copier = (struct copier){0};
    pthread_mutex_init(&copier->mutex, NULL);
    pthread_cond_init(&copier->changed, NULL);
}

static void *copier_main(void *context) {
    struct copier *copier = context;
    pthread_mutex_lock(&copier->mutex);
    for (;;) {
        while (!copier->to && !copier->stop)
            pthread_cond_wait(&copier->changed, &copier->mutex);
        if (!copier->to)
            break;
        pthread_mutex_unlock(&copier->mutex);
        memcpy(copier->to, copier->from, copier->bytes);
        pthread_mutex_lock(&copier->mutex);
        copier->to = NULL;
        pthread_cond_broadcast(&copier->changed);
    }
    pthread_mutex_unlock(&copier->mutex);
    return NULL;
}

static void wait_idle(struct copier *copier) {
    while (copier->to)
        pthread_cond_wait(&copier->changed, &copier->mutex);
}

void copier_copy(struct copier *copier, void *to, const void *from,
                 size_t bytes) {
    if (bytes == 0)
        return;
    pthread_mutex_lock(&copier->mutex);
    wait_idle(copier);
    if (!copier->started)
        copier->started =
            thread_start(&copier->thread, copier_main, copier) == 0;
    if (copier->started) {
        copier->to = to;
        copier->from = from;
        copier->bytes = bytes;
        pthread_cond_broadcast(&copier->changed);
    } else {
        memcpy(to, from, bytes);
    }
    pthread_mutex_unlock(&copier->mutex);
}

void copier_wait(struct copier *copier) {
    pthread_mutex_lock(&copier->mutex);
    wait_idle(copier);
    pthread_mutex_unlock(&copier->mutex);
}

void copier_close(struct copier *copier) {
    pthread_mutex_lock(&copier->mutex);
    copier->stop = true;
    pthread_cond_broadcast(&copier->changed);
    pthread_mutex_unlock(&copier->mutex);
    if (copier->started)
        pthread_join(copier->thread, NULL);
    pthread_cond_destroy(&copier->changed);
    pthread_mutex_destroy(&copier->mutex);
}
