/* AVX-512 VNNI's products of bytes where the machine has none. */

#include "device/simde_x86.h"

#ifdef HAS_SIMDE
#define KERNEL_LEFT  255
#define KERNEL_RIGHT 127
#define KERNEL_STEP  1
#define KERNEL_DOT(s, x, w)                                                    \
    ((ivec)dpbusd((simde__m512i)(s), (simde__m512i)x[0], (simde__m512i)w[0]))
#include "device/cpu/int8.inc"

#include "device/simde.h"

static void vnni_is_as_the_portable_kernels(void **state) {
    (void)state;
    check_emulated(&int8_generic, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vnni_is_as_the_portable_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
    return simde_is_missing();
}
#endif
