#include "base/pool.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/thread.h"

struct worker {
    struct pool *pool;
    pthread_t thread;
    unsigned number;
};

struct pool {
    struct memory *memory;
    unsigned threads; /* the caller included */
    unsigned started; /* workers that exist: threads - 1 */
    struct worker *workers;

    void (*task)(void *context, unsigned thread); /* of this round */
    void *context;
    _Atomic uint64_t round;   /* its change begins a round */
    _Atomic unsigned running; /* workers that have not ended this round */
    _Atomic bool closing;     /* set before the last change of round */

    /* For those who waited long enough to sleep. Whoever goes to sleep first
     * raises its flag and then looks once more; whoever changes what is waited
     * for does so first and then looks at the flag. */
    pthread_mutex_t mutex;
    pthread_cond_t wake; /* a new round */
    pthread_cond_t done; /* running fell to 0 */
    _Atomic unsigned sleepers;
    _Atomic bool caller_sleeps;
};

/* Sleeping and waking cost several microseconds, as much as a product of a few
 * rows: so a thread first looks for some 20 us whether it goes on. */
enum { LOOKS = 1000 };

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void wait_for_round(struct pool *pool, uint64_t seen) {
    for (int i = 0; i < LOOKS; i++) {
        if (pool->round != seen)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    pool->sleepers++;
    while (pool->round == seen)
        pthread_cond_wait(&pool->wake, &pool->mutex);
    pool->sleepers--;
    pthread_mutex_unlock(&pool->mutex);
}

static void begin_round(struct pool *pool) {
    pool->round++;
    if (!pool->sleepers)
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

static void wait_for_workers(struct pool *pool) {
    for (int i = 0; i < LOOKS; i++) {
        if (!pool->running)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    pool->caller_sleeps = true;
    while (pool->running)
        pthread_cond_wait(&pool->done, &pool->mutex);
    pool->caller_sleeps = false;
    pthread_mutex_unlock(&pool->mutex);
}

static void end_work(struct pool *pool) {
    if (--pool->running || !pool->caller_sleeps)
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct pool *pool = worker->pool;
    for (uint64_t seen = 0;; seen++) {
        wait_for_round(pool, seen);
        if (pool->closing)
            return NULL;
        pool->task(pool->context, worker->number);
        end_work(pool);
    }
}

/* Signals belong to the program's own thread: workers block all of them but
 * what a thread's own instruction raises, which no other can answer for. */
static bool start(struct pool *pool, struct error *err) {
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = 0;
    for (unsigned i = 1; i < pool->threads && !failure; i++) {
        struct worker *worker = &pool->workers[i];
        *worker = (struct worker){.pool = pool, .number = i};
        failure = thread_start(&worker->thread, work, worker);
        if (!failure)
            pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return error_set(err, ERROR_IO,
                         "cannot start thread %u of %u: %s; take fewer "
                         "(--threads), or allow more (ulimit -u, -v)",
                         pool->started + 2, pool->threads, strerror(failure));
    return true;
}

struct pool *pool_create(struct memory *memory, unsigned threads,
                         struct error *err) {
    struct pool *pool = memory_zalloc(memory, 1, sizeof *pool, err);
    if (!pool)
        return NULL;
    pool->memory = memory;
    pool->threads = threads ? threads : 1;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->workers =
        memory_zalloc(memory, pool->threads, sizeof *pool->workers, err);
    if (!pool->workers || !start(pool, err)) {
        pool_free(pool);
        return NULL;
    }
    return pool;
}

void pool_free(struct pool *pool) {
    if (!pool)
        return;
    pool->closing = true;
    begin_round(pool);
    for (unsigned i = 1; i <= pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->done);
    memory_free(pool->memory, pool->workers);
    memory_free(pool->memory, pool);
}

unsigned pool_threads(const struct pool *pool) {
    return pool->threads;
}

void pool_run(struct pool *pool, void (*task)(void *context, unsigned thread),
              void *context) {
    if (pool->started) {
        pool->task = task;
        pool->context = context;
        pool->running = pool->started;
        begin_round(pool);
    }
    task(context, 0);
    if (pool->started)
        wait_for_workers(pool);
}

struct pieces {
    _Atomic size_t next;
    size_t count;
    size_t grain;
    void (*task)(void *context, size_t begin, size_t end, unsigned thread);
    void *context;
};

static void take_pieces(void *context, unsigned thread) {
    struct pieces *pieces = context;
    for (;;) {
        size_t begin = atomic_fetch_add(&pieces->next, pieces->grain);
        if (begin >= pieces->count)
            return;
        size_t left = pieces->count - begin;
        size_t size = left < pieces->grain ? left : pieces->grain;
        pieces->task(pieces->context, begin, begin + size, thread);
    }
}

void pool_each(struct pool *pool, size_t count, size_t grain,
               void (*task)(void *context, size_t begin, size_t end,
                            unsigned thread),
               void *context) {
    struct pieces pieces = {.count = count,
                            .grain = grain ? grain : 1,
                            .task = task,
                            .context = context};
    if (count)
        pool_run(pool, take_pieces, &pieces);
}
