/* test_window.c - the queue of a window: whatever is cut, given back and
 * finished, every text is in exactly one place. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "run/window.h"

enum { TEXTS = 500, LONGEST = 40, HELD_MOST = 6 };

struct fixture {
    struct memory memory;
    struct window window;
    unsigned random;
};

static unsigned any(struct fixture *f, unsigned below) {
    f->random = f->random * 1103515245u + 12345u;
    return (f->random >> 16 & 0x7fff) % below;
}

/* TEXTS texts of 0 to LONGEST tokens, as if they were tokenized. */
static void fill(struct fixture *f, unsigned seed) {
    struct error err = {0};
    struct window_size size = {.texts = TEXTS,
                               .tokens = TEXTS * LONGEST,
                               .text_bytes = TEXTS,
                               .id_bytes = 3 * TEXTS};
    *f = (struct fixture){.random = seed};
    assert_true(window_open(&f->window, &f->memory, &size, &err));
    assert_int_equal(memory_live(&f->memory), window_bytes(&size));
    struct window *w = &f->window;
    w->starts[0] = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        uint8_t digest[SHA256_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8)};
        if (!window_block_has_room(w, 1, 2))
            window_end_block(w);
        assert_true(window_add(w, digest, (struct str){0}, str_from("x"),
                               str_from("id"), &err));
        w->tokens.count += any(f, LONGEST + 1);
        w->starts[i + 1] = w->tokens.count;
    }
    window_end_block(w);
    window_sort(w);
}

static void end(struct fixture *f) {
    window_close(&f->window);
    assert_int_equal(memory_live(&f->memory), 0);
}

static size_t tokens_of(const struct window *w, struct piece piece) {
    size_t tokens = 0;
    for (size_t i = 0; i < piece.count; i++)
        tokens += window_text_tokens(w, w->order[piece.first + i]);
    return tokens;
}

static void texts_are_sorted_longest_first(void **state) {
    struct fixture f;
    bool seen[TEXTS] = {false};
    (void)state;
    fill(&f, 1);
    const struct window *w = &f.window;
    for (size_t i = 0; i < TEXTS; i++) {
        assert_false(seen[w->order[i]]);
        seen[w->order[i]] = true;
        if (!i)
            continue;
        size_t before = window_text_tokens(w, w->order[i - 1]);
        size_t own = window_text_tokens(w, w->order[i]);
        assert_true(before > own ||
                    (before == own && w->order[i - 1] < w->order[i]));
    }
    assert_int_equal(window_longest(w, false),
                     window_text_tokens(w, w->order[0]));
    end(&f);
}

static void a_piece_keeps_to_its_limits(void **state) {
    struct fixture f;
    struct piece piece;
    (void)state;
    fill(&f, 2);
    struct window *w = &f.window;
    assert_false(window_cut(w, window_longest(w, false) - 1, 9, false, &piece));
    while (w->waiting) {
        size_t tokens = window_longest(w, false) + any(&f, 60);
        size_t texts = 1 + any(&f, 5);
        assert_true(window_cut(w, tokens, texts, false, &piece));
        assert_true(piece.count >= 1 && piece.count <= texts);
        assert_true(tokens_of(w, piece) <= tokens);
        window_finish(w, piece);
    }
    assert_int_equal(w->waiting_tokens, 0);
    assert_int_equal(w->held, 0);
    end(&f);
}

static void suspect_pieces_are_for_trusted_devices(void **state) {
    struct fixture f;
    struct piece piece, again;
    (void)state;
    fill(&f, 3);
    struct window *w = &f.window;
    assert_true(window_cut(w, 1000000, TEXTS - 1, false, &piece));
    piece.suspect = true;
    piece.by = 2;
    window_return(w, piece);
    assert_int_equal(w->waiting, TEXTS);
    assert_true(window_cut(w, LONGEST, 1, false, &again));
    assert_int_equal(again.first, TEXTS - 1);
    window_finish(w, again);
    assert_int_equal(window_longest(w, false), 0);
    assert_false(window_cut(w, LONGEST, 1, false, &again));
    assert_true(window_longest(w, true) > 0);
    /* Its first part says who gave it, once. */
    assert_true(window_cut(w, LONGEST, 1, true, &again));
    assert_true(again.suspect && again.by == 2);
    assert_true(window_cut(w, LONGEST, 1, true, &again));
    assert_true(again.suspect && again.by == 0);
    window_trust(w);
    assert_true(window_cut(w, LONGEST, 1, false, &again));
    assert_false(again.suspect);
    end(&f);
}

/* What waits, by the window's own lists. */
static void mark_waiting(const struct window *w, unsigned char *places) {
    for (size_t i = w->next; i < w->count; i++)
        places[i]++;
    for (size_t i = 0; i < w->returned_count; i++)
        for (size_t k = 0; k < w->returned[i].count; k++)
            places[w->returned[i].first + k]++;
}

static void check_places(const struct window *w, const struct piece *held,
                         size_t held_count, const unsigned char *done) {
    unsigned char places[TEXTS];
    size_t waiting = 0, holding = 0;
    uint64_t tokens = 0;
    memcpy(places, done, sizeof places);
    mark_waiting(w, places);
    for (size_t i = 0; i < held_count; i++) {
        holding += held[i].count;
        for (size_t k = 0; k < held[i].count; k++)
            places[held[i].first + k]++;
    }
    for (size_t i = 0; i < TEXTS; i++)
        assert_int_equal(places[i], 1);
    memset(places, 0, sizeof places);
    mark_waiting(w, places);
    for (size_t i = 0; i < TEXTS; i++) {
        waiting += places[i];
        tokens += places[i] ? window_text_tokens(w, w->order[i]) : 0;
    }
    assert_int_equal(w->waiting, waiting);
    assert_int_equal(w->waiting_tokens, tokens);
    assert_int_equal(w->held, holding);
}

static void play(struct fixture *f) {
    struct window *w = &f->window;
    struct piece held[HELD_MOST];
    unsigned char done[TEXTS] = {0};
    size_t count = 0;
    while (w->waiting || count) {
        unsigned what = any(f, 8);
        bool trusted = any(f, 3) == 0;
        size_t at = count ? any(f, (unsigned)count) : 0;
        if (what < 4 && count < HELD_MOST) {
            size_t longest = window_longest(w, trusted);
            bool cut = window_cut(w, longest + any(f, 200), 1 + any(f, 30),
                                  trusted, &held[count]);
            assert_int_equal(cut,
                             w->waiting + (cut ? held[count].count : 0) > 0 &&
                                 (longest > 0 || cut));
            count += cut;
        } else if (what < 7 && count) {
            held[at].suspect = held[at].suspect || any(f, 10) == 0;
            window_return(w, held[at]);
            held[at] = held[--count];
        } else if (count) {
            window_finish(w, held[at]);
            memset(done + held[at].first, 1, held[at].count);
            held[at] = held[--count];
        }
        assert_true(w->returned_count < 100);
        check_places(w, held, count, done);
        if (any(f, 50) == 0)
            window_trust(w);
    }
    for (size_t i = 0; i < TEXTS; i++)
        assert_int_equal(done[i], 1);
}

static void every_text_is_in_one_place(void **state) {
    struct fixture f;
    (void)state;
    for (unsigned seed = 0; seed < 20; seed++) {
        fill(&f, seed);
        play(&f);
        end(&f);
    }
}

static void pieces_that_come_back_join(void **state) {
    struct fixture f;
    struct piece pieces[TEXTS];
    (void)state;
    fill(&f, 5);
    struct window *w = &f.window;
    for (size_t i = 0; i < TEXTS; i++)
        assert_true(window_cut(w, LONGEST, 1, false, &pieces[i]));
    for (size_t i = 1; i < TEXTS; i += 2)
        if (i % 4 == 1) /* every other one of them, so that holes stay */
            window_return(w, pieces[i]);
    assert_int_equal(w->returned_count, TEXTS / 4);
    for (size_t i = 3; i < TEXTS; i += 4)
        window_return(w, pieces[i]);
    for (size_t i = 0; i < TEXTS; i += 2)
        window_return(w, pieces[i]);
    assert_int_equal(w->returned_count, 1);
    assert_int_equal(w->returned[0].count, TEXTS);
    end(&f);
}

static void sizes_follow_the_texts(void **state) {
    (void)state;
    struct intake_counts three = {
        .unique = 3, .points = 3, .text_bytes = 100, .text_bytes_longest = 50};
    struct window_size few = window_size_for(&three, 512, 2, 0);
    assert_int_equal(few.texts, 3);
    assert_int_equal(few.tokens, 106);
    assert_int_equal(few.text_bytes, 100);
    assert_int_equal(window_size_for(&three, 512, 2, 7).text_bytes, 121);
    struct intake_counts no_end = {.unique = UINT64_C(1) << 40,
                                   .points = UINT64_C(1) << 40,
                                   .text_bytes = UINT64_C(1) << 50,
                                   .text_bytes_longest = 4000};
    struct window_size many = window_size_for(&no_end, 512, 2, 0);
    assert_int_equal(many.texts, WINDOW_TEXTS);
    assert_int_equal(many.tokens, WINDOW_TOKENS + BLOCK_TEXTS * 512);
    assert_int_equal(many.text_bytes, BLOCK_BYTES + 4000);
}

static void a_text_that_grew_is_refused(void **state) {
    struct memory memory = {0};
    struct window w;
    struct error err = {0};
    struct window_size size = {
        .texts = 2, .tokens = 8, .text_bytes = 4, .id_bytes = 64};
    uint8_t digest[SHA256_BYTES] = {0};
    (void)state;
    assert_true(window_open(&w, &memory, &size, &err));
    assert_false(window_add(&w, digest, str_from("p"), str_from("1234"),
                            str_from("chunk-7"), &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.message, "chunk-7"));
    window_close(&w);
    assert_int_equal(memory_live(&memory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_sorted_longest_first),
        cmocka_unit_test(a_piece_keeps_to_its_limits),
        cmocka_unit_test(suspect_pieces_are_for_trusted_devices),
        cmocka_unit_test(every_text_is_in_one_place),
        cmocka_unit_test(pieces_that_come_back_join),
        cmocka_unit_test(sizes_follow_the_texts),
        cmocka_unit_test(a_text_that_grew_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
