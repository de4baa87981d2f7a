/* fake_driver.cpp - libcuda.so.1 without a card: devices, contexts, memory,
 * streams and events; fake_modules.cpp has the kernels. See fake_cuda.h. */

#include "device/cuda/fake_driver.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

static thread_local cu_context current;

/* ---- control ---- */

static const char *set_locked(const char *text) {
    system_state fresh;
    for (const card &c : the_system.cards)
        if (c.retained)
            return "a context is still live";
    const char *wrong = script_read(text, &fresh);
    if (wrong)
        return wrong;
    if (fresh.cards.empty())
        fresh.cards.emplace_back();
    for (size_t i = 0; i < fresh.cards.size(); i++)
        fresh.cards[i].ordinal = (int)i;
    std::swap(the_system, fresh);
    return nullptr;
}

EXPORT const char *fake_cuda_set(const char *text) {
    std::lock_guard<std::mutex> hold(everything);
    current = nullptr;
    return set_locked(text);
}

EXPORT void fake_cuda_count(int ordinal, fake_cuda_counters *counters) {
    std::lock_guard<std::mutex> hold(everything);
    *counters = {};
    if (ordinal >= 0 && (size_t)ordinal < the_system.cards.size()) {
        card *card = &the_system.cards[(size_t)ordinal];
        *counters = card->counters;
        counters->contexts = card->retained;
    }
}

/* ---- handles ---- */

template <class T> struct live_handles {
    std::set<T *> all;
    T *add(T *handle) {
        all.insert(handle);
        return handle;
    }
    bool has(T *handle) const {
        return all.count(handle) != 0;
    }
};

static live_handles<cu_stream_s> streams;
static live_handles<cu_event_s> events;

/* Takes `everything`, and finds the calling thread's card. */
struct call {
    std::unique_lock<std::mutex> hold{everything};
    struct card *card = current ? current->card : nullptr;
    int result = !the_system.ready          ? RESULT_NOT_INITIALIZED
                 : !card || !card->retained ? RESULT_INVALID_CONTEXT
                                            : card->error;
};

#define BEGIN                                                                  \
    call in;                                                                   \
    if (in.result)                                                             \
        return in.result;                                                      \
    card *card = in.card;                                                      \
    (void)card

struct card *driver_card(void) {
    return current ? current->card : nullptr;
}

int driver_stream(struct card *card, cu_stream stream) {
    return streams.has(stream) && stream->card == card ? 0
                                                       : RESULT_INVALID_HANDLE;
}

/* ---- devices ---- */

static int read_environment(void) {
    const char *path = getenv("FAKE_CUDA");
    std::stringstream text;
    if (path) {
        std::ifstream file(path);
        if (!file)
            return RESULT_NOT_INITIALIZED;
        text << file.rdbuf();
    }
    const char *wrong = set_locked(text.str().c_str());
    if (wrong)
        fprintf(stderr, "FAKE_CUDA %s: %s\n", path ? path : "", wrong);
    return wrong ? RESULT_NOT_INITIALIZED : 0;
}

EXPORT cu_result cuInit(unsigned flags) {
    std::lock_guard<std::mutex> hold(everything);
    int result = the_system.cards.empty() ? read_environment() : 0;
    if (flags || result)
        return result ? result : RESULT_INVALID_VALUE;
    the_system.ready = true;
    return the_system.cards[0].memory ? 0 : CU_NO_DEVICE;
}

EXPORT cu_result cuDriverGetVersion(int *version) {
    std::lock_guard<std::mutex> hold(everything);
    if (the_system.cards.empty() && read_environment())
        return RESULT_NOT_INITIALIZED;
    *version = the_system.driver;
    return 0;
}

static const struct {
    int result;
    const char *name, *text;
} RESULTS[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE",
     "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE",
     "uncorrectable ECC error encountered"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {712, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED",
     "part or all of the requested memory range is already mapped"},
    {713, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED",
     "pointer does not correspond to a registered memory region"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

EXPORT cu_result cuGetErrorName(cu_result result, const char **name) {
    *name = nullptr;
    for (const auto &r : RESULTS)
        if (r.result == result)
            *name = r.name;
    return *name ? 0 : RESULT_INVALID_VALUE;
}

EXPORT cu_result cuGetErrorString(cu_result result, const char **text) {
    *text = nullptr;
    for (const auto &r : RESULTS)
        if (r.result == result)
            *text = r.text;
    return *text ? 0 : RESULT_INVALID_VALUE;
}

EXPORT cu_result cuDeviceGetCount(int *count) {
    std::lock_guard<std::mutex> hold(everything);
    if (!the_system.ready)
        return RESULT_NOT_INITIALIZED;
    *count = (int)the_system.cards.size();
    return 0;
}

/* The card, or NULL; with `everything` held. */
static card *at(int ordinal) {
    return the_system.ready && ordinal >= 0 &&
                   (size_t)ordinal < the_system.cards.size()
               ? &the_system.cards[(size_t)ordinal]
               : nullptr;
}

EXPORT cu_result cuDeviceGet(cu_device *device, int ordinal) {
    std::lock_guard<std::mutex> hold(everything);
    *device = ordinal;
    return at(ordinal) ? 0 : RESULT_INVALID_DEVICE;
}

EXPORT cu_result cuDeviceGetName(char *name, int bytes, cu_device device) {
    std::lock_guard<std::mutex> hold(everything);
    if (!at(device) || bytes <= 0)
        return RESULT_INVALID_DEVICE;
    snprintf(name, (size_t)bytes, "%s", at(device)->name.c_str());
    return 0;
}

EXPORT cu_result cuDeviceGetUuid_v2(cu_uuid *uuid, cu_device device) {
    std::lock_guard<std::mutex> hold(everything);
    if (!at(device))
        return RESULT_INVALID_DEVICE;
    memcpy(uuid->bytes, "fake card number", 16);
    uuid->bytes[15] = (char)device;
    return 0;
}

EXPORT cu_result cuDeviceTotalMem_v2(size_t *bytes, cu_device device) {
    std::lock_guard<std::mutex> hold(everything);
    if (!at(device))
        return RESULT_INVALID_DEVICE;
    *bytes = at(device)->memory;
    return 0;
}

unsigned driver_shared_most(int capability) {
    switch (capability) {
    case 75:
        return 64 << 10;
    case 80:
    case 87:
        return 163 << 10;
    case 86:
    case 89:
    case 120:
        return 99 << 10;
    default:
        return 227 << 10;
    }
}

EXPORT cu_result cuDeviceGetAttribute(int *value, int attribute,
                                      cu_device device) {
    std::lock_guard<std::mutex> hold(everything);
    card *card = at(device);
    if (!card)
        return RESULT_INVALID_DEVICE;
    switch (attribute) {
    case CU_ATTRIBUTE_MULTIPROCESSORS:
        *value = card->multiprocessors;
        return 0;
    case CU_ATTRIBUTE_CAPABILITY_MAJOR:
        *value = card->capability / 10;
        return 0;
    case CU_ATTRIBUTE_CAPABILITY_MINOR:
        *value = card->capability % 10;
        return 0;
    case CU_ATTRIBUTE_SHARED_BYTES_OPTIN:
        *value = (int)driver_shared_most(card->capability);
        return 0;
    default:
        fprintf(stderr, "fake driver: attribute %d is not known\n", attribute);
        return RESULT_INVALID_VALUE;
    }
}

/* ---- contexts ---- */

EXPORT cu_result cuDevicePrimaryCtxRetain(cu_context *context,
                                          cu_device device) {
    static std::map<card *, cu_context_s> contexts;
    std::lock_guard<std::mutex> hold(everything);
    card *card = at(device);
    if (!card)
        return RESULT_INVALID_DEVICE;
    if (card->error)
        return card->error;
    if (card->closed)
        return CU_DEVICE_UNAVAILABLE;
    if (!card->retained && card->context > card_free(card))
        return CU_OUT_OF_MEMORY;
    if (!card->retained)
        card_used(card, card->context);
    card->retained++;
    contexts[card].card = card;
    *context = &contexts[card];
    return 0;
}

/* What is left in it stays in the counters. */
EXPORT cu_result cuDevicePrimaryCtxRelease_v2(cu_device device) {
    std::lock_guard<std::mutex> hold(everything);
    card *card = at(device);
    if (!card || !card->retained)
        return RESULT_INVALID_CONTEXT;
    if (--card->retained)
        return card->error;
    fake_cuda_counters counters = card->counters;
    while (!card->blocks.empty())
        card_release(card, card->blocks.begin()->first);
    card->counters = counters;
    card->used = 0;
    return card->error;
}

EXPORT cu_result cuCtxSetCurrent(cu_context context) {
    std::lock_guard<std::mutex> hold(everything);
    current = context;
    return context && !context->card->retained ? RESULT_INVALID_CONTEXT : 0;
}

/* ---- memory ---- */

EXPORT cu_result cuMemGetInfo_v2(size_t *bytes_free, size_t *bytes_total) {
    BEGIN;
    *bytes_free = card_free(card);
    *bytes_total = card->memory;
    return 0;
}

EXPORT cu_result cuMemAlloc_v2(cu_pointer *block, size_t bytes) {
    BEGIN;
    unsigned char *address = nullptr;
    int result =
        bytes ? card_alloc(card, bytes, &address) : RESULT_INVALID_VALUE;
    if (!result)
        *block = (cu_pointer)(uintptr_t)address;
    return result;
}

/* It does not wait for what still uses it: that is then an error. */
EXPORT cu_result cuMemFree_v2(cu_pointer block) {
    call in;
    if (in.result && !(in.card && in.card->error))
        return in.result;
    if (!block)
        return in.result;
    bool there = card_release(in.card, (uintptr_t)block);
    return in.result ? in.result : there ? 0 : RESULT_INVALID_VALUE;
}

struct host_range {
    uintptr_t begin, end;
    struct card *card;
};
static std::map<uintptr_t, host_range> registered;

/* The range that ends behind ADDRESS, if it begins before END. */
static host_range *overlapping(uintptr_t address, uintptr_t end) {
    auto next = registered.lower_bound(end);
    if (next == registered.begin())
        return nullptr;
    host_range *range = &std::prev(next)->second;
    return range->end > address ? range : nullptr;
}

EXPORT cu_result cuMemHostRegister_v2(void *host, size_t bytes,
                                      unsigned flags) {
    BEGIN;
    uintptr_t begin = (uintptr_t)host;
    if (!host || !bytes || flags)
        return RESULT_INVALID_VALUE;
    if (overlapping(begin, begin + bytes))
        return RESULT_ALREADY_REGISTERED;
    registered[begin] = {begin, begin + bytes, card};
    card->counters.registered++;
    return 0;
}

EXPORT cu_result cuMemHostUnregister(void *host) {
    call in;
    auto found = registered.find((uintptr_t)host);
    if (found == registered.end())
        return in.result ? in.result : RESULT_NOT_REGISTERED;
    found->second.card->counters.registered--;
    registered.erase(found);
    return in.result;
}

/* ---- copies ---- */

/* Where the card's processors find it when the stream comes to it. */
static unsigned char *memory_now(card *card, uintptr_t address, size_t bytes) {
    {
        std::lock_guard<std::mutex> hold(everything);
        const block *b = card_find(card, address, bytes);
        if (b)
            return b->memory + (address - (uintptr_t)b->address);
    }
    card_fault(card, RESULT_ILLEGAL_ADDRESS,
               "a copy's device memory was freed before the copy was done");
    return nullptr;
}

/* From pageable memory it is taken at once, from registered memory later. */
EXPORT cu_result cuMemcpyHtoDAsync_v2(cu_pointer to, const void *from,
                                      size_t bytes, cu_stream stream) {
    BEGIN;
    uintptr_t begin = (uintptr_t)from, at = (uintptr_t)to;
    int result = driver_stream(card, stream);
    if (result || !card_find(card, at, bytes))
        return result ? result : RESULT_INVALID_VALUE;
    card->counters.uploads++;
    host_range *range = overlapping(begin, begin + bytes);
    bool late = range && range->begin <= begin && begin + bytes <= range->end;
    in.hold.unlock();
    std::shared_ptr<std::vector<char>> staged;
    if (!late)
        staged = std::make_shared<std::vector<char>>(
            static_cast<const char *>(from),
            static_cast<const char *>(from) + bytes);
    stream_enqueue(stream, [=] {
        unsigned char *memory = memory_now(card, at, bytes);
        if (memory)
            memcpy(memory, staged ? staged->data() : from, bytes);
        return 0;
    });
    return 0;
}

EXPORT cu_result cuMemcpyDtoHAsync_v2(void *to, cu_pointer from, size_t bytes,
                                      cu_stream stream) {
    BEGIN;
    uintptr_t at = (uintptr_t)from;
    int result = driver_stream(card, stream);
    if (result || !card_find(card, at, bytes))
        return result ? result : RESULT_INVALID_VALUE;
    card->counters.downloads++;
    in.hold.unlock();
    stream_enqueue(stream, [=] {
        unsigned char *memory = memory_now(card, at, bytes);
        if (memory)
            memcpy(to, memory, bytes);
        return 0;
    });
    return 0;
}

EXPORT cu_result cuMemsetD8Async(cu_pointer to, unsigned char value,
                                 size_t bytes, cu_stream stream) {
    BEGIN;
    uintptr_t at = (uintptr_t)to;
    int result = driver_stream(card, stream);
    if (result || !card_find(card, at, bytes))
        return result ? result : RESULT_INVALID_VALUE;
    in.hold.unlock();
    stream_enqueue(stream, [=] {
        unsigned char *memory = memory_now(card, at, bytes);
        if (memory)
            memset(memory, value, bytes);
        return 0;
    });
    return 0;
}

/* ---- streams ---- */

EXPORT cu_result cuStreamCreate(cu_stream *stream, unsigned flags) {
    BEGIN;
    if (flags > CU_STREAM_NON_BLOCKING)
        return RESULT_INVALID_VALUE;
    *stream = streams.add(stream_create(card));
    card->counters.streams++;
    return 0;
}

EXPORT cu_result cuStreamDestroy_v2(cu_stream stream) {
    int result;
    {
        call in;
        result = in.result;
        if (!streams.has(stream))
            return result ? result : RESULT_INVALID_HANDLE;
        streams.all.erase(stream);
        stream->card->counters.streams--;
    }
    stream_destroy(stream);
    return result;
}

static int error_now(card *card) {
    std::lock_guard<std::mutex> hold(everything);
    return card->error;
}

EXPORT cu_result cuStreamSynchronize(cu_stream stream) {
    BEGIN;
    int result = driver_stream(card, stream);
    if (result)
        return result;
    in.hold.unlock();
    stream_wait(stream);
    return error_now(card);
}

EXPORT cu_result cuStreamWaitEvent(cu_stream stream, cu_event event,
                                   unsigned flags) {
    BEGIN;
    int result = driver_stream(card, stream);
    if (result || flags || !events.has(event))
        return result ? result : RESULT_INVALID_HANDLE;
    std::shared_ptr<event_record> record = event->record;
    in.hold.unlock();
    if (record)
        stream_wait_for(stream, record);
    return 0;
}

/* ---- events ---- */

EXPORT cu_result cuEventCreate(cu_event *event, unsigned flags) {
    BEGIN;
    if (flags & ~(unsigned)CU_EVENT_DISABLE_TIMING)
        return RESULT_INVALID_VALUE;
    *event = events.add(new cu_event_s{card, nullptr, flags == 0});
    card->counters.events++;
    return 0;
}

EXPORT cu_result cuEventDestroy_v2(cu_event event) {
    call in;
    if (!events.has(event))
        return in.result ? in.result : RESULT_INVALID_HANDLE;
    events.all.erase(event);
    event->card->counters.events--;
    delete event;
    return in.result;
}

EXPORT cu_result cuEventRecord(cu_event event, cu_stream stream) {
    BEGIN;
    int result = driver_stream(card, stream);
    if (result || !events.has(event) || event->card != card)
        return result ? result : RESULT_INVALID_HANDLE;
    in.hold.unlock();
    std::shared_ptr<event_record> record = stream_record(stream);
    in.hold.lock();
    event->record = record;
    return 0;
}

EXPORT cu_result cuEventSynchronize(cu_event event) {
    BEGIN;
    if (!events.has(event))
        return RESULT_INVALID_HANDLE;
    std::shared_ptr<event_record> record = event->record;
    in.hold.unlock();
    if (record)
        record_wait(record);
    return error_now(card);
}

EXPORT cu_result cuEventElapsedTime(float *ms, cu_event begin, cu_event end) {
    BEGIN;
    if (!events.has(begin) || !events.has(end) || !begin->timed ||
        !end->timed || !begin->record || !end->record)
        return RESULT_INVALID_HANDLE;
    double first, last;
    if (!record_time(begin->record, &first) || !record_time(end->record, &last))
        return RESULT_NOT_READY;
    *ms = (float)(last - first);
    return 0;
}

/* ---- for libcublasLt ---- */

EXPORT int fake_cuda_enqueue(cu_stream stream, int (*run)(void *work),
                             void (*free_it)(void *work), void *work) {
    std::shared_ptr<void> owned(work, free_it);
    BEGIN;
    int result = driver_stream(card, stream);
    if (result)
        return result;
    card->counters.products++;
    driver_count_launch(card);
    if (card->error)
        return card->error;
    in.hold.unlock();
    stream_enqueue(stream, [=] { return run(owned.get()); });
    return 0;
}

EXPORT void *fake_cuda_memory(cu_stream stream, const void *address,
                              size_t bytes) {
    std::lock_guard<std::mutex> hold(everything);
    if (!streams.has(stream))
        return nullptr;
    const block *b = card_find(stream->card, (uintptr_t)address, bytes);
    return b ? b->memory + ((uintptr_t)address - (uintptr_t)b->address)
             : nullptr;
}

EXPORT int fake_cuda_arch(cu_stream stream) {
    std::lock_guard<std::mutex> hold(everything);
    card *card = streams.has(stream) ? stream->card : driver_card();
    if (card && !card->fp8 && card->capability > 88)
        return 88;
    return card ? card->capability : 0;
}
