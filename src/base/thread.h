/* thread.h - a thread with a stack of a size that is stated here. Without it a
 * thread has what the shell allows the program's own stack (ulimit -s): too
 * little for a kernel's caller and NVIDIA's compiler where that is small.
 *
 *     int failure = thread_start(&thread, work, context);
 *     ... pthread_join(thread, NULL) ...
 *
 * A stack is addresses; what is touched of it becomes memory. */

#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

enum { THREAD_STACK_BYTES = 8 * 1024 * 1024 };

/* 0, or errno's number of why no thread was started. */
int thread_start(pthread_t *thread, void *(*work)(void *context),
                 void *context);

#endif
