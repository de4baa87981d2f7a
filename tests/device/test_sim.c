/* A simulated card's memory: capacity, account, reservations, the other
 * program, and the failures that a script plays. */

#include "device/sim_fixture.h"

#include "base/clock.h"

static void it_says_what_it_is(void **state) {
    (void)state;
    struct sim_fixture f;
    struct device_facts facts;
    sim_fixture_open(&f, "sim:t4", NULL);
    assert_string_equal(f.device->name, "sim:t4");
    assert_false(f.device->shared);
    assert_true(f.device->charges_shapes);
    assert_int_equal(f.device->storage_bytes, 2);
    assert_int_equal(f.device->lanes, 2);
    assert_ptr_equal(f.lane->device, f.device);
    assert_int_equal(device_lane(f.device, 1)->number, 1);
    void *taken = block(&f, 1000);
    submits(&f, 3);
    assert_true(device_facts(f.device, &facts, NULL));
    assert_string_equal(facts.name, "sim:t4");
    assert_true(facts.bytes_total == 15828320256);
    assert_true(facts.bytes_free == 15828320256 - 1000);
    assert_int_equal(facts.submits, 3);
    assert_int_equal(facts.threads, 2);
    device_release(f.device, taken);
    sim_fixture_close(&f);
}

static void blocks_are_charged_and_counted(void **state) {
    (void)state;
    struct sim_fixture f;
    sim_fixture_open(&f, "sim:a=1000", NULL);
    uint64_t host = memory_live(&f.memory);
    char *a = block(&f, 600);
    assert_int_equal((uintptr_t)a % 64, 0);
    memset(a, 1, 100);
    assert_true(memory_live(&f.memory) >= host + 100);
    assert_int_equal(memory_live(f.device->account), 600);
    assert_int_equal(free_on(f.device), 400);
    no_block(&f, 401,
             "401 bytes are needed, but of 1000 bytes 600 are ours, 0 another "
             "program's and 400 free");
    no_block(&f, UINT64_MAX, "400 free");
    char *b = block(&f, 400);
    assert_int_equal(free_on(f.device), 0);
    device_release(f.device, a);
    a = block(&f, 100);
    device_release(f.device, a);
    device_release(f.device, b);
    device_release(f.device, NULL);
    assert_int_equal(free_on(f.device), 1000);
    assert_int_equal(memory_peak(f.device->account), 1000);
    assert_int_equal(memory_live(&f.memory), host);
    assert_null(device_alloc(f.device, SIZE_MAX, 1, NULL, NULL));
    sim_fixture_close(&f);
}

static void its_ceiling_is_not_the_hosts(void **state) {
    (void)state;
    struct sim_fixture f;
    struct reservation reserved;
    struct error err = {0};
    sim_fixture_open(&f, "sim:a=1000", NULL);
    f.device->account->ceiling = 700;
    assert_true(memory_reserve(f.device->account, 500, &reserved, &err));
    assert_int_equal(free_on(f.device), 1000);
    no_block(&f, 201, "500 of 700 bytes are in use");
    void *outside = block(&f, 200);
    void *within = device_alloc(f.device, 1, 300, &reserved, &err);
    assert_non_null(within);
    assert_int_equal(reserved.bytes, 200);
    assert_int_equal(memory_live(f.device->account), 500);
    no_block(&f, 1, "700 of 700 bytes are in use");
    memory_unreserve(&reserved);
    void *more = block(&f, 200);
    device_release(f.device, outside);
    device_release(f.device, within);
    device_release(f.device, more);
    assert_int_equal(memory_peak(f.device->account), 700);

    /* The host has no room: nothing stays charged, nor leaves a reservation. */
    assert_true(memory_reserve(f.device->account, 500, &reserved, &err));
    f.memory.ceiling = memory_live(&f.memory) + 10000;
    assert_null(device_alloc(f.device, 20000, 300, &reserved, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_int_equal(reserved.bytes, 500);
    memory_unreserve(&reserved);
    sim_fixture_close(&f);
}

/* Reserved is not yet taken: another program can be faster. */
static void a_reservation_does_not_bind_other_programs(void **state) {
    (void)state;
    struct sim_fixture f;
    struct reservation reserved;
    struct error err = {0};
    sim_fixture_open(
        &f, "sim:a=1000",
        "{\"device\":\"sim:a\",\"at_submit\":1,\"take_bytes\":800}");
    assert_true(memory_reserve(f.device->account, 500, &reserved, &err));
    submits(&f, 1);
    assert_null(device_alloc(f.device, 1, 500, &reserved, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_non_null(strstr(err.message, "800 another program's and 200 free"));
    assert_int_equal(reserved.bytes, 500);
    memory_unreserve(&reserved);
    sim_fixture_close(&f);
}

static void a_stranger_takes_and_gives_back(void **state) {
    (void)state;
    struct sim_fixture f;
    sim_fixture_open(
        &f, "sim:a=1000",
        "{\"device\":\"sim:a\",\"at_submit\":0,\"take_bytes\":50}\n"
        "{\"device\":\"sim:b\",\"at_submit\":0,\"take_bytes\":900}\n"
        "{\"device\":\"sim:a\",\"at_submit\":3,\"take_bytes\":600}\n"
        "{\"device\":\"sim:a\",\"at_submit\":5,\"give_bytes\":100}\n"
        "{\"device\":\"sim:a\",\"at_submit\":6,\"give_bytes\":99999}\n"
        "{\"device\":\"sim:a\",\"at_submit\":8,\"take_bytes\":7}\n");
    assert_int_equal(free_on(f.device), 950);
    void *a = block(&f, 500), *b = block(&f, 200);
    submits(&f, 2);
    assert_int_equal(free_on(f.device), 250);
    submits(&f, 1); /* it wants 600, finds 250 and waits for 350 */
    assert_int_equal(free_on(f.device), 0);
    no_block(&f, 1, "300 another program's and 0 free");
    device_release(f.device, b); /* it waits for 150 */
    no_block(&f, 200, "500 another program's and 0 free");
    submits(&f, 2); /* waits for 50: a gift of what it never had */
    assert_int_equal(free_on(f.device), 0);
    device_release(f.device, a);
    assert_int_equal(free_on(f.device), 450); /* 550 are its own, content */
    submits(&f, 1);
    assert_int_equal(free_on(f.device), 1000);
    submits(&f, 2);
    assert_int_equal(free_on(f.device), 993);
    sim_fixture_close(&f);
}

/* What it takes and gives in one submit is done in the order of the file. */
static void actions_of_one_submit_keep_their_order(void **state) {
    (void)state;
    struct sim_fixture f;
    sim_fixture_open(
        &f, "sim:a=1000",
        "{\"device\":\"sim:a\",\"at_submit\":2,\"give_bytes\":100}\n"
        "{\"device\":\"sim:a\",\"at_submit\":2,\"take_bytes\":300}\n"
        "{\"device\":\"sim:a\",\"at_submit\":2,\"give_bytes\":100}\n"
        "{\"device\":\"sim:a\",\"at_submit\":1,"
        "\"take_bytes\":9223372036854775807}\n"
        "{\"device\":\"sim:a\",\"at_submit\":3,"
        "\"take_bytes\":9223372036854775807}\n"
        "{\"device\":\"sim:a\",\"at_submit\":3,"
        "\"take_bytes\":9223372036854775807}\n");
    submits(&f, 1);
    assert_int_equal(free_on(f.device), 0);
    submits(&f, 2);
    assert_int_equal(free_on(f.device), 0);
    sim_fixture_close(&f);
    sim_fixture_open(
        &f, "sim:a=1000",
        "{\"device\":\"sim:a\",\"at_submit\":2,\"give_bytes\":100}\n"
        "{\"device\":\"sim:a\",\"at_submit\":2,\"take_bytes\":300}\n"
        "{\"device\":\"sim:a\",\"at_submit\":2,\"give_bytes\":50}\n");
    submits(&f, 2);
    assert_int_equal(free_on(f.device), 750);
    sim_fixture_close(&f);
}

static void refused(struct sim_fixture *f, enum error_code code,
                    const char *in_message) {
    struct error err = {0};
    assert_false(device_submit(f->lane, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.message, in_message))
        fail_msg("%s", err.message);
}

static void a_submit_may_find_no_memory(void **state) {
    (void)state;
    struct sim_fixture f;
    sim_fixture_open(
        &f, "sim:a=1000",
        "{\"device\":\"sim:a\",\"at_submit\":2,\"fail\":\"alloc\"}\n"
        "{\"device\":\"sim:a\",\"at_submit\":5,\"fail\":\"alloc\","
        "\"count\":2}\n");
    void *a = block(&f, 300);
    submits(&f, 1);
    refused(&f, ERROR_MEMORY,
            "sim:a: no memory for submit 2 (by its script): of 1000 bytes 300 "
            "are ours, 0 another program's and 700 free");
    submits(&f, 2);
    refused(&f, ERROR_MEMORY, "submit 5");
    refused(&f, ERROR_MEMORY, "submit 6");
    submits(&f, 5);
    assert_true(device_finish(f.lane, NULL));
    device_release(f.device, a);
    sim_fixture_close(&f);
}

static void gone(bool worked, const struct error *err) {
    assert_false(worked);
    assert_int_equal(err->code, ERROR_DEVICE);
    assert_string_equal(err->message,
                        "sim:a is lost (by its script, at submit 2); use "
                        "another device");
}

static void a_lost_card_stays_lost(void **state) {
    (void)state;
    struct sim_fixture f;
    struct error err = {0};
    struct device_facts facts;
    uint64_t bytes;
    sim_fixture_open(
        &f, "sim:a=1000",
        "{\"device\":\"sim:a\",\"at_submit\":2,\"fail\":\"lost\"}\n");
    void *a = block(&f, 300);
    submits(&f, 1);
    for (int i = 0; i < 2; i++) {
        gone(device_submit(f.lane, &err), &err);
        gone(device_finish(f.lane, &err), &err);
        gone(device_finish(device_lane(f.device, 1), &err), &err);
        gone(device_bytes_free(f.device, &bytes, &err), &err);
        gone(device_alloc(f.device, 1, 1, NULL, &err) != NULL, &err);
        gone(device_upload_wait(f.device, &err), &err);
    }
    assert_true(device_facts(f.device, &facts, NULL));
    assert_int_equal(facts.bytes_free, 0);
    assert_int_equal(facts.submits, 3);
    device_release(f.device, a);
    sim_fixture_close(&f);
}

/* A group of one text of one token, which takes two submits. */
static void two_submits(struct sim_fixture *f, float *result) {
    static const uint32_t starts[2] = {0, 1}, ids[1] = {0};
    static const float words[2] = {1, 2};
    struct embedding embedding = {
        .width = 2, .vocab = 1, .words = words, .scale = 1};
    struct sequences one = {.texts = 1, .starts = starts};
    float y[2];
    submits(f, 1);
    device_group(f->lane, &one, ids);
    device_embed(f->lane, &embedding, ids, &one, y);
    assert_true(device_finish(f->lane, NULL));
    submits(f, 1);
    device_download(f->lane, y, 2, result);
    assert_true(device_finish(f->lane, NULL));
}

/* Whichever submit of a group it was; the groups around it are as always. */
static void results_may_come_back_as_nan(void **state) {
    (void)state;
    struct sim_fixture f;
    sim_fixture_open(&f, "sim:a=1000",
                     "{\"device\":\"sim:a\",\"at_submit\":3,\"fail\":\"nan\"}\n"
                     "{\"device\":\"sim:a\",\"at_submit\":8,\"fail\":\"nan\"}\n"
                     "{\"device\":\"sim:a\",\"at_submit\":12,\"fail\":\"nan\","
                     "\"count\":2}\n");
    static const bool poisoned[] = {0, 1, 0, 1, 0, 1, 1, 0};
    for (size_t group = 0; group < sizeof poisoned; group++) {
        float result[2] = {0};
        two_submits(&f, result);
        for (int i = 0; i < 2; i++)
            if (poisoned[group] ? !isnan(result[i])
                                : result[i] != (float)(i + 1))
                fail_msg("group %zu: %g", group, (double)result[i]);
    }
    sim_fixture_close(&f);
}

static void nan_is_of_one_lane(void **state) {
    (void)state;
    struct sim_fixture f;
    sim_fixture_open(
        &f, "sim:a=1000",
        "{\"device\":\"sim:a\",\"at_submit\":1,\"fail\":\"nan\"}\n");
    static const float there[3] = {1, 2, 3};
    float here[3] = {0};
    submits(&f, 1);
    device_download(f.lane, there, 3, here);
    assert_true(isnan(here[0]) && isnan(here[1]) && isnan(here[2]));
    device_download(device_lane(f.device, 1), there, 3, here);
    assert_same_bits(here, there, 3, "the other lane");
    sim_fixture_close(&f);
}

/* A slower card: a lower bound on the time is the clock's promise. */
static void submits_may_take_longer(void **state) {
    (void)state;
    struct sim_fixture f;
    sim_fixture_open(&f, "sim:a=1000",
                     "{\"device\":\"sim:a\",\"at_submit\":2,\"delay_ms\":30}\n"
                     "{\"device\":\"sim:a\",\"at_submit\":4,\"delay_ms\":0}\n");
    submits(&f, 1);
    for (int i = 0; i < 2; i++) {
        int64_t before = clock_now_ns();
        submits(&f, 1);
        assert_true(clock_now_ns() - before >= 30000000);
    }
    submits(&f, 50);
    sim_fixture_close(&f);
}

static void uploads_arrive(void **state) {
    (void)state;
    enum { BYTES = 300000, COPIES = 20 };
    struct sim_fixture f;
    struct error err = {0};
    sim_fixture_open(&f, "sim:a=1000", NULL);
    char *from = malloc(BYTES);
    char *to = device_alloc(f.device, BYTES, 0, NULL, &err);
    assert_non_null(from);
    assert_non_null(to);
    assert_true(device_upload_wait(f.device, &err));
    for (int i = 0; i < COPIES; i++) {
        memset(from, i, BYTES);
        device_upload(f.device, to, from, BYTES - (size_t)i);
        assert_true(device_upload_wait(f.device, &err));
        assert_memory_equal(to, from, BYTES - (size_t)i);
    }
    device_upload(f.device, to, from, 0);
    assert_true(device_upload_wait(f.device, &err));
    /* One right after the other. */
    for (int i = 0; i < 300; i++) {
        memset(from, i % 100, BYTES);
        device_upload(f.device, to, from, BYTES / 2);
        device_upload(f.device, to + BYTES / 2, from + BYTES / 2,
                      BYTES - BYTES / 2);
        assert_true(device_upload_wait(f.device, &err));
        assert_memory_equal(to, from, BYTES);
    }
    device_release(f.device, to);
    sim_fixture_close(&f);
    free(from);
}

static void too_little_host_memory_is_an_error(void **state) {
    (void)state;
    struct error err = {0};
    struct memory memory = {0};
    struct pool *pool = pool_create(&memory, 2, &err);
    struct device_name name = {"sim:a", 1000, 4, 0};
    struct device_options options = {.memory = &memory, .pool = pool};
    uint64_t start = memory_live(&memory), needed;
    struct device *device = device_open(&name, &options, &err);
    needed = memory_live(&memory) - start;
    device_close(device);
    for (uint64_t some = 64; some < needed; some += 256) {
        memory.ceiling = start + some;
        assert_null(device_open(&name, &options, &err));
        assert_int_equal(err.code, ERROR_MEMORY);
        assert_int_equal(memory_live(&memory), start);
    }
    pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_it_is),
        cmocka_unit_test(blocks_are_charged_and_counted),
        cmocka_unit_test(its_ceiling_is_not_the_hosts),
        cmocka_unit_test(a_reservation_does_not_bind_other_programs),
        cmocka_unit_test(a_stranger_takes_and_gives_back),
        cmocka_unit_test(actions_of_one_submit_keep_their_order),
        cmocka_unit_test(a_submit_may_find_no_memory),
        cmocka_unit_test(a_lost_card_stays_lost),
        cmocka_unit_test(results_may_come_back_as_nan),
        cmocka_unit_test(nan_is_of_one_lane),
        cmocka_unit_test(submits_may_take_longer),
        cmocka_unit_test(uploads_arrive),
        cmocka_unit_test(too_little_host_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
