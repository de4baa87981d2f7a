/* Scripts for simulated cards: what is read, and every refusal with its file
 * and line. What the actions do is in test_sim.c. */

#include "device/fixture.h"

#include "device/sim/script.h"

static void actions_are_read_by_submit(void **state) {
    (void)state;
    struct memory memory = {0};
    struct error err = {0};
    struct device_script *script = device_script_read(
        &memory,
        STR("\xEF\xBB\xBF{\"device\": \"sim:a\", \"at_submit\": 90, "
            "\"give_bytes\": 6}\r\n"
            "\n \t\n"
            "{\"at_submit\": 40, \"device\": \"sim:a\", \"take_bytes\": "
            "6442450944}\n"
            "{\"device\": \"sim:b\", \"at_submit\": 40, \"fail\": \"nan\"}\n"
            "{\"device\": \"sim:b\", \"at_submit\": 3, \"fail\": \"alloc\", "
            "\"count\": 7}\n"
            "{\"device\": \"sim:b\", \"at_submit\": 0, \"delay_ms\": 20}\n"
            "{\"device\": \"sim:b\", \"at_submit\": 91, \"fail\": \"lost\"}"),
        "s.jsonl", &err);
    if (!script)
        fail_msg("%s", err.message);
    static const struct script_action EXPECTED[] = {
        {"sim:b", 0, SCRIPT_DELAY, 20},         {"sim:b", 3, SCRIPT_ALLOC, 7},
        {"sim:a", 40, SCRIPT_TAKE, 6442450944}, {"sim:b", 40, SCRIPT_NAN, 1},
        {"sim:a", 90, SCRIPT_GIVE, 6},          {"sim:b", 91, SCRIPT_LOST, 1},
    };
    assert_int_equal(script->count, 6);
    for (size_t i = 0; i < 6; i++) {
        const struct script_action *action = &script->actions[i];
        assert_string_equal(action->device, EXPECTED[i].device);
        assert_true(action->at_submit == EXPECTED[i].at_submit);
        assert_int_equal(action->kind, EXPECTED[i].kind);
        assert_true(action->value == EXPECTED[i].value);
    }
    device_script_free(script);
    device_script_free(NULL);
    assert_int_equal(memory_live(&memory), 0);
}

static void an_empty_script_is_one(void **state) {
    (void)state;
    struct memory memory = {0};
    struct device_script *script =
        device_script_read(&memory, STR("\n\n"), "s.jsonl", NULL);
    assert_non_null(script);
    assert_int_equal(script->count, 0);
    device_script_free(script);
}

#define AT "{\"device\": \"sim:a\", \"at_submit\": 1, "

static const struct {
    const char *line, *reason;
} BAD[] = {
    {"{", "not valid JSON"},
    {"nonsense", "not valid JSON"},
    {AT "\"take_bytes\": 1} x", "not valid JSON"},
    {AT "\"take_bytes\": 1, \"take_bytes\": 2}", "duplicate"},
    {AT "\"take_bytes\": 9223372036854775808}", "not valid JSON"},
    {"[]", "not a JSON object"},
    {"7", "not a JSON object"},
    {"{}", "\"device\" is not the name"},
    {"{\"at_submit\": 1, \"take_bytes\": 1}", "\"device\" is not the name"},
    {"{\"device\": \"cpu\", \"at_submit\": 1, \"take_bytes\": 1}",
     "\"device\" is not the name"},
    {"{\"device\": \"t4-0\", \"at_submit\": 1, \"take_bytes\": 1}",
     "\"device\" is not the name"},
    {"{\"device\": \"sim:a\\u0000b\", \"at_submit\": 1, \"take_bytes\": 1}",
     "\"device\" is not the name"},
    {"{\"device\": 3, \"at_submit\": 1, \"take_bytes\": 1}",
     "\"device\" is not the name"},
    {"{\"device\": \"sim:a\", \"take_bytes\": 1}",
     "\"at_submit\" is not a whole number"},
    {"{\"device\": \"sim:a\", \"at_submit\": -1, \"take_bytes\": 1}",
     "\"at_submit\" is not a whole number"},
    {"{\"device\": \"sim:a\", \"at_submit\": 1.5, \"take_bytes\": 1}",
     "\"at_submit\" is not a whole number"},
    {AT "\"take_bytes\": -1}", "\"take_bytes\" is not a whole number"},
    {AT "\"give_bytes\": \"1\"}", "\"give_bytes\" is not a whole number"},
    {AT "\"delay_ms\": null}", "\"delay_ms\" is not a whole number"},
    {AT "\"delay_ms\": 60001}", "\"delay_ms\" is more than 60000"},
    {AT "\"fail\": \"melt\"}", "\"fail\" is not"},
    {AT "\"fail\": 1}", "\"fail\" is not"},
    {AT "\"fail\": \"alloc\", \"count\": 0}", "\"count\" is 0"},
    {AT "\"fail\": \"alloc\", \"count\": -2}", "\"count\" is not a whole"},
    {AT "\"fail\": \"lost\", \"count\": 2}", "a lost device stays lost"},
    {AT "\"take_bytes\": 1, \"count\": 2}", "\"count\" stands with \"fail\""},
    {AT "\"take_byte\": 1}", "there is no member \"take_byte\""},
    {"{\"device\": \"sim:a\", \"at_submit\": 1}", "this one holds 0"},
    {AT "\"take_bytes\": 1, \"fail\": \"nan\"}", "this one holds 2"},
    {AT "\"take_bytes\": 1, \"give_bytes\": 1}", "this one holds 2"},
    {"{\"device\": \"sim:a\", \"at_submit\": 0, \"fail\": \"nan\"}",
     "needs an \"at_submit\" of at least 1"},
};

static void what_is_wrong_is_named_with_its_line(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct memory memory = {0};
        struct error err = {0};
        char text[512];
        int size = snprintf(text, sizeof text,
                            AT "\"take_bytes\": 1}\n\n%s\n"
                               "{}\n",
                            BAD[i].line);
        assert_null(device_script_read(
            &memory, (struct str){text, (size_t)size}, "pressure.jsonl", &err));
        assert_int_equal(err.code, ERROR_INPUT);
        if (!strstr(err.message, "pressure.jsonl:3: ") ||
            !strstr(err.message, BAD[i].reason))
            fail_msg("%s gave: %s", BAD[i].line, err.message);
        assert_int_equal(memory_live(&memory), 0);
    }
}

static void memory_can_run_out(void **state) {
    (void)state;
    struct memory memory = {.ceiling = 600};
    struct error err = {0};
    assert_null(
        device_script_read(&memory, STR(AT "\"take_bytes\": 1}"), "s", &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_int_equal(memory_live(&memory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_are_read_by_submit),
        cmocka_unit_test(an_empty_script_is_one),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
        cmocka_unit_test(memory_can_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
