/* test_memory.c - ceilings, reservations, charges: against a plain count, and
 * from several threads at once. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"

/* A request that the system refuses is an answer and not the end. */
#define EXPORTED __attribute__((visibility("default")))
EXPORTED const char *__asan_default_options(void);
EXPORTED const char *__tsan_default_options(void);

const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void) {
    return "allocator_may_return_null=1";
}

static uint64_t below(uint64_t *state, uint64_t limit) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % limit;
}

enum { CEILING = 100000, SLOTS = 12 };

/* What somebody holds: blocks, charges, promises. */
struct holder {
    uint64_t state; /* of its random numbers */
    struct memory *memory;
    struct reservation reserved[SLOTS];
    uint64_t charged[SLOTS];
    void *blocks[SLOTS];
    uint64_t block_bytes[SLOTS];
};

/* The definitions, added up. */
static uint64_t live_of(const struct holder *h) {
    uint64_t live = 0;
    for (size_t i = 0; i < SLOTS; i++)
        live += h->charged[i] + (h->blocks[i] ? h->block_bytes[i] : 0);
    return live;
}

static uint64_t held_of(const struct holder *h) {
    uint64_t held = live_of(h);
    for (size_t i = 0; i < SLOTS; i++)
        held += h->reserved[i].bytes;
    return held;
}

/* Each step begins or ends one thing. SURE: nobody else uses the memory, so
 * that the answer is known. */
static void step_reserve(struct holder *h, size_t at, bool sure) {
    struct reservation *reserved = &h->reserved[at];
    if (reserved->memory) {
        memory_unreserve(reserved);
        assert_null(reserved->memory);
        assert_int_equal(reserved->bytes, 0);
        return;
    }
    uint64_t bytes = below(&h->state, CEILING / 2);
    bool room = held_of(h) + bytes <= CEILING;
    struct error err = {0};
    bool fine = memory_reserve(h->memory, bytes, reserved, &err);
    if (sure)
        assert_int_equal(fine, room);
    assert_int_equal(err.code, fine ? ERROR_NONE : ERROR_MEMORY);
    assert_int_equal(reserved->bytes, fine ? bytes : 0);
}

/* A charge or block of BYTES fits when what its promise lacks does. */
static bool fits(const struct holder *h, const struct reservation *from,
                 uint64_t bytes) {
    uint64_t promised = from ? from->bytes : 0;
    return bytes <= promised || held_of(h) + bytes - promised <= CEILING;
}

static struct reservation *some_promise(struct holder *h) {
    uint64_t which = below(&h->state, 2 * SLOTS);
    return which < SLOTS ? &h->reserved[which] : NULL;
}

static void expect_taken(const struct reservation *from, uint64_t before,
                         uint64_t bytes, bool fine) {
    uint64_t taken = !fine ? 0 : bytes < before ? bytes : before;
    if (from)
        assert_int_equal(from->bytes, before - taken);
}

static void step_charge(struct holder *h, size_t at, bool sure) {
    if (h->charged[at]) {
        memory_discharge(h->memory, h->charged[at]);
        h->charged[at] = 0;
        return;
    }
    struct reservation *from = some_promise(h);
    uint64_t bytes = below(&h->state, CEILING / 3);
    uint64_t before = from ? from->bytes : 0;
    bool room = fits(h, from, bytes);
    bool fine = memory_charge(h->memory, bytes, from, NULL);
    if (sure)
        assert_int_equal(fine, room);
    expect_taken(from, before, bytes, fine);
    h->charged[at] = fine ? bytes : 0;
}

static void step_block(struct holder *h, size_t at, bool sure) {
    if (h->blocks[at]) {
        memory_free(h->memory, h->blocks[at]);
        h->blocks[at] = NULL;
        return;
    }
    struct reservation *from = some_promise(h);
    size_t bytes = (size_t)below(&h->state, 5000);
    uint64_t before = from ? from->bytes : 0;
    h->block_bytes[at] = memory_block_bytes(bytes);
    bool room = fits(h, from, h->block_bytes[at]);
    h->blocks[at] = memory_alloc_from(h->memory, bytes, from, NULL);
    if (sure)
        assert_int_equal(h->blocks[at] != NULL, room);
    if (h->blocks[at])
        memset(h->blocks[at], 1, bytes);
    expect_taken(from, before, h->block_bytes[at], h->blocks[at] != NULL);
}

static void step(struct holder *h, bool sure) {
    static void (*const STEPS[])(struct holder *, size_t, bool) = {
        step_reserve, step_charge, step_block};
    STEPS[below(&h->state, 3)](h, below(&h->state, SLOTS), sure);
}

static void end(struct holder *h) {
    for (size_t i = 0; i < SLOTS; i++) {
        memory_unreserve(&h->reserved[i]);
        memory_discharge(h->memory, h->charged[i]);
        memory_free(h->memory, h->blocks[i]);
    }
}

static void the_count_is_exact(void **state) {
    (void)state;
    struct memory memory = {.ceiling = CEILING};
    struct holder h = {.state = 7, .memory = &memory};
    uint64_t peak = 0;
    for (int i = 0; i < 100000; i++) {
        step(&h, true);
        uint64_t live = live_of(&h);
        peak = live > peak ? live : peak;
        assert_int_equal(memory_live(&memory), live);
        assert_int_equal(memory.held, held_of(&h));
        assert_int_equal(memory_peak(&memory), peak);
        assert_true(memory.held <= CEILING);
    }
    assert_true(peak > CEILING * 9 / 10);
    end(&h);
    assert_int_equal(memory_live(&memory), 0);
    assert_int_equal(memory.held, 0);
}

static void *live_a_while(void *context) {
    struct holder *h = context;
    for (int i = 0; i < 30000; i++) {
        step(h, false);
        if (h->memory->held > CEILING || memory_peak(h->memory) > CEILING)
            return h;
    }
    end(h);
    return NULL;
}

static void threads_together_keep_below_the_ceiling(void **state) {
    (void)state;
    enum { HOLDERS = 4 };
    struct memory memory = {.ceiling = CEILING};
    struct holder holders[HOLDERS];
    pthread_t threads[HOLDERS];
    for (size_t i = 0; i < HOLDERS; i++) {
        holders[i] = (struct holder){.state = 11 + i, .memory = &memory};
        assert_int_equal(
            pthread_create(&threads[i], NULL, live_a_while, &holders[i]), 0);
    }
    for (size_t i = 0; i < HOLDERS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(memory_live(&memory), 0);
    assert_int_equal(memory.held, 0);
    assert_true(memory_peak(&memory) <= CEILING);
}

static void a_promise_is_kept_from_others(void **state) {
    (void)state;
    struct memory memory = {.ceiling = 1000}, other = {.ceiling = 1000};
    struct reservation reserved, none = {0};
    struct error err = {0};
    assert_true(memory_reserve(&memory, 800, &reserved, &err));
    assert_int_equal(memory_live(&memory), 0);
    assert_false(memory_charge(&memory, 201, NULL, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_non_null(
        strstr(err.message, "800 of 1000 bytes are in use and 201"));
    /* A promise on one memory buys nothing from another. */
    assert_false(memory_charge(&other, 1001, &reserved, &err));
    assert_int_equal(reserved.bytes, 800);
    assert_true(memory_charge(&memory, 900, &reserved, &err));
    assert_int_equal(reserved.bytes, 0);
    assert_int_equal(memory.held, 900);
    memory_unreserve(&reserved);
    memory_unreserve(&none);
    assert_int_equal(memory.held, 900);
    memory_discharge(&memory, 900);
    assert_int_equal(memory_peak(&memory), 900);
    assert_false(memory_reserve(&memory, UINT64_MAX, &reserved, &err));
}

static void a_block_that_the_system_refuses_costs_no_promise(void **state) {
    (void)state;
    struct memory memory = {0};
    struct reservation reserved;
    struct error err = {0};
    assert_true(memory_reserve(&memory, 5000, &reserved, &err));
    assert_null(memory_alloc_from(&memory, SIZE_MAX / 4, &reserved, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_int_equal(reserved.bytes, 5000);
    assert_int_equal(memory.held, 5000);
    assert_int_equal(memory_live(&memory), 0);
    assert_int_equal(memory_peak(&memory), 0);
    memory_unreserve(&reserved);
    assert_int_equal(memory.held, 0);
}

/* Whatever the kernel makes of it: no byte of the block or beside it changes,
 * and blocks without room for a large page are fine. */
static void large_pages_change_no_byte(void **state) {
    (void)state;
    enum { MANY = 9 << 20 };
    static const size_t sizes[] = {0, 1, 4096, (2 << 20) - 1, 5 << 20, MANY};
    struct memory memory = {0};
    unsigned char *block = memory_alloc(&memory, 1, MANY, NULL);
    assert_non_null(block);
    for (size_t i = 0; i < MANY; i++)
        block[i] = (unsigned char)(i * 2654435761u >> 11);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        memory_large_pages(block, sizes[s]);
    size_t wrong = 0;
    for (size_t i = 0; i < MANY; i++)
        wrong += block[i] != (unsigned char)(i * 2654435761u >> 11);
    assert_int_equal(wrong, 0);
    memory_free(&memory, block);
    assert_int_equal(memory_live(&memory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_count_is_exact),
        cmocka_unit_test(threads_together_keep_below_the_ceiling),
        cmocka_unit_test(a_promise_is_kept_from_others),
        cmocka_unit_test(a_block_that_the_system_refuses_costs_no_promise),
        cmocka_unit_test(large_pages_change_no_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
