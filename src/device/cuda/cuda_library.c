#define _GNU_SOURCE /* dlinfo */
#include "device/cuda/cuda_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "device/cuda/cuda_search.h"

enum { MAJOR_MIN = 12, SYMBOLS_MAX = 2 };

/* A field of struct cuda_library, and the symbols that may stand for it: the
 * first that is there. */
struct function {
    size_t field;
    const char *symbols[SYMBOLS_MAX];
};

#define DRIVER(name, ...)                                                      \
    {                                                                          \
        offsetof(struct cuda_library, driver.name), {                          \
            __VA_ARGS__                                                        \
        }                                                                      \
    }
#define NVRTC(name)                                                            \
    {                                                                          \
        offsetof(struct cuda_library, nvrtc.name), {                           \
#name                                                              \
        }                                                                      \
    }
#define BLAS(name)                                                             \
    {                                                                          \
        offsetof(struct cuda_library, blas.name), {                            \
#name                                                              \
        }                                                                      \
    }

/* Symbols as cuda.h's macros have them (tools/cuda_numbers.py); where CUDA 13
 * has a newer form of the same function, either will do. */
static const struct function driver_functions[] = {
    DRIVER(cuInit, "cuInit"),
    DRIVER(cuDriverGetVersion, "cuDriverGetVersion"),
    DRIVER(cuGetErrorName, "cuGetErrorName"),
    DRIVER(cuGetErrorString, "cuGetErrorString"),
    DRIVER(cuDeviceGetCount, "cuDeviceGetCount"),
    DRIVER(cuDeviceGet, "cuDeviceGet"),
    DRIVER(cuDeviceGetName, "cuDeviceGetName"),
    DRIVER(cuDeviceGetUuid, "cuDeviceGetUuid_v2", "cuDeviceGetUuid"),
    DRIVER(cuDeviceTotalMem, "cuDeviceTotalMem_v2"),
    DRIVER(cuDeviceGetAttribute, "cuDeviceGetAttribute"),
    DRIVER(cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain"),
    DRIVER(cuDevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2"),
    DRIVER(cuCtxSetCurrent, "cuCtxSetCurrent"),
    DRIVER(cuMemGetInfo, "cuMemGetInfo_v2"),
    DRIVER(cuMemAlloc, "cuMemAlloc_v2"),
    DRIVER(cuMemFree, "cuMemFree_v2"),
    DRIVER(cuMemHostRegister, "cuMemHostRegister_v2"),
    DRIVER(cuMemHostUnregister, "cuMemHostUnregister"),
    DRIVER(cuMemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2"),
    DRIVER(cuMemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2"),
    DRIVER(cuMemsetD8Async, "cuMemsetD8Async"),
    DRIVER(cuStreamCreate, "cuStreamCreate"),
    DRIVER(cuStreamDestroy, "cuStreamDestroy_v2"),
    DRIVER(cuStreamSynchronize, "cuStreamSynchronize"),
    DRIVER(cuStreamWaitEvent, "cuStreamWaitEvent"),
    DRIVER(cuEventCreate, "cuEventCreate"),
    DRIVER(cuEventDestroy, "cuEventDestroy_v2"),
    DRIVER(cuEventRecord, "cuEventRecord"),
    DRIVER(cuEventSynchronize, "cuEventSynchronize"),
    DRIVER(cuEventElapsedTime, "cuEventElapsedTime_v2", "cuEventElapsedTime"),
    DRIVER(cuModuleLoadData, "cuModuleLoadData"),
    DRIVER(cuModuleUnload, "cuModuleUnload"),
    DRIVER(cuModuleGetFunction, "cuModuleGetFunction"),
    DRIVER(cuFuncSetAttribute, "cuFuncSetAttribute"),
    DRIVER(cuLaunchKernel, "cuLaunchKernel"),
};
static const struct function nvrtc_functions[] = {
    NVRTC(nvrtcVersion),
    NVRTC(nvrtcGetErrorString),
    NVRTC(nvrtcGetNumSupportedArchs),
    NVRTC(nvrtcGetSupportedArchs),
    NVRTC(nvrtcCreateProgram),
    NVRTC(nvrtcCompileProgram),
    NVRTC(nvrtcGetProgramLogSize),
    NVRTC(nvrtcGetProgramLog),
    NVRTC(nvrtcGetCUBINSize),
    NVRTC(nvrtcGetCUBIN),
    NVRTC(nvrtcDestroyProgram),
};
static const struct function blas_functions[] = {
    BLAS(cublasLtGetVersion),
    BLAS(cublasLtCreate),
    BLAS(cublasLtDestroy),
    BLAS(cublasLtMatmulDescCreate),
    BLAS(cublasLtMatmulDescDestroy),
    BLAS(cublasLtMatmulDescSetAttribute),
    BLAS(cublasLtMatrixLayoutCreate),
    BLAS(cublasLtMatrixLayoutDestroy),
    BLAS(cublasLtMatmulPreferenceCreate),
    BLAS(cublasLtMatmulPreferenceDestroy),
    BLAS(cublasLtMatmulPreferenceSetAttribute),
    BLAS(cublasLtMatmulAlgoGetHeuristic),
    BLAS(cublasLtMatmul),
};
/* A field without a row would be called and be NULL. */
#define COUNT(list) (sizeof(list) / sizeof *(list))
#define COVERS(list, of)                                                       \
    (sizeof(list) / sizeof *(list) * sizeof(void *) == sizeof(struct of))
_Static_assert(COVERS(driver_functions, cuda_driver), "all of the driver");
_Static_assert(COVERS(nvrtc_functions, cuda_nvrtc), "all of NVRTC");
_Static_assert(COVERS(blas_functions, cuda_blas), "all of cuBLASLt");
_Static_assert(sizeof(void *) == sizeof(void (*)(void)), "as POSIX has it");

static bool version_of_driver(const struct cuda_library *library, int *major,
                              int *minor) {
    int version = 0;
    if (library->driver.cuDriverGetVersion(&version) != 0)
        return false;
    *major = version / 1000;
    *minor = version % 1000 / 10;
    return true;
}

static bool version_of_nvrtc(const struct cuda_library *library, int *major,
                             int *minor) {
    return library->nvrtc.nvrtcVersion(major, minor) == 0;
}

static bool version_of_blas(const struct cuda_library *library, int *major,
                            int *minor) {
    size_t version = library->blas.cublasLtGetVersion();
    *major = (int)(version / 10000 % 1000);
    *minor = (int)(version / 100 % 100);
    return true;
}

static const struct kind {
    const char *what;
    const char *file; /* without its major version */
    int majors[3];    /* best first; 0 ends them */
    const struct function *functions;
    size_t functions_count;
    bool (*version)(const struct cuda_library *library, int *major, int *minor);
} kinds[CUDA_FOUND_COUNT] = {
    {"NVIDIA driver",
     "libcuda.so.",
     {1},
     driver_functions,
     COUNT(driver_functions),
     version_of_driver},
    {"NVRTC",
     "libnvrtc.so.",
     {13, 12},
     nvrtc_functions,
     COUNT(nvrtc_functions),
     version_of_nvrtc},
    {"cuBLASLt",
     "libcublasLt.so.",
     {13, 12},
     blas_functions,
     COUNT(blas_functions),
     version_of_blas},
};

/* A search for one of them: LIBRARY has the best so far. */
struct search {
    struct cuda_library *library;
    unsigned which;
    int major_max; /* of the library */
    int major;     /* that the file's name says */
};

static void note(struct cuda_found *found, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The first problem is told: it is the nearest to what was wanted. */
static void note(struct cuda_found *found, const char *format, ...) {
    va_list arguments;
    if (found->problem[0])
        return;
    va_start(arguments, format);
    vsnprintf(found->problem, sizeof found->problem, format, arguments);
    va_end(arguments);
}

static bool load_functions(struct cuda_library *library,
                           const struct kind *kind, void *handle,
                           const char **missing) {
    for (size_t i = 0; i < kind->functions_count; i++) {
        const struct function *function = &kind->functions[i];
        void *address = NULL;
        for (size_t s = 0; !address && s < SYMBOLS_MAX && function->symbols[s];
             s++)
            address = dlsym(handle, function->symbols[s]);
        if (!address) {
            *missing = function->symbols[0];
            return false;
        }
        memcpy((char *)library + function->field, &address, sizeof address);
    }
    return true;
}

/* Whether what HANDLE is can be used; ITS has its functions and version. */
static bool is_fit(const struct search *search, void *handle, const char *path,
                   struct cuda_library *its, struct cuda_found *problem) {
    const struct kind *kind = &kinds[search->which];
    struct cuda_found *found = &its->found[search->which];
    const char *missing = "";
    if (!load_functions(its, kind, handle, &missing)) {
        note(problem, "%s lacks the function %s", path, missing);
        return false;
    }
    if (!kind->version(its, &found->major, &found->minor)) {
        note(problem, "%s does not tell its version", path);
        return false;
    }
    if (search->which != CUDA_FOUND_DRIVER && found->major != search->major) {
        note(problem, "%s says that it is of CUDA %d.%d, not %d", path,
             found->major, found->minor, search->major);
        return false;
    }
    return true;
}

static bool is_newer(const struct cuda_found *a, const struct cuda_found *b) {
    return !b->path[0] || a->major > b->major ||
           (a->major == b->major && a->minor > b->minor);
}

/* Where the loader found it. */
static void set_path(struct cuda_found *found, void *handle, const char *path) {
    struct link_map *map = NULL;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map && map->l_name[0])
        path = map->l_name;
    snprintf(found->path, sizeof found->path, "%s", path);
}

static void take(const struct search *search, void *handle, const char *path,
                 struct cuda_library *its) {
    struct cuda_library *library = search->library;
    unsigned which = search->which;
    struct cuda_found *found = &library->found[which];
    const struct kind *kind = &kinds[which];
    if (library->handles[which])
        dlclose(library->handles[which]);
    library->handles[which] = handle;
    for (size_t i = 0; i < kind->functions_count; i++)
        memcpy((char *)library + kind->functions[i].field,
               (char *)its + kind->functions[i].field, sizeof(void *));
    found->major = its->found[which].major;
    found->minor = its->found[which].minor;
    set_path(found, handle, path);
}

static void look_at(void *context, const char *path) {
    struct search *search = context;
    struct cuda_found *found = &search->library->found[search->which];
    bool alone = !strchr(path, '/'); /* for the loader to find, or not */
    if (search->which == CUDA_FOUND_DRIVER && found->path[0])
        return; /* one driver: the loader's, or the first */
    if (!alone && search->major > search->major_max) {
        note(found, "%s is for CUDA %d, the driver for CUDA %d", path,
             search->major, search->major_max);
        return;
    }
    if (search->major > search->major_max)
        return;
    if (!alone && (!file_exists(path) || cuda_file_is_cut(path))) {
        note(found, "%s is not a %s", path,
             file_exists(path) ? "whole library" : "file");
        return;
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    struct cuda_library its = {0};
    if (!handle) {
        const char *why = dlerror();
        if (why && !(alone && strstr(why, strerror(ENOENT))))
            note(found, "%s", why);
    } else if (is_fit(search, handle, path, &its, found) &&
               is_newer(&its.found[search->which], found)) {
        take(search, handle, path, &its);
    } else {
        dlclose(handle);
    }
}

/* The best of its kind into LIBRARY, none newer than MAJOR_LIMIT. False: there
 * is none, and found[which].problem says why. */
static bool find(struct cuda_library *library, unsigned which,
                 const char *const *folders, int major_limit) {
    struct search search = {library, which, major_limit, 0};
    struct cuda_found *found = &library->found[which];
    const char *file = kinds[which].file;
    char name[64];
    found->what = kinds[which].what;
    for (const int *major = kinds[which].majors; *major; major++) {
        search.major = *major;
        snprintf(name, sizeof name, "%s%d", file, *major);
        cuda_search(name, folders, look_at, &search);
    }
    if (found->path[0])
        found->problem[0] = '\0'; /* that another was unfit matters no more */
    else
        note(found, "%s%s is nowhere to be found", name,
             which ? "" : ", which comes with the NVIDIA driver,");
    return found->path[0] != '\0';
}

static bool find_driver(struct cuda_library *library,
                        const char *const *folders) {
    struct cuda_found *found = &library->found[CUDA_FOUND_DRIVER];
    if (!find(library, CUDA_FOUND_DRIVER, folders, INT_MAX))
        return false;
    if (found->major < MAJOR_MIN)
        note(found, "the driver is for CUDA %d.%d, and %d.0 is needed at least",
             found->major, found->minor, MAJOR_MIN);
    return !found->problem[0];
}

static void let_go(struct cuda_library *library) {
    for (unsigned i = 0; i < CUDA_FOUND_COUNT; i++)
        if (library->handles[i])
            dlclose(library->handles[i]);
}

static bool refuse(const struct cuda_library *library, unsigned which,
                   struct error *err) {
    const struct cuda_found *found = &library->found[which];
    if (which == CUDA_FOUND_DRIVER)
        return error_set(err, ERROR_USAGE,
                         "cuda: no usable NVIDIA driver: %s; use --device cpu, "
                         "or %s",
                         found->problem, cuda_install_advice(found->major));
    return error_set(
        err, ERROR_USAGE,
        "cuda: no usable %s: %s; install it with `%s`, or name "
        "its folder with --cuda-libs",
        found->what, found->problem,
        cuda_install_advice(library->found[CUDA_FOUND_DRIVER].major));
}

/* Stay in memory, however often it is closed. */
static void pin(const struct cuda_library *library, unsigned which) {
    void *again = dlopen(library->found[which].path,
                         RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (again)
        dlclose(again);
}

static struct cuda_library *make(struct memory *memory, struct error *err) {
    struct cuda_library *library =
        memory_zalloc(memory, 1, sizeof *library, err);
    if (library)
        library->memory = memory;
    return library;
}

struct cuda_library *cuda_library_open(struct memory *memory,
                                       const char *const *folders,
                                       struct error *err) {
    struct cuda_library *library = make(memory, err);
    bool fine = library != NULL;
    if (fine && !find_driver(library, folders))
        fine = refuse(library, CUDA_FOUND_DRIVER, err);
    for (unsigned i = CUDA_FOUND_NVRTC; fine && i < CUDA_FOUND_COUNT; i++)
        if (!find(library, i, folders, library->found[0].major))
            fine = refuse(library, i, err);
    for (unsigned i = 0; fine && i < CUDA_FOUND_COUNT; i++)
        pin(library, i);
    if (fine)
        return library;
    cuda_library_close(library);
    return NULL;
}

struct cuda_library *cuda_library_open_nvrtc(struct memory *memory,
                                             const char *const *folders,
                                             int cuda_major,
                                             struct error *err) {
    struct cuda_library *library = make(memory, err);
    if (!library)
        return NULL;
    library->found[CUDA_FOUND_DRIVER].major = cuda_major;
    if (find(library, CUDA_FOUND_NVRTC, folders, cuda_major)) {
        pin(library, CUDA_FOUND_NVRTC);
        return library;
    }
    refuse(library, CUDA_FOUND_NVRTC, err);
    cuda_library_close(library);
    return NULL;
}

void cuda_library_close(struct cuda_library *library) {
    if (!library)
        return;
    let_go(library);
    memory_free(library->memory, library);
}

void cuda_library_look(const char *const *folders,
                       struct cuda_found found[CUDA_FOUND_COUNT]) {
    struct cuda_library library = {0};
    bool driver = find_driver(&library, folders);
    int limit = driver ? library.found[CUDA_FOUND_DRIVER].major : INT_MAX;
    for (unsigned i = CUDA_FOUND_NVRTC; i < CUDA_FOUND_COUNT; i++)
        find(&library, i, folders, limit);
    memcpy(found, library.found, sizeof library.found);
    let_go(&library);
}

static void see(const struct cuda_driver *driver, int ordinal,
                struct cuda_seen *card) {
    cu_device device = 0;
    size_t bytes = 0;
    *card = (struct cuda_seen){.name = "unknown"};
    if (driver->cuDeviceGet(&device, ordinal) != 0)
        return;
    driver->cuDeviceGetName(card->name, (int)sizeof card->name - 1, device);
    driver->cuDeviceGetAttribute(&card->major, CU_ATTRIBUTE_CAPABILITY_MAJOR,
                                 device);
    driver->cuDeviceGetAttribute(&card->minor, CU_ATTRIBUTE_CAPABILITY_MINOR,
                                 device);
    driver->cuDeviceTotalMem(&bytes, device);
    card->bytes = bytes;
}

static size_t see_all(const struct cuda_library *library,
                      struct cuda_seen *cards, size_t most, char *problem) {
    int count = 0;
    cu_result result = library->driver.cuInit(0);
    if (result == 0)
        result = library->driver.cuDeviceGetCount(&count);
    if (result != 0 && result != CU_NO_DEVICE) {
        char text[256];
        cuda_result_text(library, result, text, sizeof text);
        snprintf(problem, 512, "the driver does not start: %s", text);
    } else if (result != 0 || count <= 0) {
        count = 0;
        snprintf(problem, 512,
                 "the driver knows of no card, or CUDA_VISIBLE_DEVICES leaves "
                 "out all of them");
    }
    for (int i = 0; i < count && (size_t)i < most; i++)
        see(&library->driver, i, &cards[i]);
    return (size_t)count;
}

size_t cuda_library_cards(const char *const *folders, struct cuda_seen *cards,
                          size_t most, char problem[512]) {
    struct cuda_library library = {0};
    size_t count = 0;
    problem[0] = '\0';
    if (find_driver(&library, folders)) {
        pin(&library, CUDA_FOUND_DRIVER);
        count = see_all(&library, cards, most, problem);
    } else {
        snprintf(problem, 512, "%s", library.found[CUDA_FOUND_DRIVER].problem);
    }
    let_go(&library);
    return count;
}

const char *cuda_install_advice(int driver_major) {
    if (driver_major >= 13)
        return "pip install nvidia-cublas nvidia-cuda-nvrtc";
    if (driver_major >= MAJOR_MIN)
        return "pip install nvidia-cublas-cu12 nvidia-cuda-nvrtc-cu12";
    return driver_major ? "update the NVIDIA driver to one for CUDA 12 or 13"
                        : "install the NVIDIA driver first: there is none";
}

void cuda_result_text(const struct cuda_library *library, cu_result result,
                      char *text, size_t bytes) {
    const char *name = NULL, *meaning = NULL;
    if (library->driver.cuGetErrorName(result, &name) != 0 || !name)
        name = "error";
    if (library->driver.cuGetErrorString(result, &meaning) != 0)
        meaning = NULL;
    if (meaning)
        snprintf(text, bytes, "%s (%s)", name, meaning);
    else
        snprintf(text, bytes, "%s %d", name, result);
}
