/* kernel_card.h - a place for kernel_fixture.h's comparisons that is a card:
 * NVIDIA's driver and compiler, or fake_cuda.h's.
 *
 *     int main(int argc, char **argv) {
 *         if (!kernel_place_open(argc, argv)) // "--card FOLDER ..."
 *             return 0;                       // said "skip: all, ..."
 *         int failed = cmocka_run_group_tests(tests, NULL, NULL);
 *         kernel_place_close();
 *         return failed;
 *     }
 *
 * Without --card it is the emulator. FOLDERs are where NVRTC lies, besides the
 * loader's own places; the first card is used.
 */

#ifndef TESTS_DEVICE_CUDA_KERNEL_CARD_H
#define TESTS_DEVICE_CUDA_KERNEL_CARD_H

#include "device/cuda/cuda_compile.h"
#include "device/cuda/kernel_fixture.h"

enum { CARD_MODULES_MAX = 64 };

struct card_module {
    struct emulate_choice choice;
    cu_module module;
};

static struct {
    struct memory memory;
    struct cuda_library *library; /* NULL: no card is used */
    cu_device device;
    cu_context context;
    cu_stream stream;
    unsigned arch;
    struct card_module modules[CARD_MODULES_MAX];
    size_t modules_count;
} the_card;

static inline void card_does(cu_result result, const char *what) {
    char text[160];
    if (!result)
        return;
    cuda_result_text(the_card.library, result, text, sizeof text);
    fail_msg("%s: %s", what, text);
}

static inline void card_wait(void) {
    card_does(the_card.library->driver.cuStreamSynchronize(the_card.stream),
              "waiting for the card");
}

static inline void *card_take(size_t bytes) {
    cu_pointer block = 0;
    card_does(the_card.library->driver.cuMemAlloc(&block, bytes ? bytes : 1),
              "cuMemAlloc");
    return (void *)(uintptr_t)block;
}

static inline void card_give(void *block) {
    card_does(the_card.library->driver.cuMemFree((uintptr_t)block),
              "cuMemFree");
}

static inline void card_put(void *to, const void *from, size_t bytes) {
    if (bytes)
        card_does(the_card.library->driver.cuMemcpyHtoDAsync(
                      (uintptr_t)to, from, bytes, the_card.stream),
                  "cuMemcpyHtoDAsync");
    card_wait();
}

static inline void card_get(void *to, const void *from, size_t bytes) {
    if (bytes)
        card_does(the_card.library->driver.cuMemcpyDtoHAsync(
                      to, (uintptr_t)from, bytes, the_card.stream),
                  "cuMemcpyDtoHAsync");
    card_wait();
}

static inline bool card_same(const struct emulate_choice *a,
                             const struct emulate_choice *b) {
    return strcmp(a->file, b->file) == 0 && a->narrow == b->narrow &&
           a->head_dim == b->head_dim && a->features == b->features;
}

static inline cu_module card_compile(const struct emulate_choice *choice) {
    char options[3][32];
    struct error err = {0};
    struct cuda_image image;
    struct cuda_source source = {.name = choice->file, .arch = the_card.arch};
    snprintf(options[0], sizeof *options, "-DNARROW=%u", choice->narrow);
    snprintf(options[1], sizeof *options, "-DHEAD_DIM=%u", choice->head_dim);
    snprintf(options[2], sizeof *options, "-DFEATURES=%u", choice->features);
    source.options_count = strncmp(choice->file, "attention", 9) == 0 ? 3 : 1;
    for (size_t i = 0; i < source.options_count; i++)
        source.options[i] = options[i];
    if (!cuda_compile(the_card.library, &source, NULL, &the_card.memory, &image,
                      &err))
        fail_msg("%s", err.message);
    cu_module module = NULL;
    card_does(the_card.library->driver.cuModuleLoadData(&module, image.data),
              "cuModuleLoadData");
    cuda_image_free(&the_card.memory, &image);
    return module;
}

static inline cu_module card_module_of(const struct emulate_choice *choice) {
    for (size_t i = 0; i < the_card.modules_count; i++)
        if (card_same(&the_card.modules[i].choice, choice))
            return the_card.modules[i].module;
    assert_true(the_card.modules_count < CARD_MODULES_MAX);
    struct card_module *new = &the_card.modules[the_card.modules_count++];
    new->choice = *choice;
    new->module = card_compile(choice);
    return new->module;
}

static inline const char *card_launch(const struct kernel_launch *l) {
    const struct cuda_driver *driver = &the_card.library->driver;
    cu_function function = NULL;
    char params[512];
    void *list[] = {params};
    assert_true(l->params_bytes <= sizeof params);
    memcpy(params, l->params, l->params_bytes);
    card_does(driver->cuModuleGetFunction(&function, card_module_of(&l->choice),
                                          l->kernel),
              l->kernel);
    if (l->shared_bytes)
        card_does(driver->cuFuncSetAttribute(function, CU_FUNCTION_SHARED_BYTES,
                                             (int)l->shared_bytes),
                  l->kernel);
    card_does(driver->cuLaunchKernel(
                  function, l->grid_x, l->grid_y, 1, l->threads, 1, 1,
                  (unsigned)l->shared_bytes, the_card.stream, list, NULL),
              l->kernel);
    card_wait();
    return NULL;
}

static const struct place CARD = {card_take, card_give, card_put, card_get,
                                  card_launch};

/* "" or why there is none. */
static inline const char *card_start(const char *const *folders) {
    static char why[1024];
    struct error err = {0};
    int count = 0, major = 0, minor = 0;
    the_card.library = cuda_library_open(&the_card.memory, folders, &err);
    if (!the_card.library) {
        snprintf(why, sizeof why, "%s", err.message);
        return why;
    }
    const struct cuda_driver *driver = &the_card.library->driver;
    if (driver->cuInit(0) || driver->cuDeviceGetCount(&count) || !count)
        return "the driver has no card";
    card_does(driver->cuDeviceGet(&the_card.device, 0), "cuDeviceGet");
    card_does(
        driver->cuDevicePrimaryCtxRetain(&the_card.context, the_card.device),
        "cuDevicePrimaryCtxRetain");
    card_does(driver->cuCtxSetCurrent(the_card.context), "cuCtxSetCurrent");
    card_does(driver->cuStreamCreate(&the_card.stream, CU_STREAM_NON_BLOCKING),
              "cuStreamCreate");
    driver->cuDeviceGetAttribute(&major, CU_ATTRIBUTE_CAPABILITY_MAJOR,
                                 the_card.device);
    driver->cuDeviceGetAttribute(&minor, CU_ATTRIBUTE_CAPABILITY_MINOR,
                                 the_card.device);
    if (!cuda_compile_arch(the_card.library, major, minor, &the_card.arch,
                           &err)) {
        snprintf(why, sizeof why, "%s", err.message);
        return why;
    }
    the_narrows = major >= 8 ? NARROWS : NARROWS - 1; /* without bf16 */
    the_place = &CARD;
    return "";
}

static inline void kernel_place_close(void) {
    if (!the_card.library)
        return;
    const struct cuda_driver *driver = &the_card.library->driver;
    for (size_t i = 0; i < the_card.modules_count; i++)
        driver->cuModuleUnload(the_card.modules[i].module);
    if (the_card.stream)
        driver->cuStreamDestroy(the_card.stream);
    if (the_card.context)
        driver->cuDevicePrimaryCtxRelease(the_card.device);
    cuda_library_close(the_card.library);
}

static inline bool kernel_place_open(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "--card") != 0)
        return true;
    const char *why = card_start((const char *const *)argv + 2);
    if (!*why)
        return true;
    printf("skip: all, there is no card to run on: %s\n", why);
    kernel_place_close();
    return false;
}

#endif
