/* isa.c - which kernels this machine can run. */

#include "device/cpu/kernels.h"

/* Best first: what a machine can run is an end of the list. */
static const struct kernels *const ALL[] = {
#if defined(__x86_64__)
    &kernels_avx512, &kernels_avx2,
#endif
    &kernels_generic, NULL};

static const char *const NAMES[] = {
#if defined(__x86_64__)
    "avx512", "avx2",
#endif
    "generic", NULL};

/* __builtin_cpu_supports also asks whether the system saves the registers. */
static size_t first_usable(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return 2;
    return __builtin_cpu_supports("avx512f") &&
                   __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl")
               ? 0
               : 1;
#else
    return 0;
#endif
}

const struct kernels *const *kernels_usable(void) {
    return ALL + first_usable();
}

const char *const *kernels_names(void) {
    return NAMES + first_usable();
}
