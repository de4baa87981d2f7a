/* Attention against its definition in double, and what cannot change it. */

#include "device/attention.h"

/* With each instruction set's floats, and with bf16 where the machine has it
 * (elsewhere test_simde_attention.c does that). */
static void on_each(void (*test)(struct fixture *f)) {
    const char *isa = device_isa(NUMBER_BF16, 0);
    on_each_isa(test);
    if (strstr(isa, "bf16")) {
        struct fixture f;
        fixture_open_type(&f, NUMBER_BF16, isa, THREADS);
        test(&f);
        fixture_close(&f);
    }
}

static const uint32_t SHORT[] = {1, 2, 7, 1, 17, 33, 12, 13};
static const uint32_t MIDDLE[] = {48, 49, 160, 97};
static const uint32_t LONG[] = {383, 384, 385, 801};

static void references(struct fixture *f) {
    check_reference(f, SHORT, 8, plain(3, 32));
    check_reference(f, SHORT, 8, plain(2, 64));
    check_reference(f, SHORT, 8, plain(2, 1));
    check_reference(f, SHORT, 8, plain(1, 33));
    check_reference(f, SHORT, 8, plain(2, 7));
    check_reference(f, SHORT, 8, plain(1, 400));
    check_reference(f, MIDDLE, 4, plain(2, 32));
    check_reference(f, MIDDLE, 4, plain(1, 80));
    check_reference(f, LONG, 4, plain(1, 32));
    check_reference(f, LONG + 3, 1, plain(1, 401));
}

static void attention_is_its_definition(void **state) {
    (void)state;
    on_each(references);
}

static struct form with_reach(struct form form, size_t reach) {
    form.reach = reach;
    return form;
}

static void distances(struct fixture *f) {
    /* none farther than the reach, some, nearly all, all but the row itself */
    check_reference(f, SHORT, 8, with_reach(plain(3, 32), 40));
    check_reference(f, SHORT, 8, with_reach(plain(2, 7), 3));
    check_reference(f, MIDDLE, 4, with_reach(plain(2, 32), 128));
    check_reference(f, MIDDLE, 4, with_reach(plain(1, 80), 0));
    check_reference(f, LONG, 4, with_reach(plain(2, 32), 128));
    check_reference(f, LONG, 4, with_reach(plain(1, 33), 1000));
}

static void distances_are_added(void **state) {
    (void)state;
    on_each(distances);
}

/* Lengths about the sizes that tiles, panels and blocks have. */
static const uint32_t ODD[] = {1, 2, 15, 16, 17, 63, 64, 65};
static const uint32_t LONGER[] = {200, 513};

static void few_keys(struct fixture *f) {
    struct form form = plain(2, 20);
    form.few_keys = true;
    check_reference(f, ODD, 8, form);
    check_reference(f, LONG, 4, form);
    form.behind = form.ahead = 7;
    check_reference(f, ODD, 8, form);
    form.behind = 64;
    form.ahead = 0;
    check_reference(f, LONGER, 2, form);
}

static void only_the_first_keys_are_seen(void **state) {
    (void)state;
    on_each(few_keys);
}

static void heads_and_dims(struct fixture *f) {
    static const struct {
        size_t heads, kv_heads, dim;
    } SIZES[] = {{1, 1, 8},  {2, 1, 20},  {3, 3, 20},  {4, 2, 64},
                 {6, 3, 8},  {8, 1, 80},  {16, 4, 20}, {16, 16, 8},
                 {5, 1, 64}, {4, 2, 128}, {2, 1, 256}};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        struct form form = plain(SIZES[i].heads, SIZES[i].dim);
        form.kv_heads = SIZES[i].kv_heads;
        check_reference(f, ODD, 8, form);
    }
}

static void heads_share_keys_and_values(void **state) {
    (void)state;
    on_each(heads_and_dims);
}

/* How far a query sees; SIZE_MAX - 1 would overflow a careless sum. */
static const size_t WINDOWS[][2] = {
    {ALL, 0}, {0, ALL}, {0, 0}, {1, 1},  {7, 7},
    {64, 64}, {7, 0},   {0, 1}, {64, 1}, {ALL - 1, 3},
};
enum { WINDOW_COUNT = sizeof WINDOWS / sizeof *WINDOWS };

static void windows(struct fixture *f) {
    for (size_t i = 0; i < WINDOW_COUNT; i++) {
        struct form form = plain(4, 20);
        form.kv_heads = 2;
        form.behind = WINDOWS[i][0];
        form.ahead = WINDOWS[i][1];
        check_reference(f, ODD, 8, form);
        form.heads = 2;
        form.kv_heads = 1;
        check_reference(f, LONGER, 2, form);
        if (i % 3 == 0)
            check_reference(f, LONG + 3, 1, form);
    }
}

static void windows_hide_what_is_outside(void **state) {
    (void)state;
    on_each(windows);
}

static void slopes(struct fixture *f) {
    struct form form = plain(6, 20);
    form.slopes = true;
    check_reference(f, ODD, 8, form);
    check_reference(f, LONGER, 2, form);
    form.kv_heads = 2;
    form.ahead = 0;
    check_reference(f, ODD, 8, form);
    form.behind = 64;
    form.reach = 9; /* with distances */
    check_reference(f, LONGER, 2, form);
}

static void slopes_are_taken_off(void **state) {
    (void)state;
    on_each(slopes);
}

static void relatives(struct fixture *f) {
    static const struct {
        size_t heads, dim, table, far;
    } SIZES[] = {{1, 8, 1, 0},      {2, 64, 64, 300}, {3, 20, 33, 7},
                 {2, 20, 512, 512}, {1, 400, 16, 40}, {1, 8, 4096, 3000}};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        struct form form = plain(SIZES[i].heads, SIZES[i].dim);
        form.table = SIZES[i].table;
        form.far = SIZES[i].far;
        check_reference(f, ODD, 8, form);
        if (i != 1)
            continue;
        check_reference(f, LONGER, 2, form);
        form.behind = form.ahead = 7;
        check_reference(f, ODD, 8, form);
        check_reference(f, LONGER, 2, form);
    }
}

static void relative_positions_are_disentangled(void **state) {
    (void)state;
    on_each(relatives);
}

/* A head that is told to look far away from all keys but one, and numbers that
 * no exponent takes: no NaN, and the one key's value comes out. */
static void far_below(struct fixture *f) {
    static const float LOW[] = {-1e4f, -1e30f, -FLT_MAX};
    for (size_t i = 0; i < 3; i++)
        for (size_t at = 0; at < 3; at++) {
            static const uint32_t LENGTH[] = {801};
            static const size_t RIGHT[] = {0, 400, 800};
            struct form form = with_reach(plain(1, 20), 900);
            struct batch b = batch_of(f, LENGTH, 1, &form);
            /* Row 400 has one key that is not told off. */
            for (size_t d = 0; d < 2 * 900 + 1; d++)
                b.distances[d] = LOW[i];
            b.distances[900 + RIGHT[at] - 400] = 0;
            run(f, &b);
            for (size_t c = 0; c < b.rows * b.width; c++)
                assert_true(isfinite(b.context[c]));
            for (size_t c = 0; c < 20; c++)
                assert_near((double)b.context[400 * b.width + c],
                            (double)rounded(vector_of(&b, RIGHT[at], 2, 0)[c],
                                            b.rounds),
                            1e-6, "the one key", c);
            batch_free(&b);
        }
}

static void low_scores_make_no_nan(void **state) {
    (void)state;
    on_each(far_below);
}

/* With a window of nothing else, each row gets its own V, bit for bit, as it is
 * rounded. */
static void only_itself(struct fixture *f) {
    struct form form = plain(4, 20);
    form.kv_heads = 2;
    form.behind = form.ahead = 0;
    form.slopes = true;
    struct batch b = batch_of(f, LONGER, 2, &form);
    run(f, &b);
    for (size_t row = 0; row < b.rows; row++)
        for (size_t h = 0; h < 4; h++) {
            float own[20];
            for (size_t i = 0; i < 20; i++)
                own[i] = rounded(vector_of(&b, row, 2, h)[i], b.rounds);
            assert_same_bits(b.context + row * b.width + h * 20, own, 20,
                             "its own value");
        }
    batch_free(&b);
}

static void a_row_may_see_only_itself(void **state) {
    (void)state;
    on_each(only_itself);
}

static const uint32_t COMPANY[] = {5, 1, 160, 48, 700, 0, 2, 33};

static void company(struct fixture *f) {
    /* So long that threads share the rows of one head: its keys and values
     * are more than the scratch that is shared by heads. */
    static const uint32_t VERY_LONG[] = {1100, 3};
    check_company(f, COMPANY, 8, with_reach(plain(3, 32), 128));
    check_company(f, COMPANY, 8, plain(1, 65));
    check_company(f, COMPANY + 2, 1, with_reach(plain(12, 32), 128));
    for (int i = 0; i < 10; i++) /* fewer heads than threads */
        check_company(f, COMPANY + 4, 1, with_reach(plain(2, 32), 128));
    check_company(f, VERY_LONG, 2, with_reach(plain(2, 128), 128));
}

static void windows_company(struct fixture *f) {
    for (size_t i = 0; i < WINDOW_COUNT; i++) {
        struct form form = plain(6, 20);
        form.kv_heads = i % 2 ? 6 : 1;
        form.behind = WINDOWS[i][0];
        form.ahead = WINDOWS[i][1];
        form.slopes = true;
        check_company(f, COMPANY, 8, form);
        check_company(f, COMPANY + 4, 1, form);
    }
}

static void relative_company(struct fixture *f) {
    struct form form = plain(3, 32);
    form.table = 64;
    form.far = 300;
    check_company(f, COMPANY, 8, form);
    check_company(f, COMPANY + 4, 1, form);
    form.heads = form.kv_heads = 2;
    form.table = 512; /* one slot */
    check_company(f, COMPANY, 5, form);
}

static void company_and_threads_change_no_bit(void **state) {
    (void)state;
    on_each(company);
    on_each(windows_company);
    on_each(relative_company);
}

/* Copies of one row see the same: whatever tile they fall into, their bits are
 * equal. */
static void same_rows(struct fixture *f) {
    uint32_t length = 100;
    struct form form = plain(1, 32);
    struct batch b = batch_of(f, &length, 1, &form);
    for (size_t row = 1; row < length; row++)
        memcpy(b.qkv + row * b.stride, b.qkv, b.width * sizeof *b.qkv);
    run(f, &b);
    for (size_t row = 1; row < length; row++)
        assert_same_bits(b.context, b.context + row * b.width, b.width,
                         "copies of one query");
    batch_free(&b);
}

static void equal_queries_have_equal_contexts(void **state) {
    (void)state;
    on_each(same_rows);
}

/* A NaN in Q stays in its row and head; one in K or V reaches all rows of its
 * text in that head; another text or head sees none of it. */
static void check_poison(struct fixture *f, size_t which, size_t at) {
    static const uint32_t LENGTHS[] = {3, 450, 5};
    enum { DIM = 32, HEADS = 2 };
    struct form form = plain(HEADS, DIM);
    struct batch b = batch_of(f, LENGTHS, 3, &form);
    size_t row = 3 + at;
    b.qkv[(row * 3 + which) * b.width + DIM + 5] = NAN; /* head 1 */
    run(f, &b);
    for (size_t r = 0; r < b.rows; r++)
        for (size_t c = 0; c < b.width; c++) {
            bool text = r >= 3 && r < 453, head = c >= DIM;
            bool poisoned = which == 0   ? r == row && head
                            : which == 1 ? text && head
                                         : text && c == DIM + 5;
            if (!isnan(b.context[r * b.width + c]) != !poisoned)
                fail_msg("NaN in %zu of key %zu: row %zu column %zu is %g",
                         which, at, r, c, (double)b.context[r * b.width + c]);
        }
    batch_free(&b);
}

static void poison(struct fixture *f) {
    static const size_t PLACES[] = {0, 31, 383, 384, 449};
    for (size_t which = 0; which < 3; which++)
        for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
            check_poison(f, which, PLACES[i]);
}

static void a_nan_is_never_hidden(void **state) {
    (void)state;
    on_each(poison);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_its_definition),
        cmocka_unit_test(distances_are_added),
        cmocka_unit_test(only_the_first_keys_are_seen),
        cmocka_unit_test(heads_share_keys_and_values),
        cmocka_unit_test(windows_hide_what_is_outside),
        cmocka_unit_test(slopes_are_taken_off),
        cmocka_unit_test(relative_positions_are_disentangled),
        cmocka_unit_test(low_scores_make_no_nan),
        cmocka_unit_test(a_row_may_see_only_itself),
        cmocka_unit_test(company_and_threads_change_no_bit),
        cmocka_unit_test(equal_queries_have_equal_contexts),
        cmocka_unit_test(a_nan_is_never_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
