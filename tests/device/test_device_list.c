/* What --device takes: names, sizes, presets, and every refusal with its
 * reason. */

#include "device/device_cards.h"
#include "device/fixture.h"

static const struct device_cards NO_CARDS = {.problem = "no driver is there"};
static const struct device_cards CARDS = {
    .items = {{"Tesla T4", 75}, {"Tesla P100", 60}, {"NVIDIA H200", 90}},
    .count = 3};

static struct device_list parsed(struct memory *memory, const char *text) {
    struct device_list list;
    struct error err = {0};
    if (!device_list_parse(memory, text, NULL, &list, &err))
        fail_msg("'%s': %s", text, err.message);
    return list;
}

static void is(const struct device_name *name, const char *text,
               uint64_t capacity, size_t storage_bytes) {
    assert_string_equal(name->name, text);
    assert_true(name->capacity == capacity);
    assert_int_equal(name->storage_bytes, storage_bytes);
}

static void names_and_sizes_are_read_in_order(void **state) {
    (void)state;
    struct memory memory = {0};
    struct device_list list =
        parsed(&memory, "sim:small=1.5GiB,cpu,sim:A-b_c.9=1000,sim:big=12 GB");
    assert_int_equal(list.count, 4);
    is(&list.items[0], "sim:small", 1610612736, 4);
    is(&list.items[1], "cpu", 0, 4);
    is(&list.items[2], "sim:A-b_c.9", 1000, 4);
    is(&list.items[3], "sim:big", 12000000000, 4);
    device_list_free(&memory, &list);
    assert_int_equal(memory_live(&memory), 0);
}

static void presets_are_t4s(void **state) {
    (void)state;
    struct memory memory = {0};
    struct device_list list = parsed(&memory, "sim:t4,sim:t4x2");
    assert_int_equal(list.count, 3);
    is(&list.items[0], "sim:t4", 15828320256, 2);
    is(&list.items[1], "sim:t4-0", 15828320256, 2);
    is(&list.items[2], "sim:t4-1", 15828320256, 2);
    device_list_free(&memory, &list);
    list = parsed(&memory, "sim:t4-1,sim:t4-0,cpu");
    assert_int_equal(list.count, 3);
    is(&list.items[0], "sim:t4-1", 15828320256, 2);
    is(&list.items[1], "sim:t4-0", 15828320256, 2);
    device_list_free(&memory, &list);
    assert_int_equal(memory_live(&memory), 0);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason;
    } BAD[] = {
        {"", "there is no device ''"},
        {"cpu,", "there is no device ''"},
        {",cpu", "there is no device ''"},
        {"CPU", "there is no device 'CPU'"},
        {" cpu", "there is no device ' cpu'"},
        {"gpu", "there is no device 'gpu'"},
        {"cuda:0", "'cuda:0': no card was found: no driver is there"},
        {"cpu,cuda", "'cuda': no card was found: no driver is there"},
        {"cpu,cpu", "'cpu' is there twice"},
        {"sim:a=1GB,sim:a=2GB", "'sim:a' is there twice"},
        {"sim:t4-1,sim:t4x2", "'sim:t4-1' is there twice"},
        {"sim:t5", "write sim:NAME=BYTES"},
        {"sim:", "write sim:NAME=BYTES"},
        {"sim:=1GB", "the name before '='"},
        {"sim:a b=1GB", "the name before '='"},
        {"sim:a/b=1GB", "the name before '='"},
        {"sim:\xC3\xA9=1GB", "the name before '='"},
        {"sim:12345678901234567890123456789012=1", "the name before '='"},
        {"sim:a=", "sim:a: '' is not a number of bytes"},
        {"sim:a=0", "sim:a: '0' is not a number of bytes"},
        {"sim:a=-1", "is not a number of bytes"},
        {"sim:a=1GiBs", "is not a number of bytes"},
        {"sim:a=1=2", "is not a number of bytes"},
        {"sim:a=99999999999TiB", "is not a number of bytes"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct memory memory = {0};
        struct device_list list;
        struct error err = {0};
        if (device_list_parse_with(&memory, BAD[i].text, &NO_CARDS, &list,
                                   &err))
            fail_msg("'%s' was taken", BAD[i].text);
        assert_int_equal(err.code, ERROR_USAGE);
        if (!strstr(err.message, BAD[i].reason))
            fail_msg("'%s': %s", BAD[i].text, err.message);
        assert_null(list.items);
        assert_int_equal(memory_live(&memory), 0);
    }
}

static void is_card(const struct device_name *name, const char *text,
                    unsigned arch) {
    is(name, text, 0, 4);
    assert_int_equal(name->arch, arch);
    assert_false(device_name_is_cpu(name));
}

static void cards_are_named_by_number(void **state) {
    (void)state;
    struct memory memory = {0};
    struct device_list list;
    struct error err = {0};
    assert_true(device_list_parse_with(&memory, "cuda:2,cpu,cuda:0", &CARDS,
                                       &list, &err));
    assert_int_equal(list.count, 3);
    is_card(&list.items[0], "cuda:2", 90);
    assert_true(device_name_is_cpu(&list.items[1]));
    is_card(&list.items[2], "cuda:0", 75);
    device_list_free(&memory, &list);
    assert_true(
        device_list_parse_with(&memory, "cpu,cuda", &CARDS, &list, &err));
    assert_int_equal(list.count, 3); /* the old one is left out */
    is_card(&list.items[1], "cuda:0", 75);
    is_card(&list.items[2], "cuda:2", 90);
    device_list_free(&memory, &list);
    struct device_cards two = {.items = {{"a", 80}, {"b", 89}}, .count = 2};
    assert_true(device_list_parse_with(&memory, "cuda", &two, &list, &err));
    assert_int_equal(list.count, 2);
    is_card(&list.items[0], "cuda:0", 80);
    is_card(&list.items[1], "cuda:1", 89);
    device_list_free(&memory, &list);
    assert_int_equal(memory_live(&memory), 0);
}

static void cards_that_are_not_there_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason;
    } BAD[] = {
        {"cuda:1", "cuda:1 (Tesla P100) is sm_60, and this release computes on "
                   "sm_75 and newer"},
        {"cuda:3", "there is no card 'cuda:3'; there are cuda:0, cuda:1, "
                   "cuda:2, and cuda means all of them"},
        {"cuda:", "there is no card 'cuda:'"},
        {"cuda:00", "there is no card 'cuda:00'"},
        {"cuda:-1", "there is no card 'cuda:-1'"},
        {"cuda: 0", "there is no card 'cuda: 0'"},
        {"cuda:0x", "there is no card 'cuda:0x'"},
        {"cuda:18446744073709551616", "there is no card"},
        {"cuda0", "there is no card 'cuda0'"},
        {"cudax", "there is no card 'cudax'"},
        {"cuda:0,cuda:0", "'cuda:0' is there twice"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct memory memory = {0};
        struct device_list list;
        struct error err = {0};
        if (device_list_parse_with(&memory, BAD[i].text, &CARDS, &list, &err))
            fail_msg("'%s' was taken", BAD[i].text);
        assert_int_equal(err.code, ERROR_USAGE);
        if (!strstr(err.message, BAD[i].reason))
            fail_msg("'%s': %s", BAD[i].text, err.message);
        assert_int_equal(memory_live(&memory), 0);
    }
}

static struct device_list chosen(struct memory *memory,
                                 const struct device_cards *cards,
                                 char why[DEVICE_WHY_BYTES]) {
    struct device_list list;
    struct error err = {0};
    assert_true(device_list_default_with(memory, cards, &list, why, &err));
    return list;
}

static void cards_come_before_the_cpu_if_they_are_whole(void **state) {
    (void)state;
    struct memory memory = {0};
    char why[DEVICE_WHY_BYTES];
    struct device_list list = chosen(&memory, &NO_CARDS, why);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].name, "cpu");
    assert_string_equal(why, "");
    device_list_free(&memory, &list);

    list = chosen(&memory, &CARDS, why);
    assert_int_equal(list.count, 2);
    is_card(&list.items[0], "cuda:0", 75);
    is_card(&list.items[1], "cuda:2", 90);
    assert_non_null(strstr(why, "cuda:1 (Tesla P100) is sm_60"));
    device_list_free(&memory, &list);

    struct device_cards bare = {
        .items = {{"Tesla T4", 75}}, .count = 1, .problem = "NVRTC is missing"};
    list = chosen(&memory, &bare, why);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].name, "cpu");
    assert_string_equal(why, "NVRTC is missing");
    device_list_free(&memory, &list);

    struct device_cards old = {.items = {{"Tesla K80", 37}}, .count = 1};
    struct error err = {0};
    assert_false(device_list_parse_with(&memory, "cuda", &old, &list, &err));
    assert_non_null(strstr(err.message, "'cuda': cuda:0 (Tesla K80) is sm_37"));
    list = chosen(&memory, &old, why);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].name, "cpu");
    assert_non_null(strstr(why, "cuda:0 (Tesla K80) is sm_37"));
    device_list_free(&memory, &list);
    assert_int_equal(memory_live(&memory), 0);
}

/* COUNT devices of 1 byte. */
static char *many(size_t count) {
    static char text[4096];
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%ssim:%zu=1",
                                 i ? "," : "", i);
    return text;
}

static void a_list_has_an_end(void **state) {
    (void)state;
    struct memory memory = {0};
    struct error err = {0};
    struct device_list list = parsed(&memory, many(64));
    assert_int_equal(list.count, 64);
    device_list_free(&memory, &list);
    assert_false(device_list_parse(&memory, many(65), NULL, &list, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    memory.ceiling = 64;
    assert_false(device_list_parse(&memory, "cpu", NULL, &list, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_int_equal(memory_live(&memory), 0);
}

static void the_longest_name_fits(void **state) {
    (void)state;
    struct memory memory = {0};
    struct device_list list =
        parsed(&memory, "sim:1234567890123456789012345678901=1");
    is(&list.items[0], "sim:1234567890123456789012345678901", 1, 4);
    device_list_free(&memory, &list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_sizes_are_read_in_order),
        cmocka_unit_test(presets_are_t4s),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(cards_are_named_by_number),
        cmocka_unit_test(cards_that_are_not_there_are_named),
        cmocka_unit_test(cards_come_before_the_cpu_if_they_are_whole),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(the_longest_name_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
