#include "base/processor.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* __builtin_cpu_supports also asks whether the system saves the registers; it
 * does not know AVX-VNNI, which has AVX2's. */
unsigned processor_has(void) {
    __builtin_cpu_init();
    unsigned has = 0, a = 0, b, c, d;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        has |= PROCESSOR_AVX2;
    if (has && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        has |= PROCESSOR_AVX512;
    if (__builtin_cpu_supports("avx512vnni"))
        has |= PROCESSOR_AVX512_VNNI;
    if (__builtin_cpu_supports("avx512bf16"))
        has |= PROCESSOR_AVX512_BF16;
    if (has & PROCESSOR_AVX2 && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
        a >> 4 & 1)
        has |= PROCESSOR_AVX_VNNI;
    return has;
}
#else
unsigned processor_has(void) {
    return 0;
}
#endif
