/* isa.c - which kernels this machine can run. */

#include "base/processor.h"
#include "device/cpu/kernels.h"

/* Each list best first. */
static const struct isa FLOATS[] = {
#if defined(__x86_64__)
    {"avx512", &kernels_avx512, NULL, NULL, PROCESSOR_AVX512},
    {"avx2", &kernels_avx2, NULL, NULL, PROCESSOR_AVX2},
#endif
    {"generic", &kernels_generic, NULL, NULL, 0},
    {0},
};

static const struct isa INT8[] = {
#if defined(__x86_64__)
    {"avx512+vnni+bf16", &kernels_avx512, &int8_avx512vnni,
     &attention_avx512bf16,
     PROCESSOR_AVX512 | PROCESSOR_AVX512_VNNI | PROCESSOR_AVX512_BF16},
    {"avx512+vnni", &kernels_avx512, &int8_avx512vnni, NULL,
     PROCESSOR_AVX512 | PROCESSOR_AVX512_VNNI},
    {"avx2+vnni", &kernels_avx2, &int8_avx2vnni, NULL,
     PROCESSOR_AVX2 | PROCESSOR_AVX_VNNI},
    {"avx512", &kernels_avx512, &int8_avx512, NULL, PROCESSOR_AVX512},
    {"avx2", &kernels_avx2, &int8_avx2, NULL, PROCESSOR_AVX2},
#endif
    {"generic", &kernels_generic, &int8_generic, NULL, 0},
    {0},
};

static const struct isa BF16[] = {
#if defined(__x86_64__)
    {"avx512+bf16", &kernels_avx512, &bf16_avx512bf16, &attention_avx512bf16,
     PROCESSOR_AVX512 | PROCESSOR_AVX512_BF16},
    {"avx512", &kernels_avx512, &bf16_avx512, NULL, PROCESSOR_AVX512},
    {"avx2", &kernels_avx2, &bf16_avx2, NULL, PROCESSOR_AVX2},
#endif
    {"generic", &kernels_generic, &bf16_generic, NULL, 0},
    {0},
};

const struct isa *isa_usable(enum number_type type, size_t index) {
    const struct isa *isa = type == NUMBER_INT8   ? INT8
                            : type == NUMBER_BF16 ? BF16
                                                  : FLOATS;
    unsigned has = processor_has();
    for (; isa->name; isa++)
        if (!(isa->needs & ~has) && index-- == 0)
            return isa;
    return NULL;
}
