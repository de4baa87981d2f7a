/* isa.c - which kernels this machine can run. */

#include "device/cpu/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum {
    NEEDS_AVX2 = 1,   /* and FMA */
    NEEDS_AVX512 = 2, /* F, BW, DQ, VL */
    NEEDS_AVX_VNNI = 4,
    NEEDS_AVX512_VNNI = 8,
    NEEDS_AVX512_BF16 = 16,
};

/* Each list best first. */
static const struct isa FLOATS[] = {
#if defined(__x86_64__)
    {"avx512", &kernels_avx512, NULL, NULL, NEEDS_AVX512},
    {"avx2", &kernels_avx2, NULL, NULL, NEEDS_AVX2},
#endif
    {"generic", &kernels_generic, NULL, NULL, 0},
    {0},
};

static const struct isa INT8[] = {
#if defined(__x86_64__)
    {"avx512+vnni+bf16", &kernels_avx512, &int8_avx512vnni,
     &attention_avx512bf16,
     NEEDS_AVX512 | NEEDS_AVX512_VNNI | NEEDS_AVX512_BF16},
    {"avx512+vnni", &kernels_avx512, &int8_avx512vnni, NULL,
     NEEDS_AVX512 | NEEDS_AVX512_VNNI},
    {"avx2+vnni", &kernels_avx2, &int8_avx2vnni, NULL,
     NEEDS_AVX2 | NEEDS_AVX_VNNI},
    {"avx512", &kernels_avx512, &int8_avx512, NULL, NEEDS_AVX512},
    {"avx2", &kernels_avx2, &int8_avx2, NULL, NEEDS_AVX2},
#endif
    {"generic", &kernels_generic, &int8_generic, NULL, 0},
    {0},
};

static const struct isa BF16[] = {
#if defined(__x86_64__)
    {"avx512+bf16", &kernels_avx512, &bf16_avx512bf16, &attention_avx512bf16,
     NEEDS_AVX512 | NEEDS_AVX512_BF16},
    {"avx512", &kernels_avx512, &bf16_avx512, NULL, NEEDS_AVX512},
    {"avx2", &kernels_avx2, &bf16_avx2, NULL, NEEDS_AVX2},
#endif
    {"generic", &kernels_generic, &bf16_generic, NULL, 0},
    {0},
};

#if defined(__x86_64__)
/* __builtin_cpu_supports also asks whether the system saves the registers; it
 * does not know AVX-VNNI, which has AVX2's. */
static unsigned machine_has(void) {
    __builtin_cpu_init();
    unsigned has = 0, a = 0, b, c, d;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        has |= NEEDS_AVX2;
    if (has && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        has |= NEEDS_AVX512;
    if (__builtin_cpu_supports("avx512vnni"))
        has |= NEEDS_AVX512_VNNI;
    if (__builtin_cpu_supports("avx512bf16"))
        has |= NEEDS_AVX512_BF16;
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1)
        has |= NEEDS_AVX_VNNI;
    return has;
}
#else
static unsigned machine_has(void) {
    return 0;
}
#endif

const struct isa *isa_usable(enum number_type type, size_t index) {
    const struct isa *isa = type == NUMBER_INT8   ? INT8
                            : type == NUMBER_BF16 ? BF16
                                                  : FLOATS;
    unsigned has = machine_has();
    for (; isa->name; isa++)
        if (!(isa->needs & ~has) && index-- == 0)
            return isa;
    return NULL;
}
