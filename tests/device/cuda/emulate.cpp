/* emulate.cpp - fibers, shared memory, barriers and the order; see emulate.h.
 */

#include "device/cuda/emulate_block.h"

#include <cstdarg>
#include <memory>
#include <sys/mman.h>

EMULATE_TLS unsigned emulate_order = 2;
EMULATE_TLS unsigned emulate_features;
EMULATE_TLS struct emulate_thread *emulate_now;
EMULATE_TLS struct emulate_grid emulate_grid_now;

void wrong(emulate_block *block, const char *format, ...) {
    if (block->failed)
        return;
    block->failed = true;
    int length = snprintf(block->message, sizeof block->message,
                          "%s, block (%u, %u): ", block->launch->name,
                          emulate_grid_now.block.x, emulate_grid_now.block.y);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(block->message + length, sizeof block->message - (size_t)length,
              format, arguments);
    va_end(arguments);
}

bool in_shared(const emulate_block *block, const void *address, size_t bytes) {
    uintptr_t at = (uintptr_t)address, begin = (uintptr_t)block->shared;
    for (unsigned i = 0; i < block->arrays_count; i++) {
        const struct shared_array *array = &block->arrays[i];
        uintptr_t first = begin + array->begin;
        if (at >= first && at + bytes <= first + array->bytes)
            return true;
    }
    return false;
}

namespace {

/* Not the block itself: what a library opened late has of thread_local memory
 * must be small. */
thread_local std::unique_ptr<emulate_block> held;

emulate_block *the_block() {
    if (!held)
        held.reset(new emulate_block);
    return held.get();
}

fiber_thread *now() {
    return static_cast<fiber_thread *>(emulate_now);
}

/* ---- fibers ---- */

void wait_as(enum state state, struct emulate_place place) {
    fiber_thread *thread = now();
    thread->offer.place = place;
    thread->state = state;
    fiber_switch(&thread->fiber, &thread->block->scheduler);
}

/* A fiber serves one thread after another, and so is made once. */
[[noreturn]] void fiber_main(void) {
    fiber_arrived(&now()->fiber, &now()->block->scheduler);
    for (;;) {
        fiber_thread *thread = now();
        const struct emulate_launch *launch = thread->block->launch;
        launch->call(launch->kernel, launch->params);
        wait_as(DONE, {"", 0});
    }
}

void resume(fiber_thread *thread) {
    emulate_now = thread;
    fiber_switch(&thread->block->scheduler, &thread->fiber);
}

void threads_make(emulate_block *block) {
    for (; block->made < block->count; block->made++)
        fiber_make(&block->threads[block->made].fiber, fiber_main);
}

/* After a failure fibers stand in the middle of the kernel. */
void threads_make_anew(emulate_block *block) {
    for (unsigned i = 0; i < block->made; i++)
        fiber_remake(&block->threads[i].fiber, fiber_main);
}

/* ---- shared memory ---- */

struct shared_array *shared_add(emulate_block *block, const char *key,
                                const char *name, size_t bytes) {
    size_t place = (bytes + SHARED_GUARD - 1) / SHARED_GUARD * SHARED_GUARD;
    if (block->arrays_count == SHARED_ARRAYS ||
        block->shared_end + place + SHARED_GUARD > SHARED_BYTES) {
        wrong(block, "shared memory is full at %s (%zu bytes)", name, bytes);
        return nullptr;
    }
    struct shared_array *array = &block->arrays[block->arrays_count++];
    *array = {key, name, block->shared_end, bytes};
    block->shared_used += bytes;
    unsigned char *memory = block->shared + array->begin;
    memory_open(memory, bytes);
    memset(memory, 0xff, bytes);
    block->shared_end += place + SHARED_GUARD;
    if (!memory_is_guarded())
        memset(memory + bytes, 0x5a, block->shared_end - array->begin - bytes);
    return array;
}

void shared_begin(emulate_block *block) {
    memory_close(block->shared, SHARED_BYTES);
    block->arrays_count = 0;
    block->shared_end = SHARED_GUARD;
    block->shared_used = 0;
    shared_add(block, nullptr, "SHARED_DYNAMIC", block->launch->shared_bytes);
}

/* Without ASan, what was written behind an array is seen here. */
void shared_check(emulate_block *block) {
    if (memory_is_guarded())
        return;
    for (unsigned i = 0; i < block->arrays_count; i++) {
        struct shared_array *array = &block->arrays[i];
        size_t end = i + 1 < block->arrays_count ? block->arrays[i + 1].begin
                                                 : block->shared_end;
        for (size_t at = array->begin + array->bytes; at < end; at++)
            if (block->shared[at] != 0x5a) {
                wrong(block,
                      "%s [%zu bytes] was written behind its end, at "
                      "byte %zu",
                      array->name, array->bytes, at - array->begin);
                return;
            }
    }
    size_t used = block->shared_used - block->launch->shared_bytes;
    if (used > SHARED_STATIC_MAX)
        wrong(block, "%zu bytes of static shared memory, and a card has 49,152",
              used);
}

/* ---- a warp ---- */

bool place_same(const struct emulate_place *a, const struct emulate_place *b) {
    return a->line == b->line &&
           (a->file == b->file || strcmp(a->file, b->file) == 0);
}

/* The first lane of OFFER's mask that is not at the same collective, WARP when
 * all are. */
unsigned missing(const fiber_thread *lanes, unsigned lanes_count,
                 const struct emulate_offer *offer) {
    for (unsigned i = 0; i < WARP; i++) {
        if (!(offer->mask >> i & 1))
            continue;
        if (i >= lanes_count || lanes[i].state != AT_COLLECTIVE ||
            lanes[i].offer.kind != offer->kind ||
            lanes[i].offer.mask != offer->mask ||
            !place_same(&lanes[i].offer.place, &offer->place))
            return i;
    }
    return WARP;
}

/* Complete what can be: true when some lanes may go on. */
bool warp_resolve(emulate_block *block, unsigned warp) {
    fiber_thread *lanes = &block->threads[warp * WARP];
    unsigned count = block->count - warp * WARP;
    bool any = false;
    for (unsigned i = 0; i < WARP && i < count; i++) {
        if (lanes[i].state != AT_COLLECTIVE ||
            missing(lanes, count, &lanes[i].offer) != WARP)
            continue;
        collective_resolve(lanes, &lanes[i].offer);
        for (unsigned mask = lanes[i].offer.mask, j = 0; j < WARP; j++)
            if (mask >> j & 1)
                lanes[j].state = READY;
        any = true;
    }
    return any;
}

/* ---- the order ---- */

uint64_t random_next(emulate_block *block) {
    block->random ^= block->random << 13;
    block->random ^= block->random >> 7;
    block->random ^= block->random << 17;
    return block->random;
}

/* Let the ready lanes of a warp run, once each; BACKWARDS from the last one,
 * or with RANDOM from any and about half of them. */
bool warp_step(emulate_block *block, unsigned warp, bool backwards,
               bool random) {
    fiber_thread *lanes = &block->threads[warp * WARP];
    unsigned count = block->count - warp * WARP;
    if (count > WARP)
        count = WARP;
    unsigned turn = random ? (unsigned)(random_next(block) % count) : 0;
    uint64_t skip = random ? random_next(block) : 0;
    bool any = false;
    for (unsigned i = 0; i < count && !block->failed; i++) {
        unsigned lane = (backwards ? count - 1 - i : i) + turn;
        lane = lane < count ? lane : lane - count;
        if (lanes[lane].state != READY)
            continue;
        any = true;
        if (!(skip >> lane & 1))
            resume(&lanes[lane]);
    }
    return any;
}

/* One round over all warps: true when any thread could go on. */
bool block_step(emulate_block *block, unsigned order) {
    unsigned warps = (block->count + WARP - 1) / WARP;
    bool random = order >= 4, backwards = order % 2 == 1, any = false;
    unsigned turn = random ? (unsigned)(random_next(block) % warps) : 0;
    for (unsigned i = 0; i < warps && !block->failed; i++) {
        unsigned warp = ((backwards ? warps - 1 - i : i) + turn) % warps;
        bool more = true;
        while (more && !block->failed) {
            more = warp_step(block, warp, backwards, random);
            more |= warp_resolve(block, warp);
            any |= more;
            more &= order >= 2 && (!random || random_next(block) % 2);
        }
    }
    return any;
}

void describe(const fiber_thread *thread, char *text, size_t bytes) {
    if (thread->state == DONE)
        snprintf(text, bytes, "thread %u has returned", thread->index.x);
    else
        snprintf(text, bytes, "thread %u waits at %s:%d (%s)", thread->index.x,
                 thread->offer.place.file, thread->offer.place.line,
                 thread->state == AT_BARRIER ? "__syncthreads"
                                             : "a collective of its warp");
}

void diverged(emulate_block *block, const fiber_thread *one,
              const fiber_thread *other) {
    char text[2][224];
    describe(one, text[0], sizeof text[0]);
    describe(other, text[1], sizeof text[1]);
    wrong(block, "divergent: %s, while %s", text[0], text[1]);
}

void collective_stuck(emulate_block *block, const fiber_thread *thread) {
    unsigned first = thread->index.x - thread->lane;
    const fiber_thread *lanes = &block->threads[first];
    unsigned lane = missing(lanes, block->count - first, &thread->offer);
    if (first + lane < block->count)
        diverged(block, thread, &lanes[lane]);
    else
        wrong(block,
              "divergent: %s:%d waits for lane %u, which the block lacks",
              thread->offer.place.file, thread->offer.place.line, lane);
}

/* Nobody is ready: all are done, or all stand at one barrier, or it is an
 * error. True: the block goes on. */
bool barrier_open(emulate_block *block) {
    fiber_thread *first = &block->threads[0];
    for (unsigned i = 0; i < block->count; i++)
        if (block->threads[i].state == AT_COLLECTIVE) {
            collective_stuck(block, &block->threads[i]);
            return false;
        }
    for (unsigned i = 1; i < block->count; i++) {
        fiber_thread *thread = &block->threads[i];
        if (thread->state == first->state &&
            (thread->state == DONE ||
             place_same(&thread->offer.place, &first->offer.place)))
            continue;
        diverged(block, first, thread);
        return false;
    }
    for (unsigned i = 0; i < block->count && first->state != DONE; i++)
        block->threads[i].state = READY;
    return first->state == READY;
}

void block_begin(emulate_block *block) {
    for (unsigned i = 0; i < block->count; i++) {
        fiber_thread *thread = &block->threads[i];
        thread->index = {i, 0, 0};
        thread->lane = i % WARP;
        thread->block = block;
        thread->state = READY;
        thread->copies.clear();
        thread->commits.clear();
    }
    for (std::vector<unsigned char> &seen : block->seen)
        seen.clear();
    shared_begin(block);
}

void block_run(emulate_block *block, unsigned x, unsigned y) {
    unsigned order = emulate_order;
    emulate_grid_now.block = {x, y, 0};
    block->random = 0x9e3779b97f4a7c15u * (order + 1) + x + ((uint64_t)y << 32);
    block_begin(block);
    do {
        while (!block->failed && block_step(block, order)) {
        }
    } while (!block->failed && barrier_open(block));
    if (!block->failed)
        shared_check(block);
}

} // namespace

emulate_block::emulate_block()
    : threads(), count(0), made(0), launch(nullptr), scheduler(),
      shared(memory_map(SHARED_BYTES)), arrays(), arrays_count(0),
      shared_end(0), shared_used(0), random(0), failed(false), message() {
    fiber_here(&scheduler);
}

emulate_block::~emulate_block() {
    for (unsigned i = 0; i < made; i++)
        fiber_free(&threads[i].fiber);
    memory_open(shared, SHARED_BYTES);
    munmap(shared, SHARED_BYTES);
}

const unsigned char *seen_first(const fiber_thread *thread) {
    const emulate_block *block = thread->block;
    std::vector<unsigned char> &seen =
        thread->block->seen[thread->index.x / WARP];
    if (!seen.empty())
        return seen.data();
    seen.resize(block->shared_end);
    for (unsigned i = 0; i < block->arrays_count; i++) {
        const struct shared_array *array = &block->arrays[i];
        memcpy(seen.data() + array->begin, block->shared + array->begin,
               array->bytes);
    }
    return seen.data();
}

void seen_by_all(const fiber_thread *thread) {
    thread->block->seen[thread->index.x / WARP].clear();
}

/* ---- what kernels call ---- */

void emulate_barrier(struct emulate_place place) {
    wait_as(AT_BARRIER, place);
}

void emulate_collective(int kind, unsigned mask, struct emulate_place place) {
    struct emulate_offer *offer = &emulate_now->offer;
    offer->kind = kind;
    offer->mask = mask;
    if (!(mask >> emulate_now->lane & 1))
        emulate_fail(place, "a lane is not in its own mask");
    wait_as(AT_COLLECTIVE, place);
}

void emulate_ldmatrix(int kind, unsigned *r, const void *shared,
                      struct emulate_place place) {
    struct emulate_offer *offer = &emulate_now->offer;
    if ((uintptr_t)shared % 16 ||
        !in_shared(emulate_now->block, shared, sizeof offer->row))
        emulate_fail(place, "an address for ldmatrix that is not a multiple of "
                            "16 in shared memory");
    const void *from = shared;
    if (emulate_order == EMULATE_ORDERS - 1)
        from = seen_first(now()) +
               ((const unsigned char *)shared - emulate_now->block->shared);
    memcpy(offer->row, from, sizeof offer->row);
    offer->registers = r;
    emulate_collective(kind, 0xffffffffu, place);
}

void emulate_fail(struct emulate_place place, const char *what) {
    wrong(emulate_now->block, "%s:%d: thread %u: %s", place.file, place.line,
          emulate_now->index.x, what);
    for (;;) /* it is never resumed */
        wait_as(AT_BARRIER, place);
}

void *emulate_shared(const char *key, const char *name, size_t bytes) {
    emulate_block *block = emulate_now->block;
    for (unsigned i = 1; i < block->arrays_count; i++)
        if (block->arrays[i].key == key)
            return block->shared + block->arrays[i].begin;
    struct shared_array *array = shared_add(block, key, name, bytes);
    if (!array)
        emulate_fail({"SHARED", 0}, "there is no room");
    return block->shared + array->begin;
}

void *emulate_shared_dynamic(void) {
    emulate_block *block = emulate_now->block;
    return block->shared + block->arrays[0].begin;
}

size_t emulate_shared_used(void) {
    return the_block()->shared_used;
}

static void copy_do(struct copy copy) {
    if (copy.from)
        memcpy(copy.to, copy.from, 16);
    else
        memset(copy.to, 0, 16);
}

/* What is under way is NaN, for readers who are early and those who are late.
 */
void emulate_copy16(void *shared, const void *global, bool late,
                    struct emulate_place place) {
    if ((uintptr_t)shared % 16 || (uintptr_t)global % 16)
        emulate_fail(place, "copy16_async of an address that is not a multiple "
                            "of 16");
    if (!in_shared(emulate_now->block, shared, 16))
        emulate_fail(place, "copy16_async to an address outside of shared "
                            "memory");
    if (!late) {
        copy_do({shared, global});
        return;
    }
    memset(shared, 0xff, 16);
    now()->copies.push_back({shared, global});
}

void emulate_copy_commit(void) {
    now()->commits.push_back(now()->copies.size());
}

void emulate_copy_wait(unsigned newest) {
    fiber_thread *thread = now();
    if (thread->commits.size() <= newest)
        return;
    size_t groups = thread->commits.size() - newest;
    size_t count = thread->commits[groups - 1];
    for (size_t i = 0; i < count; i++)
        copy_do(thread->copies[i]);
    thread->copies.erase(thread->copies.begin(),
                         thread->copies.begin() + (ptrdiff_t)count);
    thread->commits.erase(thread->commits.begin(),
                          thread->commits.begin() + (ptrdiff_t)groups);
    for (size_t &commit : thread->commits)
        commit -= count;
}

const char *emulate_run(const struct emulate_launch *launch) {
    emulate_block *block = the_block();
    block->launch = launch;
    block->failed = false;
    block->count = launch->threads;
    emulate_grid_now.blocks = {launch->grid_x, launch->grid_y, 1};
    emulate_grid_now.threads = {launch->threads, 1, 1};
    if (!launch->threads || launch->threads > EMULATE_THREADS_MAX ||
        !launch->grid_x || !launch->grid_y) {
        wrong(block, "a launch of %u threads on %u x %u blocks",
              launch->threads, launch->grid_x, launch->grid_y);
        return block->message;
    }
    threads_make(block);
    uint64_t blocks = (uint64_t)launch->grid_x * launch->grid_y;
    for (uint64_t i = 0; i < blocks && !block->failed; i++) {
        uint64_t at = emulate_order % 2 ? blocks - 1 - i : i;
        block_run(block, (unsigned)(at % launch->grid_x),
                  (unsigned)(at / launch->grid_x));
    }
    emulate_now = nullptr;
    if (!block->failed)
        return nullptr;
    threads_make_anew(block);
    return block->message;
}
