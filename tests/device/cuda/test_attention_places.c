/* The attention kernels, run on the CPU (emulate.h): what may not change a bit
 * of a text's rows, and what numbers may not do. */

#include "device/cuda/attention_batch.h"

static bool can(const struct kind *kind, const struct form *form) {
    return kind->plain || !(form->features & FEATURE_RELATIVE);
}

/* ---- the order of threads ----------------------------------------------- */

static void launch_again(void *batch) {
    launch(batch);
}

static void check_orders(const struct kind *kind, struct form form) {
    static const unsigned LENGTHS[] = {2, 100};
    struct batch b = batch_of(kind, LENGTHS, 2, &form);
    const char *wrong = emulate_all_orders(
        b.narrow_context, context_bytes(&b) + 2 * CANARY, launch_again, &b);
    if (wrong)
        fail_msg("%s, head_dim %u, features %u: %s", kind->name, form.dim,
                 form.features, wrong);
    batch_free(&b);
}

static void threads_do_not_race(void **state) {
    static const unsigned DIMS[] = {32, 64, 96, 160, 256, 20};
    static const unsigned FEATURES[] = {0, FEATURE_DISTANCES, FEATURE_WINDOW,
                                        FEATURE_RELATIVE};
    (void)state;
    for (size_t kind = 0; kind < KIND_COUNT; kind++)
        for (size_t dim = 0; dim < 6; dim++)
            for (size_t f = 0; f < (dim < 2 ? 4 : 2); f++) {
                struct form form = plain_form(1, DIMS[dim]);
                form.features = FEATURES[f];
                form.behind = 30;
                if (can(KINDS + kind, &form))
                    check_orders(KINDS + kind, form);
            }
}

/* ---- other texts -------------------------------------------------------- */

/* Text T of a batch, alone; and in the batch, where all other texts are NaN. */
static void check_alone(struct batch *b, const struct form *form, size_t t) {
    size_t begin = b->starts[t], rows = b->starts[t + 1] - begin;
    unsigned length = (unsigned)rows;
    struct batch alone = batch_of(b->kind, &length, 1, form);
    memcpy(alone.qkv, b->qkv + begin * b->stride,
           rows * b->stride * sizeof *b->qkv);
    put_qkv(&alone);
    alone.keys[0] = b->keys[t];
    memcpy(alone.distances, b->distances,
           form->heads * (2 * form->reach + 1) * sizeof *b->distances);
    memcpy(alone.slopes, b->slopes, form->heads * sizeof *b->slopes);
    run(&alone);
    assert_same_bits(alone.context, b->context + begin * b->width,
                     rows * b->width, "a text alone and among others");
    batch_free(&alone);
}

static void only_text(struct batch *b, const float *qkv, size_t t) {
    for (size_t i = 0; i < b->rows * b->stride; i++) {
        size_t row = i / b->stride;
        b->qkv[i] =
            row >= b->starts[t] && row < b->starts[t + 1] ? qkv[i] : NAN;
    }
    put_qkv(b);
}

static void check_company(const struct kind *kind, struct form form) {
    static const unsigned LENGTHS[] = {5, 1, 130, 0, 64, 2, 67};
    struct batch b = batch_of(kind, LENGTHS, 7, &form);
    size_t count = b.rows * b.stride;
    float *qkv = floats(count), *context = floats(b.rows * b.width);
    memcpy(qkv, b.qkv, count * sizeof *qkv);
    run(&b);
    memcpy(context, b.context, b.rows * b.width * sizeof *context);
    for (size_t t = 0; t < 7; t++) {
        size_t at = b.starts[t] * b.width;
        if (LENGTHS[t] && !(form.features & FEATURE_RELATIVE))
            check_alone(&b, &form, t);
        only_text(&b, qkv, t);
        run(&b);
        assert_same_bits(context + at, b.context + at, LENGTHS[t] * b.width,
                         "a text among others, and among NaN");
        memcpy(b.qkv, qkv, count * sizeof *qkv);
        memcpy(b.context, context, b.rows * b.width * sizeof *context);
    }
    free(qkv);
    free(context);
    batch_free(&b);
}

static void company_changes_no_bit(void **state) {
    static const unsigned FEATURES[] = {0, FEATURE_KEYS,
                                        FEATURE_WINDOW | FEATURE_SLOPES,
                                        FEATURE_DISTANCES, FEATURE_RELATIVE};
    (void)state;
    for (size_t kind = 0; kind < KIND_COUNT; kind++)
        for (size_t f = 0; f < 5; f++) {
            struct form form = plain_form(2, f == 1 ? 20 : 32);
            form.kv_heads = f == 4 ? 2 : 1;
            form.features = FEATURES[f];
            form.behind = 20;
            form.ahead = 5;
            if (can(KINDS + kind, &form))
                check_company(KINDS + kind, form);
        }
}

/* Copies of one row see the same: whatever tile and thread they fall to, their
 * bits are equal. */
static void equal_queries_have_equal_contexts(void **state) {
    (void)state;
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        static const unsigned LENGTH = 100;
        struct form form = plain_form(1, 40);
        struct batch b = batch_of(KINDS + kind, &LENGTH, 1, &form);
        for (size_t row = 1; row < LENGTH; row++)
            memcpy(b.qkv + row * b.stride, b.qkv, b.width * sizeof *b.qkv);
        put_qkv(&b);
        run(&b);
        for (size_t row = 1; row < LENGTH; row++)
            assert_same_bits(b.context, b.context + row * b.width, b.width,
                             "copies of one query");
        batch_free(&b);
    }
}

/* ---- numbers ------------------------------------------------------------ */

/* With a window of nothing else, each row gets its own V, bit for bit. */
static void a_row_may_see_only_itself(void **state) {
    (void)state;
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        static const unsigned LENGTHS[] = {200, 3};
        struct form form = plain_form(4, 20);
        form.kv_heads = 2;
        form.features = FEATURE_WINDOW | FEATURE_SLOPES;
        form.behind = form.ahead = 0;
        struct batch b = batch_of(KINDS + kind, LENGTHS, 2, &form);
        run(&b);
        for (size_t row = 0; row < b.rows; row++)
            for (unsigned h = 0; h < 4; h++)
                assert_same_bits(b.context + row * b.width + h * 20,
                                 vector_of(&b, row, 2, h), 20, "its own V");
        batch_free(&b);
    }
}

/* Row AT is told to look far away from all keys but RIGHT. */
static void check_low(const struct kind *kind, float low, size_t at,
                      size_t right) {
    static const unsigned LENGTH = 150;
    struct form form = plain_form(1, 20);
    form.features = FEATURE_DISTANCES;
    form.reach = 160;
    struct batch b = batch_of(kind, &LENGTH, 1, &form);
    for (size_t d = 0; d < 2 * 160 + 1; d++)
        b.distances[d] = low;
    b.distances[160 + right - at] = 0;
    run(&b);
    for (size_t i = 0; i < b.rows * b.width; i++)
        assert_true(isfinite(b.context[i]));
    for (unsigned i = 0; i < 20; i++)
        assert_near((double)b.context[at * b.width + i],
                    (double)vector_of(&b, right, 2, 0)[i], 1e-6, "the one key",
                    i);
    batch_free(&b);
}

static void low_scores_make_no_nan(void **state) {
    static const float LOW[] = {-1e4f, -1e30f, -FLT_MAX};
    static const size_t RIGHT[] = {0, 75, 149};
    (void)state;
    for (size_t kind = 0; kind < KIND_COUNT; kind++)
        for (size_t i = 0; i < 3; i++)
            for (size_t at = 0; at < 3; at++)
                check_low(KINDS + kind, LOW[i], 75, RIGHT[at]);
}

/* All numbers of f16, up to its largest: scores are floats, weights at most 1,
 * so results lie between the values. */
static void large_numbers_stay_finite(void **state) {
    static const unsigned LENGTH = 130;
    (void)state;
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        struct form form = plain_form(1, 64);
        struct batch b = batch_of(KINDS + kind, &LENGTH, 1, &form);
        float largest = KINDS[kind].narrow == 2 ? 65280.0f : 65504.0f;
        for (size_t i = 0; i < b.rows * b.stride; i++)
            b.qkv[i] = i % 3 ? largest : -largest;
        put_qkv(&b);
        run(&b);
        for (size_t i = 0; i < b.rows * b.width; i++)
            assert_true((double)fabsf(b.context[i]) <=
                        (double)largest * (1 + 200 * ROUNDING));
        batch_free(&b);
    }
}

/* A NaN in Q stays in its row and head; one in K or V reaches all rows of its
 * text in that head; another text or head sees none of it. */
static void check_nan(const struct kind *kind, unsigned which, size_t at) {
    static const unsigned LENGTHS[] = {3, 140, 5};
    enum { DIM = 32, HEADS = 2 };
    struct form form = plain_form(HEADS, DIM);
    struct batch b = batch_of(kind, LENGTHS, 3, &form);
    size_t row = 3 + at;
    b.qkv[(row * 3 + which) * b.width + DIM + 5] = NAN; /* head 1 */
    put_qkv(&b);
    run(&b);
    for (size_t r = 0; r < b.rows; r++)
        for (size_t c = 0; c < b.width; c++) {
            bool text = r >= 3 && r < 143, head = c >= DIM;
            bool poisoned = which == 0   ? r == row && head
                            : which == 1 ? text && head
                                         : text && c == DIM + 5;
            if (!isnan(b.context[r * b.width + c]) != !poisoned)
                fail_msg("%s: NaN in %u of key %zu: row %zu column %zu is %g",
                         kind->name, which, at, r, c,
                         (double)b.context[r * b.width + c]);
        }
    batch_free(&b);
}

static void a_nan_is_never_hidden(void **state) {
    static const size_t PLACES[] = {0, 63, 139};
    (void)state;
    for (size_t kind = 0; kind < KIND_COUNT; kind++)
        for (unsigned which = 0; which < 3; which++)
            for (size_t i = 0; i < 3; i++)
                check_nan(KINDS + kind, which, PLACES[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_race),
        cmocka_unit_test(company_changes_no_bit),
        cmocka_unit_test(equal_queries_have_equal_contexts),
        cmocka_unit_test(a_row_may_see_only_itself),
        cmocka_unit_test(low_scores_make_no_nan),
        cmocka_unit_test(large_numbers_stay_finite),
        cmocka_unit_test(a_nan_is_never_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
