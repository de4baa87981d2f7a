/* AVX-512 BF16's products where the machine has none. */

#include "device/simde_x86.h"

#ifdef HAS_SIMDE
#include "device/cpu/bf16.inc"

#include "device/simde.h"

static void bf16_is_as_the_portable_kernels(void **state) {
    (void)state;
    check_emulated(&bf16_generic, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16_is_as_the_portable_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
    return simde_is_missing();
}
#endif
