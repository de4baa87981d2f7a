/* test_folders.c - tokenizers of whole folders, old ones among them, against
 * what transformers makes of the same folder (tools/tokenizer_folders.py).
 *
 * With arguments it is a program for that script:
 *
 *     test_text_folders --folder DIR
 *
 * reads JSON strings, one a line, and writes {"ids", "second"} lines, the
 * second of the pair of the text with itself; a folder that is refused gives
 * one line {"refused"}.
 */

#include "fixture.h"

#include <dirent.h>

#include "base/file.h"
#include "text/folder.h"

static struct memory heap;

enum { FILES_MAX = 32 };

/* A folder in memory. */
struct opened {
    struct tokenizer_folder folder;
    struct tokenizer_file files[FILES_MAX];
    struct file_map maps[FILES_MAX];
    char names[FILES_MAX][64];
    json_t *config;
};

static void folder_open(struct opened *opened, const char *path) {
    DIR *dir = opendir(path);
    assert_non_null(dir);
    memset(opened, 0, sizeof *opened);
    opened->folder.path = path;
    opened->folder.files = opened->files;
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t i = opened->folder.count;
        char file[512];
        struct error err = {0};
        if (entry->d_name[0] == '.')
            continue;
        assert_true(i < FILES_MAX && strlen(entry->d_name) < 64);
        snprintf(opened->names[i], 64, "%.63s", entry->d_name);
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        must(file_map_open(&opened->maps[i], file, &err), &err);
        opened->files[i] = (struct tokenizer_file){
            opened->names[i], {opened->maps[i].data, opened->maps[i].size}};
        opened->folder.count++;
        if (strcmp(entry->d_name, "config.json") == 0)
            opened->config = fixture_json(file);
    }
    closedir(dir);
    opened->folder.model_type =
        json_string_value(json_object_get(opened->config, "model_type"));
    opened->folder.tokenizer_class =
        json_string_value(json_object_get(opened->config, "tokenizer_class"));
}

static void folder_close(struct opened *opened) {
    for (size_t i = 0; i < opened->folder.count; i++)
        file_map_close(&opened->maps[i]);
    json_decref(opened->config);
}

static struct str text_of(const json_t *json) {
    return (struct str){json_string_value(json), json_string_length(json)};
}

/* The ids of TEXT, and the second of the pair of it with itself. */
static size_t encode(const struct tokenizer *tokenizer,
                     struct tokenizer_scratch *scratch, struct str text,
                     struct tokens *tokens) {
    struct error err = {0};
    struct tokenized what;
    tokens->count = 0;
    must(tokenizer_encode_pair(tokenizer, scratch, text, text, 0, TOKENIZER_CUT,
                               tokens, &what, &err),
         &err);
    size_t second = what.second;
    fixture_encode(tokenizer, scratch, text, 0, TOKENIZER_CUT, tokens);
    return second;
}

static int print_folder(const char *path) {
    struct opened opened;
    struct error err = {0};
    folder_open(&opened, path);
    struct tokenizer *tokenizer =
        tokenizer_create_folder(&heap, &opened.folder, &err);
    if (!tokenizer) {
        json_t *reason = json_pack("{s:s}", "refused", err.message);
        json_dumpf(reason, stdout, JSON_COMPACT);
        json_decref(reason);
        return 0;
    }
    struct tokenizer_scratch *scratch = fixture_scratch(tokenizer, &heap);
    struct tokens tokens = tokens_make(&heap);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    while ((size = getline(&line, &capacity, stdin)) > 0) {
        json_t *text = json_parse((struct str){line, (size_t)size}, "", &err);
        must(text, &err);
        size_t second = encode(tokenizer, scratch, text_of(text), &tokens);
        fputs("{\"ids\":[", stdout);
        for (size_t i = 0; i < tokens.count; i++)
            printf("%s%u", i ? "," : "", tokens.ids[i]);
        printf("],\"second\":%zu}\n", second);
        json_decref(text);
    }
    free(line);
    tokens_free(&tokens);
    tokenizer_scratch_free(scratch);
    tokenizer_free(tokenizer);
    folder_close(&opened);
    return 0;
}

static bool same_ids(const json_t *ids, const struct tokens *tokens) {
    bool same = json_array_size(ids) == tokens->count;
    for (size_t i = 0; same && i < tokens->count; i++)
        same = json_integer_value(json_array_get(ids, i)) == tokens->ids[i];
    return same;
}

static void expect_folder(const json_t *row) {
    char path[512];
    const char *name = json_string_value(json_object_get(row, "folder"));
    const json_t *texts = json_object_get(row, "texts");
    struct opened opened;
    struct error err = {0};
    snprintf(path, sizeof path, "%sfolders/%s", FIXTURES, name);
    folder_open(&opened, path);
    struct tokenizer *tokenizer =
        tokenizer_create_folder(&heap, &opened.folder, &err);
    must(tokenizer, &err);
    folder_close(&opened); /* nothing of it is needed any more */
    struct tokenizer_scratch *scratch = fixture_scratch(tokenizer, &heap);
    struct tokens tokens = tokens_make(&heap);
    assert_true(json_array_size(texts) > 5);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        struct str text = text_of(json_array_get(texts, i));
        size_t second = encode(tokenizer, scratch, text, &tokens);
        if (!same_ids(json_array_get(json_object_get(row, "ids"), i), &tokens))
            fail_msg("%s: other ids than transformers' for: %s", name,
                     text.data);
        assert_int_equal(second, json_integer_value(json_array_get(
                                     json_object_get(row, "seconds"), i)));
    }
    tokens_free(&tokens);
    tokenizer_scratch_free(scratch);
    tokenizer_free(tokenizer);
}

static void ids_are_those_of_transformers(void **state) {
    (void)state;
    json_t *rows = fixture_json(FIXTURES "folders/reference.json");
    assert_true(json_array_size(rows) > 20);
    for (size_t i = 0; i < json_array_size(rows); i++)
        expect_folder(json_array_get(rows, i));
    json_decref(rows);
    assert_int_equal(memory_live(&heap), 0);
}

/* As paraphrase-multilingual-MiniLM-L12-v2 was: a BERT by its config.json, with
 * a Unigram tokenizer.json. */
static void another_kind_of_vocabulary_is_refused(void **state) {
    (void)state;
    static const char *const settings[] = {
        "{}", "{\"tokenizer_class\": \"PreTrainedTokenizerFast\"}"};
    for (size_t k = 0; k < 2; k++) {
        struct opened opened;
        struct error err = {0};
        folder_open(&opened, FIXTURES "folders/xlm-r_json");
        opened.folder.model_type = "bert";
        opened.folder.tokenizer_class = NULL;
        for (size_t i = 0; i < opened.folder.count; i++)
            if (strcmp(opened.names[i], "tokenizer_config.json") == 0)
                opened.files[i].content = str_from(settings[k]);
        struct tokenizer *tokenizer =
            tokenizer_create_folder(&heap, &opened.folder, &err);
        if (k == 0) {
            assert_null(tokenizer);
            assert_int_equal(err.code, ERROR_UNSUPPORTED);
            assert_non_null(strstr(err.message, "BertTokenizer"));
            assert_non_null(strstr(err.message, "write \"tokenizer_class\""));
        } else {
            must(tokenizer, &err);
        }
        tokenizer_free(tokenizer);
        folder_close(&opened);
    }
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--folder") == 0)
        return print_folder(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_transformers),
        cmocka_unit_test(another_kind_of_vocabulary_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
