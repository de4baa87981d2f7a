/* test_cache.c - a model in the Hugging Face cache, whole and not whole. Each
 * test builds its own cache in a fresh folder. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "hub/cache.h"
#include "hub/model_files.h"

#define COMMIT   "0123456789abcdef0123456789abcdef01234567"
#define OTHER    "89abcdef0123456789abcdef0123456789abcdef"
#define REPO     "models--org--Name"
#define SNAPSHOT REPO "/snapshots/" COMMIT "/"

static struct memory memory;
static struct error err;
static char cache[64];

static const char *at(const char *name) {
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", cache, name);
    return path;
}

static void put(const char *name, const char *text) {
    char parent[512];
    snprintf(parent, sizeof parent, "%s", at(name));
    *strrchr(parent, '/') = '\0';
    if (!folder_make(parent, &err) ||
        !file_write(at(name), str_from(text), &memory, &err))
        fail_msg("%s", err.message);
}

static void drop(const char *name) {
    assert_int_equal(unlink(at(name)), 0);
}

/* FILE of the snapshot, as the cache has it: a blob and a link to it. */
static void put_blob(const char *file, const char *etag, const char *text) {
    char name[256], target[256] = "../../blobs/", link[256];
    snprintf(name, sizeof name, REPO "/blobs/%s", etag);
    put(name, text);
    snprintf(link, sizeof link, SNAPSHOT "%s", file);
    char parent[512];
    snprintf(parent, sizeof parent, "%s", at(link));
    *strrchr(parent, '/') = '\0';
    assert_true(folder_make(parent, &err));
    if (strchr(file, '/'))
        strcpy(target, "../../../blobs/");
    strcat(target, etag);
    assert_int_equal(symlink(target, at(link)), 0);
}

static const char MODULES[] =
    "[{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
    "{\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"}"
    "]";

/* git's digests have 40 digits, those of large files 64. */
#define ETAG(c) c "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define WEIGHTS_ETAG                                                           \
    "9af1fe6a9db1d5b5b8b3bd32c47c56b3f0c8e8d6a2d4ab0d8d2e9f3a1b5c7d9e"

static int make_cache(void **state) {
    (void)state;
    strcpy(cache, "/tmp/ens-cache-XXXXXX");
    if (!mkdtemp(cache))
        return -1;
    put(REPO "/refs/main", COMMIT);
    put_blob("modules.json", ETAG("1"), MODULES);
    put_blob("config.json", ETAG("2"), "{\"model_type\":\"bert\"}");
    put_blob("tokenizer.json", ETAG("3"), "{}");
    put_blob("model.safetensors", WEIGHTS_ETAG, "weights");
    put_blob("1_Pooling/config.json", ETAG("4"), "{}");
    return 0;
}

static int remove_cache(void **state) {
    (void)state;
    return folder_remove(cache, &err) && memory_live(&memory) == 0 ? 0 : -1;
}

static struct model_files *try_open(const char *id, const char *revision) {
    struct hub_places places = {.cache = cache};
    err = (struct error){0};
    return model_files_open(&memory, id, revision, MODEL_DENSE, &places, &err);
}

static struct model_files *open_it(const char *id, const char *revision) {
    struct model_files *m = try_open(id, revision);
    if (!m)
        fail_msg("%s", err.message);
    return m;
}

static void refused(const char *id, const char *revision, enum error_code code,
                    const char *word) {
    struct model_files *m = try_open(id, revision);
    if (m)
        fail_msg("accepted %s, expected: %s", id, word);
    if (err.code != code || !strstr(err.message, word))
        fail_msg("expected %s: %s: got %s: %s", error_name(code), word,
                 error_name(err.code), err.message);
}

static void a_whole_model(void **state) {
    (void)state;
    struct model_files *m = open_it("org/Name", NULL);
    assert_string_equal(m->id, "org/Name");
    assert_string_equal(m->key, "org-Name");
    assert_string_equal(m->commit, COMMIT);
    assert_string_equal(m->revision, "main");
    assert_int_equal(m->folder[0], '/');
    assert_non_null(strstr(m->folder, REPO "/snapshots/" COMMIT));
    assert_int_equal(m->pooling[0], POOL_MEAN);
    assert_int_equal(m->max_length, 0);
    assert_true(m->positions_unsaid);
    model_files_free(m);
}

static void revisions(void **state) {
    (void)state;
    put(REPO "/refs/refs/pr/1", COMMIT "\n");
    put(REPO "/refs/v1.0", OTHER);
    put(REPO "/refs/broken", "not a commit");
    put("secret", COMMIT);
    struct model_files *m = open_it("org/Name", COMMIT);
    assert_string_equal(m->commit, COMMIT);
    model_files_free(m);
    m = open_it("org/Name", "refs/pr/1");
    assert_string_equal(m->commit, COMMIT);
    assert_string_equal(m->revision, "refs/pr/1");
    model_files_free(m);
    refused("org/Name", "v1.0", ERROR_MISSING, OTHER);
    refused("org/Name", OTHER, ERROR_MISSING, OTHER);
    refused("org/Name", "v2", ERROR_MISSING, "ensembed pull org/Name");
    refused("org/Name", "broken", ERROR_INPUT, "refs/broken");
    refused("org/Name", "../../secret", ERROR_USAGE, "../../secret");
    refused("org/Name", "/etc/passwd", ERROR_USAGE, "/etc/passwd");
    refused("org/Name", "a/../b", ERROR_USAGE, "a/../b");
    refused("org/Name", "a..b", ERROR_USAGE, "a..b");
    refused("org/Name", "", ERROR_USAGE, "revision");
}

static void ids(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "org/Name/more", "../Name", "org/../Name", "/org/Name",
        "org//Name",     "org/",    "org/Na me",   "org/.Name",
        "org--Name",     "",        ".",           "org\\Name",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(hub_id_valid(BAD[i]));
    assert_true(hub_id_valid("bert-base-uncased"));
    assert_true(hub_id_valid("Foo-BAR_foo.bar123/a"));
    refused("org/Name/more", NULL, ERROR_MISSING, "not a folder with");
    refused("other/Name", NULL, ERROR_MISSING, "ensembed pull other/Name");
    refused("other/Name", NULL, ERROR_MISSING, cache);
    struct hub_places nowhere = {.cache = "/tmp/ens-not-there"};
    assert_null(model_files_open(&memory, "org/Name", NULL, MODEL_DENSE,
                                 &nowhere, &err));
    assert_non_null(strstr(err.message, "/tmp/ens-not-there"));
    assert_null(
        model_files_open(&memory, "org/Name", NULL, MODEL_DENSE, NULL, &err));
    assert_int_equal(err.code, ERROR_MISSING);
}

static void registry_keys(void **state) {
    (void)state;
    assert_int_equal(
        rename(at(REPO), at("models--sentence-transformers--all-MiniLM-L6-v2")),
        0);
    struct model_files *m = open_it("ALL-minilm-L6", NULL);
    assert_string_equal(m->key, "all-miniLM-l6");
    assert_string_equal(m->id, "sentence-transformers/all-MiniLM-L6-v2");
    model_files_free(m);
    m = open_it("sentence-transformers/all-MiniLM-L6-v2", NULL);
    assert_string_equal(m->key, "all-miniLM-l6");
    model_files_free(m);
    m = open_it("qdrant-minilm-onnx", NULL);
    assert_string_equal(m->key, "qdrant-minilm-onnx");
    model_files_free(m);
    /* as sentence-transformers completes it */
    m = open_it("all-MiniLM-L6-v2", NULL);
    assert_string_equal(m->id, "sentence-transformers/all-MiniLM-L6-v2");
    model_files_free(m);
    /* by its folder */
    m = open_it(at("models--sentence-transformers--all-MiniLM-L6-v2"
                   "/snapshots/" COMMIT),
                NULL);
    assert_string_equal(m->key, "all-miniLM-l6");
    assert_string_equal(m->commit, COMMIT);
    model_files_free(m);
    refused("Qdrant/all-MiniLM-L6-v2-onnx", NULL, ERROR_UNSUPPORTED,
            "use sentence-transformers/all-MiniLM-L6-v2");
}

static void onnx_only(void **state) {
    (void)state;
    drop(SNAPSHOT "model.safetensors");
    put_blob("model.onnx", ETAG("5"), "onnx");
    refused("org/Name", NULL, ERROR_UNSUPPORTED, "model.onnx");
    assert_int_equal(
        rename(at(REPO), at("models--Qdrant--all-MiniLM-L6-v2-onnx")), 0);
    refused("Qdrant/all-MiniLM-L6-v2-onnx", NULL, ERROR_UNSUPPORTED,
            "use sentence-transformers/all-MiniLM-L6-v2");
}

/* What stands in for a model does not lend it its name. */
static void a_replaced_model_keeps_its_name(void **state) {
    (void)state;
    static const char MOVED[] = "models--Qdrant--all-MiniLM-L6-v2-onnx";
    assert_int_equal(rename(at(REPO), at(MOVED)), 0);
    struct model_files *m = open_it("Qdrant/all-MiniLM-L6-v2-onnx", NULL);
    assert_string_equal(m->key, "Qdrant-all-MiniLM-L6-v2-onnx");
    model_files_free(m);
    char snapshot[256];
    snprintf(snapshot, sizeof snapshot, "%s/snapshots/" COMMIT, at(MOVED));
    m = open_it(snapshot, NULL);
    assert_string_equal(m->key, "Qdrant-all-MiniLM-L6-v2-onnx");
    model_files_free(m);
}

/* The library leaves INSTRUCTOR's prompts out of the pooling by the hub's name,
 * for its files do not say so. */
static void a_model_that_is_known_by_its_name(void **state) {
    (void)state;
    struct model_files *m = open_it("org/Name", NULL);
    assert_true(m->pooling_include_prompt);
    model_files_free(m);
    assert_int_equal(rename(at(REPO), at("models--hkunlp--instructor-large")),
                     0);
    m = open_it("hkunlp/instructor-large", NULL);
    assert_false(m->pooling_include_prompt);
    model_files_free(m);
}

static void a_snapshot_by_its_folder(void **state) {
    (void)state;
    struct model_files *m = open_it(at(REPO "/snapshots/" COMMIT "/"), NULL);
    assert_string_equal(m->id, "org/Name");
    assert_string_equal(m->commit, COMMIT);
    assert_string_equal(m->key, "org-Name");
    model_files_free(m);
    drop(REPO "/blobs/" ETAG("3"));
    refused(at(REPO "/snapshots/" COMMIT), NULL, ERROR_MISSING,
            "tokenizer.json");
}

static void real_files_in_the_snapshot(void **state) {
    (void)state;
    drop(SNAPSHOT "model.safetensors");
    put(SNAPSHOT "model.safetensors", "weights");
    assert_true(folder_remove(at(REPO "/blobs"), &err));
    static const char *const FILES[] = {"modules.json", "config.json",
                                        "tokenizer.json",
                                        "1_Pooling/config.json"};
    for (size_t i = 0; i < 4; i++) {
        char name[256];
        snprintf(name, sizeof name, SNAPSHOT "%s", FILES[i]);
        drop(name);
        put(name, i ? "{}" : MODULES);
    }
    char weights[65], tokenizer[65], hex[65];
    uint8_t digest[SHA256_BYTES];
    struct model_files *m = open_it("org/Name", NULL);
    assert_true(model_files_digest(m, weights, tokenizer, &err));
    hash_sha256(STR("weights"), digest);
    hash_hex(digest, sizeof digest, hex);
    assert_string_equal(weights, hex);
    model_files_free(m);
}

/* The name of a large blob is its digest, whatever it holds. */
static void a_blob_is_named_by_its_digest(void **state) {
    (void)state;
    char weights[65], tokenizer[65], hex[65];
    uint8_t digest[SHA256_BYTES];
    struct model_files *m = open_it("org/Name", NULL);
    assert_true(model_files_digest(m, weights, tokenizer, &err));
    assert_string_equal(weights, WEIGHTS_ETAG);
    hash_sha256(STR("{}"), digest); /* git's digest is not this one */
    hash_hex(digest, sizeof digest, hex);
    assert_string_equal(tokenizer, hex);
    model_files_free(m);
}

static void links_to_nothing(void **state) {
    (void)state;
    drop(REPO "/blobs/" WEIGHTS_ETAG);
    drop(REPO "/blobs/" ETAG("3"));
    refused("org/Name", NULL, ERROR_MISSING,
            "model.safetensors (a link to a blob that is not there), "
            "tokenizer.json (a link");
    assert_non_null(strstr(err.message, COMMIT));
    assert_non_null(strstr(err.message, cache));
    assert_non_null(strstr(err.message, "ensembed pull org/Name"));
    put(REPO "/blobs/" WEIGHTS_ETAG ".incomplete", "wei");
    refused("org/Name", NULL, ERROR_MISSING,
            "model.safetensors (its download was cut off)");
}

static void a_download_that_was_cut_off(void **state) {
    (void)state;
    put(REPO "/blobs/" ETAG("9") ".incomplete", "");
    refused("org/Name", NULL, ERROR_MISSING,
            "config_sentence_transformers.json (a download was cut off)");
    put(REPO "/.no_exist/" COMMIT "/config_sentence_transformers.json", "");
    put(REPO "/.no_exist/" COMMIT "/sentence_bert_config.json", "");
    put(REPO "/.no_exist/" COMMIT "/tokenizer_config.json", "");
    refused("org/Name", NULL, ERROR_MISSING,
            "special_tokens_map.json (a download was cut off)");
    put(REPO "/.no_exist/" COMMIT "/special_tokens_map.json", "");
    put(REPO "/.no_exist/" COMMIT "/added_tokens.json", "");
    model_files_free(open_it("org/Name", NULL));
}

/* Without modules.json the pooling would be a guess. */
static void modules_must_be_known(void **state) {
    (void)state;
    drop(SNAPSHOT "modules.json");
    refused("org/Name", NULL, ERROR_MISSING, "modules.json");
    put(REPO "/.no_exist/" COMMIT "/modules.json", "");
    model_files_free(open_it("org/Name", NULL));
    drop(REPO "/.no_exist/" COMMIT "/modules.json");
    put_blob(".gitattributes", ETAG("6"), "*.bin filter=lfs");
    struct model_files *m = open_it("org/Name", NULL);
    assert_int_equal(m->pooling[0], POOL_MEAN);
    model_files_free(m);
}

static void put_tree(const char *weights, const char *more) {
    char text[2048];
    snprintf(text, sizeof text,
             "{\"format_version\":1,\"files\":{"
             "\"modules.json\":{\"size\":%zu,\"blob_id\":\"x\"},"
             "\"config.json\":{\"size\":21,\"blob_id\":\"x\"},"
             "\"tokenizer.json\":{\"size\":2,\"blob_id\":\"x\"},"
             "\"1_Pooling/config.json\":{\"size\":2,\"blob_id\":\"x\"},"
             "\"model.safetensors\":{\"size\":134,\"blob_id\":\"x\","
             "\"lfs_sha256\":\"" WEIGHTS_ETAG "\",\"lfs_size\":%s}%s}}",
             sizeof MODULES - 1, weights, more);
    put(REPO "/trees/" COMMIT ".json", text);
}

static void the_tree_knows_what_is_missing(void **state) {
    (void)state;
    put_tree("7", "");
    model_files_free(open_it("org/Name", NULL));
    put_tree("8", "");
    refused("org/Name", NULL, ERROR_MISSING,
            "model.safetensors (7 of 8 bytes)");
    put_tree("7", ",\"sentence_bert_config.json\":{\"size\":5}");
    refused("org/Name", NULL, ERROR_MISSING,
            "missing sentence_bert_config.json");
    put_tree("7", ",\"README.md\":{\"size\":5}");
    put(REPO "/blobs/" ETAG("9") ".incomplete", ""); /* of README.md, say */
    model_files_free(open_it("org/Name", NULL));
    drop(SNAPSHOT "model.safetensors");
    refused("org/Name", NULL, ERROR_MISSING, "missing model.safetensors");
    drop(SNAPSHOT "modules.json");
    refused("org/Name", NULL, ERROR_MISSING, "missing modules.json,");
    /* a listing that cannot be read is none */
    put(REPO "/trees/" COMMIT ".json", "{\"format_version\":2,\"files\":{"
                                       "\"model.safetensors\":{\"size\":9}}}");
    put(SNAPSHOT "modules.json", MODULES);
    put(SNAPSHOT "model.safetensors", "weights");
    drop(REPO "/blobs/" ETAG("9") ".incomplete");
    model_files_free(open_it("org/Name", NULL));
}

static void shards_of_the_cache(void **state) {
    (void)state;
    drop(SNAPSHOT "model.safetensors");
    put_blob("model.safetensors.index.json", ETAG("7"),
             "{\"weight_map\":{\"a\":\"m-1.safetensors\","
             "\"b\":\"m-2.safetensors\",\"c\":\"m-3.safetensors\"}}");
    put_blob("m-1.safetensors", ETAG("8"), "one");
    refused("org/Name", NULL, ERROR_MISSING,
            "missing m-2.safetensors, m-3.safetensors in");
    put_blob("m-2.safetensors", ETAG("9"), "two");
    put_blob("m-3.safetensors", ETAG("b"), "three");
    struct model_files *m = open_it("org/Name", NULL);
    assert_int_equal(m->weights_count, 3);
    model_files_free(m);
    drop(REPO "/blobs/" ETAG("9"));
    refused("org/Name", NULL, ERROR_MISSING, "m-2.safetensors (a link");
}

/* The list is cut before the remedy would be. */
static void many_missing_shards(void **state) {
    (void)state;
    drop(SNAPSHOT "model.safetensors");
    char index[8192] = "{\"weight_map\":{";
    for (unsigned i = 1; i <= 60; i++)
        snprintf(index + strlen(index), 80,
                 "%s\"t%u\":\"model-%05u-of-00060.safetensors\"",
                 i > 1 ? "," : "", i, i);
    strcat(index, "}}");
    put_blob("model.safetensors.index.json", ETAG("7"), index);
    refused("org/Name", NULL, ERROR_MISSING, " and 50 more in ");
    assert_non_null(strstr(err.message, "ensembed pull org/Name@" COMMIT));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_cache, remove_cache)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_whole_model),
        TEST(revisions),
        TEST(ids),
        TEST(registry_keys),
        TEST(onnx_only),
        TEST(a_replaced_model_keeps_its_name),
        TEST(a_model_that_is_known_by_its_name),
        TEST(a_snapshot_by_its_folder),
        TEST(real_files_in_the_snapshot),
        TEST(a_blob_is_named_by_its_digest),
        TEST(links_to_nothing),
        TEST(a_download_that_was_cut_off),
        TEST(modules_must_be_known),
        TEST(the_tree_knows_what_is_missing),
        TEST(shards_of_the_cache),
        TEST(many_missing_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
