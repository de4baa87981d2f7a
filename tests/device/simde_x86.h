/* simde_x86.h - SIMDe's form of the instructions that our kernels use and this
 * machine may lack, on x86-64 where it is installed: then HAS_SIMDE is defined,
 * and what the kernels are compiled with, in the tiles that AVX-512 has. They
 * are included behind it and make a table `emulated`. */

#ifndef TESTS_DEVICE_SIMDE_X86_H
#define TESTS_DEVICE_SIMDE_X86_H

#include <stdio.h>

#if defined(__x86_64__) && __has_include(<simde/x86/avx512/dpbf16.h>) &&       \
    __has_include(<simde/x86/avx512/dpbusd.h>)
#define HAS_SIMDE
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpsabi"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#define SIMDE_NO_NATIVE
#include <simde/x86/avx512/dpbf16.h>
#include <simde/x86/avx512/dpbusd.h>
#pragma GCC diagnostic pop

/* Calls: inlined into each of the unrolled kernels, an instruction's many lines
 * would take minutes to compile under sanitizers. */
#define SIMDE_CALL static __attribute__((noinline, unused))
SIMDE_CALL simde__m512 dpbf16(simde__m512 s, simde__m512bh x, simde__m512bh w) {
    return simde_mm512_dpbf16_ps(s, x, w);
}
SIMDE_CALL simde__m512i dpbusd(simde__m512i s, simde__m512i x, simde__m512i w) {
    return simde_mm512_dpbusd_epi32(s, x, w);
}

#define KERNEL_NAME  emulated
#define KERNEL_LANES 16
#define KERNEL_PANEL 32
#define KERNEL_ROWS  12
#define KERNEL_BF16(s, x, w)                                                   \
    ((vec)dpbf16((simde__m512)(s), (simde__m512bh)(x), (simde__m512bh)(w)))
#endif

/* What main does without it. */
static inline int simde_is_missing(void) {
    puts("skip: SIMDe (libsimde-dev) is not installed, or this is no x86-64");
    return 0;
}

#endif
