/* Is the fake driver as strict as a card: what it has, what it refuses, what
 * happens to it, and when work is done? */

#define _GNU_SOURCE /* MAP_FIXED_NOREPLACE */
#include "device/cuda/fake_fixture.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/cuda/kernels/params.h"

static const struct cuda_driver *cu;
static cu_context context;

static void fine(cu_result result) {
    if (result != 0) {
        const char *name = "?";
        cu->cuGetErrorName(result, &name);
        fail_msg("%d %s", result, name);
    }
}

static void enter(struct fake *fake, const char *script) {
    fake_open(fake, script);
    cu = &fake->library->driver;
    fine(cu->cuInit(0));
    fine(cu->cuDevicePrimaryCtxRetain(&context, 0));
    fine(cu->cuCtxSetCurrent(context));
}

static void leave(struct fake *fake) {
    cu->cuDevicePrimaryCtxRelease(0);
    fake_close(fake);
}

/* ---- what is there ---- */

static void test_cards(void **state) {
    (void)state;
    struct fake fake;
    fake_open(&fake, "driver 13000\n"
                     "card name=Tesla_T4 memory=1G multiprocessors=40\n"
                     "card name=H200 capability=9.0 memory=8G context=512M\n");
    cu = &fake.library->driver;
    int count = 0, version = 0, value = 0;
    size_t bytes, total;
    char name[64];
    cu_uuid first, second;
    fine(cu->cuInit(0));
    fine(cu->cuDriverGetVersion(&version));
    fine(cu->cuDeviceGetCount(&count));
    assert_int_equal(version, 13000);
    assert_int_equal(count, 2);
    fine(cu->cuDeviceGetName(name, sizeof name, 0));
    assert_string_equal(name, "Tesla T4");
    fine(cu->cuDeviceTotalMem(&bytes, 1));
    assert_int_equal(bytes, 8ull << 30);
    fine(cu->cuDeviceGetAttribute(&value, CU_ATTRIBUTE_CAPABILITY_MAJOR, 1));
    assert_int_equal(value, 9);
    fine(cu->cuDeviceGetUuid(&first, 0));
    fine(cu->cuDeviceGetUuid(&second, 1));
    assert_memory_not_equal(&first, &second, sizeof first);
    assert_int_equal(cu->cuDeviceGet(&value, 2), 101);
    assert_int_equal(cu->cuMemGetInfo(&bytes, &total), 201);
    fine(cu->cuDevicePrimaryCtxRetain(&context, 1));
    fine(cu->cuCtxSetCurrent(context));
    fine(cu->cuMemGetInfo(&bytes, &total));
    assert_int_equal(bytes, (8ull << 30) - (512ull << 20));
    fine(cu->cuDevicePrimaryCtxRelease(1));
    fake_close(&fake);
}

static void test_script(void **state) {
    (void)state;
    struct fake fake;
    fake_open(&fake, "");
    assert_non_null(strstr(fake.set("card memory=1X\n"), "memory=1X"));
    assert_non_null(fake.set("at card=0 launch=1 take=5\n"));
    assert_non_null(fake.set("card\nat card=0 launch=1 eat=5\n"));
    assert_non_null(fake.set("mode slow\n"));
    assert_null(fake.set("# fine\n\ncard\nat card=0 launch=1 take=5\n"));
    fake_close(&fake);
}

/* ---- memory ---- */

static void test_memory(void **state) {
    (void)state;
    struct fake fake;
    cu_pointer a = 0, b = 0;
    size_t left, total;
    enter(&fake, "card memory=64M context=8M granularity=2M\n");
    fine(cu->cuMemAlloc(&a, 1));
    fine(cu->cuMemGetInfo(&left, &total));
    assert_int_equal(left, 54ull << 20);
    assert_int_equal(cu->cuMemAlloc(&b, 55ull << 20), CU_OUT_OF_MEMORY);
    fine(cu->cuMemAlloc(&b, 54ull << 20));
    assert_int_equal(cu->cuMemFree(b + 1), 1);
    assert_int_equal(fake_counters(&fake, 0).blocks, 2);
    assert_int_equal(fake_counters(&fake, 0).bytes_used_peak, 64ull << 20);
    fine(cu->cuMemFree(a));
    assert_int_equal(cu->cuMemFree(a), 1);
    fine(cu->cuMemFree(b));
    leave(&fake);
}

/* In a process of its own: it dies. */
static int dies(void (*doing)(void *), void *context_of_it) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        signal(SIGSEGV, SIG_DFL);
        doing(context_of_it);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status != 0;
}

static void touch(void *address) {
    *(volatile char *)address = 1;
}

static void test_memory_is_not_the_hosts(void **state) {
    (void)state;
    struct fake fake;
    char ours = 0;
    cu_pointer a;
    enter(&fake, "");
    fine(cu->cuMemAlloc(&a, 4096));
    assert_true(dies(touch, (void *)(uintptr_t)a));
    assert_false(dies(touch, &ours));
    fine(cu->cuMemFree(a));
    leave(&fake);
}

/* ---- streams ---- */

static void test_copies(void **state) {
    (void)state;
    struct fake fake;
    cu_stream stream;
    cu_pointer a;
    char text[16] = "pageable", pinned[16] = "early", out[16] = "nothing yet";
    enter(&fake, "mode lazy\ncard\n");
    fine(cu->cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    fine(cu->cuMemAlloc(&a, 32));
    fine(cu->cuMemHostRegister(pinned, sizeof pinned, 0));
    assert_int_equal(cu->cuMemHostRegister(pinned + 4, 1, 0), 712);
    fine(cu->cuMemcpyHtoDAsync(a, text, sizeof text, stream));
    fine(cu->cuMemcpyHtoDAsync(a + 16, pinned, sizeof pinned, stream));
    usleep(20000); /* for a stream that does not wait, to be seen */
    strcpy(text, "changed");
    strcpy(pinned, "late");
    fine(cu->cuMemcpyDtoHAsync(out, a, sizeof out, stream));
    assert_string_equal(out, "nothing yet"); /* nobody has waited */
    fine(cu->cuStreamSynchronize(stream));
    assert_string_equal(out, "pageable"); /* taken at the call */
    fine(cu->cuMemcpyDtoHAsync(out, a + 16, sizeof out, stream));
    fine(cu->cuStreamSynchronize(stream));
    assert_string_equal(out, "late"); /* read when the stream came to it */
    fine(cu->cuMemsetD8Async(a, 'x', 32, stream));
    fine(cu->cuMemcpyDtoHAsync(out, a + 16, sizeof out, stream));
    fine(cu->cuStreamSynchronize(stream));
    assert_memory_equal(out, "xxxxxxxxxxxxxxxx", 16);
    assert_int_equal(cu->cuMemcpyDtoHAsync(out, a + 17, 16, stream), 1);
    assert_int_equal(cu->cuMemcpyHtoDAsync(a - 1, out, 1, stream), 1);
    fine(cu->cuMemHostUnregister(pinned));
    assert_int_equal(cu->cuMemHostUnregister(pinned), 713);
    fine(cu->cuMemFree(a));
    fine(cu->cuStreamDestroy(stream));
    assert_int_equal(cu->cuStreamSynchronize(stream), 400);
    leave(&fake);
}

static void test_freed_too_early(void **state) {
    (void)state;
    struct fake fake;
    cu_stream stream;
    cu_pointer a;
    char out[16];
    enter(&fake, "mode lazy\ncard\n");
    fine(cu->cuStreamCreate(&stream, 0));
    fine(cu->cuMemAlloc(&a, 32));
    fine(cu->cuMemcpyDtoHAsync(out, a, sizeof out, stream));
    fine(cu->cuMemFree(a));
    assert_int_equal(cu->cuStreamSynchronize(stream), 700);
    assert_int_equal(fake_counters(&fake, 0).faults, 1);
    cu->cuStreamDestroy(stream);
    leave(&fake);
}

/* One stream goes on when the other one has come to the event. */
static void events_order(const char *script) {
    struct fake fake;
    cu_stream first, second;
    cu_event event;
    cu_pointer a;
    static char big[1 << 20], out[1 << 20];
    enter(&fake, script);
    fine(cu->cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
    fine(cu->cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    fine(cu->cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    fine(cu->cuMemAlloc(&a, sizeof big));
    fine(cu->cuStreamWaitEvent(second, event, 0)); /* not recorded: nothing */
    for (char round = 1; round < 20; round++) {
        memset(big, round, sizeof big);
        fine(cu->cuMemcpyHtoDAsync(a, big, sizeof big, first));
        fine(cu->cuEventRecord(event, first));
        fine(cu->cuStreamWaitEvent(second, event, 0));
        fine(cu->cuMemcpyDtoHAsync(out, a, sizeof out, second));
        fine(cu->cuStreamSynchronize(second));
        assert_memory_equal(out, big, sizeof big);
    }
    fine(cu->cuEventSynchronize(event));
    fine(cu->cuEventDestroy(event));
    assert_int_equal(cu->cuEventSynchronize(event), 400);
    fine(cu->cuMemFree(a));
    fine(cu->cuStreamDestroy(first));
    fine(cu->cuStreamDestroy(second));
    leave(&fake);
}

static void test_events(void **state) {
    (void)state;
    events_order("card\n");
    events_order("mode lazy\ncard\n");
    events_order("mode sync\ncard\n");
}

static void test_event_times(void **state) {
    (void)state;
    struct fake fake;
    cu_stream stream;
    cu_event begin, end, untimed;
    float ms = -1;
    enter(&fake, "mode lazy\ncard\n");
    fine(cu->cuStreamCreate(&stream, 0));
    fine(cu->cuEventCreate(&begin, CU_EVENT_DEFAULT));
    fine(cu->cuEventCreate(&end, CU_EVENT_DEFAULT));
    fine(cu->cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    fine(cu->cuEventRecord(begin, stream));
    assert_int_equal(cu->cuEventElapsedTime(&ms, begin, end), 400);
    fine(cu->cuEventRecord(end, stream));
    assert_int_equal(cu->cuEventElapsedTime(&ms, begin, end), 600);
    fine(cu->cuEventSynchronize(end));
    fine(cu->cuEventElapsedTime(&ms, begin, end));
    assert_true(ms >= 0);
    fine(cu->cuEventRecord(untimed, stream));
    fine(cu->cuEventSynchronize(untimed));
    assert_int_equal(cu->cuEventElapsedTime(&ms, begin, untimed), 400);
    assert_int_equal(cu->cuEventElapsedTime(&ms, untimed, end), 400);
    fine(cu->cuEventDestroy(begin));
    fine(cu->cuEventDestroy(end));
    fine(cu->cuEventDestroy(untimed));
    fine(cu->cuStreamDestroy(stream));
    leave(&fake);
}

/* ---- kernels ---- */

static cu_module load(const struct fake *fake, const char *options[],
                      int count) {
    const struct cuda_nvrtc *nvrtc = &fake->library->nvrtc;
    nvrtc_program program;
    cu_module module;
    char image[512];
    size_t bytes = 0;
    fine(nvrtc->nvrtcCreateProgram(&program, "__global__", "rows.cu", 0, NULL,
                                   NULL));
    fine(nvrtc->nvrtcCompileProgram(program, count, options));
    fine(nvrtc->nvrtcGetCUBINSize(program, &bytes));
    assert_in_range(bytes, 1, sizeof image);
    fine(nvrtc->nvrtcGetCUBIN(program, image));
    fine(nvrtc->nvrtcDestroyProgram(&program));
    fine(cu->cuModuleLoadData(&module, image));
    return module;
}

struct work {
    struct fake fake;
    cu_module module;
    cu_function activate;
    cu_stream stream;
    cu_pointer x;
};

enum { NUMBERS = 3000, LOWER_HALF = 1 << 24 /* fake_card.h's */ };

static void work_begin(struct work *w, const char *script) {
    const char *options[] = {"--gpu-architecture=sm_75", "-DNARROW=0"};
    enter(&w->fake, script);
    w->module = load(&w->fake, options, 2);
    fine(cu->cuModuleGetFunction(&w->activate, w->module, "activate_wide"));
    fine(cu->cuStreamCreate(&w->stream, CU_STREAM_NON_BLOCKING));
    fine(cu->cuMemAlloc(&w->x, NUMBERS * sizeof(float)));
    fine(cu->cuMemsetD8Async(w->x, 0xff, NUMBERS * sizeof(float), w->stream));
}

static void work_end(struct work *w) {
    cu->cuStreamSynchronize(w->stream); /* kernels may still compute in x */
    cu->cuMemFree(w->x);
    cu->cuModuleUnload(w->module);
    cu->cuStreamDestroy(w->stream);
    leave(&w->fake);
}

/* x = max(x, 0) */
static cu_result launch_at(const struct work *w, const void *x,
                           unsigned shared) {
    struct activate_wide_params p = {.x = x,
                                     .y = (float *)(uintptr_t)w->x,
                                     .count = NUMBERS,
                                     .activation = PARAM_ACTIVATION_RELU};
    void *params[] = {&p};
    unsigned each = ROW_THREADS * 8;
    return cu->cuLaunchKernel(w->activate, (NUMBERS + each - 1) / each, 1, 1,
                              ROW_THREADS, 1, 1, shared, w->stream, params,
                              NULL);
}

static cu_result launch(const struct work *w) {
    return launch_at(w, (const void *)(uintptr_t)w->x, 0);
}

static void test_kernels(void **state) {
    (void)state;
    struct work w;
    static float x[NUMBERS];
    cu_function none;
    work_begin(&w, "mode lazy\ncard\n");
    for (int i = 0; i < NUMBERS; i++)
        x[i] = (float)(i - 1000);
    fine(cu->cuMemcpyHtoDAsync(w.x, x, sizeof x, w.stream));
    fine(launch(&w));
    fine(cu->cuMemcpyDtoHAsync(x, w.x, sizeof x, w.stream));
    assert_true(x[0] == -1000);
    fine(cu->cuStreamSynchronize(w.stream));
    for (int i = 0; i < NUMBERS; i++)
        assert_true(x[i] == (i > 1000 ? (float)(i - 1000) : 0));
    assert_int_equal(fake_counters(&w.fake, 0).launches, 1);
    assert_int_equal(cu->cuModuleGetFunction(&none, w.module, "no_such"), 500);
    assert_int_equal(launch_at(&w, NULL, 49153), 1);
    fine(cu->cuFuncSetAttribute(w.activate, CU_FUNCTION_SHARED_BYTES, 65536));
    assert_int_equal(
        cu->cuFuncSetAttribute(w.activate, CU_FUNCTION_SHARED_BYTES, 65537), 1);
    work_end(&w);
}

#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

/* Bytes behind a struct's last number are what lay there before: the upper half
 * of an address, and the number the lower one. */
static void test_padding(void **state) {
    (void)state;
#ifndef __SANITIZE_THREAD__ /* it has that address itself */
    struct work w;
    char *host = mmap((void *)0x300000000000, 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(host, (void *)0x300000000000);
    work_begin(&w, "card\n");
    struct activate_wide_params p = {.x = (const void *)(uintptr_t)w.x,
                                     .y = (float *)(uintptr_t)w.x,
                                     .count = 1,
                                     .activation = PARAM_ACTIVATION_RELU};
    void *params[] = {&p};
    memcpy(&p.activation + 1, &(unsigned){0x3000}, sizeof(unsigned));
    fine(cu->cuLaunchKernel(w.activate, 1, 1, 1, ROW_THREADS, 1, 1, 0, w.stream,
                            params, NULL));
    fine(cu->cuStreamSynchronize(w.stream));
    work_end(&w);
    munmap(host, 4096);
#endif
}

static void test_images(void **state) {
    (void)state;
    struct fake fake;
    cu_module module;
    enter(&fake, "card capability=8.6\n");
    assert_int_equal(cu->cuModuleLoadData(&module, "something"), 200);
    assert_int_equal(
        cu->cuModuleLoadData(&module, "ensembed-emulated\nrows\n"
                                      "--gpu-architecture=sm_75\n-DNARROW=1\n"),
        209);
    assert_int_equal(
        cu->cuModuleLoadData(&module, "ensembed-emulated\nrows\n"
                                      "--gpu-architecture=sm_80\n-DNARRAW=1\n"),
        200);
    leave(&fake);
}

/* What a card would do wrong without a word, or die of, is told. */
static void test_kernels_of_foreign_memory(void **state) {
    (void)state;
    struct work w;
    char *room = malloc(2 * LOWER_HALF), *ours = room;
    if ((uint32_t)(uintptr_t)room < LOWER_HALF) /* taken for a number */
        ours += LOWER_HALF;
    work_begin(&w, "card\n");
    fine(launch_at(&w, ours, 0));
    assert_int_equal(cu->cuStreamSynchronize(w.stream), 700);
    work_end(&w);

    cu_context other;
    cu_pointer there;
    cu_function function;
    work_begin(&w, "card\ncard\n");
    fine(cu->cuDevicePrimaryCtxRetain(&other, 1));
    fine(cu->cuCtxSetCurrent(other));
    fine(cu->cuMemAlloc(&there, NUMBERS * sizeof(float)));
    assert_int_equal(launch(&w), 400); /* a stream of another context */
    assert_int_equal(cu->cuModuleGetFunction(&function, w.module, "norm_rows"),
                     201);
    assert_int_equal(
        cu->cuFuncSetAttribute(w.activate, CU_FUNCTION_SHARED_BYTES, 0), 201);
    assert_int_equal(cu->cuModuleUnload(w.module), 201);
    assert_int_equal(cu->cuMemcpyHtoDAsync(there, ours, 4, w.stream), 400);
    fine(cu->cuCtxSetCurrent(context));
    fine(launch_at(&w, (const void *)(uintptr_t)there, 0));
    assert_int_equal(cu->cuStreamSynchronize(w.stream), 700);
    fine(cu->cuCtxSetCurrent(other));
    fine(cu->cuMemFree(there));
    fine(cu->cuDevicePrimaryCtxRelease(1));
    fine(cu->cuCtxSetCurrent(context));
    work_end(&w);
    free(room);
}

/* ---- what happens ---- */

static void test_strangers(void **state) {
    (void)state;
    struct work w;
    size_t before, left, total;
    cu_pointer a;
    work_begin(&w, "card memory=1G\n"
                   "at card=0 launch=2 take=100M\n"
                   "at card=0 launch=3 give=100M\n"
                   "at card=0 alloc=2 refuse=2\n");
    fine(cu->cuMemGetInfo(&before, &total));
    fine(launch(&w));
    fine(cu->cuMemGetInfo(&left, &total));
    assert_int_equal(left, before);
    fine(launch(&w));
    fine(cu->cuMemGetInfo(&left, &total));
    assert_int_equal(left, before - (100 << 20));
    fine(launch(&w));
    fine(cu->cuMemGetInfo(&left, &total));
    assert_int_equal(left, before);
    assert_int_equal(cu->cuMemAlloc(&a, 1), CU_OUT_OF_MEMORY);
    assert_int_equal(cu->cuMemAlloc(&a, 1), CU_OUT_OF_MEMORY);
    fine(cu->cuMemAlloc(&a, 1));
    fine(cu->cuMemFree(a));
    work_end(&w);
}

static void test_lost(void **state) {
    (void)state;
    struct work w;
    size_t left, total;
    cu_pointer a;
    char out = 'x';
    work_begin(&w, "mode lazy\ncard\nat card=0 launch=2 lost=999\n");
    fine(launch(&w));
    fine(cu->cuStreamSynchronize(w.stream));
    fine(cu->cuMemcpyDtoHAsync(&out, w.x, 1, w.stream));
    assert_int_equal(launch(&w), 999);
    assert_int_equal(cu->cuStreamSynchronize(w.stream), 999);
    assert_int_equal(cu->cuMemGetInfo(&left, &total), 999);
    assert_int_equal(cu->cuMemAlloc(&a, 1), 999);
    assert_int_equal(launch(&w), 999);
    cu->cuStreamDestroy(w.stream); /* its work is done */
    assert_int_equal(out, 'x');    /* or lost with the card */
    work_end(&w);
}

/* What is not given back is seen. */
static void test_leaks(void **state) {
    (void)state;
    struct fake fake;
    cu_pointer a;
    enter(&fake, "card\n");
    fine(cu->cuMemAlloc(&a, 5));
    fine(cu->cuDevicePrimaryCtxRelease(0));
    assert_int_equal(fake_counters(&fake, 0).blocks, 1);
    assert_null(fake.set("card\n"));
    fake_close(&fake);
}

/* ---- NVRTC ---- */

static void test_compiler(void **state) {
    (void)state;
    struct fake fake;
    fake_open(&fake, "");
    const struct cuda_nvrtc *nvrtc = &fake.library->nvrtc;
    const char *good[] = {"--gpu-architecture=sm_90a", "-DNARROW=2"};
    const char *bad[] = {"--gpu-architecture=sm_75", "--fast"};
    const char *narrow[] = {"--gpu-architecture=sm_75", "-DNARROW=2"};
    const char *source = "#if 0\n#error \"no\"\n#endif\n__global__ void f();";
    nvrtc_program program;
    char log[512];
    fine(nvrtc->nvrtcCreateProgram(&program, source, "rows.cu", 0, NULL, NULL));
    uint64_t before = fake.compiled();
    fine(nvrtc->nvrtcCompileProgram(program, 2, good));
    assert_int_equal(nvrtc->nvrtcCompileProgram(program, 2, bad), 5);
    assert_int_equal(nvrtc->nvrtcCompileProgram(program, 2, narrow), 6);
    assert_int_equal(fake.compiled(), before + 3);
    fine(nvrtc->nvrtcDestroyProgram(&program));
    fine(nvrtc->nvrtcCreateProgram(&program, "__global__\n#error \"no\"\n",
                                   "rows.cu", 0, NULL, NULL));
    assert_int_equal(nvrtc->nvrtcCompileProgram(program, 2, good), 6);
    fine(nvrtc->nvrtcGetProgramLog(program, log));
    assert_non_null(strstr(log, "rows.cu(2): catastrophic error"));
    fine(nvrtc->nvrtcDestroyProgram(&program));
    fake_close(&fake);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cards),
        cmocka_unit_test(test_script),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_is_not_the_hosts),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_freed_too_early),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_event_times),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_kernels_of_foreign_memory),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_leaks),
        cmocka_unit_test(test_compiler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
