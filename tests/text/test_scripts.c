/* test_scripts.c - UnicodeScripts on every code point, alone and next to
 * others, against digests that tools/unicode_scripts.py made of the package's
 * own answers. */

#include "fixture.h"

#include "base/hash.h"
#include "base/utf8.h"
#include "text/pretokenizers.h"
#include "text/unicode_scripts.h"

enum { BLOCK = 1024, NEIGHBOURS = 16 };

static struct memory heap;

struct probe {
    struct arena arena;
    struct pretokenizers steps;
    struct pretokenizers_scratch scratch;
    uint32_t neighbours[NEIGHBOURS];
    size_t neighbour_count;
    uint32_t before; /* the code point asked about last */
    struct sha256 *sha;
};

static void probe_begin(struct probe *probe) {
    struct error err = {0};
    json_t *json = json_pack("{s:s}", "type", "UnicodeScripts");
    *probe = (struct probe){.arena = arena_make(&heap)};
    must(pretokenizers_load(&probe->steps, json, "test", &heap, &probe->arena,
                            &err),
         &err);
    probe->scratch = pretokenizers_scratch_make(&heap);
    json_decref(json);
}

static void probe_end(struct probe *probe) {
    pretokenizers_scratch_free(&probe->scratch);
    pretokenizers_free(&probe->steps);
    arena_free(&probe->arena);
    assert_int_equal(memory_live(&heap), 0);
}

/* The pieces of the COUNT CODES as one text. */
static void ask(struct probe *probe, const uint32_t *codes, size_t count) {
    char bytes[4 * UTF8_MAX_BYTES];
    struct error err = {0};
    struct words words;
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += utf8_put(codes[i], bytes + size);
    must(pretokenizers_run(&probe->steps, &probe->scratch,
                           (struct str){bytes, size}, true, &words, &err),
         &err);
    for (size_t i = 0; i < words.splits->count; i++) {
        struct split split = words.splits->list[i];
        sha256_add(probe->sha, words.text.data + split.begin,
                   split.end - split.begin);
        sha256_add(probe->sha, "\xff", 1);
    }
    sha256_add(probe->sha, "\xfe", 1);
}

/* The same questions in the same order as questions() in the tool. */
static void ask_all(struct probe *probe, uint32_t code) {
    ask(probe, (uint32_t[]){code}, 1);
    ask(probe, (uint32_t[]){probe->before, code}, 2);
    for (size_t i = 0; i < probe->neighbour_count; i++) {
        ask(probe, (uint32_t[]){probe->neighbours[i], code}, 2);
        ask(probe, (uint32_t[]){code, probe->neighbours[i]}, 2);
    }
    ask(probe, (uint32_t[]){'a', code, 'a'}, 3);
    ask(probe, (uint32_t[]){'a', code, 0x3B1}, 3);
    ask(probe, (uint32_t[]){' ', code, ' ', 'a'}, 4);
    probe->before = code;
}

static void read_neighbours(struct probe *probe, char *line) {
    char *word = strtok(line, " ");
    while ((word = strtok(NULL, " "))) {
        assert_true(probe->neighbour_count < NEIGHBOURS);
        probe->neighbours[probe->neighbour_count++] =
            (uint32_t)strtoul(word, NULL, 16);
    }
}

static void expect_block(struct probe *probe, uint32_t start,
                         const char *wanted) {
    uint8_t digest[SHA256_BYTES];
    char hex[17];
    probe->sha = sha256_begin();
    assert_non_null(probe->sha);
    for (uint32_t code = start; code < start + BLOCK; code++)
        if (code < 0xD800 || code > 0xDFFF)
            ask_all(probe, code);
    sha256_end(probe->sha, digest);
    hash_hex(digest, 8, hex);
    if (strncmp(hex, wanted, 16) != 0)
        fail_msg("code points from U+%04X on differ", start);
}

static void every_code_point_as_the_package(void **state) {
    (void)state;
    struct probe probe;
    probe_begin(&probe);
    FILE *file = fopen(FIXTURES "script_digests.txt", "r");
    assert_non_null(file);
    char line[256];
    uint32_t blocks = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        if (strncmp(line, "neighbours", 10) == 0)
            read_neighbours(&probe, line);
        else
            expect_block(&probe, blocks++ * BLOCK, strchr(line, ' ') + 1);
    }
    fclose(file);
    assert_int_equal(blocks, 0x110000 / BLOCK);
    assert_true(probe.neighbour_count > 4);
    probe_end(&probe);
}

/* Each number is some code point's, or the table is not the whole one. */
static void every_script_is_there(void **state) {
    (void)state;
    bool seen[UNICODE_SCRIPTS + 1] = {false};
    for (uint32_t code = 0; code < 0x110000; code++) {
        assert_true(unicode_script(code) <= UNICODE_SCRIPTS);
        seen[unicode_script(code)] = true;
    }
    for (size_t i = 0; i <= UNICODE_SCRIPTS; i++)
        assert_true(seen[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_as_the_package),
        cmocka_unit_test(every_script_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
