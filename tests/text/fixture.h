/* fixture.h - the small tokenizer of tests/fixtures/text and its variants. */

#ifndef TESTS_TEXT_FIXTURE_H
#define TESTS_TEXT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "text/tokenizer.h"

#define FIXTURES "tests/fixtures/text/"

/* Ends the program with the error's message if FINE is false. */
static inline void must(bool fine, const struct error *err) {
    if (fine)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static inline json_t *fixture_json(const char *path) {
    struct error err = {0};
    json_t *json = json_read_file(path, 1 << 24, &err);
    must(json, &err);
    return json;
}

/* DOCUMENT as a tokenizer, or NULL and ERR. */
static inline struct tokenizer *fixture_create(struct memory *memory,
                                               const json_t *document,
                                               struct error *err) {
    char *text = json_dumps(document, 0);
    assert_non_null(text);
    struct tokenizer *tokenizer =
        tokenizer_create(memory, str_from(text), "tokenizer.json", err);
    free(text);
    return tokenizer;
}

/* The parts of VARIANT ({"name", "tokenizer"}) with BASE's vocabulary. */
static inline struct tokenizer *fixture_variant(struct memory *memory,
                                                const json_t *base,
                                                json_t *variant) {
    json_t *parts = json_object_get(variant, "tokenizer");
    const json_t *model = json_object_get(base, "model");
    json_object_set(json_object_get(parts, "model"), "vocab",
                    json_object_get(model, "vocab"));
    struct error err = {0};
    struct tokenizer *tokenizer = fixture_create(memory, parts, &err);
    must(tokenizer, &err);
    return tokenizer;
}

/* The row NAME of parts.json (ROOT). */
static inline const json_t *fixture_row(const json_t *root, const char *name) {
    const json_t *rows = json_object_get(root, "tokenizers");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            return row;
    }
    fail_msg("parts.json has no row %s", name);
    return NULL;
}

/* It as a tokenizer.json: its model is that of the first row with the same
 * base, with its own differences. The caller drops it. */
static inline json_t *fixture_part(const json_t *root, const char *name) {
    const json_t *row = fixture_row(root, name);
    const json_t *rows = json_object_get(root, "tokenizers");
    json_t *model = NULL;
    for (size_t i = 0; !model; i++) {
        const json_t *other = json_array_get(rows, i);
        const json_t *part = json_object_get(other, "tokenizer");
        if (json_equal(json_object_get(other, "base"),
                       json_object_get(row, "base")))
            model = json_copy(json_object_get(part, "model"));
    }
    json_t *document = json_copy(json_object_get(row, "tokenizer"));
    json_object_update(model, json_object_get(document, "model"));
    json_object_set_new(document, "model", model);
    json_object_set(document, "added_tokens",
                    json_object_get(root, "added_tokens"));
    return document;
}

static inline struct tokenizer_scratch *fixture_scratch(
    const struct tokenizer *tokenizer, struct memory *memory) {
    struct error err = {0};
    struct tokenizer_scratch *scratch =
        tokenizer_scratch_create(tokenizer, memory, &err);
    must(scratch, &err);
    return scratch;
}

/* The ids of TEXT alone in OUT. */
static inline struct tokenized fixture_encode(const struct tokenizer *tokenizer,
                                              struct tokenizer_scratch *scratch,
                                              struct str text, size_t limit,
                                              enum tokenizer_count count,
                                              struct tokens *out) {
    struct error err = {0};
    struct tokenized what = {0};
    out->count = 0;
    must(tokenizer_encode(tokenizer, scratch, text, limit, count, out, &what,
                          &err),
         &err);
    assert_int_equal(what.count, out->count);
    return what;
}

#endif
