/* reference.h - what other people's programs made of texts, and a run of one
 * model whose rows are held against it. */

#ifndef TESTS_RUN_REFERENCE_H
#define TESTS_RUN_REFERENCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "run/pipeline.h"

static inline json_t *read_json(const char *path) {
    struct error err = {0};
    json_t *document = json_read_file(path, 16 << 20, &err);
    if (!document)
        fail_msg("%s", err.message);
    return document;
}

/* FOLDER/chunks.jsonl of texts that JSON need not escape. */
static inline void write_chunks(const char *folder, const json_t *texts) {
    char path[128];
    snprintf(path, sizeof path, "%s/chunks.jsonl", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < json_array_size(texts); i++)
        fprintf(f, "{\"text\": \"%s\"}\n",
                json_string_value(json_array_get(texts, i)));
    assert_int_equal(fclose(f), 0);
}

/* FOLDER/chunks.jsonl through a small model, anew, into FOLDER/out. OPTIONS say
 * on which devices, what becomes of long texts, and by the counts of models
 * (0 or 1) which heads. The caller frees RESULT. */
static inline void run_one_model(const char *folder, const char *model,
                                 size_t budget, struct run_options options,
                                 struct run_result *result) {
    char chunks[128], out[128], path[128];
    struct error err = {0};
    snprintf(chunks, sizeof chunks, "%s/chunks.jsonl", folder);
    snprintf(out, sizeof out, "%s/out", folder);
    snprintf(path, sizeof path, "tests/fixtures/models/%s", model);
    struct model_request request = {
        .reference = path, .weight = 1, .budget = budget};
    struct sink sink = {0};
    options.chunks = chunks;
    options.out = out;
    options.models = options.sparse = options.multi = &request;
    options.threads = 2;
    options.lease_wait_ms = -1;
    options.restart = true;
    if (!pipeline_run(&options, &sink, result, &err))
        fail_msg("%s: %s", model, err.message);
    if (result->worst.code)
        fail_msg("%s: %s", model, result->worst.message);
}

#endif
