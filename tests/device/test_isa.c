/* Which kernels a processor is given, for processors that this machine is not.
 */

#include "base/processor.h"
#include "device/fixture.h"

unsigned __wrap_processor_has(void);

static unsigned pretended;

unsigned __wrap_processor_has(void) {
    return pretended;
}

#if defined(__x86_64__)
static void assert_isas(enum number_type type, const char *const *names) {
    size_t i = 0;
    for (; names[i]; i++) {
        const char *isa = device_isa(type, i);
        assert_non_null(isa);
        assert_string_equal(isa, names[i]);
    }
    assert_null(device_isa(type, i));
}

struct processor {
    const char *example;
    unsigned has;
    const char *floats[4], *bf16[5], *int8[7]; /* best first */
};

enum {
    AVX2 = PROCESSOR_AVX2,
    AVX512 = AVX2 | PROCESSOR_AVX512,
    VNNI512 = AVX512 | PROCESSOR_AVX512_VNNI,
    BF16 = VNNI512 | PROCESSOR_AVX512_BF16,
};

static const struct processor PROCESSORS[] = {
    {"Nehalem", 0, {"generic"}, {"generic"}, {"generic"}},
    {"Haswell, Zen 3",
     AVX2,
     {"avx2", "generic"},
     {"avx2", "generic"},
     {"avx2", "generic"}},
    {"Alder Lake, Sierra Forest",
     AVX2 | PROCESSOR_AVX_VNNI,
     {"avx2", "generic"},
     {"avx2", "generic"},
     {"avx2+vnni", "avx2", "generic"}},
    {"Skylake-SP",
     AVX512,
     {"avx512", "avx2", "generic"},
     {"avx512", "avx2", "generic"},
     {"avx512", "avx2", "generic"}},
    {"Cascade Lake, Ice Lake",
     VNNI512,
     {"avx512", "avx2", "generic"},
     {"avx512", "avx2", "generic"},
     {"avx512+vnni", "avx512", "avx2", "generic"}},
    {"Cooper Lake, Zen 4",
     BF16,
     {"avx512", "avx2", "generic"},
     {"avx512+bf16", "avx512", "avx2", "generic"},
     {"avx512+vnni+bf16", "avx512+vnni", "avx512", "avx2", "generic"}},
    {"Sapphire Rapids, Zen 5",
     BF16 | PROCESSOR_AVX_VNNI,
     {"avx512", "avx2", "generic"},
     {"avx512+bf16", "avx512", "avx2", "generic"},
     {"avx512+vnni+bf16", "avx512+vnni", "avx2+vnni", "avx512", "avx2",
      "generic"}},
};

static void each_processor_has_its_kernels(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof PROCESSORS / sizeof *PROCESSORS; i++) {
        const struct processor *p = &PROCESSORS[i];
        print_message("%s\n", p->example);
        pretended = p->has;
        assert_isas(NUMBER_F32, p->floats);
        assert_isas(NUMBER_BF16, p->bf16);
        assert_isas(NUMBER_INT8, p->int8);
    }
}
#endif

/* What the processor lacks is refused by name, and never run. */
static void what_it_lacks_is_refused(void **state) {
    (void)state;
    static const char *const lacking[] = {"avx512+vnni+bf16", "avx512+vnni",
                                          "avx2+vnni", "avx512", "avx2"};
    pretended = 0;
    for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++) {
        struct error err = {0};
        struct memory memory = {0};
        struct pool *pool = pool_create(&memory, 1, &err);
        assert_non_null(pool);
        struct device_options options = {.memory = &memory,
                                         .pool = pool,
                                         .isa = lacking[i],
                                         .type = NUMBER_INT8};
        assert_null(device_open(&DEVICE_CPU, &options, &err));
        assert_non_null(strstr(err.message, lacking[i]));
        pool_free(pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        cmocka_unit_test(each_processor_has_its_kernels),
#endif
        cmocka_unit_test(what_it_lacks_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
