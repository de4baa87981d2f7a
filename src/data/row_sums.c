#include "data/row_sums.h"

#include "base/processor.h"

static const struct {
    const struct row_sums *sums;
    unsigned needs;
} SETS[] = {
#if defined(__x86_64__)
    {&row_sums_avx512, PROCESSOR_AVX512},
    {&row_sums_avx2, PROCESSOR_AVX2},
#endif
    {&row_sums_generic, 0},
};

const struct row_sums *row_sums_usable(size_t index) {
    unsigned has = processor_has();
    for (size_t i = 0; i < sizeof SETS / sizeof *SETS; i++)
        if (!(SETS[i].needs & ~has) && index-- == 0)
            return SETS[i].sums;
    return NULL;
}
