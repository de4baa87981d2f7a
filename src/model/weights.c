/* weights.c - measuring, checking, loading: weights.h's entrances. */

#include "model/weights.h"

#include "base/file.h"
#include "model/shape.h"
#include "model/weights_parts.h"

static struct loader make_loader(const struct model_spec *spec,
                                 const struct model_files *files,
                                 const struct device *device,
                                 struct weights *weights) {
    struct memory *memory = weights->memory;
    return (struct loader){.spec = spec,
                           .files = files,
                           .device = device,
                           .weights = weights,
                           .missing = strbuf_make(memory),
                           .unexpected = strbuf_make(memory)};
}

static void close_loader(struct loader *loader) {
    struct memory *memory = loader->weights->memory;
    memory_free(memory, loader->stage);
    memory_free(memory, loader->used);
    strbuf_free(&loader->missing);
    strbuf_free(&loader->unexpected);
}

/* Adapters in a file of their own are one more shard. */
static struct tensors *open_shards(const struct loader *loader,
                                   struct error *err) {
    const struct model_files *files = loader->files;
    struct memory *memory = loader->weights->memory;
    size_t count = files->weights_count;
    if (!files->adapter_path)
        return tensors_open(memory, files->weights, count, err);
    const char **paths = memory_alloc(memory, count + 1, sizeof *paths, err);
    if (!paths)
        return NULL;
    for (size_t i = 0; i < count; i++)
        paths[i] = files->weights[i];
    paths[count] = files->adapter_path;
    struct tensors *st = tensors_open(memory, paths, count + 1, err);
    memory_free(memory, paths);
    return st;
}

static bool open_files(struct loader *loader, struct error *err) {
    loader->st = open_shards(loader, err);
    if (!loader->st)
        return false;
    loader->prefix = find_prefix(loader->st, loader->spec->family);
    return true;
}

static bool check(struct loader *loader, struct error *err) {
    struct memory *memory = loader->weights->memory;
    loader->used = memory_zalloc(memory, tensors_count(loader->st),
                                 sizeof *loader->used, err);
    bool fine = loader->used && check_encoder(loader, err) &&
                check_module_files(loader, memory, err);
    memory_free(memory, loader->used);
    loader->used = NULL;
    return fine;
}

bool weights_check(struct memory *memory, const struct model_spec *spec,
                   const struct model_files *files, struct error *err) {
    struct weights nowhere = {.memory = memory};
    struct loader loader = make_loader(spec, files, NULL, &nowhere);
    bool fine = open_files(&loader, err) && check(&loader, err);
    tensors_close(loader.st);
    close_loader(&loader);
    return fine;
}

/* ---- sizes -------------------------------------------------------------- */

/* PLACEMENT in the model's own layers. */
static size_t resident_layers(const struct model_spec *spec,
                              const struct weights_placement *placement) {
    if (!placement)
        return spec->layers;
    if (placement->from_file)
        return 0;
    size_t of = placement->shape ? placement->shape->layers : spec->layers;
    if (placement->resident >= of)
        return spec->layers;
    return placement->resident * spec->layers / of;
}

static uint64_t charge_of(const struct model_spec *spec,
                          const struct device *device,
                          const struct weights_placement *placement,
                          uint64_t block_bytes) {
    if (!device->charges_shapes)
        return device_block_bytes(device, block_bytes);
    struct shape own;
    shape_of_spec(spec, &own);
    const struct shape *shape =
        placement && placement->shape ? placement->shape : &own;
    size_t resident = !placement             ? shape->layers
                      : placement->from_file ? 0
                                             : placement->resident;
    return shape_weights_bytes(shape, resident, resident < shape->layers,
                               device->storage_bytes);
}

static bool measure_blocks(const struct loader *loader, uint64_t *on_device,
                           uint64_t *on_host, struct error *err) {
    struct layout device = {0}, host = {0};
    place_weights(loader, &device, &host);
    *on_device = device.bytes;
    *on_host = host.bytes;
    return (!device.overflow && !host.overflow) ||
           error_set(err, ERROR_INPUT, "%s: the config's sizes overflow",
                     loader->files->config_path);
}

static bool measure_mapped(const struct model_files *files, uint64_t *sum,
                           struct error *err) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < files->weights_count; i++) {
        if (!file_size(files->weights[i], &bytes, err))
            return false;
        *sum += bytes;
    }
    if (!files->adapter_path)
        return true;
    if (!file_size(files->adapter_path, &bytes, err))
        return false;
    *sum += bytes;
    return true;
}

/* What opening the modules' files takes at most, one after the other. */
static bool measure_modules(struct loader *loader, uint64_t *peak,
                            struct error *err) {
    struct memory memory = {0};
    if (!check_module_files(loader, &memory, err))
        return false;
    *peak = memory_peak(&memory);
    return true;
}

/* The highest of weights_load's steps (opening, checking, filling), above what
 * it leaves. */
static uint64_t loading_bytes(const struct loader *loader, uint64_t modules,
                              const struct weights_need *need) {
    const struct memory *memory = loader->weights->memory;
    uint64_t own = memory_block_bytes(sizeof *loader->weights);
    uint64_t block =
        loader->device->host_memory ? memory_block_bytes(need->block_bytes) : 0;
    uint64_t left = block + need->host_bytes;
    uint64_t stage = loader->weights->from_file ? 0 : stage_bytes(loader->spec);
    uint64_t fill = stage + modules;
    uint64_t open = own + memory_peak(memory);
    uint64_t check =
        own + memory_live(memory) + modules +
        memory_block_bytes(tensors_count(loader->st) * sizeof *loader->used);
    uint64_t before = open > check ? open : check;
    return left + fill > before ? fill : before - left;
}

static bool measure(struct loader *loader,
                    const struct weights_placement *placement,
                    struct weights_need *need, struct error *err) {
    uint64_t host, modules;
    *need = (struct weights_need){0};
    if (!measure_blocks(loader, &need->block_bytes, &host, err) ||
        !measure_mapped(loader->files, &need->mapped_bytes, err) ||
        !measure_modules(loader, &modules, err))
        return false;
    need->charge_bytes =
        charge_of(loader->spec, loader->device, placement, need->block_bytes);
    need->host_bytes = memory_block_bytes(sizeof *loader->weights) +
                       memory_block_bytes(host) +
                       memory_live(loader->weights->memory);
    if (loader->weights->from_file)
        need->host_bytes +=
            memory_block_bytes(sizeof *loader) + stage_bytes(loader->spec);
    need->loading_bytes = loading_bytes(loader, modules, need);
    return true;
}

bool weights_measure(const struct model_spec *spec,
                     const struct model_files *files,
                     const struct device *device,
                     const struct weights_placement *placement,
                     struct weights_need *need, struct error *err) {
    struct memory memory = {0}; /* counts what opening the files takes */
    struct weights nowhere = {.memory = &memory,
                              .layers_count = spec->layers,
                              .resident = resident_layers(spec, placement),
                              .from_file = placement && placement->from_file};
    struct loader loader = make_loader(spec, files, device, &nowhere);
    bool fine =
        open_files(&loader, err) && measure(&loader, placement, need, err);
    tensors_close(loader.st);
    close_loader(&loader);
    return fine;
}

/* ---- loading ------------------------------------------------------------ */

static bool make_blocks(struct loader *loader,
                        const struct weights_placement *placement,
                        struct reservation *from, struct error *err) {
    struct weights *weights = loader->weights;
    uint64_t on_device, on_host;
    if (!measure_blocks(loader, &on_device, &on_host, err))
        return false;
    weights->host = memory_alloc(weights->memory, 1, on_host, err);
    if (!weights->host)
        return false;
    weights->block = device_alloc(
        weights->device, on_device,
        charge_of(loader->spec, weights->device, placement, on_device), from,
        err);
    if (!weights->block)
        return false;
    if (weights->device->host_memory)
        memory_large_pages(weights->block, on_device);
    struct layout device = {.base = weights->block};
    struct layout host = {.base = weights->host};
    place_weights(loader, &device, &host);
    if (weights->streamed)
        device_pin(weights->device, weights->streamed,
                   (weights->layers_count - weights->resident) *
                       weights->layer_bytes);
    return true;
}

static void finish_embedding(struct weights *weights,
                             const struct model_spec *spec) {
    weights->embedding.width = spec->embedding;
    weights->embedding.scale = spec->embedding_scale;
    weights->embedding.types = types_used(spec);
    weights->embedding.vocab = spec->vocab;
    weights->embedding.positions = spec->positions;
    weights->embedding.position_first = spec->position_first;
    weights->embedding.pad_has_no_position = spec->pad_has_no_position;
    weights->embedding.pad = spec->pad;
}

static struct weights *make_weights(struct memory *memory,
                                    const struct model_spec *spec,
                                    struct device *device,
                                    const struct weights_placement *placement,
                                    struct error *err) {
    struct weights *weights = memory_zalloc(memory, 1, sizeof *weights, err);
    if (!weights)
        return NULL;
    weights->memory = memory;
    weights->device = device;
    weights->layers_count = spec->layers;
    weights->resident = resident_layers(spec, placement);
    weights->from_file = placement && placement->from_file;
    for (int i = 0; i < 2; i++)
        weights->slots[i].holds = SIZE_MAX;
    return weights;
}

/* A loader that stays: layers will be packed by it, again and again. */
static bool make_room_for_loader(const struct loader *loader,
                                 struct error *err) {
    struct weights *weights = loader->weights;
    if (!weights->from_file)
        return true;
    weights->loader = memory_zalloc(weights->memory, 1, sizeof *loader, err);
    return weights->loader != NULL;
}

struct weights *weights_load(struct memory *memory,
                             const struct model_spec *spec,
                             const struct model_files *files,
                             struct device *device,
                             const struct weights_placement *placement,
                             struct reservation *from, struct error *err) {
    struct weights *weights =
        make_weights(memory, spec, device, placement, err);
    if (!weights)
        return NULL;
    struct loader loader = make_loader(spec, files, device, weights);
    bool fine = open_files(&loader, err) && check(&loader, err) &&
                make_blocks(&loader, placement, from, err) &&
                make_room_for_loader(&loader, err) &&
                fill_weights(&loader, err);
    weights->file = loader.st;
    finish_embedding(weights, spec);
    if (weights->loader)
        *weights->loader = loader;
    else
        close_loader(&loader);
    if (fine)
        return weights;
    weights_free(weights);
    return NULL;
}

void weights_free(struct weights *weights) {
    if (!weights)
        return;
    stream_stop(weights);
    if (weights->loader)
        close_loader(weights->loader);
    memory_free(weights->memory, weights->loader);
    tensors_close(weights->file);
    device_unpin(weights->device, weights->streamed);
    device_release(weights->device, weights->block);
    memory_free(weights->memory, weights->host);
    memory_free(weights->memory, weights);
}
