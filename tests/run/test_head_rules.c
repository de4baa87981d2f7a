/* test_head_rules.c - the special tokens that lexical weights leave out, when
 * the system tells what is in the folder and when it does not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/blind.h"
#include "base/file.h"
#include "run/head_rules.h"
#include "text/folder.h"

#define M3 "tests/fixtures/models/m3"

static struct memory memory;

static struct tokenizer *tokenizer_of_m3(void) {
    struct error err = {0};
    struct strbuf text = strbuf_make(&memory);
    assert_true(file_read(M3 "/tokenizer.json", 1 << 20, &text, &err));
    struct tokenizer_file file = {"tokenizer.json", strbuf_str(&text)};
    struct tokenizer_folder folder = {.path = M3, .files = &file, .count = 1};
    struct tokenizer *made = tokenizer_create_folder(&memory, &folder, &err);
    if (!made)
        fail_msg("%s", err.message);
    strbuf_free(&text);
    return made;
}

static struct model_files lexical(const char *tokenizer_folder) {
    return (struct model_files){.tokenizer_folder = tokenizer_folder,
                                .sparse = {.kind = SPARSE_LEXICAL}};
}

/* cls_token, pad_token and unk_token of its tokenizer_config.json, which names
 * no eos_token, with their ids in tokenizer.json. */
static void check_rules_of_m3(const struct head_rules *rules) {
    static const uint32_t cls_pad_unk[] = {0, 1, 3};
    assert_int_equal(rules->dropped_count, 3);
    assert_memory_equal(rules->dropped, cls_pad_unk, sizeof cls_pad_unk);
}

static void what_the_folder_names_is_dropped(void **state) {
    (void)state;
    struct tokenizer *tokenizer = tokenizer_of_m3();
    struct model_files files = lexical(M3), without = lexical(M3 "/1_Pooling");
    struct head_rules rules;
    assert_true(head_rules_find(&files, tokenizer, &rules, NULL));
    check_rules_of_m3(&rules);
    assert_true(head_rules_find(&without, tokenizer, &rules, NULL));
    assert_int_equal(rules.dropped_count, 0);
    tokenizer_free(tokenizer);
}

/* Rows with these tokens would go into the store under the right fingerprint.
 */
static void a_folder_that_cannot_be_seen_drops_the_same(void **state) {
    (void)state;
    struct tokenizer *tokenizer = tokenizer_of_m3();
    struct model_files files = lexical(M3);
    int questions = 0;
    for (;; questions++) {
        struct head_rules rules;
        struct error err = {0};
        blind_from(questions + 1);
        bool found = head_rules_find(&files, tokenizer, &rules, &err);
        bool was = blind_was();
        if (found)
            check_rules_of_m3(&rules);
        else
            assert_int_equal(err.code, ERROR_IO);
        if (!was)
            break;
    }
    assert_true(questions > 0);
    tokenizer_free(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_folder_names_is_dropped),
        cmocka_unit_test(a_folder_that_cannot_be_seen_drops_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
