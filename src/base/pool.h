/* pool.h - a few threads that do one thing together.
 *
 * pool_run gives the same work to every thread and waits for all of them. The
 * caller is thread 0 and works too, so a pool of one starts no thread at all.
 *
 *     static void sum(void *context, size_t begin, size_t end, unsigned t);
 *     pool_each(pool, rows, 64, sum, &job);
 *
 * One pool_run at a time a pool; a task must not call pool_run on its own
 * pool. How the work is split must not change a result: threads split rows
 * and columns, never a sum.
 */

#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"

struct pool;

/* THREADS >= 1, the caller included. */
struct pool *pool_create(struct memory *memory, unsigned threads,
                         struct error *err);
void pool_free(struct pool *pool); /* NULL is fine */
unsigned pool_threads(const struct pool *pool);

/* Run TASK(context, thread) once on each thread; returns when all are done. */
void pool_run(struct pool *pool, void (*task)(void *context, unsigned thread),
              void *context);

/* Split [0, COUNT) into pieces of GRAIN items that threads fetch as they get
 * free; TASK may be called many times by a thread. */
void pool_each(struct pool *pool, size_t count, size_t grain,
               void (*task)(void *context, size_t begin, size_t end,
                            unsigned thread),
               void *context);

#endif
