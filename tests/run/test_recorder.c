/* test_recorder.c - what is kept of very many events is what the definition
 * says: sums over all, the slowest of all, the first of each list. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run/lookup.h"
#include "run/recorder.h"
#include "run/scene.h"

enum { BATCHES = 50000, SERIES = 40 };

struct batch {
    double ms;
    uint64_t tokens;
    int64_t t_ms;
};

static int slower_first(const void *a, const void *b) {
    const struct batch *x = a, *y = b;
    double difference = recorded_ms_per_token(y->ms, y->tokens) -
                        recorded_ms_per_token(x->ms, x->tokens);
    return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

static json_t *batch_fields(const struct batch *batch, unsigned series) {
    char model[32];
    snprintf(model, sizeof model, "model %u", series);
    return json_pack("{s:s,s:s,s:i,s:I,s:I,s:f}", "model", model, "device",
                     series % 2 ? "x" : "y", "texts", 3, "batch",
                     (json_int_t)batch->t_ms, "tokens",
                     (json_int_t)batch->tokens, "duration_ms", batch->ms);
}

static void batches_are_merged_and_the_slowest_kept(void **state) {
    (void)state;
    static struct batch all[BATCHES];
    struct memory memory = {0};
    struct recorder *recorder = recorder_create(&memory, NULL);
    uint64_t live = memory_live(&memory), seed = 11, tokens = 0;
    double ms = 0;
    for (size_t i = 0; i < BATCHES; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        all[i].t_ms = (int64_t)i;
        all[i].tokens = 1 + (seed >> 40) % 4096;
        all[i].ms = (double)(seed >> 50);
        tokens += all[i].tokens;
        ms += all[i].ms;
        json_t *fields = batch_fields(&all[i], (unsigned)(seed >> 33) % SERIES);
        recorder_event(recorder, (int64_t)i, "batch_completed", fields);
        json_decref(fields);
        assert_true(recorder->batches_count <= RECORDED_BATCHES_MAX);
    }
    assert_int_equal(memory_live(&memory), live); /* nothing was taken */
    assert_int_equal(recorder->batches_seen, BATCHES);
    assert_int_equal(recorder->series_count, RECORDED_SERIES_MAX);
    assert_string_equal(recorder->series[RECORDED_SERIES_MAX - 1].model,
                        "others");
    assert_true(recorder->batches_count > RECORDED_BATCHES_MAX / 4);
    uint64_t kept = 0;
    for (size_t i = 0; i < recorder->batches_count; i++) {
        const struct recorded_batch *batch = &recorder->batches[i];
        kept += batch->batches;
        tokens -= batch->tokens;
        ms -= batch->duration_ms;
    }
    assert_int_equal(kept, BATCHES);
    assert_int_equal(tokens, 0);
    assert_true(ms > -1e-3 && ms < 1e-3);
    qsort(all, BATCHES, sizeof *all, slower_first);
    assert_int_equal(recorder->slowest_count, RECORDED_SLOWEST_MAX);
    for (size_t i = 0; i < RECORDED_SLOWEST_MAX; i++) {
        assert_true(recorded_ms_per_token(recorder->slowest[i].duration_ms,
                                          recorder->slowest[i].tokens) ==
                    recorded_ms_per_token(all[i].ms, all[i].tokens));
    }
    recorder_free(recorder);
    assert_int_equal(memory_live(&memory), 0);
}

static void lists_keep_the_first_and_count_the_rest(void **state) {
    (void)state;
    struct memory memory = {0};
    struct recorder *recorder = recorder_create(&memory, NULL);
    for (int i = 0; i < 1500; i++) {
        json_t *fields = json_pack("{s:i,s:s}", "number", i, "device", "d");
        recorder_event(recorder, i, "budget_shrunk", fields);
        json_decref(fields);
    }
    recorder_log(recorder, 5, LOG_INFO, "nobody needs this later");
    recorder_log(recorder, 6, LOG_WARNING, "a name \xff of bytes");
    json_t *list = recorder_list(recorder, RECORDED_MITIGATIONS);
    assert_int_equal(json_array_size(list), 1000);
    json_t *last = json_array_get(list, 999);
    assert_int_equal(lookup_count(last, "number"), 999);
    assert_int_equal(lookup_count(last, "t_ms"), 999);
    assert_string_equal(lookup_text(last, "type"), "budget_shrunk");
    json_decref(list);
    list = recorder_list(recorder, RECORDED_WARNINGS);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(lookup_text(json_array_get(list, 0), "message"),
                        "a name \xef\xbf\xbd of bytes");
    json_decref(list);
    json_t *overflow = recorder_overflow(recorder);
    assert_int_equal(json_object_size(overflow), 1);
    assert_int_equal(lookup_count(overflow, "mitigations"), 500);
    json_decref(overflow);
    assert_int_equal(tally_of(&recorder->types, "budget_shrunk"), 1500);
    recorder_free(recorder);
}

static void odd_fields_do_no_harm(void **state) {
    (void)state;
    struct memory memory = {0};
    struct recorder *recorder = recorder_create(&memory, NULL);
    static const char *const odd[] = {
        "{}",
        "{'model':5,'device':[],'tokens':'x','duration_ms':null}",
        "{'tokens':-5,'duration_ms':-1e300,'batch':1e300,'t_ms':'no'}",
        "{'tokens':1e400,'type':'other','t_ms':{}}",
    };
    for (int e = 0; e < SCENE_EACH; e++) {
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
            json_t *fields =
                scene_fields(i == 3 ? "{'type':7,'t_ms':{}}" : odd[i]);
            recorder_event(recorder, 1, scene_each[e][0], fields);
            json_decref(fields);
        }
        recorder_event(recorder, 1, scene_each[e][0], NULL);
    }
    json_t *list = recorder_list(recorder, RECORDED_MITIGATIONS), *entry;
    size_t i;
    assert_int_equal(json_array_size(list), 13 * 5);
    json_array_foreach(list, i, entry) {
        assert_true(recorder_is_mitigation(lookup_text(entry, "type")));
        assert_int_equal(lookup_count(entry, "t_ms"), 1);
    }
    json_decref(list);
    recorder_free(recorder);
}

static void names_beyond_the_tally_are_others(void **state) {
    (void)state;
    struct tally tally = {0};
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 100; i++) {
            char name[64];
            snprintf(name, sizeof name,
                     "%d is a name that is longer than a tally keeps", i);
            tally_add(&tally, name);
        }
    assert_int_equal(tally.count, TALLY_MAX);
    assert_int_equal(tally_of(&tally, "other"), 3 * (100 - TALLY_MAX + 1));
    assert_int_equal(
        tally_of(&tally, "7 is a name that is longer than a tally keeps"), 3);
    json_t *object = tally_describe(&tally);
    assert_int_equal(json_object_size(object), TALLY_MAX);
    json_decref(object);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_merged_and_the_slowest_kept),
        cmocka_unit_test(lists_keep_the_first_and_count_the_rest),
        cmocka_unit_test(odd_fields_do_no_harm),
        cmocka_unit_test(names_beyond_the_tally_are_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
