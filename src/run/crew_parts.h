/* crew_parts.h - what the two halves of the crew share: crew.c is the caller's
 * side, crew_worker.c the side of the workers. Everything in it is guarded by
 * the crew's lock, but for the batch in a slot that is being filled. */

#ifndef RUN_CREW_PARTS_H
#define RUN_CREW_PARTS_H

#include <pthread.h>

#include "run/crew.h"
#include "run/ladder.h"

enum {
    SLOTS = 2,        /* a worker encodes one batch while the other is stored */
    NONSENSE_MOST = 3 /* batches: a device (or a model) that gives more is
                         broken */
};

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_FULL };

struct slot {
    enum slot_state state;
    struct batch batch;
};

/* What a worker asks of the deciding thread, and waits for. */
enum request {
    REQUEST_NONE,
    REQUEST_RELIEVE, /* the margin is not free at the smallest budget */
    REQUEST_ROOM,    /* the smallest batch found no room */
    REQUEST_RESTORE, /* there is room for what was given up */
    REQUEST_LOST,    /* the device is gone */
    REQUEST_TRUSTED, /* nonsense twice: let the CPU try */
};

/* A decision that a worker took by itself, to be told by the deciding thread.
 * One at a time: it waits until it was told. */
struct note {
    const char *type; /* NULL: none */
    const char *reason;
    size_t from_tokens, to_tokens, texts, tokens;
    uint64_t bytes_free;
    struct job *job;
};

struct worker {
    struct crew *crew;
    struct station *station;
    pthread_t thread;
    bool started;
    struct slot slots[SLOTS];
    enum request request;
    struct job *request_job;
    struct resident *active; /* it computes with this one, or NULL */
    struct note note;
    unsigned doubts;   /* suspect pieces of it that nobody has judged yet */
    unsigned nonsense; /* those that another device did soundly */
};

struct crew {
    struct session *session;
    struct crew_size size;
    pthread_mutex_t lock;
    pthread_cond_t work;    /* something for workers changed */
    pthread_cond_t main;    /* something for the caller changed */
    struct worker *workers; /* [session->stations_count] */
    size_t workers_count;
    void *block; /* owned: the slots' buffers */
    bool closing;
    struct shift *shift; /* NULL: nothing to do */
    bool draining;       /* take no new pieces: the shift ends early */
    struct ladder ladder;
};

/* The thread of a worker, until the crew closes. */
void *crew_worker(void *worker);

/* May it take pieces of the job: those that it did not spoil itself. */
bool crew_may_take(const struct worker *worker, const struct job *job);

#endif
