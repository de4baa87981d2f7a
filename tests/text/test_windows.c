/* test_windows.c - texts that are too large, or no text at all. */

#include "fixture.h"

#include <sys/mman.h>

#include "base/utf8.h"

static struct memory heap;

enum { MIB = 1 << 20, TEXT_BYTES = 100 * MIB, READABLE_BYTES = MIB };

struct setup {
    struct tokenizer *tokenizer;
    struct tokenizer_scratch *scratch;
    struct tokens tokens;
};

/* The first variant has no added tokens of its own; NAME chooses another. */
static struct setup setup_open(const char *name) {
    json_t *base = fixture_json(FIXTURES "tokenizer.json");
    json_t *variants = fixture_json(FIXTURES "variants.json");
    struct setup setup = {.tokens = tokens_make(&heap)};
    for (size_t i = 0; i < json_array_size(variants); i++) {
        json_t *variant = json_array_get(variants, i);
        const json_t *of = json_object_get(variant, "name");
        if (strcmp(json_string_value(of), name) == 0)
            setup.tokenizer = fixture_variant(&heap, base, variant);
    }
    assert_non_null(setup.tokenizer);
    setup.scratch = fixture_scratch(setup.tokenizer, &heap);
    json_decref(base);
    json_decref(variants);
    return setup;
}

static void setup_close(struct setup *setup) {
    tokens_free(&setup->tokens);
    tokenizer_scratch_free(setup->scratch);
    tokenizer_free(setup->tokenizer);
    assert_int_equal(memory_live(&heap), 0);
}

/* UNIT over and over in the readable part of a text whose rest cannot be read:
 * who goes there dies. */
static char *guarded(struct str unit) {
    char *text = mmap(NULL, TEXT_BYTES, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(text != MAP_FAILED);
    assert_int_equal(mprotect(text, READABLE_BYTES, PROT_READ | PROT_WRITE), 0);
    for (size_t i = 0; i + unit.size <= READABLE_BYTES; i += unit.size)
        memcpy(text + i, unit.data, unit.size);
    return text;
}

static void a_cut_does_not_read_on(void **state) {
    (void)state;
    static const struct str units[] = {
        {"embedding ", 10}, {"a.", 2},           {"\xE4\xB8\xAD", 3},
        {"e\xCC\x81 ", 4},  {"foo bar ", 8},     {"[MASK] ", 7},
        {"\0 x", 3},        {"righty      ", 12}};
    static const char *const names[] = {"as it is", "extra tokens"};
    for (size_t n = 0; n < 2; n++) {
        struct setup setup = setup_open(names[n]);
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            char *text = guarded(units[i]);
            struct tokenized what = fixture_encode(
                setup.tokenizer, setup.scratch, (struct str){text, TEXT_BYTES},
                256, TOKENIZER_CUT, &setup.tokens);
            assert_int_equal(what.count, 256);
            assert_true(what.cut > 0);
            munmap(text, TEXT_BYTES);
        }
        setup_close(&setup);
    }
}

/* Memory that a text of 8 MiB of UNIT takes to be counted to the end. */
static void count_unit(struct setup *setup, struct str unit, bool one_word) {
    char *text = malloc(8 * MIB);
    assert_non_null(text);
    size_t size = 0;
    for (; size + unit.size <= 8 * MIB; size += unit.size)
        memcpy(text + size, unit.data, unit.size);
    uint64_t before = memory_live(&heap);
    heap.ceiling = before + MIB;
    struct tokenized what = fixture_encode(setup->tokenizer, setup->scratch,
                                           (struct str){text, size}, 256,
                                           TOKENIZER_COUNT, &setup->tokens);
    heap.ceiling = 0;
    if (one_word)
        assert_int_equal(what.count, 3);
    else
        assert_true(what.count == 256 && what.cut > 100000);
    free(text);
}

static void counting_needs_little_memory(void **state) {
    (void)state;
    static const char *const names[] = {"as it is", "extra tokens"};
    for (size_t n = 0; n < 2; n++) {
        struct setup setup = setup_open(names[n]);
        count_unit(&setup, STR("embedding "), false);
        count_unit(&setup, STR("[SEP]both  "), false);
        count_unit(&setup, STR("zz foo bar"), false);
        count_unit(&setup, STR("a"), true);
        count_unit(&setup, STR("\xE0\xB8\x81\xE0\xB9\x89"), true);
        setup_close(&setup);
    }
}

static uint32_t state_of_random = 12345;

static uint32_t below(uint32_t limit) {
    state_of_random = state_of_random * 1664525u + 1013904223u;
    return (state_of_random >> 8) % limit;
}

/* What the contract says of invalid bytes, written plainly: U+FFFD each. */
static void replace_invalid(struct str text, struct strbuf *out) {
    for (size_t at = 0; at < text.size;) {
        char bytes[UTF8_MAX_BYTES];
        uint32_t code = utf8_next(text, &at);
        strbuf_add(out, (struct str){bytes, utf8_put(code, bytes)});
    }
}

static void random_bytes(struct strbuf *out, size_t size) {
    static const char *const spice[] = {
        "\xF0\x90\x80", "\x80", "\xE4\xB8\xAD", "\xC3\xA9",     " ", "[MASK]",
        "foo bar",      "\xC3", "tag-a",        "\xE3\x80\xAE", "a", " lefty "};
    while (out->size < size) {
        if (below(3))
            strbuf_add(out, str_from(spice[below(12)]));
        else
            strbuf_add_char(out, (char)below(256));
    }
}

static void invalid_bytes_count_as_replacements(void **state) {
    (void)state;
    static const char *const names[] = {"as it is", "no clean_text",
                                        "extra tokens, no clean_text"};
    for (size_t n = 0; n < 3; n++) {
        struct setup setup = setup_open(names[n]);
        struct tokens whole = tokens_make(&heap);
        for (size_t i = 0; i < 200; i++) {
            struct strbuf raw = strbuf_make(&heap), mended = strbuf_make(&heap);
            random_bytes(&raw, i % 20 ? 40 + i : 40000);
            replace_invalid(strbuf_str(&raw), &mended);
            fixture_encode(setup.tokenizer, setup.scratch, strbuf_str(&raw), 0,
                           TOKENIZER_CUT, &setup.tokens);
            fixture_encode(setup.tokenizer, setup.scratch, strbuf_str(&mended),
                           0, TOKENIZER_CUT, &whole);
            assert_int_equal(setup.tokens.count, whole.count);
            assert_memory_equal(setup.tokens.ids, whole.ids,
                                whole.count * sizeof *whole.ids);
            strbuf_free(&raw);
            strbuf_free(&mended);
        }
        tokens_free(&whole);
        setup_close(&setup);
    }
}

static void memory_that_runs_out_is_an_error(void **state) {
    (void)state;
    struct setup setup = setup_open("as it is");
    struct strbuf text = strbuf_make(&heap);
    while (text.size < 100000)
        strbuf_add(&text, STR("word \xE3\x80\xAE"));
    uint64_t live = memory_live(&heap);
    for (uint64_t room = 64; room < 1 << 20; room *= 2) {
        struct error err = {0};
        struct tokenized what;
        heap.ceiling = live + room;
        bool fine =
            tokenizer_encode(setup.tokenizer, setup.scratch, strbuf_str(&text),
                             0, TOKENIZER_CUT, &setup.tokens, &what, &err);
        assert_true(fine || err.code == ERROR_MEMORY);
        assert_true(fine || setup.tokens.count == 0);
        setup.tokens.count = 0;
    }
    heap.ceiling = 0;
    fixture_encode(setup.tokenizer, setup.scratch, STR("a b"), 0, TOKENIZER_CUT,
                   &setup.tokens);
    assert_int_equal(setup.tokens.count, 4);
    strbuf_free(&text);
    setup_close(&setup);
}

/* UNIT behind COUNT times "z " must give what "z " gives so many times, and
 * then what "z " and UNIT give, wherever in a window that puts it. */
static void expect_behind(struct setup *setup, struct str unit, size_t shift) {
    enum { WINDOW = 8192 }; /* encode.c's; another makes this test weaker */
    size_t count = (2 * WINDOW - shift) / 2;
    struct strbuf text = strbuf_make(&heap);
    struct tokens one = tokens_make(&heap), last = tokens_make(&heap);
    if (shift % 2)
        strbuf_add_char(&text, ' ');
    for (size_t i = 0; i < count; i++)
        strbuf_add(&text, STR("z "));
    strbuf_add(&text, unit);
    strbuf_add(&text, STR(" z z z z z z z z z z z z z z z z z z z z"));
    size_t size = unit.size + 42;
    struct str tail = {text.data + text.size - size, size};
    fixture_encode(setup->tokenizer, setup->scratch, STR("z"), 0, TOKENIZER_CUT,
                   &one);
    fixture_encode(setup->tokenizer, setup->scratch, tail, 0, TOKENIZER_CUT,
                   &last);
    fixture_encode(setup->tokenizer, setup->scratch, strbuf_str(&text), 0,
                   TOKENIZER_CUT, &setup->tokens);
    assert_int_equal(one.count, 3);
    assert_int_equal(setup->tokens.count, count - 1 + last.count);
    for (size_t i = 1; i < count; i++)
        assert_int_equal(setup->tokens.ids[i], one.ids[1]);
    assert_memory_equal(setup->tokens.ids + count, last.ids + 1,
                        (last.count - 1) * sizeof *last.ids);
    tokens_free(&one);
    tokens_free(&last);
    strbuf_free(&text);
}

static void window_edges_change_nothing(void **state) {
    (void)state;
#define AAAAAAAAAA "aaaaaaaaaa"
#define SPACES     "            "
#define CENTURY                                                                \
    AAAAAAAAAA AAAAAAAAAA AAAAAAAAAA AAAAAAAAAA AAAAAAAAAA AAAAAAAAAA          \
        AAAAAAAAAA AAAAAAAAAA AAAAAAAAAA AAAAAAAAAA
    static const struct str units[] = {
        {"foo bar the", 11},
        {"xFoo Bar the", 12},
        {"tag-a", 5},
        {"tag-axthe", 9},
        {"z\xC3\xBCrich the", 11},
        {"zu\xCC\x88rich the", 12},
        {"stra\xC3\x9F"
         "enbahnenx",
         15},
        {".a,b", 4},
        {"_z\xC3\xBCrich", 8},
        {"..z\xC3\xBCrich_x", 11},
        {CENTURY "z\xC3\xBCrich the", 111},
        {CENTURY "a the", 105},
        {CENTURY "a\xE2\x80\x94the", 107},
        {"e\xCC\x81\xE3\x80\xAE\xE1\xAE\xAA\xCC\x81 the", 15},
        {"\xC3\xA9\xC3\xA9\xE4\xB8\xAD\xE6\x96\x87the", 13},
        {"\xC3\xA9[MASK]\xC3\xA9", 10},
        {"end lefty", 9},
        {"end" SPACES "lefty", 20},
        {"righty" SPACES "spaced x", 26},
        {"righty" SPACES " spaced", 25},
        {" spaced x", 9},
        {"both" SPACES "end both", 24}};
    static const char *const names[] = {
        "as it is",      "extra tokens",         "extra tokens, no clean_text",
        "no clean_text", "specials single_word", "specials normalized",
        "no words"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct setup setup = setup_open(names[n]);
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            for (size_t shift = 0; shift < units[i].size + 30; shift++)
                expect_behind(&setup, units[i], shift);
        setup_close(&setup);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_does_not_read_on),
        cmocka_unit_test(window_edges_change_nothing),
        cmocka_unit_test(counting_needs_little_memory),
        cmocka_unit_test(invalid_bytes_count_as_replacements),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
