/* test_ladder.c - what a run gives up when memory runs short, in which order,
 * with which numbers, and that it comes back: each step in a scene built for
 * it, judged by the events. The small models are charged as one with 28 layers
 * and 3,087,428,608 bytes of weights on a card of 15,828,320,256. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/gate.h"
#include "run/trial.h"

#define LARGE "tests/fixtures/shapes/jina-code-embeddings-1.5b.json"

enum { LAYERS = 28, WORDS_MOST = 24, LONGEST = 48 };

static const json_int_t MARGIN = 512 << 20;

/* Calm on the CPU with the same texts and models. */
static void same_as_cpu(const struct trial *t,
                        const struct trial_terms *terms) {
    struct trial calm;
    struct trial_terms cpu = *terms;
    cpu.devices = "cpu";
    cpu.script = NULL;
    memset(cpu.ceilings, 0, sizeof cpu.ceilings);
    memset(cpu.margins, 0, sizeof cpu.margins);
    trial_run_well(&calm, &cpu);
    trial_same(&calm, t);
    trial_end(&calm);
}

static const char *text_of(const json_t *event, const char *key) {
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

/* A decision taken because less than the margin was free. */
static void for_lack_of_memory(const json_t *event) {
    assert_int_equal(trial_number(event, "margin_bytes"), MARGIN);
    assert_true(trial_number(event, "free_bytes") < MARGIN);
    assert_non_null(strstr(text_of(event, "reason"), "memory"));
}

static void for_the_pressure_ended(const json_t *event) {
    assert_true(trial_number(event, "free_bytes") >= MARGIN);
    assert_string_equal(text_of(event, "reason"), "the pressure has ended");
}

/* ---- budgets ------------------------------------------------------------ */

static void budgets_shrink_and_grow_back(void **state) {
    struct trial t;
    size_t at = 0;
    struct trial_terms terms = {
        .models = "mean",
        .budget = 4096,
        .account = LARGE,
        .devices = "sim:t4",
        .texts = 3000,
        .mode = MODE_EXCLUSIVE,
        /* the rest but for the margin and 1,000 tokens at 51,208 bytes */
        .script = "{\"device\":\"sim:t4\",\"at_submit\":8,"
                  "\"take_bytes\":12152812736}\n"
                  "{\"device\":\"sim:t4\",\"at_submit\":24,"
                  "\"give_bytes\":12152812736}\n"};
    (void)state;
    trial_run_well(&t, &terms);
    const json_t *shrunk = trial_next(&t, "budget_shrunk", &at);
    for_lack_of_memory(shrunk);
    assert_int_equal(trial_number(shrunk, "from_tokens"), 4096);
    json_int_t lacking = MARGIN - trial_number(shrunk, "free_bytes");
    json_int_t to = trial_number(shrunk, "to_tokens");
    assert_true(to >= LONGEST && to <= 2048);
    assert_true(to <= 4096 - lacking / 51208);
    json_int_t high = 0;
    while (trial_find(&t, "budget_grown", at) != SIZE_MAX) {
        const json_t *grown = trial_next(&t, "budget_grown", &at);
        for_the_pressure_ended(grown);
        json_int_t tokens = trial_number(grown, "to_tokens");
        assert_true(tokens <= 2 * trial_number(grown, "from_tokens"));
        assert_true(tokens > high);
        high = tokens;
    }
    assert_int_equal(high, 4096);
    assert_int_equal(trial_find(&t, "layers_streamed", 0), SIZE_MAX);
    same_as_cpu(&t, &terms);
    trial_end(&t);
}

/* ---- layers ------------------------------------------------------------- */

static void layers_stream_and_come_back(void **state) {
    struct trial t;
    size_t at = 0;
    struct trial_terms terms = {.models = "mean",
                                .budget = LONGEST,
                                .account = LARGE,
                                .devices = "sim:t4",
                                .mode = MODE_EXCLUSIVE,
                                .script = "{\"device\":\"sim:t4\","
                                          "\"at_submit\":20,"
                                          "\"take_bytes\":12500000000}\n"
                                          "{\"device\":\"sim:t4\","
                                          "\"at_submit\":60,"
                                          "\"give_bytes\":12500000000}\n"};
    (void)state;
    trial_run_well(&t, &terms);
    const json_t *streamed = trial_next(&t, "layers_streamed", &at);
    json_int_t stay = trial_number(streamed, "layers_resident");
    assert_int_equal(trial_number(streamed, "layers"), LAYERS);
    assert_true(stay > 0 && stay < LAYERS);
    assert_string_equal(text_of(streamed, "model"), "mean");
    const json_t *restored = trial_next(&t, "layers_restored", &at);
    for_the_pressure_ended(restored);
    assert_int_equal(trial_number(restored, "layers_resident"), LAYERS);
    /* Batches between them were done there, with the margin free. */
    assert_int_equal(trial_find(&t, "cpu_fallback", 0), SIZE_MAX);
    const json_t *pass = trial_pass(&t, 0, 0);
    assert_int_equal(trial_number(trial_device(pass, "sim:t4"), "texts"), 300);
    assert_int_equal(trial_number(pass, "elsewhere"), 0);
    same_as_cpu(&t, &terms);
    trial_end(&t);
}

/* ---- the model itself --------------------------------------------------- */

/* The other program takes what we give back, and gives it back at last. */
#define TAKES_ALL                                                              \
    "{\"device\":\"sim:t4-0\",\"at_submit\":10,\"take_bytes\":99000000000}\n"

/* Or the second card might do all before the first has come to submit 10. */
static bool once_it_has_moved(const struct gate_device *device) {
    return strcmp(device->name, "sim:t4-1") != 0 || gate.told;
}

static void a_model_moves_to_the_next_card(void **state) {
    struct trial t;
    size_t at = 0;
    struct trial_terms terms = {.models = "mean",
                                .budget = LONGEST,
                                .account = LARGE,
                                .devices = "sim:t4x2",
                                .mode = MODE_EXCLUSIVE,
                                .script = TAKES_ALL,
                                .on_event = gate_event};
    (void)state;
    gate_close(once_it_has_moved, "model_moved");
    trial_run_well(&t, &terms);
    gate_open();
    const json_t *moved = trial_next(&t, "model_moved", &at);
    for_lack_of_memory(moved);
    assert_string_equal(text_of(moved, "device"), "sim:t4-0");
    assert_string_equal(text_of(moved, "to_device"), "sim:t4-1");
    size_t streamed = trial_find(&t, "layers_streamed", 0);
    assert_true(streamed == SIZE_MAX || streamed < at);
    assert_int_equal(trial_find(&t, "cpu_fallback", 0), SIZE_MAX);
    same_as_cpu(&t, &terms);
    trial_end(&t);
}

static void the_cpu_is_the_last_resort(void **state) {
    struct trial t;
    size_t at = 0;
    struct trial_terms terms = {.models = "mean",
                                .budget = LONGEST,
                                .account = LARGE,
                                .devices = "sim:t4-0",
                                .mode = MODE_EXCLUSIVE,
                                .script = TAKES_ALL};
    (void)state;
    trial_run_well(&t, &terms);
    const json_t *fallback = trial_next(&t, "cpu_fallback", &at);
    for_lack_of_memory(fallback);
    assert_string_equal(text_of(fallback, "to_device"), "cpu");
    const json_t *pass = trial_pass(&t, 0, 0);
    const json_t *cpu = trial_device(pass, "cpu");
    json_int_t texts = trial_number(cpu, "texts");
    assert_true(texts > 0);
    assert_true(json_is_false(json_object_get(cpu, "planned")));
    assert_int_equal(trial_number(pass, "elsewhere"), texts);
    assert_true(json_array_size(json_object_get(pass, "elsewhere_chunks")) > 0);
    same_as_cpu(&t, &terms);
    trial_end(&t);
}

/* So many that the smallest batch is refused as well. */
static const char REFUSALS[] = "{\"device\":\"sim:a\",\"at_submit\":10,"
                               "\"fail\":\"alloc\",\"count\":3}\n";

/* Two refusals at the smallest batch of a model too small to be streamed: it
 * leaves a card that has room, and comes back when that was seen long enough.
 */
static void a_model_comes_back(void **state) {
    struct trial t;
    size_t at = 0;
    struct trial_terms terms = {.models = "mean",
                                .budget = LONGEST,
                                .devices = "sim:a=4MB",
                                .texts = 1500,
                                .mode = MODE_EXCLUSIVE,
                                .script = REFUSALS};
    (void)state;
    trial_run_well(&t, &terms);
    const json_t *away = trial_next(&t, "cpu_fallback", &at);
    assert_string_equal(text_of(away, "device"), "sim:a");
    const json_t *back = trial_next(&t, "model_moved", &at);
    assert_string_equal(text_of(back, "reason"), "the pressure has ended");
    assert_string_equal(text_of(back, "to_device"), "sim:a");
    assert_true(trial_number(back, "free_bytes") >=
                trial_number(back, "margin_bytes"));
    same_as_cpu(&t, &terms);
    trial_end(&t);
}

/* A table of words has no layers that could be streamed first, and is not said
 * to have. */
static void a_table_moves_as_it_is(void **state) {
    struct trial t;
    size_t at = 0;
    struct trial_terms terms = {.models = "static_table",
                                .budget = LONGEST,
                                .devices = "sim:a=4MB",
                                .mode = MODE_EXCLUSIVE,
                                .script = REFUSALS};
    (void)state;
    trial_run_well(&t, &terms);
    const json_t *away = trial_next(&t, "cpu_fallback", &at);
    assert_string_equal(text_of(away, "reason"),
                        "memory is short at the smallest batch");
    assert_int_equal(trial_find(&t, "layers_streamed", 0), SIZE_MAX);
    trial_end(&t);
}

/* A card that refuses everything, whatever memory it shows: the model does not
 * come and go all the time. */
static void a_model_does_not_come_and_go(void **state) {
    struct trial t;
    struct trial_terms terms = {.models = "mean",
                                .budget = LONGEST,
                                .devices = "sim:a=4MB",
                                .texts = 3000,
                                .mode = MODE_EXCLUSIVE,
                                .script =
                                    "{\"device\":\"sim:a\",\"at_submit\":10,"
                                    "\"fail\":\"alloc\",\"count\":100000}\n"};
    (void)state;
    trial_run_well(&t, &terms);
    size_t batches = trial_count(&t, "batch_completed");
    assert_true(batches > 1000);
    /* Every 64 readings at least, once patience is at its most. */
    assert_true(trial_count(&t, "model_moved") < 6 + batches / 16);
    same_as_cpu(&t, &terms);
    trial_end(&t);
}

/* ---- companions --------------------------------------------------------- */

/* Both companions are planned on the second card; when it has no room they go
 * to the first, which has. The bytes that the script leaves are less than the
 * margin, and one companion more makes it whole. */
static void a_companion_moves_to_the_next_card(void **state) {
    struct trial t;
    size_t at = 0;
    struct trial_terms terms = {.models = "mean,dense,gamma",
                                .budget = LONGEST,
                                .account = LARGE,
                                .devices = "sim:t4x2",
                                .mode = MODE_SIMULTANEOUS,
                                .script = "{\"device\":\"sim:t4-1\","
                                          "\"at_submit\":20,"
                                          "\"take_bytes\":9400000000}\n"
                                          "{\"device\":\"sim:t4-1\","
                                          "\"at_submit\":60,"
                                          "\"give_bytes\":9400000000}\n"};
    (void)state;
    trial_run_well(&t, &terms);
    const json_t *moved = trial_next(&t, "companion_moved", &at);
    assert_int_equal(trial_number(moved, "margin_bytes"), MARGIN);
    assert_string_equal(text_of(moved, "model"), "gamma");
    assert_string_equal(text_of(moved, "device"), "sim:t4-1");
    assert_string_equal(text_of(moved, "to_device"), "sim:t4-0");
    size_t streamed = trial_find(&t, "layers_streamed", 0);
    assert_true(streamed == SIZE_MAX || streamed >= at);
    same_as_cpu(&t, &terms);
    trial_end(&t);
}

static void a_companion_moves_to_the_cpu(void **state) {
    struct trial t;
    size_t at = 0;
    struct trial_terms terms = {.models = "mean,dense",
                                .budget = LONGEST,
                                .account = LARGE,
                                .devices = "sim:t4",
                                .mode = MODE_SIMULTANEOUS,
                                .script = "{\"device\":\"sim:t4\","
                                          "\"at_submit\":20,"
                                          "\"take_bytes\":9400000000}\n"
                                          "{\"device\":\"sim:t4\","
                                          "\"at_submit\":60,"
                                          "\"give_bytes\":9400000000}\n"};
    (void)state;
    trial_run_well(&t, &terms);
    const json_t *fallback = trial_next(&t, "cpu_fallback", &at);
    assert_string_equal(text_of(fallback, "model"), "dense");
    assert_string_equal(text_of(fallback, "device"), "sim:t4");
    assert_string_equal(text_of(fallback, "to_device"), "cpu");
    /* The primary stays whole where it is. */
    assert_int_equal(trial_find(&t, "layers_streamed", 0), SIZE_MAX);
    const json_t *primary = trial_device(trial_pass(&t, 0, 0), "sim:t4");
    assert_int_equal(trial_number(primary, "texts"), 300);
    same_as_cpu(&t, &terms);
    trial_end(&t);
}

/* No room on the CPU either: so much of it shall stay free. */
/* It has done its window on the CPU when the pressure ends, and the next
 * window is another shift. */
static void a_companion_is_home_for_the_next_window(void **state) {
    struct trial t;
    struct trial_terms terms = {.models = "mean,dense",
                                .budget = 512,
                                .account = LARGE,
                                .devices = "sim:t4",
                                .mode = MODE_SIMULTANEOUS,
                                .texts = 68000,
                                .words = 2,
                                .script = "{\"device\":\"sim:t4\","
                                          "\"at_submit\":1,"
                                          "\"delay_ms\":12}\n"
                                          "{\"device\":\"sim:t4\","
                                          "\"at_submit\":20,"
                                          "\"take_bytes\":9400000000}\n"
                                          "{\"device\":\"sim:t4\","
                                          "\"at_submit\":560,"
                                          "\"give_bytes\":9400000000}\n"
                                          "{\"device\":\"sim:t4\","
                                          "\"at_submit\":560,"
                                          "\"delay_ms\":0}\n"};
    (void)state;
    trial_run_well(&t, &terms);
    assert_true(trial_find(&t, "cpu_fallback", 0) != SIZE_MAX);
    const json_t *event, *last = NULL;
    size_t i;
    json_array_foreach(t.events, i, event) {
        if (!strcmp(text_of(event, "type"), "batch_completed") &&
            !strcmp(text_of(event, "model"), "dense"))
            last = event;
    }
    assert_string_equal(text_of(last, "device"), "sim:t4");
    trial_end(&t);
}

static void a_companion_waits_and_goes_on(void **state) {
    struct trial calm, t;
    size_t at = 0;
    struct trial_terms terms = {.models = "mean,dense",
                                .budget = LONGEST,
                                .account = LARGE,
                                .devices = "sim:t4",
                                .mode = MODE_SIMULTANEOUS};
    (void)state;
    trial_run_well(&calm, &terms);
    terms.script = "{\"device\":\"sim:t4\",\"at_submit\":20,"
                   "\"take_bytes\":9400000000}\n"
                   "{\"device\":\"sim:t4\",\"at_submit\":60,"
                   "\"give_bytes\":9400000000}\n";
    terms.margins[0] = (struct device_bytes){"cpu", UINT64_C(1) << 50};
    trial_run_well(&t, &terms);
    const json_t *paused = trial_next(&t, "companion_paused", &at);
    assert_string_equal(text_of(paused, "model"), "dense");
    assert_string_equal(text_of(paused, "device"), "sim:t4");
    const json_t *resumed = trial_next(&t, "companion_resumed", &at);
    assert_string_equal(text_of(resumed, "model"), "dense");
    assert_string_equal(text_of(resumed, "to_device"), "sim:t4");
    assert_int_equal(trial_find(&t, "cpu_fallback", 0), SIZE_MAX);
    trial_same(&calm, &t);
    trial_end(&t);
    trial_end(&calm);
}

/* ---- all of it, in order ------------------------------------------------ */

static void steps_come_in_order(void **state) {
    struct trial t;
    struct trial_terms terms = {.models = "mean,dense",
                                .budget = 1024,
                                .account = LARGE,
                                .devices = "sim:t4-0",
                                .texts = 1000,
                                .mode = MODE_SIMULTANEOUS,
                                .script = "{\"device\":\"sim:t4-0\","
                                          "\"at_submit\":5,"
                                          "\"take_bytes\":99000000000}\n"};
    (void)state;
    trial_run_well(&t, &terms);
    size_t shrunk = trial_find(&t, "budget_shrunk", 0);
    size_t companion = trial_find(&t, "cpu_fallback", 0);
    size_t model = trial_find(&t, "cpu_fallback", companion + 1);
    assert_true(shrunk < companion && companion < model && model < SIZE_MAX);
    const json_t *events = t.events;
    assert_string_equal(text_of(json_array_get(events, companion), "model"),
                        "dense");
    assert_string_equal(text_of(json_array_get(events, model), "model"),
                        "mean");
    same_as_cpu(&t, &terms);
    trial_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budgets_shrink_and_grow_back),
        cmocka_unit_test(layers_stream_and_come_back),
        cmocka_unit_test(a_model_moves_to_the_next_card),
        cmocka_unit_test(the_cpu_is_the_last_resort),
        cmocka_unit_test(a_model_comes_back),
        cmocka_unit_test(a_table_moves_as_it_is),
        cmocka_unit_test(a_model_does_not_come_and_go),
        cmocka_unit_test(a_companion_moves_to_the_next_card),
        cmocka_unit_test(a_companion_moves_to_the_cpu),
        cmocka_unit_test(a_companion_is_home_for_the_next_window),
        cmocka_unit_test(a_companion_waits_and_goes_on),
        cmocka_unit_test(steps_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
