/* test_no_malloc.c - nothing allocates inside the encode loop: from a worker's
 * first batch to the end of its pass no call of malloc and its like comes from
 * that thread, the C library's own included. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/encoder.h"
#include "run/trial.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

static _Thread_local bool is_worker; /* it has encoded a batch */
static _Atomic bool looping;         /* a pass has begun to encode */
static _Atomic unsigned taken;       /* allocations of workers since */
static _Atomic unsigned batches;

bool __real_encoder_encode(struct encoder *encoder,
                           const struct encoder_batch *batch,
                           const struct encoder_output *out, struct error *err);
bool __wrap_encoder_encode(struct encoder *encoder,
                           const struct encoder_batch *batch,
                           const struct encoder_output *out, struct error *err);
bool __wrap_encoder_encode(struct encoder *encoder,
                           const struct encoder_batch *batch,
                           const struct encoder_output *out,
                           struct error *err) {
    is_worker = true;
    looping = true;
    batches++;
    return __real_encoder_encode(encoder, batch, out, err);
}

#ifndef SANITIZED
/* Seen by the C library as well, whose fopen and the like call them. */
#pragma GCC visibility push(default)
static void count(void) {
    if (is_worker && looping)
        taken++;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}
void *calloc(size_t number, size_t size) {
    count();
    return __libc_calloc(number, size);
}
void *realloc(void *block, size_t size) {
    count();
    return __libc_realloc(block, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}
#pragma GCC visibility pop
#endif

/* The pass's end is told by the caller's thread, when no worker is at work. */
static void on_event(void *context, const char *type, const json_t *fields) {
    (void)context;
    (void)fields;
    if (!strncmp(type, "ensemble_pass_", 14))
        looping = false;
}

static void run_quietly(const char *devices, enum run_mode mode,
                        const char *models, size_t heads) {
    struct trial t;
    struct trial_terms terms = {.models = models,
                                .heads = heads,
                                .budget = 256,
                                .devices = devices,
                                .mode = mode,
                                .texts = 400,
                                .on_event = on_event};
    taken = batches = 0;
    trial_run_well(&t, &terms);
    trial_end(&t);
    if (batches < 8)
        fail_msg("%u batches only", batches);
#ifndef SANITIZED
    assert_int_equal(taken, 0);
#endif
}

static void the_cpu_takes_nothing(void **state) {
    (void)state;
    run_quietly("cpu", MODE_EXCLUSIVE, "mean", 0);
}

static void cards_take_nothing(void **state) {
    (void)state;
    run_quietly("sim:a=64MB,sim:b=64MB", MODE_EXCLUSIVE, "mean,cls", 0);
}

static void heads_take_nothing(void **state) {
    (void)state;
    run_quietly("cpu", MODE_EXCLUSIVE, "m3", 1);
    run_quietly("sim:a=64MB,sim:b=64MB", MODE_EXCLUSIVE, "m3", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cpu_takes_nothing),
        cmocka_unit_test(cards_take_nothing),
        cmocka_unit_test(heads_take_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
