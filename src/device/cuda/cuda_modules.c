/* cuda_modules.c - the compiled kernels of a card, and their launches. */

#include "device/cuda/cuda_parts.h"

#include <stddef.h>
#include <stdio.h>

/* ---- loading ------------------------------------------------------------ */

static int narrow_of(const struct cuda_device *cuda) {
    return cuda->numbers == NUMBER_F32   ? 0
           : cuda->numbers == NUMBER_F16 ? 1
                                         : 2;
}

/* The driver's answer while kernels are loaded: no room is not the end. */
static bool loaded(struct cuda_device *cuda, cu_result result, const char *call,
                   struct error *err) {
    if (result == CU_OUT_OF_MEMORY)
        return error_set(err, ERROR_MEMORY,
                         "%s: there is no room for its kernels; end what else "
                         "runs there, or use another device",
                         cuda->device.name);
    return cuda_worked(cuda, result, call) || cuda_alive(cuda, err);
}

struct module_options {
    char narrow[16], head_dim[24], features[24];
};

/* Kernel file NAME; HEAD_DIM 0: it has none, and no features. */
static bool load_module(struct cuda_device *cuda, const char *name,
                        unsigned head_dim, bool has_features, unsigned features,
                        cu_module *module, struct error *err) {
    struct cuda_source source = {.name = name, .arch = cuda->arch};
    struct module_options o;
    snprintf(o.narrow, sizeof o.narrow, "-DNARROW=%d", narrow_of(cuda));
    snprintf(o.head_dim, sizeof o.head_dim, "-DHEAD_DIM=%u", head_dim);
    snprintf(o.features, sizeof o.features, "-DFEATURES=%u", features);
    source.options[source.options_count++] = o.narrow;
    if (head_dim)
        source.options[source.options_count++] = o.head_dim;
    if (has_features)
        source.options[source.options_count++] = o.features;
    struct cuda_image image;
    if (!cuda_compile(cuda->library, &source, cuda->kernel_cache, cuda->host,
                      &image, err))
        return false;
    bool fine = cuda_enter(cuda) &&
                loaded(cuda, cuda->cu->cuModuleLoadData(module, image.data),
                       "cuModuleLoadData", err);
    cuda_image_free(cuda->host, &image);
    return fine || (cuda->lost && cuda_alive(cuda, err));
}

static bool find_function(struct cuda_device *cuda, cu_module module,
                          const char *name, cu_function *function,
                          struct error *err) {
    return loaded(cuda, cuda->cu->cuModuleGetFunction(function, module, name),
                  name, err);
}

struct kernel_entry {
    const char *name;
    size_t field; /* of cuda_device: a cu_function */
};

static bool load_kernels(struct cuda_device *cuda, const char *file,
                         const struct kernel_entry *kernels, size_t count,
                         cu_module *module, struct error *err) {
    if (!load_module(cuda, file, 0, false, 0, module, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        cu_function *function =
            (cu_function *)(void *)((char *)cuda + kernels[i].field);
        if (!find_function(cuda, *module, kernels[i].name, function, err))
            return false;
    }
    return true;
}

bool cuda_rows_load(struct cuda_device *cuda, struct error *err) {
    static const struct kernel_entry ROWS[] = {
#define KERNEL_ENTRY(name) {#name, offsetof(struct cuda_device, rows.name)},
        CUDA_ROW_KERNELS(KERNEL_ENTRY)
#undef KERNEL_ENTRY
    };
    static const struct kernel_entry FP8[] = {
#define KERNEL_ENTRY(name) {#name, offsetof(struct cuda_device, fp8.name)},
        CUDA_FP8_KERNELS(KERNEL_ENTRY)
#undef KERNEL_ENTRY
    };
    return load_kernels(cuda, "rows", ROWS, sizeof ROWS / sizeof *ROWS,
                        &cuda->rows_module, err) &&
           (cuda->device.type != NUMBER_FP8 ||
            load_kernels(cuda, "fp8", FP8, sizeof FP8 / sizeof *FP8,
                         &cuda->fp8_module, err));
}

/* ---- attention ---------------------------------------------------------- */

static const unsigned HEAD_DIMS[] = {32, 64, 96, 128, 192, 256};
enum {
    HEAD_DIMS_COUNT = sizeof HEAD_DIMS / sizeof *HEAD_DIMS,
    HEAD_DIM_MOST = 256,
    SHARED_BYTES_FREELY = 48 << 10,
};

/* Do the turned pairs fill pieces of 16 bytes, two or (neighbours) one? */
static bool turns_pieces(const struct rotary *rotary) {
    return rotary->dims && rotary->dims % (rotary->interleaved ? 8 : 16) == 0;
}

/* Which module ATTENTION needs. */
static struct cuda_attend wanted(const struct cuda_device *cuda,
                                 const struct attention *a, bool keys) {
    struct cuda_attend attend = {0};
    if (a->behind != SIZE_MAX || a->ahead != SIZE_MAX)
        attend.features |= FEATURE_WINDOW;
    if (a->distances)
        attend.features |= FEATURE_DISTANCES;
    if (a->slopes)
        attend.features |= FEATURE_SLOPES;
    if (a->relative.rows)
        attend.features |= FEATURE_RELATIVE;
    if (keys)
        attend.features |= FEATURE_KEYS;
    attend.plain = cuda->device.type == NUMBER_F32 || a->relative.rows;
    if (!attend.plain && a->head_dim % 8)
        attend.features |= FEATURE_UNEVEN;
    else if (!attend.plain && turns_pieces(&a->rotary))
        attend.features |= FEATURE_ROTARY;
    for (size_t i = HEAD_DIMS_COUNT; i-- > 0;)
        if (a->head_dim <= HEAD_DIMS[i])
            attend.head_dim = HEAD_DIMS[i];
    attend.shared_bytes = ATTEND_SHARED_BYTES(attend.head_dim, attend.features);
    if (attend.plain || attend.shared_bytes > cuda->shared_most) {
        attend.plain = true;
        attend.features &= ~(unsigned)FEATURE_ROTARY;
        attend.head_dim = 0;
        attend.shared_bytes = 0;
    }
    return attend;
}

const struct cuda_attend *cuda_attend_find(const struct cuda_device *cuda,
                                           const struct attention *attention,
                                           bool keys) {
    struct cuda_attend want = wanted(cuda, attention, keys);
    for (size_t i = 0; i < cuda->attends_count; i++) {
        const struct cuda_attend *have = &cuda->attends[i];
        if (have->plain == want.plain && have->head_dim == want.head_dim &&
            have->features == want.features)
            return have;
    }
    return NULL;
}

/* Beyond what every kernel may have. */
static bool allow_shared(struct cuda_device *cuda,
                         const struct cuda_attend *attend, struct error *err) {
    return attend->shared_bytes <= SHARED_BYTES_FREELY ||
           CU(cuda, cuFuncSetAttribute, attend->function,
              CU_FUNCTION_SHARED_BYTES, (int)attend->shared_bytes) ||
           cuda_alive(cuda, err);
}

static bool add_attend(struct cuda_device *cuda, struct cuda_attend attend,
                       struct error *err) {
    const char *file = attend.plain ? "attention_plain" : "attention";
    const char *kernel = attend.plain ? "attend_plain" : "attend";
    if (!load_module(cuda, file, attend.head_dim, true, attend.features,
                     &attend.module, err))
        return false;
    if (find_function(cuda, attend.module, kernel, &attend.function, err) &&
        allow_shared(cuda, &attend, err)) {
        cuda->attends[cuda->attends_count++] = attend;
        return true;
    }
    cuda->cu->cuModuleUnload(attend.module);
    return false;
}

static bool prepare_one(struct cuda_device *cuda,
                        const struct attention *attention, bool keys,
                        struct error *err) {
    uint64_t left;
    if (cuda_attend_find(cuda, attention, keys))
        return true;
    if (cuda->attends_count == CUDA_ATTENDS_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: its models have more than %d kinds of attention; "
                         "run them one after another",
                         cuda->device.name, CUDA_ATTENDS_MAX);
    if (!cuda_free_bytes(cuda, &left, err) ||
        !add_attend(cuda, wanted(cuda, attention, keys), err))
        return false;
    if (cuda_charge_overhead(cuda, left, err))
        return true;
    cuda->cu->cuModuleUnload(cuda->attends[--cuda->attends_count].module);
    return false;
}

bool cuda_prepare(struct device *device, const struct attention *attention,
                  struct error *err) {
    struct cuda_device *cuda = cuda_of(device);
    if (attention->head_dim > HEAD_DIM_MOST)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: attention heads of %zu numbers: this release's "
                         "kernels have at most %d; use --device cpu",
                         device->name, attention->head_dim, HEAD_DIM_MOST);
    return prepare_one(cuda, attention, false, err) &&
           prepare_one(cuda, attention, true, err);
}

void cuda_modules_close(struct cuda_device *cuda) {
    for (size_t i = 0; i < cuda->attends_count; i++)
        cuda->cu->cuModuleUnload(cuda->attends[i].module);
    if (cuda->rows_module)
        cuda->cu->cuModuleUnload(cuda->rows_module);
    if (cuda->fp8_module)
        cuda->cu->cuModuleUnload(cuda->fp8_module);
}

/* ---- launching ---------------------------------------------------------- */

void cuda_launch(struct cuda_lane *lane, cu_function function, size_t grid_x,
                 size_t grid_y, unsigned threads, unsigned shared_bytes,
                 void *params) {
    struct cuda_device *cuda = lane->cuda;
    void *list[] = {params};
    if (!grid_x || !grid_y || !cuda_enter(cuda))
        return;
    if (grid_x > INT32_MAX || grid_y > UINT16_MAX) {
        cuda_broke(cuda, "a grid of %zu x %zu blocks: a card has no such",
                   grid_x, grid_y);
        return;
    }
    CU(cuda, cuLaunchKernel, function, (unsigned)grid_x, (unsigned)grid_y, 1,
       threads, 1, 1, shared_bytes, lane->stream, list, NULL);
}
