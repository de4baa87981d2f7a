/* What a thread is started with, and what is said where none can be. */

#define _GNU_SOURCE  /* attributes of a thread that runs, and of all by default \
                      */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/few_threads.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/thread.h"

static void *own_stack(void *context) {
    size_t *bytes = context;
    pthread_attr_t attributes;
    assert_int_equal(pthread_getattr_np(pthread_self(), &attributes), 0);
    assert_int_equal(pthread_attr_getstacksize(&attributes, bytes), 0);
    pthread_attr_destroy(&attributes);
    return NULL;
}

/* What `ulimit -s 128` does to threads whose stack nobody states. */
static void a_small_stack_is_the_programs_own(void **state) {
    (void)state;
    allowed = 1;
    pthread_attr_t small;
    pthread_t thread;
    size_t bytes = 0;
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, 128 * 1024), 0);
    assert_int_equal(pthread_setattr_default_np(&small), 0);
    assert_int_equal(thread_start(&thread, own_stack, &bytes), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(bytes >= THREAD_STACK_BYTES);
    pthread_attr_destroy(&small);
}

static void count(void *context, unsigned thread) {
    (void)thread;
    (*(_Atomic int *)context)++;
}

static void a_pool_without_its_threads_says_what_helps(void **state) {
    (void)state;
    struct memory memory = {0};
    struct error err = {0};
    for (int started = 0; started < 3; started++) {
        char message[128];
        allowed = started;
        assert_null(pool_create(&memory, 4, &err));
        snprintf(message, sizeof message,
                 "cannot start thread %d of 4: Resource temporarily "
                 "unavailable; take fewer (--threads), or allow more (ulimit "
                 "-u, -v)",
                 started + 2);
        assert_string_equal(err.message, message);
        assert_int_equal(err.code, ERROR_IO);
        assert_int_equal(memory_live(&memory), 0);
    }
    allowed = 3;
    struct pool *pool = pool_create(&memory, 4, &err);
    assert_non_null(pool);
    _Atomic int threads = 0;
    pool_run(pool, count, (void *)&threads);
    assert_int_equal(threads, 4);
    pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_stack_is_the_programs_own),
        cmocka_unit_test(a_pool_without_its_threads_says_what_helps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
