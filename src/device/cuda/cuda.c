/* cuda.c - opening a card and closing it, its facts, and what becomes of calls
 * that fail. */

#include "device/cuda/cuda_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert(PARAM_ACTIVATION_SIGMOID == (int)ACTIVATION_SIGMOID &&
                   PARAM_ACTIVATION_GELU == (int)ACTIVATION_GELU,
               "kernels know activations by these numbers");
_Static_assert(PARAM_POOLING_MAX == (int)POOLING_MAX &&
                   PARAM_POOLING_MEAN == (int)POOLING_MEAN,
               "kernels know poolings by these numbers");
_Static_assert(PARAM_ACCUMULATE_SUM_LOG1P == (int)ACCUMULATE_SUM_LOG1P,
               "kernels know these numbers");

/* Blocks are multiples of what the driver takes from the card at once. */
enum { BLOCK_MULTIPLE = 2 << 20 };

/* The context's own memory cannot be seen from inside of it: what the card had
 * free before is not to be had without one. What is taken on the card when it
 * is there, but at most this: the rest is other programs'. */
static const uint64_t CONTEXT_MOST_BYTES = 600ull << 20;

/* ---- calls -------------------------------------------------------------- */

static void lose(struct cuda_device *cuda, const char *reason) {
    pthread_mutex_lock(&cuda->mutex);
    if (!cuda->lost)
        snprintf(cuda->loss, sizeof cuda->loss, "%s", reason);
    cuda->lost = true;
    pthread_mutex_unlock(&cuda->mutex);
}

bool cuda_worked(struct cuda_device *cuda, cu_result result, const char *call) {
    if (result == 0)
        return true;
    char text[160];
    cuda_result_text(cuda->library, result, text, sizeof text);
    return cuda_broke(cuda, "%s: %s", call, text);
}

bool cuda_broke(struct cuda_device *cuda, const char *format, ...) {
    char reason[sizeof cuda->loss];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    lose(cuda, reason);
    return false;
}

bool cuda_enter(struct cuda_device *cuda) {
    return !cuda->lost && CU(cuda, cuCtxSetCurrent, cuda->context);
}

bool cuda_alive(struct cuda_device *cuda, struct error *err) {
    if (!cuda->lost)
        return true;
    pthread_mutex_lock(&cuda->mutex);
    error_set(err, ERROR_DEVICE,
              "%s (%s) is lost: %s; use another device, and see nvidia-smi and "
              "the system's log for the reason",
              cuda->device.name, cuda->card.name, cuda->loss);
    pthread_mutex_unlock(&cuda->mutex);
    return false;
}

/* ---- memory that is not in blocks --------------------------------------- */

bool cuda_free_bytes(struct cuda_device *cuda, uint64_t *bytes,
                     struct error *err) {
    size_t all, left;
    *bytes = 0;
    if (!cuda_enter(cuda) || !CU(cuda, cuMemGetInfo, &left, &all))
        return cuda_alive(cuda, err);
    *bytes = left;
    return true;
}

static bool charge(struct cuda_device *cuda, uint64_t bytes,
                   struct error *err) {
    struct error cause;
    if (!memory_charge(&cuda->account, bytes, NULL, &cause))
        return error_set(err, cause.code, "%s: its context and kernels: %s",
                         cuda->device.name, cause.message);
    cuda->overhead += bytes;
    return true;
}

bool cuda_charge_overhead(struct cuda_device *cuda, uint64_t free_before,
                          struct error *err) {
    uint64_t now = 0;
    if (!cuda_free_bytes(cuda, &now, err))
        return false;
    return charge(cuda, free_before > now ? free_before - now : 0, err);
}

/* ---- facts -------------------------------------------------------------- */

static bool cuda_facts(struct device *device, struct device_facts *facts,
                       struct error *err) {
    struct cuda_device *cuda = cuda_of(device);
    uint64_t left = 0;
    if (!cuda->lost && !cuda_free_bytes(cuda, &left, err))
        return false;
    *facts = (struct device_facts){.name = device->name,
                                   .model = cuda->card.name,
                                   .isa = cuda->isa,
                                   .threads = device->lanes,
                                   .bytes_total = cuda->card.bytes_total,
                                   .bytes_free = left,
                                   .submits = cuda->submits,
                                   .bytes_overhead = cuda->overhead};
    return true;
}

static bool cuda_bytes_free(struct device *device, uint64_t *bytes,
                            struct error *err) {
    return cuda_free_bytes(cuda_of(device), bytes, err);
}

/* ---- opening ------------------------------------------------------------ */

/* The driver's answer to an attempt to open the card: nothing is lost yet. */
static bool opened(struct cuda_device *cuda, cu_result result, const char *call,
                   struct error *err) {
    char text[160];
    if (result == 0)
        return true;
    cuda_result_text(cuda->library, result, text, sizeof text);
    if (result == CU_OUT_OF_MEMORY)
        return error_set(err, ERROR_MEMORY,
                         "%s (%s): there is no room for a context on it; end "
                         "what else runs there, or use another device",
                         cuda->device.name, cuda->card.name);
    if (result == CU_DEVICE_UNAVAILABLE)
        return error_set(err, ERROR_DEVICE,
                         "%s (%s) is busy or closed: its compute mode "
                         "(nvidia-smi -q -d COMPUTE) lets one process use it, "
                         "or none; wait for that process, set the mode to "
                         "Default, or use another device",
                         cuda->device.name, cuda->card.name);
    return error_set(err, ERROR_DEVICE,
                     "%s (%s) cannot be used: %s: %s; try nvidia-smi, or use "
                     "another device",
                     cuda->device.name, cuda->card.name, call, text);
}

static bool choose_type(struct cuda_device *cuda, enum number_type type,
                        struct error *err) {
    const struct cuda_card *card = &cuda->card;
    int arch = 10 * card->major + card->minor;
    if (arch < 75)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s (%s): it is sm_%d, and this release computes on "
                         "sm_75 and newer; use another device",
                         cuda->device.name, card->name, arch);
    if (type == NUMBER_DEFAULT)
        type = arch < 80 ? NUMBER_F16 : NUMBER_BF16;
    if (type == NUMBER_BF16 && arch < 80)
        return error_set(err, ERROR_USAGE,
                         "%s (%s): it is sm_%d and has no bf16; choose fp16 or "
                         "f32",
                         cuda->device.name, card->name, arch);
    if (type == NUMBER_FP8 && arch < 89)
        return error_set(
            err, ERROR_USAGE,
            "%s (%s): it is sm_%d and has no fp8, which cards from "
            "sm_89 on have (L4, RTX 40, H100); choose %s",
            cuda->device.name, card->name, arch,
            arch < 80 ? "fp16 or f32" : "bf16, fp16 or f32");
    cuda->device.type = type;
    cuda->numbers = type == NUMBER_FP8 ? NUMBER_BF16 : type;
    cuda->device.narrow_bytes = type == NUMBER_F32 ? 4 : 2;
    cuda->device.storage_bytes = cuda->device.narrow_bytes;
    cuda->gate_scale = type == NUMBER_F16 ? 0x1p-4f : 1;
    return true;
}

static bool look_at_card(struct cuda_device *cuda, struct error *err) {
    const struct cuda_driver *cu = cuda->cu;
    int shared = 0;
    if (!opened(cuda, cu->cuDeviceGet(&cuda->handle, (int)cuda->card.ordinal),
                "cuDeviceGet", err) ||
        !opened(cuda,
                cu->cuDeviceGetAttribute(
                    &shared, CU_ATTRIBUTE_SHARED_BYTES_OPTIN, cuda->handle),
                "cuDeviceGetAttribute", err))
        return false;
    cuda->shared_most = shared > 0 ? (unsigned)shared : 0;
    return true;
}

static bool open_context(struct cuda_device *cuda, struct error *err) {
    uint64_t left, all = cuda->card.bytes_total;
    if (!opened(
            cuda,
            cuda->cu->cuDevicePrimaryCtxRetain(&cuda->context, cuda->handle),
            "cuDevicePrimaryCtxRetain", err)) {
        cuda->context = NULL;
        return false;
    }
    if (!cuda_free_bytes(cuda, &left, err))
        return false;
    uint64_t taken = all > left ? all - left : 0;
    return charge(cuda, taken < CONTEXT_MOST_BYTES ? taken : CONTEXT_MOST_BYTES,
                  err);
}

static bool open_streams(struct cuda_device *cuda, struct error *err) {
    unsigned flag = CU_STREAM_NON_BLOCKING;
    return (CU(cuda, cuStreamCreate, &cuda->loading, flag) &&
            CU(cuda, cuStreamCreate, &cuda->uploading, flag)) ||
           cuda_alive(cuda, err);
}

static bool copy_folder(struct cuda_device *cuda, const char *folder,
                        struct error *err) {
    if (!folder)
        return true;
    cuda->kernel_cache = memory_alloc(cuda->host, strlen(folder) + 1, 1, err);
    if (cuda->kernel_cache)
        strcpy(cuda->kernel_cache, folder);
    return cuda->kernel_cache;
}

/* All that needs a context. */
static bool open_inside(struct cuda_device *cuda, struct error *err) {
    uint64_t left;
    return look_at_card(cuda, err) && open_context(cuda, err) &&
           cuda_free_bytes(cuda, &left, err) && open_streams(cuda, err) &&
           cuda_stage_open(cuda, err) && cuda_lane_open(cuda, err) &&
           cuda_rows_load(cuda, err) && cuda_products_open(cuda, err) &&
           cuda_fp8_open(cuda, err) && cuda_charge_overhead(cuda, left, err);
}

static void close_streams(struct cuda_device *cuda) {
    if (cuda->loading)
        CU(cuda, cuStreamDestroy, cuda->loading);
    if (cuda->uploading)
        CU(cuda, cuStreamDestroy, cuda->uploading);
}

/* A lost card's calls fail, and nobody minds. */
static void cuda_close(struct device *device) {
    struct cuda_device *cuda = cuda_of(device);
    if (cuda->context) {
        cuda->cu->cuCtxSetCurrent(cuda->context);
        cuda_fp8_close(cuda);
        cuda_products_close(cuda);
        cuda_modules_close(cuda);
        cuda_lane_close(cuda);
        cuda_stage_close(cuda);
        close_streams(cuda);
        while (cuda->blocks)
            cuda_release(device, cuda_pointer(cuda->blocks->at));
        cuda->cu->cuCtxSetCurrent(NULL);
        cuda->cu->cuDevicePrimaryCtxRelease(cuda->handle);
        memory_discharge(&cuda->account, cuda->overhead);
    }
    cuda_library_close(cuda->library);
    pthread_mutex_destroy(&cuda->mutex);
    memory_free(cuda->host, cuda->kernel_cache);
    memory_free(cuda->host, cuda);
}

static const struct device_verbs CUDA_VERBS = {
    .kind = "cuda",
    .close = cuda_close,
    .facts = cuda_facts,
    .lane = cuda_lane,
    .widen = cuda_widen,
    .alloc = cuda_alloc,
    .release = cuda_release,
    .bytes_free = cuda_bytes_free,
    .put = cuda_put,
    .pin = cuda_pin,
    .unpin = cuda_unpin,
    .upload = cuda_upload,
    .upload_wait = cuda_upload_wait,
    .download = cuda_download,
    .prepare = cuda_prepare,
    .table_put = cuda_table_put,
    .linear_bytes = cuda_linear_bytes,
    .linear_pack = cuda_linear_pack,
    .submit = cuda_submit,
    .lane_bytes = cuda_lane_bytes,
    .lane_use = cuda_lane_use,
    .group = cuda_group,
    .attention_bytes = cuda_attention_bytes,
    .embed = cuda_embed,
    .narrow = cuda_narrow,
    .norm = cuda_norm,
    .norm_heads = cuda_norm_heads,
    .rotate = cuda_rotate,
    .gate = cuda_gate,
    .experts_bytes = cuda_experts_bytes,
    .experts = cuda_experts,
    .linear = cuda_linear,
    .linear_narrow = cuda_linear_narrow,
    .attention = cuda_attention,
    .pick = cuda_pick,
    .pool = cuda_pool,
    .normalize = cuda_normalize,
    .accumulate = cuda_accumulate,
    .finish = cuda_finish,
};

struct device *cuda_open(const struct device_name *name,
                         const struct device_options *options,
                         struct error *err) {
    struct cuda_device *cuda =
        memory_zalloc(options->memory, 1, sizeof *cuda, err);
    if (!cuda)
        return NULL;
    cuda->device = (struct device){.verbs = &CUDA_VERBS,
                                   .lanes = 1,
                                   .group_tokens = SIZE_MAX,
                                   .block_multiple = BLOCK_MULTIPLE,
                                   .account = &cuda->account};
    snprintf(cuda->device.name, sizeof cuda->device.name, "%s", name->name);
    cuda->host = options->memory;
    pthread_mutex_init(&cuda->mutex, NULL);
    cuda->library =
        cuda_library_open(options->memory, options->library_folders, err);
    if (cuda->library) {
        cuda->cu = &cuda->library->driver;
        cuda->blas = &cuda->library->blas;
    }
    if (!cuda->library ||
        !cuda_card_find(cuda->library, name->name, &cuda->card, err) ||
        !choose_type(cuda, options->type, err) ||
        !cuda_compile_arch(cuda->library, cuda->card.major, cuda->card.minor,
                           &cuda->arch, err) ||
        !copy_folder(cuda, options->kernel_cache, err) ||
        !open_inside(cuda, err)) {
        cuda_close(&cuda->device);
        return NULL;
    }
    snprintf(cuda->isa, sizeof cuda->isa, "sm_%d%d", cuda->card.major,
             cuda->card.minor);
    snprintf(cuda->device.identity, sizeof cuda->device.identity, "%s",
             cuda->card.uuid);
    return &cuda->device;
}
