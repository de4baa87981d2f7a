/* sim.h - a simulated card: the CPU's arithmetic behind the accounting of a
 * card's memory.
 *
 * It has a hard capacity, a free-memory probe of its own, and a script that
 * plays other programs' pressure and failures (script.h). Lanes, verbs and
 * results are the CPU's, bit for bit: an inner cpu device computes them.
 *
 *     capacity = live + stranger + free
 *
 * `live` is what device_alloc charged, `stranger` what the script's other
 * program holds. What that program wants beyond what is free, it takes as soon
 * as we give memory back: nobody can see the bytes in between.
 *
 * device_alloc takes BYTES of host memory, counted in the options' memory, and
 * charges CHARGE on the device's account and capacity. Memory, probe and
 * submits may be used by several threads at once.
 */

#ifndef DEVICE_SIM_SIM_H
#define DEVICE_SIM_SIM_H

#include <pthread.h>

#include "device/device.h"
#include "device/sim/copier.h"
#include "device/sim/script.h"

struct sim_lane {
    struct lane lane; /* first */
    struct lane *inner;
    bool nan_now;  /* the submit under way computes nonsense */
    bool poisoned; /* so did one since the group began */
};

struct sim_device {
    struct device device;   /* first */
    struct memory account;  /* what a card would hold */
    struct memory *host;    /* borrowed: what we hold */
    struct device *cpu;     /* owned; computes */
    struct sim_lane *lanes; /* [device.lanes] */
    struct copier copier;
    uint64_t capacity;
    const struct device_script *script; /* borrowed, or NULL */

    pthread_mutex_t mutex; /* of what follows */
    size_t next_action;    /* in the script */
    uint64_t submits;
    uint64_t stranger; /* bytes that the other program holds */
    uint64_t wanted;   /* and those that it waits for */
    uint64_t delay_ms;
    uint64_t alloc_until, nan_until; /* submits below this one fail so */
    uint64_t lost_at;                /* the submit */
    bool lost;
};

struct device *sim_open(const struct device_name *name,
                        const struct device_options *options,
                        struct error *err);

/* sim_events.c: the script. The caller holds the mutex. */

/* Do all that is due at the submit that was counted last. */
void sim_play(struct sim_device *sim);
/* The other program takes what it waits for, as far as it is free. */
void sim_settle(struct sim_device *sim);
/* Bytes that could be taken now. After sim_settle. */
uint64_t sim_free(const struct sim_device *sim);
/* False and ERROR_DEVICE when it is lost. */
bool sim_alive(const struct sim_device *sim, struct error *err);
/* Does the submit that was counted last work? */
bool sim_accepts(const struct sim_device *sim, struct error *err);

#endif
