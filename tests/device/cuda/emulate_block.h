/* emulate_block.h - the block that is running: its threads, what each of them
 * waits for, and its shared memory. Between emulate.cpp, which runs it, and
 * emulate_collectives.cpp, which says what a warp's lanes get of each other. */

#ifndef TESTS_DEVICE_CUDA_EMULATE_BLOCK_H
#define TESTS_DEVICE_CUDA_EMULATE_BLOCK_H

#include "device/cuda/emulate.h"
#include "device/cuda/emulate_fiber.h"

enum {
    SHARED_BYTES = 256 << 10, /* more than any card has, with what guards it */
    SHARED_STATIC_MAX = 48 << 10,
    SHARED_GUARD = 128,
    SHARED_ARRAYS = 32,
    WARP = 32,
    WARPS_MAX = EMULATE_THREADS_MAX / WARP,
};

enum state { READY, AT_BARRIER, AT_COLLECTIVE, DONE };

struct copy {
    void *to;
    const void *from;
};

struct shared_array {
    const char *key, *name;
    size_t begin, bytes;
};

struct fiber_thread : emulate_thread {
    enum state state;
    struct fiber fiber;
    std::vector<copy> copies;    /* not yet there, oldest first */
    std::vector<size_t> commits; /* how many of them each group ends with */
};

/* One an OS thread, kept between launches: the fibers and shared memory. */
struct emulate_block {
    fiber_thread threads[EMULATE_THREADS_MAX];
    unsigned count, made;
    const struct emulate_launch *launch;
    struct fiber scheduler;
    unsigned char *shared;
    struct shared_array arrays[SHARED_ARRAYS];
    unsigned arrays_count;
    size_t shared_end, shared_used;
    /* shared memory as a warp's first lane saw it when it came to ldmatrix;
       empty: none has come */
    std::vector<unsigned char> seen[WARPS_MAX];
    uint64_t random;
    bool failed;
    char message[512];

    emulate_block();
    ~emulate_block();
    emulate_block(const emulate_block &) = delete;
    emulate_block &operator=(const emulate_block &) = delete;
};

/* The block has failed, in the words of FORMAT; the first failure counts. */
__attribute__((format(printf, 2, 3))) void wrong(emulate_block *block,
                                                 const char *format, ...);

/* Do BYTES at ADDRESS lie in one of the block's shared arrays? */
bool in_shared(const emulate_block *block, const void *address, size_t bytes);

/* Now, of lane THREAD's warp; and when all of its lanes have come. */
const unsigned char *seen_first(const fiber_thread *thread);
void seen_by_all(const fiber_thread *thread);

/* What OFFER, a lane's and so that of all lanes of its mask, gives each of
 * them. LANES are a warp's; those of the mask are all at this collective. */
void collective_resolve(fiber_thread *lanes, const struct emulate_offer *offer);

#endif
