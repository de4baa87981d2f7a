/* emulate_fiber.cpp - see emulate_fiber.h. */

#include "device/cuda/emulate_fiber.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

#ifdef EMULATE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef EMULATE_TSAN
#include <sanitizer/tsan_interface.h>
#endif

enum { FIBER_STACK_BYTES = 256 << 10, GUARD_BYTES = 4096 };

unsigned char *memory_map(size_t bytes) {
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("emulate: mmap");
        abort();
    }
    return static_cast<unsigned char *>(memory);
}

#ifdef EMULATE_ASAN
bool memory_is_guarded(void) {
    return true;
}
void memory_close(void *memory, size_t bytes) {
    __asan_poison_memory_region(memory, bytes);
}
void memory_open(void *memory, size_t bytes) {
    __asan_unpoison_memory_region(memory, bytes);
}
#else
bool memory_is_guarded(void) {
    return false;
}
void memory_close(void *, size_t) {
}
void memory_open(void *, size_t) {
}
#endif

#if defined __x86_64__

/* The registers that a function must keep go to the stack; the rest is the
 * compiler's care, since this is a call. */
extern "C" void emulate_switch(void **save, void *to);
asm(R"(
    .text
    .type emulate_switch, @function
    .hidden emulate_switch
    .globl emulate_switch
emulate_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulate_switch, . - emulate_switch
)");

/* At its entry a function finds the stack 8 bytes off a multiple of 16. */
static void stack_prepare(struct fiber *fiber, void (*run)(void)) {
    char *end = static_cast<char *>(fiber->stack) + fiber->stack_bytes;
    void **top = reinterpret_cast<void **>(end) - 10;
    for (int i = 0; i < 10; i++)
        top[i] = nullptr;
    top[6] = reinterpret_cast<void *>(run); /* what `ret` takes */
    fiber->top = top;
}

static void stack_switch(struct fiber *from, struct fiber *to) {
    emulate_switch(&from->top, to->top);
}

#else

static void stack_prepare(struct fiber *fiber, void (*run)(void)) {
    if (!fiber->context)
        fiber->context = new ucontext_t;
    getcontext(fiber->context);
    fiber->context->uc_stack.ss_sp = fiber->stack;
    fiber->context->uc_stack.ss_size = fiber->stack_bytes;
    fiber->context->uc_link = nullptr;
    makecontext(fiber->context, run, 0);
}

static void stack_switch(struct fiber *from, struct fiber *to) {
    if (!from->context)
        from->context = new ucontext_t;
    swapcontext(from->context, to->context);
}

#endif

void fiber_here(struct fiber *fiber) {
    *fiber = {};
#ifdef EMULATE_TSAN
    fiber->tsan = __tsan_get_current_fiber();
#endif
}

void fiber_make(struct fiber *fiber, void (*run)(void)) {
    *fiber = {};
    unsigned char *memory = memory_map(GUARD_BYTES + FIBER_STACK_BYTES);
    mprotect(memory, GUARD_BYTES, PROT_NONE);
    fiber->stack = memory + GUARD_BYTES;
    fiber->stack_bytes = FIBER_STACK_BYTES;
#ifdef EMULATE_TSAN
    fiber->tsan = __tsan_create_fiber(0);
#endif
    stack_prepare(fiber, run);
}

/* Frames of functions that never returned are forgotten. */
void fiber_remake(struct fiber *fiber, void (*run)(void)) {
    memory_open(fiber->stack, fiber->stack_bytes);
    fiber->fake = nullptr;
#ifdef EMULATE_TSAN
    __tsan_destroy_fiber(fiber->tsan);
    fiber->tsan = __tsan_create_fiber(0);
#endif
    stack_prepare(fiber, run);
}

void fiber_free(struct fiber *fiber) {
    memory_open(fiber->stack, fiber->stack_bytes);
#ifdef EMULATE_TSAN
    __tsan_destroy_fiber(fiber->tsan);
#endif
    delete fiber->context;
    munmap(static_cast<char *>(fiber->stack) - GUARD_BYTES,
           GUARD_BYTES + fiber->stack_bytes);
    *fiber = {};
}

void fiber_switch(struct fiber *from, struct fiber *to) {
#ifdef EMULATE_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->stack, to->stack_bytes);
#endif
#ifdef EMULATE_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    stack_switch(from, to);
#ifdef EMULATE_ASAN
    __sanitizer_finish_switch_fiber(from->fake, nullptr, nullptr);
#endif
}

void fiber_arrived(struct fiber *fiber, struct fiber *from) {
#ifdef EMULATE_ASAN
    const void *stack;
    size_t bytes;
    __sanitizer_finish_switch_fiber(fiber->fake, &stack, &bytes);
    from->stack = const_cast<void *>(stack);
    from->stack_bytes = bytes;
#else
    (void)fiber;
    (void)from;
#endif
}
