/* test_encoder.c - the same bits whatever the workspace, the threads, and the
 * part of the layers that streams; refused submits leave everything usable;
 * and no memory is taken while a batch is encoded. */

#include <math.h>

#include "model/fixture.h"

/* ---- a batch and an encoder --------------------------------------------- */

enum { TEXTS = 13, TOKENS_MAX = 400 };

struct texts {
    uint32_t ids[TOKENS_MAX], starts[TEXTS + 1];
    struct encoder_batch batch;
    size_t longest;
};

/* Lengths 1 ... 40, ids anything. */
static void make_texts(struct texts *t, const struct model_spec *spec) {
    static const uint32_t lengths[TEXTS] = {1,  40, 7, 12, 3,  33, 2,
                                            25, 8,  1, 19, 40, 5};
    *t = (struct texts){.longest = 40};
    for (size_t i = 0; i < TEXTS; i++)
        t->starts[i + 1] = t->starts[i] + lengths[i];
    assert_true(t->starts[TEXTS] <= TOKENS_MAX && spec->max_length >= 40);
    for (size_t i = 0; i < t->starts[TEXTS]; i++)
        t->ids[i] = (uint32_t)(i * 2654435761u % spec->vocab);
    t->batch = (struct encoder_batch){
        .ids = t->ids, .starts = t->starts, .texts = TEXTS};
}

struct ready {
    struct rig *rig;
    struct weights *weights;
    struct encoder *encoder;
    struct encoder_budget budget;
    void *block;
};

/* Exactly as large as asked, so that the sanitizer sees what is past it. */
static void lay_out(struct ready *e, size_t batch_tokens, size_t longest) {
    struct rig *r = e->rig;
    struct error err = {0};
    struct encoder_need need;
    e->budget = encoder_budget_make(&r->spec, weights_stream(e->weights),
                                    r->device, batch_tokens, longest);
    if (!encoder_workspace(&r->spec, NULL, r->device, &e->budget, &need, &err))
        fail_msg("%s", err.message);
    device_release(r->device, e->block);
    uint64_t before = memory_live(r->device->account);
    e->block = device_alloc(r->device, need.bytes, need.charge, NULL, &err);
    if (!e->block)
        fail_msg("%s", err.message);
    assert_int_equal(memory_live(r->device->account) - before, need.charge);
    memset(e->block, 0xff, need.bytes);
    encoder_lay_out(e->encoder, &e->budget, e->block);
}

static void make_ready(struct ready *e, struct rig *r, size_t resident,
                       size_t batch_tokens) {
    struct error err = {0};
    *e = (struct ready){.rig = r, .weights = rig_load(r, resident)};
    e->encoder = encoder_create(&r->memory, &r->spec, e->weights, r->device,
                                r->pool, &err);
    if (!e->encoder)
        fail_msg("%s", err.message);
    lay_out(e, batch_tokens, 40);
}

static void let_go(struct ready *e) {
    encoder_free(e->encoder);
    device_release(e->rig->device, e->block);
    weights_free(e->weights);
}

static bool encode_into(struct encoder *encoder,
                        const struct encoder_batch *batch, float *vectors,
                        struct error *err) {
    struct encoder_output out = {.dense = vectors};
    return encoder_encode(encoder, batch, &out, err);
}

static float *encode(struct ready *e, const struct encoder_batch *batch) {
    struct error err = {0};
    size_t count = batch->texts * e->rig->spec.width;
    float *vectors = malloc(count * sizeof *vectors);
    memset(vectors, 0xff, count * sizeof *vectors);
    if (!encode_into(e->encoder, batch, vectors, &err))
        fail_msg("%s", err.message);
    return vectors;
}

static void assert_bits(const struct model_spec *spec, const float *a,
                        const float *b, const char *what) {
    for (size_t i = 0; i < TEXTS * spec->width; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0)
            fail_msg("%s: element %zu of text %zu is %.9g and %.9g", what,
                     i % spec->width, i / spec->width, (double)a[i],
                     (double)b[i]);
}

/* Each text alone through resident layers on one thread: the definition. */
static float *one_by_one(const char *folder, size_t layers) {
    struct rig r;
    struct ready e;
    struct texts t;
    rig_open(&r, "cpu", 1, folder, layers);
    make_ready(&e, &r, SIZE_MAX, 40);
    make_texts(&t, &r.spec);
    size_t width = r.spec.width;
    float *all = malloc(TEXTS * width * sizeof *all);
    for (size_t i = 0; i < TEXTS; i++) {
        uint32_t starts[2] = {0, t.starts[i + 1] - t.starts[i]};
        struct encoder_batch batch = {
            .ids = t.ids + t.starts[i], .starts = starts, .texts = 1};
        float *one = encode(&e, &batch);
        for (size_t j = 0; j < width; j++)
            assert_true(isfinite(one[j]));
        memcpy(all + i * width, one, width * sizeof *all);
        free(one);
        for (size_t j = 0; i > 0 && j < width; j++)
            if (all[i * width + j] != all[(i - 1) * width + j])
                goto differs;
        assert_int_equal(i, 0);
    differs:;
    }
    let_go(&e);
    rig_close(&r);
    return all;
}

/* ---- the same bits ------------------------------------------------------ */

static void check_bits(const char *device, unsigned threads, const char *folder,
                       size_t layers, const float *want) {
    struct rig r;
    struct texts t;
    rig_open(&r, device, threads, folder, layers);
    make_texts(&t, &r.spec);
    for (size_t resident = 0; resident <= r.spec.layers; resident++) {
        struct ready e;
        char what[96];
        make_ready(&e, &r, resident, TOKENS_MAX);
        assert_int_equal(e.budget.stream, resident < r.spec.layers);
        snprintf(what, sizeof what, "%s of %zu layers, %zu on %s, %u threads",
                 folder, r.spec.layers, resident, device, threads);
        for (int batch = 0; batch < 2; batch++) {
            float *got = encode(&e, &t.batch);
            assert_bits(&r.spec, got, want, what);
            free(got);
        }
        let_go(&e);
    }
    rig_close(&r);
}

static void bits_do_not_depend_on_where_layers_are(void **state) {
    (void)state;
    static const char *const folders[] = {"mean",
                                          "cls",
                                          "dense",
                                          "max_pooling",
                                          "concat",
                                          "lasttoken",
                                          "f16",
                                          "distilbert",
                                          "mpnet",
                                          "electra",
                                          "roberta",
                                          "electra_wide",
                                          "electra_small",
                                          "albert",
                                          "albert_groups",
                                          "albert_spare",
                                          "t5_gated",
                                          "jina3_lora",
                                          "deberta",
                                          "jina2",
                                          "jina2_code",
                                          "qwen2_both_ways",
                                          "qwen2_sliding",
                                          "qwen3",
                                          "llama",
                                          "mistral",
                                          "embeddinggemma",
                                          "gemma3",
                                          "modernbert",
                                          "modernbert_biased",
                                          "eurobert_biased",
                                          "gte_new",
                                          "nomic_moe",
                                          "nomic_plain",
                                          "static_folded"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        float *want = one_by_one(folders[i], 0);
        for (unsigned threads = 1; threads <= 3; threads++)
            check_bits("cpu", threads, folders[i], 0, want);
        check_bits("sim:card=100000000", 2, folders[i], 0, want);
        free(want);
    }
}

/* Weights that were made up anew would be others: one file for all. */
static void deep_bits(struct rig *r, struct texts *t, size_t resident,
                      float **first) {
    struct ready e;
    make_ready(&e, r, resident, TOKENS_MAX);
    for (int batch = 0; batch < 3; batch++) {
        float *got = encode(&e, &t->batch);
        if (*first)
            assert_bits(&r->spec, got, *first, "a deep model");
        else
            *first = malloc(TEXTS * r->spec.width * sizeof *got);
        memcpy(*first, got, TEXTS * r->spec.width * sizeof *got);
        free(got);
    }
    let_go(&e);
}

static void more_layers_than_slots(void **state) {
    (void)state;
    for (unsigned spoils = 0; spoils < 2; spoils++)
        for (size_t layers = 4; layers <= 7; layers++) {
            struct rig r;
            struct texts t;
            float *first = NULL;
            rig_open(&r, spoils ? "cpu" : "sim:card=100000000", 2, "mean",
                     layers);
            if (spoils) /* copies as late as they can be */
                spoil(r.device);
            make_texts(&t, &r.spec);
            for (size_t resident = layers + 1; resident-- > 0;)
                deep_bits(&r, &t, resident, &first);
            free(first);
            rig_close(&r);
        }
}

static void another_budget_gives_the_same_bits(void **state) {
    (void)state;
    static const size_t budgets[][2] = {{400, 40}, {40, 40},   {64, 40},
                                        {197, 40}, {1000, 64}, {41, 40},
                                        {8192, 48}};
    float *want = one_by_one("dense", 0);
    for (unsigned threads = 1; threads <= 3; threads++)
        for (size_t resident = 0; resident <= 2; resident++) {
            struct rig r;
            struct ready e;
            struct texts t;
            rig_open(&r, "cpu", threads, "dense", 0);
            make_texts(&t, &r.spec);
            make_ready(&e, &r, resident, 400);
            for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
                lay_out(&e, budgets[i][0], budgets[i][1]);
                float *got = encode(&e, &t.batch);
                assert_bits(&r.spec, got, want, "another budget");
                free(got);
            }
            let_go(&e);
            rig_close(&r);
        }
    free(want);
}

/* ---- budgets and bytes -------------------------------------------------- */

static void budgets_follow_the_rule(void **state) {
    (void)state;
    static const struct {
        unsigned threads;
        size_t batch, longest, got_batch, got_group;
    } cases[] = {
        {1, 8192, 40, 8192, 256}, {2, 8192, 40, 8192, 256},
        {3, 600, 40, 600, 200},   {3, 100, 40, 100, 40},
        {2, 10, 40, 40, 40},      {1, 100, 0, 100, 100},
        {2, 8192, 64, 8192, 256},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        rig_open(&r, "cpu", cases[i].threads, "mean", 0);
        r.spec.max_length = 1000;
        struct encoder_budget b = encoder_budget_make(
            &r.spec, false, r.device, cases[i].batch, cases[i].longest);
        assert_int_equal(b.batch_tokens, cases[i].got_batch);
        assert_int_equal(b.group_tokens, cases[i].got_group);
        assert_int_equal(b.longest, cases[i].longest ? cases[i].longest : 1);
        b = encoder_budget_make(&r.spec, true, r.device, cases[i].batch,
                                cases[i].longest);
        assert_int_equal(b.group_tokens, b.batch_tokens);
        /* a text that is longer than a group makes the group longer, and no
         * text is longer than the model takes */
        b = encoder_budget_make(&r.spec, false, r.device, 8192, 2000);
        assert_int_equal(b.longest, 1000);
        assert_int_equal(b.group_tokens, 1000);
        rig_close(&r);
    }
}

/* ---- how a batch is divided ---------------------------------------------- */

enum { MANY = 120 };

static struct division {
    struct device_verbs verbs;
    const struct device_verbs *real;
    _Atomic size_t groups;
    size_t first_row[MANY], rows[MANY]; /* of each group, in any order */
} division;

static void noting_group(struct lane *lane, const struct sequences *sequences,
                         const uint32_t *ids) {
    size_t i = division.groups++;
    assert_true(i < MANY);
    division.first_row[i] = sequences->starts[0];
    division.rows[i] = sequences_rows(sequences);
    division.real->group(lane, sequences, ids);
}

/* A lane takes at most its share of what is left, so that all end together; but
 * no group is so small that reading the weights outweighs it. */
static void groups_shrink_towards_the_end(void **state) {
    (void)state;
    enum { LENGTH = 10, TOKENS = MANY * LENGTH, LEAST = 64 };
    for (unsigned lanes = 2; lanes <= 4; lanes++) {
        struct rig r;
        struct ready e;
        uint32_t ids[TOKENS], starts[MANY + 1] = {0};
        rig_open(&r, "cpu", lanes, "mean", 0);
        for (size_t i = 0; i < TOKENS; i++)
            ids[i] = (uint32_t)(i % r.spec.vocab);
        for (size_t i = 0; i < MANY; i++)
            starts[i + 1] = starts[i] + LENGTH;
        make_ready(&e, &r, SIZE_MAX, encoder_batch_tokens(r.device));
        memset(&division, 0, sizeof division);
        division.real = r.device->verbs;
        division.verbs = *r.device->verbs;
        division.verbs.group = noting_group;
        r.device->verbs = &division.verbs;
        struct encoder_batch batch = {
            .ids = ids, .starts = starts, .texts = MANY};
        free(encode(&e, &batch));
        size_t sum = 0, small = 0;
        for (size_t i = 0; i < division.groups; i++) {
            size_t rows = division.rows[i];
            size_t left = TOKENS - division.first_row[i], share = left / lanes;
            assert_true(rows <= e.budget.group_tokens);
            assert_true(rows <= (share > LEAST ? share : LEAST));
            small += rows + LENGTH <= LEAST;
            sum += rows;
        }
        assert_int_equal(sum, TOKENS);
        assert_true(small <= 1); /* what is left over */
        r.device->verbs = division.real;
        let_go(&e);
        rig_close(&r);
    }
}

static void a_batch_grows_with_the_lanes(void **state) {
    (void)state;
    for (unsigned lanes = 1; lanes <= 8; lanes++) {
        struct rig r;
        rig_open(&r, "cpu", lanes, "mean", 0);
        size_t tokens = encoder_batch_tokens(r.device);
        assert_true(tokens >= 8192);
        assert_true(tokens / lanes >= 4096);
        assert_true(lanes > 1 || tokens == 8192);
        rig_close(&r);
    }
}

static uint64_t workspace(struct rig *r, size_t batch, size_t longest) {
    struct error err = {0};
    struct encoder_need need;
    struct encoder_budget b =
        encoder_budget_make(&r->spec, false, r->device, batch, longest);
    assert_true(encoder_workspace(&r->spec, NULL, r->device, &b, &need, &err));
    return need.bytes;
}

static void the_workspace_depends_on_the_longest_text_that_comes(void **state) {
    (void)state;
    struct rig r;
    rig_open(&r, "cpu", 2, "mean", 0);
    r.spec.max_length = 4096;
    uint64_t small = workspace(&r, 2048, 64);
    assert_true(workspace(&r, 2048, 2048) > 2 * small);
    r.spec.max_length = 64;
    assert_int_equal(workspace(&r, 2048, 64), small);
    rig_close(&r);
}

static void a_card_is_charged_for_a_shape(void **state) {
    (void)state;
    struct rig r;
    struct memory memory = {0};
    struct error err = {0};
    struct shape shape;
    struct encoder_need need;
    rig_open(&r, "sim:t4", 2, "mean", 0);
    assert_true(shape_read(&memory, SHAPES "bge-m3.json", &shape, &err));
    struct encoder_budget b =
        encoder_budget_make(&r.spec, false, r.device, 4096, 48);
    assert_true(encoder_workspace(&r.spec, &shape, r.device, &b, &need, &err));
    assert_int_equal(need.charge, shape_workspace_bytes(&shape, 4096, 48, 2));
    shape_of_spec(&r.spec, &shape);
    assert_true(encoder_workspace(&r.spec, NULL, r.device, &b, &need, &err));
    assert_int_equal(need.charge, shape_workspace_bytes(&shape, 4096, 48, 2));
    rig_close(&r);
}

static void a_workspace_past_all_memory_is_refused(void **state) {
    (void)state;
    struct rig r;
    struct error err = {0};
    struct encoder_need need;
    rig_open(&r, "cpu", 1, "mean", 0);
    struct encoder_budget b = {.batch_tokens = SIZE_MAX / 8,
                               .group_tokens = SIZE_MAX / 8,
                               .longest = 40};
    assert_false(encoder_workspace(&r.spec, NULL, r.device, &b, &need, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    rig_close(&r);
}

/* ---- no memory ---------------------------------------------------------- */

static void encoding_takes_no_memory(void **state) {
    (void)state;
    for (unsigned threads = 1; threads <= 3; threads++)
        for (size_t resident = 0; resident <= 3; resident++)
            for (int card = 0; card < 2; card++) {
                struct rig r;
                struct ready e;
                struct texts t;
                struct error err = {0};
                float vectors[TEXTS * 64], first[TEXTS * 64];
                rig_open(&r, card ? "sim:card=100000000" : "cpu", threads,
                         "cls", 0);
                assert_true(r.spec.width <= 64 && r.spec.layers == 3);
                make_texts(&t, &r.spec);
                make_ready(&e, &r, resident, TOKENS_MAX);
                struct encoder_budget other = encoder_budget_make(
                    &r.spec, resident < 3, r.device, 64, 40);
                uint64_t taken = r.memory.allocations;
                size_t calls = malloc_calls;
                for (int batch = 0; batch < 3; batch++) {
                    assert_true(encode_into(e.encoder, &t.batch,
                                            batch ? vectors : first, &err));
                    /* a smaller budget, laid out in the same block */
                    encoder_lay_out(e.encoder, &other, e.block);
                }
                assert_int_equal(r.memory.allocations, taken);
                assert_int_equal(malloc_calls, calls);
                assert_bits(&r.spec, vectors, first, "in the same block");
                let_go(&e);
                rig_close(&r);
            }
}

/* ---- refused submits ---------------------------------------------------- */

/* The submits of one batch, each refused in turn. */
static void refuse_each(struct ready *e, const struct texts *t,
                        const float *want, enum error_code code) {
    struct rig *r = e->rig;
    size_t submits = spoilt.submits;
    free(encode(e, &t->batch));
    size_t each = spoilt.submits - submits;
    assert_true(each >= 2);
    float *vectors = malloc(TEXTS * r->spec.width * sizeof *vectors);
    for (size_t n = 1; n <= each; n++) {
        struct error err = {0};
        spoilt.vain = 0;
        spoilt.fail_submit = spoilt.submits + n;
        spoilt.fail_code = code;
        assert_false(encode_into(e->encoder, &t->batch, vectors, &err));
        assert_int_equal(err.code, code);
        assert_string_equal(err.message, "submit refused");
        assert_true(spoilt.vain >= 1 && spoilt.vain <= r->device->lanes);
        spoilt.fail_submit = spoilt.submits + n;
        assert_false(encode_into(e->encoder, &t->batch, vectors, NULL));
        spoilt.fail_submit = 0;
        float *got = encode(e, &t->batch);
        assert_bits(&r->spec, got, want, "after a refused submit");
        free(got);
    }
    free(vectors);
}

static void refused_submits_end_the_batch(void **state) {
    (void)state;
    float *want = one_by_one("cls", 0);
    for (unsigned threads = 1; threads <= 3; threads++)
        for (size_t resident = 0; resident <= 3; resident++) {
            struct rig r;
            struct ready e;
            struct texts t;
            rig_open(&r, "cpu", threads, "cls", 0);
            make_texts(&t, &r.spec);
            make_ready(&e, &r, resident, 60 * threads);
            spoil(r.device);
            refuse_each(&e, &t, want, ERROR_MEMORY);
            refuse_each(&e, &t, want, ERROR_DEVICE);
            assert_int_equal(spoilt.finishes,
                             spoilt.submits - spoilt.vain_ever);
            let_go(&e);
            rig_close(&r);
        }
    free(want);
}

/* A card that is full for two submits in the middle of a batch, and is lost
 * later. */
static void a_card_fails_as_its_script_says(void **state) {
    (void)state;
    static const char script[] =
        "{\"device\": \"sim:card\", \"at_submit\": 2, \"fail\": \"alloc\", "
        "\"count\": 2}\n"
        "{\"device\": \"sim:card\", \"at_submit\": 30, \"fail\": "
        "\"lost\"}\n";
    float *want = one_by_one("cls", 0);
    for (size_t resident = 0; resident <= 3; resident++) {
        struct rig r;
        struct ready e;
        struct texts t;
        struct error err = {0};
        float vectors[TEXTS * 64];
        rig_open_device(&r, "sim:card=100000000", 1, script);
        rig_read(&r, "cls");
        make_texts(&t, &r.spec);
        make_ready(&e, &r, resident, 60);
        assert_false(encode_into(e.encoder, &t.batch, vectors, &err));
        assert_int_equal(err.code, ERROR_MEMORY);
        assert_false(encode_into(e.encoder, &t.batch, vectors, &err));
        float *got = encode(&e, &t.batch);
        assert_bits(&r.spec, got, want, "after a full card");
        free(got);
        bool fine = true;
        for (int batch = 0; batch < 30 && fine; batch++)
            fine = encode_into(e.encoder, &t.batch, vectors, &err);
        assert_false(fine);
        assert_int_equal(err.code, ERROR_DEVICE);
        let_go(&e);
        rig_close(&r);
    }
    free(want);
}

static void a_submit_is_a_group_or_a_layer(void **state) {
    (void)state;
    struct rig r;
    struct ready e;
    struct texts t;
    rig_open(&r, "cpu", 2, "mean", 6);
    make_texts(&t, &r.spec);
    for (size_t resident = 0; resident <= 6; resident++) {
        make_ready(&e, &r, resident, 120);
        if (resident < 6)
            lay_out(&e, TOKENS_MAX, 40);
        const struct device_verbs *real = r.device->verbs;
        spoil(r.device);
        free(encode(&e, &t.batch));
        /* whole texts, in order, as many as fit 60 rows */
        size_t groups = 0, rows = 0;
        for (size_t i = 0; i < TEXTS; i++) {
            size_t length = t.starts[i + 1] - t.starts[i];
            if (!groups || rows + length > 60) {
                groups++;
                rows = 0;
            }
            rows += length;
        }
        assert_int_equal(spoilt.submits, resident < 6 ? 6 : groups);
        assert_int_equal(spoilt.finishes, spoilt.submits);
        r.device->verbs = real;
        let_go(&e);
    }
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_where_layers_are),
        cmocka_unit_test(more_layers_than_slots),
        cmocka_unit_test(another_budget_gives_the_same_bits),
        cmocka_unit_test(budgets_follow_the_rule),
        cmocka_unit_test(groups_shrink_towards_the_end),
        cmocka_unit_test(a_batch_grows_with_the_lanes),
        cmocka_unit_test(the_workspace_depends_on_the_longest_text_that_comes),
        cmocka_unit_test(a_card_is_charged_for_a_shape),
        cmocka_unit_test(a_workspace_past_all_memory_is_refused),
        cmocka_unit_test(encoding_takes_no_memory),
        cmocka_unit_test(refused_submits_end_the_batch),
        cmocka_unit_test(a_card_fails_as_its_script_says),
        cmocka_unit_test(a_submit_is_a_group_or_a_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
