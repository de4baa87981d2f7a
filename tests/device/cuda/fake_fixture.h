/* fake_fixture.h - the fake libraries (fake_cuda.h) for a test in C, opened as
 * the program opens NVIDIA's.
 *
 *     struct fake fake;
 *     fake_open(&fake, "card memory=1G\nat card=0 launch=3 lost=719\n");
 *     ... device_open with .library_folders = fake_folders() ...
 *     fake_close(&fake); // asserts that nothing is left
 */

#ifndef TESTS_DEVICE_CUDA_FAKE_FIXTURE_H
#define TESTS_DEVICE_CUDA_FAKE_FIXTURE_H

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/cuda/cuda_library.h"
#include "device/cuda/fake_cuda.h"

struct fake {
    struct memory memory;
    struct cuda_library *library;
    fake_cuda_set_function *set;
    fake_cuda_count_function *count;
    fake_blas_live_function *blas_live;
    fake_nvrtc_count_function *compiled;
};

static inline const char *const *fake_folders(void) {
    static const char *const folders[] = {FAKE_CUDA_FOLDER, NULL};
    return folders;
}

static inline void *fake_symbol(const char *file, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", FAKE_CUDA_FOLDER, file);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym(library, name) : NULL;
    if (!symbol)
        fail_msg("%s: %s", path, dlerror());
    dlclose(library);
    return symbol;
}

static inline void fake_open(struct fake *fake, const char *script) {
    struct error err = {0};
    *fake = (struct fake){0};
    *(void **)&fake->set = fake_symbol("libcuda.so.1", "fake_cuda_set");
    *(void **)&fake->count = fake_symbol("libcuda.so.1", "fake_cuda_count");
    *(void **)&fake->blas_live =
        fake_symbol("libcublasLt.so.12", "fake_blas_live");
    *(void **)&fake->compiled =
        fake_symbol("libnvrtc.so.12", "fake_nvrtc_compiled");
    const char *wrong = fake->set(script);
    if (wrong)
        fail_msg("%s", wrong);
    fake->library = cuda_library_open(&fake->memory, fake_folders(), &err);
    if (!fake->library)
        fail_msg("%s", err.message);
}

static inline struct fake_cuda_counters fake_counters(const struct fake *fake,
                                                      int card) {
    struct fake_cuda_counters counters;
    fake->count(card, &counters);
    return counters;
}

static inline void assert_nothing_left(const struct fake_cuda_counters *c) {
    assert_int_equal(c->contexts, 0);
    assert_int_equal(c->blocks, 0);
    assert_int_equal(c->streams, 0);
    assert_int_equal(c->events, 0);
    assert_int_equal(c->modules, 0);
    assert_int_equal(c->registered, 0);
}

static inline void fake_leaves_nothing(const struct fake *fake, int card) {
    struct fake_cuda_counters c = fake_counters(fake, card);
    assert_nothing_left(&c);
}

static inline void fake_close(struct fake *fake) {
    for (int card = 0; card < 8; card++)
        fake_leaves_nothing(fake, card);
    assert_int_equal(fake->blas_live(), 0);
    cuda_library_close(fake->library);
    assert_int_equal(memory_live(&fake->memory), 0);
}

/* ---- tests that open devices: on a fake card, or a real one ------------- */

/* ENS_REAL_CARD in the environment: see cuda_fixture.h. */
static inline bool is_real(void) {
    return getenv("ENS_REAL_CARD") != NULL;
}

/* What cards there are; see fake_cuda.h. */
static inline void cards_are(const char *text) {
    fake_cuda_set_function *set = NULL;
    if (is_real())
        return;
    *(void **)&set = fake_symbol("libcuda.so.1", "fake_cuda_set");
    const char *problem = set(text);
    if (problem)
        fail_msg("%s: %s", text, problem);
}

static inline struct fake_cuda_counters counted(int card) {
    fake_cuda_count_function *count = NULL;
    struct fake_cuda_counters counters = {0};
    if (is_real())
        return counters;
    *(void **)&count = fake_symbol("libcuda.so.1", "fake_cuda_count");
    count(card, &counters);
    return counters;
}

static inline void assert_nothing_is_live(int card) {
    struct fake_cuda_counters c = counted(card);
    assert_nothing_left(&c);
    assert_int_equal(c.bytes_live, 0);
    assert_int_equal(c.faults, 0);
}

#endif
