/* test_forms.c - the four normal forms on every code point, alone and among
 * marks of several classes, against digests that tools/unicode_sets.py made of
 * the package's own answers. */

#include "fixture.h"

#include "base/hash.h"
#include "base/utf8.h"
#include "text/normal_form.h"

enum { BLOCK = 1024 };

static struct memory heap;

struct probe {
    struct codes codes;
    struct strbuf text, out, ladder;
    struct sha256 *sha;
};

static void add_code(struct strbuf *to, uint32_t code) {
    char bytes[UTF8_MAX_BYTES];
    strbuf_add(to, (struct str){bytes, utf8_put(code, bytes)});
}

static void ask(struct probe *probe, uint32_t code, bool among_marks) {
    strbuf_clear(&probe->text);
    if (among_marks)
        strbuf_add(&probe->text, strbuf_str(&probe->ladder));
    add_code(&probe->text, code);
    if (among_marks)
        strbuf_add(&probe->text, strbuf_str(&probe->ladder));
    for (int form = FORM_NFC; form <= FORM_NFKD; form++) {
        strbuf_clear(&probe->out);
        normal_form((enum form)form, &probe->codes, strbuf_str(&probe->text),
                    &probe->out);
        sha256_add(probe->sha, probe->out.data, probe->out.size);
        sha256_add(probe->sha, "\xff", 1);
    }
}

static void read_ladder(struct probe *probe, char *line) {
    for (char *word = strtok(line + 6, " "); word; word = strtok(NULL, " "))
        add_code(&probe->ladder, (uint32_t)strtoul(word, NULL, 16));
}

static void expect_block(struct probe *probe, uint32_t start,
                         const char *wanted) {
    uint8_t digest[SHA256_BYTES];
    char hex[17];
    probe->sha = sha256_begin();
    assert_non_null(probe->sha);
    for (uint32_t code = start; code < start + BLOCK; code++) {
        if (code >= 0xD800 && code <= 0xDFFF)
            continue;
        ask(probe, code, false);
        if (code < 0x20000)
            ask(probe, code, true);
    }
    sha256_end(probe->sha, digest);
    hash_hex(digest, 8, hex);
    if (strncmp(hex, wanted, 16) != 0)
        fail_msg("code points from U+%04X on differ", start);
}

static void every_code_point_as_the_package(void **state) {
    (void)state;
    struct probe probe = {.codes.memory = &heap,
                          .text = strbuf_make(&heap),
                          .out = strbuf_make(&heap),
                          .ladder = strbuf_make(&heap)};
    FILE *file = fopen(FIXTURES "unicode_set_digests.txt", "r");
    assert_non_null(file);
    char line[1024];
    uint32_t blocks = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        if (strncmp(line, "ladder", 6) == 0)
            read_ladder(&probe, line);
        else
            expect_block(&probe, blocks++ * BLOCK, strchr(line, ' ') + 1);
    }
    assert_int_equal(blocks, 0x110000 / BLOCK);
    assert_true(probe.ladder.size > 0);
    fclose(file);
    memory_free(&heap, probe.codes.list);
    strbuf_free(&probe.text);
    strbuf_free(&probe.out);
    strbuf_free(&probe.ladder);
    assert_int_equal(memory_live(&heap), 0);
}

/* A mark moves over any number of others; what it then joins is not sorted
 * twice. A long run is sorted another way than a short one. */
static void long_runs_of_marks_are_sorted(void **state) {
    (void)state;
    struct codes codes = {.memory = &heap};
    for (size_t count = 1; count < 40; count++) {
        struct strbuf text = strbuf_make(&heap), wanted = strbuf_make(&heap),
                      out = strbuf_make(&heap);
        add_code(&text, 'q');
        add_code(&wanted, 'q');
        for (size_t i = 0; i < count; i++) {
            add_code(&text, 0x301); /* above */
            add_code(&text, 0x323); /* below: goes first */
            add_code(&wanted, 0x323);
        }
        for (size_t i = 0; i < count; i++)
            add_code(&wanted, 0x301);
        normal_form(FORM_NFD, &codes, strbuf_str(&text), &out);
        assert_true(str_equal(strbuf_str(&out), strbuf_str(&wanted)));
        strbuf_free(&text);
        strbuf_free(&wanted);
        strbuf_free(&out);
    }
    memory_free(&heap, codes.list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_as_the_package),
        cmocka_unit_test(long_runs_of_marks_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
