/* gate.h - batches of several devices in an order that the test chooses, so
 * that what it says of them does not depend on whose thread gets a core. A test
 * that includes it is linked with --wrap=batch_encode (run.cmake).
 *
 *     static bool may(const struct gate_device *device) {
 *         return !strcmp(device->name, "sim:b") || gate.told;
 *     }
 *     gate_close(may, "device_lost");   // sim:a waits until sim:b is lost
 *     terms.on_event = gate_event;
 *     trial_run_well(&t, &terms);
 *     gate_open();
 */

#ifndef TESTS_RUN_GATE_H
#define TESTS_RUN_GATE_H

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "run/crew_rows.h"
#include "run/pass.h"
#include "run/station.h"

enum { GATE_DEVICES = 4, GATE_WAIT_MS = 20000 };

struct gate_device {
    char name[DEVICE_NAME_BYTES];
    size_t batches; /* begun in this pass */
    size_t texts;   /* of all batches begun */
    size_t tokens;  /* of the batch that waits */
    double until;   /* the caller's: when its batch ends, as it counts time */
};

static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool (*may)(const struct gate_device *device); /* go on, now? lock held */
    const char *awaited;                           /* the type of an event */
    bool told;                                     /* it has come */
    bool in_vain; /* somebody waited for too long: all may go on */
    struct gate_device devices[GATE_DEVICES];
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The batches of every device wait for MAY from now on. */
static inline void gate_close(bool (*may)(const struct gate_device *device),
                              const char *awaited) {
    memset(gate.devices, 0, sizeof gate.devices);
    gate.told = gate.in_vain = false;
    gate.awaited = awaited;
    clock_condition(&gate.changed);
    gate.may = may;
}

static inline void gate_open(void) {
    gate.may = NULL;
    pthread_cond_destroy(&gate.changed);
    if (gate.in_vain)
        fail_msg("a device waited %d s for what another one should have begun "
                 "or told",
                 GATE_WAIT_MS / 1000);
}

/* For trial_terms.on_event. */
static inline void gate_event(void *context, const char *type,
                              const json_t *fields) {
    (void)context;
    (void)fields;
    pthread_mutex_lock(&gate.lock);
    gate.told |= gate.awaited && !strcmp(type, gate.awaited);
    if (!strncmp(type, "ensemble_pass_", 14))
        for (size_t i = 0; i < GATE_DEVICES; i++)
            gate.devices[i].batches = 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* That of NAME; one that has not begun anything is all zeros. */
static inline struct gate_device *gate_device(const char *name) {
    struct gate_device *device = gate.devices;
    while (device->name[0] && strcmp(device->name, name) != 0)
        device++;
    assert_true(device < gate.devices + GATE_DEVICES - 1);
    return device;
}

bool __real_batch_encode(struct encoder *encoder, struct batch *batch,
                         size_t budget, struct error *err);
bool __wrap_batch_encode(struct encoder *encoder, struct batch *batch,
                         size_t budget, struct error *err);

bool __wrap_batch_encode(struct encoder *encoder, struct batch *batch,
                         size_t budget, struct error *err) {
    if (gate.may && batch->station) { /* or it is a drift that is measured */
        pthread_mutex_lock(&gate.lock);
        struct gate_device *device = gate_device(station_name(batch->station));
        strcpy(device->name, station_name(batch->station));
        device->batches++;
        device->texts += batch->texts;
        device->tokens = batch->tokens;
        pthread_cond_broadcast(&gate.changed);
        struct timespec until = clock_in_ms(GATE_WAIT_MS);
        while (!gate.in_vain && !gate.may(device))
            gate.in_vain |= pthread_cond_timedwait(&gate.changed, &gate.lock,
                                                   &until) == ETIMEDOUT;
        pthread_mutex_unlock(&gate.lock);
    }
    return __real_batch_encode(encoder, batch, budget, err);
}

#endif
