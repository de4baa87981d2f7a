/* cpu.c - opening the CPU, its lanes, and who does which part of a verb. */

#include "device/cpu/cpu.h"

#include <stdio.h>
#include <string.h>

#include "device/cpu/facts.h"

/* Enough rows for the GEMM, and that weights are not read too often; few enough
 * that what a layer makes nearly stays in a second-level cache of 1 MiB. */
enum { GROUP_TOKENS = 256 };

static struct cpu_lane *lane_of(struct lane *lane) {
    return (struct cpu_lane *)lane;
}

static void cpu_close(struct device *device) {
    struct cpu_device *cpu = (struct cpu_device *)device;
    for (unsigned i = 0; cpu->lanes && i < device->lanes; i++)
        memory_free(cpu->memory, cpu->lanes[i].buffer);
    memory_free(cpu->memory, cpu->lanes);
    memory_free(cpu->memory, cpu);
}

static bool cpu_facts(struct device *device, struct device_facts *facts,
                      struct error *err) {
    struct cpu_device *cpu = (struct cpu_device *)device;
    *facts = (struct device_facts){.name = "cpu",
                                   .model = cpu->model,
                                   .isa = cpu->isa->name,
                                   .threads = device->lanes,
                                   .submits = cpu->submits};
    return cpu_memory("", &facts->bytes_total, &facts->bytes_free, err);
}

static struct lane *cpu_lane(struct device *device, unsigned number) {
    return &((struct cpu_device *)device)->lanes[number].lane;
}

static void cpu_widen(struct lane *lane, bool wide) {
    lane_of(lane)->wide = wide && lane->device->lanes > 1;
}

static void *cpu_alloc(struct device *device, size_t bytes, uint64_t charge,
                       struct reservation *from, struct error *err) {
    (void)charge;
    return memory_alloc_from(device->account, bytes, from, err);
}

static void cpu_release(struct device *device, void *block) {
    memory_free(device->account, block);
}

static bool cpu_bytes_free(struct device *device, uint64_t *bytes,
                           struct error *err) {
    (void)device;
    uint64_t total;
    return cpu_memory("", &total, bytes, err);
}

static void cpu_copy(struct device *device, void *to, const void *from,
                     size_t bytes) {
    (void)device;
    memcpy(to, from, bytes);
}

static void cpu_pin(struct device *device, void *host, size_t bytes) {
    (void)device;
    (void)host;
    (void)bytes;
}

static void cpu_unpin(struct device *device, void *host) {
    (void)device;
    (void)host;
}

static bool cpu_upload_wait(struct device *device, struct error *err) {
    (void)device;
    (void)err;
    return true;
}

static void cpu_download(struct lane *lane, const float *from, size_t count,
                         float *to) {
    (void)lane;
    memcpy(to, from, count * sizeof *to);
}

static bool cpu_submit(struct lane *lane, struct error *err) {
    (void)err;
    cpu_of(lane)->submits++;
    return true;
}

static bool cpu_prepare(struct device *device,
                        const struct attention *attention, struct error *err) {
    (void)device;
    (void)attention;
    (void)err;
    return true;
}

static void cpu_table_put(struct device *device, const float *rows,
                          size_t columns, size_t row_begin, size_t row_count,
                          void *table) {
    (void)device;
    memcpy((float *)table + row_begin * columns, rows,
           row_count * columns * sizeof *rows);
}

static size_t cpu_lane_bytes(const struct device *device, size_t rows) {
    (void)device;
    (void)rows;
    return 0;
}

static void cpu_lane_use(struct lane *lane, void *room, size_t rows) {
    (void)lane;
    (void)room;
    (void)rows;
}

static void cpu_group(struct lane *lane, const struct sequences *sequences,
                      const uint32_t *ids) {
    (void)lane;
    (void)sequences;
    (void)ids;
}

static const struct narrow *cpu_narrow(struct lane *lane, const float *x,
                                       size_t count, struct narrow *room) {
    (void)lane;
    (void)count;
    (void)room;
    return (const struct narrow *)x;
}

static const struct products *products_of(const struct cpu_device *cpu,
                                          size_t in, size_t out) {
    const struct products *narrow = cpu->isa->products;
    bool is_narrow = narrow && out >= NARROW_OUT_MIN && in <= NARROW_IN_MAX;
    return is_narrow ? narrow : &cpu->kernels->products;
}

static size_t cpu_linear_bytes(const struct device *device, size_t in,
                               size_t out) {
    const struct cpu_device *cpu = (const struct cpu_device *)device;
    return products_of(cpu, in, out)->pack_bytes(in, out);
}

static void cpu_linear_pack(struct device *device, const float *weights,
                            size_t in, size_t out, size_t row_begin,
                            size_t row_count, void *packed) {
    const struct cpu_device *cpu = (const struct cpu_device *)device;
    products_of(cpu, in, out)
        ->pack(weights, in, out, row_begin, row_count, packed);
}

/* Linear: shared by rows when each thread gets several tiles of them, so that
 * nothing is copied twice; by columns when rows are few. */
struct shared_linear {
    struct cpu_device *cpu;
    const struct products *products;
    struct linear_job job;
    size_t rows, panels;
};

static void linear_rows_task(void *context, size_t begin, size_t end,
                             unsigned thread) {
    struct shared_linear *s = context;
    s->products->linear(&s->job, begin, end, 0, s->panels,
                        s->cpu->lanes[thread].buffer);
}

static void linear_columns_task(void *context, size_t begin, size_t end,
                                unsigned thread) {
    struct shared_linear *s = context;
    s->products->linear(&s->job, 0, s->rows, begin, end,
                        s->cpu->lanes[thread].buffer);
}

static void share_linear(struct shared_linear *s) {
    size_t threads = s->cpu->device.lanes, unit = s->products->tile_rows;
    size_t each = (s->rows + threads - 1) / threads;
    if (each >= 4 * unit)
        pool_each(s->cpu->pool, s->rows, (each + unit - 1) / unit * unit,
                  linear_rows_task, s);
    else
        pool_each(s->cpu->pool, s->panels, (s->panels + threads - 1) / threads,
                  linear_columns_task, s);
}

void cpu_product(struct lane *lane, const struct linear *linear, const float *x,
                 size_t rows, enum activation activation, const float *residual,
                 float *y) {
    struct cpu_device *cpu = cpu_of(lane);
    const struct products *products = products_of(cpu, linear->in, linear->out);
    size_t columns = products->panel_columns;
    struct shared_linear s = {.cpu = cpu,
                              .products = products,
                              .job = {.linear = linear,
                                      .activation = activation,
                                      .x = x,
                                      .residual = residual,
                                      .y = y},
                              .rows = rows,
                              .panels = (linear->out + columns - 1) / columns};
    if (cpu_shares(lane, 2 * rows * linear->in * linear->out))
        share_linear(&s);
    else
        products->linear(&s.job, 0, rows, 0, s.panels, lane_of(lane)->buffer);
}

static void cpu_linear(struct lane *lane, const struct linear *linear,
                       const struct narrow *x, size_t rows,
                       enum activation activation, const float *residual,
                       float *y) {
    cpu_product(lane, linear, cpu_floats(x), rows, activation, residual, y);
}

static void cpu_linear_narrow(struct lane *lane, const struct linear *linear,
                              const struct narrow *x, size_t rows,
                              enum activation activation, struct narrow *y) {
    cpu_product(lane, linear, cpu_floats(x), rows, activation, NULL,
                cpu_floats_out(y));
}

static bool cpu_finish(struct lane *lane, struct error *err) {
    (void)lane;
    (void)err;
    return true;
}

static const struct device_verbs CPU_VERBS = {
    .kind = "cpu",
    .close = cpu_close,
    .facts = cpu_facts,
    .lane = cpu_lane,
    .widen = cpu_widen,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .bytes_free = cpu_bytes_free,
    .put = cpu_copy,
    .pin = cpu_pin,
    .unpin = cpu_unpin,
    .upload = cpu_copy,
    .upload_wait = cpu_upload_wait,
    .download = cpu_download,
    .submit = cpu_submit,
    .prepare = cpu_prepare,
    .table_put = cpu_table_put,
    .linear_bytes = cpu_linear_bytes,
    .linear_pack = cpu_linear_pack,
    .lane_bytes = cpu_lane_bytes,
    .lane_use = cpu_lane_use,
    .group = cpu_group,
    .attention_bytes = cpu_attention_bytes,
    .embed = cpu_embed,
    .narrow = cpu_narrow,
    .norm = cpu_norm,
    .norm_heads = cpu_norm_heads,
    .rotate = cpu_rotate,
    .gate = cpu_gate,
    .experts_bytes = cpu_experts_bytes,
    .experts = cpu_experts,
    .linear = cpu_linear,
    .linear_narrow = cpu_linear_narrow,
    .attention = cpu_attention,
    .pick = cpu_pick,
    .pool = cpu_pool,
    .normalize = cpu_normalize,
    .accumulate = cpu_accumulate,
    .finish = cpu_finish,
};

static const struct isa *choose(const struct device_options *options,
                                struct error *err) {
    const struct isa *isa;
    char list[80] = "";
    for (size_t i = 0; (isa = isa_usable(options->type, i)); i++) {
        if (!options->isa || strcmp(isa->name, options->isa) == 0)
            return isa;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                 isa->name);
    }
    error_set(err, ERROR_USAGE,
              "instruction set \"%s\": this machine has none of that name for "
              "these numbers; choose one of %s",
              options->isa, list);
    return NULL;
}

static size_t buffer_bytes(const struct cpu_device *cpu) {
    size_t most = cpu->kernels->products.buffer_bytes;
    const struct products *narrow = cpu->isa->products;
    if (narrow && narrow->buffer_bytes > most)
        most = narrow->buffer_bytes;
    return cpu->attention->buffer_bytes > most ? cpu->attention->buffer_bytes
                                               : most;
}

static bool open_lanes(struct cpu_device *cpu, struct error *err) {
    unsigned lanes = pool_threads(cpu->pool);
    cpu->lanes = memory_zalloc(cpu->memory, lanes, sizeof *cpu->lanes, err);
    if (!cpu->lanes)
        return false;
    cpu->device.lanes = lanes;
    for (unsigned i = 0; i < lanes; i++) {
        struct cpu_lane *lane = &cpu->lanes[i];
        lane->lane = (struct lane){.device = &cpu->device, .number = i};
        lane->buffer = memory_alloc(cpu->memory, 1, buffer_bytes(cpu), err);
        if (!lane->buffer)
            return false;
    }
    return true;
}

struct device *cpu_open(const struct device_options *options,
                        struct error *err) {
    const struct isa *isa = choose(options, err);
    if (!isa)
        return NULL;
    struct cpu_device *cpu =
        memory_zalloc(options->memory, 1, sizeof *cpu, err);
    if (!cpu)
        return NULL;
    cpu->device =
        (struct device){.verbs = &CPU_VERBS,
                        .name = "cpu",
                        .shared = true,
                        .storage_bytes = sizeof(float),
                        .type = isa->products ? options->type : NUMBER_F32,
                        .narrow_bytes = sizeof(float),
                        .narrow_is_float = true,
                        .host_memory = true,
                        .group_tokens = GROUP_TOKENS,
                        .account = options->memory};
    cpu->memory = options->memory;
    cpu->pool = options->pool;
    cpu->isa = isa;
    cpu->kernels = isa->kernels;
    cpu->attention = isa->attention ? isa->attention : &isa->kernels->attention;
    cpu_model("", cpu->model, sizeof cpu->model);
    if (!open_lanes(cpu, err)) {
        cpu_close(&cpu->device);
        return NULL;
    }
    return &cpu->device;
}
