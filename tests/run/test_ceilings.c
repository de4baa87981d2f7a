/* test_ceilings.c - the limits of devices by default, and by order. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "run/ceilings.h"
#include "run/devices.h"

static const uint64_t KIB = 1024, MIB = 1024 * 1024, GIB = 1024 * 1024 * 1024;
static const uint64_t T4 = 15828320256; /* as nvidia-smi gives it */

static char warnings[2048];
static struct error err;

static void on_log(void *context, enum log_level level, const char *message) {
    (void)context;
    if (level == LOG_WARNING)
        snprintf(warnings, sizeof warnings, "%s", message);
}

static const struct sink sink = {.log = on_log};

static uint64_t card_ceiling(uint64_t total, uint64_t free_bytes) {
    return ceiling_default(false, total, free_bytes, margin_default(total));
}

static void margins_by_default(void **state) {
    (void)state;
    assert_true(margin_default(T4) == 512 * MIB);
    assert_true(margin_default(8 * GIB) == 512 * MIB);
    assert_true(margin_default(4 * GIB) == 256 * MIB);
    assert_true(margin_default(16) == 1);
    assert_true(margin_default(0) == 0);
    assert_true(margin_default(UINT64_MAX) == 512 * MIB);
}

/* The mission: a T4 is used below 12 GB, in either unit. */
static void a_t4_stays_under_twelve(void **state) {
    (void)state;
    assert_true(card_ceiling(T4, T4) == 11871240192u);
    assert_true(card_ceiling(T4, T4) < 12000000000u);
}

static void ceilings_of_cards(void **state) {
    (void)state;
    /* what others hold comes off, with 512 MiB of air */
    assert_true(card_ceiling(T4, 6 * GIB) == 6 * GIB - 512 * MIB);
    assert_true(card_ceiling(8 * GIB, 8 * GIB) == 6 * GIB);
    /* a small card has less air */
    assert_true(card_ceiling(1 * GIB, 512 * MIB) == 448 * MIB);
    assert_true(card_ceiling(64 * KIB, 64 * KIB) == 48 * KIB);
    /* 0 would mean that there is no ceiling */
    assert_true(card_ceiling(T4, 512 * MIB) == 1);
    assert_true(card_ceiling(T4, 0) == 1);
    assert_true(card_ceiling(0, 0) == 1);
    assert_true(card_ceiling(UINT64_MAX, UINT64_MAX) == UINT64_MAX / 4 * 3);
}

static void ceilings_of_the_cpu(void **state) {
    (void)state;
    assert_true(ceiling_default(true, 16 * GIB, 100000, 512 * MIB) == 80000);
    assert_true(ceiling_default(true, 16 * GIB, 0, 512 * MIB) == 1);
    uint64_t most = ceiling_default(true, UINT64_MAX, UINT64_MAX, 0);
    assert_true(most > UINT64_MAX / 100 * 79 && most < UINT64_MAX / 100 * 81);
}

static void the_last_that_was_said_counts(void **state) {
    (void)state;
    const struct device_bytes said[] = {{"cpu", 1}, {"sim:a", 2}, {"cpu", 3}};
    assert_true(ceilings_find(said, 3, "cpu", 9) == 3);
    assert_true(ceilings_find(said, 3, "sim:a", 9) == 2);
    assert_true(ceilings_find(said, 3, "sim:b", 9) == 9);
    assert_true(ceilings_find(NULL, 0, "cpu", 9) == 9);
}

static bool check(const char *devices, struct device_bytes ceiling,
                  struct device_bytes margin) {
    struct memory memory = {0};
    struct device_list list;
    struct run_options options = {.ceilings = &ceiling,
                                  .ceilings_count = ceiling.device != NULL,
                                  .margins = &margin,
                                  .margins_count = margin.device != NULL};
    err = (struct error){0};
    assert_true(device_list_parse(&memory, devices, NULL, &list, &err));
    bool fine = ceilings_check(&options, &list, &err);
    device_list_free(&memory, &list);
    assert_int_equal(memory_live(&memory), 0);
    return fine;
}

static void devices_that_are_not_there_are_refused(void **state) {
    (void)state;
    const struct device_bytes none = {0};
    assert_true(check("sim:t4x2", (struct device_bytes){"sim:t4-1", GIB},
                      (struct device_bytes){"sim:t4-0", MIB}));
    assert_true(check("sim:t4", (struct device_bytes){"cpu", GIB}, none));

    assert_false(
        check("sim:t4x2,cpu", (struct device_bytes){"sim:t4x2", GIB}, none));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_string_equal(err.message,
                        "--ceiling: no device of this run is called "
                        "'sim:t4x2'; it has sim:t4-0, sim:t4-1 and cpu "
                        "(--device names them)");
    assert_false(check("cpu", none, (struct device_bytes){"cuda:0", GIB}));
    assert_string_equal(err.message,
                        "--margin: no device of this run is called 'cuda:0'; "
                        "it has cpu (--device names them)");
}

static void ceilings_that_hold_nothing_back(void **state) {
    (void)state;
    const struct device_bytes said[] = {{"sim:t4", T4 + 1}, {"cpu", T4}};
    const struct run_options options = {.ceilings = said, .ceilings_count = 2};
    warnings[0] = '\0';
    ceiling_warn(&options, "cpu", T4, &sink);
    ceiling_warn(&options, "sim:other", 1, &sink);
    assert_string_equal(warnings, "");
    ceiling_warn(&options, "sim:t4", T4, &sink);
    assert_string_equal(warnings,
                        "the ceiling of sim:t4, 15828320257 bytes, is above "
                        "all that it has (15828320256) and holds nothing back");
}

/* ---- what `ensembed devices` says ---------------------------------------- */

static json_int_t number(const json_t *entry, const char *name) {
    return json_integer_value(json_object_get(entry, name));
}

static void devices_are_described(void **state) {
    (void)state;
    char locks[] = "/tmp/ens-devices-XXXXXX";
    assert_non_null(mkdtemp(locks));
    const struct device_bytes ceiling = {"sim:t4-1", GIB};
    const struct device_bytes margin = {"sim:small", 3 * MIB};
    struct run_options options = {.devices = "sim:t4x2,sim:small=64MiB,cpu",
                                  .ceilings = &ceiling,
                                  .ceilings_count = 1,
                                  .margins = &margin,
                                  .margins_count = 1,
                                  .lock_dir = locks};
    char path[128];
    snprintf(path, sizeof path, "%s/sim:small.lock", locks);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);

    json_t *list = NULL;
    assert_true(devices_describe(&options, &sink, &list, &err));
    assert_int_equal(json_array_size(list), 4);
    const json_t *first = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(first, "device")),
                        "sim:t4-0");
    assert_true(number(first, "bytes_total") == (json_int_t)T4);
    assert_true(number(first, "bytes_free") == (json_int_t)T4);
    assert_true(number(first, "ceiling_bytes") == 11871240192);
    assert_true(number(first, "margin_bytes") == (json_int_t)(512 * MIB));
    assert_true(json_is_null(json_object_get(first, "holder")));
    assert_true(number(json_array_get(list, 1), "ceiling_bytes") ==
                (json_int_t)GIB);
    const json_t *small = json_array_get(list, 2);
    assert_true(number(small, "ceiling_bytes") == (json_int_t)(48 * MIB));
    assert_true(number(small, "margin_bytes") == (json_int_t)(3 * MIB));
    assert_string_equal(json_string_value(json_object_get(small, "holder")),
                        "another process");
    const json_t *cpu = json_array_get(list, 3);
    assert_true(json_is_true(json_object_get(cpu, "shared")));
    assert_true(number(cpu, "bytes_free") > 0);
    assert_true(number(cpu, "ceiling_bytes") ==
                number(cpu, "bytes_free") / 100 * 80);
    json_decref(list);
    close(fd);
    folder_remove(locks, NULL);
}

static void devices_that_cannot_be_described(void **state) {
    (void)state;
    json_t *list = NULL;
    struct run_options options = {.devices = "abacus"};
    assert_false(devices_describe(&options, &sink, &list, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    options = (struct run_options){.isa = "abacus"};
    assert_false(devices_describe(&options, &sink, &list, &err));
    assert_null(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(margins_by_default),
        cmocka_unit_test(a_t4_stays_under_twelve),
        cmocka_unit_test(ceilings_of_cards),
        cmocka_unit_test(ceilings_of_the_cpu),
        cmocka_unit_test(the_last_that_was_said_counts),
        cmocka_unit_test(devices_that_are_not_there_are_refused),
        cmocka_unit_test(ceilings_that_hold_nothing_back),
        cmocka_unit_test(devices_are_described),
        cmocka_unit_test(devices_that_cannot_be_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
