/* test_fetch_parts.c - the parts of a fetch that need no server: names and
 * lists that come from one, and which files are chosen. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "hub/blob.h"
#include "hub/choose.h"
#include "hub/hub.h"
#include "hub/repo_tree.h"

#define SHA1 "0123456789012345678901234567890123456789"
#define SHA256                                                                 \
    "0123456789012345678901234567890123456789012345678901234567890123"

static struct memory memory;

static void paths(void **state) {
    (void)state;
    static const char *const safe[] = {
        "a",   "a/b",     "a b",         ".gitattributes",       "a/..b",
        "...", "a/b/c.d", "caf\xC3\xA9", "1_Pooling/config.json"};
    static const char *const unsafe[] = {"",
                                         "/",
                                         "/a",
                                         "a/",
                                         "a//b",
                                         ".",
                                         "..",
                                         "../a",
                                         "a/../b",
                                         "a/..",
                                         "./a",
                                         "a/./b",
                                         "a\\b",
                                         "a\nb",
                                         "a\x7F",
                                         "a\tb",
                                         "//",
                                         "a/b/..",
                                         "../../../etc/passwd"};
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        if (!repo_path_safe(safe[i], strlen(safe[i])))
            fail_msg("%s is safe", safe[i]);
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++)
        if (repo_path_safe(unsafe[i], strlen(unsafe[i])))
            fail_msg("%s is not safe", unsafe[i]);
    assert_false(repo_path_safe("a\0b", 3));
    char part[300];
    memset(part, 'x', sizeof part);
    assert_true(repo_path_safe(part, 255));
    assert_false(repo_path_safe(part, 256));
}

static void etags(void **state) {
    (void)state;
    struct arena arena = arena_make(&memory);
    struct error err = {0};
    assert_string_equal(blob_etag(&arena, "\"abc\"", &err), "abc");
    assert_string_equal(blob_etag(&arena, "W/\"abc\"", &err), "abc");
    assert_string_equal(blob_etag(&arena, "abc-1.2_3", &err), "abc-1.2_3");
    static const char *const bad[] = {
        "",       "\"\"",   "W/",  "\"../x\"", "\"a/b\"",
        "\"..\"", "\".x\"", "a b", "a\"b",     "\xC3\xA9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (struct error){0};
        if (blob_etag(&arena, bad[i], &err))
            fail_msg("%s is taken", bad[i]);
        assert_int_equal(err.code, ERROR_INPUT);
    }
    arena_free(&arena);
}

static void expect_link(const char *header, const char *url) {
    struct str link = hub_next_link(header);
    if (!str_equal(link, str_from(url)))
        fail_msg("%s gives '%.*s', not '%s'", header, STR_ARG(link), url);
}

static void links_to_the_next_page(void **state) {
    (void)state;
    expect_link("<http://h/p?cursor=1>; rel=\"next\"", "http://h/p?cursor=1");
    expect_link("<a>; rel=\"prev\", <b>; rel=\"next\"", "b");
    expect_link("<a>; rel=\"next\", <b>; rel=\"last\"", "a");
    expect_link("<a>; rel=\"prev\"", "");
    expect_link("<a; rel=\"next\"", "");
    expect_link("", "");
    expect_link("<", "");
    expect_link(">; rel=\"next\"", "");
    expect_link("<>; rel=\"next\"", "");
}

static void parts_of_addresses(void **state) {
    (void)state;
    struct strbuf out = strbuf_make(&memory);
    hub_quote(&out, "refs/pr/1", "");
    hub_quote(&out, "|a/b c\xC3\xA9%?#", "/");
    /* RFC 3986 by hand */
    assert_string_equal(out.data, "refs%2Fpr%2F1%7Ca/b%20c%C3%A9%25%3F%23");
    strbuf_free(&out);
}

/* A list of PATHS, NULL at the end; each has SIZE times its place bytes. */
static void list(struct arena *arena, struct repo_tree *tree,
                 const char *const *names) {
    struct error err = {0};
    json_t *page = json_array();
    for (int i = 0; names[i]; i++) {
        json_t *row = json_pack("{s:s, s:s, s:i, s:s}", "type", "file", "path",
                                names[i], "size", 10 + i, "oid", SHA1);
        if (str_ends(str_from(names[i]), STR(".safetensors")))
            json_object_set_new(
                row, "lfs",
                json_pack("{s:s, s:i}", "oid", SHA256, "size", 1000 + i));
        json_array_append_new(page, row);
    }
    *tree = repo_tree_make(arena);
    assert_true(repo_tree_add_page(tree, page, "test", &err));
    assert_true(repo_tree_finish(tree, "test", &err));
    json_decref(page);
}

/* Of NAMES the chosen ones, joined with spaces, are EXPECTED. */
static void expect_choice(const char *const *names, const char *modules,
                          const char *expected) {
    struct arena arena = arena_make(&memory);
    struct repo_tree tree;
    struct choice choice;
    struct error err = {0};
    json_t *document = modules ? json_loads(modules, 0, NULL) : NULL;
    struct strbuf text = strbuf_make(&memory);
    list(&arena, &tree, names);
    if (choose_files(&arena, &tree, document, "org/name", &choice, &err))
        for (size_t i = 0; i < choice.count; i++)
            strbuf_printf(&text, "%s%s", i ? " " : "", choice.files[i]->path);
    else
        strbuf_printf(&text, "refused");
    assert_string_equal(text.data, expected);
    json_decref(document);
    strbuf_free(&text);
    arena_free(&arena);
}

static void files_of_a_model(void **state) {
    (void)state;
    static const char *const usual[] = {"README.md",
                                        "config.json",
                                        "model.safetensors",
                                        "pytorch_model.bin",
                                        "onnx/model.onnx",
                                        "onnx/config.json",
                                        "tokenizer.json",
                                        "1_Pooling/config.json",
                                        "vocab.txt",
                                        "train_script.py",
                                        "sentence_bert_config.json",
                                        "config_sentence_transformers.json",
                                        "modules.json",
                                        NULL};
    /* by size: the order above, the large one last */
    expect_choice(usual, "[{\"path\": \"\"}, {\"path\": \"1_Pooling\"}]",
                  "config.json tokenizer.json 1_Pooling/config.json vocab.txt "
                  "sentence_bert_config.json "
                  "config_sentence_transformers.json modules.json "
                  "model.safetensors");
    expect_choice(usual, NULL,
                  "config.json tokenizer.json vocab.txt "
                  "sentence_bert_config.json "
                  "config_sentence_transformers.json modules.json "
                  "model.safetensors");
}

static void weights_once(void **state) {
    (void)state;
    static const char *const both[] = {"config.json",
                                       "model.safetensors",
                                       "model.fp16.safetensors",
                                       "model-00001-of-00002.safetensors",
                                       "model-00002-of-00002.safetensors",
                                       "model.safetensors.index.json",
                                       NULL};
    expect_choice(both, NULL, "config.json model.safetensors");
    static const char *const shards[] = {"config.json",
                                         "model-00001-of-00002.safetensors",
                                         "model-00002-of-00002.safetensors",
                                         "consolidated.safetensors",
                                         "model.safetensors.index.json",
                                         NULL};
    expect_choice(shards, NULL,
                  "config.json model.safetensors.index.json "
                  "model-00001-of-00002.safetensors "
                  "model-00002-of-00002.safetensors");
    static const char *const bins[] = {"config.json",
                                       "sparse_linear.pt",
                                       "pytorch_model.bin",
                                       "pytorch_model-00001-of-00001.bin",
                                       "pytorch_model.bin.index.json",
                                       "training_args.bin",
                                       "2_Dense/pytorch_model.bin",
                                       NULL};
    expect_choice(bins, "[{\"path\": \"2_Dense\"}]",
                  "config.json sparse_linear.pt pytorch_model.bin "
                  "2_Dense/pytorch_model.bin");
    static const char *const bin_shards[] = {
        "config.json", "pytorch_model-00001-of-00001.bin",
        "pytorch_model.bin.index.json", NULL};
    expect_choice(bin_shards, NULL,
                  "config.json pytorch_model-00001-of-00001.bin "
                  "pytorch_model.bin.index.json");
    static const char *const routes[] = {"modules.json",
                                         "router_config.json",
                                         "query_0_SparseStatic/config.json",
                                         "document_0_MLM/config.json",
                                         "document_0_MLM/model.safetensors",
                                         "document_0_MLM/onnx/config.json",
                                         "checkpoint-7/config.json",
                                         NULL};
    expect_choice(routes, "[{\"path\": \"\", \"type\": \"x.Router\"}]",
                  "modules.json router_config.json "
                  "query_0_SparseStatic/config.json document_0_MLM/config.json "
                  "document_0_MLM/model.safetensors");
    static const char *const table[] = {
        "README.md", "modules.json", "0_StaticEmbedding/tokenizer.json",
        "0_StaticEmbedding/model.safetensors", NULL};
    expect_choice(table,
                  "[{\"path\": \"0_StaticEmbedding\", \"type\": "
                  "\"sentence_transformers.models.StaticEmbedding\"}]",
                  "modules.json 0_StaticEmbedding/tokenizer.json "
                  "0_StaticEmbedding/model.safetensors");
    expect_choice(table,
                  "[{\"path\": \"./0_StaticEmbedding\", \"type\": "
                  "\"sentence_transformers.models.Transformer\"}]",
                  "refused");
    static const char *const none[] = {"config.json", "model.onnx", NULL};
    expect_choice(none, NULL, "refused");
    static const char *const nothing[] = {NULL};
    expect_choice(nothing, NULL, "refused");
}

static void hostile_modules(void **state) {
    (void)state;
    static const char *const names[] = {"config.json", "model.safetensors",
                                        "x/config.json", NULL};
    expect_choice(names,
                  "[5, {}, {\"path\": 7}, {\"path\": \"../x\"}, "
                  "{\"path\": \"/x\"}, {\"path\": \"////\"}]",
                  "config.json model.safetensors");
    expect_choice(names, "[{\"path\": \"x/\"}]",
                  "config.json x/config.json model.safetensors");
    expect_choice(names, "[{\"path\": \".\"}, {\"path\": \"./x\"}]",
                  "config.json x/config.json model.safetensors");
    expect_choice(names, "{}", "config.json model.safetensors");
}

/* What is written is read again as it was. */
static void a_list_survives_the_disk(void **state) {
    (void)state;
    static const char *const names[] = {
        "b", "a/\"quoted\"", "caf\xC3\xA9", "\xF0\x9F\x98\x80", "m.safetensors",
        NULL};
    struct arena arena = arena_make(&memory);
    struct repo_tree tree, again = repo_tree_make(&arena);
    struct strbuf text = strbuf_make(&memory);
    char path[] = "/tmp/ensembed-tree-XXXXXX";
    struct error err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    list(&arena, &tree, names);
    repo_tree_text(&tree, &text);
    assert_true(file_write(path, strbuf_str(&text), &memory, &err));
    assert_true(repo_tree_load(&again, path));
    assert_int_equal(again.count, tree.count);
    for (size_t i = 0; i < tree.count; i++) {
        assert_string_equal(again.files[i].path, tree.files[i].path);
        assert_int_equal(repo_file_bytes(&again.files[i]),
                         repo_file_bytes(&tree.files[i]));
        assert_ptr_equal(repo_tree_find(&again, tree.files[i].path),
                         &again.files[i]);
    }
    assert_null(repo_tree_find(&again, "c"));
    static const char *const broken[] = {
        "",
        "[]",
        "{\"format_version\": 2, \"files\": {}}",
        "{\"format_version\": 1, \"files\": []}",
        "{\"format_version\": 1, \"files\": {\"../x\": {\"size\": 1, "
        "\"blob_id\": \"" SHA1 "\"}}}",
        "{\"format_version\": 1, \"files\": {\"x\": {\"size\": -1, "
        "\"blob_id\": \"" SHA1 "\"}}}",
        "{\"format_version\": 1, \"files\": {\"x\": {\"size\": 1}}}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        again = repo_tree_make(&arena);
        assert_true(file_write(path, str_from(broken[i]), &memory, &err));
        if (repo_tree_load(&again, path))
            fail_msg("taken: %s", broken[i]);
    }
    remove(path);
    close(fd);
    strbuf_free(&text);
    arena_free(&arena);
}

static int nothing_is_left(void **state) {
    (void)state;
    return memory_live(&memory) != 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, nothing_is_left)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(paths),
        TEST(etags),
        TEST(links_to_the_next_page),
        TEST(parts_of_addresses),
        TEST(files_of_a_model),
        TEST(weights_once),
        TEST(hostile_modules),
        TEST(a_list_survives_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
