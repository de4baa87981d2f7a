/* Attention of bf16 by AVX-512 BF16's products where the machine has none. */

#include "device/simde_x86.h"

#ifdef HAS_SIMDE
#include "device/cpu/attention_bf16.inc"

#include "device/attention.h"

enum { FORMS = 7 };

/* Odd heads, few keys, a window, causal with slopes, distances, a table. */
static void forms(struct form form[FORMS]) {
    form[0] = plain(2, 32);
    form[1] = plain(1, 401);
    form[2] = plain(4, 33);
    form[2].kv_heads = 2;
    form[2].few_keys = true;
    form[3] = plain(2, 20);
    form[3].behind = form[3].ahead = 7;
    form[4] = plain(3, 7);
    form[4].ahead = 0;
    form[4].slopes = true;
    form[5] = plain(2, 64);
    form[5].reach = 40;
    form[6] = plain(2, 20);
    form[6].table = 33;
    form[6].far = 7;
}

static void emulate(struct fixture *f) {
    fixture_open(f, "generic", THREADS);
    ((struct cpu_device *)f->device)->attention = &emulated;
}

static void bf16_is_its_definition(void **state) {
    (void)state;
    static const uint32_t LENGTHS[] = {1, 2, 33, 0, 160, 17};
    static const uint32_t LONG[] = {403};
    struct form form[FORMS];
    struct fixture f;
    forms(form);
    emulate(&f);
    for (size_t i = 0; i < FORMS; i++) {
        check_reference(&f, LENGTHS, 6, form[i]);
        check_reference(&f, LONG, 1, form[i]);
    }
    fixture_close(&f);
}

static void company_changes_no_bit(void **state) {
    (void)state;
    static const uint32_t LENGTHS[] = {5, 1, 160, 403, 0, 2, 33};
    struct form form[FORMS];
    struct fixture f;
    forms(form);
    emulate(&f);
    for (size_t i = 0; i < FORMS; i++)
        if (!form[i].few_keys)
            check_company(&f, LENGTHS, 7, form[i]);
    fixture_close(&f);
}

static void weights_are_powers_of_e(void **state) {
    (void)state;
    assert_true(rough_weight(splat(0))[0] == 1.0f);
    for (size_t i = 0; i < 6700; i++) {
        float x = -0.013f * (float)i;
        double w = (double)rough_weight(splat(x))[0];
        assert_near(w / exp((double)x), 1, 1.1e-4, "weight", i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_powers_of_e),
        cmocka_unit_test(bf16_is_its_definition),
        cmocka_unit_test(company_changes_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
    return simde_is_missing();
}
#endif
