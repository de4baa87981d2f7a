/* test_cuda_cards.c - whole runs on cards: which are used when nothing is said,
 * what they compute in, that what is planned is what is taken, and what becomes
 * of a run when a card fails. The cards are fake ones. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/cuda/fake_fixture.h"
#include "run/gate.h"
#include "run/trial.h"

#define T4   "card name=Tesla_T4 capability=7.5 memory=15095M context=300M\n"
#define H200 "card name=NVIDIA_H200 capability=9.0 memory=140G context=500M\n"

enum { TEXTS = 40 };

static struct trial_terms terms_of(const char *models, const char *devices) {
    return (struct trial_terms){.models = models,
                                .devices = devices,
                                .texts = TEXTS,
                                .words = 6,
                                .library_folders = fake_folders()};
}

static void is_typed(const json_t *pass, const char *device, const char *type) {
    const json_t *entry = trial_device(pass, device);
    assert_non_null(entry);
    assert_true(trial_text_is(entry, "dtype", type));
}

static void all_cards_are_used_when_nothing_is_said(void **state) {
    (void)state;
    struct trial t;
    struct trial_terms terms = terms_of("mean", NULL);
    cards_are(T4 H200);
    trial_run_well(&t, &terms);
    const json_t *pass = trial_pass(&t, 0, 0);
    assert_true(trial_text_is(pass, "device", "cuda:0,cuda:1"));
    assert_true(trial_text_is(pass, "dtype", "fp16")); /* both have it */
    is_typed(pass, "cuda:0", "fp16");
    is_typed(pass, "cuda:1", "fp16");
    assert_int_equal(trial_number(pass, "computed"), TEXTS);
    assert_null(json_object_get(t.summary, "cards_unused"));
    const json_t *leases = json_object_get(pass, "leases");
    assert_int_equal(json_array_size(leases), 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            trial_number(json_array_get(leases, i), "bytes_left_behind"), 0);
    trial_end(&t);
    assert_nothing_is_live(0);
    assert_nothing_is_live(1);
}

/* Of several families, whose kernels differ: the card's own needs are known
 * before anything is planned. */
static void what_is_planned_is_what_is_taken(void **state) {
    (void)state;
    static const char *const models[] = {"mean", "mpnet", "t5", "gemma3"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct trial t;
        struct trial_terms terms = terms_of(models[i], "cuda");
        terms.texts = 4;
        cards_are(T4);
        trial_run_well(&t, &terms);
        const json_t *card = trial_device(trial_pass(&t, 0, 0), "cuda:0");
        json_int_t planned =
            trial_number(json_object_get(card, "plan"), "peak_bytes");
        if (planned != trial_number(card, "measured_peak_bytes"))
            fail_msg("%s: planned %lld, measured %lld", models[i],
                     (long long)planned,
                     (long long)trial_number(card, "measured_peak_bytes"));
        assert_true(trial_number(card, "overhead_bytes") >= 300 << 20);
        assert_true(planned > trial_number(card, "overhead_bytes"));
        trial_end(&t);
    }
}

/* Until then the other one has a batch and leaves the rest to it. */
static bool once_the_second_is_lost(const struct gate_device *device) {
    return strcmp(device->name, "cuda:0") != 0 || gate.told;
}

static void a_lost_card_leaves_its_texts_to_the_other(void **state) {
    (void)state;
    struct trial t;
    struct trial_terms terms = terms_of("mean", "cuda");
    terms.budget = 64;
    terms.on_event = gate_event;
    cards_are(T4 T4 "at card=1 launch=60 lost=719\n");
    gate_close(once_the_second_is_lost, "device_lost");
    trial_run_well(&t, &terms);
    gate_open();
    const json_t *pass = trial_pass(&t, 0, 0);
    assert_int_equal(trial_number(pass, "computed"), TEXTS);
    assert_int_equal(trial_count(&t, "device_lost"), 1);
    assert_int_equal(trial_number(pass, "elsewhere"), 0);
    trial_nothing_lost(&t, 1, TEXTS);
    trial_end(&t);
}

/* Before anything is computed there: while the model is loaded. */
static void a_card_that_fails_early_is_done_without(void **state) {
    (void)state;
    struct trial t;
    struct trial_terms terms = terms_of("mean", "cuda");
    cards_are(T4 "at card=0 alloc=2 lost=719\n");
    trial_run_well(&t, &terms);
    const json_t *pass = trial_pass(&t, 0, 0);
    assert_int_equal(trial_count(&t, "device_lost"), 1);
    assert_int_equal(trial_number(pass, "elsewhere"), TEXTS);
    assert_int_equal(trial_number(pass, "other_dtype"), TEXTS);
    assert_true(trial_text_is(pass, "dtype", "fp16"));
    is_typed(pass, "cpu", "f32");
    trial_end(&t);
}

static void a_card_that_does_not_open_is_left_out(void **state) {
    (void)state;
    struct trial t;
    struct trial_terms terms = terms_of("mean", NULL);
    cards_are(T4 T4 "at card=0 alloc=1 lost=719\n");
    trial_run_well(&t, &terms);
    assert_true(trial_text_is(trial_pass(&t, 0, 0), "device", "cuda:1"));
    const char *why =
        json_string_value(json_object_get(t.summary, "cards_unused"));
    assert_true(why && strstr(why, "cuda:0"));
    trial_end(&t);
    terms.devices = "cuda"; /* who names it is told at once */
    cards_are(T4 T4 "at card=0 alloc=1 lost=719\n");
    trial_run(&t, &terms);
    assert_int_equal(t.worst.code, ERROR_DEVICE);
    trial_end(&t);
}

static void rows_that_are_there_say_the_type(void **state) {
    (void)state;
    struct trial first, more;
    struct trial_terms terms = terms_of("mean", "cpu");
    cards_are(H200);
    trial_run_well(&first, &terms);
    terms.models = "mean,cls";
    terms.devices = "cuda";
    terms.out = first.folder;
    trial_run_well(&more, &terms);
    assert_true(trial_text_is(trial_pass(&more, 0, 0), "dtype", "f32"));
    assert_true(trial_text_is(trial_pass(&more, 0, 1), "dtype", "f32"));
    is_typed(trial_pass(&more, 0, 1), "cuda:0", "f32");
    assert_int_equal(trial_number(trial_pass(&more, 0, 0), "reused"), TEXTS);
    trial_end(&more);
    trial_end(&first);
}

static void a_card_without_libraries_is_told_of(void **state) {
    (void)state;
    struct trial t;
    struct trial_terms terms = terms_of("mean", NULL);
    char folder[] = "/tmp/ens-bare-XXXXXX", link[64];
    assert_non_null(mkdtemp(folder));
    snprintf(link, sizeof link, "%s/libcuda.so.1", folder);
    assert_int_equal(symlink(FAKE_CUDA_FOLDER "/libcuda.so.1", link), 0);
    const char *const folders[] = {folder, NULL};
    terms.library_folders = folders;
    cards_are(T4);
    trial_run_well(&t, &terms);
    const char *why =
        json_string_value(json_object_get(t.summary, "cards_unused"));
    if (!why || !strstr(why, "everything is computed on the CPU") ||
        !strstr(why, "pip install nvidia-cublas-cu12 nvidia-cuda-nvrtc-cu12"))
        fail_msg("%s", why ? why : "nothing is said");
    assert_true(trial_text_is(trial_pass(&t, 0, 0), "device", "cpu"));
    trial_end(&t);
    unlink(link);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_card_without_libraries_is_told_of),
        cmocka_unit_test(all_cards_are_used_when_nothing_is_said),
        cmocka_unit_test(what_is_planned_is_what_is_taken),
        cmocka_unit_test(a_lost_card_leaves_its_texts_to_the_other),
        cmocka_unit_test(a_card_that_fails_early_is_done_without),
        cmocka_unit_test(a_card_that_does_not_open_is_left_out),
        cmocka_unit_test(rows_that_are_there_say_the_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
