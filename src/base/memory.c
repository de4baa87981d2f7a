#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, LARGE_PAGE = 2 * 1024 * 1024 };

/* Stands before each block, one alignment unit long. */
struct header {
    size_t bytes;
};

_Static_assert(sizeof(struct header) <= ALIGNMENT, "header fits its slot");

static struct header *header_of(void *block) {
    return (struct header *)((char *)block - ALIGNMENT);
}

static void raise_peak(struct memory *memory, uint64_t live) {
    uint64_t peak = atomic_load_explicit(&memory->peak, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak_explicit(
                              &memory->peak, &peak, live, memory_order_relaxed,
                              memory_order_relaxed)) {
    }
}

/* Take BYTES from below the ceiling, for whatever they are wanted. */
static bool hold(struct memory *memory, uint64_t bytes, struct error *err) {
    uint64_t held = atomic_load_explicit(&memory->held, memory_order_relaxed);
    uint64_t ceiling;
    do {
        ceiling = memory->ceiling;
        if (ceiling && (bytes > ceiling || held > ceiling - bytes))
            return error_set(err, ERROR_MEMORY,
                             "memory ceiling: %" PRIu64 " of %" PRIu64
                             " bytes are in use and %" PRIu64 " more are "
                             "needed; raise --ceiling or lower the budget",
                             held, ceiling, bytes);
    } while (!atomic_compare_exchange_weak_explicit(
        &memory->held, &held, held + bytes, memory_order_relaxed,
        memory_order_relaxed));
    assert(!ceiling || held + bytes <= ceiling);
    return true;
}

static void let_go(struct memory *memory, uint64_t bytes) {
    uint64_t held =
        atomic_fetch_sub_explicit(&memory->held, bytes, memory_order_relaxed);
    assert(held >= bytes);
    (void)held;
}

bool memory_reserve(struct memory *memory, uint64_t bytes,
                    struct reservation *reservation, struct error *err) {
    *reservation = (struct reservation){0};
    if (!hold(memory, bytes, err))
        return false;
    *reservation = (struct reservation){.memory = memory, .bytes = bytes};
    return true;
}

void memory_unreserve(struct reservation *reservation) {
    if (reservation->memory)
        let_go(reservation->memory, reservation->bytes);
    *reservation = (struct reservation){0};
}

/* The part of BYTES that FROM has promised. */
static uint64_t promised(const struct memory *memory, uint64_t bytes,
                         const struct reservation *from) {
    uint64_t all = from && from->memory == memory ? from->bytes : 0;
    return all < bytes ? all : bytes;
}

static void add_live(struct memory *memory, uint64_t bytes) {
    uint64_t live =
        atomic_fetch_add_explicit(&memory->live, bytes, memory_order_relaxed);
    raise_peak(memory, live + bytes);
}

bool memory_charge(struct memory *memory, uint64_t bytes,
                   struct reservation *from, struct error *err) {
    uint64_t part = promised(memory, bytes, from);
    if (!hold(memory, bytes - part, err))
        return false;
    if (part)
        from->bytes -= part;
    add_live(memory, bytes);
    return true;
}

void memory_discharge(struct memory *memory, uint64_t bytes) {
    atomic_fetch_sub_explicit(&memory->live, bytes, memory_order_relaxed);
    let_go(memory, bytes);
}

uint64_t memory_block_bytes(uint64_t bytes) {
    return (bytes + 2 * (uint64_t)ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

void *memory_alloc_from(struct memory *memory, size_t bytes,
                        struct reservation *from, struct error *err) {
    if (bytes > SIZE_MAX - 2 * (size_t)ALIGNMENT) {
        error_set(err, ERROR_MEMORY, "%zu bytes cannot be addressed", bytes);
        return NULL;
    }
    /* aligned_alloc wants a multiple of the alignment. */
    size_t whole = memory_block_bytes(bytes);
    uint64_t part = promised(memory, whole, from);
    if (!hold(memory, whole - part, err))
        return NULL;
    char *base = aligned_alloc(ALIGNMENT, whole);
    if (!base) {
        let_go(memory, whole - part);
        error_set(err, ERROR_MEMORY,
                  "the system has no %zu bytes left: other programs hold "
                  "them, or a limit (ulimit -v) does",
                  whole);
        return NULL;
    }
    if (part)
        from->bytes -= part;
    add_live(memory, whole);
    atomic_fetch_add_explicit(&memory->allocations, 1, memory_order_relaxed);
    ((struct header *)base)->bytes = whole;
    return base + ALIGNMENT;
}

void *memory_alloc(struct memory *memory, size_t count, size_t size,
                   struct error *err) {
    size_t bytes;
    if (size_multiply(count, size, &bytes))
        return memory_alloc_from(memory, bytes, NULL, err);
    error_set(err, ERROR_MEMORY, "%zu x %zu bytes cannot be addressed", count,
              size);
    return NULL;
}

void *memory_zalloc(struct memory *memory, size_t count, size_t size,
                    struct error *err) {
    void *block = memory_alloc(memory, count, size, err);
    if (block)
        memset(block, 0, count * size);
    return block;
}

void memory_large_pages(void *block, size_t bytes) {
    const uintptr_t mask = ~(uintptr_t)(LARGE_PAGE - 1);
    uintptr_t begin = ((uintptr_t)block + LARGE_PAGE - 1) & mask;
    uintptr_t end = ((uintptr_t)block + bytes) & mask;
    if (end > begin) /* a kernel that has none refuses, and nothing is lost */
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

void *memory_resize(struct memory *memory, void *block, size_t count,
                    size_t size, struct error *err) {
    void *bigger = memory_alloc(memory, count, size, err);
    if (!bigger || !block)
        return bigger;
    size_t old = header_of(block)->bytes - ALIGNMENT;
    memcpy(bigger, block, old < count * size ? old : count * size);
    memory_free(memory, block);
    return bigger;
}

void memory_free(struct memory *memory, void *block) {
    if (!block)
        return;
    memory_discharge(memory, header_of(block)->bytes);
    free(header_of(block));
}

void memory_restart_peak(struct memory *memory) {
    atomic_store_explicit(&memory->peak, memory_live(memory),
                          memory_order_relaxed);
}

uint64_t memory_live(const struct memory *memory) {
    return atomic_load_explicit(&memory->live, memory_order_relaxed);
}

uint64_t memory_peak(const struct memory *memory) {
    return atomic_load_explicit(&memory->peak, memory_order_relaxed);
}

struct process_memory process_memory_now(void) {
    struct process_memory now = {0};
    FILE *status = fopen("/proc/self/status", "re");
    if (!status)
        return now;
    char line[256];
    while (fgets(line, sizeof line, status)) {
        uint64_t kib;
        if (sscanf(line, "VmHWM: %" SCNu64, &kib) == 1)
            now.resident_peak = kib * 1024;
        else if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1)
            now.resident = kib * 1024;
        else if (sscanf(line, "RssAnon: %" SCNu64, &kib) == 1)
            now.anonymous = kib * 1024;
        else if (sscanf(line, "RssFile: %" SCNu64, &kib) == 1)
            now.file = kib * 1024;
    }
    fclose(status);
    return now;
}
