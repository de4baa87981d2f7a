/* The attention kernels, run on the CPU (emulate.h), against the definition of
 * attention in double. With the argument "all": every shape with every
 * feature. */

#include "device/cuda/attention_batch.h"

static bool everything;

/* ---- bounds ------------------------------------------------------------- */

/* The greatest relative error of a rounding to a kernel's numbers. */
static double narrow_rounding(unsigned narrow) {
    return narrow == 0 ? ROUNDING : narrow == 1 ? 0x1p-11 : 0x1p-8;
}

/* How far a number may be from the definition: SIZE is the sum of the
 * magnitudes it is made of, VALUE itself. A score errs by the roundings of its
 * terms, which changes weights by that factor, twice (the mass too); 2^x errs
 * by 2^-22; the sums over keys by a rounding a key; `attend` rounds weights, at
 * most 1, to a narrow number (the mass is of the rounded ones: twice again),
 * and the result is rounded to one. f16's smallest steps are 2^-24. */
static double bound_of(const struct batch *b, size_t length, double scores,
                       const struct sum *number) {
    const struct kind *kind = b->kind;
    double terms = 3 * b->form.dim + 16,
           rounding = narrow_rounding(kind->narrow);
    double step = kind->narrow == 1 ? 0x1p-25 : 0;
    double weights = kind->plain ? 0 : 2 * rounding;
    double relative = 2 * terms * ROUNDING * scores + 0x1p-20 +
                      2 * (double)length * ROUNDING + weights;
    double far = number->size * relative + 1e-30;
    if (!kind->plain)
        far += (double)length * step * 6; /* values are at most 3 */
    return far + (fabs(number->value) + far) * rounding + step;
}

/* ---- against the definition --------------------------------------------- */

struct errors {
    double total, expected;
};

static void check_row(const struct batch *b, unsigned t, size_t row,
                      unsigned head, struct sum *values,
                      struct errors *errors) {
    double scores;
    size_t at = (b->starts[t] + row) * b->width + head * b->form.dim;
    reference_row(b, t, row, head, values, &scores);
    for (unsigned i = 0; i < b->form.dim; i++) {
        double bound =
            bound_of(b, b->starts[t + 1] - b->starts[t], scores, values + i);
        double y = (double)b->context[at + i];
        if (!(fabs(y - values[i].value) <= bound))
            fail_msg("%s, head_dim %u, features %u: row %zu of %u, head %u, "
                     "[%u] is %.9g, not %.9g within %.3g",
                     b->kind->name, b->form.dim, b->form.features, row,
                     b->starts[t + 1] - b->starts[t], head, i, y,
                     values[i].value, bound);
        errors->total += fabs(y - values[i].value);
        errors->expected += values[i].size * (narrow_rounding(b->kind->narrow) +
                                              2 * sqrt(3 * b->form.dim + 16) *
                                                  ROUNDING * scores);
    }
}

/* All numbers within their bounds, and in the mean within a rounding of a
 * weight and one of the result, which err by half their bound on average, and
 * what is left of the roundings of a score: of n, the root of n. */
static void check_definition(const struct kind *kind, const unsigned *lengths,
                             size_t texts, struct form form) {
    struct batch b = batch_of(kind, lengths, texts, &form);
    struct errors errors = {0, 1e-9};
    struct sum *values = memory(form.dim * sizeof *values);
    run(&b);
    for (unsigned t = 0; t < texts; t++)
        for (size_t row = 0; row < lengths[t]; row++)
            for (unsigned h = 0; h < form.heads; h++)
                check_row(&b, t, row, h, values, &errors);
    if (!(errors.total <= errors.expected))
        fail_msg("%s, head_dim %u, features %u: in the mean wrong by %.3g of "
                 "what it may be",
                 kind->name, form.dim, form.features,
                 errors.total / errors.expected);
    free(values);
    batch_free(&b);
}

static void on_each_kind(const unsigned *lengths, size_t texts,
                         struct form form) {
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (KINDS[i].plain || !(form.features & FEATURE_RELATIVE))
            check_definition(KINDS + i, lengths, texts, form);
}

static const unsigned LENGTHS[] = {1, 2, 63, 64, 65, 130, 300};
static const unsigned FEW[] = {3, 65, 1};

static void every_head_dim(void **state) {
    static const unsigned DIMS[] = {8,   16,  24, 32, 64, 80, 96, 128,
                                    192, 256, 1,  20, 33, 71, 250};
    (void)state;
    for (size_t i = 0; i < sizeof DIMS / sizeof *DIMS; i++) {
        if (everything)
            on_each_kind(LENGTHS, 7, plain_form(2, DIMS[i]));
        on_each_kind(FEW, 3, plain_form(1, DIMS[i]));
    }
}

static void every_length(void **state) {
    (void)state;
    on_each_kind(LENGTHS, 7, plain_form(1, 32));
}

static void odd_addresses(void **state) {
    (void)state;
    for (unsigned dim = 16; dim <= 80; dim += 64) {
        struct form form = plain_form(1, dim);
        form.odd_address = true;
        on_each_kind(FEW, 3, form);
    }
}

static void heads_share_keys(void **state) {
    static const struct {
        unsigned heads, kv_heads;
    } SIZES[] = {{2, 1}, {6, 2}, {5, 1}, {8, 4}};
    (void)state;
    for (size_t i = 0; i < (everything ? 4 : 2); i++) {
        struct form form = plain_form(SIZES[i].heads, 32);
        form.kv_heads = SIZES[i].kv_heads;
        on_each_kind(FEW, 3, form);
    }
}

/* How far a query sees; ALL - 1 would overflow a careless sum. */
static void windows(void **state) {
    static const unsigned WINDOWS[][2] = {{ALL, 0}, {7, 7},       {64, 63},
                                          {0, 0},   {0, ALL},     {ALL - 1, 3},
                                          {100, 0}, {1, ALL - 1}, {130, 130}};
    static const unsigned LONG[] = {200, 66};
    (void)state;
    for (size_t i = 0; i < (everything ? 9 : 5); i++) {
        struct form form = plain_form(1, 32);
        form.features = FEATURE_WINDOW;
        form.behind = WINDOWS[i][0];
        form.ahead = WINDOWS[i][1];
        on_each_kind(LONG, 2, form);
        form.features |= FEATURE_KEYS;
        on_each_kind(LONG, 2, form);
    }
}

/* Alone and in pairs. */
static void every_feature(void **state) {
    static const unsigned SHAPES[][2] = {
        {2, 24}, {1, 64}, {1, 128}, {1, 192}, {1, 256}};
    static const unsigned MIDDLE[] = {70, 130};
    (void)state;
    for (size_t i = 0; i < (everything ? 5 : 1); i++)
        for (unsigned a = 0; a < 5; a++)
            for (unsigned b = a; b < 5; b++) {
                struct form form = plain_form(SHAPES[i][0], SHAPES[i][1]);
                form.features = 1u << a | 1u << b;
                form.behind = 40;
                form.ahead = 10;
                form.reach = b == 2 ? 500 : 9;
                on_each_kind(MIDDLE, 2, form);
                if (everything)
                    on_each_kind(LENGTHS, 7, form);
            }
}

/* DeBERTa's shapes: a reach beyond the text, and of nothing. */
static void relative_tables(void **state) {
    static const struct {
        unsigned dim, table, far;
    } SIZES[] = {{20, 512, 512}, {8, 1, 0}, {64, 64, 300}};
    (void)state;
    for (size_t i = 0; i < (everything ? 3 : 2); i++) {
        struct form form = plain_form(2, SIZES[i].dim);
        form.features = FEATURE_RELATIVE;
        form.table = SIZES[i].table;
        form.far = SIZES[i].far;
        on_each_kind(FEW, 3, form);
    }
}

int main(int argc, char **argv) {
    everything = argc > 1 && strcmp(argv[1], "all") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length),    cmocka_unit_test(every_head_dim),
        cmocka_unit_test(odd_addresses),   cmocka_unit_test(heads_share_keys),
        cmocka_unit_test(windows),         cmocka_unit_test(every_feature),
        cmocka_unit_test(relative_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
