/* test_one_row.c - where the heads read one row of a text, the last layer
 * computes no other: the row has the bits that it has among all of them, in
 * every order of norms, and products meet as many rows as there are texts. */

#include "model/fixture.h"
#include "model/heads.h"

enum { TEXTS = 5, TOKENS = 70, HIDDEN_MAX = 256 };

static const uint32_t STARTS[TEXTS + 1] = {0, 1, 12, 49, 51, TOKENS};

/* ---- the same bits ------------------------------------------------------ */

/* One pooling of each text, or the same one twice side by side, for which all
 * rows are computed; nothing behind it. [texts, hidden * TIMES] */
static void encode(struct rig *r, enum pooling pooling, size_t times,
                   float *vectors) {
    struct error err = {0};
    uint32_t ids[TOKENS];
    struct encoder_need need;
    for (size_t i = 0; i < times; i++)
        r->spec.pooling[i] = pooling;
    r->spec.pooling_count = times;
    r->spec.sentence_count = 0;
    r->spec.width = r->spec.hidden * times;
    for (size_t i = 0; i < TOKENS; i++)
        ids[i] = (uint32_t)(i * 2654435761u % r->spec.vocab);
    struct encoder_batch batch = {.ids = ids, .starts = STARTS, .texts = TEXTS};
    struct encoder_output out = {.dense = vectors};
    struct weights *weights = rig_load(r, SIZE_MAX);
    struct encoder *encoder =
        encoder_create(&r->memory, &r->spec, weights, r->device, r->pool, &err);
    assert_non_null(encoder);
    struct encoder_budget budget =
        encoder_budget_make(&r->spec, false, r->device, TOKENS, TOKENS);
    assert_true(
        encoder_workspace(&r->spec, NULL, r->device, &budget, &need, &err));
    void *block = device_alloc(r->device, need.bytes, need.charge, NULL, &err);
    assert_non_null(block);
    memset(block, 0xff, need.bytes);
    encoder_lay_out(encoder, &budget, block);
    if (!encoder_encode(encoder, &batch, &out, &err))
        fail_msg("%s", err.message);
    encoder_free(encoder);
    device_release(r->device, block);
    weights_free(weights);
}

static void check_bits(const char *folder, unsigned threads,
                       enum pooling pooling) {
    static float one[TEXTS * HIDDEN_MAX], all[TEXTS * HIDDEN_MAX * 2];
    struct rig r;
    rig_open(&r, "cpu", threads, folder, 0);
    size_t hidden = r.spec.hidden;
    assert_in_range(hidden, 1, HIDDEN_MAX);
    encode(&r, pooling, 1, one);
    encode(&r, pooling, 2, all);
    for (size_t t = 0; t < TEXTS; t++)
        if (memcmp(one + t * hidden, all + t * 2 * hidden,
                   hidden * sizeof *one) != 0)
            fail_msg("%s, %u threads, pooling %d: text %zu differs", folder,
                     threads, (int)pooling, t);
    rig_close(&r);
}

static void the_row_is_as_among_all(void **state) {
    (void)state;
    static const char *const folders[] = {
        "mean",    "qwen3",     "gemma3",      "jina2",      "t5",
        "deberta", "nomic_moe", "modernbert",  "gte",        "albert",
        "mpnet",   "eurobert",  "xlm_roberta", "nomic_bert", "layer_norm"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            check_bits(folders[i], threads, POOLING_CLS);
            check_bits(folders[i], threads, POOLING_LAST);
        }
}

/* ---- what is computed --------------------------------------------------- */

/* Products of layers and heads, by how many rows they had. */
static struct counted {
    struct device_verbs verbs;
    const struct device_verbs *real;
    size_t all, texts;
} counted;

static void count(size_t rows) {
    assert_true(rows == TOKENS || rows == TEXTS);
    *(rows == TOKENS ? &counted.all : &counted.texts) += 1;
}

static void counting_linear(struct lane *lane, const struct linear *linear,
                            const struct narrow *x, size_t rows,
                            enum activation activation, const float *residual,
                            float *y) {
    count(rows);
    counted.real->linear(lane, linear, x, rows, activation, residual, y);
}

static void counting_linear_narrow(struct lane *lane,
                                   const struct linear *linear,
                                   const struct narrow *x, size_t rows,
                                   enum activation activation,
                                   struct narrow *y) {
    count(rows);
    counted.real->linear_narrow(lane, linear, x, rows, activation, y);
}

/* Four products a layer: Q, K and V as one, the output, up, down. */
static void check_count(const char *folder, enum pooling pooling, size_t times,
                        bool is_one) {
    static float vectors[TEXTS * HIDDEN_MAX * 2];
    struct rig r;
    rig_open(&r, "cpu", 1, folder, 0);
    counted = (struct counted){.real = r.device->verbs};
    counted.verbs = *counted.real;
    counted.verbs.linear = counting_linear;
    counted.verbs.linear_narrow = counting_linear_narrow;
    r.device->verbs = &counted.verbs;
    encode(&r, pooling, times, vectors);
    r.device->verbs = counted.real;
    size_t products = 4 * r.spec.layers, last = is_one ? 3 : 0;
    assert_int_equal(counted.all, products - last);
    assert_int_equal(counted.texts, last);
    rig_close(&r);
}

static void the_other_rows_end_with_the_last_attention(void **state) {
    (void)state;
    static const char *const folders[] = {"mean", "qwen3", "gemma3", "jina2"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        check_count(folders[i], POOLING_CLS, 1, true);
        check_count(folders[i], POOLING_LAST, 1, true);
        check_count(folders[i], POOLING_MEAN, 1, false);
        check_count(folders[i], POOLING_MAX, 1, false);
        check_count(folders[i], POOLING_CLS, 2, false);
    }
}

/* ---- which rows are read ------------------------------------------------ */

static void heads_say_what_they_read(void **state) {
    (void)state;
    float some;
    struct model_spec spec = {.pooling = {POOLING_CLS}, .pooling_count = 1};
    struct encoder_batch batch = {0}, prompted = {.prompt_tokens = 3};
    struct encoder_output dense = {.dense = &some}, scores = {.scores = &some};
    struct encoder_output both = {.dense = &some, .scores = &some};
    const struct encoder_output tokens[] = {
        {.dense = &some, .lexical = &some},
        {.dense = &some, .multi = &some},
        {.splade = &some},
        {.scores = &some, .multi = &some},
    };
    assert_int_equal(heads_read(&spec, &batch, &dense), ROWS_FIRST);
    assert_int_equal(heads_read(&spec, &prompted, &dense), ROWS_ALL);
    assert_int_equal(heads_read(&spec, &batch, &both), ROWS_ALL);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        assert_int_equal(heads_read(&spec, &batch, &tokens[i]), ROWS_ALL);
    spec.pooling_include_prompt = true;
    assert_int_equal(heads_read(&spec, &prompted, &dense), ROWS_FIRST);
    spec.pooling[0] = POOLING_LAST;
    assert_int_equal(heads_read(&spec, &batch, &dense), ROWS_LAST);
    spec.pooling[0] = POOLING_MEAN;
    assert_int_equal(heads_read(&spec, &batch, &dense), ROWS_ALL);
    spec.label_pooling = POOLING_LAST;
    assert_int_equal(heads_read(&spec, &batch, &scores), ROWS_LAST);
    spec.label_pooling = POOLING_CLS;
    assert_int_equal(heads_read(&spec, &prompted, &scores), ROWS_FIRST);
    spec.label_pooling = POOLING_MEAN;
    assert_int_equal(heads_read(&spec, &batch, &scores), ROWS_ALL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_row_is_as_among_all),
        cmocka_unit_test(the_other_rows_end_with_the_last_attention),
        cmocka_unit_test(heads_say_what_they_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
