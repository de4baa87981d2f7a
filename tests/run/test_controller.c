/* test_controller.c - budgets under pressure: by hand, on a simulated device
 * under a saw-tooth, and under random readings. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "run/controller.h"

enum { MARGIN = 1000, EACH = 10, MOST = 4096 };

static struct controller c;

static struct controller_reading reading_of(uint64_t bytes_free) {
    return (struct controller_reading){
        .bytes_free = bytes_free, .tokens_least = 16, .bytes_per_token = EACH};
}

static enum controller_wish look(uint64_t bytes_free) {
    struct controller_reading reading = reading_of(bytes_free);
    return controller_look(&c, &reading);
}

static enum controller_wish look_to_restore(uint64_t bytes_free,
                                            uint64_t restore_bytes) {
    struct controller_reading reading = reading_of(bytes_free);
    reading.restore_bytes = restore_bytes;
    return controller_look(&c, &reading);
}

/* Readings until the answer is not KEEP, at most 1,000. */
static unsigned until(enum controller_wish wish, uint64_t bytes_free) {
    for (unsigned i = 1; i <= 1000; i++) {
        enum controller_wish answer = look(bytes_free);
        if (answer != CONTROLLER_KEEP) {
            assert_int_equal(answer, wish);
            return i;
        }
    }
    fail_msg("nothing was wished in 1,000 readings");
    return 0;
}

static void it_starts_as_planned(void **state) {
    (void)state;
    controller_start(&c, MOST, MARGIN);
    assert_int_equal(c.tokens, MOST);
    assert_int_equal(look(MARGIN), CONTROLLER_KEEP);
    assert_int_equal(look(1000 * MARGIN), CONTROLLER_KEEP);
    assert_int_equal(c.tokens, MOST);
    controller_start(&c, 0, MARGIN);
    assert_int_equal(c.tokens, 1);
}

static void it_shrinks_at_once_by_what_is_lacking(void **state) {
    (void)state;
    controller_start(&c, MOST, 100000);
    /* 30,001 bytes are lacking: 3,001 tokens, more than half of them */
    assert_int_equal(look(100000 - 30001), CONTROLLER_SHRINK);
    assert_int_equal(c.tokens, MOST - 3001);
}

static void it_shrinks_by_half_at_least(void **state) {
    (void)state;
    controller_start(&c, MOST, MARGIN);
    assert_int_equal(look(MARGIN - 1), CONTROLLER_SHRINK);
    assert_int_equal(c.tokens, MOST / 2);
    controller_start(&c, 101, MARGIN);
    assert_int_equal(look(MARGIN - 1), CONTROLLER_SHRINK);
    assert_int_equal(c.tokens, 50);
}

static void the_longest_text_is_the_floor(void **state) {
    (void)state;
    controller_start(&c, MOST, UINT64_MAX);
    assert_int_equal(look(0), CONTROLLER_SHRINK);
    assert_int_equal(c.tokens, 16);
    controller_start(&c, 20, MARGIN);
    assert_int_equal(look(MARGIN - 1), CONTROLLER_SHRINK);
    assert_int_equal(c.tokens, 16);

    struct controller_reading longer = reading_of(10 * MARGIN);
    longer.tokens_least = 50;
    assert_int_equal(controller_look(&c, &longer), CONTROLLER_GROW);
    assert_int_equal(c.tokens, 50); /* more than planned: it has to be */
    assert_int_equal(look(10 * MARGIN), CONTROLLER_SHRINK);
    assert_int_equal(c.tokens, 20);
}

static void relief_is_wished_at_the_smallest(void **state) {
    (void)state;
    controller_start(&c, 16, MARGIN);
    assert_int_equal(look(0), CONTROLLER_RELIEVE);
    assert_int_equal(look(0), CONTROLLER_RELIEVE); /* the next step */
    controller_exhausted(&c);
    for (int i = 0; i < 100; i++)
        assert_int_equal(look(MARGIN - 1), CONTROLLER_KEEP);
    assert_int_equal(look(MARGIN), CONTROLLER_KEEP);
    assert_int_equal(look(MARGIN - 1), CONTROLLER_RELIEVE);
    assert_int_equal(c.tokens, 16);
}

static void it_grows_after_patience_and_with_room_to_spare(void **state) {
    (void)state;
    controller_start(&c, MOST, MARGIN);
    look(MARGIN - 1);
    /* 2,048 tokens more, the margin and a half: one byte less is too little
     * for the double */
    uint64_t room = 2048 * EACH + MARGIN + MARGIN / 2;
    unsigned patience = c.patience;
    assert_true(patience > 1);
    assert_int_equal(until(CONTROLLER_GROW, room), patience);
    assert_int_equal(c.tokens, MOST);

    controller_start(&c, MOST, MARGIN);
    look(MARGIN - 1);
    assert_int_equal(until(CONTROLLER_GROW, room - 1), patience);
    assert_int_equal(c.tokens, MOST - 1);

    /* room for less than a quarter is not worth it */
    controller_start(&c, MOST, MARGIN);
    look(MARGIN - 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(look(MARGIN + MARGIN / 2 + 512 * EACH),
                         CONTROLLER_KEEP);
    assert_int_equal(c.tokens, MOST / 2);
    assert_int_equal(until(CONTROLLER_GROW, MARGIN + MARGIN / 2 + 513 * EACH),
                     patience);
    assert_int_equal(c.tokens, MOST / 2 + 513);
}

static void calm_must_last(void **state) {
    (void)state;
    controller_start(&c, MOST, MARGIN);
    look(MARGIN - 1);
    for (int i = 0; i < 100; i++) {
        for (unsigned calm = 1; calm < c.patience; calm++)
            assert_int_equal(look(UINT64_MAX), CONTROLLER_KEEP);
        assert_int_equal(look(MARGIN), CONTROLLER_KEEP); /* too little room */
    }
    assert_int_equal(c.tokens, MOST / 2);
}

static void it_grows_to_what_all_calm_readings_allowed(void **state) {
    (void)state;
    controller_start(&c, MOST, MARGIN);
    look(MARGIN - 1);
    assert_int_equal(look(MARGIN + MARGIN / 2 + 700 * EACH), CONTROLLER_KEEP);
    assert_int_equal(until(CONTROLLER_GROW, UINT64_MAX), c.patience - 1);
    assert_int_equal(c.tokens, MOST / 2 + 700);
}

static void a_growth_taken_back_doubles_the_patience(void **state) {
    (void)state;
    controller_start(&c, MOST, MARGIN);
    look(MARGIN - 1);
    unsigned patience = c.patience, most = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(until(CONTROLLER_GROW, UINT64_MAX), c.patience);
        unsigned before = c.patience;
        assert_int_equal(look(MARGIN - 1), CONTROLLER_SHRINK);
        assert_true(c.patience == 2 * before || (i > 2 && before == most));
        most = c.patience;
    }
    assert_true(most >= 8 * patience && most < 1000); /* it has an end */

    /* one that stood for long was no mistake */
    controller_start(&c, MOST, MARGIN);
    look(MARGIN - 1);
    until(CONTROLLER_GROW, UINT64_MAX);
    for (int i = 0; i < 100; i++)
        look(UINT64_MAX);
    assert_int_equal(look(MARGIN - 1), CONTROLLER_SHRINK);
    assert_int_equal(c.patience, patience);
}

static void what_was_given_up_comes_back_first(void **state) {
    (void)state;
    controller_start(&c, MOST, MARGIN);
    look(MARGIN - 1);
    uint64_t given = 500000, kept = MARGIN + MARGIN / 2;
    for (unsigned i = 1; i < c.patience; i++)
        assert_int_equal(look_to_restore(given + kept, given), CONTROLLER_KEEP);
    assert_int_equal(look_to_restore(given + kept, given), CONTROLLER_RESTORE);
    assert_int_equal(c.tokens, MOST / 2);
    /* nothing more was given up: the budget is next */
    assert_int_equal(until(CONTROLLER_GROW, given + kept), c.patience);

    /* its room came later than the budget's, and is kept for it */
    controller_start(&c, MOST, MARGIN);
    look(MARGIN - 1);
    for (unsigned i = 1; i < c.patience; i++)
        look_to_restore(given + kept - 1, given);
    for (unsigned i = 1; i < c.patience; i++)
        assert_int_equal(look_to_restore(given + kept, given), CONTROLLER_KEEP);
    assert_int_equal(look_to_restore(given + kept, given), CONTROLLER_RESTORE);

    /* too little room to restore: the budget grows all the same */
    controller_start(&c, MOST, MARGIN);
    look(MARGIN - 1);
    enum controller_wish wish = CONTROLLER_KEEP;
    for (unsigned i = 0; i < c.patience; i++)
        wish = look_to_restore(given + kept - 1, given);
    assert_int_equal(wish, CONTROLLER_GROW);

    /* a restoring that was taken back asks for more patience too */
    controller_start(&c, 16, MARGIN);
    unsigned patience = c.patience;
    for (unsigned i = 0; i < patience; i++)
        wish = look_to_restore(given + kept, given);
    assert_int_equal(wish, CONTROLLER_RESTORE);
    assert_int_equal(look(0), CONTROLLER_RELIEVE);
    assert_int_equal(c.patience, 2 * patience);
}

static void a_refused_batch_is_halved(void **state) {
    (void)state;
    controller_start(&c, MOST, MARGIN);
    assert_true(controller_refused(&c, MOST, 16));
    assert_int_equal(c.tokens, MOST / 2);
    assert_true(controller_refused(&c, 1000, 16)); /* it was no full batch */
    assert_int_equal(c.tokens, 500);
    assert_true(controller_refused(&c, 2000, 16)); /* smaller already */
    assert_int_equal(c.tokens, 500);
    assert_true(controller_refused(&c, 20, 16));
    assert_int_equal(c.tokens, 16);
    assert_false(controller_refused(&c, 16, 16));
    assert_false(controller_refused(&c, 10, 16));
    assert_int_equal(c.tokens, 16);
    assert_int_equal(until(CONTROLLER_GROW, UINT64_MAX), c.patience);
    assert_false(controller_refused(&c, 1, 0));
    assert_int_equal(c.tokens, 1);
}

/* ---- a device of 100 units of memory under pressure ---------------------- */

enum { UNIT = 4096, CAPACITY = 100 * UNIT, TOKENS = CAPACITY / EACH / 2 };

/* Pressure that rises for a PERIOD from 0 to HEIGHT, with the first half of it
 * free where TROUGH. */
static uint64_t tooth(unsigned at, unsigned period, uint64_t height,
                      bool trough) {
    uint64_t phase = at % period;
    if (!trough)
        return height * phase / period;
    return 2 * phase < period ? 0 : height;
}

struct played {
    unsigned turns;         /* changes of direction of the budget */
    uint64_t trough_tokens; /* sum of budgets without pressure */
    unsigned troughs;
};

static struct played play(unsigned readings, unsigned period, uint64_t height,
                          bool trough) {
    struct played p = {0};
    int direction = 0;
    for (unsigned i = 0; i < readings; i++) {
        uint64_t taken = tooth(i, period, height, trough) + c.tokens * EACH;
        size_t before = c.tokens;
        look(taken < CAPACITY ? CAPACITY - taken : 0);
        int now = (c.tokens > before) - (c.tokens < before);
        p.turns += now && direction && now != direction;
        direction = now ? now : direction;
        if (tooth(i, period, height, trough) == 0) {
            p.trough_tokens += c.tokens;
            p.troughs++;
        }
    }
    return p;
}

static const unsigned periods[] = {1, 2, 3, 5, 8, 13, 40, 64, 100, 1000, 5000};
static const uint64_t heights[] = {10, 30, 45, 50, 60, 80, 100};

#define EVERY(table, i)                                                        \
    size_t i = 0;                                                              \
    i < sizeof table / sizeof *table;                                          \
    i++

/* The first mistakes teach patience, five at most; after them a growth was
 * waited for, or stood, for 64 readings at least. */
static void a_saw_tooth_of_pressure_makes_none_of_budgets(void **state) {
    (void)state;
    enum { READINGS = 20000 };
    for (EVERY(periods, i))
        for (EVERY(heights, j))
            for (int trough = 0; trough < 2; trough++) {
                controller_start(&c, TOKENS, 4 * UNIT);
                struct played p =
                    play(READINGS, periods[i], heights[j] * UNIT, trough != 0);
                unsigned most = 2 * (5 + READINGS / 64);
                if (periods[i] <= 64)
                    most = 2 * 5; /* too short to be worth a growth */
                if (p.turns > most)
                    fail_msg("period %u, height %u %%, %s: %u turns",
                             periods[i], (unsigned)heights[j],
                             trough ? "steps" : "ramp", p.turns);
            }
}

static void long_troughs_are_used(void **state) {
    (void)state;
    for (EVERY(heights, j)) {
        controller_start(&c, TOKENS, 4 * UNIT);
        struct played p = play(20000, 2000, heights[j] * UNIT, true);
        double mean = (double)p.trough_tokens / p.troughs;
        if (mean < 0.9 * TOKENS)
            fail_msg("height %u %%: a mean budget of %.0f of %d",
                     (unsigned)heights[j], mean, TOKENS);
    }
}

static void all_comes_back_when_the_pressure_ends(void **state) {
    (void)state;
    for (EVERY(periods, i))
        for (EVERY(heights, j)) {
            controller_start(&c, TOKENS, 4 * UNIT);
            play(3000, periods[i], heights[j] * UNIT, false);
            play(2000, 1, 0, false);
            assert_int_equal(c.tokens, TOKENS);
        }
}

/* ---- anything at all ----------------------------------------------------- */

static uint64_t state_of_random;

static uint64_t random_bits(void) {
    uint64_t x = state_of_random += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* Small, large and extreme numbers. */
static uint64_t random_number(void) {
    static const uint64_t odd[] = {0, 1, UINT64_MAX, UINT64_MAX - 1, SIZE_MAX};
    uint64_t bits = random_bits();
    return bits % 8 ? random_bits() >> bits % 64 : odd[random_bits() % 5];
}

static void random_readings_stay_within_bounds(void **state) {
    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        size_t most = (size_t)random_number();
        controller_start(&c, most, random_number());
        most = most ? most : 1;
        for (unsigned i = 0; i < 200; i++) {
            struct controller_reading r = {.bytes_free = random_number(),
                                           .tokens_least =
                                               (size_t)random_number(),
                                           .bytes_per_token = random_number(),
                                           .restore_bytes = random_number()};
            size_t before = c.tokens, least = r.tokens_least;
            bool lacks = r.bytes_free < c.margin;
            enum controller_wish wish = controller_look(&c, &r);
            assert_true(c.tokens >= (least < most ? least : most));
            assert_true(c.tokens <= (most > least ? most : least));
            assert_true(c.tokens >= 1);
            assert_true(wish != CONTROLLER_SHRINK || c.tokens < before);
            assert_true(wish != CONTROLLER_GROW || c.tokens > before);
            assert_true(wish != CONTROLLER_KEEP || c.tokens == before);
            assert_true(wish != CONTROLLER_RELIEVE || lacks);
            assert_true(wish != CONTROLLER_RESTORE || !lacks);
            if (random_bits() % 16 == 0)
                controller_exhausted(&c);
            size_t tokens = (size_t)random_number();
            if (random_bits() % 16 == 0)
                assert_int_equal(controller_refused(&c, tokens, least),
                                 tokens > (least ? least : 1));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_as_planned),
        cmocka_unit_test(it_shrinks_at_once_by_what_is_lacking),
        cmocka_unit_test(it_shrinks_by_half_at_least),
        cmocka_unit_test(the_longest_text_is_the_floor),
        cmocka_unit_test(relief_is_wished_at_the_smallest),
        cmocka_unit_test(it_grows_after_patience_and_with_room_to_spare),
        cmocka_unit_test(calm_must_last),
        cmocka_unit_test(it_grows_to_what_all_calm_readings_allowed),
        cmocka_unit_test(a_growth_taken_back_doubles_the_patience),
        cmocka_unit_test(what_was_given_up_comes_back_first),
        cmocka_unit_test(a_refused_batch_is_halved),
        cmocka_unit_test(a_saw_tooth_of_pressure_makes_none_of_budgets),
        cmocka_unit_test(long_troughs_are_used),
        cmocka_unit_test(all_comes_back_when_the_pressure_ends),
        cmocka_unit_test(random_readings_stay_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
