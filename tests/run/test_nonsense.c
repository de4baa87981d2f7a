/* test_nonsense.c - vectors that are not sound: whose fault it is, and what it
 * costs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/gate.h"
#include "run/trial.h"

enum { TEXTS = 300 };

static const struct trial_terms CALM = {
    .models = "mean,cls", .budget = 256, .devices = "cpu"};

static struct trial calm;

static int open_calm(void **state) {
    (void)state;
    trial_run_well(&calm, &CALM);
    return 0;
}

static int close_calm(void **state) {
    (void)state;
    trial_end(&calm);
    return 0;
}

static const enum run_mode MODES[] = {MODE_EXCLUSIVE, MODE_SEQUENTIAL,
                                      MODE_SIMULTANEOUS};

static void once_is_done_again_on_the_same_card(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct trial t;
        struct trial_terms terms = CALM;
        size_t at = 0;
        terms.devices = "sim:a=4MB";
        terms.mode = MODES[i];
        terms.script =
            "{\"device\":\"sim:a\",\"at_submit\":7,\"fail\":\"nan\"}\n";
        trial_run_well(&t, &terms);
        const json_t *again = trial_next(&t, "batch_recomputed", &at);
        assert_true(trial_text_is(again, "device", "sim:a"));
        assert_true(trial_number(again, "texts") > 0);
        assert_int_equal(trial_count(&t, "batch_recomputed"), 1);
        assert_int_equal(trial_count(&t, "cpu_fallback"), 0);
        assert_int_equal(trial_number(trial_pass(&t, 0, 0), "elsewhere"), 0);
        trial_nothing_lost(&t, 2, TEXTS);
        trial_same(&calm, &t);
        trial_end(&t);
    }
}

/* The CPU does what the card cannot, and says which texts. */
static void again_and_again_is_the_end_of_a_card(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct trial t;
        struct trial_terms terms = CALM;
        size_t at = 0;
        terms.devices = "sim:a=4MB";
        terms.mode = MODES[i];
        terms.script = "{\"device\":\"sim:a\",\"at_submit\":4,\"fail\":\"nan\","
                       "\"count\":100000}\n";
        trial_run_well(&t, &terms);
        const json_t *cpu = trial_next(&t, "cpu_fallback", &at);
        assert_true(trial_text_is(cpu, "to_device", "cpu"));
        const json_t *lost = trial_next(&t, "device_lost", &at);
        assert_true(trial_text_is(lost, "device", "sim:a"));
        assert_non_null(strstr(
            json_string_value(json_object_get(lost, "reason")), "not sound"));
        const json_t *pass = trial_pass(&t, 0, 0);
        json_int_t texts = trial_number(trial_device(pass, "cpu"), "texts");
        assert_true(texts > 0);
        assert_int_equal(trial_number(pass, "elsewhere"), texts);
        assert_true(json_array_size(json_object_get(pass, "elsewhere_chunks")) >
                    0);
        trial_nothing_lost(&t, 2, TEXTS);
        trial_same(&calm, &t);
        trial_end(&t);
    }
}

/* Until then the first card keeps its batch, and leaves the others to it. */
static bool once_b_is_lost(const struct gate_device *device) {
    return strcmp(device->name, "sim:a") != 0 || gate.told;
}

/* Four bad batches of one of two cards cost that one. */
static void the_other_card_stays(void **state) {
    struct trial t;
    struct trial_terms terms = CALM;
    size_t at = 0;
    (void)state;
    terms.budget = 64;
    terms.devices = "sim:a=4MB,sim:b=4MB";
    terms.mode = MODE_EXCLUSIVE;
    terms.script = "{\"device\":\"sim:b\",\"at_submit\":2,\"fail\":\"nan\","
                   "\"count\":100000}\n";
    terms.on_event = gate_event;
    gate_close(once_b_is_lost, "device_lost");
    trial_run_well(&t, &terms);
    gate_open();
    const json_t *lost = trial_next(&t, "device_lost", &at);
    assert_true(trial_text_is(lost, "device", "sim:b"));
    assert_int_equal(trial_count(&t, "device_lost"), 1);
    assert_true(
        trial_number(trial_device(trial_pass(&t, 0, 1), "sim:a"), "texts") > 0);
    trial_nothing_lost(&t, 2, TEXTS);
    trial_same(&calm, &t);
    trial_end(&t);
}

/* ---- a model that is broken --------------------------------------------- */

/* A copy of the model MEAN with numbers that are none. */
static void break_model(char folder[64]) {
    char command[256], path[128];
    uint32_t nan[256];
    strcpy(folder, "/tmp/ensembed-broken-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command,
             "cp -r " TRIAL_MODELS "mean/. %s && chmod -R u+w %s", folder,
             folder);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    for (size_t i = 0; i < 256; i++)
        nan[i] = 0x7fc00000;
    assert_int_equal(fseek(f, -(long)sizeof nan, SEEK_END), 0);
    assert_int_equal(fwrite(nan, sizeof nan, 1, f), 1);
    assert_int_equal(fclose(f), 0);
}

static void remove_model(const char *folder) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static void a_broken_model_fails_alone(void **state) {
    char folder[64], models[128];
    (void)state;
    break_model(folder);
    snprintf(models, sizeof models, "%s,cls", folder);
    static const char *const devices[] = {"cpu", "sim:a=4MB",
                                          "sim:a=4MB,sim:b=4MB"};
    for (size_t i = 0; i < 9; i++) {
        struct trial t;
        struct trial_terms terms = CALM;
        char a[256], b[256];
        terms.models = models;
        terms.devices = devices[i / 3];
        terms.mode = MODES[i % 3];
        trial_run(&t, &terms);
        assert_int_equal(t.worst.code, ERROR_VECTOR);
        const json_t *pass = trial_pass(&t, 0, 0);
        assert_true(trial_number(pass, "failed") > 0);
        assert_true(trial_text_is(pass, "status", "failed"));
        assert_true(json_array_size(json_object_get(pass, "failed_chunks")) >
                    0);
        assert_int_equal(trial_number(trial_pass(&t, 0, 1), "computed"), TEXTS);
        /* Not the cards' fault, though they gave the same nonsense. */
        if (trial_count(&t, "device_lost")) {
            trial_print(&t);
            fail_msg("a card was given up for the model's fault");
        }
        snprintf(a, sizeof a, "%s/out/c0/cls.npy", calm.folder);
        snprintf(b, sizeof b, "%s/out/c0/cls.npy", t.folder);
        trial_same_file(a, b);
        trial_end(&t);
    }
    remove_model(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_is_done_again_on_the_same_card),
        cmocka_unit_test(again_and_again_is_the_end_of_a_card),
        cmocka_unit_test(the_other_card_stays),
        cmocka_unit_test(a_broken_model_fails_alone),
    };
    return cmocka_run_group_tests(tests, open_calm, close_calm);
}
