/* test_embedder.c - the public header's promises to a caller who gets something
 * wrong, or stops: refused by name, and the embedder stays usable.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "ensembed.h"

static const ens_model MEAN = {.reference = "tests/fixtures/models/mean"};
static const ens_model PROMPTS = {.reference = "tests/fixtures/models/prompts"};

static ens_config config_for(const ens_model *model) {
    ens_config config;
    ens_config_init(&config);
    config.models = model;
    config.models_count = 1;
    config.threads = 1;
    config.devices = "cpu";
    return config;
}

static void refused(const ens_config *config, const char *message) {
    ens_error error = {0};
    assert_null(ens_create(config, &error));
    assert_int_equal(error.code, ENS_USAGE);
    assert_string_equal(error.message, message);
    assert_null(ens_create(config, NULL));
}

static void what_is_no_choice_is_refused(void **state) {
    (void)state;
    ens_config config = config_for(&MEAN);
    config.exports = ENS_EXPORT_POINTS | 64;
    refused(&config, "config.exports: 66 is no sum of ENS_EXPORT_ bits");
    config = config_for(&MEAN);
    int wrong = 9;
    memcpy(&config.mode, &wrong, sizeof wrong);
    refused(&config, "config.mode: 9 is no ens_mode");
    config = config_for(&MEAN);
    memcpy(&config.fuse, &wrong, sizeof wrong);
    refused(&config, "config.fuse: 9 is no ens_fuse");
    config = config_for(&MEAN);
    config.size--;
    refused(&config, "the configuration was not made by ens_config_init");
    const ens_model nothing = {0}, light = {.reference = "m", .weight = -1};
    config = config_for(&nothing);
    refused(&config, "model 0 has no reference");
    config = config_for(&light);
    refused(&config, "model 0 has a weight below 0");
    const ens_limit no_bytes = {.device = "cpu"};
    config = config_for(&MEAN);
    config.margins = &no_bytes;
    config.margins_count = 1;
    refused(&config, "limit 0 has no device or no bytes");
}

static void all_the_choices_are_taken(void **state) {
    (void)state;
    ens_config config = config_for(&MEAN);
    config.exports = ENS_EXPORT_ALL | ENS_EXPORT_TERMS;
    config.mode = ENS_MODE_EXCLUSIVE;
    config.fuse = ENS_FUSE_CONCAT;
    ens_embedder *e = ens_create(&config, NULL);
    assert_non_null(e);
    ens_destroy(e);
    ens_destroy(NULL);
}

/* What a call refuses leaves the embedder as it was. */
static void texts_and_roles(void **state) {
    (void)state;
    ens_config config = config_for(&PROMPTS);
    ens_error error = {0};
    ens_embedder *e = ens_create(&config, &error);
    assert_non_null(e);
    size_t width = ens_width(e, &error);
    assert_true(width > 0);
    float *two = calloc(2 * width, sizeof *two);
    float *one = calloc(width, sizeof *one);
    const char *const texts[] = {"a red fox", "12345"};
    const char *const holed[] = {"a red fox", NULL};
    assert_true(ens_embed(e, texts, 2, ENS_DOCUMENT, two, &error));

    ens_role wrong;
    int number = 3;
    memcpy(&wrong, &number, sizeof wrong);
    assert_false(ens_embed(e, texts, 1, wrong, one, &error));
    assert_int_equal(error.code, ENS_USAGE);
    assert_string_equal(error.message, "3 is no ens_role");
    assert_false(ens_embed(e, holed, 2, ENS_DOCUMENT, two, &error));
    assert_int_equal(error.code, ENS_USAGE);
    assert_string_equal(error.message, "text 1 is NULL");
    assert_false(ens_embed(e, holed, 2, ENS_DOCUMENT, two, NULL));

    size_t bytes = width * sizeof *one;
    assert_true(ens_embed(e, texts + 1, 1, ENS_DOCUMENT, one, NULL));
    assert_memory_equal(one, two + width, bytes);
    assert_true(ens_embed(e, texts + 1, 1, ENS_QUERY, one, NULL));
    assert_memory_not_equal(one, two + width, bytes);
    free(two);
    free(one);
    ens_destroy(e);
}

/* ---- the main job ------------------------------------------------------- */

/* Asks for an end at the CALLS_LEFTth question. */
static bool stop(void *context) {
    int *calls_left = context;
    return --*calls_left < 0;
}

static void the_job_in_its_order(void **state) {
    (void)state;
    char folder[] = "/tmp/ens-api-XXXXXX", chunks[64], out[64];
    assert_non_null(mkdtemp(folder));
    snprintf(chunks, sizeof chunks, "%s/c.jsonl", folder);
    snprintf(out, sizeof out, "%s/out", folder);
    FILE *file = fopen(chunks, "w");
    assert_non_null(file);
    fputs("{\"text\": \"a red fox\"}\n{\"text\": \"12345\"}\n"
          "{\"text\": \"a red fox\"}\n",
          file);
    fclose(file);
    ens_config config = config_for(&MEAN);
    config.out = out;
    ens_embedder *e = ens_create(&config, NULL);
    ens_error error = {0};
    ens_result result;
    assert_null(ens_summary(e));
    assert_false(ens_run(e, &result, &error));
    assert_int_equal(error.code, ENS_USAGE);
    assert_non_null(strstr(error.message, "ens_load_chunks"));

    ens_counts counts;
    assert_true(ens_load_chunks(e, chunks, &counts, &error));
    assert_int_equal(counts.points, 3);
    assert_int_equal(counts.unique, 2);
    int calls_left = 0;
    const ens_callbacks callbacks = {.context = &calls_left,
                                     .interrupted = stop};
    ens_set_callbacks(e, &callbacks);
    assert_false(ens_run(e, &result, &error));
    assert_int_equal(error.code, ENS_INTERRUPTED);
    calls_left = 1000000;
    assert_true(ens_run(e, &result, &error));
    assert_int_equal(result.texts_computed, 2);
    assert_int_equal(result.points, 0); /* nothing was exported yet */
    assert_true(ens_export(e, &result, NULL));
    assert_int_equal(result.texts_reused, 2);
    assert_int_equal(result.points, 3);
    assert_non_null(strstr(ens_summary(e), "\"status\": \"none\""));
    assert_non_null(strstr(ens_event(e, 0), "\"type\":"));
    assert_null(ens_event(e, ens_event_count(e)));

    const ens_hit *hits;
    size_t count;
    assert_false(ens_search(e, "12345", 0, &hits, &count, &error));
    assert_int_equal(error.code, ENS_USAGE);
    assert_true(ens_search(e, "12345", 1, &hits, &count, &error));
    assert_int_equal(count, 1);
    assert_int_equal(hits[0].row, 1);
    assert_string_equal(hits[0].text, "12345");
    ens_destroy(e);
    assert_true(folder_remove(folder, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_choice_is_refused),
        cmocka_unit_test(all_the_choices_are_taken),
        cmocka_unit_test(texts_and_roles),
        cmocka_unit_test(the_job_in_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
