/* emulate_fiber.h - stacks to switch between, and memory with guards, as the
 * sanitizers know them. */

#ifndef TESTS_DEVICE_CUDA_EMULATE_FIBER_H
#define TESTS_DEVICE_CUDA_EMULATE_FIBER_H

#include <cstddef>
#include <ucontext.h>

#if defined __SANITIZE_ADDRESS__
#define EMULATE_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define EMULATE_ASAN 1
#endif
#endif
#if defined __SANITIZE_THREAD__
#define EMULATE_TSAN 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define EMULATE_TSAN 1
#endif
#endif

/* Zeros are a fiber that does not run yet. */
struct fiber {
    void *top;           /* what is saved when it does not run: x86-64's own
                            switch */
    ucontext_t *context; /* other machines */
    void *stack;         /* [FIBER_STACK_BYTES], behind a guard page; of the one
                            that the system made, as ASan told it */
    size_t stack_bytes;
    void *fake; /* ASan's */
    void *tsan;
};

void fiber_here(struct fiber *fiber); /* the caller's own */
void fiber_make(struct fiber *fiber, void (*run)(void));
void fiber_remake(struct fiber *fiber, void (*run)(void));
void fiber_free(struct fiber *fiber);

/* FROM is the running one. */
void fiber_switch(struct fiber *from, struct fiber *to);

/* The first thing a new fiber does, having come from FROM. */
void fiber_arrived(struct fiber *fiber, struct fiber *from);

/* Pages; with ASan, ranges of 8-byte multiples that may not be touched. */
unsigned char *memory_map(size_t bytes);
bool memory_is_guarded(void);
void memory_close(void *memory, size_t bytes);
void memory_open(void *memory, size_t bytes);

#endif
