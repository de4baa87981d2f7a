/* test_unicode.c - normalize and pretokenize on every code point, against
 * digests that tools/unicode_tables.py made of the package's own answers. */

#include "fixture.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/unicode_tables.h"

enum { BLOCK = 1024, NORMALIZERS = 5 };

static struct memory heap;

struct probe {
    struct normalizer normalizers[NORMALIZERS];
    struct pretokenizer pretokenizer;
    struct normalize_marks marks;
    struct strbuf text, out;
    struct strbuf ladder;
    struct sha256 *sha;
};

static struct probe probe_make(void) {
    struct probe probe = {
        .normalizers = {{.clean_text = true},
                        {.handle_chinese_chars = true},
                        {.strip_accents = true},
                        {.lowercase = true},
                        {true, true, true, true, {0}}},
        .marks = {.memory = &heap},
        .text = strbuf_make(&heap),
        .out = strbuf_make(&heap),
        .ladder = strbuf_make(&heap),
    };
    for (size_t i = 0; i < NORMALIZERS; i++)
        normalize_prepare(&probe.normalizers[i]);
    pretokenize_prepare(&probe.pretokenizer);
    return probe;
}

static void answer(struct probe *probe, struct str text) {
    sha256_add(probe->sha, text.data, text.size);
    sha256_add(probe->sha, "\xff", 1);
}

static void normalized(struct probe *probe, const struct normalizer *normalizer,
                       struct str text) {
    strbuf_clear(&probe->out);
    normalize_add(normalizer, &probe->marks, text, &probe->out);
    normalize_end(&probe->marks, &probe->out);
    answer(probe, strbuf_str(&probe->out));
}

static void add_code(struct probe *probe, uint32_t code) {
    char bytes[UTF8_MAX_BYTES];
    strbuf_add(&probe->text, (struct str){bytes, utf8_put(code, bytes)});
}

static void words(struct probe *probe, struct str text) {
    struct str word;
    size_t at = 0;
    while (pretokenize_next(&probe->pretokenizer, text, &at, &word))
        answer(probe, word);
}

/* The same questions in the same order as digests() in the tool asks. */
static void ask(struct probe *probe, uint32_t code) {
    strbuf_clear(&probe->text);
    add_code(probe, code);
    for (size_t i = 0; i < NORMALIZERS; i++)
        normalized(probe, &probe->normalizers[i], strbuf_str(&probe->text));
    strbuf_clear(&probe->text);
    strbuf_add(&probe->text, strbuf_str(&probe->ladder));
    add_code(probe, code);
    strbuf_add(&probe->text, strbuf_str(&probe->ladder));
    normalized(probe, &probe->normalizers[2], strbuf_str(&probe->text));
    strbuf_clear(&probe->text);
    strbuf_add_char(&probe->text, 'a');
    add_code(probe, code);
    strbuf_add_char(&probe->text, 'a');
    words(probe, strbuf_str(&probe->text));
    uint16_t flags = unicode_flags(code);
    answer(probe, flags & UNICODE_WORD ? STR("w") : STR("-"));
    answer(probe, flags & UNICODE_STRIPPED ? STR("s") : STR("-"));
}

static void block_digest(struct probe *probe, uint32_t start, char hex[17]) {
    uint8_t digest[SHA256_BYTES];
    probe->sha = sha256_begin();
    assert_non_null(probe->sha);
    for (uint32_t code = start; code < start + BLOCK; code++)
        if (code < 0xD800 || code > 0xDFFF)
            ask(probe, code);
    sha256_end(probe->sha, digest);
    hash_hex(digest, 8, hex);
}

/* The line "ladder X X ...": a mark of each class. */
static void read_ladder(struct probe *probe, char *line) {
    for (char *word = strtok(line + 6, " "); word; word = strtok(NULL, " ")) {
        char bytes[UTF8_MAX_BYTES];
        uint32_t code = (uint32_t)strtoul(word, NULL, 16);
        strbuf_add(&probe->ladder, (struct str){bytes, utf8_put(code, bytes)});
    }
}

static void every_code_point_as_the_package(void **state) {
    (void)state;
    struct probe probe = probe_make();
    FILE *file = fopen(FIXTURES "unicode_digests.txt", "r");
    assert_non_null(file);
    char line[256], hex[17];
    uint32_t blocks = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        if (strncmp(line, "ladder", 6) == 0) {
            read_ladder(&probe, line);
            continue;
        }
        char *wanted = strchr(line, ' ');
        uint32_t start = (uint32_t)strtoul(line, NULL, 16);
        assert_int_equal(start, blocks++ * BLOCK);
        block_digest(&probe, start, hex);
        if (strncmp(hex, wanted + 1, 16) != 0)
            fail_msg("code points from U+%04X on differ", start);
    }
    assert_int_equal(blocks, 0x110000 / BLOCK);
    assert_true(probe.ladder.size > 0);
    fclose(file);
    memory_free(&heap, probe.marks.codes);
    strbuf_free(&probe.text);
    strbuf_free(&probe.out);
    strbuf_free(&probe.ladder);
    assert_int_equal(memory_live(&heap), 0);
}

/* A text cut anywhere between code points gives what the whole gives. */
static void pieces_give_what_the_whole_gives(void **state) {
    (void)state;
    static const char text[] = "E\xCC\x81 \xE3\x80\xAE\xE1\xAE\xAA\xCC\x81"
                               "\xF0\x9D\x85\xA5\xE3\x80\xAE x\xE4\xB8\xAD\xC4"
                               "\xB0\xEA\xB0\x81\xEF\xA4\x80\r\n\x7F";
    struct probe probe = probe_make();
    struct str whole = {text, sizeof text - 1};
    struct strbuf expected = strbuf_make(&heap);
    const struct normalizer *normalizer = &probe.normalizers[4];
    normalize_add(normalizer, &probe.marks, whole, &expected);
    normalize_end(&probe.marks, &expected);
    for (size_t cut = 1; cut < whole.size; cut++) {
        if (((uint8_t)text[cut] & 0xC0) == 0x80)
            continue;
        strbuf_clear(&probe.out);
        normalize_add(normalizer, &probe.marks, (struct str){text, cut},
                      &probe.out);
        normalize_add(normalizer, &probe.marks,
                      (struct str){text + cut, whole.size - cut}, &probe.out);
        normalize_end(&probe.marks, &probe.out);
        assert_true(str_equal(strbuf_str(&probe.out), strbuf_str(&expected)));
    }
    memory_free(&heap, probe.marks.codes);
    strbuf_free(&probe.out);
    strbuf_free(&expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_as_the_package),
        cmocka_unit_test(pieces_give_what_the_whole_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
