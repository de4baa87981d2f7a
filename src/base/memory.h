/* memory.h - counted memory under a ceiling.
 *
 * Everything that a run holds is taken here, so that "how much do we have, how
 * much was it at most" has an answer, and so that a request past the ceiling
 * fails as an error with numbers and not as a killed process.
 *
 *     struct memory memory = {.ceiling = bytes};
 *     float *rows = memory_alloc(&memory, count, sizeof *rows, err);
 *     ...
 *     memory_free(&memory, rows);
 *
 * Blocks are aligned to 64 bytes. Safe from several threads. What libraries
 * take for themselves (jansson, libcrypto) and mapped files are not counted
 * here; the plan carries them as lines of their own.
 */

#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct memory {
    _Atomic uint64_t held;        /* live, and what is reserved besides */
    _Atomic uint64_t live;        /* bytes taken and not given back */
    _Atomic uint64_t peak;        /* the most that live ever was */
    _Atomic uint64_t allocations; /* calls that took memory, ever */
    _Atomic uint64_t ceiling;     /* held never passes it; 0: no ceiling */
};

/* A promise of bytes to somebody who has not taken them yet: nobody else can.
 * {0} promises nothing. */
struct reservation {
    struct memory *memory;
    uint64_t bytes; /* promised and not yet taken */
};

/* COUNT x SIZE bytes, not initialised; NULL and ERROR_MEMORY when the product
 * overflows, the ceiling forbids it or the system has none. A product of 0
 * gives a valid pointer. */
void *memory_alloc(struct memory *memory, size_t count, size_t size,
                   struct error *err);

/* The same, zeroed. */
void *memory_zalloc(struct memory *memory, size_t count, size_t size,
                    struct error *err);

/* Tell the kernel that BYTES at BLOCK are all going to be written, and read
 * often: it gives large pages where it can. One of them is one page fault
 * instead of hundreds, and what reads through it asks for fewer addresses.
 * Memory that would stay unwritten is not meant: it would count as ours. */
void memory_large_pages(void *block, size_t bytes);

/* BLOCK (NULL allowed) resized; on failure NULL, and BLOCK is as it was. */
void *memory_resize(struct memory *memory, void *block, size_t count,
                    size_t size, struct error *err);

/* NULL is fine. MEMORY must be the one that BLOCK was taken from. */
void memory_free(struct memory *memory, void *block);

/* Promise BYTES; ERROR_MEMORY if the ceiling leaves fewer. RESERVATION is used
 * by one thread at a time. */
bool memory_reserve(struct memory *memory, uint64_t bytes,
                    struct reservation *reservation, struct error *err);
/* Give back what was not taken. {0} is fine. */
void memory_unreserve(struct reservation *reservation);

/* Count BYTES as live without taking memory: for memory that lies elsewhere (a
 * card's). They come from FROM (NULL allowed) as far as it goes, the rest from
 * below the ceiling. memory_discharge ends it. */
bool memory_charge(struct memory *memory, uint64_t bytes,
                   struct reservation *from, struct error *err);
void memory_discharge(struct memory *memory, uint64_t bytes);

/* memory_alloc of BYTES out of a reservation (NULL allowed). */
void *memory_alloc_from(struct memory *memory, size_t bytes,
                        struct reservation *from, struct error *err);

/* Bytes that memory_alloc counts for a block of BYTES: what a plan adds up. */
uint64_t memory_block_bytes(uint64_t bytes);

/* Let the peak begin anew from what is live. */
void memory_restart_peak(struct memory *memory);

uint64_t memory_live(const struct memory *memory);
uint64_t memory_peak(const struct memory *memory);

/* a x b into *PRODUCT, false on overflow. For sizes that come from files. */
static inline bool size_multiply(size_t a, size_t b, size_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}

/* What the kernel says of this process, from /proc/self/status, in bytes:
 * the resident set's high-water mark, the resident set now, and its anonymous
 * part. 0 where the kernel does not say. */
struct process_memory {
    uint64_t resident_peak; /* VmHWM */
    uint64_t resident;      /* VmRSS */
    uint64_t anonymous;     /* RssAnon */
    uint64_t file;          /* RssFile */
};
struct process_memory process_memory_now(void);

#endif
