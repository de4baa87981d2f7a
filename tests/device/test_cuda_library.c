/* Which of NVIDIA's libraries are taken, which are refused and with what words,
 * by small libraries under their names (loading/fake_nvidia.c). */

#include "device/fixture.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "device/cuda/cuda_library.h"

#define AT(folder) ENS_FAKE_NVIDIA "/" folder

/* Folders of what the loader finds by the name alone; it finds nothing else. */
static const char *loader[4];

void *__real_dlopen(const char *path, int flags);
void *__wrap_dlopen(const char *path, int flags);
void *__wrap_dlopen(const char *path, int flags) {
    if (strchr(path, '/'))
        return __real_dlopen(path, flags);
    for (size_t i = 0; loader[i]; i++) {
        char whole[PATH_MAX];
        snprintf(whole, sizeof whole, "%s/%s", loader[i], path);
        if (access(whole, F_OK) == 0)
            return __real_dlopen(whole, flags);
    }
    return __real_dlopen("/nowhere/at/all.so", flags);
}

static int setup(void **state) {
    (void)state;
    memset(loader, 0, sizeof loader);
    return 0;
}

/* Opened with FOLDERS, it has these versions and paths that end so. */
struct wanted {
    int major, minor;
    const char *path;
};
static void assert_opens(const char *const *folders,
                         const struct wanted wanted[CUDA_FOUND_COUNT]) {
    struct memory memory = {0};
    struct error err = {0};
    struct cuda_library *library = cuda_library_open(&memory, folders, &err);
    assert_string_equal(err.message, "");
    assert_non_null(library);
    for (size_t i = 0; i < CUDA_FOUND_COUNT; i++) {
        assert_int_equal(library->found[i].major, wanted[i].major);
        assert_int_equal(library->found[i].minor, wanted[i].minor);
        assert_string_equal(library->found[i].path, wanted[i].path);
        assert_string_equal(library->found[i].problem, "");
    }
    int version = 0;
    assert_int_equal(library->driver.cuDriverGetVersion(&version), 0);
    assert_int_equal(version / 1000, wanted[0].major);
    assert_int_equal(library->driver.cuLaunchKernel(NULL, 0, 0, 0, 0, 0, 0, 0,
                                                    NULL, NULL, NULL),
                     999);
    cuda_library_close(library);
    assert_int_equal(memory_live(&memory), 0);
}

/* The message has all of WORDS. */
static void assert_refused(const char *const *folders,
                           const char *const *words) {
    struct memory memory = {0};
    struct error err = {0};
    assert_null(cuda_library_open(&memory, folders, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    for (; *words; words++)
        if (!strstr(err.message, *words))
            fail_msg("'%s' is not in: %s", *words, err.message);
    assert_int_equal(memory_live(&memory), 0);
}

#define FOLDERS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define WORDS(...)   ((const char *const[]){__VA_ARGS__, NULL})

static void takes_the_newest_that_fits_the_driver(void **state) {
    (void)state;
    const char *nvrtc12 = AT("pip12/nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
    const char *blas12 = AT("pip12/nvidia/cublas/lib/libcublasLt.so.12");
    struct wanted for12[] = {{12, 4, AT("driver12/libcuda.so.1")},
                             {12, 9, nvrtc12},
                             {12, 9, blas12}};
    struct wanted for13[] = {
        {13, 1, AT("driver13/libcuda.so.1")},
        {13, 5, AT("pip13/nvidia/cu13/lib/libnvrtc.so.13")},
        {13, 5, AT("pip13/nvidia/cu13/lib/libcublasLt.so.13")}};
    assert_opens(
        FOLDERS(AT("driver12"), AT("toolkit"), AT("pip13"), AT("pip12")),
        for12);
    assert_opens(
        FOLDERS(AT("pip12"), AT("pip13"), AT("driver12"), AT("toolkit")),
        for12);
    assert_opens(
        FOLDERS(AT("driver13"), AT("toolkit"), AT("pip12"), AT("pip13")),
        for13);
    /* 12 will do for a driver of 13 where there is nothing else */
    for12[0] = for13[0];
    assert_opens(FOLDERS(AT("driver13"), AT("pip12"), AT("nowhere"), ""),
                 for12);
}

static void asks_the_loader_first(void **state) {
    (void)state;
    struct wanted wanted[] = {{12, 4, AT("driver12/libcuda.so.1")},
                              {12, 1, AT("toolkit/lib64/libnvrtc.so.12")},
                              {12, 1, AT("toolkit/lib64/libcublasLt.so.12")}};
    loader[0] = AT("driver12");
    loader[1] = AT("toolkit/lib64");
    assert_opens(NULL, wanted);
    /* one driver; of the others the newest */
    wanted[1] = (struct wanted){
        12, 9, AT("pip12/nvidia/cuda_nvrtc/lib/libnvrtc.so.12")};
    wanted[2] =
        (struct wanted){12, 9, AT("pip12/nvidia/cublas/lib/libcublasLt.so.12")};
    assert_opens(FOLDERS(AT("driver13"), AT("pip12"), AT("pip13")), wanted);
}

static void opens_several_times(void **state) {
    (void)state;
    struct memory memory = {0};
    const char *const *folders = FOLDERS(AT("driver12"), AT("pip12"));
    struct cuda_library *a = cuda_library_open(&memory, folders, NULL);
    struct cuda_library *b = cuda_library_open(&memory, folders, NULL);
    assert_non_null(a);
    assert_non_null(b);
    cuda_library_close(a);
    int count = 0;
    assert_int_equal(b->driver.cuDeviceGetCount(&count), 0);
    assert_int_equal(count, 2);
    cuda_library_close(b);
    cuda_library_close(NULL);
    assert_int_equal(memory_live(&memory), 0);
}

static void says_what_is_missing(void **state) {
    (void)state;
    assert_refused(
        NULL, WORDS("no usable NVIDIA driver", "libcuda.so.1", "--device cpu"));
    assert_refused(FOLDERS(AT("driver12")),
                   WORDS("NVRTC", "libnvrtc.so.12",
                         "`pip install nvidia-cublas-cu12 "
                         "nvidia-cuda-nvrtc-cu12`",
                         "--cuda-libs"));
    assert_refused(FOLDERS(AT("driver13")),
                   WORDS("`pip install nvidia-cublas nvidia-cuda-nvrtc`"));
    assert_refused(
        FOLDERS(AT("driver12"), AT("lacking"), AT("pip12/nvidia/cublas")),
        WORDS(AT("lacking/libnvrtc.so.12"),
              "lacks the function nvrtcDestroyProgram"));
    assert_refused(FOLDERS(AT("driver12"), AT("pip12/nvidia/cuda_nvrtc")),
                   WORDS("cuBLASLt", "libcublasLt.so.12"));
}

static void refuses_a_driver_that_is_unfit(void **state) {
    (void)state;
    assert_refused(FOLDERS(AT("driver11"), AT("pip12")),
                   WORDS("CUDA 11.8", "12.0", "update the NVIDIA driver"));
    assert_refused(FOLDERS(AT("driver_mute"), AT("pip12")),
                   WORDS(AT("driver_mute/libcuda.so.1"), "version"));
    assert_refused(FOLDERS(AT("driver_lacking"), AT("pip12")),
                   WORDS(AT("driver_lacking/libcuda.so.1"), "cuLaunchKernel"));
}

static void refuses_libraries_that_are_unfit(void **state) {
    (void)state;
    assert_refused(FOLDERS(AT("driver12"), AT("pip13")),
                   WORDS(AT("pip13/nvidia/cu13/lib/libnvrtc.so.13"),
                         "is for CUDA 13, the driver for CUDA 12", "-cu12"));
    assert_refused(FOLDERS(AT("driver13"), AT("lying")),
                   WORDS(AT("lying/libnvrtc.so.12"), "CUDA 13.0, not 12"));
    assert_refused(FOLDERS(AT("driver12"), AT("mute")),
                   WORDS(AT("mute/libnvrtc.so.12"), "does not tell"));
    /* an unfit one in front does not hide a fit one */
    struct wanted wanted[] = {{12, 4, AT("driver12/libcuda.so.1")},
                              {12, 1, AT("toolkit/lib64/libnvrtc.so.12")},
                              {12, 1, AT("toolkit/lib64/libcublasLt.so.12")}};
    assert_opens(FOLDERS(AT("driver12"), AT("lying"), AT("lacking"), AT("mute"),
                         AT("toolkit")),
                 wanted);
}

/* FILE in the folder *STATE, which `remove_broken` empties. */
static void put(const char *folder, const void *data, size_t bytes) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/libnvrtc.so.12", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), bytes);
    close(fd);
}

static void refuses_what_is_no_library(void **state) {
    (void)state;
    char folder[] = "/tmp/ensembed-cuda-XXXXXX", path[PATH_MAX];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/libnvrtc.so.12", folder);
    const char *const *folders = FOLDERS(AT("driver12"), folder);

    char text[4096];
    memset(text, 'x', sizeof text);
    put(folder, text, sizeof text);
    assert_refused(folders, WORDS(path, "invalid ELF header"));
    loader[0] = folder; /* the loader's own is broken */
    assert_refused(FOLDERS(AT("driver12")), WORDS(path, "invalid ELF header"));
    loader[0] = NULL;
    put(folder, "", 0);
    assert_refused(folders, WORDS(path, "file too short"));
    struct file_map whole; /* an ELF file that ends too early */
    assert_true(
        file_map_open(&whole, AT("toolkit/lib64/libnvrtc.so.12"), NULL));
    for (size_t bytes = 64; bytes < whole.size / 2; bytes += 1000) {
        put(folder, whole.data, bytes);
        assert_refused(folders, WORDS(path, "is not a whole library"));
    }
    file_map_close(&whole);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_refused(folders, WORDS(path, "is not a file"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* would wait for ever */
    assert_refused(folders, WORDS(path, "is not a file"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void opens_nvrtc_alone(void **state) {
    (void)state;
    struct memory memory = {0};
    struct error err = {0};
    const char *const *folders = FOLDERS(AT("pip12"), AT("pip13"));
    for (int major = 12; major <= 13; major++) {
        struct cuda_library *library =
            cuda_library_open_nvrtc(&memory, folders, major, &err);
        assert_non_null(library);
        assert_int_equal(library->found[CUDA_FOUND_NVRTC].major, major);
        cuda_library_close(library);
    }
    assert_null(
        cuda_library_open_nvrtc(&memory, FOLDERS(AT("pip13")), 12, &err));
    assert_non_null(strstr(err.message, "nvidia-cuda-nvrtc-cu12"));
    assert_int_equal(memory_live(&memory), 0);
}

static void looks_at_what_is_there(void **state) {
    (void)state;
    struct cuda_found found[CUDA_FOUND_COUNT];
    cuda_library_look(NULL, found);
    for (size_t i = 0; i < CUDA_FOUND_COUNT; i++) {
        assert_string_equal(found[i].path, "");
        assert_non_null(strstr(found[i].problem, "nowhere"));
    }
    assert_string_equal(found[1].what, "NVRTC");
    /* without a driver whatever there is */
    cuda_library_look(FOLDERS(AT("pip13"), AT("toolkit")), found);
    assert_int_equal(found[CUDA_FOUND_NVRTC].major, 13);
    assert_string_equal(found[CUDA_FOUND_NVRTC].problem, "");
    /* beside a driver that cannot do it */
    cuda_library_look(FOLDERS(AT("driver12"), AT("pip13")), found);
    assert_int_equal(found[CUDA_FOUND_DRIVER].minor, 4);
    assert_string_equal(found[CUDA_FOUND_BLAS].path, "");
    assert_non_null(strstr(found[CUDA_FOUND_BLAS].problem, "for CUDA 13"));
}

static void names_the_cards(void **state) {
    (void)state;
    struct cuda_seen cards[4] = {0};
    char problem[512];
    assert_int_equal(
        cuda_library_cards(FOLDERS(AT("driver12")), cards, 4, problem), 2);
    assert_string_equal(problem, "");
    assert_string_equal(cards[1].name, "Fake Card 11");
    assert_int_equal(cards[1].major, 7);
    assert_int_equal(cards[1].minor, 5);
    assert_true(cards[1].bytes == (uint64_t)11 << 30);
    /* no more than there is room for, and yet their number */
    memset(cards, 0, sizeof cards);
    assert_int_equal(
        cuda_library_cards(FOLDERS(AT("driver12")), cards, 1, problem), 2);
    assert_string_equal(cards[1].name, "");
    static const struct {
        const char *folder, *words;
    } none[] = {
        {AT("driver_bare"), "no card"},
        {AT("driver_dead"),
         "CUDA_ERROR_SYSTEM_NOT_READY (system not yet initialized)"},
        {AT("driver11"), "CUDA 11.8"},
        {AT("nowhere"), "libcuda.so.1"},
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(
            cuda_library_cards(FOLDERS(none[i].folder), cards, 4, problem), 0);
        if (!strstr(problem, none[i].words))
            fail_msg("'%s' is not in: %s", none[i].words, problem);
    }
}

static void advises_by_the_driver(void **state) {
    (void)state;
    assert_string_equal(cuda_install_advice(13),
                        "pip install nvidia-cublas nvidia-cuda-nvrtc");
    assert_string_equal(cuda_install_advice(14), cuda_install_advice(13));
    assert_string_equal(
        cuda_install_advice(12),
        "pip install nvidia-cublas-cu12 nvidia-cuda-nvrtc-cu12");
    assert_non_null(strstr(cuda_install_advice(11), "update"));
    assert_non_null(strstr(cuda_install_advice(0), "there is none"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(takes_the_newest_that_fits_the_driver, setup),
        cmocka_unit_test_setup(asks_the_loader_first, setup),
        cmocka_unit_test_setup(opens_several_times, setup),
        cmocka_unit_test_setup(says_what_is_missing, setup),
        cmocka_unit_test_setup(refuses_a_driver_that_is_unfit, setup),
        cmocka_unit_test_setup(refuses_libraries_that_are_unfit, setup),
        cmocka_unit_test_setup(refuses_what_is_no_library, setup),
        cmocka_unit_test_setup(opens_nvrtc_alone, setup),
        cmocka_unit_test_setup(looks_at_what_is_there, setup),
        cmocka_unit_test_setup(names_the_cards, setup),
        cmocka_unit_test_setup(advises_by_the_driver, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
