/* device.c - device.h's functions, each handed to the device's table. */

#include "device/device.h"

#include <string.h>

#include "device/cpu/cpu.h"
#include "device/cuda/cuda.h"
#include "device/sim/sim.h"

const struct device_name DEVICE_CPU = {.name = "cpu", .storage_bytes = 4};

struct device *device_open(const struct device_name *name,
                           const struct device_options *options,
                           struct error *err) {
    if (name->capacity && device_name_is_sim(name->name))
        return sim_open(name, options, err);
    if (strcmp(name->name, DEVICE_CPU.name) == 0)
        return cpu_open(options, err);
    unsigned ordinal;
    if (device_name_is_cuda(name->name, &ordinal))
        return cuda_open(name, options, err);
    error_set(err, ERROR_USAGE,
              "device \"%s\": there is none of that name; this release "
              "computes on cpu, cuda:N and sim:NAME=BYTES",
              name->name);
    return NULL;
}

void device_close(struct device *device) {
    if (device)
        device->verbs->close(device);
}

const char *device_isa(enum number_type type, size_t index) {
    const struct isa *isa = isa_usable(type, index);
    return isa ? isa->name : NULL;
}

bool device_facts(struct device *device, struct device_facts *facts,
                  struct error *err) {
    return device->verbs->facts(device, facts, err);
}

struct lane *device_lane(struct device *device, unsigned number) {
    return device->verbs->lane(device, number);
}

void *device_alloc(struct device *device, size_t bytes, uint64_t charge,
                   struct reservation *from, struct error *err) {
    return device->verbs->alloc(device, bytes, charge, from, err);
}

void device_release(struct device *device, void *block) {
    if (block)
        device->verbs->release(device, block);
}

bool device_bytes_free(struct device *device, uint64_t *bytes,
                       struct error *err) {
    return device->verbs->bytes_free(device, bytes, err);
}

uint64_t device_block_bytes(const struct device *device, uint64_t bytes) {
    uint64_t low = device->block_multiple - 1;
    if (!device->block_multiple)
        return memory_block_bytes(bytes);
    return bytes > UINT64_MAX - low ? UINT64_MAX : (bytes + low) & ~low;
}

void device_put(struct device *device, void *to, const void *from,
                size_t bytes) {
    device->verbs->put(device, to, from, bytes);
}

void device_pin(struct device *device, void *host, size_t bytes) {
    device->verbs->pin(device, host, bytes);
}

void device_unpin(struct device *device, void *host) {
    if (host)
        device->verbs->unpin(device, host);
}

void device_upload(struct device *device, void *to, const void *from,
                   size_t bytes) {
    device->verbs->upload(device, to, from, bytes);
}

bool device_upload_wait(struct device *device, struct error *err) {
    return device->verbs->upload_wait(device, err);
}

bool device_submit(struct lane *lane, struct error *err) {
    return lane->device->verbs->submit(lane, err);
}

void device_download(struct lane *lane, const float *from, size_t count,
                     float *to) {
    lane->device->verbs->download(lane, from, count, to);
}

void lane_widen(struct lane *lane, bool wide) {
    lane->device->verbs->widen(lane, wide);
}

size_t device_linear_bytes(const struct device *device, size_t in, size_t out) {
    return device->verbs->linear_bytes(device, in, out);
}

void device_linear_pack(struct device *device, const float *weights, size_t in,
                        size_t out, size_t row_begin, size_t row_count,
                        void *packed) {
    device->verbs->linear_pack(device, weights, in, out, row_begin, row_count,
                               packed);
}

size_t device_attention_bytes(const struct device *device,
                              const struct attention *attention,
                              size_t longest) {
    return device->verbs->attention_bytes(device, attention, longest);
}

bool device_prepare(struct device *device, const struct attention *attention,
                    struct error *err) {
    return device->verbs->prepare(device, attention, err);
}

void device_table_put(struct device *device, const float *rows, size_t columns,
                      size_t row_begin, size_t row_count, void *table) {
    device->verbs->table_put(device, rows, columns, row_begin, row_count,
                             table);
}

size_t device_lane_bytes(const struct device *device, size_t rows) {
    return device->verbs->lane_bytes(device, rows);
}

void device_lane_use(struct lane *lane, void *room, size_t rows) {
    lane->device->verbs->lane_use(lane, room, rows);
}

void device_group(struct lane *lane, const struct sequences *sequences,
                  const uint32_t *ids) {
    lane->device->verbs->group(lane, sequences, ids);
}

void device_embed(struct lane *lane, const struct embedding *embedding,
                  const uint32_t *ids, const struct sequences *sequences,
                  float *y) {
    lane->device->verbs->embed(lane, embedding, ids, sequences, y);
}

const struct narrow *device_narrow(struct lane *lane, const float *x,
                                   size_t count, struct narrow *room) {
    return lane->device->verbs->narrow(lane, x, count, room);
}

void device_norm(struct lane *lane, const struct norm *norm, const float *x,
                 size_t rows, const float *residual, float *y,
                 struct narrow *z) {
    lane->device->verbs->norm(lane, norm, x, rows, residual, y, z);
}

void device_norm_heads(struct lane *lane, const struct norm *norm,
                       struct narrow *x, size_t rows, size_t stride,
                       size_t times) {
    lane->device->verbs->norm_heads(lane, norm, x, rows, stride, times);
}

void device_rotate(struct lane *lane, const struct attention *attention,
                   const struct sequences *sequences, struct narrow *qkv) {
    lane->device->verbs->rotate(lane, attention, sequences, qkv);
}

void device_gate(struct lane *lane, enum activation activation,
                 const struct narrow *x, size_t rows, size_t width,
                 struct narrow *y) {
    lane->device->verbs->gate(lane, activation, x, rows, width, y);
}

size_t device_experts_bytes(const struct device *device,
                            const struct experts *experts, size_t rows) {
    return device->verbs->experts_bytes(device, experts, rows);
}

void device_experts(struct lane *lane, const struct experts *experts,
                    const struct narrow *x, size_t rows, const float *residual,
                    void *scratch, float *y) {
    lane->device->verbs->experts(lane, experts, x, rows, residual, scratch, y);
}

void device_linear(struct lane *lane, const struct linear *linear,
                   const struct narrow *x, size_t rows,
                   enum activation activation, const float *residual,
                   float *y) {
    lane->device->verbs->linear(lane, linear, x, rows, activation, residual, y);
}

void device_linear_narrow(struct lane *lane, const struct linear *linear,
                          const struct narrow *x, size_t rows,
                          enum activation activation, struct narrow *y) {
    lane->device->verbs->linear_narrow(lane, linear, x, rows, activation, y);
}

void device_attention(struct lane *lane, const struct attention *attention,
                      const struct sequences *sequences,
                      const struct narrow *qkv, void *scratch,
                      struct narrow *context) {
    lane->device->verbs->attention(lane, attention, sequences, qkv, scratch,
                                   context);
}

void device_pick(struct lane *lane, const struct sequences *sequences,
                 const struct narrow *x, size_t width, struct narrow *y) {
    lane->device->verbs->pick(lane, sequences, x, width, y);
}

void device_pool(struct lane *lane, enum pooling pooling,
                 const struct sequences *sequences, const float *x,
                 size_t width, float *y, size_t stride) {
    lane->device->verbs->pool(lane, pooling, sequences, x, width, y, stride);
}

void device_normalize(struct lane *lane, float *x, size_t rows, size_t width) {
    lane->device->verbs->normalize(lane, x, rows, width);
}

void device_accumulate(struct lane *lane, enum accumulate how, const float *x,
                       size_t rows, size_t width, bool first, float *y,
                       float *lost) {
    lane->device->verbs->accumulate(lane, how, x, rows, width, first, y, lost);
}

bool device_finish(struct lane *lane, struct error *err) {
    return lane->device->verbs->finish(lane, err);
}
