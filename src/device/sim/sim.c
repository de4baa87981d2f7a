/* sim.c - opening a simulated card, its memory and its submits. The verbs on
 * rows are handed to the cpu device inside. */

#include "device/sim/sim.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "device/cpu/cpu.h"

static struct sim_device *sim_of(struct device *device) {
    return (struct sim_device *)device;
}

static struct sim_lane *lane_of(struct lane *lane) {
    return (struct sim_lane *)lane;
}

static struct lane *inner(struct lane *lane) {
    return lane_of(lane)->inner;
}

static const struct device *cpu_under(const struct device *device) {
    return ((const struct sim_device *)device)->cpu;
}

static void sim_close(struct device *device) {
    struct sim_device *sim = sim_of(device);
    copier_close(&sim->copier);
    device_close(sim->cpu);
    pthread_mutex_destroy(&sim->mutex);
    memory_free(sim->host, sim->lanes);
    memory_free(sim->host, sim);
}

static bool sim_facts(struct device *device, struct device_facts *facts,
                      struct error *err) {
    struct sim_device *sim = sim_of(device);
    struct device_facts cpu;
    if (!device_facts(sim->cpu, &cpu, err))
        return false;
    pthread_mutex_lock(&sim->mutex);
    sim_settle(sim);
    *facts = (struct device_facts){.name = device->name,
                                   .model = "simulated card",
                                   .isa = cpu.isa,
                                   .threads = device->lanes,
                                   .bytes_total = sim->capacity,
                                   .bytes_free = sim->lost ? 0 : sim_free(sim),
                                   .submits = sim->submits};
    pthread_mutex_unlock(&sim->mutex);
    return true;
}

static struct lane *sim_lane(struct device *device, unsigned number) {
    return &sim_of(device)->lanes[number].lane;
}

static void sim_widen(struct lane *lane, bool wide) {
    lane_widen(inner(lane), wide);
}

/* Stands before each block, as long as a block's alignment. */
enum { HEAD_BYTES = 64 };
struct head {
    uint64_t charge;
};
_Static_assert(sizeof(struct head) <= HEAD_BYTES, "the head fits its slot");

/* With the mutex: a charge by another thread would see the same room. */
static bool charge(struct sim_device *sim, uint64_t bytes,
                   struct reservation *from, struct error *err) {
    sim_settle(sim);
    if (!sim_alive(sim, err))
        return false;
    if (bytes > sim_free(sim))
        return error_set(err, ERROR_MEMORY,
                         "%s: %" PRIu64 " bytes are needed, but of %" PRIu64
                         " bytes %" PRIu64 " are ours, %" PRIu64
                         " another program's and %" PRIu64
                         " free; lower the budget or use another device",
                         sim->device.name, bytes, sim->capacity,
                         memory_live(&sim->account), sim->stranger,
                         sim_free(sim));
    struct error cause;
    return memory_charge(&sim->account, bytes, from, &cause) ||
           error_set(err, cause.code, "%s: %s", sim->device.name,
                     cause.message);
}

static void *sim_alloc(struct device *device, size_t bytes, uint64_t bytes_card,
                       struct reservation *from, struct error *err) {
    struct sim_device *sim = sim_of(device);
    if (bytes > SIZE_MAX - HEAD_BYTES) {
        error_set(err, ERROR_MEMORY, "%s: %zu bytes cannot be addressed",
                  device->name, bytes);
        return NULL;
    }
    struct head *head = memory_alloc(sim->host, 1, bytes + HEAD_BYTES, err);
    if (!head)
        return NULL;
    head->charge = bytes_card;
    pthread_mutex_lock(&sim->mutex);
    bool fine = charge(sim, bytes_card, from, err);
    pthread_mutex_unlock(&sim->mutex);
    if (fine)
        return (char *)head + HEAD_BYTES;
    memory_free(sim->host, head);
    return NULL;
}

static void sim_release(struct device *device, void *block) {
    struct sim_device *sim = sim_of(device);
    struct head *head = (struct head *)((char *)block - HEAD_BYTES);
    pthread_mutex_lock(&sim->mutex);
    memory_discharge(&sim->account, head->charge);
    sim_settle(sim);
    pthread_mutex_unlock(&sim->mutex);
    memory_free(sim->host, head);
}

static bool sim_bytes_free(struct device *device, uint64_t *bytes,
                           struct error *err) {
    struct sim_device *sim = sim_of(device);
    pthread_mutex_lock(&sim->mutex);
    sim_settle(sim);
    bool alive = sim_alive(sim, err);
    if (alive)
        *bytes = sim_free(sim);
    pthread_mutex_unlock(&sim->mutex);
    return alive;
}

static bool still_alive(struct sim_device *sim, struct error *err) {
    pthread_mutex_lock(&sim->mutex);
    bool alive = sim_alive(sim, err);
    pthread_mutex_unlock(&sim->mutex);
    return alive;
}

static void sim_put(struct device *device, void *to, const void *from,
                    size_t bytes) {
    device_put(sim_of(device)->cpu, to, from, bytes);
}

static void sim_pin(struct device *device, void *host, size_t bytes) {
    device_pin(sim_of(device)->cpu, host, bytes);
}

static void sim_unpin(struct device *device, void *host) {
    device_unpin(sim_of(device)->cpu, host);
}

static void sim_upload(struct device *device, void *to, const void *from,
                       size_t bytes) {
    copier_copy(&sim_of(device)->copier, to, from, bytes);
}

static bool sim_upload_wait(struct device *device, struct error *err) {
    copier_wait(&sim_of(device)->copier);
    return still_alive(sim_of(device), err);
}

static bool sim_submit(struct lane *lane, struct error *err) {
    struct sim_device *sim = sim_of(lane->device);
    pthread_mutex_lock(&sim->mutex);
    sim->submits++;
    sim_play(sim);
    bool fine = sim_accepts(sim, err);
    lane_of(lane)->nan_now = sim->submits < sim->nan_until;
    uint64_t delay_ms = sim->delay_ms;
    pthread_mutex_unlock(&sim->mutex);
    lane_of(lane)->poisoned |= lane_of(lane)->nan_now;
    if (fine && delay_ms)
        clock_sleep_ms((int64_t)delay_ms);
    return fine;
}

static void sim_download(struct lane *lane, const float *from, size_t count,
                         float *to) {
    if (!lane_of(lane)->poisoned)
        device_download(inner(lane), from, count, to);
    else
        for (size_t i = 0; i < count; i++)
            to[i] = NAN;
}

static bool sim_finish(struct lane *lane, struct error *err) {
    return still_alive(sim_of(lane->device), err) &&
           device_finish(inner(lane), err);
}

static bool sim_prepare(struct device *device,
                        const struct attention *attention, struct error *err) {
    return device_prepare(sim_of(device)->cpu, attention, err);
}

static void sim_table_put(struct device *device, const float *rows,
                          size_t columns, size_t row_begin, size_t row_count,
                          void *table) {
    device_table_put(sim_of(device)->cpu, rows, columns, row_begin, row_count,
                     table);
}

static size_t sim_lane_bytes(const struct device *device, size_t rows) {
    return device_lane_bytes(cpu_under(device), rows);
}

static void sim_lane_use(struct lane *lane, void *room, size_t rows) {
    device_lane_use(inner(lane), room, rows);
}

static void sim_group(struct lane *lane, const struct sequences *sequences,
                      const uint32_t *ids) {
    /* It knows nothing of the group before. */
    lane_of(lane)->poisoned = lane_of(lane)->nan_now;
    device_group(inner(lane), sequences, ids);
}

static size_t sim_linear_bytes(const struct device *device, size_t in,
                               size_t out) {
    return device_linear_bytes(cpu_under(device), in, out);
}

static void sim_linear_pack(struct device *device, const float *weights,
                            size_t in, size_t out, size_t row_begin,
                            size_t row_count, void *packed) {
    device_linear_pack(sim_of(device)->cpu, weights, in, out, row_begin,
                       row_count, packed);
}

static size_t sim_attention_bytes(const struct device *device,
                                  const struct attention *attention,
                                  size_t longest) {
    return device_attention_bytes(cpu_under(device), attention, longest);
}

static void sim_embed(struct lane *lane, const struct embedding *embedding,
                      const uint32_t *ids, const struct sequences *sequences,
                      float *y) {
    device_embed(inner(lane), embedding, ids, sequences, y);
}

static const struct narrow *sim_narrow(struct lane *lane, const float *x,
                                       size_t count, struct narrow *room) {
    return device_narrow(inner(lane), x, count, room);
}

static void sim_norm(struct lane *lane, const struct norm *norm, const float *x,
                     size_t rows, const float *residual, float *y,
                     struct narrow *z) {
    device_norm(inner(lane), norm, x, rows, residual, y, z);
}

static void sim_norm_heads(struct lane *lane, const struct norm *norm,
                           struct narrow *x, size_t rows, size_t stride,
                           size_t times) {
    device_norm_heads(inner(lane), norm, x, rows, stride, times);
}

static void sim_rotate(struct lane *lane, const struct attention *attention,
                       const struct sequences *sequences, struct narrow *qkv) {
    device_rotate(inner(lane), attention, sequences, qkv);
}

static void sim_gate(struct lane *lane, enum activation activation,
                     const struct narrow *x, size_t rows, size_t width,
                     struct narrow *y) {
    device_gate(inner(lane), activation, x, rows, width, y);
}

static size_t sim_experts_bytes(const struct device *device,
                                const struct experts *experts, size_t rows) {
    return device_experts_bytes(cpu_under(device), experts, rows);
}

static void sim_experts(struct lane *lane, const struct experts *experts,
                        const struct narrow *x, size_t rows,
                        const float *residual, void *scratch, float *y) {
    device_experts(inner(lane), experts, x, rows, residual, scratch, y);
}

static void sim_linear(struct lane *lane, const struct linear *linear,
                       const struct narrow *x, size_t rows,
                       enum activation activation, const float *residual,
                       float *y) {
    device_linear(inner(lane), linear, x, rows, activation, residual, y);
}

static void sim_linear_narrow(struct lane *lane, const struct linear *linear,
                              const struct narrow *x, size_t rows,
                              enum activation activation, struct narrow *y) {
    device_linear_narrow(inner(lane), linear, x, rows, activation, y);
}

static void sim_attention(struct lane *lane, const struct attention *attention,
                          const struct sequences *sequences,
                          const struct narrow *qkv, void *scratch,
                          struct narrow *context) {
    device_attention(inner(lane), attention, sequences, qkv, scratch, context);
}

static void sim_pick(struct lane *lane, const struct sequences *sequences,
                     const struct narrow *x, size_t width, struct narrow *y) {
    device_pick(inner(lane), sequences, x, width, y);
}

static void sim_pool(struct lane *lane, enum pooling pooling,
                     const struct sequences *sequences, const float *x,
                     size_t width, float *y, size_t stride) {
    device_pool(inner(lane), pooling, sequences, x, width, y, stride);
}

static void sim_normalize(struct lane *lane, float *x, size_t rows,
                          size_t width) {
    device_normalize(inner(lane), x, rows, width);
}

static void sim_accumulate(struct lane *lane, enum accumulate how,
                           const float *x, size_t rows, size_t width,
                           bool first, float *y, float *lost) {
    device_accumulate(inner(lane), how, x, rows, width, first, y, lost);
}

static const struct device_verbs SIM_VERBS = {
    .kind = "sim",
    .close = sim_close,
    .facts = sim_facts,
    .lane = sim_lane,
    .widen = sim_widen,
    .alloc = sim_alloc,
    .release = sim_release,
    .bytes_free = sim_bytes_free,
    .put = sim_put,
    .pin = sim_pin,
    .unpin = sim_unpin,
    .upload = sim_upload,
    .upload_wait = sim_upload_wait,
    .download = sim_download,
    .submit = sim_submit,
    .prepare = sim_prepare,
    .table_put = sim_table_put,
    .linear_bytes = sim_linear_bytes,
    .linear_pack = sim_linear_pack,
    .lane_bytes = sim_lane_bytes,
    .lane_use = sim_lane_use,
    .group = sim_group,
    .attention_bytes = sim_attention_bytes,
    .embed = sim_embed,
    .narrow = sim_narrow,
    .norm = sim_norm,
    .norm_heads = sim_norm_heads,
    .rotate = sim_rotate,
    .gate = sim_gate,
    .experts_bytes = sim_experts_bytes,
    .experts = sim_experts,
    .linear = sim_linear,
    .linear_narrow = sim_linear_narrow,
    .attention = sim_attention,
    .pick = sim_pick,
    .pool = sim_pool,
    .normalize = sim_normalize,
    .accumulate = sim_accumulate,
    .finish = sim_finish,
};

/* Numbers are the inner device's, and so is where they lie. */
static void take_kind(struct sim_device *sim) {
    const struct device *cpu = sim->cpu;
    sim->device.type = cpu->type;
    sim->device.narrow_bytes = cpu->narrow_bytes;
    sim->device.narrow_is_float = cpu->narrow_is_float;
    sim->device.host_memory = cpu->host_memory;
    sim->device.group_tokens = cpu->group_tokens;
    sim->device.block_multiple = cpu->block_multiple;
}

static bool open_lanes(struct sim_device *sim, struct error *err) {
    unsigned lanes = sim->cpu->lanes;
    sim->lanes = memory_zalloc(sim->host, lanes, sizeof *sim->lanes, err);
    if (!sim->lanes)
        return false;
    sim->device.lanes = lanes;
    for (unsigned i = 0; i < lanes; i++)
        sim->lanes[i] =
            (struct sim_lane){.lane = {.device = &sim->device, .number = i},
                              .inner = device_lane(sim->cpu, i)};
    return true;
}

struct device *sim_open(const struct device_name *name,
                        const struct device_options *options,
                        struct error *err) {
    struct sim_device *sim =
        memory_zalloc(options->memory, 1, sizeof *sim, err);
    if (!sim)
        return NULL;
    sim->device = (struct device){.verbs = &SIM_VERBS,
                                  .charges_shapes = true,
                                  .storage_bytes = name->storage_bytes,
                                  .account = &sim->account};
    snprintf(sim->device.name, sizeof sim->device.name, "%s", name->name);
    sim->host = options->memory;
    sim->capacity = name->capacity;
    sim->script = options->script;
    pthread_mutex_init(&sim->mutex, NULL);
    copier_open(&sim->copier);
    struct device_options floats = *options;
    floats.type = NUMBER_DEFAULT;
    sim->cpu = cpu_open(&floats, err);
    if (!sim->cpu || !open_lanes(sim, err)) {
        sim_close(&sim->device);
        return NULL;
    }
    take_kind(sim);
    sim_play(sim);
    return &sim->device;
}
