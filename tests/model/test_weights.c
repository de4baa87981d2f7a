/* test_weights.c - weights on a device: what is measured is what is taken, and
 * a layer is the same whether it stays there or streams. */

#include "model/fixture.h"

static const char *const folders[] = {
    "mean",          "cls",      "dense",      "f16",     "sharded",
    "bf16",          "concat",   "distilbert", "mpnet",   "electra_small",
    "albert_groups", "t5_gated", "jina3_lora", "deberta", "jina2_code"};
enum { FOLDERS = sizeof folders / sizeof *folders };

/* ---- bytes -------------------------------------------------------------- */

static void check_bytes(struct rig *r, size_t resident) {
    struct error err = {0};
    struct weights_placement placement = rig_placement(resident);
    struct weights_need need;
    if (!weights_measure(&r->spec, &r->deep, r->device, &placement, &need,
                         &err))
        fail_msg("%s", err.message);
    bool cpu = r->device->account == &r->memory;
    uint64_t before = memory_live(&r->memory);
    struct weights *w = rig_load(r, resident);
    uint64_t host = memory_live(&r->memory) - before;
    if (cpu) {
        assert_int_equal(need.charge_bytes,
                         memory_block_bytes(need.block_bytes));
        assert_int_equal(host, need.host_bytes + need.charge_bytes);
    } else { /* its blocks have a head of 64 bytes */
        assert_int_equal(memory_live(r->device->account), need.charge_bytes);
        assert_int_equal(host, need.host_bytes +
                                   memory_block_bytes(need.block_bytes + 64));
    }
    assert_int_equal(memory_peak(&r->memory) - before,
                     host + need.loading_bytes);
    assert_true(need.mapped_bytes > 0);
    weights_free(w);
    assert_int_equal(memory_live(&r->memory), before);
}

static void what_is_measured_is_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < FOLDERS; i++) {
        struct rig r;
        rig_open(&r, "cpu", 1, folders[i], 0);
        check_bytes(&r, FROM_FILE);
        rig_close(&r);
        for (size_t resident = 0; resident <= 3; resident++) {
            rig_open(&r, "cpu", 1, folders[i], 0);
            check_bytes(&r, resident);
            rig_close(&r);
            rig_open(&r, "sim:card=1000000", 1, folders[i], 0);
            check_bytes(&r, resident);
            rig_close(&r);
        }
    }
}

static void fewer_resident_layers_take_less(void **state) {
    (void)state;
    enum { LAYERS = 6 };
    struct rig r;
    struct error err = {0};
    rig_open(&r, "cpu", 1, "mean", LAYERS);
    struct weights_need need[LAYERS + 1];
    for (size_t n = 0; n <= LAYERS; n++) {
        struct weights_placement placement = {.resident = n};
        assert_true(weights_measure(&r.spec, &r.deep, r.device, &placement,
                                    &need[n], &err));
    }
    uint64_t layer = need[1].block_bytes - need[0].block_bytes;
    assert_true(layer > 0);
    for (size_t n = 0; n < LAYERS; n++) /* two slots, and n layers */
        assert_int_equal(need[n].block_bytes,
                         need[LAYERS].block_bytes - (LAYERS - n - 2) * layer);
    rig_close(&r);
}

/* One slot, however deep the model is; nothing of a layer in host memory. */
static void layers_from_the_file_take_one(void **state) {
    (void)state;
    struct error err = {0};
    uint64_t bytes[2], host[2], all[2];
    for (size_t i = 0; i < 2; i++) {
        struct rig r;
        struct weights_need need, whole;
        struct weights_placement placement = {.from_file = true};
        rig_open(&r, "cpu", 1, "mean", i ? 6 : 1);
        assert_true(weights_measure(&r.spec, &r.deep, r.device, &placement,
                                    &need, &err));
        assert_true(
            weights_measure(&r.spec, &r.deep, r.device, NULL, &whole, &err));
        bytes[i] = need.block_bytes;
        host[i] = need.host_bytes;
        all[i] = whole.block_bytes;
        if (i == 0) /* and so with one layer that is the whole */
            assert_int_equal(need.block_bytes, whole.block_bytes);
        rig_close(&r);
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_true(host[1] - host[0] < (all[1] - all[0]) / 5);
}

static void an_account_is_charged_for_its_shape(void **state) {
    (void)state;
    struct rig r;
    struct error err = {0};
    struct memory memory = {0};
    struct shape shape;
    rig_open(&r, "sim:t4", 1, "mean", 5);
    assert_true(shape_read(&memory, SHAPES "jina-code-embeddings-1.5b.json",
                           &shape, &err));
    static const struct {
        size_t resident, own; /* of 28, of 5 */
    } cases[] = {{0, 0}, {5, 0}, {6, 1}, {14, 2}, {27, 4}, {28, 5}, {99, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t resident = cases[i].resident;
        struct weights_placement placement = {.resident = resident,
                                              .shape = &shape};
        struct weights_need need;
        struct weights *w = weights_load(&r.memory, &r.spec, &r.deep, r.device,
                                         &placement, NULL, &err);
        assert_non_null(w);
        assert_int_equal(w->resident, cases[i].own);
        assert_int_equal(weights_stream(w), cases[i].own < 5);
        uint64_t layers = resident < 28 ? resident + 2 : 28;
        assert_int_equal(memory_live(r.device->account),
                         2 * (233375232 + layers * 46797824));
        assert_true(weights_measure(&r.spec, &r.deep, r.device, &placement,
                                    &need, &err));
        assert_int_equal(need.charge_bytes, memory_live(r.device->account));
        weights_free(w);
    }
    rig_close(&r);
}

static void a_reservation_is_used(void **state) {
    (void)state;
    struct rig r;
    struct error err = {0};
    struct weights_need need;
    struct reservation promised, rest;
    rig_open(&r, "sim:card=1000000", 1, "mean", 0);
    assert_true(weights_measure(&r.spec, &r.deep, r.device, NULL, &need, &err));
    r.device->account->ceiling = need.charge_bytes + 10;
    assert_true(
        memory_reserve(r.device->account, need.charge_bytes, &promised, &err));
    assert_true(memory_reserve(r.device->account, 10, &rest, &err));
    assert_null(
        weights_load(&r.memory, &r.spec, &r.deep, r.device, NULL, NULL, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    struct weights *w = weights_load(&r.memory, &r.spec, &r.deep, r.device,
                                     NULL, &promised, &err);
    assert_non_null(w);
    assert_int_equal(promised.bytes, 0);
    weights_free(w);
    memory_unreserve(&promised);
    memory_unreserve(&rest);
    rig_close(&r);
}

/* Every allocation refused in turn: an error, and nothing left behind. */
static void no_memory_leaves_nothing(void **state) {
    struct rig r;
    rig_open(&r, "cpu", 1, "dense", 0);
    uint64_t before = memory_live(&r.memory);
    struct error err = {0};
    struct weights_placement placement = rig_placement(*(size_t *)*state);
    struct weights *w = NULL;
    size_t refused = 0;
    for (uint64_t room = 0; !w; room += 512, refused++) {
        r.memory.ceiling = before + room + 1;
        err.code = ERROR_NONE;
        w = weights_load(&r.memory, &r.spec, &r.deep, r.device, &placement,
                         NULL, &err);
        assert_true(w || err.code == ERROR_MEMORY);
        assert_true(w || memory_live(&r.memory) == before);
    }
    assert_true(refused > 10);
    weights_free(w);
    r.memory.ceiling = 0;
    rig_close(&r);
}

/* ---- layers ------------------------------------------------------------- */

static void same_linear(const struct device *device, const struct linear *a,
                        const struct linear *b) {
    assert_int_equal(a->in, b->in);
    assert_int_equal(a->out, b->out);
    assert_memory_equal(a->weights, b->weights,
                        device_linear_bytes(device, a->in, a->out));
    assert_memory_equal(a->bias, b->bias, a->out * sizeof *a->bias);
}

static void same_norm(const struct norm *a, const struct norm *b) {
    assert_int_equal(a->width, b->width);
    assert_memory_equal(a->scale, b->scale, a->width * sizeof *a->scale);
    assert_memory_equal(a->shift, b->shift, a->width * sizeof *a->shift);
    assert_memory_equal(&a->epsilon, &b->epsilon, sizeof a->epsilon);
}

static void same_layer(const struct device *device,
                       const struct layer_weights *a,
                       const struct layer_weights *b) {
    same_linear(device, &a->qkv, &b->qkv);
    same_linear(device, &a->attention_out, &b->attention_out);
    same_norm(&a->behind_attention, &b->behind_attention);
    same_linear(device, &a->up, &b->up);
    same_linear(device, &a->down, &b->down);
    same_norm(&a->behind_feed, &b->behind_feed);
}

/* Some batches from 0, one given up at each layer, and one more. */
static void go_through(struct rig *r, struct weights *whole,
                       struct weights *streamed) {
    struct error err = {0};
    size_t layers = r->spec.layers;
    for (size_t batch = 0; batch < layers + 3; batch++) {
        size_t end = batch < layers ? batch + 1 : layers;
        for (size_t i = 0; i < end; i++) {
            const struct layer_weights *layer =
                weights_layer(streamed, i, &err);
            assert_non_null(layer);
            same_layer(r->device, layer, weights_layer(whole, i, &err));
        }
    }
}

static void streamed_layers_are_the_resident_ones(void **state) {
    (void)state;
    for (size_t layers = 1; layers <= 5; layers++) {
        struct rig r;
        rig_open(&r, "cpu", 1, "mean", layers);
        spoil(r.device);
        struct weights *whole = rig_load(&r, layers);
        for (size_t k = 0; k <= layers + 1; k++) {
            size_t resident = k > layers ? FROM_FILE : k;
            struct weights *streamed = rig_load(&r, resident);
            assert_int_equal(weights_stream(streamed),
                             resident < layers || resident == FROM_FILE);
            uint64_t taken = r.memory.allocations;
            size_t calls = malloc_calls;
            go_through(&r, whole, streamed);
            assert_int_equal(r.memory.allocations, taken);
            assert_int_equal(malloc_calls, calls);
            weights_free(streamed); /* with a copy under way */
        }
        weights_free(whole);
        rig_close(&r);
    }
}

/* From the second batch on a copy a streamed layer, all of them begun one
 * layer ahead; two layers or fewer keep their slots. */
static void copies_are_no_more_than_needed(void **state) {
    (void)state;
    enum { LAYERS = 6 };
    struct rig r;
    struct error err = {0};
    rig_open(&r, "cpu", 1, "mean", LAYERS);
    spoil(r.device);
    for (size_t resident = 0; resident <= LAYERS; resident++) {
        struct weights *w = rig_load(&r, resident);
        for (size_t i = 0; i < LAYERS; i++)
            assert_non_null(weights_layer(w, i, &err));
        spoilt.copies = 0;
        for (size_t i = 0; i < LAYERS; i++) {
            assert_non_null(weights_layer(w, i, &err));
            if (i >= resident && i + 1 < LAYERS && LAYERS - resident > 2)
                assert_ptr_equal(spoilt.from, w->streamed + (i + 1 - resident) *
                                                                w->layer_bytes);
        }
        size_t streamed = LAYERS - resident;
        assert_int_equal(spoilt.copies, streamed > 2 ? streamed : 0);
        weights_free(w);
    }
    rig_close(&r);
}

static void a_failed_copy_is_an_error_once(void **state) {
    (void)state;
    enum { LAYERS = 5 };
    struct rig r;
    rig_open(&r, "cpu", 1, "mean", LAYERS);
    spoil(r.device);
    struct weights *whole = rig_load(&r, LAYERS);
    for (size_t copy = 1; copy <= 8; copy++) {
        struct weights *w = rig_load(&r, 2);
        struct error err = {0};
        bool failed = false;
        spoilt.copies = 0;
        spoilt.fail_copy = copy;
        for (size_t i = 0; i < 4 * LAYERS && !failed; i++)
            failed = !weights_layer(w, i % LAYERS, &err);
        assert_true(failed);
        assert_int_equal(err.code, ERROR_DEVICE);
        spoilt.fail_copy = 0;
        go_through(&r, whole, w);
        weights_free(w);
    }
    weights_free(whole);
    rig_close(&r);
}

static void the_count_of_calls_counts(void **state) {
    (void)state;
    struct memory memory = {0};
    size_t calls = malloc_calls;
    memory_free(&memory, memory_alloc(&memory, 1, 1, NULL));
    assert_int_equal(malloc_calls, calls + 1);
}

int main(void) {
    static size_t one = 1, from_file;
    from_file = FROM_FILE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_measured_is_taken),
        cmocka_unit_test(fewer_resident_layers_take_less),
        cmocka_unit_test(an_account_is_charged_for_its_shape),
        cmocka_unit_test(a_reservation_is_used),
        cmocka_unit_test_prestate(no_memory_leaves_nothing, &one),
        cmocka_unit_test_prestate(no_memory_leaves_nothing, &from_file),
        cmocka_unit_test(layers_from_the_file_take_one),
        cmocka_unit_test(streamed_layers_are_the_resident_ones),
        cmocka_unit_test(copies_are_no_more_than_needed),
        cmocka_unit_test(a_failed_copy_is_an_error_once),
        cmocka_unit_test(the_count_of_calls_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
