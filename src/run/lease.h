/* lease.h - the exclusive use of one device, between processes, and the memory
 * that was free before and after.
 *
 * Models run one after another, and each plans its batches as if the card were
 * its own. The lease makes that true among the processes that lease, and writes
 * down what was free before and after, so that a model which leaves memory
 * behind is seen in the summary and not as an out-of-memory error three models
 * later.
 *
 *     struct lease_terms terms = {.lock_dir = dir, .wait_ms = -1, .sink = s};
 *     struct lease lease;
 *     if (!lease_acquire(&lease, device, "bge-m3", &terms, err))
 *         return false;
 *     ... load, encode, free ...
 *     lease_release(&lease, peak_bytes, budget_tokens);
 *
 * The lock is flock(2) on LOCK_DIR/NAME.lock, NAME being device_identity: a
 * card's UUID, for its number is not the same in each process. The kernel drops
 * it when its holder dies, however it dies. Its file says who holds it (pid,
 * model, program, since), for the line that a waiting run shows; it is never
 * removed, or two processes could lock two inodes. It binds only processes that
 * lease. Several leases are taken in the order of those names, by all programs,
 * so that two runs cannot wait for each other.
 *
 * A shared device (the CPU) is never locked: its lease only reads the memory,
 * and what is missing after it is nobody's fault: no warning.
 * A lease is used by one thread.
 *
 * The folder is made with mode 1777 and the files with 0666, so that all users
 * of a machine wait for each other. What another user puts there is not
 * trusted: links are not followed, only ordinary files are locked, and what a
 * file says of its holder is read as text of at most a few hundred bytes.
 */

#ifndef RUN_LEASE_H
#define RUN_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/event.h"
#include "device/device.h"

enum { LEASE_LEFT_BEHIND_WARNING = 16 * 1024 * 1024 };

struct lease_terms {
    const char *lock_dir;    /* made if absent, for all users of the machine;
                                NULL: nothing is locked */
    int64_t wait_ms;         /* < 0: for ever; 0: try once */
    const struct sink *sink; /* the line that says for whom we wait, events
                                lease_waiting/acquired/released, interrupts */
};

struct lease {
    struct device *device; /* borrowed; NULL when not held */
    const struct sink *sink;
    char name[DEVICE_NAME_BYTES]; /* the device's, also once released */
    char holder[128];             /* model names, for messages and telemetry */
    int lock_fd;                  /* -1 on a shared device and when not held */
    int64_t begin_ns;
    uint64_t bytes_before; /* free when acquired */
    uint64_t bytes_after;  /* free when released */
    uint64_t live_before;  /* of our account */
    uint64_t live_after;
    double waited_ms, held_ms;
};

/* On failure nothing is held: ERROR_BUSY (another process kept the device, the
 * message says which), ERROR_INTERRUPTED, ERROR_DEVICE, ERROR_IO (the lock
 * folder). */
bool lease_acquire(struct lease *lease, struct device *device,
                   const char *holder, const struct lease_terms *terms,
                   struct error *err);

/* Give the device back, after the model's memory was freed. TOKENS (largest
 * budget used) and PEAK (bytes) go into the event. Releasing what is not held
 * is fine. Warns of more than LEASE_LEFT_BEHIND_WARNING. */
void lease_release(struct lease *lease, uint64_t peak_bytes,
                   size_t budget_tokens);

/* Bytes that were free before and are not after, beyond what our account still
 * holds (models kept warm): less than 0 means that somebody freed memory
 * meanwhile. Meaningful once released. */
int64_t lease_bytes_left_behind(const struct lease *lease);

/* {"device", "model", "bytes_before", "bytes_after", "bytes_left_behind",
 * "waited_ms", "duration_ms", "peak_bytes", "budget_tokens"} for the summary;
 * the caller owns it. */
json_t *lease_describe(const struct lease *lease, uint64_t peak_bytes,
                       size_t budget_tokens);

/* Who holds the device of that device_identity, in words ("pid 4711, bge-m3,
 * for 12 s"), or false if nobody does. Takes no lock that another could wait
 * for noticeably. */
bool lease_holder(const char *lock_dir, const char *identity, char text[256]);

#endif
