/* cpu.h - the device "cpu": device.h's verbs on this machine's own threads. */

#ifndef DEVICE_CPU_CPU_H
#define DEVICE_CPU_CPU_H

#include <stdatomic.h>

#include "device/cpu/kernels.h"
#include "device/device.h"

struct cpu_lane {
    struct lane lane; /* first */
    bool wide;        /* all threads share this lane's verbs */
    float *buffer;    /* of this lane's thread: the most buffer_bytes */
};

struct cpu_device {
    struct device device; /* first */
    struct memory *memory;
    struct pool *pool;
    const struct isa *isa;
    const struct kernels *kernels;             /* its */
    const struct attention_kernels *attention; /* its, or its kernels' */
    struct cpu_lane *lanes;                    /* [device.lanes] */
    _Atomic uint64_t submits;
    char model[128];
};

struct device *cpu_open(const struct device_options *options,
                        struct error *err);

/* Split [0, COUNT) among the threads of a wide lane if FLOPS are worth it. */
void cpu_share_rows(struct lane *lane, size_t flops, size_t count,
                    void (*task)(void *context, size_t begin, size_t end,
                                 unsigned thread),
                    void *context);

/* On the CPU narrow numbers are floats. */
static inline const float *cpu_floats(const struct narrow *x) {
    return (const float *)(const void *)x;
}
static inline float *cpu_floats_out(struct narrow *x) {
    return (float *)(void *)x;
}

/* cpu.c: device_linear on floats. */
void cpu_product(struct lane *lane, const struct linear *linear, const float *x,
                 size_t rows, enum activation activation, const float *residual,
                 float *y);

/* cpu_rows.c */
void cpu_embed(struct lane *lane, const struct embedding *embedding,
               const uint32_t *ids, const struct sequences *sequences,
               float *y);
void cpu_norm(struct lane *lane, const struct norm *norm, const float *x,
              size_t rows, const float *residual, float *y, struct narrow *z);
void cpu_norm_heads(struct lane *lane, const struct norm *norm,
                    struct narrow *x, size_t rows, size_t stride, size_t times);
void cpu_rotate(struct lane *lane, const struct attention *attention,
                const struct sequences *sequences, struct narrow *qkv);
void cpu_gate(struct lane *lane, enum activation activation,
              const struct narrow *x, size_t rows, size_t width,
              struct narrow *y);
void cpu_pick(struct lane *lane, const struct sequences *sequences,
              const struct narrow *x, size_t width, struct narrow *y);
void cpu_pool(struct lane *lane, enum pooling pooling,
              const struct sequences *sequences, const float *x, size_t width,
              float *y, size_t stride);
void cpu_normalize(struct lane *lane, float *x, size_t rows, size_t width);
void cpu_accumulate(struct lane *lane, enum accumulate how, const float *x,
                    size_t rows, size_t width, bool first, float *y,
                    float *lost);

/* cpu_experts.c */
size_t cpu_experts_bytes(const struct device *device,
                         const struct experts *experts, size_t rows);
void cpu_experts(struct lane *lane, const struct experts *experts,
                 const struct narrow *x, size_t rows, const float *residual,
                 void *scratch, float *y);

/* cpu_attention.c */
size_t cpu_attention_bytes(const struct device *device,
                           const struct attention *attention, size_t longest);
void cpu_attention(struct lane *lane, const struct attention *attention,
                   const struct sequences *sequences, const struct narrow *qkv,
                   void *scratch, struct narrow *context);

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
