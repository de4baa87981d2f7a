/* cpu.h - the device "cpu": device.h's verbs on this machine's own threads. */

#ifndef DEVICE_CPU_CPU_H
#define DEVICE_CPU_CPU_H

#include <stdatomic.h>

#include "device/cpu/kernels.h"
#include "device/device.h"

struct cpu_lane {
    struct lane lane; /* first */
    bool wide;        /* all threads share this lane's verbs */
    float *buffer;    /* of this lane's thread: kernels' buffer_bytes */
};

struct cpu_device {
    struct device device; /* first */
    struct memory *memory;
    struct pool *pool;
    const struct kernels *kernels;
    struct cpu_lane *lanes; /* [device.lanes] */
    _Atomic uint64_t submits;
    char model[128];
};

struct device *cpu_open(const struct device_options *options,
                        struct error *err);

/* cpu_attention.c */
size_t cpu_attention_bytes(const struct device *device,
                           const struct attention *attention, size_t longest);
void cpu_attention(struct lane *lane, const struct attention *attention,
                   const struct sequences *sequences, const float *qkv,
                   void *scratch, float *context);

static inline struct cpu_device *cpu_of(struct lane *lane) {
    return (struct cpu_device *)lane->device;
}

/* Waking the pool costs microseconds: shared is only work that is worth it.
 * FLOPS may be a rough count. */
static inline bool cpu_shares(struct lane *lane, size_t flops) {
    enum { WORTH_SHARING = 200000 };
    return ((struct cpu_lane *)lane)->wide && flops > WORTH_SHARING;
}

#endif
