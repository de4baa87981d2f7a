/* processor.h - which instruction sets this machine runs, so that one program
 * can choose the widest of several that compute the same. */

#ifndef BASE_PROCESSOR_H
#define BASE_PROCESSOR_H

enum {
    PROCESSOR_AVX2 = 1,   /* and FMA */
    PROCESSOR_AVX512 = 2, /* F, BW, DQ, VL, and all of the above */
    PROCESSOR_AVX_VNNI = 4,
    PROCESSOR_AVX512_VNNI = 8,
    PROCESSOR_AVX512_BF16 = 16,
};

/* The sets that the processor has and whose registers the system saves; 0 on
 * anything but x86-64. */
unsigned processor_has(void);

#endif
