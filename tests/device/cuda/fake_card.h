/* fake_card.h - the cards of the fake driver: memory, script, streams. */

#ifndef TESTS_DEVICE_CUDA_FAKE_CARD_H
#define TESTS_DEVICE_CUDA_FAKE_CARD_H

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "device/cuda/fake_cuda.h"
extern "C" {
#include "device/cuda/cuda_api.h"
}

enum {
    RESULT_INVALID_VALUE = 1,
    RESULT_NOT_INITIALIZED = 3,
    RESULT_INVALID_DEVICE = 101,
    RESULT_INVALID_IMAGE = 200,
    RESULT_INVALID_CONTEXT = 201,
    RESULT_NO_BINARY = 209,
    RESULT_ALREADY_REGISTERED = 712,
    RESULT_NOT_REGISTERED = 713,
    RESULT_INVALID_HANDLE = 400,
    RESULT_NOT_FOUND = 500,
    RESULT_NOT_READY = 600,
    RESULT_ILLEGAL_ADDRESS = 700,
    RESULT_LAUNCH_FAILED = 719,
};

enum class mode { ASYNC, LAZY, SYNC };
enum class happens { TAKE, GIVE, REFUSE, LOST, DELAY };

struct action {
    bool at_alloc; /* else at a launch */
    uint64_t at;
    happens what;
    uint64_t value;
};

/* A block: what the program knows it by, and where its bytes are. */
struct block {
    unsigned char *address, *memory;
    size_t bytes, mapped, counted;
};

struct card {
    int ordinal = 0;
    std::string name = "Tesla T4";
    int capability = 75, multiprocessors = 40;
    uint64_t memory = 15828320256, context = 300u << 20, module = 2u << 20,
             granularity = 2u << 20, fp8 = 1, closed = 0;
    std::vector<action> actions;

    /* all below: under `everything` */
    std::map<uintptr_t, block> blocks; /* by address */
    uint64_t taken = 0, used = 0, refusals = 0, delay_ms = 0;
    uint64_t retained = 0;
    int error = 0; /* of the card from now on */
    fake_cuda_counters counters = {};
};

struct system_state {
    bool ready = false; /* cuInit */
    int driver = 12090;
    mode how = mode::ASYNC;
    std::deque<card> cards;
};

extern std::mutex everything;
extern system_state the_system;

/* With `everything` held by the caller: */
uint64_t card_free(const card *card);
int card_alloc(card *card, size_t bytes, unsigned char **address);
bool card_release(card *card, uintptr_t address);
/* A kernel's struct is words, some of them addresses, others a number and what
 * happened to lie in the bytes behind it. So no address of a block has a lower
 * half that a count of ours can be (but in blocks of gigabytes). */
enum { LOWER_HALF_LEAST = 1 << 24 };
/* The block that [address, address + bytes) lies in, or NULL. */
const block *card_find(const card *card, uintptr_t address, size_t bytes);
void card_happens(card *card, bool at_alloc, uint64_t count);
void card_used(card *card, uint64_t more); /* of the driver's own */

/* NULL, or what is wrong; SYSTEM is as TEXT says. */
const char *script_read(const char *text, system_state *system);

/* ---- streams ---- */

struct cu_stream_s {
    struct card *card;
    std::mutex lock;
    std::condition_variable changed;
    std::deque<std::function<int()>> queue;
    uint64_t submitted = 0, done = 0, demanded = 0;
    bool stop = false;
    std::thread worker;
};

/* One cuEventRecord. */
struct event_record {
    cu_stream_s *stream;
    uint64_t number; /* of the stream's work */
    bool done = false;
    double ms = 0; /* when it was done */
};

struct cu_event_s {
    struct card *card;
    std::shared_ptr<event_record> record; /* the latest; NULL: none */
    bool timed;
};

cu_stream_s *stream_create(card *card);
void stream_destroy(cu_stream_s *stream); /* after its work is done */
/* RUN when the stream comes to it, unless its card is lost; its result, if not
 * 0, is what the card is lost with. */
void stream_enqueue(cu_stream_s *stream, std::function<int()> run);
void stream_wait(cu_stream_s *stream);
std::shared_ptr<event_record> stream_record(cu_stream_s *stream);
void stream_wait_for(cu_stream_s *stream, std::shared_ptr<event_record> record);
void record_wait(const std::shared_ptr<event_record> &record);
/* False: it is not done. */
bool record_time(const std::shared_ptr<event_record> &record, double *ms);
void card_fault(card *card, int error, const char *why);

#endif
