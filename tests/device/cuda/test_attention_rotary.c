/* Rotary positions in `attend`, run on the CPU (emulate.h): it gives the bits
 * that it gives of heads that were turned, and rounded, before. What it makes
 * of those is test_attention_kernels.c's matter. */

#include "device/cuda/attention_batch.h"

/* A kind whose kernel turns heads. */
static bool turns(const struct kind *kind) {
    return !kind->plain;
}

static struct form rotary_form(unsigned dim, unsigned dims, bool interleaved,
                               bool keys) {
    struct form form = plain_form(4, dim);
    form.kv_heads = 2;
    form.features = FEATURE_ROTARY;
    form.rotary_dims = dims;
    form.interleaved = interleaved;
    form.turns_keys = keys;
    return form;
}

/* ---- what is turned ----------------------------------------------------- */

static void turn_head(const struct form *form, const float *cosine,
                      const float *sine, float *head) {
    unsigned half = form->rotary_dims / 2;
    for (unsigned p = 0; p < half; p++) {
        float *a = head + (form->interleaved ? 2 * p : p);
        float *b = form->interleaved ? a + 1 : a + half;
        float x = *a, y = *b;
        *a = fmaf(x, cosine[p], -(y * sine[p]));
        *b = fmaf(y, cosine[p], x * sine[p]);
    }
}

/* Heads [first, end) of all rows of qkv, rounded. */
static void turn_heads(struct batch *b, unsigned first, unsigned end) {
    const struct form *form = &b->form;
    unsigned half = form->rotary_dims / 2;
    for (size_t t = 0; t < b->texts; t++)
        for (size_t row = b->starts[t]; row < b->starts[t + 1]; row++)
            for (unsigned h = first; h < end; h++)
                turn_head(form, b->cosine + (row - b->starts[t]) * half,
                          b->sine + (row - b->starts[t]) * half,
                          b->qkv + row * b->stride + h * form->dim);
    put_qkv(b);
    emulate_widen(b->kind->narrow, b->narrow_qkv, b->rows * b->stride, b->qkv);
}

/* ---- the same bits ------------------------------------------------------ */

static void check_bits(const struct kind *kind, const unsigned *lengths,
                       size_t texts, struct form form) {
    struct batch b = batch_of(kind, lengths, texts, &form);
    size_t count = b.rows * b.width;
    float *turned = floats(count);
    unsigned heads = form.heads + form.kv_heads;
    if (!form.turns_keys)
        turn_heads(&b, form.heads, heads);
    run(&b);
    memcpy(turned, b.context, count * sizeof *turned);
    turn_heads(&b, 0, form.turns_keys ? heads : form.heads);
    b.form.features &= ~(unsigned)FEATURE_ROTARY;
    run(&b);
    assert_same_bits(turned, b.context, count, "turned before, and within");
    free(turned);
    batch_free(&b);
}

static const unsigned LONG[] = {1, 64, 65, 200, 0, 3};
static const unsigned BRIEF[] = {1, 64, 0, 33, 63};

static void on_each_kind(unsigned dim, unsigned dims, bool interleaved,
                         unsigned features) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (!turns(KINDS + i))
            continue;
        struct form form = rotary_form(dim, dims, interleaved, false);
        form.features |= features;
        form.behind = 20;
        check_bits(KINDS + i, LONG, 6, form);
        form.turns_keys = true;
        if (dim <= 128) /* ATTEND_KEYS is TILE_KEYS */
            check_bits(KINDS + i, BRIEF, 5, form);
    }
}

static void heads_are_turned(void **state) {
    static const unsigned HALVES[][2] = {{16, 16},   {32, 32},   {64, 64},
                                         {64, 16},   {80, 32},   {96, 96},
                                         {128, 128}, {192, 192}, {256, 256}};
    static const unsigned NEIGHBOURS[][2] = {{8, 8},   {64, 64},   {64, 24},
                                             {80, 40}, {128, 128}, {256, 64}};
    (void)state;
    for (size_t i = 0; i < sizeof HALVES / sizeof *HALVES; i++)
        on_each_kind(HALVES[i][0], HALVES[i][1], false, 0);
    for (size_t i = 0; i < sizeof NEIGHBOURS / sizeof *NEIGHBOURS; i++)
        on_each_kind(NEIGHBOURS[i][0], NEIGHBOURS[i][1], true, 0);
}

static void with_what_is_hidden(void **state) {
    (void)state;
    on_each_kind(64, 64, false, FEATURE_WINDOW);
    on_each_kind(64, 64, true, FEATURE_KEYS);
    on_each_kind(64, 32, false, FEATURE_WINDOW | FEATURE_KEYS);
}

/* ---- the order of threads ----------------------------------------------- */

static void launch_again(void *batch) {
    launch(batch);
}

static void threads_do_not_race(void **state) {
    static const unsigned DIMS[] = {32, 64, 96, 192};
    static const unsigned LENGTHS[] = {2, 60};
    (void)state;
    for (size_t kind = 0; kind < KIND_COUNT; kind++)
        for (size_t i = 0; turns(KINDS + kind) && i < 8; i++) {
            unsigned dim = DIMS[i / 2];
            struct form form = rotary_form(dim, dim, i % 2, dim <= 128);
            struct batch b = batch_of(KINDS + kind, LENGTHS, 2, &form);
            const char *wrong = emulate_all_orders(
                b.narrow_context, context_bytes(&b) + 2 * CANARY, launch_again,
                &b);
            if (wrong)
                fail_msg("%s, head_dim %u: %s", KINDS[kind].name, dim, wrong);
            batch_free(&b);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_turned),
        cmocka_unit_test(with_what_is_hidden),
        cmocka_unit_test(threads_do_not_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
