/* test_markers.c - a marker that is in the vocabulary is one piece, wherever it
 * stands; one that is not stays text; and nothing is made again needlessly. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "run/markers.h"
#include "text/folder.h"

#define TOKENIZER "tests/fixtures/models/colbert/tokenizer.json"

static struct memory memory;

/* The fixture's tokenizer with NAME as one more word, in its vocabulary or
 * (ADDED) as a token that is matched in normalised text only. */
static json_t *with_word(const char *name, bool added, uint32_t *id) {
    struct error err = {0};
    json_t *root = json_read_file(TOKENIZER, 16 << 20, &err);
    assert_non_null(root);
    json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    *id = (uint32_t)json_object_size(vocab);
    if (!added)
        json_object_set_new(vocab, name, json_integer(*id));
    else
        json_array_append_new(json_object_get(root, "added_tokens"),
                              json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}",
                                        "id", (json_int_t)*id, "content", name,
                                        "single_word", 0, "lstrip", 0, "rstrip",
                                        0, "normalized", 1, "special", 0));
    return root;
}

/* With MORE special tokens, as the engine makes it. */
static struct tokenizer *make(const json_t *root, const struct str *more,
                              size_t count) {
    struct error err = {0};
    char *text = json_dumps(root, JSON_COMPACT);
    struct tokenizer_file file = {"tokenizer.json", str_from(text)};
    struct tokenizer_folder folder = {.path = TOKENIZER,
                                      .files = &file,
                                      .count = 1,
                                      .specials = more,
                                      .specials_count = count};
    struct tokenizer *made = tokenizer_create_folder(&memory, &folder, &err);
    if (!made)
        fail_msg("%s", err.message);
    free(text);
    return made;
}

static size_t broken(const json_t *root, const char *query,
                     const char *document, struct str found[MARKERS_MAX]) {
    struct error err = {0};
    struct multi_files multi = {.query_marker = query,
                                .document_marker = document};
    struct tokenizer *tokenizer = make(root, NULL, 0);
    struct tokenizer_scratch *scratch =
        tokenizer_scratch_create(tokenizer, &memory, &err);
    size_t count;
    if (!markers_broken(tokenizer, scratch, &memory, &multi, found, &count,
                        &err))
        fail_msg("%s", err.message);
    tokenizer_scratch_free(scratch);
    tokenizer_free(tokenizer);
    return count;
}

static bool begins_with(const json_t *root, const struct str *more,
                        size_t count, const char *text, uint32_t id) {
    struct error err = {0};
    struct tokenizer *tokenizer = make(root, more, count);
    struct tokenizer_scratch *scratch =
        tokenizer_scratch_create(tokenizer, &memory, &err);
    struct tokens tokens = tokens_make(&memory);
    struct tokenized what;
    assert_true(tokenizer_encode(tokenizer, scratch, str_from(text), 0,
                                 TOKENIZER_CUT, &tokens, &what, &err));
    bool begins = tokens.ids[tokenizer_special_before(tokenizer)] == id;
    tokens_free(&tokens);
    tokenizer_scratch_free(scratch);
    tokenizer_free(tokenizer);
    return begins;
}

static void a_word_of_the_vocabulary_is_one_piece(void **state) {
    (void)state;
    uint32_t id;
    struct str found[MARKERS_MAX];
    json_t *root = with_word("[unused1]", false, &id);
    assert_false(begins_with(root, NULL, 0, "[unused1] a list", id));
    assert_int_equal(broken(root, "[unused1] ", NULL, found), 1);
    assert_true(begins_with(root, found, 1, "[unused1] a list", id));
    assert_int_equal(broken(root, NULL, "[unused1]", found), 1);
    assert_true(begins_with(root, found, 1, "[unused1]a list", id));
    json_decref(root);
}

/* The tokenizer has it in one piece already. */
static void an_added_token_is_left_alone(void **state) {
    (void)state;
    uint32_t id;
    struct str found[MARKERS_MAX];
    json_t *root = with_word("[Q] ", true, &id);
    assert_true(begins_with(root, NULL, 0, "[Q] a list", id));
    assert_int_equal(broken(root, "[Q] ", "[D] ", found), 0);
    json_decref(root);
}

static void text_stays_text(void **state) {
    (void)state;
    uint32_t id;
    struct str found[MARKERS_MAX];
    json_t *root = with_word("[unused1]", false, &id);
    assert_int_equal(broken(root, "query: ", "[D] ", found), 0);
    assert_int_equal(broken(root, NULL, "", found), 0);
    json_decref(root);
    assert_int_equal(memory_live(&memory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_of_the_vocabulary_is_one_piece),
        cmocka_unit_test(an_added_token_is_left_alone),
        cmocka_unit_test(text_stays_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
