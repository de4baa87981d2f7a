#include "base/thread.h"

int thread_start(pthread_t *thread, void *(*work)(void *context),
                 void *context) {
    pthread_attr_t attributes;
    int failure = pthread_attr_init(&attributes);
    if (failure)
        return failure;
    failure = pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    if (!failure)
        failure = pthread_create(thread, &attributes, work, context);
    pthread_attr_destroy(&attributes);
    return failure;
}
