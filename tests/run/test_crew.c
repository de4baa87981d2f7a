/* test_crew.c - crews under random scripts: whatever simulated cards do, no
 * text is lost or done twice, and the files are those of an untroubled run on
 * the CPU, byte for byte. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/gate.h"
#include "run/trial.h"
#include "run/window.h"

enum { TEXTS = 300, RUNS = 24, LINES = 8 };

static const struct trial_terms CALM = {
    .models = "mean,cls,lasttoken", .budget = 256, .devices = "cpu"};

static struct trial calm;

static int open_calm(void **state) {
    (void)state;
    trial_run_well(&calm, &CALM);
    trial_nothing_lost(&calm, 3, TEXTS);
    return 0;
}

static int close_calm(void **state) {
    (void)state;
    trial_end(&calm);
    return 0;
}

/* ---- random scripts ----------------------------------------------------- */

struct wild {
    char devices[128];
    char script[4096];
    size_t cards;
    unsigned long capacities[3];
};

static void add_action(struct wild *wild, unsigned *random) {
    unsigned card = trial_random(random) % (unsigned)wild->cards;
    unsigned at = 1 + trial_random(random) % 50;
    unsigned count =
        trial_random(random) % 4 ? 1 + trial_random(random) % 3 : 1000;
    unsigned long bytes =
        1 + wild->capacities[card] / 100 * (trial_random(random) % 100);
    size_t used = strlen(wild->script);
    char *to = wild->script + used;
    size_t room = sizeof wild->script - used;
#define ACTION(rest, ...)                                                      \
    snprintf(to, room, "{\"device\":\"sim:d%u\",\"at_submit\":%u," rest "}\n", \
             card, at, __VA_ARGS__)
    switch (trial_random(random) % 7) {
    case 0:
        ACTION("\"fail\":\"alloc\",\"count\":%u", count);
        break;
    case 1:
        ACTION("\"fail\":\"nan\",\"count\":%u", count);
        break;
    case 2:
        if (trial_random(random) % 2)
            ACTION("\"fail\":\"%s\"", "lost");
        break;
    case 3:
        ACTION("\"delay_ms\":%u", trial_random(random) % 4);
        break;
    default:
        ACTION("\"take_bytes\":%lu", bytes);
        used = strlen(wild->script);
        to = wild->script + used;
        room = sizeof wild->script - used;
        at += 1 + trial_random(random) % 30;
        if (trial_random(random) % 5)
            ACTION("\"give_bytes\":%lu", bytes);
    }
#undef ACTION
}

static void make_wild(struct wild *wild, unsigned *random) {
    static const unsigned long capacities[] = {300000, 400000, 600000, 1000000,
                                               4000000};
    *wild = (struct wild){.cards = 1 + trial_random(random) % 3};
    for (size_t i = 0; i < wild->cards; i++) {
        size_t used = strlen(wild->devices);
        wild->capacities[i] = capacities[trial_random(random) % 5];
        snprintf(wild->devices + used, sizeof wild->devices - used,
                 "%ssim:d%zu=%lu", used ? "," : "", i, wild->capacities[i]);
    }
    if (trial_random(random) % 3 == 0)
        strcat(wild->devices, ",cpu");
    for (size_t i = trial_random(random) % LINES; i > 0; i--)
        add_action(wild, random);
}

static void nothing_is_lost_whatever_cards_do(void **state) {
    unsigned random = 20261121;
    (void)state;
    for (size_t run = 0; run < RUNS; run++) {
        static const enum run_mode modes[] = {MODE_EXCLUSIVE, MODE_SEQUENTIAL,
                                              MODE_SIMULTANEOUS};
        struct wild wild;
        struct trial t;
        struct trial_terms terms = CALM;
        make_wild(&wild, &random);
        terms.devices = wild.devices;
        terms.script = wild.script;
        terms.mode = modes[run % 3];
        terms.warm = trial_random(&random) % 4 == 0;
        for (size_t i = 0; i < wild.cards; i++) {
            static const char *const names[] = {"sim:d0", "sim:d1", "sim:d2"};
            terms.margins[i] = (struct device_bytes){
                names[i], 1000 + 1000 * (trial_random(&random) % 100)};
        }
        trial_run(&t, &terms);
        if (t.worst.code)
            fail_msg("%s\n%s%s", t.worst.message, wild.devices, wild.script);
        trial_nothing_lost(&t, 3, TEXTS);
        trial_same(&calm, &t);
        trial_end(&t);
    }
}

/* ---- time, as a test has it ---------------------------------------------- */

/* How much later it is for the thread that asks. Beside that the clock's own
 * time is nothing. */
static _Thread_local int64_t later_ns;

int64_t __real_clock_now_ns(void);
int64_t __wrap_clock_now_ns(void);

int64_t __wrap_clock_now_ns(void) {
    return __real_clock_now_ns() + later_ns;
}

/* What was read ahead while nobody had computed anything. */
static bool reading_ends;

bool __real_pass_read_ahead(struct pass *pass);
bool __wrap_pass_read_ahead(struct pass *pass);

bool __wrap_pass_read_ahead(struct pass *pass) {
    bool did = __real_pass_read_ahead(pass);
    pthread_mutex_lock(&gate.lock);
    reading_ends |= !did;
    pthread_mutex_unlock(&gate.lock);
    if (gate.may && !did)
        pthread_cond_broadcast(&gate.changed);
    return did;
}

/* ---- speed -------------------------------------------------------------- */

static const enum run_mode MODES[] = {MODE_EXCLUSIVE, MODE_SEQUENTIAL,
                                      MODE_SIMULTANEOUS};

static bool once_all_have_begun(const struct gate_device *device) {
    (void)device;
    return gate_device("sim:a")->batches && gate_device("sim:b")->batches &&
           gate_device("sim:c")->batches;
}

static void all_devices_work_in_exclusive_mode(void **state) {
    struct trial t;
    struct trial_terms terms = CALM;
    (void)state;
    terms.devices = "sim:a=4MB,sim:b=4MB,sim:c=4MB";
    terms.mode = MODE_EXCLUSIVE;
    terms.on_event = gate_event;
    gate_close(once_all_have_begun, NULL);
    trial_run_well(&t, &terms);
    gate_open();
    for (size_t pass = 0; pass < 3; pass++) {
        static const char *const names[] = {"sim:a", "sim:b", "sim:c"};
        json_int_t tokens = 0;
        for (size_t i = 0; i < 3; i++) {
            const json_t *device =
                trial_device(trial_pass(&t, 0, pass), names[i]);
            assert_non_null(device);
            assert_true(trial_number(device, "tokens") > 0);
            tokens += trial_number(device, "tokens");
        }
        assert_int_equal(tokens,
                         trial_number(trial_pass(&t, 0, pass), "tokens"));
    }
    trial_same(&calm, &t);
    trial_end(&t);
}

enum { SHARED_TEXTS = 600 };

/* A card that takes so many seconds for a token beside one that takes one:
 * whose batch ends first goes on first, until all texts are in somebody's
 * batch. */
static double slow_seconds;

static bool in_order_of_time(const struct gate_device *device) {
    struct gate_device *slow = gate_device("sim:slow"),
                       *fast = gate_device("sim:fast");
    bool is_slow = device == slow;
    struct gate_device *own = is_slow ? slow : fast,
                       *other = is_slow ? fast : slow;
    double seconds = (double)own->tokens * (is_slow ? slow_seconds : 1);
    own->until += seconds; /* once a batch */
    later_ns += (int64_t)(seconds * 1e9);
    own->tokens = 0;
    if (slow->texts + fast->texts == SHARED_TEXTS)
        return true;
    return other->batches > 0 && own->until <= other->until;
}

/* A run of TERMS over a device and one that takes SECONDS times as long. */
static void run_unequal(struct trial *t, struct trial_terms *terms,
                        double seconds) {
    terms->models = "mean";
    terms->texts = SHARED_TEXTS;
    terms->devices = "sim:slow=20MB,sim:fast=20MB";
    terms->mode = MODE_EXCLUSIVE;
    slow_seconds = seconds;
    gate_close(in_order_of_time, NULL);
    trial_run_well(t, terms);
    gate_open();
}

/* A budget would let two batches do it all. The slow one must not have half of
 * the tokens, and pieces get smaller towards the end, so that nobody waits long
 * for the other: by halves at most, so there are more than four. */
static void a_slow_device_gets_less(void **state) {
    struct trial t;
    struct trial_terms terms = CALM;
    (void)state;
    terms.budget = 8192;
    run_unequal(&t, &terms, 40);
    const json_t *pass = trial_pass(&t, 0, 0);
    json_int_t slow = trial_number(trial_device(pass, "sim:slow"), "tokens");
    json_int_t fast = trial_number(trial_device(pass, "sim:fast"), "tokens");
    assert_true(slow > 0);
    assert_true(slow * 2 < fast);
    assert_true(trial_number(pass, "batches") > 4);
    trial_end(&t);
}

/* The tokens of the slow device's batch after NUMBER others of its. */
static json_int_t slow_batch(const struct trial *t, size_t number) {
    size_t i = trial_find(t, "batch_completed", 0);
    for (; i != SIZE_MAX; i = trial_find(t, "batch_completed", i + 1)) {
        const json_t *event = json_array_get(t->events, i);
        if (trial_text_is(event, "device", "sim:slow") && !number--)
            return trial_number(event, "tokens");
    }
    fail_msg("there is no such batch");
    return 0;
}

/* Nobody knows how fast a device is before its first batch, which is as large
 * as the budget allows. What is left then is shared by speed: one that takes
 * four times as long takes a tenth of it, and not the fourth of equals, which
 * would be the budget again. */
static void pieces_are_shared_by_speed(void **state) {
    struct trial t;
    struct trial_terms terms = CALM;
    (void)state;
    terms.budget = 2048;
    terms.words = 50;
    run_unequal(&t, &terms, 4);
    json_int_t first = slow_batch(&t, 0), second = slow_batch(&t, 1);
    assert_true(second < first * 3 / 4);
    trial_end(&t);
}

/* On the CPU nobody knows at first how long a batch takes (run/pace.h): the
 * budget would let one batch do it all. */
static void the_first_batch_on_the_cpu_is_small(void **state) {
    (void)state;
    struct trial t;
    struct trial_terms terms = {
        .models = "mean", .budget = 16384, .devices = "cpu"};
    trial_run_well(&t, &terms);
    const json_t *pass = trial_pass(&t, 0, 0);
    json_int_t tokens = trial_number(pass, "tokens");
    assert_true(tokens > 2048 && tokens < 16384);
    assert_true(trial_number(pass, "batches") > 1);
    trial_end(&t);
}

/* More texts than a window holds: on a card the second window is tokenized
 * while the first one is computed, in memory that was planned; the CPU needs
 * its threads for computing. */
static bool once_all_is_read(const struct gate_device *device) {
    (void)device;
    return reading_ends;
}

static void the_next_window_is_read_ahead(void **state) {
    (void)state;
    enum { MANY = WINDOW_TEXTS + 900 };
    struct trial cpu, card;
    struct trial_terms terms = {
        .models = "mean", .devices = "cpu", .texts = MANY, .words = 1};
    trial_run_well(&cpu, &terms);
    assert_int_equal(trial_number(trial_pass(&cpu, 0, 0), "read_ahead"), 0);
    terms.devices = "sim:a=64MB";
    reading_ends = false;
    gate_close(once_all_is_read, NULL);
    trial_run_well(&card, &terms);
    gate_open();
    const json_t *pass = trial_pass(&card, 0, 0);
    assert_int_equal(trial_number(pass, "computed"), MANY);
    assert_int_equal(trial_number(pass, "read_ahead"), 900);
    const json_t *memory = json_object_get(pass, "memory");
    json_int_t planned =
        trial_number(json_object_get(memory, "planned"), "private_bytes");
    json_int_t peak = trial_number(memory, "private_peak_bytes");
    assert_true(peak <= planned && peak > planned / 100 * 99);
    trial_same(&cpu, &card);
    trial_end(&card);
    trial_end(&cpu);
}

static json_int_t texts_most(const struct trial *t) {
    json_int_t most = 0;
    for (size_t i = trial_find(t, "batch_completed", 0); i != SIZE_MAX;
         i = trial_find(t, "batch_completed", i + 1)) {
        json_int_t texts = trial_number(json_array_get(t->events, i), "texts");
        most = texts > most ? texts : most;
    }
    return most;
}

/* Room for texts is a part of the memory that there is: below a small ceiling
 * batches of short texts are not as large as a card would take them. */
static void a_small_ceiling_makes_small_batches(void **state) {
    (void)state;
    enum { MANY = 6000, LEAST = 1024, CEILING = 24 * 1000 * 1000 };
    struct trial roomy, small;
    struct trial_terms terms = {
        .models = "mean", .devices = "sim:a=64MB", .texts = MANY, .words = 1};
    trial_run_well(&roomy, &terms);
    terms.ceilings[0] = (struct device_bytes){"cpu", CEILING};
    trial_run_well(&small, &terms);
    assert_true(texts_most(&roomy) > LEAST);
    assert_true(texts_most(&small) <= LEAST);
    trial_same(&roomy, &small);
    trial_end(&small);
    trial_end(&roomy);
}

/* ---- options ------------------------------------------------------------ */

static void narrow_vectors_are_the_same_in_all_modes(void **state) {
    struct trial cpu;
    struct trial_terms terms = CALM;
    (void)state;
    terms.dim = 16;
    trial_run_well(&cpu, &terms);
    terms.devices = "sim:a=4MB,sim:b=600000";
    for (size_t i = 0; i < 3; i++) {
        struct trial t;
        terms.mode = MODES[i];
        trial_run_well(&t, &terms);
        trial_same(&cpu, &t);
        trial_end(&t);
    }
    trial_end(&cpu);
}

static size_t loads(const struct trial *t, const char *model) {
    size_t count = 0;
    for (size_t i = trial_find(t, "model_loaded", 0); i != SIZE_MAX;
         i = trial_find(t, "model_loaded", i + 1))
        count += trial_text_is(json_array_get(t->events, i), "model", model);
    return count;
}

static void warm_models_are_loaded_once(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct trial warm, cold;
        struct trial_terms terms = CALM;
        terms.models = "mean,cls";
        terms.devices = "sim:a=4MB";
        terms.mode = MODES[i];
        terms.collections = 3;
        trial_run_well(&cold, &terms);
        terms.warm = true;
        trial_run_well(&warm, &terms);
        assert_int_equal(loads(&cold, "mean"), 3);
        assert_int_equal(loads(&warm, "mean"), 1);
        assert_int_equal(loads(&warm, "cls"), 1);
        trial_same(&cold, &warm);
        for (size_t c = 0; c < 3; c++) {
            const json_t *device =
                trial_device(trial_pass(&warm, c, 0), "sim:a");
            assert_true(trial_number(device, "measured_peak_bytes") <=
                        trial_number(device, "ceiling_bytes"));
        }
        trial_end(&warm);
        trial_end(&cold);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_whatever_cards_do),
        cmocka_unit_test(all_devices_work_in_exclusive_mode),
        cmocka_unit_test(a_slow_device_gets_less),
        cmocka_unit_test(pieces_are_shared_by_speed),
        cmocka_unit_test(the_first_batch_on_the_cpu_is_small),
        cmocka_unit_test(the_next_window_is_read_ahead),
        cmocka_unit_test(a_small_ceiling_makes_small_batches),
        cmocka_unit_test(narrow_vectors_are_the_same_in_all_modes),
        cmocka_unit_test(warm_models_are_loaded_once),
    };
    return cmocka_run_group_tests(tests, open_calm, close_calm);
}
