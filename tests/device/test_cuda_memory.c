/* A card's memory: what is taken, counted, refused and given back, and what
 * becomes of a card that fails. Fake cards only: a real one is not ours to
 * fill. */

#include <pthread.h>

#include "device/cuda_fixture.h"

enum { MIB = 1 << 20 };

struct host {
    struct memory memory;
    struct pool *pool;
};

static struct device *open_on(struct host *h, const char *cards,
                              const char *name) {
    struct error err = {0};
    cards_are(cards);
    *h = (struct host){0};
    h->pool = pool_create(&h->memory, 1, &err);
    struct device *card =
        card_open(&h->memory, h->pool, name, NUMBER_DEFAULT, &err);
    if (!card)
        fail_msg("%s", err.message);
    return card;
}

static void close_on(struct host *h, struct device *card) {
    device_close(card);
    pool_free(h->pool);
    assert_int_equal(memory_live(&h->memory), 0);
    assert_nothing_is_live(0);
}

static void facts_are_the_cards(void **state) {
    (void)state;
    struct host h;
    struct device *card =
        open_on(&h, "card name=Tesla_T4 memory=15095M\n", "cuda:0");
    struct device_facts facts;
    struct error err = {0};
    assert_true(device_facts(card, &facts, &err));
    assert_string_equal(facts.name, "cuda:0");
    assert_non_null(strstr(facts.model, "T4"));
    assert_string_equal(facts.isa, "sm_75");
    assert_true(facts.bytes_total == 15095ull * MIB);
    assert_int_equal(card->type, NUMBER_F16);
    assert_int_equal(card->narrow_bytes, 2);
    assert_false(card->narrow_is_float);
    assert_false(card->host_memory);
    assert_string_equal(card->identity,
                        "GPU-66616b65-2063-6172-6420-6e756d626500");
    close_on(&h, card);
}

/* 300 MiB for the context, 2 for the kernels' code, 4 for cuBLASLt. */
static void what_the_card_needs_besides_is_charged(void **state) {
    (void)state;
    struct host h;
    struct device *card = open_on(&h, T4, "cuda:0");
    struct device_facts facts;
    assert_true(device_facts(card, &facts, NULL));
    assert_true(facts.bytes_overhead == 306ull * MIB);
    assert_true(memory_live(card->account) == facts.bytes_overhead);
    assert_true(facts.bytes_free == facts.bytes_total - 306ull * MIB);
    struct attention a = {.heads = 1,
                          .kv_heads = 1,
                          .scale = 1,
                          .behind = SIZE_MAX,
                          .ahead = SIZE_MAX};
    static const struct {
        size_t head_dim, behind;
        uint64_t taken; /* MiB; each with keys and without */
    } STEPS[] = {{32, SIZE_MAX, 310},
                 {32, SIZE_MAX, 310},
                 {64, SIZE_MAX, 314},
                 {64, 5, 318},
                 {32, SIZE_MAX, 318}};
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        a.head_dim = STEPS[i].head_dim;
        a.behind = STEPS[i].behind;
        assert_true(device_prepare(card, &a, NULL));
        assert_true(device_facts(card, &facts, NULL));
        assert_true(facts.bytes_overhead == STEPS[i].taken * MIB);
        assert_true(memory_live(card->account) == facts.bytes_overhead);
        assert_true(facts.bytes_free ==
                    facts.bytes_total - facts.bytes_overhead);
    }
    card->account->ceiling = 319ull * MIB;
    struct error err = {0};
    a.head_dim = 96;
    assert_false(device_prepare(card, &a, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_true(memory_live(card->account) == 318ull * MIB);
    assert_true(device_facts(card, &facts, NULL));
    assert_true(facts.bytes_free == facts.bytes_total - 318ull * MIB);
    close_on(&h, card);
}

static void blocks_are_counted_and_given_back(void **state) {
    (void)state;
    struct host h;
    struct device *card = open_on(&h, T4, "cuda:0");
    uint64_t before = memory_live(card->account), left = 0, now = 0;
    assert_true(device_bytes_free(card, &left, NULL));
    void *small = device_alloc(card, 100, 100, NULL, NULL);
    void *large = device_alloc(card, 5 * MIB, 7, NULL, NULL);
    assert_non_null(small);
    assert_non_null(large);
    assert_true(memory_live(card->account) == before + 8 * MIB);
    assert_true(device_block_bytes(card, 5 * MIB) == 6 * MIB);
    assert_true(device_bytes_free(card, &now, NULL));
    assert_true(now == left - 8 * MIB);
    device_release(card, small);
    device_release(card, large);
    assert_true(memory_live(card->account) == before);
    assert_true(device_bytes_free(card, &now, NULL));
    assert_true(now == left);
    close_on(&h, card);
}

static void refused(struct device *card, uint64_t bytes, const char *reason) {
    struct error err = {0};
    uint64_t before = memory_live(card->account);
    assert_null(device_alloc(card, bytes, bytes, NULL, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    if (!strstr(err.message, "cuda:0") || !strstr(err.message, reason))
        fail_msg("%s", err.message);
    assert_true(memory_live(card->account) == before);
}

static void room_that_is_not_there_is_refused(void **state) {
    (void)state;
    struct host h;
    struct device *card = open_on(
        &h, "card name=Tesla_T4 memory=1000M\nat card=0 alloc=3 refuse=1\n",
        "cuda:0");
    refused(card, 800ull * MIB, "727711744 free");
    card->account->ceiling = 400ull * MIB;
    refused(card, 200ull * MIB, "ceiling");
    card->account->ceiling = 0;
    void *block = device_alloc(card, 4 * MIB, 0, NULL, NULL); /* the second */
    assert_non_null(block);
    refused(card, 4 * MIB, "free"); /* by a stranger who was quicker */
    void *other = device_alloc(card, 4 * MIB, 0, NULL, NULL);
    assert_non_null(other);
    device_release(card, other);
    device_release(card, block);
    close_on(&h, card);
}

static void cards_that_will_not_do_are_refused(void **state) {
    (void)state;
    card_refused("card memory=1G\n", "cuda:1", NUMBER_DEFAULT, ERROR_USAGE,
                 "shows 1 card, without those that CUDA_VISIBLE_DEVICES leaves "
                 "out");
    card_refused("card memory=1G\n", "cuda:00", NUMBER_DEFAULT, ERROR_USAGE,
                 "none of that name");
    card_refused("card capability=7.0\n", "cuda:0", NUMBER_DEFAULT,
                 ERROR_UNSUPPORTED, "sm_70");
    card_refused("card capability=7.5\n", "cuda:0", NUMBER_BF16, ERROR_USAGE,
                 "choose fp16 or f32");
    card_refused("card memory=200M\n", "cuda:0", NUMBER_DEFAULT, ERROR_MEMORY,
                 "no room for a context");
    card_refused("card memory=301M\n", "cuda:0", NUMBER_DEFAULT, ERROR_MEMORY,
                 "no room for its kernels");
    card_refused("card memory=303M\n", "cuda:0", NUMBER_DEFAULT, ERROR_MEMORY,
                 "cuBLASLt");
    card_refused("card memory=1G closed=1\n", "cuda:0", NUMBER_DEFAULT,
                 ERROR_DEVICE,
                 "cuda:0 (Tesla T4) is busy or closed: its compute mode");
}

static void default_types_are_the_cards(void **state) {
    (void)state;
    struct host h;
    struct device *card = open_on(&h, A100, "cuda:0");
    assert_int_equal(card->type, NUMBER_BF16);
    close_on(&h, card);
}

/* ---- there and back ----------------------------------------------------- */

static void bytes_go_there_and_back(const char *cards) {
    enum { COUNT = 1300007 }; /* more than the stage holds at once */
    struct host h;
    struct device *card = open_on(&h, cards, "cuda:0");
    struct lane *lane = device_lane(card, 0);
    float *x = floats(COUNT), *got = floats(COUNT);
    float *block = device_alloc(card, COUNT * sizeof *x, 0, NULL, NULL);
    device_put(card, block, x, COUNT * sizeof *x);
    float last = x[COUNT - 1];
    x[COUNT - 1] = 0; /* ours again at once */
    assert_true(device_submit(lane, NULL));
    device_download(lane, block, COUNT, got);
    assert_true(device_finish(lane, NULL));
    x[COUNT - 1] = last;
    assert_same_bits(got, x, COUNT, "put");

    x[3] = 17;
    device_pin(card, x, COUNT * sizeof *x);
    device_upload(card, block, x, COUNT * sizeof *x);
    assert_true(device_upload_wait(card, NULL));
    device_download(lane, block, COUNT, got);
    assert_true(device_finish(lane, NULL));
    assert_same_bits(got, x, COUNT, "upload");
    device_unpin(card, x);
    device_release(card, block);
    free(x), free(got);
    close_on(&h, card);
}

static void copies_arrive(void **state) {
    (void)state;
    bytes_go_there_and_back("card memory=1G\n");
    bytes_go_there_and_back("mode lazy\ncard memory=1G\n");
}

/* A layer that streams is packed in host memory. */
static void what_streams_is_packed_by_the_host(void **state) {
    (void)state;
    enum { IN = 37, OUT = 50 };
    struct host h;
    struct device *card = open_on(&h, T4, "cuda:0");
    struct lane *lane = device_lane(card, 0);
    float *x = floats(IN * OUT);
    size_t bytes = device_linear_bytes(card, IN, OUT);
    assert_true(bytes >= 2 * IN * OUT && bytes % 2 == 0);
    void *block = device_alloc(card, bytes, 0, NULL, NULL);
    char *here = aligned_alloc(64, (bytes + 63) / 64 * 64);
    float *there = floats(IN * OUT / 2);
    device_linear_pack(card, x, IN, OUT, 0, OUT, block);
    device_linear_pack(card, x, IN, OUT, 0, 20, here);
    device_linear_pack(card, x + 20 * IN, IN, OUT, 20, OUT - 20, here);
    assert_true(device_submit(lane, NULL));
    device_download(lane, block, IN * OUT / 2, there);
    assert_true(device_finish(lane, NULL));
    assert_memory_equal(here, there, 2 * IN * OUT);
    device_release(card, block);
    free(x), free(here), free(there);
    close_on(&h, card);
}

/* ---- cards that fail ---------------------------------------------------- */

static void is_lost(struct device *card, const char *what, bool fine,
                    const struct error *err) {
    if (fine || err->code != ERROR_DEVICE ||
        !strstr(err->message, card->name) ||
        !strstr(err->message, "CUDA_ERROR_ECC_UNCORRECTABLE"))
        fail_msg("%s: %s", what, fine ? "worked" : err->message);
}

static void normalize_some(struct device *card, float *block) {
    device_normalize(device_lane(card, 0), block, 4, 8);
}

/* Two launches are cuBLASLt's, when the card is opened. */
static void a_lost_card_says_so_from_then_on(void **state) {
    (void)state;
    struct host h;
    struct device *card =
        open_on(&h, "card memory=1G\nat card=0 launch=4 lost=214\n", "cuda:0");
    struct lane *lane = device_lane(card, 0);
    struct error err = {0};
    struct device_facts facts;
    uint64_t left;
    float *block = device_alloc(card, 4096, 0, NULL, NULL), x[32] = {0};
    device_put(card, block, x, sizeof x);
    assert_true(device_submit(lane, NULL));
    normalize_some(card, block);
    assert_true(device_finish(lane, &err));
    normalize_some(card, block);
    is_lost(card, "finish", device_finish(lane, &err), &err);
    err = (struct error){0};
    is_lost(card, "submit", device_submit(lane, &err), &err);
    is_lost(card, "alloc", device_alloc(card, 100, 0, NULL, &err), &err);
    is_lost(card, "free", device_bytes_free(card, &left, &err), &err);
    is_lost(card, "upload", device_upload_wait(card, &err), &err);
    normalize_some(card, block);
    device_download(lane, block, 32, x);
    device_put(card, block, x, sizeof x);
    assert_true(device_facts(card, &facts, &err));
    assert_true(facts.bytes_free == 0);
    device_release(card, block);
    device_close(card);
    pool_free(h.pool);
    assert_int_equal(memory_live(&h.memory), 0);
}

struct one_card {
    struct device *card;
    float sum;
    bool fine;
};

/* Rows of ones, normalised and pooled: 1 / sqrt(8) each. */
static void *work_on(void *context) {
    struct one_card *one = context;
    struct lane *lane = device_lane(one->card, 0);
    float *block = device_alloc(one->card, 4096, 0, NULL, NULL), x[32];
    one->fine = true;
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < 32; i++)
            x[i] = 1;
        device_put(one->card, block, x, sizeof x);
        one->fine &= device_submit(lane, NULL);
        normalize_some(one->card, block);
        device_download(lane, block, 32, x);
        one->fine &= device_finish(lane, NULL);
    }
    one->sum = 0;
    for (size_t i = 0; i < 32; i++)
        one->sum += x[i];
    device_release(one->card, block);
    return NULL;
}

static void cards_work_side_by_side(void **state) {
    (void)state;
    struct host h;
    struct one_card cards[2] = {
        {.card = open_on(&h,
                         "card memory=1G\ncard memory=2G capability=8.0\n"
                         "at card=1 launch=9 lost=719\n",
                         "cuda:0")}};
    cards[1].card =
        card_open(&h.memory, h.pool, "cuda:1", NUMBER_DEFAULT, NULL);
    assert_non_null(cards[1].card);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work_on, &cards[i]),
                         0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(cards[0].fine);
    assert_near((double)cards[0].sum, 32 / sqrt(8), 1e-5, "sum", 0);
    assert_false(cards[1].fine);
    device_close(cards[1].card);
    close_on(&h, cards[0].card);
}

/* No memory of the card is taken while it computes. */
static void nothing_is_taken_while_it_computes(void **state) {
    (void)state;
    struct rig r;
    struct texts texts;
    static const size_t LENGTHS[] = {5, 9, 0};
    rig_open(&r, T4, NUMBER_F16);
    begin_group(&r, &texts, LENGTHS, 4);
    void *room = card_room(&r, device_lane_bytes(r.card, 14));
    uint64_t before = counted(0).allocs, host = r.memory.allocations;
    struct linear linear = {.in = 64, .out = 64};
    linear.weights = card_room(&r, device_linear_bytes(r.card, 64, 64));
    float *x = card_room(&r, 300 * 64 * sizeof *x);
    struct narrow *z = card_room(&r, 300 * 64 * sizeof *x);
    for (int again = 0; again < 3; again++) {
        device_lane_use(r.on_card, room, 14);
        device_group(r.on_card, &texts.sequences, texts.ids);
        device_narrow(r.on_card, x, 300 * 64, z);
        device_linear(r.on_card, &linear, z, 300, ACTIVATION_NONE, x, x);
        finish(&r);
    }
    assert_int_equal(counted(0).allocs, before);
    assert_int_equal(r.memory.allocations, host);
    free(texts.ids);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_the_cards),
        cmocka_unit_test(what_the_card_needs_besides_is_charged),
        cmocka_unit_test(blocks_are_counted_and_given_back),
        cmocka_unit_test(room_that_is_not_there_is_refused),
        cmocka_unit_test(cards_that_will_not_do_are_refused),
        cmocka_unit_test(default_types_are_the_cards),
        cmocka_unit_test(copies_arrive),
        cmocka_unit_test(what_streams_is_packed_by_the_host),
        cmocka_unit_test(a_lost_card_says_so_from_then_on),
        cmocka_unit_test(cards_work_side_by_side),
        cmocka_unit_test(nothing_is_taken_while_it_computes),
    };
    if (is_real()) {
        printf("skip: all: a real card is not ours to fill\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
