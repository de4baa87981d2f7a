/* few_threads.h - no more threads than ALLOWED, as under ulimit -u. The test is
 * linked with --wrap=pthread_create. */

#ifndef TESTS_BASE_FEW_THREADS_H
#define TESTS_BASE_FEW_THREADS_H

#include <errno.h>
#include <pthread.h>

static int allowed; /* threads that may still be started */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*work)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*work)(void *), void *context);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*work)(void *), void *context) {
    if (allowed-- <= 0)
        return EAGAIN; /* as under ulimit -u */
    return __real_pthread_create(thread, attributes, work, context);
}

#endif
